//! Damaged and forged files: each is refused, or read as what it was, with little memory.
//!
//! `HOSTILE_FILES=10000 cargo test --release --test hostile -- --nocapture` tries as many of every format.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the figures are what a long run is for")]

#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/mutations.rs"]
mod mutations;
#[path = "hostile/sealed.rs"]
mod sealed;

use lattice_phi4::ndarray::Array2;
use lattice_phi4::{
    EnsembleFields, EnsembleReader, EnsembleWriter, Feature, FitConfig, FittedScore, Lattice,
    PerturbativeModel, Phi4, Production, Provenance, Run, Spectrum,
};
use mutations::{Mutations, Outcomes, count};
use sde_core::{Configurations, Noise, NormalSource};
use sealed::{entries, sealed};
use std::fs;
use std::path::{Path, PathBuf};

fn action() -> Phi4 {
    Phi4::new(Lattice::new(&[4, 6]).unwrap(), 0.21, 0.022).unwrap()
}

fn fields(configurations: usize) -> Array2<f64> {
    let mut fields = Array2::zeros((configurations, 24));
    Noise::new(1, 0).block(0, 0).fill(0, fields.as_slice_mut().unwrap());
    fields
}

fn ensemble(folder: &Path) -> PathBuf {
    let path = folder.join("fields.npy");
    let made =
        Provenance { hopping: 0.21, lambda: 0.022, seed: 1, protocol: "equilibrium".into(), chains: 2 };
    let mut writer = EnsembleWriter::create(&path, action().lattice(), 8, made).unwrap();
    writer.push(fields(8).view()).unwrap();
    writer.finish().unwrap();
    path
}

/// A file of a set, whole and changed.
struct Victim {
    path: PathBuf,
    whole: Vec<u8>,
}

impl Victim {
    fn new(path: PathBuf) -> Self {
        Self { whole: fs::read(&path).unwrap(), path }
    }

    /// Runs `read` with `bytes` in the file, until it is [restored](Self::restore).
    fn with<T>(&self, bytes: &[u8], read: impl FnOnce() -> T) -> T {
        fs::write(&self.path, bytes).unwrap();
        read()
    }

    fn restore(&self) {
        fs::write(&self.path, &self.whole).unwrap();
    }
}

/// Every cut within the first bytes, then changes by the seed.
fn changes(whole: &[u8], seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut mutations = Mutations::new(seed);
    let cuts = (0..whole.len().min(128)).map(|length| whole[..length].to_vec());
    cuts.chain((0..count()).map(move |_| mutations.of(whole)))
}

/// With a digest nothing but the original is accepted, whichever of the files was changed.
fn only_the_original<T: PartialEq + std::fmt::Debug, E>(
    format: &str,
    files: &[PathBuf],
    read: impl Fn() -> Result<T, E>,
) {
    let victims: Vec<Victim> = files.iter().cloned().map(Victim::new).collect();
    let original = read().ok().unwrap();
    let size: usize = victims.iter().map(|victim| victim.whole.len()).sum();
    for (number, victim) in victims.iter().enumerate() {
        let mut outcomes = Outcomes::default();
        for bytes in changes(&victim.whole, number as u64) {
            let size = size - victim.whole.len() + bytes.len();
            if let Some(found) = victim.with(&bytes, || outcomes.see(size, &read)) {
                assert_eq!(found, original, "{format}: {:?}", String::from_utf8_lossy(&bytes));
            }
        }
        victim.restore();
        outcomes.report(&format!("{format}, {}", victim.path.file_name().unwrap().display()));
    }
}

#[test]
fn ensembles() {
    let folder = tempfile::tempdir().unwrap();
    let path = ensemble(folder.path());
    let files = [path.clone(), path.with_extension("json")];
    only_the_original("ensemble", &files, || {
        let reader = EnsembleReader::open(&path)?;
        let metadata = reader.metadata().cloned();
        reader.read_all().map(|fields| (metadata, fields))
    });
    only_the_original("ensemble in any order", &files, || {
        let stored = EnsembleFields::open(&path)?;
        let mut all = Array2::zeros((stored.len(), stored.sites()));
        for (index, mut row) in all.outer_iter_mut().enumerate() {
            stored.configuration(index, row.as_slice_mut().unwrap())?;
        }
        Ok::<_, lattice_phi4::EnsembleError>((stored.metadata().cloned(), all))
    });
}

