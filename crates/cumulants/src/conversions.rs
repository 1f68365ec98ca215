//! Moments and cumulants of one variable, each from the other.
//!
//! The moments `mu_n = E[x^n]` are the derivatives of `Z[J] = E[e^(Jx)]` at `J = 0`, the cumulants
//! `kappa_n` those of `W = log Z`. Differentiating `Z' = W' Z` a further `n - 1` times gives the recursion
//!
//! ```text
//! mu_n = kappa_n + sum_(m=1)^(n-1) C(n-1, m-1) kappa_m mu_(n-m)                              [3.5]
//! ```
//!
//! which is solved for either side, order by order. Equation numbers in brackets are those of
//! arXiv:2410.21212.
//!
//! All functions take and return orders `1..=n` (entry 0 is order 1) and are generic over
//! [`num_traits::Num`], so that exact rationals go through the same code as `f64`. Binomials are built by
//! Pascal's addition in the number type itself; in `f64` they are exact up to order 57.

use num_traits::Num;

use crate::partitions::{stirling_first, stirling_second};

/// Cumulants `kappa_1..=kappa_n` from raw moments `mu_1..=mu_n`, any order, by [3.5].
///
/// In floating point the terms cancel, most badly when the mean is large compared with the width: pass
/// central moments (first entry zero) where you can. They give the same cumulants above the first.
///
/// ```
/// use cumulants::cumulants_from_moments;
///
/// // Exponential distribution: mu_n = n!, kappa_n = (n-1)!.
/// assert_eq!(cumulants_from_moments(&[1.0, 2.0, 6.0, 24.0]), [1.0, 1.0, 2.0, 6.0]);
/// ```
pub fn cumulants_from_moments<T: Clone + Num>(moments: &[T]) -> Vec<T> {
    let mut row = vec![T::zero(); moments.len()];
    let mut cumulants = row.clone();
    cumulants_into(moments, &mut row, &mut cumulants);
    cumulants
}

/// Raw moments `mu_1..=mu_n` from cumulants `kappa_1..=kappa_n`, any order, by [3.5]; the inverse of
/// [`cumulants_from_moments`].
///
/// With `kappa_1 = 0` the result are the central moments.
///
/// ```
/// use cumulants::moments_from_cumulants;
///
/// // Poisson distribution of mean 1: all cumulants 1, the moments are the Bell numbers.
/// assert_eq!(moments_from_cumulants(&[1, 1, 1, 1, 1]), [1, 2, 5, 15, 52]);
/// ```
pub fn moments_from_cumulants<T: Clone + Num>(cumulants: &[T]) -> Vec<T> {
    let mut row = vec![T::zero(); cumulants.len()];
    let mut moments = row.clone();
    for n in 1..=cumulants.len() {
        next_binomial_row(&mut row, n - 1);
        moments[n - 1] = cumulants[n - 1].clone() + connected_products(&row, cumulants, &moments, n);
    }
    moments
}

/// Central moments `E[(x - mu_1)^k]`, `k = 1..=n`, from raw moments, by the binomial theorem.
///
/// The first entry is zero. In floating point this loses the digits by which `mu_1^k` exceeds the result.
///
/// ```
/// assert_eq!(cumulants::central_from_raw(&[1, 2, 5]), [0, 1, 1]);
/// ```
pub fn central_from_raw<T: Clone + Num>(raw: &[T]) -> Vec<T> {
    match raw.first() {
        Some(mean) => shifted_moments(raw, &(T::zero() - mean.clone())),
        None => Vec::new(),
    }
}

/// Raw moments `E[x^k]`, `k = 1..=n`, from the mean and the central moments of the same orders.
///
/// The first entry of `central` is zero by definition.
///
/// ```
/// assert_eq!(cumulants::raw_from_central(&1, &[0, 1, 1]), [1, 2, 5]);
/// ```
pub fn raw_from_central<T: Clone + Num>(mean: &T, central: &[T]) -> Vec<T> {
    shifted_moments(central, mean)
}

/// Factorial moments `E[x (x-1) .. (x-k+1)]`, `k = 1..=n`, from raw moments, by Stirling numbers of the first kind.
///
/// Natural for counts. The same sum takes cumulants to factorial cumulants, the derivatives of `log E[(1+t)^x]` at zero.
///
/// ```
/// // Poisson distribution of mean 2: factorial moments 2^k, factorial cumulants 2, 0, 0, ..
/// assert_eq!(cumulants::factorial_from_raw(&[2, 6, 22]), [2, 4, 8]);
/// assert_eq!(cumulants::factorial_from_raw(&[2, 2, 2]), [2, 0, 0]);
/// ```
pub fn factorial_from_raw<T: Clone + Num>(raw: &[T]) -> Vec<T> {
    combined(&stirling_first(raw.len()), raw)
}

/// Raw moments from factorial moments, or cumulants from factorial cumulants, by Stirling numbers of the second kind: the
/// inverse of [`factorial_from_raw`].
///
/// ```
/// // All factorial moments of a Poisson distribution of mean 1 are 1.
/// assert_eq!(cumulants::raw_from_factorial(&[1, 1, 1, 1, 1]), [1, 2, 5, 15, 52]);
/// ```
pub fn raw_from_factorial<T: Clone + Num>(factorial: &[T]) -> Vec<T> {
    combined(&stirling_second(factorial.len()), factorial)
}

/// `sum_k table[n][k] x_k` for each order.
fn combined<T: Clone + Num>(table: &[Vec<T>], x: &[T]) -> Vec<T> {
    let row =
        |row: &Vec<T>| row[1..].iter().zip(x).fold(T::zero(), |sum, (a, x)| sum + a.clone() * x.clone());
    table[1..].iter().map(row).collect()
}

/// [`cumulants_from_moments`] without allocation. `row` is scratch; all three slices have one length.
pub(crate) fn cumulants_into<T: Clone + Num>(moments: &[T], row: &mut [T], cumulants: &mut [T]) {
    for n in 1..=moments.len() {
        next_binomial_row(row, n - 1);
        cumulants[n - 1] = moments[n - 1].clone() - connected_products(row, cumulants, moments, n);
    }
}

/// The sum in [3.5]; `row` holds the binomials of `n - 1`.
fn connected_products<T: Clone + Num>(row: &[T], cumulants: &[T], moments: &[T], n: usize) -> T {
    (1..n).fold(T::zero(), |sum, m| {
        sum + row[m - 1].clone() * cumulants[m - 1].clone() * moments[n - m - 1].clone()
    })
}

/// Turns the binomials `C(n-1, k)` in `row` into `C(n, k)`, as far as the row reaches; `n = 0` starts it.
pub(crate) fn next_binomial_row<T: Clone + Num>(row: &mut [T], n: usize) {
    for k in (1..row.len().min(n + 1)).rev() {
        row[k] = row[k].clone() + row[k - 1].clone();
    }
    if n == 0 {
        row[0] = T::one();
    }
}

/// `E[(y + t)^k]` from `E[y^k]` by Horner's scheme: pass `j` turns `E[y^(k-j+1) (y+t)^(j-1)]` into
/// `E[y^(k-j) (y+t)^j]`.
fn shifted_moments<T: Clone + Num>(moments: &[T], t: &T) -> Vec<T> {
    let mut shifted = moments.to_vec();
    for pass in 0..shifted.len() {
        for k in (pass.max(1)..shifted.len()).rev() {
            shifted[k] = shifted[k].clone() + t.clone() * shifted[k - 1].clone();
        }
        if pass == 0 {
            shifted[0] = shifted[0].clone() + t.clone();
        }
    }
    shifted
}
