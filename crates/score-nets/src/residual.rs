//! A net that is the correction to the score of a Gaussian.

use crate::inference::Remembered;
use crate::{FusedMlp, Mlp, Preconditioning};
use sde_core::{Batch, BatchMut, EvalError, NoiseSchedule, ParameterError, ScoreModel, values, values_mut};

/// The score of `x` at time `t` from a net `F` of order one, by [`Preconditioning`]:
///
/// ```text
/// y = x/f,   V = Xi/f^2,   A = V + kappa_2,   s(x,t) = 1/f [ -y/A + sqrt( kappa_2/(A V) ) F( y/sqrt(A), ln(V)/2 ) ]
/// ```
///
/// `y` at noise `V` has the same law under every schedule, so one net serves them all. Above
/// [`LINEAR_ABOVE`](Preconditioning::LINEAR_ABOVE) the score is `-y/A`; below
/// [`NOISE_FLOOR`](Preconditioning::NOISE_FLOOR), so also at `t = 0`, it is the score at the floor, wrong by
/// `V / sigma^2` relative for features of width `sigma`.
///
/// Acts on every site alone. The biases of a time are computed once and shared by all blocks of a batch.
#[derive(Debug)]
pub struct ResidualScore<S> {
    net: Remembered,
    preconditioning: Preconditioning,
    schedule: S,
    /// Largest magnitude of the denoised value.
    bound: f64,
}

impl<S: NoiseSchedule> ResidualScore<S> {
    /// The score under `schedule` of data of variance `kappa_2`.
    ///
    /// # Errors
    /// [`ParameterError`] unless `kappa_2` is finite and positive.
    pub fn new(mlp: Mlp, kappa_2: f64, schedule: S) -> Result<Self, ParameterError> {
        if !(kappa_2.is_finite() && kappa_2 > 0.0) {
            return Err(ParameterError::NotPositive { name: "kappa_2", value: kappa_2 });
        }
        let net = Remembered::new(FusedMlp::new(mlp));
        Ok(Self { net, preconditioning: Preconditioning { kappa_2 }, schedule, bound: f64::INFINITY })
    }

    /// Keeps the denoised value `y + V s^`, `y = x/f`, `s^ = f s`, within `+-magnitude`: the largest magnitude in
    /// the data.
    ///
    /// A mean over data lies between the smallest and the largest of them, so this changes nothing where the net is
    /// right. Where it is not, beyond the inputs it was trained on, a trajectory is pulled back instead of running
    /// away: one in a million did, and a single one spoils `kappa_8`.
    #[must_use]
    pub fn bounded_by(mut self, magnitude: f64) -> Self {
        self.bound = magnitude;
        self
    }

    /// The net.
    pub fn mlp(&self) -> &Mlp {
        self.net.mlp()
    }

    /// The map between net and score.
    pub fn preconditioning(&self) -> Preconditioning {
        self.preconditioning
    }

    /// The schedule.
    pub fn schedule(&self) -> &S {
        &self.schedule
    }
}

