//! The two-peak model, the standard example with known cumulants of every order.
//!
//! ```text
//! P(x) = 1/2 [ N(x; mu, sigma^2) + N(x; -mu, sigma^2) ]                                        [4.1]
//! W[J] = sigma^2 J^2 / 2 + log cosh(mu J)                                                      [4.5]
//! kappa_2n = mu^2n 2^2n (2^2n - 1) B_2n / (2n)  (+ sigma^2 for n = 1) ,     odd orders zero   [4.6]
//! ```
//!
//! It is a two-valued variable `+-mu` smeared with Gaussian noise, and under a linear noising process it
//! stays one, with `mu f` and `sigma^2 f^2 + Xi` for `mu` and `sigma^2`.

use num_traits::Num;

use crate::conversions::next_binomial_row;

/// Cumulants `kappa_1..=kappa_order` of the two-peak model with peaks at `+-mu` of variance `variance`.
///
/// `W' = mu tanh(mu J) + variance J` and `tanh' = 1 - tanh^2` give the recursion
/// `kappa_(n+2) = -sum_k C(n,k) kappa_(k+1) kappa_(n-k+1)`, `n >= 1`, for the two-valued part (the tangent
/// numbers times `mu^n`). All its terms have one sign, so nothing cancels in `f64`; exact number types
/// give exact cumulants. With `variance` zero: the two-valued variable itself.
///
/// ```
/// let kappa = cumulants::two_peak_cumulants(1.0, 1.0 / 16.0, 10);
/// assert_eq!(kappa, [0.0, 1.0625, 0.0, -2.0, 0.0, 16.0, 0.0, -272.0, 0.0, 7936.0]);
/// ```
pub fn two_peak_cumulants<T: Clone + Num>(mu: T, variance: T, order: usize) -> Vec<T> {
    let mut kappa = vec![T::zero(); order];
    if order < 2 {
        return kappa;
    }
    kappa[1] = mu.clone() * mu;
    let mut row = vec![T::zero(); order];
    next_binomial_row(&mut row, 0);
    for n in 1..order - 1 {
        next_binomial_row(&mut row, n);
        kappa[n + 1] =
            (0..=n).fold(T::zero(), |sum, k| sum - row[k].clone() * kappa[k].clone() * kappa[n - k].clone());
    }
    kappa[1] = kappa[1].clone() + variance;
    kappa
}

/// `W[J] = variance J^2 / 2 + log cosh(mu J)` of the two-peak model.
///
/// Accurate to rounding for all arguments: `log cosh` neither overflows nor loses its small values.
///
/// ```
/// let w = cumulants::two_peak_cumulant_generating(1.0, 0.0, 1e-10);
/// assert!((w / 5e-21 - 1.0).abs() < 1e-15);
/// ```
pub fn two_peak_cumulant_generating(mu: f64, variance: f64, j: f64) -> f64 {
    let a = (mu * j).abs();
    let log_cosh = if a < 1.0 {
        // cosh a = 1 + 2 sinh(a/2)^2
        (2.0 * (0.5 * a).sinh().powi(2)).ln_1p()
    } else {
        a + (-2.0 * a).exp().ln_1p() - std::f64::consts::LN_2
    };
    0.5 * j * j * variance + log_cosh
}
