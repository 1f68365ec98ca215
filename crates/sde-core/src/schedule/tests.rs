//! The laws of [`NoiseSchedule`], over every schedule.

use super::*;
use approx::assert_relative_eq;
use proptest::prelude::*;

fn every_schedule() -> Vec<(&'static str, Box<dyn NoiseSchedule>)> {
    vec![
        ("VE", Box::new(VarianceExpanding::new(10.0).unwrap())),
        ("VE, long", Box::new(VarianceExpanding::with_horizon(25.0, 3.0).unwrap())),
        ("Brownian", Box::new(VarianceExpanding::new(1.0).unwrap())),
        ("VE, shrinking", Box::new(VarianceExpanding::new(0.3).unwrap())),
        ("VP", Box::new(VariancePreserving::new(10.0).unwrap())),
        ("linear beta", Box::new(LinearBeta::new(0.1, 20.0).unwrap())),
        ("linear beta from 0", Box::new(LinearBeta::new(0.0, 5.0).unwrap())),
        ("sub-VP", Box::new(SubVp::new(0.1, 20.0).unwrap())),
        ("cosine", Box::new(Cosine::new(0.008, 0.999).unwrap())),
        ("EDM", Box::new(Edm::new(80.0).unwrap())),
    ]
}

/// Integral of `g^2 f(t,.)^2` over `[s, t]` by Gauss-Legendre with 5 points on 400 panels.
fn variance_by_quadrature(schedule: &dyn NoiseSchedule, s: f64, t: f64) -> f64 {
    const NODES: [(f64, f64); 5] = [
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_47),
        (0.906_179_845_938_664, 0.236_926_885_056_189_08),
        (-0.906_179_845_938_664, 0.236_926_885_056_189_08),
    ];
    let width = (t - s) / 400.0;
    (0..400)
        .flat_map(|panel| {
            NODES.map(|(x, w)| (s + width * (f64::from(panel) + 0.5 + 0.5 * x), 0.5 * w * width))
        })
        .map(|(u, w)| {
            let f = schedule.transition(u, t).mean_factor;
            w * (schedule.coefficients(u).strength * f).powi(2)
        })
        .sum()
}

#[test]
fn kernels_compose() {
    for (name, schedule) in every_schedule() {
        let end = schedule.horizon();
        for (r, s, t) in [(0.0, 0.3, 0.8), (0.1, 0.11, 0.5), (0.0, 1e-6, 1e-3), (0.2, 0.9, 1.0)] {
            let (r, s, t) = (r * end, s * end, t * end);
            let (rs, st, rt) =
                (schedule.transition(r, s), schedule.transition(s, t), schedule.transition(r, t));
            assert!((rs.mean_factor * st.mean_factor - rt.mean_factor).abs() < 1e-13, "{name}");
            let composed = st.mean_factor * st.mean_factor * rs.variance + st.variance;
            assert!((composed / rt.variance - 1.0).abs() < 1e-12, "{name}: {composed} {}", rt.variance);
        }
    }
}

#[test]
fn kernels_solve_their_equation() {
    for (name, schedule) in every_schedule() {
        for step in 1..20 {
            let t = schedule.horizon() * f64::from(step) / 20.5;
            let h = 1e-5 * schedule.horizon();
            let (before, here, after) = (
                schedule.transition(0.0, t - h),
                schedule.transition(0.0, t),
                schedule.transition(0.0, t + h),
            );
            let Coefficients { rate, strength } = schedule.coefficients(t);
            let slope = (after.mean_factor - before.mean_factor) / (2.0 * h);
            assert!((slope + 0.5 * rate * here.mean_factor).abs() < 1e-6 * (1.0 + rate), "{name} at {t}");
            let slope = (after.variance - before.variance) / (2.0 * h);
            let law = strength * strength - rate * here.variance;
            assert!((slope - law).abs() < 1e-6 * (1.0 + strength * strength), "{name} at {t}: {slope} {law}");
        }
    }
}

#[test]
fn variance_is_the_integral() {
    for (name, schedule) in every_schedule() {
        let (s, t) = (0.2 * schedule.horizon(), 0.7 * schedule.horizon());
        let error = schedule.transition(s, t).variance / variance_by_quadrature(&*schedule, s, t) - 1.0;
        assert!(error.abs() < 1e-12, "{name}: {error:e}");
    }
}

