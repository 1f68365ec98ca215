//! The score of a noised mixture of normals, or of noised points, in closed form.
//!
//! Noise keeps the form: at time `t` the peaks sit at `f m_i` with the variance `v = s^2 f^2 + Xi`. With the share
//! `r_i(x)` of peak `i` in the density at `x`, and mean and variance over these shares,
//!
//! ```text
//! s(x,t) = ( E_r[f m] - x ) / v ,     d s / d x = -1/v + Var_r[f m] / v^2 .
//! ```

use crate::batch::{values, values_mut};
use crate::{Batch, BatchMut, EvalError, NoiseSchedule, NormalMixture, ScoreDivergence, ScoreModel};

/// The exact score of a [`NormalMixture`] noised by a schedule, at every site alone: see
/// [`NormalMixture::score`].
#[derive(Clone, Debug)]
pub struct MixtureScore<S> {
    mixture: NormalMixture,
    schedule: S,
}

impl NormalMixture {
    /// The exact score of the mixture noised by `schedule`, for independent sites. Of point masses at `t = 0` there is none: it
    /// is NaN.
    ///
    /// ```
    /// use sde_core::{Edm, NormalMixture, ScoreModel, ndarray::{Array2, array}};
    /// // two points in noise of width one
    /// let score = NormalMixture::new(&[(0.0, 1.0), (2.0, 1.0)], 0.0)?.score(Edm::new(1.0)?);
    /// let mut s = Array2::zeros((1, 1));
    /// score.score(array![[1.5]].view(), 1.0, s.view_mut())?;
    /// assert!((s[(0, 0)] - (1.0 + 0.5_f64.tanh() - 1.5)).abs() < 1e-15);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn score<S: NoiseSchedule>(self, schedule: S) -> MixtureScore<S> {
        MixtureScore { mixture: self, schedule }
    }

    /// Score and its derivative at `x` of the density itself.
    fn slopes(&self, x: f64) -> [f64; 2] {
        let inverse = (self.width * self.width).recip();
        let exponent = |mean: f64| -0.5 * (x - mean) * (x - mean) * inverse;
        // The largest exponential is taken out.
        let top = self.means.iter().fold(f64::NEG_INFINITY, |top: f64, mean| top.max(exponent(*mean)));
        let [mut norm, mut first, mut second] = [0.0; 3];
        for (mean, weight) in self.means.iter().zip(&self.weights) {
            let (share, distance) = (weight * (exponent(*mean) - top).exp(), (mean - x) * inverse);
            norm += share;
            first += share * distance;
            second += share * distance * distance;
        }
        let score = first / norm;
        [score, second / norm - score * score - inverse]
    }
}

impl<S: NoiseSchedule> ScoreModel for MixtureScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let noised = self.mixture.noised(self.schedule.transition(0.0, t));
        for (s, x) in values_mut(&mut out).iter_mut().zip(values(&x)) {
            [*s, _] = noised.slopes(*x);
        }
        Ok(())
    }
}

impl<S: NoiseSchedule> ScoreDivergence for MixtureScore<S> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        mut score: BatchMut<'_>,
        mut divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        let noised = self.mixture.noised(self.schedule.transition(0.0, t));
        let sites = x.ncols();
        let rows = values(&x).chunks(sites).zip(values_mut(&mut score).chunks_mut(sites));
        for ((x, score), divergence) in rows.zip(values_mut(&mut divergence)) {
            *divergence = 0.0;
            for (x, s) in x.iter().zip(score) {
                let [value, slope] = noised.slopes(*x);
                *s = value;
                *divergence += slope;
            }
        }
        Ok(())
    }
}
