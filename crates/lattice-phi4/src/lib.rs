//! Scalar phi^4 theory on a hypercubic lattice.
//!
//! The theory of Sec. 5 of Aarts, Habibi, Wang and Zhou (arXiv:2410.21212), with the action
//!
//! ```text
//! S = sum_x [ -2 kappa sum_nu phi_x phi_{x+nu} + (1 - 2 lambda) phi_x^2 + lambda phi_x^4 ]          [5.4]
//! ```

mod ensemble;
mod ensemble_error;
mod files;
mod fourier;
mod lattice;
mod measurements;
mod min_max;
mod npy;
mod orbits;
mod propagator;
mod sums;

pub use ensemble::{EnsembleMetadata, EnsembleReader, EnsembleWriter, Provenance};
pub use ensemble_error::EnsembleError;
pub use fourier::{FieldTransform, TransformScratch};
pub use lattice::{Lattice, LatticeError};
pub use measurements::{Measurements, Primary};
pub use min_max::{MinMax, MinMaxError};
pub use ndarray;
pub use npy::NpyError;
pub use orbits::Orbits;
pub use propagator::{propagator, two_point_function};
