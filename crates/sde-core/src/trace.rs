//! Divergences of scores that do not know their own.
//!
//! With unit vectors, or with vectors `z` of random signs, `E[z z^T] = 1`,
//!
//! ```text
//! div s = sum_x e_x . (e_x . d/dx) s = E[ z . (z . d/dx) s ] .            (Hutchinson 1990)
//! ```
//!
//! The former takes two scores for each site, the latter two for each `z`, with the variance
//! `1/2 sum_(x != y) ( J_xy + J_yx )^2` of an estimate, `J` the Jacobian of the score: what is on its diagonal costs nothing.

use crate::batch::values;
use crate::error::{positive, within};
use crate::{
    Batch, BatchMut, EvalError, Noise, NormalSource, ParameterError, ScoreDivergence, ScoreModel,
    directional_derivative,
};
use ndarray::{Array2, ArrayViewMut1, Axis};

/// The divergence of any score by symmetric differences site by site: exact but for `O(displacement^2)` and rounding, at
/// `2 sites` scores more.
///
/// ```
/// use sde_core::{DifferenceTrace, ScoreDivergence, ScoreFn, ndarray::{Array2, array}};
/// let score = DifferenceTrace::new(ScoreFn(|x: f64, _t: f64| -x.powi(3)), 1e-4)?;
/// let (mut s, mut divergence) = (Array2::zeros((1, 2)), Array2::zeros((1, 1)));
/// score.score_and_divergence(array![[1.0, 2.0]].view(), 0.0, s.view_mut(), divergence.view_mut())?;
/// assert!((divergence[(0, 0)] + 15.0).abs() < 1e-7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DifferenceTrace<M> {
    score: M,
    displacement: f64,
}

impl<M: ScoreModel> DifferenceTrace<M> {
    /// `score`, displaced by so much either way. Of a score in `f64` that varies over lengths of order one `1e-4` leaves errors
    /// of `1e-9`, of a net in `f32` `1e-2` some of `1e-4`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `displacement` is finite and positive.
    pub fn new(score: M, displacement: f64) -> Result<Self, ParameterError> {
        Ok(Self { score, displacement: positive("displacement", displacement)? })
    }
}

impl<M: ScoreModel> ScoreModel for DifferenceTrace<M> {
    fn score(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        self.score.score(x, t, out)
    }
}

impl<M: ScoreModel> ScoreDivergence for DifferenceTrace<M> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        score: BatchMut<'_>,
        mut divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        self.score.score(x, t, score)?;
        divergence.fill(0.0);
        let mut unit = Array2::zeros((1, x.ncols()));
        for site in 0..x.ncols() {
            unit.fill(0.0);
            unit[(0, site)] = 1.0;
            let slope = directional_derivative(&self.score, x, t, unit.view(), self.displacement)?;
            let mut sum = divergence.column_mut(0);
            sum += &slope.column(site);
        }
        Ok(())
    }
}

/// Hutchinson's estimates of the divergence of any score, one for each vector of random signs, at two scores each.
///
/// The vectors are the same for all rows and times, so that the estimates are functions of `(x, t)` which an integrator can
/// follow, and those that a [`DensityFlow`](crate::DensityFlow) carries to the end remain unbiased: their spread is the error of
/// the logarithm of the density. Errors of different rows are correlated; that of a mean over rows is at most the mean of
/// the errors.
///
/// ```
/// use sde_core::{HutchinsonTrace, Noise, ScoreDivergence, ScoreFn, ndarray::Array2};
/// // a diagonal Jacobian is found without error
/// let score = HutchinsonTrace::new(ScoreFn(|x: f64, _t: f64| -2.0 * x), 8, 4, &Noise::new(1, 0), 1e-3)?;
/// let (mut s, mut divergence) = (Array2::zeros((1, 8)), Array2::zeros((1, 4)));
/// score.score_and_divergence(Array2::ones((1, 8)).view(), 0.0, s.view_mut(), divergence.view_mut())?;
/// assert!(divergence.iter().all(|d| (d + 16.0).abs() < 1e-11));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct HutchinsonTrace<M> {
    score: M,
    /// A row of signs for each estimate.
    probes: Array2<f64>,
    displacement: f64,
}

