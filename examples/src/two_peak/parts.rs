//! Ensembles of trajectories, evolved whole, by shard, or put together from the shards that many jobs have left.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use diffusion::{CumulantFlow, Share};
use serde::{Deserialize, Serialize};

use crate::atomic::write_atomically;
use crate::{Args, Common, Failure, Options, Shard};

/// Options of the examples that can be cut into shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct PartsArgs {
    /// Evolve this part of the trajectories only: 2/5 is the third of five jobs
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    shard: Option<Shard>,

    /// Put together what jobs with a --shard have left in these folders
    #[arg(long, value_name = "DIR", num_args = 1..)]
    merge: Vec<PathBuf>,
}

/// Options of the two-peak examples.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct TwoPeakArgs {
    /// Those of the examples of one variable.
    #[command(flatten)]
    pub args: Args,

    /// Those about shards.
    #[command(flatten)]
    pub parts: PartsArgs,
}

impl Options for TwoPeakArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.args.common
    }
}

/// Which rows of every ensemble are evolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// All.
    Whole,
    /// A part, which is left in a folder.
    Shard {
        /// Which part.
        shard: Shard,
        /// The folder.
        folder: PathBuf,
    },
    /// None: others have done it, and left it in these folders.
    Merge(Vec<PathBuf>),
}

/// What was measured on some rows, and where they ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evolved {
    /// Moments and cumulants on the way.
    pub flow: CumulantFlow,
    /// Where the trajectories ended.
    pub end: Vec<f64>,
}

/// A shard on disk.
#[derive(Serialize, Deserialize)]
struct Stored {
    settings: String,
    share: Share,
    evolved: Evolved,
}

/// A shard that does not belong to the others.
#[derive(Debug, thiserror::Error)]
#[error("{}: a shard of another run: expected {expected}, found {found}", file.display())]
struct Foreign {
    file: PathBuf,
    expected: String,
    found: String,
}

impl Parts {
    /// What the options ask for, with the shard in the folder `out`.
    pub fn new(args: &PartsArgs, out: &Path) -> Self {
        match args.shard {
            Some(shard) => Self::Shard { shard, folder: out.into() },
            None if args.merge.is_empty() => Self::Whole,
            None => Self::Merge(args.merge.clone()),
        }
    }

    /// Evolves an ensemble of so many rows by `evolve`, which is told which of them: what comes out is of the whole ensemble, unless this is
    /// a shard.
    ///
    /// `settings` are what the rows depend on; shards with others are refused.
    ///
    /// # Errors
    /// Of `evolve`, of files, and for shards that do not make up a whole.
    pub fn evolve(
        &self,
        name: &str,
        settings: &str,
        rows: usize,
        evolve: impl FnOnce(Range<usize>) -> Result<Evolved, Failure>,
    ) -> Result<Evolved, Failure> {
        match self {
            Self::Whole => evolve(0..rows),
            Self::Shard { shard, folder } => {
                let share = Share::of(rows, 1, shard.part, shard.parts)?;
                let stored = Stored { settings: settings.into(), share, evolved: evolve(share.rows())? };
                let bytes = postcard::to_stdvec(&stored)?;
                write_atomically(&file(folder, name), |out| out.write_all(&bytes))?;
                Ok(stored.evolved)
            }
            Self::Merge(folders) => {
                let mut shards = Vec::new();
                for folder in folders {
                    let file = file(folder, name);
                    let damaged = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
                    let bytes = fs::read(&file).map_err(|error| damaged(&error))?;
                    let stored: Stored = postcard::from_bytes(&bytes).map_err(|error| damaged(&error))?;
                    if stored.settings != settings {
                        let (expected, found) = (settings.into(), stored.settings);
                        return Err(Foreign { file, expected, found }.into());
                    }
                    shards.push((stored.share, stored.evolved));
                }
                shards.sort_by_key(|(share, _)| share.part());
                let end = shards.iter().flat_map(|(_, evolved)| &evolved.end).copied().collect::<Vec<_>>();
                let flow =
                    Share::merge(shards.into_iter().map(|(share, evolved)| (share, evolved.flow)).collect())?;
                if end.len() != rows {
                    let expected = format!("{rows} trajectories of {settings}");
                    let found = format!("{} trajectories", end.len());
                    return Err(Foreign { file: file(&folders[0], name), expected, found }.into());
                }
                Ok(Evolved { flow, end })
            }
        }
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.shard"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diffusion::Evolution;
    use sde_core::ndarray::Array2;
    use sde_core::{ExactTransition, Forward, Noise, TimeGrid, VarianceExpanding};

    const ROWS: usize = 10_000;

    fn evolve(rows: Range<usize>) -> Result<Evolved, Failure> {
        let process = Forward(VarianceExpanding::new(10.0)?);
        let grid = TimeGrid::uniform(0.0, 1.0, 3)?;
        let mut flow = CumulantFlow::every(&grid, 1);
        let mut x = Array2::zeros((rows.len(), 1));
        Evolution::new(&process, &ExactTransition::default(), &grid, Noise::new(1, 0))
            .first_row(rows.start)
            .run(x.view_mut(), &mut flow)?;
        Ok(Evolved { flow, end: x.into_raw_vec_and_offset().0 })
    }

    #[test]
    fn shards_make_up_the_whole_or_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let shard = |name: &str, part, parts, settings: &str| {
            fs::create_dir_all(place(name)).unwrap();
            let parts = Parts::Shard { shard: Shard { part, parts }, folder: place(name) };
            parts.evolve("forward", settings, ROWS, evolve).unwrap();
        };
        for part in 0..3 {
            shard(&part.to_string(), part, 3, "seed 1");
        }
        shard("fourth", 1, 4, "seed 1");
        shard("foreign", 1, 3, "seed 2");
        let merged = |names: &[&str], rows| {
            let parts = Parts::Merge(names.iter().map(|name| place(name)).collect());
            parts.evolve("forward", "seed 1", rows, |_| Err("nothing is left to do".into()))
        };
        let whole = Parts::Whole.evolve("forward", "seed 1", ROWS, evolve).unwrap();
        assert_eq!(merged(&["2", "0", "1"], ROWS).unwrap(), whole);
        for (names, complaint) in [
            (&["0", "1"][..], "place 2 has part none"),
            (&["0", "1", "1"], "place 2 has part 1 of 3"),
            (&["0", "1", "2", "2"], "place 3 has part 2 of 3"),
            (&["0", "fourth", "2"], "place 1 has part 1 of 4"),
            (&["0", "foreign", "2"], "expected seed 1, found seed 2"),
            (&["0", "1", "nowhere"], "nowhere"),
        ] {
            let error = merged(names, ROWS).unwrap_err().to_string();
            assert!(error.contains(complaint), "{names:?}: {error}");
        }
        let error = merged(&["0", "1", "2"], 20_000).unwrap_err().to_string();
        assert!(error.contains("expected 20000"), "{error}");
    }
}
