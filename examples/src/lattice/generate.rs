//! Learning the score of an ensemble by perturbation theory, and drawing from it.

use std::ops::Range;
use std::sync::Arc;

use diffusion::Evolution;
use lattice_phi4::{
    Feature, FieldPrior, FitConfig, PathCosts, PathSampler, PerturbativeModel, PerturbativeScore, Phi4,
    Spectrum, SpectrumError, WhitenedFlow,
};
use ndarray::{Array2, ArrayView2, Axis, s};
use sde_core::{
    Edm, Heun, Noise, NoiseSchedule, NormalSource, ParameterError, Reverse, ScoreModel, Target, TimeGrid,
    VarianceExpanding,
};

use super::{Protocol, SIGMA};
use crate::{Failure, Progress};

/// Noise levels to a factor of `e`: those of a fit, between which coefficients are smooth, and those of its sampler. For nets the
/// former will do: with twice as many, cumulants of fields with domains change by less than 0.05 per cent.
const FITTED: f64 = 8.0;
const SAMPLED: f64 = 16.0;
/// Ridge of a fit.
const RIDGE: f64 = 1e-9;
/// The highest level in units of the strongest mode, the lowest in units of the local fluctuation.
const HIGHEST: f64 = 2.5;
const LOWEST: f64 = 0.05;
/// Hopping above which the magnetisation has a sign that lasts: the critical point of 32 x 32 lies at 0.2709.
const SIGNIFICANCE: f64 = 8.0;
/// Values in a block of the sampler: large enough that preparing a noise level costs little.
const BLOCK: usize = 1 << 16;

/// A fitted score.
#[derive(Clone, Debug)]
pub struct Model {
    /// The coefficients.
    pub model: Arc<PerturbativeModel>,
    /// Whether the model describes one sign of the magnetisation.
    pub ordered: bool,
}

impl From<PerturbativeModel> for Model {
    fn from(model: PerturbativeModel) -> Self {
        let ordered = model.spectrum().mean() != 0.0;
        Self { model: Arc::new(model), ordered }
    }
}

impl Model {
    /// The score; its time is the noise.
    ///
    /// # Errors
    /// If a variance of the field is not a number.
    pub fn score(&self) -> Result<PerturbativeScore<Edm>, ParameterError> {
        Ok(PerturbativeScore::new(self.model.clone(), schedule(self.model.spectrum())?))
    }
}

/// The schedule of scores of fields with this spectrum: its time is the noise.
///
/// # Errors
/// If a variance of the field is not a number.
pub fn schedule(spectrum: &Spectrum) -> Result<Edm, ParameterError> {
    let levels = noise_levels(spectrum);
    Edm::new(2.0 * levels[levels.len() - 1])
}

/// Standard deviations of the noise, ascending, for fitting or learning the score of a field with this spectrum.
pub(super) fn learned_levels(spectrum: &Spectrum) -> Vec<f64> {
    levels(spectrum, FITTED)
}

/// Standard deviations of the noise, ascending, for sampling a field with this spectrum from a fitted score.
pub fn noise_levels(spectrum: &Spectrum) -> Vec<f64> {
    levels(spectrum, SAMPLED)
}

fn levels(spectrum: &Spectrum, density: f64) -> Vec<f64> {
    let strongest = spectrum.variances().iter().fold(0.0, |a: f64, b| a.max(*b)).sqrt();
    let (low, high) = (LOWEST * spectrum.local_variance().sqrt(), HIGHEST * strongest);
    let steps = (density * (high / low).ln()).ceil();
    (0..=steps as usize).map(|i| low * (high / low).powf(i as f64 / steps)).collect()
}

/// Configurations with what is known of them to second order: about zero, or folded about their mean where the two signs are
/// well apart.
pub(super) fn folded(
    action: &Phi4,
    fields: ArrayView2<'_, f64>,
) -> Result<(Array2<f64>, Spectrum, bool), SpectrumError> {
    let m: Vec<f64> = fields.mean_axis(Axis(1)).map(|m| m.to_vec()).unwrap_or_default();
    let mean = m.iter().map(|m| m.abs()).sum::<f64>() / m.len().max(1) as f64;
    let spread = (m.iter().map(|m| (m.abs() - mean).powi(2)).sum::<f64>() / m.len().max(1) as f64).sqrt();
    let ordered = mean > SIGNIFICANCE * spread;
    let mut folded = fields.to_owned();
    if ordered {
        for (mut row, m) in folded.outer_iter_mut().zip(&m) {
            row *= m.signum();
        }
    }
    let center = if ordered { mean } else { 0.0 };
    let spectrum = Spectrum::of_ensemble(action.lattice(), center, folded.view())?;
    Ok((folded, spectrum, ordered))
}

