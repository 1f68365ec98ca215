//! The largest difference of distribution functions.
//!
//! `D_n = sup_x |F_n(x) - F(x)|` has a law that does not depend on a continuous `F`. It is computed
//!
//! - up to `n = 1000` and `n D^2 = 4` exactly, as a power of a matrix (Durbin; Marsaglia, Tsang and Wang, J. Stat.
//!   Softw. 8(18) (2003));
//! - else from `n D^2 = 2.2` on as twice the one-sided law of Smirnov and of Birnbaum and Tingey, since both sides at once
//!   have a probability below `e^(-8 n D^2)`;
//! - else by the expansion of Pelz and Good (J. R. Stat. Soc. B 38 (1976) 152) in `1/sqrt(n)`, to second order.
//!
//! Left out is a term of order `n^(-3/2)`: from `n = 1001` on p-values above 0.02 have errors up to 4e-6. Smaller ones
//! are good to 1e-6 of themselves.

use super::{DistanceError, Significance, probabilities, sorted, steps};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// Largest product of sample sizes for which lattice paths are counted.
const COUNTABLE: usize = 20_000_000;

/// Kolmogorov-Smirnov test of a sample against a continuous distribution function: `D_n = sup |F_n - F|`.
///
/// ```
/// use cumulants::distances::kolmogorov_smirnov;
///
/// // Is a sample uniform on (0, 1)? D = 0.25, by hand.
/// let found = kolmogorov_smirnov(&[0.3, 0.75], |x| x)?;
/// assert_eq!(found.statistic, 0.3);
/// // For n = 2 and D below 1/2, P(D_2 < d) = 2 (2 d - 1/2)^2.
/// assert!((found.p_value - (1.0 - 2.0 * 0.1_f64.powi(2))).abs() < 1e-14);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for an empty sample, infinities and NaN, and a function that is no distribution function.
pub fn kolmogorov_smirnov(sample: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Significance, DistanceError> {
    let sample = sorted(sample, 0, 1)?;
    let n = sample.len() as f64;
    let statistic = probabilities(&sample, cdf)?
        .into_iter()
        .enumerate()
        .fold(0.0_f64, |d, (i, p)| d.max((i + 1) as f64 / n - p).max(p - i as f64 / n));
    Ok(Significance { statistic, p_value: survival(sample.len(), statistic) })
}

/// Kolmogorov-Smirnov test whether two samples come from one continuous law: `D = sup |F_m - G_n|`.
///
/// Exact, by counting lattice paths, while the product of the sizes is at most 2e7; beyond, the law of one sample of
/// `m n / (m + n)` elements. Ties, impossible for a continuous law, make the p-value too large.
///
/// ```
/// use cumulants::distances::kolmogorov_smirnov_two_sample;
///
/// // All of one sample below all of the other: two of the 6 orders.
/// let found = kolmogorov_smirnov_two_sample(&[1.0, 2.0], &[3.0, 4.0])?;
/// assert_eq!((found.statistic, found.p_value), (1.0, 1.0 - 4.0 / 6.0));
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for an empty sample, infinities and NaN.
pub fn kolmogorov_smirnov_two_sample(a: &[f64], b: &[f64]) -> Result<Significance, DistanceError> {
    let (a, b) = (sorted(a, 0, 1)?, sorted(b, 1, 1)?);
    let (m, n) = (a.len() as u128, b.len() as u128);
    let difference = |i: usize, j: usize| (i as u128 * n).abs_diff(j as u128 * m);
    let largest = steps(&a, &b).into_iter().map(|(_, i, j)| difference(i, j)).max().unwrap_or(0);
    let (size_a, size_b) = (a.len() as f64, b.len() as f64);
    let statistic = largest as f64 / (size_a * size_b);
    let p_value = match a.len().checked_mul(b.len()) {
        Some(product) if product <= COUNTABLE => 1.0 - paths_within(a.len(), b.len(), largest as u64),
        _ => survival((size_a / (size_a + size_b) * size_b).round() as usize, statistic),
    };
    Ok(Significance { statistic, p_value })
}

/// The part of all lattice paths from `(0, 0)` to `(m, n)` on which `|i n - j m| < bound` everywhere.
fn paths_within(m: usize, n: usize, bound: u64) -> f64 {
    let inside = |i: usize, j: usize| ((i * n) as u64).abs_diff((j * m) as u64) < bound;
    // Entry j, after row i: the part of the paths to (i, j), times C(i+j, i) / C(i+n, i), which keeps it below one.
    let mut paths: Vec<f64> = (0..=n).map(|j| f64::from(inside(0, j))).collect();
    for j in 1..=n {
        paths[j] *= paths[j - 1];
    }
    for i in 1..=m {
        let scale = i as f64 / (i + n) as f64;
        let mut before = 0.0;
        for (j, paths) in paths.iter_mut().enumerate() {
            *paths = if inside(i, j) { scale.mul_add(*paths, before) } else { 0.0 };
            before = *paths;
        }
    }
    paths[n].min(1.0)
}

/// `P(D_n >= d)`
fn survival(n: usize, d: f64) -> f64 {
    let size = n as f64;
    let square = size * d * d;
    if d <= 0.5 / size {
        1.0
    } else if d >= 1.0 {
        0.0
    } else if square <= 4.0 && n <= 1000 {
        1.0 - matrix_power(n, d)
    } else if square > 2.2 {
        (2.0 * one_sided(n, d)).min(1.0)
    } else {
        1.0 - expansion(size, size.sqrt() * d)
    }
}

/// `P(D_n^+ >= d) = d sum_j C(n,j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j)`
fn one_sided(n: usize, d: f64) -> f64 {
    let size = n as f64;
    let term = |j: usize| {
        let (j, rest) = (j as f64, size - j as f64);
        let left = 1.0 - d - j / size;
        if left <= 0.0 {
            return 0.0;
        }
        let choose = ln_gamma(size + 1.0) - ln_gamma(j + 1.0) - ln_gamma(rest + 1.0);
        (choose + (j - 1.0) * (d + j / size).ln() + rest * left.ln()).exp()
    };
    d * (0..=(size * (1.0 - d)) as usize).map(term).sum::<f64>()
}

/// `P(D_n < d)` as `n! / n^n` times the middle element of the `n`-th power of a matrix.
fn matrix_power(n: usize, d: f64) -> f64 {
    let k = (n as f64 * d) as usize + 1;
    let size = 2 * k - 1;
    let h = k as f64 - n as f64 * d;
    let factorial = |j: usize| (1..=j).map(|i| i as f64).product::<f64>();
    let corner = (2.0 * h - 1.0).max(0.0).powi(size as i32);
    let step = Matrix::from_fn(size, |i, j| {
        let Some(order) = (i + 1).checked_sub(j) else { return 0.0 };
        let mut entry = 1.0;
        if j == 0 {
            entry -= h.powi(i as i32 + 1);
        }
        if i + 1 == size {
            entry -= h.powi((size - j) as i32);
        }
        if j == 0 && i + 1 == size {
            entry += corner;
        }
        entry / factorial(order)
    });
    let (power, exponent) = step.power(n);
    // n! / n^n, the factors brought in one by one.
    let logarithm: f64 = (1..=n).map(|i| (i as f64 / n as f64).ln()).sum();
    (power.entries[(k - 1) * size + k - 1].ln() + f64::from(exponent) * std::f64::consts::LN_2 + logarithm)
        .exp()
        .min(1.0)
}

struct Matrix {
    size: usize,
    entries: Vec<f64>,
}

impl Matrix {
    fn from_fn(size: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        Self { size, entries: (0..size * size).map(|at| entry(at / size, at % size)).collect() }
    }

    fn times(&self, other: &Self) -> Self {
        let mut entries = vec![0.0; self.entries.len()];
        for (target, row) in entries.chunks_exact_mut(self.size).zip(self.entries.chunks_exact(self.size)) {
            for (factor, other) in row.iter().zip(other.entries.chunks_exact(self.size)) {
                target.iter_mut().zip(other).for_each(|(sum, entry)| *sum += factor * entry);
            }
        }
        Self { size: self.size, entries }
    }

    /// The power as a matrix and an exponent of two that was taken out of it.
    fn power(&self, n: usize) -> (Self, i32) {
        let (mut result, mut exponent) = (Self::from_fn(self.size, |i, j| f64::from(i == j)), 0);
        for bit in (0..usize::BITS - n.leading_zeros()).rev() {
            result = result.times(&result);
            exponent *= 2;
            if (n >> bit) & 1 == 1 {
                result = result.times(self);
            }
            let largest = result.entries.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
            let shift = largest.log2().floor();
            result.entries.iter_mut().for_each(|entry| *entry *= (-shift).exp2());
            exponent += shift as i32;
        }
        (result, exponent)
    }
}

/// `P(D_n <= z / sqrt(n)) = K_0(z) + K_1(z) / sqrt(n) + K_2(z) / n`
fn expansion(n: f64, z: f64) -> f64 {
    let (z2, z4) = (z * z, z.powi(4));
    let z6 = z2 * z4;
    let gauss = |q: f64| (-q / (2.0 * z2)).exp();
    let (mut k0, mut k1, mut k2, mut integers) = (0.0, 0.0, 0.0, 0.0);
    for k in 0..20 {
        // Half-integers +-(k + 1/2) and integers +-(k + 1), times pi and squared.
        let q = (PI * (f64::from(k) + 0.5)).powi(2);
        let weight = 2.0 * gauss(q);
        k0 += weight;
        k1 += (q - z2) * weight;
        k2 += (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * q + (1.0 - 2.0 * z2) * q * q) * weight;
        let q = (PI * f64::from(k + 1)).powi(2);
        integers += 2.0 * q * gauss(q);
    }
    let half = (PI / 2.0).sqrt();
    let k0 = half / z * k0;
    let k1 = half / (6.0 * z4) * k1;
    let k2 = half / (72.0 * z6 * z) * k2 - half / (36.0 * z2 * z) * integers;
    (k0 + k1 / n.sqrt() + k2 / n).clamp(0.0, 1.0)
}
