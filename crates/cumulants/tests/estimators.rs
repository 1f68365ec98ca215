//! k-statistics and joint moments of samples in floating point.

use cumulants::{JointMoments, Moments};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

fn close(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= 1e-12 * scale
}

/// The printed formulas of the literature up to order 4 (Fisher 1930).
#[test]
fn low_orders_as_printed() {
    let data = [0.5, -1.25, 3.0, 10.0, 2.0, 2.5, -0.75];
    let moments = Moments::<8>::of(&data);
    let n = data.len() as f64;
    let m = |k| moments.central_moment(k);
    let k3 = n * n * m(3) / ((n - 1.0) * (n - 2.0));
    let k4 = n * n * ((n + 1.0) * m(4) - 3.0 * (n - 1.0) * m(2) * m(2)) / ((n - 1.0) * (n - 2.0) * (n - 3.0));
    assert!(close(moments.k_statistic(2), n / (n - 1.0) * m(2), m(2)));
    assert!(close(moments.k_statistic(3), k3, k3));
    assert!(close(moments.k_statistic(4), k4, m(4)));
    let h4 = (3.0 * (3.0 - 2.0 * n) * n * n * m(2) * m(2) + n * n * (n * n - 2.0 * n + 3.0) * m(4))
        / ((n - 3.0) * (n - 2.0) * (n - 1.0) * n);
    assert!(close(moments.h_statistic(4), h4, m(4)));
    assert_eq!(moments.h_statistic(1), 0.0);
    assert_eq!(moments.polykay(&[4]), moments.k_statistic(4));
    let variance_of_k2 = moments.k_statistic_covariance(2, 2);
    let printed = (2.0 * n * moments.k_statistic(2).powi(2) + (n - 1.0) * k4) / (n * (n + 1.0));
    assert!(close(variance_of_k2, printed, m(2).powi(2)));
    // 1.7636 is the skewness of 1, 2, 3, 10 with both estimates unbiased.
    let few = Moments::<3>::of(&[1.0, 2.0, 3.0, 10.0]);
    let skewness = few.k_statistic(3) / few.k_statistic(2).powf(1.5);
    assert!((skewness - 1.763_632_614_803_888).abs() < 1e-14);
}

#[test]
fn large_samples_approach_the_plug_in_cumulants() {
    let mut rng = Pcg64::seed_from_u64(1);
    let data: Vec<f64> = (0..4000).map(|_| -(1.0 - rng.random::<f64>()).ln()).collect();
    let moments = Moments::<8>::of(&data);
    for r in 2..=8 {
        // Bias of order 1/n times products of lower cumulants, here below 2^(r+1) / n.
        let relative = (moments.k_statistic(r) / moments.cumulant(r) - 1.0).abs();
        assert!(relative < f64::from(2 << r) / 4000.0 && relative > 0.0, "order {r}: {relative}");
    }
}

