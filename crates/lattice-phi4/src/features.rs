//! The nonlinear functions of a field that perturbation theory suggests for its score.
//!
//! Let `y` be the mean of the field given its noised form `x = phi + s z`, mode by mode: `y = W x` with `W = G / (G + s^2)`
//! as for a Gaussian field, but at zero momentum what a [`ConstraintPotential`](crate::ConstraintPotential) says, if there
//! is one. Let `v = G s^2 / (G + s^2)` be the propagator of what is left unknown. To first order in `lambda` the mean of
//! `phi^3` given `x` adds `y^3 + 3 v(0) y` to the score: the vertex with three legs `y`, and the same with one closed loop. To
//! second order two vertices are joined by internal lines `v`:
//!
//! | feature | diagram |
//! | --- | --- |
//! | `y^3` | one vertex |
//! | `y^5`, `y^7` | what a single site does at higher orders |
//! | `y (v^2 * y^2)` | two vertices joined by two lines: the bubble |
//! | `y^2 (v * y^3)` | two vertices joined by one line: the tree |
//! | `v^3 * y^3` | two vertices joined by three lines: the sunset |
//!
//! with `*` a convolution over the lattice. In the ordered phase the expansion is about `+-M`, and cubic vertices give even
//! features: `y^2`, `v^2 * y^2` and the tree `y (v * y^2)`.
//!
//! Near criticality no expansion holds at zero momentum: the distribution of the magnetisation has two peaks of its own,
//! whatever the order. Two features belong to this mode alone: its score if no other mode mattered, and its coupling to the
//! fluctuations of all others, `M sum_x y^2`.

use crate::pairs::{PairFilter, PairTransform};
use multiversion::multiversion;
use rustfft::num_complex::Complex64;
use serde::{Deserialize, Serialize};

/// One nonlinear function of `y`, scaled to be of order one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Feature {
    /// `y^k`.
    Power(u32),
    /// `y (v^2 * y^2)`.
    Bubble,
    /// `y^2 (v * y^3)`.
    Tree,
    /// `v^3 * y^3`.
    Sunset,
    /// `v^2 * y^2`.
    Loop,
    /// `y (v * y^2)`.
    CubicTree,
    /// At zero momentum alone: the score of the marginal distribution of this mode.
    Marginal,
    /// At zero momentum alone: `y(0) sum_x y_x^2`.
    Background,
}

impl Feature {
    /// Odd under `y -> -y`: what a symmetric target needs.
    pub const SYMMETRIC: [Self; 7] = [
        Self::Power(3),
        Self::Power(5),
        Self::Power(7),
        Self::Bubble,
        Self::Tree,
        Self::Marginal,
        Self::Background,
    ];

    /// Of either parity, for a target with one sign of the magnetisation.
    pub const ORDERED: [Self; 6] =
        [Self::Power(2), Self::Power(3), Self::Power(4), Self::Loop, Self::Bubble, Self::CubicTree];

    /// Whether there is nothing of it at other momenta.
    pub(crate) fn is_of_zero_momentum(self) -> bool {
        self.form() == Form::ZeroMomentum
    }

    pub(crate) fn form(self) -> Form {
        let (rest, lines, legs) = match self {
            Self::Power(k) => return Form::Power(k),
            Self::Bubble => (1, 2, 2),
            Self::Tree => (2, 1, 3),
            Self::Sunset => (0, 3, 3),
            Self::Loop => (0, 2, 2),
            Self::CubicTree => (1, 1, 2),
            Self::Marginal | Self::Background => return Form::ZeroMomentum,
        };
        Form::Joined { rest, lines, legs }
    }
}

/// What kind of function a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `y^k`.
    Power(u32),
    /// `y^rest (v^lines * y^legs)`.
    Joined { rest: u32, lines: usize, legs: u32 },
    /// No field.
    ZeroMomentum,
}

/// `v`, `v^2` and `v^3` of the posterior propagator at one noise level, in momentum space, divided by their zero modes.
#[derive(Clone, Debug)]
pub(crate) struct Lines([Vec<f64>; 3]);

