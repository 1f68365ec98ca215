//! Folders that cannot be written to: an error that names the file, and whatever was there stays there.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stderr, reason = "what was skipped is told")]

#[path = "disk/faults.rs"]
mod faults;

use lattice_phi4::ndarray::Array2;
use lattice_phi4::{
    EnsembleError, EnsembleReader, EnsembleWriter, FittedScore, Lattice, PerturbativeModel, Phi4, Production,
    Provenance, Run, Spectrum,
};
use std::path::Path;

fn action() -> Phi4 {
    Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.2, 0.0).unwrap()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().into()
}

#[test]
fn ensembles() {
    let write = |path: &Path, other: bool| {
        let made = Provenance { hopping: 0.2, lambda: 0.0, seed: 1, protocol: "none".into(), chains: 1 };
        let mut writer = EnsembleWriter::create(path, action().lattice(), 40, made)?;
        writer.push(Array2::from_elem((40, 64), if other { 2.0 } else { 1.0 }).view())?;
        writer.finish().map(drop)
    };
    let names = |path: &Path| vec![name(path), name(&path.with_extension("json"))];
    faults::every_fault("fields.npy", &names, write);
}

#[test]
fn scores() {
    let write = |path: &Path, other: bool| {
        let hopping = if other { 0.2 } else { 0.1 };
        let model = PerturbativeModel::gaussian(Spectrum::free(action().lattice(), hopping).unwrap());
        FittedScore { couplings: action().couplings(), protocol: "free field".into(), model }.write(path)
    };
    faults::every_fault("score.json", &|path| vec![name(path)], write);
}

/// The file is that of the state; a production makes its folder, and goes on from what was saved before.
#[test]
fn productions() {
    let run = Run::equilibrium(128, 3);
    let begun = run.begin(&action()).unwrap();
    let production = |steps: usize| {
        let mut production = begun.clone();
        (0..steps).for_each(|_| production.advance(&action()).unwrap());
        production
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for place in ["file", "file/inner"] {
        let error = production(1).save(&action(), &folder.path().join(place)).unwrap_err();
        assert!(matches!(error, EnsembleError::Io { action: "written", .. }), "{error}");
    }
    // The next part, its metadata and the state cannot be written, one after the other.
    let mut first = production(1);
    first.save(&action(), folder.path()).unwrap();
    for name in ["part-000001.npy", "part-000001.json", "state.json"] {
        let partial = folder.path().join(format!(".{name}.partial"));
        std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
        let mut second = Production::resume(&action(), run, folder.path()).unwrap().unwrap();
        assert_eq!(second, first, "{name}");
        second.advance(&action()).unwrap();
        let error = second.save(&action(), folder.path()).unwrap_err();
        assert!(matches!(error, EnsembleError::Io { action: "written", .. }), "{error}");
        assert_eq!(Production::resume(&action(), run, folder.path()).unwrap().unwrap(), first, "{name}");
        // With room again the same production can be saved.
        let _ = std::fs::remove_file(partial);
        let copy = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(folder.path()).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
            }
        }
        second.save(&action(), copy.path()).unwrap();
        assert_eq!(Production::resume(&action(), run, copy.path()).unwrap().unwrap(), second);
    }
    assert!(EnsembleReader::open(folder.path().join("part-000000.npy")).is_ok());
}