impl<M: ScoreModel> HutchinsonTrace<M> {
    /// `score` of `sites` sites with so many `probes`, the signs of normals of `noise` at step 0, displaced as in
    /// [`DifferenceTrace::new`].
    ///
    /// # Errors
    /// [`ParameterError`] for fewer than two probes, which have no spread, and unless `displacement` is finite and positive.
    pub fn new(
        score: M,
        sites: usize,
        probes: usize,
        noise: &Noise,
        displacement: f64,
    ) -> Result<Self, ParameterError> {
        within("probes", probes as f64, 2.0, f64::MAX)?;
        let displacement = positive("displacement", displacement)?;
        let mut signs = vec![0.0; probes * sites];
        noise.block(0, 0).fill(0, &mut signs);
        for z in &mut signs {
            *z = z.signum();
        }
        let probes = Array2::from_shape_vec((probes, sites), signs).expect("so many signs");
        Ok(Self { score, probes, displacement })
    }
}

impl<M: ScoreModel> ScoreModel for HutchinsonTrace<M> {
    fn score(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        self.score.score(x, t, out)
    }
}

impl<M: ScoreModel> ScoreDivergence for HutchinsonTrace<M> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        score: BatchMut<'_>,
        mut divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        self.score.score(x, t, score)?;
        let columns = divergence.axis_iter_mut(Axis(1));
        for (z, column) in self.probes.axis_chunks_iter(Axis(0), 1).zip(columns) {
            let slope = directional_derivative(&self.score, x, t, z, self.displacement)?;
            products(&slope, values(&z), column);
        }
        Ok(())
    }

    fn estimates(&self) -> usize {
        self.probes.nrows()
    }
}

/// The scalar product of every row with `z`.
fn products(rows: &Array2<f64>, z: &[f64], out: ArrayViewMut1<'_, f64>) {
    for (row, out) in rows.outer_iter().zip(out) {
        *out = row.iter().zip(z).map(|(a, b)| a * b).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::{Comparisons, seed};

    /// `s = -A x` with a full matrix, every row alike.
    struct Linear(Array2<f64>);

    impl ScoreModel for Linear {
        fn score(&self, x: Batch<'_>, _t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
            out.assign(&-x.dot(&self.0.t()));
            Ok(())
        }
    }

    const SITES: usize = 6;

    fn matrix() -> Array2<f64> {
        Array2::from_shape_fn((SITES, SITES), |(i, j)| ((3 * i + 5 * j + i * j) as f64).sin())
    }

    #[test]
    fn differences_are_exact_for_a_linear_score() {
        let (exact, score) = (-matrix().diag().sum(), DifferenceTrace::new(Linear(matrix()), 0.1).unwrap());
        let x = Array2::from_shape_fn((3, SITES), |(i, j)| (i + 2 * j) as f64);
        let (mut s, mut divergence) = (Array2::zeros(x.dim()), Array2::zeros((3, 1)));
        score.score_and_divergence(x.view(), 0.0, s.view_mut(), divergence.view_mut()).unwrap();
        assert!(divergence.iter().all(|d| (d - exact).abs() < 1e-12), "{divergence} {exact}");
        assert_eq!(s, -x.dot(&matrix().t()));
    }

    /// Mean and variance of 40 000 probes; the error of the variance is the one measured.
    #[test]
    fn hutchinson_has_the_mean_and_variance_of_the_formula() {
        let test = Comparisons::of(2);
        let (a, probes) = (matrix(), 40_000);
        let noise = Noise::new(seed(4), 0);
        let score = HutchinsonTrace::new(Linear(matrix()), SITES, probes, &noise, 0.1).unwrap();
        assert_eq!(score.estimates(), probes);
        let x = Array2::ones((1, SITES));
        let (mut s, mut found) = (Array2::zeros(x.dim()), Array2::zeros((1, probes)));
        score.score_and_divergence(x.view(), 0.0, s.view_mut(), found.view_mut()).unwrap();
        let pairs = (0..SITES).flat_map(|i| (0..i).map(move |j| (i, j)));
        let variance: f64 = pairs.map(|(i, j)| (a[(i, j)] + a[(j, i)]).powi(2)).sum();
        let (mean, count) = (found.mean().unwrap(), probes as f64);
        assert!(test.normal((mean + a.diag().sum()) / (variance / count).sqrt()), "{mean}");
        let squares = found.mapv(|d| (d - mean).powi(2));
        let error = squares.std(1.0) / count.sqrt();
        let spread = squares.sum() / (count - 1.0);
        assert!(test.normal((spread - variance) / error), "{spread} {variance}");
        assert!(error < 0.015 * variance, "{error} of {variance}");
    }

    #[test]
    fn domain() {
        let noise = Noise::new(1, 0);
        assert!(DifferenceTrace::new(Linear(matrix()), 0.0).is_err());
        assert!(HutchinsonTrace::new(Linear(matrix()), SITES, 1, &noise, 0.1).is_err());
        assert!(HutchinsonTrace::new(Linear(matrix()), SITES, 2, &noise, f64::NAN).is_err());
    }
}
