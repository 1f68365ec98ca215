//! One scheme from data to numbers: what both two-peak examples do before they draw their figures.

use diffusion::FlowPoint;

use super::{
    Backward, Learned, Setup, backward, controlled_file, curve_file, forward, kappa_rows, law_cumulants,
    law_file, learn, model,
};
use crate::{Args, Failure, Parts, Results};

/// Streams of the seed, two for each process: its start and its noise.
const LEARNED: u64 = 20;
const EXACT: u64 = 30;
const FORWARD: u64 = 40;

/// Everything the figures need.
#[derive(Debug)]
pub struct Study {
    /// The data set and the learned score.
    pub learned: Learned,
    /// Forward runs by their number of trajectories.
    pub forward: Vec<(usize, Vec<FlowPoint>)>,
    /// The backward process with the learned score.
    pub backward: Backward,
    /// The backward process with the exact score.
    pub exact: Backward,
    /// The table.
    pub results: Results,
}

/// Draws data, learns, runs forwards and backwards, and writes the curves. None of a shard, which is left for a merge.
///
/// # Errors
/// Of training, of the processes, of files that cannot be written, of shards that do not make up a whole.
pub fn study(setup: &Setup, args: &Args) -> Result<Option<Study>, Failure> {
    let mut results = setup.results();
    let learned = learn(setup)?;
    let found = backward(setup, "backward, learned score", &learned.score, learned.kappa_2, LEARNED)?;
    let exact_score = model().score(setup.scheme.schedule.clone());
    let exact = backward(setup, "backward, exact score", exact_score, model().cumulant(2), EXACT)?;
    let mut runs = Vec::new();
    for (&trajectories, stream) in setup.forward_trajectories.iter().zip((FORWARD..).step_by(2)) {
        runs.push((trajectories, forward(setup, trajectories, stream)?));
    }
    if let Parts::Shard { shard, folder } = &setup.parts {
        shard.farewell(folder);
        return Ok(None);
    }

    // The data fluctuate, and the learned score with them: both errors enter. The paper's net is not symmetrised,
    // but its data set is the same.
    let end = |run: &Backward| run.points[run.points.len() - 1].cumulants;
    let law = |run: &Backward| law_cumulants(&run.law[run.law.len() - 1]);
    let rows = [
        kappa_rows(
            "backward, learned score",
            &end(&found),
            Some(&learned.cumulants),
            Some(&setup.scheme.paper),
        ),
        kappa_rows("backward, exact score", &end(&exact), None, None),
        kappa_rows("density, learned score", &law(&found), Some(&learned.cumulants), None),
        kappa_rows("density, exact score", &law(&exact), None, None),
        kappa_rows("data", &learned.cumulants, None, Some(&setup.scheme.paper_data)),
    ];
    rows.into_iter().flatten().for_each(|row| results.push(row));

    let file = |name: &str| args.common.out().join(format!("{name}.csv"));
    curve_file(&file("backward_learned"), &found.points)?;
    curve_file(&file("backward_exact"), &exact.points)?;
    law_file(&file("density_learned"), &found.law)?;
    law_file(&file("density_exact"), &exact.law)?;
    for (name, run) in [("controlled_learned", &found), ("controlled_exact", &exact)] {
        if !run.controlled.is_empty() {
            controlled_file(&file(name), &run.controlled)?;
        }
    }
    for (trajectories, points) in &runs {
        curve_file(&file(&format!("forward_{trajectories}")), points)?;
    }
    Ok(Some(Study { learned, forward: runs, backward: found, exact, results }))
}
