//! Numerical schemes, one per file, and the loop that drives them.
//!
//! | scheme | for | order (strong, weak) | score evaluations a step |
//! | --- | --- | --- | --- |
//! | [`EulerMaruyama`] | any [`Drift`](crate::Drift) | 1, 1 (additive noise) | 1 |
//! | [`StochasticHeun`] | any [`Drift`](crate::Drift) | 1, 2 | 2 |
//! | [`ExactTransition`] | [`Forward`](crate::Forward) | exact | 0 |
//! | [`ExponentialEuler`] | [`Reverse`](crate::Reverse) | -, 1 | 1 |
//! | [`ChurnHeun`] | [`Reverse`](crate::Reverse) | -, 2 (matched prior) | 2 |
//! | [`PredictorCorrector`] | [`Reverse`](crate::Reverse) | that of its predictor | 1 + corrections |
//! | [`Heun`] | `g = 0` | 2 | 2 |
//! | [`DormandPrince`] | `g = 0` | 5, to a tolerance | 6 a trial step |
//!
//! Every order is measured in a test against a closed form.

mod churn_heun;
mod dormand_prince;
mod euler_maruyama;
mod exact_transition;
mod exponential_euler;
mod heun;
mod predictor_corrector;
mod stochastic_heun;

pub use churn_heun::ChurnHeun;
pub use dormand_prince::{AdaptiveError, DormandPrince, Tolerance};
pub use euler_maruyama::EulerMaruyama;
pub use exact_transition::ExactTransition;
pub use exponential_euler::ExponentialEuler;
pub use heun::Heun;
pub use predictor_corrector::PredictorCorrector;
pub use stochastic_heun::StochasticHeun;

use crate::{BatchMut, EvalError, Noise, NormalSource, Observer, TimeGrid};

/// One step of a time grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Number of the step, from 0.
    pub index: usize,
    /// The time `t` at which the step starts.
    pub time: f64,
    /// Its signed length `dt`: negative for the processes that run backwards.
    pub increment: f64,
    /// Whether it is the last of its grid.
    pub last: bool,
}

impl Step {
    /// The time `t + dt` at which the step ends; never below zero, where rounding might put it.
    pub fn end(&self) -> f64 {
        (self.time + self.increment).max(0.0)
    }
}

/// A numerical scheme for a process `P`.
///
/// An integrator owns its scratch memory, hence `&mut self`; it carries no state from one step to the next,
/// so one instance may serve any number of blocks in any order.
pub trait Integrator<P: ?Sized> {
    /// Advances `x`, shape `(rows, sites)`, by one step.
    ///
    /// # Errors
    /// [`EvalError`] from the process; `x` is then in an unspecified state.
    fn step(
        &mut self,
        process: &P,
        step: Step,
        x: BatchMut<'_>,
        noise: &dyn NormalSource,
    ) -> Result<(), EvalError>;
}

/// An [`Integrator`] whose step is `x' = m(x) + s z`: one normal `z` per element, added last, with `s` the same
/// for all.
///
/// The law of such a step is that of `m(x)` widened by `s`, which a
/// [`DensityPropagator`](crate::DensityPropagator) follows. With `s = 0` it is a deterministic rule.
pub trait AdditiveNoise<P: ?Sized>: Integrator<P> {}

/// Drives one block of rows through a whole grid, in place.
///
/// `first` is the number of the block's first element in the whole batch (row times sites): with it, and the
/// noise addressed by step and element, a batch cut into blocks gives the same numbers as the whole.
///
/// ```
/// use sde_core::{ExactTransition, Forward, Noise, TimeGrid, VarianceExpanding, integrate, ndarray::Array2};
/// let process = Forward(VarianceExpanding::new(10.0)?);
/// let grid = TimeGrid::uniform(0.0, 1.0, 4)?;
/// let mut x = Array2::zeros((1000, 1));
/// integrate(&process, &mut ExactTransition::default(), &grid, x.view_mut(), 0, &Noise::new(1, 0), &mut ())?;
/// let variance = x.mapv(|x| x * x).mean().unwrap();
/// assert!((variance / 21.4976 - 1.0).abs() < 0.2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EvalError`] from the process.
pub fn integrate<P: ?Sized, I: Integrator<P> + ?Sized>(
    process: &P,
    integrator: &mut I,
    grid: &TimeGrid,
    mut x: BatchMut<'_>,
    first: u64,
    noise: &Noise,
    observer: &mut dyn Observer,
) -> Result<(), EvalError> {
    observer.observe(0, grid.start(), x.view());
    for step in grid.steps() {
        integrator.step(process, step, x.view_mut(), &noise.block(step.index as u64, first))?;
        observer.observe(step.index + 1, step.end(), x.view());
    }
    Ok(())
}

/// A buffer of the length of a batch, reused from step to step.
#[derive(Clone, Debug, Default)]
struct Scratch(Vec<f64>);

impl Scratch {
    /// `length` values, of whatever they were before.
    fn slice(&mut self, length: usize) -> &mut [f64] {
        self.0.resize(length.max(self.0.len()), 0.0);
        &mut self.0[..length]
    }

    /// A batch of the shape of `x`, of whatever it was before.
    fn like<'a>(&'a mut self, x: &BatchMut<'_>) -> BatchMut<'a> {
        let shape = x.raw_dim();
        BatchMut::from_shape(shape, self.slice(x.len())).expect("length and shape agree")
    }
}

#[cfg(test)]
mod tests;
