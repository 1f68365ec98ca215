//! The numbers that a seed gives, written down: *a change here needs a new major version*.
//!
//! Everything below is made of IEEE operations and fused multiply-adds in a fixed order, so the bits are the same on every processor
//! and with every instruction set. Schedules and grids with powers and logarithms of the system's library are left
//! out for that reason; [`Edm`] has none.

#![allow(clippy::unreadable_literal, reason = "numbers stand as they are printed")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "streams/print.rs"]
mod print;

use ndarray::Array2;
use print::{Print, check, print};
use sde_core::{
    ChurnHeun, DormandPrince, DriftFn, Edm, EulerMaruyama, ExactTransition, ExponentialEuler, Forward, Heun,
    Integrator, Noise, NormalSource, PredictorCorrector, ProbabilityFlow, Reverse, ScoreFn, StochasticHeun,
    TimeGrid, TwoPeak, integrate, ndarray,
};

#[test]
fn noise() {
    let normals = |seed, stream, step, draw, first| {
        let mut z = vec![0.0; 1000];
        Noise::new(seed, stream).block(step, first).fill(draw, &mut z);
        print(&z)
    };
    let mut words = [0; 4];
    Noise::new(1, 0).words(99, 0, 123_456_789, &mut words);
    assert_eq!(words, WORDS);
    let mut peaks = vec![0.0; 1000];
    TwoPeak::new(1.0, 0.25).unwrap().fill(&Noise::new(1, 0).block(0, 0), &mut peaks);
    check(
        &[
            ("first", normals(1, 0, 0, 0, 0)),
            ("another seed", normals(2, 0, 0, 0, 0)),
            ("another stream", normals(1, 1, 0, 0, 0)),
            ("another step", normals(1, 0, 1, 0, 0)),
            ("another draw", normals(1, 0, 0, 1, 0)),
            ("far away", normals(u64::MAX, u64::MAX, u64::MAX, u32::MAX, 1 << 63)),
            ("within a group", normals(1, 0, 0, 0, 50)),
            ("two peaks", print(&peaks)),
        ],
        &NOISE,
    );
}

/// Five steps of 70 rows of three sites.
fn trajectory<P>(process: &P, integrator: &mut impl Integrator<P>, grid: &TimeGrid) -> Print {
    let mut x = Array2::zeros((70, 3));
    Noise::new(1, 1).block(0, 0).fill(0, x.as_slice_mut().unwrap());
    integrate(process, integrator, grid, x.view_mut(), 0, &Noise::new(1, 0), &mut ()).unwrap();
    print(x.as_slice().unwrap())
}

#[test]
fn integrators() {
    let schedule = Edm::new(2.0).unwrap();
    let score = ScoreFn(|x: f64, t: f64| -x / (1.0 + t * t));
    let backward = TimeGrid::explicit(&[2.0, 1.5, 1.0, 0.5, 0.25, 0.0]).unwrap();
    let forward = TimeGrid::explicit(&[0.0, 0.25, 0.5, 1.0, 1.5, 2.0]).unwrap();
    let reverse = Reverse { schedule, score };
    let flow = ProbabilityFlow { schedule, score };
    let general = DriftFn { drift: |x: f64, t: f64| t - x * x * x, strength: |t: f64| 1.0 + t };
    check(
        &[
            ("EulerMaruyama", trajectory(&general, &mut EulerMaruyama::new(), &forward)),
            ("EulerMaruyama, reverse", trajectory(&reverse, &mut EulerMaruyama::new(), &backward)),
            (
                "EulerMaruyama without last noise",
                trajectory(&reverse, &mut EulerMaruyama::without_last_noise(), &backward),
            ),
            ("ExactTransition", trajectory(&Forward(schedule), &mut ExactTransition::default(), &forward)),
            ("Heun", trajectory(&flow, &mut Heun::default(), &backward)),
            ("StochasticHeun", trajectory(&general, &mut StochasticHeun::default(), &forward)),
            ("StochasticHeun, reverse", trajectory(&reverse, &mut StochasticHeun::default(), &backward)),
            ("ExponentialEuler", trajectory(&reverse, &mut ExponentialEuler::default(), &backward)),
            ("ChurnHeun", trajectory(&reverse, &mut ChurnHeun::default(), &backward)),
            (
                "PredictorCorrector",
                trajectory(
                    &reverse,
                    &mut PredictorCorrector::new(ExponentialEuler::default(), 2, 0.16).unwrap(),
                    &backward,
                ),
            ),
        ],
        &INTEGRATORS,
    );
}

/// The length of its steps is a power by the system's library: the same to rounding, and in bits with one such library.
#[test]
fn dormand_prince() {
    let schedule = Edm::new(2.0).unwrap();
    let score = ScoreFn(|x: f64, t: f64| -x / (1.0 + t * t));
    let grid = TimeGrid::explicit(&[2.0, 1.0, 0.0]).unwrap();
    let mut scheme = DormandPrince::new(1e-6).unwrap();
    let (first, _) = trajectory(&ProbabilityFlow { schedule, score }, &mut scheme, &grid);
    assert_eq!(scheme.evaluations(), EVALUATIONS);
    assert!((first / DORMAND_PRINCE - 1.0).abs() < 1e-13, "{first:?}");
}

const WORDS: [u64; 4] =
    [0xaf67_aad3_b6d3_d08c, 0x979e_cf81_7aa4_52b1, 0xd1ca_941b_da46_c9b3, 0x40b3_7f56_45a4_031f];

const NOISE: [(&str, Print); 8] = [
    ("first", (-1.038900760861758, 0x2578_c84e_139f_03a7)),
    ("another seed", (0.5123840289482282, 0x4219_6d76_9599_009c)),
    ("another stream", (-0.022660032621535327, 0x2c83_0b54_fadd_c1d0)),
    ("another step", (0.078306282640822, 0x1222_0b67_aea2_db60)),
    ("another draw", (0.03583084526964774, 0x500e_861c_5eaa_8861)),
    ("far away", (1.370901799057863, 0x934c_484a_f56e_422e)),
    ("within a group", (0.3680822986287378, 0xe189_1439_3d9e_f1a1)),
    ("two peaks", (0.7402748097845605, 0x36e9_b058_6515_63b7)),
];

const INTEGRATORS: [(&str, Print); 10] = [
    ("EulerMaruyama", (-0.9936223831447393, 0x4bff_b852_f676_89ae)),
    ("EulerMaruyama, reverse", (-0.6838883150457042, 0x3ff5_df57_26eb_9dd2)),
    ("EulerMaruyama without last noise", (-0.3785179600246627, 0xbf17_6455_2f23_3f97)),
    ("ExactTransition", (-1.869835118472133, 0x879d_892b_08e7_0d0c)),
    ("Heun", (-0.01034815038384577, 0x0198_3361_3641_c427)),
    ("StochasticHeun", (-0.618287388681426, 0x6c4f_d776_66bb_a8f2)),
    ("StochasticHeun, reverse", (-0.6594434076814605, 0x7e5f_b7f3_47c6_4a7c)),
    ("ExponentialEuler", (-0.34954255608110396, 0x2768_4e55_fa2f_b945)),
    ("ChurnHeun", (-0.49624547858063456, 0xc7b9_1586_7f8a_41a3)),
    ("PredictorCorrector", (-0.7328971756314504, 0x8c4a_000f_e9a6_7cd9)),
];

const DORMAND_PRINCE: f64 = -0.010133875836417729;
const EVALUATIONS: usize = 58;
