//! Generating functions of moments and cumulants, and what a noising process does to them.
//!
//! ```text
//! Z[J] = E[e^(Jx)] = sum_n mu_n J^n / n! ,       W[J] = log Z[J] = sum_n kappa_n J^n / n!     [3.18]
//! ```
//!
//! `W` adds over independent variables. A linear noising process `x(t) = f x_0 + sqrt(Xi) z` with a standard
//! normal `z` is such a sum, so for any distribution of `x_0`
//!
//! ```text
//! W[J; t] = J^2 Xi / 2 + W_0[f J] ,                                                          [3.22]
//! kappa_2(t) = f^2 kappa_2 + Xi ,        kappa_n(t) = f^n kappa_n  otherwise .               [3.23, 3.24]
//! ```

/// Largest exponent spread for which `W` is formed from `e^u - 1`.
const SMALL: f64 = 1.0;

/// Moment-generating function `Z[J] = (1/n) sum_i e^(J x_i)` of the empirical measure.
///
/// Overflows to infinity where its logarithm, [`cumulant_generating`], is still representable. NaN for an
/// empty sample.
///
/// ```
/// let z = cumulants::moment_generating(&[1.0, -1.0], 0.5);
/// assert!((z - 0.5_f64.cosh()).abs() < 1e-15);
/// ```
pub fn moment_generating(samples: &[f64], j: f64) -> f64 {
    cumulant_generating(samples, j).exp()
}

/// Cumulant-generating function `W[J] = log (1/n) sum_i e^(J x_i)` of the empirical measure.
///
/// Free of overflow: the largest exponent is taken out of the sum. When all exponents lie within 1 of
/// their mean `J m`, the form `J m + log(1 + mean(e^(J (x - m)) - 1))` is used, whose error shrinks with
/// `J`. NaN for an empty sample, NaN data and infinite exponents.
///
/// ```
/// let w = cumulants::cumulant_generating(&[1.0, -1.0], 800.0);
/// assert!((w - (800.0 - 2.0_f64.ln())).abs() < 1e-12); // log cosh
/// ```
pub fn cumulant_generating(samples: &[f64], j: f64) -> f64 {
    let count = samples.len() as f64;
    let exponents = || samples.iter().map(|x| j * x);
    let mean = exponents().sum::<f64>() / count;
    let largest = exponents().fold(f64::NEG_INFINITY, f64::max);
    let smallest = exponents().fold(f64::INFINITY, f64::min);
    if largest - mean <= SMALL && mean - smallest <= SMALL {
        let excess = exponents().map(|u| (u - mean).exp_m1()).sum::<f64>() / count;
        return mean + excess.ln_1p();
    }
    largest + (exponents().map(|u| (u - largest).exp()).sum::<f64>() / count).ln()
}

/// `W[J] = J mean + J^2 variance / 2` of a Gaussian: no cumulant above the second.
///
/// ```
/// assert_eq!(cumulants::gaussian_cumulant_generating(1.0, 4.0, 0.5), 1.0);
/// ```
pub fn gaussian_cumulant_generating(mean: f64, variance: f64, j: f64) -> f64 {
    j * (0.5 * j).mul_add(variance, mean)
}

/// `W[J; t] = J^2 Xi/2 + W_0[f J]` after a linear noising process, from the `W_0` it started with [3.22].
///
/// `mean_factor` is `f(t,0)`, `variance` is `Xi(t)`.
///
/// ```
/// use cumulants::{forward_cumulant_generating, gaussian_cumulant_generating};
///
/// // A Gaussian stays one, with variance f^2 kappa_2 + Xi.
/// let w0 = |j| gaussian_cumulant_generating(0.0, 2.0, j);
/// let w = forward_cumulant_generating(w0, 0.5, 3.0, 1.0);
/// assert_eq!(w, gaussian_cumulant_generating(0.0, 0.25 * 2.0 + 3.0, 1.0));
/// ```
pub fn forward_cumulant_generating(w0: impl Fn(f64) -> f64, mean_factor: f64, variance: f64, j: f64) -> f64 {
    gaussian_cumulant_generating(0.0, variance, j) + w0(mean_factor * j)
}

/// Cumulants after a linear noising process, `kappa_n f^n` and `Xi` added to the second [3.23, 3.24].
///
/// Entry `k - 1` is `kappa_k`; `mean_factor` is `f(t,0)`, `variance` is `Xi(t)`.
///
/// ```
/// let later = cumulants::forward_cumulants(&[1.0, 2.0, 8.0], 0.5, 3.0);
/// assert_eq!(later, [0.5, 3.5, 1.0]);
/// ```
#[must_use]
pub fn forward_cumulants<const N: usize>(cumulants: &[f64; N], mean_factor: f64, variance: f64) -> [f64; N] {
    let mut power = 1.0;
    let mut later = cumulants.map(|kappa| {
        power *= mean_factor;
        kappa * power
    });
    if let Some(second) = later.get_mut(1) {
        *second += variance;
    }
    later
}
