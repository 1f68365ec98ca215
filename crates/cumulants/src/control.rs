//! Control variates: fluctuations that a sample shares with one whose cumulants are known.
//!
//! Let a sample `x` come with a twin `y`, drawn with the same random numbers from a law whose cumulants `kappa_k(y)`
//! are known. Then
//!
//! ```text
//! kappa_n(x) - sum_k beta_k [ k_k(y) - kappa_k(y) ] ,      k_k the cumulants of the sample,
//! ```
//!
//! has the same expectation for any `beta`, and with the coefficients of the regression of `k_n(x)` on the `k_k(y)` a
//! smaller variance: `1 - R^2` of it. All orders of the twin enter at once. The cumulants of a normal sample fluctuate
//! independently of each other, so they are natural directions to regress on, and those of another order matter: for a
//! diffusion model they take another factor of ten off the variance.
//!
//! The regression is one of jackknife pseudo-values over common bins. High powers have heavy tails: coefficients fitted to
//! a rare large bin and then applied to it would take the fluctuation away and leave a bias in its place, one sigma of
//! `kappa_8` in practice. So every bin is corrected with coefficients fitted to the *other* bins (in eight folds), and the
//! error is that of the terms so corrected.

use crate::jackknife::Spread;
use crate::{ErrorEstimateError, Estimate, Moments};

/// Bins are corrected in so many parts, each with the coefficients of the others.
const FOLDS: usize = 8;

/// A control less than this part of which is independent of the others is left out.
const DEPENDENT: f64 = 1e-9;

/// An estimate with and without control variates.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Controlled {
    /// With control variates.
    pub estimate: Estimate,
    /// Without.
    pub plain: Estimate,
}

impl Controlled {
    /// By what factor the variance is smaller; an infinity if nothing is left of it.
    pub fn variance_reduction(&self) -> f64 {
        (self.plain.error / self.estimate.error).powi(2)
    }
}

/// Cumulants `kappa_1..=kappa_N` of a sample, with those of its twin, known to be `exact`, as control variates.
///
/// `bins` and `twin` are moments of the same bins in the same order; empty ones are left out.
///
/// ```
/// use cumulants::{Moments, controlled_cumulants};
/// use rand::{Rng, SeedableRng};
///
/// // x = y + y^3/100 of a standard normal y: what is the mean of x^2?
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let y: Vec<f64> = (0..100_000).map(|_| rng.sample(rand_distr::StandardNormal)).collect();
/// let x: Vec<f64> = y.iter().map(|y| y + y.powi(3) / 100.0).collect();
/// let bins = |x: &[f64]| x.chunks(1000).map(Moments::<4>::of).collect::<Vec<_>>();
///
/// let kappa = controlled_cumulants(&bins(&x), &bins(&y), &[0.0, 1.0, 0.0, 0.0])?;
/// let exact = 1.0 + 2.0 * 3.0 / 100.0 + 15.0 / 10_000.0;
/// assert!(kappa[1].estimate.pull(exact).abs() < 3.0);
/// assert!(kappa[1].variance_reduction() > 1000.0);
/// # Ok::<(), cumulants::ErrorEstimateError>(())
/// ```
///
/// # Errors
/// [`ErrorEstimateError::TooFewBins`] for less than `3 N + 2` non-empty bins, and
/// [`ErrorEstimateError::UnlikeBins`] if the two samples are cut differently.
pub fn controlled_cumulants<const N: usize>(
    bins: &[Moments<N>],
    twin: &[Moments<N>],
    exact: &[f64; N],
) -> Result<[Controlled; N], ErrorEstimateError> {
    if let Some(bin) = (0..bins.len().max(twin.len()))
        .find(|&bin| bins.get(bin).map(Moments::count) != twin.get(bin).map(Moments::count))
    {
        return Err(ErrorEstimateError::UnlikeBins { bin });
    }
    let sample = Spread::over(bins, 3 * N + 2, Moments::cumulants)?;
    let twin = Spread::over(twin, 3 * N + 2, Moments::cumulants)?;

    let targets: [_; N] = std::array::from_fn(|k| sample.deviations(k));
    let controls: [_; N] = std::array::from_fn(|k| {
        twin.deviations(k).into_iter().map(|d| d + twin.theta[k] - exact[k]).collect::<Vec<f64>>()
    });
    let mut corrected = targets.clone();
    for fold in 0..FOLDS {
        let others = Others { fold, weights: &sample.weights };
        let basis = others.orthogonal(&controls);
        for (corrected, target) in corrected.iter_mut().zip(&targets) {
            let rest = others.without(target, &basis);
            for j in (fold..rest.len()).step_by(FOLDS) {
                corrected[j] = rest[j];
            }
        }
    }
    Ok(std::array::from_fn(|k| {
        let plain = sample.estimate(k);
        let shift: f64 = corrected[k].iter().zip(&sample.weights).map(|(term, h)| term / h).sum();
        let deviations: Vec<f64> = corrected[k].iter().map(|term| term - shift).collect();
        let estimate = Estimate { value: plain.value + shift, error: sample.error(&deviations) };
        Controlled { estimate, plain }
    }))
}

