//! `k = 0`, `g = sigma^(t/T)`: no drift, noise that grows exponentially (Song et al. 2021; the paper's Sec. 4.1).

use crate::error::positive;
use crate::{Coefficients, NoiseSchedule, ParameterError, Transition};

/// The variance-expanding scheme: no drift, `g(t) = sigma^(t/T)`.
///
/// ```text
/// f = 1,   Xi(t|s) = T sigma^(2s/T) ( sigma^(2(t-s)/T) - 1 ) / (2 ln sigma)     [4.7]
/// ```
///
/// Every cumulant above the second is conserved [3.15]. `sigma = 1` is Brownian motion, `Xi = t - s`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VarianceExpanding {
    /// `ln(sigma) / T`.
    growth: f64,
    horizon: f64,
}

impl VarianceExpanding {
    /// `g = sigma^t` on `[0, 1]`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `sigma` is finite and positive.
    pub fn new(sigma: f64) -> Result<Self, ParameterError> {
        Self::with_horizon(sigma, 1.0)
    }

    /// `g = sigma^(t/T)` on `[0, T]`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `sigma` and `horizon` are finite and positive.
    pub fn with_horizon(sigma: f64, horizon: f64) -> Result<Self, ParameterError> {
        let (sigma, horizon) = (positive("sigma", sigma)?, positive("horizon", horizon)?);
        Ok(Self { growth: sigma.ln() / horizon, horizon })
    }

    /// `int_s^t g^2`, by `expm1` so that short intervals keep their digits.
    pub(super) fn integrated_strength(&self, s: f64, t: f64) -> f64 {
        let x = 2.0 * self.growth * (t - s);
        let mean_growth = if x == 0.0 { 1.0 } else { x.exp_m1() / x };
        (2.0 * self.growth * s).exp() * (t - s) * mean_growth
    }

    /// The time at which `int_0^t g^2` reaches `value`.
    pub(super) fn time_of_integral(&self, value: f64) -> f64 {
        let x = 2.0 * self.growth * value;
        let time = if x == 0.0 { value } else { value * (x.ln_1p() / x) };
        // With sigma < 1 the integral is bounded; past its bound the logarithm is NaN or infinite.
        if time < self.horizon { time } else { self.horizon }
    }
}

impl NoiseSchedule for VarianceExpanding {
    fn coefficients(&self, t: f64) -> Coefficients {
        Coefficients { rate: 0.0, strength: (self.growth * t).exp() }
    }

    fn transition(&self, s: f64, t: f64) -> Transition {
        Transition { mean_factor: 1.0, variance: self.integrated_strength(s, t) }
    }

    fn horizon(&self) -> f64 {
        self.horizon
    }

    fn time_at(&self, noise_to_signal: f64) -> f64 {
        self.time_of_integral(noise_to_signal)
    }
}
