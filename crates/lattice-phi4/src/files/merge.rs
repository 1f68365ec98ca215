//! Shards of a run become the whole.

use super::saved_production::State;
use crate::{EnsembleError, Phi4, Production, Run};
use std::path::{Path, PathBuf};

/// Shards that do not make up a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// Nothing was saved here.
    #[error("{}: there is no shard", folder.display())]
    NoShard {
        /// The folder.
        folder: PathBuf,
    },
    /// A shard of something else.
    #[error("{}: a shard of another run: expected {expected}, found {found}", folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// The run asked for.
        expected: String,
        /// The run found.
        found: String,
    },
    /// The job of a shard was stopped.
    #[error("{}: unfinished: expected {expected} configurations, found {found}", folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
        /// Configurations of the shard.
        expected: usize,
        /// Those that are there.
        found: usize,
    },
    /// A shard that another folder holds as well.
    #[error("{}: shard {part} for a second time", folder.display())]
    Doubled {
        /// The folder.
        folder: PathBuf,
        /// Number of the shard.
        part: usize,
    },
    /// A shard that no folder holds.
    #[error("shard {part} of {parts} is missing")]
    Missing {
        /// Number of the shard.
        part: usize,
        /// Number of shards.
        parts: usize,
    },
    /// Files that are damaged.
    #[error(transparent)]
    Ensemble(#[from] EnsembleError),
}

impl Production {
    /// Puts together the shards that were saved to these folders, in any order: the production that a single job would have made, bit
    /// for bit.
    ///
    /// # Errors
    /// [`MergeError`] for a shard that is missing, unfinished, there twice, or of another run or action.
    pub fn merge<F: AsRef<Path>>(action: &Phi4, run: Run, folders: &[F]) -> Result<Self, MergeError> {
        let mut shards: Vec<Option<Self>> = Vec::new();
        for folder in folders {
            let folder = folder.as_ref();
            let Some(state) = State::read(folder)? else {
                return Err(MergeError::NoShard { folder: folder.into() });
            };
            let (part, parts) = state.run.shard;
            if shards.is_empty() {
                shards.resize_with(parts.min(run.all_chains()), || None);
            }
            let expected = Run { shard: (part, shards.len()), ..run };
            if state.run != expected || part >= parts || !state.is_of(action) {
                let describe =
                    |run: &Run, couplings, extents: &[usize]| format!("{run:?}, {couplings:?}, {extents:?}");
                return Err(MergeError::Foreign {
                    folder: folder.into(),
                    expected: describe(&expected, action.couplings(), action.lattice().extents()),
                    found: describe(&state.run, state.couplings, &state.extents),
                });
            }
            let shard = Self::restore(action, state, folder)?;
            if shard.done() < shard.configurations() {
                let (found, expected) = (shard.done(), shard.configurations());
                return Err(MergeError::Unfinished { folder: folder.into(), found, expected });
            }
            if shards[part].replace(shard).is_some() {
                return Err(MergeError::Doubled { folder: folder.into(), part });
            }
        }
        let parts = shards.len();
        let missing = |part: usize| MergeError::Missing { part, parts };
        let complete = shards.into_iter().enumerate().map(|(part, shard)| shard.ok_or(missing(part)));
        let shards = complete.collect::<Result<Vec<_>, _>>()?;
        let first = shards.first().ok_or(MergeError::Missing { part: 0, parts: 1 })?;

        let mut whole = Self::new(action, run, first.kind);
        (whole.sweeps, whole.thermalisation) = (first.sweeps, first.thermalisation);
        // In equilibrium a row for each chain after every spacing, by the published protocol one row for each chain and no more.
        let rounds = run.configurations / run.all_chains() + usize::from(first.starts > 0);
        for round in 0..rounds {
            for shard in &shards {
                let chains = shard.run().chains().len();
                let row = round * chains;
                whole.fields.extend(&shard.fields[row * whole.sites..(row + chains) * whole.sites]);
                if let Some(row) = row.checked_sub(shard.starts) {
                    whole.energy_errors.extend(&shard.energy_errors[row..row + chains]);
                }
            }
        }
        whole.starts = shards.iter().map(|shard| shard.starts).sum();
        whole.accepted = shards.iter().map(|shard| shard.accepted).sum();
        Ok(whole)
    }
}
