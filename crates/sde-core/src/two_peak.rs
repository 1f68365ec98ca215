//! The exactly solvable two-peak model (Sec. 4).
//!
//! ```text
//! p(x) = 1/2 [ N(x; mu, sigma^2) + N(x; -mu, sigma^2) ]                              [4.1]
//! W[J] = sigma^2 J^2 / 2 + log cosh(mu J)                                            [4.3]
//! ```
//!
//! Only the second cumulant knows of `sigma`; the higher ones are those of a sign,
//! `kappa_2 = mu^2 + sigma^2`, `kappa_4 = -2 mu^4`, `kappa_6 = 16 mu^6`, `kappa_8 = -272 mu^8` [4.6]. Noise
//! keeps the form: at time `t` the peaks sit at `+-mu f` with variance `s^2 = sigma^2 f^2 + Xi` [4.8, 4.12],
//! and the score is
//!
//! ```text
//! s(x,t) = -x / s^2 + (mu_t / s^2) tanh( mu_t x / s^2 ),    mu_t = mu f(t,0)          [4.10]
//! ```

use crate::batch::{values, values_mut};
use crate::error::{positive, within};
use crate::math::tanh;
use crate::{
    Batch, BatchMut, EvalError, NoiseSchedule, NormalSource, ParameterError, ScoreDivergence, ScoreModel,
    Target, Transition,
};
use multiversion::multiversion;
use ndarray::ArrayViewMut1;
use std::f64::consts::PI;

/// Two Gaussian peaks of equal weight at `+-mu` with standard deviation `sigma` [4.1].
///
/// The paper's values are `mu = 1`, `sigma = 1/4`.
///
/// ```
/// use sde_core::TwoPeak;
/// let model = TwoPeak::new(1.0, 0.25)?;
/// assert_eq!([2, 4, 6, 8].map(|n| model.cumulant(n)), [1.0625, -2.0, 16.0, -272.0]);
/// assert_eq!(model.moment(4), 355.0 / 256.0);
/// # Ok::<(), sde_core::ParameterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TwoPeak {
    mu: f64,
    sigma: f64,
}

impl TwoPeak {
    /// # Errors
    /// [`ParameterError`] unless `mu >= 0` and `sigma > 0` are finite.
    pub fn new(mu: f64, sigma: f64) -> Result<Self, ParameterError> {
        Ok(Self { mu: within("mu", mu, 0.0, f64::MAX)?, sigma: positive("sigma", sigma)? })
    }

    /// The peak position `mu`.
    pub fn mu(&self) -> f64 {
        self.mu
    }

    /// The peak width `sigma`.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// The model after noise: `mu f`, `sqrt(sigma^2 f^2 + Xi)` [4.8, 4.12].
    #[must_use]
    pub fn noised(&self, kernel: Transition) -> Self {
        let Transition { mean_factor: f, variance } = kernel;
        Self { mu: self.mu * f, sigma: ((self.sigma * f).powi(2) + variance).sqrt() }
    }

    /// The density `p(x)`.
    pub fn density(&self, x: f64) -> f64 {
        let peak = |centre: f64| (-0.5 * ((x - centre) / self.sigma).powi(2)).exp();
        (peak(self.mu) + peak(-self.mu)) / (2.0 * self.sigma * (2.0 * PI).sqrt())
    }

    /// The moment `E[x^n]`, from the binomial expansion of `+-mu + sigma z` [4.2].
    pub fn moment(&self, n: u32) -> f64 {
        if n % 2 == 1 {
            return 0.0;
        }
        let mut sum = 0.0;
        // C(n, 2j) (2j - 1)!! mu^(n-2j) sigma^(2j)
        let mut weight = 1.0;
        for j in 0..=n / 2 {
            sum += weight * self.mu.powi((n - 2 * j) as i32) * self.sigma.powi(2 * j as i32);
            let left = n - 2 * j;
            weight *= f64::from(left * left.saturating_sub(1)) / f64::from(2 * (j + 1));
        }
        sum
    }

    /// The cumulant `kappa_n` [4.6], `n >= 1`.
    ///
    /// `log cosh` has the derivatives `T_1 = tanh`, `T_(n+1) = T_n' (1 - tanh^2)` as polynomials in `tanh`; at
    /// zero they are signed tangent numbers, exact integers while they fit 53 bits (`n <= 20`).
    pub fn cumulant(&self, n: u32) -> f64 {
        assert!(n >= 1, "cumulants start at order 1");
        // Polynomial in y = tanh for the n-th derivative of log cosh.
        let mut derivative = vec![0.0, 1.0];
        for _ in 1..n {
            let mut next = vec![0.0; derivative.len() + 1];
            for (power, c) in derivative.iter().enumerate().skip(1) {
                let slope = power as f64 * c;
                next[power - 1] += slope;
                next[power + 1] -= slope;
            }
            derivative = next;
        }
        let gaussian = if n == 2 { self.sigma * self.sigma } else { 0.0 };
        derivative[0] * self.mu.powi(n as i32) + gaussian
    }

