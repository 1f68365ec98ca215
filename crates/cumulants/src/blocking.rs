//! Blocking: the error of the mean of correlated data from blocks of growing size.
//!
//! Replace pairs of neighbours by their means, again and again. The mean stays, the naive error `sqrt(variance / n)` grows
//! until blocks are longer than the correlation, and is flat from there on: the right one (Flyvbjerg and Petersen, J. Chem.
//! Phys. 91 (1989) 461). Where the plateau begins is decided by a test (Jonsson, Phys. Rev. E 98 (2018) 043304): with
//! `sigma_k^2` the variance and `gamma_k` the autocovariance of neighbours after `k` doublings, `n_k` values,
//!
//! ```text
//! M_j = sum_(k >= j) n_k [ (n_k - 1) sigma_k^2 / n_k^2 + gamma_k ]^2 / sigma_k^4
//! ```
//!
//! is `chi^2`-distributed, one degree for each term, if blocks of `2^j` are independent. The first `j` that is not rejected
//! at one per cent is taken. Correlations that the test does not see are missing in the error: of chains of a thousand `tau_int`
//! it is a tenth too small in the mean, and intervals of one sigma cover 63 per cent instead of 68; [`GammaMethod`] has no
//! such bias.
//!
//! [`GammaMethod`]: crate::GammaMethod

use crate::distances::chi_squared::survival;
use crate::{ChainError, Estimate};

/// Blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BlockSize {
    /// Measurements in a block.
    pub size: usize,
    /// Number of blocks.
    pub blocks: usize,
    /// The error of the mean if blocks are independent.
    pub error: f64,
    /// Its own standard error, `error / sqrt(2 (blocks - 1))`.
    pub error_of_error: f64,
}

/// Mean and error of correlated data, with the errors for all sizes of blocks, to be plotted.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Blocking {
    /// The mean of all measurements, and its error at the chosen size.
    pub mean: Estimate,
    /// Which of `sizes` was chosen: the first one from which on blocks look independent.
    pub chosen: usize,
    /// Sizes 1, 2, 4, .. as long as there are two blocks.
    pub sizes: Vec<BlockSize>,
}

/// The mean of a chain with an error by blocking.
///
/// A value that is left over when blocks are paired is left out of the larger blocks. If even the largest blocks are
/// correlated, the last size is chosen and the error is too small: the chain is too short to tell.
///
/// ```
/// use cumulants::blocking;
/// use rand::{Rng, SeedableRng};
///
/// // tau_int = 4.5, variance 1: the error of the mean is sqrt(2 tau_int / n).
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
/// let mut x = 0.0;
/// let mut next = || {
///     x = 0.8 * x + 0.6 * rng.sample::<f64, _>(rand_distr::StandardNormal);
///     x
/// };
/// let chain: Vec<f64> = (0..1 << 16).map(|_| next()).collect();
/// let found = blocking(&chain)?;
/// let exact = (9.0 / 65536.0_f64).sqrt();
/// assert!((found.mean.error - exact).abs() < 3.0 * found.sizes[found.chosen].error_of_error);
/// # Ok::<(), cumulants::ChainError>(())
/// ```
///
/// # Errors
/// [`ChainError`] for less than four measurements, and values that are not finite.
pub fn blocking(chain: &[f64]) -> Result<Blocking, ChainError> {
    if chain.len() < 4 {
        return Err(ChainError::Chain { chain: 0, values: chain.len(), quantities: 1 });
    }
    if let Some(row) = chain.iter().position(|x| !x.is_finite()) {
        return Err(ChainError::NotFinite { chain: 0, row });
    }
    let mean = chain.iter().sum::<f64>() / chain.len() as f64;
    let mut values: Vec<f64> = chain.iter().map(|x| x - mean).collect();
    let (mut sizes, mut terms) = (Vec::new(), Vec::new());
    let mut size = 1;
    while values.len() >= 2 {
        let n = values.len() as f64;
        let centre = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / n;
        let neighbours =
            values.windows(2).map(|pair| (pair[0] - centre) * (pair[1] - centre)).sum::<f64>() / n;
        let error = (variance / (n - 1.0)).sqrt();
        let error_of_error = error / (2.0 * (n - 1.0)).sqrt();
        sizes.push(BlockSize { size, blocks: values.len(), error, error_of_error });
        let excess = (n - 1.0) * variance / (n * n) + neighbours;
        // Constant data are independent of themselves.
        terms.push(if variance > 0.0 { n * (excess / variance).powi(2) } else { 0.0 });
        values = values.chunks_exact(2).map(|pair| 0.5 * (pair[0] + pair[1])).collect();
        size *= 2;
    }
    let independent = |j: &usize| {
        let statistic: f64 = terms[*j..].iter().sum();
        survival(statistic, (terms.len() - j) as u32) > 0.01
    };
    let chosen = (0..sizes.len()).find(independent).unwrap_or(sizes.len() - 1);
    Ok(Blocking { mean: Estimate { value: mean, error: sizes[chosen].error }, chosen, sizes })
}
