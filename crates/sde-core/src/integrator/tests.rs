//! Measured orders of every scheme, against closed forms and without sampling noise.
//!
//! On a Gaussian target every step is linear, `x' = a x + sum_d s_d z_d` over the draws `d` of the step, so the variance
//! obeys `V' = a^2 V + sum_d s_d^2` exactly. One batch reads `a` and the `s_d` off the integrator itself: its rows
//! hold one unit each, of `x` or of one normal.

use super::*;
use crate::gaussian::{self, GaussianScore};
use crate::{
    Drift, DriftFn, Forward, LinearBeta, NoiseSchedule, ProbabilityFlow, Reverse, VarianceExpanding,
    VariancePreserving,
};
use ndarray::{Array1, Array2};

/// Draws of a step that are looked at: one of the predictor, from 0, and two of a corrector, from 8.
const DRAWS: [u32; 3] = [0, 8, 9];

/// Row 0 holds `x = 1`, row `i` a unit of draw `DRAWS[i - 1]`.
struct Units;

impl NormalSource for Units {
    fn fill(&self, draw: u32, out: &mut [f64]) {
        out.fill(0.0);
        if let Some(row) = DRAWS.iter().position(|&d| d == draw) {
            out[row + 1] = 1.0;
        }
    }
}

/// The variance at the end of a grid, as the scheme makes it.
fn variance<P: ?Sized>(process: &P, integrator: &mut impl Integrator<P>, grid: &TimeGrid, start: f64) -> f64 {
    grid.steps().fold(start, |variance, step| {
        let mut x = Array2::zeros((1 + DRAWS.len(), 1));
        x[(0, 0)] = 1.0;
        integrator.step(process, step, x.view_mut(), &Units).unwrap();
        let squares: Vec<f64> = x.iter().map(|x| x * x).collect();
        squares[0] * variance + squares[1..].iter().sum::<f64>()
    })
}

const KAPPA_2: f64 = 0.6;

