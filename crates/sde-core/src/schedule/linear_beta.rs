//! `k = g^2 = beta(t)` with `beta` linear in time (Ho et al. 2020 in the continuum; Song et al. 2021).

use super::preserving;
use crate::error::within;
use crate::{Coefficients, NoiseSchedule, ParameterError, Transition};

/// The variance-preserving scheme with `beta(t) = beta_min + (beta_max - beta_min) t` on `[0, 1]`.
///
/// ```text
/// k = g^2 = beta,   u(t|s) = int_s^t beta,   f = exp(-u/2),   Xi = 1 - exp(-u)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearBeta {
    start: f64,
    slope: f64,
}

impl LinearBeta {
    /// The common choice is `beta_min = 0.1`, `beta_max = 20`.
    ///
    /// # Errors
    /// [`ParameterError`] unless both are finite, `beta_min >= 0` and `beta_max > 0`.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ParameterError> {
        let start = within("beta_min", beta_min, 0.0, f64::MAX)?;
        let end = within("beta_max", beta_max, f64::MIN_POSITIVE, f64::MAX)?;
        Ok(Self { start, slope: end - start })
    }

    /// `beta(t)`.
    pub(super) fn beta(&self, t: f64) -> f64 {
        self.slope.mul_add(t, self.start)
    }

    /// `int_s^t beta`.
    pub(super) fn integral(&self, s: f64, t: f64) -> f64 {
        (t - s) * self.beta(0.5 * (s + t))
    }

    /// The time at which `int_0^t beta` reaches `value`, at most 1: the stable root of the quadratic.
    pub(super) fn time_of_integral(&self, value: f64) -> f64 {
        if value >= self.integral(0.0, 1.0) {
            return 1.0;
        }
        let root = (self.start * self.start + 2.0 * self.slope * value).max(0.0).sqrt();
        if value == 0.0 { 0.0 } else { 2.0 * value / (self.start + root) }
    }
}

impl NoiseSchedule for LinearBeta {
    fn coefficients(&self, t: f64) -> Coefficients {
        let rate = self.beta(t);
        Coefficients { rate, strength: rate.sqrt() }
    }

    fn transition(&self, s: f64, t: f64) -> Transition {
        preserving(self.integral(s, t))
    }

    fn time_at(&self, noise_to_signal: f64) -> f64 {
        self.time_of_integral(noise_to_signal.ln_1p())
    }
}
