//! Sites, or momenta, that the symmetries of the lattice make equivalent.
//!
//! On a periodic lattice the correlations of a theory without preferred directions are the same for all separations
//! that follow from one another by reflecting axes, `n_nu -> L_nu - n_nu`, and by exchanging axes of equal extent.
//! An *orbit* is such a class. It holds for momenta as it does for separations, since both live on the same torus of
//! integers; a 32 x 32 lattice has 153 orbits in place of 1024 sites.

use crate::Lattice;
use std::f64::consts::PI;

/// The orbits of one lattice.
///
/// ```
/// use lattice_phi4::{Lattice, Orbits};
///
/// let orbits = Orbits::new(&Lattice::new(&[4, 4])?);
/// assert_eq!(orbits.len(), 6);
/// assert_eq!(orbits.representative(1), [0, 1]);
/// assert_eq!(orbits.size(1), 4); // (0, 1), (1, 0), (0, 3), (3, 0)
/// # Ok::<(), lattice_phi4::LatticeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orbits {
    extents: Vec<usize>,
    /// By row-major index of the site.
    orbit_of: Vec<u32>,
    representatives: Vec<Vec<usize>>,
    sizes: Vec<usize>,
}

impl Orbits {
    /// Finds the orbits of a lattice, in the order of their representatives.
    pub fn new(lattice: &Lattice) -> Self {
        let extents = lattice.extents();
        let mut orbits = Self {
            extents: extents.to_vec(),
            orbit_of: vec![0; lattice.volume()],
            representatives: Vec::new(),
            sizes: Vec::new(),
        };
        let mut site = vec![0; extents.len()];
        for index in 0..lattice.volume() {
            let representative = folded(&site, extents);
            // No other site of the orbit comes earlier in row-major order, so it has a number already.
            let orbit = if representative == site {
                orbits.representatives.push(representative);
                orbits.sizes.push(0);
                orbits.sizes.len() - 1
            } else {
                orbits.orbit_of[row_major(&representative, extents)] as usize
            };
            orbits.orbit_of[index] = orbit as u32;
            orbits.sizes[orbit] += 1;
            advance(&mut site, extents);
        }
        orbits
    }

    /// Number of orbits of a lattice, without finding them: a folded coordinate has `L/2 + 1` values, and `k` axes of
    /// equal extent have multisets of them, `(L/2 + k)! / ((L/2)! k!)`.
    pub fn count(lattice: &Lattice) -> usize {
        let extents = lattice.extents();
        let of_axis = |axis: usize| {
            let before = extents[..axis].iter().filter(|&&extent| extent == extents[axis]).count();
            ((extents[axis] / 2 + 1 + before) as u64, 1 + before as u64)
        };
        // After each axis, these are the orbits of the axes so far: every division is exact.
        (0..extents.len()).map(of_axis).fold(1, |orbits, (values, axes)| orbits * values / axes) as usize
    }

    /// Number of orbits.
    #[expect(clippy::len_without_is_empty, reason = "a lattice has at least one site")]
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    /// Number of sites in an orbit.
    pub fn size(&self, orbit: usize) -> usize {
        self.sizes[orbit]
    }

    /// Coordinates of the first site of an orbit: all at most `L/2`, and ascending among equal extents.
    pub fn representative(&self, orbit: usize) -> &[usize] {
        &self.representatives[orbit]
    }

    /// The orbit of a site, or momentum, given by its coordinates.
    ///
    /// # Panics
    /// Unless there is one coordinate below the extent for each axis.
    pub fn orbit_of(&self, coordinates: &[usize]) -> usize {
        assert_eq!(coordinates.len(), self.extents.len(), "one coordinate for each axis");
        assert!(
            coordinates.iter().zip(&self.extents).all(|(n, extent)| n < extent),
            "coordinates are on the lattice"
        );
        self.orbit_of[row_major(coordinates, &self.extents)] as usize
    }

    /// The orbit of every site in row-major order.
    pub(crate) fn of_sites(&self) -> &[u32] {
        &self.orbit_of
    }

    /// Squared lattice momentum `p^2 = sum_nu 4 sin^2(p_nu / 2)`, `p_nu = 2 pi n_nu / L_nu`, of an orbit: minus the
    /// eigenvalue of the nearest-neighbour Laplacian.
    pub fn momentum_squared(&self, orbit: usize) -> f64 {
        let axes = self.representative(orbit).iter().zip(&self.extents);
        axes.map(|(&n, &extent)| 4.0 * (PI * n as f64 / extent as f64).sin().powi(2)).sum()
    }
}

/// The representative of a site's orbit.
fn folded(site: &[usize], extents: &[usize]) -> Vec<usize> {
    let mut n: Vec<usize> = site.iter().zip(extents).map(|(&n, &extent)| n.min(extent - n)).collect();
    // Insertion sort among axes of equal extent, wherever they stand.
    for axis in 1..n.len() {
        let mut at = axis;
        for before in (0..axis).rev() {
            if extents[before] == extents[axis] && n[before] > n[at] {
                n.swap(before, at);
                at = before;
            }
        }
    }
    n
}

fn row_major(site: &[usize], extents: &[usize]) -> usize {
    site.iter().zip(extents).fold(0, |index, (n, extent)| index * extent + n)
}

fn advance(site: &mut [usize], extents: &[usize]) {
    for (n, &extent) in site.iter_mut().zip(extents).rev() {
        *n += 1;
        if *n < extent {
            return;
        }
        *n = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orbits(extents: &[usize]) -> Orbits {
        Orbits::new(&Lattice::new(extents).unwrap())
    }

    #[test]
    fn numbers_of_orbits_in_closed_form() {
        // Folded coordinates: L/2 + 1 values an axis; multisets of them among equal extents.
        for (extents, count) in [
            (&[9][..], 5),
            (&[32, 32], 17 * 18 / 2),
            (&[16, 2], 9 * 2),
            (&[6, 6, 6], 4 * 5 * 6 / 6),
            (&[4, 3, 4], 3 * 4 / 2 * 2),
            (&[2, 5, 2, 5, 2], 4 * 3 * 4 / 2),
        ] {
            assert_eq!(orbits(extents).len(), count, "{extents:?}");
            assert_eq!(Orbits::count(&Lattice::new(extents).unwrap()), count, "{extents:?}");
        }
        assert_eq!(Orbits::count(&Lattice::new(&[2; 31]).unwrap()), 32);
    }

    #[test]
    fn symmetric_sites_share_an_orbit_and_sizes_add_up() {
        let orbits = orbits(&[4, 3, 4]);
        let first = orbits.orbit_of(&[1, 2, 0]);
        assert_eq!(orbits.orbit_of(&[0, 1, 3]), first);
        assert_ne!(orbits.orbit_of(&[1, 0, 2]), first);
        assert_eq!(orbits.size(first), 8);
        assert_eq!((0..orbits.len()).map(|k| orbits.size(k)).sum::<usize>(), 48);
    }

    #[test]
    fn momenta_at_known_points() {
        let orbits = orbits(&[4, 6]);
        let at = |n: &[usize]| orbits.momentum_squared(orbits.orbit_of(n));
        assert_eq!(at(&[0, 0]), 0.0);
        assert!((at(&[1, 0]) - 2.0).abs() < 1e-15); // 4 sin^2(pi/4)
        assert!((at(&[0, 1]) - 1.0).abs() < 1e-15); // 4 sin^2(pi/6)
        assert!((at(&[2, 3]) - 8.0).abs() < 1e-15); // the corner of the zone
    }
}
