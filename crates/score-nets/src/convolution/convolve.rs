//! A periodic convolution with a 3 x 3 kernel, straight from its definition.
//!
//! A tile is a few outputs at sixteen or thirty-two sites, in registers through a block of inputs and their nine neighbours. The part
//! of the block around a tile stays in the first-level cache while kernels pass by in the order in which they are used; these,
//! and the sums of a band of tiles, stay in the second. Every output is one sum in the order of the inputs and neighbours, whatever
//! the tile and wherever in it.

use super::planes::Extents;
use super::tile::{Sums, Tile, VECTORS, accumulate, as_tiles};
use multiversion::multiversion;
use rayon::prelude::*;

/// Inputs of a block.
const BLOCK: usize = 32;
/// Tiles of a band.
const BAND: usize = 8;
/// Products that are worth the attention of another thread: about a tenth of a millisecond.
const JOB: usize = 1 << 22;

/// A kernel as nine matrices (outputs, inputs) in a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernel<'a> {
    values: &'a [f32],
    outputs: usize,
    inputs: usize,
    /// From one output, and from one input, to the next.
    strides: [usize; 2],
    /// Whether the last of the nine comes first.
    turned: bool,
}

impl<'a> Kernel<'a> {
    /// A kernel of shape `(outputs, inputs, 3, 3)`.
    pub(crate) fn new(values: &'a [f32], [outputs, inputs]: [usize; 2]) -> Self {
        Self { values, outputs, inputs, strides: [9 * inputs, 9], turned: false }
    }

    /// The kernel that takes the gradient of what a kernel of shape `(outputs, inputs, 3, 3)` gives to that of what it is given.
    pub(crate) fn adjoint(values: &'a [f32], [outputs, inputs]: [usize; 2]) -> Self {
        Self { values, outputs: inputs, inputs: outputs, strides: [9, 9 * inputs], turned: true }
    }

    /// The numbers in the order of use: by block of inputs, group of `factors` outputs, input, neighbour; zeros fill the last group.
    fn packed(self, factors: usize) -> Vec<f32> {
        let mut packed = Vec::with_capacity(self.outputs.next_multiple_of(factors) * self.inputs * 9);
        for block in (0..self.inputs).step_by(BLOCK) {
            for group in (0..self.outputs).step_by(factors) {
                for input in block..self.inputs.min(block + BLOCK) {
                    for place in 0..9 {
                        let place = if self.turned { 8 - place } else { place };
                        let at =
                            |output| self.values[output * self.strides[0] + input * self.strides[1] + place];
                        let missing = |output| if output < self.outputs { at(output) } else { 0.0 };
                        packed.extend((group..group + factors).map(missing));
                    }
                }
            }
        }
        packed
    }
}

/// Where the vectors of a lattice lie.
#[derive(Clone, Debug)]
struct Places {
    extents: Extents,
    /// Numbers of a padded plane, and those that the last vector reads beyond it.
    plane: usize,
    /// For every tile and vector the place of its first neighbour in a plane, and its own in an output.
    tiles: Vec<[[usize; 2]; VECTORS]>,
    /// Distances of neighbours in the planes of a block.
    offsets: Vec<usize>,
    /// Numbers of an output: its sites, or where vectors do not fit its rows, rows with the two sites of each that are thrown away.
    output: usize,
}

impl Places {
    fn new(extents: Extents, lanes: usize) -> Self {
        let (pitch, whole) = (extents.pitch(), extents.w.is_multiple_of(lanes));
        let vectors: Vec<[usize; 2]> = if whole {
            let row =
                |row| (0..extents.w).step_by(lanes).map(move |at| [row * pitch + at, row * extents.w + at]);
            (0..extents.h).flat_map(row).collect()
        } else {
            (0..extents.h * pitch).step_by(lanes).map(|at| [at, at]).collect()
        };
        // The last tile may have its vector twice.
        let tile = |tile: &[[usize; 2]]| std::array::from_fn(|v| tile[v.min(tile.len() - 1)]);
        let plane = extents.rows() * pitch + 2 + lanes;
        Self {
            extents,
            plane,
            tiles: vectors.chunks(VECTORS).map(tile).collect(),
            offsets: (0..9 * BLOCK).map(|k| k / 9 * plane + k % 9 / 3 * pitch + k % 3).collect(),
            output: if whole { extents.sites() } else { (extents.h * pitch).next_multiple_of(lanes) },
        }
    }

    fn is_whole(&self) -> bool {
        self.output == self.extents.sites()
    }
}

/// A kernel made ready for many samples.
#[derive(Clone, Debug)]
pub(crate) struct Convolver {
    inputs: usize,
    outputs: usize,
    tile: Tile,
    packed: Vec<f32>,
    places: Places,
}

/// Memory that a [`Convolver`] works in; one serves all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Planes {
    padded: Vec<f32>,
    sums: Vec<f32>,
    lines: Vec<f32>,
}

impl Convolver {
    pub(crate) fn new(kernel: Kernel<'_>, extents: Extents) -> Self {
        let tiles = [Tile::Four, Tile::Six, Tile::Eleven];
        Self::with_tile(kernel, extents, Tile::fastest(tiles, kernel.outputs, extents.h * extents.pitch()))
    }

    fn with_tile(kernel: Kernel<'_>, extents: Extents, tile: Tile) -> Self {
        let Kernel { inputs, outputs, .. } = kernel;
        let (packed, places) = (kernel.packed(tile.factors()), Places::new(extents, tile.lanes()));
        Self { inputs, outputs, tile, packed, places }
    }

