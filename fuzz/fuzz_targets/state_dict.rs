//! Bytes as a `.pt` file.
#![no_main]

mod common;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = score_nets::read_published(common::file("net.pt", bytes));
});
