//! Folders that cannot be written to, and what must become of a file that is there already.

#![allow(clippy::print_stderr, reason = "a test says what it could not try")]

use std::fmt::Display;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything in a folder, by name.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), fs::read(&path).unwrap_or_default())).collect();
    files.sort();
    files
}

/// What a writer does in every fault: `write(path, other)` writes one thing or another, of at least 512 bytes, to `path`, and `names`
/// are the files that it writes, in their order.
pub(crate) fn every_fault<E: Display>(
    file: &str,
    names: &dyn Fn(&Path) -> Vec<String>,
    write: impl Fn(&Path, bool) -> Result<(), E>,
) {
    let refused = |path: &Path, what: &str| match write(path, true) {
        Ok(()) => panic!("{what}: {} was written", path.display()),
        Err(error) => {
            let error = error.to_string();
            assert!(
                error.contains(path.parent().expect("a folder").to_str().expect("UTF-8")),
                "{what}: {error}"
            );
        }
    };
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();

    refused(&folder.join("no/such").join(file), "missing folder");
    fs::write(folder.join("file"), "of somebody").expect("a file");
    refused(&folder.join("file").join(file), "a file in the place of the folder");
    assert_eq!(contents(folder), [(folder.join("file"), b"of somebody".to_vec())]);

    let inner = folder.join("folder");
    fs::create_dir_all(inner.join(file)).expect("a folder");
    fs::write(inner.join(file).join("in use"), "by somebody").expect("a file");
    refused(&inner.join(file), "a folder in the place of the file");
    assert_eq!(fs::read_dir(&inner).expect("a folder").count(), 1, "what could not be used stays behind");
    assert!(inner.join(file).join("in use").exists());

    // The device without room takes the place of every file that is written.
    let full = folder.join("full");
    fs::create_dir(&full).expect("a folder");
    let path = full.join(file);
    write(&path, false).unwrap_or_else(|error| panic!("{error}"));
    let before = contents(&full);
    for name in names(&path) {
        let partial = full.join(format!(".{name}.partial"));
        symlink("/dev/full", &partial).expect("a link");
        refused(&path, "no room");
        // What was new beside it is no harm, as long as all that was there is there.
        let after = contents(&full);
        assert!(before.iter().all(|file| after.contains(file)), "{name}: what was there has changed");
        let _ = fs::remove_file(partial);
    }

    read_only(&path, &before, &refused);
    small_device(folder, file, &write, &refused);
}

/// A folder that takes no new files, unless this is the user whom nothing is forbidden.
fn read_only(path: &Path, before: &[(PathBuf, Vec<u8>)], refused: &impl Fn(&Path, &str)) {
    let folder = path.parent().expect("a folder");
    let mode = |mode| fs::set_permissions(folder, fs::Permissions::from_mode(mode)).expect("our folder");
    mode(0o555);
    if fs::write(folder.join("probe"), "").is_err() {
        refused(path, "read-only folder");
        assert!(before.iter().all(|file| contents(folder).contains(file)));
    } else {
        eprintln!("skipped: read-only folders, which this user may write to");
        let _ = fs::remove_file(folder.join("probe"));
    }
    mode(0o755);
}

/// A file system of a few kilobytes, where it may be mounted.
fn small_device<E: Display>(
    folder: &Path,
    file: &str,
    write: &impl Fn(&Path, bool) -> Result<(), E>,
    refused: &impl Fn(&Path, &str),
) {
    let device = folder.join("device");
    fs::create_dir(&device).expect("a folder");
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "none"]).arg(&device).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: a small device, which this user may not mount");
        return;
    }
    let path = device.join(file);
    let written = write(&path, false).map_err(|error| error.to_string());
    let before = contents(&device);
    let room = fs::write(device.join("rest"), vec![0; 1 << 20]);
    refused(&path, "full device");
    let after = contents(&device);
    let _ = Command::new("umount").arg(&device).output();
    written.expect("there was room");
    room.expect_err("there is no more room");
    assert!(before.iter().all(|file| after.contains(file)));
}
