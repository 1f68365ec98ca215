//! Summaries of samples: accuracy against exact rationals, merging, bad values, storage.

use cumulants::{Moments, MomentsError, central_from_raw, cumulants_from_moments};
use num_rational::BigRational;
use num_traits::ToPrimitive;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;

/// Exponential variates: skewed, all cumulants present.
fn skewed(n: usize, seed: u64) -> Vec<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    (0..n).map(|_| -(1.0 - rng.random::<f64>()).ln()).collect()
}

/// Raw moments of the data as exact rationals.
fn exact_raw_moments(data: &[f64], order: usize) -> Vec<BigRational> {
    let exact: Vec<_> = data.iter().map(|&x| BigRational::from_float(x).expect("finite data")).collect();
    let count = BigRational::from_integer(data.len().into());
    let mut powers = exact.clone();
    let mut moments = Vec::new();
    for _ in 0..order {
        moments.push(powers.iter().sum::<BigRational>() / &count);
        for (power, x) in powers.iter_mut().zip(&exact) {
            *power *= x;
        }
    }
    moments
}

fn mean_abs_power(data: &[f64], centre: f64, k: i32) -> f64 {
    data.iter().map(|x| (x - centre).abs().powi(k)).sum::<f64>() / data.len() as f64
}

/// Rounding of summing and multiplying, plus what the rounding of an offset does to a central power.
fn tolerance(data: &[f64], k: i32) -> f64 {
    let centre = data.iter().sum::<f64>() / data.len() as f64;
    let k_1 = if k > 1 { mean_abs_power(data, centre, k - 1) } else { 1.0 };
    let largest = data.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    64.0 * f64::EPSILON * (mean_abs_power(data, centre, k) + f64::from(k) * largest * k_1)
}

#[test]
fn moments_and_cumulants_agree_with_exact_rationals() {
    for offset in [0.0, 1000.0] {
        let data: Vec<f64> = skewed(150, 3).iter().map(|x| x + offset).collect();
        let moments = Moments::<8>::of(&data);
        let raw = exact_raw_moments(&data, 8);
        let central = central_from_raw(&raw);
        let cumulants = cumulants_from_moments(&raw);
        for (k, order) in (1..=8).zip(1..) {
            let number = |x: &BigRational| x.to_f64().unwrap();
            let error = (moments.central_moment(k) - number(&central[k - 1])).abs();
            assert!(error <= tolerance(&data, order), "central {k}, offset {offset}: {error}");
            // Offset 1000: 3 of 16 digits are lost to the rounding of the data's centre, not 24.
            let relative = (moments.cumulant(k) / number(&cumulants[k - 1]) - 1.0).abs();
            assert!(relative < 1e-14 * (1.0 + offset) * 4.0, "cumulant {k}, offset {offset}: {relative}");
            let relative = (moments.raw_moment(k) / number(&raw[k - 1]) - 1.0).abs();
            assert!(relative < 1e-14, "raw {k}, offset {offset}: {relative}");
        }
    }
}

#[test]
fn every_length_and_order() {
    fn check<const N: usize>(data: &[f64]) {
        let moments = Moments::<N>::of(data);
        let mean = data.iter().sum::<f64>() / data.len() as f64;
        assert_eq!(moments.count(), data.len() as u64);
        assert!((moments.mean() - mean).abs() < 1e-14);
        for (k, order) in (2..=N).zip(2..) {
            let naive = data.iter().map(|x| (x - mean).powi(order)).sum::<f64>() / data.len() as f64;
            let error = (moments.central_moment(k) - naive).abs();
            assert!(error <= tolerance(data, order), "n = {}, N = {N}, k = {k}", data.len());
        }
    }
    let data = skewed(100, 4);
    for n in 1..=data.len() {
        check::<1>(&data[..n]);
        check::<2>(&data[..n]);
        check::<5>(&data[..n]);
        check::<8>(&data[..n]);
        check::<11>(&data[..n]);
    }
}

/// The expected bits were computed by the portable version of the kernels, and are the same from those for
/// AVX2 and AVX-512.
#[test]
fn bits_do_not_depend_on_the_instruction_set() {
    let data: Vec<f64> = (0..1000_u32).map(|i| f64::from(i * i % 1009) / 1009.0).collect();
    let (left, right) = data.split_at(333);
    let moments = Moments::<8>::of(left).merge(&Moments::of(right));
    assert_eq!(moments.central_moment(3).to_bits(), 0xbf25_3248_742a_b4a4);
    assert_eq!(moments.central_moment(8).to_bits(), 0x3f40_a8a5_0b14_3c4e);
}

#[test]
fn skewness_of_a_small_sample() {
    let moments = Moments::<3>::of(&[1.0, 2.0, 3.0, 10.0]);
    // Plug-in skewness, m3 / m2^(3/2) = 45 / 12.5^1.5; statistics packages print it times
    // sqrt(n (n-1)) / (n-2), the bias-corrected 1.764.
    let plug_in = moments.cumulant(3) / moments.cumulant(2).powf(1.5);
    assert!((plug_in - 1.018_233_764_908_628_5).abs() < 1e-15);
    assert!((plug_in * 12.0_f64.sqrt() / 2.0 - 1.763_632_614_803_888).abs() < 1e-14);
}

