//! Moments, cumulants and their statistical errors: streaming, mergeable, exact in the algebra.
//!
//! # The subject in order
//!
//! **Moments.** A random variable `x` is known by its moments `mu_n = E[x^n]`, or better by its central
//! moments `E[(x - mu_1)^n]`. [`Moments`] holds count, mean and central power sums of a sample up to a
//! fixed order, in a form that can be merged: the summary of a union follows from the summaries of its
//! parts. [`PairwiseMoments`] fixes the order of merging, so that long data give one answer, bit for bit,
//! on any number of threads. [`WeightedMoments`] does the same for reweighted samples. All of them can be stored and
//! merged later.
//!
//! **Cumulants.** Moments of sums are awkward: every power mixes with all lower ones. Cumulants `kappa_n` are
//! the combinations that add over independent variables: mean, variance, third central moment, then
//! `kappa_4 = E[y^4] - 3 E[y^2]^2` and so on: the connected n-point functions of physics. All above the
//! second vanish for a Gaussian, so they measure interaction. With
//!
//! ```math
//! \kappa_n = \mu_n - \sum_{m=1}^{n-1} \binom{n-1}{m-1} \kappa_m \mu_{n-m} \tag*{[3.5]}
//! ```
//!
//! [`cumulants_from_moments`] and
//! [`moments_from_cumulants`] convert at any order and in any number type, [`central_from_raw`] and
//! [`raw_from_central`] move the centre, [`factorial_from_raw`] and [`raw_from_factorial`] are for counts;
//! [`Moments::cumulants`] does it for a sample.
//!
//! **Generating functions.** All of this is the algebra of `Z[J] = E[e^(Jx)]`, whose derivatives at zero
//! are the moments, and `W = log Z`, whose derivatives are the cumulants: [`moment_generating`] and
//! [`cumulant_generating`] of a sample, closed forms for the Gaussian and for the two-peak model
//! ([`two_peak_cumulants`]), and [`forward_cumulant_generating`] for what a noising process makes of `W`. Its
//! [`legendre_transform`] is the effective action. [`HermiteSeries`] goes back from cumulants to a density.
//!
//! **Unbiased estimates.** The plug-in cumulants of a sample are biased by `O(1/n)`. k-statistics
//! ([`Moments::k_statistic`], [`k_statistics`]) are not, nor are h-statistics for central moments and polykays
//! for products of cumulants ([`h_statistic`], [`polykay()`]); [`k_statistic_covariance`] is their exact
//! covariance. [`JointMoments`] has all of this for several variables, as [`SymmetricTensor`]s.
//!
//! **Errors.** High cumulants of finite samples fluctuate strongly: for a near-Gaussian sample of size `n`
//! the standard error of `kappa_k` is about `sqrt(k! kappa_2^k / n)`. An [`Estimate`] carries value and
//! error, obtained in one of these ways:
//!
//! | data | use | cost |
//! | --- | --- | --- |
//! | Markov chains, any function of means | [`GammaMethod`] | window times data |
//! | a Markov chain, its mean | [`blocking()`] | one pass |
//! | bins, correlated data | [`jackknife()`] of any [`Summary`], [`jackknife_cumulants`], [`bootstrap_bins`] | microseconds |
//! | independent samples, any quantity | [`bootstrap()`], [`bootstrap_cumulants`] | resamples times data |
//! | many independent samples, cumulants | [`standard_errors`] | one pass |
//!
//! [`GammaMethod::cumulants`] is the one to start with: value, error, autocorrelation time, bias and effective sample size
//! of every cumulant of one or more time series.
//!
//! Where a sample comes with a twin whose cumulants are known, [`controlled_cumulants`] takes the fluctuation they share
//! away.
//!
//! **Judging samples.** [`convergence()`] asks whether chains have reached one law, [`distances`] how far two samples, or a
//! sample and a law, are apart.
//!
//! # Example
//!
//! ```
//! use cumulants::{PairwiseMoments, jackknife_cumulants, two_peak_cumulants};
//! use rand::{Rng, SeedableRng};
//!
//! // Peaks of width 1/4 at +-1.
//! let mut rng = rand_pcg::Pcg64::seed_from_u64(7);
//! let data: Vec<f64> = (0..200_000)
//!     .map(|_| {
//!         let peak = if rng.random() { 1.0 } else { -1.0 };
//!         peak + 0.25 * rng.sample::<f64, _>(rand_distr::StandardNormal)
//!     })
//!     .collect();
//!
//! let mut moments = PairwiseMoments::<8>::new();
//! moments.extend_from_slice(&data);
//! let estimates = jackknife_cumulants(&moments.bins())?;
//! for (estimate, exact) in estimates.iter().zip(two_peak_cumulants(1.0, 1.0 / 16.0, 8)) {
//!     assert!(estimate.pull(exact).abs() < 4.0);
//! }
//! # Ok::<(), cumulants::ErrorEstimateError>(())
//! ```
//!
//! # Conventions
//!
//! Arrays and slices of moments or cumulants start at order 1. Numbers in brackets are equations of
//! G. Aarts, D. E. Habibi, L. Wang and K. Zhou, arXiv:2410.21212. Sample cumulants are those of the
//! empirical measure (plug-in, bias `O(1/n)`).

mod autocovariance;
mod blocking;
mod bootstrap;
mod control;
mod convergence;
mod conversions;
mod delta;
pub mod distances;
mod error;
mod estimate;
mod gamma;
mod generating;
mod hermite_series;
mod jackknife;
mod joint;
mod k_statistics;
mod kernel;
mod legendre;
mod moments;
mod pairwise;
mod partitions;
mod polykays;
mod symmetric_tensor;
mod two_peak;
mod weighted;
mod words;

pub use blocking::{BlockSize, Blocking, blocking};
pub use bootstrap::{bootstrap, bootstrap_bins, bootstrap_cumulants};
pub use control::{Controlled, controlled_cumulants};
pub use convergence::{Convergence, convergence};
pub use conversions::{
    central_from_raw, cumulants_from_moments, factorial_from_raw, moments_from_cumulants, raw_from_central,
    raw_from_factorial,
};
pub use delta::standard_errors;
pub use error::{ChainError, ErrorEstimateError};
pub use estimate::Estimate;
pub use gamma::{GammaEstimate, GammaMethod};
pub use generating::{
    cumulant_generating, forward_cumulant_generating, forward_cumulants, gaussian_cumulant_generating,
    moment_generating,
};
pub use hermite_series::{HermiteSeries, SeriesError};
pub use jackknife::{Summary, jackknife, jackknife_cumulants};
pub use joint::JointMoments;
pub use k_statistics::{k_statistic_covariance, k_statistics};
pub use legendre::{Legendre, legendre_transform};
pub use moments::{Moments, MomentsError};
pub use num_traits;
pub use pairwise::{AppendError, BINS, LEAF, PairwiseMoments};
pub use polykays::{TooFewSamples, h_statistic, joint_polykay, polykay};
pub use rand;
pub use symmetric_tensor::SymmetricTensor;
pub use two_peak::{two_peak_cumulant_generating, two_peak_cumulants};
pub use weighted::{UnequalLengths, WeightedMoments};

/// Runs the example of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
