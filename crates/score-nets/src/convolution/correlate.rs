//! The gradient of a kernel: the correlation of inputs with the gradient of outputs.
//!
//! ```text
//! sum over samples and sites of  g[o, i, j] x[c, i + a - 1, j + b - 1]
//! ```
//!
//! Here lanes are channels, those of which there are more: the planes of `x` are transposed, sixteen channels of a site side by
//! side, and those of `g` four. Exchanged, the two give the same sums for the neighbours opposite.

use super::planes::Extents;
use super::tile::{LANES, VECTORS, accumulate};
use multiversion::multiversion;
use rayon::prelude::*;

/// Samples that are added up one after the other; the sums of blocks are added in their order.
const BLOCK: usize = 8;
/// Narrow channels of a tile.
const FACTORS: usize = 4;
/// The sums of a tile.
pub(crate) type Sums = super::tile::Sums<FACTORS>;
/// Channels in the vectors of a tile.
const WIDE: usize = LANES * VECTORS;
/// Sites of the rows that stay in the first-level cache through all neighbours and groups of channels.
const SITES: usize = 128;

/// The correlation of `x` with `g`, shape `(outputs, inputs, 3, 3)`.
pub(super) fn correlate(x: &[f32], g: &[f32], channels: [usize; 2], extents: Extents) -> Vec<f32> {
    let correlator = Correlator::new(channels, extents);
    let [outputs, inputs] = channels.map(|channels| channels * extents.sites());
    let parts: Vec<Vec<Sums>> = x
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
}

/// Memory that a [`Correlator`] works in; one serves all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transposed {
    wide: Vec<f32>,
    narrow: Vec<[f32; FACTORS]>,
}

impl Correlator {
    /// For the gradient of a kernel of shape `(outputs, inputs, 3, 3)`.
    pub(crate) fn new([outputs, inputs]: [usize; 2], extents: Extents) -> Self {
        Self { outputs, inputs, extents }
    }

    /// Whether `g` takes the place of `x`.
    fn is_exchanged(self) -> bool {
        self.outputs > self.inputs
    }

    /// Numbers of channels: the larger, and the smaller.
    fn channels(self) -> [usize; 2] {
        [self.outputs.max(self.inputs), self.outputs.min(self.inputs)]
    }

    /// Zeros to add to, by group of wide channels, group of narrow ones, neighbour.
    pub(crate) fn sums(self) -> Vec<Sums> {
        let [wide, narrow] = self.channels();
        vec![[[[0.0; LANES]; VECTORS]; FACTORS]; wide.div_ceil(WIDE) * narrow.div_ceil(FACTORS) * 9]
    }

    /// Adds the correlation of one sample.
    pub(crate) fn add(self, x: &[f32], g: &[f32], transposed: &mut Transposed, sums: &mut [Sums]) {
        let (wide, narrow) = if self.is_exchanged() { (g, x) } else { (x, g) };
        let (extents, sites) = (self.extents, self.extents.sites());
        let groups = self.channels()[1].div_ceil(FACTORS);

        // Room to begin where a line of the cache begins: no vector then lies across two of them.
        let padded = extents.rows() * extents.pitch() * WIDE;
        let room = &mut transposed.wide;
        room.resize(padded + WIDE, 0.0);
        let aligned = room.as_ptr().align_offset(size_of::<f32>() * WIDE).min(WIDE);
        let planes = &mut room[aligned..aligned + padded];

        let factors = &mut transposed.narrow;
        factors.clear();
        factors.resize(groups * sites, [0.0; FACTORS]);
        for (narrow, factors) in narrow.chunks(FACTORS * sites).zip(factors.chunks_exact_mut(sites)) {
            for (f, narrow) in narrow.chunks_exact(sites).enumerate() {
                factors.iter_mut().zip(narrow).for_each(|(factors, narrow)| factors[f] = *narrow);
            }
        }
        for (wide, sums) in wide.chunks(WIDE * sites).zip(sums.chunks_exact_mut(groups * 9)) {
            transpose(wide, extents, planes);
            group(planes, factors, extents, sums);
        }
    }

    /// Adds the sums to a kernel of shape `(outputs, inputs, 3, 3)`.
    pub(crate) fn add_to_kernel(self, sums: &[Sums], kernel: &mut [f32]) {
        let [wides, narrows] = self.channels();
        let groups = narrows.div_ceil(FACTORS);
        for (tile, sums) in sums.iter().enumerate() {
            let (first_wide, first_narrow) = (tile / 9 / groups * WIDE, tile / 9 % groups * FACTORS);
            for (narrow, sums) in (first_narrow..narrows).zip(sums) {
                for (wide, sum) in (first_wide..wides).zip(sums.as_flattened()) {
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

/// Writes the padded planes of up to [`WIDE`] channels, channels innermost.
fn transpose(wide: &[f32], extents: Extents, planes: &mut [f32]) {
    let (w, pitch) = (extents.w, extents.pitch());
    for (channel, wide) in wide.chunks_exact(extents.sites()).enumerate() {
        extents.each_row(wide, |row, from| {
            let to = planes[row * pitch * WIDE..].as_chunks_mut::<WIDE>().0;
            to[0][channel] = from[w - 1];
            to[1..=w].iter_mut().zip(from).for_each(|(to, from)| to[channel] = *from);
            to[w + 1][channel] = from[0];
        });
    }
}

/// Adds what one sample gives to the sums of one group of wide channels.
#[multiversion(targets("x86_64+avx2+fma+bmi2"))]
fn group(planes: &[f32], factors: &[[f32; FACTORS]], extents: Extents, sums: &mut [Sums]) {
    let (w, pitch) = (extents.w, extents.pitch());
    let rows = (SITES / w).clamp(1, extents.h);
    let offsets: Vec<usize> = (0..rows * w).map(|site| (site / w * pitch + site % w) * WIDE).collect();
    for first in (0..extents.h).step_by(rows) {
        let sites = first * w..extents.h.min(first + rows) * w;
        let offsets = &offsets[..sites.len()];
        let span = offsets[sites.len() - 1] + LANES;
        for (factors, sums) in factors.chunks_exact(extents.sites()).zip(sums.chunks_exact_mut(9)) {
            let factors = &factors[sites.clone()];
            for (place, sums) in sums.iter_mut().enumerate() {
                let start = ((first + place / 3) * pitch + place % 3) * WIDE;
                let lines = std::array::from_fn(|v| &planes[start + v * LANES..][..span]);
                accumulate(sums, factors, lines, offsets);
            }
        }
    }
}