#[test]
fn short_steps_keep_their_digits() {
    // Xi(t|s) = g^2 (t - s) (1 + O(t - s)) with g at the midpoint; the relative error of the midpoint rule is
    // O((t - s)^2), here below 1e-14.
    for (name, schedule) in every_schedule() {
        for s in [1e-3, 0.25, 0.7] {
            let s = s * schedule.horizon();
            let t = s + 1e-8 * schedule.horizon();
            let kernel = schedule.transition(s, t);
            let Coefficients { rate, strength } = schedule.coefficients(0.5 * (s + t));
            // t - s as rounded, not 1e-8.
            let leading = strength * strength * (t - s) * (1.0 - 0.5 * rate * (t - s));
            assert!(
                (kernel.variance / leading - 1.0).abs() < 1e-11,
                "{name} at {s}: {}",
                kernel.variance / leading
            );
        }
        assert_eq!(schedule.transition(0.5, 0.5), Transition { mean_factor: 1.0, variance: 0.0 }, "{name}");
    }
}

#[test]
fn time_at_inverts_the_clock() {
    for (name, schedule) in every_schedule() {
        for step in 0..=40 {
            let t = schedule.horizon() * 10f64.powf(-f64::from(step) / 5.0);
            let v = schedule.transition(0.0, t).noise_to_signal();
            assert_relative_eq!(schedule.time_at(v), t, max_relative = 1e-9);
        }
        assert_eq!(schedule.time_at(0.0), 0.0, "{name}");
        assert_eq!(schedule.time_at(1e300), schedule.horizon(), "{name}");
    }
}

#[test]
fn default_time_at_bisects() {
    struct Plain(VariancePreserving);
    impl NoiseSchedule for Plain {
        fn coefficients(&self, t: f64) -> Coefficients {
            self.0.coefficients(t)
        }
        fn transition(&self, s: f64, t: f64) -> Transition {
            self.0.transition(s, t)
        }
    }
    let schedule = VariancePreserving::new(10.0).unwrap();
    for v in [1e-9, 1e-3, 1.0, 100.0, 1e6] {
        assert_relative_eq!(Plain(schedule).time_at(v), schedule.time_at(v), max_relative = 1e-12);
    }
}

#[test]
fn published_end_points() {
    // Values of an independent evaluation, theory of the paper's Sec. 4 and 5.
    let end = |sigma| VarianceExpanding::new(sigma).unwrap().transition(0.0, 1.0).variance;
    assert_relative_eq!(end(10.0), 21.497_576_854_210_962, max_relative = 1e-15);
    assert_relative_eq!(end(25.0), 96.928_249_791_299_45, max_relative = 1e-15);
}

#[test]
fn constructors_refuse_what_has_no_meaning() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            VarianceExpanding::new(bad),
            Err(crate::ParameterError::NotPositive { name: "sigma", .. })
        ));
        assert!(VariancePreserving::new(bad).is_err());
        assert!(VariancePreserving::with_horizon(10.0, bad).is_err());
        assert!(Edm::new(bad).is_err());
        assert!(LinearBeta::new(0.1, bad).is_err());
        assert!(SubVp::new(0.1, bad).is_err());
        assert!(Cosine::new(0.008, bad).is_err());
    }
    assert!(LinearBeta::new(-0.1, 20.0).is_err());
    assert!(Cosine::new(0.008, 1.0).is_err());
    assert_eq!(
        VarianceExpanding::new(-2.0).unwrap_err().to_string(),
        "sigma = -2 must be finite and positive"
    );
}

proptest! {
    #[test]
    fn composition_holds_at_random(sigma in 0.1f64..40.0, a in 0.0f64..1.0, b in 0.0f64..1.0, c in 0.0f64..1.0) {
        let mut times = [a, b, c];
        times.sort_by(f64::total_cmp);
        let [r, s, t] = times;
        let ve = VarianceExpanding::new(sigma).unwrap();
        let vp = VariancePreserving::new(sigma).unwrap();
        for schedule in [&ve as &dyn NoiseSchedule, &vp] {
            let (rs, st, rt) = (schedule.transition(r, s), schedule.transition(s, t), schedule.transition(r, t));
            let composed = st.mean_factor.powi(2) * rs.variance + st.variance;
            prop_assert!((composed - rt.variance).abs() <= 1e-13 * rt.variance.max(f64::MIN_POSITIVE) * 10.0);
        }
    }
}
