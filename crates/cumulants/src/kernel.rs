//! The hot loops: power sums of a block and their shift to another centre.
//!
//! Both are plain loops over fixed lanes. The lanes fix the order of every sum and `f64::mul_add` rounds the
//! same way everywhere, so the versions compiled for different instruction sets agree bit for bit.

use multiversion::multiversion;

/// Independent partial sums of the power pass: two AVX-512 registers per order, so that with order 8 sums
/// and powers together stay within the register file.
const LANES: usize = 16;

/// Partial sums of the mean pass, more of them because one addition per value must hide its latency.
const MEAN_LANES: usize = 32;

/// Returns the mean `m` of a non-empty block and the sums `S_k = sum (x - m)^k`, `k = 1..=N`.
///
/// The first pass gives a rounded mean `c`, the second the sums about `c`; the shift to `c + S_1(c)/n` then
/// removes the rounding of `c` from all orders.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn centred_sums<const N: usize>(block: &[f64]) -> (f64, [f64; N]) {
    let count = block.len() as f64;

    let (chunks, rest) = block.as_chunks::<MEAN_LANES>();
    let mut lanes = [0.0; MEAN_LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += value;
    }
    let centre = fold(lanes) / count;

    let (chunks, rest) = block.as_chunks::<LANES>();
    let mut partial = [[0.0; LANES]; N];
    for chunk in chunks {
        add_powers(chunk, centre, &mut partial);
    }
    // Padding with the centre adds exact zeros to every sum.
    let mut last = [centre; LANES];
    last[..rest.len()].copy_from_slice(rest);
    add_powers(&last, centre, &mut partial);

    let mut sums = partial.map(fold);
    let residual = sums[0] / count;
    taylor_shift(count, -residual, &mut sums);
    sums[0] = 0.0;
    no_negative_square(&mut sums);
    (centre + residual, sums)
}

/// Returns the weighted mean `m` of a block, whose weights add up to `weight`, and the sums `sum w (x - m)^k`, `k = 1..=N`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn weighted_sums<const N: usize>(block: &[f64], weights: &[f64], weight: f64) -> (f64, [f64; N]) {
    let (chunks, rest) = block.as_chunks::<LANES>();
    let (weight_chunks, weight_rest) = weights.as_chunks::<LANES>();
    // Padding with weight zero.
    let (mut last, mut last_weights) = ([0.0; LANES], [0.0; LANES]);
    last[..rest.len()].copy_from_slice(rest);
    last_weights[..rest.len()].copy_from_slice(weight_rest);

    let mut lanes = [0.0; LANES];
    for (chunk, weights) in chunks.iter().zip(weight_chunks).chain([(&last, &last_weights)]) {
        for lane in 0..LANES {
            lanes[lane] = weights[lane].mul_add(chunk[lane], lanes[lane]);
        }
    }
    let centre = fold(lanes) / weight;

    let mut partial = [[0.0; LANES]; N];
    for (chunk, weights) in chunks.iter().zip(weight_chunks).chain([(&last, &last_weights)]) {
        let mut power = *weights;
        for sums in &mut partial {
            for lane in 0..LANES {
                power[lane] *= chunk[lane] - centre;
                sums[lane] += power[lane];
            }
        }
    }
    let mut sums = partial.map(fold);
    let residual = sums[0] / weight;
    taylor_shift(weight, -residual, &mut sums);
    sums[0] = 0.0;
    (centre + residual, sums)
}

/// Joins two non-empty summaries `(count, mean, central sums)` into the mean and central sums of the union.
///
/// With `delta = mean_b - mean_a` the common mean lies `delta n_b/n` above `mean_a` and `delta n_a/n` below
/// `mean_b`; using these distances, not differences to the rounded common mean, keeps data with a large
/// offset accurate.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn merged_sums<const N: usize>(
    a: (f64, f64, &[f64; N]),
    b: (f64, f64, &[f64; N]),
) -> (f64, [f64; N]) {
    let (count_a, mean_a, sums_a) = a;
    let (count_b, mean_b, sums_b) = b;
    let count = count_a + count_b;
    let delta = mean_b - mean_a;
    let up = delta * (count_b / count);
    let down = delta * (count_a / count);
    let (mut sums, mut other) = (*sums_a, *sums_b);
    taylor_shift(count_a, -up, &mut sums);
    taylor_shift(count_b, down, &mut other);
    for (sum, term) in sums.iter_mut().zip(other) {
        *sum += term;
    }
    sums[0] = 0.0;
    no_negative_square(&mut sums);
    (mean_a + up, sums)
}

/// What is left of a sum of squares where all values are equal is rounding, of either sign.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn no_negative_square<const N: usize>(sums: &mut [f64; N]) {
    if let Some(squares) = sums.get_mut(1).filter(|squares| **squares < 0.0) {
        *squares = 0.0;
    }
}

/// Replaces the sums `sum y^k` by `sum (y + t)^k`, `k = 1..=N`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn shift_sums<const N: usize>(count: f64, t: f64, sums: &mut [f64; N]) {
    taylor_shift(count, t, sums);
}

/// The binomial shift by Horner's scheme: pass `j` turns each `sum y^(k-j+1) (y+t)^(j-1)` with `k >= j` into
/// `sum y^(k-j) (y+t)^j`, which needs one multiply-add and no binomial coefficient per entry. Order `k`
/// never sees an order above `k`, so an overflow spoils only the orders at and above it.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn taylor_shift<const N: usize>(count: f64, t: f64, sums: &mut [f64; N]) {
    for pass in 0..N {
        for k in (pass.max(1)..N).rev() {
            sums[k] = t.mul_add(sums[k - 1], sums[k]);
        }
        if pass == 0 {
            sums[0] = t.mul_add(count, sums[0]);
        }
    }
}

/// Adds `(x - centre)^k` to the partial sums of each order.
///
/// Powers are formed only up to half the top order; the upper half are products of two of them fused into
/// the sum.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn add_powers<const N: usize>(chunk: &[f64; LANES], centre: f64, partial: &mut [[f64; LANES]; N]) {
    let stored = N.div_ceil(2);
    let mut powers = [[0.0; LANES]; N];
    for lane in 0..LANES {
        powers[0][lane] = chunk[lane] - centre;
        partial[0][lane] += powers[0][lane];
    }
    for k in 1..N {
        // (k + 1) = (low + 1) + (high + 1): entry k holds the power k + 1.
        let (low, high) = ((k - 1) / 2, k / 2);
        for lane in 0..LANES {
            if k < stored {
                powers[k][lane] = powers[low][lane] * powers[high][lane];
                partial[k][lane] += powers[k][lane];
            } else {
                partial[k][lane] = powers[low][lane].mul_add(powers[high][lane], partial[k][lane]);
            }
        }
    }
}

/// Sums the lanes as a balanced tree; `L` is a power of two.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn fold<const L: usize>(mut lanes: [f64; L]) -> f64 {
    let mut width = L / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
