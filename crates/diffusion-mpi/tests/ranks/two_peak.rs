//! Trajectories on several processes are those of one, to the last byte.

use crate::mpirun::{bytes, mpirun, succeed};
use diffusion::{CumulantFlow, Evolution, draw};
use sde_core::{ExactTransition, Forward, Noise, TimeGrid, TwoPeak, VarianceExpanding};

const PROGRAM: &str = env!("CARGO_BIN_EXE_two_peak_mpi");

/// What one process measures forwards, without this crate.
fn alone(trajectories: usize, steps: usize, seed: u64) -> Vec<u8> {
    let model = TwoPeak::new(1.0, 0.25).unwrap();
    let grid = TimeGrid::uniform(0.0, 1.0, steps).unwrap();
    let mut x = draw(trajectories, 1, &Noise::new(seed, 0), |noise, x| model.fill(noise, x));
    let mut flow = CumulantFlow::every(&grid, 1);
    let process = Forward(VarianceExpanding::new(10.0).unwrap());
    Evolution::new(&process, &ExactTransition::default(), &grid, Noise::new(seed, 1))
        .run(x.view_mut(), &mut flow)
        .unwrap();
    [serde_json::to_vec_pretty(&flow.points()).unwrap(), b"\n".to_vec()].concat()
}

#[test]
fn any_number_of_processes_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    // The first fills no leaf, the second is cut unevenly, the third has bins of more than a leaf.
    for trajectories in [5, 20_001, 601_234] {
        let run = |process: &str, size: usize| {
            let words = [
                "--process",
                process,
                "--trajectories",
                &trajectories.to_string(),
                "--steps",
                "6",
                "--seed",
                "7",
            ];
            succeed(mpirun(size, PROGRAM).args(words).arg("--out").arg(&file));
            bytes(&file)
        };
        let expected = alone(trajectories, 6, 7);
        let backwards = run("backward", 1);
        for size in 1..=4 {
            assert_eq!(run("forward", size), expected, "{trajectories} forwards on {size}");
            assert_eq!(run("backward", size), backwards, "{trajectories} backwards on {size}");
        }
    }
}

#[test]
fn without_mpirun_there_is_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("points.json");
    let mut command = std::process::Command::new(PROGRAM);
    command.args(["--trajectories", "5000", "--steps", "3", "--threads", "2"]).arg("--out").arg(&file);
    let output = succeed(&mut command);
    assert_eq!(bytes(&file), alone(5000, 3, 1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 processes, 2 cores"));
}

#[test]
fn what_one_process_cannot_do_ends_the_job() {
    let output = mpirun(3, PROGRAM)
        .args(["--trajectories", "100", "--steps", "1", "--out", "/nowhere/points.json"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("No such file"), "{output:?}");
}
