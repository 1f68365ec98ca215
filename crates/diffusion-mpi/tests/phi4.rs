//! Lattice fields on several processes are those of one, whatever happens to the processes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use common::{bytes, mpirun, succeed};
use lattice_phi4::{EnsembleReader, Lattice, Phi4, equilibrium};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_phi4_mpi");

fn phi4(size: usize, words: &str, out: &Path) -> Command {
    let mut command = mpirun(size, PROGRAM);
    command.args(words.split(' ')).arg("--out").arg(out);
    command
}

#[test]
fn any_number_of_processes_makes_the_same_ensemble() {
    let folder = tempfile::tempdir().unwrap();
    let words = "--size 8 --hopping 0.21 --configs 320 --seed 3";
    for protocol in ["equilibrium", "paper"] {
        let run = |size: usize| {
            succeed(&mut phi4(size, &format!("{words} --protocol {protocol}"), folder.path()));
            bytes(&folder.path().join("fields.npy"))
        };
        let one = run(1);
        for size in 2..=4 {
            assert!(run(size) == one, "{protocol} on {size}");
        }
        if protocol == "equilibrium" {
            let action = Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.21, 0.022).unwrap();
            let alone = equilibrium(&action, 320, 3, &mut |_, _| ()).unwrap();
            let fields = EnsembleReader::open(folder.path().join("fields.npy")).unwrap().read_all().unwrap();
            assert_eq!(fields, alone.fields);
        }
    }
}

/// One of three processes is killed in the middle: the job ends, and two processes finish it.
#[test]
fn a_job_whose_process_is_killed_ends_and_can_be_resumed() {
    let (broken, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let words = "--size 16 --hopping 0.21 --configs 20000 --protocol paper --seed 5 --save-every 0";
    let mut job = phi4(3, words, broken.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let state = broken.path().join("checkpoint/part-000002.npy");
    while !state.exists() {
        assert!(Instant::now() < deadline && job.try_wait().unwrap().is_none(), "nothing is saved");
        std::thread::sleep(Duration::from_millis(5));
    }
    let victim = *children(job.id()).last().unwrap();
    succeed(Command::new("kill").args(["-9", &victim.to_string()]));
    let status = loop {
        if let Some(status) = job.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "the job goes on without one of its processes");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(!status.success());
    assert!(!broken.path().join("fields.npy").exists());

    let resumed = succeed(&mut phi4(2, words, broken.path()));
    let report = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert!(!report.contains(", 0 were there"), "{report}");
    succeed(&mut phi4(4, words, whole.path()));
    assert!(bytes(&broken.path().join("fields.npy")) == bytes(&whole.path().join("fields.npy")));
    assert!(!broken.path().join("checkpoint").exists());
}

/// The processes that `parent` has started.
fn children(parent: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(|word| word.parse().unwrap()).collect()
}
