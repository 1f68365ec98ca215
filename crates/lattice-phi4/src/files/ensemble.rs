//! Ensembles on disk: fields as a NumPy array, everything else as JSON beside it.
//!
//! `NAME.npy` holds doubles of shape `(configurations, L_0, L_1, ..)` in C order, readable by `numpy.load`.
//! `NAME.json` holds the [`EnsembleMetadata`]: what was simulated, and the SHA-256 of the whole `.npy` file, as
//! `sha256sum` prints it; its first entry, `seal`, is the SHA-256 of the others, behind the comma. Both are written beside their place,
//! flushed, and then renamed, the fields first: fields whose
//! metadata did not make it are refused by their digest.
//!
//! Sets larger than memory are written and read in slabs of configurations, or read in any order by [`EnsembleFields`].

use super::ensemble_fields::{EnsembleFields, Fingerprint};
use super::npy::{Header, Number, read_header, write_header};
use super::replacement::{Replacement, replace};
use super::sealed::{Broken, seal, unseal};
use crate::{EnsembleError, Lattice};
use ndarray::Array2;
use sde_core::Batch;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Version of the metadata that this crate writes, and the only one it reads.
const FORMAT: u32 = 2;
/// The entry of a JSON file with the digest of all others.
const SEAL: &str = "seal";

/// How an ensemble was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Hopping parameter of the action [5.4].
    pub hopping: f64,
    /// Coupling of the action [5.4].
    pub lambda: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Name of the protocol.
    pub protocol: String,
    /// Number of Markov chains: the configurations stand chain after chain, equally many of each.
    pub chains: usize,
}

/// The metadata beside the fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct EnsembleMetadata {
    /// Version of this format.
    pub format: u32,
    /// Version of the crate that wrote the fields.
    pub crate_version: String,
    /// `(configurations, L_0, L_1, ..)`.
    pub shape: Vec<usize>,
    /// How the ensemble was made.
    #[serde(flatten)]
    pub provenance: Provenance,
    /// SHA-256 of the `.npy` file in hexadecimal.
    pub sha256: String,
}

/// [`EnsembleMetadata`] as it is read: all entries on one level, so that unknown ones take no memory.
#[derive(Deserialize)]
struct Stored {
    format: u32,
    crate_version: String,
    shape: Vec<usize>,
    hopping: f64,
    lambda: f64,
    seed: u64,
    protocol: String,
    chains: usize,
    sha256: String,
}

impl From<Stored> for EnsembleMetadata {
    fn from(stored: Stored) -> Self {
        let Stored { format, crate_version, shape, hopping, lambda, seed, protocol, chains, sha256 } = stored;
        let provenance = Provenance { hopping, lambda, seed, protocol, chains };
        Self { format, crate_version, shape, provenance, sha256 }
    }
}

/// The part that every version of every JSON file has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// Writes an ensemble slab by slab.
///
/// Nothing at the destination changes before [`finish`](Self::finish); a writer that is dropped leaves no trace.
///
/// ```
/// use lattice_phi4::ndarray::Array2;
/// use lattice_phi4::{EnsembleReader, EnsembleWriter, Lattice, Provenance};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("fields.npy");
/// let made = Provenance { hopping: 0.21, lambda: 0.022, seed: 1, protocol: "equilibrium".into(), chains: 2 };
/// let fields = Array2::from_shape_fn((6, 16), |(n, x)| (n * x) as f64);
/// let mut writer = EnsembleWriter::create(&path, &Lattice::new(&[4, 4])?, 6, made)?;
/// writer.push(fields.view())?;
/// writer.finish()?;
///
/// let reader = EnsembleReader::open(&path)?;
/// assert_eq!(reader.metadata().unwrap().shape, [6, 4, 4]);
/// assert_eq!(reader.read_all()?, fields);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EnsembleWriter {
    path: PathBuf,
    file: Replacement,
    hash: Sha256,
    shape: Vec<usize>,
    sites: usize,
    written: usize,
    provenance: Provenance,
}

