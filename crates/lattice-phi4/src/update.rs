//! Updates of a configuration that leave `exp(-S)` invariant, and ensembles of chains made of them.
//!
//! An [`Update`] acts on a few chains at once and is a pure function of the fields, the seed, the numbers of the chains and the
//! number of the sweep. So chains can be cut into blocks in any way, run on any number of threads, stopped and resumed: the
//! fields and the number of sweeps are all the state there is.

use crate::Phi4;
use rand::Rng;
use rand_pcg::Pcg64;
use rayon::prelude::*;
use sde_core::ndarray::Array2;
use sde_core::{BatchMut, Communicator, Noise, NormalSource, Solo, values_mut};
use std::ops::Range;

/// Chains that are updated together.
pub(crate) const LANES: usize = 8;

/// The random numbers of one update of a block of chains.
#[derive(Clone, Copy, Debug)]
pub struct Draws {
    seed: u64,
    update: u64,
    first: usize,
}

impl Draws {
    /// Standard normal numbers, `per_chain` of them for each chain of the block, chain after chain.
    pub fn normals(&self, per_chain: usize, out: &mut [f64]) {
        let first = (self.first * per_chain) as u64;
        Noise::new(self.seed, NORMALS).block(self.update, first).fill(0, out);
    }

    /// A generator for chain `chain` of the block.
    pub fn generator(&self, chain: usize) -> Pcg64 {
        let update = mixed(mixed(self.seed).wrapping_add(self.update));
        let chain = mixed(update.wrapping_add((self.first + chain) as u64));
        Pcg64::new((u128::from(update) << 64) | u128::from(chain), u128::from(mixed(chain)))
    }

    /// Whether chain `chain` takes the new field: with probability `min(1, e^(-difference))`.
    pub(crate) fn decide(&self, chain: usize, difference: f64) -> Report {
        // A NaN is no reason to accept.
        let accepted = self.generator(chain).random::<f64>() < (-difference).exp();
        Report { acceptance: f64::from(u8::from(accepted)), energy_error: difference }
    }
}

/// Stream of the momenta.
const NORMALS: u64 = 0;

/// One output of the SplitMix64 generator at state `z`: neighbouring states give unrelated numbers.
pub(crate) fn mixed(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What happened to one chain in one update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Accepted proposals, as a part of all.
    pub acceptance: f64,
    /// `dH` of the trajectory, or `dS` of the proposal, where there is one.
    pub energy_error: f64,
}

/// A step of a Markov chain that leaves `exp(-S)` invariant.
pub trait Update: Sync {
    /// Updates a block of chains, shape `(chains, sites)`, and reports on each.
    ///
    /// `scratch` is memory to work in, see [`pieces`]: it is the same from one sweep to the next, and its contents are arbitrary.
    fn update(
        &self,
        action: &Phi4,
        fields: BatchMut<'_>,
        draws: &Draws,
        reports: &mut [Report],
        scratch: &mut Vec<f64>,
    );
}

/// Updates a block chain by chain: `one` takes a field and the generator of its chain, and tells how much it accepted.
pub(crate) fn chain_by_chain(
    mut fields: BatchMut<'_>,
    draws: &Draws,
    reports: &mut [Report],
    mut one: impl FnMut(&mut [f64], &mut Pcg64) -> f64,
) {
    let sites = fields.ncols();
    for (chain, field) in values_mut(&mut fields).chunks_exact_mut(sites).enumerate() {
        let acceptance = one(field, &mut draws.generator(chain));
        reports[chain] = Report { acceptance, energy_error: 0.0 };
    }
}

/// `K` pieces of `size` values each, with arbitrary contents, each at the start of a cache line.
pub fn pieces<const K: usize>(scratch: &mut Vec<f64>, size: usize) -> [&mut [f64]; K] {
    let whole_lines = size.next_multiple_of(LINE);
    scratch.resize(scratch.len().max(K * whole_lines + LINE), 0.0);
    // At most a line, or nothing at all where it cannot be known.
    let offset = scratch.as_ptr().align_offset(LINE * size_of::<f64>()).min(LINE);
    let mut rest = &mut scratch[offset..];
    std::array::from_fn(|_| {
        let piece = rest.split_off_mut(..whole_lines).expect("there is room for all pieces");
        &mut piece[..size]
    })
}

/// Values of a cache line.
const LINE: usize = 8;

/// Independent chains at the same couplings.
#[derive(Clone, Debug, PartialEq)]
pub struct Chains {
    /// Shape `(chains, sites)`.
    pub fields: Array2<f64>,
    /// Sweeps done.
    pub sweeps: u64,
    /// Seed of everything random.
    pub seed: u64,
    /// Number of the first chain, a multiple of eight: random numbers belong to a chain by its number.
    first: usize,
}

impl Chains {
    /// Chains that start from independent normal numbers of standard deviation `width`.
    pub fn hot(action: &Phi4, chains: usize, width: f64, seed: u64) -> Self {
        Self::hot_from(action, 0, chains, width, seed)
    }

    /// The same, with the chains numbered from `first` on: a part of more chains.
    pub(crate) fn hot_from(action: &Phi4, first: usize, chains: usize, width: f64, seed: u64) -> Self {
        let sites = action.lattice().volume();
        let mut fields = Array2::zeros((chains, sites));
        let start = Noise::new(seed, START).block(0, (first * sites) as u64);
        start.fill(0, values_mut(&mut fields.view_mut()));
        fields *= width;
        Self { fields, sweeps: 0, seed, first }
    }

