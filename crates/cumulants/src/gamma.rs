//! Errors of Markov chains: the Gamma method.
//!
//! Successive measurements `a_i` of a Markov chain are correlated. With the autocorrelation function
//!
//! ```text
//! Gamma(t) = E[ (a_i - a)(a_(i+t) - a) ] ,     tau_int = 1/2 + sum_(t > 0) Gamma(t) / Gamma(0) ,
//! ```
//!
//! the squared error of the mean of `N` measurements is `2 tau_int Gamma(0) / N`: they are worth `N / (2 tau_int)` independent
//! ones. The sum has to be cut at a window `W`, where what is left out and what noise is taken in balance. Wolff (Comput. Phys.
//! Commun. 156 (2004) 143, hep-lat/0306017) takes the first `W` at which
//!
//! ```text
//! e^(-W/tau) - tau / sqrt(W N) < 0 ,     tau = S / ln( (2 tau_int(W) + 1) / (2 tau_int(W) - 1) ) ,
//! ```
//!
//! with `S = 1.5` for chains whose slowest mode is not much slower than `tau_int` says. The same works for a function
//! `f` of several means: project every measurement on its gradient, `sum_k f_k (a_i^k - a^k)`.
//!
//! | returned | formula |
//! | --- | --- |
//! | error | `sigma^2 = C(W) / N`, `C(W) = Gamma(0) + 2 sum_(t <= W) Gamma(t)` with the cut's bias `Gamma += C/N` |
//! | its error | `sigma sqrt( (W + 1/2) / N )` |
//! | `tau_int` | `C(W) / (2 Gamma(0))` |
//! | its error | `2 tau_int sqrt( (W + 1/2 - tau_int) / N )` |
//! | bias | `( mean over chains of f(a_r) - f(a) ) / (R - 1)` for `R > 1` chains |

use crate::autocovariance::lagged_products;
use crate::{ChainError, Estimate, cumulants_from_moments};
use serde::{Deserialize, Serialize};

/// A function of means over Markov chains, with what its error rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GammaEstimate {
    /// The function of the means over all chains.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// The standard error of `error`.
    pub error_of_error: f64,
    /// Integrated autocorrelation time, in measurements; one half if they are independent.
    pub tau_int: f64,
    /// Its standard error.
    pub tau_int_error: f64,
    /// Where the sum over `Gamma` was cut.
    pub window: usize,
    /// Estimated bias of `value`, which was not subtracted; zero for a single chain.
    pub bias: f64,
    /// Number of measurements.
    pub measurements: usize,
}

impl GammaEstimate {
    /// Value and error.
    pub fn estimate(&self) -> Estimate {
        Estimate { value: self.value, error: self.error }
    }

    /// Independent measurements that would give the same error: `N / (2 tau_int)`.
    pub fn effective_samples(&self) -> f64 {
        self.measurements as f64 / (2.0 * self.tau_int)
    }
}

/// The Gamma method.
///
/// ```
/// use cumulants::GammaMethod;
/// use rand::{Rng, SeedableRng};
///
/// // x_(i+1) = a x_i + noise has tau_int = (1 + a) / (1 - a) / 2 = 4.5 for a = 0.8
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
/// let mut x = 0.0;
/// let chain: Vec<f64> = (0..100_000)
///     .map(|_| {
///         x = 0.8 * x + 0.6 * rng.sample::<f64, _>(rand_distr::StandardNormal);
///         x
///     })
///     .collect();
///
/// let mean = GammaMethod::default().mean(&[&chain])?;
/// assert!((mean.tau_int - 4.5).abs() < 3.0 * mean.tau_int_error);
/// assert!(mean.value.abs() < 3.0 * mean.error);
/// # Ok::<(), cumulants::ChainError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GammaMethod {
    stretch: f64,
}

impl Default for GammaMethod {
    /// `S = 1.5`.
    fn default() -> Self {
        Self { stretch: 1.5 }
    }
}

impl GammaMethod {
    /// With another `S`: the ratio of the slowest mode's time to `tau_int` that the window allows for.
    ///
    /// # Errors
    /// [`ChainError::Stretch`] unless it is finite and positive.
    pub fn new(stretch: f64) -> Result<Self, ChainError> {
        if stretch.is_finite() && stretch > 0.0 {
            Ok(Self { stretch })
        } else {
            Err(ChainError::Stretch { value: stretch })
        }
    }

    /// The mean of one quantity over one or more chains of any lengths.
    ///
    /// # Errors
    /// [`ChainError`] for chains of less than four measurements, and values that are not finite.
    pub fn mean(&self, chains: &[&[f64]]) -> Result<GammaEstimate, ChainError> {
        self.derived(chains, 1, |means| means[0])
    }

