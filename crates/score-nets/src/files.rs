//! Files that are either the old one or the new one, never half of each.

use std::fs::{File, remove_file, rename};
use std::io::{self, Write};
use std::path::Path;

/// Replaces `path` by `bytes`: writes a sibling, flushes it to the device, renames it, and flushes the folder.
///
/// Whenever it stops, `path` is whole; the worst that stays behind is the sibling `.NAME.partial`.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let partial = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let written = write_synced(&partial, bytes).and_then(|()| rename(&partial, path));
    if let Err(error) = written {
        // The first error is the one to report, whether or not the remains can be removed.
        let _ = remove_file(&partial);
        return Err(error);
    }
    // A folder cannot be opened as a file everywhere; where it can, the rename is made durable too.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
