//! The header of a NumPy `.npy` file, versions 1.0 and 2.0, as far as ensembles need it.
//!
//! ```text
//! \x93NUMPY  major  minor  length (2 or 4 bytes)  {'descr': '<f8', 'fortran_order': False, 'shape': (N, L, L), }
//! ```
//!
//! padded with spaces and a newline so that the data start at a multiple of 64 bytes. Only what NumPy itself writes
//! is understood: the three keys, a little-endian real number type, C order. The numbers follow row by row.

use std::fmt::Write as _;
use std::io::{self, Read};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Magic, version and the length of a version 1.0 header.
const PREFIX: usize = 10;
/// Longer headers than this hold no shape of a lattice.
const LONGEST: usize = 1 << 16;

/// The types of numbers that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    F32,
    F64,
}

impl Number {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Decodes little-endian numbers.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut [f64]) {
        match self {
            Self::F32 => {
                for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *out = f64::from(f32::from_le_bytes(*bytes));
                }
            }
            Self::F64 => {
                for (out, bytes) in out.iter_mut().zip(bytes.as_chunks::<8>().0) {
                    *out = f64::from_le_bytes(*bytes);
                }
            }
        }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) number: Number,
    pub(crate) shape: Vec<usize>,
}

/// The header is none, or not that of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NpyError {
    /// The file does not start as a `.npy` file does.
    #[error("magic: expected \\x93NUMPY and version 1.0 or 2.0, found {found:02x?}")]
    Magic {
        /// The first bytes.
        found: [u8; 8],
    },
    /// The file ends within its header.
    #[error("header: the file ends within it")]
    Truncated,
    /// The header is longer than that of any ensemble.
    #[error("header: expected at most {LONGEST} bytes, found {found}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// The header is not the dictionary that NumPy writes.
    #[error("header: expected the keys descr, fortran_order and shape, found {found:?}")]
    Dictionary {
        /// The text of the header.
        found: String,
    },
    /// The numbers are of another type.
    #[error("descr: expected '<f8' or '<f4', found {found:?}")]
    Dtype {
        /// What the header says.
        found: String,
    },
    /// The array is stored column by column.
    #[error("fortran_order: expected False, found True")]
    FortranOrder,
}

/// The header of an array of doubles.
pub(crate) fn write_header(shape: &[usize]) -> Vec<u8> {
    let mut text = String::from("{'descr': '<f8', 'fortran_order': False, 'shape': (");
    for extent in shape {
        // Writing to a string cannot fail.
        let _ = write!(text, "{extent}, ");
    }
    // Python's form of a tuple: a trailing comma only for a single element.
    text.truncate(text.len() - if shape.len() == 1 { 1 } else { 2 });
    text.push_str("), }");
    let length = (PREFIX + text.len() + 1).next_multiple_of(64) - PREFIX;
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend((length as u16).to_le_bytes());
    header.extend(text.bytes());
    header.resize(PREFIX + length - 1, b' ');
    header.push(b'\n');
    header
}

/// Reads a header; returns it with its bytes, which a digest of the file covers.
///
/// The outer error is the operating system's, the inner one the file's.
pub(crate) fn read_header(mut file: impl Read) -> io::Result<Result<(Header, Vec<u8>), NpyError>> {
    let mut bytes = Vec::new();
    let mut more = |length: usize, bytes: &mut Vec<u8>| -> io::Result<bool> {
        Ok((&mut file).take(length as u64).read_to_end(bytes)? == length)
    };
    if !more(8, &mut bytes)? {
        return Ok(Err(NpyError::Truncated));
    }
    let found: [u8; 8] = std::array::from_fn(|i| bytes[i]);
    let size = match (found.starts_with(MAGIC), found[6], found[7]) {
        (true, 1, 0) => 2,
        (true, 2, 0) => 4,
        _ => return Ok(Err(NpyError::Magic { found })),
    };
    if !more(size, &mut bytes)? {
        return Ok(Err(NpyError::Truncated));
    }
    let length = bytes[8..].iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    let start = bytes.len();
    if length > LONGEST {
        return Ok(Err(NpyError::TooLong { found: length }));
    }
    if !more(length, &mut bytes)? {
        return Ok(Err(NpyError::Truncated));
    }
    let text = String::from_utf8_lossy(&bytes[start..]);
    Ok(parse(&text).map(|header| (header, bytes)))
}

