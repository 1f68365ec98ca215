//! Finding the coefficients of a perturbative score by regression.
//!
//! For an ensemble in equilibrium the score of the noised field is the conditional mean of the force, since
//! `s(x) = E[ grad log p(phi) | x ]`; with the linear part known, the bracket of the score is
//!
//! ```text
//! N(x) = E[ F(phi) + (phi - M) / G | x ] ,      F = -dS/dphi ,
//! ```
//!
//! a target of low variance at small noise. For any ensemble it is also the denoising target
//! `E[ phi - M - W x | x ] / (s^2 W)`. Both are linear regressions on the features; the loss is the mean squared error of
//! the denoised field over `s^2`, so the weight of a mode is `(s W)^2`. Linear parts are regressed out mode by mode, averaged
//! over the orbits of the lattice, and the coefficients solve one small system for each noise level.

use crate::features::FeatureSpace;
use crate::perturbative::Kernels;
use crate::spectrum::Filter;
use crate::{Feature, FieldTransform, Level, Orbits, PerturbativeModel, Spectrum, SpectrumError};
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;
use rustfft::num_complex::Complex64;
use sde_core::{Batch, Noise, NormalSource, Target, values};

/// Configurations that are summed in one go: the order of all sums is fixed by it.
const CHUNK: usize = 64;
/// Features are trusted a little further out than they were seen.
const MARGIN: f64 = 1.05;

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
    /// With `equilibrium`, the target the ensemble is drawn from, its force is what the features are regressed on; without,
    /// the denoising target. If the spectrum has a mean, configurations are folded to positive magnetisation first. The
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
        let mut last = 0.0;
        for (place, &value) in config.noise.iter().enumerate() {
            if !(value.is_finite() && value > last) {
                return Err(FitError::Noise { place, value });
            }
            last = value;
        }
        let fit = Fit::new(&spectrum, fields, equilibrium, config);
        let levels = (0..config.noise.len()).map(|level| fit.level(level)).collect::<Result<_, _>>()?;
        Ok(Self { spectrum, features: config.features.clone(), levels })
    }
}

struct Fit<'a> {
    fields: Batch<'a>,
    equilibrium: Option<&'a (dyn Target + Sync)>,
    config: &'a FitConfig,
    mean: f64,
    sites: usize,
    transform: FieldTransform,
    g: Vec<f64>,
    /// By stored mode.
    orbits: Vec<usize>,
    multiplicity: Vec<f64>,
    orbit_count: usize,
}

/// Sums over configurations, of `x`, the features and the target: `(n + 1)^2` products for each orbit.
#[derive(Clone)]
struct Sums {
    products: Vec<f64>,
    /// At zero momentum.
    means: Vec<f64>,
    largest: f64,
}

impl Sums {
    fn add(mut self, other: &Self) -> Self {
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += b);
        self.means.iter_mut().zip(&other.means).for_each(|(a, b)| *a += b);
        self.largest = self.largest.max(other.largest);
        self
    }
}

impl<'a> Fit<'a> {
    fn new(
        spectrum: &Spectrum,
        fields: Batch<'a>,
        equilibrium: Option<&'a (dyn Target + Sync)>,
        config: &'a FitConfig,
    ) -> Self {
        let lattice = spectrum.lattice();
        let transform = FieldTransform::new(&lattice);
        let (g, orbits) = (spectrum.modes(&transform), Orbits::new(&lattice));
        Self {
            fields,
            equilibrium,
            config,
            mean: spectrum.mean(),
            sites: lattice.volume(),
            orbits: (0..g.len()).map(|mode| orbits.orbit_of(&transform.coordinates(mode))).collect(),
            multiplicity: (0..g.len()).map(|mode| transform.multiplicity(mode) as f64).collect(),
            orbit_count: orbits.len(),
            transform,
            g,
        }
    }

    /// `x`, the features, the target.
    fn vectors(&self) -> usize {
        self.config.features.len() + 2
    }

    fn sums(&self, level: usize, kernels: &Kernels) -> Sums {
        let n = self.vectors();
        let empty = Sums { products: vec![0.0; n * n * self.orbit_count], means: vec![0.0; n], largest: 0.0 };
        let rows = self.fields.nrows();
        let chunks: Vec<Sums> = (0..rows.div_ceil(CHUNK))
            .into_par_iter()
            .map(|chunk| {
                let mut sums = empty.clone();
                let mut work = Work::new(self);
                for row in chunk * CHUNK..rows.min((chunk + 1) * CHUNK) {
                    work.load(self, row, level);
                    work.accumulate(self, self.config.noise[level], kernels, &mut sums);
                }
                sums
            })
            .collect();
        chunks.iter().fold(empty, Sums::add)
    }

