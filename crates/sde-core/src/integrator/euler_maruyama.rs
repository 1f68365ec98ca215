//! `x' = x + K dt + g sqrt|dt| z` (Maruyama 1955; the paper's [A.4]).

use super::{AdditiveNoise, Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::update;
use crate::{BatchMut, Drift, EvalError, NormalSource};

/// The Euler-Maruyama scheme, with drift and noise strength taken at the start of the step.
///
/// On [`Reverse`](crate::Reverse) it is the paper's sampler [A.4].
#[derive(Clone, Debug)]
pub struct EulerMaruyama {
    noise_in_last_step: bool,
    drift: Scratch,
    normals: Scratch,
}

impl EulerMaruyama {
    /// Noise in every step.
    pub fn new() -> Self {
        Self { noise_in_last_step: true, drift: Scratch::default(), normals: Scratch::default() }
    }

    /// No noise in the last step of the grid, as in the paper's runs [A.4].
    ///
    /// It removes the variance `g^2 |dt|` of that step from the result: for the two-peak model at 1000 steps
    /// 0.094 per cent of `kappa_2`.
    pub fn without_last_noise() -> Self {
        Self { noise_in_last_step: false, ..Self::new() }
    }
}

impl Default for EulerMaruyama {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Drift + ?Sized> Integrator<P> for EulerMaruyama {
    fn step(
        &mut self,
        process: &P,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        let Step { time, increment, last, .. } = step;
        process.drift(x.view(), time, self.drift.like(&x))?;
        let quiet = last && !self.noise_in_last_step;
        let amplitude = if quiet { 0.0 } else { process.strength(time) * increment.abs().sqrt() };
        let x = values_mut(&mut x);
        let drift = self.drift.slice(x.len());
        if amplitude == 0.0 {
            update::add(x, 1.0, increment, drift);
        } else {
            let z = self.normals.slice(x.len());
            noise.fill(0, z);
            update::add_two(x, 1.0, increment, drift, amplitude, z);
        }
        Ok(())
    }
}

impl<P: Drift + ?Sized> AdditiveNoise<P> for EulerMaruyama {}
