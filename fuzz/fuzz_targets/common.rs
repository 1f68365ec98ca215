//! Files for readers that take a path.

use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::sync::LazyLock;

/// A folder of this process, in memory where there is one.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let parent = if memory.exists() { memory } else { std::env::temp_dir() };
    let folder = parent.join(format!("fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
});

/// A file with these bytes.
#[allow(dead_code)]
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.join(name);
    std::fs::write(&path, bytes).expect("room");
    path
}

/// SHA-256 in hexadecimal.
#[allow(dead_code)]
pub fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Entries of a JSON object, without the opening brace, with a digest that fits.
#[allow(dead_code)]
pub fn sealed(key: &str, entries: &[u8]) -> Vec<u8> {
    [format!("{{\"{key}\":\"{}\",", digest(entries)).as_bytes(), entries].concat()
}
