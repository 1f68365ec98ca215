//! Batches for a net on top of a base.
//!
//! ```text
//! ln s uniform between the ends of the table, one in each of n equal slices of it
//! x = phi + s z ,   inputs D_base / sqrt(1 - r^2), x / sqrt(1 + s^2) ,   target ( T - D_base ) / r
//! ```
//!
//! in units of the standard deviation of the field. Everything is a function of the seed and the step.

use super::inspect::inspect;
use super::odd_unet::INPUTS;
use super::symmetry::Symmetry;
use super::{Augmentation, Denoising, FieldBatch, FieldScales, FieldTarget};
use crate::batches::keyed::{Domain, generator, stream};
use crate::{BatchSource, NetError, OddUnet, SourceSettings};
use rand::Rng;
use rayon::prelude::*;
use sde_core::ndarray::{ArrayView2, ArrayViewMut2};
use sde_core::{Configurations, EvalError, Noise, NormalSource, ScoreModel};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;

/// Settings of [`FieldBatches`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldBatchesConfig {
    /// Samples of one batch.
    pub samples: usize,
    /// Symmetries that configurations are shown under.
    pub augmentation: Augmentation,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

impl Default for FieldBatchesConfig {
    /// 64 samples, all symmetries but the sign, seed 0.
    fn default() -> Self {
        Self { samples: 64, augmentation: Augmentation::SPACE, seed: 0 }
    }
}

/// Batches cannot be made of these configurations.
#[derive(Debug, thiserror::Error)]
pub enum FieldSourceError {
    /// There are no configurations, or no samples in a batch.
    #[error("{name} = 0 must be at least 1")]
    Empty {
        /// What there is none of.
        name: &'static str,
    },
    /// The scales are out of their domain, or of another lattice.
    #[error(transparent)]
    Scales(#[from] NetError),
    /// A configuration cannot be read.
    #[error("configuration {index} cannot be read")]
    Read {
        /// Its number.
        index: usize,
        /// Why.
        source: io::Error,
    },
    /// A value is infinite or not a number.
    #[error("configuration {index}: value {value} at site {site} is not finite")]
    NotFinite {
        /// Number of the configuration.
        index: usize,
        /// The site.
        site: usize,
        /// What was found there.
        value: f64,
    },
    /// The earliest time must lie between zero and the horizon.
    #[error("earliest = {value} must lie above 0 and be at most {horizon}")]
    Earliest {
        /// What was given.
        value: f64,
        /// The last time of the schedule.
        horizon: f64,
    },
    /// The base score cannot be evaluated.
    #[error("the base score fails on the first configuration")]
    Base(#[from] EvalError),
}

/// Batches for an [`OddUnet`] on top of a base score.
///
/// The base is under [`Edm`](sde_core::Edm), whose time is the noise in units of the field itself.
///
/// ```
/// use score_nets::{BatchSource, FieldBatches, FieldBatchesConfig, FieldScales};
/// use sde_core::{ScoreFn, ndarray::Array2};
///
/// // white noise of variance one, and its exact score: nothing is left to learn but noise of variance one
/// let mut fields = Array2::zeros((100, 64));
/// let noise = sde_core::Noise::new(1, 0);
/// sde_core::NormalSource::fill(&noise.block(0, 0), 0, fields.as_slice_mut().unwrap());
/// let base = ScoreFn(|x: f64, s: f64| -x / (1.0 + s * s));
/// let table: Vec<f64> = (0..40).map(|i| 0.1 * 1.1f64.powi(i)).collect();
/// let width = table.iter().map(|s| s / (1.0 + s * s).sqrt()).collect();
/// let scales = FieldScales { extents: [8, 8], deviation: 1.0, noise: table, width };
/// let mut source = FieldBatches::new(&fields, &base, scales, FieldBatchesConfig::default())?;
/// let mut batch = source.buffer();
/// source.fill(0, &mut batch).expect("arrays can be read");
/// let square = batch.target.iter().map(|t| t * t).sum::<f32>() / batch.target.len() as f32;
/// assert!((square - 1.0).abs() < 0.1);
/// # Ok::<(), score_nets::FieldSourceError>(())
/// ```
pub struct FieldBatches<'a> {
    configurations: &'a dyn Configurations,
    base: &'a (dyn ScoreModel + Sync),
    target: &'a dyn FieldTarget,
    scales: FieldScales,
    config: FieldBatchesConfig,
    noise: Noise,
    data: String,
}

impl fmt::Debug for FieldBatches<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldBatches")
            .field("scales", &self.scales)
            .field("config", &self.config)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// What is drawn for one sample.
struct Draw {
    index: usize,
    symmetry: Symmetry,
    s: f64,
}

/// Fields of one sample, in units of the field.
struct Scratch {
    read: Vec<f64>,
    phi: Vec<f64>,
    x: Vec<f64>,
    score: Vec<f64>,
    target: Vec<f64>,
}

impl<'a> FieldBatches<'a> {
    /// Batches of `configurations`, with denoising as the target.
    ///
    /// All configurations are read once, to check them and for their digest.
    ///
    /// # Errors
    /// [`FieldSourceError`] if there are none, one cannot be read, is of another size or not finite, or a setting is out of
    /// its domain.
    pub fn new(
        configurations: &'a dyn Configurations,
        base: &'a (dyn ScoreModel + Sync),
        scales: FieldScales,
        config: FieldBatchesConfig,
    ) -> Result<Self, FieldSourceError> {
        scales.validate()?;
        if config.samples == 0 {
            return Err(FieldSourceError::Empty { name: "samples" });
        }
        let data = inspect(configurations, scales.sites())?;
        let source = Self {
            configurations,
            base,
            target: &Denoising,
            scales,
            noise: Noise::new(stream(config.seed, Domain::Normals), 0),
            config,
            data,
        };
        source.sample(0, &source.draw(0)[0], &mut source.scratch())?;
        Ok(source)
    }

