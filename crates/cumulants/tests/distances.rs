//! Distances against SciPy (`fixtures/distances.py`), closed forms and their own laws.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::distances::{
    DistanceError, Significance, chi_squared, chi_squared_two_sample, cramer_von_mises,
    cramer_von_mises_two_sample, energy_distance, kolmogorov_smirnov, kolmogorov_smirnov_two_sample,
    maximum_mean_discrepancy, median_distance, wasserstein_distance,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use serde_json::Value;
use testing::{Comparisons, seed};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/distances.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((found - expected).abs() <= tolerance * expected.abs(), "{what}: {found}, SciPy {expected}");
}

fn assert_significance(found: Significance, expected: &Value, tolerance: f64, what: &str) {
    let expected = numbers(expected);
    assert_close(found.statistic, expected[0], 1e-12, what);
    assert_close(found.p_value, expected[1], tolerance, what);
}

#[test]
fn two_samples() {
    for pair in fixture()["pairs"].as_array().unwrap() {
        let (a, b) = (numbers(&pair["a"]), numbers(&pair["b"]));
        let what = format!("{} and {}", a.len(), b.len());
        assert_significance(kolmogorov_smirnov_two_sample(&a, &b).unwrap(), &pair["ks"], 1e-9, &what);
        assert_significance(cramer_von_mises_two_sample(&a, &b).unwrap(), &pair["cvm"], 1e-8, &what);
        let wasserstein = wasserstein_distance(&a, &b).unwrap();
        assert_close(wasserstein, pair["wasserstein"].as_f64().unwrap(), 1e-12, &what);
        assert_close(energy_distance(&a, &b).unwrap(), pair["energy"].as_f64().unwrap(), 1e-12, &what);
    }
}

#[test]
fn equal_values() {
    let fixture = fixture();
    let ties = &fixture["ties"];
    let (a, b) = (numbers(&ties["a"]), numbers(&ties["b"]));
    let ks = kolmogorov_smirnov_two_sample(&a, &b).unwrap();
    assert_close(ks.statistic, ties["ks"].as_f64().unwrap(), 1e-14, "KS");
    assert_significance(cramer_von_mises_two_sample(&a, &b).unwrap(), &ties["cvm"], 1e-8, "CvM");
    let wasserstein = wasserstein_distance(&a, &b).unwrap();
    assert_close(wasserstein, ties["wasserstein"].as_f64().unwrap(), 1e-12, "W1");
    assert_close(energy_distance(&a, &b).unwrap(), ties["energy"].as_f64().unwrap(), 1e-12, "energy");
}

#[test]
fn one_sample() {
    for case in fixture()["single"].as_array().unwrap() {
        let u = numbers(&case["u"]);
        let what = format!("{} values", u.len());
        // SciPy has more terms of the expansion above 1000.
        assert_significance(kolmogorov_smirnov(&u, |x| x).unwrap(), &case["ks"], 2e-6, &what);
        let found = cramer_von_mises(&u, |x| x).unwrap();
        let expected = numbers(&case["cvm"]);
        assert_close(found.statistic, expected[0], 1e-12, &what);
        // Both are approximations of the law at finite n, theirs to another order.
        let tolerance = if u.len() < 50 { 5e-3 } else { 1e-3 };
        if u.len() >= 10 {
            assert!((found.p_value - expected[1]).abs() < tolerance, "{what}: {found:?} {expected:?}");
        }
    }
}

/// `n` equal values `d <= 1/2` below a uniform law have `D = 1 - d`; to reach any `D` they are spread evenly, off by it.
#[test]
fn law_of_kolmogorov() {
    for case in fixture()["kolmogorov"].as_array().unwrap() {
        let case = numbers(case);
        let (n, d, expected) = (case[0], case[1], case[2]);
        // F_n(x) - F(x) = d at the last value of a sample below which everything is spread evenly.
        let sample: Vec<f64> = (0..n as u32).map(|i| (f64::from(i) + 0.5) / n).collect();
        let shifted = |x: f64| (x - d + 0.5 / n).clamp(0.0, 1.0);
        let found = kolmogorov_smirnov(&sample, shifted).unwrap();
        assert!((found.statistic - d).abs() < 1e-12, "{n} {d} {found:?}");
        // SciPy takes the expansion from n = 141 on. At n = 1000, d = 0.55 / sqrt(n) it is off by 7e-8, as the matrix in
        // 60 digits shows, which gives 0.917546438214692.
        let tolerance = match n {
            // An absolute error of order n^(-3/2) where the expansion is used.
            n if n > 1000.0 && expected > 0.02 => 4e-6,
            n if n > 140.0 => 1e-6 * expected,
            _ => 1e-9 * expected,
        };
        let off = (found.p_value - expected).abs();
        assert!(off < tolerance, "n = {n}, d = {d}: {found:?}, SciPy {expected}");
    }
}

