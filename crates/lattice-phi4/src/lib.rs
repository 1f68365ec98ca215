//! Scalar phi^4 theory on a hypercubic lattice.
//!
//! The theory of Sec. 5 of Aarts, Habibi, Wang and Zhou (arXiv:2410.21212), with the action
//!
//! ```math
//! S = \sum_x [ -2 \kappa \sum_\nu \phi_x \phi_{x+\nu} + (1 - 2 \lambda) \phi_x^2 + \lambda \phi_x^4 ] \tag*{[5.4]}
//! ```
//!
//! **Theory.** A [`Lattice`] and two couplings make a [`Phi4`], which is a `Target` of `sde-core`. [`Couplings`] convert to
//! the other conventions in use.
//!
//! **Simulation.** An [`Update`] leaves `exp(-S)` invariant; [`Chains`] run a schedule of updates side by side:
//!
//! | update | moves | good for |
//! | --- | --- | --- |
//! | [`Hmc`] | all sites along a trajectory | magnitudes; everything away from criticality |
//! | [`FourierHmc`] | the same, each mode with its own mass | nearly free theories near criticality |
//! | [`Wolff`], [`SwendsenWang`] | signs of clusters | criticality, both signs of the ordered phase |
//! | [`Metropolis`], [`Overrelaxation`] | one site after another | comparison |
//!
//! [`equilibrium`] and [`paper`] are protocols made of them.
//!
//! **Measurement.** [`Measurements`] hold primary quantities of every configuration, an [`Observable`] is a function of their
//! means, [`propagator`] and [`two_point_function`] resolve momenta and distances by [`Orbits`] of the lattice symmetry. A
//! [`Certificate`] says whether an ensemble is in equilibrium. [`EnsembleWriter`] and [`EnsembleReader`] keep it on disk.
//!
//! **Scores.** A noised ensemble has the Gaussian [`SpectralScore`] [5.16], and corrections to it in perturbation theory, the
//! [`PerturbativeScore`]; [`WhitenedFlow`] is its probability flow in coordinates where the Gaussian part stands still.
//! [`FittedScore`] keeps them on disk, [`PerturbativeModel::interpolated`] and [`on_lattice`](PerturbativeModel::on_lattice) carry
//! them to couplings and sizes where nothing was fitted.
//!
//! **Sampling.** A [`FieldPrior`] is where the backward process starts, [`Ancestral`] its step with the posterior variance of
//! every mode. A [`PathSampler`] draws fields that way and weighs them, so that they are exact whatever the score, or proposes them to
//! [`Chains`] of other updates ([`PathSampler::refresh`]); [`PathCosts`] say where its steps should go.
//!
//! **Files.** All that reads and writes files needs the feature `files`: [`EnsembleWriter`], [`EnsembleReader`],
//! [`EnsembleFields`], [`FittedScore`], and of a [`Production`] what saves, resumes and merges.

#![cfg_attr(
    not(feature = "files"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "links to what reads and writes files are checked with it"
    )
)]

mod ancestral;
mod certificate;
mod cluster;
mod constraint_potential;
mod domain_score;
mod dual_averaging;
mod feature_traces;
mod features;
mod field_prior;
#[cfg(feature = "files")]
mod files;
mod fit;
mod fourier;
mod fourier_hmc;
mod hmc;
mod kernel;
mod lattice;
mod measurements;
mod metropolis;
mod min_max;
mod observable;
mod orbits;
mod overrelaxation;
mod pairs;
mod path_costs;
mod path_weights;
mod perturbative;
mod phi4;
mod pointwise;
mod positive;
mod powers;
mod production;
mod propagator;
mod protocol;
mod regression;
mod rows;
mod spectrum;
mod sums;
mod transfer;
mod update;
mod whitened;

pub use ancestral::Ancestral;
pub use certificate::{Certificate, Check, Evidence, Requirement, Verdict};
pub use cluster::{SwendsenWang, Wolff};
pub use constraint_potential::{ConstraintPotential, ZeroModePosterior};
pub use domain_score::{DomainError, DomainScore};
pub use dual_averaging::DualAveraging;
pub use features::Feature;
pub use field_prior::FieldPrior;
#[cfg(feature = "files")]
pub use files::{
    EnsembleError, EnsembleFields, EnsembleMetadata, EnsembleReader, EnsembleWriter, FittedScore, MergeError,
    NpyError, Provenance, ScoreFileError,
};
pub use fit::{FitConfig, FitError};
pub use fourier::{FieldTransform, TransformScratch};
pub use fourier_hmc::FourierHmc;
pub use hmc::{Hmc, Leap};
pub use lattice::{Lattice, LatticeError};
pub use measurements::{Measurements, Primary};
pub use metropolis::Metropolis;
pub use min_max::{MinMax, MinMaxError};
pub use ndarray;
pub use observable::{Observable, Probe};
pub use orbits::Orbits;
pub use overrelaxation::Overrelaxation;
pub use path_costs::PathCosts;
pub use path_weights::{PathError, PathSampler, WeightedFields};
pub use perturbative::{Level, PerturbativeModel, PerturbativeScore};
pub use phi4::{Couplings, KineticCouplings, Phi4, Phi4Error};
pub use production::{Production, Run};
pub use propagator::{propagator, two_point_function};
pub use protocol::{ProtocolError, Simulation, Start, equilibrium, paper};
pub use spectrum::{SpectralScore, Spectrum, SpectrumError};
pub use transfer::TransferError;
pub use update::{Chains, Draws, Report, Summary, Update, pieces};
pub use whitened::WhitenedFlow;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