    /// The cumulant-generating function `W[J]` [4.3], without overflow at large `J`.
    pub fn cumulant_generating(&self, j: f64) -> f64 {
        let y = (self.mu * j).abs();
        0.5 * (self.sigma * j).powi(2) + y + (0.5 * (-2.0 * y).exp_m1()).ln_1p()
    }

    /// Independent draws, one per element of `out`: a normal of width `sigma` about `+mu` or `-mu`, the sign
    /// that of a second normal.
    pub fn fill(&self, source: &dyn NormalSource, out: &mut [f64]) {
        let mut signs = vec![0.0; out.len()];
        source.fill(0, out);
        source.fill(1, &mut signs);
        for (x, sign) in out.iter_mut().zip(&signs) {
            *x = self.sigma * *x + self.mu.copysign(*sign);
        }
    }

    /// The exact score of the model noised by `schedule` [4.10].
    pub fn score<S: NoiseSchedule>(self, schedule: S) -> TwoPeakScore<S> {
        TwoPeakScore { model: self, schedule }
    }
}

impl Target for TwoPeak {
    fn sites(&self) -> usize {
        1
    }

    fn action(&self, x: Batch<'_>, mut out: ArrayViewMut1<'_, f64>) {
        let (mu, variance) = (self.mu, self.sigma * self.sigma);
        for (s, x) in out.iter_mut().zip(values(&x)) {
            // -log of the sum of both exponentials, with the larger one taken out.
            let far = -2.0 * mu * x.abs() / variance;
            *s = 0.5 * (x.abs() - mu).powi(2) / variance - far.exp().ln_1p();
        }
    }

    fn force(&self, x: Batch<'_>, mut out: BatchMut<'_>) {
        score_slice(self.mu, self.sigma * self.sigma, values(&x), values_mut(&mut out));
    }
}

/// The exact score of the two-peak model under a schedule [4.10].
#[derive(Clone, Copy, Debug)]
pub struct TwoPeakScore<S> {
    model: TwoPeak,
    schedule: S,
}

impl<S: NoiseSchedule> ScoreModel for TwoPeakScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let TwoPeak { mu, sigma } = self.model.noised(self.schedule.transition(0.0, t));
        score_slice(mu, sigma * sigma, values(&x), values_mut(&mut out));
        Ok(())
    }
}

impl<S: NoiseSchedule> ScoreDivergence for TwoPeakScore<S> {
    fn score_and_divergence(
        &self,
        x: Batch<'_>,
        t: f64,
        mut score: BatchMut<'_>,
        mut divergence: BatchMut<'_>,
    ) -> Result<(), EvalError> {
        let TwoPeak { mu, sigma } = self.model.noised(self.schedule.transition(0.0, t));
        let variance = sigma * sigma;
        score_slice(mu, variance, values(&x), values_mut(&mut score));
        let sums = values_mut(&mut divergence).iter_mut();
        for (x, sum) in values(&x).chunks(x.ncols()).zip(sums) {
            *sum = slope_sum(mu, variance, x);
        }
        Ok(())
    }
}

/// The derivative of [`score_slice`], summed, `( (mu^2 / variance) (1 - tanh^2) - 1 ) / variance`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn slope_sum(mu: f64, variance: f64, x: &[f64]) -> f64 {
    let inverse = 1.0 / variance;
    let steepness = mu * inverse;
    let mut sum = 0.0;
    for &x in x {
        let y = tanh(steepness * x);
        sum += steepness * steepness * ((1.0 - y) * (1.0 + y)) - inverse;
    }
    sum
}

