//! The training loop.
//!
//! ```text
//! batch(n)  ->  loss, gradient  ->  clip  ->  Adam at rate(n)  ->  average
//! ```
//!
//! Every part is a function of the seeds and the step `n`: the same settings give the same bits, in one go or
//! through any number of checkpoints. The result is the exponential average of the weights, or, when held-out
//! batches are given, the average with the smallest loss on them.

use crate::checkpoint::Best;
use crate::{
    Adam, BatchSource, Checkpoint, CheckpointError, Ema, Mlp, Net, TrainConfig, TrainConfigError,
    clip_gradient,
};
use sde_core::{Communicator, Solo};
use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// When to measure the loss on held-out batches, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation {
    /// Steps from one validation to the next, at least 1.
    pub every: u64,
    /// Number of held-out batches, at least 1: those of steps `0..batches` of the held-out source.
    pub batches: u64,
    /// Early stopping: end after this many validations in a row without a new best one.
    pub patience: Option<u64>,
}

/// News of a training run, once per step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps made.
    pub step: u64,
    /// Loss of this step's batch.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Loss of the averaged weights on the held-out batches, if they were tried after this step.
    pub validation: Option<f64>,
}

/// Why a run ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All steps were made.
    Finished,
    /// Validation did not improve any more.
    Patience,
    /// The progress callback asked for it.
    Interrupted,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained<N = Mlp> {
    /// The averaged net: of the best validation, or without one, of the last step.
    pub net: N,
    /// Steps made.
    pub step: u64,
    /// Why it ended.
    pub stop: Stop,
    /// The best validation.
    pub best: Option<Best>,
}

/// Training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError<N: Net = Mlp> {
    /// The loss or the gradient became infinite or not a number.
    #[error("training diverged at step {step}: the loss is {loss}, the norm of the gradient {gradient_norm}")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss found there.
        loss: f64,
        /// The norm of the gradient found there.
        gradient_norm: f64,
        /// The last averaged net known to be good; the trainer is left with its weights.
        last_good: Box<N>,
    },
    /// A checkpoint could not be written.
    #[error("the run stopped at a checkpoint")]
    Checkpoint(#[from] CheckpointError),
    /// The data of a batch could not be read.
    #[error("the data of step {step} cannot be read")]
    Data {
        /// The step.
        step: u64,
        /// Why.
        source: io::Error,
    },
}

/// Steps over which losses are averaged to tell whether the net is still good.
const WATCH: u64 = 100;

/// A net in training.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{BatchSource, Mlp, MlpConfig, ResidualBatches, ResidualConfig, Stop, TrainConfig, Trainer};
/// use std::ops::ControlFlow;
/// let data: Vec<f64> = (0..1000).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
/// let source = ResidualBatches::new(&data, ResidualConfig { pairs: 64, seed: 1, ..ResidualConfig::default() })?;
/// let net = Mlp::new(MlpConfig::residual(), &mut rand_pcg::Pcg64::seed_from_u64(1))?.with_zero_output();
/// let mut trainer = Trainer::new(net, source, TrainConfig::residual(300))?;
/// let (mut first, mut last) = (0.0, 0.0);
/// let trained = trainer.train(&mut |progress| {
///     if progress.step == 1 { first = progress.loss } else { last = progress.loss }
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(trained.stop, Stop::Finished);
/// assert!(last < 0.5 * first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Trainer<'a, S: BatchSource> {
    communicator: &'a dyn Communicator,
    config: TrainConfig,
    source: S,
    net: S::Net,
    adam: Adam,
    ema: Ema,
    step: u64,
    validation: Option<HeldOut<BatchOf<S>>>,
    best: Option<(Best, Vec<f32>)>,
    worse: u64,
    checkpoints: Option<(PathBuf, u64)>,
}

/// The batches of a source.
type BatchOf<S> = <<S as BatchSource>::Net as Net>::Batch;
type WorkspaceOf<S> = <<S as BatchSource>::Net as Net>::Workspace;

/// Batches to validate on.
struct HeldOut<B> {
    settings: Validation,
    batches: Vec<B>,
}