#[test]
fn histograms() {
    let fixture = fixture();
    let chi = &fixture["chi"];
    let (counts, p, other) = (numbers(&chi["counts"]), numbers(&chi["p"]), numbers(&chi["other"]));
    assert_significance(chi_squared(&counts, &p).unwrap(), &chi["one"], 1e-11, "one");
    assert_significance(chi_squared_two_sample(&counts, &other).unwrap(), &chi["two"], 1e-11, "two");
    let with_empty = |counts: &[f64]| [counts, &[0.0]].concat();
    let again = chi_squared_two_sample(&with_empty(&counts), &with_empty(&other)).unwrap();
    assert_eq!(again, chi_squared_two_sample(&counts, &other).unwrap());
    assert_eq!(chi_squared(&[1.0, 1.0], &[1.0, 0.0]).unwrap().p_value, 0.0);
    assert_eq!(chi_squared(&[3.0, 0.0], &[1.0, 0.0]).unwrap(), Significance { statistic: 0.0, p_value: 1.0 });
}

/// p-values of samples from one law are uniform: below 0.05 in one case of twenty.
#[test]
fn p_values_are_uniform() {
    let (test, cases) = (Comparisons::of(5), 2000);
    let mut rng = Pcg64::seed_from_u64(seed(1));
    let mut rejected = [0; 5];
    for _ in 0..cases {
        let mut draw = |n: usize| (0..n).map(|_| rng.random::<f64>()).collect::<Vec<_>>();
        let (a, b) = (draw(200), draw(300));
        let histogram = |x: &[f64]| {
            let mut counts = [0.0; 10];
            for x in x {
                counts[(10.0 * x) as usize] += 1.0;
            }
            counts
        };
        let found = [
            kolmogorov_smirnov(&a, |x| x).unwrap(),
            kolmogorov_smirnov_two_sample(&a, &b).unwrap(),
            cramer_von_mises(&a, |x| x).unwrap(),
            cramer_von_mises_two_sample(&a, &b).unwrap(),
            chi_squared_two_sample(&histogram(&a), &histogram(&b)).unwrap(),
        ];
        for (rejected, found) in rejected.iter_mut().zip(found) {
            *rejected += u64::from(found.p_value < 0.05);
        }
    }
    assert!(rejected.iter().all(|rejected| test.binomial(*rejected, cases, 0.05)), "{rejected:?}");
}

/// For normal samples of width `s` in `d` dimensions and a kernel of width `w` the mean discrepancy is known:
/// `E k(x, y) = (w^2 / (w^2 + 2 s^2))^(d/2) exp( -|shift|^2 / (2 (w^2 + 2 s^2)) )`. The estimate is unbiased, and so is the
/// square of its error for equal laws up to a few parts in the number of all samples: for `d = 2` and `s = 1` the variance is
/// `4 (1/(n (n-1)) + 1/n^2) c`, where the covariance `c = E k^2 - 2 E_x (E_y k)^2 + (E k)^2` of the kernel is
/// `w^2/(w^2 + 4) - 2 w^4/((w^2 + 1) (w^2 + 3)) + (w^2/(w^2 + 2))^2`.
#[test]
fn mean_discrepancy_of_normal_samples() {
    let (width, shift, n) = (1.5_f64, 1.0_f64, 60);
    let spread = width * width + 2.0;
    let within = width * width / spread;
    let exact = 2.0 * within * (1.0 - (-shift * shift / (2.0 * spread)).exp());
    let squared = width * width;
    let covariance = squared / (squared + 4.0) - 2.0 * squared.powi(2) / ((squared + 1.0) * (squared + 3.0))
        + within.powi(2);
    let size = f64::from(n);
    let variance = 4.0 * (1.0 / (size * (size - 1.0)) + 1.0 / size.powi(2)) * covariance;
    let (test, pairs) = (Comparisons::of(2), 400);
    let mut rng = Pcg64::seed_from_u64(seed(2));
    let (mut shifted, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..pairs {
        let mut draw = |shift: f64| -> Vec<f64> {
            let mut normal = || rng.sample::<f64, _>(rand_distr::StandardNormal);
            (0..n).flat_map(|_| [normal() + shift, normal()]).collect()
        };
        let (a, b, c) = (draw(0.0), draw(0.0), draw(shift));
        shifted.push(maximum_mean_discrepancy(&a, &c, 2, width).unwrap().value);
        let equal = maximum_mean_discrepancy(&a, &b, 2, width).unwrap();
        ratios.push(equal.error.powi(2) / variance);
    }
    let mean = |x: &[f64]| {
        let count = f64::from(pairs);
        let mean = x.iter().sum::<f64>() / count;
        (mean, (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))).sqrt())
    };
    let (value, error) = mean(&shifted);
    assert!(test.student((value - exact) / error, 399.0), "{value} +- {error}, exact {exact}");
    let (ratio, error) = mean(&ratios);
    let bias = (ratio - 1.0).abs().min(1.5 / size);
    assert!(test.student(((ratio - 1.0).abs() - bias) / error, 399.0), "{ratio} +- {error}");

    assert_eq!(median_distance(&[0.0, 1.0], &[3.0, 7.0], 1).unwrap(), 4.0);
}

