//! Generating functions, and the exact evolution [3.22]-[3.24] of any distribution under linear noise.

use cumulants::{
    Moments, cumulant_generating, cumulants_from_moments, forward_cumulant_generating, forward_cumulants,
    gaussian_cumulant_generating, moment_generating, two_peak_cumulant_generating, two_peak_cumulants,
};
use proptest::prelude::*;

/// Skewed data: positive, with a long tail.
fn samples() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((0.0_f64..2.0).prop_map(|u| u.powi(3) - 0.5), 1..50)
}

/// `E[e^(J (a + s z))]` over a standard normal `z` by the trapezoidal rule, whose error for a Gaussian
/// integrand of unit width at spacing 1/4 is `e^(-32 pi^2)`.
fn smeared_exponential(j: f64, a: f64, s: f64) -> f64 {
    let peak = j * s;
    let sum: f64 = (-40..=40)
        .map(|i| {
            let z = peak + 0.25 * f64::from(i);
            (j * (a + s * z) - 0.5 * z * z).exp()
        })
        .sum();
    0.25 * sum / (2.0 * std::f64::consts::PI).sqrt()
}

/// Raw moments of `f x + sqrt(Xi) z`: binomials and `E[z^(2i)] = (2i-1)!!`.
fn smeared_moments(data: &[f64], f: f64, variance: f64, order: i32) -> Vec<f64> {
    let raw = |k| data.iter().map(|x| (f * x).powi(k)).sum::<f64>() / data.len() as f64;
    (1..=order)
        .map(|n| {
            let mut sum = 0.0;
            let mut binomial = 1.0;
            let mut noise = 1.0;
            for i in 0..=n / 2 {
                sum += binomial * raw(n - 2 * i) * noise;
                let (n, i) = (f64::from(n), f64::from(i));
                binomial *= (n - 2.0 * i) * (n - 2.0 * i - 1.0) / ((2.0 * i + 1.0) * (2.0 * i + 2.0));
                noise *= (2.0 * i + 1.0) * variance;
            }
            sum
        })
        .collect()
}

#[test]
fn derivatives_of_w_at_zero_are_the_cumulants() {
    // W is a power series in J: compare it with sum kappa_n J^n / n! to order 8 at small J.
    let data = [0.3, -0.1, 0.7, 2.0, -0.4, 0.2];
    let cumulants = Moments::<8>::of(&data).cumulants();
    let j = 0.02;
    let mut term = 1.0;
    let series: f64 = (1..)
        .zip(cumulants)
        .map(|(n, kappa)| {
            term *= j / f64::from(n);
            kappa * term
        })
        .sum();
    // Next term: kappa_9 J^9 / 9!, below 1e-19.
    assert!((cumulant_generating(&data, j) - series).abs() < 1e-17);
    assert_eq!(cumulant_generating(&data, 0.0), 0.0);
    assert_eq!(moment_generating(&data, 0.0), 1.0);
}

#[test]
fn both_forms_of_the_sample_w_agree_where_they_meet() {
    let data = [0.0, 0.3, 1.0, -0.9];
    for j in [0.5, 0.99, 1.01, 1.5, -0.5, -1.5, 3.0] {
        let direct = (data.iter().map(|x: &f64| (j * x).exp()).sum::<f64>() / 4.0).ln();
        assert!((cumulant_generating(&data, j) - direct).abs() < 4e-16, "J = {j}");
    }
}

#[test]
fn bad_samples_give_nan() {
    assert!(cumulant_generating(&[], 1.0).is_nan());
    assert!(cumulant_generating(&[1.0, f64::NAN], 1.0).is_nan());
    assert!(cumulant_generating(&[1.0, f64::INFINITY], 1.0).is_nan());
}

