//! Ensembles in the making, which can be stopped and resumed.
//!
//! A [`Production`] is all the state there is between two configurations: saved with [`Production::save`], it goes on from there
//! to the same configurations, bit for bit, as if nothing had happened.
//!
//! A [`Run`] can be cut into shards, a part of the chains each, which are made and saved by jobs that know nothing of each other;
//! [`Production::merge`] puts them together.

use crate::protocol::{CHAINS, PAPER, published, thermalise};
use crate::update::LANES;
use crate::{Chains, Hmc, Phi4, ProtocolError, Simulation, Start, Update, Wolff};
use ndarray::{Array2, s};
use sde_core::{Communicator, Solo, share};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Chains of the published protocol that are run at once: a multiple of eight.
const TOGETHER: usize = 256;

/// How configurations come about.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A configuration of each of 32 chains after every `spacing` sweeps.
    Equilibrium { hmc: Hmc, wolff: Wolff, spacing: u64 },
    /// A chain for each configuration.
    Paper { start: Start },
}

/// An ensemble in the making: see [`save`](Self::save) for one that is stopped and resumed.
#[derive(Clone, Debug, PartialEq)]
pub struct Production {
    pub(crate) run: Run,
    pub(crate) kind: Kind,
    pub(crate) sweeps: u64,
    pub(crate) thermalisation: u64,
    /// Accepted trajectories.
    pub(crate) accepted: f64,
    pub(crate) energy_errors: Vec<f64>,
    pub(crate) sites: usize,
    /// The chains as they were before the first configuration, then all configurations in the order in which they came.
    pub(crate) fields: Vec<f64>,
    /// Rows of `fields` before the first configuration.
    pub(crate) starts: usize,
    /// Rows of `fields` that are saved, and in how many parts.
    pub(crate) saved: usize,
    pub(crate) parts: usize,
}

/// What was asked for: two runs with the same answers are the same run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Configurations of all shards, as many as will be there.
    pub configurations: usize,
    /// Seed.
    pub seed: u64,
    /// The start of the published protocol; none for equilibrium.
    pub start: Option<Start>,
    /// Which shard it is, and of how many: number 0 of 1 is the whole.
    pub shard: (usize, usize),
}

impl Run {
    /// Of [`equilibrium`](crate::equilibrium).
    pub fn equilibrium(configurations: usize, seed: u64) -> Self {
        Self { configurations: configurations.next_multiple_of(CHAINS), seed, start: None, shard: (0, 1) }
    }

    /// Of [`paper`](crate::paper).
    pub fn paper(configurations: usize, start: Start, seed: u64) -> Self {
        Self { configurations, seed, start: Some(start), shard: (0, 1) }
    }

    /// Shard number `part` of `parts`: a part of the chains, which come in eights. In equilibrium every shard brings all 32 chains there
    /// and goes on with its own.
    ///
    /// # Errors
    /// [`ProtocolError::Shard`] unless `part` is below `parts`, and each shard has a chain.
    pub fn shard(self, part: usize, parts: usize) -> Result<Self, ProtocolError> {
        let most = self.all_chains().div_ceil(LANES);
        if part >= parts || parts > most {
            return Err(ProtocolError::Shard { part, parts, most });
        }
        Ok(Self { shard: (part, parts), ..self })
    }

    pub(crate) fn all_chains(&self) -> usize {
        if self.start.is_none() { CHAINS } else { self.configurations }
    }

    /// Numbers of the chains of this shard.
    pub(crate) fn chains(&self) -> Range<usize> {
        let (part, parts) = self.shard;
        let eights = share(self.all_chains().div_ceil(LANES), part, parts);
        eights.start * LANES..(eights.end * LANES).min(self.all_chains())
    }

    /// A production without a configuration.
    ///
    /// # Errors
    /// As [`equilibrium`](crate::equilibrium) and [`paper`](crate::paper).
    pub fn begin(self, action: &Phi4) -> Result<Production, ProtocolError> {
        self.begin_on(&Solo, action)
    }

    /// The same on several processes, all of which get the same production: see [`Production::advance_on`].
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_on(
        self,
        communicator: &dyn Communicator,
        action: &Phi4,
    ) -> Result<Production, ProtocolError> {
        match self.start {
            None => Production::thermalised(communicator, action, self),
            Some(start) => Production::from_start(action, self, start),
        }
    }
}

impl Production {
    /// Brings chains to equilibrium, see [`equilibrium`](crate::equilibrium), and has no configuration yet.
    ///
    /// # Errors
    /// As [`equilibrium`](crate::equilibrium).
    pub fn equilibrium(action: &Phi4, configurations: usize, seed: u64) -> Result<Self, ProtocolError> {
        // Of what was asked for, not of what that is rounded up to.
        if configurations < 4 * CHAINS {
            return Err(ProtocolError::TooFew { found: configurations, needed: 4 * CHAINS });
        }
        Self::thermalised(&Solo, action, Run::equilibrium(configurations, seed))
    }

