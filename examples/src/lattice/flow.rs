//! Fields drawn by the probability flow, with their density.

use diffusion::FlowLikelihood;
use lattice_phi4::{PathSampler, PerturbativeScore, Phi4, WeightedFields};
use sde_core::{DensityFlow, Edm, Noise};

use crate::Failure;

/// Of the flow, in every step: what `ln Z` lacks by it is a few per cent of its error.
const TOLERANCE: f64 = 1e-5;

/// Draws `rows` fields by the flow of the sampler's score, from its prior, with the weights of their density; and tells how many
/// evaluations of the score a field took.
///
/// # Errors
/// Of the flow.
pub fn by_flow(
    action: &Phi4,
    sampler: &PathSampler<'_, Edm, PerturbativeScore<Edm>>,
    rows: usize,
    seed: u64,
) -> Result<(WeightedFields, f64), Failure> {
    let PathSampler { spectrum, prior, process, grid } = sampler;
    let (schedule, prior_time) = (process.schedule, grid.start());
    let flow = DensityFlow { schedule, score: &process.score };
    let likelihood = FlowLikelihood { flow, prior_time, tolerance: TOLERANCE.into() };
    let start = prior.draw(spectrum, &schedule, prior_time, rows, &Noise::new(seed, 0));
    let generated = likelihood.generate(start, |x| prior.log_density(spectrum, &schedule, prior_time, x))?;
    let evaluations = generated.evaluations.iter().sum::<usize>() as f64 / rows as f64;
    let log_weights = generated.log_weights(action);
    Ok((WeightedFields { fields: generated.fields, log_weights }, evaluations))
}
