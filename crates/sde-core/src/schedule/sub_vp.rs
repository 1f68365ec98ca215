//! The sub-variance-preserving scheme (Song et al. 2021, App. B): less noise than VP at the same drift.

use crate::{Coefficients, LinearBeta, NoiseSchedule, ParameterError, Transition};

/// The sub-VP scheme over a linear `beta(t)`: `k = beta`, `g^2 = beta (1 - exp(-2B))`, `B(t) = int_0^t beta`.
///
/// ```text
/// f = exp(-(B_t - B_s)/2),   Xi(t|s) = (1 - e^(-(B_t - B_s))) (1 - e^(-(B_t + B_s)))
/// V(t) = 4 sinh^2(B/2)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubVp(LinearBeta);

impl SubVp {
    /// `beta` as in [`LinearBeta::new`].
    ///
    /// # Errors
    /// [`ParameterError`] as there.
    pub fn new(beta_min: f64, beta_max: f64) -> Result<Self, ParameterError> {
        LinearBeta::new(beta_min, beta_max).map(Self)
    }
}

impl NoiseSchedule for SubVp {
    fn coefficients(&self, t: f64) -> Coefficients {
        let rate = self.0.beta(t);
        let saturation = -(-2.0 * self.0.integral(0.0, t)).exp_m1();
        Coefficients { rate, strength: (rate * saturation).sqrt() }
    }

    fn transition(&self, s: f64, t: f64) -> Transition {
        let difference = self.0.integral(s, t);
        let sum = difference + 2.0 * self.0.integral(0.0, s);
        Transition {
            mean_factor: (-0.5 * difference).exp(),
            variance: (-difference).exp_m1() * (-sum).exp_m1(),
        }
    }

    fn time_at(&self, noise_to_signal: f64) -> f64 {
        self.0.time_of_integral(2.0 * (0.5 * noise_to_signal.sqrt()).asinh())
    }
}
