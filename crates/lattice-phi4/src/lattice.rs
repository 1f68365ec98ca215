//! The geometry: a periodic hypercubic lattice of any dimension, sites in row-major order.

/// A lattice cannot have this shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("extents = {extents:?}: a lattice has at least one axis and at least two sites along each")]
pub struct LatticeError {
    /// What was given.
    pub extents: Vec<usize>,
}

/// A periodic lattice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lattice {
    extents: Vec<usize>,
}

impl Lattice {
    /// The lattice of the given extents.
    ///
    /// # Errors
    /// [`LatticeError`] for no axis or an extent below 2.
    pub fn new(extents: &[usize]) -> Result<Self, LatticeError> {
        if extents.is_empty() || extents.iter().any(|&extent| extent < 2) {
            return Err(LatticeError { extents: extents.to_vec() });
        }
        Ok(Self { extents: extents.to_vec() })
    }

    /// The number of sites along each axis.
    pub fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// The number of sites.
    pub fn volume(&self) -> usize {
        self.extents.iter().product()
    }
}
