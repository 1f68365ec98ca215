//! Convergence of chains against ArviZ (`fixtures/convergence.py`), blocking against autoregressive chains.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::{ChainError, blocking, convergence};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use testing::{Comparisons, seed};

#[test]
fn arviz_agrees() {
    let cases: serde_json::Value = serde_json::from_str(include_str!("fixtures/convergence.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let chains: Vec<Vec<f64>> = serde_json::from_value(case["chains"].clone()).unwrap();
        let views: Vec<&[f64]> = chains.iter().map(Vec::as_slice).collect();
        let found = convergence(&views).unwrap();
        for (key, value) in
            [("r_hat", found.r_hat), ("bulk", found.bulk_samples), ("tail", found.tail_samples)]
        {
            let expected = case[key].as_f64().unwrap();
            assert!((value / expected - 1.0).abs() < 1e-9, "{}, {key}: {value} {expected}", case["name"]);
        }
    }
}

#[test]
fn ranks_do_not_see_a_monotonic_function() {
    let mut rng = Pcg64::seed_from_u64(1);
    let chains: Vec<Vec<f64>> = (0..4).map(|_| (0..100).map(|_| rng.random()).collect()).collect();
    let of = |f: fn(f64) -> f64| {
        let chains: Vec<Vec<f64>> = chains.iter().map(|c| c.iter().map(|x| f(*x)).collect()).collect();
        convergence(&chains.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap()
    };
    let (plain, powers) = (of(|x| x), of(|x| (9.0 * x).exp()));
    assert_eq!(plain.bulk_samples, powers.bulk_samples);
}

/// One-sigma intervals by blocking cover 68.27 per cent of independent data. Of correlated ones, of 900 to 1600 `tau_int` here, they
/// cover less, by what the test of independence does not see: 62 per cent at least.
#[test]
fn blocking_covers() {
    let (test, replicas) = (Comparisons::of(3), 3000);
    for (a, length) in [(0.0_f64, 4096), (0.8, 8192), (39.0 / 41.0, 65_536)] {
        let mut rng = Pcg64::seed_from_u64(seed(11));
        let mut covered = 0;
        for _ in 0..replicas {
            let mut x: f64 = rng.sample(rand_distr::StandardNormal);
            let mut next = || {
                x = a * x + (1.0 - a * a).sqrt() * rng.sample::<f64, _>(rand_distr::StandardNormal);
                x
            };
            let chain: Vec<f64> = (0..length).map(|_| next()).collect();
            let found = blocking(&chain).unwrap();
            covered += u64::from(found.mean.value.abs() < found.mean.error);
        }
        let found = covered as f64 / replicas as f64;
        let expected = if a == 0.0 { 0.6827 } else { found.clamp(0.62, 0.6827) };
        assert!(test.binomial(covered, replicas, expected), "a = {a}: {covered} of {replicas}");
    }
}

#[test]
fn blocks_of_two_by_hand() {
    let found = blocking(&[1.0, 3.0, 5.0, 7.0, 100.0]).unwrap();
    assert_eq!(found.sizes.iter().map(|s| (s.size, s.blocks)).collect::<Vec<_>>(), [(1, 5), (2, 2)]);
    // Blocks 2 and 6: standard error 2.
    assert!((found.sizes[1].error - 2.0).abs() < 1e-14);
    assert_eq!(found.mean.value, 23.2);
    let constant = blocking(&[2.0; 64]).unwrap();
    assert_eq!((constant.mean.value, constant.mean.error, constant.chosen), (2.0, 0.0, 0));
}

#[test]
fn bad_chains_are_refused() {
    assert_eq!(convergence(&[]), Err(ChainError::Empty));
    let short = ChainError::Chain { chain: 0, values: 7, quantities: 1 };
    assert_eq!(convergence(&[&[1.0; 7]]), Err(short));
    assert_eq!(
        convergence(&[&[1.0; 8], &[1.0; 9]]),
        Err(ChainError::Lengths { chain: 1, found: 9, expected: 8 })
    );
    let mut bad = [1.0; 8];
    bad[3] = f64::INFINITY;
    assert_eq!(convergence(&[&[1.0; 8], &bad]), Err(ChainError::NotFinite { chain: 1, row: 3 }));
    assert_eq!(blocking(&bad), Err(ChainError::NotFinite { chain: 0, row: 3 }));
    assert!(blocking(&[1.0; 3]).is_err());
    assert_eq!(convergence(&[&[1.0; 8], &[1.0; 8]]).unwrap().r_hat, 1.0);
    assert_eq!(convergence(&[&[1.0; 8], &[2.0; 8]]).unwrap().r_hat, f64::INFINITY);
}

proptest! {
    #[test]
    fn any_finite_chains_give_an_answer(
        values in prop::collection::vec(prop_oneof![-1e150..1e150_f64, Just(0.0), -1.0..1.0_f64], 16..120),
    ) {
        let (a, b) = values.split_at(values.len() / 2);
        let found = convergence(&[a, &b[..a.len()]]).unwrap();
        prop_assert!(found.r_hat > 0.0 && found.bulk_samples > 0.0 && found.tail_samples > 0.0, "{:?}", found);
        prop_assert!(blocking(&values).unwrap().mean.error >= 0.0);
    }
}
