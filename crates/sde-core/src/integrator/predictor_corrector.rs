//! Predictor and corrector (Song et al. 2021, Alg. 1): after each step of a sampler, Langevin steps at the new
//! time pull the batch towards `p_t`.

use super::{Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::error::positive;
use crate::update;
use crate::{BatchMut, EvalError, NoiseSchedule, NormalSource, ParameterError, Reverse, ScoreModel};

/// A reverse-process integrator followed by Langevin corrections
///
/// ```text
/// x <- x + eps s(x,t) + sqrt(2 eps) z,     eps = 2 r^2 Xi(t)
/// ```
///
/// with the signal-to-noise ratio `r`. Song et al. scale `eps` by the norms of score and noise in the batch at
/// hand; here by their expectation, so that a row does not depend on its neighbours. Corrections at `t = 0`,
/// where `Xi` vanishes, are left out.
#[derive(Clone, Debug)]
pub struct PredictorCorrector<I> {
    predictor: I,
    corrections: u32,
    ratio: f64,
    score: Scratch,
    normals: Scratch,
}

impl<I> PredictorCorrector<I> {
    /// `corrections` Langevin steps of signal-to-noise ratio `ratio` (commonly 0.16) after each predictor step.
    ///
    /// # Errors
    /// [`ParameterError`] unless `ratio` is finite and positive.
    pub fn new(predictor: I, corrections: u32, ratio: f64) -> Result<Self, ParameterError> {
        let ratio = positive("ratio", ratio)?;
        Ok(Self { predictor, corrections, ratio, score: Scratch::default(), normals: Scratch::default() })
    }
}

/// Draws of the corrector are numbered from here; predictors use fewer.
const FIRST_CORRECTOR_DRAW: u32 = 8;

impl<S, M, I> Integrator<Reverse<S, M>> for PredictorCorrector<I>
where
    S: NoiseSchedule,
    M: ScoreModel,
    I: Integrator<Reverse<S, M>>,
{
    fn step(
        &mut self,
        process: &Reverse<S, M>,
        step: Step,
        mut x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        self.predictor.step(process, step, x.view_mut(), noise)?;
        let t = step.end();
        let width = 2.0 * self.ratio * self.ratio * process.schedule.transition(0.0, t).variance;
        if width == 0.0 {
            return Ok(());
        }
        let amplitude = (2.0 * width).sqrt();
        for correction in 0..self.corrections {
            process.score.score(x.view(), t, self.score.like(&x))?;
            let x = values_mut(&mut x);
            let score = self.score.slice(x.len());
            let z = self.normals.slice(x.len());
            noise.fill(FIRST_CORRECTOR_DRAW + correction, z);
            update::add_two(x, 1.0, width, score, amplitude, z);
        }
        Ok(())
    }
}
