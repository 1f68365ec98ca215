//! Jackknife errors from bins of data.
//!
//! Leave out bin `j` of `g`, compute the quantity from the rest, `theta_(j)`, and infer the error from the
//! spread. Bins may differ in size: with `m_j` of the `n` samples in bin `j` and `h_j = n/m_j`, the
//! delete-m_j jackknife (Busing, Meijer and van der Leeden, Statistics and Computing 9 (1999) 3) forms
//! pseudo-values and their variance,
//!
//! ```text
//! tau_j   = h_j theta - (h_j - 1) theta_(j) ,
//! theta_J = g theta - sum_j (1 - m_j/n) theta_(j) = sum_j tau_j / h_j ,
//! error^2 = (1/g) sum_j (tau_j - theta_J)^2 / (h_j - 1) ,
//! ```
//!
//! for equal bins the usual `(g-1)/g sum_j (theta_(j) - mean)^2`. Bins must be long compared with the
//! correlation of the data; independent samples allow any bins. The error itself is uncertain by about
//! `1/sqrt(2g)`.

use crate::{ErrorEstimateError, Estimate, Moments};

/// A summary of a part of the data that can be joined with those of other parts.
///
/// Implemented by [`Moments`], [`WeightedMoments`](crate::WeightedMoments) and [`JointMoments`](crate::JointMoments), and
/// easily by anything that adds up over the data, such as a histogram.
pub trait Summary: Clone {
    /// The summary of both parts together.
    #[must_use]
    fn merge(&self, other: &Self) -> Self;

    /// How much data it stands for: their number, or the sum of their weights. Parts of size zero are left out.
    fn size(&self) -> f64;
}

/// Value and jackknife error of a function of summaries, such as [`Moments`].
///
/// The value is `f` of all data (not corrected for bias). Empty bins are left out. Cost: `3g` merges and
/// `g + 1` evaluations of `f` for `g` bins; where `f` returns a non-finite number, so does the estimate.
///
/// ```
/// use cumulants::{Moments, jackknife};
///
/// let data = [1.0, 4.0, 2.0, 8.0, 5.0, 7.0];
/// let bins: Vec<_> = data.chunks(1).map(Moments::<2>::of).collect();
/// let mean = jackknife(&bins, Moments::mean)?;
/// // For the mean of single values this is the textbook s / sqrt(n).
/// let s2 = bins.iter().map(|b| (b.mean() - mean.value).powi(2)).sum::<f64>() / 5.0;
/// assert!((mean.error - (s2 / 6.0).sqrt()).abs() < 1e-14);
/// # Ok::<(), cumulants::ErrorEstimateError>(())
/// ```
///
/// # Errors
/// [`ErrorEstimateError::TooFewBins`] for fewer than two non-empty bins.
pub fn jackknife<S: Summary>(bins: &[S], f: impl Fn(&S) -> f64) -> Result<Estimate, ErrorEstimateError> {
    Ok(Spread::over(bins, 2, |summary| [f(summary)])?.estimate(0))
}

/// All cumulants `kappa_1..=kappa_N` with jackknife errors; entry `k - 1` is `kappa_k`.
///
/// # Errors
/// [`ErrorEstimateError::TooFewBins`] for fewer than two non-empty bins.
pub fn jackknife_cumulants<const N: usize>(bins: &[Moments<N>]) -> Result<[Estimate; N], ErrorEstimateError> {
    let spread = Spread::over(bins, 2, Moments::cumulants)?;
    Ok(std::array::from_fn(|k| spread.estimate(k)))
}

/// How some functions of a summary vary from bin to bin.
pub(crate) struct Spread<const M: usize> {
    /// Of all data.
    pub(crate) theta: [f64; M],
    /// Without each bin in turn.
    rests: Vec<[f64; M]>,
    /// `h_j`.
    pub(crate) weights: Vec<f64>,
}

impl<const M: usize> Spread<M> {
    /// # Errors
    /// [`ErrorEstimateError::TooFewBins`] for less than `needed` non-empty bins.
    pub(crate) fn over<S: Summary>(
        bins: &[S],
        needed: usize,
        f: impl Fn(&S) -> [f64; M],
    ) -> Result<Self, ErrorEstimateError> {
        let bins: Vec<&S> = bins.iter().filter(|bin| bin.size() != 0.0).collect();
        let too_few = ErrorEstimateError::TooFewBins { found: bins.len(), needed };
        if bins.len() < needed {
            return Err(too_few);
        }
        let (total, rests) = leave_one_out(&bins).ok_or(too_few)?;
        Ok(Self {
            theta: f(&total),
            rests: rests.iter().map(f).collect(),
            weights: bins.iter().map(|bin| total.size() / bin.size()).collect(),
        })
    }

    /// Number of bins.
    pub(crate) fn bins(&self) -> usize {
        self.weights.len()
    }

    /// `tau_j - theta_J`.
    pub(crate) fn deviations(&self, k: usize) -> Vec<f64> {
        // From tau_j - theta, so that equal values leave no rounding behind.
        let pseudo = |j: usize| (self.weights[j] - 1.0) * (self.theta[k] - self.rests[j][k]);
        let shift: f64 = (0..self.bins()).map(|j| pseudo(j) / self.weights[j]).sum();
        (0..self.bins()).map(|j| pseudo(j) - shift).collect()
    }

    /// The error of a mean of terms that differ from it by `deviations`.
    pub(crate) fn error(&self, deviations: &[f64]) -> f64 {
        let squares = deviations.iter().zip(&self.weights).map(|(d, h)| d.powi(2) / (h - 1.0));
        (squares.sum::<f64>() / self.bins() as f64).sqrt()
    }

    /// Value and error.
    pub(crate) fn estimate(&self, k: usize) -> Estimate {
        Estimate { value: self.theta[k], error: self.error(&self.deviations(k)) }
    }
}

/// The total and, for each bin, the total of all others: merges of what lies before and after it. None for fewer than two
/// bins. Subtracting a bin from the total would cancel digits instead.
fn leave_one_out<S: Summary>(bins: &[&S]) -> Option<(S, Vec<S>)> {
    let join = |a: Option<S>, b: Option<&S>| match (a, b) {
        (Some(a), Some(b)) => Some(a.merge(b)),
        (a, b) => a.or_else(|| b.cloned()),
    };
    let mut after: Vec<Option<S>> = vec![None; bins.len()];
    for j in (1..bins.len()).rev() {
        after[j - 1] = Some(after[j].as_ref().map_or_else(|| bins[j].clone(), |after| bins[j].merge(after)));
    }
    let (mut before, mut rests) = (None, Vec::with_capacity(bins.len()));
    for (bin, after) in bins.iter().zip(&after) {
        rests.push(join(before.clone(), after.as_ref())?);
        before = join(before, Some(bin));
    }
    Some((before?, rests))
}
