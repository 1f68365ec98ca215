//! Batches for the part of a score that is not Gaussian.
//!
//! In the coordinates `x / f` at noise variance `V` a net `F` corrects the denoiser of a Gaussian of the same
//! `kappa_2`, see [`Preconditioning`]: the target of `F` has a variance of order one at every `V`. All
//! schedules share it, so noise levels are drawn where they matter, not where a schedule puts them:
//!
//! ```text
//! ln sigma ~ N(m, d^2),   V = sigma^2,   x = x_0 + sigma z,   minimise E[ (F - target(x_0, x, V))^2 ]
//! ```
//!
//! The gradient's noise is what limits precision, so every batch is stratified:
//!
//! - the quantiles of `sigma`, `z` and `x_0` form a Latin hypercube (McKay, Beckman and Conover 1979): each
//!   of `n` equal slices of each of the three is hit once;
//! - pairs are antithetic, `z` and `-z` at the same `x_0` and `sigma`;
//! - data of an even density are folded to `|x_0|`, and the target is averaged over both signs given `x`:
//!   `x_0 -> x_0 tanh(x x_0 / V)`;
//! - at choice, targets are averaged over further data points, with the weights that `x` gives them.
//!
//! All of these leave the mean of the target at given `x` and `V`, and with it the minimum, where it was.

use super::keyed::{Domain, generator, shuffle};
use super::quantile::to_normal;
use super::references::{LANES, mean_deviations};
use super::{BatchBuffer, BatchSource, SourceError, SourceSettings, check_range};
use crate::data::{check_data, digest_of_data};
use crate::{Mlp, Preconditioning};
use rand::Rng;
use rand_pcg::Pcg64;
use serde::{Deserialize, Serialize};
use std::io;

/// Settings of [`ResidualBatches`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResidualConfig {
    /// Antithetic pairs of one batch: half its samples.
    pub pairs: usize,
    /// Mean `m` of `ln sigma`.
    pub log_sigma_mean: f64,
    /// Standard deviation `d` of `ln sigma`.
    pub log_sigma_deviation: f64,
    /// `V` is clamped to this from below.
    pub smallest_variance: f64,
    /// `V` is clamped to this from above.
    pub largest_variance: f64,
    /// Whether the density is even; then the net must be odd, for only `x_0 >= 0` is shown.
    pub even: bool,
    /// Data points over which each target is averaged, a multiple of `pairs`; 0 for no average.
    pub references: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Default for ResidualConfig {
    /// 256 pairs, `ln sigma ~ N(-1, 1.2^2)`, `V` in `[1e-5, 400]`, an even density, no references, seed 0.
    fn default() -> Self {
        Self {
            pairs: 256,
            log_sigma_mean: -1.0,
            log_sigma_deviation: 1.2,
            smallest_variance: 1e-5,
            largest_variance: 400.0,
            even: true,
            references: 0,
            seed: 0,
        }
    }
}

/// Batches for the net behind [`ResidualScore`](crate::ResidualScore).
///
/// ```
/// use score_nets::{BatchBuffer, BatchSource, ResidualBatches, ResidualConfig};
/// let data = [1.1, -1.0, 0.9, -1.0].repeat(256);
/// let mut source = ResidualBatches::new(&data, ResidualConfig::default())?;
/// assert!((source.preconditioning().kappa_2 - 1.005).abs() < 1e-12);
/// let mut batch = BatchBuffer::new(source.samples());
/// source.fill(7, &mut batch).expect("the data are in memory");
/// assert!(batch.target.iter().all(|target| target.is_finite()));
/// # Ok::<(), score_nets::SourceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResidualBatches {
    /// Ascending; absolute values if the density is even.
    sorted: Vec<f32>,
    config: ResidualConfig,
    preconditioning: Preconditioning,
    scratch: Scratch,
}

/// One column per pair, then the same for both members of all pairs.
#[derive(Clone, Debug)]
struct Scratch {
    order: Vec<u32>,
    normal: Vec<f64>,
    origin: Vec<f32>,
    references: Vec<f32>,
    x: Vec<f32>,
    variance: Vec<f32>,
    deviation: Vec<f32>,
}

impl ResidualBatches {
    /// # Errors
    /// [`SourceError`] if a setting is out of its domain, there are fewer data than pairs or than
    /// references, or a datum is not finite.
    pub fn new(data: &[f64], config: ResidualConfig) -> Result<Self, SourceError> {
        let ResidualConfig { pairs, references, .. } = config;
        if pairs == 0 {
            return Err(SourceError::Empty { name: "pairs" });
        }
        if !references.is_multiple_of(pairs) || !references.is_multiple_of(LANES) {
            return Err(SourceError::References { references, pairs });
        }
        check_range("log_sigma_deviation", config.log_sigma_deviation, 0.0, f64::MAX)?;
        check_range("log_sigma_mean", config.log_sigma_mean, f64::MIN, f64::MAX)?;
        check_range("smallest_variance", config.smallest_variance, 0.0, config.largest_variance)?;
        check_range("largest_variance", config.largest_variance, 0.0, 1e6)?;
        check_data(data, pairs.max(references))?;
        let kappa_2 = data.iter().map(|x| x * x).sum::<f64>() / data.len() as f64;
        check_range("kappa_2", kappa_2, 0.0, f64::MAX)?;
        let fold = |&x: &f64| if config.even { x.abs() as f32 } else { x as f32 };
        let mut sorted: Vec<f32> = data.iter().map(fold).collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let scratch = Scratch {
            order: vec![0; pairs],
            normal: vec![0.0; 2 * pairs],
            origin: vec![0.0; pairs],
            references: vec![0.0; references],
            x: vec![0.0; 2 * pairs],
            variance: vec![0.0; 2 * pairs],
            deviation: vec![0.0; 2 * pairs],
        };
        Ok(Self { sorted, config, preconditioning: Preconditioning { kappa_2 }, scratch })
    }

