//! Bytes as the metadata of a checkpoint, of every kind of net, with a seal that fits.
#![no_main]

mod common;

use score_nets::{Checkpoint, ConditionalUnet, Mlp, OddUnet, PublishedUnet};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = common::file("run.json", &common::sealed("seal", bytes));
    let _ = Checkpoint::<Mlp>::read(&path);
    let _ = Checkpoint::<OddUnet>::read(&path);
    let _ = Checkpoint::<ConditionalUnet>::read(&path);
    let _ = Checkpoint::<PublishedUnet>::read(&path);
});
