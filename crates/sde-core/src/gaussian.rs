//! The Gaussian target, solved forwards and backwards (App. B).
//!
//! For data `N(0, kappa_2)` everything stays Gaussian and only the variance moves. Forwards it is
//! `s^2(t) = kappa_2 f(t,0)^2 + Xi(t)` [B.5]. The reverse process with the exact score, started at `t = T`
//! with variance `V_T`, has at time `t` the variance
//!
//! ```text
//! V(t) = s^2(t) + F^2 ( V_T - s^2(T) ),     F = f(T,t) s^2(t) / s^2(T)          [B.12]
//! ```
//!
//! With the usual prior `V_T = Xi(T)` of a scheme without drift it ends at
//! `kappa_2 [ 1 - (kappa_2 / s^2(T))^2 ]` [B.18]: a bias of the prior alone. The matched prior
//! `V_T = s^2(T)` has none.
//!
//! ```
//! use sde_core::{NoiseSchedule, VarianceExpanding, gaussian};
//! let schedule = VarianceExpanding::new(10.0)?;
//! let prior = schedule.transition(0.0, 1.0).variance;
//! let end = gaussian::backward_variance(&schedule, 1.0625, prior, 0.0);
//! assert!((end - 1.060143).abs() < 5e-7);
//! # Ok::<(), sde_core::ParameterError>(())
//! ```

use crate::batch::{values, values_mut};
use crate::{Batch, BatchMut, EvalError, NoiseSchedule, ScoreDivergence, ScoreModel, TimeGrid};

/// The variance `s^2(t) = kappa_2 f^2 + Xi` of the forward process [B.5, 3.23].
pub fn forward_variance<S: NoiseSchedule + ?Sized>(schedule: &S, kappa_2: f64, t: f64) -> f64 {
    schedule.transition(0.0, t).variance_from(kappa_2)
}

/// The variance at time `t` of the reverse process with the exact score, started at the horizon with variance
/// `start` [B.12].
pub fn backward_variance<S: NoiseSchedule + ?Sized>(schedule: &S, kappa_2: f64, start: f64, t: f64) -> f64 {
    let horizon = schedule.horizon();
    let (here, end) = (forward_variance(schedule, kappa_2, t), forward_variance(schedule, kappa_2, horizon));
    let memory = schedule.transition(t, horizon).mean_factor * here / end;
    (memory * memory).mul_add(start - end, here)
}

/// The variance after each step of [`EulerMaruyama`](crate::EulerMaruyama) on the reverse process, `start`
/// first: a linear score makes the scheme's own recursion exact, so it tests the integrator without noise.
///
/// ```text
/// V <- ( 1 + a dt )^2 V + g^2 |dt|,     a = -k/2 + g^2 / s^2
/// ```
pub fn euler_maruyama_variance<S: NoiseSchedule + ?Sized>(
    schedule: &S,
    kappa_2: f64,
    start: f64,
    grid: &TimeGrid,
) -> Vec<f64> {
    let mut variance = start;
    let after = grid.steps().map(|step| {
        let c = schedule.coefficients(step.time);
        let square = c.strength * c.strength;
        let slope = -0.5 * c.rate + square / forward_variance(schedule, kappa_2, step.time);
        variance = (1.0 + slope * step.increment).powi(2) * variance + square * step.increment.abs();
        variance
    });
    std::iter::once(start).chain(after).collect()
}

/// The exact score `-x / s^2(t)` of a Gaussian target [B.8].
#[derive(Clone, Copy, Debug)]
pub struct GaussianScore<S> {
    /// Schedule of the noising process.
    pub schedule: S,
    /// Variance of the target.
    pub kappa_2: f64,
}

impl<S: NoiseSchedule> ScoreModel for GaussianScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let slope = -1.0 / forward_variance(&self.schedule, self.kappa_2, t);
        for (s, x) in values_mut(&mut out).iter_mut().zip(values(&x)) {
            *s = slope * x;
        }
        Ok(())
    }
}

impl<S: NoiseSchedule> ScoreDivergence for GaussianScore<S> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        score: BatchMut<'_>,
        mut divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        divergence.fill(-(x.ncols() as f64) / forward_variance(&self.schedule, self.kappa_2, t));
        self.score(x, t, score)
    }
}
