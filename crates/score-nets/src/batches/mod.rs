//! Where training examples come from.
//!
//! A [`BatchSource`] writes the batch of a step as a pure function of its own seed and the step's number.
//! Nothing is remembered from one step to the next, so a run resumes at step `n` by asking for step `n`, and
//! the same batch comes whatever was asked for before.

mod denoising;
pub(crate) mod keyed;
mod quantile;
mod references;
mod residual;

pub use denoising::{DenoisingBatches, DenoisingConfig, Times};
pub use residual::{ResidualBatches, ResidualConfig};

use crate::{Net, TrainingBatch};
use serde::{Deserialize, Serialize};
use std::io;

/// The examples of one step, one element per sample in each vector.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchBuffer {
    /// What the net sees.
    pub x: Vec<f32>,
    /// The coordinate of the noise level, see [`Embedding`](crate::Embedding).
    pub coordinate: Vec<f32>,
    /// What the net should answer.
    pub target: Vec<f32>,
    /// How much the squared error counts.
    pub weight: Vec<f32>,
}

impl BatchBuffer {
    /// Room for `samples` examples of weight 1.
    pub fn new(samples: usize) -> Self {
        let zeros = vec![0.0; samples];
        Self { x: zeros.clone(), coordinate: zeros.clone(), target: zeros, weight: vec![1.0; samples] }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.x.len()
    }

    /// The batch as the gradient takes it.
    pub fn view(&self) -> TrainingBatch<'_> {
        TrainingBatch { x: &self.x, coordinate: &self.coordinate, target: &self.target, weight: &self.weight }
    }
}

/// What a source is made of, as a checkpoint records it: two sources of equal settings fill equal batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSettings {
    /// Which source it is.
    pub kind: String,
    /// Its seed.
    pub seed: u64,
    /// Every other setting, as JSON.
    pub config: String,
    /// SHA-256 of the data in hexadecimal.
    pub data: String,
}

/// A stream of training batches.
///
/// # Laws
/// - `fill(step, ..)` depends on the source's settings and `step` alone.
/// - Every element of the buffer is written.
pub trait BatchSource {
    /// The kind of net that the batches are for.
    type Net: Net;

    /// Samples of one batch.
    fn samples(&self) -> usize;

    /// Room for one batch.
    fn buffer(&self) -> <Self::Net as Net>::Batch;

    /// Writes the batch of step `step`.
    ///
    /// # Errors
    /// If its data cannot be read; the batch is then not to be used.
    ///
    /// # Panics
    /// If the buffer holds another number of samples.
    fn fill(&mut self, step: u64, batch: &mut <Self::Net as Net>::Batch) -> io::Result<()>;

    /// What the batches depend on.
    fn settings(&self) -> SourceSettings;
}

/// A source cannot be made from these numbers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SourceError {
    /// There are fewer data than one batch needs.
    #[error("{found} data, fewer than the {needed} of one batch")]
    TooFewData {
        /// Data of one batch.
        needed: usize,
        /// What was given.
        found: usize,
    },
    /// A datum is infinite or not a number.
    #[error("data[{index}] = {value} is not finite")]
    NotFinite {
        /// Its place.
        index: usize,
        /// What was found there.
        value: f64,
    },
    /// A number of samples must be above zero.
    #[error("{name} = 0 must be at least 1")]
    Empty {
        /// Name of the setting.
        name: &'static str,
    },
    /// A setting is out of its domain.
    #[error("{name} = {value} must lie above {low} and be at most {high}")]
    OutOfRange {
        /// Name of the setting.
        name: &'static str,
        /// What was given.
        value: f64,
        /// Open lower end.
        low: f64,
        /// Closed upper end.
        high: f64,
    },
    /// Targets are averaged over whole numbers of references per pair.
    #[error("references = {references} must be a multiple of pairs = {pairs}, or zero")]
    References {
        /// What was given.
        references: usize,
        /// Pairs of a batch.
        pairs: usize,
    },
}

/// Refuses a number outside `(low, high]`.
fn check_range(name: &'static str, value: f64, low: f64, high: f64) -> Result<(), SourceError> {
    if value > low && value <= high {
        Ok(())
    } else {
        Err(SourceError::OutOfRange { name, value, low, high })
    }
}
