//! Large-sample errors of cumulants by the delta method.
//!
//! How does `kappa_n` react to one more sample at `x`? Mixing a little of a point mass into the measure,
//! `Z -> Z + eps (e^(Jx) - Z)`, changes `W = log Z` by `eps (e^(Jx) / Z - 1)`. The influence of `x` on
//! `kappa_n` is therefore the coefficient
//!
//! ```text
//! A_n(x) = n! [J^n] e^(J x - W[J]) ,          n >= 1 ,
//! ```
//!
//! the Appell polynomial of the distribution: `A_1 = y`, `A_2 = y^2 - kappa_2`,
//! `A_3 = y^3 - 3 kappa_2 y - kappa_3`, .. with `y = x - kappa_1`. Its mean vanishes since
//! `E[e^(Jx - W)] = 1`, and the plug-in cumulant of `N` independent samples has the variance
//!
//! ```text
//! Var kappa_n = E[A_n^2] / N + O(1/N^2) .
//! ```
//!
//! For a Gaussian the `A_n` are Hermite polynomials and this is `n! kappa_2^n / N`.

use multiversion::multiversion;

use crate::conversions::moments_from_cumulants;
use crate::{LEAF, Moments};

/// Samples handled at once, and the number of independent partial sums per order.
const LANES: usize = 8;

/// Standard errors of the plug-in cumulants `kappa_1..=kappa_N` of independent samples, to leading order
/// in `1/n`, by one pass over the samples; entry `k - 1` belongs to `kappa_k`.
///
/// `moments` must be those of the same samples (which of the two summaries, [`Moments::of`] or
/// [`PairwiseMoments`](crate::PairwiseMoments), does not matter). The error of order `n` rests on the `2n`-th
/// moment of the sample: at `n = 8` expect it to be uncertain itself by tens of per cent even at `1e6`
/// samples. Correlated data need bins: see [`jackknife_cumulants`](crate::jackknife_cumulants). Without
/// samples all errors are NaN.
///
/// ```
/// use cumulants::{Moments, standard_errors};
///
/// let data: Vec<f64> = (0..1000).map(|i| f64::from(i % 2)).collect();
/// let moments = Moments::<2>::of(&data);
/// let errors = standard_errors(&data, &moments);
/// assert_eq!(errors[0], (0.25_f64 / 1000.0).sqrt());
/// assert_eq!(errors[1], 0.0); // y^2 - kappa_2 vanishes on both values
/// ```
pub fn standard_errors<const N: usize>(samples: &[f64], moments: &Moments<N>) -> [f64; N] {
    let polynomials = appell_polynomials(&moments.cumulants());
    let squares = influence_squares(samples, moments.mean(), &polynomials);
    let count = samples.len() as f64;
    squares.map(|sum| sum.sqrt() / count)
}

/// One Appell polynomial in `y`: the constant, and the coefficients of `y^1..=y^N`.
type Polynomial<const N: usize> = (f64, [f64; N]);

/// `A_n(y) = sum_k C(n,k) a_(n-k) y^k`, where `a_j = j! [J^j] e^(-W)` without the mean. `a_j` are the
/// "moments" belonging to the cumulants `0, -kappa_2, -kappa_3, ..`
fn appell_polynomials<const N: usize>(cumulants: &[f64; N]) -> [Polynomial<N>; N] {
    let mut inverse = cumulants.map(|kappa| -kappa);
    inverse[0] = 0.0;
    let a = moments_from_cumulants(&inverse);
    std::array::from_fn(|index| {
        let n = index + 1;
        let mut coefficients = [0.0; N];
        let mut binomial = 1.0;
        for k in (1..=n).rev() {
            coefficients[k - 1] = if k == n { 1.0 } else { binomial * a[n - k - 1] };
            binomial *= k as f64 / (n - k + 1) as f64;
        }
        (a[n - 1], coefficients)
    })
}

/// Sums `A_n(x_i - centre)^2` over the samples for each order.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn influence_squares<const N: usize>(
    samples: &[f64],
    centre: f64,
    polynomials: &[Polynomial<N>; N],
) -> [f64; N] {
    let mut totals = [0.0; N];
    // Lane sums run over short blocks only, so that rounding stays small for any number of samples.
    for block in samples.chunks(LEAF) {
        let (chunks, rest) = block.as_chunks::<LANES>();
        let mut partial = [[0.0; LANES]; N];
        for chunk in chunks {
            add_squares(chunk, centre, polynomials, &mut partial);
        }
        let mut sums = partial.map(|lanes| [lanes.iter().sum::<f64>()]);
        for value in rest {
            add_squares(&[*value], centre, polynomials, &mut sums);
        }
        for (total, [sum]) in totals.iter_mut().zip(sums) {
            *total += sum;
        }
    }
    totals
}

/// Adds `A_n^2` of each lane to the partial sums of each order, the polynomials by Horner's rule.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn add_squares<const N: usize, const L: usize>(
    chunk: &[f64; L],
    centre: f64,
    polynomials: &[Polynomial<N>; N],
    partial: &mut [[f64; L]; N],
) {
    let y = chunk.map(|x| x - centre);
    for n in 0..N {
        let (constant, coefficients) = &polynomials[n];
        let mut value = [coefficients[n]; L];
        for k in (0..=n).rev() {
            let next = if k == 0 { *constant } else { coefficients[k - 1] };
            for lane in 0..L {
                value[lane] = value[lane].mul_add(y[lane], next);
            }
        }
        for lane in 0..L {
            partial[n][lane] = value[lane].mul_add(value[lane], partial[n][lane]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::appell_polynomials;

    /// `E[A_m A_n] = delta_mn n! v^n` for a Gaussian of variance `v`, by its exact moments
    /// `E[y^(2k)] = (2k-1)!! v^k`.
    #[test]
    fn appell_polynomials_of_a_gaussian_are_orthogonal_with_norm_factorial() {
        let variance = 1.5;
        let mut cumulants = [0.0; 8];
        cumulants[..2].copy_from_slice(&[7.0, variance]);
        let polynomials =
            appell_polynomials(&cumulants).map(|(constant, rest)| [&[constant][..], &rest[..]].concat());
        let moment = |order: usize| match order % 2 {
            0 => (1..order).step_by(2).map(|odd| odd as f64 * variance).product(),
            _ => 0.0,
        };
        for (m, left) in polynomials.iter().enumerate() {
            for (n, right) in polynomials.iter().enumerate() {
                let mut mean = 0.0;
                for (i, a) in left.iter().enumerate() {
                    mean += right.iter().enumerate().map(|(j, b)| a * b * moment(i + j)).sum::<f64>();
                }
                let norm = |n: usize| (1..=n + 1).map(|k| k as f64 * variance).product::<f64>();
                let exact = if m == n { norm(n) } else { 0.0 };
                // Terms up to E[y^16] = 2e6 v^8 cancel against each other.
                assert!((mean - exact).abs() < 1e-11 * (norm(m) * norm(n)).sqrt(), "{m} {n} {mean} {exact}");
            }
        }
    }
}
