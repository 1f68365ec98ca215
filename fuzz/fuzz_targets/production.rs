//! Bytes as the state of a production, with a seal that fits.
#![no_main]

mod common;

use lattice_phi4::{Lattice, Phi4, Production, Run};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = common::file("state.json", &common::sealed("seal", bytes));
    let folder = path.parent().expect("a folder");
    let action = Phi4::new(Lattice::new(&[4, 4]).expect("a lattice"), 0.21, 0.022).expect("an action");
    let _ = Production::resume(&action, Run::equilibrium(320, 3), folder);
});
