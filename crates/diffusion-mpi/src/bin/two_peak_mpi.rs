//! The two-peak model on many processes: `mpirun -n 4 two_peak_mpi`.
//!
//! Runs the forward or the backward process of `two_peak_ve`, measures moments and cumulants on the way, and prints what a step of a
//! trajectory takes on one core, with everything that belongs to it: drawing, noise, measurement and putting the parts together.
#![expect(clippy::print_stdout, reason = "the program reports to the user")]

use clap::{Parser, ValueEnum};
use diffusion::{CumulantFlow, Evolution, FlowPoint, Prior, Share, draw_rows, gather_flow};
use diffusion_mpi::World;
use examples::write_json;
use sde_core::{
    ChurnHeun, Communicator, ExactTransition, Forward, Noise, Reverse, TimeGrid, TwoPeak, VarianceExpanding,
};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Parser)]
#[command(
    about = "The two-peak model on many processes: moments and cumulants along the way",
    args_override_self = true
)]
struct Options {
    /// Forwards by the exact kernel, or backwards with the exact score
    #[arg(long, value_enum, default_value_t = Process::Forward)]
    process: Process,

    /// Trajectories of all processes together
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    trajectories: usize,

    /// Time steps; forwards all are measured, backwards twenty of them
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: usize,

    /// Seed of all random numbers; the same seed gives the same numbers for any number of processes and threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Threads of each process
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,

    /// Writes what was measured to this file
    #[arg(long, value_name = "FILE.json")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Process {
    Forward,
    Backward,
}

fn main() -> ExitCode {
    let options = Options::parse();
    diffusion_mpi::run(|world| work(world, &options))
}

fn work(world: &World, options: &Options) -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global()?;
    world.gather(&[]); // all begin together
    let start = Instant::now();
    let points = measure(world, options)?;
    let seconds = start.elapsed().as_secs_f64();

    diffusion_mpi::finish(world, || {
        if let Some(file) = &options.out {
            write_json(file, &points)?;
        }
        let end = points.last().ok_or("nothing was measured")?;
        for order in [2, 4, 6, 8] {
            println!("kappa_{order} {}", end.cumulants[order - 1]);
        }
        let cores = world.size() * options.threads;
        let steps = options.trajectories as f64 * options.steps as f64;
        println!(
            "{} processes, {cores} cores: {seconds:.3} s, {:.2} ns for a step of a trajectory on one core",
            world.size(),
            1e9 * seconds * cores as f64 / steps
        );
        Ok(())
    })
}

/// Evolves a share of the trajectories, and returns what was measured on all.
fn measure(world: &World, options: &Options) -> Result<Vec<FlowPoint>, Box<dyn Error>> {
    let (schedule, model) = (VarianceExpanding::new(10.0)?, TwoPeak::new(1.0, 0.25)?);
    let [first, second] = [0, 1].map(|stream| Noise::new(options.seed, stream));
    let share = Share::of(options.trajectories, 1, world.rank(), world.size())?;
    let (rows, from) = (share.rows(), share.rows().start);
    let flow = match options.process {
        Process::Forward => {
            let grid = TimeGrid::uniform(0.0, 1.0, options.steps)?;
            let mut x = draw_rows(rows, 1, &first, |noise, x| model.fill(noise, x));
            let (process, rule) = (Forward(schedule), ExactTransition::default());
            let evolution = Evolution::new(&process, &rule, &grid, second).first_row(from);
            let mut flow = CumulantFlow::every(&grid, 1);
            let measured = evolution.run(x.view_mut(), &mut flow).map(|()| flow);
            gather_flow(world, &share, measured)
        }
        Process::Backward => {
            let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, options.steps)?;
            let prior = Prior::Matched { kappa_2: model.cumulant(2) };
            let mut x = prior.draw_rows(&schedule, 1.0, rows, 1, &first);
            let process = Reverse { schedule, score: model.score(schedule) };
            let rule = ChurnHeun::default();
            let evolution = Evolution::new(&process, &rule, &grid, second).first_row(from);
            let mut flow = CumulantFlow::every(&grid, options.steps.div_ceil(20));
            let measured = evolution.run(x.view_mut(), &mut flow).map(|()| flow);
            gather_flow(world, &share, measured)
        }
    }?;
    Ok(flow.points())
}
