//! Resuming bit for bit, and refusing damaged checkpoints.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../lattice-phi4/tests/hostile/sealed.rs"]
mod sealed;

use rand::SeedableRng;
use rand_pcg::Pcg64;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};
use score_nets::{
    Checkpoint, CheckpointError, DenoisingBatches, DenoisingConfig, LearningRate, Mlp, MlpConfig,
    ResidualBatches, ResidualConfig, TensorError, TrainConfig, TrainError, Trainer, Validation,
};
use sde_core::VarianceExpanding;
use sealed::{entries, sealed};
use sha2::{Digest, Sha256};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn data() -> Vec<f64> {
    (0..3000).map(|i| 1.0 + 0.4 * f64::from(i % 97) / 97.0 - 2.4 * f64::from(i % 2)).collect()
}

fn source(seed: u64) -> ResidualBatches {
    ResidualBatches::new(&data(), ResidualConfig { pairs: 32, seed, ..ResidualConfig::default() }).unwrap()
}

fn net() -> Mlp {
    Mlp::new(MlpConfig { width: 16, ..MlpConfig::residual() }, &mut Pcg64::seed_from_u64(1)).unwrap()
}

fn config() -> TrainConfig {
    TrainConfig { gradient_clip: Some(1.0), ..TrainConfig::residual(200) }
}

