//! The backward process: an ensemble of trajectories, and the law they are drawn from.

use diffusion::{CumulantFlow, Evolution, FlowPoint, LawPoint, Prior, law_flow};
use sde_core::{
    AdditiveNoise, ChurnHeun, DensityPropagator, EulerMaruyama, Noise, NormalMixture, Reverse, ScoreModel,
};

use super::Setup;
use crate::{Failure, Progress};

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
}

/// Runs the backward process with `score` from a normal prior: of the paper's variance `Xi(T)` with `--paper`, else of
/// the matched variance `kappa_2 f^2 + Xi`.
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
    let process = Reverse { schedule: &setup.scheme.schedule, score };
    if setup.paper {
        run(setup, name, &process, &EulerMaruyama::without_last_noise(), Prior::Noise, stream)
    } else {
        run(setup, name, &process, &ChurnHeun::default(), Prior::Matched { kappa_2 }, stream)
    }
}

fn run<P: Sync, I: AdditiveNoise<P> + Clone + Sync>(
    setup: &Setup,
    name: &'static str,
    process: &P,
    integrator: &I,
    prior: Prior,
    stream: u64,
) -> Result<Backward, Failure> {
    let Setup { scheme, seed, trajectories, grid, .. } = setup;
    let mut x = prior.draw(&scheme.schedule, grid.start(), *trajectories, 1, &Noise::new(*seed, stream));
    let mut flow = CumulantFlow::every(grid, grid.len().div_ceil(MEASUREMENTS));
    let progress = Progress::new(name, *trajectories as u64, "trajectories");
    Evolution::new(process, integrator, grid, Noise::new(*seed, stream + 1))
        .progress(&|rows| progress.advance(rows as u64))
        .run(x.view_mut(), &mut flow)?;
    progress.finish();
    let start = NormalMixture::normal(0.0, prior.variance(&scheme.schedule, grid.start()))?;
    let (law, _) = law_flow(DensityPropagator::default(), process, &mut integrator.clone(), grid, &start)?;
    Ok(Backward { points: flow.points(), end: x.into_raw_vec_and_offset().0, law })
}
