//! Bytes as the metadata of an ensemble, with a seal that fits.
#![no_main]

mod common;

use lattice_phi4::EnsembleReader;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Two configurations of 2 x 2.
    let mut header = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, 2), }".to_vec();
    header.resize(127, b' ');
    header.push(b'\n');
    header.extend([0; 64]);
    let path = common::file("ensemble.npy", &header);
    common::file("ensemble.json", &common::sealed("seal", bytes));
    let _ = EnsembleReader::open(&path).and_then(EnsembleReader::read_all);
});
