//! A Markov chain from a score alone: Langevin steps at a fixed noise level, accepted by a line integral.
//!
//! Where only the score is known, a Metropolis step lacks `ln p(y) - ln p(x)`. The score is the gradient of `ln p`, so this is its
//! integral along the line between the two (Sjöberg, Lindqvist et al., arXiv:2307.14012), here by Simpson's rule,
//!
//! ```text
//! y = x + h s(x,t) + sqrt(2 h) z ,      ln p_t(y) - ln p_t(x) = (y - x) . [ s(x,t) + 4 s((x+y)/2,t) + s(y,t) ] / 6 ,
//! ```
//!
//! exact for scores of third order in the field, and off by a power `5/2` of `h` for others: where two peaks of deviation 0.6 meet, steps of
//! `h = 0.4` make `kappa_2` too small by one per cent, steps of 0.1 by nothing that 200,000 chains could see. No action is needed, but what the chain leaves invariant is the density `p_t` of the noised field,
//! not `p_0`: by [3.23] its second cumulant is off by `Xi(t)`, its higher ones are right up to powers of `f`, and every error of
//! the score is an error of the chain. At small `t`, where the bias is small, steps are short: `h` is of order `Xi(t)`. Weights, and the
//! true action where there is one, have none of these: see [`LogWeights`](crate::LogWeights).

use rayon::prelude::*;
use sde_core::ndarray::{Array2, ArrayViewMut2};
use sde_core::{Batch, BatchMut, EvalError, Noise, NormalSource, ParameterError, ScoreModel};
use std::ops::Range;

/// Values in a block.
const BLOCK: usize = 1 << 14;

/// Langevin steps of size `step` under a score at a fixed time, accepted or refused.
///
/// ```
/// use diffusion::ScoreMala;
/// use sde_core::ndarray::Array2;
/// use sde_core::{Noise, ScoreFn};
///
/// // data N(0, 2) in noise of variance 1/2
/// let score = ScoreFn(|x: f64, xi: f64| -x / (2.0 + xi));
/// let mala = ScoreMala::new(score, 0.5, 2.0)?;
/// let mut x = Array2::zeros((10_000, 1));
/// let acceptance = mala.run(x.view_mut(), 0..20, &Noise::new(1, 0))?;
/// let variance = x.iter().map(|x| x * x).sum::<f64>() / 1e4;
/// assert!(acceptance > 0.8 && (variance / 2.5 - 1.0).abs() < 4.0 * 0.0142);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ScoreMala<M> {
    score: M,
    time: f64,
    step: f64,
}

