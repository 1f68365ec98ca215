//! Fields drawn by the probability flow, with their density.

use std::ops::Range;

use diffusion::{FlowDensities, FlowLikelihood};
use lattice_phi4::{PathSampler, PerturbativeScore};
use sde_core::{DensityFlow, DormandPrince, Edm, Noise};

use crate::Failure;

/// Of the flow, in every step: what `ln Z` lacks by it is a few per cent of its error.
const TOLERANCE: f64 = 1e-5;

/// Draws `rows` of all fields by the flow of the sampler's score, from its prior, with their density.
///
/// # Errors
/// Of the flow, and for a first row that shares the steps of those before it.
pub fn by_flow(
    sampler: &PathSampler<'_, Edm, PerturbativeScore<Edm>>,
    rows: Range<usize>,
    seed: u64,
) -> Result<FlowDensities, Failure> {
    let PathSampler { spectrum, prior, process, grid } = sampler;
    let together = DormandPrince::shared_rows(spectrum.lattice().volume() + 1);
    if !rows.start.is_multiple_of(together) {
        let first = rows.start;
        return Err(format!(
            "--shard: by the flow {together} rows share their steps: expected a first row that begins so many, found {first}"
        )
        .into());
    }
    let (schedule, prior_time) = (process.schedule, grid.start());
    let flow = DensityFlow { schedule, score: &process.score };
    let likelihood = FlowLikelihood { flow, prior_time, tolerance: TOLERANCE.into() };
    let start = prior.draw_rows(spectrum, &schedule, prior_time, rows, &Noise::new(seed, 0));
    Ok(likelihood.generate(start, |x| prior.log_density(spectrum, &schedule, prior_time, x))?)
}
