//! Files that are either the old one or the new one, never half of each.

use std::fs::{File, remove_file, rename};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that takes its place only when it is complete: it is written as the sibling `.NAME.partial`, flushed to the
/// device and renamed. Dropped before that, it is removed, and what was there before stays.
#[derive(Debug)]
pub(crate) struct Replacement {
    path: PathBuf,
    partial: PathBuf,
    /// Taken by the commit.
    file: Option<BufWriter<File>>,
}

impl Replacement {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let partial = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
        let file = Some(BufWriter::new(File::create(&partial)?));
        Ok(Self { path: path.into(), partial, file })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// Brings everything to the device, so that only the renaming is left.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| {
            file.flush()?;
            file.get_ref().sync_all()
        })
    }

    pub(crate) fn commit(mut self) -> io::Result<()> {
        if self.file.is_some() {
            self.sync()?;
            rename(&self.partial, &self.path)?;
        }
        self.file = None;
        // A folder cannot be opened as a file everywhere; where it can, the rename is made durable too.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Whether or not the remains can be removed, nobody reads them.
            let _ = remove_file(&self.partial);
        }
    }
}

/// Replaces `path` by `bytes`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Replacement::create(path)?;
    file.write(bytes)?;
    file.commit()
}
