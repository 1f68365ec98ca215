//! The integrated squared difference of distribution functions.
//!
//! `n int (F_n - F)^2 dF` converges to `sum_j z_j^2 / (pi j)^2` with standard normal `z_j`, whose distribution
//! function is (Anderson and Darling, Ann. Math. Stat. 23 (1952) 193)
//!
//! ```text
//! P(T <= x) = 1/(pi sqrt x) sum_k Gamma(k + 1/2) / (Gamma(1/2) k!) sqrt(4k + 1) e^(-q) K_(1/4)(q) ,   q = (4k+1)^2 / (16 x) .
//! ```

use super::{DistanceError, Significance, probabilities, sorted, steps};
use std::f64::consts::PI;

/// Cramer-von Mises test of a sample against a continuous distribution function:
/// `T = 1/(12n) + sum_i ( (2i - 1)/(2n) - F(x_i) )^2`.
///
/// The p-value is that of the limit law for the statistic scaled about its mean 1/6 from its variance,
/// `(4n - 3) / (180 n)`, to that of the limit: good to 5e-3 at `n = 10`, and to 1e-3 from `n = 50` on.
///
/// ```
/// use cumulants::distances::cramer_von_mises;
///
/// let even: Vec<f64> = (0..100).map(|i| (f64::from(i) + 0.5) / 100.0).collect();
/// let found = cramer_von_mises(&even, |x| x)?;
/// assert!((found.statistic - 1.0 / 1200.0).abs() < 1e-15); // as small as it can be
/// assert!(found.p_value > 0.999);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for an empty sample, infinities and NaN, and a function that is no distribution function.
pub fn cramer_von_mises(sample: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Significance, DistanceError> {
    let sample = sorted(sample, 0, 1)?;
    let n = sample.len() as f64;
    let squares = probabilities(&sample, cdf)?
        .into_iter()
        .enumerate()
        .map(|(i, p)| ((i as f64 + 0.5) / n - p).powi(2))
        .sum::<f64>();
    let statistic = squares + 1.0 / (12.0 * n);
    Ok(from_moments(statistic, 1.0 / 6.0, (4.0 * n - 3.0) / (180.0 * n)))
}

/// Cramer-von Mises test whether two samples come from one continuous law (Anderson, Ann. Math. Stat. 33 (1962) 1148):
/// `T = m n / (m + n) int (F_m - G_n)^2 dH` over the law `H` of both together.
///
/// The p-value is that of the limit law for the statistic moved to its mean and scaled to its variance.
///
/// ```
/// use cumulants::distances::cramer_von_mises_two_sample;
///
/// let a: Vec<f64> = (0..500).map(|i| f64::from(2 * i)).collect();
/// let b: Vec<f64> = a.iter().map(|x| x + 1.0).collect();
/// assert!(cramer_von_mises_two_sample(&a, &b)?.p_value > 0.99);
/// let far: Vec<f64> = a.iter().map(|x| x + 200.0).collect();
/// assert!(cramer_von_mises_two_sample(&a, &far)?.p_value < 1e-6);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for an empty sample, infinities and NaN.
pub fn cramer_von_mises_two_sample(a: &[f64], b: &[f64]) -> Result<Significance, DistanceError> {
    let (a, b) = (sorted(a, 0, 1)?, sorted(b, 1, 1)?);
    let (m, n) = (a.len() as f64, b.len() as f64);
    let total = m + n;
    // Ranks in both together; equal elements share the mean of theirs.
    let (mut u, mut i, mut j) = (0.0, 0, 0);
    for (_, to_i, to_j) in steps(&a, &b) {
        let rank = (i + j + 1 + to_i + to_j) as f64 / 2.0;
        u += (i..to_i).map(|i| m * (rank - (i + 1) as f64).powi(2)).sum::<f64>();
        u += (j..to_j).map(|j| n * (rank - (j + 1) as f64).powi(2)).sum::<f64>();
        (i, j) = (to_i, to_j);
    }
    let statistic = u / (m * n * total) - (4.0 * m * n - 1.0) / (6.0 * total);
    let mean = (1.0 + 1.0 / total) / 6.0;
    let variance = (total + 1.0) / (45.0 * total * total)
        * (4.0 * m * n * total - 3.0 * (m * m + n * n) - 2.0 * m * n)
        / (4.0 * m * n);
    Ok(from_moments(statistic, mean, variance))
}

/// By the limit law, whose mean is 1/6 and whose variance is 1/45.
fn from_moments(statistic: f64, mean: f64, variance: f64) -> Significance {
    // Two samples of one element each always have the same statistic.
    let scaled =
        if variance > 0.0 { (statistic - mean) / (45.0 * variance).sqrt() } else { f64::NEG_INFINITY };
    let p_value = survival(1.0 / 6.0 + scaled);
    Significance { statistic, p_value }
}

/// `P(T > x)` of the limit law.
fn survival(x: f64) -> f64 {
    // Below, the probability differs from one by less than 1e-12.
    if x < 0.003 {
        return 1.0;
    }
    let mut sum = 0.0;
    let mut coefficient = 1.0;
    for k in 0..60 {
        let odd = 4.0 * f64::from(k) + 1.0;
        let term = coefficient * odd.sqrt() * scaled_bessel(odd * odd / (16.0 * x));
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
        coefficient *= (f64::from(k) + 0.5) / (f64::from(k) + 1.0);
    }
    (1.0 - sum / (PI * x.sqrt())).clamp(0.0, 1.0)
}

/// `e^(-q) K_(1/4)(q) = int_0^inf e^(-q (1 + cosh t)) cosh(t/4) dt`, by the trapezoidal rule, whose error falls
/// exponentially with the step for such an integrand.
fn scaled_bessel(q: f64) -> f64 {
    const STEP: f64 = 1.0 / 16.0;
    let integrand = |i: i32| {
        let t = f64::from(i) * STEP;
        (-q * (1.0 + t.cosh())).exp() * (0.25 * t).cosh()
    };
    let tail: f64 = (1..400).map(integrand).take_while(|term| *term > 0.0).sum();
    STEP * (0.5 * integrand(0) + tail)
}
