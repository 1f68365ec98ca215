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

/// Correlated measurements cannot be analysed.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// There are no chains, or no quantities.
    #[error("chains: no measurements")]
    Empty,
    /// A chain does not hold whole rows of quantities, or less than four of them.
    #[error("chain {chain}: {values} values are not four or more rows of {quantities}")]
    Chain {
        /// Number of the chain.
        chain: usize,
        /// Its length.
        values: usize,
        /// Quantities in a row.
        quantities: usize,
    },
    /// A measurement, or the function of their means, is an infinity or a NaN.
    #[error("chain {chain}, row {row}: not finite")]
    NotFinite {
        /// Number of the chain.
        chain: usize,
        /// Number of the row.
        row: usize,
    },
    /// The function of the means, or its gradient, is an infinity or a NaN.
    #[error("the function of the means is not finite")]
    Function,
    /// The chains differ in length where they must not.
    #[error("chain {chain}: {found} measurements, the first has {expected}")]
    Lengths {
        /// Number of the chain.
        chain: usize,
        /// Its length.
        found: usize,
        /// Length of the first chain.
        expected: usize,
    },
    /// `S` must be positive.
    #[error("S = {value} must be finite and positive")]
    Stretch {
        /// What was given.
        value: f64,
    },
}
