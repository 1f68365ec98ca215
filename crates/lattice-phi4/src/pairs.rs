//! Fourier transforms of two real fields at once.
//!
//! Two real fields make one complex field `z = a + i b`, and one complex transform serves both. Nothing here ever takes the
//! modes of the two apart: a real factor that is even in `p` acts on `a` and on `b` alike, and in a sum over an orbit, which
//! holds `-p` with `p`, what mixes the two cancels,
//!
//! ```text
//! sum_p Re[ z(p)* z'(p) ] = sum_p Re[ a(p)* a'(p) + b(p)* b'(p) ] .
//! ```
//!
//! An axis is transformed when it is the last in memory; a transposition brings the next one there. The modes are left as the
//! last transform has them, and factors are laid out to match ([`PairTransform::by_mode`]).

use crate::pointwise::{combine, interleave, multiply, part, scale};
use crate::{Lattice, Orbits};
use num_complex::Complex64;
use rustfft::{Fft, FftPlanner};
use std::fmt;
use std::sync::Arc;

/// Plans for one lattice.
#[derive(Clone)]
pub(crate) struct PairTransform {
    sites: usize,
    extents: Vec<usize>,
    /// By axis.
    forward: Vec<Arc<dyn Fft<f64>>>,
    inverse: Vec<Arc<dyn Fft<f64>>>,
    /// The orbit of every mode, in the order of the modes.
    orbits: Arc<[u32]>,
}

impl PairTransform {
    pub(crate) fn new(lattice: &Lattice) -> Self {
        let extents = lattice.extents().to_vec();
        let mut planner = FftPlanner::new();
        let forward = extents.iter().map(|&extent| planner.plan_fft_forward(extent)).collect();
        let inverse = extents.iter().map(|&extent| planner.plan_fft_inverse(extent)).collect();
        let mut orbits = Orbits::new(lattice).of_sites().to_vec();
        let mut other = orbits.clone();
        for &extent in extents.iter().skip(1).rev() {
            transpose::transpose(&orbits, &mut other, extent, orbits.len() / extent);
            std::mem::swap(&mut orbits, &mut other);
        }
        Self { sites: lattice.volume(), extents, forward, inverse, orbits: orbits.into() }
    }

    pub(crate) fn sites(&self) -> usize {
        self.sites
    }

    /// The orbit of every mode. Zero momentum comes first.
    pub(crate) fn orbits(&self) -> &[u32] {
        &self.orbits
    }

    /// From one number for each orbit to one for each mode.
    pub(crate) fn by_mode(&self, by_orbit: &[f64]) -> Vec<f64> {
        self.orbits.iter().map(|&orbit| by_orbit[orbit as usize]).collect()
    }

    /// Turns a pair of fields into its modes, `sum_x e^(-i p x) z_x`.
    fn forward(&self, pair: &mut Vec<Complex64>, work: &mut PairScratch) {
        for (axis, plan) in self.forward.iter().enumerate().rev() {
            plan.process_with_scratch(pair, &mut work.inner);
            if axis > 0 {
                let extent = self.extents[axis];
                transpose::transpose(pair, &mut work.other, extent, self.sites / extent);
                std::mem::swap(pair, &mut work.other);
            }
        }
    }

    /// And back but for the norm, `sum_p e^(i p x) z(p)`.
    fn unscaled_inverse(&self, pair: &mut Vec<Complex64>, work: &mut PairScratch) {
        for (axis, plan) in self.inverse.iter().enumerate() {
            if axis > 0 {
                let extent = self.extents[axis];
                transpose::transpose(pair, &mut work.other, self.sites / extent, extent);
                std::mem::swap(pair, &mut work.other);
            }
            plan.process_with_scratch(pair, &mut work.inner);
        }
    }

    /// What [`unscaled_inverse`](Self::unscaled_inverse) leaves out, `1/V`.
    pub(crate) fn norm(&self) -> f64 {
        1.0 / self.sites as f64
    }
}

impl fmt::Debug for PairTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PairTransform").field("extents", &self.extents).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct PairScratch {
    other: Vec<Complex64>,
    inner: Vec<Complex64>,
}

/// A pair of fields with what its transforms need, one per thread.
#[derive(Clone, Debug)]
pub(crate) struct PairFilter {
    transform: PairTransform,
    /// The fields, or their modes.
    pub(crate) pair: Vec<Complex64>,
    scratch: PairScratch,
}

impl PairFilter {
    pub(crate) fn new(transform: &PairTransform) -> Self {
        let plans = transform.forward.iter().chain(&transform.inverse);
        let inner = plans.map(|plan| plan.get_inplace_scratch_len()).max().unwrap_or(0);
        let zeros = vec![Complex64::ZERO; transform.sites];
        let scratch = PairScratch { other: zeros.clone(), inner: vec![Complex64::ZERO; inner] };
        Self { transform: transform.clone(), pair: zeros, scratch }
    }

    /// Takes in two rows, or one with zeros beside it.
    pub(crate) fn load(&mut self, rows: &[f64]) {
        self.load_scaled(rows, [1.0; 2], 0.0);
    }

    /// Takes in rows times factors of their own, plus a shift; a row that is not there is zero.
    pub(crate) fn load_scaled(&mut self, rows: &[f64], factors: [f64; 2], shift: f64) {
        let (a, b) = rows.split_at(self.pair.len());
        if b.is_empty() {
            for (z, a) in self.pair.iter_mut().zip(a) {
                *z = Complex64::new(factors[0].mul_add(*a, shift), 0.0);
            }
        } else {
            interleave(a, b, factors, shift, &mut self.pair);
        }
    }

