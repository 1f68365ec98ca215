//! Checks and fingerprints of training data.

use crate::SourceError;
use sha2::{Digest, Sha256};

/// Refuses data that are too few or not finite.
pub(crate) fn check_data(data: &[f64], needed: usize) -> Result<(), SourceError> {
    if data.len() < needed {
        return Err(SourceError::TooFewData { needed, found: data.len() });
    }
    match data.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(SourceError::NotFinite { index, value: data[index] }),
        None => Ok(()),
    }
}

/// SHA-256 of the numbers as little-endian bytes, in hexadecimal.
pub(crate) fn digest_of_data(data: &[f32]) -> String {
    let mut hash = Sha256::new();
    for chunk in data.chunks(4096) {
        let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
        hash.update(&bytes);
    }
    hexadecimal(&hash.finalize())
}

/// SHA-256 of numbers that come in parts, as little-endian doubles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn add(&mut self, part: &[f64]) {
        let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.0.update(&bytes);
    }

    /// In hexadecimal.
    pub(crate) fn finish(self) -> String {
        hexadecimal(&self.0.finalize())
    }
}

/// SHA-256 of bytes, in hexadecimal.
pub(crate) fn digest_of_bytes(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| DIGITS[usize::from(digit)] as char).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_digest() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_of_bytes(b"abc"), expected);
        assert_eq!(digest_of_data(&[1.0]), digest_of_bytes(&[0, 0, 128, 63]));
    }
}
