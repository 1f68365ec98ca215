//! The Gamma method against autoregressive chains, whose autocorrelation is known.

use cumulants::{ChainError, GammaMethod};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use testing::{Comparisons, seed};

/// `x_(i+1) = a x_i + sqrt(1 - a^2) z` in equilibrium: variance 1, `tau_int = (1 + a) / (1 - a) / 2`.
fn autoregressive(a: f64, length: usize, rng: &mut Pcg64) -> Vec<f64> {
    let mut x: f64 = rng.sample(rand_distr::StandardNormal);
    (0..length)
        .map(|_| {
            x = a * x + (1.0 - a * a).sqrt() * rng.sample::<f64, _>(rand_distr::StandardNormal);
            x
        })
        .collect()
}

/// One-sigma intervals cover 68.27 per cent, of the mean and of a derived quantity, for `tau_int` of 0.5 to 20. The mean of the
/// estimates of `tau_int` is known to 0.3 per cent; the window cuts off one or two.
#[test]
fn coverage() {
    let (test, replicas) = (Comparisons::of(6), 2000);
    for (a, length) in [(0.0, 4000), (0.8, 8000), (39.0 / 41.0, 40_000)] {
        let mut rng = Pcg64::seed_from_u64(seed(11));
        let (mut mean, mut variance, mut tau) = (0, 0, 0.0);
        for _ in 0..replicas {
            let chain = autoregressive(a, length, &mut rng);
            let found = GammaMethod::default().mean(&[&chain]).unwrap();
            mean += u64::from(found.value.abs() < found.error);
            tau += found.tau_int / replicas as f64;
            let [_, kappa_2] = GammaMethod::default().cumulants(&[&chain]).unwrap();
            variance += u64::from((kappa_2.value - 1.0).abs() < kappa_2.error);
        }
        let exact = 0.5 * (1.0 + a) / (1.0 - a);
        assert!((tau / exact - 1.0).abs() < 0.05, "tau_int {tau} for {exact}");
        for (name, covered) in [("mean", mean), ("variance", variance)] {
            assert!(
                test.binomial(covered, replicas, 0.6827),
                "tau_int {exact}: {covered} of {replicas} for the {name}"
            );
        }
    }
}

/// Chains of different lengths are one sample; a constant has no error.
#[test]
fn several_chains() {
    let mut rng = Pcg64::seed_from_u64(seed(5));
    let chains: Vec<Vec<f64>> = [2000, 8000, 5000].map(|n| autoregressive(0.5, n, &mut rng)).into();
    let views: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
    let found = GammaMethod::default().mean(&views).unwrap();
    let all: f64 = chains.iter().flatten().sum::<f64>() / 15_000.0;
    assert!((found.value - all).abs() < 1e-15);
    assert_eq!(found.measurements, 15_000);
    assert!(Comparisons::of(1).normal((found.tau_int - 1.5) / found.tau_int_error), "{found:?}");
    assert!(found.bias.abs() < 1e-15);

    let constant = GammaMethod::default().mean(&[&[2.5; 100]]).unwrap();
    assert_eq!((constant.value, constant.error, constant.tau_int), (2.5, 0.0, 0.5));
}

/// The square of a mean is too large by its variance; two or more chains tell.
#[test]
fn bias_of_a_square() {
    let mut rng = Pcg64::seed_from_u64(seed(6));
    let chains: Vec<Vec<f64>> = (0..800).map(|_| autoregressive(0.0, 16, &mut rng)).collect();
    let views: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
    let found = GammaMethod::default().derived(&views, 1, |m| m[0] * m[0]).unwrap();
    // 1 / 12,800 is estimated from the variance of 800 means of chains.
    let law = ChiSquared::new(799.0).unwrap();
    let square = 799.0 * found.bias * 12_800.0;
    assert!(Comparisons::of(1).p_value(2.0 * law.cdf(square).min(law.sf(square))), "{}", found.bias);
}

/// The package pyerrors on the same series: `fixtures/gamma_method.py`.
#[test]
fn pyerrors_agrees() {
    let fixture: serde_json::Value =
        serde_json::from_str(include_str!("fixtures/gamma_method.json")).unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let chains: Vec<Vec<f64>> = serde_json::from_value(case["chains"].clone()).unwrap();
        let views: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
        let squares: Vec<Vec<f64>> =
            chains.iter().map(|chain| chain.iter().flat_map(|x| [*x, x * x]).collect()).collect();
        let squares: Vec<&[f64]> = squares.iter().map(Vec::as_slice).collect();
        let method = GammaMethod::new(case["stretch"].as_f64().unwrap()).unwrap();
        for (name, found) in [
            ("mean", method.mean(&views).unwrap()),
            ("variance", method.derived(&squares, 2, |m| m[1] - m[0] * m[0]).unwrap()),
        ] {
            let expected = |key: &str| case[name][key].as_f64().unwrap();
            assert_eq!(found.window as f64, expected("window"), "{name}");
            for (key, value) in
                [("value", found.value), ("error", found.error), ("error_of_error", found.error_of_error)]
            {
                let expected = expected(key);
                assert!(
                    (value - expected).abs() < 1e-10 * expected.abs(),
                    "{name}, {key}: {value} {expected}"
                );
            }
            // Theirs is corrected by (1 + 1/N) in place of the corrected Gamma(0).
            assert!((found.tau_int / expected("tau_int") - 1.0).abs() < 0.1, "{name}: {}", found.tau_int);
        }
    }
}

#[test]
fn bad_chains_are_refused() {
    let method = GammaMethod::default();
    assert_eq!(method.mean(&[]), Err(ChainError::Empty));
    assert_eq!(method.mean(&[&[1.0; 3]]), Err(ChainError::Chain { chain: 0, values: 3, quantities: 1 }));
    assert_eq!(
        method.derived(&[&[1.0; 8], &[1.0; 9]], 2, |m| m[0]),
        Err(ChainError::Chain { chain: 1, values: 9, quantities: 2 })
    );
    assert_eq!(method.mean(&[&[1.0, 2.0, f64::NAN, 3.0]]), Err(ChainError::NotFinite { chain: 0, row: 2 }));
    assert_eq!(method.derived(&[&[1.0; 8]], 1, |m| (-m[0]).sqrt()), Err(ChainError::Function));
    assert_eq!(GammaMethod::new(0.0), Err(ChainError::Stretch { value: 0.0 }));
}

proptest! {
    #[test]
    fn any_finite_chain_gives_an_answer(chain in prop::collection::vec(-1e6..1e6_f64, 4..200)) {
        let found = GammaMethod::default().mean(&[&chain]).unwrap();
        prop_assert!(found.error >= 0.0 && found.tau_int > 0.0 && found.tau_int_error >= 0.0);
    }
}
