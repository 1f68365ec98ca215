//! The score `s(x,t) = d/dx log p_t(x)`: what a diffusion model learns, and what turns the noising process
//! round [2.2].

use crate::{Batch, BatchMut, EvalError};
use std::sync::Arc;

/// A model of the score of the noised density `p_t`.
///
/// # Laws
/// - The value of a row depends on that row and `t` alone, not on its neighbours in the batch: results must
///   not change when a batch is cut differently, in parts of an even number of rows. (On lattices two rows may share
///   a Fourier transform, and its rounding.)
/// - `out` has the shape of `x`; every element is written.
///
/// An odd score keeps an even density even.
///
/// ```
/// use sde_core::{ScoreFn, ScoreModel, ndarray::array};
/// // the score of N(0, 1 + t)
/// let score = ScoreFn(|x: f64, t: f64| -x / (1.0 + t));
/// let mut out = array![[0.0], [0.0]];
/// score.score(array![[1.0], [-2.0]].view(), 1.0, out.view_mut())?;
/// assert_eq!(out, array![[-0.5], [1.0]]);
/// # Ok::<(), sde_core::EvalError>(())
/// ```
pub trait ScoreModel {
    /// Writes `grad log p_t(x)`, shape `(rows, sites)`, into `out`.
    ///
    /// # Errors
    /// [`EvalError`] with the backend's error as its source.
    fn score(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError>;
}

macro_rules! forward_score {
    ($($pointer:ty),*) => {$(
        impl<M: ScoreModel + ?Sized> ScoreModel for $pointer {
            fn score(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
                (**self).score(x, t, out)
            }
        }
    )*};
}
forward_score!(&M, Box<M>, Arc<M>);

/// A score that acts on every site alone, from a closure `(x, t) -> s`.
#[derive(Clone, Copy, Debug)]
pub struct ScoreFn<F>(pub F);

impl<F: Fn(f64, f64) -> f64> ScoreModel for ScoreFn<F> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        out.zip_mut_with(&x, |s, &x| *s = (self.0)(x, t));
        Ok(())
    }
}