    /// Writes the fields to as many rows as `load` had.
    pub(crate) fn store(&self, rows: &mut [f64]) {
        self.store_scaled(rows, [1.0; 2]);
    }

    /// Writes the fields times factors of their own.
    pub(crate) fn store_scaled(&self, rows: &mut [f64], factors: [f64; 2]) {
        let (a, b) = rows.split_at_mut(self.transform.sites);
        if b.is_empty() {
            for (a, z) in a.iter_mut().zip(&self.pair) {
                *a = factors[0] * z.re;
            }
        } else {
            part(&self.pair, factors, a, b);
        }
    }

    /// From fields to modes.
    pub(crate) fn forward(&mut self) {
        self.transform.forward(&mut self.pair, &mut self.scratch);
    }

    /// From modes to fields.
    pub(crate) fn inverse(&mut self) {
        self.unscaled_inverse();
        let norm = self.transform.norm();
        scale(flat_mut(&mut self.pair), norm);
    }

    /// From modes to fields times the number of sites: for factors that hold the [norm](PairTransform::norm) already.
    pub(crate) fn unscaled_inverse(&mut self) {
        self.transform.unscaled_inverse(&mut self.pair, &mut self.scratch);
    }

    /// Multiplies the modes by real factors, even in `p`.
    pub(crate) fn scale(&mut self, factors: &[f64]) {
        multiply(&mut self.pair, factors, 1.0);
    }

    /// `z = a z + b y` mode by mode, with real factors, even in `p`.
    pub(crate) fn combine(&mut self, a: &[f64], y: &[Complex64], b: &[f64]) {
        combine(&mut self.pair, a, y, b);
    }

    /// Convolves the fields: forward, factors, and back.
    pub(crate) fn filter(&mut self, factors: &[f64]) {
        self.forward();
        multiply(&mut self.pair, factors, self.transform.norm());
        self.unscaled_inverse();
    }

    /// Filters all rows of `x`, in place.
    pub(crate) fn filter_rows(&mut self, x: &mut [f64], factors: &[f64]) {
        for rows in x.chunks_mut(2 * self.transform.sites) {
            self.load(rows);
            self.filter(factors);
            self.store(rows);
        }
    }
}

/// The numbers of a pair, of both fields in turn.
pub(crate) fn flat(pair: &[Complex64]) -> &[f64] {
    bytemuck::cast_slice(pair)
}

/// The same, to change them.
pub(crate) fn flat_mut(pair: &mut [Complex64]) -> &mut [f64] {
    bytemuck::cast_slice_mut(pair)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldTransform;
    use sde_core::{Noise, NormalSource};

    const SHAPES: [&[usize]; 9] =
        [&[2], &[7], &[12], &[5, 4], &[4, 5], &[16, 2], &[3, 20], &[3, 4, 6], &[2, 5, 3, 3]];

    /// Against the real transform, which is tested against the defining sum.
    #[test]
    fn filters_act_on_each_field_alone() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (sites, orbits) = (lattice.volume(), Orbits::new(&lattice));
            let by_orbit: Vec<f64> = (0..orbits.len()).map(|orbit| 1.0 / (1.0 + orbit as f64)).collect();
            let transform = PairTransform::new(&lattice);
            let mut x = vec![0.0; 3 * sites];
            Noise::new(4, 0).block(0, 0).fill(0, &mut x);
            let before = x.clone();
            PairFilter::new(&transform).filter_rows(&mut x, &transform.by_mode(&by_orbit));

            let real = FieldTransform::new(&lattice);
            let (mut modes, mut scratch) = (real.modes(), real.scratch());
            let mut exact = vec![0.0; sites];
            for (before, after) in before.chunks(sites).zip(x.chunks(sites)) {
                real.forward(before, &mut modes, &mut scratch);
                for (place, mode) in modes.iter_mut().enumerate() {
                    *mode *= by_orbit[orbits.orbit_of(&real.coordinates(place))];
                }
                real.inverse(&mut modes, &mut exact, &mut scratch);
                for (a, b) in after.iter().zip(&exact) {
                    assert!((a - b).abs() < 1e-14, "{extents:?}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn products_over_orbits_do_not_mix_the_fields() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (sites, orbits) = (lattice.volume(), Orbits::new(&lattice).len());
            let transform = PairTransform::new(&lattice);
            let mut rows = vec![0.0; 4 * sites];
            Noise::new(5, 0).block(0, 0).fill(0, &mut rows);
            let modes = |rows: &[f64]| {
                let mut filter = PairFilter::new(&transform);
                filter.load(rows);
                filter.forward();
                filter.pair
            };
            let product = |left: &[f64], right: &[f64]| {
                let mut sums = vec![0.0; orbits];
                for ((&orbit, a), b) in transform.orbits().iter().zip(modes(left)).zip(modes(right)) {
                    sums[orbit as usize] += a.re * b.re + a.im * b.im;
                }
                sums
            };
            let (left, right) = rows.split_at(2 * sites);
            let together = product(left, right);
            let apart = [0, sites].map(|at| product(&left[at..at + sites], &right[at..at + sites]));
            for orbit in 0..orbits {
                let sum = apart[0][orbit] + apart[1][orbit];
                assert!((together[orbit] - sum).abs() < 1e-11, "{extents:?}: {} {sum}", together[orbit]);
            }
        }
    }
}
