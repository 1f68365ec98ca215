//! Fitted scores on disk: they come back bit for bit, and no changed byte goes unseen.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::ndarray::Array2;
use lattice_phi4::{
    Chains, Feature, FitConfig, FittedScore, Hmc, Lattice, Leap, PerturbativeModel, PerturbativeScore, Phi4,
    ScoreFileError, SpectralScore, Spectrum, Wolff,
};
use sde_core::{Edm, ScoreModel};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn action(extents: &[usize], hopping: f64) -> Phi4 {
    Phi4::new(Lattice::new(extents).unwrap(), hopping, 0.022).unwrap()
}

fn ensemble(action: &Phi4, configurations: usize) -> Array2<f64> {
    let mut chains = Chains::hot(action, configurations, 1.0, 5);
    let (hmc, wolff) = (Hmc::new(1.0, 4, Leap::Omelyan).unwrap(), Wolff { clusters: 1 });
    chains.run(action, &[&hmc, &wolff], 50);
    chains.fields
}

fn config() -> FitConfig {
    FitConfig { features: Feature::SYMMETRIC.to_vec(), noise: vec![0.1, 0.5, 2.0], ridge: 1e-9, seed: 1 }
}

fn fitted() -> (Phi4, FittedScore) {
    let action = action(&[4, 4], 0.21);
    let fields = ensemble(&action, 200);
    let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view()).unwrap();
    let model = PerturbativeModel::fit(spectrum, fields.view(), Some(&action), &config()).unwrap();
    let score = FittedScore { couplings: action.couplings(), protocol: "equilibrium".into(), model };
    (action, score)
}

fn written() -> (tempfile::TempDir, PathBuf, Phi4, FittedScore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("score.json");
    let (action, score) = fitted();
    score.write(&path).unwrap();
    (folder, path, action, score)
}

fn values(model: PerturbativeModel, t: f64) -> Array2<f64> {
    let x = Array2::from_shape_fn((3, 16), |(row, site)| ((row * 16 + site) as f64).sin());
    let mut out = Array2::zeros(x.dim());
    let score = PerturbativeScore::new(Arc::new(model), Edm::new(5.0).unwrap());
    score.score(x.view(), t, out.view_mut()).unwrap();
    out
}

#[test]
fn scores_come_back_bit_for_bit() {
    let (_folder, path, action, score) = written();
    let read = FittedScore::read_for(&path, &action).unwrap();
    assert_eq!(read, score);
    for t in [0.05, 0.3, 4.0] {
        assert_eq!(values(read.model.clone(), t), values(score.model.clone(), t));
    }
    // Twice the same file.
    let bytes = fs::read(&path).unwrap();
    read.write(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn without_features_the_score_is_the_spectral_one() {
    let spectrum = fitted().1.model.spectrum().clone();
    let x = Array2::from_shape_fn((3, 16), |(row, site)| ((row * 16 + site) as f64).sin());
    let mut exact = Array2::zeros(x.dim());
    let spectral = SpectralScore::new(&spectrum, Edm::new(5.0).unwrap());
    spectral.score(x.view(), 0.7, exact.view_mut()).unwrap();
    let found = values(PerturbativeModel::gaussian(spectrum), 0.7);
    assert!(found.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-14));
}

#[test]
fn every_cut_and_every_changed_byte_is_found() {
    let (_folder, path, ..) = written();
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(FittedScore::read(&path).is_err(), "{length}");
    }
    for byte in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[byte] ^= 1 << (byte % 8);
        fs::write(&path, &damaged).unwrap();
        let error = FittedScore::read(&path).unwrap_err();
        let known = matches!(error, ScoreFileError::Digest { .. } | ScoreFileError::Foreign { .. });
        assert!(known, "byte {byte}: {error}");
    }
}

/// Reads the file with a change and a digest that fits it.
fn forged(path: &Path, from: &str, to: &str) -> Result<FittedScore, ScoreFileError> {
    let text = fs::read_to_string(path).unwrap();
    let entries = &text[11 + 64 + 2..];
    assert!(entries.contains(from), "{entries}");
    let entries = entries.replacen(from, to, 1);
    let forged = path.with_extension("forged");
    fs::write(&forged, format!("{{\"sha256\":\"{:x}\",{entries}", Sha256::digest(&entries))).unwrap();
    FittedScore::read(&forged)
}

