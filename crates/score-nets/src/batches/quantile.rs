//! The quantile function of the normal law, as straight-line code.
//!
//! ```text
//! q(u) = sqrt(2) erfinv(2u - 1)
//! ```
//!
//! by the two polynomials of Giles (2012, *Approximating the erfinv function*) in `w = -ln(4 u (1 - u))`: one
//! for the centre, one in `sqrt(w)` for the tails. They are good to 1e-6 in the bulk and to 1e-4 as far out as six deviations,
//! where one draw in 10^9 lies.

#![expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]

use multiversion::multiversion;

/// Coefficients for `w < 5`, in `w - 5/2`, highest power first.
const CENTRE: [f64; 9] = [
    2.810_226_36e-08,
    3.432_739_39e-07,
    -3.523_387_7e-06,
    -4.391_506_54e-06,
    2.185_808_7e-04,
    -1.253_725_03e-03,
    -4.177_681_64e-03,
    2.466_407_27e-01,
    1.501_409_41,
];

/// Coefficients for `w >= 5`, in `sqrt(w) - 3`, highest power first.
const TAIL: [f64; 9] = [
    -2.002_142_57e-04,
    1.009_505_58e-04,
    1.349_343_22e-03,
    -3.673_428_44e-03,
    5.739_507_73e-03,
    -7.622_461_3e-03,
    9.438_870_47e-03,
    1.001_674_06,
    2.832_976_82,
];

/// Replaces every `u` in `(0, 1)` by the normal quantile `q(u)`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(super) fn to_normal(values: &mut [f64]) {
    for u in values {
        let w = -ln(4.0 * *u * (1.0 - *u));
        let centre = horner(w - 2.5, CENTRE);
        let tail = horner(w.max(0.0).sqrt() - 3.0, TAIL);
        let factor = if w < 5.0 { centre } else { tail };
        *u = std::f64::consts::SQRT_2 * factor * (2.0f64.mul_add(*u, -1.0));
    }
}

#[inline(always)]
fn horner(x: f64, coefficients: [f64; 9]) -> f64 {
    let mut p = coefficients[0];
    for c in &coefficients[1..] {
        p = p.mul_add(x, *c);
    }
    p
}

/// `ln x` for positive normal `x`, to 3e-9: `x = 2^e m`, `ln m = 2 artanh((m-1)/(m+1))` by its series.
#[inline(always)]
fn ln(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    const TWO_TO_52: u64 = 0x4330_0000_0000_0000;
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(SQRT_HALF).wrapping_add(ONE);
    let exponent = f64::from_bits((shifted >> 52) | TWO_TO_52) - (4_503_599_627_370_496.0 + 1023.0);
    let mantissa = f64::from_bits(bits.wrapping_sub(shifted & 0xfff0_0000_0000_0000).wrapping_add(ONE));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let mut series = 2.0 / 9.0;
    for c in [2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0] {
        series = z.mul_add(series, c);
    }
    exponent.mul_add(std::f64::consts::LN_2, s * series)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statrs::distribution::{ContinuousCDF, Normal};

    #[test]
    fn agrees_with_statrs() {
        let normal = Normal::new(0.0, 1.0).unwrap();
        let bulk = (1..4000).map(|i| (f64::from(i) / 4000.0, 1e-6));
        let tails = (4..10).flat_map(|k| [10f64.powi(-k), 1.0 - 10f64.powi(-k)]).map(|u| (u, 1e-4));
        for (u, tolerance) in bulk.chain(tails) {
            let mut value = [u];
            to_normal(&mut value);
            let exact = normal.inverse_cdf(u);
            assert!((value[0] - exact).abs() < tolerance * (1.0 + exact.abs()), "{u}: {} {exact}", value[0]);
        }
    }

    #[test]
    fn is_odd_about_one_half() {
        let mut values = [0.5, 0.125, 0.875];
        to_normal(&mut values);
        assert_eq!(values[0], 0.0);
        assert_eq!(values[1], -values[2]);
    }
}
