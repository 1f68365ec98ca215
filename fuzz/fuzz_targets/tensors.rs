//! Bytes as the tensors of a checkpoint, with digests that fit.
#![no_main]

mod common;

use score_nets::{Checkpoint, Mlp};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let entries = format!(
        "\"version\":2,\"kind\":\"mlp\",\"step\":1,\"best\":null,\"worse\":0,\"net\":{{\"width\":16,\"activation\":\"silu\",\
         \"embedding\":{{\"log_noise\":{{\"harmonics\":1}}}},\"embedding_bias\":false,\"odd\":true}},\"train\":{TRAIN},\
         \"source\":{{\"kind\":\"\",\"seed\":0,\"config\":\"\",\"data\":\"\"}},\"tensors\":\"tensors.safetensors\",\"sha256\":\"{}\"}}",
        common::digest(bytes)
    );
    common::file("tensors.safetensors", bytes);
    let path = common::file("run.json", &common::sealed("seal", entries.as_bytes()));
    if let Ok(checkpoint) = Checkpoint::<Mlp>::read(&path) {
        checkpoint.model().expect("what is read is a net");
    }
});

const TRAIN: &str = include_str!("train.json");
