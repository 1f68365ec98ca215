//! The forward process by its exact transition kernel [3.2]: no step error at all.

use super::{AdditiveNoise, Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::update;
use crate::{BatchMut, EvalError, Forward, NoiseSchedule, NormalSource, Transition};

/// `x(t') = f(t',t) x(t) + sqrt(Xi(t'|t)) z`: exact in law for any step length.
#[derive(Clone, Debug, Default)]
pub struct ExactTransition {
    normals: Scratch,
}

impl<S: NoiseSchedule> Integrator<Forward<S>> for ExactTransition {
    fn step(
        &mut self,
        process: &Forward<S>,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        let Transition { mean_factor, variance } = process.0.transition(step.time, step.end());
        let amplitude = variance.sqrt();
        let x = values_mut(&mut x);
        let z = self.normals.slice(x.len());
        noise.fill(0, z);
        update::add(x, mean_factor, amplitude, z);
        Ok(())
    }
}

impl<S: NoiseSchedule> AdditiveNoise<Forward<S>> for ExactTransition {}
