//! The numbers that a seed gives, written down: *a change here needs a new major version*.
//!
//! Everything below is made of IEEE operations and fused multiply-adds in a fixed order, so the bits are the same on every processor
//! and with every instruction set. Schedules and grids with powers and logarithms of the system's library are left
//! out for that reason; [`Edm`] has none.

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

const WORDS: [u64; 4] = [0; 4];

const NOISE: [(&str, Print); 0] = [];

const INTEGRATORS: [(&str, Print); 0] = [];

const DORMAND_PRINCE: f64 = 0.0;
const EVALUATIONS: usize = 0;
