//! An ensemble of lattice fields on many processes: `mpirun -n 4 phi4_mpi`.
//!
//! The fields are those of the example `phi4_hmc` with the same settings, to the last byte. What is made is saved every few seconds to a
//! folder that all processes can read; a job that was ended goes on from there when it is started again, on any number of
//! processes.
#![expect(clippy::print_stdout, reason = "the program reports to the user")]

use clap::{Parser, ValueEnum};
use cumulants::Estimate;
use diffusion_mpi::World;
use lattice_phi4::{
    EnsembleWriter, Lattice, Measurements, Observable, Phi4, Production, Provenance, Run, Simulation, Start,
};
use sde_core::Communicator;
use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(Parser)]
#[command(
    about = "An ensemble of phi^4 fields on many processes, which can be stopped and resumed",
    args_override_self = true
)]
struct Options {
    /// Extent of both directions
    #[arg(long, value_name = "L", default_value_t = 32)]
    size: usize,

    /// Hopping parameter
    #[arg(long, value_name = "KAPPA", default_value_t = 0.2)]
    hopping: f64,

    /// Coupling
    #[arg(long, value_name = "LAMBDA", default_value_t = 0.022)]
    lambda: f64,

    /// In equilibrium, or by the published protocol
    #[arg(long, value_enum, default_value_t = Protocol::Equilibrium)]
    protocol: Protocol,

    /// Configurations
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    configs: usize,

    /// Seed of all random numbers; the same seed gives the same numbers for any number of processes and threads
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,

    /// Threads of each process
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,

    /// Folder for the fields, which all processes can read
    #[arg(long, value_name = "DIR", default_value = "out/phi4_mpi")]
    out: PathBuf,

    /// Seconds between two savings
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    save_every: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Protocol {
    Equilibrium,
    Paper,
}

impl Options {
    fn run(&self) -> Run {
        match self.protocol {
            Protocol::Equilibrium => Run::equilibrium(self.configs, self.seed),
            Protocol::Paper => Run::paper(self.configs, Start::Hot, self.seed),
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    diffusion_mpi::run(|world| work(world, &options))
}

fn work(world: &World, options: &Options) -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(options.threads).build_global()?;
    let action = Phi4::new(Lattice::new(&[options.size; 2])?, options.hopping, options.lambda)?;
    std::fs::create_dir_all(&options.out)?;
    let checkpoint = options.out.join("checkpoint");
    let start = Instant::now();
    let mut production = begin(world, options, &action, &checkpoint)?;
    let before = production.done();
    let mut saved = Instant::now();
    while production.done() < production.configurations() {
        production.advance_on(world, &action)?;
        if world.is_first() && saved.elapsed() >= Duration::from_secs(options.save_every) {
            production.save(&action, &checkpoint)?;
            saved = Instant::now();
        }
    }
    let made = production.done() - before;
    let seconds = start.elapsed().as_secs_f64();
    diffusion_mpi::finish(world, || {
        write(options, &action, &production.finish())?;
        forget(&checkpoint)?;
        println!("{} processes: {made} configurations in {seconds:.3} s, {before} were there", world.size());
        Ok(())
    })
}

/// The ensemble as it was left, or a new one.
fn begin(
    world: &World,
    options: &Options,
    action: &Phi4,
    checkpoint: &Path,
) -> Result<Production, Box<dyn Error>> {
    let saved = Production::resume(action, options.run(), checkpoint)?;
    let done = saved.as_ref().map_or(0, Production::done) as f64;
    if let Some((rank, found)) =
        world.gather_values(&[done]).iter().enumerate().find(|(_, found)| **found != done)
    {
        let folder = checkpoint.display();
        return Err(format!(
            "{folder}: {found} configurations on rank {rank}, {done} on rank {}",
            world.rank()
        )
        .into());
    }
    if let Some(saved) = saved {
        return Ok(saved);
    }
    // Parts of another run would be in the way.
    diffusion_mpi::finish(world, || Ok(forget(checkpoint)?))?;
    Ok(options.run().begin_on(world, action)?)
}

fn forget(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Writes the fields and prints what they are like.
fn write(options: &Options, action: &Phi4, simulation: &Simulation) -> Result<(), Box<dyn Error>> {
    let protocol = options.protocol.to_possible_value().map(|value| value.get_name().to_owned());
    let provenance = Provenance {
        hopping: options.hopping,
        lambda: options.lambda,
        seed: options.seed,
        protocol: protocol.unwrap_or_default(),
        chains: simulation.chains,
    };
    let fields = simulation.fields.view();
    let mut writer =
        EnsembleWriter::create(options.out.join("fields.npy"), action.lattice(), fields.nrows(), provenance)?;
    writer.push(fields)?;
    writer.finish()?;

    let mut measured = Measurements::new(action.lattice());
    measured.extend(fields);
    // One configuration of each chain makes one series, not many of one.
    let per_chain = if simulation.per_chain() == 1 { measured.len() } else { simulation.per_chain() };
    for observable in [Observable::ActionDensity, Observable::AbsM, Observable::Binder] {
        let found = observable.estimate(action, &measured, per_chain)?;
        println!("{} {}", observable.name(), Estimate { value: found.value, error: found.error });
    }
    Ok(())
}
