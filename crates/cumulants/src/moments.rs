//! Mergeable summaries of a sample: its mean and its central power sums
//!
//! ```text
//! m = (1/n) sum_i x_i ,      S_k = sum_i (x_i - m)^k ,    k = 2..=N .
//! ```
//!
//! Sums about the mean, unlike sums about zero, lose no digits when the data have an offset. Two summaries
//! describe their union through the binomial theorem: both are shifted to the common mean, where sums add,
//!
//! ```text
//! sum (y + t)^k = sum_j C(k,j) t^(k-j) sum y^j .
//! ```
//!
//! This is an identity of the algebra, so merging is associative up to rounding, and large data are
//! summarised by blocks (see [`PairwiseMoments`](crate::PairwiseMoments) for the canonical order).

use serde::{Deserialize, Serialize};

use crate::Summary;
use crate::conversions::{cumulants_into, raw_from_central};
use crate::kernel;

/// Count, mean and central power sums up to order `N` of a sample.
///
/// Moments and cumulants read from it are those of the *empirical measure* `(1/n) sum_i delta(x - x_i)`:
/// plug-in values, divided by `n` and not by `n - 1`. For `n` independent draws the plug-in `kappa_2` is
/// therefore low by the factor `(n - 1)/n`, and higher orders are biased by `O(1/n)` likewise.
///
/// # Bad values
///
/// Nothing is checked while accumulating. A NaN or an infinity in the data, or an overflow of
/// `(x - m)^k` (from `|x - m|` about `1e38` at order 8), leaves a non-finite sum that survives every merge;
/// [`checked`](Self::checked) turns it into an error. An overflow at order `k` leaves the orders below
/// `k` intact; a NaN in the data spoils all orders. An [`EMPTY`](Self::EMPTY) summary has NaN moments.
///
/// Data so large, or so small that `(x - m)^k` underflows (below `1e-38` at order 8), are scaled by a power of two first,
/// which loses no digit; `kappa_k` scales as its `k`-th power.
///
/// # Accuracy
///
/// For a block of up to a thousand samples the error of `kappa_k` is below
///
/// ```text
/// 4 k eps sum_pi (|pi| - 1)! prod_(B in pi) (1/n) sum_i |x_i - m|^|B| ,       eps = 2.2e-16 ,
/// ```
///
/// the sum over partitions that gives the cumulant, with all its terms made positive: wherever the data lie. Merging adds
/// the rounding of the means, `eps |m|` against the width of the data, once for each time the number of blocks doubles.
///
/// # Serialisation
///
/// Fields `count`, `mean` and `sums` (orders `2..=N`; another length is refused). JSON has no NaN, and
/// some JSON readers need an option for exact round trips (`float_roundtrip` in `serde_json`).
///
/// ```
/// use cumulants::Moments;
///
/// let left = Moments::<4>::of(&[1.0, 2.0]);
/// let right = Moments::<4>::of(&[3.0, 10.0]);
/// let all = left.merge(&right);
/// assert_eq!(all.count(), 4);
/// assert_eq!(all.mean(), 4.0);
/// assert_eq!(all.cumulant(2), 12.5);
/// assert_eq!(all.cumulant(3), 45.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Moments<const N: usize> {
    count: u64,
    mean: f64,
    /// Entry `k - 1` is `S_k`; entry 0 is always zero.
    sums: [f64; N],
}

impl<const N: usize> Moments<N> {
    /// The summary of no data: the identity of [`merge`](Self::merge).
    pub const EMPTY: Self = {
        assert!(N >= 1, "moments need order N >= 1");
        Self { count: 0, mean: 0.0, sums: [0.0; N] }
    };

    /// Summarises a block of samples in two passes, without allocation.
    ///
    /// The result depends on the values alone, not on the instruction set of the machine. Each sum runs over
    /// the whole block, so rounding grows with its length: summarise long data through
    /// [`PairwiseMoments`](crate::PairwiseMoments).
    ///
    /// ```
    /// # use cumulants::Moments;
    /// let m = Moments::<3>::of(&[0.0, 0.0, 3.0]);
    /// assert_eq!((m.mean(), m.central_moment(2), m.central_moment(3)), (1.0, 2.0, 2.0));
    /// ```
    pub fn of(samples: &[f64]) -> Self {
        if samples.is_empty() {
            return Self::EMPTY;
        }
        let (mean, sums) = kernel::centred_sums(samples);
        Self { count: samples.len() as u64, mean, sums }
    }

