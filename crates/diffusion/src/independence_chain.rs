//! From weighted configurations to a Markov chain of unweighted ones.

use sde_core::Noise;

/// A stream that samplers do not take: the proposals may come from noise of the same seed.
const STREAM: u64 = u64::MAX;

/// A chain of the independence Metropolis algorithm (Tierney, Ann. Statist. 22 (1994) 1701; for generated lattice fields
/// Albergo, Kanwar and Shanahan, arXiv:1904.12072).
///
/// Configuration `i` is proposed at step `i` and accepted with probability `min(1, w_i / w)`, `w` the weight of where the chain is.
/// The chain is correlated by its rejections: errors need an autocorrelation time.
///
/// ```
/// use diffusion::LogWeights;
/// // a weight of zero is never accepted, a larger weight always
/// let weights = LogWeights::new(vec![0.0, f64::NEG_INFINITY, 1.0, 2.0])?;
/// let chain = weights.independence_metropolis(1);
/// assert_eq!(chain.rows, [0, 0, 2, 3]);
/// assert_eq!(chain.acceptance, 2.0 / 3.0);
/// # Ok::<(), diffusion::WeightsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct IndependenceChain {
    /// The configuration the chain is at after each step, starting at the first.
    pub rows: Vec<usize>,
    /// Accepted proposals over all proposals.
    pub acceptance: f64,
}

impl IndependenceChain {
    /// Of proposals with these logarithms of weights, at least two.
    pub(crate) fn run(logarithms: &[f64], seed: u64) -> Self {
        let mut words = vec![0; logarithms.len()];
        Noise::new(seed, STREAM).words(0, 0, 0, &mut words);
        let mut rows = vec![0];
        let mut accepted = 0;
        for (proposed, word) in words.iter().enumerate().skip(1) {
            let at = rows[proposed - 1];
            let ratio = logarithms[proposed] - logarithms[at];
            // Uniform in (0, 1). Both weights zero leave a NaN, and the proposal is as good.
            let uniform = ((word >> 11) as f64 + 0.5) * 2.0_f64.powi(-53);
            let stays = uniform.ln() >= ratio;
            accepted += usize::from(!stays);
            rows.push(if stays { at } else { proposed });
        }
        Self { acceptance: accepted as f64 / (logarithms.len() - 1) as f64, rows }
    }
}