    /// A function of the means of several quantities: a chain holds its rows of `quantities` values one after the other.
    ///
    /// The gradient is taken by central differences of one naive error of each mean, so `f` should be smooth on that
    /// scale. A quantity that does not fluctuate has no error: `error` is zero, `tau_int` one half.
    ///
    /// ```
    /// use cumulants::GammaMethod;
    /// // the variance from the means of x and x^2
    /// let chain: Vec<f64> = (0..1010).map(|i| f64::from(i * 37 % 101)).flat_map(|x| [x, x * x]).collect();
    /// let variance = GammaMethod::default().derived(&[&chain], 2, |m| m[1] - m[0] * m[0])?;
    /// assert!((variance.value - 850.0).abs() < 1e-9); // of 0, 1, .. 100: (101^2 - 1) / 12
    /// # Ok::<(), cumulants::ChainError>(())
    /// ```
    ///
    /// # Errors
    /// [`ChainError`] for chains of less than four rows or of broken ones, and for anything not finite.
    pub fn derived(
        &self,
        chains: &[&[f64]],
        quantities: usize,
        f: impl Fn(&[f64]) -> f64,
    ) -> Result<GammaEstimate, ChainError> {
        check(chains, quantities)?;
        let rows: Vec<usize> = chains.iter().map(|chain| chain.len() / quantities).collect();
        let total = rows.iter().sum::<usize>();
        let of_chains: Vec<Vec<f64>> = chains.iter().map(|chain| means(chain, quantities)).collect();
        let mut center = vec![0.0; quantities];
        for (means, &rows) in of_chains.iter().zip(&rows) {
            for (center, mean) in center.iter_mut().zip(means) {
                *center += mean * rows as f64 / total as f64;
            }
        }
        let value = f(&center);

        let gradient = gradient(chains, &center, total, &f);
        if !value.is_finite() || gradient.iter().any(|slope| !slope.is_finite()) {
            return Err(ChainError::Function);
        }
        let projected: Vec<Vec<f64>> = chains
            .iter()
            .map(|chain| {
                let row = |row: &[f64]| {
                    row.iter().zip(&center).zip(&gradient).map(|((a, mean), slope)| slope * (a - mean)).sum()
                };
                chain.chunks_exact(quantities).map(row).collect()
            })
            .collect();
        let bias = if chains.len() > 1 {
            let mean: f64 =
                of_chains.iter().zip(&rows).map(|(means, &rows)| f(means) * rows as f64).sum::<f64>()
                    / total as f64;
            (mean - value) / (chains.len() - 1) as f64
        } else {
            0.0
        };
        Ok(self.summed(&projected, total, value, bias))
    }

    /// The window and the sums up to it.
    fn summed(self, series: &[Vec<f64>], total: usize, value: f64, bias: f64) -> GammaEstimate {
        let count = total as f64;
        let shortest = series.iter().map(Vec::len).min().unwrap_or(0);
        let mut gammas = Vec::new();
        let mut gamma = |t: usize| {
            if t == gammas.len() {
                gammas.extend(lagged_products(series, t));
            }
            gammas[t] / (total - series.len() * t) as f64
        };
        let variance = gamma(0);
        let mut estimate = GammaEstimate {
            value,
            error: 0.0,
            error_of_error: 0.0,
            tau_int: 0.5,
            tau_int_error: 0.0,
            window: 0,
            bias,
            measurements: total,
        };
        if variance <= 0.0 {
            return estimate;
        }
        let mut sum = 0.0;
        let mut window = 0;
        while window + 1 < shortest / 2 {
            window += 1;
            sum += gamma(window);
            let tau_int = 0.5 + sum / variance;
            let tau = if tau_int <= 0.5 {
                f64::MIN_POSITIVE
            } else {
                self.stretch / ((2.0 * tau_int + 1.0) / (2.0 * tau_int - 1.0)).ln()
            };
            let w = window as f64;
            if (-w / tau).exp() < tau / (w * count).sqrt() {
                break;
            }
        }
        // Anticorrelations of a short chain can outweigh everything: then they are not to be believed.
        if variance + 2.0 * sum <= 0.0 {
            (sum, window) = (0.0, 0);
        }
        // The means were taken from the same data, which lowers every Gamma by C/N.
        let raw = variance + 2.0 * sum;
        let variance = variance + raw / count;
        let w = window as f64;
        let c = variance + 2.0 * (sum + w * raw / count);
        estimate.window = window;
        estimate.error = (c / count).sqrt();
        estimate.error_of_error = estimate.error * ((w + 0.5) / count).sqrt();
        estimate.tau_int = c / (2.0 * variance);
        let spread = (w + 0.5 - estimate.tau_int).max(0.0);
        estimate.tau_int_error = 2.0 * estimate.tau_int * (spread / count).sqrt();
        estimate
    }

