//! Densities from cumulants: Gram-Charlier and Edgeworth.
//!
//! A density with cumulants `kappa_k` is the normal one with the same mean and variance, changed by the others:
//! `W[J]` differs from the normal one by `sum_(k>=3) kappa_k J^k / k!`, and `J` acts on a density as `-d/dx`. With
//! `z = (x - kappa_1)/sigma`, `lambda_k = kappa_k / sigma^k` and the Hermite polynomials `He_n = (-1)^n phi^(n) / phi`,
//!
//! ```text
//! p(x) = phi(z) / sigma  sum_n c_n He_n(z) ,     sum_n c_n u^n = exp( sum_(k>=3) lambda_k u^k / k! ) .
//! ```
//!
//! **Gram-Charlier** cuts the sum at `n = N`, the number of cumulants given: its moments to order `N` are right. **Edgeworth**
//! orders it for sums of `m` independent variables, whose `lambda_k` falls as `m^(1 - k/2)`: all terms to `m^(1 - N/2)`, which
//! makes it an asymptotic expansion. Both can become negative, and neither converges in general: they are for small deviations
//! from normality (Cramer, Mathematical Methods of Statistics (1946), ch. 17).

use crate::conversions::moments_from_cumulants;
use crate::partitions::factorials;
use statrs::function::erf::erfc;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// A normal density times a sum of Hermite polynomials.
///
/// ```
/// use cumulants::HermiteSeries;
///
/// // Sum of ten exponential variables: kappa_k = 10 (k-1)!, density x^9 e^-x / 9!
/// let cumulants = [10.0, 10.0, 20.0, 60.0, 240.0, 1200.0];
/// let exact = 12.0_f64.powi(9) * (-12.0_f64).exp() / 362_880.0;
/// let edgeworth = HermiteSeries::edgeworth(&cumulants)?;
/// assert!((edgeworth.density(12.0) / exact - 1.0).abs() < 1e-3);
/// # Ok::<(), cumulants::SeriesError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct HermiteSeries {
    mean: f64,
    deviation: f64,
    /// `c_0, c_1, ..`
    coefficients: Vec<f64>,
}

/// Cumulants that do not belong to a density.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SeriesError {
    /// Mean and variance are needed.
    #[error("cumulants: {found} given, at least mean and variance are needed")]
    TooFew {
        /// Number of cumulants given.
        found: usize,
    },
    /// The variance is not positive.
    #[error("cumulants: a variance of {value}")]
    Variance {
        /// What was given.
        value: f64,
    },
    /// A cumulant is NaN or infinite.
    #[error("cumulants: that of order {order} is not finite")]
    NotFinite {
        /// The first order that is not.
        order: usize,
    },
}

impl HermiteSeries {
    /// The Gram-Charlier series (type A) of `kappa_1..=kappa_N`: moments to order `N` are right.
    ///
    /// # Errors
    /// [`SeriesError`] for less than two cumulants, no variance, and anything not finite.
    pub fn gram_charlier(cumulants: &[f64]) -> Result<Self, SeriesError> {
        let (mean, deviation, scaled) = scaled(cumulants)?;
        let factorials = factorials::<f64>(cumulants.len());
        let moments = moments_from_cumulants(&scaled);
        let higher = moments.iter().zip(&factorials[1..]).map(|(moment, factorial)| moment / factorial);
        Ok(Self { mean, deviation, coefficients: std::iter::once(1.0).chain(higher).collect() })
    }

    /// The Edgeworth series of `kappa_1..=kappa_N`, with all terms to order `N - 2` in `1/sqrt(m)` for a sum of `m` variables.
    ///
    /// # Errors
    /// [`SeriesError`] for less than two cumulants, no variance, and anything not finite.
    pub fn edgeworth(cumulants: &[f64]) -> Result<Self, SeriesError> {
        let (mean, deviation, scaled) = scaled(cumulants)?;
        let order = cumulants.len() - 2;
        let factorials = factorials::<f64>(cumulants.len());
        // exp( sum_k lambda_k e^(k-2) u^k / k! ) = sum_s e^s P_s(u); differentiated by e:
        // s P_s = sum_k (k-2) lambda_k u^k / k! P_(s-k+2).
        let mut terms = vec![vec![0.0; 3 * order + 1]; order + 1];
        terms[0][0] = 1.0;
        for s in 1..=order {
            for k in 3..=s + 2 {
                let factor = (k - 2) as f64 / s as f64 * scaled[k - 1] / factorials[k];
                for n in k..=3 * s {
                    terms[s][n] += factor * terms[s + 2 - k][n - k];
                }
            }
        }
        let coefficients = (0..=3 * order).map(|n| terms.iter().map(|term| term[n]).sum()).collect();
        Ok(Self { mean, deviation, coefficients })
    }

    /// `p(x)`; can be negative far from the mean.
    pub fn density(&self, x: f64) -> f64 {
        let z = (x - self.mean) / self.deviation;
        gauss(z) / self.deviation * hermite_sum(&self.coefficients, z)
    }

    /// `P(X <= x) = Phi(z) - phi(z) sum_(n>=1) c_n He_(n-1)(z)`.
    pub fn cumulative(&self, x: f64) -> f64 {
        let z = (x - self.mean) / self.deviation;
        0.5 * erfc(-z * FRAC_1_SQRT_2) - gauss(z) * hermite_sum(&self.coefficients[1..], z)
    }

    /// The coefficients `c_0, c_1, ..`
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }
}

/// Mean, standard deviation, and `0, 0, lambda_3, ..`
fn scaled(cumulants: &[f64]) -> Result<(f64, f64, Vec<f64>), SeriesError> {
    let [mean, variance, ..] = *cumulants else {
        return Err(SeriesError::TooFew { found: cumulants.len() });
    };
    if let Some(at) = cumulants.iter().position(|kappa| !kappa.is_finite()) {
        return Err(SeriesError::NotFinite { order: at + 1 });
    }
    if variance <= 0.0 {
        return Err(SeriesError::Variance { value: variance });
    }
    let deviation = variance.sqrt();
    let scale = |(k, kappa): (i32, &f64)| if k < 3 { 0.0 } else { kappa / deviation.powi(k) };
    Ok((mean, deviation, (1..).zip(cumulants).map(scale).collect()))
}

fn gauss(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * PI).sqrt()
}

/// `sum_n c_n He_n(z)` by `He_(n+1) = z He_n - n He_(n-1)`.
fn hermite_sum(coefficients: &[f64], z: f64) -> f64 {
    let (mut before, mut hermite, mut sum) = (0.0, 1.0, 0.0);
    for (n, c) in coefficients.iter().enumerate() {
        sum += c * hermite;
        (before, hermite) = (hermite, z * hermite - n as f64 * before);
    }
    sum
}
