//! The law of a chain itself: its density pushed through every step, in the limit of infinitely many
//! trajectories.
//!
//! Most schemes add their noise last and with the same strength everywhere, `x' = m(x) + s z`. The law after
//! such a step is a mixture of normals of width `s`, one about the image `m(x)` of every `x` there was:
//!
//! ```text
//! p'(y) = integral dx p(x) N( y; m(x), s^2 ) = h sum_i p(x_i) N( y; m(x_i), s^2 ) + O( exp(-2 pi^2 w^2 / h^2) )
//! ```
//!
//! The trapezoidal rule on nodes `x_i` is exact but for an exponentially small remainder: `w` is the width of the
//! integrand, a product of two densities that are each as wide as a step's noise, and three nodes to such a width
//! leave less than `1e-10` of it even where the step stretches. So a law is carried as a [`NormalMixture`],
//! evaluated on fresh nodes before each step, with moments in closed form at all times. What is left are the
//! errors of the scheme, the prior and the score, without sampling noise: an oracle for tests, and the smooth
//! curve behind a cloud of trajectories.
//!
//! A step without noise moves the nodes; they stay as they are until there is noise again.

use crate::error::within;
use crate::integrator::AdditiveNoise;
use crate::{EvalError, NormalMixture, NormalSource, ParameterError, Step, TimeGrid};
use ndarray::Array2;
use std::f64::consts::PI;

/// Components reach this many widths; further out they are below `1e-18` of their peak.
const REACH: f64 = 9.0;

/// Nodes at the ends of the line that carry less are dropped: an eighth moment of 1 would need `x = 5600`.
const NEGLIGIBLE: f64 = 1e-30;

/// Images of nodes further apart than this part of the width make [`DensityPropagator`] try finer nodes.
const COARSEST: f64 = 0.5;

/// Most nodes: one step of them takes a second or so.
const MOST_NODES: f64 = (1 << 20) as f64;

/// A law could not be followed.
#[derive(Debug, thiserror::Error)]
pub enum DensityError {
    /// The score or drift failed.
    #[error("step {step} could not be evaluated")]
    Model {
        /// Number of the step.
        step: usize,
        /// The model's error.
        source: EvalError,
    },
    /// The step takes some point to an infinity or a NaN.
    #[error("step {step} takes x = {x} to {image}")]
    NotFinite {
        /// Number of the step.
        step: usize,
        /// Where the point was.
        x: f64,
        /// Where it went.
        image: f64,
    },
    /// The noise of the step is too weak to join the points it acts on.
    #[error("before the noise of width {width} in step {step} points are {spacing} apart")]
    Unresolved {
        /// Number of the step.
        step: usize,
        /// Largest distance of neighbouring points that matter.
        spacing: f64,
        /// Width of the step's noise.
        width: f64,
    },
}

/// Follows the law of one variable through a chain of steps.
///
/// ```
/// use sde_core::*;
/// let schedule = VarianceExpanding::new(10.0)?;
/// let model = TwoPeak::new(1.0, 0.25)?;
/// let process = Reverse { schedule, score: model.score(schedule) };
/// let prior = NormalMixture::normal(0.0, schedule.transition(0.0, 1.0).variance)?;
/// let grid = TimeGrid::published(1.0, 1e-5, 100)?;
///
/// // what 100 steps of Euler-Maruyama make of the exact score, with no sampling error
/// let end = DensityPropagator::default().run(
///     &process, &mut EulerMaruyama::without_last_noise(), &grid, &prior, &mut |_, _, _| {},
/// )?;
/// let bias = end.moment(2) / model.moment(2) - 1.0;
/// assert!((bias + 0.0166).abs() < 5e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DensityPropagator {
    nodes_per_width: f64,
}

impl Default for DensityPropagator {
    /// Three nodes to a width: all that noisy steps need.
    fn default() -> Self {
        Self { nodes_per_width: 3.0 }
    }
}

impl DensityPropagator {
    /// `nodes_per_width` nodes to the width of the law or of the next noise, whichever is less.
    ///
    /// A chain without any noise, such as a [`ProbabilityFlow`](crate::ProbabilityFlow), needs as many as the
    /// flow stretches: the two-peak model some thousands, since its flow tears the middle of the prior apart.
    ///
    /// # Errors
    /// [`ParameterError`] unless it lies between 1 and 1e5.
    pub fn new(nodes_per_width: f64) -> Result<Self, ParameterError> {
        Ok(Self { nodes_per_width: within("nodes_per_width", nodes_per_width, 1.0, 1e5)? })
    }

    /// The law at the end of `grid`, for the law `start` at its beginning.
    ///
    /// `observe` sees step, time and law, at the start as step 0 and after every step.
    ///
    /// # Errors
    /// [`DensityError`].
    pub fn run<P: ?Sized, I: AdditiveNoise<P> + ?Sized>(
        &self,
        process: &P,
        integrator: &mut I,
        grid: &TimeGrid,
        start: &NormalMixture,
        observe: &mut dyn FnMut(usize, f64, &NormalMixture),
    ) -> Result<NormalMixture, DensityError> {
        let mut chain = Chain { process, integrator };
        let widths: Vec<f64> = grid.steps().map(|step| chain.width(step)).collect::<Result<_, _>>()?;
        let mut law = start.clone();
        // Point masses at the start are the law itself; later they are nodes of a density.
        let mut nodes_of_density = false;
        observe(0, grid.start(), &law);
        for step in grid.steps() {
            nodes_of_density |= law.width > 0.0;
            let width = widths[step.index];
            let ahead = widths[step.index..].iter().copied().find(|&width| nodes_of_density && width > 0.0);
            law = self.step(&mut chain, step, width, ahead, &law)?;
            observe(step.index + 1, step.end(), &law);
        }
        Ok(law)
    }

