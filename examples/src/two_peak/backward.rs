//! The backward process: an ensemble of trajectories, and the law they are drawn from.

use cumulants::ErrorEstimateError;
use diffusion::{ControlledPoint, CumulantFlow, Evolution, FlowPoint, LawPoint, Prior, law_flow};
use sde_core::gaussian::GaussianScore;
use sde_core::{
    AdditiveNoise, ChurnHeun, DensityPropagator, EulerMaruyama, Integrator, Noise, NormalMixture, Reverse,
    ScoreModel,
};

use super::Setup;
use crate::{Evolved, Failure, Progress};

/// Times at which the backward process is measured, at most.
const MEASUREMENTS: usize = 125;

/// An ensemble that went backwards.
#[derive(Clone, Debug)]
pub struct Backward {
    /// Moments and cumulants on the way.
    pub points: Vec<FlowPoint>,
    /// Where the trajectories ended.
    pub end: Vec<f64>,
    /// The same moments and cumulants for infinitely many trajectories, after every step.
    pub law: Vec<LawPoint>,
    /// The cumulants of the trajectories with those of a normal twin as control variates; empty where the trajectories
    /// are too few for a regression.
    pub controlled: Vec<ControlledPoint>,
}

/// Runs the backward process with `score` from a normal prior: of the paper's variance `Xi(T)` with `--paper`, else of
/// the matched variance `kappa_2 f^2 + Xi`. The twin has the second cumulant `kappa_2`.
///
/// # Errors
/// [`EvolutionError`](diffusion::EvolutionError) and [`DensityError`](sde_core::DensityError), if the score or a
/// trajectory fails.
pub fn backward<M: ScoreModel + Sync>(
    setup: &Setup,
    name: &'static str,
    score: M,
    kappa_2: f64,
    stream: u64,
) -> Result<Backward, Failure> {
    let schedule = &setup.scheme.schedule;
    let (process, twin) =
        (Reverse { schedule, score }, Reverse { schedule, score: GaussianScore { schedule, kappa_2 } });
    if setup.paper {
        run(setup, name, (&process, &twin), &EulerMaruyama::without_last_noise(), Prior::Noise, stream)
    } else {
        run(setup, name, (&process, &twin), &ChurnHeun::default(), Prior::Matched { kappa_2 }, stream)
    }
}

fn run<P, Q, I>(
    setup: &Setup,
    name: &'static str,
    (process, twin): (&P, &Q),
    integrator: &I,
    prior: Prior,
    stream: u64,
) -> Result<Backward, Failure>
where
    P: Sync,
    Q: Sync,
    I: AdditiveNoise<P> + AdditiveNoise<Q> + Clone + Sync,
{
    let Setup { scheme, grid, .. } = setup;
    let start = NormalMixture::normal(0.0, prior.variance(&scheme.schedule, grid.start()))?;
    let propagator = DensityPropagator::default();
    let (law, _) = law_flow(propagator, process, &mut integrator.clone(), grid, &start)?;
    let (twin_law, _) = law_flow(propagator, twin, &mut integrator.clone(), grid, &start)?;

    let file = name.replace(", ", "_").replace(' ', "_");
    let Evolved { flow, end } = ensemble(setup, &file, Some(name), process, integrator, prior, stream)?;
    let twin_flow = ensemble(setup, &format!("{file}_twin"), None, twin, integrator, prior, stream)?.flow;

    let points = flow.points();
    let variances: Vec<f64> = points.iter().map(|point| twin_law[point.step].cumulants[1]).collect();
    let controlled = match flow.controlled(&twin_flow, &variances) {
        Err(ErrorEstimateError::TooFewBins { .. }) => Vec::new(),
        other => other?,
    };
    Ok(Backward { points, end, law, controlled })
}

/// Trajectories of one process, behind a progress bar if it has a name.
fn ensemble<P: Sync, I: Integrator<P> + Clone + Sync>(
    setup: &Setup,
    file: &str,
    name: Option<&'static str>,
    process: &P,
    integrator: &I,
    prior: Prior,
    stream: u64,
) -> Result<Evolved, Failure> {
    let Setup { scheme, seed, trajectories, grid, .. } = setup;
    let [start, noise] = [stream, stream + 1].map(|stream| Noise::new(*seed, stream));
    setup.evolve(file, *trajectories, |rows| {
        let first = rows.start;
        let progress = name.map(|name| Progress::new(name, rows.len() as u64, "trajectories"));
        let mut x = prior.draw_rows(&scheme.schedule, grid.start(), rows, 1, &start);
        let mut flow = CumulantFlow::every(grid, grid.len().div_ceil(MEASUREMENTS));
        Evolution::new(process, integrator, grid, noise)
            .first_row(first)
            .progress(&|rows| {
                if let Some(progress) = &progress {
                    progress.advance(rows as u64);
                }
            })
            .run(x.view_mut(), &mut flow)?;
        if let Some(progress) = progress {
            progress.finish();
        }
        Ok(Evolved { flow, end: x.into_raw_vec_and_offset().0 })
    })
}
