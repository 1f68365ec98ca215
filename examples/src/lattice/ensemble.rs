//! Ensembles by their protocol, measured and certified.

use lattice_phi4::{
    Certificate, Evidence, Measurements, Phi4, ProtocolError, Simulation, Start, equilibrium, paper,
};

use super::Protocol;
use crate::{Failure, Progress};

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

/// Makes about `configs` configurations.
///
/// # Errors
/// [`ProtocolError`](lattice_phi4::ProtocolError) if there are too few, or chains that do not come to equilibrium.
pub fn simulate(action: &Phi4, protocol: Protocol, configs: usize, seed: u64) -> Result<Ensemble, Failure> {
    let measure = |simulation: &Simulation| {
        let mut measured = Measurements::new(action.lattice());
        measured.extend(simulation.fields.view());
        measured
    };
    let (simulation, hot, cold, per_chain) = match protocol {
        Protocol::Equilibrium => {
            let simulation = with_bar("configurations", |watch| equilibrium(action, configs, seed, watch))?;
            let measured = measure(&simulation);
            let (all, half) = (measured.len(), measured.len() / 2);
            let per_chain = simulation.per_chain();
            (simulation, measured.part(0..half), measured.part(half..all), per_chain)
        }
        Protocol::Paper => {
            let start =
                |start, configs| with_bar("trajectories", |watch| paper(action, configs, start, seed, watch));
            let simulation = start(Start::Hot, configs)?;
            let cold = start(Start::Cold, configs.min(COLD))?;
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

/// Runs a simulation behind a progress bar.
fn with_bar(
    unit: &'static str,
    work: impl FnOnce(&mut dyn FnMut(usize, usize)) -> Result<Simulation, ProtocolError>,
) -> Result<Simulation, ProtocolError> {
    let mut bar: Option<(Progress, usize)> = None;
    let simulation = work(&mut |done, of| {
        let (bar, seen) = bar.get_or_insert_with(|| (Progress::new("ensemble", of as u64, unit), 0));
        bar.advance((done - *seen) as u64);
        *seen = done;
    });
    if let Some((bar, _)) = bar {
        bar.finish();
    }
    simulation
}
