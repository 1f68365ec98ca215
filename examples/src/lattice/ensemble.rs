//! Ensembles by their protocol, measured and certified.

use std::path::Path;
use std::time::{Duration, Instant};

use lattice_phi4::{Certificate, Evidence, Measurements, Phi4, Production, Run, Simulation, Start};

use super::Protocol;
use crate::{Failure, Progress};

/// Folder of what is saved on the way.
pub const CHECKPOINT: &str = "checkpoint";
/// Cold starts that the published protocol is compared with, at most.
const COLD: usize = 2000;

/// An ensemble with what is known about it.
#[derive(Clone, Debug)]
pub struct Ensemble {
    /// The configurations and their history.
    pub simulation: Simulation,
    /// What was measured on them.
    pub measured: Measurements,
    /// Configurations in a row that are correlated: all are one row if each comes from a chain of its own.
    pub per_chain: usize,
    /// Whether they are in equilibrium.
    pub certificate: Certificate,
}

/// Makes about `configs` configurations. With a `folder` it is saved there every ten seconds, and goes on from what is
/// there; [`forget`] it when the results are written.
///
/// # Errors
/// [`ProtocolError`](lattice_phi4::ProtocolError) if there are too few, or chains that do not come to equilibrium;
/// [`EnsembleError`](lattice_phi4::EnsembleError) if it cannot be saved, or what is there is damaged.
pub fn simulate(
    action: &Phi4,
    protocol: Protocol,
    configs: usize,
    seed: u64,
    folder: Option<&Path>,
) -> Result<Ensemble, Failure> {
    let measure = |simulation: &Simulation| {
        let mut measured = Measurements::new(action.lattice());
        measured.extend(simulation.fields.view());
        measured
    };
    let made = |run: Run, name: &str| produce(action, run, folder.map(|folder| folder.join(name)).as_deref());
    let (simulation, hot, cold, per_chain) = match protocol {
        Protocol::Equilibrium => {
            let simulation = made(Run::equilibrium(configs, seed), "equilibrium")?;
            let measured = measure(&simulation);
            let (all, half) = (measured.len(), measured.len() / 2);
            let per_chain = simulation.per_chain();
            (simulation, measured.part(0..half), measured.part(half..all), per_chain)
        }
        Protocol::Paper => {
            let simulation = made(Run::paper(configs, Start::Hot, seed), "hot")?;
            let cold = made(Run::paper(configs.min(COLD), Start::Cold, seed), "cold")?;
            let measured = measure(&simulation);
            let per_chain = measured.len();
            (simulation, measured, measure(&cold), per_chain)
        }
    };
    let measured = measure(&simulation);
    let energy_errors = &simulation.energy_errors;
    let evidence = Evidence { ensemble: &measured, per_chain, hot: &hot, cold: &cold, energy_errors };
    let certificate = Certificate::new(action, &evidence)?;
    Ok(Ensemble { simulation, measured, per_chain, certificate })
}

/// Removes what [`simulate`] has saved.
///
/// # Errors
/// Of the file system.
pub fn forget(folder: &Path) -> Result<(), Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: cannot be removed: {error}", folder.display()).into())
        }
        _ => Ok(()),
    }
}

/// Runs a simulation behind a progress bar, from where it was left.
fn produce(action: &Phi4, run: Run, folder: Option<&Path>) -> Result<Simulation, Failure> {
    let saved = match folder {
        Some(folder) => Production::resume(action, run, folder)?,
        None => None,
    };
    let mut production = if let Some(saved) = saved {
        saved
    } else {
        // Parts of another run would be in the way.
        folder.map_or(Ok(()), forget)?;
        run.begin(action)?
    };
    let progress = Progress::new("ensemble", run.configurations as u64, "configurations");
    progress.advance(production.done() as u64);
    let mut last = Instant::now();
    while production.done() < production.configurations() {
        let before = production.done();
        production.advance(action)?;
        progress.advance((production.done() - before) as u64);
        if let Some(folder) = folder.filter(|_| last.elapsed() >= BETWEEN_SAVES) {
            production.save(action, folder)?;
            last = Instant::now();
        }
    }
    if let Some(folder) = folder {
        production.save(action, folder)?;
    }
    progress.finish();
    Ok(production.finish())
}

const BETWEEN_SAVES: Duration = Duration::from_secs(10);
