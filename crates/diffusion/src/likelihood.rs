//! Densities of what a model generates, by the probability flow.
//!
//! The probability flow carries the prior at `T` to what the model generates, one field to one field, and
//!
//! ```text
//! ln p_0(x_0) = ln p_T(x_T) + int_0^T div K(x_t, t) dt ,     K = -k x / 2 - g^2 s / 2 ,
//! ```
//!
//! for any score: `p_0` is the density of the generated fields, not that of the data, and is normalised. So `exp(-S(x)) / p_0(x)`
//! are weights that make generated fields exact, with nothing discarded and no noise along the way, and the mean of `-ln p_0`
//! over data is how well the model codes them. Path weights, in comparison, need no divergence and no tolerance but pay for
//! every step; weights of the flow pay for the score alone.
//!
//! A [`DensityFlow`] is integrated by [`DormandPrince`] to a tolerance. The error of the integral is no part of any statistical
//! error: tighten the tolerance until nothing changes. With estimates of the divergence in place of the exact one `ln p_0` has
//! an error of its own, which is stated; weights made of it are biased by the exponential of that error, and there is no
//! cure but more estimates.

use rayon::prelude::*;
use sde_core::ndarray::{Array1, Array2};
use sde_core::{
    AdaptiveError, Batch, BatchMut, DensityFlow, DormandPrince, EvalError, GridError, Noise, NoiseSchedule,
    ParameterError, ScoreDivergence, Target, TimeGrid, Tolerance, integrate,
};
use std::error::Error;

/// A density that cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum LikelihoodError {
    /// There are no fields.
    #[error("no fields: {rows} rows of {sites} sites")]
    Empty {
        /// Fields.
        rows: usize,
        /// Sites of each.
        sites: usize,
    },
    /// The tolerance is none.
    #[error(transparent)]
    Tolerance(#[from] ParameterError),
    /// The time of the prior is none.
    #[error("time of the prior")]
    Time(#[from] GridError),
    /// The prior has no density at a field.
    #[error("row {row}: the prior has the log density {log_density}")]
    Prior {
        /// Its row.
        row: usize,
        /// What the prior says.
        log_density: f64,
    },
    /// The integrator could not go on.
    #[error(transparent)]
    Adaptive(#[from] AdaptiveError),
    /// Of the score.
    #[error("rows from {row} on: no score")]
    Score {
        /// First row of the block.
        row: usize,
        /// The model's error.
        source: EvalError,
    },
}

/// What finds densities: a flow, the time of its prior, and a tolerance.
///
/// ```
/// use diffusion::{FlowLikelihood, Prior, draw};
/// use sde_core::gaussian::GaussianScore;
/// use sde_core::*;
///
/// // data N(0, 2) and their exact score
/// let schedule = VarianceExpanding::new(10.0)?;
/// let flow = DensityFlow { schedule, score: GaussianScore { schedule, kappa_2: 2.0 } };
/// let likelihood = FlowLikelihood { flow, prior_time: 1.0, tolerance: 1e-10.into() };
/// let prior = Prior::Matched { kappa_2: 2.0 };
/// let log_prior = |x: Batch<'_>| prior.log_density(&schedule, 1.0, x);
///
/// // generated with their density
/// let generated = likelihood.generate(prior.draw(&schedule, 1.0, 100, 1, &Noise::new(1, 0)), log_prior)?;
/// let exact = NormalMixture::normal(0.0, 2.0)?;
/// for (x, found) in generated.fields.iter().zip(&generated.log_density) {
///     assert!((found - exact.ln_density(*x)).abs() < 1e-8);
/// }
/// // and the same density, asked for the other way
/// let again = likelihood.log_density(generated.fields.view(), log_prior)?;
/// assert!((again.log_density[7] - generated.log_density[7]).abs() < 1e-8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FlowLikelihood<S, M> {
    /// Schedule and score.
    pub flow: DensityFlow<S, M>,
    /// The time `T` of the prior.
    pub prior_time: f64,
    /// Tolerance of every site and of `ln p`, in each step of the integrator.
    pub tolerance: Tolerance,
}

/// Fields, where the flow takes them, and their density.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowDensities {
    /// `x_0`, shape `(rows, sites)`.
    pub fields: Array2<f64>,
    /// `x_T`, shape `(rows, sites)`.
    pub latents: Array2<f64>,
    /// `ln p_0(x_0)`, one for each row: the mean over estimates of the divergence.
    pub log_density: Vec<f64>,
    /// Its standard error over the estimates; zero if the divergence is exact.
    pub errors: Vec<f64>,
    /// Evaluations of the score and its divergence that a row took.
    pub evaluations: Vec<usize>,
}

impl FlowDensities {
    /// `ln w = -S(x_0) - ln p_0(x_0)` for a target `exp(-S)`: what [`LogWeights`](crate::LogWeights) takes.
    ///
    /// # Panics
    /// Unless the target is of as many sites.
    pub fn log_weights<T: Target + ?Sized>(&self, target: &T) -> Vec<f64> {
        assert_eq!(target.sites(), self.fields.ncols(), "the target is of as many sites");
        let mut action = Array1::zeros(self.fields.nrows());
        target.action(self.fields.view(), action.view_mut());
        action.iter().zip(&self.log_density).map(|(s, log_density)| -s - log_density).collect()
    }
}

/// Where rows end, the logarithms they have gathered, one for each estimate, and what it took.
struct Carried {
    x: Array2<f64>,
    logarithms: Array2<f64>,
    evaluations: Vec<usize>,
}