    /// Chains that start from constant fields, `value` and `-value` in turn.
    pub fn cold(action: &Phi4, chains: usize, value: f64, seed: u64) -> Self {
        let shape = (chains, action.lattice().volume());
        let fields = Array2::from_shape_fn(shape, |(chain, _)| if chain % 2 == 0 { value } else { -value });
        Self { fields, sweeps: 0, seed, first: 0 }
    }

    /// The same chains, numbered from `first` on.
    pub(crate) fn numbered_from(self, first: usize) -> Self {
        Self { first, ..self }
    }

    /// A chain from each of these fields, shape `(chains, sites)`. The random numbers are those that [`hot`](Self::hot) chains of
    /// the same seed are updated with.
    pub fn from_fields(fields: Array2<f64>, seed: u64) -> Self {
        Self::resumed(fields, 0, seed)
    }

    /// Chains that go on from these fields.
    pub(crate) fn resumed(fields: Array2<f64>, sweeps: u64, seed: u64) -> Self {
        Self { fields, sweeps, seed, first: 0 }
    }

    /// Does `sweeps` sweeps, each of them all updates of `schedule` in turn, and returns the mean report of each update over
    /// sweeps and chains, and the energy errors of the last: shape `(sweeps, chains)`.
    ///
    /// The result does not depend on the number of threads.
    pub fn run(&mut self, action: &Phi4, schedule: &[&dyn Update], sweeps: u64) -> Summary {
        self.run_on(&Solo, action, schedule, sweeps)
    }

    /// The same on several processes, which have equal chains before and after; each of them updates a part.
    ///
    /// The result does not depend on the number of processes either.
    pub fn run_on(
        &mut self,
        communicator: &dyn Communicator,
        action: &Phi4,
        schedule: &[&dyn Update],
        sweeps: u64,
    ) -> Summary {
        let (sites, chains) = (action.lattice().volume(), self.fields.nrows());
        assert_eq!(self.fields.ncols(), sites, "a configuration has one value per site");
        let size = LANES * sites;
        let first_of = |block: usize| block * LANES;
        let here = communicator.share(chains.div_ceil(LANES));
        let (seed, done, first) = (self.seed, self.sweeps, self.first);
        let mut fields = self.fields.view_mut();
        let fields = values_mut(&mut fields);
        let mine = (here.start * size).min(fields.len())..(here.end * size).min(fields.len());
        let mut reports: Vec<Vec<f64>> = fields[mine.clone()]
            .par_chunks_mut(size)
            .zip(here)
            .map(|(fields, block)| {
                let first = first + first_of(block);
                Sweeps { seed, first, numbers: done..done + sweeps }.run(action, schedule, fields)
            })
            .collect();
        if communicator.size() > 1 {
            fields.copy_from_slice(&communicator.gather_values(&fields[mine]));
            let all = communicator.gather_values(&reports.concat());
            let mut rest = &all[..];
            reports = (0..chains.div_ceil(LANES))
                .map(|block| {
                    let here = LANES.min(chains - first_of(block));
                    let part;
                    (part, rest) = rest.split_at(schedule.len() + sweeps as usize * here);
                    part.to_vec()
                })
                .collect();
        }
        self.sweeps += sweeps;
        let mut summary = Summary {
            acceptance: vec![0.0; schedule.len()],
            energy_errors: Array2::zeros((sweeps as usize, chains)),
        };
        for (block, reports) in reports.iter().enumerate() {
            let (acceptance, errors) = reports.split_at(schedule.len());
            summary.acceptance.iter_mut().zip(acceptance).for_each(|(sum, a)| *sum += a);
            let here = LANES.min(chains - first_of(block));
            for (at, error) in errors.iter().enumerate() {
                summary.energy_errors[(at / here, first_of(block) + at % here)] = *error;
            }
        }
        let count = sweeps.max(1) as f64 * chains as f64;
        summary.acceptance.iter_mut().for_each(|sum| *sum /= count);
        summary
    }
}

/// Sweeps over one block of chains.
struct Sweeps {
    seed: u64,
    /// Number of the first chain.
    first: usize,
    numbers: Range<u64>,
}

impl Sweeps {
    /// Updates the fields of the block. Returns the acceptance of every update, summed over sweeps and chains, and then the energy errors of
    /// the last update, sweep after sweep.
    fn run(&self, action: &Phi4, schedule: &[&dyn Update], fields: &mut [f64]) -> Vec<f64> {
        let sites = action.lattice().volume();
        let (chains, updates) = (fields.len() / sites, schedule.len());
        let mut reports = [Report::default(); LANES];
        let mut found = vec![0.0; updates];
        let mut scratch = Vec::new();
        for sweep in self.numbers.clone() {
            for (place, update) in schedule.iter().enumerate() {
                let number = sweep * updates as u64 + place as u64;
                let draws = Draws { seed: self.seed, update: number, first: self.first };
                let block = BatchMut::from_shape((chains, sites), &mut *fields).expect("rows are whole");
                update.update(action, block, &draws, &mut reports[..chains], &mut scratch);
                found[place] += reports[..chains].iter().map(|r| r.acceptance).sum::<f64>();
            }
            found.extend(reports[..chains].iter().map(|r| r.energy_error));
        }
        found
    }
}

/// Stream of the starting fields; those of momenta use another.
const START: u64 = 1;

/// What [`Chains::run`] reports.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Mean acceptance of every update of the schedule.
    pub acceptance: Vec<f64>,
    /// Energy errors of the last update of each sweep, shape `(sweeps, chains)`.
    pub energy_errors: Array2<f64>,
}
