//! What is measured on every configuration: one row of numbers, from one pass over the field.
//!
//! Errors of a Markov chain need the history of the measurements and not only their mean, and nonlinear quantities
//! such as cumulants or the Binder ratio are functions of several means. So the rows hold *primary* quantities, whose
//! expectation values give everything else:
//!
//! ```text
//! phi^k = (1/V) sum_x phi_x^k ,  k = 1..8                          m = phi^1
//! nn    = (1/V) sum_x sum_nu phi_x phi_(x+nu)                      forward neighbours only
//! cubic = (1/V) sum_x phi_x^3 sum_nu (phi_(x+nu) + phi_(x-nu))
//! |m|, m^2, m^4, m phi^3
//! G(p1) = |phi(p)|^2 / V at p = 2 pi / L along an axis             averaged over the axes of the largest extent L
//! C(t)  = (1/V) sum_s s_s s_(s+t) ,  s_t = sum of slice x_0 = t    t = 0..L_0/2; sum over all t: G(p = 0) = V m^2
//! ```
//!
//! The sites of one configuration are correlated in an unknown way, which is why local moments are averaged over the
//! configuration first: the row is the unit of statistics.

use crate::Lattice;
use crate::sums::{POWERS, bond_sums, power_sums, sum};
use ndarray::{Array2, ArrayView1, Axis, s};
use rayon::prelude::*;
use sde_core::Batch;
use std::f64::consts::TAU;

/// A number that is measured on every configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primary {
    /// `(1/V) sum_x phi_x^k`, `1 <= k <= 8`; the magnetisation for `k = 1`.
    Power(usize),
    /// `(1/V) sum_x sum_nu phi_x phi_(x+nu)` over forward neighbours.
    Neighbours,
    /// `(1/V) sum_x phi_x^3 sum_nu (phi_(x+nu) + phi_(x-nu))`.
    CubicNeighbours,
    /// `|m|`.
    AbsM,
    /// `m^2`.
    M2,
    /// `m^4`.
    M4,
    /// `m (1/V) sum_x phi_x^3`.
    MCube,
    /// `G(p)` at the smallest momentum along an axis of the largest extent.
    LowestMomentum,
    /// `C(t)`, the correlation of slices at distance `t <= L_0 / 2` along the first axis.
    Slice(usize),
}

/// Columns before the slices.
const FIXED: usize = POWERS + 7;

impl Primary {
    fn column(self) -> usize {
        match self {
            Self::Power(k) => {
                assert!((1..=POWERS).contains(&k), "powers 1 to {POWERS} are measured, not {k}");
                k - 1
            }
            Self::Neighbours => POWERS,
            Self::CubicNeighbours => POWERS + 1,
            Self::AbsM => POWERS + 2,
            Self::M2 => POWERS + 3,
            Self::M4 => POWERS + 4,
            Self::MCube => POWERS + 5,
            Self::LowestMomentum => POWERS + 6,
            Self::Slice(t) => FIXED + t,
        }
    }
}

/// The measurements of a sequence of configurations.
///
/// ```
/// use lattice_phi4::ndarray::Array2;
/// use lattice_phi4::{Lattice, Measurements, Primary};
///
/// let mut measurements = Measurements::new(&Lattice::new(&[4, 6])?);
/// measurements.extend(Array2::from_elem((10, 24), -2.0).view());
/// assert_eq!(measurements.len(), 10);
/// assert_eq!(measurements.series(Primary::AbsM)[3], 2.0);
/// assert_eq!(measurements.series(Primary::Power(3))[3], -8.0);
/// assert_eq!(measurements.series(Primary::Neighbours)[3], 2.0 * 4.0); // two forward neighbours
/// # Ok::<(), lattice_phi4::LatticeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Measurements {
    lattice: Lattice,
    /// Shape `(configurations, columns)`.
    rows: Array2<f64>,
}

impl Measurements {
    /// Measurements of no configuration yet.
    pub fn new(lattice: &Lattice) -> Self {
        let columns = FIXED + lattice.extents()[0] / 2 + 1;
        Self { lattice: lattice.clone(), rows: Array2::zeros((0, columns)) }
    }

    /// Measures more configurations, shape `(configurations, sites)`, in parallel; the result does not depend on the
    /// number of threads, nor on how the configurations are distributed over calls.
    ///
    /// # Panics
    /// If the rows of `fields` do not have one value per site.
    pub fn extend(&mut self, fields: Batch<'_>) {
        let volume = self.lattice.volume();
        assert_eq!(fields.ncols(), volume, "a configuration has one value per site");
        let columns = self.rows.ncols();
        let mut new = Array2::zeros((fields.nrows(), columns));
        new.as_slice_mut()
            .expect("a new array is contiguous")
            .par_chunks_exact_mut(columns)
            .zip(sde_core::values(&fields).par_chunks_exact(volume))
            .for_each(|(row, field)| measure(self.lattice.extents(), field, row));
        self.rows.append(Axis(0), new.view()).expect("rows have the same number of columns");
    }

