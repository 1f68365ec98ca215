//! Weighted moments: repetition, exact reweighting, merging, bad values, storage; factorial moments.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::{
    ErrorEstimateError, JointMoments, Moments, UnequalLengths, WeightedMoments, cumulants_from_moments,
    factorial_from_raw, jackknife, moments_from_cumulants, raw_from_factorial,
};
use num_rational::BigRational;
use num_traits::ToPrimitive;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use testing::{Comparisons, seed};

#[test]
fn whole_weights_are_repetitions() {
    let x = [0.3, -1.5, 2.25, 7.0];
    let weighted = WeightedMoments::<6>::of(&x, &[1.0, 4.0, 2.0, 3.0]).unwrap();
    let repeated = Moments::<6>::of(&[0.3, -1.5, -1.5, -1.5, -1.5, 2.25, 2.25, 7.0, 7.0, 7.0]);
    assert_eq!(weighted.weight(), 10.0);
    for k in 1..=6 {
        let (found, expected) = (weighted.cumulant(k), repeated.cumulant(k));
        assert!(
            (found - expected).abs() < 1e-13 * repeated.central_moment(6).max(1.0),
            "{k}: {found} {expected}"
        );
    }
}

/// Samples of `N(0, 1)` reweighted to `N(a, 1)` by `e^(a x - a^2 / 2)`: cumulants `a, 1, 0, 0`, and `n_eff = n e^(-a^2)`. The
/// error comes from a jackknife over bins.
#[test]
fn reweighting_a_normal_law() {
    let test = Comparisons::of(5);
    let (a, n) = (0.5_f64, 400_000);
    let mut rng = Pcg64::seed_from_u64(seed(4));
    let x: Vec<f64> = (0..n).map(|_| rng.sample(rand_distr::StandardNormal)).collect();
    let weights: Vec<f64> = x.iter().map(|x| (a * x - 0.5 * a * a).exp()).collect();
    let bins: Vec<WeightedMoments<4>> =
        x.chunks(2000).zip(weights.chunks(2000)).map(|(x, w)| WeightedMoments::of(x, w).unwrap()).collect();
    for (k, exact) in [(1, a), (2, 1.0), (3, 0.0), (4, 0.0)] {
        let found = jackknife(&bins, |m| m.cumulant(k)).unwrap();
        assert!(test.student(found.pull(exact), 199.0), "{k}: {found}");
    }
    let all = WeightedMoments::<4>::of(&x, &weights).unwrap();
    // d ln(n_eff) = 2 dw/<w> - dw^2/<w^2>, its variance from the moments <w^k> = exp(k (k - 1) a^2 / 2).
    let e = (a * a).exp();
    let variance = (4.0 * e + e.powi(4) - 4.0 * e * e - 1.0) / f64::from(n);
    let found = all.effective_samples() * e / f64::from(n);
    assert!(test.normal((found - 1.0) / variance.sqrt()), "{found} +- {}", variance.sqrt());
}

#[test]
fn jackknife_of_joint_moments() {
    let mut rng = Pcg64::seed_from_u64(seed(8));
    let rows: Vec<f64> = (0..60_000)
        .flat_map(|_| {
            let (u, v): (f64, f64) = (rng.random(), rng.random());
            [u, u * v]
        })
        .collect();
    let bins: Vec<JointMoments> = rows.chunks(400).map(|rows| JointMoments::of(rows, 2, 2)).collect();
    // Cov(u, u v) = Var(u) / 2 = 1/24
    let covariance = jackknife(&bins, |m| m.cumulant(&[0, 1])).unwrap();
    assert!(Comparisons::of(1).student(covariance.pull(1.0 / 24.0), 149.0), "{covariance}");
}

