//! The geometry: a periodic hypercubic lattice of any dimension.
//!
//! Sites are numbered in row-major order, the last axis fastest, as in a NumPy array of shape `(L_0, .., L_(d-1))`. Along an
//! axis of two sites both neighbours are the same site and both bonds count.

/// A lattice cannot have this shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "extents = {extents:?}: a lattice has at least one axis, at least two sites along each, and fewer than 2^32 in all"
)]
pub struct LatticeError {
    /// What was given.
    pub extents: Vec<usize>,
}

/// A periodic lattice.
///
/// ```
/// use lattice_phi4::Lattice;
/// let lattice = Lattice::new(&[3, 4])?;
/// assert_eq!(lattice.volume(), 12);
/// // forward and backward along each axis, from site (0, 1)
/// assert_eq!(lattice.neighbours(1), [5, 9, 2, 0]);
/// # Ok::<(), lattice_phi4::LatticeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lattice {
    extents: Vec<usize>,
}

impl Lattice {
    /// The lattice of the given extents.
    ///
    /// # Errors
    /// [`LatticeError`] for no axis, an extent below 2, or more sites than 32 bits count.
    pub fn new(extents: &[usize]) -> Result<Self, LatticeError> {
        let volume =
            extents.iter().try_fold(1_u32, |volume, &extent| volume.checked_mul(extent.try_into().ok()?));
        if extents.is_empty() || extents.iter().any(|&extent| extent < 2) || volume.is_none() {
            return Err(LatticeError { extents: extents.to_vec() });
        }
        Ok(Self { extents: extents.to_vec() })
    }

    /// The number of sites along each axis.
    pub fn extents(&self) -> &[usize] {
        &self.extents
    }

    /// The number of axes.
    pub fn dimension(&self) -> usize {
        self.extents.len()
    }

    /// The number of sites.
    pub fn volume(&self) -> usize {
        self.extents.iter().product()
    }

    /// The neighbours of a site: forward and backward along the first axis, then along the second, and so on.
    pub fn neighbours(&self, site: usize) -> Vec<usize> {
        let mut neighbours = Vec::with_capacity(2 * self.dimension());
        let mut stride = self.volume();
        for &extent in &self.extents {
            stride /= extent;
            let place = site / stride % extent;
            let base = site - place * stride;
            neighbours.push(base + (place + 1) % extent * stride);
            neighbours.push(base + (place + extent - 1) % extent * stride);
        }
        neighbours
    }

    /// [`neighbours`](Self::neighbours) of all sites, one after the other.
    pub(crate) fn neighbour_table(&self) -> Vec<u32> {
        (0..self.volume()).flat_map(|site| self.neighbours(site)).map(|site| site as u32).collect()
    }
}