    /// Puts the rows chain after chain, which were measured on all of `chains` chains in turn.
    ///
    /// # Panics
    /// If the rows are not equally many of each chain.
    #[must_use]
    pub fn by_chain(&self, chains: usize) -> Self {
        assert!(chains > 0 && self.len().is_multiple_of(chains), "as many rows of each of {chains} chains");
        let order: Vec<usize> = (0..chains).flat_map(|chain| (chain..self.len()).step_by(chains)).collect();
        self.select(&order)
    }

    /// The rows of these configurations in their order; a configuration may come more than once.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self { lattice: self.lattice.clone(), rows: self.rows.select(Axis(0), rows) }
    }

    /// The rows of a range of configurations.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self { lattice: self.lattice.clone(), rows: self.rows.slice(s![range, ..]).to_owned() }
    }

    /// The lattice.
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// Number of configurations.
    pub fn len(&self) -> usize {
        self.rows.nrows()
    }

    /// True before the first configuration.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The history of one primary quantity.
    ///
    /// # Panics
    /// For a power or a slice that is not measured.
    pub fn series(&self, primary: Primary) -> ArrayView1<'_, f64> {
        self.rows.column(primary.column())
    }

    /// The rows of all configurations, a column for each of `primaries`.
    ///
    /// # Panics
    /// For a power or a slice that is not measured.
    pub fn columns(&self, primaries: &[Primary]) -> Array2<f64> {
        let columns: Vec<usize> = primaries.iter().map(|primary| primary.column()).collect();
        self.rows.select(Axis(1), &columns)
    }
}

/// Fills one row.
fn measure(extents: &[usize], field: &[f64], row: &mut [f64]) {
    let volume = field.len() as f64;
    let (fixed, slices) = row.split_at_mut(FIXED);
    for (place, sum) in fixed.iter_mut().zip(power_sums(field)) {
        *place = sum / volume;
    }
    let [plain, cubic] = neighbours(extents, field);
    let (m, cube) = (fixed[0], fixed[2]);
    fixed[POWERS..].copy_from_slice(&[
        plain / volume,
        cubic / volume,
        m.abs(),
        m * m,
        (m * m) * (m * m),
        m * cube,
        lowest_momentum(extents, field),
    ]);

    let sums = slice_sums(extents, 0, field);
    for (t, place) in slices.iter_mut().enumerate() {
        let pairs = sums.iter().zip(sums[t..].iter().chain(&sums[..t]));
        *place = pairs.map(|(a, b)| a * b).sum::<f64>() / volume;
    }
}

/// The bond sums over all axes: blocks of the later axes against the next block along each axis.
fn neighbours(extents: &[usize], field: &[f64]) -> [f64; 2] {
    let mut total = [0.0; 2];
    let mut add = |a: &[f64], b: &[f64]| {
        for (total, term) in total.iter_mut().zip(bond_sums(a, b)) {
            *total += term;
        }
    };
    let mut stride = field.len();
    for &extent in extents {
        for block in field.chunks_exact(stride) {
            // Within a block all neighbours along this axis lie `stride / extent` apart, but for the last layer's.
            let step = stride / extent;
            add(&block[..stride - step], &block[step..]);
            add(&block[stride - step..], &block[..step]);
        }
        stride /= extent;
    }
    total
}

/// The sums of the field over the slices across one axis.
fn slice_sums(extents: &[usize], axis: usize, field: &[f64]) -> Vec<f64> {
    let extent = extents[axis];
    let inner: usize = extents[axis + 1..].iter().product();
    let mut sums = vec![0.0; extent];
    for block in field.chunks_exact(extent * inner) {
        if inner == 1 {
            sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
        } else {
            sums.iter_mut().zip(block.chunks_exact(inner)).for_each(|(total, slice)| *total += sum(slice));
        }
    }
    sums
}

