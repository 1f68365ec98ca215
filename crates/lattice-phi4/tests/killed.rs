//! A program that is killed while it makes an ensemble, and started again, makes the same one.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{Lattice, Phi4, Production, Run, Start, equilibrium, paper};
use std::env;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// The folder that the child works in.
const FOLDER: &str = "LATTICE_PHI4_KILLED";
const KILL: i32 = 9;

fn action() -> Phi4 {
    Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.27, 0.022).unwrap()
}

const RUNS: [Run; 2] = [
    Run { configurations: 6400, seed: 3, start: None, shard: (0, 1) },
    Run { configurations: 3000, seed: 3, start: Some(Start::Hot), shard: (0, 1) },
];

/// What the child does: all runs, each saved after every step and gone on with if it was begun.
#[test]
#[ignore = "is started by the other test"]
fn child() {
    let folder = env::var(FOLDER).unwrap();
    for (number, run) in RUNS.into_iter().enumerate() {
        let folder = Path::new(&folder).join(number.to_string());
        let saved = Production::resume(&action(), run, &folder).unwrap();
        let mut production = saved.unwrap_or_else(|| run.begin(&action()).unwrap());
        while production.done() < production.configurations() {
            production.advance(&action()).unwrap();
            production.save(&action(), &folder).unwrap();
        }
    }
}

#[test]
fn killed_runs_give_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let mut kills = 0;
    loop {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["child", "--exact", "--ignored"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The moments fall anywhere in computing and in writing; later ones come later, so that any machine gets to the end.
        thread::sleep(Duration::from_millis(20 + (kills * 7919 + 104_729) % 181 + 5 * kills));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        if status.success() {
            break;
        }
        assert_eq!(status.signal(), Some(KILL), "the child failed by itself: {status}");
        kills += 1;
    }
    assert!(kills >= 3, "only {kills} kills before the end");
    let whole = [
        equilibrium(&action(), 6400, 3, &mut |_, _| ()).unwrap(),
        paper(&action(), 3000, Start::Hot, 3, &mut |_, _| ()).unwrap(),
    ];
    for (number, (run, whole)) in RUNS.into_iter().zip(whole).enumerate() {
        let folder = folder.path().join(number.to_string());
        let made = Production::resume(&action(), run, &folder).unwrap().unwrap();
        assert_eq!(made.done(), made.configurations());
        assert_eq!(made.finish(), whole, "after {kills} kills");
    }
}
