//! The gradient of a kernel: the correlation of inputs with the gradient of outputs.
//!
//! ```text
//! sum over samples and sites of  g[o, i, j] x[c, i + a - 1, j + b - 1]
//! ```
//!
//! Here lanes are channels, those of which there are more: the planes of `x` are transposed, as many channels of a site side by
//! side as a tile has numbers, and those of `g` as many as it has factors. Exchanged, the two give the same sums for the neighbours
//! opposite.

use super::planes::Extents;
use super::tile::{Sums, Tile, VECTORS, accumulate, as_tiles};
use multiversion::multiversion;
use rayon::prelude::*;

/// Samples that are added up one after the other; the sums of blocks are added in their order.
const BLOCK: usize = 8;
/// Numbers in a line of the cache.
const LINE: usize = 16;
/// Sites of the rows that stay in the first-level cache through all neighbours and groups of channels.
const SITES: usize = 128;

/// The correlation of `x` with `g`, shape `(outputs, inputs, 3, 3)`.
pub(super) fn correlate(x: &[f32], g: &[f32], channels: [usize; 2], extents: Extents) -> Vec<f32> {
    let correlator = Correlator::new(channels, extents);
    let [outputs, inputs] = channels.map(|channels| channels * extents.sites());
    let parts: Vec<Vec<f32>> = x
        .par_chunks(BLOCK * inputs)
        .zip(g.par_chunks(BLOCK * outputs))
        .map(|(x, g)| {
            let (mut sums, mut transposed) = (correlator.sums(), Transposed::default());
            for (x, g) in x.chunks_exact(inputs).zip(g.chunks_exact(outputs)) {
                correlator.add(x, g, &mut transposed, &mut sums);
            }
            sums
        })
        .collect();
    let mut kernel = vec![0.0; channels[0] * channels[1] * 9];
    for sums in &parts {
        correlator.add_to_kernel(sums, &mut kernel);
    }
    kernel
}

/// Correlations of one shape.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlator {
    outputs: usize,
    inputs: usize,
    extents: Extents,
    tile: Tile,
}

/// Memory that a [`Correlator`] works in; one serves all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transposed {
    wide: Vec<f32>,
    narrow: Vec<f32>,
}

impl Correlator {
    /// For the gradient of a kernel of shape `(outputs, inputs, 3, 3)`.
    pub(crate) fn new(channels: [usize; 2], extents: Extents) -> Self {
        let [outputs, inputs] = channels;
        let tile = Tile::fastest([Tile::Four, Tile::Eleven], outputs.min(inputs), outputs.max(inputs));
        Self::with_tile(channels, extents, tile)
    }

    fn with_tile([outputs, inputs]: [usize; 2], extents: Extents, tile: Tile) -> Self {
        Self { outputs, inputs, extents, tile }
    }

    /// Whether `g` takes the place of `x`.
    fn is_exchanged(self) -> bool {
        self.outputs > self.inputs
    }

    /// Numbers of channels: the larger, and the smaller.
    fn channels(self) -> [usize; 2] {
        [self.outputs.max(self.inputs), self.outputs.min(self.inputs)]
    }

    /// Numbers of wide, and of narrow channels of a tile.
    fn sides(self) -> [usize; 2] {
        [VECTORS * self.tile.lanes(), self.tile.factors()]
    }

    /// Zeros to add to, by group of wide channels, group of narrow ones, neighbour.
    pub(crate) fn sums(self) -> Vec<f32> {
        let ([wide, narrow], [width, factors]) = (self.channels(), self.sides());
        vec![0.0; wide.next_multiple_of(width) * narrow.next_multiple_of(factors) * 9]
    }

    /// Adds the correlation of one sample.
    pub(crate) fn add(self, x: &[f32], g: &[f32], transposed: &mut Transposed, sums: &mut [f32]) {
        let add = match self.tile {
            Tile::Eleven => elevens,
            Tile::Four | Tile::Six => fours,
        };
        add(self, x, g, transposed, sums);
    }

    /// Adds the sums to a kernel of shape `(outputs, inputs, 3, 3)`.
    pub(crate) fn add_to_kernel(self, sums: &[f32], kernel: &mut [f32]) {
        let ([wides, narrows], [width, factors]) = (self.channels(), self.sides());
        let groups = narrows.div_ceil(factors);
        for (tile, sums) in sums.chunks_exact(width * factors).enumerate() {
            let (first_wide, first_narrow) = (tile / 9 / groups * width, tile / 9 % groups * factors);
            for (narrow, sums) in (first_narrow..narrows).zip(sums.chunks_exact(width)) {
                for (wide, sum) in (first_wide..wides).zip(sums) {
                    // Seen from the other side the neighbours lie opposite.
                    let at = if self.is_exchanged() {
                        (wide * self.inputs + narrow) * 9 + 8 - tile % 9
                    } else {
                        (narrow * self.inputs + wide) * 9 + tile % 9
                    };
                    kernel[at] += sum;
                }
            }
        }
    }
}

