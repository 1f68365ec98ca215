//! The data set, and a score learned from it.

use cumulants::{Estimate, Moments, PairwiseMoments, jackknife};
use diffusion::draw;
use rand_pcg::Pcg64;
use score_nets::{
    DenoisingBatches, DirectScore, Mlp, MlpConfig, ResidualBatches, ResidualScore, Times, TrainConfig, train,
};
use sde_core::{Noise, ScoreModel};

use super::{Setup, model};
use crate::{Failure, Progress};

/// Training steps of the default net, about a minute. The error that the net adds to the cumulants falls with their
/// root.
const STEPS: u64 = 240_000;
/// Antithetic pairs in its batches; an odd net sees each twice.
const PAIRS: usize = 128;
/// Batch size and epochs of the paper's net (Table 3).
const PAPER_BATCH: usize = 512;
const PAPER_EPOCHS: u64 = 200;
/// Streams of the seed; those of noise are below 100.
const INITIAL_WEIGHTS: u128 = 100;
const BATCHES: u64 = 101;

/// A learned score, and what its data set knows of the target.
pub struct Learned {
    /// The score.
    pub score: Box<dyn ScoreModel + Send + Sync>,
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

/// Draws the data set and trains a net on it: the default one, or with `--paper` the paper's.
///
/// # Errors
/// Whatever training refuses: bad data, a diverging loss.
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
    let score: Box<dyn ScoreModel + Send + Sync> =
        if setup.paper { direct(setup, &data)? } else { residual(setup, &data)? };
    Ok(Learned { score, data, cumulants, kappa_2 })
}

fn residual(setup: &Setup, data: &[f64]) -> Result<Box<dyn ScoreModel + Send + Sync>, Failure> {
    let mut batches = ResidualBatches::new(data, PAIRS, setup.seed ^ (BATCHES << 32))?;
    let (kappa_2, largest) = (batches.scales().kappa_2, batches.largest());
    let mut rng = Pcg64::new(setup.seed.into(), INITIAL_WEIGHTS);
    let net = Mlp::new(MlpConfig::residual(), &mut rng)?.with_zero_output();
    let progress = Progress::new("training", STEPS, "steps");
    let net = train(
        net,
        &TrainConfig::residual(STEPS),
        |step, learn| learn(batches.batch(step)),
        |step, _loss| progress.set(step),
    )?;
    progress.finish();
    Ok(Box::new(ResidualScore::new(net, kappa_2, setup.scheme.schedule.clone())?.bounded_by(largest)))
}

fn direct(setup: &Setup, data: &[f64]) -> Result<Box<dyn ScoreModel + Send + Sync>, Failure> {
    let schedule = &setup.scheme.schedule;
    let seed = setup.seed ^ (BATCHES << 32);
    let mut batches = DenoisingBatches::new(data, schedule, PAPER_BATCH, Times::PerBatch, seed)?;
    let steps = PAPER_EPOCHS * batches.steps_per_epoch();
    let mut rng = Pcg64::new(setup.seed.into(), INITIAL_WEIGHTS);
    let progress = Progress::new("training, the paper's net", steps, "steps");
    let net = train(
        Mlp::new(MlpConfig::paper(), &mut rng)?,
        &TrainConfig::paper(steps),
        |step, learn| learn(batches.batch(step)),
        |step, _loss| progress.set(step),
    )?;
    progress.finish();
    Ok(Box::new(DirectScore::new(net)))
}
