//! The schedule of Karras et al. 2022: the noise level itself is the time.

use crate::error::positive;
use crate::{Coefficients, NoiseSchedule, ParameterError, Transition};

/// The EDM schedule: no drift and `sigma(t) = t`, so `g(t) = sqrt(2 t)` on `[0, sigma_max]`.
///
/// ```text
/// f = 1,   Xi(t|s) = (t - s)(t + s)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Edm {
    horizon: f64,
}

impl Edm {
    /// Times, which are noise levels, run up to `sigma_max` (commonly 80).
    ///
    /// # Errors
    /// [`ParameterError`] unless `sigma_max` is finite and positive.
    pub fn new(sigma_max: f64) -> Result<Self, ParameterError> {
        Ok(Self { horizon: positive("sigma_max", sigma_max)? })
    }
}

impl NoiseSchedule for Edm {
    fn coefficients(&self, t: f64) -> Coefficients {
        Coefficients { rate: 0.0, strength: (2.0 * t).sqrt() }
    }

    fn transition(&self, s: f64, t: f64) -> Transition {
        Transition { mean_factor: 1.0, variance: (t - s) * (t + s) }
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn time_at(&self, noise_to_signal: f64) -> f64 {
        noise_to_signal.sqrt().min(self.horizon)
    }
}