impl<M: ScoreModel + Sync> ScoreMala<M> {
    /// Steps of size `h = step` under `score` at `time`.
    ///
    /// # Errors
    /// [`ParameterError`] unless both are finite and positive.
    pub fn new(score: M, time: f64, step: f64) -> Result<Self, ParameterError> {
        for (name, value) in [("time", time), ("step", step)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(ParameterError::NotPositive { name, value });
            }
        }
        Ok(Self { score, time, step })
    }

    /// Takes every row of `fields`, shape `(rows, sites)`, through these steps, and returns the part of them that was accepted.
    ///
    /// The noise is addressed by the number of the step: steps `0..5` and `5..9` are steps `0..9`. The result does not depend on the
    /// number of threads.
    ///
    /// # Errors
    /// Of the score; the fields are then in an unspecified state.
    ///
    /// # Panics
    /// If the fields are not contiguous.
    pub fn run(
        &self,
        mut fields: ArrayViewMut2<'_, f64>,
        steps: Range<u64>,
        noise: &Noise,
    ) -> Result<f64, EvalError> {
        let (rows, sites) = fields.dim();
        let count = rows as u64 * (steps.end.saturating_sub(steps.start));
        // Even, see `ScoreModel`.
        let block = 2 * BLOCK.div_ceil(2 * sites.max(1));
        let values = fields.as_slice_mut().expect("fields are contiguous");
        let blocks = values.par_chunks_mut(block * sites.max(1)).enumerate();
        let accepted: Result<Vec<u64>, EvalError> = blocks
            .map(|(index, x)| {
                let x = BatchMut::from_shape((x.len() / sites, sites), x).expect("rows are whole");
                self.run_block(x, steps.clone(), noise, index * block)
            })
            .collect();
        Ok(accepted?.into_iter().sum::<u64>() as f64 / count.max(1) as f64)
    }

    fn run_block(
        &self,
        mut x: BatchMut<'_>,
        steps: Range<u64>,
        noise: &Noise,
        first_row: usize,
    ) -> Result<u64, EvalError> {
        let (rows, sites, h) = (x.nrows(), x.ncols(), self.step);
        let mut here = self.score_at(x.view())?;
        let (mut z, mut words) = (vec![0.0; rows * sites], vec![0; rows]);
        let mut accepted = 0;
        for step in steps {
            noise.block(step, (first_row * sites) as u64).fill(0, &mut z);
            noise.words(step, 1, first_row as u64, &mut words);
            let mut proposed = x.to_owned();
            for ((y, s), z) in proposed.iter_mut().zip(&here).zip(&z) {
                *y += h * s + (2.0 * h).sqrt() * z;
            }
            let there = self.score_at(proposed.view())?;
            let between = self.score_at((0.5 * (&proposed + &x)).view())?;
            for row in 0..rows {
                let mut log_ratio = 0.0;
                for site in 0..sites {
                    let at = (row, site);
                    let (d, s, t) = (proposed[at] - x[at], here[at], there[at]);
                    log_ratio += d * (s + 4.0 * between[at] + t) / 6.0;
                    log_ratio += ((d - h * s).powi(2) - (d + h * t).powi(2)) / (4.0 * h);
                }
                let uniform = ((words[row] >> 11) as f64 + 0.5) * 2.0_f64.powi(-53);
                // A NaN is no reason to accept.
                if uniform.ln() < log_ratio {
                    x.row_mut(row).assign(&proposed.row(row));
                    here.row_mut(row).assign(&there.row(row));
                    accepted += 1;
                }
            }
        }
        Ok(accepted)
    }

    fn score_at(&self, x: Batch<'_>) -> Result<Array2<f64>, EvalError> {
        let mut s = Array2::zeros(x.dim());
        self.score.score(x, self.time, s.view_mut())?;
        Ok(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cumulants::Moments;
    use sde_core::{NoiseSchedule, ScoreFn, TwoPeak, VarianceExpanding};
    use testing::{Comparisons, seed};

    const ROWS: usize = 360_000;

    /// `kappa_2 + Xi`, with steps so long that unadjusted ones would be off by 12 per cent.
    #[test]
    fn a_gaussian_comes_out_right() {
        let (kappa_2, xi) = (1.5, 0.5);
        let mala = ScoreMala::new(ScoreFn(|x: f64, xi: f64| -x / (kappa_2 + xi)), xi, 1.0).unwrap();
        let mut x = Array2::zeros((ROWS, 1));
        let acceptance = mala.run(x.view_mut(), 0..30, &Noise::new(seed(1), 0)).unwrap();
        let found = x.iter().map(|x| x * x).sum::<f64>() / ROWS as f64;
        let pull = (found - 2.0) / (2.0 * 2f64.sqrt() / (ROWS as f64).sqrt());
        assert!(Comparisons::of(1).normal(pull) && acceptance < 0.97, "{found}, {acceptance}");
    }

    /// The noised two-peak model stays as it is: `kappa_2 + Xi` and `kappa_4` with the errors of the moments.
    #[test]
    fn noised_peaks_are_invariant_and_have_their_higher_cumulants() {
        let test = Comparisons::of(2);
        let (model, schedule, t) =
            (TwoPeak::new(1.0, 0.25).unwrap(), VarianceExpanding::new(10.0).unwrap(), 0.15);
        let xi = schedule.transition(0.0, t).variance;
        let mut x = crate::draw(ROWS, 1, &Noise::new(seed(2), 0), |noise, x| model.fill(noise, x));
        let z = crate::draw(ROWS, 1, &Noise::new(seed(3), 0), |noise, x| noise.fill(0, x));
        x.scaled_add(xi.sqrt(), &z);
        let start = x.clone();
        let mala = ScoreMala::new(model.score(schedule), t, 0.1).unwrap();
        let acceptance = mala.run(x.view_mut(), 0..100, &Noise::new(seed(4), 0)).unwrap();
        assert!((0.3..0.99).contains(&acceptance), "{acceptance}");
        let values: Vec<f64> = x.iter().copied().collect();
        let (moments, errors) =
            (Moments::<8>::of(&values), cumulants::standard_errors(&values, &Moments::<4>::of(&values)));
        for (order, exact) in [(2, model.cumulant(2) + xi), (4, model.cumulant(4))] {
            let pull = (moments.cumulant(order) - exact) / errors[order - 1];
            assert!(test.normal(pull), "kappa_{order}: {} {exact} {pull}", moments.cumulant(order));
        }
        // They did move: hardly anything is left of where they were.
        let correlation = x.iter().zip(&start).map(|(a, b)| a * b).sum::<f64>() / ROWS as f64;
        assert!(correlation < 0.5 * moments.cumulant(2), "{correlation}");
    }

    #[test]
    fn threads_and_cuts_do_not_matter() {
        let mala = ScoreMala::new(ScoreFn(|x: f64, _: f64| -x.powi(3)), 1.0, 0.1).unwrap();
        let start = Array2::from_shape_fn((5001, 7), |(row, site)| ((row + 3 * site) as f64).sin());
        let run = |threads, cuts: &[u64]| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut x = start.clone();
            for cut in cuts.windows(2) {
                pool.install(|| mala.run(x.view_mut(), cut[0]..cut[1], &Noise::new(1, 0))).unwrap();
            }
            x
        };
        let whole = run(1, &[0, 9]);
        assert_eq!(whole, run(2, &[0, 9]));
        assert_eq!(whole, run(2, &[0, 4, 9]));
    }

    #[test]
    fn steps_and_times_must_be_positive() {
        let score = || ScoreFn(|x: f64, _: f64| -x);
        let message = |time, step| {
            ScoreMala::new(score(), time, step).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(message(0.0, 1.0).contains("time") && message(1.0, f64::NAN).contains("step"));
    }
}
