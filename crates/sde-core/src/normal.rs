//! The bulk generator of [`Noise`](crate::Noise): counter to words to pairs of normals.

use crate::math::{ln, sin_cos_eighth};
use multiversion::multiversion;

/// Elements of a group; the two halves hold the two normals of each pair.
pub(crate) const GROUP: usize = 64;
const PAIRS: usize = GROUP / 2;

/// The golden-ratio increment of SplitMix64.
pub(crate) const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// SplitMix64's output function with a key between its multiplications; `inner = 0` is the published one.
#[inline(always)]
pub(crate) fn mix(state: u64, inner: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ inner;
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Two independent normals from two words.
///
/// `u` gives the radius: its upper 52 bits are a number in `(0, 1]`, so the largest radius is
/// `sqrt(104 ln 2) = 8.49`. `v` gives the angle: the upper 52 bits place it in one octant pair
/// `[-pi/4, pi/4)`, the lowest two bits choose axis and sign, which together cover the circle.
#[inline(always)]
fn box_muller(u: u64, v: u64) -> (f64, f64) {
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    let uniform = 2.0 - f64::from_bits((u >> 12) | ONE);
    let radius = (-2.0 * ln(uniform)).sqrt();
    let centred = f64::from_bits((v >> 12) | ONE) - 1.5;
    let (sin, cos) = sin_cos_eighth(centred * std::f64::consts::FRAC_PI_2);
    let radius = f64::from_bits(radius.to_bits() ^ (v << 63));
    let (first, second) = if v & 2 == 0 { (cos, sin) } else { (sin, cos) };
    (radius * first, radius * second)
}

/// Fills `out`, a whole number of groups, with the normals from element `first` (a multiple of [`GROUP`]) on.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn fill_groups(base: u64, inner: u64, first: u64, out: &mut [f64]) {
    let mut state = base.wrapping_add(first.wrapping_add(1).wrapping_mul(GAMMA));
    for group in out.chunks_exact_mut(GROUP) {
        let (low, high) = group.split_at_mut(PAIRS);
        for j in 0..PAIRS {
            let s = state.wrapping_add((j as u64).wrapping_mul(GAMMA));
            let t = s.wrapping_add((PAIRS as u64).wrapping_mul(GAMMA));
            (low[j], high[j]) = box_muller(mix(s, inner), mix(t, inner));
        }
        state = state.wrapping_add((GROUP as u64).wrapping_mul(GAMMA));
    }
}

/// Fills `out` with the words from element `first` on: those that [`fill_groups`] turns into normals.
pub(crate) fn fill_words(base: u64, inner: u64, first: u64, out: &mut [u64]) {
    let mut state = base.wrapping_add(first.wrapping_add(1).wrapping_mul(GAMMA));
    for word in out {
        *word = mix(state, inner);
        state = state.wrapping_add(GAMMA);
    }
}
