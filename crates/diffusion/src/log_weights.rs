//! What a generated ensemble is worth, by its weights.
//!
//! A sampler draws `x_i` with density `q`, wanted is `p = exp(-S) / Z`. With the weights `w_i = exp(-S(x_i)) / q(x_i)`, or those
//! of whole paths, which have the same laws,
//!
//! ```text
//! Z ~ (1/n) sum_i w_i ,     <O> ~ sum_i w_i O(x_i) / sum_i w_i ,     n_eff = (sum_i w_i)^2 / sum_i w_i^2 .
//! ```
//!
//! These are exact as `n` grows, if no part of `p` is left out by `q`. How large `n` must be shows in the upper tail of the
//! weights, see [`ParetoTail`]: where that is too heavy the errors of all three mean nothing.

use crate::{IndependenceChain, ParetoTail};
use cumulants::{BINS, ErrorEstimateError, Estimate, Summary, UnequalLengths, WeightedMoments, jackknife};

/// Weights that say nothing.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// Fewer than two weights have no spread.
    #[error("weights: {found} given, at least 2 are needed")]
    TooFew {
        /// What was given.
        found: usize,
    },
    /// A logarithm must be a number, or minus infinity for a weight of zero.
    #[error("ln w = {value} at {place} must be below infinity")]
    NotANumber {
        /// Place in the list.
        place: usize,
        /// The logarithm there.
        value: f64,
    },
    /// All weights are zero.
    #[error("weights: all {found} are zero")]
    Zero {
        /// How many there are.
        found: usize,
    },
}

/// An observable that cannot be reweighted.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ReweightingError {
    /// There is not one value for each weight.
    #[error(transparent)]
    Lengths(#[from] UnequalLengths),
    /// There is no error.
    #[error(transparent)]
    Error(#[from] ErrorEstimateError),
}

/// The weights of independent configurations, given by their logarithms.
///
/// ```
/// use diffusion::LogWeights;
/// use sde_core::{Noise, NormalSource};
///
/// // normal variates, reweighted from mean 0 to mean 1/2: w = exp( x/2 - 1/8 )
/// let mut x = vec![0.0; 10_000];
/// Noise::new(1, 0).block(0, 0).fill(0, &mut x);
/// let weights = LogWeights::new(x.iter().map(|x| 0.5 * x - 0.125).collect())?;
///
/// weights.tail().check()?;
/// assert!((weights.efficiency() - (-0.25_f64).exp()).abs() < 0.03);
/// assert!(weights.ln_mean().pull(0.0).abs() < 4.0);
/// let [mean, variance] = [weights.estimate::<1>(&x, |m| m.mean())?, weights.estimate::<2>(&x, |m| m.cumulant(2))?];
/// assert!(mean.pull(0.5).abs() < 4.0 && mean.error < 0.02);
/// assert!(variance.pull(1.0).abs() < 4.0 && variance.error < 0.03);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LogWeights {
    logarithms: Vec<f64>,
    /// The largest of them.
    largest: f64,
    /// Weights relative to the largest.
    weights: Vec<f64>,
    /// Their sum and that of their squares.
    sums: WeightedMoments<1>,
}

impl LogWeights {
    /// Weights with these logarithms; minus infinity is a weight of zero.
    ///
    /// # Errors
    /// [`WeightsError`].
    pub fn new(logarithms: Vec<f64>) -> Result<Self, WeightsError> {
        let found = logarithms.len();
        if found < 2 {
            return Err(WeightsError::TooFew { found });
        }
        let number = |log: &f64| *log < f64::INFINITY;
        if let Some(place) = logarithms.iter().position(|log| !number(log)) {
            return Err(WeightsError::NotANumber { place, value: logarithms[place] });
        }
        let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if largest == f64::NEG_INFINITY {
            return Err(WeightsError::Zero { found });
        }
        let weights: Vec<f64> = logarithms.iter().map(|log| (log - largest).exp()).collect();
        let sums = WeightedMoments::of(&weights, &weights).expect("of the same length");
        Ok(Self { logarithms, largest, weights, sums })
    }

    /// The logarithms.
    pub fn logarithms(&self) -> &[f64] {
        &self.logarithms
    }

    /// `n_eff / n`, the effective sample size of a configuration (Kish 1965): one for equal weights, `1/n` if one of them
    /// has all.
    pub fn efficiency(&self) -> f64 {
        self.sums.effective_samples() / self.weights.len() as f64
    }