    /// Summary of the union of two samples.
    ///
    /// Associative and commutative up to rounding; merging with [`EMPTY`](Self::EMPTY) changes nothing.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        if self.count == 0 {
            return *other;
        }
        if other.count == 0 {
            return *self;
        }
        let (mean, sums) = kernel::merged_sums(
            (self.count as f64, self.mean, &self.sums),
            (other.count as f64, other.mean, &other.sums),
        );
        Self { count: self.count + other.count, mean, sums }
    }

    /// Summary of the data together with their mirror image `x -> -x`: the even part of the measure.
    ///
    /// The mean and all odd orders vanish exactly, even raw moments are those of the data. This is the
    /// better estimator when the distribution is known to be even. The count is that of the union, twice
    /// the number of samples; the mirrored values are not independent, so take errors from bins or
    /// resamples (symmetrise inside the estimated function), never from this count.
    ///
    /// ```
    /// # use cumulants::Moments;
    /// let even = Moments::<4>::of(&[1.0, 3.0]).symmetrised();
    /// assert_eq!((even.mean(), even.cumulant(2), even.cumulant(3)), (0.0, 5.0, 0.0));
    /// ```
    #[must_use]
    pub fn symmetrised(&self) -> Self {
        let raw = self.sums_about(0.0);
        let sums = std::array::from_fn(|k| if k % 2 == 1 { 2.0 * raw[k] } else { 0.0 });
        Self { count: 2 * self.count, mean: 0.0, sums }
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sample mean `mu_1 = kappa_1`; NaN for an empty summary.
    pub fn mean(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.mean }
    }

    /// Central moment `(1/n) sum (x - m)^k`, `0 <= k <= N`; NaN for an empty summary.
    ///
    /// # Panics
    /// If `k > N`.
    pub fn central_moment(&self, k: usize) -> f64 {
        assert!(k <= N, "central moment of order {k} asked of moments up to order {N}");
        if k == 0 {
            return 1.0;
        }
        self.sums[k - 1] / self.count as f64
    }

    /// Raw moment `mu_k = (1/n) sum x^k`, `0 <= k <= N`; NaN for an empty summary.
    ///
    /// ```
    /// # use cumulants::Moments;
    /// assert_eq!(Moments::<3>::of(&[1.0, 2.0, 3.0]).raw_moment(3), 12.0);
    /// ```
    ///
    /// # Panics
    /// If `k > N`.
    pub fn raw_moment(&self, k: usize) -> f64 {
        assert!(k <= N, "raw moment of order {k} asked of moments up to order {N}");
        if k == 0 {
            return 1.0;
        }
        raw_from_central(&self.mean(), &self.central_moments()[..k])[k - 1]
    }

    /// Cumulant `kappa_k` of the empirical measure, `1 <= k <= N`, by the recursion [3.5].
    ///
    /// ```
    /// # use cumulants::Moments;
    /// // Two values +-1: W = log cosh J, so kappa_4 = -2.
    /// assert_eq!(Moments::<4>::of(&[1.0, -1.0]).cumulant(4), -2.0);
    /// ```
    ///
    /// # Panics
    /// If `k` is zero or above `N`.
    pub fn cumulant(&self, k: usize) -> f64 {
        assert!((1..=N).contains(&k), "cumulant of order {k} asked of moments up to order {N}");
        self.cumulants()[k - 1]
    }

    /// All cumulants of the empirical measure; entry `k - 1` is `kappa_k`. NaN for an empty summary.
    pub fn cumulants(&self) -> [f64; N] {
        let mut cumulants = [0.0; N];
        cumulants_into(&self.central_moments(), &mut [0.0; N], &mut cumulants);
        // Cumulants above the first do not see the shift by the mean.
        cumulants[0] = self.mean();
        cumulants
    }

    /// True when the mean and all sums are finite, so no sample was NaN or infinite and no power
    /// overflowed. An empty summary is finite.
    pub fn is_finite(&self) -> bool {
        self.checked().is_ok()
    }

    /// The summary itself if it is finite.
    ///
    /// ```
    /// use cumulants::{Moments, MomentsError};
    /// let large = [1e50, -1e50];
    /// assert_eq!(Moments::<8>::of(&large).checked(), Err(MomentsError::Overflow { order: 7 }));
    /// assert!(Moments::<6>::of(&large).checked().is_ok());
    /// ```
    ///
    /// # Errors
    /// [`MomentsError::NotFinite`] if a sample was NaN or infinite (or the mean overflowed), [`MomentsError::Overflow`] with
    /// the lowest order at which a power overflowed.
    pub fn checked(&self) -> Result<Self, MomentsError> {
        if !self.mean.is_finite() {
            return Err(MomentsError::NotFinite);
        }
        match self.sums.iter().position(|sum| !sum.is_finite()) {
            Some(at) => Err(MomentsError::Overflow { order: at + 1 }),
            None => Ok(*self),
        }
    }

    /// `sum (x - centre)^k`, `k = 1..=N`.
    pub(crate) fn sums_about(&self, centre: f64) -> [f64; N] {
        let mut sums = self.sums;
        kernel::shift_sums(self.count as f64, self.mean - centre, &mut sums);
        sums
    }

    /// The inverse of [`sums_about`](Self::sums_about).
    pub(crate) fn from_sums_about(count: u64, centre: f64, mut sums: [f64; N]) -> Self {
        if count == 0 {
            return Self::EMPTY;
        }
        let offset = sums[0] / count as f64;
        kernel::shift_sums(count as f64, -offset, &mut sums);
        sums[0] = 0.0;
        Self { count, mean: centre + offset, sums }
    }

    /// All central moments; entry 0, of order 1, is zero.
    pub(crate) fn central_moments(&self) -> [f64; N] {
        self.sums.map(|sum| sum / self.count as f64)
    }
}

