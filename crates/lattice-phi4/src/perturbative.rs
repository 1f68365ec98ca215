//! A score from perturbation theory: the Gaussian one and a few nonlinear functions of the field.
//!
//! At noise variance `s^2` on the field, with `W = G / (G + s^2)`, write the score of the noised field mode by mode as
//!
//! ```text
//! s(x)_p = -x_p / (G + s^2) + W [ sum_j c_j ( f_j(y) - l_j x )_p ] ,     y = E[phi | x] mode by mode ,
//! ```
//!
//! with the features `f_j` of [`Feature`] and their linear parts `l_j(p)` taken out, so that the first term stays what it
//! is: the best linear score. A handful of coefficients `c_j(s)` is all that is left to find, by linear regression
//! ([`PerturbativeModel::fit`]): no gradient descent, no net. The score has all symmetries of the lattice by
//! construction.
//!
//! The zero mode has coefficients of its own, and a [`ConstraintPotential`] for its distribution: near criticality it is as
//! far from Gaussian as can be, while all other modes are not far.
//!
//! In the ordered phase the model describes fields folded to positive magnetisation, about their mean `M`, and the score of a
//! field takes the sign of its magnetisation.

use crate::feature_traces::{TraceKernels, TraceSpace};
use crate::features::{FeatureSpace, Lines};
use crate::pairs::{PairFilter, PairTransform, flat_mut};
use crate::pointwise::{clamp, product};
use crate::powers::squares;
use crate::{ConstraintPotential, Feature, Spectrum, ZeroModePosterior};
use num_complex::Complex64;
use sde_core::{Batch, BatchMut, EvalError, NoiseSchedule, ScoreDivergence, ScoreModel, values, values_mut};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

/// The coefficients at one noise level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    /// Standard deviation `s` of the noise on `phi`.
    pub noise: f64,
    /// `c_j` of all modes but the zero mode, one for each feature.
    pub coefficients: Vec<f64>,
    /// `c_j` of the zero mode.
    pub zero_mode: Vec<f64>,
    /// `sum_j c_j l_j(p)`, in the order of [`Orbits::new`](crate::Orbits::new).
    pub linear: Vec<f64>,
    /// `sum_j c_j` times the mean of feature `j`, with those of the zero mode; zero for odd features.
    pub constant: f64,
    /// Largest magnitude of `y`, in units of its standard deviation, for which features are trusted.
    pub bound: f64,
    /// Condition number of the regression.
    pub condition: f64,
    /// `-d KL / d ln s` that the features take off the Gaussian score's, a configuration: by the I-MMSE relation the
    /// reduction of the mean squared error of denoising over `s^2`.
    pub gain: f64,
}

/// A fitted score: a spectrum, the distribution of the zero mode, features, and their coefficients at ascending noise
/// levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PerturbativeModel {
    pub(crate) spectrum: Spectrum,
    pub(crate) potential: Option<ConstraintPotential>,
    pub(crate) features: Vec<Feature>,
    pub(crate) levels: Vec<Level>,
}

impl PerturbativeModel {
    /// The model without features: its score is the Gaussian one, at any noise.
    pub fn gaussian(spectrum: Spectrum) -> Self {
        Self { spectrum, potential: None, features: Vec::new(), levels: Vec::new() }
    }

    /// Mean and propagator.
    pub fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    /// The distribution of the zero mode, if [`Feature::Marginal`] is among the features.
    pub fn potential(&self) -> Option<&ConstraintPotential> {
        self.potential.as_ref()
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
    pub(crate) fn at(&self, s: f64) -> Option<Level> {
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
            zero_mode: mix_all(&lower.zero_mode, &upper.zero_mode),
            linear: mix_all(&lower.linear, &upper.linear),
            constant: mix(lower.constant, upper.constant),
            bound: mix(lower.bound, upper.bound),
            condition: f64::NAN,
            gain: f64::NAN,
        })
    }
}

/// What features at one noise level need: filters by mode.
#[derive(Debug)]
pub(crate) struct Kernels {
    pub(crate) noise: f64,
    /// `1 / (G + s^2)`.
    pub(crate) precision: Vec<f64>,
    /// `W = G / (G + s^2)`.
    pub(crate) wiener: Vec<f64>,
    /// `W` over the standard deviation of `y`, and over the number of sites.
    pub(crate) legs: Vec<f64>,
    /// One over the standard deviation of `y`.
    scale: f64,
    pub(crate) lines: Lines,
}

