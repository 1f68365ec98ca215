//! `k = g^2`, `g = sigma^(t/T)`: the paper's DDPM scheme (Sec. 4.2).

use super::preserving;
use crate::{Coefficients, NoiseSchedule, ParameterError, Transition, VarianceExpanding};

/// The paper's variance-preserving (DDPM) scheme: `g(t) = sigma^(t/T)` and `k = g^2`.
///
/// ```text
/// u(t|s) = int_s^t g^2,   f = exp(-u/2),   Xi = 1 - exp(-u)          [4.11, 4.13]
/// ```
///
/// A variance of one stays one; the cumulants decay as `f^n` [3.24].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariancePreserving(VarianceExpanding);

impl VariancePreserving {
    /// `g = sigma^t` on `[0, 1]`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `sigma` is finite and positive.
    pub fn new(sigma: f64) -> Result<Self, ParameterError> {
        VarianceExpanding::new(sigma).map(Self)
    }

    /// `g = sigma^(t/T)` on `[0, T]`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `sigma` and `horizon` are finite and positive.
    pub fn with_horizon(sigma: f64, horizon: f64) -> Result<Self, ParameterError> {
        VarianceExpanding::with_horizon(sigma, horizon).map(Self)
    }
}

impl NoiseSchedule for VariancePreserving {
    fn coefficients(&self, t: f64) -> Coefficients {
        let Coefficients { strength, .. } = self.0.coefficients(t);
        Coefficients { rate: strength * strength, strength }
    }

    fn transition(&self, s: f64, t: f64) -> Transition {
        preserving(self.0.integrated_strength(s, t))
    }

    fn horizon(&self) -> f64 {
        self.0.horizon()
    }

    fn time_at(&self, noise_to_signal: f64) -> f64 {
        // V = e^u - 1
        self.0.time_of_integral(noise_to_signal.ln_1p())
    }
}
