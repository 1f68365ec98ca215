//! Euler's rule with the linear part exact: the denoiser is frozen over the step, everything else is solved.

use super::{AdditiveNoise, Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::update;
use crate::{BatchMut, EvalError, NoiseSchedule, NormalSource, Reverse, ScoreModel};

/// Exponential Euler for the reverse process: ancestral sampling.
///
/// On `x^ = x / f`, in the clock `V` from `V` down to `V'`, the denoiser `D = x^ + V s^` is held fixed; the
/// remaining linear equation has the solution
///
/// ```text
/// x^' = x^ + (V - V') s^ + sqrt( V' (V - V') / V ) z,    s^ = f s
/// ```
///
/// For schedules without a drift this differs from Euler-Maruyama in the noise alone.
#[derive(Clone, Debug, Default)]
pub struct ExponentialEuler {
    score: Scratch,
    normals: Scratch,
}

impl<S: NoiseSchedule, M: ScoreModel> Integrator<Reverse<S, M>> for ExponentialEuler {
    fn step(
        &mut self,
        process: &Reverse<S, M>,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        let start = process.schedule.transition(0.0, step.time);
        let end = process.schedule.transition(0.0, step.end());
        let (v, w) = (start.noise_to_signal(), end.noise_to_signal());
        process.score.score(x.view(), step.time, self.score.like(&x))?;
        // Back to x: x' = f' x^', x^ = x / f.
        let carry = end.mean_factor / start.mean_factor;
        let gain = (v - w) * start.mean_factor * end.mean_factor;
        let amplitude = end.mean_factor * (w * (v - w) / v).sqrt();
        let x = values_mut(&mut x);
        let score = self.score.slice(x.len());
        let z = self.normals.slice(x.len());
        noise.fill(0, z);
        update::add_two(x, carry, gain, score, amplitude, z);
        Ok(())
    }
}

impl<S: NoiseSchedule, M: ScoreModel> AdditiveNoise<Reverse<S, M>> for ExponentialEuler {}
