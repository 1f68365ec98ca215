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

/// Gaussian: `Var kappa_n = n! kappa_2^n / N`. The estimated variance is a mean of `He_n^2` and fluctuates
/// by `sqrt((E[He_n^4] / n!^2 - 1) / N)`, where `E[He_n^4] = sum_r (C(n,r)^2 r!)^2 (2n-2r)!`.
#[test]
fn delta_method_on_gaussian_samples() {
    let n_samples = 4_000_000;
    let (mean, sigma) = (0.7, 1.5_f64);
    let data: Vec<f64> = normal(n_samples, 2).iter().map(|z| mean + sigma * z).collect();
    let errors = standard_errors(&data, &summary::<8>(&data));
    for n in 2..=8_u32 {
        let exact = factorial(n) * sigma.powi(2).powf(f64::from(n)) / n_samples as f64;
        let fourth: f64 =
            (0..=n).map(|r| (binomial(n, r).powi(2) * factorial(r)).powi(2) * factorial(2 * n - 2 * r)).sum();
        let spread = ((fourth / factorial(n).powi(2) - 1.0) / n_samples as f64).sqrt();
        let pull = (errors[n as usize - 1].powi(2) / exact - 1.0) / spread;
        assert!(pull.abs() < 4.0, "order {n}: pull {pull}, relative spread {spread}");
    }
}

/// Exponential distribution: `A_n = x^n - n x^(n-1)`, so `Var kappa_n = n^2 (2n-2)! / N`, with the spread
/// from `E[A_n^4] = sum_i C(4,i) (-n)^i (4n-i)!`. The bootstrap must agree with both.
#[test]
fn delta_method_and_bootstrap_on_skewed_samples() {
    let n_samples = 100_000;
    let data = exponential(n_samples, 3);
    let delta = standard_errors(&data, &summary::<3>(&data));
    let resamples = 1000;
    let boot = bootstrap_cumulants::<3, _>(&data, resamples, &mut Pcg64::seed_from_u64(4)).unwrap();
    for n in 1..=3_u32 {
        let order = f64::from(n);
        let second = order.powi(2) * factorial(2 * n - 2);
        let fourth: f64 =
            (0..=4).map(|i| binomial(4, i) * (-order).powf(f64::from(i)) * factorial(4 * n - i)).sum();
        let spread = ((fourth / second.powi(2) - 1.0) / n_samples as f64).sqrt();
        let delta = delta[n as usize - 1];
        let pull = (delta.powi(2) * n_samples as f64 / second - 1.0) / spread;
        assert!(pull.abs() < 4.0, "order {n}: pull {pull}, relative spread {spread}");

        // A standard deviation from R near-normal resamples is uncertain by 1/sqrt(2R) = 2.2 %.
        let ratio = boot[n as usize - 1].error / delta;
        let pull = (ratio - 1.0) * (2.0 * f64::from(resamples as u32)).sqrt();
        assert!(pull.abs() < 4.0, "order {n}: bootstrap / delta = {ratio}");
        // kappa_n = (n-1)!
        assert!(boot[n as usize - 1].pull(factorial(n - 1)).abs() < 4.0);
    }
}

/// Over 1000 independent data sets the pulls have mean square 1. The data `u^2`, `u` uniform, are skewed
/// but bounded, so pulls are near normal: the mean of their squares spreads by `sqrt(2/1000)` = 4.5 %, and
/// 64 bins (Student's t) add 3 %, 100 bootstrap resamples 2 %. Allowed: 4 sigma and these.
#[test]
fn errors_cover_the_true_fluctuation() {
    let sets = 1000;
    let exact = cumulants_from_moments(&[3.0, 5.0, 7.0, 9.0].map(f64::recip));
    let (mut jackknifed, mut delta, mut booted) = ([0.0; 4], [0.0; 4], 0.0);
    let mut rng = Pcg64::seed_from_u64(5);
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
    for square in jackknifed.into_iter().chain(delta).chain([booted]) {
        assert!((square - 1.0).abs() < 0.23, "{jackknifed:?} {delta:?} {booted}");
    }
}

/// One-sigma intervals of mean, variance and third cumulant cover 68.27 per cent within three standard errors of 1000
/// replicas, 4.4 per cent: independent data by all methods, autoregressive ones (`tau_int` up to 20) in bins of 25 `tau_int`.
#[test]
fn one_sigma_intervals_cover() {
    let covers = |estimate: Estimate, exact: f64| usize::from(estimate.pull(exact).abs() < 1.0);
    let assert_covered = |counts: &[usize], what: &str| {
        for count in counts {
            assert!((*count as f64 - 682.7).abs() < 44.2, "{what}: {counts:?} of 1000");
        }
    };
    let mut rng = Pcg64::seed_from_u64(17);

    // Uniform: kappa = 1/2, 1/12, 0.
    let exact = [0.5, 1.0 / 12.0, 0.0];
    let (mut booted, mut binned, mut jackknifed) = ([0; 3], [0; 3], [0; 3]);
    for _ in 0..1000 {
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
        for _ in 0..1000 {
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
