//! Regression batches for the learned remainder: denoising with the noise taken out where it is known.
//!
//! Denoising score matching regresses the denoiser on the clean value `x_0` (Vincent 2011). Its minimum is the
//! exact denoiser whatever is done to the noise of the target, so the variance can be cut down freely:
//!
//! - *antithetic pairs*: each draw of `x_0`, `V` comes with the noise `z` and with `-z`;
//! - *a Latin hypercube* within each batch, over the quantiles of `V`, of `z`, and of `|x_0|`;
//! - *the sign averaged out*: for an even density `x_0` and `-x_0` are equally likely beforehand, and given `x^`
//!   the mean over both is `x_0 tanh(x^ x_0 / V)`.
//!
//! Noise levels are drawn log-normally, `ln sqrt(V) ~ N(-1, 1.2^2)`, which puts them where the remainder has to
//! be learned: between the width of the narrowest feature and the width of the whole density.

use crate::{Preconditioning, TrainingBatch};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64;
use statrs::function::erf::erf_inv;

/// Mean and standard deviation of `ln sqrt(V)`.
const LOG_NOISE: (f64, f64) = (-1.0, 1.2);
/// Noise levels are kept within these bounds.
const NOISE_BOUNDS: (f64, f64) = (1e-5, 400.0);

/// A data set that cannot be learned from.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum DataError {
    /// There must be data.
    #[error("the data set is empty")]
    Empty,
    /// Data must be finite.
    #[error("data[{index}] = {value} is not finite")]
    NotFinite {
        /// Its position.
        index: usize,
        /// What was found.
        value: f64,
    },
    /// The second moment of the data must be positive and finite.
    #[error("the second moment of the data is zero, or overflows")]
    NoVariance,
}

/// Batches of the remainder `F` of an even density; a pure function of data, seed and step.
#[derive(Clone, Debug)]
pub struct ResidualBatches {
    /// `|x_0|`, sorted.
    magnitudes: Vec<f64>,
    scales: Preconditioning,
    pairs: usize,
    seed: u64,
    columns: [Vec<f32>; 4],
}

impl ResidualBatches {
    /// Batches of `pairs` antithetic pairs drawn from `data`, whose density is taken to be even.
    ///
    /// # Errors
    /// [`DataError`] if there is nothing to learn from.
    ///
    /// # Panics
    /// If `pairs` is zero.
    pub fn new(data: &[f64], pairs: usize, seed: u64) -> Result<Self, DataError> {
        assert!(pairs > 0, "a batch holds at least one pair");
        if data.is_empty() {
            return Err(DataError::Empty);
        }
        if let Some(index) = data.iter().position(|x| !x.is_finite()) {
            return Err(DataError::NotFinite { index, value: data[index] });
        }
        let mut magnitudes: Vec<f64> = data.iter().map(|x| x.abs()).collect();
        magnitudes.sort_unstable_by(f64::total_cmp);
        let kappa_2 = magnitudes.iter().map(|x| x * x).sum::<f64>() / data.len() as f64;
        if !(kappa_2 > 0.0 && kappa_2.is_finite()) {
            return Err(DataError::NoVariance);
        }
        let scales = Preconditioning { kappa_2 };
        let mut columns: [Vec<f32>; 4] = Default::default();
        columns[3] = vec![1.0; 2 * pairs];
        Ok(Self { magnitudes, scales, pairs, seed, columns })
    }

    /// The scales of the remainder: the second moment of the data.
    pub fn scales(&self) -> Preconditioning {
        self.scales
    }

    /// The largest magnitude in the data.
    pub fn largest(&self) -> f64 {
        self.magnitudes[self.magnitudes.len() - 1]
    }

    /// The batch of step `step`.
    pub fn batch(&mut self, step: u64) -> TrainingBatch<'_> {
        let mut rng = Pcg64::new(u128::from(self.seed), u128::from(step));
        // One Latin hypercube in three dimensions: each coordinate has one point in each of `pairs` intervals.
        let mut quantiles = || -> Vec<f64> {
            let mut cells: Vec<usize> = (0..self.pairs).collect();
            cells.shuffle(&mut rng);
            cells.into_iter().map(|cell| (cell as f64 + rng.random::<f64>()) / self.pairs as f64).collect()
        };
        let (of_noise, of_z, of_x) = (quantiles(), quantiles(), quantiles());
        let [x, coordinate, target, weight] = &mut self.columns;
        for column in [&mut *x, &mut *coordinate, &mut *target] {
            column.clear();
        }
        for ((of_noise, of_z), of_x) in of_noise.into_iter().zip(of_z).zip(of_x) {
            let noise = (2.0 * (LOG_NOISE.0 + LOG_NOISE.1 * normal_quantile(of_noise)))
                .exp()
                .clamp(NOISE_BOUNDS.0, NOISE_BOUNDS.1);
            let z = noise.sqrt() * normal_quantile(of_z);
            let place = (of_x * self.magnitudes.len() as f64) as usize;
            let x_0 = self.magnitudes[place.min(self.magnitudes.len() - 1)];
            for noised in [x_0 + z, x_0 - z] {
                let mean = x_0 * (noised * x_0 / noise).tanh();
                x.push((noised * self.scales.input_scale(noise)) as f32);
                coordinate.push(self.scales.coordinate(noise) as f32);
                target.push(self.scales.target(mean, noised, noise) as f32);
            }
        }
        TrainingBatch { x, coordinate, target, weight }
    }
}

/// The inverse of the normal distribution function, finite also at the ends.
fn normal_quantile(u: f64) -> f64 {
    std::f64::consts::SQRT_2 * erf_inv((2.0 * u - 1.0).clamp(-1.0 + 1e-14, 1.0 - 1e-14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_depend_on_seed_and_step_alone() {
        let data: Vec<f64> = (0..1000).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let mut batches = ResidualBatches::new(&data, 64, 3).unwrap();
        let first = batches.batch(5).x.to_vec();
        let other = batches.batch(6).x.to_vec();
        assert!(first != other);
        assert_eq!(first, ResidualBatches::new(&data, 64, 3).unwrap().batch(5).x);
        assert!(first != ResidualBatches::new(&data, 64, 4).unwrap().batch(5).x);
    }

    #[test]
    fn quantiles_are_those_of_the_normal_law() {
        // Abramowitz and Stegun, table 26.1 and 26.5.
        for (u, z) in [(0.5, 0.0), (0.841_344_746_068_542_9, 1.0), (0.977_249_868_051_820_8, 2.0)] {
            assert!((normal_quantile(u) - z).abs() < 1e-12);
            assert!((normal_quantile(1.0 - u) + z).abs() < 1e-12);
        }
        assert!(normal_quantile(0.0).is_finite() && normal_quantile(1.0).is_finite());
    }

    #[test]
    fn bad_data_are_refused() {
        assert_eq!(ResidualBatches::new(&[], 4, 1).unwrap_err(), DataError::Empty);
        assert_eq!(ResidualBatches::new(&[0.0, 0.0], 4, 1).unwrap_err(), DataError::NoVariance);
        let error = ResidualBatches::new(&[1.0, f64::NAN], 4, 1).unwrap_err();
        assert_eq!(error.to_string(), "data[1] = NaN is not finite");
    }
}
