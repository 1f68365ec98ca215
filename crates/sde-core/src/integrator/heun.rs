//! Heun's second-order rule for processes without noise.

use super::{AdditiveNoise, Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::update;
use crate::{BatchMut, Drift, EvalError, NormalSource};

/// Heun's rule, `x' = x + [ K(x, t) + K(x + K dt, t') ] dt / 2`, for the probability flow and other ordinary
/// differential equations.
///
/// # Panics
/// If the process has noise, `g(t) != 0`: use [`StochasticHeun`](super::StochasticHeun).
#[derive(Clone, Debug, Default)]
pub struct Heun {
    first: Scratch,
    second: Scratch,
    middle: Scratch,
}

impl<P: Drift + ?Sized> Integrator<P> for Heun {
    fn step(
        &mut self,
        process: &P,
        step: Step,
        mut x: BatchMut<'_>,
        _noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        let Step { time, increment, .. } = step;
        assert!(process.strength(time) == 0.0, "Heun integrates processes without noise");
        process.drift(x.view(), time, self.first.like(&x))?;
        let mut y = self.middle.like(&x);
        y.assign(&x);
        update::add(values_mut(&mut y), 1.0, increment, self.first.slice(x.len()));
        process.drift(y.view(), step.end(), self.second.like(&x))?;
        let x = values_mut(&mut x);
        let (first, second) = (self.first.slice(x.len()), self.second.slice(x.len()));
        update::add_two(x, 1.0, 0.5 * increment, first, 0.5 * increment, second);
        Ok(())
    }
}

impl<P: Drift + ?Sized> AdditiveNoise<P> for Heun {}
