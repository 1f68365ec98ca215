//! Damaged and forged files: each is refused, or read as what it was, with little memory.
//!
//! `HOSTILE_FILES=10000 cargo test --release --test hostile -- --nocapture` tries as many of every format.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the figures are what a long run is for")]

#[path = "../../lattice-phi4/tests/hostile/memory.rs"]
mod memory;
#[path = "../../lattice-phi4/tests/hostile/mutations.rs"]
mod mutations;
#[path = "../../lattice-phi4/tests/hostile/sealed.rs"]
mod sealed;

use mutations::{Mutations, Outcomes, count};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use score_nets::{
    Checkpoint, FieldScales, Mlp, MlpConfig, Net, OddUnet, OddUnetConfig, PublishedUnet, PublishedUnetConfig,
    SourceSettings, TrainConfig, read_published,
};
use sealed::{entries, sealed};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

/// Every cut within the first bytes, then changes by the seed.
fn changes(whole: &[u8], seed: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut mutations = Mutations::new(seed);
    let cuts = (0..whole.len().min(128)).map(|length| whole[..length].to_vec());
    cuts.chain((0..count()).map(move |_| mutations.of(whole)))
}

/// A checkpoint of a net, and its two files.
fn saved<N: Net>(net: &N, folder: &Path) -> (Checkpoint<N>, PathBuf, PathBuf) {
    let weights = net.parameters().to_vec();
    let checkpoint = Checkpoint {
        net: net.config().clone(),
        train: TrainConfig::residual(200),
        source: SourceSettings {
            kind: "noise".into(),
            seed: 5,
            config: "{\"pairs\":32}".into(),
            data: "none".into(),
        },
        step: 40,
        best: None,
        worse: 0,
        average: weights.clone(),
        first_moment: vec![0.0; weights.len()],
        second_moment: vec![0.0; weights.len()],
        weights,
        best_weights: None,
    };
    let path = folder.join("run.json");
    checkpoint.write(&path).unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tensors =
        files.into_iter().find(|file| file.extension().is_some_and(|e| e == "safetensors")).unwrap();
    (checkpoint, path, tensors)
}

fn checkpoints_of<N: Net>(net: &N) {
    let folder = tempfile::tempdir().unwrap();
    let (original, path, tensors) = saved(net, folder.path());
    let (json, numbers) = (fs::read(&path).unwrap(), fs::read(&tensors).unwrap());

    // No change of either file goes unseen.
    for (file, whole, other) in [(&path, &json, &numbers), (&tensors, &numbers, &json)] {
        let mut outcomes = Outcomes::default();
        for bytes in changes(whole, 1) {
            fs::write(file, &bytes).unwrap();
            let found = outcomes.see(bytes.len() + other.len(), || Checkpoint::<N>::read(&path));
            assert!(found.is_none_or(|found| found == original));
        }
        fs::write(file, whole).unwrap();
        let extension = file.extension().unwrap().display();
        outcomes.report(&format!("checkpoint of {}, .{extension}", N::KIND));
    }

    // With digests that fit, of metadata and then of tensors: what is read is a checkpoint.
    let mut outcomes = Outcomes::default();
    let inner = entries(&json);
    for bytes in changes(&inner, 2) {
        let forged = sealed("seal", &bytes);
        fs::write(&path, &forged).unwrap();
        let found = outcomes.see(forged.len() + numbers.len(), || Checkpoint::<N>::read(&path));
        assert!(found.is_none_or(|found| found.model().is_ok()));
    }
    outcomes.report(&format!("checkpoint of {}, forged .json", N::KIND));
    let mut outcomes = Outcomes::default();
    let digest = format!("{:x}", Sha256::digest(&numbers));
    for bytes in changes(&numbers, 3) {
        let inner = String::from_utf8(inner.clone()).unwrap();
        let inner = inner.replace(&digest, &format!("{:x}", Sha256::digest(&bytes)));
        fs::write(&path, sealed("seal", inner.as_bytes())).unwrap();
        fs::write(&tensors, &bytes).unwrap();
        let found = outcomes.see(json.len() + bytes.len(), || Checkpoint::<N>::read(&path));
        assert!(found.is_none_or(|found| found.model().is_ok()));
    }
    outcomes.report(&format!("checkpoint of {}, forged .safetensors", N::KIND));
}

#[test]
fn checkpoints() {
    let config = MlpConfig { width: 16, ..MlpConfig::residual() };
    checkpoints_of(&Mlp::new(config, &mut Pcg64::seed_from_u64(1)).unwrap());
    let noise = vec![0.1, 1.0];
    let fields = FieldScales { extents: [4, 4], deviation: 1.0, width: vec![0.1, 0.7], noise };
    let config = OddUnetConfig { channels: vec![8, 8], ..OddUnetConfig::new(fields) };
    checkpoints_of(&OddUnet::new(config, &mut Pcg64::seed_from_u64(1)).unwrap());
    let config = PublishedUnetConfig {
        extents: [4, 4],
        channels: vec![8, 8],
        features: 8,
        first_groups: 2,
        groups: 2,
        ..PublishedUnetConfig::paper()
    };
    checkpoints_of(&PublishedUnet::new(config, &mut Pcg64::seed_from_u64(1)).unwrap());
}

