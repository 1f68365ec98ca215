//! Ensembles in equilibrium.

use lattice_phi4::{Chains, Hmc, Leap, Phi4, Update, Wolff};
use ndarray::{Array2, Axis};

use crate::{Failure, Progress};

/// Sweeps of every chain before its first configuration.
const THERMALISATION: u64 = 400;
/// Sweeps between two configurations.
const SPACING: u64 = 25;
/// Configurations taken from each chain.
const PER_CHAIN: usize = 40;

/// Configurations of several Markov chains.
#[derive(Clone, Debug)]
pub struct Ensemble {
    /// Shape `(configurations, sites)`, chain after chain.
    pub fields: Array2<f64>,
    /// Configurations of each chain.
    pub per_chain: usize,
}

/// Draws about `configs` configurations, rounded up to whole chains: HMC for the magnitudes and as many clusters as flip the
/// lattice once for the signs, hot and cold starts in halves.
///
/// # Errors
/// None in fact: the settings are in their domains.
pub fn equilibrium(action: &Phi4, configs: usize, seed: u64) -> Result<Ensemble, Failure> {
    let chains = configs.div_ceil(PER_CHAIN).next_multiple_of(16);
    let hmc = Hmc::new(1.0, 4, Leap::Omelyan)?;
    // Deep in the ordered phase one cluster is most of the lattice, far in the disordered one a handful of sites.
    let mut pilot = Chains::cold(action, 8, 1.0, seed ^ PILOT);
    pilot.run(action, &[&hmc, &Wolff { clusters: 4 }], 50);
    let flipped = pilot.run(action, &[&hmc, &Wolff { clusters: 4 }], 50).acceptance[1] / 4.0;
    let wolff = Wolff { clusters: (1.0 / flipped).ceil().clamp(1.0, 64.0) as usize };
    let schedule: [&dyn Update; 2] = [&hmc, &wolff];

    let mut hot = Chains::hot(action, chains, 1.0, seed);
    let half = chains / 2;
    let cold = Chains::cold(action, half, 1.0, seed);
    hot.fields.slice_axis_mut(Axis(0), (half..).into()).assign(&cold.fields);
    let progress = Progress::new("ensemble", (chains * PER_CHAIN) as u64, "configurations");
    hot.run(action, &schedule, THERMALISATION);
    let mut fields = Array2::zeros((chains * PER_CHAIN, action.lattice().volume()));
    for draw in 0..PER_CHAIN {
        hot.run(action, &schedule, SPACING);
        progress.advance(chains as u64);
        for (mut place, field) in
            fields.outer_iter_mut().skip(draw).step_by(PER_CHAIN).zip(hot.fields.outer_iter())
        {
            place.assign(&field);
        }
    }
    progress.finish();
    Ok(Ensemble { fields, per_chain: PER_CHAIN })
}

/// Keeps the streams of the pilot run apart.
const PILOT: u64 = 1 << 63;
