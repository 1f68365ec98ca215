//! Error estimates against exact variances and against each other.

use cumulants::{
    ErrorEstimateError, Estimate, Moments, PairwiseMoments, bootstrap, bootstrap_bins, bootstrap_cumulants,
    cumulants_from_moments, jackknife, jackknife_cumulants, standard_errors,
};
use num_rational::BigRational;
use num_traits::ToPrimitive;
use rand::{Rng, SeedableRng};
use rand_distr::{Exp1, StandardNormal};
use rand_pcg::Pcg64;
use testing::{Comparisons, seed};

fn normal(n: usize, seed: u64) -> Vec<f64> {
    Pcg64::seed_from_u64(seed).sample_iter(StandardNormal).take(n).collect()
}

fn exponential(n: usize, seed: u64) -> Vec<f64> {
    Pcg64::seed_from_u64(seed).sample_iter(Exp1).take(n).collect()
}

fn summary<const N: usize>(data: &[f64]) -> Moments<N> {
    let mut all = PairwiseMoments::new();
    all.extend_from_slice(data);
    all.total()
}

fn factorial(n: u32) -> f64 {
    (1..=n).map(f64::from).product()
}

fn binomial(n: u32, k: u32) -> f64 {
    factorial(n) / (factorial(k) * factorial(n - k))
}

/// The influence of each sample on `kappa_n`, by mixing a little of a point mass into the measure in exact
/// rationals: no Appell polynomials involved.
#[test]
fn delta_method_is_the_derivative_of_the_cumulants() {
    let data: Vec<f64> = exponential(23, 1).iter().map(|x| (x * 64.0).round() / 64.0).collect();
    let exact = |x: f64| BigRational::from_float(x).unwrap();
    let n = exact(data.len() as f64);
    let powers = |x: f64| (1..=8).map(|k| exact(x).pow(k)).collect::<Vec<_>>();
    let raw: Vec<_> =
        (0..8).map(|k| data.iter().map(|&x| powers(x)[k].clone()).sum::<BigRational>() / &n).collect();
    let cumulants = cumulants_from_moments(&raw);
    let epsilon = exact(2_f64.powi(-80));
    let mut variance = [0.0; 8];
    for &x in &data {
        let mixed: Vec<_> = raw.iter().zip(powers(x)).map(|(m, p)| m + &epsilon * (p - m)).collect();
        for (k, (after, before)) in cumulants_from_moments(&mixed).iter().zip(&cumulants).enumerate() {
            variance[k] += ((after - before) / &epsilon).to_f64().unwrap().powi(2);
        }
    }
    let errors = standard_errors(&data, &Moments::<8>::of(&data));
    for k in 0..8 {
        let expected = variance[k].sqrt() / data.len() as f64;
        assert!((errors[k] / expected - 1.0).abs() < 1e-12, "order {}: {} {expected}", k + 1, errors[k]);
    }
}

