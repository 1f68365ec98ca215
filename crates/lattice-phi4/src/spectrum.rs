//! What is known of a field to second order: its mean and its propagator.
//!
//! A Gaussian field has independent modes. Under a noising process they stay independent, and
//!
//! ```text
//! G(p; t) = f^2 G(p) + Xi(t)                                                                        [5.16]
//! ```
//!
//! so large momenta, where `G` is small, drown first. The Gaussian score with this propagator,
//!
//! ```text
//! s(phi, t)_p = -[ phi(p) - f M delta_(p,0) V ] / G(p; t) ,
//! ```
//!
//! is exact for the free field, right to second order for any other, and what everything else is built on.

use crate::pairs::{PairFilter, PairTransform};
use crate::{FieldPrior, Lattice, Orbits, propagator};
use ndarray::Array2;
use sde_core::gaussian::{euler_maruyama_variance, forward_variance};
use sde_core::{
    Batch, BatchMut, EvalError, Noise, NoiseSchedule, ScoreDivergence, ScoreModel, TimeGrid, Transition,
    values, values_mut,
};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// A spectrum cannot be made of this.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpectrumError {
    /// The lattice does not have the number of sites of a configuration.
    #[error("fields: rows of {found} values, the lattice has {expected} sites")]
    Sites {
        /// Sites of the lattice.
        expected: usize,
        /// Values in a row.
        found: usize,
    },
    /// There are no configurations.
    #[error("fields: no configurations")]
    Empty,
    /// The propagator of a mode is not a positive number.
    #[error("G(p) = {value} at n = {momentum:?} must be finite and positive")]
    NotPositive {
        /// The momentum, `p_nu = 2 pi n_nu / L_nu`.
        momentum: Vec<usize>,
        /// The value.
        value: f64,
    },
}

/// Mean and propagator of a field, symmetric under the symmetries of the lattice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    extents: Vec<usize>,
    mean: f64,
    /// `G(p)` by orbit.
    variances: Vec<f64>,
}

impl Spectrum {
    /// A field of mean `mean` and connected propagator `variances`, in the order of [`Orbits::new`].
    ///
    /// # Errors
    /// [`SpectrumError::NotPositive`] unless all are finite and positive.
    ///
    /// # Panics
    /// Unless there is one variance for each orbit.
    pub fn new(lattice: &Lattice, mean: f64, variances: Vec<f64>) -> Result<Self, SpectrumError> {
        let orbits = Orbits::new(lattice);
        assert_eq!(variances.len(), orbits.len(), "one variance for each orbit");
        match variances.iter().position(|g| !(g.is_finite() && *g > 0.0)) {
            Some(orbit) => Err(SpectrumError::NotPositive {
                momentum: orbits.representative(orbit).to_vec(),
                value: variances[orbit],
            }),
            None => Ok(Self { extents: lattice.extents().to_vec(), mean, variances }),
        }
    }

    /// The free field of the action [5.4] at `lambda = 0`: `G(p) = 1 / (2 [1 - 2 kappa sum_nu cos p_nu])`.
    ///
    /// ```
    /// use lattice_phi4::{Lattice, Spectrum};
    /// let free = Spectrum::free(&Lattice::new(&[32, 32])?, 0.21)?;
    /// assert!((free.local_variance() - 0.663_262_665_849).abs() < 1e-12);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SpectrumError::NotPositive`] from `kappa = 1 / (2 d)` on, where the action is not bounded.
    pub fn free(lattice: &Lattice, hopping: f64) -> Result<Self, SpectrumError> {
        let orbits = Orbits::new(lattice);
        let inverse = |orbit: usize| -> f64 {
            let axes = orbits.representative(orbit).iter().zip(lattice.extents());
            let cosines: f64 = axes.map(|(&n, &extent)| (TAU * n as f64 / extent as f64).cos()).sum();
            2.0 * (1.0 - 2.0 * hopping * cosines)
        };
        let variances = (0..orbits.len()).map(|orbit| inverse(orbit).recip()).collect();
        Self::new(lattice, 0.0, variances)
    }

    /// The propagator of an ensemble, shape `(configurations, sites)`, about the mean `mean`, averaged over orbits.
    ///
    /// # Errors
    /// [`SpectrumError`], for an empty ensemble, or one of another lattice, or one that does not move.
    pub fn of_ensemble(lattice: &Lattice, mean: f64, fields: Batch<'_>) -> Result<Self, SpectrumError> {
        if fields.nrows() == 0 {
            return Err(SpectrumError::Empty);
        }
        if fields.ncols() != lattice.volume() {
            return Err(SpectrumError::Sites { expected: lattice.volume(), found: fields.ncols() });
        }
        let rows = propagator(lattice, fields);
        let mut variances = vec![0.0; rows.ncols()];
        for row in rows.outer_iter() {
            variances.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
        }
        for sum in &mut variances {
            *sum /= fields.nrows() as f64;
        }
        if mean != 0.0 {
            // About M: V (m - M)^2 at zero momentum in place of V m^2.
            let magnetisation: f64 = values(&fields).iter().sum::<f64>() / fields.len() as f64;
            variances[0] += lattice.volume() as f64 * mean * (mean - 2.0 * magnetisation);
        }
        Self::new(lattice, mean, variances)
    }

    /// The lattice.
    pub fn lattice(&self) -> Lattice {
        Lattice::new(&self.extents).expect("it was one")
    }