fn schedules() -> [(&'static str, Box<dyn NoiseSchedule>); 3] {
    [
        ("VE", Box::new(VarianceExpanding::new(5.0).unwrap())),
        ("VP", Box::new(VariancePreserving::new(3.0).unwrap())),
        ("linear beta", Box::new(LinearBeta::new(0.1, 6.0).unwrap())),
    ]
}

/// The variance of the exact score's reverse process, from `start` at the horizon or from the forward process's own
/// variance, differs from the closed form by `O(h^order)`.
fn assert_weak_order<'a, I>(order: i32, start: Option<f64>, make: impl Fn() -> I)
where
    I: Integrator<Reverse<&'a dyn NoiseSchedule, GaussianScore<&'a dyn NoiseSchedule>>>,
{
    for (name, schedule) in schedules() {
        // The schedules live as long as the program: a test may leak them.
        let schedule: &'a dyn NoiseSchedule = Box::leak(schedule);
        let process = Reverse { schedule, score: GaussianScore { schedule, kappa_2: KAPPA_2 } };
        let end = 0.1;
        let start = start.unwrap_or_else(|| gaussian::forward_variance(schedule, KAPPA_2, 1.0));
        let exact = gaussian::backward_variance(schedule, KAPPA_2, start, end);
        let error = |steps| {
            let grid = TimeGrid::uniform(1.0, end, steps).unwrap();
            variance(&process, &mut make(), &grid, start) - exact
        };
        let (coarse, fine) = (error(800), error(1600));
        let measured = (coarse / fine).log2();
        assert!(
            (measured - f64::from(order)).abs() < 0.1,
            "{name}: order {measured}, errors {coarse:e} {fine:e}"
        );
    }
}

#[test]
fn euler_maruyama_has_weak_order_one() {
    assert_weak_order(1, Some(2.0), EulerMaruyama::new);
}

#[test]
fn exponential_euler_has_weak_order_one() {
    assert_weak_order(1, Some(2.0), ExponentialEuler::default);
}

#[test]
fn stochastic_heun_has_weak_order_two() {
    assert_weak_order(2, Some(2.0), StochasticHeun::default);
}

#[test]
fn churn_heun_has_weak_order_two() {
    assert_weak_order(2, None, ChurnHeun::default);
    // What is left of a wrong start is forgotten at the right rate, to first order.
    assert_weak_order(1, Some(2.0), ChurnHeun::default);
}

#[test]
fn euler_maruyama_follows_its_own_recursion() {
    for (name, schedule) in schedules() {
        let process =
            Reverse { schedule: &schedule, score: GaussianScore { schedule: &schedule, kappa_2: KAPPA_2 } };
        let grid = TimeGrid::uniform(1.0, 0.0, 100).unwrap();
        let recursion = gaussian::euler_maruyama_variance(&schedule, KAPPA_2, 2.0, &grid);
        let found = variance(&process, &mut EulerMaruyama::new(), &grid, 2.0);
        assert!((found / recursion[100] - 1.0).abs() < 1e-12, "{name}: {found} {}", recursion[100]);
        // Without the last noise exactly that much variance is missing.
        let last = grid.steps().last().unwrap();
        let noise = schedule.coefficients(last.time).strength.powi(2) * last.increment.abs();
        let quiet = variance(&process, &mut EulerMaruyama::without_last_noise(), &grid, 2.0);
        assert!((found - quiet - noise).abs() < 1e-12, "{name}");
    }
}

#[test]
fn exact_transitions_have_no_step_error() {
    for (name, schedule) in schedules() {
        let exact = gaussian::forward_variance(&schedule, KAPPA_2, 1.0);
        for steps in [1, 3, 100] {
            let grid = TimeGrid::uniform(0.0, 1.0, steps).unwrap();
            let found = variance(&Forward(&schedule), &mut ExactTransition::default(), &grid, KAPPA_2);
            assert!((found / exact - 1.0).abs() < 1e-13, "{name}, {steps} steps");
        }
    }
}

#[test]
fn the_flow_is_solved_to_the_order_of_the_rule() {
    // Along the flow of a Gaussian x is carried by the ratio of the standard deviations.
    for (name, schedule) in schedules() {
        let score = GaussianScore { schedule: &schedule, kappa_2: KAPPA_2 };
        let process = ProbabilityFlow { schedule: &schedule, score };
        let s2 = |t| gaussian::forward_variance(&schedule, KAPPA_2, t);
        let exact = 2.0 * s2(0.1) / s2(1.0);
        let heun = |steps| {
            let grid = TimeGrid::uniform(1.0, 0.1, steps).unwrap();
            variance(&process, &mut Heun::default(), &grid, 2.0) - exact
        };
        let order = (heun(200) / heun(400)).log2();
        assert!((order - 2.0).abs() < 0.1, "{name}: order {order}");

        // Global error in proportion to the tolerance, which is one of order h^5 per step.
        let grid = TimeGrid::uniform(1.0, 0.1, 1).unwrap();
        let adaptive = |tolerance| {
            let mut scheme = DormandPrince::new(tolerance).unwrap();
            (variance(&process, &mut scheme, &grid, 2.0) - exact).abs()
        };
        for tolerance in [1e-5, 1e-7, 1e-9, 1e-11] {
            assert!(
                adaptive(tolerance) < 20.0 * tolerance,
                "{name}: {:e} at {tolerance:e}",
                adaptive(tolerance)
            );
        }
    }
}

/// With a tolerance that everything satisfies a step of the grid is one step of the scheme: fifth order. Its evaluations are
/// the slope at the start, one to judge the length of the step, and six.
#[test]
fn dormand_prince_has_order_five() {
    for (name, schedule) in schedules() {
        let score = GaussianScore { schedule: &schedule, kappa_2: KAPPA_2 };
        let process = ProbabilityFlow { schedule: &schedule, score };
        let s2 = |t| gaussian::forward_variance(&schedule, KAPPA_2, t);
        let exact = 2.0 * s2(0.1) / s2(1.0);
        let error = |steps: usize| {
            let grid = TimeGrid::uniform(1.0, 0.1, steps).unwrap();
            let mut scheme = DormandPrince::new(1e3).unwrap();
            let error = variance(&process, &mut scheme, &grid, 2.0) - exact;
            assert_eq!(scheme.evaluations(), 8 * steps);
            error
        };
        let (coarse, fine) = (error(24), error(48));
        let order = (coarse / fine).log2();
        assert!((order - 5.0).abs() < 0.3, "{name}: order {order}, errors {coarse:e} {fine:e}");
    }
}

/// Half the tolerance costs a fifth power of steps: from 1e-5 to 1e-10 ten times as many, within a factor of two. Rows that
/// share their steps need as many as the worst of them.
#[test]
fn evaluations_follow_the_tolerance() {
    let process = DriftFn { drift: |x: f64, t: f64| x * (20.0 * t).cos(), strength: |_| 0.0 };
    let step = Step { index: 0, time: 0.0, increment: 2.0, last: true };
    let run = |tolerance: f64, starts: &[f64]| {
        let mut scheme = DormandPrince::new(tolerance).unwrap();
        let mut x = Array2::from_shape_vec((starts.len(), 1), starts.to_vec()).unwrap();
        scheme.step(&process, step, x.view_mut(), &Units).unwrap();
        let exact = (40.0_f64.sin() / 20.0).exp();
        assert!(x.iter().zip(starts).all(|(x, start)| (x - start * exact).abs() < 20.0 * tolerance));
        scheme.evaluations()
    };
    let (loose, tight) = (run(1e-5, &[1.0]), run(1e-10, &[1.0]));
    assert!(tight > 5 * loose && tight < 20 * loose, "{loose} {tight}");
    assert_eq!(run(1e-5, &[1.0, 0.0, 1.0]), loose);
}

#[test]
fn nothing_to_do_is_done_in_one_step() {
    let process = DriftFn { drift: |_, _| 0.0, strength: |_| 0.0 };
    let step = Step { index: 0, time: 1.0, increment: -1.0, last: true };
    let mut scheme = DormandPrince::new(1e-12).unwrap();
    let mut x = Array2::from_elem((3, 2), 0.7);
    scheme.step(&process, step, x.view_mut(), &Units).unwrap();
    assert_eq!((x, scheme.evaluations()), (Array2::from_elem((3, 2), 0.7), 8));
}

/// What stopped the scheme, on a batch of 2100 rows whose last one starts at one, the others at zero.
fn refusal(drift: impl Fn(f64, f64) -> f64) -> AdaptiveError {
    let process = DriftFn { drift, strength: |_| 0.0 };
    let step = Step { index: 0, time: 0.0, increment: 1.0, last: true };
    let mut x = Array2::zeros((2100, 1));
    x[(2099, 0)] = 1.0;
    let error = DormandPrince::new(1e-6).unwrap().step(&process, step, x.view_mut(), &Units).unwrap_err();
    *std::error::Error::source(&error).unwrap().downcast_ref::<AdaptiveError>().unwrap()
}

#[test]
fn stiffness_is_reported() {
    let found = refusal(|x, t| x / (t - 0.5).powi(2));
    let AdaptiveError::Underflow { row: 2099, time, tolerance } = found else { panic!("{found:?}") };
    assert!((time - 0.5).abs() < 0.05 && tolerance == Tolerance::from(1e-6), "{found}");
    // A drift that is not a number from here on is as bad.
    let found = refusal(|x, t| if x > 0.0 && t > 0.25 { f64::NAN } else { x });
    assert!(
        matches!(found, AdaptiveError::Underflow { row: 2099, time, .. } if (time - 0.25).abs() < 1e-6),
        "{found}"
    );
}

#[test]
fn what_is_not_finite_from_the_start_is_reported() {
    let found = refusal(|x, _| if x > 0.0 { f64::INFINITY } else { 0.0 });
    assert_eq!(found, AdaptiveError::NotFinite { row: 2099, time: 0.0 });
    assert!(DormandPrince::new(0.0).is_err());
    assert!(DormandPrince::new(Tolerance { absolute: 1e-6, relative: f64::NAN }).is_err());
}

#[test]
#[should_panic(expected = "without noise")]
fn noise_is_not_for_flow_integrators() {
    let schedule = VarianceExpanding::new(5.0).unwrap();
    let step = Step { index: 0, time: 0.0, increment: 0.1, last: true };
    let mut x = Array2::zeros((1, 1));
    Heun::default().step(&Forward(schedule), step, x.view_mut(), &Units).unwrap();
}

#[test]
fn corrections_pull_towards_the_exact_variance() {
    // A Langevin step of width e maps V to (1 - e/s^2)^2 V + 2 e, whose fixed point is s^2 / (1 - e/(2 s^2)).
    let schedule = VarianceExpanding::new(5.0).unwrap();
    let process = Reverse { schedule, score: GaussianScore { schedule, kappa_2: KAPPA_2 } };
    let ratio = 0.16;
    let step = Step { index: 0, time: 0.52, increment: -0.02, last: false };
    let grid = TimeGrid::explicit(&[step.time, step.end()]).unwrap();
    let predicted = variance(&process, &mut EulerMaruyama::new(), &grid, 5.0);
    let found =
        variance(&process, &mut PredictorCorrector::new(EulerMaruyama::new(), 1, ratio).unwrap(), &grid, 5.0);
    let width = 2.0 * ratio * ratio * schedule.transition(0.0, step.end()).variance;
    let s2 = gaussian::forward_variance(&schedule, KAPPA_2, step.end());
    let exact = (1.0 - width / s2).powi(2) * predicted + 2.0 * width;
    assert!((found / exact - 1.0).abs() < 1e-12, "{found} {exact}");
    assert!((found - s2).abs() < (predicted - s2).abs());
    assert!(PredictorCorrector::new(EulerMaruyama::new(), 1, 0.0).is_err());
}

/// Brownian increments of a coarse step as sums of those of fine steps.
struct Path<'a> {
    fine: &'a Array2<f64>,
    per_step: usize,
    step: usize,
}

