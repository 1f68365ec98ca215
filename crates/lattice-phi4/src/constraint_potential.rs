//! The distribution of the zero mode.
//!
//! With the amplitude `a = sum_x phi_x / sqrt(V)`, whose variance is `G(p = 0)`, the constraint effective potential
//! (O'Raifeartaigh, Wipf and Yoneyama, Nucl. Phys. B 271 (1986) 653) is the logarithm of its density,
//!
//! ```text
//! p(a) = e^(-U(a)) / Z ,      U(a) = - sum_k c_k (a / A)^(2k) ,     |a| <= 5/4 A ,
//! ```
//!
//! with `A` the largest amplitude seen. Near criticality `U` has two minima and no Gaussian is near. The `c_k` are those of
//! the largest likelihood, found by Newton's method: the likelihood is concave, and at its maximum the first `2K` moments of
//! `p` are those of the ensemble. `K` is the one of the largest likelihood less its number of parameters (Akaike).
//!
//! Of one variable everything is known at any noise: [`ConstraintPotential::posterior`] integrates.

use crate::positive::Positive;
use crate::sums::{LANES, fold};
use multiversion::multiversion;
use sde_core::math::exp;
use serde::{Deserialize, Serialize};

/// Terms of the potential at most.
const MOST: usize = 8;
/// The support of the density, in units of `A`.
const SUPPORT: f64 = 1.25;
/// Nodes over the support in fits.
const FINE: usize = 2000;
/// Nodes of an integral over the posterior.
const NODES: usize = 96;
const _: () = assert!(NODES.is_multiple_of(LANES), "sums are over whole pieces");
/// Where the integrals over the posterior end, in standard deviations of the noise.
const REACH: f64 = 8.5;

/// `ln p(a)` of the amplitude `a` of the zero mode, as an even polynomial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConstraintPotential {
    /// `A`.
    pub(crate) largest: f64,
    /// `c_1 .. c_K`.
    pub(crate) coefficients: Vec<f64>,
}

/// The zero mode given its noised form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ZeroModePosterior {
    /// `E[a | x]`.
    pub mean: f64,
    /// `Var[a | x]`.
    pub variance: f64,
    /// The score `d/dx ln p(x) = ( E[a | x] - x ) / s^2` of the noised mode.
    pub score: f64,
    /// Its derivative `( Var[a | x] / s^2 - 1 ) / s^2`.
    pub slope: f64,
}

