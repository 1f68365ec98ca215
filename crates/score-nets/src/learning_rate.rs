//! The learning rate along a training run.

use serde::{Deserialize, Serialize};
use std::f64::consts::PI;

/// The learning rate as a function of the step.
///
/// ```
/// use score_nets::LearningRate;
/// let rate = LearningRate::WarmupCosine { peak: 3e-3, warmup: 200, total: 40_000, floor: 0.0 };
/// assert_eq!(rate.at(199), 3e-3);
/// assert!(rate.at(40_000) == 0.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningRate {
    /// The same at every step.
    Constant {
        /// That rate.
        rate: f64,
    },
    /// A linear rise over `warmup` steps, then half a cosine from `peak` to `floor` at step `total`:
    ///
    /// ```text
    /// n < warmup    peak (n + 1) / warmup
    /// n >= warmup   floor + (peak - floor) [ 1 + cos(pi (n - warmup)/(total - warmup)) ] / 2
    /// ```
    WarmupCosine {
        /// The highest rate.
        peak: f64,
        /// Steps of the rise.
        warmup: u64,
        /// Steps of the whole run; the rate stays at `floor` after it.
        total: u64,
        /// The last rate.
        floor: f64,
    },
}

impl LearningRate {
    /// The rate of step `step`, counted from 0.
    pub fn at(&self, step: u64) -> f64 {
        match *self {
            Self::Constant { rate } => rate,
            Self::WarmupCosine { peak, warmup, .. } if step < warmup => {
                peak * (step + 1) as f64 / warmup as f64
            }
            Self::WarmupCosine { total, floor, .. } if step >= total => floor,
            Self::WarmupCosine { peak, warmup, total, floor } => {
                let progress = (step - warmup) as f64 / (total - warmup) as f64;
                floor + 0.5 * (peak - floor) * (1.0 + (PI * progress).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape() {
        let rate = LearningRate::WarmupCosine { peak: 2.0, warmup: 10, total: 110, floor: 1.0 };
        assert_eq!([rate.at(0), rate.at(4), rate.at(9), rate.at(10)], [0.2, 1.0, 2.0, 2.0]);
        assert!((rate.at(60) - 1.5).abs() < 1e-15);
        assert!((rate.at(35) - (1.5 + 0.5 * (PI / 4.0).cos())).abs() < 1e-15);
        assert_eq!([rate.at(110), rate.at(1 << 40)], [1.0, 1.0]);
        assert_eq!(LearningRate::Constant { rate: 0.1 }.at(7), 0.1);
        // no decay at all, nothing divides by zero
        let rise = LearningRate::WarmupCosine { peak: 1.0, warmup: 4, total: 4, floor: 0.5 };
        assert_eq!([rise.at(3), rise.at(4)], [1.0, 0.5]);
    }
}
