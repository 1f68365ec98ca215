//! What the lattice examples share: options, ensembles with their certificate, the table of observables, and scores.

mod ensemble;
mod generate;
mod options;
mod panels;
mod table;
mod unet;

pub use ensemble::{CHECKPOINT, Ensemble, forget, simulate};
pub use generate::{Model, draw, fit, noise_levels, sample};
pub use options::{LatticeArgs, Protocol, Size};
pub use panels::{action_panel, magnetisation_panel};
pub use table::{Table, table};
pub use unet::{MixedTarget, UnetArgs, UnetScore, learn, scales};
