//! Bytes as the pickle of a `.pt` file, with checksums that fit, and numbers for the tensors.
#![no_main]

mod common;

use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("n/data.pkl", bytes), ("n/data/0", &[0; 32768]), ("n/data/1", &[1; 4])] {
        archive.start_file(name, stored).expect("room");
        archive.write_all(bytes).expect("room");
    }
    let bytes = archive.finish().expect("room").into_inner();
    let _ = score_nets::read_published(common::file("net.pt", &bytes));
});