/// An array of somebody else has no digest: what is accepted has the shape and the length of the file, and is finite.
#[test]
fn arrays_without_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let victim = Victim::new(ensemble(folder.path()));
    let mut outcomes = Outcomes::default();
    for bytes in changes(&victim.whole, 7) {
        let read = || {
            let reader = EnsembleReader::open_array(&victim.path)?;
            let lattice = reader.lattice().clone();
            reader.read_all().map(|fields| (lattice, fields))
        };
        let Some((lattice, fields)) = victim.with(&bytes, || outcomes.see(bytes.len(), read)) else {
            continue;
        };
        assert_eq!(fields.ncols(), lattice.volume());
        let header = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let size = if String::from_utf8_lossy(&bytes[..header]).contains("<f4") { 4 } else { 8 };
        assert_eq!(header + size * fields.len(), bytes.len());
        assert!(fields.iter().all(|value| value.is_finite()));
    }
    outcomes.report("array");
}

#[test]
fn productions() {
    let folder = tempfile::tempdir().unwrap();
    let (action, run) = (action(), Run::equilibrium(320, 3));
    let mut production = run.begin(&action).unwrap();
    for _ in 0..2 {
        production.advance(&action).unwrap();
        production.save(&action, folder.path()).unwrap();
    }
    let files = ["state.json", "part-000000.npy", "part-000000.json", "part-000001.npy", "part-000001.json"];
    let files = files.map(|name| folder.path().join(name));
    only_the_original("production", &files, || Production::resume(&action, run, folder.path()));

    // A right digest of wrong entries: whatever is resumed can go on, or at least be finished.
    let victim = Victim::new(files[0].clone());
    let inner = entries(&victim.whole);
    let size: usize = files.iter().map(|file| fs::metadata(file).unwrap().len() as usize).sum();
    let mut outcomes = Outcomes::default();
    for bytes in changes(&inner, 11) {
        let read = || Production::resume(&action, run, folder.path());
        let forged = sealed("seal", &bytes);
        let found = victim.with(&forged, || outcomes.see(size - victim.whole.len() + forged.len(), read));
        if let Some(Some(found)) = found {
            assert_eq!(found.done(), 64);
            found.finish();
        }
    }
    outcomes.report("production, forged state.json");
}

fn score() -> FittedScore {
    let (action, fields) = (action(), fields(200));
    let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view()).unwrap();
    let config =
        FitConfig { features: Feature::SYMMETRIC.to_vec(), noise: vec![0.5, 2.0], ridge: 1e-9, seed: 1 };
    let model = PerturbativeModel::fit(spectrum, fields.view(), Some(&action), &config).unwrap();
    FittedScore { couplings: action.couplings(), protocol: "noise".into(), model }
}

#[test]
fn scores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("score.json");
    score().write(&path).unwrap();
    only_the_original("score", std::slice::from_ref(&path), || FittedScore::read(&path));

    let victim = Victim::new(path.clone());
    let mut outcomes = Outcomes::default();
    for bytes in changes(&entries(&victim.whole), 13) {
        let forged = sealed("sha256", &bytes);
        let read = || FittedScore::read(&path);
        if let Some(found) = victim.with(&forged, || outcomes.see(forged.len(), read)) {
            // What is read can be written, and comes back.
            found.write(folder.path().join("again.json")).unwrap();
            assert_eq!(FittedScore::read(folder.path().join("again.json")).unwrap(), found);
        }
    }
    outcomes.report("score, forged");
}