/// `|phi(p)|^2 / V`, `p = 2 pi / L` along an axis, averaged over the axes of the largest extent `L`.
fn lowest_momentum(extents: &[usize], field: &[f64]) -> f64 {
    let longest = extents.iter().max().copied().unwrap_or(0);
    let mut axes = 0;
    let mut total = 0.0;
    for axis in (0..extents.len()).filter(|&axis| extents[axis] == longest) {
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sum) in slice_sums(extents, axis, field).into_iter().enumerate() {
            let (sin, cos) = (TAU * n as f64 / longest as f64).sin_cos();
            re += cos * sum;
            im += sin * sum;
        }
        total += (re * re + im * im) / field.len() as f64;
        axes += 1;
    }
    total / f64::from(axes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Orbits, propagator, two_point_function};
    use sde_core::{Noise, NormalSource};

    const SHAPES: [&[usize]; 8] =
        [&[2], &[9], &[5, 4], &[4, 4], &[16, 2], &[2, 16], &[3, 4, 3], &[2, 3, 2, 4]];

    fn measured(extents: &[usize]) -> (Lattice, Array2<f64>, Measurements) {
        let lattice = Lattice::new(extents).unwrap();
        let mut fields = Array2::zeros((4, lattice.volume()));
        Noise::new(2, 0).block(0, 0).fill(0, fields.as_slice_mut().unwrap());
        let mut measurements = Measurements::new(&lattice);
        measurements.extend(fields.view());
        (lattice, fields, measurements)
    }

    #[test]
    fn bonds_are_those_of_the_two_point_function() {
        // sum over forward neighbours = sum over axes of G at distance one, an independent route through FFTs.
        for extents in SHAPES {
            let (lattice, fields, measurements) = measured(extents);
            let orbits = Orbits::new(&lattice);
            let unit = |axis| {
                orbits.orbit_of(&(0..extents.len()).map(|a| usize::from(a == axis)).collect::<Vec<_>>())
            };
            let g = two_point_function(&lattice, fields.view());
            for (c, nn) in measurements.series(Primary::Neighbours).iter().enumerate() {
                // Axes of equal extent share an orbit, over which G is averaged.
                let exact: f64 = (0..extents.len()).map(|axis| g[[c, unit(axis)]]).sum();
                assert!((nn - exact).abs() < 1e-13, "{extents:?}: {nn} {exact}");
            }
        }
    }

    #[test]
    fn cubic_bonds_are_the_defining_sum() {
        let (lattice, fields, measurements) = measured(&[3, 5]);
        for (field, cubic) in fields.outer_iter().zip(measurements.series(Primary::CubicNeighbours)) {
            let at = |i: usize, j: usize| field[i % 3 * 5 + j % 5];
            let mut exact = 0.0;
            for (i, j) in (0..3).flat_map(|i| (0..5).map(move |j| (i, j))) {
                exact += at(i, j).powi(3) * (at(i + 1, j) + at(i + 2, j) + at(i, j + 1) + at(i, j + 4));
            }
            assert!((cubic - exact / lattice.volume() as f64).abs() < 1e-13);
        }
    }

    #[test]
    fn momenta_and_slices_are_those_of_the_propagator() {
        for extents in SHAPES {
            let (lattice, fields, measurements) = measured(extents);
            let (orbits, g) = (Orbits::new(&lattice), propagator(&lattice, fields.view()));
            let longest = (0..extents.len()).max_by_key(|&axis| extents[axis]).unwrap();
            let mut lowest = vec![0; extents.len()];
            lowest[longest] = 1;
            for c in 0..4 {
                let g1 = measurements.series(Primary::LowestMomentum)[c];
                assert!((g1 - g[[c, orbits.orbit_of(&lowest)]]).abs() < 1e-13, "{extents:?}");
                // C(t) summed over all t, each distance but 0 and L/2 in both directions.
                let length = extents[0];
                let total: f64 = (0..=length / 2)
                    .map(|t| {
                        let twice = if t == 0 || 2 * t == length { 1.0 } else { 2.0 };
                        twice * measurements.series(Primary::Slice(t))[c]
                    })
                    .sum();
                assert!((total - g[[c, 0]]).abs() < 1e-13, "{extents:?}");
                let volume_m2 = lattice.volume() as f64 * measurements.series(Primary::M2)[c];
                assert!((volume_m2 - g[[c, 0]]).abs() < 1e-13, "{extents:?}");
            }
        }
    }

    #[test]
    fn slices_of_a_plane_wave() {
        // phi = cos(p t) on L_0 slices: C(t) = V_s cos(p t) / 2.
        let lattice = Lattice::new(&[8, 3]).unwrap();
        let wave = Array2::from_shape_fn((1, 24), |(_, x)| (TAU * (x / 3) as f64 / 8.0).cos());
        let mut measurements = Measurements::new(&lattice);
        measurements.extend(wave.view());
        for t in 0..=4 {
            let exact = 1.5 * (TAU * t as f64 / 8.0).cos();
            assert!((measurements.series(Primary::Slice(t))[0] - exact).abs() < 1e-14);
        }
    }

    #[test]
    fn calls_and_threads_do_not_matter() {
        let (lattice, fields, whole) = measured(&[7, 6]);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let mut parts = Measurements::new(&lattice);
        pool.install(|| {
            parts.extend(fields.slice(s![..1, ..]));
            parts.extend(fields.slice(s![1.., ..]));
        });
        assert_eq!(parts, whole);
    }
}