    /// The Gaussian part, with the second moment of the data as `kappa_2`.
    pub fn preconditioning(&self) -> Preconditioning {
        self.preconditioning
    }

    /// Draws one datum from every one of `into.len()` equal slices of the sorted data, in ascending order.
    fn draw_data(sorted: &[f32], rng: &mut Pcg64, into: &mut [f32]) {
        let width = sorted.len() as f64 / into.len() as f64;
        for (slice, datum) in into.iter_mut().enumerate() {
            let place = width * (slice as f64 + rng.random::<f64>());
            *datum = sorted[(place as usize).min(sorted.len() - 1)];
        }
    }

    /// Fills [`Scratch`] with the pairs of one step.
    fn draw(&mut self, step: u64) {
        let Self { sorted, config, scratch, .. } = self;
        let pairs = config.pairs;
        let mut rng = generator(config.seed, Domain::Step, step);
        // sigma and z; the slices of sigma stay in order, the other two are shuffled against it
        for (half, column) in scratch.normal.chunks_exact_mut(pairs).enumerate() {
            for (place, slice) in scratch.order.iter_mut().enumerate() {
                *slice = place as u32;
            }
            if half > 0 {
                shuffle(&mut scratch.order, &mut rng);
            }
            for (u, &slice) in column.iter_mut().zip(&scratch.order) {
                // at least 2^-54 away from both ends
                let within = rng.random::<f64>().clamp(2f64.powi(-40), 1.0 - 2f64.powi(-40));
                *u = (f64::from(slice) + within) / pairs as f64;
            }
        }
        to_normal(&mut scratch.normal);
        shuffle(&mut scratch.order, &mut rng);
        if config.references == 0 {
            Self::draw_data(sorted, &mut rng, &mut scratch.origin);
        } else {
            Self::draw_data(sorted, &mut rng, &mut scratch.references);
            // every reference is equally likely to be the origin, as the mean over them requires
            let members = config.references / pairs;
            for (origin, group) in scratch.origin.iter_mut().zip(scratch.references.chunks_exact(members)) {
                *origin = group[rng.random_range(0..members as u32) as usize];
            }
        }
        let (log_sigma, z) = scratch.normal.split_at(pairs);
        for pair in 0..pairs {
            let log_sigma = config.log_sigma_deviation.mul_add(log_sigma[pair], config.log_sigma_mean);
            let variance = crate::math::exp((2.0 * log_sigma) as f32)
                .clamp(config.smallest_variance as f32, config.largest_variance as f32);
            let origin = f64::from(scratch.origin[scratch.order[pair] as usize]);
            let shift = f64::from(variance).sqrt() * z[pair];
            for (i, shift) in [(pair, shift), (pairs + pair, -shift)] {
                scratch.variance[i] = variance;
                scratch.x[i] = (origin + shift) as f32;
                scratch.deviation[i] = (origin - f64::from(scratch.x[i])) as f32;
            }
        }
    }

    /// Replaces `x_0 - x` by its mean over what is known: references, or the two signs.
    fn average_targets(&mut self) {
        let s = &mut self.scratch;
        if self.config.references > 0 {
            mean_deviations(&s.x, &s.variance, &s.references, self.config.even, &mut s.deviation);
        } else if self.config.even {
            for ((deviation, &x), &variance) in s.deviation.iter_mut().zip(&s.x).zip(&s.variance) {
                // x_0 tanh(x x_0 / V) - x_0 = -2 x_0 / (1 + exp(2 x x_0 / V))
                let origin = *deviation + x;
                *deviation -= 2.0 * origin * crate::math::sigmoid(-2.0 * x * origin / variance);
            }
        }
    }
}

impl BatchSource for ResidualBatches {
    type Net = Mlp;

    fn samples(&self) -> usize {
        2 * self.config.pairs
    }

    fn buffer(&self) -> BatchBuffer {
        BatchBuffer::new(self.samples())
    }

    fn fill(&mut self, step: u64, batch: &mut BatchBuffer) -> io::Result<()> {
        assert_eq!(batch.samples(), self.samples(), "the buffer was made for another number of samples");
        self.draw(step);
        self.average_targets();
        let s = &self.scratch;
        for i in 0..batch.samples() {
            let (x, variance) = (f64::from(s.x[i]), f64::from(s.variance[i]));
            let x_0 = x + f64::from(s.deviation[i]);
            batch.x[i] = (self.preconditioning.input_scale(variance) * x) as f32;
            batch.coordinate[i] = self.preconditioning.coordinate(variance) as f32;
            batch.target[i] = self.preconditioning.target(x_0, x, variance) as f32;
        }
        batch.weight.fill(1.0);
        Ok(())
    }

    fn settings(&self) -> SourceSettings {
        SourceSettings {
            kind: "residual".into(),
            seed: self.config.seed,
            config: serde_json::json!(self.config).to_string(),
            data: digest_of_data(&self.sorted),
        }
    }
}
