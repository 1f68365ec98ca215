//! Numbers of any kind, the same as `fuzz/` runs them.

use cumulants::Moments;
use proptest::prelude::*;

mod any_input;

fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -3.0_f64..3.0,
        2 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 2.0]),
        1 => prop::num::f64::ANY,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e50, -1e160]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nothing_panics(data in prop::collection::vec(any_number(), 0..80)) {
        any_input::run(&data);
    }

    #[test]
    fn nothing_panics_on_finite_numbers(data in prop::collection::vec(prop_oneof![-1e300..1e300_f64, -1.0..1.0_f64, Just(0.5)], 0..80)) {
        any_input::run(&data);
    }

    #[test]
    fn nothing_panics_on_constants(x in any_number(), length in 0..80_usize) {
        any_input::run(&vec![x; length]);
    }
}

/// Rounding left a sum of squares of equal numbers below zero, and what was stored was refused.
#[test]
fn equal_numbers_have_no_negative_variance() {
    for exponent in -160..60 {
        for length in 1..80 {
            let data = vec![1.234_567 * 10_f64.powi(exponent); length];
            let (all, rest) = (Moments::<4>::of(&data), Moments::<4>::of(&data[1..]));
            for moments in [all, rest.merge(&all)] {
                assert!(moments.central_moment(2) >= 0.0, "{length} of {}", data[0]);
                let stored = serde_json::to_string(&moments).unwrap();
                assert!(serde_json::from_str::<Moments<4>>(&stored).is_ok(), "{stored}");
            }
        }
    }
}