#[test]
fn documented_values_of_bad_samples() {
    assert!(Moments::<4>::EMPTY.k_statistics().iter().all(|k| k.is_nan()));
    assert!(Moments::<4>::EMPTY.h_statistic(1).is_nan());
    let constant = Moments::<8>::of(&[3.0; 20]);
    assert_eq!(constant.k_statistics(), [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let few = Moments::<8>::of(&[1.0, 4.0, 6.0]);
    assert!(few.k_statistics()[..3].iter().all(|k| k.is_finite()));
    assert!(few.k_statistics()[3..].iter().all(|k| k.is_nan()));
    assert!(few.k_statistic_covariance(2, 2).is_nan());
    let bad = Moments::<4>::of(&[1.0, f64::NAN, 2.0, 3.0, 4.0]);
    assert!(bad.k_statistics().iter().all(|k| k.is_nan()));
}

fn rows(values: &[f64]) -> Vec<f64> {
    // Three dependent, skewed variables.
    values.iter().flat_map(|&x| [x, x * x - 0.3 * x, (2.0 * x).exp() + 100.0]).collect()
}

#[test]
fn joint_moments_of_one_variable_are_moments() {
    let mut rng = Pcg64::seed_from_u64(2);
    let data: Vec<f64> = (0..5000).map(|_| rng.random::<f64>().powi(3)).collect();
    let (joint, single) = (JointMoments::of(&data, 1, 6), Moments::<6>::of(&data));
    assert!((joint.mean()[0] - single.mean()).abs() < 1e-15);
    for r in 1..=6 {
        let index = vec![0; r];
        assert!(close(joint.cumulant(&index), single.cumulant(r), 1.0), "cumulant {r}");
        assert!(close(joint.k_statistic(&index), single.k_statistic(r), 1.0), "k-statistic {r}");
    }
    assert!(close(joint.polykay(&[&[0, 0], &[0, 0, 0]]), single.polykay(&[2, 3]), 1.0));
}

/// Cumulants are multilinear: those of a sum are sums of joint ones.
#[test]
fn cumulants_of_a_combination_are_contracted_tensors() {
    let mut rng = Pcg64::seed_from_u64(3);
    let rows = rows(&(0..300).map(|_| rng.random::<f64>()).collect::<Vec<_>>());
    let weights = [0.5, -2.0, 0.25];
    let combined: Vec<f64> =
        rows.chunks(3).map(|row| row.iter().zip(weights).map(|(x, w)| w * x).sum()).collect();
    let (joint, single) = (JointMoments::of(&rows, 3, 5), Moments::<5>::of(&combined));
    for order in 1..=5 {
        for (tensor, expected) in [
            (joint.cumulants(order), single.cumulant(order)),
            (joint.k_statistics(order).unwrap(), single.k_statistic(order)),
        ] {
            let mut contracted = 0.0;
            for place in 0..3_usize.pow(order as u32) {
                let index: Vec<usize> = (0..order as u32).map(|k| place / 3_usize.pow(k) % 3).collect();
                contracted += tensor.get(&index) * index.iter().map(|&i| weights[i]).product::<f64>();
            }
            assert!(close(contracted, expected, 10.0), "order {order}: {contracted} {expected}");
        }
    }
}

#[test]
fn joint_values_of_bad_samples() {
    let empty = JointMoments::of(&[], 2, 4);
    assert_eq!(empty, JointMoments::empty(2, 4));
    assert!(empty.cumulant(&[0]).is_nan() && empty.cumulant(&[0, 1]).is_nan());
    assert!(empty.k_statistic(&[0, 1]).is_nan());
    assert!(empty.k_statistics(2).is_err());
    let constant = JointMoments::of(&[2.0; 12], 2, 4);
    assert_eq!(constant.cumulant(&[0, 1, 1, 0]), 0.0);
    let bad = JointMoments::of(&[1.0, f64::NAN, 2.0, 3.0], 2, 3);
    assert!(!bad.is_finite() && bad.cumulant(&[0, 1]).is_nan());
    assert!(bad.cumulant(&[0, 0]).is_finite());
}

#[test]
fn joint_storage_keeps_every_bit_and_refuses_damage() {
    let mut rng = Pcg64::seed_from_u64(4);
    let rows = rows(&(0..100).map(|_| rng.random::<f64>()).collect::<Vec<_>>());
    let moments = JointMoments::of(&rows, 3, 4);
    let text = serde_json::to_string(&moments).unwrap();
    assert_eq!(serde_json::from_str::<JointMoments>(&text).unwrap(), moments);
    for (from, to, message) in [
        ("\"variables\":3", "\"variables\":0", "variables: 0"),
        ("\"variables\":3", "\"variables\":2", "mean: 3 values for 2 variables"),
        ("\"sums\":[[0.0,0.0,0.0]", "\"sums\":[[0.0,0.0]", "sums of order 1: 2 values, 3 variables have 3"),
    ] {
        assert!(text.contains(from));
        let error = serde_json::from_str::<JointMoments>(&text.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

proptest! {
    #[test]
    fn joint_merge_is_the_union(
        a in prop::collection::vec(-1.0_f64..2.0, 0..30),
        b in prop::collection::vec(-1.0_f64..2.0, 0..30),
    ) {
        let (left, right) = (rows(&a), rows(&b));
        let merged = JointMoments::of(&left, 3, 4).merge(&JointMoments::of(&right, 3, 4));
        let union = JointMoments::of(&[left, right].concat(), 3, 4);
        prop_assert_eq!(merged.count(), union.count());
        // The third variable has an offset of 100 and a range of 55.
        for order in 1..=4 {
            let exact = union.cumulants(order);
            for (index, value) in merged.cumulants(order).iter() {
                let error = (value - exact.get(&index)).abs();
                let bound = 1e-10 * 100_f64.powi(order as i32);
                prop_assert!(error <= bound || union.count() == 0, "{:?} {}", index, error);
            }
        }
    }

    #[test]
    fn k_statistics_do_not_see_a_shift_and_scale_as_powers(
        data in prop::collection::vec(-3.0_f64..9.0, 8..40),
        shift in -10.0_f64..10.0,
    ) {
        let moved: Vec<f64> = data.iter().map(|x| 2.0 * x + shift).collect();
        let (before, after) = (Moments::<8>::of(&data), Moments::<8>::of(&moved));
        for r in 2..=8 {
            // Near the minimal sample size coefficients reach 8!.
            let scale = 24_f64.powi(r as i32) * 4e4 / 1e3;
            let error = (after.k_statistic(r) - before.k_statistic(r) * 2_f64.powi(r as i32)).abs();
            prop_assert!(error <= 1e-12 * scale, "order {}: {}", r, error);
        }
    }
}
