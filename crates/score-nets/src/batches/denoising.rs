//! Denoising score matching [A.3].
//!
//! Noise the data, ask for the noise back:
//!
//! ```text
//! x = f x_0 + sqrt(Xi) z,   z ~ N(0, 1),   t uniform in [epsilon, T]
//! minimise  E[ Xi ( s(x,t) + z / sqrt(Xi) )^2 ]                                  [A.3]
//! ```
//!
//! The target `-z / sqrt(Xi)` is the score of the kernel; its mean given `x` is the score of `p_t`, so the
//! minimum lies there. The weight `Xi` makes all times count alike.

use super::keyed::{Domain, generator, shuffle, stream};
use super::{BatchBuffer, BatchSource, SourceError, SourceSettings, check_range};
use crate::Mlp;
use crate::data::{check_data, digest_of_data};
use rand::Rng;
use sde_core::{Noise, NoiseSchedule, NormalSource};
use serde::{Deserialize, Serialize};
use std::io;

/// How many times a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Times {
    /// Every sample has its own.
    PerSample,
    /// One for the whole batch, as in the code published with the paper.
    PerBatch,
}

/// Settings of [`DenoisingBatches`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DenoisingConfig {
    /// Samples of one batch.
    pub samples: usize,
    /// How times are drawn.
    pub times: Times,
    /// The earliest time `epsilon`, above 0: the score of the kernel diverges there.
    pub earliest: f64,
    /// Seed of the order of the data, of times and of noise.
    pub seed: u64,
}

impl Default for DenoisingConfig {
    /// 512 samples, one time each, from `1e-5` on, seed 0.
    fn default() -> Self {
        Self { samples: 512, times: Times::PerSample, earliest: 1e-5, seed: 0 }
    }
}

/// Batches for a net that answers the score itself, at coordinate `t`.
///
/// The data are taken in epochs: each epoch is a new shuffle of all of them, cut into whole batches.
///
/// ```
/// use score_nets::{BatchBuffer, BatchSource, DenoisingBatches, DenoisingConfig};
/// use sde_core::VarianceExpanding;
/// let data = [1.0, -1.0].repeat(512);
/// let schedule = VarianceExpanding::new(10.0)?;
/// let mut source = DenoisingBatches::new(&data, schedule, DenoisingConfig::default())?;
/// let mut batch = BatchBuffer::new(512);
/// source.fill(0, &mut batch)?;
/// // x - x_0 = sqrt(Xi) z = -Xi target
/// for i in 0..512 {
///     let x_0 = batch.x[i] + batch.weight[i] * batch.target[i];
///     assert!((x_0.abs() - 1.0).abs() < 1e-5);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DenoisingBatches<S> {
    data: Vec<f32>,
    schedule: S,
    config: DenoisingConfig,
    noise: Noise,
    /// The shuffle in memory and the epoch it belongs to.
    order: Vec<u32>,
    epoch: Option<u64>,
    /// Normals of the current step.
    normals: Vec<f64>,
}

impl<S: NoiseSchedule> DenoisingBatches<S> {
    /// # Errors
    /// [`SourceError`] if a batch is empty, the earliest time is not in `(0, T]`, or the data are fewer than
    /// one batch or not finite.
    pub fn new(data: &[f64], schedule: S, config: DenoisingConfig) -> Result<Self, SourceError> {
        if config.samples == 0 {
            return Err(SourceError::Empty { name: "samples" });
        }
        check_range("earliest", config.earliest, 0.0, schedule.horizon())?;
        check_data(data, config.samples)?;
        Ok(Self {
            data: data.iter().map(|&value| value as f32).collect(),
            schedule,
            config,
            noise: Noise::new(stream(config.seed, Domain::Normals), 0),
            order: (0..data.len() as u32).collect(),
            epoch: None,
            normals: vec![0.0; config.samples],
        })
    }

    /// Whole batches in one pass through the data.
    pub fn batches_per_epoch(&self) -> u64 {
        (self.data.len() / self.config.samples) as u64
    }

    /// Puts the shuffle of `epoch` in memory.
    fn shuffle_for(&mut self, epoch: u64) {
        if self.epoch != Some(epoch) {
            for (place, index) in self.order.iter_mut().enumerate() {
                *index = place as u32;
            }
            shuffle(&mut self.order, &mut generator(self.config.seed, Domain::Epoch, epoch));
            self.epoch = Some(epoch);
        }
    }
}

impl<S: NoiseSchedule> BatchSource for DenoisingBatches<S> {
    type Net = Mlp;

    fn samples(&self) -> usize {
        self.config.samples
    }

    fn buffer(&self) -> BatchBuffer {
        BatchBuffer::new(self.samples())
    }

    fn fill(&mut self, step: u64, batch: &mut BatchBuffer) -> io::Result<()> {
        let samples = self.config.samples;
        assert_eq!(batch.samples(), samples, "the buffer was made for another number of samples");
        let per_epoch = self.batches_per_epoch();
        self.shuffle_for(step / per_epoch);
        let first = (step % per_epoch) as usize * samples;
        self.noise.block(step, 0).fill(0, &mut self.normals);

        let mut rng = generator(self.config.seed, Domain::Step, step);
        let earliest = self.config.earliest;
        let span = self.schedule.horizon() - earliest;
        let mut draw = || span.mul_add(rng.random::<f64>(), earliest);
        let mut t = draw();
        let mut kernel = self.schedule.transition(0.0, t);
        for i in 0..samples {
            if i > 0 && self.config.times == Times::PerSample {
                t = draw();
                kernel = self.schedule.transition(0.0, t);
            }
            let (deviation, z) = (kernel.variance.sqrt(), self.normals[i]);
            let x_0 = f64::from(self.data[self.order[first + i] as usize]);
            batch.x[i] = kernel.mean_factor.mul_add(x_0, deviation * z) as f32;
            batch.coordinate[i] = t as f32;
            batch.target[i] = (-z / deviation) as f32;
            batch.weight[i] = kernel.variance as f32;
        }
        Ok(())
    }

    fn settings(&self) -> SourceSettings {
        let end = self.schedule.transition(0.0, self.schedule.horizon());
        SourceSettings {
            kind: "denoising".into(),
            seed: self.config.seed,
            // The schedule is known by what it does: two points of its kernel.
            config: serde_json::json!({
                "samples": self.config.samples,
                "times": self.config.times,
                "earliest": self.config.earliest,
                "horizon": self.schedule.horizon(),
                "end": [end.mean_factor, end.variance],
                "middle": self.schedule.transition(0.0, 0.5 * self.schedule.horizon()).variance,
            })
            .to_string(),
            data: digest_of_data(&self.data),
        }
    }
}
