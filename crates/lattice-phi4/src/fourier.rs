//! The discrete Fourier transform of real fields on a periodic lattice of any dimension,
//!
//! ```text
//! phi(p) = sum_x e^(-i p x) phi_x ,     phi_x = (1/V) sum_p e^(i p x) phi(p) ,     p_nu = 2 pi n_nu / L_nu .
//! ```
//!
//! A real field has `phi(-p) = conj phi(p)`, so the modes with `n > L/2` along the last axis are redundant and not
//! stored: the modes form a row-major array of shape `(L_0, .., L_(d-2), L_(d-1)/2 + 1)`. Sums over all momenta
//! count a stored mode as often as [`FieldTransform::multiplicity`] says.
//!
//! The last axis is transformed first, real to complex, the others by complex transforms of groups of columns that
//! are gathered into contiguous memory.

use crate::Lattice;
use num_complex::Complex64;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};
use std::fmt;
use std::sync::Arc;

/// Columns that are gathered together: two cache lines of complex numbers per row of the array.
const COLUMNS: usize = 8;

/// Plans for the transforms of one lattice; shared between threads.
#[derive(Clone)]
pub struct FieldTransform {
    extents: Vec<usize>,
    volume: usize,
    row_forward: Arc<dyn RealToComplex<f64>>,
    row_inverse: Arc<dyn ComplexToReal<f64>>,
    /// For every axis but the last.
    forward: Vec<Arc<dyn Fft<f64>>>,
    inverse: Vec<Arc<dyn Fft<f64>>>,
}

/// Working memory of a [`FieldTransform`], one per thread.
#[derive(Clone, Debug)]
pub struct TransformScratch {
    row: Vec<f64>,
    columns: Vec<Complex64>,
    inner: Vec<Complex64>,
}

impl FieldTransform {
    /// Plans the transforms of a lattice.
    ///
    /// ```
    /// use lattice_phi4::{FieldTransform, Lattice};
    ///
    /// let transform = FieldTransform::new(&Lattice::new(&[4, 6])?);
    /// let mut modes = transform.modes();
    /// transform.forward(&[1.0; 24], &mut modes, &mut transform.scratch());
    /// assert_eq!(modes[0].re, 24.0);
    /// assert!(modes[1..].iter().all(|mode| mode.norm() < 1e-13));
    /// # Ok::<(), lattice_phi4::LatticeError>(())
    /// ```
    pub fn new(lattice: &Lattice) -> Self {
        let extents = lattice.extents().to_vec();
        let (last, others) = extents.split_last().expect("a lattice has at least one axis");
        let (mut real, mut complex) = (RealFftPlanner::new(), FftPlanner::new());
        Self {
            volume: lattice.volume(),
            row_forward: real.plan_fft_forward(*last),
            row_inverse: real.plan_fft_inverse(*last),
            forward: others.iter().map(|&extent| complex.plan_fft_forward(extent)).collect(),
            inverse: others.iter().map(|&extent| complex.plan_fft_inverse(extent)).collect(),
            extents,
        }
    }

    /// Number of sites of the lattice.
    pub fn sites(&self) -> usize {
        self.volume
    }

    /// An array for the stored modes, filled with zeros.
    pub fn modes(&self) -> Vec<Complex64> {
        vec![Complex64::ZERO; self.volume / self.last() * self.half()]
    }

    /// Working memory for the calls below.
    pub fn scratch(&self) -> TransformScratch {
        let longest = self.extents.iter().max().copied().unwrap_or(0);
        let plans = self.forward.iter().chain(&self.inverse).map(|plan| plan.get_inplace_scratch_len());
        let rows = [self.row_forward.get_scratch_len(), self.row_inverse.get_scratch_len()];
        TransformScratch {
            row: vec![0.0; self.last()],
            columns: vec![Complex64::ZERO; COLUMNS * longest],
            inner: vec![Complex64::ZERO; plans.chain(rows).max().unwrap_or(0)],
        }
    }

    /// Coordinates `n` of stored mode number `mode`: `p_nu = 2 pi n_nu / L_nu`.
    pub fn coordinates(&self, mode: usize) -> Vec<usize> {
        let mut coordinates = vec![0; self.extents.len()];
        let mut rest = mode;
        for (axis, place) in coordinates.iter_mut().enumerate().rev() {
            let extent = if axis + 1 == self.extents.len() { self.half() } else { self.extents[axis] };
            *place = rest % extent;
            rest /= extent;
        }
        coordinates
    }

    /// How many of all momenta a stored mode stands for: 2 if the mirrored momentum along the last axis is another
    /// one, which is not stored, else 1.
    pub fn multiplicity(&self, mode: usize) -> usize {
        let n = mode % self.half();
        if n == 0 || 2 * n == self.last() { 1 } else { 2 }
    }

    /// Writes the stored modes of a field.
    ///
    /// # Panics
    /// If `field` does not have one value per site, or `modes` not the length of [`modes`](Self::modes).
    pub fn forward(&self, field: &[f64], modes: &mut [Complex64], scratch: &mut TransformScratch) {
        self.check(field, modes);
        for (values, modes) in field.chunks_exact(self.last()).zip(modes.chunks_exact_mut(self.half())) {
            scratch.row.copy_from_slice(values);
            self.row_forward
                .process_with_scratch(&mut scratch.row, modes, &mut scratch.inner)
                .expect("lengths follow from the plan");
        }
        for (axis, plan) in self.forward.iter().enumerate() {
            self.columns(axis, &**plan, modes, scratch);
        }
    }

