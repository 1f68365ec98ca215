//! Denoising score matching of fields [A.3].
//!
//! ```text
//! x = f phi + sqrt(Xi) z ,   z ~ N(0, 1) at every site ,   t uniform in (epsilon, T]
//! ```
//!
//! for configurations picked at random, each under a random symmetry. Everything is a function of the seed and the step.

use super::{PublishedUnet, TimedFields};
use crate::batches::keyed::{Domain, generator, stream};
use crate::lattice::inspect::inspect;
use crate::lattice::symmetry::Symmetry;
use crate::lattice::{Augmentation, FieldSourceError};
use crate::{BatchSource, DenoisingConfig, NetError, SourceSettings, Times};
use rand::Rng;
use rayon::prelude::*;
use sde_core::{Configurations, Noise, NoiseSchedule, NormalSource};
use std::fmt;
use std::io;

/// Batches for a [`PublishedUnet`].
///
/// ```
/// use score_nets::{Augmentation, BatchSource, DenoisingConfig, FieldDenoisingBatches};
/// use sde_core::{VarianceExpanding, ndarray::Array2};
///
/// let fields = Array2::from_elem((10, 16), 0.5);
/// let config = DenoisingConfig { samples: 8, earliest: 1e-3, ..DenoisingConfig::default() };
/// let schedule = VarianceExpanding::new(25.0)?;
/// let mut source = FieldDenoisingBatches::new(&fields, [4, 4], schedule, Augmentation::SPACE, config)?;
/// let mut batch = source.buffer();
/// source.fill(0, &mut batch)?;
/// // x - phi = sqrt(Xi) z
/// for sample in 0..8 {
///     let noise = schedule.transition(0.0, f64::from(batch.time[sample])).variance.sqrt();
///     let (x, z) = (f64::from(batch.x[16 * sample]), f64::from(batch.noise[16 * sample]));
///     assert!((x - noise * z - 0.5).abs() < 1e-5 * noise.max(1.0));
/// }
/// # use sde_core::NoiseSchedule;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FieldDenoisingBatches<'a, S> {
    configurations: &'a dyn Configurations,
    extents: [usize; 2],
    schedule: S,
    augmentation: Augmentation,
    config: DenoisingConfig,
    noise: Noise,
    data: String,
}

impl<S> fmt::Debug for FieldDenoisingBatches<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldDenoisingBatches")
            .field("extents", &self.extents)
            .field("augmentation", &self.augmentation)
            .field("config", &self.config)
            .field("data", &self.data)
            .finish_non_exhaustive()
    }
}

/// What is drawn for one sample.
struct Draw {
    index: usize,
    symmetry: Symmetry,
    t: f64,
}

impl<'a, S: NoiseSchedule> FieldDenoisingBatches<'a, S> {
    /// Batches of `configurations` of a lattice of these extents. All are read once, to check them and for their digest.
    ///
    /// # Errors
    /// [`FieldSourceError`] if there are none, one cannot be read, is of another size or not finite, or the samples or the
    /// earliest time are out of their domain.
    pub fn new(
        configurations: &'a dyn Configurations,
        extents: [usize; 2],
        schedule: S,
        augmentation: Augmentation,
        config: DenoisingConfig,
    ) -> Result<Self, FieldSourceError> {
        if config.samples == 0 {
            return Err(FieldSourceError::Empty { name: "samples" });
        }
        let horizon = schedule.horizon();
        if !(config.earliest > 0.0 && config.earliest <= horizon) {
            return Err(FieldSourceError::Earliest { value: config.earliest, horizon });
        }
        if extents.contains(&0) {
            return Err(NetError::Empty { name: "extents" }.into());
        }
        let data = inspect(configurations, extents[0] * extents[1])?;
        let noise = Noise::new(stream(config.seed, Domain::Normals), 0);
        Ok(Self { configurations, extents, schedule, augmentation, config, noise, data })
    }

    /// What the samples of a step are made of.
    fn draw(&self, step: u64) -> Vec<Draw> {
        let mut rng = generator(self.config.seed, Domain::Step, step);
        let (earliest, horizon) = (self.config.earliest, self.schedule.horizon());
        let mut draws: Vec<Draw> = (0..self.config.samples)
            .map(|_| Draw {
                index: rng.random_range(0..self.configurations.len() as u64) as usize,
                symmetry: self.augmentation.draw(self.extents, &mut rng),
                // From just above the earliest time to the horizon itself.
                t: (earliest - horizon).mul_add(rng.random::<f64>(), horizon),
            })
            .collect();
        if self.config.times == Times::PerBatch {
            let t = draws[0].t;
            for draw in &mut draws {
                draw.t = t;
            }
        }
        draws
    }
}

impl<S: NoiseSchedule + Sync> BatchSource for FieldDenoisingBatches<'_, S> {
    type Net = PublishedUnet;

    fn samples(&self) -> usize {
        self.config.samples
    }

    fn buffer(&self) -> TimedFields {
        TimedFields::new(self.config.samples, self.extents[0] * self.extents[1])
    }

    fn fill(&mut self, step: u64, batch: &mut TimedFields) -> io::Result<()> {
        let sites = self.extents[0] * self.extents[1];
        assert_eq!(batch.samples(), self.config.samples, "the buffer was made for another number of samples");
        let draws = self.draw(step);
        for (time, draw) in batch.time.iter_mut().zip(&draws) {
            *time = draw.t as f32;
        }
        let rows = batch.x.par_chunks_exact_mut(sites).zip(batch.noise.par_chunks_exact_mut(sites));
        rows.zip(&draws).enumerate().try_for_each_init(
            || [(); 3].map(|()| vec![0.0; sites]),
            |[read, phi, z], (sample, ((x, noise), draw))| {
                self.configurations.read(draw.index, read)?;
                draw.symmetry.apply(self.extents, read, phi);
                self.noise.block(step, (sample * sites) as u64).fill(0, z);
                let kernel = self.schedule.transition(0.0, draw.t);
                let deviation = kernel.variance.sqrt();
                for (((x, noise), phi), z) in x.iter_mut().zip(noise).zip(&*phi).zip(&*z) {
                    *x = kernel.mean_factor.mul_add(*phi, deviation * z) as f32;
                    *noise = *z as f32;
                }
                Ok(())
            },
        )
    }

    fn settings(&self) -> SourceSettings {
        let horizon = self.schedule.horizon();
        let end = self.schedule.transition(0.0, horizon);
        SourceSettings {
            kind: "field-denoising".into(),
            seed: self.config.seed,
            // The schedule is known by what it does: two points of its kernel.
            config: serde_json::json!({
                "samples": self.config.samples,
                "times": self.config.times,
                "earliest": self.config.earliest,
                "extents": self.extents,
                "augmentation": self.augmentation,
                "horizon": horizon,
                "end": [end.mean_factor, end.variance],
                "middle": self.schedule.transition(0.0, 0.5 * horizon).variance,
            })
            .to_string(),
            data: self.data.clone(),
        }
    }
}