    /// Cumulants `kappa_1..=kappa_N` of a time series, or several: entry `k - 1` is `kappa_k`.
    ///
    /// ```
    /// use cumulants::GammaMethod;
    /// use rand::{Rng, SeedableRng};
    /// let mut rng = rand_pcg::Pcg64::seed_from_u64(3);
    /// let chain: Vec<f64> = (0..100_000).map(|_| rng.sample(rand_distr::Exp1)).collect();
    /// // of the exponential distribution: (k - 1)!
    /// for (kappa, exact) in GammaMethod::default().cumulants::<4>(&[&chain])?.iter().zip([1.0, 1.0, 2.0, 6.0]) {
    ///     assert!(kappa.estimate().pull(exact).abs() < 4.0);
    /// }
    /// # Ok::<(), cumulants::ChainError>(())
    /// ```
    ///
    /// # Errors
    /// As [`derived`](Self::derived).
    pub fn cumulants<const N: usize>(&self, chains: &[&[f64]]) -> Result<[GammaEstimate; N], ChainError> {
        check(chains, 1)?;
        // Powers about the mean: cumulants above the first do not know where the origin is.
        let total: usize = chains.iter().map(|chain| chain.len()).sum();
        let origin = chains.iter().map(|chain| chain.iter().sum::<f64>()).sum::<f64>() / total as f64;
        let rows: Vec<Vec<f64>> = chains
            .iter()
            .map(|chain| {
                let powers = |&x: &f64| (1..=N as i32).map(move |k| (x - origin).powi(k));
                chain.iter().flat_map(powers).collect()
            })
            .collect();
        let views: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let mut estimates = [GammaEstimate {
            value: 0.0,
            error: 0.0,
            error_of_error: 0.0,
            tau_int: 0.5,
            tau_int_error: 0.0,
            window: 0,
            bias: 0.0,
            measurements: total,
        }; N];
        for (k, estimate) in estimates.iter_mut().enumerate() {
            *estimate = self.derived(&views, N, |moments| cumulants_from_moments(moments)[k])?;
        }
        if let Some(mean) = estimates.first_mut() {
            mean.value += origin;
        }
        Ok(estimates)
    }
}

fn check(chains: &[&[f64]], quantities: usize) -> Result<(), ChainError> {
    if chains.is_empty() || quantities == 0 {
        return Err(ChainError::Empty);
    }
    for (chain, values) in chains.iter().enumerate() {
        if values.len() % quantities != 0 || values.len() / quantities < 4 {
            return Err(ChainError::Chain { chain, values: values.len(), quantities });
        }
        if let Some(at) = values.iter().position(|a| !a.is_finite()) {
            return Err(ChainError::NotFinite { chain, row: at / quantities });
        }
    }
    Ok(())
}

fn means(chain: &[f64], quantities: usize) -> Vec<f64> {
    let rows = (chain.len() / quantities) as f64;
    let mut means = vec![0.0; quantities];
    for row in chain.chunks_exact(quantities) {
        means.iter_mut().zip(row).for_each(|(mean, a)| *mean += a);
    }
    for mean in &mut means {
        *mean /= rows;
    }
    // A second pass takes the rounding of the first away.
    let mut rest = vec![0.0; quantities];
    for row in chain.chunks_exact(quantities) {
        rest.iter_mut().zip(row).zip(&means).for_each(|((rest, a), mean)| *rest += a - mean);
    }
    means.iter_mut().zip(&rest).for_each(|(mean, rest)| *mean += rest / rows);
    means
}

/// Central differences, each over the naive error of its mean to either side.
fn gradient(chains: &[&[f64]], center: &[f64], total: usize, f: &impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let quantities = center.len();
    let mut squares = vec![0.0; quantities];
    for row in chains.iter().flat_map(|chain| chain.chunks_exact(quantities)) {
        squares.iter_mut().zip(row).zip(center).for_each(|((sum, a), mean)| *sum += (a - mean).powi(2));
    }
    let mut at = center.to_vec();
    squares
        .iter()
        .enumerate()
        .map(|(k, sum)| {
            let step = sum.sqrt() / total as f64;
            if step == 0.0 {
                return 0.0;
            }
            let (above, below) = (center[k] + step, center[k] - step);
            at[k] = above;
            let high = f(&at);
            at[k] = below;
            let low = f(&at);
            at[k] = center[k];
            (high - low) / (above - below)
        })
        .collect()
}
