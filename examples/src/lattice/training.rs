//! How nets of lattice fields are trained.

use score_nets::{AdamConfig, LearningRate, TrainConfig};

/// So many `steps`, with a learning rate that rises to `peak` and falls as a cosine.
pub(super) fn settings(steps: u64, peak: f64) -> TrainConfig {
    TrainConfig {
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
    }
}
