//! The Dormand-Prince pair of orders 5 and 4 (1980) with step-size control, for processes without noise.
//!
//! Seven stages give a solution of fifth order, which is kept, and one of fourth; their difference estimates the error of the
//! step. The last stage is the slope at its end, with which the next step starts, so a step costs six evaluations. With
//! `e` the largest error in units of the tolerance, the next step is longer by
//!
//! ```text
//! 0.9 e^-0.17 e_before^0.04 ,    between 1/5 and 10,
//! ```
//!
//! a controller with proportional and integral parts (Hairer, Norsett and Wanner, *Solving Ordinary Differential Equations I*,
//! Sec. II.4), which keeps the length of steps from swinging. The first step is that of the same source.

use super::{AdditiveNoise, Integrator, Scratch, Step};
use crate::batch::{values, values_mut};
use crate::error::positive;
use crate::update;
use crate::{BatchMut, Drift, EvalError, NormalSource, ParameterError};
use ndarray::Axis;

/// Half of the values that share their step sizes, rounded up to whole rows. Fixed, so that results do not depend on how a
/// batch is cut into blocks of whole multiples.
const SHARED: usize = 1024;
/// Shortest part of a grid step.
const SHORTEST: f64 = 1e-12;
/// Powers of the controller.
const BETA: f64 = 0.04;
const ALPHA: f64 = 0.2 - 0.75 * BETA;

/// Nodes `c_i` of the seven stages.
const NODES: [f64; 7] = [0.0, 1.0 / 5.0, 3.0 / 10.0, 4.0 / 5.0, 8.0 / 9.0, 1.0, 1.0];
/// Rows `a_ij` of the tableau; the last one is also the solution of fifth order.
const STAGES: [&[f64]; 7] = [
    &[],
    &[1.0 / 5.0],
    &[3.0 / 40.0, 9.0 / 40.0],
    &[44.0 / 45.0, -56.0 / 15.0, 32.0 / 9.0],
    &[19372.0 / 6561.0, -25360.0 / 2187.0, 64448.0 / 6561.0, -212.0 / 729.0],
    &[9017.0 / 3168.0, -355.0 / 33.0, 46732.0 / 5247.0, 49.0 / 176.0, -5103.0 / 18656.0],
    &[35.0 / 384.0, 0.0, 500.0 / 1113.0, 125.0 / 192.0, -2187.0 / 6784.0, 11.0 / 84.0],
];
/// Fifth minus fourth order.
const ERROR: [f64; 7] =
    [71.0 / 57600.0, 0.0, -71.0 / 16695.0, 71.0 / 1920.0, -17253.0 / 339_200.0, 22.0 / 525.0, -1.0 / 40.0];

/// The error allowed to an element `x` in a step, `absolute + relative |x|`; a plain number stands for both.
///
/// ```
/// use sde_core::Tolerance;
/// assert_eq!(Tolerance::from(1e-6), Tolerance { absolute: 1e-6, relative: 1e-6 });
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// In units of `x`.
    pub absolute: f64,
    /// In units of `|x|`.
    pub relative: f64,
}

impl From<f64> for Tolerance {
    fn from(tolerance: f64) -> Self {
        Self { absolute: tolerance, relative: tolerance }
    }
}

impl Tolerance {
    /// For an element that goes from `x` to `y`.
    fn of(self, x: f64, y: f64) -> f64 {
        self.relative.mul_add(x.abs().max(y.abs()), self.absolute)
    }
}

/// The adaptive Dormand-Prince 5(4) scheme: each step of the grid is subdivided until the estimated error of
/// every element is within the [`Tolerance`].
///
/// A smooth process needs no more than one step of the grid; where its right-hand side has a kink in time, a grid that
/// has it among its times spares refused steps. Groups of [`shared_rows`](Self::shared_rows) rows share their steps.
///
/// ```
/// use sde_core::{DormandPrince, DriftFn, Noise, TimeGrid, integrate, ndarray::array};
/// // dx/dt = -2 t x from x(0) = 1 to x(3) = exp(-9)
/// let process = DriftFn { drift: |x: f64, t: f64| -2.0 * t * x, strength: |_t: f64| 0.0 };
/// let mut scheme = DormandPrince::new(1e-10)?;
/// let mut x = array![[1.0]];
/// let grid = TimeGrid::uniform(0.0, 3.0, 1)?;
/// integrate(&process, &mut scheme, &grid, x.view_mut(), 0, &Noise::new(0, 0), &mut ())?;
/// assert!((x[(0, 0)] - (-9f64).exp()).abs() < 1e-9);
/// assert!(scheme.evaluations() < 1000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Panics
/// If the process has noise, `g(t) != 0`.
#[derive(Clone, Debug)]
pub struct DormandPrince {
    tolerance: Tolerance,
    evaluations: usize,
    stages: [Scratch; 7],
    trial: Scratch,
}

