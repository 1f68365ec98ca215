use super::*;
use crate::gaussian::{self, GaussianScore};
use crate::{
    ChurnHeun, EulerMaruyama, ExactTransition, Forward, Heun, Noise, NoiseSchedule, ProbabilityFlow, Reverse,
    ScoreFn, TwoPeak, VarianceExpanding, VariancePreserving, integrate,
};
use approx::assert_relative_eq;
use testing::{Comparisons, seed};

fn model() -> TwoPeak {
    TwoPeak::new(1.0, 0.25).unwrap()
}

/// `kappa_2, 4, 6, 8` of a law of mean zero that is even.
fn even_cumulants(law: &NormalMixture) -> [f64; 4] {
    let [m2, m4, m6, m8] = [2, 4, 6, 8].map(|n| law.moment(n));
    [
        m2,
        m4 - 3.0 * m2 * m2,
        m6 - 15.0 * m4 * m2 + 30.0 * m2.powi(3),
        m8 - 28.0 * m6 * m2 - 35.0 * m4 * m4 + 420.0 * m4 * m2 * m2 - 630.0 * m2.powi(4),
    ]
}

/// Deviations from the model's cumulants in per cent.
fn deviations(law: &NormalMixture) -> [f64; 4] {
    let found = even_cumulants(law);
    std::array::from_fn(|i| {
        let exact = model().cumulant(2 * i as u32 + 2);
        100.0 * (found[i] / exact - 1.0)
    })
}

fn published<S: NoiseSchedule + Copy>(schedule: S, steps: usize) -> NormalMixture {
    let prior = NormalMixture::normal(0.0, schedule.transition(0.0, 1.0).variance).unwrap();
    let grid = TimeGrid::published(1.0, 1e-5, steps).unwrap();
    let process = Reverse { schedule, score: model().score(schedule) };
    let mut integrator = EulerMaruyama::without_last_noise();
    DensityPropagator::default().run(&process, &mut integrator, &grid, &prior, &mut |_, _, _| {}).unwrap()
}

#[test]
fn gaussian_chains_follow_the_exact_recursion() {
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let process = Reverse { schedule, score: GaussianScore { schedule, kappa_2: 1.0625 } };
    let grid = TimeGrid::uniform(1.0, 0.0, 300).unwrap();
    let start = schedule.transition(0.0, 1.0).variance;
    let exact = gaussian::euler_maruyama_variance(&schedule, 1.0625, start, &grid);
    let prior = NormalMixture::normal(0.0, start).unwrap();
    let mut seen = 0;
    DensityPropagator::default()
        .run(&process, &mut EulerMaruyama::new(), &grid, &prior, &mut |step, _, law| {
            assert_eq!(step, seen);
            seen += 1;
            let [kappa_2, kappa_4, kappa_6, kappa_8] = even_cumulants(law);
            assert_relative_eq!(kappa_2, exact[step], max_relative = 1e-11);
            assert!((kappa_4 / kappa_2.powi(2)).abs() < 1e-10, "{kappa_4}");
            assert!((kappa_6 / kappa_2.powi(3)).abs() < 1e-9, "{kappa_6}");
            assert!((kappa_8 / kappa_2.powi(4)).abs() < 1e-8, "{kappa_8}");
            assert_relative_eq!(law.moment(0), 1.0, max_relative = 1e-12);
        })
        .unwrap();
    assert_eq!(seen, 301);
}

#[test]
fn the_forward_process_follows_the_closed_form() {
    let schedule = VariancePreserving::new(10.0).unwrap();
    let grid = TimeGrid::uniform(0.0, 1.0, 20).unwrap();
    DensityPropagator::default()
        .run(&Forward(schedule), &mut ExactTransition::default(), &grid, &model().into(), &mut |_, t, law| {
            let exact = model().noised(schedule.transition(0.0, t));
            for (n, found) in [2, 4, 6, 8].into_iter().zip(even_cumulants(law)) {
                assert!((found - exact.cumulant(n)).abs() < 1e-9, "{t} {n}: {found}");
            }
            for x in [0.0, 0.7, 1.5] {
                assert_relative_eq!(law.density(x), exact.density(x), max_relative = 1e-12);
            }
        })
        .unwrap();
}

#[test]
fn the_published_loop_has_the_bias_of_an_independent_study() {
    // Discretisation, prior and missing last noise in per cent, from a code of another hand and another method,
    // characteristic functions.
    let expected = [
        (published(VarianceExpanding::new(10.0).unwrap(), 100), [-1.66, -0.80, -1.21, -1.61], 5e-3),
        (published(VariancePreserving::new(10.0).unwrap(), 100), [-0.65, 1.19, 1.79, 2.39], 5e-3),
        (published(VarianceExpanding::new(10.0).unwrap(), 1000), [-0.192, -0.134, -0.202, -0.269], 5e-4),
        (published(VariancePreserving::new(10.0).unwrap(), 1000), [-0.069, 0.111, 0.165, 0.220], 5e-4),
    ];
    for (law, expected, rounding) in expected {
        for (found, expected) in deviations(&law).into_iter().zip(expected) {
            assert!((found - expected).abs() < rounding, "{found} {expected}");
        }
    }
}