/// `( mu tanh(mu x / variance) - x ) / variance`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn score_slice(mu: f64, variance: f64, x: &[f64], out: &mut [f64]) {
    let inverse = 1.0 / variance;
    let steepness = mu * inverse;
    for (s, &x) in out.iter_mut().zip(x) {
        *s = inverse * mu.mul_add(tanh(steepness * x), -x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{VarianceExpanding, VariancePreserving};
    use approx::assert_relative_eq;
    use ndarray::{Array1, Array2};

    fn model() -> TwoPeak {
        TwoPeak::new(1.0, 0.25).unwrap()
    }

    #[test]
    fn moments_and_cumulants_are_the_exact_rationals() {
        let moments =
            [17.0 / 16.0, 355.0 / 256.0, 8671.0 / 4096.0, 240_809.0 / 65_536.0, 7_461_121.0 / 1_048_576.0];
        let cumulants = [1.0625, -2.0, 16.0, -272.0, 7936.0];
        for (i, n) in [2, 4, 6, 8, 10].into_iter().enumerate() {
            assert_eq!(model().moment(n), moments[i]);
            assert_eq!(model().cumulant(n), cumulants[i]);
            assert_eq!(model().moment(n - 1), 0.0);
            assert_eq!(model().cumulant(n - 1), 0.0);
        }
    }

    #[test]
    fn density_has_those_moments() {
        // The trapezoidal rule on [-5, 5] is spectrally accurate for a Gaussian mixture.
        let noised = model().noised(VariancePreserving::new(10.0).unwrap().transition(0.0, 0.2));
        for model in [model(), noised] {
            for n in 0..=8 {
                let h = 1e-3;
                let sum: f64 =
                    (-8000..=8000).map(|i| f64::from(i) * h).map(|x| h * x.powi(n) * model.density(x)).sum();
                assert_relative_eq!(sum, model.moment(n as u32), max_relative = 1e-12, epsilon = 1e-12);
            }
        }
    }

    #[test]
    fn generating_function_has_the_cumulants_as_derivatives() {
        let h = 1e-2;
        let w = |j: f64| model().cumulant_generating(j);
        let second = (w(h) - 2.0 * w(0.0) + w(-h)) / (h * h);
        assert!((second - 1.0625 - model().cumulant(4) * h * h / 12.0).abs() < 1e-7);
        assert_relative_eq!(w(300.0), 0.5 * 75.0f64.powi(2) + 300.0 - 2f64.ln(), max_relative = 1e-14);
    }

    #[test]
    fn score_is_the_slope_of_log_density() {
        for t in [0.0, 0.1, 0.7] {
            let schedules: [Box<dyn NoiseSchedule>; 2] = [
                Box::new(VarianceExpanding::new(10.0).unwrap()),
                Box::new(VariancePreserving::new(10.0).unwrap()),
            ];
            for schedule in &schedules {
                let noised = model().noised(schedule.transition(0.0, t));
                let x = Array2::from_shape_fn((81, 1), |(i, _)| (i as f64 - 40.0) / 15.0);
                let mut s = Array2::zeros(x.raw_dim());
                model().score(schedule).score(x.view(), t, s.view_mut()).unwrap();
                let h = 1e-5;
                for (x, s) in x.iter().zip(&s) {
                    let slope = (noised.density(x + h).ln() - noised.density(x - h).ln()) / (2.0 * h);
                    assert!((slope - s).abs() < 2e-8 * (1.0 + s.abs()), "{x} {t}: {slope} {s}");
                }
            }
        }
    }

    #[test]
    fn force_is_minus_the_gradient_of_the_action() {
        let x = Array2::from_shape_fn((41, 1), |(i, _)| (i as f64 - 20.0) / 9.0);
        let action = |shift: f64| {
            let mut s = Array1::zeros(41);
            model().action((&x + shift).view(), s.view_mut());
            s
        };
        let h = 1e-6;
        let (up, down, here) = (action(h), action(-h), action(0.0));
        // A reference is a target as well.
        assert_eq!((Target::sites(&model()), Target::sites(&&model())), (1, 1));
        let mut force = Array2::zeros(x.raw_dim());
        model().force(x.view(), force.view_mut());
        for i in 0..41 {
            assert!((force[(i, 0)] + (up[i] - down[i]) / (2.0 * h)).abs() < 1e-6);
            let ratio = (-here[i]).exp() / model().density(x[(i, 0)]);
            assert_relative_eq!(ratio, 2.0 * 0.25 * (2.0 * PI).sqrt(), max_relative = 1e-12);
        }
    }

    #[test]
    fn draws_follow_the_density() {
        // With the exact variances of the sample moments.
        let test = testing::Comparisons::of(5);
        let mut x = vec![0.0; 400_000];
        let count = x.len() as f64;
        model().fill(&crate::Noise::new(testing::seed(3), 0).block(0, 0), &mut x);
        for n in [1, 2, 3, 4, 6] {
            let mean = x.iter().map(|x| x.powi(n)).sum::<f64>() / count;
            let n = n as u32;
            let error = ((model().moment(2 * n) - model().moment(n).powi(2)) / count).sqrt();
            assert!(test.normal((mean - model().moment(n)) / error), "{n}: {mean}");
        }
    }

    #[test]
    fn domain() {
        assert!(TwoPeak::new(1.0, 0.0).is_err());
        assert!(TwoPeak::new(f64::NAN, 0.25).is_err());
        assert!(TwoPeak::new(-1.0, 0.25).is_err());
    }
}
