//! The innermost loop of both convolutions and correlations.

/// Numbers of a vector.
pub(super) const LANES: usize = 8;
/// Vectors side by side.
pub(super) const VECTORS: usize = 2;

/// The sums of one factor.
pub(super) type Row = [[f32; LANES]; VECTORS];

/// Sums for `F` factors. With up to six, an AVX2 core keeps all in registers with what it multiplies; with less than four it
/// would have to wait for its sums.
pub(crate) type Sums<const F: usize> = [Row; F];

/// `sums[f][v] += sum over k of factors[k][f] lines[v][offsets[k]..][..LANES]`, in the order of `k`.
///
/// All lines have the same length. With this one check at each `k` remains; the loops over lanes become fused multiply-adds
/// only as long as they are over arrays, with all loads ahead.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
pub(super) fn accumulate<const F: usize>(
    sums: &mut Sums<F>,
    factors: &[[f32; F]],
    lines: [&[f32]; VECTORS],
    offsets: &[usize],
) {
    let length = lines[0].len();
    let lines = lines.map(|line| &line[..length]);
    let mut inner = *sums;
    for (factors, &offset) in factors.iter().zip(offsets) {
        let mut x = [[0.0; LANES]; VECTORS];
        for v in 0..VECTORS {
            x[v] = *lines[v][offset..].first_chunk().expect("offsets lie within the lines");
        }
        for f in 0..F {
            for v in 0..VECTORS {
                for lane in 0..LANES {
                    inner[f][v][lane] = x[v][lane].mul_add(factors[f], inner[f][v][lane]);
                }
            }
        }
    }
    *sums = inner;
}
