//! What the lattice examples share: options, ensembles, and the table of observables.

mod equilibrium;
mod generate;
mod observables;
mod options;

pub use equilibrium::{Ensemble, equilibrium};
pub use generate::{Model, fit, noise_levels, sample};
pub use observables::{Observables, observables};
pub use options::{LatticeArgs, Size};
