//! Training behind a progress bar, which goes on from where it was stopped.

use std::ops::ControlFlow;
use std::path::Path;

use score_nets::{AdamConfig, BatchSource, LearningRate, NetError, TrainConfig, Trainer};

use crate::{Failure, Progress};

/// Checkpoints of a training run.
const CHECKPOINTS: u64 = 20;

/// Trains what `new` makes, or goes on from the checkpoint of a run that was stopped: so many `steps`, with a learning rate that rises to
/// `peak` and falls as a cosine.
///
/// # Errors
/// Of a checkpoint that is damaged or of another run, or of a run that diverges.
pub(super) fn train<S: BatchSource>(
    source: S,
    new: impl FnOnce() -> Result<S::Net, NetError>,
    steps: u64,
    peak: f64,
    checkpoint: Option<&Path>,
) -> Result<S::Net, Failure> {
    let config = TrainConfig {
        steps,
        learning_rate: LearningRate::WarmupCosine {
            peak,
            warmup: 200.min(steps / 2),
            total: steps,
            floor: 1e-5,
        },
        adam: AdamConfig { beta_2: 0.99, ..AdamConfig::default() },
        gradient_clip: Some(1.0),
        average_horizon: (steps as f64 / 20.0).max(1.0),
    };
    let mut trainer = match checkpoint.filter(|path| path.exists()) {
        Some(path) => Trainer::resume(path, source, config)?,
        None => Trainer::new(new()?, source, config)?,
    };
    if let Some(path) = checkpoint {
        trainer = trainer.with_checkpoints(path, config.steps.div_ceil(CHECKPOINTS));
    }
    let start = trainer.step();
    let bar = Progress::new("training", config.steps - start, "steps");
    let trained = trainer.train(&mut |news| {
        bar.set(news.step - start);
        ControlFlow::Continue(())
    })?;
    bar.finish();
    Ok(trained.net)
}