#[test]
fn two_peak_w_is_the_smeared_two_valued_variable() {
    for (mu, variance, j) in [(1.0, 0.0625, 0.3), (1.5, 2.0, -0.8), (1.0, 0.0, 2.5), (0.5, 1.0, 40.0)] {
        let two_valued = |j| cumulant_generating(&[mu, -mu], j);
        let expected = forward_cumulant_generating(two_valued, 1.0, variance, j);
        let w = two_peak_cumulant_generating(mu, variance, j);
        assert!((w / expected - 1.0).abs() < 1e-14, "{w} {expected}");
    }
    // Even series with the two-peak cumulants, next term kappa_10 J^10 / 10! = 2e-13 J^10 / 1e-10.
    let kappa = two_peak_cumulants(1.0, 0.0625, 8);
    let j: f64 = 0.05;
    let series = kappa[1] * j.powi(2) / 2.0
        + kappa[3] * j.powi(4) / 24.0
        + kappa[5] * j.powi(6) / 720.0
        + kappa[7] * j.powi(8) / 40320.0;
    assert!((two_peak_cumulant_generating(1.0, 0.0625, j) - series).abs() < 1e-15);
}

proptest! {
    /// [3.22] for any empirical measure, against quadrature of the noise around every sample.
    #[test]
    fn smearing_adds_a_gaussian_to_w(
        data in samples(), f in 0.01_f64..1.2, variance in 0.001_f64..5.0, j in -2.0_f64..2.0,
    ) {
        let s = variance.sqrt();
        let z = data.iter().map(|x| smeared_exponential(j, f * x, s)).sum::<f64>() / data.len() as f64;
        let w = forward_cumulant_generating(|j| cumulant_generating(&data, j), f, variance, j);
        prop_assert!((w - z.ln()).abs() <= 1e-12 * w.abs().max(1.0), "{} {}", w, z.ln());
        // The closed mixture formula.
        let mixture = data.iter().map(|x| (j * f * x + j * j * variance / 2.0).exp()).sum::<f64>();
        let mixture = (mixture / data.len() as f64).ln();
        prop_assert!((w - mixture).abs() <= 1e-12 * w.abs().max(1.0), "{} {}", w, mixture);
    }

    /// [3.23], [3.24] from the exact raw moments of the smeared measure. What cancels in the recursion is
    /// bounded by the sum over set partitions of (blocks - 1)! times the absolute moment, and 94586 is
    /// that sum for order 8; 8 eps allows for the rounding of the factors.
    #[test]
    fn smearing_changes_the_second_cumulant_only(
        data in samples(), f in 0.01_f64..1.2, variance in 0.001_f64..5.0,
    ) {
        let smeared = cumulants_from_moments(&smeared_moments(&data, f, variance, 8));
        let expected = forward_cumulants(&Moments::<8>::of(&data).cumulants(), f, variance);
        let magnitudes: Vec<f64> = data.iter().map(|x| x.abs()).collect();
        for n in 1..=8 {
            // E|y|^n <= (E y^2m)^(n/2m) with 2m = 8.
            let absolute = smeared_moments(&magnitudes, f, variance, 8)[7].powf(n as f64 / 8.0);
            let partitions = [1.0, 2.0, 6.0, 26.0, 150.0, 1082.0, 9366.0, 94_586.0][n - 1];
            let error = (smeared[n - 1] - expected[n - 1]).abs();
            prop_assert!(error <= 8.0 * f64::EPSILON * partitions * absolute, "order {}: {}", n, error);
        }
    }

    #[test]
    fn smearing_twice_is_smearing_once(
        mean in -2.0_f64..2.0, v in 0.0_f64..3.0, f in 0.1_f64..1.2, xi in 0.0_f64..3.0, j in -3.0_f64..3.0,
    ) {
        let w = forward_cumulant_generating(|j| gaussian_cumulant_generating(mean, v, j), f, xi, j);
        let expected = gaussian_cumulant_generating(f * mean, f * f * v + xi, j);
        prop_assert!((w - expected).abs() <= 1e-13 * (1.0 + expected.abs() + mean.abs()));
    }
}