impl Kernels {
    /// For propagators `g` by mode.
    pub(crate) fn new(g: &[f64], noise: f64, transform: &PairTransform) -> Self {
        let s2 = noise * noise;
        let precision: Vec<f64> = g.iter().map(|g| (g + s2).recip()).collect();
        let wiener: Vec<f64> = g.iter().zip(&precision).map(|(g, p)| g * p).collect();
        let variance: f64 = g.iter().zip(&wiener).map(|(g, w)| w * g).sum();
        let scale = (variance / transform.sites() as f64).sqrt().recip();
        let legs = wiener.iter().map(|w| transform.norm() * scale * w).collect();
        // v = G s^2 / (G + s^2); with no noise nothing is unknown, and its shape is a constant.
        let v: Vec<f64> = if s2 > 0.0 { wiener.iter().map(|w| w * s2).collect() } else { vec![1.0; g.len()] };
        Self { noise, precision, wiener, legs, scale, lines: Lines::new(&v, &mut PairFilter::new(transform)) }
    }
}

/// `y` of a pair of noised fields, and what the zero mode alone has to say.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    y: Vec<Complex64>,
    /// `sum_x y_x` before `y` was bounded.
    pub(crate) total: Complex64,
    /// Score of the marginal distribution in the place of a feature, as modes are: times `sqrt(V)`.
    marginal: Complex64,
    /// Derivatives of `total` and `marginal` by the zero mode of `x`.
    pub(crate) total_slope: Complex64,
    pub(crate) marginal_slope: Complex64,
}

impl Means {
    pub(crate) fn new(transform: &PairTransform) -> Self {
        let y = vec![Complex64::ZERO; transform.sites()];
        let [total, marginal, total_slope, marginal_slope] = [Complex64::ZERO; 4];
        Self { y, total, marginal, total_slope, marginal_slope }
    }

    /// Of a pair with modes `x`; what is in `filter` is lost.
    pub(crate) fn evaluate(
        &mut self,
        x: &[Complex64],
        kernels: &Kernels,
        potential: Option<&ConstraintPotential>,
        filter: &mut PairFilter,
    ) {
        product(x, &kernels.legs, &mut filter.pair);
        let sites = self.y.len() as f64;
        let slope = kernels.legs[0] * sites;
        self.total_slope = Complex64::new(slope, slope);
        if let Some(potential) = potential {
            let root = sites.sqrt();
            let (zero, s2) = (x[0] / root, kernels.noise * kernels.noise);
            let known = [zero.re, zero.im].map(|x| potential.posterior(x, kernels.noise));
            let pair = |of: fn(&ZeroModePosterior) -> f64| Complex64::new(of(&known[0]), of(&known[1]));
            let (precision, wiener) = (kernels.precision[0], kernels.wiener[0]);
            filter.pair[0] = pair(|of| of.mean) * (kernels.scale / root);
            self.marginal = (pair(|of| of.score) + zero * precision) * (root / wiener);
            let slope = pair(|of| of.slope);
            self.total_slope = (Complex64::new(1.0, 1.0) + slope * s2) * kernels.scale;
            self.marginal_slope = (slope + Complex64::new(precision, precision)) / wiener;
        }
        self.total = filter.pair[0] * sites;
        filter.unscaled_inverse();
        std::mem::swap(&mut self.y, &mut filter.pair);
    }

    /// `y`, scaled.
    pub(crate) fn y(&self) -> &[Complex64] {
        &self.y
    }

    /// Keeps `y` where it was seen: `|y| <= bound`.
    pub(crate) fn bound(&mut self, bound: f64) {
        clamp(flat_mut(&mut self.y), bound);
    }

    /// The largest `|y|`.
    pub(crate) fn largest(&self) -> f64 {
        self.y().iter().fold(0.0, |largest: f64, y| largest.max(y.re.abs()).max(y.im.abs()))
    }

    /// A feature that is of zero momentum alone.
    pub(crate) fn at_zero(&self, feature: Feature) -> Complex64 {
        match feature {
            Feature::Marginal => self.marginal,
            Feature::Background => {
                let squares = squares(self.y());
                Complex64::new(self.total.re * squares.re, self.total.im * squares.im) / self.y.len() as f64
            }
            _ => unreachable!("these are fields"),
        }
    }
}

