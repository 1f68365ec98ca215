//! Shards of a run, made by jobs that know nothing of each other.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{Lattice, MergeError, Phi4, Production, Run, Start};
use std::path::Path;

fn action() -> Phi4 {
    Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.25, 0.022).unwrap()
}

/// Runs to the end, or for some `rounds`.
fn made(run: Run, rounds: usize) -> Production {
    let mut production = run.begin(&action()).unwrap();
    for _ in 0..rounds {
        production.advance(&action()).unwrap();
    }
    production
}

fn save(run: Run, folder: &Path) {
    made(run, 1000).save(&action(), folder).unwrap();
}

#[test]
fn shards_make_up_the_whole() {
    // The last has 75 groups of eight chains, of which the last is not full, and more chains than are run at once.
    for run in [Run::equilibrium(128, 3), Run::paper(37, Start::Cold, 3), Run::paper(597, Start::Hot, 4)] {
        let whole = made(run, 1000);
        for parts in [1, 2, 3, 4] {
            let folder = tempfile::tempdir().unwrap();
            let folders: Vec<_> = (0..parts).map(|part| folder.path().join(part.to_string())).collect();
            for (part, folder) in folders.iter().enumerate() {
                save(run.shard(part, parts).unwrap(), folder);
            }
            // In any order.
            let reversed: Vec<_> = folders.iter().rev().collect();
            let merged = Production::merge(&action(), run, &reversed).unwrap();
            assert!(merged == whole, "{run:?} in {parts}");
            assert_eq!(merged.finish(), whole.clone().finish());
        }
    }
}

#[test]
fn shards_that_do_not_make_a_whole_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let run = Run::paper(64, Start::Hot, 3);
    for part in 0..3 {
        save(run.shard(part, 3).unwrap(), &place(&part.to_string()));
    }
    save(run.shard(1, 4).unwrap(), &place("fourth"));
    save(Run::paper(64, Start::Hot, 4).shard(2, 3).unwrap(), &place("seed"));
    save(Run::paper(72, Start::Hot, 3).shard(2, 3).unwrap(), &place("longer"));
    made(run.shard(2, 3).unwrap(), 0).save(&action(), &place("unfinished")).unwrap();
    let merged = |names: &[&str]| {
        let folders: Vec<_> = names.iter().map(|name| place(name)).collect();
        Production::merge(&action(), run, &folders)
    };
    assert_eq!(merged(&["0", "2", "1"]).unwrap(), made(run, 1000));
    let refused = |names: &[&str]| merged(names).unwrap_err();
    assert!(matches!(refused(&["0", "2"]), MergeError::Missing { part: 1, parts: 3 }));
    assert!(matches!(refused(&[]), MergeError::Missing { part: 0, .. }));
    assert!(matches!(refused(&["0", "1", "1"]), MergeError::Doubled { part: 1, .. }));
    assert!(matches!(refused(&["0", "1", "2", "2"]), MergeError::Doubled { part: 2, .. }));
    assert!(matches!(
        refused(&["0", "1", "unfinished"]),
        MergeError::Unfinished { expected: 16, found: 0, .. }
    ));
    assert!(matches!(refused(&["0", "1", "nothing"]), MergeError::NoShard { .. }));
    for foreign in ["fourth", "seed", "longer"] {
        assert!(matches!(refused(&["0", "1", foreign]), MergeError::Foreign { .. }), "{foreign}");
    }
    let other = Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.26, 0.022).unwrap();
    let folders = [place("0"), place("1"), place("2")];
    assert!(matches!(Production::merge(&other, run, &folders), Err(MergeError::Foreign { .. })));
}

#[test]
fn a_shard_has_chains() {
    let run = Run::equilibrium(640, 1);
    for (part, parts) in [(3, 3), (0, 5), (0, 0)] {
        let error = run.shard(part, parts).unwrap_err().to_string();
        assert!(error.contains(&format!("shard {part} of {parts}")) && error.contains("can be 4"), "{error}");
    }
    assert!(Run::paper(17, Start::Hot, 1).shard(2, 3).is_ok());
}
