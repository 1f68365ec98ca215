//! Training behind a progress bar, which goes on from where it was stopped.

use std::ops::ControlFlow;
use std::path::Path;

use score_nets::{BatchSource, TrainConfig, Trainer};

use crate::{Failure, Progress};

/// Checkpoints of a training run.
const CHECKPOINTS: u64 = 50;

/// Trains a `fresh` net, or goes on from the checkpoint of a run that was stopped.
///
/// # Errors
/// Of `fresh`, of a checkpoint that is damaged or of another run, or of a run that diverges.
pub(crate) fn trained<S: BatchSource>(
    source: S,
    fresh: impl FnOnce() -> Result<S::Net, Failure>,
    config: TrainConfig,
    checkpoint: Option<&Path>,
) -> Result<S::Net, Failure> {
    let mut trainer = match checkpoint.filter(|path| path.exists()) {
        Some(path) => Trainer::resume(path, source, config)?,
        None => Trainer::new(fresh()?, source, config)?,
    };
    if let Some(path) = checkpoint {
        trainer = trainer.with_checkpoints(path, config.steps.div_ceil(CHECKPOINTS));
    }
    let start = trainer.step();
    let phase = if start == 0 { "training".into() } else { format!("training, from step {start} on") };
    let bar = Progress::new(phase, config.steps.saturating_sub(start), "steps");
    let trained = trainer.train(&mut |news| {
        bar.set(news.step - start);
        ControlFlow::Continue(())
    })?;
    bar.finish();
    Ok(trained.net)
}
