//! What can go wrong with a net.

/// A net cannot be built from these numbers.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NetError {
    /// The kernels work on whole vectors of 16 floats.
    #[error("width = {width} must be a positive multiple of 16")]
    Width {
        /// What was given.
        width: usize,
    },
    /// Sines and cosines come in pairs.
    #[error("dims = {dims}: a sinusoidal embedding needs an even number of functions, at least 2")]
    EmbeddingDims {
        /// What was given.
        dims: usize,
    },
    /// An embedding needs at least one harmonic.
    #[error("harmonics = 0: an embedding in the logarithm of the noise needs at least one")]
    NoHarmonics,
    /// The flat parameter vector does not fit the architecture.
    #[error("{found} parameters for an architecture of {expected}")]
    Length {
        /// Parameters of the architecture.
        expected: usize,
        /// What was given.
        found: usize,
    },
    /// A parameter is infinite or not a number.
    #[error("parameters[{index}] = {value} is not finite")]
    NotFinite {
        /// Position in the flat vector.
        index: usize,
        /// What was found there.
        value: f32,
    },
}