/// The Gaussian score of the ensemble, but for the magnetisation, whose distribution is fitted: all that is known of domains
/// under much noise.
///
/// # Errors
/// [`FitError`](lattice_phi4::FitError).
pub(super) fn fit_magnetisation(
    spectrum: Spectrum,
    fields: ArrayView2<'_, f64>,
    seed: u64,
) -> Result<Model, Failure> {
    let noise = learned_levels(&spectrum);
    let config = FitConfig { features: vec![Feature::Marginal], noise, ridge: RIDGE, seed };
    Ok(PerturbativeModel::fit(spectrum, fields, None, &config)?.into())
}

/// The Gaussian score of the ensemble, about its mean where the two signs are well apart.
///
/// # Errors
/// [`SpectrumError`].
pub fn fit_gaussian(action: &Phi4, fields: ArrayView2<'_, f64>) -> Result<Model, Failure> {
    let (_, spectrum, _) = folded(action, fields)?;
    Ok(PerturbativeModel::gaussian(spectrum).into())
}

/// Fits the ensemble by perturbation theory: about zero, or about its mean where the two signs are well apart. The force is made
/// use of if it is in equilibrium.
///
/// # Errors
/// [`FitError`](lattice_phi4::FitError).
pub fn fit(
    action: &Phi4,
    protocol: Protocol,
    fields: ArrayView2<'_, f64>,
    seed: u64,
) -> Result<Model, Failure> {
    let (folded, spectrum, ordered) = folded(action, fields)?;
    let features = if ordered { Feature::ORDERED.to_vec() } else { Feature::SYMMETRIC.to_vec() };
    let noise = learned_levels(&spectrum);
    let progress = Progress::new("fit", 1, "scores");
    let config = FitConfig { features, noise, ridge: RIDGE, seed };
    let equilibrium: Option<&(dyn Target + Sync)> =
        if protocol == Protocol::Equilibrium { Some(action) } else { None };
    let model = PerturbativeModel::fit(spectrum, folded.view(), equilibrium, &config)?;
    progress.advance(1);
    progress.finish();
    Ok(model.into())
}

/// The levels of those below where the paper's process ends, with `Xi(1)` at the end: for its prior, `N(0, Xi(1))`.
pub(super) fn from_paper_prior(levels: &[f64]) -> Result<Vec<f64>, ParameterError> {
    let end = VarianceExpanding::new(SIGMA)?.transition(0.0, 1.0).variance.sqrt();
    Ok(levels.iter().copied().filter(|s| *s < end).chain([end]).collect())
}

/// Draws `configs` configurations from a fitted score, by [`draw`]. With an ordered model, half of them with either sign.
///
/// `watch` sees the fields on their way, with the noise they have, after every level.
///
/// # Errors
/// Of the score.
pub fn sample(
    model: &Model,
    configs: usize,
    seed: u64,
    watch: &mut dyn FnMut(f64, &Array2<f64>),
) -> Result<Array2<f64>, Failure> {
    let levels = noise_levels(model.model.spectrum());
    sample_from(model, FieldPrior::Matched, &levels, 0..configs, seed, watch)
}

/// The same `rows`, from another prior at the highest of `levels`; they must begin where a [`Share`](diffusion::Share) does.
pub(super) fn sample_from(
    model: &Model,
    prior: FieldPrior,
    levels: &[f64],
    rows: Range<usize>,
    seed: u64,
    watch: &mut dyn FnMut(f64, &Array2<f64>),
) -> Result<Array2<f64>, Failure> {
    let signed = |mut x: Array2<f64>| {
        if model.ordered {
            x.outer_iter_mut().skip(1).step_by(2).for_each(|mut row| row *= -1.0);
        }
        x
    };
    let mut watch = |noise: f64, x: &Array2<f64>| {
        if model.ordered { watch(noise, &signed(x.clone())) } else { watch(noise, x) }
    };
    draw_rows(model.model.spectrum(), model.score()?, prior, levels, rows, seed, &mut watch).map(signed)
}

