//! Bytes as numbers: `cargo fuzz run any_input` in the crate's folder.
#![no_main]

#[path = "../../tests/any_input/mod.rs"]
mod any_input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // A few thousand numbers at most: some estimators look at all pairs.
    let numbers: Vec<f64> = bytes.as_chunks().0.iter().take(4096).map(|bytes| f64::from_le_bytes(*bytes)).collect();
    any_input::run(&numbers);
});
