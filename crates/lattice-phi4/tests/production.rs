//! Ensembles that are stopped, resumed and damaged.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "hostile/sealed.rs"]
mod sealed;

use lattice_phi4::{EnsembleError, Lattice, Phi4, Production, Run, Start, equilibrium, paper};
use sealed::{entries, sealed};
use std::fs;

fn action(extent: usize) -> Phi4 {
    Phi4::new(Lattice::new(&[extent, extent]).unwrap(), 0.27, 0.022).unwrap()
}

/// Saved after every second step, dropped and resumed after every third: what was not saved is done again.
#[test]
fn interrupted_runs_give_the_same_bits() {
    let action = action(6);
    let whole = [
        equilibrium(&action, 320, 3, &mut |_, _| ()).unwrap(),
        paper(&action, 600, Start::Hot, 3, &mut |_, _| ()).unwrap(),
        paper(&action, 600, Start::Cold, 3, &mut |_, _| ()).unwrap(),
    ];
    let runs = [Run::equilibrium(320, 3), Run::paper(600, Start::Hot, 3), Run::paper(600, Start::Cold, 3)];
    for (whole, run) in whole.iter().zip(runs) {
        let folder = tempfile::tempdir().unwrap();
        let mut interruptions = 0;
        let pieces = loop {
            let saved = Production::resume(&action, run, folder.path()).unwrap();
            let mut production = saved.unwrap_or_else(|| run.begin(&action).unwrap());
            for step in 1..=3 {
                production.advance(&action).unwrap();
                if step == 2 {
                    production.save(&action, folder.path()).unwrap();
                }
            }
            if production.done() == production.configurations() {
                break production;
            }
            interruptions += 1;
        };
        assert!(interruptions > 0 || run.start.is_some());
        assert_eq!(&pieces.finish(), whole, "{run:?}");
    }
}

/// Chains do not know of how many they are a part.
#[test]
fn the_first_of_more_chains_are_the_same() {
    let action = action(4);
    let (few, many) = (
        paper(&action, 16, Start::Hot, 3, &mut |_, _| ()).unwrap(),
        paper(&action, 280, Start::Hot, 3, &mut |_, _| ()).unwrap(),
    );
    assert_eq!(few.fields, many.fields.slice(ndarray::s![..16, ..]));
}

#[test]
fn another_run_or_action_is_not_resumed_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let run = Run::equilibrium(320, 3);
    let of = |action: &Phi4, run| Production::resume(action, run, folder);
    assert_eq!(of(&action(4), run).unwrap(), None);
    let mut production = Production::equilibrium(&action(4), 320, 3).unwrap();
    for _ in 0..2 {
        production.advance(&action(4)).unwrap();
        production.save(&action(4), folder).unwrap();
    }
    assert_eq!(of(&action(4), run).unwrap().unwrap(), production);
    assert_eq!(of(&action(4), Run::equilibrium(320, 4)).unwrap(), None);
    assert_eq!(of(&action(4), Run::paper(320, Start::Hot, 3)).unwrap(), None);
    assert_eq!(of(&action(6), run).unwrap(), None);
    let other = Phi4::new(Lattice::new(&[4, 4]).unwrap(), 0.26, 0.022).unwrap();
    assert_eq!(of(&other, run).unwrap(), None);

    let (part, state) = (folder.join("part-000001.npy"), folder.join("state.json"));
    let bytes = fs::read(&part).unwrap();
    let with = |bytes: &[u8]| {
        fs::write(&part, bytes).unwrap();
        of(&action(4), run).unwrap_err()
    };
    assert!(matches!(with(&bytes[..bytes.len() - 8]), EnsembleError::Length { .. }));
    let mut flipped = bytes.clone();
    flipped[200] ^= 1;
    assert!(matches!(with(&flipped), EnsembleError::Digest { .. }));
    fs::remove_file(&part).unwrap();
    let missing = of(&action(4), run).unwrap_err();
    assert!(missing.to_string().contains("part-000001.npy"), "{missing}");
    fs::write(&part, &bytes).unwrap();
    assert!(of(&action(4), run).is_ok());

    let json = fs::read_to_string(&state).unwrap();
    for (damaged, what) in [
        (json[..json.len() / 2].to_owned(), "state.json: not the metadata"),
        (json.replace("\"rows\":96", "\"rows\":128"), "configurations: expected 128, found 96"),
        (json.replace("\"format\":2", "\"format\":1"), "format: expected 2, found 1"),
        (json.replace("\"starts\":32", "\"starts\":0"), "configurations: expected 96, found 96"),
    ] {
        assert_ne!(damaged, json);
        fs::write(&state, &damaged).unwrap();
        of(&action(4), run).unwrap_err();
        fs::write(&state, sealed("seal", &entries(damaged.as_bytes()))).unwrap();
        let error = of(&action(4), run).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
