//! Stored summaries that are damaged: each is refused, or is a summary that everything can be done with.
//!
//! `HOSTILE_FILES=10000 cargo test --release --test hostile -- --nocapture` tries as many of every kind.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::print_stdout, reason = "the figures are what a long run is for")]

#[path = "../../lattice-phi4/tests/hostile/memory.rs"]
mod memory;
#[path = "../../lattice-phi4/tests/hostile/mutations.rs"]
mod mutations;

use cumulants::{JointMoments, Moments, PairwiseMoments, WeightedMoments, jackknife_cumulants};
use mutations::{Mutations, Outcomes, count};
use serde::de::DeserializeOwned;

fn data(length: usize) -> Vec<f64> {
    (0..length).map(|i| (i as f64 * 0.7).sin() + (i % 3) as f64).collect()
}

/// Changes the text of `summary`, and uses what is read from it.
fn stored<T: serde::Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
    name: &str,
    summary: &T,
    using: impl Fn(T),
) {
    let whole = serde_json::to_vec(summary).unwrap();
    assert_eq!(&serde_json::from_slice::<T>(&whole).unwrap(), summary);
    let (mut mutations, mut outcomes) = (Mutations::new(1), Outcomes::default());
    for _ in 0..count() {
        let bytes = mutations.of(&whole);
        if let Some(found) = outcomes.see(bytes.len(), || serde_json::from_slice::<T>(&bytes)) {
            let text = serde_json::to_vec(&found).unwrap();
            assert_eq!(serde_json::from_slice::<T>(&text).unwrap(), found);
            using(found);
        }
    }
    outcomes.report(name);
}

#[test]
fn moments() {
    let summary = Moments::<6>::of(&data(100));
    stored("Moments", &summary, |found| {
        let merged = found.merge(&summary).merge(&found);
        let _ = (merged.cumulants(), found.k_statistics(), found.checked(), found.h_statistic(4));
    });
}

#[test]
fn weighted_moments() {
    let summary =
        WeightedMoments::<4>::of(&data(50), &data(50).iter().map(|x| x.abs()).collect::<Vec<_>>()).unwrap();
    stored("WeightedMoments", &summary, |found| {
        let _ = (found.merge(&summary).merge(&found).cumulants(), found.effective_samples());
    });
}

#[test]
fn joint_moments() {
    let summary = JointMoments::of(&data(90), 3, 4);
    stored("JointMoments", &summary, |found| {
        let _ = (found.cumulants(4.min(found.order())), found.mean().len());
        if (found.variables(), found.order()) == (3, 4) {
            let _ = found.merge(&summary).merge(&found).cumulants(4);
        }
    });
}

#[test]
fn pairwise_moments() {
    // Seven leaves, and as many as make the bins larger than one.
    for (leaves, length) in [(7, 1024), (300, 1), (257, 1)] {
        let mut summary = PairwiseMoments::<4>::new();
        for leaf in data(leaves * length).chunks(length) {
            summary.push(Moments::of(leaf));
        }
        stored(&format!("PairwiseMoments, {leaves} leaves"), &summary, |mut found| {
            let _ = (found.total().cumulants(), jackknife_cumulants(&found.bins()));
            found.extend_from_slice(&data(3000));
            let _ = (found.total().cumulants(), jackknife_cumulants(&found.bins()));
        });
    }
}

/// What the changes above hit now and then.
#[test]
fn counts_and_levels_that_cannot_be() {
    let refused = |text: &str| serde_json::from_str::<PairwiseMoments<2>>(text).unwrap_err().to_string();
    let most = r#"{"count":9007199254740993,"mean":0,"sums":[1]}"#;
    assert!(serde_json::from_str::<Moments<2>>(most).unwrap_err().to_string().starts_with("count"));
    let joint = r#"{"variables":1,"count":9007199254740993,"mean":[0],"sums":[[0],[1]]}"#;
    assert!(serde_json::from_str::<JointMoments>(joint).unwrap_err().to_string().starts_with("count"));
    let one = r#"{"count":1,"mean":0,"sums":[0]}"#;
    let with = |leaves: &str, subtrees: &str, bins: &str, level: &str| {
        refused(&format!(
            r#"{{"subtrees":[{subtrees}],"leaves":{leaves},"bins":[{bins}],"bin_level":{level}}}"#
        ))
    };
    assert!(with("1", one, "", "1").starts_with("bin_level"));
    assert!(with("1", one, "", "64").starts_with("bin_level"));
    assert!(with("1", one, &one.replace("\"count\":1", "\"count\":2"), "0").starts_with("bins"));
    assert!(with("2", one, &format!("{one},{one}"), "0").starts_with("subtrees"));
}

/// Lists of small numbers, nested lists, unknown entries.
#[test]
fn bombs() {
    // Just above a power of two, where lists have twice the room that they need.
    let many = |item: &str| format!("[{}{item}]", format!("{item},").repeat(70_000));
    let mut outcomes = Outcomes::default();
    for list in [many("0"), many("[]"), many("[0]"), many("{}"), "[".repeat(100_000)] {
        for key in ["count", "sums", "subtrees", "bins", "mean", "other"] {
            let text = format!("{{\"variables\":1,\"{key}\":{list}}}");
            outcomes.see(text.len(), || serde_json::from_str::<Moments<4>>(&text).map(drop));
            outcomes.see(text.len(), || serde_json::from_str::<WeightedMoments<4>>(&text).map(drop));
            outcomes.see(text.len(), || serde_json::from_str::<JointMoments>(&text).map(drop));
            outcomes.see(text.len(), || serde_json::from_str::<PairwiseMoments<4>>(&text).map(drop));
        }
    }
    assert_eq!(outcomes.accepted, 0);
    outcomes.report("bombs");
}
