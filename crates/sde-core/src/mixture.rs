//! Mixtures of normal densities of one common width: what data with peaks look like, and what one noisy step
//! makes of any set of points.
//!
//! ```text
//! p(x) = sum_i w_i N(x; m_i, s^2)
//! ```

use crate::error::{positive, within};
use crate::{ParameterError, Transition, TwoPeak};
use std::f64::consts::PI;

/// A normalised mixture `sum_i w_i N(m_i, s^2)`; with `s = 0`, point masses.
///
/// ```
/// use sde_core::{NormalMixture, TwoPeak};
/// let model = TwoPeak::new(1.0, 0.25)?;
/// let mixture = NormalMixture::from(model);
/// assert!((mixture.density(0.9) - model.density(0.9)).abs() < 1e-15);
/// assert!((mixture.moment(8) - model.moment(8)).abs() < 1e-14);
/// # Ok::<(), sde_core::ParameterError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NormalMixture {
    pub(crate) means: Vec<f64>,
    pub(crate) weights: Vec<f64>,
    pub(crate) width: f64,
}

impl NormalMixture {
    /// `N(mean, variance)`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `variance > 0` and both are finite.
    pub fn normal(mean: f64, variance: f64) -> Result<Self, ParameterError> {
        let width = positive("variance", variance)?.sqrt();
        Ok(Self { means: vec![within("mean", mean, f64::MIN, f64::MAX)?], weights: vec![1.0], width })
    }

    /// A mixture of pairs `(mean, weight)`, with the weights scaled to a sum of 1.
    ///
    /// # Errors
    /// [`ParameterError`] unless the means are finite, the weights finite, none negative and not all zero, and
    /// `width >= 0` is finite.
    pub fn new(components: &[(f64, f64)], width: f64) -> Result<Self, ParameterError> {
        let width = within("width", width, 0.0, f64::MAX)?;
        for &(mean, weight) in components {
            within("mean", mean, f64::MIN, f64::MAX)?;
            within("weight", weight, 0.0, f64::MAX)?;
        }
        let total = positive("sum of weights", components.iter().map(|c| c.1).sum())?;
        let (means, weights) = components.iter().map(|&(mean, weight)| (mean, weight / total)).unzip();
        Ok(Self { means, weights, width })
    }

    /// The common width `s`.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Number of components.
    pub fn components(&self) -> usize {
        self.means.len()
    }

    /// The density `p(x)`; NaN for point masses, which have none.
    pub fn density(&self, x: f64) -> f64 {
        if self.width == 0.0 {
            return f64::NAN;
        }
        let inverse = 1.0 / self.width;
        let peak = |(mean, weight): (&f64, &f64)| weight * (-0.5 * ((x - mean) * inverse).powi(2)).exp();
        self.means.iter().zip(&self.weights).map(peak).sum::<f64>() * inverse / (2.0 * PI).sqrt()
    }

    /// `ln p(x)`, also where the density is too small for a number; NaN for point masses.
    ///
    /// ```
    /// use sde_core::NormalMixture;
    /// let normal = NormalMixture::normal(0.0, 1.0)?;
    /// assert!((normal.ln_density(100.0) + 5000.918938533205).abs() < 1e-11);
    /// # Ok::<(), sde_core::ParameterError>(())
    /// ```
    pub fn ln_density(&self, x: f64) -> f64 {
        if self.width == 0.0 {
            return f64::NAN;
        }
        let exponent = |mean: f64| -0.5 * ((x - mean) / self.width).powi(2);
        let top = self.means.iter().fold(f64::NEG_INFINITY, |top: f64, mean| top.max(exponent(*mean)));
        let peaks = self.means.iter().zip(&self.weights);
        let sum: f64 = peaks.map(|(mean, weight)| weight * (exponent(*mean) - top).exp()).sum();
        top + (sum / (self.width * (2.0 * PI).sqrt())).ln()
    }

    /// The moment `E[x^n]`: that of `m + s z`, weighted,
    ///
    /// ```text
    /// E[x^n] = sum_j C(n, 2j) (2j - 1)!! s^(2j) sum_i w_i m_i^(n - 2j)
    /// ```
    pub fn moment(&self, n: u32) -> f64 {
        let mut sum = 0.0;
        // C(n, 2j) (2j - 1)!! s^(2j)
        let mut factor = 1.0;
        for j in 0..=n / 2 {
            let left = n - 2 * j;
            let power: f64 = self.means.iter().zip(&self.weights).map(|(m, w)| w * m.powi(left as i32)).sum();
            sum += factor * power;
            factor *= f64::from(left * left.saturating_sub(1)) / f64::from(2 * (j + 1)) * self.width.powi(2);
        }
        sum
    }

    /// The law of `f x + sqrt(Xi) z`, the mixture after noise.
    #[must_use]
    pub fn noised(&self, kernel: Transition) -> Self {
        let f = kernel.mean_factor;
        Self {
            means: self.means.iter().map(|mean| f * mean).collect(),
            weights: self.weights.clone(),
            width: kernel.variance_from(self.width * self.width).sqrt(),
        }
    }

    /// The law of `x + width z`: wider by an independent normal.
    #[must_use]
    pub fn widened(&self, width: f64) -> Self {
        Self { width: self.width.hypot(width), ..self.clone() }
    }
}

impl From<TwoPeak> for NormalMixture {
    fn from(model: TwoPeak) -> Self {
        let mu = model.mu();
        Self { means: vec![-mu, mu], weights: vec![0.5; 2], width: model.sigma() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn skewed() -> NormalMixture {
        NormalMixture::new(&[(-1.0, 1.0), (0.5, 2.0), (2.0, 5.0)], 0.3).unwrap()
    }

    #[test]
    fn density_has_the_moments() {
        // The trapezoidal rule is spectrally accurate for a mixture of normals.
        let h = 1e-2;
        for n in 0..=8 {
            let sum: f64 =
                (-1000..=1000).map(|i| f64::from(i) * h).map(|x| h * x.powi(n) * skewed().density(x)).sum();
            assert_relative_eq!(sum, skewed().moment(n as u32), max_relative = 1e-12);
        }
    }

    #[test]
    fn widening_adds_variance_alone() {
        let (before, after) = (skewed(), skewed().widened(0.7));
        assert_relative_eq!(after.width(), before.width().hypot(0.7), max_relative = 1e-15);
        assert_relative_eq!(after.moment(1), before.moment(1), max_relative = 1e-15);
        assert_relative_eq!(after.moment(2), before.moment(2) + 0.49, max_relative = 1e-14);
        // The third cumulant but for its term in the mean, which stays.
        let third = |law: &NormalMixture| law.moment(3) - 3.0 * law.moment(2) * law.moment(1);
        assert_relative_eq!(third(&after), third(&before), max_relative = 1e-12);
    }

    #[test]
    fn domain() {
        assert!(NormalMixture::normal(0.0, 0.0).is_err());
        assert!(NormalMixture::normal(f64::NAN, 1.0).is_err());
        assert!(NormalMixture::new(&[], 1.0).is_err());
        assert!(NormalMixture::new(&[(0.0, -1.0), (1.0, 2.0)], 1.0).is_err());
        assert!(NormalMixture::new(&[(f64::INFINITY, 1.0)], 1.0).is_err());
        assert!(NormalMixture::new(&[(0.0, 1.0)], -1.0).is_err());
        assert!(NormalMixture::new(&[(0.0, 1.0)], 0.0).unwrap().density(0.0).is_nan());
    }
}
