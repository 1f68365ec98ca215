//! Lattice fields on several processes are those of one, whatever happens to the processes.

use crate::mpirun::{bytes, kill_one, mpirun, succeed};
use lattice_phi4::{EnsembleReader, Lattice, Phi4, equilibrium};
use std::path::Path;
use std::process::Command;

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
    let words = "--size 8 --hopping 0.21 --configs 6000 --protocol paper --seed 5 --save-every 0";
    let checkpoint = broken.path().join("checkpoint");
    kill_one(&mut phi4(3, words, broken.path()), &checkpoint.join("part-000002.npy"));
    assert!(!broken.path().join("fields.npy").exists());

    let resumed = succeed(&mut phi4(2, words, broken.path()));
    let report = String::from_utf8_lossy(&resumed.stdout).into_owned();
    assert!(!report.contains(", 0 were there"), "{report}");
    succeed(&mut phi4(4, words, whole.path()));
    assert!(bytes(&broken.path().join("fields.npy")) == bytes(&whole.path().join("fields.npy")));
    assert!(!checkpoint.exists());
}
