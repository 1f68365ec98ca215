//! A state dict saved by PyTorch, and damaged copies of it.
//!
//! `data/paper_mlp.pt` holds random weights of the paper's architecture; `data/paper_mlp.json` holds PyTorch's
//! own answers for them in double precision.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use ndarray::arr2;
use score_nets::{DirectScore, MlpConfig, PublishedError, TensorError, read_published};
use sde_core::ScoreModel;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/paper_mlp.pt")
}

#[test]
fn answers_are_those_of_pytorch() {
    let mlp = read_published(fixture()).unwrap();
    assert_eq!(*mlp.config(), MlpConfig::paper());
    let score = DirectScore::new(mlp);
    let expected = std::fs::read(fixture().with_extension("json")).unwrap();
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&expected).unwrap();
    assert_eq!(rows.len(), 36);
    for row in rows {
        let [x, t, exact] = ["x", "t", "score"].map(|key| row[key].as_f64().unwrap());
        let mut s = arr2(&[[0.0]]);
        score.score(arr2(&[[x]]).view(), t, s.view_mut()).unwrap();
        assert!((s[(0, 0)] - exact).abs() < 2e-6 * (1.0 + exact.abs()), "{x} {t}: {} {exact}", s[(0, 0)]);
    }
}

/// The fixture with one entry changed and all checksums right, in a folder of its own.
fn altered(entry: &str, change: impl Fn(&mut Vec<u8>)) -> (TempDir, PathBuf) {
    let original = std::fs::read(fixture()).unwrap();
    let mut archive = zip::ZipArchive::new(Cursor::new(original)).unwrap();
    let mut copy = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut found = false;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        let name = file.name().unwrap().into_owned();
        if name.ends_with(entry) {
            change(&mut bytes);
            found = true;
        }
        copy.start_file(name, stored).unwrap();
        copy.write_all(&bytes).unwrap();
    }
    assert!(found, "{entry}");
    keep(&copy.finish().unwrap().into_inner())
}

fn keep(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("net.pt");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// Replaces every occurrence of one byte string in the pickled dictionary.
fn repickled(from: &[u8], to: &[u8]) -> (TempDir, PathBuf) {
    altered("data.pkl", |bytes| {
        let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            if bytes[at..].starts_with(from) {
                out.extend_from_slice(to);
                (at, count) = (at + from.len(), count + 1);
            } else {
                out.push(bytes[at]);
                at += 1;
            }
        }
        assert!(count > 0);
        *bytes = out;
    })
}

fn tensor_error(path: &Path) -> TensorError {
    match read_published(path).unwrap_err() {
        PublishedError::Tensor { file, source } => {
            assert_eq!(file, path);
            source
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unchanged_copy_is_read() {
    let (_folder, path) = altered("data.pkl", |_| ());
    assert_eq!(read_published(path).unwrap(), read_published(fixture()).unwrap());
}

#[test]
fn truncated_anywhere() {
    let whole = std::fs::read(fixture()).unwrap();
    for length in (0..whole.len()).step_by(997) {
        let (_folder, path) = keep(&whole[..length]);
        let error = read_published(&path).unwrap_err();
        assert!(matches!(error, PublishedError::Archive { .. }), "{length}: {error:?}");
    }
}

#[test]
fn a_flipped_bit_in_the_numbers() {
    let mut whole = std::fs::read(fixture()).unwrap();
    let place = whole.len() / 2;
    whole[place] ^= 1;
    let (_folder, path) = keep(&whole);
    assert!(matches!(read_published(&path).unwrap_err(), PublishedError::Archive { .. }));
}

#[test]
fn another_name() {
    let (_folder, path) = repickled(b"network.final.bias", b"network.final.bia5");
    assert_eq!(tensor_error(&path), TensorError::Unexpected { name: "network.final.bia5".into() });
}

#[test]
fn a_missing_tensor() {
    // Two entries of one name: the other is gone.
    let (_folder, path) =
        repickled(b"network.hidden_layers.0.linear.bias", b"network.hidden_layers.1.linear.bias");
    let name = "network.hidden_layers.0.linear.bias".into();
    assert_eq!(tensor_error(&path), TensorError::Missing { name });
}

#[test]
fn another_shape() {
    // The pickled tuple (64, 64) becomes (32, 128).
    let (_folder, path) = repickled(b"K@K@\x86", b"K\x20K\x80\x86");
    assert_eq!(
        tensor_error(&path),
        TensorError::Shape {
            name: "network.hidden_layers.1.linear.weight".into(),
            expected: vec![64, 64],
            found: vec![32, 128],
        }
    );
}

#[test]
fn another_type() {
    let (_folder, path) = repickled(b"FloatStorage", b"HalfStorage");
    assert!(matches!(tensor_error(&path), TensorError::Dtype { found, .. } if found == "HalfStorage"));
}

#[test]
fn a_number_that_is_none() {
    let (_folder, path) = altered("data/3", |bytes| bytes[8..12].copy_from_slice(&f32::NAN.to_le_bytes()));
    assert!(matches!(tensor_error(&path), TensorError::NotFinite { index: 2, value, .. } if value.is_nan()));
}

#[test]
fn numbers_missing() {
    let (_folder, path) = altered("data/3", |bytes| bytes.truncate(100));
    let error = read_published(path).unwrap_err();
    assert!(matches!(error, PublishedError::Numbers { expected: 256, found: 100, .. }), "{error}");
}

#[test]
fn another_order_of_bytes() {
    let (_folder, path) = altered("byteorder", |bytes| *bytes = b"big".to_vec());
    assert!(read_published(path).unwrap_err().to_string().ends_with("expected little, found big"));
}

#[test]
fn nothing_is_called() {
    let (_folder, path) = repickled(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n");
    assert!(matches!(read_published(path).unwrap_err(), PublishedError::Pickle { .. }));
}
