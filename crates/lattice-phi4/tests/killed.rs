//! A program that is killed at any moment goes on to the same bits: `KILLED_RUNS=1000` for as many.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures of long runs, and what was skipped")]

#[path = "killed/harness.rs"]
mod harness;

use lattice_phi4::{Lattice, Phi4, Production, Run, Simulation, Start, equilibrium, paper};
use std::fs;
use std::path::Path;

fn action() -> Phi4 {
    Phi4::new(Lattice::new(&[2, 4]).unwrap(), 0.27, 0.022).unwrap()
}

const RUNS: [Run; 2] = [
    Run { configurations: 256, seed: 3, start: None, shard: (0, 1) },
    Run { configurations: 260, seed: 3, start: Some(Start::Hot), shard: (0, 1) },
];

/// Saved after every step, and gone on with if it was begun.
fn whole_runs(folder: &Path) {
    for (number, run) in RUNS.into_iter().enumerate() {
        let folder = folder.join(number.to_string());
        let saved = Production::resume(&action(), run, &folder).unwrap();
        let mut production = saved.unwrap_or_else(|| run.begin(&action()).unwrap());
        while production.done() < production.configurations() {
            production.advance(&action()).unwrap();
            production.save(&action(), &folder).unwrap();
        }
    }
}

#[test]
#[ignore = "is started by the other test"]
fn child() {
    whole_runs(&harness::folder());
}

fn whole() -> [Simulation; 2] {
    [
        equilibrium(&action(), 256, 3, &mut |_, _| ()).unwrap(),
        paper(&action(), 260, Start::Hot, 3, &mut |_, _| ()).unwrap(),
    ]
}

fn check(folder: &Path, whole: &[Simulation; 2]) {
    for (number, (run, whole)) in RUNS.into_iter().zip(whole).enumerate() {
        let made = Production::resume(&action(), run, &folder.join(number.to_string())).unwrap().unwrap();
        assert_eq!(made.done(), made.configurations());
        assert_eq!(&made.finish(), whole);
    }
}

#[test]
fn killed_runs_give_the_same_bits() {
    let whole = whole();
    harness::killed_runs(4, |folder| check(folder, &whole));
}

#[test]
fn killed_at_every_step() {
    let whole = whole();
    harness::killed_at_every_step(|folder| check(folder, &whole));
}

/// The folder as it is after every operation of a save, and within each of the writes.
#[test]
fn a_save_can_stop_anywhere() {
    let (action, run) = (action(), RUNS[0]);
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let mut production = run.begin(&action).unwrap();
    production.advance(&action).unwrap();
    production.save(&action, folder.path()).unwrap();
    let old_state = read("state.json");
    let before = production.clone();
    production.advance(&action).unwrap();
    production.save(&action, folder.path()).unwrap();
    let after = production;

    // In the order in which they are written.
    let new = ["part-000001.npy", "part-000001.json", "state.json"].map(|name| (name, read(name)));
    let put = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    let resumed = || Production::resume(&action, run, folder.path()).unwrap().unwrap();
    for (name, _) in &new[..2] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    put("state.json", &old_state);
    let mut steps = 0;
    for (name, bytes) in &new {
        let partial = format!(".{name}.partial");
        for length in (0..=bytes.len()).step_by(bytes.len().div_ceil(16)).chain([bytes.len()]) {
            put(&partial, &bytes[..length]);
            assert_eq!(resumed(), before, "{name}, {length}");
            steps += 1;
        }
        fs::rename(folder.path().join(partial), folder.path().join(name)).unwrap();
        assert_eq!(resumed(), if *name == "state.json" { after.clone() } else { before.clone() }, "{name}");
        steps += 1;
        // From here it goes on over the remains.
        let again = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), again.path().join(entry.file_name())).unwrap();
        }
        let mut production = resumed();
        while production.done() < 96 {
            production.advance(&action).unwrap();
            production.save(&action, again.path()).unwrap();
        }
        assert_eq!(Production::resume(&action, run, again.path()).unwrap().unwrap(), production);
    }
    assert!(steps > 40, "{steps}");
}
