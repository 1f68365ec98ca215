//! Stochastic processes for diffusion models.
//!
//! A diffusion model is a pair of stochastic differential equations. The forward process adds noise to data,
//! the backward process takes it away again:
//!
//! ```math
//! dx = K(x,t) dt + g(t) dW \tag*{[2.1]}
//! ```
//!
//! ```math
//! dx = [ -K(x,t) + g(t)^2 \partial_x \log p_t(x) ] d\tau + g(t) dW , \quad t = T - \tau \tag*{[2.2]}
//! ```
//!
//! Equation numbers are those of Aarts, Habibi, Wang and Zhou, *On learning higher-order cumulants in diffusion
//! models* (arXiv:2410.21212), throughout.
//!
//! In order of reading:
//!
//! 1. [`NoiseSchedule`]: a linear forward process and its exact kernel; six schedules.
//! 2. [`Drift`], [`ScoreModel`], [`Target`]: the right-hand side, the score, and a density `exp(-S)`.
//! 3. [`Forward`], [`Reverse`], [`ProbabilityFlow`], [`Langevin`]: the processes made of them.
//! 4. [`Integrator`]s and [`TimeGrid`]s: how they are advanced, [`Observer`]s: how they are watched.
//! 5. [`Noise`]: normal variates addressed by seed, stream, step and index.
//! 6. [`gaussian`], [`TwoPeak`]: solved models.
//! 7. [`ScoreDivergence`]: how a score spreads, in closed form, by [`DifferenceTrace`] or by [`HutchinsonTrace`], and the
//!    [`DensityFlow`], which carries the logarithm of the density along the probability flow.
//! 8. [`DensityPropagator`]: the law of a whole chain, a [`NormalMixture`] after every step, with no sampling
//!    error.
//! 9. [`Communicator`]: processes that share the work, with the same results for any number of them.
//! 10. [`math`]: an exponential function that vectorises and rounds the same on every machine.
//!
//! ```
//! use sde_core::ndarray::Array2;
//! use sde_core::*;
//!
//! let schedule = VarianceExpanding::new(10.0)?;
//! let model = TwoPeak::new(1.0, 0.25)?;
//! let process = Reverse { schedule, score: model.score(schedule) };
//! let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 100)?;
//!
//! // start from a normal density of the matched variance, end in the two peaks
//! let start = (model.cumulant(2) + schedule.transition(0.0, 1.0).variance).sqrt();
//! let mut x = Array2::zeros((2000, 1));
//! Noise::new(1, 1).block(0, 0).fill(0, x.as_slice_mut().unwrap());
//! x *= start;
//! integrate(&process, &mut ChurnHeun::default(), &grid, x.view_mut(), 0, &Noise::new(1, 0), &mut ())?;
//! let near_a_peak = x.iter().filter(|x| (x.abs() - 1.0).abs() < 0.5).count();
//! assert!(near_a_peak > 1850); // 2 sigma: 95.4 per cent of 2000 is 1909 +- 9
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod communicator;
mod configurations;
mod density;
mod density_flow;
mod divergence;
mod drift;
mod error;
mod grid;
mod integrator;
mod mixture;
mod mixture_score;
mod noise;
mod normal;
mod observer;
mod process;
mod schedule;
mod score;
mod target;
mod trace;
mod two_peak;
mod update;

pub mod gaussian;
pub mod math;

pub use batch::{Batch, BatchMut, values, values_mut};
pub use communicator::{Communicator, Solo, Threads, share};
pub use configurations::Configurations;
pub use density::{DensityError, DensityPropagator};
pub use density_flow::DensityFlow;
pub use divergence::{ScoreDivergence, directional_derivative};
pub use drift::{Drift, DriftFn};
pub use error::{EvalError, ParameterError};
pub use grid::{GridError, TimeGrid};
pub use integrator::{
    AdaptiveError, AdditiveNoise, ChurnHeun, DormandPrince, EulerMaruyama, ExactTransition, ExponentialEuler,
    Heun, Integrator, PredictorCorrector, Step, StochasticHeun, Tolerance, integrate,
};
pub use mixture::NormalMixture;
pub use mixture_score::MixtureScore;
pub use noise::{BlockNoise, Noise, NormalSource};
pub use observer::Observer;
pub use process::{Forward, Langevin, ProbabilityFlow, Reverse};
pub use schedule::{
    Coefficients, Cosine, Edm, LinearBeta, NoiseSchedule, SubVp, Transition, VarianceExpanding,
    VariancePreserving,
};
pub use score::{ScoreFn, ScoreModel};
pub use target::Target;
pub use trace::{DifferenceTrace, HutchinsonTrace};
pub use two_peak::{TwoPeak, TwoPeakScore};

pub use ndarray;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
