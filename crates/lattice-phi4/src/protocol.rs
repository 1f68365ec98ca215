//! Named ways to make an ensemble.
//!
//! [`equilibrium`] runs chains from hot and from cold starts, HMC for the magnitudes and Wolff clusters for the signs, until
//! the two groups cannot be told apart; only then does it begin to keep configurations, and only so often as they are new.
//! [`paper`] repeats the published protocol, which keeps one configuration of each chain after 129 trajectories whatever
//! has become of it: at hopping 0.4 many of them still hold domain walls.

use crate::production::{Kind, Production};
use crate::{Chains, DualAveraging, Hmc, Leap, Measurements, Observable, Phi4, Phi4Error, Update, Wolff};
use cumulants::ChainError;
use ndarray::{Array2, Axis};
use sde_core::Communicator;
use serde::{Deserialize, Serialize};

/// Chains in equilibrium, half of them from hot starts.
pub(crate) const CHAINS: usize = 32;
/// Sweeps before the two groups are first compared.
const FIRST: u64 = 100;
/// Sweeps after which chains that still differ are given up.
const LAST: u64 = FIRST << 10;
/// Standard errors of the difference that pass as none.
const AGREE: f64 = 2.5;
/// Autocorrelation times that the window of comparison must hold.
const TIMES: f64 = 10.0;
/// Acceptance of HMC.
const ACCEPTANCE: f64 = 0.85;
/// Sweeps in which step size and number of clusters are chosen.
const PILOT: u64 = 100;
/// Trajectories of the published protocol, their length and steps.
pub(crate) const PAPER: (u64, f64, usize) = (129, 1.0, 100);

/// What is compared between hot and cold chains, and decides how often a configuration is kept.
pub(crate) const WATCHED: [Observable; 3] =
    [Observable::ActionDensity, Observable::AbsM, Observable::LowestMomentum];

/// No ensemble.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// Hot and cold starts still differ.
    #[error("after {sweeps} sweeps {observable} of hot and cold starts differs by {pull:.1} standard errors")]
    NotThermal {
        /// Sweeps done.
        sweeps: u64,
        /// What differs.
        observable: String,
        /// By how much.
        pull: f64,
    },
    /// Clusters are for ferromagnets.
    #[error("hopping = {hopping} must not be negative: clusters of equal signs do not form")]
    Antiferromagnet {
        /// What was given.
        hopping: f64,
    },
    /// Too few configurations for an error.
    #[error("configurations: {found} given, {needed} are the least")]
    TooFew {
        /// What was given.
        found: usize,
        /// What is needed.
        needed: usize,
    },
    /// A run cannot be cut like this.
    #[error(
        "shard {part} of {parts}: expected a number below that of the shards, of which there can be {most}"
    )]
    Shard {
        /// Number of the shard.
        part: usize,
        /// Number of shards.
        parts: usize,
        /// The most that there can be: each has eight chains, or what is left of them.
        most: usize,
    },
    /// A parameter of an update.
    #[error(transparent)]
    Phi4(#[from] Phi4Error),
    /// Measurements that are not numbers.
    #[error(transparent)]
    Gamma(#[from] ChainError),
}

/// Configurations of several chains, and how they came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulation {
    /// Shape `(configurations, sites)`, chain after chain.
    pub fields: Array2<f64>,
    /// Number of chains; the first half has hot starts if it was in equilibrium.
    pub chains: usize,
    /// `dH` of the last trajectory before each configuration.
    pub energy_errors: Vec<f64>,
    /// Mean acceptance of HMC.
    pub acceptance: f64,
    /// Sweeps before the first configuration.
    pub thermalisation: u64,
    /// Sweeps from one configuration of a chain to the next.
    pub spacing: u64,
}

impl Simulation {
    /// Configurations of each chain.
    pub fn per_chain(&self) -> usize {
        self.fields.nrows() / self.chains
    }
}

