//! NumPy's `.npz`: arrays by name in a zip archive, as `numpy.savez` writes it and `numpy.load` reads it.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use ndarray::{ArrayD, ArrayViewD};
use ndarray_npy::{ReadNpyExt, WriteNpyExt};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::atomic::{FileError, write_atomically};
use crate::column::fits;

/// An array that cannot be read; every case names the file.
#[derive(Debug, thiserror::Error)]
pub enum NpzError {
    /// The operating system refused.
    #[error("{file}: cannot be read")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no archive, or its entries are compressed.
    #[error("{file}: expected an archive of numpy.savez (numpy.savez_compressed is not read)")]
    Archive {
        /// The file.
        file: String,
        /// Why.
        source: zip::result::ZipError,
    },
    /// There is no array of that name.
    #[error("{file}: no array `{name}`, there are {known}")]
    Missing {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// Names of the arrays that are there.
        known: String,
    },
    /// The array is larger than its entry.
    #[error("{file}: {name}: {bytes} bytes are not those of an array of the shape in its header")]
    Length {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// Bytes of the entry.
        bytes: usize,
    },
    /// The array is not one of real numbers.
    #[error("{file}: {name}: expected numbers of 4 or 8 bytes")]
    Array {
        /// The file.
        file: String,
        /// The name.
        name: String,
        /// Why.
        source: ndarray_npy::ReadNpyError,
    },
}

/// Writes arrays of doubles, all of them or nothing. They are not compressed, as those of `numpy.savez` are not.
///
/// # Errors
/// [`FileError`] if the file cannot be written, with an earlier one left as it was.
///
/// ```
/// use ndarray::array;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("samples.npz");
/// examples::write_npz(&path, &[("x", array![[0.5, 1.5]].into_dyn().view())])?;
/// assert_eq!(examples::read_npz(&path, "x")?, array![[0.5, 1.5]].into_dyn());
/// let message = examples::read_npz(&path, "y").unwrap_err().to_string();
/// assert!(message.ends_with("samples.npz: no array `y`, there are x"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_npz(path: &Path, arrays: &[(&str, ArrayViewD<'_, f64>)]) -> Result<(), FileError> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    write_atomically(path, |out| {
        let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, array) in arrays {
            archive.start_file(format!("{name}.npy"), options)?;
            array.write_npy(&mut archive).map_err(std::io::Error::other)?;
        }
        out.write_all(archive.finish()?.get_ref())
    })
}

/// Reads the array called `name`, of single or double precision.
///
/// # Errors
/// [`NpzError`].
pub fn read_npz(path: &Path, name: &str) -> Result<ArrayD<f64>, NpzError> {
    let file = path.display().to_string();
    let opened = File::open(path).map_err(|source| NpzError::Io { file: file.clone(), source })?;
    let archive = |source| NpzError::Archive { file: file.clone(), source };
    let mut zip = ZipArchive::new(BufReader::new(opened)).map_err(archive)?;
    let entry = format!("{name}.npy");
    if zip.index_for_name(&entry).is_none() {
        let known: Vec<String> =
            zip.file_names().flatten().map(|known| known.trim_end_matches(".npy").to_owned()).collect();
        return Err(NpzError::Missing { file, name: name.into(), known: known.join(", ") });
    }
    let mut bytes = Vec::new();
    zip.by_name(&entry)
        .map_err(archive)?
        .read_to_end(&mut bytes)
        .map_err(|source| NpzError::Io { file: file.clone(), source })?;
    if !fits(&bytes, bytes.len() as u64) {
        return Err(NpzError::Length { file, name: name.into(), bytes: bytes.len() });
    }
    ArrayD::<f64>::read_npy(&bytes[..])
        .or_else(|_| Ok(ArrayD::<f32>::read_npy(&bytes[..])?.mapv(f64::from)))
        .map_err(|source| NpzError::Array { file, name: name.into(), source })
}
