//! The forward process, by its exact transition kernel.

use diffusion::{CumulantFlow, Evolution, FlowPoint, draw_rows};
use sde_core::{ExactTransition, Forward, Noise, TimeGrid};

use super::{Setup, model};
use crate::{Evolved, Failure, Progress};

/// Times at which the forward process is measured, after `t = 0`.
const MEASUREMENTS: usize = 100;

/// Follows `trajectories` fresh samples of the target forwards: moments and cumulants at 101 times.
///
/// # Errors
/// [`EvolutionError`](diffusion::EvolutionError), for lack of trajectories.
pub fn forward(setup: &Setup, trajectories: usize, stream: u64) -> Result<Vec<FlowPoint>, Failure> {
    let schedule = &setup.scheme.schedule;
    let grid = TimeGrid::uniform(0.0, schedule.horizon(), MEASUREMENTS)?;
    let noise = Noise::new(setup.seed, stream + 1);
    let evolved = setup.evolve(&format!("forward_{trajectories}"), trajectories, |rows| {
        let progress = Progress::new("forward process", rows.len() as u64, "trajectories");
        let (first, start) = (rows.start, Noise::new(setup.seed, stream));
        let mut x = draw_rows(rows, 1, &start, |noise, x| model().fill(noise, x));
        let mut flow = CumulantFlow::every(&grid, 1);
        Evolution::new(&Forward(schedule), &ExactTransition::default(), &grid, noise)
            .first_row(first)
            .progress(&|rows| progress.advance(rows as u64))
            .run(x.view_mut(), &mut flow)?;
        progress.finish();
        Ok(Evolved { flow, end: x.into_raw_vec_and_offset().0 })
    })?;
    Ok(evolved.flow.points())
}
