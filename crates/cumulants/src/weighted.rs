//! Moments of weighted samples, as reweighting and importance sampling make them.
//!
//! With a weight `w_i` for each sample, sums become `sum_i w_i (x_i - m)^k` about the weighted mean `m = sum w x / sum w`,
//! and moments are divided by `sum w`. Merging is the same binomial shift. Weights need not be normalised, as long as all
//! parts share the factor.
//!
//! Unequal weights cost accuracy: `n` of them are worth about
//!
//! ```text
//! n_eff = (sum w)^2 / sum w^2                                  (Kish, Survey Sampling (1965))
//! ```
//!
//! equal ones, if the weights do not depend on what is measured.

use serde::{Deserialize, Serialize};

use crate::Summary;
use crate::conversions::cumulants_into;
use crate::kernel;
use crate::moments::MOST_VALUES;
use crate::pairwise::LEAF;

/// Count, weights, weighted mean and weighted central power sums up to order `N`.
///
/// The policy for NaN, infinities and overflow is that of [`Moments`](crate::Moments). Weights may be negative; when they
/// add up to zero, moments are NaN.
///
/// ```
/// use cumulants::WeightedMoments;
///
/// // A weight of two is a sample seen twice.
/// let m = WeightedMoments::<3>::of(&[0.0, 3.0], &[2.0, 1.0])?;
/// assert_eq!((m.mean(), m.cumulant(2), m.cumulant(3)), (1.0, 2.0, 2.0));
/// assert_eq!(m.effective_samples(), 9.0 / 5.0);
/// # Ok::<(), cumulants::UnequalLengths>(())
/// ```
///
/// Weights known by their logarithms, as in reweighting from one action to another, are formed relative to the largest:
///
/// ```
/// # use cumulants::WeightedMoments;
/// let (x, log_weights) = ([0.0, 1.0, 2.0], [-1000.0, -1001.0, -1002.0_f64]);
/// let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
/// let weights: Vec<f64> = log_weights.iter().map(|l| (l - largest).exp()).collect();
/// let mean = WeightedMoments::<1>::of(&x, &weights)?.mean();
/// assert!((mean - 0.4248).abs() < 1e-4);
/// # Ok::<(), cumulants::UnequalLengths>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedMoments<const N: usize> {
    count: u64,
    weight: f64,
    squared_weight: f64,
    mean: f64,
    /// Entry `k - 1` is `sum w (x - mean)^k`; entry 0 is always zero.
    sums: [f64; N],
}

/// Samples and weights that do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weights: {weights} for {samples} samples")]
pub struct UnequalLengths {
    /// Number of samples.
    pub samples: usize,
    /// Number of weights.
    pub weights: usize,
}

impl<const N: usize> WeightedMoments<N> {
    /// The summary of no data: the identity of [`merge`](Self::merge).
    pub const EMPTY: Self = {
        assert!(N >= 1, "moments need order N >= 1");
        Self { count: 0, weight: 0.0, squared_weight: 0.0, mean: 0.0, sums: [0.0; N] }
    };

    /// Summarises samples with their weights, in two passes. Long data are cut into leaves of [`LEAF`] values and
    /// merged as a binary tree, so that rounding grows with the logarithm of the length only.
    ///
    /// # Errors
    /// [`UnequalLengths`]
    pub fn of(samples: &[f64], weights: &[f64]) -> Result<Self, UnequalLengths> {
        if samples.len() != weights.len() {
            return Err(UnequalLengths { samples: samples.len(), weights: weights.len() });
        }
        Ok(Self::of_equal_lengths(samples, weights))
    }

    fn of_equal_lengths(samples: &[f64], weights: &[f64]) -> Self {
        let leaves = samples.len().div_ceil(LEAF);
        if leaves > 1 {
            let middle = leaves.div_ceil(2) * LEAF;
            let (left, right) = (samples.split_at(middle), weights.split_at(middle));
            return Self::of_equal_lengths(left.0, right.0).merge(&Self::of_equal_lengths(left.1, right.1));
        }
        let weight: f64 = weights.iter().sum();
        let squared_weight: f64 = weights.iter().map(|w| w * w).sum();
        // Neither an empty leaf nor one of weight zero has a mean, and neither needs one.
        let (mean, sums) = if squared_weight == 0.0 {
            (0.0, [0.0; N])
        } else {
            kernel::weighted_sums(samples, weights, weight)
        };
        Self { count: samples.len() as u64, weight, squared_weight, mean, sums }
    }

