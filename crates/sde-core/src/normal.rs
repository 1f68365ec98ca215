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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_splitmix64_as_published() {
        // The reference implementation from state 1234567; see also Java's SplittableRandom.
        let mut words = [0; 5];
        fill_words(1_234_567, 0, 0, &mut words);
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(words, published);
    }

    #[test]
    fn groups_are_made_of_the_words_of_their_elements() {
        let (base, inner, first) = (0x0123_4567_89ab_cdef, 42, 640);
        let (mut words, mut normals) = ([0; 3 * GROUP], [0.0; 3 * GROUP]);
        fill_words(base, inner, first, &mut words);
        fill_groups(base, inner, first, &mut normals);
        for group in 0..3 {
            for j in group * GROUP..group * GROUP + PAIRS {
                assert_eq!((normals[j], normals[j + PAIRS]), box_muller(words[j], words[j + PAIRS]));
            }
        }
    }

    #[test]
    fn box_muller_keeps_radius_and_angle() {
        let mut words = vec![0; 20_000];
        fill_words(testing::seed(9), 9, 0, &mut words);
        let mut quadrants = [0; 4];
        for pair in words.chunks_exact(2) {
            let (u, v) = (pair[0], pair[1]);
            let (x, y) = box_muller(u, v);
            let uniform = 1.0 - (u >> 12) as f64 * 2f64.powi(-52);
            assert!((x * x + y * y + 2.0 * uniform.ln()).abs() < 1e-14 * (1.0 + x * x + y * y));
            // Angle within an eighth of a turn about an axis, from the upper bits.
            let angle = ((v >> 12) as f64 * 2f64.powi(-52) - 0.5) * std::f64::consts::FRAC_PI_2;
            let (along, across) = if v & 2 == 0 { (x, y) } else { (y, x) };
            let sign = if v & 1 == 0 { 1.0 } else { -1.0 };
            assert!((across - along * angle.tan()).abs() < 1e-14 * (1.0 + along.abs()));
            assert!(sign * along >= 0.0);
            quadrants[(v & 3) as usize] += 1;
        }
        let test = testing::Comparisons::of(4);
        assert!(quadrants.iter().all(|n| test.binomial(*n, 10_000, 0.25)), "{quadrants:?}");
    }

    #[test]
    fn extreme_words_give_finite_normals() {
        // The largest radius there is, then the smallest.
        let (x, y) = box_muller(u64::MAX, 1 << 63);
        assert!((x - (104.0 * std::f64::consts::LN_2).sqrt()).abs() < 1e-14 && y == 0.0);
        assert_eq!(box_muller(0, 1 << 63), (0.0, 0.0));
        for (u, v) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (1 << 12, 1)] {
            let (x, y) = box_muller(u, v);
            assert!(x.is_finite() && y.is_finite());
        }
    }
}
