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

use crate::{Ancestral, FieldPrior, Spectrum};
use ndarray::{Array1, Array2};
use rayon::prelude::*;
use sde_core::{BatchMut, EvalError, Noise, NoiseSchedule, Reverse, ScoreModel, Target, TimeGrid};

/// Values in a block: large enough that preparing a noise level costs little.
const BLOCK: usize = 1 << 16;
/// Streams of the noise.
const PRIOR: u64 = 0;
const STEPS: u64 = 1;

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
        let Self { spectrum, prior, process, grid } = self;
        let sites = spectrum.lattice().volume();
        if target.sites() != sites {
            return Err(PathError::Sites { expected: sites, found: target.sites() });
        }
        let schedule = &process.schedule;
        let mut fields = prior.draw(spectrum, schedule, grid.start(), rows, &Noise::new(seed, PRIOR));
        let mut log_weights = (-prior.log_density(spectrum, schedule, grid.start(), fields.view())).to_vec();
        let noise = Noise::new(seed, STEPS);
        // Even, see `ScoreModel`.
        let block = 2 * (BLOCK / (2 * sites)).max(1);
        let values = fields.as_slice_mut().expect("a new array is contiguous");
        let blocks = values.par_chunks_mut(block * sites).zip(log_weights.par_chunks_mut(block));
        let results: Vec<_> = blocks
            .enumerate()
            .map(|(index, (x, log_weights))| {
                let x = BatchMut::from_shape((log_weights.len(), sites), x).expect("rows are whole");
                self.run_block(target, &noise, index * block, x, log_weights)
            })
            .collect();
        results.into_iter().collect::<Result<(), _>>()?;
        Ok(WeightedFields { fields, log_weights })
    }

    fn run_block<T: Target>(
        &self,
        target: &T,
        noise: &Noise,
        first_row: usize,
        mut x: BatchMut<'_>,
        log_weights: &mut [f64],
    ) -> Result<(), PathError> {
        let mut ancestral = Ancestral::new(self.spectrum);
        let first = (first_row * x.ncols()) as u64;
        for step in self.grid.steps() {
            let noise = noise.block(step.index as u64, first);
            ancestral.weighted_step(&self.process, step, x.view_mut(), &noise, log_weights)?;
        }
        let mut action = Array1::zeros(x.nrows());
        target.action(x.view(), action.view_mut());
        for (row, (log_weight, s)) in log_weights.iter_mut().zip(&action).enumerate() {
            *log_weight -= s;
            if !log_weight.is_finite() {
                return Err(PathError::NotFinite { row: first_row + row, log_weight: *log_weight });
            }
        }
        Ok(())
    }
}
