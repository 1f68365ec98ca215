//! How close to exact: cumulants of 10 000 samples against exact arithmetic on the same bits, and the NIST data sets.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::{Moments, cumulants_from_moments, moments_from_cumulants};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::ToPrimitive;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

const ORDER: usize = 8;

/// Numbers are taken as multiples of this power of two: all bits of numbers above `2^-20` fit.
const SCALE: i32 = 80;

/// `kappa_1..=kappa_8` of a sample as exact rationals.
///
/// With `x = X / 2^SCALE` for integers `X`, `n^k kappa_k` is an integer polynomial of the power sums of the `X`: the
/// recursion does not leave the integers.
fn exact_cumulants(samples: &[f64]) -> Vec<BigRational> {
    let scale = BigRational::from_integer(BigInt::from(1) << SCALE);
    let integers: Vec<BigInt> = samples
        .iter()
        .map(|x| {
            let scaled = BigRational::from_float(*x).unwrap() * &scale;
            assert!(scaled.is_integer(), "{x} has bits below 2^-{SCALE}");
            scaled.to_integer()
        })
        .collect();
    let n = BigInt::from(samples.len());
    let mut powers = integers.clone();
    let mut moments = Vec::new();
    for k in 1..=ORDER as u32 {
        moments.push(powers.iter().sum::<BigInt>() * n.pow(k - 1));
        powers.iter_mut().zip(&integers).for_each(|(power, x)| *power *= x);
    }
    let scaled = cumulants_from_moments(&moments);
    let unit = |k: u32| n.pow(k) << (SCALE as u32 * k);
    (1..).zip(scaled).map(|(k, kappa)| BigRational::new(kappa, unit(k))).collect()
}

/// The bound stated for [`Moments`], in units of the last place: `sum_pi (|pi| - 1)! prod_B a_|B|`, the sum for a
/// cumulant with all signs positive, where `a_j` are the absolute central moments.
fn condition(samples: &[f64]) -> Vec<f64> {
    let n = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / n;
    let absolute = |k: usize| match k {
        1 => 0.0,
        _ => samples.iter().map(|x| (x - mean).abs().powi(k as i32)).sum::<f64>() / n,
    };
    // -log(1 - u) has all its coefficients (k - 1)!, where log(1 + u) alternates: change the sign of the moments, and of
    // the result.
    let moments: Vec<f64> = (1..=ORDER).map(|k| -absolute(k)).collect();
    cumulants_from_moments(&moments).into_iter().map(|kappa| -kappa).collect()
}

/// Skewed, two-valued, heavy-tailed and uniform samples of 1 to 80 values, now and then a thousand, with offsets up to 1e6.
fn sample(rng: &mut Pcg64) -> Vec<f64> {
    let n = if rng.random_range(0..100) == 0 { 1024 } else { rng.random_range(1..=80) };
    let kind = rng.random_range(0..4);
    let offset = [0.0, 1.0, -1000.0, 1e6][rng.random_range(0..4)];
    let mut draw = || {
        let u = rng.random::<f64>();
        match kind {
            0 => u,
            1 => -(1.0 - u).ln(),
            2 => f64::from(u < 0.1) * 3.0 + 0.125,
            _ => (1.0 - u).powf(-0.4),
        }
    };
    // Rounded to 2^-70, so that every bit is a bit of the integers above.
    let unit = (-70.0_f64).exp2();
    (0..n).map(|_| ((draw() + offset) / unit).round() * unit).collect()
}

#[test]
fn cumulants_of_ten_thousand_samples_are_within_the_stated_bound() {
    let mut rng = Pcg64::seed_from_u64(1);
    let mut worst = [0.0_f64; ORDER];
    for _ in 0..10_000 {
        let samples = sample(&mut rng);
        let exact = exact_cumulants(&samples);
        let found = Moments::<ORDER>::of(&samples).cumulants();
        let condition = condition(&samples);
        for k in 1..=ORDER {
            let exact = &exact[k - 1];
            let error = (BigRational::from_float(found[k - 1]).unwrap() - exact).to_f64().unwrap().abs();
            let scale = if k == 1 { exact.to_f64().unwrap().abs() } else { condition[k - 1] };
            if error > 0.0 {
                worst[k - 1] = worst[k - 1].max(error / (f64::EPSILON * scale));
            }
        }
    }
    // Stated: 4 k.
    for (k, worst) in (1..).zip(worst) {
        assert!(worst <= 4.0 * f64::from(k), "order {k}: {worst} units, of all: {worst:?}");
    }
}

