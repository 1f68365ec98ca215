//! The gradient of a kernel: the correlation of inputs with the gradient of outputs.
//!
//! ```text
//! sum over samples and sites of  g[o, i, j] x[c, i + a - 1, j + b - 1]
//! ```
//!
//! Here lanes are channels, those of which there are more: the planes of `x` are transposed, sixteen channels of a site side by
//! side, and those of `g` four. Exchanged, the two give the same sums for the neighbours opposite.

use super::planes::Extents;
use super::tile::{FACTORS, LANES, Sums, VECTORS, accumulate};
use multiversion::multiversion;
use rayon::prelude::*;

/// Samples that are added up one after the other; the sums of blocks are added in their order.
const BLOCK: usize = 8;
/// Channels in the vectors of a tile.
const WIDE: usize = LANES * VECTORS;
/// Sites of the rows that stay in the first-level cache through all neighbours and groups of channels.
const SITES: usize = 128;

/// The correlation of `x` with `g`, shape `(outputs, inputs, 3, 3)`.
pub(super) fn correlate(x: &[f32], g: &[f32], [inputs, outputs]: [usize; 2], extents: Extents) -> Vec<f32> {
    let exchanged = outputs > inputs;
    let ((wide, wides), (narrow, narrows)) =
        if exchanged { ((g, outputs), (x, inputs)) } else { ((x, inputs), (g, outputs)) };
    let samples = |channels| BLOCK * channels * extents.sites();
    let blocks = wide.par_chunks(samples(wides)).zip(narrow.par_chunks(samples(narrows)));
    let parts: Vec<Vec<Sums>> =
        blocks.map(|(wide, narrow)| block(wide, narrow, [wides, narrows], extents)).collect();

    let mut kernel = vec![0.0; outputs * inputs * 9];
    let groups = narrows.div_ceil(FACTORS);
    for part in parts {
        for (tile, sums) in part.iter().enumerate() {
            let (first_wide, first_narrow, place) =
                (tile / 9 / groups * WIDE, tile / 9 % groups * FACTORS, tile % 9);
            for narrow in first_narrow..narrows.min(first_narrow + FACTORS) {
                let sums = sums[narrow - first_narrow].as_flattened();
                for wide in first_wide..wides.min(first_wide + WIDE) {
                    let at = if exchanged {
                        (wide * inputs + narrow) * 9 + 8 - place
                    } else {
                        (narrow * inputs + wide) * 9 + place
                    };
                    kernel[at] += sums[wide - first_wide];
                }
            }
        }
    }
    kernel
}

/// The sums of a block of samples, by group of wide channels, group of narrow ones, neighbour.
fn block(wide: &[f32], narrow: &[f32], [wides, narrows]: [usize; 2], extents: Extents) -> Vec<Sums> {
    let sites = extents.sites();
    let groups = [wides.div_ceil(WIDE), narrows.div_ceil(FACTORS)];
    let mut sums = vec![[[[0.0; LANES]; VECTORS]; FACTORS]; groups[0] * groups[1] * 9];
    // Room to begin where a line of the cache begins: no vector then lies across two of them.
    let padded = extents.rows() * extents.pitch() * WIDE;
    let mut room = vec![0.0; padded + WIDE];
    let aligned = room.as_ptr().align_offset(size_of::<f32>() * WIDE).min(WIDE);
    let planes = &mut room[aligned..aligned + padded];
    let mut factors = vec![[0.0; FACTORS]; groups[1] * sites];
    for (wide, narrow) in wide.chunks_exact(wides * sites).zip(narrow.chunks_exact(narrows * sites)) {
        for (narrow, factors) in narrow.chunks(FACTORS * sites).zip(factors.chunks_exact_mut(sites)) {
            for (f, narrow) in narrow.chunks_exact(sites).enumerate() {
                factors.iter_mut().zip(narrow).for_each(|(factors, narrow)| factors[f] = *narrow);
            }
        }
        for (wide, sums) in wide.chunks(WIDE * sites).zip(sums.chunks_exact_mut(groups[1] * 9)) {
            transpose(wide, extents, planes);
            group(planes, &factors, extents, sums);
        }
    }
    sums
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
