//! Whether weights have a mean that a sample of them can know.
//!
//! The excess of weights over a high threshold follows a generalised Pareto distribution,
//!
//! ```text
//! P(w - u > y) = (1 + k y / sigma)^(-1/k) ,
//! ```
//!
//! with moments below `1/k` only: from `k = 1/2` on the variance is infinite, from `k = 1` on the mean. Samples too few to
//! see the tail behave as if `k` were larger than it is, so the fitted shape tells of both. Below 1/2 estimates have errors; above it
//! they have none, and are not used. The limit of 0.7 that is often quoted (Vehtari, Simpson, Gelman, Yao and Gabry,
//! arXiv:1507.02646) is for weights whose largest are smoothed, which gives up that they are exact. Here they are taken as they are: with
//! fitted shapes of 0.46 to 0.69 `ln Z` was seen up to ten of its errors off.

/// The upper tail is too heavy for what was asked.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "the tail of the weights has shape k = {shape:.2}; above {limit:.2} neither means nor errors are reliable"
)]
pub struct HeavyTail {
    /// The fitted `k`.
    pub shape: f64,
    /// The largest that passes.
    pub limit: f64,
}

/// A generalised Pareto distribution fitted to the largest weights: the 20 % or `3 sqrt(n)` largest of `n`, whichever are fewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParetoTail {
    /// `k`; minus infinity if the largest weights are equal to rounding, not a number if they are fewer than five, or many of
    /// them equal.
    pub shape: f64,
    /// Weights in the tail.
    pub weights: usize,
    /// `min( 1 - 1 / log10 n, 1/2 )`.
    pub limit: f64,
}

/// Fewest weights that make a tail.
const FEWEST: usize = 5;
/// Differences of weights, relative to the largest, that are rounding.
const ROUNDING: f64 = 1e-9;

impl ParetoTail {
    /// Of positive weights.
    pub(crate) fn fit(weights: &[f64]) -> Self {
        let count = weights.len() as f64;
        let tail = (0.2 * count).min(3.0 * count.sqrt()).ceil() as usize;
        let mut sorted = weights.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let threshold = sorted[tail];
        let excess: Vec<f64> = sorted[..tail].iter().rev().map(|w| w - threshold).collect();
        let shape = if tail < FEWEST {
            f64::NAN
        } else if excess[tail - 1] <= ROUNDING * sorted[0] {
            f64::NEG_INFINITY
        } else {
            shape(&excess)
        };
        Self { shape, weights: tail, limit: (1.0 - count.log10().recip()).min(0.5) }
    }

    /// Refuses a tail that is too heavy, or not known.
    ///
    /// ```
    /// use diffusion::LogWeights;
    /// // w = u^(-k) at equally spaced u
    /// let weights = |k: f64| LogWeights::new((1..=10_000).map(|i| -k * f64::ln(f64::from(i) - 0.5)).collect());
    /// assert!(weights(0.4)?.tail().check().is_ok());
    /// let refused = weights(0.9)?.tail().check().unwrap_err();
    /// assert!((refused.shape - 0.9).abs() < 0.02);
    /// # Ok::<(), diffusion::WeightsError>(())
    /// ```
    ///
    /// # Errors
    /// [`HeavyTail`].
    pub fn check(&self) -> Result<(), HeavyTail> {
        let Self { shape, limit, .. } = *self;
        if shape <= limit { Ok(()) } else { Err(HeavyTail { shape, limit }) }
    }
}

/// `k` of ascending positive numbers, by the quasi-Bayesian estimate of Zhang and Stephens, Technometrics 51 (2009) 316: with
/// `theta = -k / sigma` the likelihood of largest `k` is a function of `theta` alone, whose mean over a weak prior is taken.
/// Ten more points of `k = 1/2` steady it (arXiv:1507.02646, App. C).
fn shape(ascending: &[f64]) -> f64 {
    let count = ascending.len() as f64;
    let nodes = 30 + count.sqrt() as usize;
    let (largest, quartile) = (ascending[ascending.len() - 1], ascending[(count / 4.0 + 0.5) as usize - 1]);
    let shape_at = |theta: f64| ascending.iter().map(|y| (-theta * y).ln_1p()).sum::<f64>() / count;
    let thetas: Vec<f64> = (1..=nodes)
        .map(|node| largest.recip() + (1.0 - (nodes as f64 / (node as f64 - 0.5)).sqrt()) / (3.0 * quartile))
        .collect();
    let likelihood = |theta: &f64| {
        let k = shape_at(*theta);
        count * ((-theta / k).ln() - k - 1.0)
    };
    let likelihoods: Vec<f64> = thetas.iter().map(likelihood).collect();
    let top = likelihoods.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut sums = [0.0; 2];
    for (theta, likelihood) in thetas.iter().zip(&likelihoods) {
        let weight = (likelihood - top).exp();
        sums[0] += weight;
        sums[1] += weight * theta;
    }
    let k = shape_at(sums[1] / sums[0]);
    (count * k + 10.0 * 0.5) / (count + 10.0)
}
