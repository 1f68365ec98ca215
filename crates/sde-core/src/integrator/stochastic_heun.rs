//! Heun's rule for additive noise: the same noise in both stages, weak order two.

use super::{Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::update;
use crate::{BatchMut, Drift, EvalError, NormalSource};

/// Stochastic Heun: with `e = sqrt(int g^2) z` drawn once,
///
/// ```text
/// y  = x + K(x, t) dt + e
/// x' = x + [ K(x, t) + K(y, t') ] dt / 2 + e
/// ```
///
/// `int g^2` over the step is taken by Simpson's rule, so a noise strength that varies within the step costs
/// no order. Weak order 2 for additive noise (Kloeden and Platen 1992, Sec. 15.1).
#[derive(Clone, Debug, Default)]
pub struct StochasticHeun {
    first: Scratch,
    second: Scratch,
    middle: Scratch,
    normals: Scratch,
}

impl<P: Drift + ?Sized> Integrator<P> for StochasticHeun {
    fn step(
        &mut self,
        process: &P,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        let Step { time, increment, .. } = step;
        let square = |t: f64| process.strength(t).powi(2);
        let mean_square = (square(time) + 4.0 * square(time + 0.5 * increment) + square(step.end())) / 6.0;
        let amplitude = (mean_square * increment.abs()).sqrt();

        process.drift(x.view(), time, self.first.like(&x))?;
        let z = self.normals.slice(x.len());
        noise.fill(0, z);
        update::add(values_mut(&mut x), 1.0, amplitude, z);
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