#[test]
fn bad_values() {
    assert_eq!(WeightedMoments::<2>::of(&[1.0, 2.0], &[1.0]), Err(UnequalLengths { samples: 2, weights: 1 }));
    let good = WeightedMoments::<2>::of(&[1.0, 2.0], &[1.0, 3.0]).unwrap();
    let nothing = WeightedMoments::<2>::of(&[5.0, 6.0], &[0.0, 0.0]).unwrap();
    assert!(nothing.mean().is_nan() && nothing.cumulant(2).is_nan());
    let both = good.merge(&nothing).merge(&WeightedMoments::EMPTY);
    assert_eq!((both.count(), both.cumulants()), (4, good.cumulants()));
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(!WeightedMoments::<2>::of(&[1.0, bad], &[1.0, 1.0]).unwrap().merge(&good).is_finite());
        assert!(!WeightedMoments::<2>::of(&[1.0, 1.0], &[1.0, bad]).unwrap().merge(&good).is_finite());
    }
    let bins = [good, nothing];
    let too_few = ErrorEstimateError::TooFewBins { found: 1, needed: 2 };
    assert_eq!(jackknife(&bins, WeightedMoments::mean), Err(too_few));
}

#[test]
fn storage() {
    let m = WeightedMoments::<4>::of(&[1.0, 2.0, 4.5], &[0.1, 0.2, 0.7]).unwrap();
    let text = serde_json::to_string(&m).unwrap();
    assert_eq!(serde_json::from_str::<WeightedMoments<4>>(&text).unwrap(), m);
    let error = serde_json::from_str::<WeightedMoments<3>>(&text).unwrap_err().to_string();
    assert!(error.contains("sums: 3 values, moments to order 3 have 2"), "{error}");
}

proptest! {
    #[test]
    fn merge_is_the_union(
        rows in prop::collection::vec((-2.0_f64..9.0, 0.0_f64..2.0), 2..3000),
        cut in 0.0_f64..1.0,
    ) {
        let (x, w): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        let cut = (cut * x.len() as f64) as usize;
        let of = |x: &[f64], w: &[f64]| WeightedMoments::<5>::of(x, w).unwrap();
        let (merged, union) = (of(&x[..cut], &w[..cut]).merge(&of(&x[cut..], &w[cut..])), of(&x, &w));
        prop_assert_eq!(merged.count(), union.count());
        prop_assert!((merged.weight() / union.weight() - 1.0).abs() < 1e-12);
        for k in 2..=5 {
            let scale = union.central_moment(2).powf(0.5 * f64::from(k as u32)) + 11.0_f64.powi(k as i32);
            prop_assert!((merged.central_moment(k) - union.central_moment(k)).abs() < 1e-13 * scale);
        }
    }

    /// Against exact rationals of the same bits.
    #[test]
    fn exact(rows in prop::collection::vec((-2.0_f64..9.0, 0.01_f64..2.0), 1..40)) {
        let (x, w): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        let rational = |x: &f64| BigRational::from_float(*x).unwrap();
        let total: BigRational = w.iter().map(rational).sum();
        let raw: Vec<BigRational> = (1..=5)
            .map(|k| x.iter().zip(&w).map(|(x, w)| rational(x).pow(k) * rational(w)).sum::<BigRational>() / &total)
            .collect();
        let found = WeightedMoments::<5>::of(&x, &w).unwrap();
        for (k, exact) in (1..).zip(cumulants_from_moments(&raw)) {
            let scale = 11.0_f64.powi(k as i32);
            prop_assert!((found.cumulant(k) - exact.to_f64().unwrap()).abs() < 1e-14 * scale, "order {}", k);
        }
    }

    #[test]
    fn factorial_round_trip(moments in prop::collection::vec(-1000_i64..1000, 0..9)) {
        prop_assert_eq!(&raw_from_factorial(&factorial_from_raw(&moments)), &moments);
    }

    /// Factorial cumulants are to factorial moments what cumulants are to moments.
    #[test]
    fn factorial_cumulants(cumulants in prop::collection::vec(-9_i64..9, 1..8)) {
        let through_moments =
            cumulants_from_moments(&factorial_from_raw(&moments_from_cumulants(&cumulants)));
        prop_assert_eq!(through_moments, factorial_from_raw(&cumulants));
    }
}
