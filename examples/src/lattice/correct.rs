//! A few trajectories with the true action, which take generated fields closer to its ensemble.

use lattice_phi4::{Chains, Hmc, Leap, Phi4, Phi4Error};
use ndarray::Array2;

/// Steps of a trajectory of unit length.
const STEPS: usize = 20;

/// Does `trajectories` of HMC from every configuration; returns their mean acceptance.
///
/// In equilibrium every trajectory takes the ensemble closer to that of the action. Where domains are left, it does so within
/// them, and moves walls no further than the trajectories of the protocol itself.
///
/// # Errors
/// None: the settings are in their domain.
pub fn correct(
    action: &Phi4,
    fields: &mut Array2<f64>,
    trajectories: u64,
    seed: u64,
) -> Result<f64, Phi4Error> {
    let hmc = Hmc::new(1.0, STEPS, Leap::Leapfrog)?;
    // Other random numbers than those that the ensemble was made with.
    let mut chains = Chains::from_fields(std::mem::take(fields), !seed);
    let summary = chains.run(action, &[&hmc], trajectories);
    *fields = chains.fields;
    Ok(summary.acceptance[0])
}
