//! Damaged files of numbers and shards: each is refused, or what it has is of numbers, and no more memory is taken than the file has.
//!
//! `HOSTILE_FILES=10000 cargo test --release -p examples --test hostile -- --nocapture` tries as many.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the figures are what a long run is for")]

/// The examples have an allocator of their own, so the memory is that of the process, below.
mod memory {
    pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
        (work(), 0)
    }
}
#[path = "../../crates/lattice-phi4/tests/hostile/mutations.rs"]
mod mutations;

use examples::{Columns, Failure, Parts, Shard, read_column, read_npz, write_npz};
use mutations::{Mutations, Outcomes, count};
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::path::Path;

/// The most memory that this process has had, in kB; nothing where the system does not tell.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

/// `.npz`, whose entries have a CRC-32.
fn archives(folder: &Path) {
    let path = folder.join("arrays.npz");
    let numbers = Array2::from_shape_fn((300, 4), |(i, j)| (i as f64 * 0.7).sin() + j as f64).into_dyn();
    write_npz(&path, &[("y", numbers.view()), ("x", numbers.view())]).unwrap();
    let whole = fs::read(&path).unwrap();
    let before = peak();
    let (mut mutations, mut outcomes) = (Mutations::new(2), Outcomes::default());
    for _ in 0..count() {
        let bytes = mutations.of(&whole);
        fs::write(&path, &bytes).unwrap();
        if let Some(array) = outcomes.see(bytes.len(), || read_npz(&path, "x")) {
            assert_eq!(array, numbers);
        }
    }
    outcomes.report("npz");
    assert!(peak() < before + (16 << 10), "{before} to {} kB", peak());
}

/// Shards behind their digest, and with one that fits.
fn shards(folder: &Path) {
    let part = Parts::Shard { shard: Shard { part: 0, parts: 1 }, folder: folder.to_path_buf() };
    let merge = Parts::Merge(vec![folder.to_path_buf()]);
    let columns = Columns(vec![(0..3200).map(|i| f64::from(i).sin()).collect(), vec![0.5; 100]]);
    part.make("rows", "seed 1", (100, 32), |_| Ok(columns.clone())).unwrap();
    let path = folder.join("rows.shard");
    let whole = fs::read(&path).unwrap();
    let before = peak();
    for forged in [false, true] {
        let (mut mutations, mut outcomes) = (Mutations::new(3), Outcomes::default());
        for _ in 0..count() {
            let bytes = if forged {
                let contents = mutations.of(&whole[32..]);
                [&Sha256::digest(&contents)[..], &contents].concat()
            } else {
                mutations.of(&whole)
            };
            fs::write(&path, &bytes).unwrap();
            let read = || merge.make::<Columns>("rows", "seed 1", (100, 32), |_| Err("a merge".into()));
            if let Some(read) =
                outcomes.see(bytes.len(), || read().map_err(|failure: Failure| failure.to_string()))
            {
                assert!(forged || read == columns);
            }
        }
        outcomes.report(if forged { "shard, forged" } else { "shard" });
    }
    assert!(peak() < before + (16 << 10), "{before} to {} kB", peak());
}

// The only test of its process, whose memory it measures.
#[test]
fn files() {
    let folder = tempfile::tempdir().unwrap();
    archives(folder.path());
    shards(folder.path());
    let (npy, csv) = (folder.path().join("data.npy"), folder.path().join("data.csv"));
    let numbers = Array2::from_shape_fn((400, 3), |(i, j)| (i as f64 * 0.7).sin() + j as f64);
    numbers.write_npy(File::create(&npy).unwrap()).unwrap();
    let rows = numbers.outer_iter().map(|row| format!("{}, {}, {}\n", row[0], row[1], row[2]));
    fs::write(&csv, format!("# of nothing\na, b, c\n{}", rows.collect::<String>())).unwrap();
    let before = peak();
    for (path, column) in [(&npy, "1"), (&csv, "b")] {
        let whole = fs::read(path).unwrap();
        assert_eq!(read_column(path, column, 256).unwrap(), numbers.column(1).to_vec());
        let (mut mutations, mut outcomes) = (Mutations::new(1), Outcomes::default());
        for _ in 0..count() {
            let bytes = mutations.of(&whole);
            fs::write(path, &bytes).unwrap();
            if let Some(column) = outcomes.see(bytes.len(), || read_column(path, column, 256)) {
                assert!(column.len() >= 256 && column.len() <= bytes.len());
            }
        }
        outcomes.report(&path.extension().unwrap().display().to_string());
    }
    // Headers of arrays that no memory can hold.
    for shape in ["(99999999999,)", "(4294967296, 4294967296, 3)", "(99999999999999999999999, 2)"] {
        let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        fs::write(&npy, [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes()].concat()).unwrap();
        let error = read_column(&npy, "0", 256).unwrap_err().to_string();
        assert!(error.contains("data.npy"), "{error}");
    }
    fs::write(&npy, b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'").unwrap();
    read_column(&npy, "0", 256).unwrap_err();
    assert!(peak() < before + (16 << 10), "{before} to {} kB", peak());
}
