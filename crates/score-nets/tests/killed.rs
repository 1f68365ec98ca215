//! Training that is killed at any moment goes on to the same bits: `KILLED_RUNS=1000` for as many.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures of long runs, and what was skipped")]

#[path = "../../lattice-phi4/tests/killed/harness.rs"]
mod harness;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use score_nets::{
    Checkpoint, Mlp, MlpConfig, ResidualBatches, ResidualConfig, TrainConfig, Trainer, Validation,
};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

const STEPS: u64 = 60;

fn source(seed: u64) -> ResidualBatches {
    let data: Vec<f64> =
        (0..2000).map(|i| 1.0 + 0.4 * f64::from(i % 97) / 97.0 - 2.4 * f64::from(i % 2)).collect();
    ResidualBatches::new(&data, ResidualConfig { pairs: 32, seed, ..ResidualConfig::default() }).unwrap()
}

fn net() -> Mlp {
    Mlp::new(MlpConfig { width: 16, ..MlpConfig::residual() }, &mut Pcg64::seed_from_u64(1)).unwrap()
}

fn trainer(path: &Path, steps: u64) -> Trainer<'static, ResidualBatches> {
    let config = TrainConfig { steps, ..TrainConfig::residual(STEPS) };
    let trainer = if path.exists() {
        Trainer::resume(path, source(5), config).unwrap()
    } else {
        Trainer::new(net(), source(5), config).unwrap()
    };
    let every = Validation { every: 7, batches: 1, patience: None };
    trainer.with_validation(every, &mut source(6)).unwrap().with_checkpoints(path, 1)
}

fn train(path: &Path, steps: u64) -> Checkpoint {
    let mut trainer = trainer(path, steps);
    trainer.train(&mut |_| ControlFlow::Continue(())).unwrap();
    trainer.checkpoint()
}

#[test]
#[ignore = "is started by the other test"]
fn child() {
    train(&harness::folder().join("run.json"), STEPS);
}

fn whole() -> Checkpoint {
    let folder = tempfile::tempdir().unwrap();
    train(&folder.path().join("run.json"), STEPS)
}

fn check(folder: &Path, whole: &Checkpoint) {
    let made = Checkpoint::<Mlp>::read(folder.join("run.json")).unwrap();
    assert_eq!((made.step, &made), (STEPS, whole));
}

#[test]
fn killed_training_gives_the_same_bits() {
    let whole = whole();
    harness::killed_runs(4, |folder| check(folder, &whole));
}

#[test]
fn killed_at_every_step() {
    let whole = whole();
    harness::killed_at_every_step(|folder| check(folder, &whole));
}

/// The folder as it is after every operation of a checkpoint, and within each of the writes.
#[test]
fn a_checkpoint_can_stop_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let names = || -> Vec<String> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let before = train(&path, 10);
    let old: Vec<_> =
        names().into_iter().map(|name| (fs::read(folder.path().join(&name)).unwrap(), name)).collect();
    let after = train(&path, 11);
    let tensors = names().into_iter().find(|name| name.ends_with("safetensors")).unwrap();
    let new = [&tensors[..], "run.json"].map(|name| (name, fs::read(folder.path().join(name)).unwrap()));
    fs::remove_file(folder.path().join(&tensors)).unwrap();
    for (bytes, name) in &old {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let read = || Checkpoint::<Mlp>::read(&path).unwrap();
    let mut steps = 0;
    for (name, bytes) in new {
        let partial = folder.path().join(format!(".{name}.partial"));
        for length in (0..=bytes.len()).step_by(bytes.len().div_ceil(32)).chain([bytes.len()]) {
            fs::write(&partial, &bytes[..length]).unwrap();
            assert_eq!(read(), before, "{name}, {length}");
            steps += 1;
        }
        fs::rename(&partial, folder.path().join(name)).unwrap();
        assert_eq!(read(), if name == "run.json" { after.clone() } else { before.clone() }, "{name}");
        steps += 1;
    }
    // With the old tensors, which would have been removed next, it goes on all the same.
    assert_eq!(train(&path, 20), train(&tempfile::tempdir().unwrap().path().join("run.json"), 20));
    assert_eq!(names().len(), 3, "{:?}", names());
    assert!(steps > 60, "{steps}");
}