/// `configurations` of an ensemble in equilibrium, rounded up to equally many of each of 32 chains.
///
/// A sweep is one HMC trajectory of unit length, its step chosen by dual averaging, and as many Wolff clusters as flip the
/// lattice once. After 100, 200, 400, .. sweeps the means over the second half of action density, `|m|` and `G(p_1)` of the
/// 16 hot and the 16 cold chains are compared; their errors follow from the spread between chains, so nothing is assumed
/// about autocorrelations. Agreement within 2.5 standard errors ends thermalisation, if the window holds ten
/// autocorrelation times. Configurations are two autocorrelation times apart.
///
/// `watch` is told of every configuration: how many are there, of how many. For a run that can be stopped and resumed, see
/// [`Production`].
///
/// # Errors
/// [`ProtocolError::NotThermal`] after 102,400 sweeps, [`ProtocolError::Antiferromagnet`], and
/// [`ProtocolError::TooFew`] for less than four configurations of each chain.
pub fn equilibrium(
    action: &Phi4,
    configurations: usize,
    seed: u64,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Simulation, ProtocolError> {
    run(Production::equilibrium(action, configurations, seed)?, action, watch)
}

fn run(
    mut production: Production,
    action: &Phi4,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Simulation, ProtocolError> {
    while production.done() < production.configurations() {
        production.advance(action)?;
        watch(production.done(), production.configurations());
    }
    Ok(production.finish())
}

/// Chains in equilibrium, and how to go on with them.
pub(crate) fn thermalise(
    communicator: &dyn Communicator,
    action: &Phi4,
    seed: u64,
) -> Result<(Chains, Kind, u64), ProtocolError> {
    if action.hopping() < 0.0 {
        return Err(ProtocolError::Antiferromagnet { hopping: action.hopping() });
    }
    let mut chains = Chains::hot(action, CHAINS, 1.0, seed);
    let cold = Chains::cold(action, CHAINS / 2, 1.0, seed);
    chains.fields.slice_axis_mut(Axis(0), (CHAINS / 2..).into()).assign(&cold.fields);
    let (hmc, wolff) = adapt(communicator, action, &mut chains)?;
    let schedule: [&dyn Update; 2] = [&wolff, &hmc];

    let mut done = 0;
    let mut target = FIRST;
    let spacing = loop {
        let mut measured = Measurements::new(action.lattice());
        chains.run_on(communicator, action, &schedule, target / 2 - done.min(target / 2));
        for _ in done.max(target / 2)..target {
            chains.run_on(communicator, action, &schedule, 1);
            measured.extend(chains.fields.view());
        }
        done = target;
        let found = compare(action, &measured.by_chain(CHAINS))?;
        let window = (target / 2) as f64;
        if found.pull.abs() <= AGREE && found.tau_int * TIMES <= window {
            break (2.0 * found.tau_int).ceil() as u64;
        }
        if target >= LAST {
            let (observable, pull) = (found.observable.name(), found.pull);
            return Err(ProtocolError::NotThermal { sweeps: done, observable, pull });
        }
        target *= 2;
    };
    Ok((chains, Kind::Equilibrium { hmc, wolff, spacing }, PILOT + done))
}

/// Step size and number of clusters for this action, chosen while the chains warm up.
fn adapt(
    communicator: &dyn Communicator,
    action: &Phi4,
    chains: &mut Chains,
) -> Result<(Hmc, Wolff), ProtocolError> {
    let mut step = DualAveraging::new(0.25, ACCEPTANCE);
    let steps = |eps: f64| (1.0 / eps).ceil().clamp(1.0, 1000.0) as usize;
    let wolff = Wolff { clusters: 4 };
    let mut flipped = 0.0;
    for sweep in 0..PILOT {
        let hmc = Hmc::new(1.0, steps(step.current()), Leap::Omelyan)?;
        let summary = chains.run_on(communicator, action, &[&wolff, &hmc], 1);
        step.update(summary.acceptance[1]);
        if sweep >= PILOT / 2 {
            flipped += summary.acceptance[0] / (4 * (PILOT - PILOT / 2)) as f64;
        }
    }
    // Deep in the ordered phase one cluster is most of the lattice, far in the disordered one a handful of sites.
    let clusters = (1.0 / flipped).ceil().clamp(1.0, 256.0) as usize;
    Ok((Hmc::new(1.0, steps(step.averaged()), Leap::Omelyan)?, Wolff { clusters }))
}

struct Comparison {
    observable: Observable,
    /// The largest difference in standard errors, and the longest autocorrelation time in sweeps.
    pull: f64,
    tau_int: f64,
}

/// The first half of the chains against the second.
fn compare(action: &Phi4, measured: &Measurements) -> Result<Comparison, ProtocolError> {
    let per_chain = measured.len() / CHAINS;
    let mut worst = Comparison { observable: WATCHED[0], pull: 0.0, tau_int: 0.5 };
    for observable in WATCHED {
        let mut means = Vec::with_capacity(CHAINS);
        for chain in 0..CHAINS {
            let part = measured.part(chain * per_chain..(chain + 1) * per_chain);
            means.push(observable.estimate(action, &part, per_chain)?.value);
        }
        let (hot, cold) = means.split_at(CHAINS / 2);
        let pull = difference(hot, cold);
        if pull.abs() > worst.pull.abs() {
            (worst.observable, worst.pull) = (observable, pull);
        }
        worst.tau_int = worst.tau_int.max(observable.estimate(action, measured, per_chain)?.tau_int);
    }
    Ok(worst)
}

/// Difference of two means in standard errors (Welch), zero if neither group fluctuates and both agree.
fn difference(a: &[f64], b: &[f64]) -> f64 {
    let summary = |x: &[f64]| {
        let n = x.len() as f64;
        let mean = x.iter().sum::<f64>() / n;
        (mean, x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * (n - 1.0)))
    };
    let ((a, va), (b, vb)) = (summary(a), summary(b));
    if a == b { 0.0 } else { (a - b) / (va + vb).sqrt() }
}

/// Where the chains of the published protocol begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Independent `N(0, 1)` at every site, as published.
    Hot,
    /// Constant fields `+1` and `-1` in turn, for comparison.
    Cold,
}

