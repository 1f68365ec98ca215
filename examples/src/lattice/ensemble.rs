//! Ensembles by their protocol, measured and certified.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lattice_phi4::{Certificate, Evidence, Measurements, Phi4, Production, Run, Simulation, Start};

use super::Protocol;
use crate::{Failure, Progress, Shard};

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
    let runs = runs(protocol, configs, seed);
    let made = runs.iter().map(|(run, name)| {
        Ok(produce(action, *run, folder.map(|folder| folder.join(name)).as_deref())?.finish())
    });
    ensemble(action, protocol, made.collect::<Result<_, Failure>>()?)
}

/// Makes one of several [`Shard`]s of what [`simulate`] makes, and leaves it in `folder`.
///
/// # Errors
/// As [`simulate`], and for more shards than there can be.
pub fn simulate_shard(
    action: &Phi4,
    protocol: Protocol,
    configs: usize,
    seed: u64,
    folder: &Path,
    shard: Shard,
) -> Result<(), Failure> {
    for (run, name) in runs(protocol, configs, seed) {
        produce(action, run.shard(shard.part, shard.parts)?, Some(&folder.join(name)))?;
    }
    Ok(())
}

/// Puts the shards together that were left in `folders`: what [`simulate`] would have made, bit for bit.
///
/// # Errors
/// [`MergeError`](lattice_phi4::MergeError) for shards that do not make up the whole.
pub fn merge(
    action: &Phi4,
    protocol: Protocol,
    configs: usize,
    seed: u64,
    folders: &[PathBuf],
) -> Result<Ensemble, Failure> {
    let runs = runs(protocol, configs, seed);
    let merged = runs.iter().map(|(run, name)| {
        let folders: Vec<_> = folders.iter().map(|folder| folder.join(name)).collect();
        Ok(Production::merge(action, *run, &folders)?.finish())
    });
    ensemble(action, protocol, merged.collect::<Result<_, Failure>>()?)
}

/// What there is to simulate, and the names of the folders where it is saved.
fn runs(protocol: Protocol, configs: usize, seed: u64) -> Vec<(Run, &'static str)> {
    match protocol {
        Protocol::Equilibrium => vec![(Run::equilibrium(configs, seed), "equilibrium")],
        Protocol::Paper => vec![
            (Run::paper(configs, Start::Hot, seed), "hot"),
            (Run::paper(configs.min(COLD), Start::Cold, seed), "cold"),
        ],
    }
}

/// Measures what the [`runs`] have made, and certifies the first.
fn ensemble(action: &Phi4, protocol: Protocol, made: Vec<Simulation>) -> Result<Ensemble, Failure> {
    let measure = |simulation: &Simulation| {
        let mut measured = Measurements::new(action.lattice());
        measured.extend(simulation.fields.view());
        measured
    };
    let mut made = made.into_iter();
    let simulation = made.next().ok_or("nothing was simulated")?;
    let measured = measure(&simulation);
    let (all, half) = (measured.len(), measured.len() / 2);
    let (per_chain, hot, cold) = match (protocol, made.next()) {
        (Protocol::Paper, Some(cold)) => (all, measured.clone(), measure(&cold)),
        _ => (simulation.per_chain(), measured.part(0..half), measured.part(half..all)),
    };
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
fn produce(action: &Phi4, run: Run, folder: Option<&Path>) -> Result<Production, Failure> {
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
    let progress = Progress::new("ensemble", production.configurations() as u64, "configurations");
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
    Ok(production)
}

const BETWEEN_SAVES: Duration = Duration::from_secs(10);
