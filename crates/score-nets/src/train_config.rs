//! The settings of a training run.

use crate::{AdamConfig, LearningRate};
use serde::{Deserialize, Serialize};

/// How a net is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// Steps of the optimiser.
    pub steps: u64,
    /// The learning rate along them.
    pub learning_rate: LearningRate,
    /// The optimiser's constants.
    pub adam: AdamConfig,
    /// Largest norm of a gradient; longer ones are scaled down.
    pub gradient_clip: Option<f64>,
    /// Steps over which the average of the weights forgets; 1 for no average.
    pub average_horizon: f64,
}

impl TrainConfig {
    /// The recipe for [`ResidualBatches`](crate::ResidualBatches): Adam with betas 0.9 and 0.99, a peak rate of
    /// 3e-3 after 200 steps, a cosine to zero, and an average over a tenth of the run.
    pub fn residual(steps: u64) -> Self {
        let warmup = 200.min(steps / 2);
        Self {
            steps,
            learning_rate: LearningRate::WarmupCosine { peak: 3e-3, warmup, total: steps, floor: 0.0 },
            adam: AdamConfig { beta_2: 0.99, ..AdamConfig::default() },
            gradient_clip: None,
            average_horizon: (steps as f64 / 10.0).max(1.0),
        }
    }

    /// The paper's Table 3: Adam at a constant rate of 1e-4, without an average.
    pub fn paper(steps: u64) -> Self {
        Self {
            steps,
            learning_rate: LearningRate::Constant { rate: 1e-4 },
            adam: AdamConfig::default(),
            gradient_clip: None,
            average_horizon: 1.0,
        }
    }

    /// # Errors
    /// [`TrainConfigError`] for the first setting out of its domain.
    pub(crate) fn validate(&self) -> Result<(), TrainConfigError> {
        let above = |name, value: f64, least: f64| {
            if value.is_finite() && value >= least {
                Ok(())
            } else {
                Err(TrainConfigError { name, value, least })
            }
        };
        above("steps", self.steps as f64, 1.0)?;
        above("average_horizon", self.average_horizon, 1.0)?;
        above("gradient_clip", self.gradient_clip.unwrap_or(1.0), f64::MIN_POSITIVE)?;
        match self.learning_rate {
            LearningRate::Constant { rate } => above("rate", rate, 0.0),
            LearningRate::WarmupCosine { peak, floor, warmup, total } => {
                above("peak", peak, 0.0)?;
                above("floor", floor, 0.0)?;
                above("total", total as f64, warmup as f64)
            }
        }
    }
}

/// A setting of a training run is out of its domain.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{name} = {value} must be finite and at least {least}")]
pub struct TrainConfigError {
    /// Name of the setting.
    pub name: &'static str,
    /// What was given.
    pub value: f64,
    /// The smallest allowed value.
    pub least: f64,
}