/// Understands the dictionary, in any order of its keys.
fn parse(text: &str) -> Result<Header, NpyError> {
    let bad = || NpyError::Dictionary { found: text.trim_end().into() };
    let mut rest = text.trim().strip_prefix('{').and_then(|t| t.strip_suffix('}')).ok_or_else(bad)?.trim();
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, value) = rest.split_once(':').ok_or_else(bad)?;
        let value = value.trim_start();
        let end = match value.as_bytes().first() {
            Some(b'(') => value.find(')').map(|at| at + 1),
            _ => value.find(','),
        };
        let (value, after) = value.split_at(end.unwrap_or(value.len()));
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        let place = match key.trim().trim_matches(['\'', '"']) {
            "descr" => &mut descr,
            "fortran_order" => &mut fortran,
            "shape" => &mut shape,
            _ => return Err(bad()),
        };
        if place.replace(value.trim()).is_some() {
            return Err(bad());
        }
    }
    let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else { return Err(bad()) };

    let number = match descr.trim_matches(['\'', '"']) {
        "<f8" => Number::F64,
        "<f4" => Number::F32,
        found => return Err(NpyError::Dtype { found: found.into() }),
    };
    match fortran {
        "False" => {}
        "True" => return Err(NpyError::FortranOrder),
        _ => return Err(bad()),
    }
    let shape = shape.strip_prefix('(').and_then(|s| s.strip_suffix(')')).ok_or_else(bad)?;
    let shape: Option<Vec<usize>> =
        shape.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| n.parse().ok()).collect();
    Ok(Header { number, shape: shape.ok_or_else(bad)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_numpy() {
        // numpy.save of zeros((3, 4, 4)), (7,) and (2, 0): the text between prefix and padding.
        for (shape, text) in [(&[3, 4, 4][..], "(3, 4, 4)"), (&[7], "(7,)"), (&[2, 0], "(2, 0)")] {
            let header = write_header(shape);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(header[..8], *b"\x93NUMPY\x01\x00");
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])) + 10, header.len());
            let dictionary = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {text}, }}");
            assert_eq!(String::from_utf8_lossy(&header[10..]).trim_end(), dictionary);
            assert_eq!(header.last(), Some(&b'\n'));
            let (parsed, bytes) = read_header(&header[..]).unwrap().unwrap();
            assert_eq!((parsed.number, &parsed.shape[..], bytes), (Number::F64, shape, header.clone()));
        }
    }

    #[test]
    fn other_spellings_are_understood() {
        let same = parse("{\"shape\": (2, 3,), 'fortran_order':False,'descr':'<f4'}\n").unwrap();
        assert_eq!(same, Header { number: Number::F32, shape: vec![2, 3] });
        let mut second = b"\x93NUMPY\x02\x00".to_vec();
        let text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n";
        second.extend((text.len() as u32).to_le_bytes());
        second.extend(text);
        assert_eq!(read_header(&second[..]).unwrap().unwrap().0.shape, [1]);
    }

    #[test]
    fn hostile_headers_are_refused() {
        let of = |text: &str| parse(text).unwrap_err();
        let bad = |text: &str| assert!(matches!(of(text), NpyError::Dictionary { .. }), "{text}");
        assert!(matches!(
            of("{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }"),
            NpyError::Dtype { .. }
        ));
        assert!(matches!(
            of("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}"),
            NpyError::Dtype { .. } | NpyError::Dictionary { .. }
        ));
        assert_eq!(of("{'descr': '<f8', 'fortran_order': True, 'shape': (1,), }"), NpyError::FortranOrder);
        for text in [
            "",
            "{",
            "{}",
            "}{",
            "{'descr': '<f8', 'fortran_order': False}",
            "{'descr': '<f8', 'fortran_order': 0, 'shape': (1,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': 1}",
            "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
            "{'other': 1, 'descr': '<f8', 'fortran_order': False, 'shape': (1,)}",
            "{'descr'",
        ] {
            bad(text);
        }
        let header = write_header(&[2, 2]);
        for length in 0..header.len() {
            assert_eq!(read_header(&header[..length]).unwrap(), Err(NpyError::Truncated));
        }
        // Padding as NumPy's own, up to a limit.
        let padded = |length: usize| {
            let mut file = b"\x93NUMPY\x02\x00".to_vec();
            file.extend((length as u32).to_le_bytes());
            file.extend_from_slice(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }");
            file.resize(12 + length, b' ');
            read_header(&file[..]).unwrap().map(|(header, _)| header.shape)
        };
        assert_eq!(padded(LONGEST), Ok(vec![1]));
        assert_eq!(padded(LONGEST + 1), Err(NpyError::TooLong { found: LONGEST + 1 }));
        assert!(matches!(read_header(&b"PK\x03\x04 zip.."[..]).unwrap(), Err(NpyError::Magic { .. })));
    }
}
