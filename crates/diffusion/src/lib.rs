//! Diffusion models followed in their cumulants.
//!
//! A diffusion model carries data to noise and noise back to data. The cumulants `kappa_n` of the field say
//! how far it got: forwards
//!
//! ```math
//! \kappa_2(t) = \kappa_2 f^2 + \Xi , \quad \kappa_n(t) = \kappa_n f^n , \quad n > 2 \tag*{[3.23, 3.24]}
//! ```
//!
//! for every target; backwards they must come back. This crate runs ensembles of trajectories and measures them on the way.
//!
//! In order of reading:
//!
//! 1. [`draw`] and [`Prior`]: data, and where the backward process starts.
//! 2. [`Evolution`]: an ensemble driven block by block through all its time steps, on all cores, with results
//!    that do not depend on the number of threads or the size of the blocks.
//! 3. [`Tally`]: what is measured on the way; [`CumulantFlow`] follows moments and cumulants in time.
//!    [`CumulantFlow::controlled`] does so far below the noise, where a twin process knows it.
//! 4. [`Histogram`]: the density at the end; [`law_flow`]: the same flow with no sampling error, for one site.
//! 5. [`LogWeights`]: what makes a generated ensemble exact, and what it is then worth.
//! 6. [`FlowLikelihood`]: the density of what a model generates, by the probability flow.
//! 7. [`Share`]: a part of an ensemble, for one of many processes or jobs, and how parts become the whole again.
//! 8. [`ScoreMala`]: a Markov chain from the score alone, and what it is off by.
//!
//! ```
//! use diffusion::{CumulantFlow, Evolution, Prior};
//! use sde_core::{ChurnHeun, Noise, NoiseSchedule, Reverse, TimeGrid, TwoPeak, VarianceExpanding};
//!
//! let schedule = VarianceExpanding::new(10.0)?;
//! let model = TwoPeak::new(1.0, 0.25)?;
//! let grid = TimeGrid::asinh(&schedule, 1.0, 0.0, 0.25, 50)?;
//! let process = Reverse { schedule, score: model.score(schedule) };
//!
//! let prior = Prior::Matched { kappa_2: model.cumulant(2) };
//! let mut x = prior.draw(&schedule, 1.0, 20_000, 1, &Noise::new(1, 0));
//! let mut flow = CumulantFlow::every(&grid, 10);
//! Evolution::new(&process, &ChurnHeun::default(), &grid, Noise::new(1, 1)).run(x.view_mut(), &mut flow)?;
//!
//! let end = flow.points().pop().unwrap();
//! let kappa_4 = end.cumulants[3];
//! assert!(kappa_4.pull(-2.0).abs() < 4.0 && kappa_4.error < 0.03);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draw;
mod evolution;
mod flow;
mod histogram;
mod independence_chain;
mod law;
mod likelihood;
mod log_weights;
mod pareto_tail;
mod prior;
mod score_mala;
mod share;
mod tally;

pub use draw::{draw, draw_rows};
pub use evolution::{Evolution, EvolutionError};
pub use flow::{ControlledPoint, CumulantFlow, FlowPoint, ORDER};
pub use histogram::{Histogram, HistogramError};
pub use independence_chain::IndependenceChain;
pub use law::{LawPoint, law_flow};
pub use likelihood::{FlowDensities, FlowLikelihood, LikelihoodError};
pub use log_weights::{LogWeights, ReweightingError, WeightsError};
pub use pareto_tail::{HeavyTail, ParetoTail};
pub use prior::Prior;
pub use score_mala::ScoreMala;
pub use share::{Share, ShareError, gather_flow};
pub use tally::Tally;

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
