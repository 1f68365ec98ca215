//! Nets on a periodic lattice that learn what a simpler score leaves over.
//!
//! Let `x = phi + s z`, in units of the standard deviation of the field. Any score `s_base` has a denoised field,
//! `D_base = x + s^2 s_base(x)`; a net `N` corrects it,
//!
//! ```text
//! D(x; s) = D_base + r(s) N( D_base, x; ln s ) ,        score(x) = ( D - x ) / s^2 ,
//! ```
//!
//! with `r(s)` the width of what a Gaussian field leaves unknown, [`FieldScales`]. The square loss
//!
//! ```text
//! mean over sites of  [ ( T - D_base ) / r(s) - N ]^2
//! ```
//!
//! is smallest where `D = E[T | x]`, for any target `T` with the conditional mean of `phi`, see [`FieldTarget`].
//!
//! **What a correction is worth.** By the I-MMSE relation (Guo, Shamai and Verdu 2005) the Kullback-Leibler divergence of
//! the data from the model falls along the noise as the squared error of denoising does, [`information_rates`].
//!
//! Beside it stands the net that the paper uses, which has to learn all of the score: [`PublishedUnet`].

mod conditional_unet;
mod field_batches;
mod information;
mod inspect;
mod lattice_score;
mod modulate;
mod odd_unet;
mod odd_unet_graph;
mod pack;
mod parameters;
mod published_unet;
mod scales;
mod symmetry;
mod target;

pub use conditional_unet::{ConditionalBatch, ConditionalBatches, ConditionalUnet, ConditionalUnetConfig};
pub use field_batches::{FieldBatches, FieldBatchesConfig, FieldSourceError};
pub use information::{InformationError, InformationRate, information_rates};
pub use lattice_score::LatticeScore;
pub use odd_unet::{FieldBatch, OddUnet, OddUnetConfig};
pub use odd_unet_graph::OddUnetGraph;
pub use published_unet::{
    FieldDenoisingBatches, PublishedScore, PublishedUnet, PublishedUnetConfig, PublishedUnetGraph,
    TimedFields,
};
pub use scales::FieldScales;
pub use symmetry::Augmentation;
pub use target::{Denoising, FieldTarget};

use crate::convolution::numbers;