impl Lines {
    /// Of `v(p)`, by mode.
    pub(crate) fn new(v: &[f64], filter: &mut PairFilter) -> Self {
        filter.pair.iter_mut().zip(v).for_each(|(mode, v)| *mode = (*v).into());
        filter.inverse();
        let field = filter.pair.clone();
        let mut power = |k: i32| {
            filter.pair.iter_mut().zip(&field).for_each(|(z, v)| *z = v.re.powi(k).into());
            filter.forward();
            normalised(filter.pair.iter().map(|mode| mode.re).collect())
        };
        Self([normalised(v.to_vec()), power(2), power(3)])
    }

    /// So many lines between the same two vertices.
    pub(crate) fn of(&self, lines: usize) -> &[f64] {
        &self.0[lines - 1]
    }
}

fn normalised(mut v: Vec<f64>) -> Vec<f64> {
    let zero = v[0];
    for v in &mut v {
        *v /= zero;
    }
    v
}

/// Working memory for features of a pair of fields.
#[derive(Clone, Debug)]
pub(crate) struct FeatureSpace {
    filter: PairFilter,
}

impl FeatureSpace {
    pub(crate) fn new(transform: &PairTransform) -> Self {
        Self { filter: PairFilter::new(transform) }
    }

    /// Writes a feature of the pair `y` that is not of zero momentum alone.
    pub(crate) fn evaluate(
        &mut self,
        feature: Feature,
        y: &[Complex64],
        lines: &Lines,
        out: &mut [Complex64],
    ) {
        let (rest, line, legs) = match feature.form() {
            Form::Power(k) => {
                powers(y, k, out);
                return;
            }
            Form::Joined { rest, lines: number, legs } => (rest, lines.of(number), legs),
            Form::ZeroMomentum => unreachable!("these have no place but zero momentum"),
        };
        powers(y, legs, &mut self.filter.pair);
        self.filter.forward();
        self.filter.scale(line);
        self.filter.inverse();
        powers(y, rest, out);
        out.iter_mut().zip(&self.filter.pair).for_each(|(out, joined)| *out = each(*out, *joined));
    }
}

impl FeatureSpace {
    /// `v^lines * y^legs` of the joined feature that was evaluated last.
    pub(crate) fn joined(&self) -> &[Complex64] {
        &self.filter.pair
    }
}

/// The product of either field with its own.
pub(crate) fn each(a: Complex64, b: Complex64) -> Complex64 {
    Complex64::new(a.re * b.re, a.im * b.im)
}

/// `y^k` of both fields.
pub(crate) fn powers(y: &[Complex64], k: u32, out: &mut [Complex64]) {
    match k {
        0 => out.fill(Complex64::new(1.0, 1.0)),
        1 => out.copy_from_slice(y),
        2 => raise::<2>(y, out),
        3 => raise::<3>(y, out),
        4 => raise::<4>(y, out),
        5 => raise::<5>(y, out),
        7 => raise::<7>(y, out),
        _ => {
            let power = |y: f64| y.powi(k as i32);
            out.iter_mut().zip(y).for_each(|(out, y)| *out = Complex64::new(power(y.re), power(y.im)));
        }
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn raise<const K: usize>(y: &[Complex64], out: &mut [Complex64]) {
    for (out, y) in out.iter_mut().zip(y) {
        let mut power = *y;
        for _ in 1..K {
            power = Complex64::new(power.re * y.re, power.im * y.im);
        }
        *out = power;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_each_field() {
        let y = [Complex64::new(-1.5, 2.0), Complex64::new(0.5, -3.0), Complex64::new(4.0, 0.25)];
        let mut out = [Complex64::ZERO; 3];
        for k in 0..=8 {
            powers(&y, k, &mut out);
            for (out, y) in out.iter().zip(&y) {
                // These numbers and their powers are exact.
                assert_eq!((out.re, out.im), (y.re.powi(k as i32), y.im.powi(k as i32)), "k = {k}");
            }
        }
    }
}
