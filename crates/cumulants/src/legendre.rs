//! The Legendre transform of a cumulant-generating function.
//!
//! `W[J]` is convex. Its Legendre transform
//!
//! ```text
//! Gamma[phi] = sup_J ( J phi - W[J] )
//! ```
//!
//! is the effective action of field theory, the rate function of large deviations: the mean of `n` samples lies near `phi`
//! with a probability of about `e^(-n Gamma[phi])`. It vanishes at the mean, and transforming twice gives `W` back. `J` at
//! the supremum is the source that moves the mean to `phi`, `phi = W'[J]`.

/// A supremum that has not been reached at this source is none.
const FARTHEST: f64 = 1e100;

/// `Gamma[phi]` and the source at which it is attained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Legendre {
    /// `Gamma[phi]`.
    pub value: f64,
    /// `J`, half of whose digits are good: near the supremum the value hardly depends on it.
    pub source: f64,
}

/// The Legendre transform of a convex function, at one `phi`. The function need not be differentiable; it may be infinite
/// away from zero, but not at zero.
///
/// Infinite, with an infinite source, where `phi` lies outside the range of `W'`: for samples, below the smallest or above
/// the largest of them. NaN if `W` is.
///
/// ```
/// use cumulants::{cumulant_generating, gaussian_cumulant_generating, legendre_transform};
///
/// // Normal law: (phi - mean)^2 / (2 variance).
/// let found = legendre_transform(|j| gaussian_cumulant_generating(1.0, 4.0, j), 3.0);
/// assert!((found.value - 0.5).abs() < 1e-14);
/// assert!((found.source - 0.5).abs() < 1e-7);
/// // Samples: no mean of theirs is above 5.
/// let samples = [1.0, 2.0, 5.0];
/// assert_eq!(legendre_transform(|j| cumulant_generating(&samples, j), 6.0).value, f64::INFINITY);
/// ```
pub fn legendre_transform(w: impl Fn(f64) -> f64, phi: f64) -> Legendre {
    let height = |j: f64| j * phi - w(j);
    // Out from zero, by doubling, to where it falls again.
    let sign = if height(1.0) >= height(-1.0) { 1.0 } else { -1.0 };
    let (mut behind, mut best, mut at_best, mut ahead) = (-sign, 0.0, height(0.0), sign);
    loop {
        let at_ahead = height(ahead);
        if at_ahead.is_nan() {
            return Legendre { value: f64::NAN, source: f64::NAN };
        }
        if at_ahead <= at_best {
            return golden_section(height, behind, ahead);
        }
        if ahead.abs() > FARTHEST {
            return Legendre { value: f64::INFINITY, source: sign * f64::INFINITY };
        }
        (behind, best, at_best, ahead) = (best, ahead, at_ahead, 2.0 * ahead);
    }
}

/// The maximum of a concave function between `a` and `b`.
fn golden_section(f: impl Fn(f64) -> f64, mut a: f64, mut b: f64) -> Legendre {
    const RATIO: f64 = 0.618_033_988_749_894_8;
    let inner = |a: f64, b: f64| b - RATIO * (b - a);
    let (mut low, mut high) = (inner(a, b), inner(b, a));
    let (mut at_low, mut at_high) = (f(low), f(high));
    // Until the value cannot resolve the interval any more.
    while (b - a).abs() > 1e-9 * (a.abs() + b.abs()) && low != high {
        if at_low >= at_high {
            (b, high, at_high) = (high, low, at_low);
            low = inner(a, b);
            at_low = f(low);
        } else {
            (a, low, at_low) = (low, high, at_high);
            high = inner(b, a);
            at_high = f(high);
        }
    }
    if at_low >= at_high {
        Legendre { value: at_low, source: low }
    } else {
        Legendre { value: at_high, source: high }
    }
}
