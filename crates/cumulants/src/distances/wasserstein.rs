//! Areas between distribution functions.

use super::{DistanceError, sorted, steps};

/// Wasserstein distance of first order, `int |F - G| dx`: the mean distance that the elements of one sample have to be
/// moved to make it the other. In the units of the samples.
///
/// ```
/// use cumulants::distances::wasserstein_distance;
/// assert_eq!(wasserstein_distance(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0])?, 5.0);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for an empty sample, infinities and NaN.
pub fn wasserstein_distance(a: &[f64], b: &[f64]) -> Result<f64, DistanceError> {
    integral(a, b, f64::abs)
}

/// Energy distance `sqrt( 2 E|x - y| - E|x - x'| - E|y - y'| ) = sqrt( 2 int (F - G)^2 dx )` (Szekely and Rizzo, J. Stat.
/// Plan. Inference 143 (2013) 1249).
///
/// ```
/// use cumulants::distances::energy_distance;
/// assert!((energy_distance(&[0.0], &[3.0])? - 6.0_f64.sqrt()).abs() < 1e-15);
/// # Ok::<(), cumulants::distances::DistanceError>(())
/// ```
///
/// # Errors
/// [`DistanceError`] for an empty sample, infinities and NaN.
pub fn energy_distance(a: &[f64], b: &[f64]) -> Result<f64, DistanceError> {
    integral(a, b, |difference| difference * difference).map(|area| (2.0 * area).sqrt())
}

/// `int f(F - G) dx`
fn integral(a: &[f64], b: &[f64], f: impl Fn(f64) -> f64) -> Result<f64, DistanceError> {
    let (a, b) = (sorted(a, 0, 1)?, sorted(b, 1, 1)?);
    let (m, n) = (a.len() as f64, b.len() as f64);
    let steps = steps(&a, &b);
    let area = |pair: &[(f64, usize, usize)]| {
        let (x, i, j) = pair[0];
        (pair[1].0 - x) * f(i as f64 / m - j as f64 / n)
    };
    Ok(steps.windows(2).map(area).sum())
}