impl ConstraintPotential {
    /// The potential of an even distribution with these amplitudes.
    ///
    /// ```
    /// use lattice_phi4::ConstraintPotential;
    /// use sde_core::{Noise, NormalSource};
    ///
    /// // of a normal distribution, U(a) = a^2 / 2: what is found is as far off as 20 000 amplitudes allow
    /// let mut a = vec![0.0; 20_000];
    /// Noise::new(1, 0).block(0, 0).fill(0, &mut a);
    /// let potential = ConstraintPotential::fit(&a).expect("numbers that differ");
    /// assert!((potential.at(1.0) - potential.at(0.0) - 0.5).abs() < 0.04);
    /// ```
    ///
    /// None if all amplitudes are zero, or one is not finite.
    pub fn fit(amplitudes: &[f64]) -> Option<Self> {
        let largest = amplitudes.iter().fold(0.0, |largest: f64, a| largest.max(a.abs()));
        if !(largest > 0.0 && amplitudes.iter().all(|a| a.is_finite())) {
            return None;
        }
        let count = amplitudes.len() as f64;
        let moments: Vec<f64> = (1..=MOST as i32)
            .map(|k| amplitudes.iter().map(|a| (a / largest).powi(2 * k)).sum::<f64>() / count)
            .collect();
        let fits = (1..=MOST).map(|terms| maximise(&moments[..terms]));
        let rated = fits.map(|(likelihood, c)| (count * likelihood - c.len() as f64, c));
        let best = rated.max_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(_, coefficients)| Self { largest, coefficients })
    }

    /// The potential of `factor a`.
    pub(crate) fn stretched(&self, factor: f64) -> Self {
        Self { largest: factor * self.largest, coefficients: self.coefficients.clone() }
    }

    /// The potential on a volume that is `ratio` times as large, `U'(a) = r U(a / sqrt(r))`.
    pub(crate) fn on_volume(&self, ratio: f64) -> Self {
        let coefficients = self.coefficients.iter().map(|c| ratio * c).collect();
        Self { largest: ratio.sqrt() * self.largest, coefficients }
    }

    /// `1 - part` of this potential and `part` of `other`, where both are known.
    pub(crate) fn mixed(&self, other: &Self, part: f64) -> Self {
        let largest = self.largest.min(other.largest);
        let of = |potential: &Self, k: usize| {
            let square = (largest / potential.largest).powi(2);
            potential.coefficients.get(k).map_or(0.0, |c| c * square.powi(k as i32 + 1))
        };
        let terms = self.coefficients.len().max(other.coefficients.len());
        let mix = |k| (1.0 - part).mul_add(of(self, k), part * of(other, k));
        Self { largest, coefficients: (0..terms).map(mix).collect() }
    }

    /// The variance of `a`.
    pub(crate) fn variance(&self) -> f64 {
        // So much noise says nothing.
        self.posterior(0.0, 1e6 * self.largest).variance
    }

    /// `U(a)`, which vanishes at zero.
    pub fn at(&self, a: f64) -> f64 {
        -polynomial(&self.coefficients, (a / self.largest).powi(2))
    }

    /// `-U'(a)` and `-U''(a)`.
    fn slopes(&self, a: f64) -> [f64; 2] {
        let u = (a / self.largest).powi(2);
        let [mut first, mut second] = [0.0; 2];
        // 2k c_k u^(k-1), of which the second derivative has 2k - 1 each.
        for (below, c) in self.coefficients.iter().enumerate().rev() {
            let power = 2.0 * (below + 1) as f64;
            first = first * u + power * c;
            second = second * u + (power - 1.0) * power * c;
        }
        let scale = self.largest.powi(-2);
        [first * a * scale, second * scale]
    }

    /// What is known of `a` from `x = a + s z`, with standard normal `z`; without noise, everything.
    ///
    /// ```
    /// use lattice_phi4::ConstraintPotential;
    /// # use sde_core::{Noise, NormalSource};
    /// # let mut a = vec![0.0; 1000];
    /// # Noise::new(1, 0).block(0, 0).fill(0, &mut a);
    /// let potential = ConstraintPotential::fit(&a).expect("numbers that differ");
    /// let [exact, nearly] = [0.0, 1e-3].map(|s| potential.posterior(0.7, s));
    /// assert_eq!((exact.mean, exact.variance), (0.7, 0.0));
    /// assert!((exact.score - nearly.score).abs() < 1e-5 && (exact.slope - nearly.slope).abs() < 1e-5);
    /// ```
    pub fn posterior(&self, x: f64, s: f64) -> ZeroModePosterior {
        if s == 0.0 {
            let [score, slope] = self.slopes(x);
            return ZeroModePosterior { mean: x, variance: 0.0, score, slope };
        }
        let support = SUPPORT * self.largest;
        // From `x` in units of the noise: of little noise `a - x` would be a difference of nearly equal numbers. Where all of the
        // reach lies outside, the end of the support is all there is.
        let low = ((-support - x) / s).max(-REACH).min(((1.0 - 1e-3) * support - x) / s);
        let high = ((support - x) / s).min(REACH).max(((1e-3 - 1.0) * support - x) / s);
        let [mean, variance] = moments(&self.coefficients, self.largest, [low, high], x, s);
        let s2 = s * s;
        ZeroModePosterior {
            mean: s.mul_add(mean, x),
            variance: variance * s2,
            score: mean / s,
            slope: (variance - 1.0) / s2,
        }
    }
}

/// Mean and variance of `(a - x) / s` with the density `exp( -U(a) - (a - x)^2 / 2 s^2 )`, on an interval of it, by the midpoint rule.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn moments(coefficients: &[f64], largest: f64, [low, high]: [f64; 2], x: f64, s: f64) -> [f64; 2] {
    let (width, unit) = ((high - low) / NODES as f64, largest.recip());
    let [mut nodes, mut squares, mut exponents, mut weights] = [[0.0; NODES]; 4];
    for i in 0..NODES {
        nodes[i] = (i as f64 + 0.5).mul_add(width, low);
        let u = s.mul_add(nodes[i], x) * unit;
        squares[i] = u * u;
    }
    for c in coefficients.iter().rev() {
        for i in 0..NODES {
            exponents[i] = (exponents[i] + c) * squares[i];
        }
    }
    let mut top = [f64::NEG_INFINITY; LANES];
    let pieces = exponents.as_chunks_mut::<LANES>().0.iter_mut().zip(nodes.as_chunks::<LANES>().0);
    for (exponents, nodes) in pieces {
        for lane in 0..LANES {
            exponents[lane] = (-0.5 * nodes[lane]).mul_add(nodes[lane], exponents[lane]);
            top[lane] = top[lane].max(exponents[lane]);
        }
    }
    let top = top.into_iter().fold(f64::NEG_INFINITY, f64::max);
    for i in 0..NODES {
        weights[i] = exp(exponents[i] - top);
    }
    let norm = dot(&weights, &[1.0; NODES]);
    let mean = dot(&weights, &nodes) / norm;
    for i in 0..NODES {
        squares[i] = (nodes[i] - mean) * (nodes[i] - mean);
    }
    [mean, dot(&weights, &squares) / norm]
}