#[test]
fn bad_samples_are_refused() {
    let empty = DistanceError::TooFew { sample: 1, found: 0, needed: 1 };
    assert_eq!(kolmogorov_smirnov_two_sample(&[1.0], &[]), Err(empty));
    assert_eq!(empty.to_string(), "sample 1: 0 elements, at least 1 are needed");
    assert_eq!(wasserstein_distance(&[1.0], &[]), Err(empty));
    assert_eq!(cramer_von_mises_two_sample(&[1.0], &[]), Err(empty));
    for bad in [f64::NAN, f64::INFINITY] {
        let error = energy_distance(&[1.0, bad], &[1.0]).unwrap_err();
        assert!(matches!(error, DistanceError::Value { sample: 0, element: 1, .. }));
    }
    let error = kolmogorov_smirnov(&[0.5], |_| 1.5).unwrap_err();
    assert_eq!(error, DistanceError::DistributionFunction { at: 0.5, value: 1.5, below: 0.0 });
    assert!(cramer_von_mises(&[0.1, 0.2], |x| 1.0 - x).is_err());
    assert!(kolmogorov_smirnov(&[0.1], |_| f64::NAN).is_err());
    let sizes = DistanceError::Sizes { left: 3, right: 2 };
    assert_eq!(maximum_mean_discrepancy(&[1.0; 3], &[1.0; 4], 2, 1.0), Err(sizes));
    assert_eq!(chi_squared_two_sample(&[1.0, 2.0, 3.0], &[1.0, 2.0]), Err(sizes));
    assert_eq!(
        maximum_mean_discrepancy(&[1.0; 4], &[1.0; 4], 2, 0.0),
        Err(DistanceError::Width { width: 0.0 })
    );
    assert!(matches!(chi_squared(&[1.0, -1.0], &[0.5, 0.5]), Err(DistanceError::Value { element: 1, .. })));
    assert!(matches!(chi_squared(&[0.0, 0.0], &[0.5, 0.5]), Err(DistanceError::TooFew { .. })));
    assert!(matches!(chi_squared(&[1.0], &[1.0]), Err(DistanceError::TooFew { .. })));
}

proptest! {
    /// Nobody panics, and every p-value is a probability, whatever the samples.
    #[test]
    fn any_samples_give_an_answer(
        a in prop::collection::vec(prop_oneof![-1e300..1e300_f64, Just(0.0), Just(f64::NAN), -3.0..3.0_f64], 0..40),
        b in prop::collection::vec(prop_oneof![-1e300..1e300_f64, Just(0.0), -3.0..3.0_f64], 0..40),
    ) {
        let cdf = |x: f64| (0.5 + x / 6.0).clamp(0.0, 1.0);
        let found = [
            kolmogorov_smirnov(&a, cdf),
            cramer_von_mises(&a, cdf),
            kolmogorov_smirnov_two_sample(&a, &b),
            cramer_von_mises_two_sample(&a, &b),
            chi_squared(&a, &b),
            chi_squared_two_sample(&a, &b),
        ];
        for found in found.into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&found.p_value) && found.statistic >= 0.0, "{:?}", found);
        }
        prop_assert!(wasserstein_distance(&a, &b).is_err() || wasserstein_distance(&a, &b).unwrap() >= 0.0);
        prop_assert!(energy_distance(&a, &b).is_err() || energy_distance(&a, &b).unwrap() >= 0.0);
        for width in [0.0, 1e-300, 1.0, 1e300] {
            let _ = maximum_mean_discrepancy(&a, &b, 1, width);
        }
        let _ = median_distance(&a, &b, 2);
    }
}
