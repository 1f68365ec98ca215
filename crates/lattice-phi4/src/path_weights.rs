//! Generated fields with the weights that make them exact.
//!
//! A sampler starts from a prior `r(x_K)` and steps down through `q_k(x_(k-1) | x_k)` to a field `x_0`. The noising process
//! `p_k(x_k | x_(k-1))`, started from the target `exp(-S)`, runs the same paths the other way. With the ratio of the two
//!
//! ```text
//! w = exp(-S(x_0)) prod_k p_k(x_k | x_(k-1)) / [ r(x_K) prod_k q_k(x_(k-1) | x_k) ]
//! ```
//!
//! as the weight of a path, means over generated fields are means over the target, and
//!
//! ```text
//! E[w] = Z ,     E[w O(x_0)] / E[w] = <O>                                                  (Jarzynski; Neal 2001)
//! ```
//!
//! whatever the score, the prior and the number of steps: they decide how unequal the weights are, and nothing else. With the
//! exact score of a Gaussian field all paths have the same weight, `Z` itself.
//!
//! Given a field of the target, the noising process makes a path above it, whose weight is that of the same formula: over such
//! paths `E[1/w] = 1/Z`. So the weight of any field can be drawn, and a Markov chain can mix updates of its own with fresh paths: a field
//! `x_0` with a path above it is a state of the density `exp(-S) prod_k p_k`, local updates of `x_0` are followed by a new path above
//! it, and another path altogether is accepted with probability `min(1, w'/w)`.

use crate::update::mixed;
use crate::{Ancestral, Chains, FieldPrior, Phi4, Spectrum};
use ndarray::{Array1, Array2};
use rand::Rng;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use sde_core::{
    Batch, BatchMut, EvalError, Noise, NoiseSchedule, Reverse, ScoreModel, Step, Target, TimeGrid, values_mut,
};
use std::ops::Range;

/// Values in a block: large enough that preparing a noise level costs little.
const BLOCK: usize = 1 << 16;
/// Streams of the noise.
const PRIOR: u64 = 0;
const STEPS: u64 = 1;
const RETRACED: u64 = 2;
/// Tells the seeds of fresh paths from those of other updates.
const FRESH: u64 = 0x6672_6573_6820_7061;

/// Fields that cannot be weighed.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// The target is one of other configurations.
    #[error("target: configurations of {found} sites, the spectrum has {expected}")]
    Sites {
        /// Sites of the spectrum.
        expected: usize,
        /// Sites of the target.
        found: usize,
    },
    /// The fields are of another number of sites.
    #[error("fields: configurations of {found} sites, the spectrum has {expected}")]
    Fields {
        /// Sites of the spectrum.
        expected: usize,
        /// Sites of the fields.
        found: usize,
    },
    /// A path, and with it its weight, ran into an infinity or a NaN: the score does not keep it where the data are.
    #[error("path {row}: ln w = {log_weight} is not finite")]
    NotFinite {
        /// Its row.
        row: usize,
        /// What became of its weight.
        log_weight: f64,
    },
    /// Of the score.
    #[error(transparent)]
    Score(#[from] EvalError),
}

/// What generates paths: a prior and ancestral steps.
///
/// ```
/// use lattice_phi4::{FieldPrior, Lattice, PathSampler, Phi4, SpectralScore, Spectrum};
/// use sde_core::{Edm, Reverse, TimeGrid};
///
/// let lattice = Lattice::new(&[4, 4])?;
/// let free = Spectrum::free(&lattice, 0.2)?;
/// let schedule = Edm::new(3.0)?;
/// let sampler = PathSampler {
///     spectrum: &free,
///     prior: FieldPrior::Matched,
///     process: Reverse { schedule, score: SpectralScore::new(&free, schedule) },
///     grid: TimeGrid::explicit(&[3.0, 1.0, 0.3, 0.0])?,
/// };
///
/// // Z of the free theory, on every path
/// let generated = sampler.run(&Phi4::new(lattice, 0.2, 0.0)?, 10, 1)?;
/// let orbits = lattice_phi4::Orbits::new(&free.lattice());
/// let modes = (0..orbits.len()).map(|k| orbits.size(k) as f64 * (std::f64::consts::TAU * free.variances()[k]).ln());
/// let ln_z = 0.5 * modes.sum::<f64>();
/// assert!(generated.log_weights.iter().all(|log_weight| (log_weight - ln_z).abs() < 1e-11));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PathSampler<'a, S, M> {
    /// The spectrum of the field without noise, which gives prior and steps their variances.
    pub spectrum: &'a Spectrum,
    /// Where paths start, at the first time of the grid.
    pub prior: FieldPrior,
    /// The schedule and the score.
    pub process: Reverse<S, M>,
    /// Times from that of the prior down to zero.
    pub grid: TimeGrid,
}

