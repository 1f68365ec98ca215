//! Weights of known distribution.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::WeightedMoments;
use diffusion::{LogWeights, ReweightingError, WeightsError};
use sde_core::{Noise, NormalSource};
use statrs::function::erf::erfc;
use testing::{Comparisons, seed};

fn normals(count: usize, seed: u64) -> Vec<f64> {
    let mut x = vec![0.0; count];
    Noise::new(seed, 0).block(0, 0).fill(0, &mut x);
    x
}

/// Uniform in (0, 1).
fn uniforms(count: usize, seed: u64) -> Vec<f64> {
    normals(count, seed).iter().map(|x| 0.5 * erfc(x / 2.0_f64.sqrt())).collect()
}

/// `N(0, 1)` reweighted to `N(shift, 1)`: `w = exp(shift x)`, whose mean is `exp(shift^2 / 2)`.
fn shifted(x: &[f64], shift: f64) -> LogWeights {
    LogWeights::new(x.iter().map(|x| shift * x).collect()).unwrap()
}

/// `n_eff / n = exp(-shift^2)`, `ln Z = shift^2 / 2`, acceptance of independence Metropolis `erfc(shift / 2)`: the first with
/// the error of a ratio of means, the last with that of independent decisions twice over.
#[test]
fn log_normal_weights() {
    let (test, count) = (Comparisons::of(9), 2_000_000);
    for (fixed, shift) in [(1, 0.2_f64), (2, 0.5), (3, 0.8)] {
        let seed = seed(fixed);
        let square = shift * shift;
        let weights = shifted(&normals(count, seed), shift);
        // d ln(n_eff/n) = 2 dw/<w> - dw^2/<w^2>, its variance from the moments <w^k> = exp(k^2 shift^2 / 2)
        let variance = 4.0 * square.exp() + (4.0 * square).exp() - 4.0 * (2.0 * square).exp() - 1.0;
        let error = (-square).exp() * (variance / count as f64).sqrt();
        let found = weights.efficiency();
        assert!(test.normal((found - (-square).exp()) / error), "{shift}: {found} +- {error}");
        let ln_mean = weights.ln_mean();
        assert!(test.normal(ln_mean.pull(0.5 * square)), "{shift}: {ln_mean}");
        let exact = (square.exp_m1() / count as f64).sqrt();
        assert!((ln_mean.error / exact - 1.0).abs() < 0.05, "{shift}: {ln_mean} {exact}");
        let acceptance = weights.independence_metropolis(seed).acceptance;
        let error = 2.0 * (0.25 / count as f64).sqrt();
        assert!(test.normal((acceptance - erfc(0.5 * shift)) / error), "{shift}: {acceptance}");
    }
}

/// Jackknife errors of the reweighted mean, variance and third cumulant are those seen between independent ensembles: the mean
/// squared pull is one, within 10 per cent for what is not normal.
#[test]
fn reweighted_cumulants_have_right_errors() {
    let (test, repeats, count, shift) = (Comparisons::of(3), 1000, 10_000, 0.4);
    let mut squares = [0.0; 3];
    for repeat in 0..repeats {
        let x = normals(count, seed(100 + repeat));
        let weights = shifted(&x, shift);
        let cumulant = |k| weights.estimate::<3>(&x, |m| m.cumulant(k)).unwrap();
        for (k, exact) in [(1, shift), (2, 1.0), (3, 0.0)] {
            squares[k - 1] += cumulant(k).pull(exact).powi(2) / repeats as f64;
        }
    }
    let spread = (2.0 / repeats as f64).sqrt();
    assert!(squares.iter().all(|s| test.normal(((s - 1.0).abs() - 0.1).max(0.0) / spread)), "{squares:?}");
}