impl EnsembleWriter {
    /// Begins an ensemble of `configurations` fields at `path`; the metadata go to the same name with the extension
    /// `json`.
    ///
    /// # Errors
    /// [`EnsembleError::Chains`] unless the chains divide the configurations, [`EnsembleError::Io`].
    pub fn create(
        path: impl AsRef<Path>,
        lattice: &Lattice,
        configurations: usize,
        provenance: Provenance,
    ) -> Result<Self, EnsembleError> {
        let path = path.as_ref().to_path_buf();
        let chains = provenance.chains;
        if chains == 0 || !configurations.is_multiple_of(chains) {
            return Err(EnsembleError::Chains { file: path, chains, configurations });
        }
        let shape = [&[configurations], lattice.extents()].concat();
        let file = Replacement::create(&path).map_err(|source| EnsembleError::written(&path, source))?;
        let sites = lattice.volume();
        let mut writer = Self { path, file, hash: Sha256::new(), sites, shape, written: 0, provenance };
        writer.append(&write_header(&writer.shape))?;
        Ok(writer)
    }

    /// Appends configurations, shape `(configurations, sites)`.
    ///
    /// # Errors
    /// [`EnsembleError::NotFinite`] for a field with a NaN or an infinity, [`EnsembleError::Io`].
    ///
    /// # Panics
    /// If the rows do not have one value per site.
    pub fn push(&mut self, fields: Batch<'_>) -> Result<(), EnsembleError> {
        assert_eq!(fields.ncols(), self.sites, "a configuration has one value per site");
        let values = sde_core::values(&fields);
        check_finite(&self.path, values, self.sites, self.written)?;
        for part in values.chunks(8192) {
            let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
            self.append(&bytes)?;
        }
        self.written += fields.nrows();
        Ok(())
    }

    /// Puts the files in their place.
    ///
    /// # Errors
    /// [`EnsembleError::Count`] unless all configurations were pushed, [`EnsembleError::Io`].
    pub fn finish(self) -> Result<EnsembleMetadata, EnsembleError> {
        let Self { path, file, hash, shape, written, provenance, .. } = self;
        if written != shape[0] {
            return Err(EnsembleError::Count { file: path, expected: shape[0], found: written });
        }
        let sha256 = hexadecimal(&hash.finalize());
        let crate_version = env!("CARGO_PKG_VERSION").into();
        let metadata = EnsembleMetadata { format: FORMAT, crate_version, shape, provenance, sha256 };
        let beside = path.with_extension("json");
        let json = serde_json::to_string_pretty(&metadata)
            .map_err(|source| EnsembleError::Metadata { file: beside.clone(), source })?;
        // Nothing takes its place before both are on the device.
        let written = |source| EnsembleError::written(&beside, source);
        let mut metadata_file = Replacement::create(&beside).map_err(written)?;
        metadata_file.write(seal(SEAL, &json).as_bytes()).map_err(written)?;
        metadata_file.sync().map_err(written)?;
        file.commit().map_err(|source| EnsembleError::written(&path, source))?;
        metadata_file.commit().map_err(written)?;
        Ok(metadata)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), EnsembleError> {
        self.hash.update(bytes);
        self.file.write(bytes).map_err(|source| EnsembleError::written(&self.path, source))
    }
}

/// Reads an ensemble slab by slab.
///
/// Opening checks the metadata, the header of the array and the length of the file. Numbers are checked as they are
/// read, and the digest with the last of them.
#[derive(Debug)]
pub struct EnsembleReader {
    path: PathBuf,
    file: BufReader<File>,
    /// Length of the header.
    start: u64,
    number: Number,
    lattice: Lattice,
    configurations: usize,
    read: usize,
    hash: Sha256,
    metadata: Option<EnsembleMetadata>,
}

