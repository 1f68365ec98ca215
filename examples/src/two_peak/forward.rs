//! The forward process, by its exact transition kernel.

use diffusion::{CumulantFlow, Evolution, FlowPoint, draw};
use sde_core::{ExactTransition, Forward, Noise, TimeGrid};

use super::{Setup, model};
use crate::{Failure, Progress};

/// Times at which the forward process is measured, after `t = 0`.
const MEASUREMENTS: usize = 100;

/// Follows `trajectories` fresh samples of the target forwards: moments and cumulants at 101 times.
///
/// # Errors
/// [`EvolutionError`](diffusion::EvolutionError), for lack of trajectories.
pub fn forward(setup: &Setup, trajectories: usize, stream: u64) -> Result<Vec<FlowPoint>, Failure> {
    let schedule = &setup.scheme.schedule;
    let grid = TimeGrid::uniform(0.0, schedule.horizon(), MEASUREMENTS)?;
    let progress = Progress::new("forward process", trajectories as u64, "trajectories");
    let mut x = draw(trajectories, 1, &Noise::new(setup.seed, stream), |noise, x| model().fill(noise, x));
    let mut flow = CumulantFlow::every(&grid, 1);
    Evolution::new(
        &Forward(schedule),
        &ExactTransition::default(),
        &grid,
        Noise::new(setup.seed, stream + 1),
    )
    .progress(&|rows| progress.advance(rows as u64))
    .run(x.view_mut(), &mut flow)?;
    progress.finish();
    Ok(flow.points())
}