impl<B> Debug for HeldOut<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldOut").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<'a, S: BatchSource> Trainer<'a, S> {
    /// A run that has made no step.
    ///
    /// # Errors
    /// [`TrainConfigError`] if a setting is out of its domain.
    pub fn new(net: S::Net, source: S, config: TrainConfig) -> Result<Self, TrainConfigError> {
        config.validate()?;
        let adam = Adam::new(config.adam, net.parameters().len());
        let ema = Ema::new(config.average_horizon, net.parameters());
        Ok(Self {
            communicator: &Solo,
            config,
            source,
            net,
            adam,
            ema,
            step: 0,
            validation: None,
            best: None,
            worse: 0,
            checkpoints: None,
        })
    }

    /// Goes on from a checkpoint at `path`, with the same source and settings; only `steps` may differ.
    ///
    /// # Errors
    /// [`CheckpointError`] if the checkpoint cannot be read, or was of another run.
    pub fn resume(path: impl AsRef<Path>, source: S, config: TrainConfig) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let saved = Checkpoint::<S::Net>::read(path)?;
        let steps = config.steps;
        compare(path, "train", &config, &TrainConfig { steps, ..saved.train })?;
        compare(path, "source", &source.settings(), &saved.source)?;
        let net = S::Net::from_parameters(saved.net, saved.weights)
            .map_err(|source| CheckpointError::Net { file: path.into(), source })?;
        let adam = Adam {
            config: config.adam,
            steps: saved.step,
            first_moment: saved.first_moment,
            second_moment: saved.second_moment,
        };
        let ema = Ema { horizon: config.average_horizon, updates: saved.step, average: saved.average };
        Ok(Self {
            communicator: &Solo,
            config,
            source,
            net,
            adam,
            ema,
            step: saved.step,
            validation: None,
            best: saved.best.zip(saved.best_weights),
            worse: saved.worse,
            checkpoints: None,
        })
    }

    /// Keeps the average with the smallest loss on batches of `held_out`.
    ///
    /// # Errors
    /// If the data of these batches cannot be read.
    ///
    /// # Panics
    /// If the interval or the number of batches is zero.
    pub fn with_validation(
        mut self,
        validation: Validation,
        held_out: &mut dyn BatchSource<Net = S::Net>,
    ) -> io::Result<Self> {
        assert!(validation.every > 0 && validation.batches > 0, "validation needs batches and an interval");
        let batches = (0..validation.batches).map(|step| {
            let mut batch = held_out.buffer();
            held_out.fill(step, &mut batch).map(|()| batch)
        });
        let batches = batches.collect::<io::Result<_>>()?;
        self.validation = Some(HeldOut { settings: validation, batches });
        Ok(self)
    }

    /// Writes a checkpoint to `path` after every `every` steps and at the end.
    ///
    /// # Panics
    /// If the interval is zero.
    #[must_use]
    pub fn with_checkpoints(mut self, path: impl Into<PathBuf>, every: u64) -> Self {
        assert!(every > 0, "checkpoints need an interval");
        self.checkpoints = Some((path.into(), every));
        self
    }

    /// Shares the work of every step with other processes, which train the same net on the same batches. All of them end
    /// with the same weights, which do not depend on how many they are; the first one writes checkpoints.
    #[must_use]
    pub fn on(mut self, communicator: &'a dyn Communicator) -> Self {
        self.communicator = communicator;
        self
    }

    /// Steps made so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The net as the optimiser has it, not averaged.
    pub fn net(&self) -> &S::Net {
        &self.net
    }

    /// The whole state of the run.
    pub fn checkpoint(&self) -> Checkpoint<S::Net> {
        Checkpoint {
            net: self.net.config().clone(),
            train: self.config,
            source: self.source.settings(),
            step: self.step,
            best: self.best.as_ref().map(|(best, _)| *best),
            worse: self.worse,
            weights: self.net.parameters().to_vec(),
            average: self.ema.average.clone(),
            first_moment: self.adam.first_moment.clone(),
            second_moment: self.adam.second_moment.clone(),
            best_weights: self.best.as_ref().map(|(_, weights)| weights.clone()),
        }
    }

    /// Makes the remaining steps; `progress` hears of each and can stop the run.
    ///
    /// # Errors
    /// [`TrainError::Diverged`] when a loss or gradient is not finite, with the last good weights restored;
    /// [`TrainError::Checkpoint`] when a checkpoint cannot be written.
    pub fn train(
        &mut self,
        progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Trained<S::Net>, TrainError<S::Net>> {
        let mut workspace = self.net.workspace();
        let mut gradient = vec![0.0; self.net.parameters().len()];
        let mut batch = self.source.buffer();
        let mut watch = Watch::new(&self.ema.average);
        let mut stop = Stop::Finished;
        while self.step < self.config.steps {
            if let Err(source) = self.source.fill(self.step, &mut batch) {
                return Err(TrainError::Data { step: self.step, source });
            }
            let loss = f64::from(self.net.loss_and_gradient_on(
                self.communicator,
                &batch,
                &mut workspace,
                &mut gradient,
            ));
            let gradient_norm = clip_gradient(&mut gradient, self.config.gradient_clip.unwrap_or(f64::MAX));
            if !loss.is_finite() || !gradient_norm.is_finite() {
                return Err(self.diverged(loss, gradient_norm, watch));
            }
            watch.see(self.step, loss, &self.ema.average);
            let rate = self.config.learning_rate.at(self.step);
            self.adam.step(rate, self.net.parameters_mut(), &gradient);
            self.ema.update(self.net.parameters());
            self.step += 1;

            let validation = self.validate(&mut workspace, &mut gradient);
            if let Some((path, every)) = &self.checkpoints
                && self.communicator.is_first()
                && (self.step.is_multiple_of(*every) || self.step == self.config.steps)
            {
                self.checkpoint().write(path)?;
            }
            if progress(Progress { step: self.step, loss, gradient_norm, validation }).is_break() {
                stop = Stop::Interrupted;
                break;
            }
            let patience = self.validation.as_ref().and_then(|held_out| held_out.settings.patience);
            if patience.is_some_and(|patience| self.worse >= patience) {
                stop = Stop::Patience;
                break;
            }
        }
        let best = self.best.as_ref();
        let net = self.with_parameters(best.map_or(&self.ema.average, |(_, weights)| weights));
        Ok(Trained { net, step: self.step, stop, best: best.map(|(best, _)| *best) })
    }

    /// The loss of the averaged net on the held-out batches, when it is time.
    fn validate(&mut self, workspace: &mut WorkspaceOf<S>, gradient: &mut [f32]) -> Option<f64> {
        let HeldOut { settings, batches } = self.validation.as_ref()?;
        if !self.step.is_multiple_of(settings.every) {
            return None;
        }
        let averaged = self.with_parameters(&self.ema.average);
        let sum: f64 = batches
            .iter()
            .map(|batch| {
                f64::from(averaged.loss_and_gradient_on(self.communicator, batch, workspace, gradient))
            })
            .sum();
        let loss = sum / batches.len() as f64;
        if loss < self.best.as_ref().map_or(f64::INFINITY, |(best, _)| best.loss) {
            self.best = Some((Best { step: self.step, loss }, self.ema.average.clone()));
            self.worse = 0;
        } else {
            self.worse += 1;
        }
        Some(loss)
    }

    /// Puts the last good weights back.
    fn diverged(&mut self, loss: f64, gradient_norm: f64, watch: Watch) -> TrainError<S::Net> {
        let good = self.best.as_ref().map_or(watch.good, |(_, weights)| weights.clone());
        let last_good = Box::new(self.with_parameters(&good));
        self.net.clone_from(&last_good);
        self.ema.average = good;
        TrainError::Diverged { step: self.step, loss, gradient_norm, last_good }
    }

    fn with_parameters(&self, parameters: &[f32]) -> S::Net {
        let mut net = self.net.clone();
        net.parameters_mut().copy_from_slice(parameters);
        net
    }
}

