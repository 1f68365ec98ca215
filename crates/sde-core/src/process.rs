//! The processes of a diffusion model, built from a schedule and a score.
//!
//! With the linear drift `K = -k(t) x / 2` [3.1] and the score `s = d/dx log p_t`,
//!
//! ```text
//! forward            dx = -k x / 2 dt + g dW                         [2.1, 3.1]
//! reverse            dx = ( -k x / 2 - g^2 s ) dt + g dW,  dt < 0    [2.2]
//! probability flow   dx = ( -k x / 2 - g^2 s / 2 ) dt,     dt < 0
//! Langevin           dx = -dS/dx dt + sqrt(2) dW
//! ```
//!
//! Reverse and flow are written per unit of `t` and integrated towards smaller `t`; with `tau = T - t` the
//! reverse process is equation [2.2] as printed. All three share their marginal densities `p_t` if the score
//! is exact and the start is right.

use crate::batch::{values, values_mut};
use crate::update;
use crate::{Batch, BatchMut, Coefficients, Drift, EvalError, NoiseSchedule, ScoreModel, Target};

/// The noising process of a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Forward<S>(
    /// Its schedule.
    pub S,
);

impl<S: NoiseSchedule> Drift for Forward<S> {
    fn drift(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let half_rate = 0.5 * self.0.coefficients(t).rate;
        out.zip_mut_with(&x, |k, &x| *k = -half_rate * x);
        Ok(())
    }

    fn strength(&self, t: f64) -> f64 {
        self.0.coefficients(t).strength
    }
}

/// The denoising process [2.2]: the time reversal of [`Forward`] (Anderson 1982).
#[derive(Clone, Copy, Debug)]
pub struct Reverse<S, M> {
    /// Schedule of the noising process.
    pub schedule: S,
    /// Score of the noised density.
    pub score: M,
}

impl<S: NoiseSchedule, M: ScoreModel> Drift for Reverse<S, M> {
    fn drift(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        score_drift(&self.schedule, &self.score, 1.0, x, t, out)
    }

    fn strength(&self, t: f64) -> f64 {
        self.schedule.coefficients(t).strength
    }
}

/// The deterministic flow with the same marginals as [`Reverse`] (Song et al. 2021).
#[derive(Clone, Copy, Debug)]
pub struct ProbabilityFlow<S, M> {
    /// Schedule of the noising process.
    pub schedule: S,
    /// Score of the noised density.
    pub score: M,
}

impl<S: NoiseSchedule, M: ScoreModel> Drift for ProbabilityFlow<S, M> {
    fn drift(&self, x: Batch<'_>, t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        score_drift(&self.schedule, &self.score, 0.5, x, t, out)
    }
}

/// `-k x / 2 - weight g^2 s`.
fn score_drift(
    schedule: &impl NoiseSchedule,
    score: &impl ScoreModel,
    weight: f64,
    x: Batch<'_>,
    t: f64,
    mut out: BatchMut<'_>,
) -> Result<(), EvalError> {
    score.score(x, t, out.view_mut())?;
    let Coefficients { rate, strength } = schedule.coefficients(t);
    let (linear, nonlinear) = (-0.5 * rate, -weight * strength * strength);
    update::add(values_mut(&mut out), nonlinear, linear, values(&x));
    Ok(())
}

/// Overdamped Langevin dynamics, whose equilibrium is the target `exp(-S)`.
#[derive(Clone, Copy, Debug)]
pub struct Langevin<T>(
    /// The target.
    pub T,
);

impl<T: Target> Drift for Langevin<T> {
    fn drift(&self, x: Batch<'_>, _t: f64, out: BatchMut<'_>) -> Result<(), EvalError> {
        self.0.force(x, out);
        Ok(())
    }

    fn strength(&self, _t: f64) -> f64 {
        std::f64::consts::SQRT_2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TwoPeak, VariancePreserving};
    use approx::assert_relative_eq;
    use ndarray::{Array2, array};

    /// The drifts as they are printed, for a schedule with `k` and `g` other than one.
    #[test]
    fn drifts_are_those_of_the_equations() {
        let (schedule, model, t) =
            (VariancePreserving::new(10.0).unwrap(), TwoPeak::new(1.0, 0.25).unwrap(), 0.3);
        let Coefficients { rate, strength } = schedule.coefficients(t);
        let square = strength * strength;
        assert!((rate - 1.0).abs() > 0.1 && (square - 1.0).abs() > 0.1, "{rate} {square}");
        let x = array![[-1.7, 0.4], [0.2, 2.5]];
        let drift = |process: &dyn Drift| {
            let mut out = Array2::zeros(x.raw_dim());
            process.drift(x.view(), t, out.view_mut()).unwrap();
            (out, process.strength(t))
        };
        let mut score = Array2::zeros(x.raw_dim());
        model.score(schedule).score(x.view(), t, score.view_mut()).unwrap();
        let linear = &x * (-0.5 * rate);
        let expected = [
            (drift(&Forward(schedule)), linear.clone(), strength),
            (drift(&Reverse { schedule, score: model.score(schedule) }), &linear - &score * square, strength),
            (
                drift(&ProbabilityFlow { schedule, score: model.score(schedule) }),
                &linear - &score * (0.5 * square),
                0.0,
            ),
        ];
        for ((found, noise), drift, strength) in expected {
            for (found, drift) in found.iter().zip(&drift) {
                assert_relative_eq!(found, drift, max_relative = 1e-13);
            }
            assert_relative_eq!(noise, strength);
        }
        // `-dS/dx` of one variable, by its formula.
        let x = 0.4;
        let mut force = array![[0.0]];
        Langevin(model).drift(array![[x]].view(), t, force.view_mut()).unwrap();
        let expected = (f64::tanh(x / 0.0625) - x) / 0.0625;
        assert_relative_eq!(force[(0, 0)], expected, max_relative = 1e-13);
        assert_relative_eq!(Langevin(model).strength(t), 2.0_f64.sqrt());
    }
}
