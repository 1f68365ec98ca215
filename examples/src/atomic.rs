//! Files that are either complete or absent.
//!
//! The bytes go to a temporary sibling, which is synced and renamed onto the name. The rename is atomic within a file
//! system, so a reader sees the earlier file or the new one, whole; a write that fails removes the sibling.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A file or folder that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The folder cannot be made or takes no new files.
    #[error("cannot write into folder `{}`", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The contents could not be written; a file that was there before is unchanged.
    #[error("cannot write `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Makes `folder` if it is missing and checks that a file can be made in it.
///
/// Called before the work starts, so that a misspelt folder costs no time.
///
/// # Errors
/// [`FileError::Folder`] with the folder and the cause.
pub fn check_writable(folder: &Path) -> Result<(), FileError> {
    fs::create_dir_all(folder)
        .and_then(|()| sibling(folder))
        .map(drop) // removes the probe
        .map_err(|source| FileError::Folder { folder: folder.to_path_buf(), source })
}

/// Replaces the file at `path` by what `write` produces, all of it or nothing.
pub(crate) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    replace(path, write).map_err(|source| FileError::File { path: path.to_path_buf(), source })
}

/// Replaces the file at `path` by `value` as JSON, all of it or nothing. Numbers that JSON does not have become `null`.
///
/// # Errors
/// [`FileError::File`] if it cannot be written, with an earlier file left as it was.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<(), FileError> {
    write_atomically(path, |out| {
        serde_json::to_writer_pretty(&mut *out, value)?;
        out.write_all(b"\n")
    })
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = BufWriter::new(sibling(folder)?);
    write(&mut file)?;
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn sibling(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".partial-");
    // Temporary files are private by default, results are not: ask for the mode of an ordinary new file.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_earlier_file_and_no_litter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_atomically(&path, |out| out.write_all(b"first")).unwrap();
        let error = write_atomically(&path, |out| {
            out.write_all(b"second, but only ha")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(error.to_string().contains("results.json"));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_second_write_replaces_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        write_atomically(&path, |out| out.write_all(b"a much longer first text")).unwrap();
        write_atomically(&path, |out| out.write_all(b"second")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }

    #[test]
    fn a_file_in_the_way_of_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("out");
        fs::write(&file, "not a folder").unwrap();
        let error = check_writable(&file.join("two_peak_ve")).unwrap_err();
        assert!(error.to_string().contains("two_peak_ve"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), b"not a folder");
    }

    #[test]
    fn the_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        check_writable(&deep).unwrap();
        assert_eq!(fs::read_dir(deep).unwrap().count(), 0);
    }
}
