//! A periodic convolution with a 3 x 3 kernel as nine matrix products.
//!
//! Every plane of a sample is copied once into a *padded* one with a rim of its own opposite edges, rows `w + 2` long. Seen as
//! one line of numbers, the nine neighbours of a site then lie at nine fixed distances, so the planes, taken from one of these
//! distances on, are a matrix (channels, sites) as they lie in memory; two sites in every row belong to the rim and are
//! thrown away. No column of neighbours is ever gathered.

use crate::matmul::{Strides, product};

/// Channels and lattice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extents {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) h: usize,
    pub(super) w: usize,
}

impl Extents {
    fn sites(self) -> usize {
        self.h * self.w
    }

    /// Length of a padded row.
    fn pitch(self) -> usize {
        self.w + 2
    }

    /// A line of all rows, with the two sites of each that are thrown away.
    fn line(self) -> usize {
        self.h * self.pitch()
    }

    /// A padded plane, and the two sites that the line from the last neighbour on reads beyond it.
    fn plane(self) -> usize {
        (self.h + 2) * self.pitch() + 2
    }

    /// Where the line of neighbour `place` begins in a plane.
    fn start(self, place: usize) -> usize {
        place / 3 * self.pitch() + place % 3
    }

    /// Copies the planes of a sample with their rims.
    fn pad(self, x: &[f32], planes: &mut [f32]) {
        for (x, plane) in x.chunks_exact(self.sites()).zip(planes.chunks_exact_mut(self.plane())) {
            for (i, row) in plane.chunks_exact_mut(self.pitch()).take(self.h + 2).enumerate() {
                let from = &x[(i + self.h - 1) % self.h * self.w..][..self.w];
                row[0] = from[self.w - 1];
                row[1..=self.w].copy_from_slice(from);
                row[self.w + 1] = from[0];
            }
        }
    }
}

/// A kernel as nine matrices (outputs, inputs).
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel<'a> {
    pub(super) values: &'a [f32],
    pub(super) strides: Strides,
    /// Whether the last of the nine comes first.
    pub(super) turned: bool,
}

/// The convolution of every sample of `x`.
pub(super) fn convolve(x: &[f32], extents: Extents, kernel: Kernel<'_>) -> Vec<f32> {
    let Extents { inputs, outputs, w, .. } = extents;
    let (sites, line, plane) = (extents.sites(), extents.line(), extents.plane());
    let samples = x.len() / (inputs * sites);
    let mut y = vec![0.0; samples * outputs * sites];
    let mut planes = vec![0.0; inputs * plane];
    let mut lines = vec![0.0; outputs * line];
    for (x, y) in x.chunks_exact(inputs * sites).zip(y.chunks_exact_mut(outputs * sites)) {
        extents.pad(x, &mut planes);
        for place in 0..9 {
            let matrix = if kernel.turned { 8 - place } else { place };
            product(
                [outputs, inputs, line],
                (&mut lines, Strides::row_major(line)),
                place > 0,
                (&kernel.values[matrix..], kernel.strides),
                (&planes[extents.start(place)..], Strides::row_major(plane)),
            );
        }
        for (y, line) in y.chunks_exact_mut(sites).zip(lines.chunks_exact(line)) {
            for (y, line) in y.chunks_exact_mut(w).zip(line.chunks_exact(extents.pitch())) {
                y.copy_from_slice(&line[..w]);
            }
        }
    }
    y
}

/// `sum over samples and sites of g[o, i, j] x[c, i + a - 1, j + b - 1]`, shape `(o, c, a, b)`: samples in their order.
pub(super) fn correlate(x: &[f32], g: &[f32], extents: Extents) -> Vec<f32> {
    let Extents { inputs, outputs, w, .. } = extents;
    let (sites, line, plane) = (extents.sites(), extents.line(), extents.plane());
    let mut planes = vec![0.0; inputs * plane];
    // What is thrown away stays zero.
    let mut lines = vec![0.0; outputs * line];
    let mut sum = vec![0.0; outputs * inputs * 9];
    for (x, g) in x.chunks_exact(inputs * sites).zip(g.chunks_exact(outputs * sites)) {
        extents.pad(x, &mut planes);
        for (g, line) in g.chunks_exact(sites).zip(lines.chunks_exact_mut(line)) {
            for (g, line) in g.chunks_exact(w).zip(line.chunks_exact_mut(extents.pitch())) {
                line[..w].copy_from_slice(g);
            }
        }
        for place in 0..9 {
            product(
                [outputs, line, inputs],
                (&mut sum[place..], Strides { row: 9 * inputs, column: 9 }),
                true,
                (&lines, Strides::row_major(line)),
                (&planes[extents.start(place)..], Strides::column_major(plane)),
            );
        }
    }
    sum
}