/// The adaptive scheme could not go on: the source of the [`EvalError`] of its step.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum AdaptiveError {
    /// No step is short enough.
    #[error(
        "row {row}: step size underflow at t = {time}: the drift is too stiff, or not finite nearby, for tolerance \
         {absolute} + {relative} |x|",
        absolute = tolerance.absolute,
        relative = tolerance.relative
    )]
    Underflow {
        /// Row of the batch with the largest error.
        row: usize,
        /// Where it stopped.
        time: f64,
        /// What was asked for.
        tolerance: Tolerance,
    },
    /// The process starts from, or with, an infinity or a NaN.
    #[error("row {row}: x or its drift is not finite at t = {time}")]
    NotFinite {
        /// Row of the batch.
        row: usize,
        /// Where it started.
        time: f64,
    },
}

/// A group of rows on their way through a step of the grid.
struct Group<'a, P: ?Sized> {
    process: &'a P,
    step: Step,
    /// Number of the first row in its batch.
    first: usize,
    x: BatchMut<'a>,
}

impl<P: Drift + ?Sized> Group<'_, P> {
    /// The time at a fraction of the step; rounding may not put it below zero.
    fn time(&self, fraction: f64) -> f64 {
        fraction.mul_add(self.step.increment, self.step.time).max(0.0)
    }

    fn row(&self, element: usize) -> usize {
        self.first + element / self.x.ncols()
    }
}

impl DormandPrince {
    /// Local error per element at most `tolerance`.
    ///
    /// # Errors
    /// [`ParameterError`] unless both parts are finite and positive.
    pub fn new(tolerance: impl Into<Tolerance>) -> Result<Self, ParameterError> {
        let tolerance = tolerance.into();
        positive("absolute tolerance", tolerance.absolute)?;
        positive("relative tolerance", tolerance.relative)?;
        Ok(Self { tolerance, evaluations: 0, stages: Default::default(), trial: Scratch::default() })
    }

    /// Rows of so many sites that share their steps: an even number, of 2048 values or two rows, whichever is more.
    pub fn shared_rows(sites: usize) -> usize {
        2 * SHARED.div_ceil(sites)
    }

    /// How often the drift of a group was evaluated since the scheme was made.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// Writes the slope at `self.trial` to a stage.
    fn evaluate<P: Drift + ?Sized>(
        &mut self,
        group: &Group<'_, P>,
        fraction: f64,
        stage: usize,
    ) -> Result<(), EvalError> {
        self.evaluations += 1;
        let y = self.trial.like(&group.x);
        group.process.drift(y.view(), group.time(fraction), self.stages[stage].like(&group.x))
    }

    /// The slope at the start, and the part of the step to begin with.
    fn start<P: Drift + ?Sized>(&mut self, group: &Group<'_, P>) -> Result<f64, EvalError> {
        let (length, increment) = (group.x.len(), group.step.increment);
        let x = values(&group.x.view()).to_vec();
        self.trial.slice(length).copy_from_slice(&x);
        self.evaluate(group, 0.0, 0)?;
        let slope = self.stages[0].slice(length);
        if let Some(element) = x.iter().zip(&*slope).position(|(x, k)| !(x.is_finite() && k.is_finite())) {
            let (row, time) = (group.row(element), group.step.time);
            return Err(EvalError::new(AdaptiveError::NotFinite { row, time }));
        }
        // Largest value, slope and second derivative, in units of the tolerance and of the step.
        let tolerance = self.tolerance;
        let [mut value, mut first, mut second] = [0.0f64; 3];
        for (x, k) in x.iter().zip(&*slope) {
            let scale = tolerance.of(*x, 0.0).recip();
            value = value.max(x.abs() * scale);
            first = first.max((increment * k).abs() * scale);
        }
        let part = if first > 0.0 { (0.01 * value / first).clamp(1e-6, 1.0) } else { 0.01 };
        update::add(self.trial.slice(length), 1.0, part * increment, slope);
        self.evaluate(group, part, 1)?;
        let [start, end, ..] = &mut self.stages;
        let slopes = start.slice(length).iter().zip(&*end.slice(length));
        for (x, (a, b)) in x.iter().zip(slopes) {
            let change = (increment * (b - a)).abs() / (part * tolerance.of(*x, 0.0));
            second = if change.is_finite() { second.max(change) } else { f64::INFINITY };
        }
        let largest = first.max(second);
        let by_order = if largest > 1e-15 { (0.01 / largest).powf(0.2) } else { 1.0 };
        Ok(by_order.min(100.0 * part).clamp(SHORTEST, 1.0))
    }

