//! Powers of a pair of fields, site by site, and their sums.
//!
//! The two fields come in turn, real parts and imaginary parts of one complex field; to a power both are numbers like any other.

use crate::pairs::flat;
use multiversion::multiversion;
use num_complex::Complex64;

/// What becomes of `y^k joined`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// It is added to what there is.
    Add,
    /// It takes the place of what there is.
    Replace,
}

/// `out = c y^k joined`, or `out += c y^k joined`, for both fields, of which numbers come in turn; the sums of what is behind `c`.
pub(crate) fn powers(
    y: &[f64],
    k: u32,
    joined: Option<&[f64]>,
    c: f64,
    into: Store,
    out: &mut [f64],
) -> Complex64 {
    match k {
        0 => raise::<0>(y, joined, c, into, out),
        1 => raise::<1>(y, joined, c, into, out),
        2 => raise::<2>(y, joined, c, into, out),
        3 => raise::<3>(y, joined, c, into, out),
        4 => raise::<4>(y, joined, c, into, out),
        5 => raise::<5>(y, joined, c, into, out),
        6 => raise::<6>(y, joined, c, into, out),
        7 => raise::<7>(y, joined, c, into, out),
        _ => {
            let raised: Vec<f64> = y.iter().map(|y| y.powi(k.try_into().unwrap_or(i32::MAX))).collect();
            raise::<1>(&raised, joined, c, into, out)
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn raise<const K: usize>(
    y: &[f64],
    joined: Option<&[f64]>,
    c: f64,
    into: Store,
    out: &mut [f64],
) -> Complex64 {
    let mut sums = Sums::default();
    match (joined, into) {
        (None, Store::Add) => sums.terms(y, y, out, |y, _| power::<K>(y), |old, term| c.mul_add(term, old)),
        (None, Store::Replace) => sums.terms(y, y, out, |y, _| power::<K>(y), |_, term| c * term),
        (Some(joined), Store::Add) => {
            sums.terms(y, joined, out, |y, joined| power::<K>(y) * joined, |old, term| c.mul_add(term, old));
        }
        (Some(joined), Store::Replace) => {
            sums.terms(y, joined, out, |y, joined| power::<K>(y) * joined, |_, term| c * term);
        }
    }
    sums.total()
}

/// The sum over all sites of the squares of both fields.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn squares(y: &[Complex64]) -> Complex64 {
    let mut sums = [0.0; LANES];
    let (whole, rest) = flat(y).as_chunks::<LANES>();
    for y in whole {
        for lane in 0..LANES {
            sums[lane] = y[lane].mul_add(y[lane], sums[lane]);
        }
    }
    rest.iter().zip(&mut sums).for_each(|(y, sum)| *sum = y.mul_add(*y, *sum));
    Sums(sums).total()
}

/// Partial sums of both fields in turn: fixed, so the order of additions is.
const LANES: usize = 16;

#[derive(Default)]
struct Sums([f64; LANES]);

impl Sums {
    /// `out = put(out, term(a, b))`, and the terms to the sums.
    #[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
    #[inline(always)]
    fn terms(
        &mut self,
        a: &[f64],
        b: &[f64],
        out: &mut [f64],
        term: impl Fn(f64, f64) -> f64,
        put: impl Fn(f64, f64) -> f64,
    ) {
        let mut sums = self.0;
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        let (out, out_rest) = out.as_chunks_mut::<LANES>();
        for ((a, b), out) in a.iter().zip(b).zip(out) {
            for lane in 0..LANES {
                let term = term(a[lane], b[lane]);
                out[lane] = put(out[lane], term);
                sums[lane] += term;
            }
        }
        for (((a, b), out), sum) in a_rest.iter().zip(b_rest).zip(out_rest).zip(&mut sums) {
            let term = term(*a, *b);
            *out = put(*out, term);
            *sum += term;
        }
        self.0 = sums;
    }

    fn total(&self) -> Complex64 {
        self.0.as_chunks::<2>().0.iter().map(|[re, im]| Complex64::new(*re, *im)).sum()
    }
}

/// `y^K` by squares.
#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn power<const K: usize>(y: f64) -> f64 {
    let (mut power, mut square, mut k) = (1.0, y, K);
    while k > 0 {
        if k % 2 == 1 {
            power *= square;
        }
        square *= square;
        k /= 2;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::flat_mut;

    #[test]
    fn powers_are_those_of_each_field() {
        let y = [Complex64::new(-1.5, 2.0), Complex64::new(0.5, -3.0), Complex64::new(4.0, 0.25)];
        let mut out = [Complex64::ZERO; 3];
        for k in 0..=9 {
            powers(flat(&y), k, None, 1.0, Store::Replace, flat_mut(&mut out));
            for (out, y) in out.iter().zip(&y) {
                // These numbers and their powers are exact.
                assert_eq!((out.re, out.im), (y.re.powi(k as i32), y.im.powi(k as i32)), "k = {k}");
            }
        }
    }
}
