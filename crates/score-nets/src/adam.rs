//! Adam (Kingma and Ba 2015), and clipping of gradients.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// The constants of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AdamConfig {
    /// Decay of the first moment per step.
    pub beta_1: f64,
    /// Decay of the second moment per step.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
}

impl Default for AdamConfig {
    /// `0.9`, `0.999`, `1e-8`: the values of the original work.
    fn default() -> Self {
        Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 }
    }
}

/// The Adam optimiser on a flat vector of parameters:
///
/// ```text
/// m <- beta_1 m + (1 - beta_1) g          m^ = m / (1 - beta_1^n)
/// v <- beta_2 v + (1 - beta_2) g^2        v^ = v / (1 - beta_2^n)
/// p <- p - rate m^ / ( sqrt(v^) + epsilon )
/// ```
///
/// The whole state is public, so that a checkpoint can hold it.
///
/// ```
/// use score_nets::{Adam, AdamConfig};
/// let mut adam = Adam::new(AdamConfig::default(), 1);
/// let mut parameters = [1.0];
/// adam.step(0.01, &mut parameters, &[-5.0]);
/// // the first step has the length of the rate, whatever the gradient
/// assert!((parameters[0] - 1.01f32).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// The constants.
    pub config: AdamConfig,
    /// Steps made so far, `n`.
    pub steps: u64,
    /// `m`, one value per parameter.
    pub first_moment: Vec<f32>,
    /// `v`, one value per parameter.
    pub second_moment: Vec<f32>,
}

impl Adam {
    /// An optimiser for `parameters` numbers that has made no step.
    pub fn new(config: AdamConfig, parameters: usize) -> Self {
        Self { config, steps: 0, first_moment: vec![0.0; parameters], second_moment: vec![0.0; parameters] }
    }

    /// One step against `gradient`.
    ///
    /// # Panics
    /// If the lengths of parameters, gradient and moments differ.
    pub fn step(&mut self, rate: f64, parameters: &mut [f32], gradient: &[f32]) {
        let count = self.first_moment.len();
        assert_eq!(self.second_moment.len(), count, "both moments have one value per parameter");
        assert_eq!(parameters.len(), count, "Adam was made for another number of parameters");
        assert_eq!(gradient.len(), count, "the gradient has one value per parameter");
        self.steps += 1;
        let AdamConfig { beta_1, beta_2, epsilon } = self.config;
        let n = self.steps as f64;
        // p - rate/(1 - b1^n) m / ( sqrt(v) / sqrt(1 - b2^n) + epsilon ), with both corrections in front.
        let root = (1.0 - beta_2.powf(n)).sqrt();
        let update = Update {
            decay_1: beta_1 as f32,
            gain_1: (1.0 - beta_1) as f32,
            decay_2: beta_2 as f32,
            gain_2: (1.0 - beta_2) as f32,
            rate: (rate * root / (1.0 - beta_1.powf(n))) as f32,
            epsilon: (epsilon * root) as f32,
        };
        apply(update, parameters, gradient, &mut self.first_moment, &mut self.second_moment);
    }
}

/// The numbers of one step in single precision.
#[derive(Clone, Copy)]
struct Update {
    decay_1: f32,
    gain_1: f32,
    decay_2: f32,
    gain_2: f32,
    rate: f32,
    epsilon: f32,
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn apply(u: Update, parameters: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) {
    let moments = first.iter_mut().zip(second);
    for ((p, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
        *m = u.decay_1.mul_add(*m, u.gain_1 * g);
        *v = u.decay_2.mul_add(*v, u.gain_2 * g * g);
        *p -= u.rate * *m / (v.sqrt() + u.epsilon);
    }
}

/// Scales `gradient` so that its norm is at most `limit`, and returns the norm it had.
///
/// The sum of squares is accumulated in double precision, in order. A gradient that is not finite is left as
/// it is: the norm tells.
///
/// ```
/// let mut gradient = [3.0, 4.0];
/// assert_eq!(score_nets::clip_gradient(&mut gradient, 1.0), 5.0);
/// assert_eq!(gradient, [0.6, 0.8]);
/// assert!((score_nets::clip_gradient(&mut gradient, 1.5) - 1.0).abs() < 1e-7);
/// assert_eq!(gradient, [0.6, 0.8]);
/// ```
pub fn clip_gradient(gradient: &mut [f32], limit: f64) -> f64 {
    let norm = norm(gradient);
    if norm > limit && norm.is_finite() {
        let scale = (limit / norm) as f32;
        for g in gradient {
            *g *= scale;
        }
    }
    norm
}

/// The Euclidean norm, with partial sums that are added in a fixed order.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn norm(values: &[f32]) -> f64 {
    const SUMS: usize = 64;
    let mut sums = [0.0; SUMS];
    let chunks = values.chunks_exact(SUMS);
    let rest: f64 = chunks.remainder().iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    for chunk in chunks {
        for lane in 0..SUMS {
            let v = f64::from(chunk[lane]);
            sums[lane] = v.mul_add(v, sums[lane]);
        }
    }
    (sums.iter().sum::<f64>() + rest).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor, Var};
    use candle_nn::{AdamW, Optimizer, ParamsAdamW};

    #[test]
    fn two_steps_by_hand() {
        let mut adam = Adam::new(AdamConfig { beta_1: 0.5, beta_2: 0.75, epsilon: 0.0 }, 1);
        let mut p = [0.0];
        // m = 1, v = 1; corrected 2 and 4: step 2/2
        adam.step(0.1, &mut p, &[2.0]);
        assert!((p[0] + 0.1).abs() < 1e-7);
        // m = 0.5 + 0.5 (-1) = 0, v = 0.75 + 0.25
        adam.step(0.1, &mut p, &[-1.0]);
        assert!((p[0] + 0.1).abs() < 1e-7);
        assert_eq!((adam.steps, adam.first_moment[0], adam.second_moment[0]), (2, 0.0, 1.0));
        // m = 1.5, v = 3; corrected by 1 - 1/8 and 1 - 27/64
        adam.step(0.1, &mut p, &[3.0]);
        let expected = -0.1 - 0.1 * (1.5 / 0.875) / (3.0f64 / (37.0 / 64.0)).sqrt();
        assert!((f64::from(p[0]) - expected).abs() < 1e-7);
    }

    #[test]
    fn agrees_with_candle_on_a_quadratic() {
        // loss = sum a_i (p_i - 1)^2
        let a: Vec<f32> = (0..37).map(|i| 0.1 + i as f32).collect();
        let mut p = vec![0.0f32; 37];
        let mut adam = Adam::new(AdamConfig::default(), 37);
        let device = Device::Cpu;
        let var = Var::zeros(37, DType::F32, &device).unwrap();
        let stiffness = Tensor::from_slice(&a, 37, &device).unwrap();
        let params = ParamsAdamW { lr: 0.02, weight_decay: 0.0, ..ParamsAdamW::default() };
        let mut oracle = AdamW::new(vec![var.clone()], params).unwrap();
        for _ in 0..200 {
            let gradient: Vec<f32> = p.iter().zip(&a).map(|(p, a)| 2.0 * a * (p - 1.0)).collect();
            adam.step(0.02, &mut p, &gradient);
            let shifted = (var.as_tensor() - 1.0).unwrap();
            let loss = (shifted.sqr().unwrap() * &stiffness).unwrap().sum_all().unwrap();
            oracle.backward_step(&loss).unwrap();
        }
        for (p, q) in p.iter().zip(var.to_vec1::<f32>().unwrap()) {
            assert!((p - q).abs() < 2e-5 && (p - 1.0).abs() < 0.1, "{p} {q}");
        }
    }
}