/// The sign that folds a field to positive magnetisation, if there is a mean to fold it to.
pub(crate) fn sign(mean: f64, x: &[f64]) -> f64 {
    if mean != 0.0 && x.iter().sum::<f64>() < 0.0 { -1.0 } else { 1.0 }
}

/// A [`PerturbativeModel`] as the score of fields noised by a schedule.
#[derive(Debug)]
pub struct PerturbativeScore<S> {
    model: Arc<PerturbativeModel>,
    schedule: S,
    transform: PairTransform,
    /// `G(p)` by mode.
    g: Vec<f64>,
    remembered: RwLock<Option<Arc<Prepared>>>,
    /// Working memory that no call uses at the moment.
    spare: Mutex<Vec<Evaluation>>,
}

/// The score at one noise level.
#[derive(Debug)]
struct Prepared {
    kernels: Kernels,
    /// `-1 / (G + s^2) - W sum_j c_j l_j` by mode, over the number of sites.
    linear: Vec<f64>,
    nonlinear: Option<Nonlinear>,
    /// For divergences, when the first is asked for.
    traces: OnceLock<TraceKernels>,
}

impl Prepared {
    fn traces(&self, transform: &PairTransform) -> &TraceKernels {
        self.traces
            .get_or_init(|| TraceKernels::new(&self.kernels, &self.linear, &mut PairFilter::new(transform)))
    }
}

/// What features add to it.
#[derive(Debug)]
struct Nonlinear {
    /// Those of all momenta, with their coefficients, and for zero momentum.
    fields: Vec<(Feature, f64)>,
    fields_at_zero: Vec<f64>,
    /// Those of zero momentum.
    numbers: Vec<(Feature, f64)>,
    constant: f64,
    bound: f64,
    /// `W` by mode, over the number of sites.
    factors: Vec<f64>,
}

impl Nonlinear {
    fn new(features: &[Feature], level: &Level, kernels: &Kernels, norm: f64) -> Self {
        let with = |at_zero: bool, coefficients: &[f64]| -> Vec<(Feature, f64)> {
            let all = features.iter().copied().zip(coefficients.iter().copied());
            all.filter(|(feature, _)| feature.is_of_zero_momentum() == at_zero).collect()
        };
        Self {
            fields: with(false, &level.coefficients),
            fields_at_zero: with(false, &level.zero_mode).into_iter().map(|(_, c)| c).collect(),
            numbers: with(true, &level.zero_mode),
            constant: level.constant,
            bound: level.bound,
            factors: kernels.wiener.iter().map(|w| norm * w).collect(),
        }
    }
}

impl<S: NoiseSchedule> PerturbativeScore<S> {
    /// The score under `schedule`.
    pub fn new(model: Arc<PerturbativeModel>, schedule: S) -> Self {
        let transform = PairTransform::new(&model.spectrum.lattice());
        let g = transform.by_mode(model.spectrum.variances());
        Self { model, schedule, transform, g, remembered: RwLock::new(None), spare: Mutex::default() }
    }

    /// What one noise level needs, computed once for all blocks of a batch.
    fn prepared(&self, noise: f64) -> Arc<Prepared> {
        let remembered = self.remembered.read().unwrap_or_else(PoisonError::into_inner).clone();
        let same = |prepared: &Arc<Prepared>| prepared.kernels.noise.to_bits() == noise.to_bits();
        if let Some(prepared) = remembered.filter(same) {
            return prepared;
        }
        let kernels = Kernels::new(&self.g, noise, &self.transform);
        let level = self.model.at(noise);
        let norm = self.transform.norm();
        let of_features =
            level.as_ref().map_or(vec![0.0; self.g.len()], |level| self.transform.by_mode(&level.linear));
        let linear = kernels.precision.iter().zip(&kernels.wiener).zip(of_features);
        let linear = linear.map(|((p, w), of_features)| -norm * (p + w * of_features)).collect();
        let nonlinear = level.map(|level| Nonlinear::new(&self.model.features, &level, &kernels, norm));
        let prepared = Arc::new(Prepared { kernels, linear, nonlinear, traces: OnceLock::new() });
        *self.remembered.write().unwrap_or_else(PoisonError::into_inner) = Some(prepared.clone());
        prepared
    }
}