/// The geometry of quantities over all bins but those of one fold.
struct Others<'a> {
    fold: usize,
    /// `n / m_j`.
    weights: &'a [f64],
}

impl Others<'_> {
    fn sum(&self, term: impl Fn(usize) -> f64) -> f64 {
        (0..self.weights.len())
            .filter(|j| j % FOLDS != self.fold)
            .map(|j| term(j) / (self.weights[j] - 1.0))
            .sum()
    }

    fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        let size = self.sum(|_| 1.0);
        let (mean_a, mean_b) = (self.sum(|j| a[j]) / size, self.sum(|j| b[j]) / size);
        self.sum(|j| (a[j] - mean_a) * (b[j] - mean_b))
    }

    /// `v` without its components along an orthogonal `basis`; in the bins of the fold, too.
    fn without(&self, v: &[f64], basis: &[Vec<f64>]) -> Vec<f64> {
        let mut rest = v.to_vec();
        for b in basis {
            let beta = self.covariance(&rest, b) / self.covariance(b, b);
            rest.iter_mut().zip(b).for_each(|(rest, b)| *rest -= beta * b);
        }
        rest
    }

    fn orthogonal(&self, controls: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut basis: Vec<Vec<f64>> = Vec::with_capacity(controls.len());
        for control in controls {
            let rest = self.without(control, &basis);
            let size = self.covariance(control, control);
            if self.covariance(&rest, &rest) > DEPENDENT * DEPENDENT * size {
                basis.push(rest);
            }
        }
        basis
    }
}

#[cfg(test)]
mod tests {
    use super::controlled_cumulants;
    use crate::{ErrorEstimateError, Moments};

    fn bins(x: &[f64]) -> Vec<Moments<2>> {
        x.chunks(10).map(Moments::of).collect()
    }

    fn sequence(n: usize, shift: f64) -> Vec<f64> {
        (0..n).map(|i| ((i as f64 + shift) * 0.618_033_988_749_895).fract()).collect()
    }

    #[test]
    fn a_sample_that_is_its_twin_has_the_twins_cumulants() {
        let x = sequence(500, 0.0);
        let exact = [0.5, 1.0 / 12.0];
        for (controlled, exact) in
            controlled_cumulants(&bins(&x), &bins(&x), &exact).unwrap().iter().zip(exact)
        {
            assert!((controlled.estimate.value - exact).abs() < 1e-13, "{controlled:?}");
            assert!(controlled.estimate.error < 1e-12 * controlled.plain.error.max(1e-3), "{controlled:?}");
        }
    }

    /// A linear map of the twin has cumulants `a^n kappa_n` whatever its offset.
    #[test]
    fn a_linear_image_is_known_too() {
        let y = sequence(500, 0.0);
        let x: Vec<f64> = y.iter().map(|y| 3.0 * y - 1.0).collect();
        let controlled = controlled_cumulants(&bins(&x), &bins(&y), &[0.5, 1.0 / 12.0]).unwrap();
        assert!((controlled[0].estimate.value - 0.5).abs() < 1e-12);
        assert!((controlled[1].estimate.value - 0.75).abs() < 1e-12);
    }

    #[test]
    fn constant_twins_change_nothing() {
        let x = sequence(500, 0.0);
        let controlled = controlled_cumulants(&bins(&x), &bins(&[2.0; 500]), &[2.0, 0.0]).unwrap();
        for c in controlled {
            assert_eq!(c.estimate.value, c.plain.value);
            assert!((c.estimate.error / c.plain.error - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn bins_must_be_enough_and_alike() {
        let x = bins(&sequence(500, 0.0));
        assert_eq!(
            controlled_cumulants(&x[..7], &x[..7], &[0.0; 2]),
            Err(ErrorEstimateError::TooFewBins { found: 7, needed: 8 })
        );
        assert_eq!(
            controlled_cumulants(&x, &x[..49], &[0.0; 2]),
            Err(ErrorEstimateError::UnlikeBins { bin: 49 })
        );
    }
}
