//! Folders that cannot be written to: an error that names the file, and whatever was there stays there.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stderr, reason = "what was skipped is told")]

#[path = "../../lattice-phi4/tests/disk/faults.rs"]
mod faults;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use score_nets::{Checkpoint, Mlp, MlpConfig, SourceSettings, TrainConfig};
use std::fs;
use std::path::Path;

fn checkpoint(other: bool) -> Checkpoint {
    let config = MlpConfig { width: 16, ..MlpConfig::residual() };
    let net = Mlp::new(config, &mut Pcg64::seed_from_u64(u64::from(other))).unwrap();
    let weights = net.parameters().to_vec();
    Checkpoint {
        net: config,
        train: TrainConfig::residual(200),
        source: SourceSettings { kind: "noise".into(), seed: 5, config: "{}".into(), data: "none".into() },
        step: 40,
        best: None,
        worse: 0,
        average: weights.clone(),
        first_moment: vec![0.0; weights.len()],
        second_moment: vec![0.0; weights.len()],
        weights,
        best_weights: None,
    }
}

#[test]
fn checkpoints() {
    // The tensors of the other checkpoint have a name of their own.
    let elsewhere = tempfile::tempdir().unwrap();
    checkpoint(true).write(elsewhere.path().join("run.json")).unwrap();
    let names: Vec<String> = fs::read_dir(elsewhere.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2);
    let write = |path: &Path, other: bool| checkpoint(other).write(path);
    faults::every_fault("run.json", &|_| names.clone(), write);
}