/// Files much larger than any buffer, whole.
#[test]
fn large_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fields.npy");
    let made = Provenance { hopping: 0.21, lambda: 0.022, seed: 1, protocol: "noise".into(), chains: 1 };
    let mut writer = EnsembleWriter::create(&path, action().lattice(), 20_000, made).unwrap();
    writer.push(fields(20_000).view()).unwrap();
    writer.finish().unwrap();
    let size = |path: &Path| fs::metadata(path).unwrap().len() as usize;
    let mut outcomes = Outcomes::default();
    outcomes.see(size(&path), || EnsembleReader::open(&path)?.read_all()).unwrap();
    outcomes.report("large ensemble");
    let mut outcomes = Outcomes::default();
    outcomes.see(size(&path), || EnsembleFields::open(&path)).unwrap();
    outcomes.report("large ensemble in any order");

    let lattice = Lattice::new(&[200, 202]).unwrap();
    let model = PerturbativeModel::gaussian(Spectrum::free(&lattice, 0.2).unwrap());
    let path = folder.path().join("score.json");
    FittedScore { couplings: action().couplings(), protocol: "none".into(), model }.write(&path).unwrap();
    let mut outcomes = Outcomes::default();
    outcomes.see(size(&path), || FittedScore::read(&path)).unwrap();
    outcomes.report("large score");

    let (action, run) = (action(), Run::paper(1000, lattice_phi4::Start::Hot, 1));
    let mut production = run.begin(&action).unwrap();
    while production.done() < production.configurations() {
        production.advance(&action).unwrap();
    }
    production.save(&action, folder.path()).unwrap();
    let files = ["state.json", "part-000000.npy"].map(|name| size(&folder.path().join(name)));
    let mut outcomes = Outcomes::default();
    outcomes.see(files.iter().sum(), || Production::resume(&action, run, folder.path())).unwrap();
    outcomes.report("large production");
}

/// Small numbers in long lists, nested lists, unknown entries: what takes more memory than bytes.
#[test]
fn bombs() {
    let folder = tempfile::tempdir().unwrap();
    let path = ensemble(folder.path());
    let (metadata, score_file) = (Victim::new(path.with_extension("json")), folder.path().join("score.json"));
    score().write(&score_file).unwrap();
    let score_file = Victim::new(score_file);
    let state = folder.path().join("state.json");
    // Just above a power of two, where lists have twice the room that they need.
    let many = |item: &str| format!("[{}{item}]", format!("{item},").repeat(70_000));
    let lists = [many("0"), many("\"\""), many("{}"), many("[]"), "[".repeat(100_000), many("1e5")];
    let mut outcomes = Outcomes::default();
    for list in lists {
        for key in ["other", "shape", "protocol", "extents", "model", "energy_errors", "parts"] {
            let entries = format!("\"format\":2,\"{key}\":{list}}}");
            let bytes = sealed("seal", entries.as_bytes());
            let read = || EnsembleReader::open(&path).map(drop);
            metadata.with(&bytes, || outcomes.see(bytes.len(), read));
            metadata.restore();
            fs::write(&state, &bytes).unwrap();
            let read = || Production::resume(&action(), Run::equilibrium(320, 3), folder.path()).map(drop);
            outcomes.see(bytes.len(), read);
            let bytes = sealed("sha256", entries.replace(":2,", ":1,").as_bytes());
            let read = || FittedScore::read(&score_file.path).map(drop);
            score_file.with(&bytes, || outcomes.see(bytes.len(), read));
        }
        let variances = format!("{{\"extents\":[4,4],\"mean\":0,\"variances\":{list}}}");
        let entries = format!(
            "\"format\":1,\"couplings\":{{\"hopping\":0,\"lambda\":0}},\"protocol\":\"\",\"model\":{{\"spectrum\":{variances}}}}}"
        );
        let bytes = sealed("sha256", entries.as_bytes());
        let read = || FittedScore::read(&score_file.path).map(drop);
        score_file.with(&bytes, || outcomes.see(bytes.len(), read));
    }
    assert_eq!(outcomes.accepted, 0);
    outcomes.report("bombs");
}