    fn level(&self, level: usize) -> Result<Level, FitError> {
        let s = self.config.noise[level];
        let kernels = Kernels::new(&self.g, s * s, &mut Filter::new(&self.transform), self.sites);
        let sums = self.sums(level, &kernels);
        let (n, count) = (self.vectors(), self.fields.nrows() as f64);
        let means: Vec<f64> = sums.means.iter().map(|sum| sum / count).collect();

        // By orbit: the weight (s W)^2, the linear parts, and what is left of the products.
        let mut weights = vec![0.0; self.orbit_count];
        for (&orbit, w) in self.orbits.iter().zip(&kernels.wiener) {
            weights[orbit] = (s * w).powi(2);
        }
        let features = n - 2;
        let mut linear = vec![vec![0.0; features]; self.orbit_count];
        let mut gram = vec![vec![0.0; n - 1]; n - 1];
        for orbit in 0..self.orbit_count {
            let product = |i: usize, j: usize| {
                let sum = sums.products[(orbit * n + i) * n + j];
                if orbit == 0 && self.mean != 0.0 { sum - count * means[i] * means[j] } else { sum }
            };
            let xx = product(0, 0);
            for i in 1..n {
                if i <= features {
                    linear[orbit][i - 1] = product(0, i) / xx;
                }
                for j in 1..n {
                    let rest = product(i, j) - product(0, i) * product(0, j) / xx;
                    gram[i - 1][j - 1] += weights[orbit] * rest;
                }
            }
        }
        let (coefficients, condition) = solve(&gram, self.config.ridge);
        if !coefficients.iter().all(|c| c.is_finite()) {
            return Err(FitError::Dependent { noise: s, condition });
        }
        let explained: f64 = coefficients.iter().zip(&gram).map(|(c, row)| c * row[features]).sum();
        let dot = |l: &[f64]| l.iter().zip(&coefficients).map(|(l, c)| l * c).sum::<f64>();
        // The constant part goes with that of x: f - mean - l (x - mean).
        let constant = if self.mean == 0.0 {
            0.0
        } else {
            (dot(&means[1..=features]) - dot(&linear[0]) * means[0]) / self.sites as f64
        };
        Ok(Level {
            noise: s,
            linear: linear.iter().map(|l| dot(l)).collect(),
            constant,
            bound: MARGIN * sums.largest,
            condition,
            gain: explained / (count * self.sites as f64),
            coefficients,
        })
    }
}

/// Working memory for one configuration.
struct Work {
    space: FeatureSpace,
    field: Vec<f64>,
    noised: Vec<f64>,
    force: Vec<f64>,
    y: Vec<f64>,
    feature: Vec<f64>,
    /// Modes of `x`, the features, the target.
    modes: Vec<Vec<Complex64>>,
}

impl Work {
    fn new(fit: &Fit<'_>) -> Self {
        let field = vec![0.0; fit.sites];
        Self {
            space: FeatureSpace::new(Filter::new(&fit.transform), fit.sites),
            noised: field.clone(),
            force: field.clone(),
            y: field.clone(),
            feature: field.clone(),
            field,
            modes: vec![fit.transform.modes(); fit.vectors()],
        }
    }

    /// The configuration, folded and centred, its noised form, and the force.
    fn load(&mut self, fit: &Fit<'_>, row: usize, level: usize) {
        let row_values = fit.fields.row(row);
        let phi = row_values.as_slice().expect("rows of a batch are contiguous");
        let fold = if fit.mean != 0.0 && phi.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
        self.field.iter_mut().zip(phi).for_each(|(f, phi)| *f = fold * phi);
        if let Some(target) = fit.equilibrium {
            let shape = (1, fit.sites);
            let x = ArrayView2::from_shape(shape, &self.field).expect("one row");
            target.force(x, ArrayViewMut2::from_shape(shape, &mut self.force).expect("one row"));
        }
        self.field.iter_mut().for_each(|f| *f -= fit.mean);
        let first = (row * fit.sites) as u64;
        Noise::new(fit.config.seed, level as u64).block(0, first).fill(0, &mut self.noised);
        let s = fit.config.noise[level];
        self.noised.iter_mut().zip(&self.field).for_each(|(x, phi)| *x = s.mul_add(*x, *phi));
    }

