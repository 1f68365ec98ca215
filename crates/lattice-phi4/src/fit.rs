//! Finding the coefficients of a perturbative score by regression.
//!
//! With the linear part of the score known, its bracket is the conditional mean of any target `N` with
//!
//! ```text
//! N(x) = E[ N | x ] ,     N_F = F(phi) + (phi - M) / G ,  F = -dS/dphi ,     N_D = (phi - M - W x) / (s^2 W) .
//! ```
//!
//! `N_D` is denoising, for any ensemble. `N_F` is for ensembles in equilibrium, where `s(x) = E[F | x]`; it has no variance at
//! all for a free field, and little where the noise is weak. A mixture `alpha N_F + (1 - alpha) N_D` is as good as either, and
//! each orbit takes the `alpha` of least variance: near criticality the force says next to nothing of the zero mode, and
//! the regression on it was the largest error of the score.
//!
//! All this is linear regression on the features; the loss is the mean squared error of the denoised field over `s^2`, so
//! the weight of a mode is `(s W)^2`. Linear parts are regressed out mode by mode, averaged over the orbits of the lattice,
//! and the coefficients solve two small systems for each noise level, one of the zero mode and one of all others.

use crate::features::FeatureSpace;
use crate::pairs::{PairFilter, PairTransform};
use crate::perturbative::{Kernels, Means, sign};
use crate::regression::{Sector, Sums, pairs};
use crate::{ConstraintPotential, Feature, Level, PerturbativeModel, Spectrum, SpectrumError};
use multiversion::multiversion;
use ndarray::{ArrayView2, ArrayViewMut2};
use num_complex::Complex64;
use rayon::prelude::*;
use sde_core::{Batch, Noise, NormalSource, Target, values};

/// Configurations that are summed in one go: the order of all sums is fixed by it.
const CHUNK: usize = 64;
/// Features are trusted a little further out than they were seen.
const MARGIN: f64 = 1.05;
/// Gain of a feature without its linear part and with coefficient one, a configuration, below which there is nothing to regress
/// on: what coefficients of any use would be is left to rounding and to the few fields at the edge of what was seen.
const NOTHING: f64 = 1e-6;

/// How a perturbative score is fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct FitConfig {
    /// The features.
    pub features: Vec<Feature>,
    /// Standard deviations `s` of the noise, ascending.
    pub noise: Vec<f64>,
    /// Ridge of the regression, in units of the diagonal.
    pub ridge: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// A score cannot be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// The ensemble and the spectrum do not fit together.
    #[error(transparent)]
    Spectrum(#[from] SpectrumError),
    /// Noise levels must be finite, positive and ascending.
    #[error("noise[{place}] = {value}: levels must be finite, positive and ascending")]
    Noise {
        /// Place in the list.
        place: usize,
        /// The value there.
        value: f64,
    },
    /// A value of the ensemble is an infinity or a NaN.
    #[error("fields: configuration {row} is not finite")]
    NotFinite {
        /// The configuration.
        row: usize,
    },
    /// There are no more configurations than the zero mode has unknowns: coefficients, a linear part and a mean.
    #[error("fields: {found} configurations, the regression on these features needs at least {needed}")]
    TooFew {
        /// Configurations.
        found: usize,
        /// One more than there are unknowns.
        needed: usize,
    },
    /// The distribution of the zero mode is described about zero alone.
    #[error("features: Marginal is for a spectrum about zero, not about {mean}")]
    Marginal {
        /// Mean of the spectrum.
        mean: f64,
    },
    /// The features are linearly dependent on this ensemble.
    #[error(
        "noise {noise}: the features are linearly dependent to within the ridge; condition number {condition}"
    )]
    Dependent {
        /// The noise level.
        noise: f64,
        /// Condition number of the regression.
        condition: f64,
    },
}

