//! The innermost loop of both convolutions and correlations, and the sizes that it comes in.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

/// Vectors side by side.
pub(super) const VECTORS: usize = 2;

/// The sums of one factor.
pub(super) type Row<const L: usize> = [[f32; L]; VECTORS];

/// Sums of `F` factors with two vectors of `L` numbers, all in registers together with what is multiplied. The four lowest steps of
/// a multiplication overlap with those of others: with less than eight sums it would have to wait for them.
pub(super) type Sums<const L: usize, const F: usize> = [Row<L>; F];

/// The size of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tile {
    /// Four factors, two vectors of eight numbers.
    Four,
    /// Six factors, two vectors of eight numbers.
    Six,
    /// Eleven factors, two vectors of sixteen numbers: for AVX-512, which has registers for them.
    Eleven,
}

impl Tile {
    /// Numbers of a vector.
    pub(super) fn lanes(self) -> usize {
        if self == Self::Eleven { 16 } else { 8 }
    }

    /// Factors.
    pub(super) fn factors(self) -> usize {
        match self {
            Self::Four => 4,
            Self::Six => 6,
            Self::Eleven => 11,
        }
    }

    /// The fastest of `tiles` on this machine for so many factors and numbers, those that the last tiles lack included.
    pub(super) fn fastest<const N: usize>(tiles: [Self; N], factors: usize, numbers: usize) -> Self {
        let usable = tiles.into_iter().filter(|tile| tile.lanes() <= widest());
        usable.min_by_key(|tile| tile.cost(factors, numbers)).unwrap_or(Self::Four)
    }

    /// Time, in some unit: six factors take a tenth less each than four, since a vector that is loaded serves them all.
    fn cost(self, factors: usize, numbers: usize) -> usize {
        let each = match self {
            Self::Four => 22,
            Self::Six => 20,
            Self::Eleven => 11,
        };
        let filled = numbers.next_multiple_of(VECTORS * self.lanes());
        each * factors.next_multiple_of(self.factors()) * filled
    }
}

/// Numbers in a register of this machine, at least eight.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2"))]
fn widest() -> usize {
    if target_cfg_f!(target_feature = "avx512f") { 16 } else { 8 }
}

/// `sums[f][v] += sum over k of factors[k][f] lines[v][offsets[k]..][..L]`, in the order of `k`.
///
/// All lines have the same length. With this one check at each `k` remains; the loops over lanes become fused multiply-adds
/// only as long as they are over arrays, with all loads ahead. Of sixteen lanes they do for nine to twelve factors, not for
/// eight.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
pub(super) fn accumulate<const L: usize, const F: usize>(
    sums: &mut Sums<L, F>,
    factors: &[[f32; F]],
    lines: [&[f32]; VECTORS],
    offsets: &[usize],
) {
    let length = lines[0].len();
    let lines = lines.map(|line| &line[..length]);
    let mut inner = *sums;
    for (factors, &offset) in factors.iter().zip(offsets) {
        let mut x = [[0.0; L]; VECTORS];
        for v in 0..VECTORS {
            x[v] = *lines[v][offset..].first_chunk().expect("offsets lie within the lines");
        }
        for f in 0..F {
            for v in 0..VECTORS {
                for lane in 0..L {
                    inner[f][v][lane] = x[v][lane].mul_add(factors[f], inner[f][v][lane]);
                }
            }
        }
    }
    *sums = inner;
}

/// A slice seen as tiles of sums.
pub(super) fn as_tiles<const L: usize, const F: usize>(sums: &mut [f32]) -> &mut [Sums<L, F>] {
    sums.as_chunks_mut().0.as_chunks_mut().0.as_chunks_mut().0
}
