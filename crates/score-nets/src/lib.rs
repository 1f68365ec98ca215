//! Score networks: nets that learn `grad log p_t(x)`, trained and evaluated on a CPU at the speed of hand-written
//! kernels. What is minimised is the error of denoising,
//!
//! ```math
//! E | \sqrt{\Xi} s_\theta(x_t, t) + z |^2 , \quad x_t = f x_0 + \sqrt{\Xi} z \tag*{[A.3]}
//! ```
//!
//! in this form or in one of less variance.
//!
//! In order of reading:
//!
//! 1. [`MlpConfig`], [`Mlp`]: one input, two hidden layers, an [`Embedding`] of the noise level, an
//!    [`Activation`]; the parameters are one flat vector with a [`Layout`] of names.
//! 2. [`FusedMlp`]: the same net packed for evaluation at one noise level, where a net of leaky rectifiers is
//!    a table of straight pieces.
//! 3. [`DirectScore`] and [`ResidualScore`]: nets as [`ScoreModel`](sde_core::ScoreModel)s, and the
//!    [`Preconditioning`] that makes one net serve every schedule.
//! 4. [`loss_and_gradient`], [`Adam`], [`Ema`], [`LearningRate`], [`clip_gradient`]: the parts of a training
//!    step.
//! 5. [`ResidualBatches`] and [`DenoisingBatches`]: score matching as regression; [`Trainer`]: the loop, with
//!    validation, averaging and [`Checkpoint`]s; [`read_published`]: nets saved by PyTorch.
//! 6. [`MlpGraph`]: the same net in candle, for automatic differentiation and other devices.
//! 7. On a lattice: [`OddUnet`] corrects any base score, [`LatticeScore`]; [`FieldBatches`] show it configurations from memory or
//!    disk, with denoising or a [`FieldTarget`] of lower variance; [`information_rates`] say what it has learnt. [`Net`] is what
//!    the loop asks of every net.
//! 8. The paper's net for lattices, to compare with: [`PublishedUnet`], [`FieldDenoisingBatches`], [`PublishedScore`].
//!
//! ```
//! use rand::SeedableRng;
//! use score_nets::*;
//! use sde_core::{ScoreModel, VarianceExpanding, ndarray::array};
//!
//! // a net that has learnt nothing yet: the score of a Gaussian of the same variance
//! let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
//! let mlp = Mlp::new(MlpConfig::residual(), &mut rng)?.with_zero_output();
//! let schedule = VarianceExpanding::new(10.0)?;
//! let score = ResidualScore::new(mlp, 1.0625, schedule)?;
//! let mut s = array![[0.0]];
//! score.score(array![[2.0]].view(), 1.0, s.view_mut())?;
//! assert!((s[(0, 0)] + 2.0 / (1.0625 + 21.497576854210962)).abs() < 1e-12);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod activation;
mod adam;
mod direct;
mod ema;
mod embedding;
mod error;
mod gradient;
mod graph;
mod inference;
mod init;
mod lanes;
mod layout;
mod learning_rate;
mod linear;
mod math;
mod matmul;
mod mlp;
mod net;
mod places;
mod preconditioning;
mod residual;
mod segments;

pub use activation::Activation;
pub use adam::{Adam, AdamConfig, clip_gradient};
pub use direct::DirectScore;
pub use ema::Ema;
pub use embedding::Embedding;
pub use error::NetError;
pub use gradient::{TrainingBatch, Workspace, loss_and_gradient};
pub use graph::{GraphError, MlpGraph};
pub use inference::{Folded, FusedMlp};
pub use layout::{Layout, TensorSpec};
pub use learning_rate::LearningRate;
pub use mlp::{Mlp, MlpConfig};
pub use net::Net;
pub use preconditioning::Preconditioning;
pub use residual::ResidualScore;

// Training: batches, the loop, and what it leaves on disk.
mod batches;
mod checkpoint;
mod data;
mod files;
mod pickle;
mod published;
mod sealed;
mod tensors;
mod train_config;
mod trainer;

pub use batches::{
    BatchBuffer, BatchSource, DenoisingBatches, DenoisingConfig, ResidualBatches, ResidualConfig,
    SourceError, SourceSettings, Times,
};
pub use checkpoint::{Best, Checkpoint, CheckpointError};
pub use pickle::PickleError;
pub use published::{PublishedError, read_published};
pub use tensors::TensorError;
pub use train_config::{TrainConfig, TrainConfigError};
pub use trainer::{Progress, Stop, TrainError, Trained, Trainer, Validation};

// Fields on a lattice.
mod convolution;
mod lattice;

pub use convolution::periodic_convolution;
pub use lattice::{
    Augmentation, ConditionalBatch, ConditionalBatches, ConditionalUnet, ConditionalUnetConfig, Denoising,
    FieldBatch, FieldBatches, FieldBatchesConfig, FieldDenoisingBatches, FieldScales, FieldSourceError,
    FieldTarget, InformationError, InformationRate, LatticeScore, OddUnet, OddUnetConfig, OddUnetGraph,
    PublishedScore, PublishedUnet, PublishedUnetConfig, PublishedUnetGraph, TimedFields, information_rates,
};

pub use candle_core;
pub use candle_nn;
pub use rand;
pub use sde_core::Configurations;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