/// Generated fields and the logarithms of their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedFields {
    /// Shape `(rows, sites)`.
    pub fields: Array2<f64>,
    /// `ln w`, one for each row.
    pub log_weights: Vec<f64>,
}

impl<S: NoiseSchedule + Sync, M: ScoreModel + Sync> PathSampler<'_, S, M> {
    /// Draws `rows` fields and weighs them for `target`, on all threads of the current rayon pool, whose number does not change
    /// the result. Addressed noise of `seed`: stream 0 for the prior, stream 1 for the steps.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn run<T: Target + Sync>(
        &self,
        target: &T,
        rows: usize,
        seed: u64,
    ) -> Result<WeightedFields, PathError> {
        self.run_rows(target, 0..rows, seed)
    }

    /// Those `rows` that [`run`](Self::run) would draw of all, beginning with an even one.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn run_rows<T: Target + Sync>(
        &self,
        target: &T,
        rows: Range<usize>,
        seed: u64,
    ) -> Result<WeightedFields, PathError> {
        self.check(target)?;
        let first_row = rows.start;
        let Self { spectrum, prior, process, grid } = self;
        let (schedule, top) = (&process.schedule, grid.start());
        let mut fields = prior.draw_rows(spectrum, schedule, top, rows, &Noise::new(seed, PRIOR));
        let mut log_weights = (-prior.log_density(spectrum, schedule, top, fields.view())).to_vec();
        let noise = Noise::new(seed, STEPS);
        self.each_block(first_row, &mut fields, &mut log_weights, |first, mut x, log_weights| {
            let mut ancestral = Ancestral::new(spectrum);
            for step in grid.steps() {
                let noise = noise.block(step.index as u64, first);
                ancestral.weighted_step(process, step, x.view_mut(), &noise, log_weights)?;
            }
            subtract_action(target, x.view(), log_weights);
            Ok(())
        })?;
        Ok(WeightedFields { fields, log_weights })
    }

    /// `ln w` of a path above each of `fields`, shape `(rows, sites)`, made by the noising process: for fields of the target the mean
    /// of `1/w` is `1/Z`. Addressed noise of `seed`, stream 2.
    ///
    /// ```
    /// use lattice_phi4::{FieldPrior, Lattice, PathSampler, Phi4, SpectralScore, Spectrum};
    /// use sde_core::{Edm, Reverse, TimeGrid};
    ///
    /// let lattice = Lattice::new(&[4, 4])?;
    /// let free = Spectrum::free(&lattice, 0.2)?;
    /// let schedule = Edm::new(3.0)?;
    /// let process = Reverse { schedule, score: SpectralScore::new(&free, schedule) };
    /// let grid = TimeGrid::explicit(&[3.0, 1.0, 0.3, 0.0])?;
    /// let sampler = PathSampler { spectrum: &free, prior: FieldPrior::Matched, process, grid };
    ///
    /// // Downwards or upwards, paths of the free theory weigh Z.
    /// let action = Phi4::new(lattice, 0.2, 0.0)?;
    /// let down = sampler.run(&action, 10, 1)?;
    /// let up = sampler.retrace(&action, down.fields.view(), 2)?;
    /// assert!(up.iter().zip(&down.log_weights).all(|(up, down)| (up - down).abs() < 1e-11));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PathError`].
    pub fn retrace<T: Target + Sync>(
        &self,
        target: &T,
        fields: Batch<'_>,
        seed: u64,
    ) -> Result<Vec<f64>, PathError> {
        self.check(target)?;
        let Self { spectrum, prior, process, grid } = self;
        let expected = spectrum.lattice().volume();
        if fields.ncols() != expected {
            return Err(PathError::Fields { expected, found: fields.ncols() });
        }
        let mut x = fields.to_owned();
        let mut log_weights = vec![0.0; x.nrows()];
        let noise = Noise::new(seed, RETRACED);
        let upwards: Vec<Step> = grid.steps().collect();
        self.each_block(0, &mut x, &mut log_weights, |first, mut x, log_weights| {
            subtract_action(target, x.view(), log_weights);
            let mut ancestral = Ancestral::new(spectrum);
            for &step in upwards.iter().rev() {
                let noise = noise.block(step.index as u64, first);
                ancestral.retraced_step(process, step, x.view_mut(), &noise, log_weights)?;
            }
            let prior = prior.log_density(spectrum, &process.schedule, grid.start(), x.view());
            log_weights.iter_mut().zip(&prior).for_each(|(log_weight, prior)| *log_weight -= prior);
            Ok(())
        })?;
        Ok(log_weights)
    }

    /// Proposes a fresh field to each of `chains`, and returns the part that was accepted: an update that leaves `exp(-S)` invariant
    /// whatever the score, and may follow any other. It counts as a sweep.
    ///
    /// The weight of where a chain is comes from a new path above it, so that nothing needs to be remembered between updates.
    ///
    /// ```
    /// use lattice_phi4::{Chains, FieldPrior, Hmc, Lattice, Leap, PathSampler, Phi4, SpectralScore, Spectrum};
    /// use sde_core::{Edm, Reverse, TimeGrid};
    ///
    /// let lattice = Lattice::new(&[4, 4])?;
    /// let free = Spectrum::free(&lattice, 0.2)?;
    /// let schedule = Edm::new(3.0)?;
    /// let process = Reverse { schedule, score: SpectralScore::new(&free, schedule) };
    /// let grid = TimeGrid::explicit(&[3.0, 1.0, 0.3, 0.0])?;
    /// let sampler = PathSampler { spectrum: &free, prior: FieldPrior::Matched, process, grid };
    ///
    /// // The score is not that of the interacting theory, and the chain is right all the same.
    /// let action = Phi4::new(lattice, 0.2, 0.01)?;
    /// let (hmc, mut chains) = (Hmc::new(1.0, 4, Leap::Omelyan)?, Chains::hot(&action, 100, 1.0, 1));
    /// for _ in 0..10 {
    ///     chains.run(&action, &[&hmc], 2);
    ///     let acceptance = sampler.refresh(&action, &mut chains)?;
    ///     assert!(acceptance > 0.5);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PathError`]; the chains are then as they were.
    pub fn refresh(&self, action: &Phi4, chains: &mut Chains) -> Result<f64, PathError> {
        let seed = mixed(mixed(chains.seed).wrapping_add(chains.sweeps)) ^ FRESH;
        let current = self.retrace(action, chains.fields.view(), seed)?;
        let fresh = self.run(action, current.len(), seed)?;
        let mut generator = Pcg64::new(u128::from(seed), u128::from(FRESH));
        let mut accepted = 0;
        let proposals = fresh.fields.outer_iter().zip(&fresh.log_weights).zip(&current);
        for (mut field, ((proposed, new), old)) in chains.fields.outer_iter_mut().zip(proposals) {
            if generator.random::<f64>() < (new - old).exp() {
                field.assign(&proposed);
                accepted += 1;
            }
        }
        chains.sweeps += 1;
        Ok(f64::from(accepted) / current.len().max(1) as f64)
    }

    fn check<T: Target>(&self, target: &T) -> Result<(), PathError> {
        let expected = self.spectrum.lattice().volume();
        if target.sites() == expected {
            Ok(())
        } else {
            Err(PathError::Sites { expected, found: target.sites() })
        }
    }

    /// Gives blocks of rows, the first of which is number `first_row` of all, with the number of their first value to `f` on all threads, and
    /// refuses weights that are no numbers.
    fn each_block(
        &self,
        first_row: usize,
        fields: &mut Array2<f64>,
        log_weights: &mut [f64],
        f: impl Fn(u64, BatchMut<'_>, &mut [f64]) -> Result<(), EvalError> + Sync,
    ) -> Result<(), PathError> {
        let sites = self.spectrum.lattice().volume();
        // Even, see `ScoreModel`.
        let block = 2 * (BLOCK / (2 * sites)).max(1);
        let mut fields = fields.view_mut();
        let blocks = values_mut(&mut fields).par_chunks_mut(block * sites);
        let results: Vec<_> = blocks
            .zip(log_weights.par_chunks_mut(block))
            .enumerate()
            .map(|(index, (x, log_weights))| {
                let x = BatchMut::from_shape((log_weights.len(), sites), x).expect("rows are whole");
                f(((first_row + index * block) * sites) as u64, x, log_weights)
            })
            .collect();
        results.into_iter().collect::<Result<(), _>>()?;
        match log_weights.iter().position(|log_weight| !log_weight.is_finite()) {
            Some(row) => Err(PathError::NotFinite { row: first_row + row, log_weight: log_weights[row] }),
            None => Ok(()),
        }
    }
}

/// Takes the action of every row from its weight.
fn subtract_action<T: Target>(target: &T, x: Batch<'_>, log_weights: &mut [f64]) {
    let mut action = Array1::zeros(x.nrows());
    target.action(x, action.view_mut());
    log_weights.iter_mut().zip(&action).for_each(|(log_weight, s)| *log_weight -= s);
}
