//! The data set, and a score learned from it.

use cumulants::{Estimate, Moments, PairwiseMoments, jackknife};
use diffusion::draw;
use rand_pcg::Pcg64;
use score_nets::{
    DenoisingBatches, DenoisingConfig, DirectScore, Mlp, MlpConfig, ResidualBatches, ResidualConfig,
    ResidualScore, Times, TrainConfig, read_published,
};
use sde_core::{Noise, ScoreModel};

use super::{Setup, model};
use crate::Failure;
use crate::training::trained;

/// Training steps of the default net: about 40 seconds. The error that the net adds to the cumulants falls with their
/// root.
const STEPS: u64 = 70_000;
/// Antithetic pairs in its batches, and data points over which each target is averaged: the average takes away six
/// sevenths of the variance that denoising has at the width of the peaks, for half of the time again.
const PAIRS: usize = 256;
const REFERENCES: usize = 512;
/// Epochs of the paper's net (Table 3).
const PAPER_EPOCHS: u64 = 200;
/// Streams of the seed; those of noise are below 100.
const INITIAL_WEIGHTS: u128 = 100;
const BATCHES: u64 = 101;

/// Any score that threads can share.
pub type Score = Box<dyn ScoreModel + Send + Sync>;

/// A learned score, and what its data set knows of the target.
pub struct Learned {
    /// The score.
    pub score: Score,
    /// The data set.
    pub data: Vec<f64>,
    /// Cumulants `kappa_1 .. kappa_8` of the data set.
    pub cumulants: [Estimate; 8],
    /// Second cumulant of the data set, symmetrised: what the net and the prior are told.
    pub kappa_2: f64,
}

impl std::fmt::Debug for Learned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Learned").field("cumulants", &self.cumulants).finish_non_exhaustive()
    }
}

/// Draws the data set and trains a net on it: the default one, or with `--paper` the paper's. With `--load` the weights
/// of a published net take its place.
///
/// # Errors
/// Whatever training refuses: bad data, a diverging loss, a file that holds no such net.
pub fn learn(setup: &Setup) -> Result<Learned, Failure> {
    let drawn = draw(setup.data_points, 1, &Noise::new(setup.seed, 0), |noise, x| model().fill(noise, x));
    let data = drawn.into_raw_vec_and_offset().0;
    let mut moments = PairwiseMoments::<8>::new();
    moments.extend_from_slice(&data);
    // The target is even, and the default net knows: what it learns is the data and their mirror image.
    let bins: Vec<_> = moments.bins().iter().map(Moments::symmetrised).collect();
    let mut cumulants = [Estimate::default(); 8];
    for (k, cumulant) in cumulants.iter_mut().enumerate() {
        *cumulant = jackknife(&bins, |m| m.cumulant(k + 1))?;
    }
    let kappa_2 = cumulants[1].value;
    let score = match &setup.load {
        Some(file) => Box::new(DirectScore::new(read_published(file)?)),
        None if setup.paper => direct(setup, &data)?,
        None => residual(setup, &data)?,
    };
    Ok(Learned { score, data, cumulants, kappa_2 })
}

fn residual(setup: &Setup, data: &[f64]) -> Result<Score, Failure> {
    let config = ResidualConfig {
        pairs: PAIRS,
        references: REFERENCES,
        seed: batch_seed(setup),
        ..ResidualConfig::default()
    };
    let source = ResidualBatches::new(data, config)?;
    let kappa_2 = source.preconditioning().kappa_2;
    let fresh = || Ok(Mlp::new(MlpConfig::residual(), &mut initial(setup))?.with_zero_output());
    let net = trained(source, fresh, TrainConfig::residual(STEPS), Some(&setup.checkpoint))?;
    let largest = data.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let score = ResidualScore::new(net, kappa_2, setup.scheme.schedule.clone())?;
    Ok(Box::new(score.bounded_by(largest)))
}

fn direct(setup: &Setup, data: &[f64]) -> Result<Score, Failure> {
    let config =
        DenoisingConfig { times: Times::PerBatch, seed: batch_seed(setup), ..DenoisingConfig::default() };
    let source = DenoisingBatches::new(data, setup.scheme.schedule.clone(), config)?;
    let steps = PAPER_EPOCHS * source.batches_per_epoch();
    let fresh = || Ok(Mlp::new(MlpConfig::paper(), &mut initial(setup))?);
    let net = trained(source, fresh, TrainConfig::paper(steps), Some(&setup.checkpoint))?;
    Ok(Box::new(DirectScore::new(net)))
}

fn initial(setup: &Setup) -> Pcg64 {
    Pcg64::new(setup.seed.into(), INITIAL_WEIGHTS)
}

fn batch_seed(setup: &Setup) -> u64 {
    setup.seed ^ (BATCHES << 32)
}
