//! The two-point function in momentum and in position space, one row per configuration.
//!
//! ```text
//! G(p) = |phi(p)|^2 / V ,     G(x) = (1/V) sum_y phi_y phi_(y+x) = (1/V) sum_p e^(i p x) G(p)
//! ```
//!
//! averaged over the momenta, or separations, of each of the lattice's [`Orbits`]. Expectation values over an
//! ensemble are the propagator (not connected: `G(p = 0) = V m^2`); a row per configuration is what error estimates
//! need. In the free theory with the action [5.4], `lambda = 0`,
//!
//! ```text
//! G(p) = 1 / (2 [1 - 2 kappa sum_nu cos p_nu]) = 1 / (2 - 4 d kappa + 2 kappa p^2) ,   p^2 = sum_nu 4 sin^2(p_nu/2) ,
//! ```
//!
//! so `1/G` against [`Orbits::momentum_squared`] is a straight line; interaction bends and shifts it.

use crate::{FieldTransform, Lattice, Orbits};
use ndarray::{Array2, Axis};
use num_complex::Complex64;
use rayon::prelude::*;
use sde_core::Batch;

/// `G(p)` of every configuration: shape `(configurations, orbits)`, in the order of [`Orbits::new`].
///
/// The result does not depend on the number of threads.
///
/// # Panics
/// If the rows of `fields` do not have one value per site.
///
/// ```
/// use lattice_phi4::ndarray::Array2;
/// use lattice_phi4::{Lattice, Orbits, propagator};
///
/// // A plane wave along the second axis.
/// let lattice = Lattice::new(&[4, 4])?;
/// let wave = Array2::from_shape_fn((1, 16), |(_, x)| [1.0, 0.0, -1.0, 0.0][x % 4]);
/// let g = propagator(&lattice, wave.view());
/// // |phi(p)|^2 / V = 8^2 / 16 at p = (0, +-pi/2), none of it at the two other momenta of the orbit
/// assert!((g[[0, Orbits::new(&lattice).orbit_of(&[0, 1])]] - 2.0).abs() < 1e-14);
/// # Ok::<(), lattice_phi4::LatticeError>(())
/// ```
pub fn propagator(lattice: &Lattice, fields: Batch<'_>) -> Array2<f64> {
    let transform = FieldTransform::new(lattice);
    let orbits = Orbits::new(lattice);
    let modes = transform.modes().len();
    let places: Vec<(usize, f64)> = (0..modes)
        .map(|mode| {
            let orbit = orbits.orbit_of(&transform.coordinates(mode));
            (orbit, transform.multiplicity(mode) as f64 / orbits.size(orbit) as f64)
        })
        .collect();
    per_configuration(lattice, fields, &orbits, |field, out| {
        let power = power_spectrum(&transform, field).0;
        for (power, &(orbit, weight)) in power.iter().zip(&places) {
            out[orbit] += weight * power.re;
        }
    })
}

/// `G(x)` of every configuration: shape `(configurations, orbits)`, in the order of [`Orbits::new`].
///
/// Computed from the power spectrum, `O(V log V)` a configuration. The result does not depend on the number of
/// threads.
///
/// # Panics
/// If the rows of `fields` do not have one value per site.
///
/// ```
/// use lattice_phi4::ndarray::array;
/// use lattice_phi4::{Lattice, two_point_function};
///
/// let g = two_point_function(&Lattice::new(&[4])?, array![[1.0, 2.0, 0.0, -1.0]].view());
/// for (g, exact) in g.iter().zip([6.0 / 4.0, 1.0 / 4.0, -4.0 / 4.0]) {
///     assert!((g - exact).abs() < 1e-14);
/// }
/// # Ok::<(), lattice_phi4::LatticeError>(())
/// ```
pub fn two_point_function(lattice: &Lattice, fields: Batch<'_>) -> Array2<f64> {
    let transform = FieldTransform::new(lattice);
    let orbits = Orbits::new(lattice);
    per_configuration(lattice, fields, &orbits, |field, out| {
        let (mut power, mut scratch) = power_spectrum(&transform, field);
        let mut correlation = vec![0.0; field.len()];
        transform.inverse(&mut power, &mut correlation, &mut scratch);
        for (value, &orbit) in correlation.iter().zip(orbits.of_sites()) {
            out[orbit as usize] += value / orbits.size(orbit as usize) as f64;
        }
    })
}

