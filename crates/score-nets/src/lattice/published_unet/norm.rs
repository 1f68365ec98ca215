//! What follows each convolution: the time, group norm and swish.
//!
//! ```text
//! v = u + b ,   n = (v - mean v) / sqrt(var v + epsilon) ,   y = scale n + shift ,   h = y sigma(y)
//! ```
//!
//! with one `b`, scale and shift for each channel; mean and variance are those of a group of channels of one sample. Let `q` be
//! the gradient of `y` times the scale. The gradient of `u` has no part along 1 and `n`, which the norm takes out,
//!
//! ```text
//! ( q - mean q - n mean( q n ) ) / sqrt(var v + epsilon) .
//! ```

use crate::lanes::sum_of;
use crate::math::sigmoid;
use multiversion::multiversion;

/// Added to variances.
pub(super) const EPSILON: f64 = 1e-5;

/// The norm of one layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm<'a> {
    pub(super) groups: usize,
    pub(super) scale: &'a [f32],
    pub(super) shift: &'a [f32],
    /// `b` of this sample.
    pub(super) bias: &'a [f32],
}

/// Gradients of the small parameters.
#[derive(Debug)]
pub(super) struct NormGradient<'a> {
    /// Added to.
    pub(super) scale: &'a mut [f32],
    /// Added to.
    pub(super) shift: &'a mut [f32],
    /// Of this sample alone.
    pub(super) bias: &'a mut [f32],
}

/// Mean and `1 / sqrt(var + epsilon)` of a group.
#[derive(Clone, Copy)]
struct Moments {
    mean: f64,
    inverse: f64,
}