impl<S: NoiseSchedule> PerturbativeScore<S> {
    /// Writes scores, and divergences if there is a place for them.
    fn write(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>, mut divergence: Option<BatchMut<'_>>) {
        let kernel = self.schedule.transition(0.0, t);
        let shrink = kernel.mean_factor.recip();
        let prepared = self.prepared(kernel.noise_to_signal().sqrt());
        let traces = divergence.is_some().then(|| prepared.traces(&self.transform));
        let mean = self.model.spectrum.mean();
        let sites = self.transform.sites();
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = spare().pop();
        let mut evaluation = idle.unwrap_or_else(|| Evaluation::new(&self.transform));
        let rows = values(&x).chunks(2 * sites).zip(values_mut(&mut out).chunks_mut(2 * sites));
        for (pair, (x, out)) in rows.enumerate() {
            let mut factors = [shrink; 2];
            for (x, factor) in x.chunks(sites).zip(&mut factors) {
                *factor *= sign(mean, x);
            }
            // phi and what is folded away.
            evaluation.filter.load_scaled(x, factors, -mean);
            let trace = evaluation.score(self.model.potential.as_ref(), &prepared, traces);
            evaluation.filter.store_scaled(out, factors);
            if let Some(divergence) = &mut divergence {
                let rows = divergence.iter_mut().skip(2 * pair);
                rows.zip([trace.re, trace.im]).for_each(|(d, trace)| *d = shrink * shrink * trace);
            }
        }
        spare().push(evaluation);
    }
}

impl<S: NoiseSchedule> ScoreModel for PerturbativeScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        self.write(x, t, out, None);
        Ok(())
    }
}

impl<S: NoiseSchedule> ScoreDivergence for PerturbativeScore<S> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        score: BatchMut<'_>,
        divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        self.write(x, t, score, Some(divergence));
        Ok(())
    }
}

/// Working memory of the score of a pair.
#[derive(Debug)]
struct Evaluation {
    /// `phi + s z`, in the end the score.
    filter: PairFilter,
    /// `phi + s z` by mode.
    modes: Vec<Complex64>,
    means: Means,
    space: FeatureSpace,
    totals: Vec<Complex64>,
    traces: TraceSpace,
}

impl Evaluation {
    fn new(transform: &PairTransform) -> Self {
        Self {
            filter: PairFilter::new(transform),
            modes: vec![Complex64::ZERO; transform.sites()],
            means: Means::new(transform),
            space: FeatureSpace::default(),
            totals: Vec::new(),
            traces: TraceSpace::new(transform),
        }
    }

    /// Turns the pair in `self.filter` into its score, and returns the divergences of both fields if `traces` are there.
    fn score(
        &mut self,
        potential: Option<&ConstraintPotential>,
        prepared: &Prepared,
        traces: Option<&TraceKernels>,
    ) -> Complex64 {
        let Self { filter, modes, means, space, totals, traces: work } = self;
        let Prepared { kernels, linear, nonlinear, .. } = prepared;
        let mut trace = traces.map_or(Complex64::ZERO, TraceKernels::linear);
        filter.forward();
        if let Some(Nonlinear { fields, fields_at_zero, numbers, constant, bound, factors }) = nonlinear {
            std::mem::swap(modes, &mut filter.pair);
            means.evaluate(modes, kernels, potential, filter);
            means.bound(*bound);
            space.sum(fields, means.y(), &kernels.lines, filter, totals);
            let mut zero = Complex64::new(*constant, *constant) * -(modes.len() as f64);
            zero += totals.iter().zip(fields_at_zero).map(|(total, c)| total * c).sum::<Complex64>();
            zero += numbers.iter().map(|(feature, c)| means.at_zero(*feature) * c).sum::<Complex64>();
            if let Some(of_traces) = traces {
                let mut place = 0;
                let at_zero = numbers.iter().map(|(feature, c)| (feature, 0.0, c));
                let all =
                    fields.iter().zip(fields_at_zero).map(|((feature, c), at_zero)| (feature, *c, at_zero));
                for (&feature, c, at_zero) in all.chain(at_zero) {
                    let joined = feature.is_joined().then(|| space.joined(place));
                    place += usize::from(joined.is_some());
                    let joined = joined.unwrap_or_default();
                    let found = work.evaluate(feature, means, *bound, &kernels.lines, joined, of_traces);
                    trace += found.others * c + found.zero * (at_zero * kernels.wiener[0]);
                }
            }
            filter.forward();
            filter.pair[0] = zero;
            filter.combine(factors, modes, linear);
        } else {
            filter.scale(linear);
        }
        filter.unscaled_inverse();
        trace
    }
}