fn forge(path: &Path, from: &str, to: &str) -> ScoreFileError {
    forged(path, from, to).unwrap_err()
}

#[test]
fn forged_models_are_refused() {
    let (_folder, path, ..) = written();
    assert!(matches!(forge(&path, "\"format\":1", "\"format\":2"), ScoreFileError::Format { found: 2, .. }));
    assert!(matches!(forge(&path, "\"levels\"", "\"labels\""), ScoreFileError::Entries { .. }));
    for (from, to, what) in [
        ("\"extents\":[4,4]", "\"extents\":[4,1]", "extents: expected those of a lattice, found [4, 1]"),
        ("\"extents\":[4,4]", "\"extents\":[65535,65535]", "variances: expected 536887296 numbers, found 6"),
        ("\"extents\":[4,4]", "\"extents\":[65536,65536]", "found [65536, 65536]"),
        ("\"extents\":[4,4]", "\"extents\":[6,6]", "variances: expected 10 numbers, found 6"),
        ("\"variances\":[", "\"variances\":[-1.0,", "variances: expected 6 numbers, found 7"),
        ("\"noise\":0.5", "\"noise\":0.05", "noise: expected more than 0.1, found 0.05"),
        ("\"features\":[", "\"features\":[\"loop\",", "coefficients: expected 8 numbers, found 7"),
        ("\"bound\":", "\"bound\":-", "bound: expected a positive number, found -"),
        (
            "\"potential\":{\"largest\":",
            "\"potential\":{\"largest\":-",
            "amplitude: expected a positive number",
        ),
    ] {
        let error = forge(&path, from, to).to_string();
        assert!(error.contains(what), "{error}");
    }
}

/// 32 numbers are what the lattice of 2^31 sites has: a right file, which must not take the memory of the lattice.
#[cfg(target_os = "linux")]
#[test]
fn a_small_file_of_a_huge_lattice_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("score.json");
    let line = Lattice::new(&[62]).unwrap();
    let model = PerturbativeModel::gaussian(Spectrum::new(&line, 0.0, vec![1.0; 32]).unwrap());
    let couplings = action(&[4, 4], 0.21).couplings();
    FittedScore { couplings, protocol: "none".into(), model }.write(&path).unwrap();
    let extents = format!("\"extents\":[{}]", ["2"; 31].join(","));
    let read = forged(&path, "\"extents\":[62]", &extents).unwrap();
    assert_eq!(read.model.spectrum().lattice().volume(), 1 << 31);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap().trim();
    let kilobytes: u64 = peak.strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kilobytes < 1 << 20, "{peak}");
}

#[test]
fn another_theory_is_refused_and_files_are_named() {
    let (folder, path, _, score) = written();
    for (other, what) in [
        (action(&[4, 6], 0.21), "extents: expected [4, 6], found [4, 4]"),
        (action(&[4, 4], 0.22), "hopping: expected 0.22, found 0.21"),
    ] {
        let error = FittedScore::read_for(&path, &other).unwrap_err().to_string();
        assert!(error.contains("score.json") && error.contains(what), "{error}");
    }
    let missing = FittedScore::read(folder.path().join("none.json")).unwrap_err();
    assert!(missing.to_string().contains("none.json: cannot be read"), "{missing}");
    let nowhere = score.write(folder.path().join("no/such.json")).unwrap_err();
    assert!(matches!(nowhere, ScoreFileError::Io { action: "written", .. }), "{nowhere}");
    // What cannot be written leaves what is there.
    let before = fs::read(&path).unwrap();
    let mut broken = score.clone();
    broken.couplings.hopping = f64::NAN;
    assert!(matches!(broken.write(&path).unwrap_err(), ScoreFileError::Invalid { .. }));
    assert_eq!(fs::read(&path).unwrap(), before);
}
