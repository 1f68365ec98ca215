//! The divergence of a score, `sum_x d s_x / d x_x`: what the probability flow compresses, and so its density.

use crate::{Batch, BatchMut, EvalError, ScoreModel};
use std::sync::Arc;

/// A [`ScoreModel`] that knows its divergence
///
/// ```text
/// div s(x,t) = sum_x d s_x / d x_x = laplacian of log p_t(x) ,
/// ```
///
/// the trace of its Jacobian, exactly or by unbiased estimates.
///
/// Exact scores in closed form have it in closed form; any other gets it from [`DifferenceTrace`](crate::DifferenceTrace) or,
/// on many sites, from a [`HutchinsonTrace`](crate::HutchinsonTrace).
///
/// # Laws
/// - The score is that of [`ScoreModel::score`], bit for bit, and values of a row depend on that row and `t` alone.
/// - Columns of `divergence` are estimates that are independent of one another and fixed functions of `(x, t)`; if
///   there is one alone, it is exact.
///
/// ```
/// use sde_core::{Edm, ScoreDivergence, TwoPeak, ndarray::{Array2, array}};
/// let score = TwoPeak::new(1.0, 0.25)?.score(Edm::new(1.0)?);
/// let (mut s, mut divergence) = (Array2::zeros((1, 1)), Array2::zeros((1, 1)));
/// score.score_and_divergence(array![[0.0]].view(), 0.0, s.view_mut(), divergence.view_mut())?;
/// // between the peaks: -1/sigma^2 + mu^2/sigma^4
/// assert_eq!((s[(0, 0)], divergence[(0, 0)]), (0.0, -16.0 + 256.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ScoreDivergence: ScoreModel {
    /// Writes the score, shape `(rows, sites)`, and its divergence, shape `(rows, estimates)`.
    ///
    /// # Errors
    /// [`EvalError`] with the backend's error as its source.
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        score: BatchMut<'_>,
        divergence: BatchMut<'_>,
    ) -> Result<(), EvalError>;

    /// How many estimates there are; one is exact.
    fn estimates(&self) -> usize {
        1
    }
}

macro_rules! forward_divergence {
    ($($pointer:ty),*) => {$(
        impl<M: ScoreDivergence + ?Sized> ScoreDivergence for $pointer {
            fn score_and_divergence(
                &self,
                x: Batch<'_>,
                t: f64,
                score: BatchMut<'_>,
                divergence: BatchMut<'_>,
            ) -> Result<(), EvalError> {
                (**self).score_and_divergence(x, t, score, divergence)
            }

            fn estimates(&self) -> usize {
                (**self).estimates()
            }
        }
    )*};
}
forward_divergence!(&M, Box<M>, Arc<M>);

/// The derivative of a score along `direction`, `(direction . d/dx) s(x,t)`, by a symmetric difference of two scores
/// `2 displacement` apart, shape `(rows, sites)`.
///
/// `direction` has a row for each of `x`, or one for all. The error is `displacement^2 / 6` times a third derivative, and the
/// rounding of the score over `displacement`.
///
/// ```
/// use sde_core::{ScoreFn, directional_derivative, ndarray::array};
/// let score = ScoreFn(|x: f64, _t: f64| x.powi(3));
/// let found = directional_derivative(&score, array![[2.0, 1.0]].view(), 0.0, array![[1.0, 5.0]].view(), 1e-4)?;
/// assert!((found[(0, 0)] - 12.0).abs() < 1e-7 && (found[(0, 1)] - 15.0).abs() < 1e-5);
/// # Ok::<(), sde_core::EvalError>(())
/// ```
///
/// # Errors
/// Of the score.
///
/// # Panics
/// If the shape of `direction` is another.
pub fn directional_derivative<M: ScoreModel + ?Sized>(
    score: &M,
    x: Batch<'_>,
    t: f64,
    direction: Batch<'_>,
    displacement: f64,
) -> Result<ndarray::Array2<f64>, EvalError> {
    let score_at = |displacement: f64| {
        let mut moved = x.to_owned();
        moved.scaled_add(displacement, &direction);
        let mut out = ndarray::Array2::zeros(x.dim());
        score.score(moved.view(), t, out.view_mut())?;
        Ok::<_, EvalError>(out)
    };
    Ok((score_at(displacement)? - score_at(-displacement)?) / (2.0 * displacement))
}
