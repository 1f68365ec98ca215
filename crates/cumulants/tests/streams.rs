//! The numbers that data and a seed give, written down: *a change here needs a new major version*.
//!
//! Sums have a fixed order and are made of IEEE operations and fused multiply-adds: the bits are the same on every processor.

#![allow(clippy::unreadable_literal, reason = "numbers stand as they are printed")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../sde-core/tests/streams/print.rs"]
mod print;

use cumulants::{JointMoments, Moments, PairwiseMoments, WeightedMoments, bootstrap_cumulants};
use print::{Print, check, print};
use rand::SeedableRng;
use rand_pcg::Pcg64;

#[test]
fn summaries() {
    // Exact numbers, so that no library has a part in them.
    let data: Vec<f64> = (0..5003_u32).map(|i| f64::from(i * i % 977) / 256.0 - 1.5).collect();
    let weights: Vec<f64> = (0..5003_u32).map(|i| f64::from(1 + i % 7) / 8.0).collect();
    let mut pairwise = PairwiseMoments::<8>::new();
    pairwise.extend_from_slice(&data);
    let bootstrap = bootstrap_cumulants::<4, _>(&data, 50, &mut Pcg64::seed_from_u64(1)).unwrap();
    let bootstrap: Vec<f64> = bootstrap.iter().flat_map(|k| [k.value, k.error]).collect();
    check(
        &[
            ("Moments", print(&Moments::<8>::of(&data).cumulants())),
            ("PairwiseMoments", print(&pairwise.total().cumulants())),
            ("WeightedMoments", print(&WeightedMoments::<4>::of(&data, &weights).unwrap().cumulants())),
            ("JointMoments", print(&[JointMoments::of(&data[..5000], 2, 4).cumulant(&[0, 0, 1, 1])])),
            ("bootstrap", print(&bootstrap)),
        ],
        &EXPECTED,
    );
}

const EXPECTED: [(&str, Print); 5] = [
    ("Moments", (0.4005479524785128, 0xaa31_b3fb_dd45_6bf2)),
    ("PairwiseMoments", (0.4005479524785129, 0x1843_09b0_3e00_4243)),
    ("WeightedMoments", (0.40073259515419607, 0x4a49_af77_6bf2_c64f)),
    ("JointMoments", (0.02048460636572469, 0x911e_f00d_0cd7_7453)),
    ("bootstrap", (0.4005479524785129, 0xf1cd_f2a1_71ac_38bb)),
];
