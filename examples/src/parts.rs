//! Ensembles that are made whole, by shard, or put together from the shards that many jobs have left.
//!
//! What is made of some rows is [`Stitched`] from that of parts of them. A shard on disk is a SHA-256 digest, and what it is of: the
//! settings, the share of the rows, and what was made of them. A merge refuses a file that is damaged, shards of other settings, and
//! those that do not make up a whole.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use diffusion::{CumulantFlow, Share};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic::write_atomically;
use crate::{Failure, Shard};

/// Options of the examples that can be cut into shards.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct PartsArgs {
    /// Make this part of the rows only: 2/5 is the third of five jobs
    #[arg(long, value_name = "I/N", conflicts_with = "merge")]
    pub shard: Option<Shard>,

    /// Put together what jobs with a --shard have left in these folders
    #[arg(long, value_name = "DIR", num_args = 1..)]
    pub merge: Vec<PathBuf>,
}

/// Which rows of every ensemble are made.
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

/// What is made of rows, such that it can be put together from what is made of parts of them.
pub trait Stitched: Serialize + DeserializeOwned {
    /// Puts together what was made of all shares. They come in order and make up a whole.
    ///
    /// # Errors
    /// If parts do not fit one another.
    fn stitch(parts: Vec<(Share, Self)>) -> Result<Self, Failure>;
}

/// What was measured on trajectories of one variable, and where they ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evolved {
    /// Moments and cumulants on the way.
    pub flow: CumulantFlow,
    /// Where the trajectories ended.
    pub end: Vec<f64>,
}

impl Stitched for Evolved {
    fn stitch(parts: Vec<(Share, Self)>) -> Result<Self, Failure> {
        let end = parts.iter().flat_map(|(_, evolved)| &evolved.end).copied().collect();
        let flow = Share::merge(parts.into_iter().map(|(share, evolved)| (share, evolved.flow)).collect())?;
        Ok(Self { flow, end })
    }
}

/// Columns of numbers, each with the same count of them for every row, or with some that are of the first part only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Columns(pub Vec<Vec<f64>>);

/// Columns that are more or fewer in one shard than in those before it.
#[derive(Debug, thiserror::Error)]
#[error("shard {part}: expected {expected} columns, found {found}")]
struct ColumnsError {
    part: usize,
    expected: usize,
    found: usize,
}

impl Stitched for Columns {
    fn stitch(parts: Vec<(Share, Self)>) -> Result<Self, Failure> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next().map(|(_, first)| first.0).unwrap_or_default();
        for (share, Self(columns)) in parts {
            let (part, expected, found) = (share.part(), whole.len(), columns.len());
            if expected != found {
                return Err(ColumnsError { part, expected, found }.into());
            }
            whole.iter_mut().zip(columns).for_each(|(whole, column)| whole.extend(column));
        }
        Ok(Self(whole))
    }
}

/// A shard on disk, behind its digest.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    settings: String,
    share: Share,
    made: T,
}

/// A shard that cannot be used.
#[derive(Debug, thiserror::Error)]
enum ShardError {
    /// The operating system refused.
    #[error("{}: cannot be read: {source}", file.display())]
    Io { file: PathBuf, source: std::io::Error },
    /// Its bytes are not those that were written.
    #[error("{}: the shard is damaged: expected one whole, as --shard leaves it", file.display())]
    Damaged { file: PathBuf },
    /// Its digest fits, and its contents do not.
    #[error("{}: {source}: expected a shard of this version", file.display())]
    Contents { file: PathBuf, source: postcard::Error },
    /// It does not belong to the others.
    #[error("{}: a shard of another run: expected {expected}, found {found}", file.display())]
    Foreign { file: PathBuf, expected: String, found: String },
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