/// `|phi(p)|^2 / V` at every stored mode, as complex numbers, and the working memory of the transform.
fn power_spectrum(transform: &FieldTransform, field: &[f64]) -> (Vec<Complex64>, crate::TransformScratch) {
    let (mut modes, mut scratch) = (transform.modes(), transform.scratch());
    transform.forward(field, &mut modes, &mut scratch);
    for mode in &mut modes {
        *mode = Complex64::from(mode.norm_sqr() / field.len() as f64);
    }
    (modes, scratch)
}

/// One row of orbits per configuration, in parallel.
fn per_configuration(
    lattice: &Lattice,
    fields: Batch<'_>,
    orbits: &Orbits,
    row: impl Fn(&[f64], &mut [f64]) + Sync,
) -> Array2<f64> {
    assert_eq!(fields.ncols(), lattice.volume(), "a configuration has one value per site");
    let mut out = Array2::zeros((fields.nrows(), orbits.len()));
    let fields = sde_core::values(&fields).par_chunks_exact(lattice.volume());
    let rows: Vec<_> = out.axis_iter_mut(Axis(0)).collect();
    rows.into_par_iter().zip(fields).for_each(|(mut out, field)| {
        row(field, out.as_slice_mut().expect("rows of a standard layout are contiguous"));
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sde_core::{Noise, NormalSource};

    const SHAPES: [&[usize]; 7] = [&[7], &[8], &[5, 4], &[4, 4], &[16, 2], &[3, 4, 3], &[2, 3, 2, 4]];

    fn fields(lattice: &Lattice) -> Array2<f64> {
        let mut fields = Array2::zeros((3, lattice.volume()));
        Noise::new(8, 0).block(0, 0).fill(0, fields.as_slice_mut().unwrap());
        fields
    }

    /// Sites as coordinates, in row-major order.
    fn sites(extents: &[usize]) -> Vec<Vec<usize>> {
        extents.iter().fold(vec![vec![]], |sites, &extent| {
            sites.iter().flat_map(|site| (0..extent).map(move |n| [&site[..], &[n]].concat())).collect()
        })
    }

    #[test]
    fn position_space_is_the_direct_sum() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (orbits, fields, sites) = (Orbits::new(&lattice), fields(&lattice), sites(extents));
            let index = |site: &[usize]| site.iter().zip(extents).fold(0, |i, (n, extent)| i * extent + n);
            let fast = two_point_function(&lattice, fields.view());
            for (field, fast) in fields.outer_iter().zip(fast.outer_iter()) {
                let mut direct = vec![0.0; orbits.len()];
                for x in &sites {
                    let orbit = orbits.orbit_of(x);
                    for (y, value) in sites.iter().zip(field) {
                        let there: Vec<usize> =
                            (0..x.len()).map(|axis| (x[axis] + y[axis]) % extents[axis]).collect();
                        direct[orbit] +=
                            value * field[index(&there)] / (sites.len() * orbits.size(orbit)) as f64;
                    }
                }
                for (fast, direct) in fast.iter().zip(direct) {
                    assert!((fast - direct).abs() < 1e-14, "{extents:?}: {fast} {direct}");
                }
            }
        }
    }

    #[test]
    fn sum_rules_join_the_two_spaces() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (orbits, fields) = (Orbits::new(&lattice), fields(&lattice));
            let (p, x) = (propagator(&lattice, fields.view()), two_point_function(&lattice, fields.view()));
            for c in 0..fields.nrows() {
                let sum = |g: &Array2<f64>| -> f64 {
                    (0..orbits.len()).map(|k| orbits.size(k) as f64 * g[[c, k]]).sum()
                };
                // Parseval: G(x = 0) = mean of G(p), G(p = 0) = sum of G(x).
                assert!((sum(&p) / lattice.volume() as f64 - x[[c, 0]]).abs() < 1e-13, "{extents:?}");
                assert!((sum(&x) - p[[c, 0]]).abs() < 1e-13, "{extents:?}");
            }
        }
    }

    #[test]
    fn threads_do_not_matter() {
        let lattice = Lattice::new(&[6, 5]).unwrap();
        let fields = fields(&lattice);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| propagator(&lattice, fields.view()))
        };
        assert_eq!(run(1), run(3));
    }
}