impl PerturbativeModel {
    /// Fits an ensemble, shape `(configurations, sites)`, about `spectrum`.
    ///
    /// With `equilibrium`, the target the ensemble is drawn from, the features are regressed on its force as well; without,
    /// on the denoising target alone. If the spectrum has a mean, configurations are folded to positive magnetisation first. The
    /// result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`FitError`].
    pub fn fit(
        spectrum: Spectrum,
        fields: Batch<'_>,
        equilibrium: Option<&(dyn Target + Sync)>,
        config: &FitConfig,
    ) -> Result<Self, FitError> {
        let sites = spectrum.lattice().volume();
        if fields.nrows() == 0 {
            return Err(SpectrumError::Empty.into());
        }
        if fields.ncols() != sites {
            return Err(SpectrumError::Sites { expected: sites, found: fields.ncols() }.into());
        }
        if let Some(at) = values(&fields).iter().position(|x| !x.is_finite()) {
            return Err(FitError::NotFinite { row: at / sites });
        }
        if spectrum.mean() != 0.0 && config.features.contains(&Feature::Marginal) {
            return Err(FitError::Marginal { mean: spectrum.mean() });
        }
        let mut last = 0.0;
        for (place, &value) in config.noise.iter().enumerate() {
            if !(value.is_finite() && value > last) {
                return Err(FitError::Noise { place, value });
            }
            last = value;
        }
        let (found, needed) = (fields.nrows(), config.features.len() + 3);
        if found < needed {
            return Err(FitError::TooFew { found, needed });
        }
        let amplitude = |phi: &[f64]| phi.iter().sum::<f64>() / (sites as f64).sqrt();
        let potential = if config.features.contains(&Feature::Marginal) {
            let amplitudes: Vec<f64> = values(&fields).chunks_exact(sites).map(amplitude).collect();
            ConstraintPotential::fit(&amplitudes)
        } else {
            None
        };
        let fit = Fit::new(&spectrum, potential.as_ref(), fields, equilibrium, config);
        let levels = (0..config.noise.len()).map(|level| fit.level(level)).collect::<Result<_, _>>()?;
        Ok(Self { spectrum, potential, features: config.features.clone(), levels })
    }
}

struct Fit<'a> {
    fields: Batch<'a>,
    equilibrium: Option<&'a (dyn Target + Sync)>,
    config: &'a FitConfig,
    potential: Option<&'a ConstraintPotential>,
    mean: f64,
    transform: PairTransform,
    /// By mode.
    g: Vec<f64>,
    orbit_count: usize,
}

/// `sums += a* b` for real and imaginary parts apart.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn add_products(a: &[Complex64], b: &[Complex64], sums: &mut [Complex64]) {
    for ((a, b), sum) in a.iter().zip(b).zip(sums) {
        sum.re = a.re.mul_add(b.re, sum.re);
        sum.im = a.im.mul_add(b.im, sum.im);
    }
}

impl<'a> Fit<'a> {
    fn new(
        spectrum: &Spectrum,
        potential: Option<&'a ConstraintPotential>,
        fields: Batch<'a>,
        equilibrium: Option<&'a (dyn Target + Sync)>,
        config: &'a FitConfig,
    ) -> Self {
        let transform = PairTransform::new(&spectrum.lattice());
        Self {
            fields,
            equilibrium,
            config,
            potential,
            mean: spectrum.mean(),
            g: transform.by_mode(spectrum.variances()),
            orbit_count: spectrum.variances().len(),
            transform,
        }
    }

    /// `x`, the features, two targets.
    fn vectors(&self) -> usize {
        self.config.features.len() + 3
    }

