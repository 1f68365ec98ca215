//! Checkpoints: everything a training run needs to go on bit for bit.
//!
//! A checkpoint is two files. `NAME.json` holds the settings and the step; it names the other one,
//! `NAME.DIGEST.safetensors`, with the weights, their average, both moments of Adam and the best weights so
//! far, one tensor each per tensor of the net (`weights.network.final.bias`, ...), and gives its SHA-256. Its own first entry, `seal`, is the SHA-256 of the others.
//!
//! The tensors are written first, under a name of their own; then the JSON file replaces the old one in a
//! single rename; then the old tensors are removed. Whenever it stops, the JSON file on disk names tensors that
//! are whole.

use crate::data::digest_of_bytes;
use crate::files;
use crate::layout::TensorSpec;
use crate::sealed::{Broken, seal, unseal};
use crate::tensors::{TensorError, check_finite, check_shape};
use crate::{Layout, Mlp, Net, NetError, SourceSettings, TrainConfig};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView, serialize};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Version of the format that this crate writes, and the only one it reads.
const VERSION: u32 = 2;

/// The best validation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps made before it.
    pub step: u64,
    /// Its loss.
    pub loss: f64,
}

/// The state of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint<N: Net = Mlp> {
    /// The architecture.
    pub net: N::Config,
    /// The settings of the run.
    pub train: TrainConfig,
    /// What the batches were made of.
    pub source: SourceSettings,
    /// Steps made.
    pub step: u64,
    /// The best validation, if there was one.
    pub best: Option<Best>,
    /// Validations since the best one.
    pub worse: u64,
    /// Parameters of the net.
    pub weights: Vec<f32>,
    /// Their exponential average.
    pub average: Vec<f32>,
    /// Adam's first moment.
    pub first_moment: Vec<f32>,
    /// Adam's second moment.
    pub second_moment: Vec<f32>,
    /// The averaged parameters of the best validation, if there was one.
    pub best_weights: Option<Vec<f32>>,
}

/// What the JSON file holds.
#[derive(Serialize, Deserialize)]
struct Metadata<C> {
    version: u32,
    /// [`Net::KIND`].
    kind: String,
    step: u64,
    best: Option<Best>,
    worse: u64,
    net: C,
    train: TrainConfig,
    source: SourceSettings,
    tensors: String,
    sha256: String,
}

/// The part of [`Metadata`] that every version has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The part of [`Metadata`] that tells the kind of net.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

/// A checkpoint cannot be written or read; every case names the file.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused.
    #[error("{}: cannot {action}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The metadata are damaged.
    #[error("{}: not the metadata of a checkpoint", file.display())]
    Metadata {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file is of another version of the format.
    #[error("{}: version: expected {expected}, found {found}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// The version that can be read.
        expected: u32,
        /// The version of the file.
        found: u32,
    },
    /// The tensors are not those that the metadata were written for, or the metadata not what was written.
    #[error("{}: sha256: expected {expected}, found {found}", file.display())]
    Digest {
        /// The file.
        file: PathBuf,
        /// Digest that was written down.
        expected: String,
        /// Digest of the file.
        found: String,
    },
    /// The tensor file has no valid structure.
    #[error("{}: not a safetensors file", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// Why.
        source: SafeTensorError,
    },
    /// A tensor is not the one that the net needs.
    #[error("{}", file.display())]
    Tensor {
        /// The file.
        file: PathBuf,
        /// Which tensor, and how.
        source: TensorError,
    },
    /// The architecture is out of its domain.
    #[error("{}: net", file.display())]
    Net {
        /// The file.
        file: PathBuf,
        /// Why.
        source: NetError,
    },
    /// The checkpoint is of another kind of net, or of a run with another setting.
    #[error("{}: {field}: expected {expected}, found {found}", file.display())]
    Setting {
        /// The file.
        file: PathBuf,
        /// Name of the setting.
        field: &'static str,
        /// Its value in the new run.
        expected: String,
        /// Its value in the checkpoint.
        found: String,
    },
}

impl<N: Net> Checkpoint<N> {
    /// The net that the run has made so far: the best validated average, or the last one.
    ///
    /// # Errors
    /// [`NetError`] if a field was changed into something that is no net.
    pub fn model(&self) -> Result<N, NetError> {
        let parameters = self.best_weights.as_ref().unwrap_or(&self.average);
        N::from_parameters(self.net.clone(), parameters.clone())
    }

