//! Nets published as PyTorch state dicts.
//!
//! The paper's two-peak nets come as `.pt` files: a zip archive of a pickled dictionary and one raw file of
//! numbers per tensor. The pickle says what is there, and a damaged one may still say something; so the
//! archive's own checksums are verified first, and then every name, shape and number against the architecture
//! of [`MlpConfig::paper`]. Nothing in the pickle is called, and no memory is asked for on the word of a header.

use crate::pickle::{Described, PickleError, state_dict};
use crate::tensors::{TensorError, check_finite, check_shape};
use crate::{Mlp, MlpConfig};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use zip::result::ZipError;

/// The file of this net has 85 kB.
const LONGEST: u64 = 1 << 20;
/// Entries of its archive: sixteen.
const ENTRIES: usize = 64;
/// The name of the pickle in its folder.
const PICKLE: &str = "data.pkl";

type Archive = zip::ZipArchive<Cursor<Vec<u8>>>;

/// A published net cannot be read; every case names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishedError {
    /// The file cannot be opened.
    #[error("{}: cannot be read", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has more of something than this net.
    #[error("{}: {what}: expected at most {most}, found {found}", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Of what.
        what: &'static str,
        /// What a file of this net may have.
        most: u64,
        /// What the file has.
        found: u64,
    },
    /// The file is not a whole zip archive, or an entry does not match its checksum.
    #[error("{}: not a whole PyTorch archive", file.display())]
    Archive {
        /// The file.
        file: PathBuf,
        /// Why.
        source: ZipError,
    },
    /// The pickled dictionary cannot be read.
    #[error("{}: not a PyTorch state dict", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// The numbers are in another order of bytes.
    #[error("{}: byteorder: expected little, found {found}", file.display())]
    ByteOrder {
        /// The file.
        file: PathBuf,
        /// What the file says.
        found: String,
    },
    /// The numbers of a tensor are not all there.
    #[error("{}: tensor {name}: expected numbers up to byte {expected}, found {found} bytes", file.display())]
    Numbers {
        /// The file.
        file: PathBuf,
        /// Name of the tensor.
        name: String,
        /// Where they should end.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// A tensor is not the one that the net needs.
    #[error("{}", file.display())]
    Tensor {
        /// The file.
        file: PathBuf,
        /// Which tensor, and how.
        source: TensorError,
    },
}

/// Reads a state dict of the paper's net [`MlpConfig::paper`], as `torch.save` writes it.
///
/// The tensors are `network.hidden_layers.{i}.linear.weight` and `.bias`,
/// `network.hidden_layers.{i}.embed.1.weight` and `.bias` for `i = 0, 1`, and `network.final.weight` and
/// `.bias`, in single precision and in any order.
///
/// # Errors
/// [`PublishedError`] if the file cannot be read, is damaged, or holds anything but exactly these tensors with
/// finite numbers.
///
/// ```
/// use score_nets::{PublishedError, read_published};
/// let error = read_published("no/such/net.pt").unwrap_err();
/// assert!(matches!(error, PublishedError::Io { .. }));
/// assert!(error.to_string().starts_with("no/such/net.pt"));
/// ```
pub fn read_published(path: impl AsRef<Path>) -> Result<Mlp, PublishedError> {
    let path = path.as_ref();
    let mut archive = open(path)?;
    let broken = |source| PublishedError::Archive { file: path.into(), source };
    let tensor = |source| PublishedError::Tensor { file: path.into(), source };

    let names =
        archive.file_names().flatten().find(|name| name.ends_with(PICKLE)).map(std::borrow::Cow::into_owned);
    let pickle_name = names.ok_or_else(|| broken(ZipError::FileNotFound))?;
    let folder = pickle_name.strip_suffix(PICKLE).unwrap_or_default();
    check_byte_order(&mut archive, folder, path)?;
    let pickle = entry(&mut archive, &pickle_name).map_err(broken)?;
    let refused = |source| PublishedError::Pickle { file: path.into(), source };
    let described = state_dict(&pickle).map_err(refused)?;

    let config = MlpConfig::paper();
    let layout = config.layout();
    let unknown = described.iter().map(|tensor| tensor.name).filter(|name| layout.find(name).is_none()).min();
    if let Some(name) = unknown {
        return Err(tensor(TensorError::Unexpected { name: name.into() }));
    }
    let mut parameters = vec![0.0; layout.len()];
    for spec in layout.tensors() {
        // As in Python, the last of two entries with one name is the one.
        let found = described.iter().rev().find(|tensor| tensor.name == spec.name);
        let found = found.ok_or_else(|| tensor(TensorError::Missing { name: spec.name.clone() }))?;
        check_shape(spec, &spec.name, &found.shape).map_err(tensor)?;
        found.check_strides().map_err(refused)?;
        if found.storage != "FloatStorage" {
            let (name, found) = (spec.name.clone(), found.storage.into());
            return Err(tensor(TensorError::Dtype { name, found }));
        }
        let bytes = entry(&mut archive, &format!("{folder}data/{}", found.key)).map_err(broken)?;
        let place = &mut parameters[spec.range.clone()];
        decode(&bytes, found, place).map_err(|expected| PublishedError::Numbers {
            file: path.into(),
            name: spec.name.clone(),
            expected,
            found: bytes.len() as u64,
        })?;
        check_finite(&spec.name, place).map_err(tensor)?;
    }
    Ok(Mlp::from_parameters(config, parameters).expect("length and finiteness were checked"))
}

