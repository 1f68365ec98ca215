//! Sums over pairs of measurements at a distance: the hot loop of everything about Markov chains.
//!
//! Fourier transforms give all distances at once, but a window of a few autocorrelation times is all that is needed, and
//! sixteen of them at a time run at the speed of the multipliers: up to windows of a thousand or so this is faster.

use multiversion::multiversion;
use rayon::prelude::*;

/// Lags whose sums are formed together.
pub(crate) const LAGS: usize = 16;

/// Rows that all these lags are summed over in turn: they stay in the first-level cache.
const TILE: usize = 2048;

/// Tiles handed to a thread at once.
const TILES: usize = 8;

/// `sum_i x_i x_(i+t)` over all series, for the lags `t = first, .., first + LAGS - 1`; zero where a series is too short.
///
/// The order of the sum is fixed by lanes and tiles, whatever the number of threads.
pub(crate) fn lagged_products(series: &[Vec<f64>], first: usize) -> [f64; LAGS] {
    let mut totals = [0.0; LAGS];
    for x in series {
        let parts: Vec<[f64; LAGS]> = (0..x.len().div_ceil(TILES * TILE))
            .into_par_iter()
            .map(|part| {
                let mut sums = [0.0; LAGS];
                for start in (part * TILES..(part + 1) * TILES).map(|tile| tile * TILE) {
                    for (sum, lag) in sums.iter_mut().zip(first..) {
                        let end = (start + TILE).min(x.len().saturating_sub(lag));
                        if start < end {
                            *sum += dot(&x[start..end], &x[start + lag..end + lag]);
                        }
                    }
                }
                sums
            })
            .collect();
        for sums in &parts {
            totals.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum);
        }
    }
    totals
}

/// In lanes, so that the order of the sum is fixed.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 32;
    let mut sums = [0.0; LANES];
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    for ((sum, a), b) in sums.iter_mut().zip(a_rest).zip(b_rest) {
        *sum = a.mul_add(*b, *sum);
    }
    sums.iter().sum()
}