    /// Adds the convolution of one sample to `y`.
    pub(crate) fn add(&self, x: &[f32], planes: &mut Planes, y: &mut [f32]) {
        let Planes { padded, sums, lines } = planes;
        let extents = self.places.extents;
        padded.resize(self.inputs * self.places.plane, 0.0);
        extents.pad(x, padded, self.places.plane);
        let sample = match self.tile {
            Tile::Four => fours,
            Tile::Six => sixes,
            Tile::Eleven => elevens,
        };
        if self.places.is_whole() {
            sample(padded, &self.packed, &self.places, sums, y);
            return;
        }
        lines.clear();
        lines.resize(self.outputs * self.places.output, 0.0);
        sample(padded, &self.packed, &self.places, sums, lines);
        for (y, line) in y.chunks_exact_mut(extents.sites()).zip(lines.chunks_exact(self.places.output)) {
            for (y, line) in y.chunks_exact_mut(extents.w).zip(line.chunks_exact(extents.pitch())) {
                y.iter_mut().zip(line).for_each(|(y, line)| *y += line);
            }
        }
    }
}

/// The convolution of every sample of `x`.
pub(super) fn convolve(x: &[f32], extents: Extents, kernel: Kernel<'_>) -> Vec<f32> {
    let convolver = Convolver::new(kernel, extents);
    let [from, to] = [convolver.inputs, convolver.outputs].map(|channels| channels * extents.sites());
    let mut y = vec![0.0; x.len() / from * to];
    let products = 9 * extents.sites() * convolver.inputs * convolver.outputs;
    let samples = y.par_chunks_exact_mut(to).zip(x.par_chunks_exact(from)).with_min_len(1 + JOB / products);
    samples.for_each_init(Planes::default, |planes, (y, x)| convolver.add(x, planes, y));
    y
}

#[multiversion(targets("x86_64+avx2+fma+bmi2"))]
fn fours(planes: &[f32], packed: &[f32], places: &Places, memory: &mut Vec<f32>, y: &mut [f32]) {
    sample::<8, 4>(planes, packed, places, memory, y);
}

#[multiversion(targets("x86_64+avx2+fma+bmi2"))]
fn sixes(planes: &[f32], packed: &[f32], places: &Places, memory: &mut Vec<f32>, y: &mut [f32]) {
    sample::<8, 6>(planes, packed, places, memory, y);
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn elevens(planes: &[f32], packed: &[f32], places: &Places, memory: &mut Vec<f32>, y: &mut [f32]) {
    sample::<16, 11>(planes, packed, places, memory, y);
}

/// Adds the convolution of one sample to `y`, outputs one after the other.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn sample<const L: usize, const F: usize>(
    planes: &[f32],
    packed: &[f32],
    places: &Places,
    memory: &mut Vec<f32>,
    y: &mut [f32],
) {
    let groups = (y.len() / places.output).div_ceil(F);
    for band in places.tiles.chunks(BAND) {
        memory.clear();
        memory.resize(L * VECTORS * F * groups * band.len(), 0.0);
        let sums: &mut [Sums<L, F>] = as_tiles(memory);
        let mut packed = packed.as_chunks::<F>().0;
        for planes in planes.chunks(BLOCK * places.plane) {
            let offsets = &places.offsets[..9 * (planes.len() / places.plane)];
            // From the first neighbour of one vector to the end of its last.
            let span = offsets[offsets.len() - 1] + L;
            let (kernels, rest) = packed.split_at(groups * offsets.len());
            packed = rest;
            for (tile, sums) in band.iter().zip(sums.chunks_exact_mut(groups)) {
                let lines = tile.map(|[from, _]| &planes[from..][..span]);
                for (sums, factors) in sums.iter_mut().zip(kernels.chunks_exact(offsets.len())) {
                    accumulate(sums, factors, lines, offsets);
                }
            }
        }
        for (tile, sums) in band.iter().zip(sums.chunks_exact(groups)) {
            for (y, sums) in y.chunks_exact_mut(places.output).zip(sums.as_flattened()) {
                // Where a tile has a vector twice, it counts once.
                let vectors = if tile[0] == tile[1] { 1 } else { VECTORS };
                for (sums, [_, to]) in sums.iter().zip(tile).take(vectors) {
                    y[*to..][..L].iter_mut().zip(sums).for_each(|(y, sum)| *y += sum);
                }
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
            [([1, 1], [2, 2]), ([13, 5], [4, 7]), ([6, 40], [3, 16]), ([25, 33], [6, 32]), ([4, 2], [1, 8])]
        {
            let extents = Extents { h, w };
            let x: Vec<f32> = (0..inputs * extents.sites()).map(number).collect();
            let kernel: Vec<f32> = (0..outputs * inputs * 9).map(|i| number(i + 17)).collect();
            let kernel = Kernel::new(&kernel, [outputs, inputs]);
            let by = |tile| {
                let mut y = vec![0.5; outputs * extents.sites()];
                Convolver::with_tile(kernel, extents, tile).add(&x, &mut Planes::default(), &mut y);
                y
            };
            assert_eq!(by(Tile::Four), by(Tile::Six), "{outputs} x {inputs}, {h} x {w}");
            assert_eq!(by(Tile::Four), by(Tile::Eleven), "{outputs} x {inputs}, {h} x {w}");
        }
    }
}
