//! Bytes as a `.npy` file without metadata.
#![no_main]

mod common;

use lattice_phi4::{EnsembleFields, EnsembleReader};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = common::file("array.npy", bytes);
    if let Ok(fields) = EnsembleReader::open_array(&path).and_then(EnsembleReader::read_all) {
        assert!(4 * fields.len() <= bytes.len() && fields.iter().all(|value| value.is_finite()));
        assert!(EnsembleFields::open_array(&path).is_ok());
    }
});