    fn sums(&self, level: usize, kernels: &Kernels) -> Sums {
        let (n, orbits) = (self.vectors(), self.orbit_count);
        let products = vec![0.0; n * (n + 1) / 2 * orbits];
        let empty = Sums { vectors: n, products, orbits, means: vec![0.0; n], largest: 0.0 };
        let rows = self.fields.nrows();
        let chunks: Vec<Sums> = (0..rows.div_ceil(CHUNK))
            .into_par_iter()
            .map_init(
                || Work::new(self),
                |work, chunk| {
                    let mut sums = empty.clone();
                    work.products.fill(Complex64::ZERO);
                    for row in (chunk * CHUNK..rows.min((chunk + 1) * CHUNK)).step_by(2) {
                        work.load(self, row..rows.min(row + 2), level);
                        work.accumulate(self, kernels, &mut sums);
                    }
                    let by_mode = work.products.chunks_exact(self.transform.sites());
                    for (by_mode, by_orbit) in by_mode.zip(sums.products.chunks_exact_mut(orbits)) {
                        for (sum, &orbit) in by_mode.iter().zip(self.transform.orbits()) {
                            by_orbit[orbit as usize] += sum.re + sum.im;
                        }
                    }
                    sums
                },
            )
            .collect();
        chunks.iter().fold(empty, Sums::add)
    }

    fn level(&self, level: usize) -> Result<Level, FitError> {
        let s = self.config.noise[level];
        let kernels = Kernels::new(&self.g, s, &self.transform);
        let mut sums = self.sums(level, &kernels);
        let (n, count) = (self.vectors(), self.fields.nrows() as f64);
        let means: Vec<f64> = sums.means.iter().map(|sum| sum / count).collect();
        if self.mean != 0.0 {
            for (i, j) in pairs(n) {
                let place = sums.place(0, i, j);
                sums.products[place] -= count * means[i] * means[j];
            }
        }
        // The weight (s W)^2 by orbit.
        let mut weights = vec![0.0; self.orbit_count];
        for (&orbit, w) in self.transform.orbits().iter().zip(&kernels.wiener) {
            weights[orbit as usize] = (s * w).powi(2);
        }

        let features = self.config.features.len();
        let size = count * self.transform.sites() as f64;
        let [mut zero_mode, mut coefficients] = [(); 2].map(|()| vec![0.0; features]);
        let (mut gain, mut condition) = (0.0, 1.0);
        for (orbits, found) in [(0..1, &mut zero_mode), (1..self.orbit_count, &mut coefficients)] {
            let sector = Sector::new(orbits, features, &sums, &weights, NOTHING * size);
            let solution = sector.solve(&sums, &weights, self.equilibrium.is_some(), self.config.ridge);
            // Above this condition no digit is left.
            let determined = solution.condition < f64::EPSILON.recip();
            if !(determined && solution.coefficients.iter().all(|c| c.is_finite())) {
                return Err(FitError::Dependent { noise: s, condition: solution.condition });
            }
            for (&i, c) in sector.features.iter().zip(&solution.coefficients) {
                found[i - 1] = *c;
            }
            gain += solution.explained / size;
            condition = f64::max(condition, solution.condition);
        }
        let of = |orbit: usize| if orbit == 0 { &zero_mode } else { &coefficients };
        let dot = |c: &[f64], f: &dyn Fn(usize) -> f64| (1..=features).map(|i| c[i - 1] * f(i)).sum::<f64>();
        let linear =
            |orbit: usize| dot(of(orbit), &|i| sums.product(orbit, 0, i) / sums.product(orbit, 0, 0));
        let linear: Vec<f64> = (0..self.orbit_count).map(linear).collect();
        // The constant part goes with that of x: f - mean - l (x - mean).
        let constant = if self.mean == 0.0 {
            0.0
        } else {
            (dot(&zero_mode, &|i| means[i]) - linear[0] * means[0]) / self.transform.sites() as f64
        };
        Ok(Level {
            noise: s,
            coefficients,
            zero_mode,
            linear,
            constant,
            bound: MARGIN * sums.largest,
            condition,
            gain,
        })
    }
}

/// Working memory for a pair of configurations.
struct Work {
    space: FeatureSpace,
    means: Means,
    filter: PairFilter,
    /// `phi - M` of two rows, their noised form, and the force.
    field: Vec<f64>,
    noised: Vec<f64>,
    force: Vec<f64>,
    /// Modes of `x`, the features, the targets.
    modes: Vec<Vec<Complex64>>,
    /// Their products by mode, real and imaginary parts apart.
    products: Vec<Complex64>,
}