    /// Summary of the union of two samples.
    ///
    /// Associative and commutative up to rounding; merging with [`EMPTY`](Self::EMPTY) changes nothing.
    #[must_use]
    pub fn merge(&self, other: &Self) -> Self {
        let count = self.count + other.count;
        if self.squared_weight == 0.0 {
            return Self { count, ..*other };
        }
        if other.squared_weight == 0.0 {
            return Self { count, ..*self };
        }
        let (mean, sums) = kernel::merged_sums(
            (self.weight, self.mean, &self.sums),
            (other.weight, other.mean, &other.sums),
        );
        let weight = self.weight + other.weight;
        Self { count, weight, squared_weight: self.squared_weight + other.squared_weight, mean, sums }
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// `(sum w)^2 / sum w^2`: equal weights that would do as well; NaN without weights.
    pub fn effective_samples(&self) -> f64 {
        self.weight * self.weight / self.squared_weight
    }

    /// Weighted mean; NaN without weights.
    pub fn mean(&self) -> f64 {
        if self.squared_weight == 0.0 { f64::NAN } else { self.mean }
    }

    /// Central moment `sum w (x - m)^k / sum w`, `0 <= k <= N`; NaN without weights.
    ///
    /// # Panics
    /// If `k > N`.
    pub fn central_moment(&self, k: usize) -> f64 {
        assert!(k <= N, "central moment of order {k} asked of moments up to order {N}");
        if k == 0 { 1.0 } else { self.sums[k - 1] / self.weight }
    }

    /// Cumulant `kappa_k` of the weighted measure, `1 <= k <= N`; NaN without weights.
    ///
    /// # Panics
    /// If `k` is zero or above `N`.
    pub fn cumulant(&self, k: usize) -> f64 {
        assert!((1..=N).contains(&k), "cumulant of order {k} asked of moments up to order {N}");
        self.cumulants()[k - 1]
    }

    /// All cumulants of the weighted measure; entry `k - 1` is `kappa_k`.
    pub fn cumulants(&self) -> [f64; N] {
        let mut cumulants = [0.0; N];
        cumulants_into(&self.sums.map(|sum| sum / self.weight), &mut [0.0; N], &mut cumulants);
        cumulants[0] = self.mean();
        cumulants
    }

    /// True when no sample, weight or power of one was NaN or infinite.
    pub fn is_finite(&self) -> bool {
        let own = [self.weight, self.squared_weight, self.mean];
        own.iter().chain(&self.sums).all(|value| value.is_finite())
    }
}

impl<const N: usize> Summary for WeightedMoments<N> {
    fn merge(&self, other: &Self) -> Self {
        Self::merge(self, other)
    }

    fn size(&self) -> f64 {
        self.weight
    }
}

/// The serialised form; arrays of any length are beyond serde's derive.
#[derive(Serialize, Deserialize)]
struct Stored {
    count: u64,
    weight: f64,
    squared_weight: f64,
    mean: f64,
    sums: Vec<f64>,
}

impl<const N: usize> Serialize for WeightedMoments<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { count, weight, squared_weight, mean, .. } = *self;
        Stored { count, weight, squared_weight, mean, sums: self.sums[1..].to_vec() }.serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for WeightedMoments<N> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = Stored::deserialize(deserializer)?;
        let refuse = |what: String| Err(serde::de::Error::custom(what));
        if stored.sums.len() + 1 != N {
            return refuse(format!(
                "sums: {} values, moments to order {N} have {}",
                stored.sums.len(),
                N - 1
            ));
        }
        if stored.count > MOST_VALUES {
            return refuse(format!("count: {}, at most {MOST_VALUES} can be", stored.count));
        }
        if stored.squared_weight < 0.0 {
            return refuse(format!("squared_weight: {} for a sum of squares", stored.squared_weight));
        }
        let Stored { count, weight, squared_weight, mean, .. } = stored;
        let mut sums = [0.0; N];
        sums[1..].copy_from_slice(&stored.sums);
        Ok(Self { count, weight, squared_weight, mean, sums })
    }
}