#[multiversion(targets("x86_64+avx2+fma+bmi2"))]
fn fours(shape: Correlator, x: &[f32], g: &[f32], transposed: &mut Transposed, sums: &mut [f32]) {
    sample::<8, 16, 4>(shape, x, g, transposed, as_tiles(sums));
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn elevens(shape: Correlator, x: &[f32], g: &[f32], transposed: &mut Transposed, sums: &mut [f32]) {
    sample::<16, 32, 11>(shape, x, g, transposed, as_tiles(sums));
}

/// Adds the correlation of one sample, `W` wide channels in two vectors of `L`.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn sample<const L: usize, const W: usize, const F: usize>(
    shape: Correlator,
    x: &[f32],
    g: &[f32],
    transposed: &mut Transposed,
    sums: &mut [Sums<L, F>],
) {
    let (wide, narrow) = if shape.is_exchanged() { (g, x) } else { (x, g) };
    let (extents, sites) = (shape.extents, shape.extents.sites());
    let groups = shape.channels()[1].div_ceil(F);

    // Room to begin where a line of the cache begins: no vector then lies across two of them.
    let padded = extents.rows() * extents.pitch() * W;
    let room = &mut transposed.wide;
    room.resize(padded + LINE, 0.0);
    let aligned = room.as_ptr().align_offset(size_of::<f32>() * LINE).min(LINE);
    let planes = room[aligned..aligned + padded].as_chunks_mut::<W>().0;

    let factors = &mut transposed.narrow;
    factors.clear();
    factors.resize(groups * sites * F, 0.0);
    let factors = factors.as_chunks_mut::<F>().0;
    for (narrow, factors) in narrow.chunks(F * sites).zip(factors.chunks_exact_mut(sites)) {
        for (f, narrow) in narrow.chunks_exact(sites).enumerate() {
            factors.iter_mut().zip(narrow).for_each(|(factors, narrow)| factors[f] = *narrow);
        }
    }
    for (wide, sums) in wide.chunks(W * sites).zip(sums.chunks_exact_mut(groups * 9)) {
        transpose(wide, extents, planes);
        group(planes.as_flattened(), factors, extents, sums);
    }
}

/// Writes the padded planes of up to `W` channels, channels innermost.
fn transpose<const W: usize>(wide: &[f32], extents: Extents, planes: &mut [[f32; W]]) {
    let (w, pitch) = (extents.w, extents.pitch());
    for (channel, wide) in wide.chunks_exact(extents.sites()).enumerate() {
        extents.each_row(wide, |row, from| {
            let to = &mut planes[row * pitch..][..pitch];
            to[0][channel] = from[w - 1];
            to[1..=w].iter_mut().zip(from).for_each(|(to, from)| to[channel] = *from);
            to[w + 1][channel] = from[0];
        });
    }
}

/// Adds what one sample gives to the sums of one group of wide channels.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn group<const L: usize, const F: usize>(
    planes: &[f32],
    factors: &[[f32; F]],
    extents: Extents,
    sums: &mut [Sums<L, F>],
) {
    let (w, pitch) = (extents.w, extents.pitch());
    let rows = (SITES / w).clamp(1, extents.h);
    let offsets: Vec<usize> = (0..rows * w).map(|site| (site / w * pitch + site % w) * VECTORS * L).collect();
    for first in (0..extents.h).step_by(rows) {
        let sites = first * w..extents.h.min(first + rows) * w;
        let offsets = &offsets[..sites.len()];
        let span = offsets[sites.len() - 1] + L;
        for (factors, sums) in factors.chunks_exact(extents.sites()).zip(sums.chunks_exact_mut(9)) {
            let factors = &factors[sites.clone()];
            for (place, sums) in sums.iter_mut().enumerate() {
                let start = ((first + place / 3) * pitch + place % 3) * VECTORS * L;
                let lines = std::array::from_fn(|v| &planes[start + v * L..][..span]);
                accumulate(sums, factors, lines, offsets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_tiles_have_the_same_sums() {
        let number = |i: usize| (i * 7919 % 1000) as f32 / 500.0 - 1.0;
        for ([outputs, inputs], [h, w]) in
            [([1, 1], [2, 2]), ([13, 5], [4, 7]), ([6, 40], [3, 16]), ([35, 33], [6, 32]), ([4, 2], [1, 8])]
        {
            let extents = Extents { h, w };
            let x: Vec<f32> = (0..inputs * extents.sites()).map(number).collect();
            let g: Vec<f32> = (0..outputs * extents.sites()).map(|i| number(i + 17)).collect();
            let by = |tile| {
                let correlator = Correlator::with_tile([outputs, inputs], extents, tile);
                let (mut sums, mut kernel) = (correlator.sums(), vec![0.5; outputs * inputs * 9]);
                correlator.add(&x, &g, &mut Transposed::default(), &mut sums);
                correlator.add_to_kernel(&sums, &mut kernel);
                kernel
            };
            assert_eq!(by(Tile::Four), by(Tile::Eleven), "{outputs} x {inputs}, {h} x {w}");
        }
    }
}