#[test]
fn finer_nodes_change_nothing() {
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let process = Reverse { schedule, score: model().score(schedule) };
    let prior = NormalMixture::normal(0.0, 22.5).unwrap();
    let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 50).unwrap();
    let end = |nodes: f64| {
        let propagator = DensityPropagator::new(nodes).unwrap();
        propagator.run(&process, &mut ChurnHeun::default(), &grid, &prior, &mut |_, _, _| {}).unwrap()
    };
    let (coarse, fine) = (even_cumulants(&end(3.0)), even_cumulants(&end(7.0)));
    for (coarse, fine) in coarse.into_iter().zip(fine) {
        assert_relative_eq!(coarse, fine, max_relative = 1e-9);
    }
}

#[test]
fn trajectories_agree() {
    // A skewed start and a score that is nobody's: moments of 6e5 trajectories.
    let test = Comparisons::of(6);
    let schedule = VarianceExpanding::new(3.0).unwrap();
    let score = ScoreFn(|x: f64, t: f64| -(x - 0.3 * (2.0 * x + t).sin()) / (0.5 + t));
    let process = Reverse { schedule, score };
    let grid = TimeGrid::uniform(1.0, 0.0, 30).unwrap();
    let start = NormalMixture::new(&[(-1.5, 1.0), (1.0, 3.0)], 0.5).unwrap();
    let law = DensityPropagator::default()
        .run(&process, &mut EulerMaruyama::new(), &grid, &start, &mut |_, _, _| {})
        .unwrap();

    let rows = 600_000;
    let mut x = vec![0.0; rows];
    Noise::new(seed(5), 0).block(0, 0).fill(0, &mut x);
    for (i, x) in x.iter_mut().enumerate() {
        *x = 0.5 * *x + if i % 4 == 0 { -1.5 } else { 1.0 };
    }
    let mut x = Array2::from_shape_vec((rows, 1), x).unwrap();
    let noise = Noise::new(seed(5), 1);
    integrate(&process, &mut EulerMaruyama::new(), &grid, x.view_mut(), 0, &noise, &mut ()).unwrap();
    for n in 1..=6 {
        let mean = x.iter().map(|x| x.powi(n)).sum::<f64>() / rows as f64;
        let n = n as u32;
        let error = ((law.moment(2 * n) - law.moment(n).powi(2)) / rows as f64).sqrt();
        assert!(test.normal((mean - law.moment(n)) / error), "{n}: {mean} {} +- {error}", law.moment(n));
    }
}

#[test]
fn a_flow_moves_the_nodes() {
    // Heun's rule on a linear flow multiplies by the same number everywhere: a normal stays one.
    let schedule = VariancePreserving::new(10.0).unwrap();
    let process = ProbabilityFlow { schedule, score: GaussianScore { schedule, kappa_2: 0.5 } };
    let grid = TimeGrid::uniform(1.0, 0.0, 400).unwrap();
    let start = gaussian::forward_variance(&schedule, 0.5, 1.0);
    let prior = NormalMixture::normal(0.0, start).unwrap();
    let law = DensityPropagator::default()
        .run(&process, &mut Heun::default(), &grid, &prior, &mut |_, _, _| {})
        .unwrap();
    let [kappa_2, kappa_4, ..] = even_cumulants(&law);
    assert!((kappa_2 - 0.5).abs() < 1e-3 && kappa_4.abs() < 1e-9, "{kappa_2} {kappa_4}");
}

#[test]
fn point_masses_become_a_mixture() {
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let grid = TimeGrid::uniform(0.0, 0.1, 3).unwrap();
    let start = NormalMixture::new(&[(-30.0, 1.0), (20.0, 3.0)], 0.0).unwrap();
    let law = DensityPropagator::default()
        .run(&Forward(schedule), &mut ExactTransition::default(), &grid, &start, &mut |_, _, _| {})
        .unwrap();
    let exact = start.widened(schedule.transition(0.0, 0.1).variance.sqrt());
    for n in 1..=8 {
        assert_relative_eq!(law.moment(n), exact.moment(n), max_relative = 1e-12);
    }
}

#[test]
fn what_cannot_be_followed_is_said() {
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let grid = TimeGrid::uniform(1.0, 0.0, 10).unwrap();
    let prior = NormalMixture::normal(0.0, 22.5).unwrap();
    let run = |slope: f64, start: &NormalMixture| {
        let process = Reverse { schedule, score: ScoreFn(|x: f64, _| slope * x) };
        DensityPropagator::default().run(&process, &mut EulerMaruyama::new(), &grid, start, &mut |_, _, _| {})
    };
    assert!(matches!(run(f64::INFINITY, &prior), Err(DensityError::NotFinite { step: 0, .. })));
    // Noise far narrower than the law it meets.
    let faint = VarianceExpanding::with_horizon(1.0, 1e-18).unwrap();
    let process = Reverse { schedule: faint, score: ScoreFn(|_, _| 0.0) };
    let grid = TimeGrid::uniform(1e-18, 0.0, 2).unwrap();
    let law = DensityPropagator::default().run(
        &process,
        &mut EulerMaruyama::new(),
        &grid,
        &prior,
        &mut |_, _, _| {},
    );
    assert!(matches!(law, Err(DensityError::Unresolved { step: 0, .. })), "{law:?}");
    assert!(DensityPropagator::new(0.5).is_err());
}