    /// The vectors by the prefix of their tensors' names.
    fn groups(&self) -> Vec<(&'static str, &[f32])> {
        let mut groups = vec![
            ("weights", &self.weights[..]),
            ("average", &self.average),
            ("first_moment", &self.first_moment),
            ("second_moment", &self.second_moment),
        ];
        groups.extend(self.best_weights.as_ref().map(|best| ("best", &best[..])));
        groups
    }

    /// Writes the checkpoint with the metadata at `path` and the tensors beside it.
    ///
    /// # Errors
    /// [`CheckpointError::Io`]; what was at `path` before is then still there and whole. [`CheckpointError::Net`] if
    /// the architecture was changed into something that is no net.
    ///
    /// # Panics
    /// If a vector does not have one element per parameter of the net.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
        let path = path.as_ref();
        let layout =
            N::layout(&self.net).map_err(|source| CheckpointError::Net { file: path.into(), source })?;
        let mut stored = Vec::new();
        for (group, values) in self.groups() {
            assert_eq!(values.len(), layout.len(), "{group} has one value per parameter");
            for spec in layout.tensors() {
                let bytes: Vec<u8> =
                    values[spec.range.clone()].iter().flat_map(|v| v.to_le_bytes()).collect();
                stored.push((format!("{group}.{}", spec.name), spec.shape.clone(), bytes));
            }
        }
        let format = |source| CheckpointError::Format { file: path.into(), source };
        let views = stored
            .iter()
            .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(format)?;
        let bytes = serialize(views, None).map_err(format)?;

        let sha256 = digest_of_bytes(&bytes);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let tensors = format!("{stem}.{}.safetensors", &sha256[..16]);
        let metadata = Metadata {
            version: VERSION,
            kind: N::KIND.into(),
            step: self.step,
            best: self.best,
            worse: self.worse,
            net: self.net.clone(),
            train: self.train,
            source: self.source.clone(),
            tensors: tensors.clone(),
            sha256,
        };
        let json = serde_json::to_string_pretty(&metadata)
            .map_err(|source| CheckpointError::Metadata { file: path.into(), source })?;
        let before = read_metadata::<N>(path).ok();
        let write = |file: &Path, bytes: &[u8]| {
            files::replace(file, bytes).map_err(|source| CheckpointError::Io {
                file: file.into(),
                action: "be written",
                source,
            })
        };
        let beside = path.with_file_name(&tensors);
        let is_new = !beside.exists();
        write(&beside, &bytes)?;
        if let Err(error) = write(path, seal(&json).as_bytes()) {
            if is_new {
                // Nothing refers to them.
                let _ = fs::remove_file(beside);
            }
            return Err(error);
        }
        let own = |before: &Metadata<_>| {
            before.tensors != tensors && before.tensors.starts_with(&format!("{stem}."))
        };
        if let Some(before) = before.filter(own) {
            // Nothing refers to them any more; if they stay, no harm is done.
            let _ = fs::remove_file(path.with_file_name(before.tensors));
        }
        Ok(())
    }

    /// Reads the checkpoint whose metadata are at `path`.
    ///
    /// # Errors
    /// [`CheckpointError`] unless both files are there, of this version, undamaged by their digest, and hold
    /// exactly the tensors of the net, with finite numbers.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let metadata = read_metadata::<N>(path)?;
        let layout = N::layout(&metadata.net);
        let layout = layout.map_err(|source| CheckpointError::Net { file: path.into(), source })?;
        let file = path.with_file_name(&metadata.tensors);
        let bytes = fs::read(&file).map_err(|source| CheckpointError::Io {
            file: file.clone(),
            action: "be read",
            source,
        })?;
        let found = digest_of_bytes(&bytes);
        if found != metadata.sha256 {
            return Err(CheckpointError::Digest { file, expected: metadata.sha256, found });
        }
        let format = |source| CheckpointError::Format { file: file.clone(), source };
        let groups = 4 + usize::from(metadata.best.is_some());
        if header_length(&bytes) > longest_header(&layout, groups) {
            return Err(format(SafeTensorError::HeaderTooLarge));
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(format)?;
        let vectors = Vectors::read(&layout, metadata.best.is_some(), &tensors)
            .map_err(|source| CheckpointError::Tensor { file: file.clone(), source })?;
        let Metadata { step, best, worse, net, train, source, .. } = metadata;
        let Vectors { weights, average, first_moment, second_moment, best_weights } = vectors;
        Ok(Self {
            net,
            train,
            source,
            step,
            best,
            worse,
            weights,
            average,
            first_moment,
            second_moment,
            best_weights,
        })
    }
}