/// A file much larger than any buffer, whole.
#[test]
fn a_large_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = MlpConfig { width: 512, ..MlpConfig::residual() };
    let (_, path, tensors) = saved(&Mlp::new(config, &mut Pcg64::seed_from_u64(1)).unwrap(), folder.path());
    let mut outcomes = Outcomes::default();
    let size = fs::metadata(&path).unwrap().len() + fs::metadata(tensors).unwrap().len();
    outcomes.see(size as usize, || Checkpoint::<Mlp>::read(&path)).unwrap();
    outcomes.report("large checkpoint");
}

/// Headers that promise much: lists of nothing, many tensors without numbers, nested lists.
#[test]
fn bombs() {
    let folder = tempfile::tempdir().unwrap();
    let net =
        Mlp::new(MlpConfig { width: 16, ..MlpConfig::residual() }, &mut Pcg64::seed_from_u64(1)).unwrap();
    let (_, path, tensors) = saved(&net, folder.path());
    let (json, numbers) = (fs::read(&path).unwrap(), fs::read(&tensors).unwrap());
    let inner = String::from_utf8(entries(&json)).unwrap();
    let mut outcomes = Outcomes::default();
    // Just above a power of two, where lists have twice the room that they need.
    let many = |item: &str| format!("[{}{item}]", format!("{item},").repeat(70_000));
    for list in [many("0"), many("\"\""), many("{}"), many("[]"), "[".repeat(100_000)] {
        for key in ["other", "step", "net", "kind", "version"] {
            let forged = sealed("seal", format!("\"{key}\":{list},{inner}").as_bytes());
            fs::write(&path, &forged).unwrap();
            outcomes.see(forged.len() + numbers.len(), || Checkpoint::<Mlp>::read(&path));
        }
    }
    let empty = |i: usize| format!("\"{i}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let names: Vec<String> = (0..20_000).map(empty).collect();
    let digest = format!("{:x}", Sha256::digest(&numbers));
    for header in [format!("{{{}}}", names.join(",")), many("0"), "[".repeat(100_000)] {
        let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
        let inner = inner.replace(&digest, &format!("{:x}", Sha256::digest(&bytes)));
        fs::write(&path, sealed("seal", inner.as_bytes())).unwrap();
        fs::write(&tensors, &bytes).unwrap();
        outcomes.see(inner.len() + bytes.len(), || Checkpoint::<Mlp>::read(&path));
    }
    outcomes.report("checkpoint, bombs");

    let path = folder.path().join("net.pt");
    let mut outcomes = Outcomes::default();
    let archive = |entries: usize, pickle: &[u8]| {
        let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        archive.start_file("n/data.pkl", stored).unwrap();
        archive.write_all(pickle).unwrap();
        for entry in 0..entries {
            archive.start_file(format!("n/data/{entry}"), stored).unwrap();
        }
        archive.finish().unwrap().into_inner()
    };
    for (entries, pickle) in [
        (9_000, vec![b'.']),
        (0, vec![b'N'; 1_000_000]),
        (0, [&b"\x80\x02)"[..], &b"q\x00h\x00\x86".repeat(200_000)].concat()),
        (0, [&b"\x80\x02)"[..], &b"\x85".repeat(1_000_000)].concat()),
        (0, b"\x80\x02X\xff\xff\xff\xff.".to_vec()),
    ] {
        let bytes = archive(entries, &pickle);
        fs::write(&path, &bytes).unwrap();
        outcomes.see(bytes.len(), || read_published(&path));
    }
    assert_eq!(outcomes.accepted, 0);
    outcomes.report("state dict, bombs");
}

#[test]
fn published_nets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pt");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/paper_mlp.pt");
    let (original, whole) = (read_published(&fixture).unwrap(), fs::read(&fixture).unwrap());
    let read = |bytes: &[u8], outcomes: &mut Outcomes| {
        fs::write(&path, bytes).unwrap();
        outcomes.see(bytes.len(), || read_published(&path))
    };
    let mut outcomes = Outcomes::default();
    for bytes in changes(&whole, 5) {
        // The checksums are those of the entries alone: names and dates of unused entries may differ.
        assert!(read(&bytes, &mut outcomes).is_none_or(|found| found == original));
    }
    outcomes.report("state dict");

    // One entry changed, and checksums that fit: what is read is a net, with finite numbers.
    let mut archive = zip::ZipArchive::new(Cursor::new(whole)).unwrap();
    let mut parts = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        parts.push((file.name().unwrap().into_owned(), bytes));
    }
    let (mut mutations, mut outcomes) = (Mutations::new(6), Outcomes::default());
    for _ in 0..count() {
        // The pickle every second time.
        let index = if mutations.below(2) == 0 { 0 } else { mutations.below(parts.len()) };
        let mut copy = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (part, (name, bytes)) in parts.iter().enumerate() {
            copy.start_file(name, stored).unwrap();
            let bytes = if part == index { mutations.of(bytes) } else { bytes.clone() };
            copy.write_all(&bytes).unwrap();
        }
        let forged = copy.finish().unwrap().into_inner();
        let found = read(&forged, &mut outcomes);
        assert!(found.is_none_or(|found| found.parameters().iter().all(|value| value.is_finite())));
    }
    outcomes.report("state dict, forged");
}