#[expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]
#[inline(always)]
fn dot(a: &[f64; NODES], b: &[f64; NODES]) -> f64 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.as_chunks::<LANES>().0.iter().zip(b.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            sums[lane] = a[lane].mul_add(b[lane], sums[lane]);
        }
    }
    fold(sums)
}

/// `sum_k c_k u^k`, `k` from one.
fn polynomial(coefficients: &[f64], u: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| (sum + c) * u)
}

/// Largest mean logarithm of `exp(sum_k c_k u^k) / Z` with these means of `u^k`, `u` the square of a number of at most
/// [`SUPPORT`], and its place.
fn maximise(moments: &[f64]) -> (f64, Vec<f64>) {
    let terms = moments.len();
    let squares: Vec<f64> = (0..FINE).map(|i| (SUPPORT * (i as f64 + 0.5) / FINE as f64).powi(2)).collect();
    // The likelihood and the moments of the density, up to 2K.
    let at = |c: &[f64]| {
        let exponents: Vec<f64> = squares.iter().map(|&u| polynomial(c, u)).collect();
        let top = exponents.iter().fold(f64::NEG_INFINITY, |top, e| top.max(*e));
        let mut sums = vec![0.0; 2 * terms + 1];
        for (&u, exponent) in squares.iter().zip(&exponents) {
            let mut term = (exponent - top).exp();
            for sum in &mut sums {
                *sum += term;
                term *= u;
            }
        }
        let likelihood = c.iter().zip(moments).map(|(c, m)| c * m).sum::<f64>() - top - sums[0].ln();
        let norm = sums[0];
        (likelihood, sums.into_iter().map(|sum| sum / norm).collect::<Vec<f64>>())
    };
    let mut c = vec![0.0; terms];
    c[0] = -0.5 / moments[0];
    let (mut likelihood, mut means) = at(&c);
    for _ in 0..STEPS {
        let gradient: Vec<f64> = (0..terms).map(|k| moments[k] - means[k + 1]).collect();
        let covariance: Vec<Vec<f64>> = (0..terms)
            .map(|i| (0..terms).map(|j| means[i + j + 2] - means[i + 1] * means[j + 1]).collect())
            .collect();
        let direction = Positive::new(&covariance, f64::EPSILON).solve(&gradient);
        let slope: f64 = direction.iter().zip(&gradient).map(|(d, g)| d * g).sum();
        // Also where the system has become singular.
        if slope.is_nan() || slope < 1e-13 {
            break;
        }
        let mut step = 1.0_f64;
        let next = loop {
            let trial: Vec<f64> = c.iter().zip(&direction).map(|(c, d)| step.mul_add(*d, *c)).collect();
            let (value, moments) = at(&trial);
            if value > likelihood {
                break Some((trial, value, moments));
            }
            step *= 0.5;
            if step < 1e-9 {
                break None;
            }
        };
        let Some((trial, value, moments)) = next else { break };
        (c, likelihood, means) = (trial, value, moments);
    }
    (likelihood, c)
}

