//! Batches of plain denoising score matching, as in the paper [A.3].
//!
//! ```text
//! x_t = f x_0 + sqrt(Xi) z,     loss = E | sqrt(Xi) s(x_t, t) + z |^2 = E Xi ( s(x_t, t) + z / sqrt(Xi) )^2
//! ```
//!
//! so the target is `-z / sqrt(Xi)` and the weight the variance of the noise.

use crate::TrainingBatch;
use crate::batches::DataError;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use sde_core::NoiseSchedule;

/// How times are drawn, uniformly from the smallest time to the horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// One for every sample.
    PerSample,
    /// One for the whole batch, as in the paper's code.
    PerBatch,
}

/// The smallest time of a batch: at `t = 0` the target diverges.
const SMALLEST_TIME: f64 = 1e-5;

/// Batches for a net that answers the score itself; a pure function of data, seed and step. Every epoch goes
/// through the data once, in an order of its own.
#[derive(Clone, Debug)]
pub struct DenoisingBatches<'a, S> {
    data: &'a [f64],
    schedule: S,
    size: usize,
    times: Times,
    seed: u64,
    /// The epoch whose order is at hand, and that order.
    epoch: Option<u64>,
    order: Vec<u32>,
    columns: [Vec<f32>; 4],
}

impl<'a, S: NoiseSchedule> DenoisingBatches<'a, S> {
    /// Batches of `size` data points noised by `schedule`.
    ///
    /// # Errors
    /// [`DataError`] if there is nothing to learn from.
    ///
    /// # Panics
    /// If `size` is zero, or there are more than `2^32` data points.
    pub fn new(
        data: &'a [f64],
        schedule: S,
        size: usize,
        times: Times,
        seed: u64,
    ) -> Result<Self, DataError> {
        assert!(size > 0, "a batch holds at least one sample");
        let points = u32::try_from(data.len()).expect("at most 2^32 data points");
        if data.is_empty() {
            return Err(DataError::Empty);
        }
        if let Some(index) = data.iter().position(|x| !x.is_finite()) {
            return Err(DataError::NotFinite { index, value: data[index] });
        }
        let (order, columns) = ((0..points).collect(), Default::default());
        Ok(Self { data, schedule, size: size.min(data.len()), times, seed, epoch: None, order, columns })
    }

    /// Batches of one epoch; an incomplete last one is left out.
    pub fn steps_per_epoch(&self) -> u64 {
        (self.data.len() / self.size) as u64
    }

    /// The batch of step `step`.
    pub fn batch(&mut self, step: u64) -> TrainingBatch<'_> {
        let (epoch, place) = (step / self.steps_per_epoch(), step % self.steps_per_epoch());
        if self.epoch != Some(epoch) {
            // From the sorted order each time, so that an epoch's order does not depend on the one before.
            self.order.sort_unstable();
            // Even streams order epochs, odd streams noise steps.
            self.order.shuffle(&mut Pcg64::new(u128::from(self.seed), 2 * u128::from(epoch)));
            self.epoch = Some(epoch);
        }
        let mut rng = Pcg64::new(u128::from(self.seed), 2 * u128::from(step) + 1);
        let [x, coordinate, target, weight] = &mut self.columns;
        for column in [&mut *x, &mut *coordinate, &mut *target, &mut *weight] {
            column.clear();
        }
        let horizon = self.schedule.horizon();
        let mut time = rng.random_range(SMALLEST_TIME..horizon);
        for &index in &self.order[place as usize * self.size..][..self.size] {
            if self.times == Times::PerSample {
                time = rng.random_range(SMALLEST_TIME..horizon);
            }
            let kernel = self.schedule.transition(0.0, time);
            let width = kernel.variance.sqrt();
            let z: f64 = rng.sample(StandardNormal);
            x.push((kernel.mean_factor * self.data[index as usize] + width * z) as f32);
            coordinate.push(time as f32);
            target.push((-z / width) as f32);
            weight.push(kernel.variance as f32);
        }
        TrainingBatch { x, coordinate, target, weight }
    }
}
