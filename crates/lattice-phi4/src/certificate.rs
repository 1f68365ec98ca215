//! A certificate that an ensemble is in equilibrium.
//!
//! No single number shows it. The certificate collects checks that fail for different reasons, each with the figure behind
//! it and a limit that is fixed beforehand:
//!
//! | check | fails when |
//! | --- | --- |
//! | hot against cold starts | the chains remember where they began |
//! | Schwinger-Dyson residuals | the distribution is not `exp(-S)`, whatever the history |
//! | `E[exp(-dH)] = 1` | trajectories do not conserve phase-space volume, or the action and its force disagree |
//! | `E[m] = 0` | one sign of the magnetisation is preferred |
//! | chain length in autocorrelation times | errors themselves cannot be trusted |
//! | split `R` of ranks | chains, or their halves, have not reached one law, in location or in scale |
//! | effective sample size | there is too little to judge from |
//!
//! Means are compared within four standard errors: a sound ensemble fails one of a dozen of these once in a thousand times.
//! `R` may be 1.01, and what chance adds in short chains: `B/W` of `M` half chains of `n` effective samples scatters by
//! `sqrt(2 / (M - 1))`, so `R` by `sqrt(1 / (2 (M - 1))) / n`, of which four are allowed. Passing all is no proof; metastable states that neither start finds remain unseen.

use crate::protocol::WATCHED;
use crate::{Measurements, Observable, Phi4, Probe};
use cumulants::{ChainError, Estimate, GammaMethod, convergence};
use serde::Serialize;
use std::fmt;

/// Standard errors that a mean may deviate by.
const SIGMAS: f64 = 4.0;
/// Autocorrelation times in a chain.
const LENGTH: f64 = 50.0;
/// Potential scale reduction of long chains.
const R_HAT: f64 = 1.01;
/// Effective samples of every observable.
const SAMPLES: f64 = 400.0;

/// Configurations of a chain whose halves can be compared.
const SHORTEST: usize = 8;

/// What a figure has to satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Requirement {
    /// The value is this one, within some standard errors.
    Equals {
        /// The value expected.
        expected: f64,
        /// Standard error of the difference.
        error: f64,
        /// Standard errors allowed.
        sigmas: f64,
    },
    /// The value is not below a limit.
    AtLeast {
        /// The limit.
        limit: f64,
    },
    /// The value is not above a limit.
    AtMost {
        /// The limit.
        limit: f64,
    },
}

/// One check with the figure behind it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    /// What was checked, and of which observable.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// What it has to satisfy.
    pub requirement: Requirement,
    /// Whether it does.
    pub passed: bool,
}

/// The outcome of all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every check passed.
    Pass,
    /// At least one did not.
    Fail,
}

/// The checks of an ensemble and the verdict.
///
/// ```
/// use lattice_phi4::{Certificate, Evidence, Lattice, Measurements, Phi4, Verdict, equilibrium};
///
/// let action = Phi4::new(Lattice::new(&[8, 8])?, 0.21, 0.022)?;
/// let simulation = equilibrium(&action, 4000, 1, &mut |_, _| ())?;
/// let mut measured = Measurements::new(action.lattice());
/// measured.extend(simulation.fields.view());
/// let half = measured.len() / 2;
/// let certificate = Certificate::new(&action, &Evidence {
///     ensemble: &measured,
///     per_chain: simulation.per_chain(),
///     hot: &measured.part(0..half),
///     cold: &measured.part(half..2 * half),
///     energy_errors: &simulation.energy_errors,
/// })?;
/// assert_eq!(certificate.verdict, Verdict::Pass);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Certificate {
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub checks: Vec<Check>,
}

/// What a certificate is made from.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The ensemble, chain after chain.
    pub ensemble: &'a Measurements,
    /// Configurations of each chain. Configurations that are independent of each other are one chain.
    pub per_chain: usize,
    /// Configurations of hot starts, of chains as long.
    pub hot: &'a Measurements,
    /// Configurations of cold starts, of chains as long or, where they are independent, any number.
    pub cold: &'a Measurements,
    /// `dH` of the trajectories.
    pub energy_errors: &'a [f64],
}

