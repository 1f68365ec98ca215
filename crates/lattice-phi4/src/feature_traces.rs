//! The divergence of a perturbative score, from traces of the Jacobians of its features.
//!
//! Write `l_p = d y_p / d x_p` for the filter that makes `y` of the noised field `x`, `C_x` for one where `y_x` is within its
//! bound and zero where it is held there, and `F_yx = d f_y / d y_x` for the Jacobian of a feature. All modes but the zero
//! mode have the score `W_p f_p` of it, so their part of the trace is
//!
//! ```text
//! sum_(p != 0) d (W f)_p / d x_p = sum_xy M(x - y) F_yx C_x ,     M(p) = W_p l_p for p != 0 ,  M(0) = 0 ,
//! ```
//!
//! and the zero mode, whose `l_0` depends on the field, moves `y` by `l_0 / V` everywhere,
//!
//! ```text
//! d (sum_y f_y) / d x_0 = l_0 / V sum_xy F_yx C_x .
//! ```
//!
//! A power has the Jacobian `k y^(k-1)` on the diagonal. Features that join `m` lines, `f_y = y_y^r (v^m * y^l)_y`, have
//!
//! ```text
//! F_yx = delta_xy r y_x^(r-1) (v^m * y^l)_x + y_y^r v^m(y - x) l y_x^(l-1) ,
//!
//! sum_xy M(x - y) F_yx C_x = sum_x C_x [ M(x=0) r y_x^(r-1) (v^m * y^l)_x + l y_x^(l-1) ( (M v^m) * y^r )_x ] ,
//! ```
//!
//! where `M v^m` is a product in position space: a convolution more, and for the zero mode another one. What is linear in `x`
//! has the trace `-sum_p [ 1/(G + s^2) + W_p sum_j c_j l_j(p) ]`.

use crate::Feature;
use crate::features::{Form, Lines};
use crate::pairs::{PairFilter, PairTransform, flat, flat_mut};
use crate::perturbative::{Kernels, Means};
use crate::powers::{Store, powers};
use num_complex::Complex64;

/// What traces at one noise level need.
#[derive(Debug)]
pub(crate) struct TraceKernels {
    /// The trace of what is linear.
    linear: f64,
    /// `M` at no distance.
    local: f64,
    /// `M v`, `M v^2`, `M v^3` by mode.
    joined: [Vec<f64>; 3],
}

impl TraceKernels {
    /// With what is linear in `x` by mode, over the number of sites as everything in the kernels.
    pub(crate) fn new(kernels: &Kernels, linear: &[f64], filter: &mut PairFilter) -> Self {
        let sites = linear.len() as f64;
        let linear = sites * linear.iter().sum::<f64>();
        let mut field = |modes: &mut dyn Iterator<Item = f64>| {
            filter.pair.iter_mut().zip(modes).for_each(|(z, mode)| *z = mode.into());
            filter.inverse();
            filter.pair.iter().map(|z| z.re).collect::<Vec<f64>>()
        };
        let filters = kernels.wiener.iter().zip(&kernels.legs).map(|(w, leg)| sites * w * leg);
        let m = field(&mut [0.0].into_iter().chain(filters.skip(1)));
        let lines = [1, 2, 3].map(|number| field(&mut kernels.lines.of(number).iter().copied()));
        let joined = lines.map(|line| {
            let products = m.iter().zip(&line).map(|(m, v)| m * v);
            filter.pair.iter_mut().zip(products).for_each(|(z, product)| *z = product.into());
            filter.forward();
            filter.pair.iter().map(|mode| mode.re).collect()
        });
        Self { linear, local: m[0], joined }
    }

    /// For both fields.
    pub(crate) fn linear(&self) -> Complex64 {
        Complex64::new(self.linear, self.linear)
    }
}

/// The trace of a feature, of both fields.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    /// Of all modes but the zero mode, `W` included.
    pub(crate) others: Complex64,
    /// Of the zero mode.
    pub(crate) zero: Complex64,
}

/// Working memory for traces of a pair of fields.
#[derive(Clone, Debug)]
pub(crate) struct TraceSpace {
    filter: PairFilter,
    /// Modes of `y^r`.
    rest: Vec<Complex64>,
    /// `k y^(k-1)` where `y` is free, zero elsewhere.
    slope: Vec<Complex64>,
}

impl TraceSpace {
    pub(crate) fn new(transform: &PairTransform) -> Self {
        let filter = PairFilter::new(transform);
        Self { rest: filter.pair.clone(), slope: filter.pair.clone(), filter }
    }

