//! The cosine schedule (Nichol and Dhariwal 2021) in continuous time.

use crate::error::within;
use crate::{Coefficients, NoiseSchedule, ParameterError, Transition};
use std::f64::consts::FRAC_PI_2;

/// The variance-preserving scheme with `f(t,0) = cos(theta_t) / cos(theta_0)`, `theta_t = (pi/2) (t + s) / (1 + s)`.
///
/// ```text
/// k = g^2 = pi / (1 + s) tan(theta_t)
/// Xi(t|r) = sin(theta_t - theta_r) sin(theta_t + theta_r) / cos^2(theta_r)
/// ```
///
/// The rate diverges at `t = 1`; the horizon is set below it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cosine {
    offset: f64,
    horizon: f64,
}

impl Cosine {
    /// Offset `s >= 0` (commonly 0.008) and horizon `0 < T <= 0.9999` (commonly 0.999).
    ///
    /// # Errors
    /// [`ParameterError`] outside these ranges.
    pub fn new(offset: f64, horizon: f64) -> Result<Self, ParameterError> {
        Ok(Self {
            offset: within("offset", offset, 0.0, 1.0)?,
            horizon: within("horizon", horizon, f64::MIN_POSITIVE, 0.9999)?,
        })
    }

    fn angle(&self, t: f64) -> f64 {
        FRAC_PI_2 * (t + self.offset) / (1.0 + self.offset)
    }
}

impl NoiseSchedule for Cosine {
    fn coefficients(&self, t: f64) -> Coefficients {
        let rate = 2.0 * FRAC_PI_2 / (1.0 + self.offset) * self.angle(t).tan();
        Coefficients { rate, strength: rate.sqrt() }
    }

    fn transition(&self, s: f64, t: f64) -> Transition {
        let (start, end) = (self.angle(s), self.angle(t));
        let turned = FRAC_PI_2 * (t - s) / (1.0 + self.offset);
        Transition {
            mean_factor: end.cos() / start.cos(),
            variance: turned.sin() * (start + end).sin() / start.cos().powi(2),
        }
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn time_at(&self, noise_to_signal: f64) -> f64 {
        // Xi/f^2 = V with Xi = 1 - f^2 gives tan^2(theta_t) = tan^2(theta_0) + V / cos^2(theta_0).
        // The angle turned since t = 0 follows from the difference of the tangents without cancellation.
        let (sin, cos) = self.angle(0.0).sin_cos();
        let (tan, gain) = (sin / cos, noise_to_signal / (cos * cos));
        let end = (tan * tan + gain).sqrt();
        let turned = (gain / (end + tan) / (1.0 + end * tan)).atan();
        (if gain == 0.0 { 0.0 } else { turned / FRAC_PI_2 * (1.0 + self.offset) }).min(self.horizon)
    }
}