/// Remembers the averaged weights from when the losses were last in order.
///
/// Weights can be ruined long before the loss overflows, so a record is made only while the mean loss of the
/// last [`WATCH`] steps is at most twice the smallest such mean.
struct Watch {
    good: Vec<f32>,
    smallest: f64,
    sum: f64,
}

impl Watch {
    fn new(weights: &[f32]) -> Self {
        Self { good: weights.to_vec(), smallest: f64::INFINITY, sum: 0.0 }
    }

    fn see(&mut self, step: u64, loss: f64, average: &[f32]) {
        self.sum += loss;
        if step % WATCH == WATCH - 1 {
            if self.sum <= 2.0 * self.smallest {
                self.good.copy_from_slice(average);
            }
            self.smallest = self.smallest.min(self.sum);
            self.sum = 0.0;
        }
    }
}

/// Refuses to resume with another setting.
fn compare<T: PartialEq + Debug>(
    file: &Path,
    field: &'static str,
    expected: &T,
    found: &T,
) -> Result<(), CheckpointError> {
    if expected == found {
        return Ok(());
    }
    let (expected, found) = differing(&format!("{expected:?}"), &format!("{found:?}"));
    Err(CheckpointError::Setting { file: file.into(), field, expected, found })
}

/// The settings that differ, or all of them if they are not the same ones.
fn differing(expected: &str, found: &str) -> (String, String) {
    let pairs: Vec<_> = expected.split(", ").zip(found.split(", ")).filter(|(a, b)| a != b).collect();
    if pairs.is_empty() || expected.split(", ").count() != found.split(", ").count() {
        return (expected.into(), found.into());
    }
    let (expected, found): (Vec<&str>, Vec<&str>) = pairs.into_iter().unzip();
    (expected.join(", "), found.join(", "))
}