/// An offset costs the digits by which it exceeds the width only where parts are merged: the mean of a part is rounded.
#[test]
fn merging_costs_the_rounding_of_the_means() {
    let mut rng = Pcg64::seed_from_u64(2);
    for _ in 0..1000 {
        let samples = sample(&mut rng);
        let (left, right) = samples.split_at(samples.len() / 2);
        let found = Moments::<ORDER>::of(left).merge(&Moments::of(right)).cumulants();
        let (exact, condition) = (exact_cumulants(&samples), condition(&samples));
        let rounding = samples.iter().fold(0.0_f64, |m, x| m.max(x.abs())) / condition[1].sqrt();
        for k in 2..=ORDER {
            let error =
                (BigRational::from_float(found[k - 1]).unwrap() - &exact[k - 1]).to_f64().unwrap().abs();
            let units = if error > 0.0 { error / (f64::EPSILON * condition[k - 1]) } else { 0.0 };
            assert!(units <= 4.0 * k as f64 * (1.0 + rounding), "order {k}: {units} units, {rounding}");
        }
    }
}

/// The bound is a bound: an absolute cumulant is not below the cumulant.
#[test]
fn condition_is_the_sum_of_the_absolute_terms() {
    // Central moments 0, 1, 0, 3 of a normal law: |kappa_4| <= 3 + 3, two terms.
    let absolute = [0.0, 1.0, 0.0, 3.0].map(|moment: f64| -moment);
    assert_eq!(cumulants_from_moments(&absolute)[3], -6.0);
    assert_eq!(moments_from_cumulants(&[0.0, 1.0, 0.0, 0.0])[3], 3.0);
}

/// NIST Statistical Reference Datasets, univariate, those made by a rule: certified mean and standard deviation, to the
/// digits that the decimal numbers keep when they become doubles; and the doubles as they are, to all digits.
#[test]
fn nist_reference_datasets() {
    let alternating = |first: f64, low: f64, high: f64| -> Vec<f64> {
        std::iter::once(first).chain((0..1000).map(|i| if i % 2 == 0 { low } else { high })).collect()
    };
    let sets = [
        ("NumAcc1", vec![10_000_001.0, 10_000_003.0, 10_000_002.0], 10_000_002.0, 1.0),
        ("NumAcc2", alternating(1.2, 1.1, 1.3), 1.2, 0.1),
        ("NumAcc3", alternating(1_000_000.2, 1_000_000.1, 1_000_000.3), 1_000_000.2, 0.1),
        ("NumAcc4", alternating(10_000_000.2, 10_000_000.1, 10_000_000.3), 10_000_000.2, 0.1),
    ];
    for (name, data, mean, deviation) in sets {
        let moments = Moments::<2>::of(&data);
        let ulp = mean * f64::EPSILON;
        assert!((moments.mean() - mean).abs() <= ulp, "{name}: mean {}", moments.mean());
        let found = moments.k_statistic(2).sqrt();
        assert!((found - deviation).abs() <= ulp + 4.0 * f64::EPSILON, "{name}: deviation {found}");

        let exact = data.iter().map(|x| BigRational::from_float(*x).unwrap());
        let n = BigRational::from_integer(data.len().into());
        let center = exact.clone().sum::<BigRational>() / &n;
        let variance = exact.map(|x| (x - &center).pow(2)).sum::<BigRational>() / n;
        let error = moments.cumulant(2) / variance.to_f64().unwrap() - 1.0;
        assert!(error.abs() <= 8.0 * f64::EPSILON, "{name}: {error}");
    }
}