/// `configurations` by the published protocol: one chain each, 129 trajectories of unit length in 100 leapfrog steps, and the
/// field at the end. Not in equilibrium deep in the ordered phase.
///
/// `watch` is told of the configurations: how many are there, of how many. For a run that can be stopped and resumed, see
/// [`Production`].
///
/// # Errors
/// [`ProtocolError::TooFew`] for less than four configurations.
pub fn paper(
    action: &Phi4,
    configurations: usize,
    start: Start,
    seed: u64,
    watch: &mut dyn FnMut(usize, usize),
) -> Result<Simulation, ProtocolError> {
    run(Production::paper(action, configurations, start, seed)?, action, watch)
}

/// The trajectories of the published protocol for chains of its own.
pub(crate) fn published(
    communicator: &dyn Communicator,
    action: &Phi4,
    first: usize,
    chains: usize,
    start: Start,
    seed: u64,
) -> Result<(Chains, Vec<f64>, f64), ProtocolError> {
    let (trajectories, length, steps) = PAPER;
    let hmc = Hmc::new(length, steps, Leap::Leapfrog)?;
    let mut chains = match start {
        Start::Hot => Chains::hot_from(action, first, chains, 1.0, seed),
        // A part begins at an even number: signs go on in turn.
        Start::Cold => Chains::cold(action, chains, 1.0, seed).numbered_from(first),
    };
    let summary = chains.run_on(communicator, action, &[&hmc], trajectories);
    let last = summary.energy_errors.row(trajectories as usize - 1).to_vec();
    Ok((chains, last, summary.acceptance[0]))
}