    /// Of a feature at `means` held to `bound`, and `joined`, its `v^m * y^l`, if there is one.
    pub(crate) fn evaluate(
        &mut self,
        feature: Feature,
        means: &Means,
        bound: f64,
        lines: &Lines,
        joined: &[Complex64],
        kernels: &TraceKernels,
    ) -> Trace {
        let y = means.y();
        // What the zero mode does to y everywhere.
        let shift = means.total_slope / y.len() as f64;
        match feature.form() {
            Form::Power(k) => {
                self.differentiate(y, k, bound);
                let sum: Complex64 = self.slope.iter().sum();
                Trace { others: sum * kernels.local, zero: each(shift, sum) }
            }
            Form::Joined { rest, lines: number, legs } => {
                self.differentiate(y, rest, bound);
                let diagonal = scalar_product(&self.slope, joined);
                self.differentiate(y, legs, bound);
                raise(y, rest, &mut self.filter.pair);
                self.filter.forward();
                self.rest.copy_from_slice(&self.filter.pair);
                let [others, zero] = [&kernels.joined[number - 1][..], lines.of(number)].map(|line| {
                    self.filter.pair.copy_from_slice(&self.rest);
                    self.filter.scale(line);
                    self.filter.inverse();
                    scalar_product(&self.slope, &self.filter.pair)
                });
                Trace { others: diagonal * kernels.local + others, zero: each(shift, diagonal + zero) }
            }
            Form::ZeroMomentum => {
                Trace { others: Complex64::ZERO, zero: self.at_zero(feature, means, bound) }
            }
        }
    }

    /// The derivative of [`Means::at_zero`] by the zero mode of `x`.
    fn at_zero(&mut self, feature: Feature, means: &Means, bound: f64) -> Complex64 {
        if feature == Feature::Marginal {
            return means.marginal_slope;
        }
        let volume = means.y().len() as f64;
        self.differentiate(means.y(), 2, bound);
        let slopes: Complex64 = self.slope.iter().sum();
        let squares = scalar_product(means.y(), means.y());
        each(means.total_slope, squares + each(means.total, slopes) / volume) / volume
    }

    /// Writes `C k y^(k-1)`.
    fn differentiate(&mut self, y: &[Complex64], k: u32, bound: f64) {
        let Some(power) = k.checked_sub(1) else {
            self.slope.fill(Complex64::ZERO);
            return;
        };
        raise(y, power, &mut self.slope);
        let k = f64::from(k);
        let free = |y: f64| if y.abs() < bound { k } else { 0.0 };
        for (slope, y) in self.slope.iter_mut().zip(y) {
            *slope = Complex64::new(slope.re * free(y.re), slope.im * free(y.im));
        }
    }
}

/// `y^k` of both fields.
fn raise(y: &[Complex64], k: u32, out: &mut [Complex64]) {
    powers(flat(y), k, None, 1.0, Store::Replace, flat_mut(out));
}

/// The product of either field with its own.
fn each(a: Complex64, b: Complex64) -> Complex64 {
    Complex64::new(a.re * b.re, a.im * b.im)
}

