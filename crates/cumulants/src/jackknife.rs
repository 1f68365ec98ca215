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

/// Value and jackknife error of a function of the moments.
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
pub fn jackknife<const N: usize>(
    bins: &[Moments<N>],
    f: impl Fn(&Moments<N>) -> f64,
) -> Result<Estimate, ErrorEstimateError> {
    jackknife_all(bins, |moments| [f(moments)]).map(|[estimate]| estimate)
}

/// All cumulants `kappa_1..=kappa_N` with jackknife errors; entry `k - 1` is `kappa_k`.
///
/// # Errors
/// [`ErrorEstimateError::TooFewBins`] for fewer than two non-empty bins.
pub fn jackknife_cumulants<const N: usize>(bins: &[Moments<N>]) -> Result<[Estimate; N], ErrorEstimateError> {
    jackknife_all(bins, Moments::cumulants)
}

fn jackknife_all<const N: usize, const M: usize>(
    bins: &[Moments<N>],
    f: impl Fn(&Moments<N>) -> [f64; M],
) -> Result<[Estimate; M], ErrorEstimateError> {
    let bins: Vec<_> = bins.iter().filter(|bin| bin.count() > 0).copied().collect();
    if bins.len() < 2 {
        return Err(ErrorEstimateError::TooFewBins { found: bins.len() });
    }
    let (total, rests) = leave_one_out(&bins);
    let theta = f(&total);
    let rests: Vec<[f64; M]> = rests.iter().map(f).collect();
    let weights: Vec<f64> = bins.iter().map(|bin| total.count() as f64 / bin.count() as f64).collect();

    Ok(std::array::from_fn(|k| {
        // Deviations tau_j - theta, so that equal values leave no rounding behind.
        let pseudo = |j: usize| (weights[j] - 1.0) * (theta[k] - rests[j][k]);
        let shift: f64 = (0..bins.len()).map(|j| pseudo(j) / weights[j]).sum();
        let variance: f64 =
            (0..bins.len()).map(|j| (pseudo(j) - shift).powi(2) / (weights[j] - 1.0)).sum::<f64>()
                / bins.len() as f64;
        Estimate { value: theta[k], error: variance.sqrt() }
    }))
}

/// The total and, for each bin, the total of all others: merges of what lies before and after it.
/// Subtracting a bin from the total would cancel digits instead.
fn leave_one_out<const N: usize>(bins: &[Moments<N>]) -> (Moments<N>, Vec<Moments<N>>) {
    let mut rests = vec![Moments::EMPTY; bins.len()];
    let mut after = Moments::EMPTY;
    for (rest, bin) in rests.iter_mut().zip(bins).rev() {
        *rest = after;
        after = bin.merge(&after);
    }
    let mut before = Moments::EMPTY;
    for (rest, bin) in rests.iter_mut().zip(bins) {
        *rest = before.merge(rest);
        before = before.merge(bin);
    }
    (before, rests)
}
