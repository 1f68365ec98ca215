//! A score from perturbation theory: the Gaussian one and a few nonlinear functions of the field.
//!
//! At noise variance `s^2` on the field, with `W = G / (G + s^2)`, write the score of the noised field mode by mode as
//!
//! ```text
//! s(x)_p = -x_p / (G + s^2) + W [ sum_j c_j ( f_j(y) - l_j x )_p ] ,     y = W x ,
//! ```
//!
//! with the features `f_j` of [`Feature`] and their linear parts `l_j(p)` taken out, so that the first term stays what it
//! is: the best linear score. A handful of coefficients `c_j(s)` is all that is left to find, by linear regression
//! ([`PerturbativeModel::fit`]): no gradient descent, no net. The score has all symmetries of the lattice by
//! construction.
//!
//! In the ordered phase the model describes fields folded to positive magnetisation, about their mean `M`, and the score of a
//! field takes the sign of its magnetisation.

use crate::features::{FeatureSpace, Lines};
use crate::spectrum::Filter;
use crate::{Feature, FieldTransform, Orbits, Spectrum};
use sde_core::{Batch, BatchMut, EvalError, NoiseSchedule, ScoreModel, values, values_mut};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, PoisonError, RwLock};

/// The coefficients at one noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Standard deviation `s` of the noise on `phi`.
    pub noise: f64,
    /// `c_j`, one for each feature.
    pub coefficients: Vec<f64>,
    /// `sum_j c_j l_j(p)`, in the order of [`Orbits::new`].
    pub linear: Vec<f64>,
    /// `sum_j c_j` times the mean of feature `j`; zero for odd features.
    pub constant: f64,
    /// Largest magnitude of `y`, in units of its standard deviation, for which features are trusted.
    pub bound: f64,
    /// Condition number of the regression.
    pub condition: f64,
    /// `-d KL / d ln s` that the features take off the Gaussian score's, a configuration: by the I-MMSE relation the
    /// reduction of the mean squared error of denoising over `s^2`.
    pub gain: f64,
}

/// A fitted score: a spectrum, features, and their coefficients at ascending noise levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerturbativeModel {
    pub(crate) spectrum: Spectrum,
    pub(crate) features: Vec<Feature>,
    pub(crate) levels: Vec<Level>,
}

impl PerturbativeModel {
    /// Mean and propagator.
    pub fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    /// The features.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The noise levels, ascending.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Coefficients at noise `s`: linear in `ln s` between levels, those of the lowest level below it, none above the
    /// highest.
    fn at(&self, s: f64) -> Option<Level> {
        let above = self.levels.partition_point(|level| level.noise < s);
        let upper = self.levels.get(above)?;
        let Some(lower) = above.checked_sub(1).map(|below| &self.levels[below]) else {
            return Some(upper.clone());
        };
        let part = (s / lower.noise).ln() / (upper.noise / lower.noise).ln();
        let mix = |a: f64, b: f64| (1.0 - part) * a + part * b;
        let mix_all = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| mix(*a, *b)).collect();
        Some(Level {
            noise: s,
            coefficients: mix_all(&lower.coefficients, &upper.coefficients),
            linear: mix_all(&lower.linear, &upper.linear),
            constant: mix(lower.constant, upper.constant),
            bound: mix(lower.bound, upper.bound),
            condition: f64::NAN,
            gain: f64::NAN,
        })
    }
}

/// What features at one noise level need: filters by stored mode.
#[derive(Debug)]
pub(crate) struct Kernels {
    /// `1 / (G + s^2)`.
    pub(crate) precision: Vec<f64>,
    /// `W = G / (G + s^2)`.
    pub(crate) wiener: Vec<f64>,
    /// `W` over the standard deviation of `y`.
    pub(crate) legs: Vec<f64>,
    pub(crate) lines: Lines,
}

impl Kernels {
    pub(crate) fn new(g: &[f64], s2: f64, filter: &mut Filter, sites: usize) -> Self {
        let precision: Vec<f64> = g.iter().map(|g| (g + s2).recip()).collect();
        let wiener: Vec<f64> = g.iter().zip(&precision).map(|(g, p)| g * p).collect();
        let variance = g
            .iter()
            .zip(&wiener)
            .enumerate()
            .map(|(mode, (g, w))| filter.transform.multiplicity(mode) as f64 * w * g);
        let scale = (variance.sum::<f64>() / sites as f64).sqrt().recip();
        let legs = wiener.iter().map(|w| scale * w).collect();
        // v = G s^2 / (G + s^2); with no noise nothing is unknown, and its shape is a constant.
        let v: Vec<f64> = if s2 > 0.0 { wiener.iter().map(|w| w * s2).collect() } else { vec![1.0; g.len()] };
        Self { precision, wiener, legs, lines: Lines::new(&v, filter, sites) }
    }
}

