//! JSON with the digest of its entries in front, as anybody can make it.

use sha2::{Digest, Sha256};

/// The entries behind the seal.
pub(crate) fn entries(sealed: &[u8]) -> Vec<u8> {
    let start = sealed.windows(3).position(|bytes| bytes == b"\":\"").expect("a seal") + 3 + 64 + 2;
    sealed[start..].to_vec()
}

/// `{"key":"digest",` and the entries.
pub(crate) fn sealed(key: &str, entries: &[u8]) -> Vec<u8> {
    [format!("{{\"{key}\":\"{:x}\",", Sha256::digest(entries)).as_bytes(), entries].concat()
}
