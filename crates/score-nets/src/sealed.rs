//! JSON that tells when it was changed: the first entry of the object, `seal`, is the SHA-256 of everything behind it.

use crate::data::digest_of_bytes;

/// What a file begins with, and what follows the digest.
const BEGIN: &str = "{\"seal\":\"";
const END: &str = "\",";
/// Where the digest ends, and where the entries begin.
const DIGEST: usize = BEGIN.len() + 64;
const ENTRIES: usize = DIGEST + END.len();

/// The bytes are not what was sealed.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The first entry is another one.
    Foreign,
    /// Something behind the digest, or the digest, has changed.
    Digest { expected: String, found: String },
}

/// Puts the digest before the entries of `json`, an object that is not empty.
pub(crate) fn seal(json: &str) -> String {
    // Behind the opening brace.
    let entries = &json[1..];
    [BEGIN, &digest_of_bytes(entries.as_bytes()), END, entries].concat()
}

/// The object without the digest, which is made in place: the memory is that of the file.
pub(crate) fn unseal(bytes: &mut [u8]) -> Result<&[u8], Broken> {
    if !bytes.starts_with(BEGIN.as_bytes()) || bytes.get(DIGEST..ENTRIES) != Some(END.as_bytes()) {
        return Err(Broken::Foreign);
    }
    let (expected, found) = (&bytes[BEGIN.len()..DIGEST], digest_of_bytes(&bytes[ENTRIES..]));
    if expected != found.as_bytes() {
        return Err(Broken::Digest { expected: String::from_utf8_lossy(expected).into(), found });
    }
    bytes[ENTRIES - 1] = b'{';
    Ok(&bytes[ENTRIES - 1..])
}
