//! Parts of an ensemble make up the whole, to the last bit.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use diffusion::{CumulantFlow, Evolution, Prior, Share, ShareError, draw_rows, gather_flow};
use proptest::prelude::*;
use sde_core::ndarray::Array2;
use sde_core::{
    ChurnHeun, Communicator, Forward, Noise, NormalSource, Reverse, Threads, TimeGrid, TwoPeak,
    VarianceExpanding,
};

const SCHEDULE: fn() -> VarianceExpanding = || VarianceExpanding::new(10.0).unwrap();

/// The backward process on some rows of an ensemble: what was measured, and where the rows end.
fn backward(share: &Share, sites: usize) -> (CumulantFlow, Array2<f64>) {
    backward_in_blocks(share, sites, None)
}

fn backward_in_blocks(
    share: &Share,
    sites: usize,
    block_values: Option<usize>,
) -> (CumulantFlow, Array2<f64>) {
    let (schedule, model) = (SCHEDULE(), TwoPeak::new(1.0, 0.25).unwrap());
    let process = Reverse { schedule, score: model.score(schedule) };
    let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 6).unwrap();
    let prior = Prior::Matched { kappa_2: model.cumulant(2) };
    let rows = share.rows();
    let mut x = prior.draw_rows(&schedule, 1.0, rows.clone(), sites, &Noise::new(1, 0));
    let mut flow = CumulantFlow::every(&grid, 3);
    let rule = ChurnHeun::default();
    let mut evolution = Evolution::new(&process, &rule, &grid, Noise::new(1, 1)).first_row(rows.start);
    if let Some(values) = block_values {
        evolution = evolution.block_values(values);
    }
    evolution.run(x.view_mut(), &mut flow).unwrap();
    (flow, x)
}

#[test]
fn parts_are_the_whole() {
    for (rows, sites) in [(20_000, 1), (601_234, 1), (700, 64), (3, 2)] {
        let whole = backward(&Share::of(rows, sites, 0, 1).unwrap(), sites);
        for parts in [2, 3, 4, 7] {
            let mut flows = Vec::new();
            let mut ends = Vec::new();
            for part in 0..parts {
                let share = Share::of(rows, sites, part, parts).unwrap();
                let (flow, x) = backward(&share, sites);
                flows.push((share, flow));
                ends.extend(x);
            }
            assert_eq!(ends, whole.1.iter().copied().collect::<Vec<_>>(), "{rows} in {parts}");
            assert_eq!(Share::merge(flows).unwrap(), whole.0, "{rows} in {parts}");
        }
    }
}

#[test]
fn members_of_a_group_find_what_one_process_finds() {
    // The last has bins of four leaves.
    for (rows, size) in [1, 2, 3, 4, 9].into_iter().flat_map(|size| [(50_000, size), (601_234, size)]) {
        let whole = backward(&Share::of(rows, 1, 0, 1).unwrap(), 1).0;
        let found = Threads::run(size, |member| {
            let share = Share::of(rows, 1, member.rank(), member.size()).unwrap();
            gather_flow(member, &share, Ok(backward(&share, 1).0)).unwrap()
        });
        assert!(found.iter().all(|found| *found == whole), "{rows} on {size}");
    }
}

#[test]
fn processes_threads_and_blocks_change_no_bit() {
    let rows = 50_000;
    let whole = backward(&Share::of(rows, 1, 0, 1).unwrap(), 1).0;
    for (size, threads) in [1, 2, 4].into_iter().flat_map(|size| [1, 2, 3, 8].map(|threads| (size, threads)))
    {
        for block_values in [1, 1500, 1 << 20] {
            let found = Threads::run(size, |member| {
                let share = Share::of(rows, 1, member.rank(), member.size()).unwrap();
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let flow = pool.install(|| backward_in_blocks(&share, 1, Some(block_values)).0);
                gather_flow(member, &share, Ok(flow)).unwrap()
            });
            assert!(
                found.iter().all(|found| *found == whole),
                "{size} x {threads}, blocks of {block_values}"
            );
        }
    }
}

#[test]
fn all_hear_of_the_one_that_fails() {
    let errors = Threads::run(3, |member| {
        let share = Share::of(30, 1, member.rank(), member.size()).unwrap();
        let schedule = SCHEDULE();
        let grid = TimeGrid::uniform(0.0, 1.0, 1).unwrap();
        let mut flow = CumulantFlow::at_end(&grid);
        let mut x = draw_rows(0..10, 1, &Noise::new(1, 0), |noise, x| noise.fill(0, x));
        if member.rank() == 1 {
            x[(4, 0)] = f64::NAN;
        }
        let process = Forward(schedule);
        let rule = sde_core::ExactTransition::default();
        let run = Evolution::new(&process, &rule, &grid, Noise::new(1, 1)).run(x.view_mut(), &mut flow);
        gather_flow(member, &share, run.map(|()| flow)).unwrap_err().to_string()
    });
    assert_eq!(errors, vec!["rank 1: trajectory 4 is not finite at the start"; 3]);
}

#[test]
fn parts_that_do_not_make_a_whole_are_refused() {
    let part = |part, parts| {
        let share = Share::of(20_000, 1, part, parts).unwrap();
        (share, backward(&share, 1).0)
    };
    assert!(matches!(Share::of(10, 1, 2, 2), Err(ShareError::Part { part: 2, parts: 2 })));
    let order = |parts: Vec<_>| Share::merge(parts).unwrap_err().to_string();
    assert!(order(vec![part(0, 3), part(1, 3)]).contains("place 2 has part none"));
    assert!(order(vec![part(0, 3), part(0, 3), part(1, 3)]).contains("place 1 has part 0 of 3"));
    assert!(order(vec![part(0, 2), part(1, 2), part(1, 2)]).contains("place 2 has part 1 of 2"));
    assert!(order(vec![part(0, 2), part(1, 3)]).contains("part 1 of 3"));
    let foreign = Share::of(30_000, 1, 1, 2).unwrap();
    assert!(order(vec![part(0, 2), (foreign, part(1, 2).1)]).contains("place 1"));
    assert!(order(Vec::new()).contains("none"));
}

proptest! {
    #[test]
    fn shares_are_consecutive_and_of_like_size(
        rows in 1usize..10_000_000,
        sites in 1usize..2000,
        parts in 1usize..40,
    ) {
        let mut end = 0;
        let mut longest = 0;
        for part in 0..parts {
            let share = Share::of(rows, sites, part, parts).unwrap().rows();
            prop_assert_eq!(share.start, end);
            end = share.end;
            longest = longest.max(share.len());
        }
        prop_assert_eq!(end, rows);
        // Cuts are whole leaves, and at most a hundred-and-twenty-eighth of a part apart.
        let slack = 2 * 1024usize.div_ceil(sites) + rows / parts / 100;
        prop_assert!(longest <= rows.div_ceil(parts) + slack, "{} of {} in {}", longest, rows, parts);
    }
}
