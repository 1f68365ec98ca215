//! Elementary functions in single precision, as straight-line code that vectorises and rounds the same on
//! every machine. Their errors are tested against double precision.
#![expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]

/// Adding `1.5 * 2^23` rounds to an integer and leaves that integer in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `1 / (1 + exp(-a))` to 2e-7 relative; for `a < -87` it stays at its value there, 1.6e-38.
#[inline(always)]
pub(crate) fn sigmoid(a: f32) -> f32 {
    1.0 / (1.0 + exp(-a))
}

/// `exp x` to 1e-7 relative for `|x| <= 87`; beyond that, its value at the end of that range.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`, `ln 2` in two parts so that `r` is exact, the Taylor series of
/// order 7 (next term 4e-9), and `2^n` written into the exponent.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 87.0);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = r.mul_add(p, c);
    }
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    p * scale
}

/// A frequency in turns per unit of the coordinate, in two parts.
///
/// The phase of the fastest embedding frequency reaches 10^4 radians, where one part in single precision
/// leaves an error of 5e-4.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Frequency {
    high: f32,
    low: f32,
}

impl Frequency {
    /// From radians per unit of the coordinate.
    pub(crate) fn from_radians(omega: f64) -> Self {
        let turns = omega / std::f64::consts::TAU;
        let high = turns as f32;
        Self { high, low: (turns - f64::from(high)) as f32 }
    }

    /// `(sin, cos)` of `2 pi x frequency`, each to 2e-7, for phases up to 4 million turns.
    ///
    /// The product is exact as a sum of two floats; its fractional part is taken before anything is rounded.
    #[inline(always)]
    pub(crate) fn sin_cos(self, x: f32) -> (f32, f32) {
        let product = x * self.high;
        let error = x.mul_add(self.high, -product);
        // In quarter turns, so that the integer part is the quadrant.
        let quarters = 4.0 * product;
        let shifted = quarters + ROUND;
        let nearest = shifted - ROUND;
        let rest = 4.0f32.mul_add(x.mul_add(self.low, error), quarters - nearest);
        let (sin, cos) = sin_cos_quarter(rest);
        let quadrant = shifted.to_bits();
        let (s, c) = if quadrant & 1 == 0 { (sin, cos) } else { (cos, sin) };
        let sign_s = (quadrant & 2) << 30;
        let sign_c = (quadrant.wrapping_add(1) & 2) << 30;
        (f32::from_bits(s.to_bits() ^ sign_s), f32::from_bits(c.to_bits() ^ sign_c))
    }
}

/// `(sin, cos)` of `pi/2 y` for `|y| <= 1/2`, by Taylor series to orders 9 and 10.
#[inline(always)]
fn sin_cos_quarter(y: f32) -> (f32, f32) {
    let r = y * std::f32::consts::FRAC_PI_2;
    let z = r * r;
    let mut s = 1.0 / 362_880.0;
    for c in [-1.0 / 5040.0, 1.0 / 120.0, -1.0 / 6.0] {
        s = z.mul_add(s, c);
    }
    let mut c = -1.0 / 3_628_800.0;
    for k in [1.0 / 40_320.0, -1.0 / 720.0, 1.0 / 24.0, -0.5, 1.0] {
        c = z.mul_add(c, k);
    }
    ((r * z).mul_add(s, r), c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_matches_double_precision() {
        for i in -870_000..=870_000 {
            let x = i as f32 / 1e4;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 1.2e-7, "{x}");
        }
        assert_eq!(exp(1e30), exp(87.0));
        assert_eq!(exp(f32::NEG_INFINITY), exp(-87.0));
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn sine_and_cosine_match_double_precision() {
        for k in 0..64 {
            let omega = (f64::from(k) * 1e4f64.ln() / 64.0).exp();
            let frequency = Frequency::from_radians(omega);
            for i in -2000..=2000 {
                let x = i as f32 / 2000.0;
                let (s, c) = frequency.sin_cos(x);
                let phase = omega * f64::from(x);
                let error = (f64::from(s) - phase.sin()).abs().max((f64::from(c) - phase.cos()).abs());
                assert!(error < 2e-7, "{omega} {x}: {error}");
            }
        }
    }
}