/// Newton steps at most; ten are enough.
const STEPS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    /// Two peaks, as near criticality.
    fn two_peaks() -> ConstraintPotential {
        ConstraintPotential { largest: 40.0, coefficients: vec![18.0, -60.0] }
    }

    /// Of a Gaussian the posterior is known.
    #[test]
    fn a_parabola_has_the_mean_and_variance_of_wiener() {
        // U = a^2 / (2 G), G = 4, in a support of 15 standard deviations.
        let potential = ConstraintPotential { largest: 24.0, coefficients: vec![-72.0] };
        for s in [0.05, 0.7, 3.0, 20.0] {
            for x in [0.0, -0.4, 2.5, 6.0] {
                let (s2, found) = (s * s, potential.posterior(x, s));
                let (mean, variance) = (x * 4.0 / (4.0 + s2), 4.0 * s2 / (4.0 + s2));
                assert_relative_eq!(found.mean, mean, epsilon = 1e-12, max_relative = 1e-12);
                assert_relative_eq!(found.variance, variance, max_relative = 1e-12);
                assert_relative_eq!(found.score, -x / (4.0 + s2), epsilon = 1e-11, max_relative = 1e-11);
                assert_relative_eq!(found.slope, -(4.0 + s2).recip(), max_relative = 1e-10);
            }
        }
    }

    /// The score is the slope of `-U` smeared out by the noise, its slope that of the score.
    #[test]
    fn slopes_are_derivatives() {
        let (potential, h) = (two_peaks(), 1e-4);
        for x in [0.0, 3.0, -17.0, 33.0] {
            let exact = -(potential.at(x + h) - potential.at(x - h)) / (2.0 * h);
            assert_relative_eq!(
                potential.posterior(x, 0.0).score,
                exact,
                epsilon = 1e-8,
                max_relative = 1e-8
            );
            for s in [0.0, 0.05, 0.3, 2.0, 30.0] {
                let [after, before] = [h, -h].map(|h| potential.posterior(x + h, s).score);
                let exact = (after - before) / (2.0 * h);
                let found = potential.posterior(x, s).slope;
                assert_relative_eq!(found, exact, epsilon = 1e-7, max_relative = 1e-7);
            }
        }
    }

    /// Against a hundred times as many nodes over all of the support.
    #[test]
    fn few_nodes_are_enough() {
        let potential = two_peaks();
        for s in [0.3, 2.0, 9.0, 30.0, 100.0] {
            for x in [0.0, 3.0, -17.0, 33.0] {
                let [mut norm, mut mean] = [0.0; 2];
                for i in 0..100_000 {
                    let a = 50.0 * (2.0 * (f64::from(i) + 0.5) / 1e5 - 1.0);
                    let distance = (x - a) / s;
                    let weight = (-0.5 * distance * distance - potential.at(a)).exp();
                    norm += weight;
                    mean += weight * a;
                }
                let found = potential.posterior(x, s).mean;
                assert_relative_eq!(found, mean / norm, epsilon = 1e-9, max_relative = 1e-9);
            }
        }
    }

    /// The likelihood is largest where the moments of the density are those of the data: here of the exact density, by
    /// its quantiles.
    #[test]
    fn the_fit_finds_the_density_its_data_are_from() {
        let exact = two_peaks();
        let grid = |i: usize| 50.0 * (2.0 * (i as f64 + 0.5) / 1e5 - 1.0);
        let weights: Vec<f64> = (0..100_000).map(|i| (-exact.at(grid(i))).exp()).collect();
        let norm: f64 = weights.iter().sum();
        let mut data = Vec::new();
        let mut sum = 0.0;
        for (i, weight) in weights.iter().enumerate() {
            sum += weight / norm;
            while (data.len() as f64 + 0.5) / 20_000.0 < sum {
                data.push(grid(i));
            }
        }
        let found = ConstraintPotential::fit(&data).unwrap();
        for a in [5.0, 10.0, 15.0, 20.0, 25.0] {
            let difference = found.at(a) - exact.at(a);
            assert!(difference.abs() < 0.02, "U({a}) = {}, exactly {}", found.at(a), exact.at(a));
        }
    }

    #[test]
    fn what_is_no_distribution_has_no_potential() {
        for amplitudes in [&[][..], &[0.0, 0.0], &[1.0, f64::NAN], &[f64::INFINITY]] {
            assert_eq!(ConstraintPotential::fit(amplitudes), None);
        }
    }

    /// Little noise is nearly none, however little.
    #[test]
    fn little_noise_does_not_cancel() {
        for x in [0.0, 3.0, -17.0, 33.0] {
            let exact = two_peaks().posterior(x, 0.0);
            for s in [1e-3, 1e-5, 1e-7, 1e-9, 1e-11] {
                let found = two_peaks().posterior(x, s);
                assert!(
                    (found.score - exact.score).abs() < s * s + 1e-14 / s,
                    "{x}, {s}: {found:?} {exact:?}"
                );
                let slope = (found.slope - exact.slope).abs();
                assert!(slope < s * s + 1e-14 / (s * s), "{x}, {s}: {found:?} {exact:?}");
            }
        }
    }

    #[test]
    fn far_outside_everything_stays_finite() {
        for s in [1e-3, 1.0, 1e3] {
            for x in [-1e6, 49.9, 50.0, 51.0, 1e6] {
                let found = two_peaks().posterior(x, s);
                assert!(found.mean.abs() <= 50.0 && found.variance <= 2500.0, "{x} {s}: {found:?}");
            }
        }
    }
}
