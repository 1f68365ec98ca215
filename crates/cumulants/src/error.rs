//! Why an error could not be estimated.

/// Too little input for an error estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorEstimateError {
    /// A bootstrap over samples needs at least two of them.
    #[error("samples: {found} given, at least 2 are needed")]
    TooFewSamples {
        /// Number of samples given.
        found: usize,
    },
    /// A jackknife or bootstrap over bins needs at least two that are not empty, a regression more.
    #[error("bins: {found} non-empty ones given, at least {needed} are needed")]
    TooFewBins {
        /// Number of non-empty bins given.
        found: usize,
        /// The smallest number that will do.
        needed: usize,
    },
    /// Two samples are not cut into the same bins.
    #[error("bins: bin {bin} differs in size between the samples")]
    UnlikeBins {
        /// The first bin that does.
        bin: usize,
    },
    /// The spread of resamples needs at least two of them.
    #[error("resamples: {found} asked for, at least 2 are needed")]
    TooFewResamples {
        /// Number of resamples asked for.
        found: usize,
    },
}