impl<const N: usize> Summary for Moments<N> {
    fn merge(&self, other: &Self) -> Self {
        Self::merge(self, other)
    }

    fn size(&self) -> f64 {
        self.count as f64
    }
}

impl<const N: usize> Default for Moments<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// Moments that are no numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MomentsError {
    /// A sample was NaN or infinite, or the mean overflowed.
    #[error("samples: one is NaN or infinite, or their sum overflows")]
    NotFinite,
    /// A power of a sample overflowed.
    #[error("samples: a power of order {order} overflows; scale them down by a power of two")]
    Overflow {
        /// The lowest order that does.
        order: usize,
    },
}

/// The most values that a stored summary may be of: up to here counts are exact in double precision, and sums of many
/// of them do not overflow.
pub(crate) const MOST_VALUES: u64 = 1 << 53;

/// The serialised form: orders `2..=N`, since the first sum is zero by construction.
#[derive(Serialize, Deserialize)]
struct Stored {
    count: u64,
    mean: f64,
    sums: Vec<f64>,
}

/// A stored summary that is not one of data to this order.
#[derive(Debug, thiserror::Error)]
enum StoredError {
    #[error("sums: {found} values, moments to order {order} have {}", order - 1)]
    Order { found: usize, order: usize },
    #[error("sums: {value} for a sum of squares")]
    Negative { value: f64 },
    #[error("count: {count} values, more than the {MOST_VALUES} that a double counts")]
    Count { count: u64 },
    #[error("count: 0, but mean and sums are not all zero")]
    Empty,
}

impl<const N: usize> From<Moments<N>> for Stored {
    fn from(m: Moments<N>) -> Self {
        Self { count: m.count, mean: m.mean, sums: m.sums[1..].to_vec() }
    }
}

impl<const N: usize> TryFrom<Stored> for Moments<N> {
    type Error = StoredError;

    fn try_from(stored: Stored) -> Result<Self, StoredError> {
        let mut result = Self::EMPTY;
        if stored.sums.len() + 1 != N {
            return Err(StoredError::Order { found: stored.sums.len(), order: N });
        }
        if let Some(&value) = stored.sums.first().filter(|square| **square < 0.0) {
            return Err(StoredError::Negative { value });
        }
        if stored.count > MOST_VALUES {
            return Err(StoredError::Count { count: stored.count });
        }
        if stored.count == 0 && (stored.mean != 0.0 || stored.sums.iter().any(|sum| *sum != 0.0)) {
            return Err(StoredError::Empty);
        }
        result.count = stored.count;
        result.mean = stored.mean;
        result.sums[1..].copy_from_slice(&stored.sums);
        Ok(result)
    }
}
