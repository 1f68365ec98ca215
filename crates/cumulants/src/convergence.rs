//! Have chains reached one law? Ranks, potential scale reduction and effective sample sizes.
//!
//! After Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Anal. 16 (2021) 667. Chains are cut into halves, which
//! must agree with each other, too. All measurements together are replaced by normal scores of their ranks,
//! `z = Phi^-1( (rank - 3/8) / (S + 1/4) )`: heavy tails do no harm, and any monotonic function of a measurement
//! gives the same answer. With `W` the mean variance within the `M` half chains of length `N` and `B/N` the variance of
//! their means,
//!
//! ```text
//! R = sqrt( V / W ) ,      V = (N-1)/N W + B/N ,
//! ```
//!
//! is one when all agree. The larger of the values for `z` and for the scores of `|x - median|` is taken: the second sees
//! chains of equal means and different widths. The effective sample size is `M N / tau` with `tau = -1 + 2 sum rho(t)`,
//! where `1 - rho(t) = ( W - mean autocovariance(t) ) / V`, so that chains that disagree count for little; pairs of
//! successive `rho` are summed while they are positive, and made to fall (Geyer, Stat. Sci. 7 (1992) 473).

use crate::ChainError;
use crate::autocovariance::lagged_products;
use statrs::function::erf::erfc_inv;

/// What chains say about whether they have converged.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Convergence {
    /// Rank-normalised split `R`, of location and of scale whichever is larger. Below 1.01 is good; one for chains that are
    /// all constant and equal, infinite for different constants.
    pub r_hat: f64,
    /// Effective sample size of the bulk: of the rank scores.
    pub bulk_samples: f64,
    /// Effective sample size of the tails: the smaller one of those for the 5 % and 95 % quantiles.
    pub tail_samples: f64,
}

/// `R`, bulk and tail effective sample size of one quantity over chains of one length.
///
/// ```
/// use cumulants::convergence;
/// use rand::{Rng, SeedableRng};
///
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(2);
/// let mut chain = |mean: f64| -> Vec<f64> { (0..1000).map(|_| mean + rng.random::<f64>()).collect() };
/// let (a, b, far) = (chain(0.0), chain(0.0), chain(0.2));
/// assert!(convergence(&[&a, &b])?.r_hat < 1.01);
/// assert!(convergence(&[&a, &b, &far])?.r_hat > 1.05);
/// # Ok::<(), cumulants::ChainError>(())
/// ```
///
/// # Errors
/// [`ChainError`] for chains of less than eight measurements or different lengths, and values that are not finite.
pub fn convergence(chains: &[&[f64]]) -> Result<Convergence, ChainError> {
    let Some(length) = chains.first().map(|chain| chain.len()) else { return Err(ChainError::Empty) };
    for (chain, values) in chains.iter().enumerate() {
        if values.len() != length {
            return Err(ChainError::Lengths { chain, found: values.len(), expected: length });
        }
        if length < 8 {
            return Err(ChainError::Chain { chain, values: length, quantities: 1 });
        }
        if let Some(row) = values.iter().position(|x| !x.is_finite()) {
            return Err(ChainError::NotFinite { chain, row });
        }
    }
    let half = length / 2;
    let halves: Vec<&[f64]> =
        chains.iter().flat_map(|chain| [&chain[..half], &chain[length - half..]]).collect();
    let pooled = halves.concat();
    let order = order(&pooled);

    let scores = scores(&pooled, &order);
    let median = quantile(&pooled, &order, 0.5);
    let folded: Vec<f64> = pooled.iter().map(|x| (x - median).abs()).collect();
    let folded = self::scores(&folded, &self::order(&folded));
    // Halves of an odd length leave a measurement out, quantiles do not.
    let all = chains.concat();
    let all_in_order = self::order(&all);
    let tail = |probability: f64| {
        let at = quantile(&all, &all_in_order, probability);
        let below: Vec<f64> = pooled.iter().map(|x| f64::from(*x <= at)).collect();
        Halves::new(&below, half).effective_samples()
    };
    let bulk = Halves::new(&scores, half);
    Ok(Convergence {
        r_hat: bulk.r_hat().max(Halves::new(&folded, half).r_hat()),
        bulk_samples: bulk.effective_samples(),
        tail_samples: tail(0.05).min(tail(0.95)),
    })
}