/// A [`PerturbativeModel`] as the score of fields noised by a schedule.
#[derive(Debug)]
pub struct PerturbativeScore<S> {
    model: Arc<PerturbativeModel>,
    schedule: S,
    transform: FieldTransform,
    /// `G(p)` by stored mode.
    g: Vec<f64>,
    /// Orbit of every stored mode.
    orbits: Vec<usize>,
    remembered: RwLock<Option<Arc<Prepared>>>,
}

/// The score at one noise level.
#[derive(Debug)]
struct Prepared {
    noise: f64,
    kernels: Kernels,
    level: Option<Level>,
    /// `sum_j c_j l_j(p)` by stored mode.
    linear: Vec<f64>,
}

impl<S: NoiseSchedule> PerturbativeScore<S> {
    /// The score under `schedule`.
    pub fn new(model: Arc<PerturbativeModel>, schedule: S) -> Self {
        let lattice = model.spectrum.lattice();
        let transform = FieldTransform::new(&lattice);
        let g = model.spectrum.modes(&transform);
        let orbits = Orbits::new(&lattice);
        let orbits = (0..g.len()).map(|mode| orbits.orbit_of(&transform.coordinates(mode))).collect();
        Self { model, schedule, transform, g, orbits, remembered: RwLock::new(None) }
    }

    /// What one noise level needs, computed once for all blocks of a batch.
    fn prepared(&self, noise: f64, sites: usize) -> Arc<Prepared> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(prepared) = remembered.filter(|prepared| prepared.noise.to_bits() == noise.to_bits()) {
            return prepared;
        }
        let kernels = Kernels::new(&self.g, noise * noise, &mut Filter::new(&self.transform), sites);
        let level = self.model.at(noise);
        let linear = level
            .as_ref()
            .map(|level| self.orbits.iter().map(|&orbit| level.linear[orbit]).collect())
            .unwrap_or_default();
        let prepared = Arc::new(Prepared { noise, kernels, level, linear });
        *self.remembered.write().unwrap_or_else(PoisonError::into_inner) = Some(prepared.clone());
        prepared
    }
}

impl<S: NoiseSchedule> ScoreModel for PerturbativeScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let kernel = self.schedule.transition(0.0, t);
        let shrink = kernel.mean_factor.recip();
        let sites = x.ncols();
        let prepared = self.prepared(kernel.noise_to_signal().sqrt(), sites);
        let mut space = FeatureSpace::new(Filter::new(&self.transform), sites);
        let mut centred = vec![0.0; sites];
        let (mut y, mut feature, mut sum) = (centred.clone(), centred.clone(), centred.clone());
        let mut modes = self.transform.modes();
        let mean = self.model.spectrum.mean();

        let rows = values(&x).chunks_exact(sites).zip(values_mut(&mut out).chunks_exact_mut(sites));
        for (x, out) in rows {
            // phi and what is folded away.
            let sign = if mean != 0.0 && x.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 };
            centred.iter_mut().zip(x).for_each(|(c, x)| *c = sign * shrink * x - mean);
            space.filter.forward(&centred);
            modes.copy_from_slice(&space.filter.modes);
            if let Some(level) = &prepared.level {
                let legs = space.filter.modes.iter_mut().zip(&prepared.kernels.legs);
                legs.for_each(|(mode, leg)| *mode *= leg);
                space.filter.inverse(&mut y);
                for y in &mut y {
                    *y = y.clamp(-level.bound, level.bound);
                }
                sum.fill(-level.constant);
                for (&kind, &c) in self.model.features.iter().zip(&level.coefficients) {
                    space.evaluate(kind, &y, &prepared.kernels.lines, &mut feature);
                    sum.iter_mut().zip(&feature).for_each(|(sum, f)| *sum = c.mul_add(*f, *sum));
                }
                space.filter.forward(&sum);
                for (mode, x) in modes.iter_mut().enumerate() {
                    let nonlinear = space.filter.modes[mode] - prepared.linear[mode] * *x;
                    *x = nonlinear * prepared.kernels.wiener[mode] - *x * prepared.kernels.precision[mode];
                }
            } else {
                modes.iter_mut().zip(&prepared.kernels.precision).for_each(|(x, p)| *x *= -p);
            }
            space.filter.modes.copy_from_slice(&modes);
            space.filter.inverse(out);
            for s in out {
                *s *= sign * shrink;
            }
        }
        Ok(())
    }
}
