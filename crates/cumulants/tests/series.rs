//! Densities from cumulants, and Legendre transforms, against closed forms.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::{
    HermiteSeries, SeriesError, cumulant_generating, legendre_transform, moments_from_cumulants,
    two_peak_cumulant_generating,
};
use proptest::prelude::*;

/// The cumulants of a sum of `m` exponential variables, `m (k-1)!`.
fn gamma_law(m: f64, order: usize) -> Vec<f64> {
    (1..=order).map(|k| m * (1..k).map(|i| i as f64).product::<f64>()).collect()
}

/// `int x^k p(x) dx` by the trapezoidal rule, exact for what falls so fast.
fn moment(series: &HermiteSeries, mean: f64, deviation: f64, k: i32) -> f64 {
    let step = deviation / 64.0;
    (-64 * 14..=64 * 14)
        .map(|i| mean + f64::from(i) * step)
        .map(|x| x.powi(k) * series.density(x) * step)
        .sum()
}

#[test]
fn gram_charlier_has_the_moments_of_its_cumulants() {
    let kappa = [0.3, 1.7, -0.4, 0.9, 1.1, -2.0];
    let series = HermiteSeries::gram_charlier(&kappa).unwrap();
    assert!((moment(&series, 0.3, 1.7_f64.sqrt(), 0) - 1.0).abs() < 1e-12);
    for (k, exact) in (1..).zip(moments_from_cumulants(&kappa)) {
        let found = moment(&series, 0.3, 1.7_f64.sqrt(), k);
        assert!((found - exact).abs() < 1e-10 * exact.abs().max(1.0), "order {k}: {found} {exact}");
    }
}

/// Coefficients as printed in textbooks: `lambda_3/6`, `lambda_4/24 + lambda_3^2/72`, and so on.
#[test]
fn coefficients_as_printed() {
    let (l3, l4, l5) = (0.3, -0.2, 0.1);
    let edgeworth = HermiteSeries::edgeworth(&[5.0, 1.0, l3, l4, l5]).unwrap();
    let expected = [
        1.0,
        0.0,
        0.0,
        l3 / 6.0,
        l4 / 24.0,
        l5 / 120.0,
        l3 * l3 / 72.0,
        l3 * l4 / 144.0,
        0.0,
        l3.powi(3) / 1296.0,
    ];
    assert_eq!(edgeworth.coefficients().len(), expected.len());
    for (c, expected) in edgeworth.coefficients().iter().zip(expected) {
        assert!((c - expected).abs() < 1e-16, "{:?}", edgeworth.coefficients());
    }
    let charlier = HermiteSeries::gram_charlier(&[5.0, 1.0, l3, l4, l5]).unwrap();
    assert_eq!(charlier.coefficients(), &expected[..6]);
}

/// With cumulants to order `N` the error for a sum of `m` variables falls as `m^((1-N)/2)`: measured between `m = 100` and
/// 400, at a point where the next term does not vanish.
#[test]
fn edgeworth_is_asymptotic_to_every_order() {
    for order in 2..=8 {
        let error = |m: f64| {
            let x = m + 0.7 * m.sqrt();
            let log_gamma = statrs::function::gamma::ln_gamma(m);
            let exact = ((m - 1.0) * x.ln() - x - log_gamma).exp();
            let series = HermiteSeries::edgeworth(&gamma_law(m, order)).unwrap();
            (series.density(x) / exact - 1.0).abs()
        };
        let measured = (error(100.0) / error(400.0)).log2() / 2.0;
        let expected = (order as f64 - 1.0) / 2.0;
        assert!((measured - expected).abs() < 0.25, "order {order}: m^-{measured}, not m^-{expected}");
    }
}

#[test]
fn cumulative_is_the_integral_of_the_density() {
    let series = HermiteSeries::edgeworth(&gamma_law(30.0, 6)).unwrap();
    let step = 1e-3;
    let mut integral = series.cumulative(10.0);
    for i in 0..40_000 {
        integral += step * series.density(10.0 + step * (f64::from(i) + 0.5));
    }
    assert!((series.cumulative(50.0) - integral).abs() < 1e-8);
    assert!((series.cumulative(300.0) - 1.0).abs() < 1e-15 && series.cumulative(-300.0).abs() < 1e-15);
}

#[test]
fn bad_cumulants_are_refused() {
    for series in [HermiteSeries::gram_charlier, HermiteSeries::edgeworth] {
        assert_eq!(series(&[1.0]), Err(SeriesError::TooFew { found: 1 }));
        assert_eq!(series(&[1.0, 0.0, 1.0]), Err(SeriesError::Variance { value: 0.0 }));
        assert_eq!(series(&[1.0, 2.0, f64::NAN]), Err(SeriesError::NotFinite { order: 3 }));
        assert_eq!(series(&[0.0, 1.0]).unwrap().coefficients()[0], 1.0);
    }
}

/// `log cosh J` transforms to `[(1 + phi) log(1 + phi) + (1 - phi) log(1 - phi)] / 2`, `phi = tanh J`.
#[test]
fn legendre_transform_of_two_values() {
    for phi in [0.0, 0.1, -0.5, 0.9, 0.999] {
        let found = legendre_transform(|j| two_peak_cumulant_generating(1.0, 0.0, j), phi);
        let exact = 0.5 * ((1.0 + phi) * phi.ln_1p() + (1.0 - phi) * (-phi).ln_1p());
        assert!((found.value - exact).abs() < 1e-14, "{phi}: {found:?} {exact}");
        assert!((found.source - phi.atanh()).abs() < 1e-6, "{phi}: {found:?}");
    }
    // At the end of the range it is finite, ln 2, approached without end; beyond it is infinite.
    let end = legendre_transform(|j| two_peak_cumulant_generating(1.0, 0.0, j), 1.0);
    assert!((end.value - 2.0_f64.ln()).abs() < 1e-14);
    for phi in [1.1, -3.0] {
        let outside = legendre_transform(|j| two_peak_cumulant_generating(1.0, 0.0, j), phi);
        assert_eq!((outside.value, outside.source), (f64::INFINITY, f64::INFINITY * phi));
    }
    assert!(legendre_transform(|_| f64::NAN, 0.5).value.is_nan());
}

proptest! {
    /// Twice transformed, `W` of a sample is itself; `Gamma` vanishes at the mean and nowhere is negative.
    #[test]
    fn transforming_twice_changes_nothing(
        samples in prop::collection::vec(-2.0_f64..2.0, 3..20),
        j in -2.0_f64..2.0,
    ) {
        // Zero must lie in the range of the means.
        let samples = [&samples[..], &[-2.0, 2.0]].concat();
        let w = |j: f64| cumulant_generating(&samples, j);
        let gamma = |phi: f64| legendre_transform(w, phi).value;
        let mean = samples.iter().sum::<f64>() / samples.len() as f64;
        prop_assert!(gamma(mean).abs() < 1e-14);
        let again = legendre_transform(gamma, j).value;
        prop_assert!((again - w(j)).abs() < 1e-8, "{} {}", again, w(j));
    }
}
