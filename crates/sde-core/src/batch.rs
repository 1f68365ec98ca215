//! The one array convention of the workspace.

use ndarray::{ArrayView2, ArrayViewMut2};

/// A batch of configurations, shape `(rows, sites)`, row-major and contiguous: rows are independent
/// trajectories, sites the degrees of freedom of one.
///
/// A model with one degree of freedom has `sites = 1`, an `L x L` lattice `sites = L * L`.
pub type Batch<'a> = ArrayView2<'a, f64>;

/// A mutable [`Batch`].
pub type BatchMut<'a> = ArrayViewMut2<'a, f64>;

/// The numbers of a batch as one slice, row after row.
///
/// # Panics
/// If the batch is not contiguous in row-major order.
pub fn values<'a>(x: &'a Batch<'_>) -> &'a [f64] {
    x.as_slice().expect("a batch is contiguous and row-major")
}

/// The numbers of a mutable batch as one slice, row after row.
///
/// # Panics
/// If the batch is not contiguous in row-major order.
pub fn values_mut<'a>(x: &'a mut BatchMut<'_>) -> &'a mut [f64] {
    x.as_slice_mut().expect("a batch is contiguous and row-major")
}