impl Work {
    fn new(fit: &Fit<'_>) -> Self {
        let (sites, n) = (fit.transform.sites(), fit.vectors());
        let (field, filter) = (vec![0.0; 2 * sites], PairFilter::new(&fit.transform));
        Self {
            space: FeatureSpace::default(),
            means: Means::new(&fit.transform),
            modes: vec![filter.pair.clone(); n],
            products: vec![Complex64::ZERO; n * (n + 1) / 2 * sites],
            filter,
            noised: field.clone(),
            force: field.clone(),
            field,
        }
    }

    /// One or two configurations, folded and centred, their noised form, and the force.
    fn load(&mut self, fit: &Fit<'_>, rows: std::ops::Range<usize>, level: usize) {
        let sites = fit.transform.sites();
        let length = rows.len() * sites;
        for rows in [&mut self.field, &mut self.noised, &mut self.force] {
            rows.resize(length, 0.0);
        }
        let phi = &values(&fit.fields)[rows.start * sites..rows.end * sites];
        for (field, phi) in self.field.chunks_mut(sites).zip(phi.chunks(sites)) {
            let fold = sign(fit.mean, phi);
            field.iter_mut().zip(phi).for_each(|(f, phi)| *f = fold * phi);
        }
        if let Some(target) = fit.equilibrium {
            let shape = (rows.len(), sites);
            let x = ArrayView2::from_shape(shape, &self.field).expect("rows are whole");
            target.force(x, ArrayViewMut2::from_shape(shape, &mut self.force).expect("rows are whole"));
        }
        self.field.iter_mut().for_each(|f| *f -= fit.mean);
        let first = (rows.start * sites) as u64;
        Noise::new(fit.config.seed, level as u64).block(0, first).fill(0, &mut self.noised);
        let s = fit.config.noise[level];
        self.noised.iter_mut().zip(&self.field).for_each(|(x, phi)| *x = s.mul_add(*x, *phi));
    }

    fn accumulate(&mut self, fit: &Fit<'_>, kernels: &Kernels, sums: &mut Sums) {
        let n = self.modes.len();
        let filter = &mut self.filter;
        let mut transform = |rows: &[f64], modes: &mut Vec<Complex64>| {
            filter.load(rows);
            filter.forward();
            modes.copy_from_slice(&filter.pair);
        };
        transform(&self.noised, &mut self.modes[0]);
        let (known, targets) = self.modes.split_at_mut(n - 2);
        let [force, denoising] = targets else { unreachable!("there are two targets") };
        transform(&self.field, denoising);
        transform(&self.force, force);
        let s2 = kernels.noise * kernels.noise;
        for (mode, x) in known[0].iter().enumerate() {
            let (phi, w) = (denoising[mode], kernels.wiener[mode]);
            force[mode] += phi / fit.g[mode];
            denoising[mode] = (phi - x * w) / (s2 * w);
        }

        self.means.evaluate(&known[0], kernels, fit.potential, &mut self.filter);
        sums.largest = sums.largest.max(self.means.largest());
        for (modes, &kind) in known[1..].iter_mut().zip(&fit.config.features) {
            if kind.is_of_zero_momentum() {
                modes.fill(Complex64::ZERO);
                modes[0] = self.means.at_zero(kind);
            } else {
                self.space.evaluate(kind, self.means.y(), &kernels.lines, &mut self.filter);
                self.filter.forward();
                modes.copy_from_slice(&self.filter.pair);
            }
        }

        for (sum, modes) in sums.means.iter_mut().zip(&self.modes) {
            *sum += modes[0].re + modes[0].im;
        }
        let sums = self.products.chunks_exact_mut(fit.transform.sites());
        for ((i, j), sums) in pairs(n).zip(sums) {
            add_products(&self.modes[i], &self.modes[j], sums);
        }
    }
}