impl EnsembleReader {
    /// Opens the fields at `path` with the metadata beside them.
    ///
    /// # Errors
    /// [`EnsembleError`] naming the file, the field, what was expected and what was found.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EnsembleError> {
        let path = path.as_ref();
        let metadata = read_metadata(&path.with_extension("json"))?;
        Self::new(path, Some(metadata))
    }

    /// Opens fields without metadata, such as NumPy has saved: `float64` or `float32`, C order.
    ///
    /// # Errors
    /// [`EnsembleError`] naming the file, the field, what was expected and what was found.
    pub fn open_array(path: impl AsRef<Path>) -> Result<Self, EnsembleError> {
        Self::new(path.as_ref(), None)
    }

    fn new(path: &Path, metadata: Option<EnsembleMetadata>) -> Result<Self, EnsembleError> {
        let io = |source| EnsembleError::read(path, source);
        let file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut file = BufReader::new(file);
        let (Header { number, shape }, header) = read_header(&mut file)
            .map_err(io)?
            .map_err(|source| EnsembleError::Npy { file: path.into(), source })?;

        if let Some(expected) = metadata.as_ref().map(|m| &m.shape).filter(|&expected| *expected != shape) {
            return Err(EnsembleError::Shape { file: path.into(), expected: expected.clone(), found: shape });
        }
        let (configurations, extents) = shape.split_first().map_or((0, &[][..]), |(n, rest)| (*n, rest));
        let lattice =
            Lattice::new(extents).map_err(|source| EnsembleError::Lattice { file: path.into(), source })?;
        // A shape that overflows is longer than any file.
        let numbers = shape.iter().try_fold(number.bytes() as u64, |size, &n| size.checked_mul(n as u64));
        let expected = numbers.and_then(|bytes| bytes.checked_add(header.len() as u64)).unwrap_or(u64::MAX);
        if length != expected {
            return Err(EnsembleError::Length { file: path.into(), expected, found: length });
        }
        let (start, hash) = (header.len() as u64, Sha256::new_with_prefix(&header));
        let reader =
            Self { path: path.into(), file, start, number, lattice, configurations, read: 0, hash, metadata };
        // An empty ensemble is read by now.
        reader.verify_at_the_end()?;
        Ok(reader)
    }

    /// The lattice.
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// Number of configurations in the file.
    pub fn configurations(&self) -> usize {
        self.configurations
    }

    /// The metadata, unless the array was opened without.
    pub fn metadata(&self) -> Option<&EnsembleMetadata> {
        self.metadata.as_ref()
    }

    /// Up to `most` further configurations, shape `(configurations, sites)`; `None` after the last.
    ///
    /// # Errors
    /// [`EnsembleError::NotFinite`] for a NaN or an infinity, [`EnsembleError::Digest`] with the last slab if the file
    /// is not the one that the metadata were written for, [`EnsembleError::Io`].
    ///
    /// # Panics
    /// If `most` is zero.
    pub fn next_slab(&mut self, most: usize) -> Result<Option<Array2<f64>>, EnsembleError> {
        assert!(most > 0, "a slab has at least one configuration");
        let (sites, rows) = (self.lattice.volume(), most.min(self.configurations - self.read));
        if rows == 0 {
            return Ok(None);
        }
        let mut slab = Array2::zeros((rows, sites));
        let mut bytes = vec![0; sites * self.number.bytes()];
        for mut field in slab.outer_iter_mut() {
            let field = field.as_slice_mut().expect("rows of a standard layout are contiguous");
            self.next_field(&mut bytes, field)?;
        }
        Ok(Some(slab))
    }

    /// Reads the next configuration, of which there is one: what the file has of it, and its numbers.
    fn next_field(&mut self, bytes: &mut [u8], field: &mut [f64]) -> Result<(), EnsembleError> {
        self.file.read_exact(bytes).map_err(|source| EnsembleError::read(&self.path, source))?;
        self.hash.update(&*bytes);
        self.number.decode(bytes, field);
        check_finite(&self.path, field, field.len(), self.read)?;
        self.read += 1;
        self.verify_at_the_end()
    }

    /// Reads everything, one configuration at a time, for access in any order.
    pub(crate) fn into_fields(mut self) -> Result<EnsembleFields, EnsembleError> {
        // Without configurations the lattice may be any: memory for one is not asked for.
        let sites = if self.configurations > 0 { self.lattice.volume() } else { 0 };
        let (mut bytes, mut field) = (vec![0; sites * self.number.bytes()], vec![0.0; sites]);
        let mut fingerprints = Vec::with_capacity(self.configurations);
        while self.read < self.configurations {
            self.next_field(&mut bytes, &mut field)?;
            fingerprints.push(Fingerprint::of(Sha256::new_with_prefix(&bytes)));
        }
        let Self { path, file, start, number, lattice, metadata, .. } = self;
        Ok(EnsembleFields {
            path,
            file: file.into_inner().into(),
            start,
            number,
            lattice,
            metadata,
            fingerprints,
        })
    }

    /// Compares the digest once everything is read.
    fn verify_at_the_end(&self) -> Result<(), EnsembleError> {
        if let Some(metadata) = self.metadata.as_ref().filter(|_| self.read == self.configurations) {
            let found = hexadecimal(&self.hash.clone().finalize());
            if found != metadata.sha256 {
                let (file, expected) = (self.path.clone(), metadata.sha256.clone());
                return Err(EnsembleError::Digest { file, expected, found });
            }
        }
        Ok(())
    }

    /// All configurations that were not read yet.
    ///
    /// # Errors
    /// As [`next_slab`](Self::next_slab).
    pub fn read_all(mut self) -> Result<Array2<f64>, EnsembleError> {
        let sites = self.lattice.volume();
        Ok(self.next_slab(usize::MAX)?.unwrap_or_else(|| Array2::zeros((0, sites))))
    }
}

