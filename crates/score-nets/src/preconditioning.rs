//! What a residual net is fed and asked for.
//!
//! Let `y = x/f = x_0 + sqrt(V) z` be the data with noise of variance `V`, and `A = V + kappa_2` its variance.
//! For Gaussian data the best guess of `x_0` is linear, `kappa_2 y / A`; the net learns the rest. With input
//! and target of variance one at every noise level (Karras et al. 2022, Sec. 5, at zero mean), the denoiser and
//! the score are
//!
//! ```text
//! D(y,V) = (kappa_2/A) y + sqrt(V kappa_2 / A) F( y/sqrt(A), ln(V)/2 )
//! s(y,V) = (D - y)/V = -y/A + sqrt( kappa_2 / (A V) ) F
//! ```
//!
//! The second form of `s` has no cancellation, since `kappa_2/A - 1 = -V/A` is done on paper. `F` stands alone
//! in `D`, so its regression target is
//!
//! ```text
//! F* = ( x_0 - kappa_2 y/A ) / sqrt(V kappa_2/A) = ( V x_0 - kappa_2 (y - x_0) ) / sqrt(A V kappa_2)
//! ```

use serde::{Deserialize, Serialize};

/// The map between the score of data of variance `kappa_2` and a net of order one; see the formulas above each
/// method, with `A = V + kappa_2`.
///
/// ```
/// use score_nets::Preconditioning;
/// let p = Preconditioning { kappa_2: 1.0 };
/// // x_0 = 1 with noise of variance V = 3, y = 2: the linear guess is 1/2
/// assert_eq!(p.input_scale(3.0), 0.5);
/// assert!((p.target(1.0, 2.0, 3.0) - 0.5 / 0.75f64.sqrt()).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preconditioning {
    /// The variance of the data, positive.
    pub kappa_2: f64,
}

impl Preconditioning {
    /// The smallest noise variance a net is asked about. The recipe trains down to it, and below it a net would
    /// have to vanish like `sqrt(V)`, which it does not.
    pub const NOISE_FLOOR: f64 = 1e-5;
    /// The noise variance above which the score is taken to be linear: for data of order one the rest is below
    /// the error of a net.
    pub const LINEAR_ABOVE: f64 = 150.0;

    /// `1/sqrt(A)`: what `y` is multiplied by before the net sees it.
    pub fn input_scale(&self, noise: f64) -> f64 {
        (noise + self.kappa_2).sqrt().recip()
    }

    /// `u = ln(V)/2`: the coordinate of the noise level.
    pub fn coordinate(&self, noise: f64) -> f64 {
        0.5 * noise.ln()
    }

    /// The regression target `F*` for clean data `x_0`, noisy data `y` and noise variance `V > 0`.
    pub fn target(&self, clean: f64, noisy: f64, noise: f64) -> f64 {
        let spread = (noise + self.kappa_2) * noise * self.kappa_2;
        (noise * clean - self.kappa_2 * (noisy - clean)) / spread.sqrt()
    }

    /// `(-1/A, sqrt(kappa_2/(A V)))`: the score is the first times `y` plus the second times `F`.
    pub fn score_weights(&self, noise: f64) -> (f64, f64) {
        let total = noise + self.kappa_2;
        (-1.0 / total, (self.kappa_2 / (total * noise)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn target_and_score_are_those_of_the_denoiser() {
        let p = Preconditioning { kappa_2: 1.0625 };
        for (clean, z, v) in [(1.1, 0.3, 0.01f64), (-0.7, -1.2, 2.5), (0.2, 2.0, 140.0)] {
            let y = clean + v.sqrt() * z;
            let total = v + 1.0625;
            let f = p.target(clean, y, v);
            let denoised = y * 1.0625 / total + (v * 1.0625 / total).sqrt() * f;
            assert_relative_eq!(denoised, clean, max_relative = 1e-13);
            let (linear, weight) = p.score_weights(v);
            assert_relative_eq!(linear * y + weight * f, (denoised - y) / v, max_relative = 1e-12);
            // with the exact target this is the conditional score -z / sqrt(V)
            assert_relative_eq!(linear * y + weight * f, -z / v.sqrt(), max_relative = 1e-12);
        }
    }

    #[test]
    fn input_and_target_have_variance_one() {
        // E over independent x_0 of variance kappa_2 and z of variance 1, by four equally likely sign pairs.
        let kappa_2 = 0.7f64;
        let p = Preconditioning { kappa_2 };
        for v in [1e-4f64, 0.3, 50.0] {
            let (mut input, mut target) = (0.0, 0.0);
            for (a, b) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                let clean = a * kappa_2.sqrt();
                let noisy = clean + b * v.sqrt();
                input += 0.25 * (noisy * p.input_scale(v)).powi(2);
                target += 0.25 * p.target(clean, noisy, v).powi(2);
            }
            assert_relative_eq!(input, 1.0, max_relative = 1e-12);
            assert_relative_eq!(target, 1.0, max_relative = 1e-9);
        }
    }
}