    /// Writes the field of the given modes, which are overwritten.
    ///
    /// The imaginary part of a field that the modes of a real field would not have is dropped.
    ///
    /// # Panics
    /// If `field` does not have one value per site, or `modes` not the length of [`modes`](Self::modes).
    pub fn inverse(&self, modes: &mut [Complex64], field: &mut [f64], scratch: &mut TransformScratch) {
        self.check(field, modes);
        for (axis, plan) in self.inverse.iter().enumerate() {
            self.columns(axis, &**plan, modes, scratch);
        }
        let norm = 1.0 / self.volume as f64;
        let even = self.last().is_multiple_of(2);
        for (values, modes) in field.chunks_exact_mut(self.last()).zip(modes.chunks_exact_mut(self.half())) {
            // These are their own mirror images.
            modes[0].im = 0.0;
            if let Some(nyquist) = modes.last_mut().filter(|_| even) {
                nyquist.im = 0.0;
            }
            self.row_inverse
                .process_with_scratch(modes, values, &mut scratch.inner)
                .expect("lengths follow from the plan");
            for value in values.iter_mut() {
                *value *= norm;
            }
        }
    }

    /// Transforms along one axis, in groups of columns.
    fn columns(
        &self,
        axis: usize,
        plan: &dyn Fft<f64>,
        modes: &mut [Complex64],
        work: &mut TransformScratch,
    ) {
        let extent = self.extents[axis];
        let between = &self.extents[axis + 1..self.extents.len() - 1];
        let stride = between.iter().product::<usize>() * self.half();
        for block in modes.chunks_exact_mut(extent * stride) {
            for first in (0..stride).step_by(COLUMNS) {
                let width = COLUMNS.min(stride - first);
                let gathered = &mut work.columns[..width * extent];
                for (i, row) in block.chunks_exact(stride).enumerate() {
                    for (j, &mode) in row[first..first + width].iter().enumerate() {
                        gathered[j * extent + i] = mode;
                    }
                }
                plan.process_with_scratch(gathered, &mut work.inner);
                for (i, row) in block.chunks_exact_mut(stride).enumerate() {
                    for (j, mode) in row[first..first + width].iter_mut().enumerate() {
                        *mode = gathered[j * extent + i];
                    }
                }
            }
        }
    }

    fn check(&self, field: &[f64], modes: &[Complex64]) {
        assert_eq!(field.len(), self.volume, "a field has one value per site");
        let stored = self.volume / self.last() * self.half();
        assert_eq!(modes.len(), stored, "half of the modes of a real field are stored");
    }

    fn last(&self) -> usize {
        self.extents[self.extents.len() - 1]
    }

    /// Stored modes along the last axis.
    fn half(&self) -> usize {
        self.last() / 2 + 1
    }
}

impl fmt::Debug for FieldTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldTransform").field("extents", &self.extents).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sde_core::{Noise, NormalSource};
    use std::f64::consts::TAU;

    const SHAPES: [&[usize]; 9] =
        [&[2], &[7], &[12], &[5, 4], &[4, 5], &[16, 2], &[3, 20], &[3, 4, 6], &[2, 5, 3, 3]];

    fn field(lattice: &Lattice) -> Vec<f64> {
        let mut field = vec![0.0; lattice.volume()];
        Noise::new(3, 0).block(0, 0).fill(0, &mut field);
        field
    }

    /// Coordinates of a row-major index.
    fn unravel(mut index: usize, extents: &[usize]) -> Vec<usize> {
        let mut coordinates = vec![0; extents.len()];
        for (place, extent) in coordinates.iter_mut().zip(extents).rev() {
            (*place, index) = (index % extent, index / extent);
        }
        coordinates
    }

    #[test]
    fn modes_are_the_defining_sum() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (transform, field) = (FieldTransform::new(&lattice), field(&lattice));
            let mut modes = transform.modes();
            transform.forward(&field, &mut modes, &mut transform.scratch());
            for (number, mode) in modes.iter().enumerate() {
                let n = transform.coordinates(number);
                let direct: Complex64 = field
                    .iter()
                    .enumerate()
                    .map(|(site, value)| {
                        let x = unravel(site, extents);
                        let turns: f64 = (0..n.len()).map(|a| (n[a] * x[a]) as f64 / extents[a] as f64).sum();
                        Complex64::from_polar(*value, -TAU * turns)
                    })
                    .sum();
                assert!((mode - direct).norm() < 1e-12, "{extents:?} {n:?}: {mode} {direct}");
            }
        }
    }

    #[test]
    fn the_inverse_gives_the_field_back() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (transform, field) = (FieldTransform::new(&lattice), field(&lattice));
            let (mut modes, mut scratch) = (transform.modes(), transform.scratch());
            let mut again = vec![0.0; field.len()];
            transform.forward(&field, &mut modes, &mut scratch);
            transform.inverse(&mut modes, &mut again, &mut scratch);
            for (a, b) in field.iter().zip(&again) {
                assert!((a - b).abs() < 1e-14, "{extents:?}: {a} {b}");
            }
        }
    }

    #[test]
    fn parseval_counts_every_momentum() {
        for extents in SHAPES {
            let lattice = Lattice::new(extents).unwrap();
            let (transform, field) = (FieldTransform::new(&lattice), field(&lattice));
            let mut modes = transform.modes();
            transform.forward(&field, &mut modes, &mut transform.scratch());
            let count: usize = (0..modes.len()).map(|k| transform.multiplicity(k)).sum();
            assert_eq!(count, lattice.volume());
            let momentum: f64 =
                modes.iter().enumerate().map(|(k, m)| transform.multiplicity(k) as f64 * m.norm_sqr()).sum();
            let position: f64 = field.iter().map(|x| x * x).sum();
            assert!((momentum / lattice.volume() as f64 / position - 1.0).abs() < 1e-14, "{extents:?}");
        }
    }
}
