//! The training loop.

use crate::{
    Adam, AdamConfig, Ema, LearningRate, Mlp, TrainingBatch, Workspace, clip_gradient, loss_and_gradient,
};
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
    /// Largest norm of a gradient, if it is to be clipped.
    pub clip: Option<f64>,
    /// Steps over which the average of the weights forgets; without it the last weights are the result.
    pub average: Option<f64>,
}

impl TrainConfig {
    /// The recipe for [`ResidualBatches`](crate::ResidualBatches): Adam with betas 0.9 and 0.99, a peak rate of
    /// 3e-3 after 200 steps, a cosine to zero, and an average over a tenth of the run.
    pub fn residual(steps: u64) -> Self {
        Self {
            steps,
            learning_rate: LearningRate::WarmupCosine {
                peak: 3e-3,
                warmup: 200.min(steps),
                total: steps,
                floor: 0.0,
            },
            adam: AdamConfig { beta_2: 0.99, ..AdamConfig::default() },
            clip: None,
            average: Some((steps as f64 / 10.0).max(1.0)),
        }
    }

    /// The paper's Table 3: Adam at a constant rate of 1e-4.
    pub fn paper(steps: u64) -> Self {
        Self {
            steps,
            learning_rate: LearningRate::Constant { rate: 1e-4 },
            adam: AdamConfig::default(),
            clip: None,
            average: None,
        }
    }
}

/// Training failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// The loss or the gradient became infinite or not a number.
    #[error("training diverged at step {step}: the loss is {loss}, the norm of the gradient {norm}")]
    Diverged {
        /// The step.
        step: u64,
        /// The loss found there.
        loss: f32,
        /// The norm of the gradient found there.
        norm: f64,
        /// The net as it was when last recorded with finite weights.
        last_good: Box<Mlp>,
    },
}

/// Steps between two records of a good net.
const RECORD: u64 = 1000;