#[test]
fn higher_cumulants_of_skewed_data_have_all_terms() {
    let moments = Moments::<8>::of(&skewed(1000, 5));
    let m = |k| moments.central_moment(k);
    let expected = [
        m(2),
        m(3),
        m(4) - 3.0 * m(2).powi(2),
        m(5) - 10.0 * m(3) * m(2),
        m(6) - 15.0 * m(4) * m(2) - 10.0 * m(3).powi(2) + 30.0 * m(2).powi(3),
        m(7) - 21.0 * m(5) * m(2) - 35.0 * m(4) * m(3) + 210.0 * m(3) * m(2).powi(2),
        m(8) - 28.0 * m(6) * m(2) - 56.0 * m(5) * m(3) - 35.0 * m(4).powi(2)
            + 420.0 * m(4) * m(2).powi(2)
            + 560.0 * m(3).powi(2) * m(2)
            - 630.0 * m(2).powi(4),
    ];
    for (k, expected) in (2..).zip(expected) {
        // The last, kappa_8, cancels most: terms 94586 m_8 at worst.
        assert!((moments.cumulant(k) - expected).abs() < 1e-12 * m(k).abs(), "order {k}");
    }
}

#[test]
fn empty_is_the_identity_of_merge() {
    let moments = Moments::<8>::of(&skewed(77, 6));
    assert_eq!(moments.merge(&Moments::EMPTY), moments);
    assert_eq!(Moments::default().merge(&moments), moments);
    assert_eq!(Moments::<8>::of(&[]), Moments::EMPTY);
    assert!(Moments::<8>::EMPTY.is_finite());
    assert!(Moments::<8>::EMPTY.mean().is_nan());
    assert!(Moments::<8>::EMPTY.cumulants().iter().all(|kappa| kappa.is_nan()));
}

#[test]
fn bad_values_stay_visible() {
    let good = Moments::<8>::of(&skewed(100, 7));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut data = skewed(100, 8);
        data[50] = bad;
        let merged = Moments::of(&data).merge(&good).merge(&good);
        assert_eq!(merged.checked(), Err(MomentsError::NotFinite));
        assert!(!merged.mean().is_finite());
        assert!(merged.cumulant(2).is_nan());
        assert!(!merged.symmetrised().is_finite());
    }
    // 1e50^6 = 1e300 is finite, 1e50^7 is not.
    let overflowed = Moments::<8>::of(&[1e50, -1e50, 0.0]).merge(&good);
    assert_eq!(overflowed.checked(), Err(MomentsError::Overflow { order: 7 }));
    assert!((1..=6).all(|k| overflowed.central_moment(k).is_finite()));
    assert!((7..=8).all(|k| !overflowed.central_moment(k).is_finite()));
    assert!(good.is_finite());
}

#[test]
fn storage_keeps_every_bit_and_refuses_another_order() {
    let moments = Moments::<8>::of(&skewed(100, 9));
    let text = serde_json::to_string(&moments).unwrap();
    assert_eq!(serde_json::from_str::<Moments<8>>(&text).unwrap(), moments);
    let error = serde_json::from_str::<Moments<6>>(&text).unwrap_err().to_string();
    assert!(error.contains("sums: 7 values, moments to order 6 have 5"), "{error}");

    for (damaged, complaint) in [
        (r#"{"count":2,"mean":1.0,"sums":[-1.0]}"#, "sums: -1 for a sum of squares"),
        (r#"{"count":0,"mean":1.0,"sums":[0.0]}"#, "count: 0, but"),
    ] {
        let error = serde_json::from_str::<Moments<2>>(damaged).unwrap_err().to_string();
        assert!(error.contains(complaint), "{error}");
    }
}

proptest! {
    #[test]
    fn merge_is_the_union_and_associative(
        a in prop::collection::vec(-2.0_f64..9.0, 1..60),
        b in prop::collection::vec(-2.0_f64..9.0, 1..60),
        c in prop::collection::vec(-2.0_f64..9.0, 1..60),
        offset in prop_oneof![Just(0.0), -1e4_f64..1e4],
    ) {
        let shift = |v: &[f64]| v.iter().map(|x| x + offset).collect::<Vec<_>>();
        let (a, b, c) = (shift(&a), shift(&b), shift(&c));
        let all = [&a[..], &b, &c].concat();
        let [ma, mb, mc] = [&a, &b, &c].map(|v| Moments::<8>::of(v));
        let union = Moments::<8>::of(&all);
        let left = ma.merge(&mb).merge(&mc);
        let right = ma.merge(&mb.merge(&mc));
        let swapped = mc.merge(&mb).merge(&ma);
        for merged in [left, right, swapped] {
            prop_assert_eq!(merged.count(), union.count());
            prop_assert!((merged.mean() - union.mean()).abs() <= tolerance(&all, 1));
            for (k, order) in (2..=8).zip(2..) {
                let error = (merged.central_moment(k) - union.central_moment(k)).abs();
                prop_assert!(error <= tolerance(&all, order), "order {}: {}", k, error);
            }
        }
    }

    #[test]
    fn symmetrised_is_the_union_with_the_mirror_image(
        data in prop::collection::vec(-2.0_f64..9.0, 1..60),
    ) {
        let mirrored: Vec<f64> = data.iter().flat_map(|&x| [x, -x]).collect();
        let expected = Moments::<7>::of(&mirrored);
        let even = Moments::<7>::of(&data).symmetrised();
        prop_assert_eq!(even.count(), expected.count());
        prop_assert_eq!(even.mean(), 0.0);
        for (k, order) in [(2, 2), (4, 4), (6, 6)] {
            let error = (even.central_moment(k) - expected.central_moment(k)).abs();
            prop_assert!(error <= tolerance(&mirrored, order), "order {}: {}", k, error);
            prop_assert_eq!(even.central_moment(k + 1), 0.0);
        }
    }
}
