//! Loops over a pair of fields, or over its modes, compiled for several instruction sets.
//!
//! Real and imaginary parts come in turn and a factor belongs to both. So the factors of a piece of fixed length are spread over
//! the parts first: loops over complex numbers would take parts asunder instead, and loops over short pieces would gather every
//! eighth number of several, which take twice the time.

use crate::pairs::{flat, flat_mut};
use multiversion::multiversion;
use num_complex::Complex64;

/// Modes of a piece, and their parts.
const MODES: usize = 32;
const PARTS: usize = 2 * MODES;

/// Each factor for both parts of its mode.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn spread(factors: &[f64; MODES]) -> [f64; PARTS] {
    let mut parts = [0.0; PARTS];
    for (parts, factor) in parts.as_chunks_mut::<2>().0.iter_mut().zip(factors) {
        *parts = [*factor; 2];
    }
    parts
}

/// Two rows times factors of their own, plus a shift, as one complex field.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn interleave(a: &[f64], b: &[f64], factors: [f64; 2], shift: f64, out: &mut [Complex64]) {
    for ((z, a), b) in out.iter_mut().zip(a).zip(b) {
        *z = Complex64::new(factors[0].mul_add(*a, shift), factors[1].mul_add(*b, shift));
    }
}

/// One complex field as two rows, times factors of their own.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn part(pair: &[Complex64], factors: [f64; 2], a: &mut [f64], b: &mut [f64]) {
    for ((z, a), b) in pair.iter().zip(a).zip(b) {
        *a = factors[0] * z.re;
        *b = factors[1] * z.im;
    }
}

/// `z *= norm factor`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn multiply(pair: &mut [Complex64], factors: &[f64], norm: f64) {
    let (pieces, rest) = flat_mut(pair).as_chunks_mut::<PARTS>();
    let (factors, of_rest) = factors.as_chunks::<MODES>();
    for (z, factors) in pieces.iter_mut().zip(factors) {
        let factors = spread(factors);
        for i in 0..PARTS {
            z[i] *= norm * factors[i];
        }
    }
    for (i, z) in rest.iter_mut().enumerate() {
        *z *= norm * of_rest[i / 2];
    }
}

/// `out = factor z`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn product(modes: &[Complex64], factors: &[f64], out: &mut [Complex64]) {
    let (pieces, rest) = flat_mut(out).as_chunks_mut::<PARTS>();
    let (z, z_rest) = flat(modes).as_chunks::<PARTS>();
    let (factors, of_rest) = factors.as_chunks::<MODES>();
    for ((out, z), factors) in pieces.iter_mut().zip(z).zip(factors) {
        let factors = spread(factors);
        for i in 0..PARTS {
            out[i] = factors[i] * z[i];
        }
    }
    for (i, (out, z)) in rest.iter_mut().zip(z_rest).enumerate() {
        *out = of_rest[i / 2] * z;
    }
}

/// `z = a z + b y`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn combine(pair: &mut [Complex64], a: &[f64], y: &[Complex64], b: &[f64]) {
    let (pieces, rest) = flat_mut(pair).as_chunks_mut::<PARTS>();
    let (y, y_rest) = flat(y).as_chunks::<PARTS>();
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<MODES>(), b.as_chunks::<MODES>());
    for (((z, a), y), b) in pieces.iter_mut().zip(a).zip(y).zip(b) {
        let (a, b) = (spread(a), spread(b));
        for i in 0..PARTS {
            z[i] = b[i].mul_add(y[i], a[i] * z[i]);
        }
    }
    for (i, (z, y)) in rest.iter_mut().zip(y_rest).enumerate() {
        *z = b_rest[i / 2].mul_add(*y, a_rest[i / 2] * *z);
    }
}

/// `x *= factor`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn scale(values: &mut [f64], factor: f64) {
    for value in values {
        *value *= factor;
    }
}

/// `-bound <= x <= bound`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn clamp(values: &mut [f64], bound: f64) {
    for value in values {
        *value = value.clamp(-bound, bound);
    }
}