/// `sum_x a_x b_x` of either field.
fn scalar_product(a: &[Complex64], b: &[Complex64]) -> Complex64 {
    a.iter().zip(b).map(|(&a, &b)| each(a, b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ConstraintPotential, Lattice, Level, Orbits, PerturbativeModel, PerturbativeScore, Spectrum,
    };
    use ndarray::Array2;
    use sde_core::{
        DifferenceTrace, Edm, Noise, NoiseSchedule, NormalSource, ScoreDivergence, ScoreModel,
        VariancePreserving,
    };
    use std::sync::Arc;

    const ALL: [Feature; 11] = [
        Feature::Power(2),
        Feature::Power(3),
        Feature::Power(4),
        Feature::Power(7),
        Feature::Bubble,
        Feature::Tree,
        Feature::Sunset,
        Feature::Loop,
        Feature::CubicTree,
        Feature::Marginal,
        Feature::Background,
    ];

    /// A model with coefficients of order one, other ones at zero momentum, at two levels.
    fn model(features: &[Feature], mean: f64, potential: bool, bound: f64) -> PerturbativeModel {
        let lattice = Lattice::new(&[4, 6]).unwrap();
        let free = Spectrum::free(&lattice, 0.2).unwrap();
        let spectrum = Spectrum::new(&lattice, mean, free.variances().to_vec()).unwrap();
        let orbits = Orbits::new(&lattice).len();
        let level = |noise: f64| Level {
            noise,
            coefficients: (0..features.len()).map(|j| 0.3 + 0.1 * j as f64).collect(),
            zero_mode: (0..features.len()).map(|j| 0.9 - 0.2 * j as f64).collect(),
            linear: (0..orbits).map(|k| 0.5 - 0.03 * k as f64).collect(),
            constant: 0.2,
            bound,
            condition: 1.0,
            gain: 0.0,
        };
        let potential =
            potential.then(|| ConstraintPotential { largest: 6.0, coefficients: vec![3.0, -6.0] });
        let (features, levels) = (features.to_vec(), vec![level(0.3), level(1.2)]);
        PerturbativeModel { spectrum, potential, features, levels }
    }

    /// Against differences site by site, to a part in a million, on three fields of about their own size.
    fn check(model: PerturbativeModel, schedule: &dyn NoiseSchedule, t: f64, what: &str) {
        let score = PerturbativeScore::new(Arc::new(model), schedule);
        let mut x = Array2::zeros((3, 24));
        Noise::new(1, 0).block(0, 0).fill(0, x.as_slice_mut().unwrap());
        x += 0.3;
        let [mut exact, mut found] = [(); 2].map(|()| (Array2::zeros(x.dim()), Array2::zeros((3, 1))));
        let differences = DifferenceTrace::new(&score, 1e-5).unwrap();
        differences.score_and_divergence(x.view(), t, exact.0.view_mut(), exact.1.view_mut()).unwrap();
        score.score_and_divergence(x.view(), t, found.0.view_mut(), found.1.view_mut()).unwrap();
        assert_eq!(found.0, exact.0, "{what}");
        for (found, exact) in found.1.iter().zip(&exact.1) {
            assert!((found - exact).abs() < 1e-6 * exact.abs().max(1.0), "{what}: {found} {exact}");
        }
    }

    #[test]
    fn traces_of_all_features_are_those_of_differences() {
        let edm = Edm::new(5.0).unwrap();
        for feature in ALL {
            let potential = feature == Feature::Marginal;
            // Between levels, below the lowest, without noise, and where most sites are held to the bound.
            for (s, bound) in [(0.7, 50.0), (0.1, 50.0), (0.0, 50.0), (0.5, 0.6)] {
                let what = format!("{feature:?} at {s} within {bound}");
                check(model(&[feature], 0.0, potential, bound), &edm, s, &what);
            }
        }
    }

    #[test]
    fn traces_add_up_under_any_schedule() {
        let (edm, preserving) = (Edm::new(5.0).unwrap(), VariancePreserving::new(5.0).unwrap());
        let symmetric = || model(&Feature::SYMMETRIC, 0.0, true, 3.0);
        let ordered = || model(&Feature::ORDERED, 0.8, false, 3.0);
        // Above the highest level the score is Gaussian.
        for s in [0.0, 0.4, 1.2, 3.0] {
            check(symmetric(), &edm, s, "symmetric");
            check(ordered(), &edm, s, "ordered");
        }
        for t in [0.1, 0.5] {
            check(symmetric(), &preserving, t, "symmetric, with a drift");
            check(ordered(), &preserving, t, "ordered, with a drift");
        }
    }

    /// The score of one level is that without a divergence, bit for bit, and rows do not see their neighbours.
    #[test]
    fn rows_and_scores_stay_what_they_are() {
        let score = PerturbativeScore::new(
            Arc::new(model(&Feature::SYMMETRIC, 0.0, true, 3.0)),
            Edm::new(5.0).unwrap(),
        );
        let mut x = Array2::zeros((5, 24));
        Noise::new(2, 0).block(0, 0).fill(0, x.as_slice_mut().unwrap());
        let mut plain = Array2::zeros(x.dim());
        score.score(x.view(), 0.6, plain.view_mut()).unwrap();
        let (mut s, mut together) = (Array2::zeros(x.dim()), Array2::zeros((5, 1)));
        score.score_and_divergence(x.view(), 0.6, s.view_mut(), together.view_mut()).unwrap();
        assert_eq!(s, plain);
        for row in 0..5 {
            let x = x.slice(ndarray::s![row..=row, ..]);
            let (mut s, mut alone) = (Array2::zeros((1, 24)), Array2::zeros((1, 1)));
            score.score_and_divergence(x.view(), 0.6, s.view_mut(), alone.view_mut()).unwrap();
            let (alone, together) = (alone[(0, 0)], together[(row, 0)]);
            assert!((alone - together).abs() < 1e-12 * alone.abs(), "{row}: {alone} {together}");
        }
    }
}