/// Bytes of the header of a safetensors file, as it says itself.
fn header_length(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length))
}

/// More than the header of this layout has: a header takes many times its length in memory, so not every one is read.
fn longest_header(layout: &Layout, groups: usize) -> u64 {
    let tensor = |spec: &TensorSpec| 256 + 8 * spec.name.len() + 32 * spec.shape.len();
    (1024 + groups * layout.tensors().iter().map(tensor).sum::<usize>()) as u64
}

/// The flat vectors of a checkpoint.
struct Vectors {
    weights: Vec<f32>,
    average: Vec<f32>,
    first_moment: Vec<f32>,
    second_moment: Vec<f32>,
    best_weights: Option<Vec<f32>>,
}

impl Vectors {
    fn read(layout: &Layout, with_best: bool, tensors: &SafeTensors<'_>) -> Result<Self, TensorError> {
        let mut known = 0;
        let mut group = |group: &str| -> Result<Vec<f32>, TensorError> {
            // Tensors of the file, all of them, before memory is asked for on the word of the metadata.
            let mut found = Vec::new();
            for spec in layout.tensors() {
                found.push(tensor(group, spec, tensors)?);
            }
            let mut values = vec![0.0; layout.len()];
            for (spec, tensor) in layout.tensors().iter().zip(found) {
                let place = &mut values[spec.range.clone()];
                for (value, bytes) in place.iter_mut().zip(tensor.data().as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*bytes);
                }
                check_finite(&format!("{group}.{}", spec.name), place)?;
                known += 1;
            }
            Ok(values)
        };
        let vectors = Self {
            weights: group("weights")?,
            average: group("average")?,
            first_moment: group("first_moment")?,
            second_moment: group("second_moment")?,
            best_weights: with_best.then(|| group("best")).transpose()?,
        };
        if tensors.len() == known {
            return Ok(vectors);
        }
        let groups = ["weights", "average", "first_moment", "second_moment", "best"];
        let expected = &groups[..4 + usize::from(with_best)];
        let is_known = |name: &str| {
            name.split_once('.').is_some_and(|(g, rest)| expected.contains(&g) && layout.find(rest).is_some())
        };
        let name = tensors.names().into_iter().filter(|name| !is_known(name)).min().unwrap_or_default();
        Err(TensorError::Unexpected { name: name.into() })
    }
}

/// A tensor of a group, as its net needs it.
fn tensor<'a>(
    group: &str,
    spec: &TensorSpec,
    tensors: &SafeTensors<'a>,
) -> Result<TensorView<'a>, TensorError> {
    let name = format!("{group}.{}", spec.name);
    let Ok(tensor) = tensors.tensor(&name) else {
        return Err(TensorError::Missing { name });
    };
    if tensor.dtype() != Dtype::F32 {
        return Err(TensorError::Dtype { name, found: tensor.dtype().to_string() });
    }
    check_shape(spec, &name, tensor.shape())?;
    Ok(tensor)
}

fn read_metadata<N: Net>(path: &Path) -> Result<Metadata<N::Config>, CheckpointError> {
    let mut bytes = fs::read(path).map_err(|source| CheckpointError::Io {
        file: path.into(),
        action: "be read",
        source,
    })?;
    let damaged = |source| CheckpointError::Metadata { file: path.into(), source };
    // First of all, since other versions may have other seals.
    let Version { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != VERSION {
        return Err(CheckpointError::Version { file: path.into(), expected: VERSION, found: version });
    }
    let json = unseal(&mut bytes).map_err(|broken| match broken {
        Broken::Foreign => damaged(serde_json::Error::custom("the first entry is no seal")),
        Broken::Digest { expected, found } => CheckpointError::Digest { file: path.into(), expected, found },
    })?;
    let Kind { kind } = serde_json::from_slice(json).map_err(damaged)?;
    if kind != N::KIND {
        let expected = N::KIND.into();
        return Err(CheckpointError::Setting { file: path.into(), field: "kind", expected, found: kind });
    }
    let metadata: Metadata<N::Config> = serde_json::from_slice(json).map_err(damaged)?;
    // A name that leads elsewhere would be read there, and removed there with the next checkpoint.
    if Path::new(&metadata.tensors).file_name() != Some(metadata.tensors.as_ref()) {
        return Err(damaged(serde_json::Error::custom(
            "tensors: expected the name of a file beside this one",
        )));
    }
    Ok(metadata)
}