fn go_on(_: score_nets::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn stop_at(step: u64) -> impl FnMut(score_nets::Progress) -> ControlFlow<()> {
    move |progress| if progress.step == step { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

const EVERY: Validation = Validation { every: 20, batches: 2, patience: None };

#[test]
fn a_resumed_run_is_the_same_run() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.json");
    let fresh =
        || Trainer::new(net(), source(5), config()).unwrap().with_validation(EVERY, &mut source(6)).unwrap();
    let mut whole = fresh();
    let result = whole.train(&mut go_on).unwrap();

    let mut first = fresh().with_checkpoints(&path, 50);
    first.train(&mut stop_at(100)).unwrap();
    drop(first);
    let mut second =
        Trainer::resume(&path, source(5), config()).unwrap().with_validation(EVERY, &mut source(6)).unwrap();
    assert_eq!(second.step(), 100);
    assert_eq!(second.train(&mut go_on).unwrap(), result);
    assert_eq!(second.checkpoint(), whole.checkpoint());
    assert_eq!(result.net, whole.checkpoint().model().unwrap());
}

#[test]
fn denoising_resumes_across_epochs() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.json");
    let settings = DenoisingConfig { samples: 70, seed: 3, ..DenoisingConfig::default() };
    let schedule = VarianceExpanding::new(10.0).unwrap();
    let source = || DenoisingBatches::new(&data(), schedule, settings).unwrap();
    let config =
        TrainConfig { learning_rate: LearningRate::Constant { rate: 1e-3 }, ..TrainConfig::paper(100) };
    let mut whole = Trainer::new(net(), source(), config).unwrap();
    whole.train(&mut go_on).unwrap();
    let mut first = Trainer::new(net(), source(), config).unwrap().with_checkpoints(&path, 50);
    first.train(&mut stop_at(50)).unwrap();
    let mut second = Trainer::resume(&path, source(), config).unwrap();
    second.train(&mut go_on).unwrap();
    assert_eq!(second.checkpoint(), whole.checkpoint());
}

/// A checkpoint of 40 steps.
fn saved(folder: &TempDir) -> (PathBuf, PathBuf, Checkpoint) {
    let path = folder.path().join("run.json");
    let mut trainer = Trainer::new(net(), source(5), config()).unwrap().with_checkpoints(&path, 20);
    trainer.train(&mut stop_at(40)).unwrap();
    let tensors: Vec<PathBuf> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .collect();
    assert_eq!(tensors.len(), 1, "the tensors of earlier checkpoints are removed: {tensors:?}");
    let checkpoint = Checkpoint::<Mlp>::read(&path).unwrap();
    assert_eq!(checkpoint, trainer.checkpoint());
    (path, tensors[0].clone(), checkpoint)
}

/// Writes the tensors anew after a change, with the digest put right.
fn rewritten(path: &Path, tensors: &Path, change: impl Fn(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>)) {
    let bytes = fs::read(tensors).unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let mut list: Vec<_> = read
        .tensors()
        .into_iter()
        .map(|(name, t)| (name, t.dtype(), t.shape().to_vec(), t.data().to_vec()))
        .collect();
    change(&mut list);
    let views = list.iter().map(|(n, d, s, b)| (n.clone(), TensorView::new(*d, s.clone(), b).unwrap()));
    let bytes = serialize(views, None).unwrap();
    fs::write(tensors, &bytes).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    json["sha256"] = format!("{:x}", Sha256::digest(&bytes)).into();
    json.as_object_mut().unwrap().remove("seal");
    fs::write(path, sealed("seal", &json.to_string().as_bytes()[1..])).unwrap();
}

fn tensor_error(path: &Path) -> TensorError {
    match Checkpoint::<Mlp>::read(path).unwrap_err() {
        CheckpointError::Tensor { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[test]
fn truncated_or_flipped_tensors() {
    let folder = TempDir::new().unwrap();
    let (path, tensors, _) = saved(&folder);
    let whole = fs::read(&tensors).unwrap();
    fs::write(&tensors, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(Checkpoint::<Mlp>::read(&path), Err(CheckpointError::Digest { .. })));
    let mut flipped = whole.clone();
    flipped[whole.len() - 5] ^= 0x10;
    fs::write(&tensors, flipped).unwrap();
    let error = Checkpoint::<Mlp>::read(&path).unwrap_err();
    assert!(matches!(&error, CheckpointError::Digest { file, .. } if *file == tensors), "{error:?}");
    fs::remove_file(&tensors).unwrap();
    assert!(matches!(Checkpoint::<Mlp>::read(&path), Err(CheckpointError::Io { .. })));
}

#[test]
fn truncated_metadata_and_other_versions() {
    let folder = TempDir::new().unwrap();
    let (path, _, _) = saved(&folder);
    let whole = fs::read_to_string(&path).unwrap();
    for length in (0..whole.len()).step_by(31) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(Checkpoint::<Mlp>::read(&path), Err(CheckpointError::Metadata { .. })), "{length}");
    }
    fs::write(&path, whole.replace("\"version\": 2", "\"version\": 1")).unwrap();
    let error = Checkpoint::<Mlp>::read(&path).unwrap_err();
    assert!(error.to_string().ends_with("version: expected 2, found 1"), "{error}");
}

#[test]
fn other_tensors_under_a_right_digest() {
    let folder = TempDir::new().unwrap();
    let (path, tensors, _) = saved(&folder);
    let name = "average.network.final.weight";
    let original = (fs::read(&tensors).unwrap(), fs::read(&path).unwrap());
    let find = |list: &[(String, Dtype, Vec<usize>, Vec<u8>)]| list.iter().position(|t| t.0 == name).unwrap();

    rewritten(&path, &tensors, |list| {
        let i = find(list);
        list[i].0 = "average.network.last.weight".into();
    });
    assert_eq!(tensor_error(&path), TensorError::Missing { name: name.into() });

    fs::write(&tensors, &original.0).unwrap();
    rewritten(&path, &tensors, |list| {
        let mut extra = list[find(list)].clone();
        extra.0 = "spare".into();
        list.push(extra);
    });
    assert_eq!(tensor_error(&path), TensorError::Unexpected { name: "spare".into() });

    fs::write(&tensors, &original.0).unwrap();
    rewritten(&path, &tensors, |list| {
        let i = find(list);
        list[i].2 = vec![16, 1];
    });
    let (expected, found) = (vec![1, 16], vec![16, 1]);
    assert_eq!(tensor_error(&path), TensorError::Shape { name: name.into(), expected, found });

    fs::write(&tensors, &original.0).unwrap();
    rewritten(&path, &tensors, |list| {
        let i = find(list);
        list[i].1 = Dtype::I32;
    });
    assert_eq!(tensor_error(&path), TensorError::Dtype { name: name.into(), found: "I32".into() });

    fs::write(&tensors, &original.0).unwrap();
    rewritten(&path, &tensors, |list| {
        let i = find(list);
        list[i].3[12..16].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    let (index, value) = (3, f32::INFINITY);
    assert_eq!(tensor_error(&path), TensorError::NotFinite { name: name.into(), index, value });

    fs::write(&tensors, &original.0).unwrap();
    fs::write(&path, &original.1).unwrap();
    assert!(Checkpoint::<Mlp>::read(&path).is_ok());
}

#[test]
fn changed_metadata_are_refused_and_lead_nowhere() {
    let folder = TempDir::new().unwrap();
    let (path, tensors, before) = saved(&folder);
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("\"step\": 40", "\"step\": 41")).unwrap();
    assert!(
        matches!(Checkpoint::<Mlp>::read(&path), Err(CheckpointError::Digest { file, .. }) if file == path)
    );
    // With a digest that fits: a file elsewhere is not read, nor removed by the next checkpoint.
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let (path, name) = (inner.join("run.json"), tensors.file_name().unwrap().to_string_lossy().into_owned());
    let forged = whole.replace(&name, &format!("../{name}"));
    fs::write(&path, sealed("seal", &entries(forged.as_bytes()))).unwrap();
    assert!(matches!(Checkpoint::<Mlp>::read(&path), Err(CheckpointError::Metadata { .. })));
    before.write(&path).unwrap();
    assert!(tensors.exists());
    // Nor is memory asked for that the file does not have.
    let wide = fs::read_to_string(&path).unwrap();
    for width in ["16384", "16777216", "18446744073709551600"] {
        let wide = wide.replace("\"width\": 16", &format!("\"width\": {width}"));
        fs::write(&path, sealed("seal", &entries(wide.as_bytes()))).unwrap();
        let error = Checkpoint::<Mlp>::read(&path).unwrap_err();
        assert!(matches!(error, CheckpointError::Tensor { .. } | CheckpointError::Net { .. }), "{error}");
    }
}

#[test]
fn another_run_is_not_resumed() {
    let folder = TempDir::new().unwrap();
    let (path, _, _) = saved(&folder);
    let error = Trainer::resume(&path, source(7), config()).unwrap_err();
    assert!(matches!(error, CheckpointError::Setting { field: "source", .. }), "{error:?}");
    let other = TrainConfig { gradient_clip: None, ..config() };
    let error = Trainer::resume(&path, source(5), other).unwrap_err();
    assert!(matches!(error, CheckpointError::Setting { field: "train", .. }), "{error:?}");
    let longer = TrainConfig { steps: 500, ..config() };
    assert!(Trainer::resume(&path, source(5), longer).is_ok());
}

#[test]
fn an_interrupted_write_leaves_the_old_checkpoint() {
    let folder = TempDir::new().unwrap();
    let (path, _, before) = saved(&folder);
    // The new tensors cannot replace a folder of their name, so the write ends half way.
    let mut next = before.clone();
    next.weights[0] += 1.0;
    let elsewhere = TempDir::new().unwrap();
    next.write(elsewhere.path().join("run.json")).unwrap();
    let tensors = fs::read_dir(elsewhere.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .find(|name| name.to_string_lossy().ends_with("safetensors"))
        .unwrap();
    fs::create_dir(folder.path().join(&tensors)).unwrap();
    assert!(matches!(next.write(&path), Err(CheckpointError::Io { .. })));
    assert_eq!(Checkpoint::<Mlp>::read(&path).unwrap(), before);
    // Tensors that were written without metadata, as after a loss of power between the two.
    fs::remove_dir(folder.path().join(&tensors)).unwrap();
    fs::copy(elsewhere.path().join(&tensors), folder.path().join(&tensors)).unwrap();
    assert_eq!(Checkpoint::<Mlp>::read(&path).unwrap(), before);
    next.write(&path).unwrap();
    assert_eq!(Checkpoint::<Mlp>::read(&path).unwrap(), next);
}

#[test]
fn a_path_that_cannot_be_written() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("no").join("such").join("run.json");
    let mut trainer = Trainer::new(net(), source(5), config()).unwrap().with_checkpoints(&path, 10);
    let error = trainer.train(&mut go_on).unwrap_err();
    let TrainError::Checkpoint(CheckpointError::Io { file, action, .. }) = error else { panic!("{error:?}") };
    assert_eq!((file.parent(), action), (path.parent(), "be written"));
    assert_eq!(trainer.step(), 10);
}
