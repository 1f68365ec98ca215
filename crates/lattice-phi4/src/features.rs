//! The nonlinear functions of a field that perturbation theory suggests for its score.
//!
//! Let `y = W x` be the mean of the field given its noised form `x = phi + s z` if the field were Gaussian, with
//! `W = G / (G + s^2)`, and `v = G s^2 / (G + s^2)` the propagator of what is left unknown. To first order in `lambda` the
//! mean of `phi^3` given `x` adds `y^3 + 3 v(0) y` to the score: the vertex with three legs `y`, and the same with one
//! closed loop. To second order two vertices are joined by internal lines `v`:
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

use crate::spectrum::Filter;
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
}

impl Feature {
    /// Odd under `y -> -y`: what a symmetric target needs.
    pub const SYMMETRIC: [Self; 5] =
        [Self::Power(3), Self::Power(5), Self::Power(7), Self::Bubble, Self::Tree];
    /// Of either parity, for a target with one sign of the magnetisation.
    pub const ORDERED: [Self; 6] =
        [Self::Power(2), Self::Power(3), Self::Power(4), Self::Loop, Self::Bubble, Self::CubicTree];
}

/// Powers of the posterior propagator at one noise level, in momentum space, divided by their zero modes.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    one: Vec<f64>,
    two: Vec<f64>,
    three: Vec<f64>,
}

impl Lines {
    /// Of `v(p)`, by stored mode.
    pub(crate) fn new(v: &[f64], filter: &mut Filter, sites: usize) -> Self {
        let mut field = vec![0.0; sites];
        filter.modes.iter_mut().zip(v).for_each(|(mode, v)| *mode = (*v).into());
        filter.inverse(&mut field);
        let mut power = |k: i32| {
            let powers: Vec<f64> = field.iter().map(|v| v.powi(k)).collect();
            filter.forward(&powers);
            normalised(filter.modes.iter().map(|mode| mode.re).collect())
        };
        Self { one: normalised(v.to_vec()), two: power(2), three: power(3) }
    }
}

fn normalised(mut v: Vec<f64>) -> Vec<f64> {
    let zero = v[0];
    for v in &mut v {
        *v /= zero;
    }
    v
}

/// Working memory for features of one field.
#[derive(Clone, Debug)]
pub(crate) struct FeatureSpace {
    pub(crate) filter: Filter,
    power: Vec<f64>,
    joined: Vec<f64>,
}

impl FeatureSpace {
    pub(crate) fn new(filter: Filter, sites: usize) -> Self {
        Self { filter, power: vec![0.0; sites], joined: vec![0.0; sites] }
    }

    /// Writes `feature` of `y` to `out`.
    pub(crate) fn evaluate(&mut self, feature: Feature, y: &[f64], lines: &Lines, out: &mut [f64]) {
        let (legs, line, rest) = match feature {
            Feature::Power(k) => {
                out.iter_mut().zip(y).for_each(|(out, y)| *out = y.powi(k as i32));
                return;
            }
            Feature::Bubble => (2, &lines.two, 1),
            Feature::Tree => (3, &lines.one, 2),
            Feature::Sunset => (3, &lines.three, 0),
            Feature::Loop => (2, &lines.two, 0),
            Feature::CubicTree => (2, &lines.one, 1),
        };
        self.power.iter_mut().zip(y).for_each(|(p, y)| *p = y.powi(legs));
        self.filter.apply(&self.power, line, &mut self.joined);
        for ((out, joined), y) in out.iter_mut().zip(&self.joined).zip(y) {
            *out = joined * y.powi(rest);
        }
    }
}