/// Trains `mlp` on the batches that `batch` makes of a step's number and a visitor.
///
/// `progress` hears of every step and its loss.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{Mlp, MlpConfig, ResidualBatches, TrainConfig, train};
/// let data: Vec<f64> = (0..1000).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
/// let mut batches = ResidualBatches::new(&data, 64, 1)?;
/// let net = Mlp::new(MlpConfig::residual(), &mut rand_pcg::Pcg64::seed_from_u64(1))?.with_zero_output();
/// let (mut first, mut last) = (0.0, 0.0);
/// let net = train(net, &TrainConfig::residual(300), |step, learn| learn(batches.batch(step)), |step, loss| {
///     if step == 0 { first = loss } else { last = loss }
/// })?;
/// assert!(last < 0.5 * first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`TrainError::Diverged`], with the last good net.
pub fn train(
    mut mlp: Mlp,
    config: &TrainConfig,
    mut batch: impl FnMut(u64, &mut dyn FnMut(TrainingBatch<'_>)),
    mut progress: impl FnMut(u64, f32),
) -> Result<Mlp, TrainError> {
    let mut adam = Adam::new(config.adam, mlp.parameters().len());
    let mut ema = config.average.map(|horizon| Ema::new(horizon, mlp.parameters()));
    let mut workspace = Workspace::new(&mlp);
    let mut gradient = vec![0.0; mlp.parameters().len()];
    let mut last_good = mlp.clone();
    for step in 0..config.steps {
        let mut loss = f32::NAN;
        batch(step, &mut |batch| loss = loss_and_gradient(&mlp, batch, &mut workspace, &mut gradient));
        let norm = clip_gradient(&mut gradient, config.clip.unwrap_or(f64::MAX));
        if !loss.is_finite() || !norm.is_finite() {
            return Err(TrainError::Diverged { step, loss, norm, last_good: Box::new(last_good) });
        }
        if step % RECORD == 0 {
            last_good.parameters_mut().copy_from_slice(mlp.parameters());
        }
        adam.step(config.learning_rate.at(step), mlp.parameters_mut(), &gradient);
        if let Some(ema) = &mut ema {
            ema.update(mlp.parameters());
        }
        progress(step, loss);
    }
    if let Some(ema) = ema {
        mlp.parameters_mut().copy_from_slice(&ema.average);
    }
    Ok(mlp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DenoisingBatches, MlpConfig, Times};
    use rand::SeedableRng;
    use sde_core::VarianceExpanding;

    fn net() -> Mlp {
        Mlp::new(MlpConfig::paper(), &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap()
    }

    fn data() -> Vec<f64> {
        (0..10_000).map(|i| f64::from(i % 2) * 2.0 - 1.0 + 0.25 * f64::from(i).sin()).collect()
    }

    #[test]
    fn a_diverging_net_gives_back_the_last_good_one() {
        let data = data();
        let schedule = VarianceExpanding::new(10.0).unwrap();
        let mut batches = DenoisingBatches::new(&data, schedule, 64, Times::PerSample, 1).unwrap();
        let mut config = TrainConfig::paper(5000);
        config.learning_rate = LearningRate::Constant { rate: 1e15 };
        let error = train(net(), &config, |step, learn| learn(batches.batch(step)), |_, _| ());
        let TrainError::Diverged { step, last_good, .. } = error.unwrap_err();
        assert!(step > 0 && step < 1000);
        assert_eq!(*last_good, net());
    }

    #[test]
    fn plain_score_matching_comes_near_its_least_loss() {
        // The least loss is that of the exact score: E Xi (s + z/sqrt(Xi))^2 is what the posterior leaves open,
        // between 0 (no noise) and 1 (the noise of the data hides nothing). Training must come within 5 % of
        // the exact score's own loss on the same batches.
        let model = sde_core::TwoPeak::new(1.0, 0.25).unwrap();
        let mut data = vec![0.0; 50_000];
        model.fill(&sde_core::Noise::new(1, 0).block(0, 0), &mut data);
        let schedule = VarianceExpanding::new(10.0).unwrap();
        let mut batches = DenoisingBatches::new(&data, schedule, 512, Times::PerSample, 1).unwrap();
        let mut config = TrainConfig::paper(3000);
        config.learning_rate = LearningRate::Constant { rate: 2e-3 };
        config.average = Some(300.0);
        let net = train(net(), &config, |step, learn| learn(batches.batch(step)), |_, _| ()).unwrap();
        let (mut learned, mut exact) = (0.0, 0.0);
        let mut workspace = Workspace::new(&net);
        let mut gradient = vec![0.0; net.parameters().len()];
        for step in 1_000_000..1_000_040 {
            let batch = batches.batch(step);
            learned += f64::from(loss_and_gradient(&net, batch, &mut workspace, &mut gradient)) / 40.0;
            for i in 0..batch.x.len() {
                let noised = model.noised(sde_core::NoiseSchedule::transition(
                    &schedule,
                    0.0,
                    f64::from(batch.coordinate[i]),
                ));
                let (mu, v, x) = (noised.mu(), noised.sigma().powi(2), f64::from(batch.x[i]));
                let score = (mu * (mu * x / v).tanh() - x) / v;
                let error = score - f64::from(batch.target[i]);
                exact += f64::from(batch.weight[i]) * error * error / (40.0 * batch.x.len() as f64);
            }
        }
        assert!(exact > 0.1 && learned / exact < 1.05 && learned / exact > 0.99, "{learned} {exact}");
    }

    #[test]
    fn the_same_seed_gives_the_same_bits() {
        let data = data();
        let run = || {
            let mut batches = crate::ResidualBatches::new(&data, 32, 9).unwrap();
            let net = Mlp::new(MlpConfig::residual(), &mut rand_pcg::Pcg64::seed_from_u64(1)).unwrap();
            train(net, &TrainConfig::residual(50), |step, learn| learn(batches.batch(step)), |_, _| ())
        };
        assert_eq!(run().unwrap(), run().unwrap());
    }
}
