//! Bytes as a fitted score, with a digest that fits.
#![no_main]

mod common;

use lattice_phi4::FittedScore;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = common::file("score.json", &common::sealed("sha256", bytes));
    if let Ok(score) = FittedScore::read(&path) {
        score.write(&path).expect("what is read can be written");
        assert_eq!(FittedScore::read(&path).expect("it was written"), score);
    }
});
