//! Elementary functions as straight-line code that vectorises and rounds the same on every machine.
//!
//! The libm of a platform is neither vectorised nor the same everywhere; these are, because they use nothing
//! but IEEE operations and fused multiply-adds in a fixed order. Their errors are tested against libm.

/// Horner's rule with fused multiply-adds, coefficients from the lowest power.
#[inline(always)]
fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    let mut p = coefficients[N - 1];
    for c in coefficients[..N - 1].iter().rev() {
        p = p.mul_add(x, *c);
    }
    p
}

/// `ln x` for positive normal `x`, to 3 units in the last place (measured against libm).
///
/// `x = 2^e m` with `m` in `[1/sqrt 2, sqrt 2)`, and `ln m = 2 artanh((m-1)/(m+1))` by the minimax polynomial
/// of fdlibm.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const TWO_TO_52: u64 = 0x4330_0000_0000_0000;
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(SQRT_HALF).wrapping_add(ONE);
    let exponent = f64::from_bits((shifted >> 52) | TWO_TO_52) - (4_503_599_627_370_496.0 + 1023.0);
    let mantissa = f64::from_bits(bits.wrapping_sub(shifted & 0xfff0_0000_0000_0000).wrapping_add(ONE));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let series = polynomial(
        z,
        [
            2.0,
            6.666_666_666_666_735_13e-1,
            3.999_999_999_940_941_908e-1,
            2.857_142_874_366_239_149e-1,
            2.222_219_843_214_978_396e-1,
            1.818_357_216_161_805_012e-1,
            1.531_383_769_920_937_332e-1,
            1.479_819_860_511_658_591e-1,
        ],
    );
    exponent.mul_add(std::f64::consts::LN_2, s * series)
}

/// `(sin x, cos x)` for `|x| <= pi/4`, to 1.2e-16, by the minimax polynomials of fdlibm.
#[inline(always)]
pub(crate) fn sin_cos_eighth(x: f64) -> (f64, f64) {
    let z = x * x;
    let s = polynomial(
        z,
        [
            -1.666_666_666_666_663_243_48e-1,
            8.333_333_333_322_489_461_24e-3,
            -1.984_126_982_985_794_931_34e-4,
            2.755_731_370_707_006_767_89e-6,
            -2.505_076_025_340_686_341_95e-8,
            1.589_690_995_211_550_102_21e-10,
        ],
    );
    let c = polynomial(
        z,
        [
            -0.5,
            4.166_666_666_666_660_190_37e-2,
            -1.388_888_888_887_410_957_49e-3,
            2.480_158_728_947_672_941_78e-5,
            -2.755_731_435_139_066_330_35e-7,
            2.087_572_321_298_174_827_9e-9,
            -1.135_964_755_778_819_482_65e-11,
        ],
    );
    ((x * z).mul_add(s, x), z.mul_add(c, 1.0))
}

/// `e^x` to 4 units in the last place, zero below -708 and infinite above 709.
///
/// In a loop over numbers it is compiled to vector instructions, those of the function that it is called in.
///
/// ```
/// use sde_core::math::exp;
///
/// let weights = [-0.5, -800.0, f64::NEG_INFINITY].map(exp);
/// assert!((weights[0] - 0.606_530_659_712_633_4).abs() < 1e-15 && weights[1..] == [0.0, 0.0]);
/// ```
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    const LEAST: f64 = -708.0;
    const MOST: f64 = 709.0;
    let (scale, q) = exponential(x.clamp(LEAST, MOST));
    let inside = scale.mul_add(q, scale);
    let above = if x > MOST { f64::INFINITY } else { inside };
    if x < LEAST { 0.0 } else { above }
}

/// `tanh y` to 1e-15 relative, everywhere.
///
/// `tanh y = e / (e + 2)` with `e = expm1(2y)`.
#[inline(always)]
pub(crate) fn tanh(y: f64) -> f64 {
    let doubled = 2.0 * y;
    let (scale, q) = exponential(doubled.clamp(-40.0, 40.0));
    let e = scale.mul_add(q, scale - 1.0);
    e / (e + 2.0)
}

/// `2^n` and `expm1(r)` of `x = n ln 2 + r`, the latter by the Taylor series, `|r| <= ln 2 / 2`.
#[inline(always)]
fn exponential(x: f64) -> (f64, f64) {
    // 1.5 * 2^52: adding it rounds to an integer and leaves that integer in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let k = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let n = k - ROUND;
    let r = n.mul_add(-1.908_214_929_270_587_7e-10, n.mul_add(-6.931_471_803_691_238_164_9e-1, x));
    let q = r * polynomial(
        r,
        [
            1.0,
            1.0 / 2.0,
            1.0 / 6.0,
            1.0 / 24.0,
            1.0 / 120.0,
            1.0 / 720.0,
            1.0 / 5_040.0,
            1.0 / 40_320.0,
            1.0 / 362_880.0,
            1.0 / 3_628_800.0,
            1.0 / 39_916_800.0,
            1.0 / 479_001_600.0,
        ],
    );
    (f64::from_bits(k.to_bits().wrapping_add(1023) << 52), q)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of `exact`.
    fn ulps(x: f64, exact: f64) -> f64 {
        (x - exact).abs() / (exact.abs().next_up() - exact.abs())
    }

    #[test]
    fn ln_matches_libm() {
        let check = |x: f64| assert!(ulps(ln(x), x.ln()) <= 3.0, "{x}: {} {}", ln(x), x.ln());
        for i in 1..2_000_000 {
            check(f64::from(i) / 2_000_000.0);
            check(1.0 - f64::from(i) * 2f64.powi(-52));
            check(1.0 - f64::from(i) * 2f64.powi(-32));
            check(2f64.powi(-(i % 52)) * (1.0 + f64::from(i) / 2_000_001.0));
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn sin_cos_match_libm() {
        for i in -100_000..=100_000 {
            let x = f64::from(i) / 100_000.0 * std::f64::consts::FRAC_PI_4;
            let (s, c) = sin_cos_eighth(x);
            assert!((s - x.sin()).abs() < 1.5e-16 && (c - x.cos()).abs() < 1.5e-16, "{x}");
        }
    }

    #[test]
    fn exp_matches_libm() {
        for i in -708_000..=709_000 {
            let x = f64::from(i) * 1e-3;
            assert!(ulps(exp(x), x.exp()) <= 4.0, "{x}: {} {}", exp(x), x.exp());
        }
        for exponent in -300..0 {
            let x = 10f64.powi(exponent);
            assert!(ulps(exp(x), x.exp()) <= 1.0 && ulps(exp(-x), (-x).exp()) <= 1.0, "{x}");
        }
        assert_eq!(
            [0.0, -708.5, 709.5, f64::NEG_INFINITY, f64::INFINITY].map(exp),
            [1.0, 0.0, f64::INFINITY, 0.0, f64::INFINITY]
        );
        assert!(exp(f64::NAN).is_nan());
    }

    #[test]
    fn tanh_matches_libm() {
        for i in -200_000..=200_000 {
            let y = f64::from(i) * 1.25e-4;
            let exact = y.tanh();
            assert!((tanh(y) - exact).abs() <= 1e-15 * exact.abs(), "{y}: {} {exact}", tanh(y));
        }
        for exponent in -300..3 {
            let y = 10f64.powi(exponent);
            assert!((tanh(y) / y.tanh() - 1.0).abs() < 1e-15, "{y}");
        }
        assert_eq!(tanh(1e300), 1.0);
        assert_eq!(tanh(f64::NEG_INFINITY), -1.0);
        assert!(tanh(f64::NAN).is_nan());
    }
}