impl<S: NoiseSchedule + Sync, M: ScoreDivergence + Sync> FlowLikelihood<S, M> {
    /// Takes fields drawn from the prior, shape `(rows, sites)`, down to `t = 0`, with `log_prior` of every row: one pass
    /// generates and tells the density. On all threads of the current rayon pool, whose number does not change the result;
    /// [`DormandPrince::shared_rows`] rows share their steps, from the first row on.
    ///
    /// # Errors
    /// [`LikelihoodError`].
    ///
    /// # Panics
    /// Unless `log_prior` has a value for each row.
    pub fn generate(
        &self,
        latents: Array2<f64>,
        log_prior: impl FnOnce(Batch<'_>) -> Array1<f64>,
    ) -> Result<FlowDensities, LikelihoodError> {
        let start = prior_of(&latents, log_prior)?;
        let carried = self.carry(&latents, &start, self.prior_time, 0.0)?;
        Ok(FlowDensities::new(carried.x, latents, carried.logarithms, carried.evaluations))
    }

    /// Takes given fields, shape `(rows, sites)`, up to the time of the prior and tells their density: otherwise as
    /// [`generate`](Self::generate).
    ///
    /// # Errors
    /// [`LikelihoodError`]. Where a score is discontinuous, as one that is folded about a mean is at zero magnetisation,
    /// the flow upwards may run into the discontinuity and stay there, which is reported as an underflow of the step.
    ///
    /// # Panics
    /// Unless `log_prior` has a value for each row.
    pub fn log_density(
        &self,
        x: Batch<'_>,
        log_prior: impl FnOnce(Batch<'_>) -> Array1<f64>,
    ) -> Result<FlowDensities, LikelihoodError> {
        let fields = x.as_standard_layout().into_owned();
        let Carried { x, mut logarithms, evaluations } =
            self.carry(&fields, &Array1::zeros(fields.nrows()), 0.0, self.prior_time)?;
        let end = prior_of(&x, log_prior)?;
        for (mut row, end) in logarithms.outer_iter_mut().zip(&end) {
            row.mapv_inplace(|l| end - l);
        }
        Ok(FlowDensities::new(fields, x, logarithms, evaluations))
    }

    fn carry(
        &self,
        x: &Array2<f64>,
        start: &Array1<f64>,
        from: f64,
        to: f64,
    ) -> Result<Carried, LikelihoodError> {
        let (rows, sites) = x.dim();
        if x.is_empty() {
            return Err(LikelihoodError::Empty { rows, sites });
        }
        let scheme = DormandPrince::new(self.tolerance)?;
        let grid = TimeGrid::uniform(from, to, 1)?;
        let estimates = self.flow.score.estimates();
        let logarithms = Array2::from_shape_fn((rows, estimates), |(row, _)| start[row]);
        let mut joined = self.flow.join(x.view(), &logarithms);
        let width = sites + estimates;
        let block = DormandPrince::shared_rows(width);
        let values = joined.as_slice_mut().expect("a new array is contiguous");
        let results: Vec<_> = values
            .par_chunks_mut(block * width)
            .enumerate()
            .map(|(index, values)| self.carry_block(&grid, scheme.clone(), index * block, width, values))
            .collect();
        let mut evaluations = Vec::with_capacity(rows);
        for found in results {
            let found = found?;
            evaluations.extend((0..block.min(rows - evaluations.len())).map(|_| found));
        }
        let (x, logarithms) = self.flow.split(joined.view());
        Ok(Carried { x, logarithms, evaluations })
    }

    /// Rows that share their steps, from `first` on; returns how many evaluations they took.
    fn carry_block(
        &self,
        grid: &TimeGrid,
        mut scheme: DormandPrince,
        first: usize,
        width: usize,
        values: &mut [f64],
    ) -> Result<usize, LikelihoodError> {
        let rows = BatchMut::from_shape((values.len() / width, width), values).expect("rows are whole");
        // There is no noise in it.
        let noise = Noise::new(0, 0);
        integrate(&self.flow, &mut scheme, grid, rows, 0, &noise, &mut ()).map_err(|error| {
            match error.source().and_then(|source| source.downcast_ref()) {
                Some(&AdaptiveError::Underflow { row, time, tolerance }) => {
                    AdaptiveError::Underflow { row: first + row, time, tolerance }.into()
                }
                Some(&AdaptiveError::NotFinite { row, time }) => {
                    AdaptiveError::NotFinite { row: first + row, time }.into()
                }
                None => LikelihoodError::Score { row: first, source: error },
            }
        })?;
        Ok(scheme.evaluations())
    }
}

/// `ln p_T`, checked.
fn prior_of(
    x: &Array2<f64>,
    log_prior: impl FnOnce(Batch<'_>) -> Array1<f64>,
) -> Result<Array1<f64>, LikelihoodError> {
    let found = log_prior(x.view());
    assert_eq!(found.len(), x.nrows(), "the prior has a value for each row");
    match found.iter().position(|l| !l.is_finite()) {
        Some(row) => Err(LikelihoodError::Prior { row, log_density: found[row] }),
        None => Ok(found),
    }
}

impl FlowDensities {
    fn new(
        fields: Array2<f64>,
        latents: Array2<f64>,
        logarithms: Array2<f64>,
        evaluations: Vec<usize>,
    ) -> Self {
        let count = logarithms.ncols() as f64;
        let log_density: Vec<f64> = logarithms.outer_iter().map(|row| row.sum() / count).collect();
        let error = |(row, mean): (sde_core::ndarray::ArrayView1<'_, f64>, &f64)| {
            let squares: f64 = row.iter().map(|l| (l - mean).powi(2)).sum();
            // Of a single one, which is exact, the sum is zero.
            (squares / (count * (count - 1.0).max(1.0))).sqrt()
        };
        let errors = logarithms.outer_iter().zip(&log_density).map(error).collect();
        Self { fields, latents, log_density, errors, evaluations }
    }
}