    /// Makes an ensemble of shape `(rows, sites)` by `make`, which is told which rows: what comes out is of the whole ensemble, unless
    /// this is a shard.
    ///
    /// `settings` are what the rows depend on besides; shards with others are refused.
    ///
    /// # Errors
    /// Of `make`, of files, and for shards that do not make up a whole.
    pub fn make<T: Stitched>(
        &self,
        name: &str,
        settings: &str,
        (rows, sites): (usize, usize),
        make: impl FnOnce(Range<usize>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let settings = format!("{settings}, {rows} rows of {sites}");
        match self {
            Self::Whole => make(0..rows),
            Self::Shard { shard, folder } => {
                let share = Share::of(rows, sites, shard.part, shard.parts)?;
                let stored = Stored { settings, share, made: make(share.rows())? };
                let bytes = postcard::to_stdvec(&stored)?;
                write_atomically(&file(folder, name), |out| {
                    out.write_all(&Sha256::digest(&bytes))?;
                    out.write_all(&bytes)
                })?;
                Ok(stored.made)
            }
            Self::Merge(folders) => {
                let mut parts = Vec::new();
                for folder in folders {
                    let file = file(folder, name);
                    let stored = read::<T>(&file)?;
                    if stored.settings != settings {
                        let (expected, found) = (settings, stored.settings);
                        return Err(ShardError::Foreign { file, expected, found }.into());
                    }
                    parts.push((stored.share, stored.made));
                }
                parts.sort_by_key(|(share, _)| share.part());
                Share::check_whole(&parts.iter().map(|(share, _)| *share).collect::<Vec<_>>())?;
                T::stitch(parts)
            }
        }
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.shard"))
}

fn read<T: Stitched>(path: &Path) -> Result<Stored<T>, ShardError> {
    let file = path.to_path_buf();
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(ShardError::Io { file, source }),
    };
    match bytes.split_first_chunk::<32>() {
        Some((digest, contents)) if digest[..] == Sha256::digest(contents)[..] => {
            postcard::from_bytes(contents).map_err(|source| ShardError::Contents { file, source })
        }
        _ => Err(ShardError::Damaged { file }),
    }
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
            parts.make("forward", settings, (ROWS, 1), evolve).unwrap();
        };
        for part in 0..3 {
            shard(&part.to_string(), part, 3, "seed 1");
        }
        shard("fourth", 1, 4, "seed 1");
        shard("foreign", 1, 3, "seed 2");
        shard("damaged", 1, 3, "seed 1");
        shard("short", 1, 3, "seed 1");
        let damage = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
            let file = place(name).join("forward.shard");
            let mut bytes = fs::read(&file).unwrap();
            change(&mut bytes);
            fs::write(&file, bytes).unwrap();
        };
        damage("damaged", &|bytes| bytes[5000] ^= 1);
        damage("short", &|bytes| bytes.truncate(31));
        let merged = |names: &[&str], rows| {
            let parts = Parts::Merge(names.iter().map(|name| place(name)).collect());
            parts.make::<Evolved>("forward", "seed 1", (rows, 1), |_| Err("nothing is left to do".into()))
        };
        let whole = Parts::Whole.make("forward", "seed 1", (ROWS, 1), evolve).unwrap();
        assert_eq!(merged(&["2", "0", "1"], ROWS).unwrap(), whole);
        for (names, complaint) in [
            (&["0", "1"][..], "place 2 has part none"),
            (&["0", "1", "1"], "place 2 has part 1 of 3"),
            (&["0", "1", "2", "2"], "place 3 has part 2 of 3"),
            (&["0", "fourth", "2"], "place 1 has part 1 of 4"),
            (&["0", "foreign", "2"], "expected seed 1, 10000 rows of 1, found seed 2, 10000 rows of 1"),
            (&["0", "1", "nowhere"], "nowhere"),
            (&["0", "damaged", "2"], "forward.shard: the shard is damaged"),
            (&["0", "short", "2"], "forward.shard: the shard is damaged"),
        ] {
            let error = merged(names, ROWS).unwrap_err().to_string();
            assert!(error.contains(complaint), "{names:?}: {error}");
        }
        let error = merged(&["0", "1", "2"], 20_000).unwrap_err().to_string();
        assert!(error.contains("expected seed 1, 20000 rows"), "{error}");
    }

    #[test]
    fn columns_are_put_together_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let place = |part: usize| folder.path().join(part.to_string());
        let make = |rows: Range<usize>| {
            let picture = if rows.start == 0 { vec![7.0] } else { Vec::new() };
            Ok(Columns(vec![rows.map(|row| row as f64).collect(), picture]))
        };
        for part in 0..3 {
            fs::create_dir_all(place(part)).unwrap();
            let parts = Parts::Shard { shard: Shard { part, parts: 3 }, folder: place(part) };
            parts.make("rows", "", (100, 64), make).unwrap();
        }
        let merge = || {
            let parts = Parts::Merge((0..3).rev().map(place).collect());
            parts.make::<Columns>("rows", "", (100, 64), |_| Err("nothing is left to do".into()))
        };
        assert_eq!(merge().unwrap(), Columns(vec![(0..100).map(f64::from).collect(), vec![7.0]]));
        let shard = Parts::Shard { shard: Shard { part: 1, parts: 3 }, folder: place(1) };
        shard.make("rows", "", (100, 64), |_| Ok(Columns(vec![Vec::new()]))).unwrap();
        let error = merge().unwrap_err().to_string();
        assert_eq!(error, "shard 1: expected 2 columns, found 1");
    }
}
