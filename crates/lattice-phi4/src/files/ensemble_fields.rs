//! Ensembles on disk, read in any order: for training on sets larger than memory.

use super::npy::Number;
use crate::{EnsembleError, EnsembleMetadata, EnsembleReader, Lattice};
use sde_core::Configurations;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that are read at once, a multiple of the size of any number.
const PART: usize = 8192;

/// The configurations of an ensemble on disk, read one at a time in any order, from any thread.
///
/// Opening reads the whole file once, one configuration at a time, and checks it as [`EnsembleReader`] does. What is kept of it is a
/// fingerprint of eight bytes for every configuration, and what is read later is held against that: whatever
/// happens to the file, a configuration is the one that was checked, or an error. A file that another takes the place of, as
/// [`EnsembleWriter`](crate::EnsembleWriter) does, stays open on Unix as it was.
///
/// A read goes through a buffer of 8 KiB on the stack.
///
/// ```
/// use lattice_phi4::ndarray::Array2;
/// use lattice_phi4::{EnsembleFields, EnsembleWriter, Lattice, Provenance};
/// use sde_core::Configurations;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("fields.npy");
/// let made = Provenance { hopping: 0.21, lambda: 0.022, seed: 1, protocol: "equilibrium".into(), chains: 2 };
/// let fields = Array2::from_shape_fn((6, 16), |(n, x)| (n * x) as f64);
/// let mut writer = EnsembleWriter::create(&path, &Lattice::new(&[4, 4])?, 6, made)?;
/// writer.push(fields.view())?;
/// writer.finish()?;
///
/// let stored = EnsembleFields::open(&path)?;
/// let mut field = [0.0; 16];
/// stored.read(4, &mut field)?;
/// assert_eq!(field[..], fields.row(4).to_vec());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EnsembleFields {
    pub(crate) path: PathBuf,
    pub(crate) file: PositionedFile,
    /// Where the first configuration begins.
    pub(crate) start: u64,
    pub(crate) number: Number,
    pub(crate) lattice: Lattice,
    pub(crate) metadata: Option<EnsembleMetadata>,
    /// Of every configuration.
    pub(crate) fingerprints: Vec<Fingerprint>,
}

impl EnsembleFields {
    /// Opens the fields at `path` with the metadata beside them.
    ///
    /// # Errors
    /// [`EnsembleError`] naming the file, the field, what was expected and what was found.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, EnsembleError> {
        EnsembleReader::open(path)?.into_fields()
    }

    /// Opens fields without metadata, such as NumPy has saved: `float64` or `float32`, C order.
    ///
    /// # Errors
    /// [`EnsembleError`] naming the file, the field, what was expected and what was found.
    pub fn open_array(path: impl AsRef<Path>) -> Result<Self, EnsembleError> {
        EnsembleReader::open_array(path)?.into_fields()
    }

    /// The lattice.
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// The metadata, unless the array was opened without.
    pub fn metadata(&self) -> Option<&EnsembleMetadata> {
        self.metadata.as_ref()
    }

    /// Writes configuration number `index`; after an error `out` may hold anything.
    ///
    /// # Errors
    /// [`EnsembleError::Changed`] if it is not what it was when the file was opened, [`EnsembleError::Io`].
    ///
    /// # Panics
    /// If there are not that many configurations, or `out` does not have one value per site.
    pub fn configuration(&self, index: usize, out: &mut [f64]) -> Result<(), EnsembleError> {
        let expected = self.fingerprints[index];
        assert_eq!(out.len(), self.lattice.volume(), "a configuration has one value per site");
        let size = self.number.bytes();
        let mut at = self.start + index as u64 * (out.len() * size) as u64;
        let (mut part, mut hash) = ([0; PART], Sha256::new());
        for out in out.chunks_mut(PART / size) {
            let bytes = &mut part[..out.len() * size];
            self.file.read(at, bytes).map_err(|source| EnsembleError::read(&self.path, source))?;
            hash.update(&*bytes);
            self.number.decode(bytes, out);
            at += bytes.len() as u64;
        }
        if Fingerprint::of(hash) == expected {
            Ok(())
        } else {
            Err(EnsembleError::Changed { file: self.path.clone(), configuration: index })
        }
    }
}

impl Configurations for EnsembleFields {
    fn len(&self) -> usize {
        self.fingerprints.len()
    }

    fn sites(&self) -> usize {
        self.lattice.volume()
    }

    fn read(&self, index: usize, out: &mut [f64]) -> io::Result<()> {
        self.configuration(index, out).map_err(io::Error::other)
    }
}

/// The first bytes of the SHA-256 of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; 8]);

impl Fingerprint {
    pub(crate) fn of(hash: Sha256) -> Self {
        let digest = hash.finalize();
        Self(std::array::from_fn(|i| digest[i]))
    }
}

/// A file that any thread reads anywhere.
#[cfg(unix)]
#[derive(Debug)]
pub(crate) struct PositionedFile(File);

#[cfg(unix)]
impl From<File> for PositionedFile {
    fn from(file: File) -> Self {
        Self(file)
    }
}

#[cfg(unix)]
impl PositionedFile {
    /// Fills `bytes` from place `at` on.
    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.0, bytes, at)
    }
}

/// A file that any thread reads anywhere, one after the other: there is one cursor.
#[cfg(not(unix))]
#[derive(Debug)]
pub(crate) struct PositionedFile(std::sync::Mutex<File>);

#[cfg(not(unix))]
impl From<File> for PositionedFile {
    fn from(file: File) -> Self {
        Self(file.into())
    }
}

#[cfg(not(unix))]
impl PositionedFile {
    /// Fills `bytes` from place `at` on.
    fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(bytes)
    }
}