    pub(crate) fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// The mean `M`.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// `G(p)` in the order of [`Orbits::new`].
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The variance of the field at one site: the mean of `G(p)` over all momenta.
    pub fn local_variance(&self) -> f64 {
        let orbits = Orbits::new(&self.lattice());
        let sum: f64 = self.variances.iter().enumerate().map(|(k, g)| orbits.size(k) as f64 * g).sum();
        sum / self.extents.iter().product::<usize>() as f64
    }

    /// Draws `rows` Gaussian fields with this spectrum, noised to time `t` of `schedule`: `N(f M, G(p; t))`, the matched prior
    /// of the backward process: [`FieldPrior::Matched`].
    ///
    /// ```
    /// use lattice_phi4::{Lattice, Spectrum};
    /// use sde_core::{Noise, NoiseSchedule, VarianceExpanding};
    ///
    /// let (free, schedule) = (Spectrum::free(&Lattice::new(&[8, 8])?, 0.2)?, VarianceExpanding::new(10.0)?);
    /// let x = free.draw(&schedule, 1.0, 2000, &Noise::new(1, 0));
    /// let exact = free.local_variance() + schedule.transition(0.0, 1.0).variance;
    /// let found = x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64;
    /// // 128 000 nearly independent sites: 0.4 per cent
    /// assert!((found / exact - 1.0).abs() < 0.016);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn draw<S: NoiseSchedule + ?Sized>(
        &self,
        schedule: &S,
        t: f64,
        rows: usize,
        noise: &Noise,
    ) -> Array2<f64> {
        FieldPrior::Matched.draw(self, schedule, t, rows, noise)
    }

    /// The variance at a site after each step of [`EulerMaruyama`](sde_core::EulerMaruyama) on the reverse process with the
    /// [`SpectralScore`], from the matched prior, which comes first: the mean over all modes of
    /// [`euler_maruyama_variance`].
    ///
    /// What a [`SpectralScore`] is known by when it is the twin of another score; see `CumulantFlow::controlled` of the crate
    /// `lattice-diffusion`.
    pub fn euler_maruyama_variances<S: NoiseSchedule + ?Sized>(
        &self,
        schedule: &S,
        grid: &TimeGrid,
    ) -> Vec<f64> {
        let orbits = Orbits::new(&self.lattice());
        let volume = self.extents.iter().product::<usize>() as f64;
        let mut sums = vec![0.0; grid.len() + 1];
        for (orbit, &g) in self.variances.iter().enumerate() {
            let start = forward_variance(schedule, g, grid.start());
            let weight = orbits.size(orbit) as f64 / volume;
            for (sum, variance) in sums.iter_mut().zip(euler_maruyama_variance(schedule, g, start, grid)) {
                *sum += weight * variance;
            }
        }
        sums
    }
}

/// The score of a Gaussian field, mode by mode [5.16].
///
/// ```
/// use lattice_phi4::{Lattice, SpectralScore, Spectrum};
/// use sde_core::{ScoreModel, VarianceExpanding, ndarray::Array2};
///
/// // of a plane wave with n = (0, 1), at t = 0
/// let lattice = Lattice::new(&[4, 4])?;
/// let free = Spectrum::free(&lattice, 0.2)?;
/// let wave = Array2::from_shape_fn((1, 16), |(_, x)| [1.0, 0.0, -1.0, 0.0][x % 4]);
/// let mut s = Array2::zeros((1, 16));
/// SpectralScore::new(&free, VarianceExpanding::new(25.0)?).score(wave.view(), 0.0, s.view_mut())?;
/// let stiffness = 2.0 * (1.0 - 2.0 * 0.2 * (1.0 + 0.0)); // 1/G at cos p = 1 and 0
/// assert!((s[(0, 0)] + stiffness).abs() < 1e-14);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SpectralScore<S> {
    schedule: S,
    mean: f64,
    transform: PairTransform,
    /// `G(p)` by mode.
    g: Vec<f64>,
}

impl<S: NoiseSchedule> SpectralScore<S> {
    /// The score of a Gaussian field with this spectrum, noised by `schedule`.
    pub fn new(spectrum: &Spectrum, schedule: S) -> Self {
        let transform = PairTransform::new(&spectrum.lattice());
        Self { schedule, mean: spectrum.mean(), g: transform.by_mode(spectrum.variances()), transform }
    }

    /// `-1 / G(p; t)` by mode.
    fn factors(&self, kernel: Transition) -> Vec<f64> {
        let signal = kernel.mean_factor * kernel.mean_factor;
        self.g.iter().map(|g| -(signal * g + kernel.variance).recip()).collect()
    }
}

impl<S: NoiseSchedule> ScoreModel for SpectralScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let kernel = self.schedule.transition(0.0, t);
        let factors = self.factors(kernel);
        out.assign(&x);
        PairFilter::new(&self.transform).filter_rows(values_mut(&mut out), &factors);
        out -= factors[0] * kernel.mean_factor * self.mean;
        Ok(())
    }
}

/// `div s = -sum_p 1 / G(p; t)`, the same for all fields.
impl<S: NoiseSchedule> ScoreDivergence for SpectralScore<S> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        score: BatchMut<'_>,
        mut divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        divergence.fill(self.factors(self.schedule.transition(0.0, t)).iter().sum());
        self.score(x, t, score)
    }
}
