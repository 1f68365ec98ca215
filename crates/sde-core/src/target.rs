//! A density known up to its norm, `p(x) = exp(-S(x)) / Z`.

use crate::{Batch, BatchMut};
use ndarray::ArrayViewMut1;

/// A density `p(x)` proportional to `exp(-S(x))`, given by its action `S` and the force `-dS/dx`.
///
/// # Laws
/// - `force` is minus the gradient of `action`; [`TwoPeak`](crate::TwoPeak) is an example.
/// - Rows are independent.
pub trait Target {
    /// Degrees of freedom of one configuration: the second length of every batch.
    fn sites(&self) -> usize;

    /// Writes the action `S` of every row of `x`, shape `(rows, sites)`, into `out`, shape `(rows,)`.
    fn action(&self, x: Batch<'_>, out: ArrayViewMut1<'_, f64>);

    /// Writes the force `-dS/dx` into `out`, shape `(rows, sites)`.
    fn force(&self, x: Batch<'_>, out: BatchMut<'_>);
}

impl<T: Target + ?Sized> Target for &T {
    fn sites(&self) -> usize {
        (**self).sites()
    }

    fn action(&self, x: Batch<'_>, out: ArrayViewMut1<'_, f64>) {
        (**self).action(x, out);
    }

    fn force(&self, x: Batch<'_>, out: BatchMut<'_>) {
        (**self).force(x, out);
    }
}