    fn accumulate(&mut self, fit: &Fit<'_>, s: f64, kernels: &Kernels, sums: &mut Sums) {
        let n = self.modes.len();
        let filter = &mut self.space.filter;
        filter.forward(&self.noised);
        self.modes[0].copy_from_slice(&filter.modes);
        filter.modes.iter_mut().zip(&kernels.legs).for_each(|(mode, leg)| *mode *= leg);
        filter.inverse(&mut self.y);
        sums.largest = self.y.iter().fold(sums.largest, |largest, y| largest.max(y.abs()));

        for (place, &kind) in fit.config.features.iter().enumerate() {
            self.space.evaluate(kind, &self.y, &kernels.lines, &mut self.feature);
            self.space.filter.forward(&self.feature);
            self.modes[place + 1].copy_from_slice(&self.space.filter.modes);
        }
        let filter = &mut self.space.filter;
        filter.forward(&self.field);
        if fit.equilibrium.is_some() {
            // F + (phi - M) / G
            let target = &mut self.modes[n - 1];
            target.iter_mut().zip(&filter.modes).zip(&fit.g).for_each(|((t, phi), g)| *t = phi / g);
            filter.forward(&self.force);
            target.iter_mut().zip(&filter.modes).for_each(|(t, force)| *t += force);
        } else {
            // (phi - M - W x) / (s^2 W)
            let (known, target) = self.modes.split_at_mut(n - 1);
            let modes = target[0].iter_mut().zip(&filter.modes).zip(&known[0]).zip(&kernels.wiener);
            modes.for_each(|(((t, phi), x), w)| *t = (phi - x * w) / (s * s * w));
        }

        for (sum, modes) in sums.means.iter_mut().zip(&self.modes) {
            *sum += modes[0].re;
        }
        for (mode, (&orbit, &multiplicity)) in fit.orbits.iter().zip(&fit.multiplicity).enumerate() {
            let products = &mut sums.products[orbit * n * n..(orbit + 1) * n * n];
            for i in 0..n {
                let a = self.modes[i][mode] * multiplicity;
                for j in i..n {
                    let b = self.modes[j][mode];
                    let product = a.re.mul_add(b.re, a.im * b.im);
                    products[i * n + j] += product;
                    if i != j {
                        products[j * n + i] += product;
                    }
                }
            }
        }
    }
}

/// Regresses the last of `gram`'s vectors on the others: coefficients, NaN if there are none, and the condition number of
/// the scaled system.
fn solve(gram: &[Vec<f64>], ridge: f64) -> (Vec<f64>, f64) {
    let n = gram.len() - 1;
    let scale: Vec<f64> = (0..n).map(|i| gram[i][i].sqrt()).collect();
    let matrix = |i: usize, j: usize| gram[i][j] / (scale[i] * scale[j]) + if i == j { ridge } else { 0.0 };
    // The inverse by Cholesky factors L: columns of the identity forwards and back.
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = matrix(i, j) - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            l[i][j] = if i == j { rest.sqrt() } else { rest / l[j][j] };
        }
    }
    let back = |mut b: Vec<f64>| {
        for i in 0..n {
            b[i] = (b[i] - (0..i).map(|k| l[i][k] * b[k]).sum::<f64>()) / l[i][i];
        }
        for i in (0..n).rev() {
            b[i] = (b[i] - (i + 1..n).map(|k| l[k][i] * b[k]).sum::<f64>()) / l[i][i];
        }
        b
    };
    let norm = |column: &dyn Fn(usize) -> Vec<f64>| {
        (0..n).map(|j| column(j).iter().map(|x| x.abs()).sum::<f64>()).fold(0.0, f64::max)
    };
    let own = norm(&|j| (0..n).map(|i| matrix(i, j)).collect());
    let inverse = norm(&|j| back((0..n).map(|i| f64::from(u8::from(i == j))).collect()));
    let solution = back((0..n).map(|i| gram[i][n] / scale[i]).collect());
    (solution.iter().zip(&scale).map(|(x, s)| x / s).collect(), own * inverse)
}