impl Certificate {
    /// Does all checks.
    ///
    /// # Errors
    /// [`ChainError`] for chains of less than four configurations, or measurements that are not finite.
    pub fn new(action: &Phi4, evidence: &Evidence<'_>) -> Result<Self, ChainError> {
        let Evidence { ensemble, per_chain, hot, cold, energy_errors } = *evidence;
        let mut checks = Vec::new();
        let compared = [Observable::Phi2, Observable::VolumeM2];
        for observable in WATCHED.into_iter().chain(compared) {
            let hot = observable.estimate(action, hot, per_chain.min(hot.len()))?.estimate();
            let cold = observable.estimate(action, cold, per_chain.min(cold.len()))?.estimate();
            let difference = Estimate { value: hot.value - cold.value, error: hot.error.hypot(cold.error) };
            checks.push(Check::equals(format!("hot - cold: {}", observable.name()), difference, 0.0));
        }
        for probe in [Probe::Field, Probe::Cube, Probe::Magnetisation] {
            let observable = Observable::SchwingerDyson(probe);
            let residual = observable.estimate(action, ensemble, per_chain)?.estimate();
            checks.push(Check::equals(observable.name(), residual, 0.0));
        }
        if energy_errors.len() >= 4 {
            let weights: Vec<f64> = energy_errors.iter().map(|dh| (-dh).exp()).collect();
            let mean = GammaMethod::default().mean(&[&weights])?.estimate();
            checks.push(Check::equals("exp(-dH)".into(), mean, 1.0));
        }
        let balance = Observable::MeanM.estimate(action, ensemble, per_chain)?.estimate();
        checks.push(Check::equals("mean_m".into(), balance, 0.0));
        for observable in WATCHED {
            let found = observable.estimate(action, ensemble, per_chain)?;
            let times = per_chain as f64 / found.tau_int;
            checks.push(Check::at_least(
                format!("chain length / tau_int: {}", observable.name()),
                times,
                LENGTH,
            ));
            let samples = found.effective_samples();
            checks.push(Check::at_least(
                format!("effective samples: {}", observable.name()),
                samples,
                SAMPLES,
            ));
            if per_chain >= SHORTEST {
                let history = observable.of_each(action, ensemble);
                let chains: Vec<&[f64]> = history.chunks_exact(per_chain).collect();
                let halves = 2.0 * chains.len() as f64;
                let effective = per_chain as f64 / (4.0 * found.tau_int);
                let scatter = (0.5 / (halves - 1.0)).sqrt() / effective;
                checks.push(Check::at_most(
                    format!("R: {}", observable.name()),
                    convergence(&chains)?.r_hat,
                    R_HAT + SIGMAS * scatter,
                ));
            }
        }
        let verdict = if checks.iter().all(|check| check.passed) { Verdict::Pass } else { Verdict::Fail };
        Ok(Self { verdict, checks })
    }
}

impl Check {
    fn equals(name: String, found: Estimate, expected: f64) -> Self {
        let (value, error) = (found.value, found.error);
        let passed = (value - expected).abs() <= SIGMAS * error;
        Self { name, value, requirement: Requirement::Equals { expected, error, sigmas: SIGMAS }, passed }
    }

    fn at_least(name: String, value: f64, limit: f64) -> Self {
        Self { name, value, requirement: Requirement::AtLeast { limit }, passed: value >= limit }
    }

    fn at_most(name: String, value: f64, limit: f64) -> Self {
        Self { name, value, requirement: Requirement::AtMost { limit }, passed: value <= limit }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.passed { "ok  " } else { "FAIL" };
        write!(f, "{mark} {:<42} ", self.name)?;
        match self.requirement {
            Requirement::Equals { expected, error, .. } => {
                let pull = if error > 0.0 { (self.value - expected) / error } else { 0.0 };
                write!(f, "{:>11.4e} +- {error:.1e}, expected {expected}: {pull:+.1} sigma", self.value)
            }
            Requirement::AtLeast { limit } => write!(f, "{:>11.0}, at least {limit}", self.value),
            Requirement::AtMost { limit } => write!(f, "{:>11.4}, at most {limit:.4}", self.value),
        }
    }
}

impl fmt::Display for Certificate {
    /// One line for each check, and the verdict.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        match self.verdict {
            Verdict::Pass => write!(f, "in equilibrium: all {} checks passed", self.checks.len()),
            Verdict::Fail => write!(f, "not certified: {failed} of {} checks failed", self.checks.len()),
        }
    }
}
