//! The Dormand-Prince pair of orders 5 and 4 (1980) with step-size control, for processes without noise.

use super::{AdditiveNoise, Integrator, Scratch, Step};
use crate::batch::values_mut;
use crate::error::positive;
use crate::update;
use crate::{BatchMut, Drift, EvalError, NormalSource, ParameterError};
use ndarray::Axis;

/// Values that share their step sizes, rounded up to whole rows. Fixed, so that results do not depend on how a
/// batch is cut into blocks of whole multiples.
const SHARED: usize = 1024;

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

/// The adaptive Dormand-Prince 5(4) scheme: each step of the grid is subdivided until the estimated error of
/// every element is below `tolerance (1 + |x|)`.
///
/// # Panics
/// If the process has noise, `g(t) != 0`.
#[derive(Clone, Debug)]
pub struct DormandPrince {
    tolerance: f64,
    stages: [Scratch; 7],
    trial: Scratch,
}

/// The adaptive scheme could not reach its tolerance.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "step size underflow at t = {time}: the drift is too stiff, or not finite, for tolerance {tolerance}"
)]
pub struct StepUnderflow {
    /// Where it stopped.
    pub time: f64,
    /// What was asked for.
    pub tolerance: f64,
}

impl DormandPrince {
    /// Local error per element at most `tolerance (1 + |x|)`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `tolerance` is finite and positive.
    pub fn new(tolerance: f64) -> Result<Self, ParameterError> {
        let tolerance = positive("tolerance", tolerance)?;
        Ok(Self { tolerance, stages: Default::default(), trial: Scratch::default() })
    }

    /// Tries a step of length `h` from `t`; leaves the result in `self.trial` and returns the largest ratio
    /// of estimated error to tolerance.
    fn attempt<P: Drift + ?Sized>(
        &mut self,
        process: &P,
        t: f64,
        h: f64,
        x: &mut BatchMut<'_>,
    ) -> Result<f64, EvalError> {
        let length = x.len();
        for (stage, row) in STAGES.iter().enumerate() {
            let (before, rest) = self.stages.split_at_mut(stage);
            let mut y = self.trial.like(x);
            values_mut(&mut y).copy_from_slice(values_mut(x));
            for (a, k) in row.iter().zip(before) {
                update::add(values_mut(&mut y), 1.0, a * h, k.slice(length));
            }
            process.drift(y.view(), NODES[stage].mul_add(h, t).max(0.0), rest[0].like(x))?;
        }
        let mut worst = 0.0f64;
        for (element, (old, new)) in values_mut(x).iter().zip(self.trial.slice(length)).enumerate() {
            let mut error = 0.0;
            for (e, k) in ERROR.iter().zip(&self.stages) {
                error = (e * h).mul_add(k.0[element], error);
            }
            let ratio = error.abs() / (self.tolerance * (1.0 + old.abs().max(new.abs())));
            // A NaN must count as a failure.
            worst = if ratio > worst || ratio.is_nan() { ratio } else { worst };
        }
        Ok(if worst.is_nan() { f64::INFINITY } else { worst })
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
        let shared_rows = SHARED.div_ceil(x.ncols());
        for mut rows in x.axis_chunks_iter_mut(Axis(0), shared_rows) {
            let (mut done, mut fraction) = (0.0f64, 1.0f64);
            while done < 1.0 {
                let part = fraction.min(1.0 - done);
                let t = done.mul_add(step.increment, step.time);
                let error = self.attempt(process, t, part * step.increment, &mut rows)?;
                if error <= 1.0 {
                    done = if part >= 1.0 - done { 1.0 } else { done + part };
                    let result = self.trial.slice(rows.len());
                    values_mut(&mut rows).copy_from_slice(result);
                } else if part < 1e-12 {
                    return Err(EvalError::new(StepUnderflow { time: t, tolerance: self.tolerance }));
                }
                // The usual controller of order five, with safety 0.9 and growth between 1/5 and 5.
                fraction = part * (0.9 * error.max(1e-10).powf(-0.2)).clamp(0.2, 5.0);
            }
        }
        Ok(())
    }
}

impl<P: Drift + ?Sized> AdditiveNoise<P> for DormandPrince {}