    /// The same batches with another target.
    #[must_use]
    pub fn with_target(mut self, target: &'a dyn FieldTarget) -> Self {
        self.target = target;
        self
    }

    /// What the samples of a step are made of.
    fn draw(&self, step: u64) -> Vec<Draw> {
        let (low, high) = self.scales.range();
        let mut rng = generator(self.config.seed, Domain::Step, step);
        let samples = self.config.samples;
        let draw = |sample: usize| {
            let u = (sample as f64 + rng.random::<f64>()) / samples as f64;
            Draw {
                index: rng.random_range(0..self.configurations.len() as u64) as usize,
                symmetry: self.config.augmentation.draw(self.scales.extents, &mut rng),
                s: low * (high / low).powf(u),
            }
        };
        (0..samples).map(draw).collect()
    }

    fn scratch(&self) -> Scratch {
        let field = vec![0.0; self.scales.sites()];
        Scratch {
            read: field.clone(),
            phi: field.clone(),
            x: field.clone(),
            score: field.clone(),
            target: field,
        }
    }

    /// Makes one sample: `x`, the base's score and the target are left in `work`.
    fn sample(&self, at: u64, draw: &Draw, work: &mut Scratch) -> Result<(), EvalError> {
        let sites = self.scales.sites();
        let noise = self.scales.deviation * draw.s;
        self.configurations.read(draw.index, &mut work.read).map_err(EvalError::new)?;
        draw.symmetry.apply(self.scales.extents, &work.read, &mut work.phi);
        let (step, sample) = (at / self.config.samples as u64, at % self.config.samples as u64);
        self.noise.block(step, sample * sites as u64).fill(0, &mut work.x);
        work.x.iter_mut().zip(&work.phi).for_each(|(x, phi)| *x = noise.mul_add(*x, *phi));
        let x = ArrayView2::from_shape((1, sites), &work.x).expect("one row");
        let score = ArrayViewMut2::from_shape((1, sites), &mut work.score).expect("one row");
        self.base.score(x, noise, score)?;
        self.target.write(&work.phi, &work.x, noise, &mut work.target);
        Ok(())
    }
}

impl BatchSource for FieldBatches<'_> {
    type Net = OddUnet;

    fn samples(&self) -> usize {
        self.config.samples
    }

    fn buffer(&self) -> FieldBatch {
        FieldBatch::new(self.config.samples, self.scales.sites())
    }

    fn fill(&mut self, step: u64, batch: &mut FieldBatch) -> io::Result<()> {
        let (samples, sites) = (self.config.samples, self.scales.sites());
        assert_eq!(batch.samples(), samples, "the buffer was made for another number of samples");
        let draws = self.draw(step);
        for (log_noise, draw) in batch.log_noise.iter_mut().zip(&draws) {
            *log_noise = draw.s.ln() as f32;
        }
        let rows =
            batch.inputs.par_chunks_exact_mut(INPUTS * sites).zip(batch.target.par_chunks_exact_mut(sites));
        let first = step * samples as u64;
        let made: Result<Vec<()>, EvalError> = rows
            .zip(&draws)
            .enumerate()
            .map_init(
                || self.scratch(),
                |work, (sample, ((inputs, target), draw))| {
                    self.sample(first + sample as u64, draw, work)?;
                    let noise = self.scales.deviation * draw.s;
                    let [of_base, of_x] =
                        self.scales.input_factors(draw.s).map(|f| f / self.scales.deviation);
                    let scale = 1.0 / (self.scales.deviation * self.scales.width_at(draw.s));
                    let (denoised, noised) = inputs.split_at_mut(sites);
                    for site in 0..sites {
                        let (x, score) = (work.x[site], work.score[site]);
                        let base = (noise * noise).mul_add(score, x);
                        denoised[site] = (of_base * base) as f32;
                        noised[site] = (of_x * x) as f32;
                        target[site] = (scale * (work.target[site] - base)) as f32;
                    }
                    Ok(())
                },
            )
            .collect();
        made.map(|_| ()).map_err(io::Error::other)
    }

    fn settings(&self) -> SourceSettings {
        // Base and target are known by what they do to the first sample.
        let mut work = self.scratch();
        let tested = self.sample(0, &self.draw(0)[0], &mut work);
        let rms = |field: &[f64]| (field.iter().map(|x| x * x).sum::<f64>() / field.len() as f64).sqrt();
        let known = tested.map_or([f64::NAN; 2], |()| [rms(&work.score), rms(&work.target)]);
        SourceSettings {
            kind: "fields".into(),
            seed: self.config.seed,
            config: serde_json::json!({
                "samples": self.config.samples,
                "augmentation": self.config.augmentation,
                "fields": self.scales,
                "base": format!("{:.6e}", known[0]),
                "target": format!("{:.6e}", known[1]),
            })
            .to_string(),
            data: self.data.clone(),
        }
    }
}