    fn thermalised(communicator: &dyn Communicator, action: &Phi4, run: Run) -> Result<Self, ProtocolError> {
        if run.configurations < 4 * CHAINS {
            return Err(ProtocolError::TooFew { found: run.configurations, needed: 4 * CHAINS });
        }
        let (chains, kind, thermalisation) = thermalise(communicator, action, run.seed)?;
        let mut new = Self::new(action, run, kind);
        let here = run.chains();
        new.fields = chains.fields.slice(s![here.clone(), ..]).iter().copied().collect();
        (new.sweeps, new.thermalisation, new.starts) = (chains.sweeps, thermalisation, here.len());
        Ok(new)
    }

    /// The published protocol, see [`paper`](crate::paper), without a configuration yet.
    ///
    /// # Errors
    /// As [`paper`](crate::paper).
    pub fn paper(
        action: &Phi4,
        configurations: usize,
        start: Start,
        seed: u64,
    ) -> Result<Self, ProtocolError> {
        Self::from_start(action, Run::paper(configurations, start, seed), start)
    }

    fn from_start(action: &Phi4, run: Run, start: Start) -> Result<Self, ProtocolError> {
        if run.configurations < 4 {
            return Err(ProtocolError::TooFew { found: run.configurations, needed: 4 });
        }
        let mut new = Self::new(action, run, Kind::Paper { start });
        new.thermalisation = PAPER.0;
        Ok(new)
    }

    pub(crate) fn new(action: &Phi4, run: Run, kind: Kind) -> Self {
        Self {
            run,
            kind,
            sweeps: 0,
            thermalisation: 0,
            accepted: 0.0,
            energy_errors: Vec::new(),
            sites: action.lattice().volume(),
            fields: Vec::new(),
            starts: 0,
            saved: 0,
            parts: 0,
        }
    }

    /// What was asked for.
    pub fn run(&self) -> Run {
        self.run
    }

    /// Configurations that are there.
    pub fn done(&self) -> usize {
        self.fields.len() / self.sites - self.starts
    }

    /// Configurations that will be there: of its shard, if it is one.
    pub fn configurations(&self) -> usize {
        self.run.configurations / self.run.all_chains() * self.run.chains().len()
    }

    /// Makes the next configurations: one of each chain in equilibrium, up to 256 by the published protocol. Nothing if all
    /// are there.
    ///
    /// # Errors
    /// [`ProtocolError::Phi4`], which the parameters of a production cannot cause.
    pub fn advance(&mut self, action: &Phi4) -> Result<(), ProtocolError> {
        self.advance_on(&Solo, action)
    }

    /// The same on several processes that hold equal productions: each updates a part of the chains, and all get all configurations. One of
    /// them saves; any number of processes can go on from there, with the same bytes at the end.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn advance_on(
        &mut self,
        communicator: &dyn Communicator,
        action: &Phi4,
    ) -> Result<(), ProtocolError> {
        let left = self.configurations().saturating_sub(self.done());
        if left == 0 {
            return Ok(());
        }
        let here = self.run.chains();
        match self.kind {
            Kind::Equilibrium { hmc, wolff, spacing } => {
                let last = self.fields.len() - here.len() * self.sites;
                let fields = Array2::from_shape_vec((here.len(), self.sites), self.fields[last..].to_vec())
                    .expect("the last rows are the chains");
                let chains = Chains::resumed(fields, self.sweeps, self.run.seed);
                let mut chains = chains.numbered_from(here.start);
                let schedule: [&dyn Update; 2] = [&wolff, &hmc];
                let summary = chains.run_on(communicator, action, &schedule, spacing);
                self.accepted += accepted(summary.acceptance[1], here.len(), spacing);
                self.energy_errors.extend(summary.energy_errors.row(spacing as usize - 1));
                self.sweeps = chains.sweeps;
                self.fields.extend(chains.fields);
            }
            Kind::Paper { start } => {
                let count = left.min(TOGETHER * communicator.size());
                let (first, seed) = (here.start + self.done(), self.run.seed);
                let (chains, last, acceptance) = published(communicator, action, first, count, start, seed)?;
                self.accepted += accepted(acceptance, count, PAPER.0);
                self.energy_errors.extend(last);
                self.fields.extend(chains.fields);
            }
        }
        Ok(())
    }

    /// The ensemble, chain after chain, of the configurations that are there.
    pub fn finish(self) -> Simulation {
        let (done, sites) = (self.done(), self.sites);
        let rows = &self.fields[self.starts * sites..];
        let (chains, spacing) = match self.kind {
            Kind::Equilibrium { spacing, .. } => (self.starts, spacing),
            Kind::Paper { .. } => (done, self.thermalisation),
        };
        let acceptance = self.accepted / (done.max(1) as f64 * spacing as f64);
        let per_chain = done / chains.max(1);
        let order = (0..chains).flat_map(|chain| (0..per_chain).map(move |draw| draw * chains + chain));
        let mut fields = Array2::zeros((done, sites));
        for (mut field, row) in fields.outer_iter_mut().zip(order) {
            field.as_slice_mut().expect("rows are contiguous").copy_from_slice(&rows[row * sites..][..sites]);
        }
        let (energy_errors, thermalisation) = (self.energy_errors, self.thermalisation);
        Simulation { fields, chains, energy_errors, acceptance, thermalisation, spacing }
    }
}

/// How many trajectories were accepted: a whole number, so that sums of it do not depend on how they are cut.
fn accepted(acceptance: f64, chains: usize, trajectories: u64) -> f64 {
    (acceptance * chains as f64 * trajectories as f64).round()
}
