//! Chains shared by several processes.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{Lattice, Phi4, Run, Start};
use sde_core::{Communicator, Threads};

#[test]
fn any_number_of_processes_and_threads_makes_the_same_ensemble() {
    let action = Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.25, 0.022).unwrap();
    for run in [Run::equilibrium(128, 3), Run::paper(37, Start::Hot, 3), Run::paper(37, Start::Cold, 3)] {
        let mut alone = run.begin(&action).unwrap();
        while alone.done() < alone.configurations() {
            alone.advance(&action).unwrap();
        }
        for (size, threads) in [1, 2, 3, 4, 5].into_iter().flat_map(|size| [1, 2, 3, 8].map(|n| (size, n))) {
            let found = Threads::run(size, |member| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut production = pool.install(|| run.begin_on(member, &action).unwrap());
                while production.done() < production.configurations() {
                    pool.install(|| production.advance_on(member, &action).unwrap());
                }
                production
            });
            assert!(found.iter().all(|found| *found == alone), "{run:?} on {size} x {threads}");
        }
    }
}

#[test]
fn another_number_of_processes_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let action = Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.25, 0.022).unwrap();
    let run = Run::equilibrium(256, 3);
    let mut whole = run.begin(&action).unwrap();
    while whole.done() < whole.configurations() {
        whole.advance(&action).unwrap();
    }
    for size in [3, 1, 2, 4] {
        Threads::run(size, |member| {
            let saved = lattice_phi4::Production::resume(&action, run, folder).unwrap();
            let mut production = saved.unwrap_or_else(|| run.begin_on(member, &action).unwrap());
            for _ in 0..2 {
                production.advance_on(member, &action).unwrap();
            }
            // All have read before the first one writes.
            member.gather(&[]);
            if member.is_first() {
                production.save(&action, folder).unwrap();
            }
        });
    }
    let last = lattice_phi4::Production::resume(&action, run, folder).unwrap().unwrap();
    assert_eq!(last.finish(), whole.finish());
}
