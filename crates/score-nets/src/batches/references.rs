//! Targets averaged over reference data (the stable target field of Xu, Tong and Jaakkola 2023).
//!
//! A denoiser learns `E[x_0 | x]` from examples of `x_0`, whose scatter about that mean is most of the noise
//! in the gradient. Let `R` be a set of data one of which, picked uniformly, is the `x_0` behind
//! `x = x_0 + sqrt(V) z`. Given `x` and the set, which of them it was is known exactly:
//!
//! ```text
//! E[ x_0 | x, R ] = sum_r w_r r / sum_r w_r,    w_r = exp( -(x - r)^2 / 2V ),  r in R
//! ```
//!
//! Averaged over sets this is `E[x_0 | x]`, so the target is unbiased for any size of `R`, and its scatter is
//! smaller. For even data every `r` stands for `+r` and `-r`.

use crate::lanes;
use crate::math::exp;
use multiversion::multiversion;

/// Partial sums; the order of every addition is fixed by them.
pub(super) const LANES: usize = 16;

/// Writes `E[x_0 | x, R] - x` for every sample; `references` is a whole number of [`LANES`].
///
/// Deviations from `x` are averaged, not the data themselves: at small `V` the answer keeps its digits.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(super) fn mean_deviations(x: &[f32], variance: &[f32], references: &[f32], even: bool, out: &mut [f32]) {
    for ((out, &x), &variance) in out.iter_mut().zip(x).zip(variance) {
        let (mut total, mut sum) = ([0.0; LANES], [0.0; LANES]);
        let slope = -0.5 / variance;
        for chunk in references.chunks_exact(LANES) {
            for lane in 0..LANES {
                let near = chunk[lane] - x;
                let weight = exp(slope * near * near);
                total[lane] += weight;
                sum[lane] = weight.mul_add(near, sum[lane]);
            }
        }
        if even {
            for chunk in references.chunks_exact(LANES) {
                for lane in 0..LANES {
                    let far = -chunk[lane] - x;
                    let weight = exp(slope * far * far);
                    total[lane] += weight;
                    sum[lane] = weight.mul_add(far, sum[lane]);
                }
            }
        }
        *out = lanes::total(sum) / lanes::total(total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_sum_in_double_precision() {
        let references: Vec<f32> = (0..64).map(|i| 0.3 + i as f32 / 50.0).collect();
        for even in [false, true] {
            for (x, variance) in [(0.5f32, 0.01f32), (-0.9, 0.3), (1.0, 1e-4), (30.0, 400.0)] {
                let mut out = [0.0];
                mean_deviations(&[x], &[variance], &references, even, &mut out);
                let (mut total, mut sum) = (0.0, 0.0);
                for &r in &references {
                    for r in [f64::from(r), -f64::from(r)].into_iter().take(1 + usize::from(even)) {
                        let deviation = r - f64::from(x);
                        let weight = (-0.5 * deviation * deviation / f64::from(variance)).exp();
                        total += weight;
                        sum += weight * deviation;
                    }
                }
                let exact = sum / total;
                assert!((f64::from(out[0]) - exact).abs() < 3e-6 * exact.abs().max(0.1), "{x} {variance}");
            }
        }
    }
}
