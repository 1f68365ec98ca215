//! Pearson's test of histograms.

use super::{DistanceError, Significance};
use statrs::function::gamma::gamma_ur;
use std::ops::Range;

/// Totals with which nothing overflows.
const REASONABLE: Range<f64> = 1e-100..1e100;

/// Pearson's `chi^2 = sum (n_i - n p_i)^2 / (n p_i)` of a histogram against the probabilities of its bins, which are
/// normalised here.
///
/// The law of `chi^2` with as many degrees of freedom as there are bins, less one, needs expectations `n p_i` of five or
/// more. A bin of probability zero must be empty, else `chi^2` is infinite; it is not counted.
///
/// ```
/// use cumulants::distances::chi_squared;
/// let found = chi_squared(&[60.0, 40.0], &[0.5, 0.5])?;
/// assert_eq!(found.statistic, 4.0);
/// assert!((found.p_value - 0.0455003).abs() < 1e-7); // two sigma
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for fewer than two bins, different numbers of them, negative or non-finite entries, nothing in them.
pub fn chi_squared(counts: &[f64], probabilities: &[f64]) -> Result<Significance, DistanceError> {
    let (total, whole) = (total(counts, 0)?, total(probabilities, 1)?);
    fit(counts, probabilities)?;
    // Without the sign that a zero may have.
    let expected = probabilities.iter().map(|p| total * (p.abs() / whole));
    let bins = counts.iter().zip(expected).filter(|(n, expected)| **n > 0.0 || *expected > 0.0);
    // In this order an underflow in a bin that should be empty does not hide it.
    let terms = bins.map(|(n, expected)| (n - expected) * ((n - expected) / expected));
    Ok(from_terms(terms))
}

/// `chi^2 = sum ( n_i sqrt(M/N) - m_i sqrt(N/M) )^2 / (n_i + m_i)` of two histograms with `N` and `M` entries: do they come
/// from one law? Bins that are empty in both are not counted.
///
/// ```
/// use cumulants::distances::chi_squared_two_sample;
/// let found = chi_squared_two_sample(&[60.0, 40.0], &[400.0, 600.0])?;
/// assert!((found.statistic - (4000.0 / 460.0 + 4000.0 / 640.0)).abs() < 1e-12);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for fewer than two bins, different numbers of them, negative or non-finite counts, nothing in them.
pub fn chi_squared_two_sample(a: &[f64], b: &[f64]) -> Result<Significance, DistanceError> {
    let ratio = (total(b, 1)? / total(a, 0)?).sqrt();
    fit(a, b)?;
    let filled = a.iter().zip(b).filter(|(n, m)| *n + *m > 0.0);
    Ok(from_terms(filled.map(|(n, m)| (n * ratio - m / ratio).powi(2) / (n + m))))
}

fn from_terms(terms: impl Iterator<Item = f64>) -> Significance {
    let (mut statistic, mut bins) = (0.0, 0_u32);
    for term in terms {
        statistic += term;
        bins += 1;
    }
    // One bin holds everything in both: no freedom left.
    let p_value = if bins > 1 { survival(statistic, bins - 1) } else { 1.0 };
    Significance { statistic, p_value }
}

/// Probability that `chi^2` is larger.
pub(crate) fn survival(statistic: f64, degrees: u32) -> f64 {
    if statistic <= 0.0 {
        1.0
    } else if statistic.is_infinite() {
        0.0
    } else {
        gamma_ur(f64::from(degrees) / 2.0, statistic / 2.0)
    }
}

fn total(entries: &[f64], sample: usize) -> Result<f64, DistanceError> {
    if let Some(element) = entries.iter().position(|n| !n.is_finite() || *n < 0.0) {
        return Err(DistanceError::Value { sample, element, value: entries[element] });
    }
    let filled = entries.iter().filter(|n| **n > 0.0).count();
    if entries.len() < 2 || filled == 0 {
        return Err(DistanceError::TooFew {
            sample,
            found: entries.len().min(filled),
            needed: 2 - usize::from(entries.len() > 1),
        });
    }
    let total = entries.iter().sum();
    if REASONABLE.contains(&total) {
        return Ok(total);
    }
    // One of the largest is to blame.
    let (element, &value) =
        entries.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap_or((0, &total));
    Err(DistanceError::Value { sample, element, value })
}

fn fit(a: &[f64], b: &[f64]) -> Result<(), DistanceError> {
    if a.len() == b.len() { Ok(()) } else { Err(DistanceError::Sizes { left: a.len(), right: b.len() }) }
}