impl NormalSource for Path<'_> {
    fn fill(&self, _draw: u32, out: &mut [f64]) {
        let first = self.step * self.per_step;
        for (row, z) in out.iter_mut().enumerate() {
            let sum: f64 = (first..first + self.per_step).map(|n| self.fine[(n, row)]).sum();
            *z = sum / (self.per_step as f64).sqrt();
        }
    }
}

/// Where paths from zero end at `t = 1`, all driven by the same Brownian motion.
fn ends<P: Drift>(
    process: &P,
    scheme: &mut impl Integrator<P>,
    fine: &Array2<f64>,
    steps: usize,
) -> Vec<f64> {
    let mut x = Array2::zeros((fine.ncols(), 1));
    for step in TimeGrid::uniform(0.0, 1.0, steps).unwrap().steps() {
        let path = Path { fine, per_step: fine.nrows() / steps, step: step.index };
        scheme.step(process, step, x.view_mut(), &path).unwrap();
    }
    x.into_iter().collect()
}

#[test]
fn additive_noise_gives_strong_order_one() {
    // Root-mean-square distance of paths with h and h/2 under the same Brownian motion, for a nonlinear drift and a
    // noise strength that varies: it halves with h. The error of the order is that of a mean over blocks of paths.
    let test = testing::Comparisons::of(2);
    let (fine_steps, rows, blocks) = (512, 6400, 32);
    let fine = Array2::from_shape_fn((fine_steps, rows), |(n, row)| {
        let mut z = [0.0];
        Noise::new(testing::seed(3), 0).block(n as u64, row as u64).fill(0, &mut z);
        z[0]
    });
    let process = DriftFn { drift: |x: f64, t: f64| (2.0 * x).sin() - x + t, strength: |t: f64| 1.0 + t };
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let order = |ends: [Vec<f64>; 3]| {
        let [coarse, middle, fine] = ends.each_ref().map(|x| x.chunks_exact(rows / blocks));
        let orders =
            coarse.zip(middle).zip(fine).map(|((c, m), f)| 0.5 * (square(c, m) / square(m, f)).log2());
        let orders: Array1<f64> = orders.collect();
        (orders.mean().unwrap(), orders.std(1.0) / (blocks as f64).sqrt())
    };
    let euler = [64, 128, 256].map(|steps| ends(&process, &mut EulerMaruyama::new(), &fine, steps));
    let heun = [64, 128, 256].map(|steps| ends(&process, &mut StochasticHeun::default(), &fine, steps));
    for (name, (order, error)) in [("Euler-Maruyama", order(euler)), ("stochastic Heun", order(heun))] {
        assert!(test.student((order - 1.0) / error, blocks as f64 - 1.0), "{name}: {order} +- {error}");
        assert!(error < 0.03, "{name}: {error}");
    }
}
