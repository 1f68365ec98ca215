//! Sampling that is killed at any moment is begun again, and gives the same bits: `KILLED_RUNS=1000` for as many.
//!
//! A trajectory is not saved on its way: noise is a function of its address, so that what is done again is the same. The file of the samples
//! is there as a whole or not at all.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "figures of long runs, and what was skipped")]

#[path = "../../lattice-phi4/tests/killed/harness.rs"]
mod harness;

use diffusion::{CumulantFlow, Evolution, Prior};
use lattice_phi4::{EnsembleReader, EnsembleWriter, Lattice, Provenance};
use sde_core::{ChurnHeun, Noise, Reverse, TimeGrid, TwoPeak, VarianceExpanding};
use std::fs;
use std::path::Path;

/// Samples as fields of sixteen sites.
const FIELDS: usize = 1000;

fn sample(path: &Path) {
    // What is there is whole.
    if path.exists() && EnsembleReader::open(path).is_ok_and(|reader| reader.read_all().is_ok()) {
        return;
    }
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let model = TwoPeak::new(1.0, 0.25).unwrap();
    let kappa_2 = model.cumulant(2);
    let process = Reverse { schedule, score: model.score(schedule) };
    let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 50).unwrap();
    let mut x = Prior::Matched { kappa_2 }.draw(&schedule, grid.start(), FIELDS, 16, &Noise::new(1, 1));
    let mut flow = CumulantFlow::every(&grid, 20);
    let integrator = ChurnHeun::default();
    Evolution::new(&process, &integrator, &grid, Noise::new(1, 2)).run(x.view_mut(), &mut flow).unwrap();
    let made = Provenance { hopping: 0.0, lambda: 0.0, seed: 1, protocol: "samples".into(), chains: 1 };
    let mut writer = EnsembleWriter::create(path, &Lattice::new(&[4, 4]).unwrap(), FIELDS, made).unwrap();
    for slab in x.axis_chunks_iter(sde_core::ndarray::Axis(0), 100) {
        writer.push(slab).unwrap();
    }
    writer.finish().unwrap();
}

#[test]
#[ignore = "is started by the other test"]
fn child() {
    sample(&harness::folder().join("samples.npy"));
}

/// The samples and what is said of them.
fn files(folder: &Path) -> [Vec<u8>; 2] {
    ["samples.npy", "samples.json"].map(|name| fs::read(folder.join(name)).unwrap())
}

fn whole() -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().unwrap();
    sample(&folder.path().join("samples.npy"));
    files(folder.path())
}

#[test]
fn killed_sampling_gives_the_same_bits() {
    let whole = whole();
    harness::killed_runs(4, |folder| assert_eq!(files(folder), whole));
}
#[test]
fn killed_at_every_step() {
    let whole = whole();
    harness::killed_at_every_step(|folder| assert_eq!(files(folder), whole));
}
