//! The cumulants of a chain itself, in the limit of infinitely many trajectories.

use crate::ORDER;
use cumulants::cumulants_from_moments;
use sde_core::{AdditiveNoise, DensityError, DensityPropagator, NormalMixture, TimeGrid};
use serde::{Deserialize, Serialize};

/// Moments and cumulants of the law of one variable, at one time: a [`FlowPoint`](crate::FlowPoint) without
/// sampling errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPoint {
    /// Steps done.
    pub step: usize,
    /// The time `t`.
    pub time: f64,
    /// `mu_1 .. mu_8`, about zero.
    pub moments: [f64; ORDER],
    /// `kappa_1 .. kappa_8`.
    pub cumulants: [f64; ORDER],
}

impl LawPoint {
    /// The point of `law` at time `time`, after `step` steps.
    pub fn new(step: usize, time: f64, law: &NormalMixture) -> Self {
        let moments: [f64; ORDER] = std::array::from_fn(|k| law.moment(k as u32 + 1));
        let cumulants = cumulants_from_moments(&moments);
        Self { step, time, moments, cumulants: std::array::from_fn(|k| cumulants[k]) }
    }
}

/// Moments and cumulants at the start and after every step of `grid`, and the law at the end.
///
/// ```
/// use sde_core::{ChurnHeun, DensityPropagator, NormalMixture, Reverse, TimeGrid, TwoPeak, VarianceExpanding};
/// use sde_core::gaussian;
///
/// let schedule = VarianceExpanding::new(10.0)?;
/// let model = TwoPeak::new(1.0, 0.25)?;
/// let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 100)?;
/// let process = Reverse { schedule, score: model.score(schedule) };
/// let prior = NormalMixture::normal(0.0, gaussian::forward_variance(&schedule, model.cumulant(2), 1.0))?;
///
/// let (points, _) = diffusion::law_flow(
///     DensityPropagator::default(), &process, &mut ChurnHeun::default(), &grid, &prior,
/// )?;
/// // the error of 100 steps: 0.015 per cent at order 8
/// let bias = points[100].cumulants[7] / model.cumulant(8) - 1.0;
/// assert!((bias - 1.5e-4).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DensityError`], if the law cannot be followed.
pub fn law_flow<P: ?Sized, I: AdditiveNoise<P> + ?Sized>(
    propagator: DensityPropagator,
    process: &P,
    integrator: &mut I,
    grid: &TimeGrid,
    start: &NormalMixture,
) -> Result<(Vec<LawPoint>, NormalMixture), DensityError> {
    let mut points = Vec::with_capacity(grid.len() + 1);
    let end = propagator.run(process, integrator, grid, start, &mut |step, time, law| {
        points.push(LawPoint::new(step, time, law));
    })?;
    Ok((points, end))
}
