//! How far apart are two samples, or a sample and a law? For judging generated ensembles.
//!
//! | function | compares | answers |
//! | --- | --- | --- |
//! | [`kolmogorov_smirnov()`], [`kolmogorov_smirnov_two_sample`] | the largest difference of distribution functions | [`Significance`] |
//! | [`cramer_von_mises()`], [`cramer_von_mises_two_sample`] | its integrated square | [`Significance`] |
//! | [`chi_squared`], [`chi_squared_two_sample`] | histograms | [`Significance`] |
//! | [`wasserstein_distance`] | the work of moving one into the other | a length |
//! | [`energy_distance`] | distances within and between | a root of a length |
//! | [`maximum_mean_discrepancy`] | kernel means, any number of variables | an [`Estimate`](crate::Estimate) |
//!
//! All of them take the samples to be *independent*. Successive configurations of a Markov chain are not: keep one in
//! `2 tau_int` of them, or the p-values are too small.

pub(crate) mod chi_squared;
mod cramer_von_mises;
mod kolmogorov_smirnov;
mod mean_discrepancy;
mod wasserstein;

pub use chi_squared::{chi_squared, chi_squared_two_sample};
pub use cramer_von_mises::{cramer_von_mises, cramer_von_mises_two_sample};
pub use kolmogorov_smirnov::{kolmogorov_smirnov, kolmogorov_smirnov_two_sample};
pub use mean_discrepancy::{maximum_mean_discrepancy, median_distance};
pub use wasserstein::{energy_distance, wasserstein_distance};

/// The outcome of a test of significance.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Significance {
    /// The distance that the test is about.
    pub statistic: f64,
    /// Probability of a statistic at least as large if nothing is wrong: uniform between 0 and 1 then.
    pub p_value: f64,
}

/// Samples that cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DistanceError {
    /// A sample has fewer elements than its distance needs.
    #[error("sample {sample}: {found} elements, at least {needed} are needed")]
    TooFew {
        /// Which argument, counted from zero.
        sample: usize,
        /// Number of elements.
        found: usize,
        /// Number needed.
        needed: usize,
    },
    /// A sample holds an infinity or a NaN, or a histogram a negative count.
    #[error("sample {sample}, element {element}: {value} is not a value it can have")]
    Value {
        /// Which argument, counted from zero.
        sample: usize,
        /// Number of the element.
        element: usize,
        /// The element.
        value: f64,
    },
    /// The distribution function leaves 0 to 1, or falls.
    #[error("distribution function at {at}: {value} is not between {below} and 1")]
    DistributionFunction {
        /// Argument.
        at: f64,
        /// Value.
        value: f64,
        /// Its value at the next smaller sample, or zero.
        below: f64,
    },
    /// Histograms have different numbers of bins, or rows of different numbers of variables.
    #[error("sizes {left} and {right} do not fit each other")]
    Sizes {
        /// Of the first argument.
        left: usize,
        /// Of the second.
        right: usize,
    },
    /// The width of a kernel must be finite and positive.
    #[error("kernel width {width} is not finite and positive")]
    Width {
        /// What was given.
        width: f64,
    },
}

/// A copy in order, at least `needed` elements, all of them finite.
fn sorted(values: &[f64], sample: usize, needed: usize) -> Result<Vec<f64>, DistanceError> {
    check(values, sample, needed)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    Ok(sorted)
}

fn check(values: &[f64], sample: usize, needed: usize) -> Result<(), DistanceError> {
    if values.len() < needed {
        return Err(DistanceError::TooFew { sample, found: values.len(), needed });
    }
    match values.iter().position(|x| !x.is_finite()) {
        Some(element) => Err(DistanceError::Value { sample, element, value: values[element] }),
        None => Ok(()),
    }
}

/// The values of a continuous distribution function at a sample in order.
fn probabilities(sample: &[f64], cdf: impl Fn(f64) -> f64) -> Result<Vec<f64>, DistanceError> {
    let mut values = Vec::with_capacity(sample.len());
    let mut below = 0.0;
    for &at in sample {
        let value = cdf(at);
        if !(below..=1.0).contains(&value) {
            return Err(DistanceError::DistributionFunction { at, value, below });
        }
        values.push(value);
        below = value;
    }
    Ok(values)
}

/// Where two samples in order make steps: `(x, elements of a up to x, elements of b up to x)` for each different `x`.
fn steps(a: &[f64], b: &[f64]) -> Vec<(f64, usize, usize)> {
    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::with_capacity(a.len() + b.len());
    while i < a.len() || j < b.len() {
        let x = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => x.min(*y),
            (Some(x), None) | (None, Some(x)) => *x,
            (None, None) => break,
        };
        i += a[i..].iter().take_while(|y| **y == x).count();
        j += b[j..].iter().take_while(|y| **y == x).count();
        steps.push((x, i, j));
    }
    steps
}
