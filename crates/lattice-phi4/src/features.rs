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

use crate::pairs::{PairFilter, flat, flat_mut};
use crate::powers::{Store, powers};
use num_complex::Complex64;
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

    /// Whether it joins vertices.
    pub(crate) fn is_joined(self) -> bool {
        matches!(self.form(), Form::Joined { .. })
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

/// Working memory for features of a pair of fields: the convolutions in them, one for each feature of a sum that joins vertices.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeatureSpace {
    joined: Vec<Vec<Complex64>>,
}

/// Complex numbers that all features of a sum are evaluated on before the next ones: what they share stays in the cache of the
/// first level.
const BLOCK: usize = 256;

impl FeatureSpace {
    /// The convolution in a feature, if there is one, left in place number `place`.
    fn join(
        &mut self,
        place: usize,
        feature: Feature,
        y: &[Complex64],
        lines: &Lines,
        filter: &mut PairFilter,
    ) -> Option<usize> {
        let Form::Joined { lines: number, legs, .. } = feature.form() else { return None };
        powers(flat(y), legs, None, 1.0, Store::Replace, flat_mut(&mut filter.pair));
        filter.filter(lines.of(number));
        if place == self.joined.len() {
            self.joined.push(y.to_vec());
        }
        std::mem::swap(&mut filter.pair, &mut self.joined[place]);
        Some(place)
    }

    /// Writes a feature of the pair `y` that is not of zero momentum alone in the place of the fields in `filter`.
    pub(crate) fn evaluate(
        &mut self,
        feature: Feature,
        y: &[Complex64],
        lines: &Lines,
        filter: &mut PairFilter,
    ) {
        let joined = self.join(0, feature, y, lines, filter).map(|place| flat(&self.joined[place]));
        powers(flat(y), feature.power(), joined, 1.0, Store::Replace, flat_mut(&mut filter.pair));
    }

    /// `v^lines * y^legs` of joined feature number `place` of the last sum.
    pub(crate) fn joined(&self, place: usize) -> &[Complex64] {
        &self.joined[place]
    }

    /// Writes the sum of features `c f` of the pair `y` that are not of zero momentum alone in the place of the fields in `filter`,
    /// and to `totals` the sum of each over the sites.
    pub(crate) fn sum(
        &mut self,
        features: &[(Feature, f64)],
        y: &[Complex64],
        lines: &Lines,
        filter: &mut PairFilter,
        totals: &mut Vec<Complex64>,
    ) {
        let mut used = 0;
        let mut joined = Vec::with_capacity(features.len());
        for &(feature, _) in features {
            let place = self.join(used, feature, y, lines, filter);
            used += usize::from(place.is_some());
            joined.push(place);
        }
        totals.clear();
        totals.resize(features.len(), Complex64::ZERO);
        for (block, out) in filter.pair.chunks_mut(BLOCK).enumerate() {
            let here = block * BLOCK..block * BLOCK + out.len();
            out.fill(Complex64::ZERO);
            for ((&(feature, c), place), total) in features.iter().zip(&joined).zip(&mut *totals) {
                let joined = place.map(|place| flat(&self.joined[place][here.clone()]));
                *total +=
                    powers(flat(&y[here.clone()]), feature.power(), joined, c, Store::Add, flat_mut(out));
            }
        }
    }
}

impl Feature {
    /// The power of `y` at the site itself.
    fn power(self) -> u32 {
        match self.form() {
            Form::Power(power) | Form::Joined { rest: power, .. } => power,
            Form::ZeroMomentum => unreachable!("these have no place but zero momentum"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lattice;
    use crate::pairs::PairTransform;
    use sde_core::{Noise, NormalSource};

    #[test]
    fn a_sum_of_features_is_that_of_each() {
        // Two blocks and a rest that is no whole number of lanes.
        for extents in [[3, 5], [18, 19], [16, 32]] {
            let transform = PairTransform::new(&Lattice::new(&extents).unwrap());
            let sites = transform.sites();
            let mut rows = vec![0.0; 2 * sites];
            Noise::new(7, 0).block(0, 0).fill(0, &mut rows);
            let mut filter = PairFilter::new(&transform);
            filter.load(&rows);
            let y = filter.pair.clone();
            let v =
                transform.by_mode(&(0..sites).map(|orbit| 1.0 / (1.0 + orbit as f64)).collect::<Vec<_>>());
            let lines = Lines::new(&v, &mut filter);
            let all = [
                Feature::SYMMETRIC[..5].to_vec(),
                Feature::ORDERED.to_vec(),
                vec![Feature::Sunset, Feature::Power(9)],
            ];
            let all: Vec<(Feature, f64)> =
                all.concat().into_iter().zip(1..).map(|(f, i)| (f, 0.1 * f64::from(i))).collect();
            let (mut space, mut totals) = (FeatureSpace::default(), Vec::new());
            space.sum(&all, &y, &lines, &mut filter, &mut totals);
            let sum = filter.pair.clone();
            let mut exact = vec![Complex64::ZERO; sites];
            for (&(feature, c), total) in all.iter().zip(&totals) {
                space.evaluate(feature, &y, &lines, &mut filter);
                let one = &filter.pair;
                exact.iter_mut().zip(one).for_each(|(sum, f)| *sum += f * c);
                let expected: Complex64 = one.iter().sum();
                assert!((total - expected).norm() < 1e-12 * one.iter().map(|f| f.norm()).sum::<f64>());
            }
            for (a, b) in sum.iter().zip(&exact) {
                assert!((a - b).norm() < 1e-12 * (1.0 + b.norm()), "{extents:?}: {a} {b}");
            }
        }
    }
}