/// `E f(x)` over the uniform law of (0, 1), by Simpson's rule.
fn over_uniform(f: impl Fn(f64) -> f64) -> f64 {
    let cells = 4000;
    let weight = |i: i32| if i == 0 || i == cells { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    let sum: f64 = (0..=cells).map(|i| weight(i) * f(f64::from(i) / f64::from(cells))).sum();
    sum / (3.0 * f64::from(cells))
}

/// The estimated variance of `kappa_n` against the exact one of a law, in its own standard deviations.
///
/// `N Var kappa_n = E A_n^2` with the Appell polynomials of the law, `sum A_n t^n / n! = exp(x t) / E exp(x t)`. The estimate is
/// the mean of `A_n^2` with estimated cumulants in it. One sample moves `kappa_j` by `A_j / N`, and `kappa_j` moves `A_n` by
/// `-C(n,j) A_(n-j)`, so the estimate has the spread of `A_n^2 - 2 sum_j C(n,j) E[A_n A_(n-j)] A_j`.
fn pull_of_variance(
    data: &[f64],
    n: u32,
    found: f64,
    appell: impl Fn(u32, f64) -> f64,
    expectation: impl Fn(&dyn Fn(f64) -> f64) -> f64,
) -> f64 {
    let exact = expectation(&|x| appell(n, x).powi(2));
    let moved: Vec<f64> =
        (1..n).map(|j| 2.0 * binomial(n, j) * expectation(&|x| appell(n, x) * appell(n - j, x))).collect();
    let influence = |x: f64| {
        let indirect: f64 = (1..n).zip(&moved).map(|(j, moved)| moved * appell(j, x)).sum();
        appell(n, x).powi(2) - exact - indirect
    };
    let spread = (expectation(&|x| influence(x).powi(2)) / data.len() as f64).sqrt();
    (found.powi(2) * data.len() as f64 - exact) / spread
}

/// `E f` of a law, for any `f`.
type Expectation = dyn Fn(&dyn Fn(f64) -> f64) -> f64;

/// Uniform samples, whose Appell polynomials are Bernoulli's, to order 8; normal ones, with Hermite's, and exponential ones, with
/// `x^n - n x^(n-1)`, as far as the squares of the polynomials have a mean of normal law.
#[test]
fn delta_method_on_samples_of_known_laws() {
    let test = Comparisons::of(12);
    let pulls = |data: &[f64],
                 orders: std::ops::RangeInclusive<u32>,
                 appell: &dyn Fn(u32, f64) -> f64,
                 expectation: &Expectation| {
        let errors = standard_errors(data, &summary::<8>(data));
        for n in orders {
            let pull = pull_of_variance(data, n, errors[n as usize - 1], appell, expectation);
            assert!(test.normal(pull), "order {n}: {pull}");
        }
    };
    let uniform: Vec<f64> = Pcg64::seed_from_u64(seed(1)).random_iter().take(1_000_000).collect();
    let numbers = [1.0, -0.5, 1.0 / 6.0, 0.0, -1.0 / 30.0, 0.0, 1.0 / 42.0, 0.0, -1.0 / 30.0];
    let bernoulli =
        |n: u32, x: f64| (0..=n).map(|k| binomial(n, k) * numbers[k as usize] * x.powi((n - k) as i32)).sum();
    pulls(&uniform, 2..=8, &bernoulli, &|f| over_uniform(f));

    let normal = normal(4_000_000, seed(2));
    let hermite = |n: u32, x: f64| {
        let step = |(before, here): (f64, f64), k| (here, x * here - f64::from(k) * before);
        (0..n).fold((0.0, 1.0), step).1
    };
    // Sums over a grid are exact for what vanishes at both ends.
    let gauss = |f: &dyn Fn(f64) -> f64| -> f64 {
        let nodes = (-1500..=1500).map(|i| f64::from(i) * 0.01);
        nodes.map(|x| f(x) * (-0.5 * x * x).exp()).sum::<f64>() * 0.01 / std::f64::consts::TAU.sqrt()
    };
    pulls(&normal, 2..=4, &hermite, &gauss);

    let skewed = exponential(1_000_000, seed(3));
    let laguerre = |n: u32, x: f64| x.powi(n as i32) - f64::from(n) * x.powi(n as i32 - 1);
    // x = 100 u, cut off where exp(-x) is 4e-44.
    let weighted = |f: &dyn Fn(f64) -> f64| over_uniform(|u| 100.0 * f(100.0 * u) * (-100.0 * u).exp());
    pulls(&skewed, 1..=2, &laguerre, &weighted);
}

/// `u^2`, `u` uniform, is skewed but bounded. The standard deviation of `R` resamples is uncertain by `1/sqrt(2 R)`.
#[test]
fn bootstrap_on_skewed_samples() {
    let test = Comparisons::of(6);
    let mut rng = Pcg64::seed_from_u64(seed(4));
    let data: Vec<f64> = (0..100_000).map(|_| rng.random::<f64>().powi(2)).collect();
    let delta = standard_errors(&data, &summary::<3>(&data));
    let resamples = 2000;
    let boot = bootstrap_cumulants::<3, _>(&data, resamples, &mut rng).unwrap();
    let exact = cumulants_from_moments(&[3.0, 5.0, 7.0].map(f64::recip));
    for n in 0..3 {
        let ratio = boot[n].error / delta[n];
        let pull = (ratio - 1.0) * (2.0 * resamples as f64).sqrt();
        assert!(test.normal(pull), "order {}: bootstrap / delta = {ratio}", n + 1);
        assert!(test.normal(boot[n].pull(exact[n])), "order {}: {:?}", n + 1, boot[n]);
    }
}

/// Over 4000 independent data sets the pulls have mean square 1, with the factors of estimated errors: 63/61 for 64 bins
/// (Student's t), 64/63 99/97 more for 100 bootstrap resamples of them. The data `u^2`, `u` uniform, are skewed but bounded, so pulls
/// are near normal: the mean of their squares spreads by `sqrt(2/4000)` = 2.2 %.
#[test]
fn errors_cover_the_true_fluctuation() {
    let (test, sets) = (Comparisons::of(9), 4000);
    let exact = cumulants_from_moments(&[3.0, 5.0, 7.0, 9.0].map(f64::recip));
    let (mut jackknifed, mut delta, mut booted) = ([0.0; 4], [0.0; 4], 0.0);
    let mut rng = Pcg64::seed_from_u64(seed(5));
    for _ in 0..sets {
        let data: Vec<f64> = (0..6400).map(|_| rng.random::<f64>().powi(2)).collect();
        let bins: Vec<Moments<4>> = data.chunks(100).map(Moments::of).collect();
        let estimates = jackknife_cumulants(&bins).unwrap();
        let errors = standard_errors(&data, &summary::<4>(&data));
        for k in 0..4 {
            jackknifed[k] += estimates[k].pull(exact[k]).powi(2) / f64::from(sets);
            delta[k] += ((estimates[k].value - exact[k]) / errors[k]).powi(2) / f64::from(sets);
        }
        let estimate = bootstrap_bins(&bins, 100, &mut rng, |m| m.cumulant(2)).unwrap();
        booted += estimate.pull(exact[1]).powi(2) / f64::from(sets);
    }
    let of_bins = 63.0 / 61.0;
    let expected = [[of_bins; 4], [1.0; 4]].concat().into_iter().chain([of_bins * 64.0 / 63.0 * 99.0 / 97.0]);
    for (square, expected) in jackknifed.into_iter().chain(delta).chain([booted]).zip(expected) {
        let pull = (square / expected - 1.0) / (2.0 / f64::from(sets)).sqrt();
        assert!(test.normal(pull), "{jackknifed:?} {delta:?} {booted}");
    }
}

/// One-sigma intervals of mean, variance and third cumulant cover 68.27 per cent: independent data by all methods,
/// autoregressive ones (`tau_int` up to 20) in bins of 25 `tau_int`. Errors from 100 bins of finite length cover up to two per cent less.
#[test]
fn one_sigma_intervals_cover() {
    let (test, replicas) = (Comparisons::of(17), 4000);
    let covers = |estimate: Estimate, exact: f64| u64::from(estimate.pull(exact).abs() < 1.0);
    let assert_covered = |counts: &[u64], what: &str| {
        for count in counts {
            let expected = (*count as f64 / replicas as f64).clamp(0.66, 0.6827);
            assert!(test.binomial(*count, replicas, expected), "{what}: {counts:?} of {replicas}");
        }
    };
    let mut rng = Pcg64::seed_from_u64(seed(17));

    // Uniform: kappa = 1/2, 1/12, 0.
    let exact = [0.5, 1.0 / 12.0, 0.0];
    let (mut booted, mut binned, mut jackknifed) = ([0; 3], [0; 3], [0; 3]);
    for _ in 0..replicas {
        let data: Vec<f64> = (0..600).map(|_| rng.random()).collect();
        let bins: Vec<Moments<3>> = data.chunks(6).map(Moments::of).collect();
        let all = bootstrap_cumulants::<3, _>(&data, 200, &mut rng).unwrap();
        let knifed = jackknife_cumulants(&bins).unwrap();
        for k in 0..3 {
            booted[k] += covers(all[k], exact[k]);
            jackknifed[k] += covers(knifed[k], exact[k]);
            let of_bins = bootstrap_bins(&bins, 200, &mut rng, |m| m.cumulant(k + 1)).unwrap();
            binned[k] += covers(of_bins, exact[k]);
        }
    }
    assert_covered(&booted, "bootstrap");
    assert_covered(&binned, "bootstrap of bins");
    assert_covered(&jackknifed, "jackknife");

    for tau in [2.5, 20.0] {
        let a: f64 = (2.0 * tau - 1.0) / (2.0 * tau + 1.0);
        let (mut binned, mut jackknifed) = ([0; 2], [0; 2]);
        for _ in 0..replicas {
            let mut x: f64 = rng.sample(StandardNormal);
            let mut next = |rng: &mut Pcg64| {
                x = a * x + (1.0 - a * a).sqrt() * rng.sample::<f64, _>(StandardNormal);
                x
            };
            let length = (25.0 * tau) as usize;
            let data: Vec<f64> = (0..100 * length).map(|_| next(&mut rng)).collect();
            let bins: Vec<Moments<2>> = data.chunks(length).map(Moments::of).collect();
            let knifed = jackknife_cumulants(&bins).unwrap();
            for (k, exact) in [(0, 0.0), (1, 1.0)] {
                jackknifed[k] += covers(knifed[k], exact);
                let of_bins = bootstrap_bins(&bins, 200, &mut rng, |m| m.cumulant(k + 1)).unwrap();
                binned[k] += covers(of_bins, exact);
            }
        }
        assert_covered(&binned, &format!("bootstrap of bins, tau_int {tau}"));
        assert_covered(&jackknifed, &format!("jackknife, tau_int {tau}"));
    }
}

#[test]
fn jackknife_of_unequal_bins() {
    // For the mean the pseudo-values are the bin means, so the error is known in closed form.
    let data = exponential(1000, 6);
    let cuts = [0, 10, 200, 450, 451, 700, 1000];
    let bins: Vec<Moments<4>> = cuts.windows(2).map(|w| Moments::of(&data[w[0]..w[1]])).collect();
    let mean = Moments::<4>::of(&data).mean();
    let variance =
        bins.iter().map(|bin| (bin.mean() - mean).powi(2) / (1000.0 / bin.count() as f64 - 1.0)).sum::<f64>()
            / 6.0;
    let estimate = jackknife(&bins, Moments::mean).unwrap();
    assert!((estimate.value - mean).abs() < 1e-14);
    assert!((estimate.error / variance.sqrt() - 1.0).abs() < 1e-12);

    // All cumulants at once are the cumulants one by one, and empty bins count for nothing.
    let with_empty = [&bins[..3], &[Moments::EMPTY], &bins[3..]].concat();
    let all = jackknife_cumulants(&with_empty).unwrap();
    for k in 1..=4 {
        assert_eq!(all[k - 1], jackknife(&bins, |m| m.cumulant(k)).unwrap());
    }
}

#[test]
fn jackknife_of_equal_bins_is_the_textbook_formula() {
    let data = exponential(640, 7);
    let bins: Vec<Moments<4>> = data.chunks(40).map(Moments::of).collect();
    let f = |m: &Moments<4>| m.cumulant(4) / m.cumulant(2).powi(2);
    let rest: Vec<f64> = (0..16)
        .map(|skip| {
            let kept: Vec<f64> = data
                .chunks(40)
                .enumerate()
                .filter(|(i, _)| *i != skip)
                .flat_map(|(_, chunk)| chunk.to_vec())
                .collect();
            f(&Moments::of(&kept))
        })
        .collect();
    let mean = rest.iter().sum::<f64>() / 16.0;
    let expected = (15.0 / 16.0 * rest.iter().map(|r| (r - mean).powi(2)).sum::<f64>()).sqrt();
    let estimate = jackknife(&bins, f).unwrap();
    assert!((estimate.error / expected - 1.0).abs() < 1e-11);
}

#[test]
fn bootstraps_are_seeded() {
    let data = exponential(3000, 8);
    let run =
        |seed| bootstrap::<2, _>(&data, 50, &mut Pcg64::seed_from_u64(seed), |m| m.cumulant(2)).unwrap();
    assert_eq!(run(1), run(1));
    assert_ne!(run(1).error, run(2).error);
    assert_eq!(run(1).value, summary::<2>(&data).cumulant(2));
}

#[test]
fn bootstraps_do_not_depend_on_threads() {
    let data = exponential(3000, 8);
    let bins: Vec<Moments<4>> = data.chunks(30).map(Moments::of).collect();
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let rng = &mut Pcg64::seed_from_u64(3);
            let all = bootstrap_cumulants::<4, _>(&data, 100, rng).unwrap();
            (all, bootstrap_bins(&bins, 100, rng, |m| m.cumulant(3)).unwrap())
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn too_little_input_is_refused() {
    let rng = &mut Pcg64::seed_from_u64(9);
    let bins = [Moments::<2>::of(&[1.0, 2.0]), Moments::EMPTY];
    let one_bin = ErrorEstimateError::TooFewBins { found: 1, needed: 2 };
    assert_eq!(jackknife(&bins, Moments::mean).unwrap_err(), one_bin);
    assert_eq!(jackknife_cumulants(&bins).unwrap_err(), one_bin);
    assert_eq!(bootstrap_bins(&bins, 10, rng, Moments::mean).unwrap_err(), one_bin);
    assert_eq!(
        jackknife::<Moments<2>>(&[], Moments::mean).unwrap_err(),
        ErrorEstimateError::TooFewBins { found: 0, needed: 2 }
    );

    let error = bootstrap::<2, _>(&[1.0], 10, rng, Moments::mean).unwrap_err();
    assert_eq!(error, ErrorEstimateError::TooFewSamples { found: 1 });
    assert_eq!(error.to_string(), "samples: 1 given, at least 2 are needed");
    let error = bootstrap_cumulants::<2, _>(&[1.0, 2.0], 1, rng).unwrap_err();
    assert_eq!(error, ErrorEstimateError::TooFewResamples { found: 1 });
    let bins = [Moments::<2>::of(&[1.0]), Moments::of(&[2.0])];
    let error = bootstrap_bins(&bins, 0, rng, Moments::mean).unwrap_err();
    assert_eq!(error, ErrorEstimateError::TooFewResamples { found: 0 });
    assert!(standard_errors(&[], &Moments::<2>::EMPTY).iter().all(|e| e.is_nan()));
}
