//! Loops over columns of a batch, compiled for several instruction sets.
#![expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]

use crate::Activation;
use crate::activation::{ActivationFn, LeakyRelu, Silu};
use multiversion::multiversion;

/// Partial sums of a reduction: fixed, so the order of additions is.
const SUMS: usize = 64;

macro_rules! vectorised {
    ($($(#[$meta:meta])* fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$meta])*
        #[multiversion(targets(
            "x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2",
            "x86_64+avx2+fma+bmi2"
        ))]
        pub(crate) fn $name($($argument: $kind),*) $(-> $result)? $body
    )*};
}

vectorised! {
    /// `out = weight x + shift`.
    fn scaled_plus(out: &mut [f32], weight: f32, x: &[f32], shift: &[f32]) {
        for ((o, x), s) in out.iter_mut().zip(x).zip(shift) {
            *o = weight.mul_add(*x, *s);
        }
    }

    /// `out += weight x`.
    fn add_scaled(out: &mut [f32], weight: f32, x: &[f32]) {
        for (o, x) in out.iter_mut().zip(x) {
            *o = weight.mul_add(*x, *o);
        }
    }

    /// `out = weight a b`.
    fn scaled_product(out: &mut [f32], weight: f32, a: &[f32], b: &[f32]) {
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            *o = weight * a * b;
        }
    }

    /// `out *= a`.
    fn multiply(out: &mut [f32], a: &[f32]) {
        for (o, a) in out.iter_mut().zip(a) {
            *o *= a;
        }
    }

    /// `a . b`, both of a whole number of [`SUMS`].
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut sums = [0.0f32; SUMS];
        for (a, b) in a.chunks_exact(SUMS).zip(b.chunks_exact(SUMS)) {
            for lane in 0..SUMS {
                sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
            }
        }
        total(sums)
    }

    /// The sum of a whole number of [`SUMS`].
    fn sum(a: &[f32]) -> f32 {
        let mut sums = [0.0f32; SUMS];
        for a in a.chunks_exact(SUMS) {
            for lane in 0..SUMS {
                sums[lane] += a[lane];
            }
        }
        total(sums)
    }

    fn activate_leaky(a: &mut [f32], slope: &mut [f32]) {
        activate_with::<LeakyRelu>(a, slope);
    }

    fn activate_silu(a: &mut [f32], slope: &mut [f32]) {
        activate_with::<Silu>(a, slope);
    }
}

/// The sum of `term` over two slices of equal length, in sixteen lanes: the order of the additions is the same on every machine.
#[inline(always)]
pub(crate) fn sum_of(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; 16];
    let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in whole_a.iter().zip(whole_b) {
        for lane in 0..16 {
            lanes[lane] += term(a[lane], b[lane]);
        }
    }
    let rest: f32 = rest_a.iter().zip(rest_b).map(|(a, b)| term(*a, *b)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The sum of partial sums, halves first; `N` is a power of two.
#[inline(always)]
pub(crate) fn total<const N: usize>(mut sums: [f32; N]) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

#[inline(always)]
fn activate_with<A: ActivationFn>(a: &mut [f32], slope: &mut [f32]) {
    for (a, s) in a.iter_mut().zip(slope) {
        (*a, *s) = A::value_and_slope(*a);
    }
}

/// Replaces preactivations by activations and writes the slopes.
pub(crate) fn activate(activation: Activation, a: &mut [f32], slope: &mut [f32]) {
    match activation {
        Activation::LeakyRelu => activate_leaky(a, slope),
        Activation::Silu => activate_silu(a, slope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_on_integers() {
        let a: Vec<f32> = (0..3 * SUMS).map(|i| (i % 7) as f32 - 2.0).collect();
        let b: Vec<f32> = (0..3 * SUMS).map(|i| (i % 5) as f32).collect();
        assert_eq!(sum(&a), a.iter().sum::<f32>());
        assert_eq!(dot(&a, &b), a.iter().zip(&b).map(|(a, b)| a * b).sum::<f32>());
    }
}