impl<S: NoiseSchedule> ScoreModel for ResidualScore<S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let kernel = self.schedule.transition(0.0, t);
        let shrink = kernel.mean_factor.recip();
        let noise = kernel.noise_to_signal().max(Preconditioning::NOISE_FLOOR);
        let (slope, weight) = self.preconditioning.score_weights(noise);
        let (x, out) = (values(&x), values_mut(&mut out));
        // In terms of x: -x/(f^2 A) + weight/f F.
        let (slope, weight) = (slope * shrink * shrink, weight * shrink);
        if noise > Preconditioning::LINEAR_ABOVE {
            for (s, x) in out.iter_mut().zip(x) {
                *s = slope * x;
            }
            return Ok(());
        }
        let p = self.preconditioning;
        self.net.evaluate(p.coordinate(noise), shrink * p.input_scale(noise), x, out);
        // Where y + V s^ leaves the bound, s^ = (+-bound - y)/V.
        let gain = noise / shrink;
        for (s, x) in out.iter_mut().zip(x) {
            *s = slope * x + weight * *s;
            let denoised = gain * *s + shrink * x;
            if denoised.abs() > self.bound {
                *s = (self.bound.copysign(denoised) - shrink * x) / gain;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MlpConfig;
    use approx::assert_relative_eq;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;
    use sde_core::ndarray::{Array2, s};
    use sde_core::{VarianceExpanding, VariancePreserving};

    fn mlp() -> Mlp {
        Mlp::new(MlpConfig::residual(), &mut Pcg64::seed_from_u64(4)).unwrap()
    }

    fn scores<M: ScoreModel>(model: &M, x: &Array2<f64>, t: f64) -> Array2<f64> {
        let mut out = Array2::from_elem(x.raw_dim(), f64::NAN);
        model.score(x.view(), t, out.view_mut()).unwrap();
        out
    }

    fn points() -> Array2<f64> {
        Array2::from_shape_fn((101, 1), |(i, _)| (i as f64 - 50.0) / 20.0)
    }

    #[test]
    fn the_score_is_that_of_the_denoiser() {
        let schedule = VarianceExpanding::new(10.0).unwrap();
        let model = ResidualScore::new(mlp(), 1.0625, schedule).unwrap();
        let v = schedule.transition(0.0, 0.4).variance;
        let total: f64 = v + 1.0625;
        let net = FusedMlp::new(mlp());
        let folded = net.fold(0.5 * v.ln());
        let x = points();
        for (&x, &s) in x.iter().zip(&scores(&model, &x, 0.4)) {
            let mut f = [0.0];
            net.evaluate(&folded, 1.0, &[x / total.sqrt()], &mut f);
            let denoised = x * 1.0625 / total + (v * 1.0625 / total).sqrt() * f[0];
            assert!((s - (denoised - x) / v).abs() < 2e-6, "{x}");
        }
    }

    #[test]
    fn bounded_denoisers_stay_within_the_data() {
        for t in [0.01, 0.3, 0.6] {
            let schedule = VariancePreserving::new(10.0).unwrap();
            let kernel = schedule.transition(0.0, t);
            let (f, v) = (kernel.mean_factor, kernel.noise_to_signal());
            let free = ResidualScore::new(mlp(), 1.0625, schedule).unwrap();
            let bounded = ResidualScore::new(mlp(), 1.0625, schedule).unwrap().bounded_by(0.8);
            let x = points() * 3.0;
            let denoised = |s: f64, x: f64| x / f + v * f * s;
            for ((a, b), &x) in scores(&free, &x, t).iter().zip(&scores(&bounded, &x, t)).zip(&x) {
                let (a, b) = (denoised(*a, x), denoised(*b, x));
                assert!((b - a.clamp(-0.8, 0.8)).abs() < 1e-12 * (1.0 + v), "{t} {x}: {a} {b}");
            }
        }
    }

    #[test]
    fn one_net_serves_every_schedule() {
        let expanding = VarianceExpanding::new(10.0).unwrap();
        let preserving = VariancePreserving::new(10.0).unwrap();
        let first = ResidualScore::new(mlp(), 1.0625, expanding).unwrap();
        let second = ResidualScore::new(mlp(), 1.0625, preserving).unwrap();
        for t in [0.05, 0.2, 0.5] {
            let kernel = preserving.transition(0.0, t);
            let same_noise = expanding.time_at(kernel.noise_to_signal());
            let y = points();
            let x = &y * kernel.mean_factor;
            // s_VP(x) = s_VE(x/f) / f
            let here = scores(&second, &x, t) * kernel.mean_factor;
            for (a, b) in here.iter().zip(&scores(&first, &y, same_noise)) {
                assert_relative_eq!(*a, *b, max_relative = 1e-5, epsilon = 1e-5);
            }
        }
    }

    #[test]
    fn odd_to_the_bit_and_independent_of_the_blocks() {
        let model = ResidualScore::new(mlp(), 1.0625, VariancePreserving::new(10.0).unwrap()).unwrap();
        let x = points();
        for t in [0.0, 1e-9, 0.03, 0.5, 1.0] {
            let whole = scores(&model, &x, t);
            assert!(whole.iter().all(|s| s.is_finite()));
            assert_eq!(scores(&model, &(-&x), t), -&whole);
            for (start, end) in [(0, 1), (3, 27), (27, 101)] {
                let part = scores(&model, &x.slice(s![start..end, ..]).to_owned(), t);
                assert_eq!(part, whole.slice(s![start..end, ..]));
            }
        }
    }

    #[test]
    fn domain() {
        let schedule = VarianceExpanding::new(10.0).unwrap();
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ResidualScore::new(mlp(), bad, schedule).is_err());
        }
    }

    #[test]
    fn loud_noise_is_gaussian() {
        let schedule = VariancePreserving::new(10.0).unwrap();
        let t = schedule.time_at(200.0);
        let kernel = schedule.transition(0.0, t);
        let model = ResidualScore::new(mlp(), 2.0, schedule).unwrap();
        let variance = 2.0 * kernel.mean_factor.powi(2) + kernel.variance;
        let x = points();
        for (x, s) in x.iter().zip(&scores(&model, &x, t)) {
            assert_relative_eq!(*s, -x / variance, max_relative = 1e-12);
        }
    }
}
