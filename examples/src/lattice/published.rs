//! The net of the paper, which learns all of the score by denoising alone: for comparison.

use std::path::Path;

use lattice_phi4::{MinMax, SpectralScore, Spectrum};
use ndarray::Array2;
use rand::SeedableRng;
use rand_pcg::Pcg64;
use score_nets::{
    Augmentation, DenoisingConfig, FieldDenoisingBatches, PublishedScore, PublishedUnet, PublishedUnetConfig,
};
use sde_core::{Batch, BatchMut, Edm, EvalError, NoiseSchedule, ScoreModel, VarianceExpanding};

use super::training::settings;
use super::{SIGMA, schedule};
use crate::Failure;
use crate::training::trained;

/// Samples of one batch, as published.
const SAMPLES: usize = 64;
/// The highest learning rate.
const PEAK: f64 = 1e-3;
/// The earliest time that the net sees.
const EARLIEST: f64 = 1e-3;

/// The score of a net that was trained on normalised fields `phi / scale` under the paper's `g = 25^t`, as a function of the noise `s` on
/// the field itself:
///
/// ```text
/// Xi(t) = (s / scale)^2 ,       score(x; s) = N( x / scale, t ) / s .
/// ```
///
/// For more noise than `Xi(1)`, which the net has not seen, it is the Gaussian one.
#[derive(Clone, Debug)]
pub struct PublishedField {
    score: PublishedScore<VarianceExpanding>,
    gaussian: SpectralScore<Edm>,
    schedule: VarianceExpanding,
    scale: f64,
}

impl ScoreModel for PublishedField {
    fn score(&self, x: Batch<'_>, s: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let noise = (s / self.scale).powi(2);
        if noise > self.schedule.transition(0.0, 1.0).variance {
            return self.gaussian.score(x, s, out);
        }
        let t = self.schedule.time_at(noise).max(EARLIEST);
        self.score.score(x.mapv(|x| x / self.scale).view(), t, out.view_mut())?;
        out /= self.scale;
        Ok(())
    }
}

/// Trains the paper's net on an ensemble for so many `steps`, or goes on from the checkpoint of a run that was stopped.
///
/// # Errors
/// Of an ensemble that is not of 32 x 32 sites, of a checkpoint that is damaged or of another run, or of a run that diverges.
pub fn learn_published(
    spectrum: &Spectrum,
    fields: &Array2<f64>,
    steps: u64,
    seed: u64,
    checkpoint: Option<&Path>,
) -> Result<PublishedField, Failure> {
    let scale = MinMax::of(fields.view())?.scale();
    let normalised = fields / scale;
    let schedule_of_net = VarianceExpanding::new(SIGMA)?;
    let net = PublishedUnetConfig { frequency_seed: seed, ..PublishedUnetConfig::paper() };
    let config = DenoisingConfig { samples: SAMPLES, earliest: EARLIEST, seed, ..DenoisingConfig::default() };
    let source =
        FieldDenoisingBatches::new(&normalised, net.extents, schedule_of_net, Augmentation::ALL, config)?;
    let fresh = || Ok(PublishedUnet::new(net, &mut Pcg64::seed_from_u64(seed))?);
    let net = trained(source, fresh, settings(steps, PEAK), checkpoint)?;
    Ok(PublishedField {
        score: PublishedScore::new(net, schedule_of_net),
        gaussian: SpectralScore::new(spectrum, schedule(spectrum)?),
        schedule: schedule_of_net,
        scale,
    })
}
