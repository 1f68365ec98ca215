//! Damaged files of numbers: each is refused, or its column is one of numbers, and no more memory is taken than the file has.
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

use examples::read_column;
use mutations::{Mutations, Outcomes, count};
use ndarray::Array2;
use ndarray_npy::WriteNpyExt;
use std::fs::{self, File};

/// The most memory that this process has had, in kB; nothing where the system does not tell.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

// The only test of its process, whose memory it measures.
#[test]
fn columns() {
    let folder = tempfile::tempdir().unwrap();
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
    assert!(peak() - before < 16 << 10, "{} kB", peak() - before);
}
