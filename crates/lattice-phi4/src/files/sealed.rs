//! JSON that tells when it was changed: the first entry of the object is the SHA-256 of everything behind it.
//!
//! ```text
//! {"seal":"ba7816bf..",  ..the other entries.. }
//!                       ^ from here on
//! ```

use super::ensemble::hexadecimal;
use sha2::{Digest, Sha256};

/// What follows the digest.
const END: &str = "\",";
/// Length of a digest in hexadecimal.
const DIGITS: usize = 64;

/// The bytes are not what was sealed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The first entry is another one.
    Foreign,
    /// Something behind the digest, or the digest, has changed.
    Digest { expected: String, found: String },
}

/// What a file begins with.
fn beginning(key: &str) -> String {
    format!("{{\"{key}\":\"")
}

/// Puts the digest under `key` before the entries of `json`, an object that is not empty.
pub(crate) fn seal(key: &str, json: &str) -> String {
    // Behind the opening brace.
    let entries = &json[1..];
    [&beginning(key), hexadecimal(&Sha256::digest(entries)).as_str(), END, entries].concat()
}

/// The object without the digest, which is made in place: the memory is that of the file.
pub(crate) fn unseal<'a>(key: &str, bytes: &'a mut [u8]) -> Result<&'a [u8], Broken> {
    let begin = beginning(key);
    let digest = begin.len();
    let (end, entries) = (digest + DIGITS, digest + DIGITS + END.len());
    if !bytes.starts_with(begin.as_bytes()) || bytes.get(end..entries) != Some(END.as_bytes()) {
        return Err(Broken::Foreign);
    }
    let (expected, found) = (&bytes[digest..end], hexadecimal(&Sha256::digest(&bytes[entries..])));
    if expected != found.as_bytes() {
        return Err(Broken::Digest { expected: String::from_utf8_lossy(expected).into(), found });
    }
    bytes[entries - 1] = b'{';
    Ok(&bytes[entries - 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_comes_back_and_no_change_goes_unseen() {
        let sealed = seal("seal", "{\n \"a\": 1}");
        assert!(sealed.starts_with("{\"seal\":\"") && sealed.ends_with("\",\n \"a\": 1}"));
        assert_eq!(unseal("seal", &mut sealed.clone().into_bytes()).unwrap(), b"{\n \"a\": 1}");
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(unseal("seal", &mut changed).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(unseal("seal", &mut sealed.as_bytes()[..length].to_vec()).is_err(), "{length}");
        }
    }
}
