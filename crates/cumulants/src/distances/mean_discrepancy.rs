//! Differences of kernel means.

use super::{DistanceError, check};
use crate::Estimate;
use rayon::prelude::*;

/// Squared maximum mean discrepancy of two samples of several variables, with the kernel
/// `k(x, y) = exp( -|x - y|^2 / (2 width^2) )` (Gretton et al., J. Mach. Learn. Res. 13 (2012) 723):
///
/// ```text
/// E[k(x, x')] + E[k(y, y')] - 2 E[k(x, y)] ,
/// ```
///
/// each mean over different rows, so that the estimate is unbiased and can be negative. The `error` is the standard
/// deviation that it has *if the laws are equal*, from the kernel's covariance over both samples together: a value of many
/// errors tells them apart. `a` and `b` are rows of `variables` values one after the other. Cost: two passes over all
/// pairs of rows, on all threads of the current rayon pool.
///
/// ```
/// use cumulants::distances::maximum_mean_discrepancy;
/// let a: Vec<f64> = (0..500).map(|i| (f64::from(i) * 0.618).fract()).collect();
/// let b: Vec<f64> = (0..500).map(|i| (f64::from(i) * 0.414).fract() + 0.2).collect();
/// let found = maximum_mean_discrepancy(&a, &b, 1, 0.3)?;
/// assert!(found.value > 10.0 * found.error);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for fewer than two rows, rows that are not whole, infinities and NaN, and a bad width.
pub fn maximum_mean_discrepancy(
    a: &[f64],
    b: &[f64],
    variables: usize,
    width: f64,
) -> Result<Estimate, DistanceError> {
    if !width.is_finite() || width <= 0.0 {
        return Err(DistanceError::Width { width });
    }
    let (a, b) = (rows(a, 0, variables)?, rows(b, 1, variables)?);
    let pooled: Vec<&[f64]> = a.iter().chain(&b).copied().collect();
    let (m, n) = (a.len() as f64, b.len() as f64);
    let total = m + n;
    let kernel = |x: &[f64], y: &[f64]| (-squared_distance(x, y) / (2.0 * width * width)).exp();

    // Of each row: the sums of the kernel with the other rows of a and of b.
    let sums: Vec<[f64; 2]> = pooled
        .par_iter()
        .enumerate()
        .map(|(i, x)| {
            let sum = |rows: &[&[f64]], skip: usize| {
                let others = rows.iter().enumerate().filter(|(j, _)| *j != skip);
                others.map(|(_, y)| kernel(x, y)).sum::<f64>()
            };
            [sum(&a, i), sum(&b, i.wrapping_sub(a.len()))]
        })
        .collect();
    let (of_a, of_b) = sums.split_at(a.len());
    let within_a = of_a.iter().map(|s| s[0]).sum::<f64>() / (m * (m - 1.0));
    let within_b = of_b.iter().map(|s| s[1]).sum::<f64>() / (n * (n - 1.0));
    let between = of_a.iter().map(|s| s[1]).sum::<f64>() / (m * n);

    let means: Vec<f64> = sums.iter().map(|[a, b]| (a + b) / (total - 1.0)).collect();
    let mean = means.iter().sum::<f64>() / total;
    let squares: f64 = pooled
        .par_iter()
        .enumerate()
        .map(|(i, x)| {
            let others = pooled.iter().zip(&means).enumerate().filter(|(j, _)| *j != i);
            others.map(|(_, (y, of_y))| (kernel(x, y) - means[i] - of_y + mean).powi(2)).sum::<f64>()
        })
        .collect::<Vec<f64>>()
        .iter()
        .sum();
    let covariance = squares / (total * (total - 1.0));
    let weight = 1.0 / (m * (m - 1.0)) + 1.0 / (n * (n - 1.0)) + 2.0 / (m * n);
    Ok(Estimate { value: within_a + within_b - 2.0 * between, error: (2.0 * covariance * weight).sqrt() })
}

/// The median distance between rows of both samples together: the usual width of the kernel.
///
/// From all pairs of at most 1000 rows, evenly chosen. Zero if more than half of the pairs coincide.
///
/// # Errors
/// [`DistanceError`] for fewer than two rows, rows that are not whole, infinities and NaN.
pub fn median_distance(a: &[f64], b: &[f64], variables: usize) -> Result<f64, DistanceError> {
    let (a, b) = (rows(a, 0, variables)?, rows(b, 1, variables)?);
    let pooled: Vec<&[f64]> = a.into_iter().chain(b).collect();
    let chosen: Vec<&[f64]> = pooled.iter().step_by(pooled.len().div_ceil(1000)).copied().collect();
    let pairs = (1..chosen.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut squares: Vec<f64> = pairs.map(|(i, j)| squared_distance(chosen[i], chosen[j])).collect();
    let middle = squares.len() / 2;
    Ok(squares.select_nth_unstable_by(middle, f64::total_cmp).1.sqrt())
}

fn rows(values: &[f64], sample: usize, variables: usize) -> Result<Vec<&[f64]>, DistanceError> {
    if variables == 0 || !values.len().is_multiple_of(variables) {
        return Err(DistanceError::Sizes { left: values.len(), right: variables });
    }
    check(values, sample, 2 * variables)?;
    Ok(values.chunks_exact(variables).collect())
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum()
}
