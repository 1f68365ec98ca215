//! Linear noising processes and their exact transition kernels.
//!
//! With the drift `K = -k(t) x / 2` [3.1] the process `dx = K dt + g dW` is solved in closed form: for `s <= t`
//!
//! ```text
//! x(t) | x(s)  ~  N( f(t,s) x(s), Xi(t|s) )
//! f(t,s)    = exp( -1/2 int_s^t k )                                  [3.3]
//! Xi(t|s)   = int_s^t f(t,u)^2 g(u)^2 du                             [3.7]
//! ```
//!
//! The ratio `V(t) = Xi(t|0) / f(t,0)^2` is the variance of the noise on `x / f`. It grows from 0 and is a
//! clock common to all schedules: `x / f` at noise `V` has the same law whatever the schedule, so one learned
//! score serves them all and time grids are best spaced in `V`.

mod cosine;
mod edm;
mod linear_beta;
mod sub_vp;
mod variance_expanding;
mod variance_preserving;

pub use cosine::Cosine;
pub use edm::Edm;
pub use linear_beta::LinearBeta;
pub use sub_vp::SubVp;
pub use variance_expanding::VarianceExpanding;
pub use variance_preserving::VariancePreserving;

use std::sync::Arc;

/// The coefficients of `dx = -k(t) x / 2 dt + g(t) dW` at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// The rate `k(t)`, in units of inverse time.
    pub rate: f64,
    /// The noise strength `g(t)`.
    pub strength: f64,
}

/// The Gaussian kernel `x(t) | x(s) ~ N( f x(s), Xi )`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// `f(t,s)` [3.3].
    pub mean_factor: f64,
    /// `Xi(t|s)` [3.7].
    pub variance: f64,
}

impl Transition {
    /// `V = Xi / f^2`, the variance of the noise on `x / f`.
    pub fn noise_to_signal(&self) -> f64 {
        self.variance / (self.mean_factor * self.mean_factor)
    }

    /// The variance `f^2 kappa_2 + Xi` of `x(t)` if that of `x(s)` is `kappa_2` [3.23].
    ///
    /// ```
    /// let kernel = sde_core::Transition { mean_factor: 0.5, variance: 0.75 };
    /// assert_eq!(kernel.variance_from(2.0), 1.25);
    /// ```
    pub fn variance_from(&self, kappa_2: f64) -> f64 {
        (kappa_2 * self.mean_factor).mul_add(self.mean_factor, self.variance)
    }
}

/// A linear noising process `dx = -k(t) x / 2 dt + g(t) dW` with its exact transition kernel.
///
/// # Laws
/// - `f(t,s) f(s,r) = f(t,r)` and `Xi(t|r) = f(t,s)^2 Xi(s|r) + Xi(t|s)` (Chapman-Kolmogorov).
/// - `df/dt = -k f / 2` and `dXi/dt = -k Xi + g^2`.
/// - `f(t,t) = 1`, `Xi(t|t) = 0`, and `Xi(t|s)` keeps its relative precision as `t -> s`.
/// - `V(t)` increases strictly from `V(0) = 0`, and `time_at(V(t)) = t`.
///
/// One test runs them over every schedule of this crate.
///
/// ```
/// use sde_core::{NoiseSchedule, VarianceExpanding};
/// let schedule = VarianceExpanding::new(10.0)?;
/// let end = schedule.transition(0.0, 1.0);
/// assert_eq!(end.mean_factor, 1.0);
/// assert!((end.variance - 21.497576854210962).abs() < 1e-13);
/// # Ok::<(), sde_core::ParameterError>(())
/// ```
pub trait NoiseSchedule {
    /// `k(t)` and `g(t)` for `0 <= t <= horizon()`.
    fn coefficients(&self, t: f64) -> Coefficients;

    /// The kernel from `s` to `t`, `0 <= s <= t <= horizon()`.
    fn transition(&self, s: f64, t: f64) -> Transition;

    /// The last time `T`.
    fn horizon(&self) -> f64 {
        1.0
    }

    /// The time at which `Xi / f^2` reaches `noise_to_signal`, at most [`horizon`](Self::horizon).
    ///
    /// The default bisects `V(t)`; schedules with a closed form override it.
    fn time_at(&self, noise_to_signal: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.horizon());
        if noise_to_signal >= self.transition(0.0, high).noise_to_signal() {
            return high;
        }
        // Ends when the midpoint rounds to one of the ends: full precision, also near zero.
        loop {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                return high;
            }
            if self.transition(0.0, middle).noise_to_signal() < noise_to_signal {
                low = middle;
            } else {
                high = middle;
            }
        }
    }
}

macro_rules! forward_schedule {
    ($($pointer:ty),*) => {$(
        impl<S: NoiseSchedule + ?Sized> NoiseSchedule for $pointer {
            fn coefficients(&self, t: f64) -> Coefficients {
                (**self).coefficients(t)
            }

            fn transition(&self, s: f64, t: f64) -> Transition {
                (**self).transition(s, t)
            }

            fn horizon(&self) -> f64 {
                (**self).horizon()
            }

            fn time_at(&self, noise_to_signal: f64) -> f64 {
                (**self).time_at(noise_to_signal)
            }
        }
    )*};
}
forward_schedule!(&S, Box<S>, Arc<S>);

/// The variance-preserving kernel with `k = g^2` and integrated rate `u = int_s^t k`.
fn preserving(u: f64) -> Transition {
    Transition { mean_factor: (-0.5 * u).exp(), variance: -(-u).exp_m1() }
}

#[cfg(test)]
mod tests;