/// Draws `configs` configurations from a score under [`Edm`]: Heun's rule on the whitened probability flow about `spectrum`,
/// from the matched prior, or from noise alone, down through the noise `levels`, which ascend.
///
/// `watch` sees the fields on their way, with the noise they have, after every level.
///
/// # Errors
/// Of the score.
pub fn draw<M: ScoreModel + Sync>(
    spectrum: &Spectrum,
    score: M,
    prior: FieldPrior,
    levels: &[f64],
    configs: usize,
    seed: u64,
    watch: &mut dyn FnMut(f64, &Array2<f64>),
) -> Result<Array2<f64>, Failure> {
    draw_rows(spectrum, score, prior, levels, 0..configs, seed, watch)
}

/// Those `rows` that [`draw`] would draw, which must begin where a [`Share`](diffusion::Share) does.
///
/// # Errors
/// Of the score.
pub fn draw_rows<M: ScoreModel + Sync>(
    spectrum: &Spectrum,
    score: M,
    prior: FieldPrior,
    levels: &[f64],
    rows: Range<usize>,
    seed: u64,
    watch: &mut dyn FnMut(f64, &Array2<f64>),
) -> Result<Array2<f64>, Failure> {
    let (first, configs) = (rows.start, rows.len());
    let floor = levels[0];
    let flow = WhitenedFlow::new(spectrum, score, floor);
    let mut u = Array2::zeros((configs, spectrum.lattice().volume()));
    if rows.is_empty() {
        return Ok(u);
    }
    let sites = u.ncols();
    for (row, mut u) in rows.zip(u.outer_iter_mut()) {
        let u = u.as_slice_mut().expect("rows of a new array are contiguous");
        Noise::new(seed, STREAM).block(0, (row * sites) as u64).fill(0, u);
    }
    if prior == FieldPrior::Noise {
        let top = levels[levels.len() - 1];
        u = flow.whitened((top * u).view(), (top / floor).ln());
    }
    let progress = Progress::new("sampling", ((levels.len() - 1) * configs) as u64, "steps");
    for step in (1..levels.len()).rev() {
        let times = [(levels[step] / floor).ln(), (levels[step - 1] / floor).ln()];
        Evolution::new(&flow, &Heun::default(), &TimeGrid::explicit(&times)?, Noise::new(seed, STREAM + 1))
            .first_row(first)
            .block_values(BLOCK)
            .run(u.view_mut(), &mut ())?;
        progress.advance(configs as u64);
        watch(levels[step - 1], &flow.fields(u.view(), times[1]));
    }
    progress.finish();
    flow.finish(u.view_mut())?;
    let expected = spectrum.mean().abs() + RUNAWAY * spectrum.local_variance().sqrt();
    match u.iter().find(|x| x.is_nan() || x.abs() > expected) {
        Some(&found) => Err(Runaway { found, expected }.into()),
        None => Ok(u),
    }
}

/// Configurations that the cost of steps is measured on.
const PROBES: usize = 64;

/// Draws along paths of so many steps, which go where they cost least on these `fields`.
///
/// # Errors
/// Of the score.
pub fn path_sampler<'a>(
    model: &'a Model,
    fields: ArrayView2<'_, f64>,
    steps: usize,
    seed: u64,
) -> Result<PathSampler<'a, Edm, PerturbativeScore<Edm>>, Failure> {
    path_sampler_of(model, model.score()?, fields, steps, seed)
}

/// The same for another `score` of the fields that `model` describes.
///
/// # Errors
/// Of the score.
pub fn path_sampler_of<'a, M: ScoreModel + Sync>(
    model: &'a Model,
    score: M,
    fields: ArrayView2<'_, f64>,
    steps: usize,
    seed: u64,
) -> Result<PathSampler<'a, Edm, M>, Failure> {
    let spectrum = model.model.spectrum();
    let stride = fields.nrows().div_ceil(PROBES);
    let probes = fields.slice(s![..; stride, ..]).to_owned();
    let costs = PathCosts::measure(spectrum, &score, probes.view(), &noise_levels(spectrum), seed)?;
    let grid = costs.grid(steps);
    let prior = if model.ordered { FieldPrior::TwoSigns } else { FieldPrior::Matched };
    let process = Reverse { schedule: Edm::new(grid.start())?, score };
    Ok(PathSampler { spectrum, prior, process, grid })
}

/// Standard deviations of the local field that no configuration reaches.
const RUNAWAY: f64 = 50.0;

/// A score that does not keep the sampler where the data are.
#[derive(Debug, thiserror::Error)]
#[error(
    "the sampler ran away: phi reaches {found:.1e}, at most {expected:.1} is expected; the perturbative score does not \
     describe this ensemble, as it does not where domain walls are left"
)]
struct Runaway {
    found: f64,
    expected: f64,
}

/// Stream of the prior.
const STREAM: u64 = 1000;
