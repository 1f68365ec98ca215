//! A net trained by several processes has the weights, and gives the fields, of one trained by one.

use crate::mpirun::{bytes, kill_one, mpirun, succeed};
use std::path::Path;
use std::process::Command;

fn score(size: usize, fields: &Path, steps: usize, out: &Path) -> Command {
    let mut command = mpirun(size, env!("CARGO_BIN_EXE_score_mpi"));
    command.args(["--training-steps", &steps.to_string(), "--configs", "37", "--seed", "3", "--fields"]);
    command.arg(fields).arg("--out").arg(out);
    command
}

fn ensemble(folder: &Path) -> std::path::PathBuf {
    let words = ["--size", "8", "--hopping", "0.21", "--configs", "320", "--out"];
    succeed(Command::new(env!("CARGO_BIN_EXE_phi4_mpi")).args(words).arg(folder));
    folder.join("fields.npy")
}

#[test]
fn any_number_of_processes_trains_the_same_net() {
    let folder = tempfile::tempdir().unwrap();
    let fields = ensemble(folder.path());
    let run = |size: usize| {
        let out = tempfile::tempdir().unwrap();
        succeed(&mut score(size, &fields, 6, out.path()));
        ["net.safetensors", "generated.npy"].map(|file| bytes(&out.path().join(file)))
    };
    let one = run(1);
    for size in 2..=4 {
        assert!(run(size) == one, "{size}");
    }
}

#[test]
fn a_training_whose_process_is_killed_goes_on_on_another_number() {
    let (broken, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fields = ensemble(whole.path());
    let steps = 150;
    kill_one(&mut score(3, &fields, steps, broken.path()), &broken.path().join("net.safetensors"));
    assert!(!broken.path().join("generated.npy").exists());
    succeed(&mut score(2, &fields, steps, broken.path()));
    succeed(&mut score(4, &fields, steps, whole.path()));
    for file in ["net.safetensors", "generated.npy"] {
        assert!(bytes(&broken.path().join(file)) == bytes(&whole.path().join(file)), "{file}");
    }
}
