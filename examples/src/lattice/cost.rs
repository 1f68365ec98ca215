//! What an independent configuration costs, of whatever sampler.
//!
//! A chain with autocorrelation time `tau_int` is worth one independent configuration in `2 tau_int` steps. Which `tau_int`
//! depends on the observable: here those of `m^2`, of the action, and of the lowest momentum shell.

use std::time::Instant;

use cumulants::{GammaEstimate, GammaMethod};
use lattice_phi4::{Chains, Measurements, Observable, Phi4, Spectrum, Update};

use super::generate::folded;
use crate::Failure;

/// Chains side by side.
pub const CHAINS: usize = 32;
/// Autocorrelation times that every chain lasts for, and sweeps at most.
const LENGTH: f64 = 300.0;
const LONGEST: usize = 1 << 15;
/// Observables whose autocorrelations count.
pub const WATCHED: [Observable; 3] =
    [Observable::VolumeM2, Observable::ActionDensity, Observable::LowestMomentum];

/// Autocorrelations and time of a sampler.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Estimates of [`WATCHED`], with their autocorrelation times in steps.
    pub watched: [GammaEstimate; 3],
    /// Of the last update of a sweep, or of proposals.
    pub acceptance: f64,
    /// Of one thread, for one step of one chain.
    pub milliseconds: f64,
}

impl Cost {
    /// From a history in measurements, `per_chain` rows of each chain.
    ///
    /// # Errors
    /// [`ChainError`](cumulants::ChainError) for chains that are too short.
    pub fn of(
        action: &Phi4,
        measured: &Measurements,
        per_chain: usize,
        acceptance: f64,
        milliseconds: f64,
    ) -> Result<Self, Failure> {
        let [a, b, c] = WATCHED.map(|observable| observable.estimate(action, measured, per_chain));
        Ok(Self { watched: [a?, b?, c?], acceptance, milliseconds })
    }

    /// Milliseconds of one thread for a configuration that is independent in all of [`WATCHED`].
    pub fn independent(&self) -> f64 {
        let slowest = self.watched.iter().map(|found| found.tau_int).fold(0.5, f64::max);
        2.0 * slowest * self.milliseconds
    }
}

/// Runs chains by `sweep`, which returns its acceptance, until each is 300 autocorrelation times of `m^2` long.
///
/// # Errors
/// Of a sweep, and [`ChainError`](cumulants::ChainError) for fields that are not finite.
pub fn chain_cost(
    action: &Phi4,
    mut chains: Chains,
    mut sweep: impl FnMut(&mut Chains) -> Result<f64, Failure>,
) -> Result<Cost, Failure> {
    let count = chains.fields.nrows();
    let mut measured = Measurements::new(action.lattice());
    let (mut sweeps, mut target, mut seconds, mut acceptance) = (0, 256, 0.0, 0.0);
    loop {
        while sweeps < target {
            let start = Instant::now();
            acceptance += sweep(&mut chains)?;
            seconds += start.elapsed().as_secs_f64();
            measured.extend(chains.fields.view());
            sweeps += 1;
        }
        let history = measured.by_chain(count);
        let m2 = history.series(lattice_phi4::Primary::M2).to_vec();
        let found = GammaMethod::default().mean(&m2.chunks(sweeps).collect::<Vec<_>>())?;
        if sweeps as f64 >= LENGTH * found.tau_int || sweeps >= LONGEST {
            let threads = rayon::current_num_threads().min(count.div_ceil(8)) as f64;
            let milliseconds = 1e3 * seconds * threads / (sweeps * count) as f64;
            return Cost::of(action, &history, sweeps, acceptance / sweeps as f64, milliseconds);
        }
        target *= 2;
    }
}

/// A sweep of [`chain_cost`]: all updates of `schedule` in turn, with the acceptance of the last.
pub fn scheduled<'a>(
    action: &'a Phi4,
    schedule: &'a [&'a dyn Update],
) -> impl FnMut(&mut Chains) -> Result<f64, Failure> + 'a {
    move |chains| Ok(chains.run(action, schedule, 1).acceptance.last().copied().unwrap_or(0.0))
}

/// The propagator of a short run: configurations of all chains, ten sweeps apart; about the mean where the two signs are well
/// apart.
///
/// # Errors
/// [`SpectrumError`](lattice_phi4::SpectrumError) for fields that do not move.
pub fn pilot_spectrum(
    action: &Phi4,
    chains: &mut Chains,
    schedule: &[&dyn Update],
) -> Result<Spectrum, Failure> {
    let mut fields = chains.fields.clone();
    for _ in 0..20 {
        chains.run(action, schedule, 10);
        fields.append(ndarray::Axis(0), chains.fields.view())?;
    }
    Ok(folded(action, fields.view())?.1)
}
