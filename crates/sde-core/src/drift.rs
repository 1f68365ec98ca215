//! The stochastic differential equation `dx = K(x,t) dt + g(t) dW` [2.1]: a [`Drift`] is its right-hand side.

use crate::{Batch, BatchMut, EvalError};

/// The right-hand side of `dx = K(x,t) dt + g(t) dW`, with independent white noise on every site [2.1, 5.5].
///
/// An ordinary differential equation is the case `g = 0`, the default. A process that runs towards smaller
/// `t` is integrated with negative steps: [`Reverse`](crate::Reverse) and
/// [`ProbabilityFlow`](crate::ProbabilityFlow) are written per unit of `t`, so `dt < 0`.
///
/// # Laws
/// - Rows are independent: the drift of a row depends on that row and `t` alone.
/// - `out` has the shape of `x`; every element is written.
/// - `strength(t)` is finite and not negative.
///
/// ```
/// use sde_core::{Drift, DriftFn, ndarray::array};
/// // Ornstein-Uhlenbeck: dx = -x dt + sqrt(2) dW
/// let process = DriftFn { drift: |x: f64, _t: f64| -x, strength: |_t: f64| 2f64.sqrt() };
/// let mut k = array![[0.0]];
/// process.drift(array![[3.0]].view(), 0.0, k.view_mut())?;
/// assert_eq!(k[(0, 0)], -3.0);
/// # Ok::<(), sde_core::EvalError>(())
/// ```
pub trait Drift {
    /// Writes `K(x,t)`, shape `(rows, sites)`, into `out`.
    ///
    /// # Errors
    /// [`EvalError`] if the model behind the drift fails.
    fn drift(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError>;

    /// The noise strength `g(t)`.
    fn strength(&self, _t: f64) -> f64 {
        0.0
    }
}

impl<P: Drift + ?Sized> Drift for &P {
    fn drift(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        (**self).drift(x, t, out)
    }

    fn strength(&self, t: f64) -> f64 {
        (**self).strength(t)
    }
}

/// A process that acts on every site alone, from two closures `K(x,t)` and `g(t)`.
#[derive(Clone, Copy, Debug)]
pub struct DriftFn<K, G> {
    /// `K(x,t)`.
    pub drift: K,
    /// `g(t)`.
    pub strength: G,
}

impl<K: Fn(f64, f64) -> f64, G: Fn(f64) -> f64> Drift for DriftFn<K, G> {
    fn drift(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        out.zip_mut_with(&x, |k, &x| *k = (self.drift)(x, t));
        Ok(())
    }

    fn strength(&self, t: f64) -> f64 {
        (self.strength)(t)
    }
}