/// The archive, whole by its checksums.
fn open(path: &Path) -> Result<Archive, PublishedError> {
    let io = |source| PublishedError::Io { file: path.into(), source };
    let too_large = |what, most, found| PublishedError::TooLarge { file: path.into(), what, most, found };
    let file = File::open(path).map_err(io)?;
    let found = file.metadata().map_err(io)?.len();
    if found > LONGEST {
        return Err(too_large("bytes", LONGEST, found));
    }
    let mut bytes = Vec::with_capacity(found as usize);
    file.take(LONGEST).read_to_end(&mut bytes).map_err(io)?;
    let broken = |source| PublishedError::Archive { file: path.into(), source };
    let mut archive = Archive::new(Cursor::new(bytes)).map_err(broken)?;
    if archive.len() > ENTRIES {
        return Err(too_large("entries", ENTRIES as u64, archive.len() as u64));
    }
    for index in 0..archive.len() {
        // A checksum is compared at the end of its entry.
        let mut entry = archive.by_index(index).map_err(broken)?;
        io::copy(&mut entry, &mut io::sink()).map_err(|source| broken(source.into()))?;
    }
    Ok(archive)
}

/// The bytes of an entry, which are not compressed and so not more than those of the file.
fn entry(archive: &mut Archive, name: &str) -> Result<Vec<u8>, ZipError> {
    let mut bytes = Vec::new();
    archive.by_name(name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Files of older versions of PyTorch do not tell; they are little-endian.
fn check_byte_order(archive: &mut Archive, folder: &str, path: &Path) -> Result<(), PublishedError> {
    match entry(archive, &format!("{folder}byteorder")) {
        Ok(order) if order != b"little" => {
            let found = String::from_utf8_lossy(&order).into();
            Err(PublishedError::ByteOrder { file: path.into(), found })
        }
        _ => Ok(()),
    }
}

/// Writes the numbers of a tensor to `out`; the error is the byte at which they should have ended.
fn decode(bytes: &[u8], tensor: &Described<'_>, out: &mut [f32]) -> Result<(), u64> {
    let ends = tensor.offset.saturating_add(out.len()).saturating_mul(4);
    let own = bytes.get(tensor.offset.saturating_mul(4)..ends).ok_or(ends as u64)?;
    for (value, bytes) in out.iter_mut().zip(own.as_chunks::<4>().0) {
        *value = f32::from_le_bytes(*bytes);
    }
    Ok(())
}
