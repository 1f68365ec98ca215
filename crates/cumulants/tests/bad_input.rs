//! Numbers of any kind, the same as `fuzz/` runs them.

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
