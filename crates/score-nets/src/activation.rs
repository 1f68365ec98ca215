//! Activation functions and their slopes, as straight-line code that vectorises.
#![expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]

use crate::math::sigmoid;
use serde::{Deserialize, Serialize};

/// The nonlinearity of the hidden layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `max(a, a / 100)`: the published two-peak nets.
    LeakyRelu,
    /// `a / (1 + exp(-a))`, also called swish: smooth, so the score is too.
    Silu,
}

/// One activation at compile time, so that hot loops hold no choice.
pub(crate) trait ActivationFn {
    /// `act(a)`.
    fn value(a: f32) -> f32;

    /// `act(a)` and `act'(a)`.
    fn value_and_slope(a: f32) -> (f32, f32);
}

/// See [`Activation::LeakyRelu`].
pub(crate) struct LeakyRelu;

/// Slope of the leaky rectifier below zero; PyTorch's default.
pub(crate) const LEAK: f32 = 0.01;

impl ActivationFn for LeakyRelu {
    #[inline(always)]
    fn value(a: f32) -> f32 {
        if a > 0.0 { a } else { LEAK * a }
    }

    #[inline(always)]
    fn value_and_slope(a: f32) -> (f32, f32) {
        let slope = if a > 0.0 { 1.0 } else { LEAK };
        (a * slope, slope)
    }
}

/// See [`Activation::Silu`].
pub(crate) struct Silu;

impl ActivationFn for Silu {
    #[inline(always)]
    fn value(a: f32) -> f32 {
        a * sigmoid(a)
    }

    #[inline(always)]
    fn value_and_slope(a: f32) -> (f32, f32) {
        let s = sigmoid(a);
        let value = a * s;
        // s (1 + a (1 - s))
        (value, value.mul_add(1.0 - s, s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_slopes() {
        for i in -4000..=4000 {
            let a = i as f32 / 100.0;
            let x = f64::from(a);
            let s = 1.0 / (1.0 + (-x).exp());
            let (value, slope) = Silu::value_and_slope(a);
            assert_eq!(value, Silu::value(a));
            assert!((f64::from(value) - x * s).abs() <= 3e-7 * (x * s).abs(), "{a}");
            // 1 - s loses digits where s is near 1, and x multiplies the loss.
            assert!((f64::from(slope) - s * (1.0 + x * (1.0 - s))).abs() < 2e-7 * (1.0 + x.abs()), "{a}");
            let (value, slope) = LeakyRelu::value_and_slope(a);
            assert_eq!((value, slope), if i > 0 { (a, 1.0) } else { (LEAK * a, LEAK) });
            assert_eq!(value, LeakyRelu::value(a));
        }
        assert!(Silu::value(-1e30).abs() < 2e-8);
        assert_eq!(Silu::value(1e30), 1e30);
    }
}
