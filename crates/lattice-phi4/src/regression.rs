//! Linear regression on the features of a score, from sums over configurations.
//!
//! `C_ij` are the sums of products of vectors `i` and `j` on an orbit. What is linear in `x`, vector 0, is regressed out: the rest is
//! `C_ij - C_0i C_0j / C_00`, and the coefficients solve the system of the rests, added with the weights of the orbits of a sector.

use crate::positive::Positive;
use std::ops::Range;

/// Sums over configurations, of the vectors `x`, the features, `N_F` and `N_D`: all products for each orbit.
#[derive(Clone)]
pub(crate) struct Sums {
    pub(crate) vectors: usize,
    /// Of vectors `i <= j`, in the order of [`pairs`], by orbit.
    pub(crate) products: Vec<f64>,
    pub(crate) orbits: usize,
    /// At zero momentum.
    pub(crate) means: Vec<f64>,
    pub(crate) largest: f64,
}

/// All `(i, j)` with `i <= j < n`.
pub(crate) fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |j| (0..=j).map(move |i| (i, j)))
}

impl Sums {
    pub(crate) fn add(mut self, other: &Self) -> Self {
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += b);
        self.means.iter_mut().zip(&other.means).for_each(|(a, b)| *a += b);
        self.largest = self.largest.max(other.largest);
        self
    }

    pub(crate) fn place(&self, orbit: usize, i: usize, j: usize) -> usize {
        let (i, j) = (i.min(j), i.max(j));
        (j * (j + 1) / 2 + i) * self.orbits + orbit
    }

    pub(crate) fn product(&self, orbit: usize, i: usize, j: usize) -> f64 {
        self.products[self.place(orbit, i, j)]
    }

    /// The same without what is linear in `x`.
    fn rest(&self, orbit: usize, i: usize, j: usize) -> f64 {
        let x = |i| self.product(orbit, 0, i);
        self.product(orbit, i, j) - x(i) * x(j) / x(0)
    }
}

/// Coefficients that are found together.
pub(crate) struct Sector {
    orbits: Range<usize>,
    /// Places of the features that there are, among the vectors.
    pub(crate) features: Vec<usize>,
}

/// What the regression of a sector found.
pub(crate) struct Solution {
    pub(crate) coefficients: Vec<f64>,
    pub(crate) condition: f64,
    pub(crate) explained: f64,
}

impl Sector {
    /// Leaves out features that are nothing here, or linear: with a rest of `least` or less.
    pub(crate) fn new(
        orbits: Range<usize>,
        features: usize,
        sums: &Sums,
        weights: &[f64],
        least: f64,
    ) -> Self {
        let mut sector = Self { orbits, features: Vec::new() };
        let rest = |i: usize| sector.sum(weights, |orbit| sums.rest(orbit, i, i));
        sector.features = (1..=features).filter(|&i| rest(i) > least).collect();
        sector
    }

    /// Regresses on the denoising target, or on the mixture of least variance, orbit by orbit.
    pub(crate) fn solve(&self, sums: &Sums, weights: &[f64], equilibrium: bool, ridge: f64) -> Solution {
        let (force, denoising) = (sums.vectors - 2, sums.vectors - 1);
        let matrix: Vec<Vec<f64>> = self
            .features
            .iter()
            .map(|&i| self.features.iter().map(|&j| self.sum(weights, |o| sums.rest(o, i, j))).collect())
            .collect();
        let matrix = Positive::new(&matrix, ridge);
        let regress = |alpha: &[f64]| {
            let target = |i: usize, o: usize| {
                let alpha = alpha[o - self.orbits.start];
                alpha * sums.rest(o, i, force) + (1.0 - alpha) * sums.rest(o, i, denoising)
            };
            let right: Vec<f64> =
                self.features.iter().map(|&i| self.sum(weights, |o| target(i, o))).collect();
            (matrix.solve(&right), right)
        };
        let mut alpha = vec![f64::from(u8::from(equilibrium)); self.orbits.len()];
        let (mut coefficients, mut right) = regress(&alpha);
        if equilibrium {
            for (orbit, alpha) in self.orbits.clone().zip(&mut alpha) {
                // Covariances of what the features leave of the two targets.
                let residual = |a: usize, b: usize| {
                    let linear = self.features.iter().zip(&coefficients);
                    let once: f64 = linear
                        .clone()
                        .map(|(&i, c)| c * (sums.rest(orbit, i, a) + sums.rest(orbit, i, b)))
                        .sum();
                    let twice: f64 = linear
                        .clone()
                        .map(|(&i, c)| {
                            linear.clone().map(|(&j, d)| c * d * sums.rest(orbit, i, j)).sum::<f64>()
                        })
                        .sum();
                    sums.rest(orbit, a, b) - once + twice
                };
                let (f, d, both) =
                    (residual(force, force), residual(denoising, denoising), residual(force, denoising));
                *alpha = least_variance(f, d, both);
            }
            (coefficients, right) = regress(&alpha);
        }
        let explained = coefficients.iter().zip(&right).map(|(c, b)| c * b).sum();
        Solution { condition: matrix.condition(), coefficients, explained }
    }

    fn sum(&self, weights: &[f64], of: impl Fn(usize) -> f64) -> f64 {
        self.orbits.clone().map(|orbit| weights[orbit] * of(orbit)).sum()
    }
}

/// The `alpha` in `[0, 1]` at which `alpha a + (1 - alpha) b` varies least, of two numbers with variances `a` and `b` and a covariance; 1 if
/// that is the same for all.
fn least_variance(a: f64, b: f64, covariance: f64) -> f64 {
    let alpha = (b - covariance) / (a + b - 2.0 * covariance);
    if alpha.is_finite() { alpha.clamp(0.0, 1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_mixture_varies_less() {
        for (a, b, covariance) in
            [(1.0, 2.0, 0.5), (3.0, 0.4, -0.6), (0.2, 0.3, 0.24), (1.0, 4.0, 1.5), (4.0, 1.0, 1.5)]
        {
            let variance = |alpha: f64| {
                let beta = 1.0 - alpha;
                alpha * alpha * a + 2.0 * alpha * beta * covariance + beta * beta * b
            };
            let least = least_variance(a, b, covariance);
            assert!(
                (0..=1000).all(|i| variance(least) <= variance(f64::from(i) / 1000.0) + 1e-15),
                "{least}"
            );
        }
        assert_eq!(least_variance(0.7, 0.7, 0.7), 1.0);
    }
}