    /// `ln( (1/n) sum w )`, which is `ln Z` for weights of `exp(-S)`, with the relative error of the mean.
    pub fn ln_mean(&self) -> Estimate {
        let count = self.weights.len() as f64;
        let square = (self.efficiency().recip() - 1.0) / (count - 1.0);
        // Equal weights may round to an efficiency above one.
        Estimate { value: self.largest + (self.sums.weight() / count).ln(), error: square.max(0.0).sqrt() }
    }

    /// A function of the reweighted moments of an observable, `samples` its value on each configuration, with its jackknife error
    /// over 256 parts of as many configurations.
    ///
    /// # Errors
    /// [`ReweightingError`].
    pub fn estimate<const N: usize>(
        &self,
        samples: &[f64],
        f: impl Fn(&WeightedMoments<N>) -> f64,
    ) -> Result<Estimate, ReweightingError> {
        let lengths = UnequalLengths { samples: samples.len(), weights: self.weights.len() };
        if lengths.samples != lengths.weights {
            return Err(lengths.into());
        }
        let size = samples.len().div_ceil(BINS);
        let parts = samples.chunks(size).zip(self.weights.chunks(size));
        let parts = parts.map(|(x, w)| WeightedMoments::of(x, w).map(Part));
        Ok(jackknife(&parts.collect::<Result<Vec<_>, _>>()?, |Part(moments)| f(moments))?)
    }

    /// A function of the reweighted means of several observables, `rows` their values on each configuration in turn,
    /// `observables` in a row, with its jackknife error over 256 parts of as many configurations.
    ///
    /// ```
    /// use diffusion::LogWeights;
    /// use sde_core::{Noise, NormalSource};
    ///
    /// // normal variates x, y, reweighted to means 1/2 and 0: <x + y> / <x>
    /// let mut rows = vec![0.0; 20_000];
    /// Noise::new(1, 0).block(0, 0).fill(0, &mut rows);
    /// let weights = LogWeights::new(rows.chunks(2).map(|row| 0.5 * row[0]).collect())?;
    /// let ratio = weights.derived(&rows, 2, |mean| (mean[0] + mean[1]) / mean[0])?;
    /// assert!(ratio.pull(1.0).abs() < 4.0 && ratio.error < 0.03);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ReweightingError`].
    ///
    /// # Panics
    /// If `observables` is zero.
    pub fn derived(
        &self,
        rows: &[f64],
        observables: usize,
        f: impl Fn(&[f64]) -> f64,
    ) -> Result<Estimate, ReweightingError> {
        let lengths = UnequalLengths { samples: rows.len() / observables, weights: self.weights.len() };
        if lengths.samples != lengths.weights || !rows.len().is_multiple_of(observables) {
            return Err(lengths.into());
        }
        let size = self.weights.len().div_ceil(BINS);
        let parts = rows.chunks(size * observables).zip(self.weights.chunks(size));
        let parts = parts.map(|(rows, weights)| WeightedSums::of(rows, weights));
        Ok(jackknife(&parts.collect::<Vec<_>>(), |sums| f(&sums.means()))?)
    }

    /// The upper tail of the weights.
    pub fn tail(&self) -> ParetoTail {
        ParetoTail::fit(&self.weights)
    }

    /// The chain of the independence Metropolis algorithm whose proposals are the configurations in their order.
    pub fn independence_metropolis(&self, seed: u64) -> IndependenceChain {
        IndependenceChain::run(&self.logarithms, seed)
    }
}

/// A part of the configurations, whose size is their number: it is the number that was fixed beforehand, not the weight.
#[derive(Clone)]
struct Part<const N: usize>(WeightedMoments<N>);

impl<const N: usize> Summary for Part<N> {
    fn merge(&self, other: &Self) -> Self {
        Self(self.0.merge(&other.0))
    }

    fn size(&self) -> f64 {
        self.0.count() as f64
    }
}

/// Sums over a part of the configurations: of the weights, and of the weights times each observable.
#[derive(Clone)]
struct WeightedSums {
    count: usize,
    weight: f64,
    sums: Vec<f64>,
}

impl WeightedSums {
    fn of(rows: &[f64], weights: &[f64]) -> Self {
        let observables = rows.len() / weights.len();
        let mut sums = vec![0.0; observables];
        for (row, weight) in rows.chunks(observables).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * x);
        }
        Self { count: weights.len(), weight: weights.iter().sum(), sums }
    }

    fn means(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.weight).collect()
    }
}

impl Summary for WeightedSums {
    fn merge(&self, other: &Self) -> Self {
        let sums = self.sums.iter().zip(&other.sums).map(|(a, b)| a + b).collect();
        Self { count: self.count + other.count, weight: self.weight + other.weight, sums }
    }

    fn size(&self) -> f64 {
        self.count as f64
    }
}