/// The chain visits what the target holds: mean and variance of `N(shift, 1)`, errors from the spread over 200 chains.
#[test]
fn the_chain_has_the_target_for_its_law() {
    let (test, chains, count, shift) = (Comparisons::of(2), 200, 4000, 0.8);
    let mut moments = Vec::new();
    for chain in 0..chains {
        let x = normals(count, seed(1000 + chain));
        let chain = shifted(&x, shift).independence_metropolis(seed(chain));
        assert_eq!(chain.rows.len(), count);
        let late = chain.rows[100..].iter().map(|&row| x[row]);
        let size = (count - 100) as f64;
        let mean = late.clone().sum::<f64>() / size;
        moments.push([mean, late.map(|x| (x - shift).powi(2)).sum::<f64>() / size]);
    }
    for (k, exact) in [(0, shift), (1, 1.0)] {
        let n = chains as f64;
        let mean = moments.iter().map(|m| m[k]).sum::<f64>() / n;
        let variance = moments.iter().map(|m| (m[k] - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let pull = (mean - exact) / (variance / n).sqrt();
        assert!(test.student(pull, n - 1.0), "moment {}: {mean} {exact}, {pull}", k + 1);
    }
}

/// `w = u^(-k)` is a Pareto distribution of shape `k`, and so is its tail above any threshold. The estimate has the spread
/// `(1 + k) / sqrt(m)` of `m` weights in the tail and ten more of shape 1/2 built in. The estimate itself is off by a few `1 / m`: over
/// 1600 samples by 10 at `k = -1`, and by 3 at most of the others.
#[test]
fn shapes_of_pareto_distributions() {
    let (test, samples, count) = (Comparisons::of(6), 200_u64, 20_000);
    for k in [-1.0, -0.3, 0.2, 0.5, 0.7, 1.2] {
        let mut mean = 0.0;
        let mut size = 0.0;
        for sample in 0..samples {
            let u = uniforms(count, seed(10_000 + sample));
            // Of k < 0 the distribution ends, and `-u^(-k)` has the shape up there; shifted to be positive.
            let log_weight = |u: &f64| if k < 0.0 { (2.0 - u.powf(-k)).ln() } else { -k * u.ln() };
            let tail = LogWeights::new(u.iter().map(log_weight).collect()).unwrap().tail();
            size = tail.weights as f64;
            mean += tail.shape / samples as f64;
            assert_eq!(tail.limit, 0.5);
        }
        let exact = (size * k + 5.0) / (size + 10.0);
        let error = (1.0 + k.abs()) / (size * samples as f64).sqrt();
        let off = if k == -1.0 { 12.0 } else { 4.0 };
        let excess = ((mean - exact).abs() - off / size).max(0.0);
        assert!(test.normal(excess / error), "{k}: {mean} {exact} +- {error}");
    }
}

/// `psislw` of ArviZ 0.19.0 on the same weights.
#[test]
fn shapes_are_those_of_arviz() {
    for (k, expected) in [(0.5, 0.499_003_275_615_462), (0.9, 0.880_933_519_915_309)] {
        let log_weights = (1..=10_000).map(|i| -k * f64::ln(f64::from(i) - 0.5)).collect();
        let found = LogWeights::new(log_weights).unwrap().tail().shape;
        assert!((found - expected).abs() < 1e-12, "{k}: {found} {expected}");
    }
}

#[test]
fn tails_that_are_none() {
    let equal = LogWeights::new(vec![-3000.0; 1000]).unwrap();
    assert_eq!((equal.efficiency(), equal.tail().shape), (1.0, f64::NEG_INFINITY));
    assert_eq!((equal.ln_mean().value, equal.ln_mean().error), (-3000.0, 0.0));
    assert!(equal.tail().check().is_ok());
    // Ten weights tell nothing of a tail.
    let few = LogWeights::new((0..10).map(f64::from).collect()).unwrap();
    assert!(few.tail().check().is_err());
    // 1 - 1/log10(50)
    let limit = LogWeights::new(normals(50, 1)).unwrap().tail().limit;
    assert!((limit - 0.411_408).abs() < 1e-6, "{limit}");
}

#[test]
fn bad_weights_are_refused() {
    assert_eq!(LogWeights::new(vec![0.0]), Err(WeightsError::TooFew { found: 1 }));
    let infinite = WeightsError::NotANumber { place: 1, value: f64::INFINITY };
    assert_eq!(LogWeights::new(vec![0.0, f64::INFINITY]), Err(infinite));
    assert!(matches!(LogWeights::new(vec![f64::NAN, 0.0]), Err(WeightsError::NotANumber { place: 0, .. })));
    assert_eq!(LogWeights::new(vec![f64::NEG_INFINITY; 3]), Err(WeightsError::Zero { found: 3 }));
    let weights = LogWeights::new(vec![0.0, 1.0]).unwrap();
    let short = weights.estimate::<1>(&[1.0], WeightedMoments::mean).unwrap_err();
    assert!(matches!(short, ReweightingError::Lengths(_)));
    assert_eq!(short.to_string(), "weights: 2 for 1 samples");
}
