//! What can go wrong with an ensemble on disk.

use crate::{LatticeError, NpyError};
use std::io;
use std::path::{Path, PathBuf};

/// An ensemble cannot be written or read; every case names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsembleError {
    /// The operating system refused.
    #[error("{}: cannot be {action}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The header of the array is not that of an ensemble.
    #[error("{}: not the .npy file of an ensemble", file.display())]
    Npy {
        /// The file.
        file: PathBuf,
        /// Which field, and how.
        source: NpyError,
    },
    /// The metadata are damaged.
    #[error("{}: not the metadata of an ensemble", file.display())]
    Metadata {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The metadata are of another version of the format.
    #[error("{}: format: expected {expected}, found {found}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The version that can be read.
        expected: u32,
        /// The version of the file.
        found: u32,
    },
    /// The chains are not equally long.
    #[error("{}: chains: {configurations} configurations cannot be {chains} chains of equal length", file.display())]
    Chains {
        /// The file.
        file: PathBuf,
        /// Number of chains.
        chains: usize,
        /// Number of configurations.
        configurations: usize,
    },
    /// The array does not have the shape in the metadata.
    #[error("{}: shape: expected {expected:?}, found {found:?}", file.display())]
    Shape {
        /// The file.
        file: PathBuf,
        /// Shape in the metadata.
        expected: Vec<usize>,
        /// Shape of the array.
        found: Vec<usize>,
    },
    /// The shape of the array, without the configurations, is not that of a lattice.
    #[error("{}: shape", file.display())]
    Lattice {
        /// The file.
        file: PathBuf,
        /// Why.
        source: LatticeError,
    },
    /// The file is cut off, or longer than its array.
    #[error("{}: length: expected {expected} bytes, found {found}", file.display())]
    Length {
        /// The file.
        file: PathBuf,
        /// Length by the header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// A field value is infinite or not a number.
    #[error("{}: configuration {configuration}, site {site}: expected a finite number, found {value}", file.display())]
    NotFinite {
        /// The file.
        file: PathBuf,
        /// Number of the configuration.
        configuration: usize,
        /// Row-major number of the site.
        site: usize,
        /// What was found there.
        value: f64,
    },
    /// The fields are not those that the metadata were written for, or a JSON file is not what was written.
    #[error("{}: sha256: expected {expected}, found {found}", file.display())]
    Digest {
        /// The file.
        file: PathBuf,
        /// Digest that was written down.
        expected: String,
        /// Digest of the file.
        found: String,
    },
    /// The file has changed since it was opened.
    #[error("{}: configuration {configuration}: has changed since the file was opened", file.display())]
    Changed {
        /// The file.
        file: PathBuf,
        /// Number of the configuration.
        configuration: usize,
    },
    /// Another number of configurations was written than announced.
    #[error("{}: configurations: expected {expected}, found {found}", file.display())]
    Count {
        /// The file.
        file: PathBuf,
        /// Number that was announced.
        expected: usize,
        /// Number that was written.
        found: usize,
    },
}

impl EnsembleError {
    pub(crate) fn written(file: &Path, source: io::Error) -> Self {
        Self::Io { file: file.into(), action: "written", source }
    }

    pub(crate) fn read(file: &Path, source: io::Error) -> Self {
        Self::Io { file: file.into(), action: "read", source }
    }
}