fn read_metadata(path: &Path) -> Result<EnsembleMetadata, EnsembleError> {
    let mut bytes = fs::read(path).map_err(|source| EnsembleError::read(path, source))?;
    let metadata: EnsembleMetadata = sealed(path, FORMAT, &mut bytes)?;
    let chains = metadata.provenance.chains;
    let configurations = metadata.shape.first().copied().unwrap_or(0);
    if chains == 0 || !configurations.is_multiple_of(chains) {
        return Err(EnsembleError::Chains { file: path.into(), chains, configurations });
    }
    Ok(metadata)
}

/// Replaces a JSON file by an object, sealed.
pub(crate) fn replace_sealed(file: &Path, json: &str) -> Result<(), EnsembleError> {
    replace(file, seal(SEAL, json).as_bytes()).map_err(|source| EnsembleError::written(file, source))
}

/// What a sealed JSON file of this format holds.
pub(crate) fn sealed<T: DeserializeOwned>(
    file: &Path,
    format: u32,
    bytes: &mut [u8],
) -> Result<T, EnsembleError> {
    let damaged = |source| EnsembleError::Metadata { file: file.into(), source };
    // First of all, since other versions may have other seals.
    let Version { format: found } = serde_json::from_slice(bytes).map_err(damaged)?;
    if found != format {
        return Err(EnsembleError::Format { file: file.into(), expected: format, found });
    }
    let json = unseal(SEAL, bytes).map_err(|broken| match broken {
        Broken::Foreign => damaged(serde_json::Error::custom("the first entry is no seal")),
        Broken::Digest { expected, found } => EnsembleError::Digest { file: file.into(), expected, found },
    })?;
    serde_json::from_slice(json).map_err(damaged)
}

/// Refuses the first NaN or infinity; `first` is the number of the first configuration in `values`.
fn check_finite(path: &Path, values: &[f64], sites: usize, first: usize) -> Result<(), EnsembleError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(EnsembleError::NotFinite {
            file: path.into(),
            configuration: first + at / sites,
            site: at % sites,
            value: values[at],
        }),
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