    /// Tries the part of the step that follows `done`; leaves the result in `self.trial` and its slope in the last stage, and
    /// returns the largest ratio of estimated error to tolerance with its element.
    fn attempt<P: Drift + ?Sized>(
        &mut self,
        group: &Group<'_, P>,
        done: f64,
        part: f64,
    ) -> Result<(f64, usize), EvalError> {
        let (length, h) = (group.x.len(), part * group.step.increment);
        let view = group.x.view();
        let x = values(&view);
        for (stage, row) in STAGES.iter().enumerate().skip(1) {
            let y = self.trial.slice(length);
            y.copy_from_slice(x);
            for (a, k) in row.iter().zip(&mut self.stages) {
                update::add(y, 1.0, a * h, k.slice(length));
            }
            self.evaluate(group, NODES[stage].mul_add(part, done), stage)?;
        }
        let mut worst = (0.0, 0);
        for (element, (old, new)) in x.iter().zip(self.trial.slice(length)).enumerate() {
            let mut error = 0.0;
            for (e, k) in ERROR.iter().zip(&self.stages) {
                error = (e * h).mul_add(k.0[element], error);
            }
            let ratio = error.abs() / self.tolerance.of(*old, *new);
            // A NaN must count as a failure; an infinite value makes the ratio one.
            let ratio = if ratio.is_finite() && new.is_finite() { ratio } else { f64::INFINITY };
            if ratio > worst.0 {
                worst = (ratio, element);
            }
        }
        Ok(worst)
    }

    /// Takes a group through a step of the grid.
    fn advance<P: Drift + ?Sized>(&mut self, group: &mut Group<'_, P>) -> Result<(), EvalError> {
        let mut part = self.start(group)?;
        let (mut done, mut before, mut refused) = (0.0f64, 1e-4f64, false);
        while done < 1.0 {
            // What is left is never a sliver.
            let last = done + 1.01 * part >= 1.0;
            part = if last { 1.0 - done } else { part };
            let (error, element) = self.attempt(group, done, part)?;
            let shrink = 0.9 * error.max(1e-10).powf(-ALPHA);
            if error <= 1.0 {
                done = if last { 1.0 } else { done + part };
                let length = group.x.len();
                values_mut(&mut group.x).copy_from_slice(self.trial.slice(length));
                self.stages.swap(0, 6);
                let most = if refused { 1.0 } else { 10.0 };
                part *= (shrink * before.powf(BETA)).clamp(0.2, most);
                (before, refused) = (error.max(1e-4), false);
            } else if part < SHORTEST {
                let (row, time) = (group.row(element), group.time(done));
                return Err(EvalError::new(AdaptiveError::Underflow {
                    row,
                    time,
                    tolerance: self.tolerance,
                }));
            } else {
                part *= shrink.max(0.2);
                refused = true;
            }
        }
        Ok(())
    }
}

impl<P: Drift + ?Sized> Integrator<P> for DormandPrince {
    fn step(
        &mut self,
        process: &P,
        step: Step,
        mut x: BatchMut<'_>,
        _noise: &dyn NormalSource,
    ) -> Result<(), EvalError> {
        assert!(process.strength(step.time) == 0.0, "DormandPrince integrates processes without noise");
        let shared = Self::shared_rows(x.ncols());
        for (index, x) in x.axis_chunks_iter_mut(Axis(0), shared).enumerate() {
            self.advance(&mut Group { process, step, first: index * shared, x })?;
        }
        Ok(())
    }
}

impl<P: Drift + ?Sized> AdditiveNoise<P> for DormandPrince {}
