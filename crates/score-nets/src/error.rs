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
    /// There must be at least one.
    #[error("{name} must be at least 1")]
    Empty {
        /// Name of the setting.
        name: &'static str,
    },
    /// It is beyond what any machine trains.
    #[error("{name} = {value} must be at most {most}")]
    TooLarge {
        /// Name of the setting.
        name: &'static str,
        /// What was given.
        value: usize,
        /// The largest value.
        most: usize,
    },
    /// A lattice is halved once for every level.
    #[error("extent {extent} must be a multiple of the stride {stride} of the net")]
    Extent {
        /// An extent of the lattice.
        extent: usize,
        /// What it must be a multiple of.
        stride: usize,
    },
    /// Groups hold equally many channels.
    #[error("{groups} groups must divide {channels} channels")]
    Groups {
        /// Channels of a layer.
        channels: usize,
        /// What was given.
        groups: usize,
    },
    /// A scale of the fields is out of its domain.
    #[error("{name}[{index}] = {value} must be finite and positive, and noise levels must ascend")]
    Scale {
        /// Name of the scale.
        name: &'static str,
        /// Its place in the table.
        index: usize,
        /// What was given.
        value: f64,
    },
    /// The coordinate of a parameter must be a number.
    #[error("the coordinate {value} of part {index} is not finite")]
    Coordinate {
        /// Number of the part.
        index: usize,
        /// What was given.
        value: f64,
    },
    /// The table of widths does not fit its noise levels.
    #[error("{noise} noise levels and {width} widths: there must be as many of both, at least 2")]
    Table {
        /// Noise levels given.
        noise: usize,
        /// Widths given.
        width: usize,
    },
    /// Fields of another lattice.
    #[error("fields of {found} sites for a net of {expected}")]
    Sites {
        /// Sites of the net's lattice.
        expected: usize,
        /// What was given.
        found: usize,
    },
}

/// Neurons, channels or functions of a layer: the square of it can be counted.
pub(crate) const WIDEST: usize = 1 << 14;
/// Levels of a net, blocks of a level, powers of a parameter.
pub(crate) const DEEPEST: usize = 64;
/// Sites along an axis.
pub(crate) const LONGEST: usize = 1 << 16;

/// Refuses a setting that nobody has meant, before memory is asked for it.
pub(crate) fn at_most(name: &'static str, value: usize, most: usize) -> Result<(), NetError> {
    if value > most { Err(NetError::TooLarge { name, value, most }) } else { Ok(()) }
}