    /// One step with noise of width `width`; `ahead` is the width of the first noise that the nodes will meet, in
    /// this step or later.
    fn step<P: ?Sized, I: AdditiveNoise<P> + ?Sized>(
        self,
        chain: &mut Chain<'_, P, I>,
        step: Step,
        width: f64,
        ahead: Option<f64>,
        law: &NormalMixture,
    ) -> Result<NormalMixture, DensityError> {
        let finest = law.span() / MOST_NODES;
        let mut spacing = law.width.min(ahead.unwrap_or(f64::INFINITY)) / self.nodes_per_width;
        loop {
            if law.width > 0.0 && spacing < finest {
                let width = ahead.unwrap_or(law.width);
                return Err(DensityError::Unresolved { step: step.index, spacing: finest, width });
            }
            let (nodes, weights) =
                if law.width > 0.0 { nodes(law, spacing) } else { (law.means.clone(), law.weights.clone()) };
            let means = chain.images(step, &nodes)?;
            let Some(ahead) = ahead else {
                return Ok(NormalMixture { means, weights, width });
            };
            let gap = widest_gap(&means, &weights);
            if gap <= COARSEST * ahead {
                return Ok(NormalMixture { means, weights, width });
            }
            if law.width == 0.0 {
                return Err(DensityError::Unresolved { step: step.index, spacing: gap, width: ahead });
            }
            spacing *= (0.9 * COARSEST * ahead / gap).max(0.1);
        }
    }
}

/// The chain of one process and scheme, read as `x' = m(x) + s z`.
struct Chain<'a, P: ?Sized, I: ?Sized> {
    process: &'a P,
    integrator: &'a mut I,
}

/// The normal of every row: 1 for the second of two, if there are two.
struct Unit(bool);

impl NormalSource for Unit {
    fn fill(&self, _draw: u32, out: &mut [f64]) {
        out.fill(0.0);
        if self.0 {
            out[1] = 1.0;
        }
    }
}

impl<P: ?Sized, I: AdditiveNoise<P> + ?Sized> Chain<'_, P, I> {
    /// Where one step takes the points `x`.
    fn apply(&mut self, step: Step, x: &[f64], noise: &Unit) -> Result<Vec<f64>, DensityError> {
        let mut images = Array2::from_shape_vec((x.len(), 1), x.to_vec()).expect("one site a row");
        self.integrator
            .step(self.process, step, images.view_mut(), noise)
            .map_err(|source| DensityError::Model { step: step.index, source })?;
        let images = images.into_raw_vec_and_offset().0;
        match images.iter().position(|image| !image.is_finite()) {
            Some(at) => Err(DensityError::NotFinite { step: step.index, x: x[at], image: images[at] }),
            None => Ok(images),
        }
    }

    /// The width `s` of the step's noise.
    fn width(&mut self, step: Step) -> Result<f64, DensityError> {
        let ends = self.apply(step, &[0.0; 2], &Unit(true))?;
        Ok((ends[1] - ends[0]).abs())
    }

    /// The images `m(x)`.
    fn images(&mut self, step: Step, nodes: &[f64]) -> Result<Vec<f64>, DensityError> {
        self.apply(step, nodes, &Unit(false))
    }
}

impl NormalMixture {
    /// Where it is not negligible.
    fn support(&self) -> (f64, f64) {
        let reach = REACH * self.width;
        let low = self.means.iter().copied().fold(f64::INFINITY, f64::min) - reach;
        (low, self.means.iter().copied().fold(f64::NEG_INFINITY, f64::max) + reach)
    }

    fn span(&self) -> f64 {
        let (low, high) = self.support();
        high - low
    }
}

/// Even nodes over a law of some width, and its weights `h p(x_i)` there.
fn nodes(law: &NormalMixture, spacing: f64) -> (Vec<f64>, Vec<f64>) {
    let reach = REACH * law.width;
    let (low, high) = law.support();
    let first = (low / spacing).floor();
    let count = ((high / spacing).ceil() - first) as usize + 1;
    let position = |i: usize| (first + i as f64) * spacing;

    let mut weights = vec![0.0; count];
    let inverse = 1.0 / law.width;
    let scale = spacing * inverse / (2.0 * PI).sqrt();
    for (mean, weight) in law.means.iter().zip(&law.weights) {
        let from = (((mean - reach) / spacing).floor() - first) as usize;
        let to = ((((mean + reach) / spacing).ceil() - first) as usize).min(count - 1);
        for (i, sum) in weights[from..=to].iter_mut().enumerate() {
            let distance = (position(from + i) - mean) * inverse;
            *sum += weight * scale * (-0.5 * distance * distance).exp();
        }
    }
    let heavy = |&weight: &f64| weight > NEGLIGIBLE;
    let from = weights.iter().position(heavy).unwrap_or(0);
    let to = weights.iter().rposition(heavy).map_or(count, |last| last + 1);
    ((from..to).map(position).collect(), weights[from..to].to_vec())
}

/// Largest distance of neighbours that both matter to ten digits.
fn widest_gap(points: &[f64], weights: &[f64]) -> f64 {
    let heaviest = weights.iter().copied().fold(0.0, f64::max);
    let matters = |i: usize| weights[i] > 1e-12 * heaviest;
    (1..points.len())
        .filter(|&i| matters(i) && matters(i - 1))
        .map(|i| (points[i] - points[i - 1]).abs())
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests;