impl Norm<'_> {
    /// Writes `h` to every `u`, channels of one sample one after the other.
    pub(super) fn apply(&self, u: &[f32], h: &mut [f32]) {
        let (members, sites) = self.extents(u);
        let groups = u.chunks_exact(members * sites).zip(h.chunks_exact_mut(members * sites));
        for (first, (u, h)) in (0..).step_by(members).zip(groups) {
            let moments = self.moments(first, u, sites);
            for (channel, (u, h)) in (first..).zip(u.chunks_exact(sites).zip(h.chunks_exact_mut(sites))) {
                let [gain, offset] = self.line(channel, moments);
                swish(gain, offset, u, h);
            }
        }
    }

    /// Writes the gradient of `u` for the gradient `d` of `h`.
    pub(super) fn gradient(&self, u: &[f32], d: &[f32], of_u: &mut [f32], of: &mut NormGradient<'_>) {
        let (members, sites) = self.extents(u);
        let size = members * sites;
        let groups = u.chunks_exact(size).zip(d.chunks_exact(size)).zip(of_u.chunks_exact_mut(size));
        for (first, ((u, d), of_u)) in (0..).step_by(members).zip(groups) {
            let moments = self.moments(first, u, sites);
            let (mut mean, mut along) = (0.0, 0.0);
            let planes = u.chunks_exact(sites).zip(d.chunks_exact(sites)).zip(of_u.chunks_exact_mut(sites));
            for (channel, ((u, d), of_y)) in (first..).zip(planes) {
                let [gain, offset] = self.line(channel, moments);
                swish_slope([gain, offset], u, d, of_y);
                // The sum over y is one over n and its mean, with n = (u - centre) inverse.
                let centre = (moments.mean - f64::from(self.bias[channel])) as f32;
                let [sum, product] = sums_with(of_y, u, centre).map(f64::from);
                let product = product * moments.inverse;
                of.shift[channel] += sum as f32;
                of.scale[channel] += product as f32;
                mean += f64::from(self.scale[channel]) * sum / size as f64;
                along += f64::from(self.scale[channel]) * product / size as f64;
            }
            for (channel, (u, of_u)) in (first..).zip(u.chunks_exact(sites).zip(of_u.chunks_exact_mut(sites)))
            {
                // inverse (scale of_y - mean - n along), as a sum of three
                let Moments { inverse, mean: centre } = moments;
                let by_u = -inverse * inverse * along;
                let constant = -inverse * mean - by_u * (centre - f64::from(self.bias[channel]));
                let by_y = inverse * f64::from(self.scale[channel]);
                of.bias[channel] = project([by_y, by_u, constant].map(|c| c as f32), u, of_u);
            }
        }
    }

    /// Channels of a group, and sites.
    fn extents(&self, u: &[f32]) -> (usize, usize) {
        (self.scale.len() / self.groups, u.len() / self.scale.len())
    }

    /// Of the group whose first channel is `first`.
    fn moments(&self, first: usize, u: &[f32], sites: usize) -> Moments {
        let planes = || (first..).zip(u.chunks_exact(sites));
        let count = u.len() as f64;
        let sum =
            |(channel, u): (usize, &[f32])| f64::from(sum(u)) + sites as f64 * f64::from(self.bias[channel]);
        let mean = planes().map(sum).sum::<f64>() / count;
        let square = |(channel, u): (usize, &[f32])| {
            f64::from(sum_of_squares(u, (mean - f64::from(self.bias[channel])) as f32))
        };
        let variance = planes().map(square).sum::<f64>() / count;
        Moments { mean, inverse: (variance + EPSILON).sqrt().recip() }
    }

    /// `y = gain u + offset`.
    fn line(&self, channel: usize, Moments { mean, inverse }: Moments) -> [f32; 2] {
        let [scale, shift, bias] =
            [self.scale, self.shift, self.bias].map(|values| f64::from(values[channel]));
        let gain = scale * inverse;
        [gain as f32, (bias - mean).mul_add(gain, shift) as f32]
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn sum(u: &[f32]) -> f32 {
    sum_of(u, u, |u, _| u)
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn sum_of_squares(u: &[f32], centre: f32) -> f32 {
    sum_of(u, u, |u, _| (u - centre) * (u - centre))
}

/// `sum d` and `sum d (u - centre)`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn sums_with(d: &[f32], u: &[f32], centre: f32) -> [f32; 2] {
    [sum_of(d, u, |d, _| d), sum_of(d, u, |d, u| d * (u - centre))]
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn swish(gain: f32, offset: f32, u: &[f32], h: &mut [f32]) {
    for (h, u) in h.iter_mut().zip(u) {
        let y = gain.mul_add(*u, offset);
        *h = y * sigmoid(y);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn swish_slope([gain, offset]: [f32; 2], u: &[f32], d: &[f32], of_y: &mut [f32]) {
    for ((of_y, u), d) in of_y.iter_mut().zip(u).zip(d) {
        let y = gain.mul_add(*u, offset);
        let s = sigmoid(y);
        *of_y = d * s * y.mul_add(1.0 - s, 1.0);
    }
}

/// Replaces `y` by `a y + b u + c`, and returns the sum.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn project([a, b, c]: [f32; 3], u: &[f32], y: &mut [f32]) -> f32 {
    for (y, u) in y.iter_mut().zip(u) {
        *y = a.mul_add(*y, b.mul_add(*u, c));
    }
    sum_of(y, u, |y, _| y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Tensor, Var};

    fn numbers(count: usize, phase: f32) -> Vec<f32> {
        (0..count).map(|i| (phase + 1.7 * i as f32).sin() + 0.3 * phase).collect()
    }

    /// Values and all gradients against candle's operations and automatic differentiation in double precision.
    #[test]
    fn candle_finds_the_same() {
        // Planes of 35 sites: two vectors and a rest.
        for (channels, groups, h, w) in [(6, 2, 5, 7), (4, 4, 8, 4), (3, 1, 1, 40)] {
            let sites = h * w;
            let [u, d] = [0.2, 1.1].map(|phase| numbers(channels * sites, phase));
            let [bias, scale, shift] = [0.3, 0.8, 2.0].map(|phase| numbers(channels, phase));

            let norm = Norm { groups, scale: &scale, shift: &shift, bias: &bias };
            let mut found = [(); 5].map(|()| vec![0.0; channels]);
            let [out, of_u, of_bias, of_scale, of_shift] = &mut found;
            out.resize(u.len(), 0.0);
            of_u.resize(u.len(), 0.0);
            norm.apply(&u, out);
            norm.gradient(
                &u,
                &d,
                of_u,
                &mut NormGradient { scale: of_scale, shift: of_shift, bias: of_bias },
            );

            let double = |values: &[f32], shape: (usize, usize, usize)| {
                let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
                Var::from_tensor(&tensor.to_dtype(DType::F64).unwrap()).unwrap()
            };
            let column = (channels, 1, 1);
            let variables = [
                double(&u, (channels, h, w)),
                double(&bias, column),
                double(&scale, column),
                double(&shift, column),
            ];
            let [u, bias, scale, shift] = &variables;
            let v = u.broadcast_add(bias).unwrap().reshape((groups, channels / groups * sites)).unwrap();
            let centred = v.broadcast_sub(&v.mean_keepdim(1).unwrap()).unwrap();
            let variance = (centred.sqr().unwrap().mean_keepdim(1).unwrap() + EPSILON).unwrap();
            let n =
                centred.broadcast_div(&variance.sqrt().unwrap()).unwrap().reshape((channels, h, w)).unwrap();
            let y = n.broadcast_mul(scale).unwrap().broadcast_add(shift).unwrap();
            let h = y.silu().unwrap();
            let weights = double(&d, (channels, sites / w, w));
            let gradients = (&h * weights.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            let mut expected = vec![h];
            expected.extend(variables.iter().map(|variable| gradients.get(variable).unwrap().clone()));
            for (what, (found, expected)) in
                ["h", "u", "bias", "scale", "shift"].iter().zip(found.iter().zip(&expected))
            {
                let expected = expected.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                assert_eq!(found.len(), expected.len());
                for (a, b) in found.iter().zip(&expected) {
                    assert!(
                        (f64::from(*a) - b).abs() < 1e-5,
                        "{what} of {channels} channels in {groups}: {a} {b}"
                    );
                }
            }
        }
    }
}
