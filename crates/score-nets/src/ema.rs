//! Averages of parameters along a training run.

use multiversion::multiversion;

/// The exponential moving average of a vector of parameters, with a warm-up:
///
/// ```text
/// average <- d average + (1 - d) parameters,    d = min( 1 - 1/horizon, (n + 1)/(n + 10) )
/// ```
///
/// where `n` counts the updates before this one. The average forgets over `horizon` updates; while it is
/// younger than that it forgets faster, so that the initial parameters leave no trace.
///
/// ```
/// use score_nets::Ema;
/// let mut ema = Ema::new(1000.0, &[0.0]);
/// ema.update(&[10.0]); // d = 1/10
/// assert!((ema.average[0] - 9.0).abs() < 1e-6);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ema {
    /// Updates over which the average forgets, at least 1.
    pub horizon: f64,
    /// Updates so far, `n`.
    pub updates: u64,
    /// The averaged parameters.
    pub average: Vec<f32>,
}

impl Ema {
    /// An average that starts at `parameters`.
    pub fn new(horizon: f64, parameters: &[f32]) -> Self {
        Self { horizon, updates: 0, average: parameters.to_vec() }
    }

    /// Takes in the parameters of one more step.
    ///
    /// # Panics
    /// If their number is another one than before.
    pub fn update(&mut self, parameters: &[f32]) {
        assert_eq!(parameters.len(), self.average.len(), "the average is of another number of parameters");
        let n = self.updates as f64;
        let decay = (1.0 - 1.0 / self.horizon).min((n + 1.0) / (n + 10.0)).max(0.0);
        self.updates += 1;
        mix((1.0 - decay) as f32, parameters, &mut self.average);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn mix(gain: f32, parameters: &[f32], average: &mut [f32]) {
    for (a, p) in average.iter_mut().zip(parameters) {
        *a = gain.mul_add(p - *a, *a);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decays_with_the_horizon_after_the_warm_up() {
        let mut ema = Ema::new(20.0, &[1.0]);
        // (n + 1)/(n + 10) passes 19/20 at n = 170.
        for _ in 0..171 {
            ema.update(&[2.0]);
        }
        let before = ema.average[0];
        assert!((before - 2.0).abs() < 1e-6);
        for _ in 0..100 {
            ema.update(&[0.0]);
        }
        let expected = f64::from(before) * 0.95f64.powi(100);
        assert!((f64::from(ema.average[0]) / expected - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_constant_stays() {
        let mut ema = Ema::new(50.0, &[0.3, -7.0]);
        for _ in 0..100 {
            ema.update(&[0.3, -7.0]);
        }
        assert_eq!(ema.average, [0.3, -7.0]);
    }
}