/// Half chains about their means.
struct Halves {
    centred: Vec<Vec<f64>>,
    /// Mean variance within a half chain.
    within: f64,
    /// Variance of the means.
    between: f64,
}

impl Halves {
    fn new(values: &[f64], length: usize) -> Self {
        let n = length as f64;
        let halves = values.chunks_exact(length);
        let chains = halves.len() as f64;
        let means: Vec<f64> = halves.clone().map(|half| half.iter().sum::<f64>() / n).collect();
        let centred: Vec<Vec<f64>> =
            halves.zip(&means).map(|(half, mean)| half.iter().map(|x| x - mean).collect()).collect();
        let squares: f64 = centred.iter().flatten().map(|x| x * x).sum();
        let mean = means.iter().sum::<f64>() / chains;
        let between = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (chains - 1.0);
        Self { centred, within: squares / (chains * (n - 1.0)), between }
    }

    fn length(&self) -> usize {
        self.centred[0].len()
    }

    /// `V`
    fn variance(&self) -> f64 {
        let n = self.length() as f64;
        self.within * (n - 1.0) / n + self.between
    }

    fn r_hat(&self) -> f64 {
        if self.variance() == 0.0 { 1.0 } else { (self.variance() / self.within).sqrt() }
    }

    fn effective_samples(&self) -> f64 {
        let (n, chains) = (self.length() as f64, self.centred.len() as f64);
        let total = n * chains;
        let variance = self.variance();
        if variance == 0.0 {
            return total;
        }
        let mut products = Vec::new();
        let mut rho = |t: usize| {
            if t == 0 {
                return 1.0;
            }
            while products.len() <= t {
                products.extend(lagged_products(&self.centred, products.len()));
            }
            1.0 - (self.within - products[t] / (n * chains)) / variance
        };
        // Pairs rho(2j) + rho(2j + 1), positive and falling.
        let mut pairs = 0.0;
        let mut lowest = f64::INFINITY;
        let mut lag = 0;
        let last = loop {
            let (even, odd) = (rho(lag), rho(lag + 1));
            if even + odd <= 0.0 || lag + 4 >= self.length() {
                break even.max(0.0);
            }
            lowest = lowest.min(even + odd);
            pairs += lowest;
            lag += 2;
        };
        // Of the first pair that is left out the even one still counts, once. Anticorrelation cannot help without limit.
        let tau = (2.0 * pairs - 1.0 + last).max(1.0 / total.log10());
        total / tau
    }
}

/// Indices of the values in rising order.
fn order(values: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&i, &j| values[i].total_cmp(&values[j]));
    order
}

/// Normal scores of the ranks; equal values share their mean rank.
fn scores(values: &[f64], order: &[usize]) -> Vec<f64> {
    let total = values.len() as f64;
    let mut scores = vec![0.0; values.len()];
    let mut before = 0;
    for same in order.chunk_by(|&i, &j| values[i] == values[j]) {
        let rank = before as f64 + f64::midpoint(same.len() as f64, 1.0);
        let score = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * (rank - 0.375) / (total + 0.25));
        for &place in same {
            scores[place] = score;
        }
        before += same.len();
    }
    scores
}

/// Between the two nearest values in proportion.
fn quantile(values: &[f64], order: &[usize], probability: f64) -> f64 {
    let place = probability * (values.len() - 1) as f64;
    let low = place.floor();
    let at = |i: usize| values[order[i.min(values.len() - 1)]];
    at(low as usize) + (place - low) * (at(low as usize + 1) - at(low as usize))
}
