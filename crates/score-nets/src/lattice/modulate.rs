//! The two places where the noise level acts: gains of channels, before the activation and on the way back into the sum.
//!
//! ```text
//! activate(u, g)      = a(g u) ,       a(v) = v / sqrt(1 + v^2) ,      a'(v) = (1 + v^2)^(-3/2)
//! add_scaled(h, u, g) = h + g u
//! ```
//!
//! with one gain `g` for each channel of each sample, or of all samples at once. `a` is odd and bounded like `tanh`, and takes
//! a root where that takes an exponential.

use crate::lanes::sum_of;
use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result, Shape, Tensor};
use multiversion::multiversion;

/// `a(g u)`: `u` of shape `(batch, channels, h, w)`, `g` of shape `(batch, channels)` or `(1, channels)`.
pub(crate) fn activate(u: &Tensor, gain: &Tensor) -> Result<Tensor> {
    if u.device().is_cpu() && u.dtype() == DType::F32 {
        return u.contiguous()?.apply_op2(&gain.contiguous()?, Activate);
    }
    let v = u.broadcast_mul(&gain.unsqueeze(2)?.unsqueeze(3)?)?;
    &v / (v.sqr()? + 1.0)?.sqrt()?
}

/// `h + g u`, shapes as for [`activate`].
pub(crate) fn add_scaled(h: &Tensor, u: &Tensor, gain: &Tensor) -> Result<Tensor> {
    if u.device().is_cpu() && u.dtype() == DType::F32 {
        return h.contiguous()?.apply_op3(&u.contiguous()?, &gain.contiguous()?, AddScaled);
    }
    h + u.broadcast_mul(&gain.unsqueeze(2)?.unsqueeze(3)?)?
}

/// The gain of every plane, whether there is one for each sample or one for all.
fn gains(gain: &[f32], planes: usize) -> impl Iterator<Item = f32> + '_ {
    gain.iter().copied().cycle().take(planes)
}

/// Sums over planes, as the gradient of gains: over samples as well if they share theirs.
fn fold(sums: &[f32], gains: usize) -> Vec<f32> {
    let mut folded = vec![0.0; gains];
    for sums in sums.chunks_exact(gains) {
        folded.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
    }
    folded
}

struct Activate;

impl CustomOp2 for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn cpu_fwd(
        &self,
        u: &CpuStorage,
        lu: &Layout,
        g: &CpuStorage,
        lg: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (u, g) = (super::numbers(u, lu)?, super::numbers(g, lg)?);
        let (batch, c, h, w) = lu.shape().dims4()?;
        let mut out = vec![0.0; u.len()];
        let planes = u.chunks_exact(h * w).zip(out.chunks_exact_mut(h * w));
        for ((u, out), g) in planes.zip(gains(g, batch * c)) {
            activate_plane(g, u, out);
        }
        Ok((CpuStorage::F32(out), lu.shape().clone()))
    }

    fn bwd(
        &self,
        u: &Tensor,
        g: &Tensor,
        _: &Tensor,
        d: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let d = d.contiguous()?;
        let by_u = u.apply_op3_no_bwd(g, &d, &ActivateSlope)?;
        let by_gain = g.track_op().then(|| u.apply_op3_no_bwd(g, &d, &PlaneSums(gain_slope))).transpose()?;
        Ok((Some(by_u), by_gain))
    }
}

/// `d a'(g u) g`.
struct ActivateSlope;

impl CustomOp3 for ActivateSlope {
    fn name(&self) -> &'static str {
        "activate-slope"
    }

    fn cpu_fwd(
        &self,
        u: &CpuStorage,
        lu: &Layout,
        g: &CpuStorage,
        lg: &Layout,
        d: &CpuStorage,
        ld: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (u, g, d) = (super::numbers(u, lu)?, super::numbers(g, lg)?, super::numbers(d, ld)?);
        let (batch, c, h, w) = lu.shape().dims4()?;
        let mut out = vec![0.0; u.len()];
        let planes = u.chunks_exact(h * w).zip(d.chunks_exact(h * w)).zip(out.chunks_exact_mut(h * w));
        for (((u, d), out), g) in planes.zip(gains(g, batch * c)) {
            slope_plane(g, u, d, out);
        }
        Ok((CpuStorage::F32(out), lu.shape().clone()))
    }
}

/// A sum over each plane of something of `g`, `u` and `d`: the gradient of the gains.
struct PlaneSums(fn(f32, &[f32], &[f32]) -> f32);

impl CustomOp3 for PlaneSums {
    fn name(&self) -> &'static str {
        "plane-sums"
    }

    fn cpu_fwd(
        &self,
        u: &CpuStorage,
        lu: &Layout,
        g: &CpuStorage,
        lg: &Layout,
        d: &CpuStorage,
        ld: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (u, g, d) = (super::numbers(u, lu)?, super::numbers(g, lg)?, super::numbers(d, ld)?);
        let (batch, c, h, w) = lu.shape().dims4()?;
        let planes = u.chunks_exact(h * w).zip(d.chunks_exact(h * w)).zip(gains(g, batch * c));
        let sums: Vec<f32> = planes.map(|((u, d), g)| (self.0)(g, u, d)).collect();
        Ok((CpuStorage::F32(fold(&sums, g.len())), lg.shape().clone()))
    }
}

struct AddScaled;

impl CustomOp3 for AddScaled {
    fn name(&self) -> &'static str {
        "add-scaled"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        lh: &Layout,
        u: &CpuStorage,
        lu: &Layout,
        g: &CpuStorage,
        lg: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (h, u, g) = (super::numbers(h, lh)?, super::numbers(u, lu)?, super::numbers(g, lg)?);
        let (batch, c, height, width) = lu.shape().dims4()?;
        let plane = height * width;
        let mut out = h.to_vec();
        let planes = u.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
        for ((u, out), g) in planes.zip(gains(g, batch * c)) {
            crate::lanes::add_scaled(out, g, u);
        }
        Ok((CpuStorage::F32(out), lh.shape().clone()))
    }

    fn bwd(
        &self,
        h: &Tensor,
        u: &Tensor,
        g: &Tensor,
        _: &Tensor,
        d: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let d = d.contiguous()?;
        let by_u = d.apply_op2_no_bwd(g, &Scale)?;
        let by_gain = g.track_op().then(|| u.apply_op3_no_bwd(g, &d, &PlaneSums(product_sum))).transpose()?;
        Ok((h.track_op().then_some(d), Some(by_u), by_gain))
    }
}

/// `g u`.
struct Scale;

impl CustomOp2 for Scale {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn cpu_fwd(
        &self,
        u: &CpuStorage,
        lu: &Layout,
        g: &CpuStorage,
        lg: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (u, g) = (super::numbers(u, lu)?, super::numbers(g, lg)?);
        let (batch, c, h, w) = lu.shape().dims4()?;
        let mut out = Vec::with_capacity(u.len());
        for (u, g) in u.chunks_exact(h * w).zip(gains(g, batch * c)) {
            out.extend(u.iter().map(|u| g * u));
        }
        Ok((CpuStorage::F32(out), lu.shape().clone()))
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn activate_plane(g: f32, u: &[f32], out: &mut [f32]) {
    for (out, u) in out.iter_mut().zip(u) {
        let v = g * u;
        *out = v / v.mul_add(v, 1.0).sqrt();
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn slope_plane(g: f32, u: &[f32], d: &[f32], out: &mut [f32]) {
    for ((out, u), d) in out.iter_mut().zip(u).zip(d) {
        let v = g * u;
        let square = v.mul_add(v, 1.0);
        *out = d * g / (square * square.sqrt());
    }
}

/// `sum d a'(g u) u`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn gain_slope(g: f32, u: &[f32], d: &[f32]) -> f32 {
    sum_of(u, d, |u, d| {
        let v = g * u;
        let square = v.mul_add(v, 1.0);
        d * u / (square * square.sqrt())
    })
}

/// `sum d u`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn product_sum(_: f32, u: &[f32], d: &[f32]) -> f32 {
    sum_of(u, d, |u, d| u * d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn numbers(shape: &[usize], phase: f32) -> Tensor {
        let count = shape.iter().product::<usize>();
        let values: Vec<f32> = (0..count).map(|i| (phase + 1.7 * i as f32).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    fn flat(x: &Tensor) -> Vec<f64> {
        x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Value and gradients of a weighted sum of `activate` and `add_scaled`.
    fn run(dtype: DType, samples: usize) -> Vec<Vec<f64>> {
        let variable = |shape: &[usize], phase| {
            Var::from_tensor(&numbers(shape, phase).to_dtype(dtype).unwrap()).unwrap()
        };
        // Planes of 35 sites: two vectors and a rest.
        let shape = [3, 2, 5, 7];
        let (h, u) = (variable(&shape, 0.1), variable(&shape, 0.4));
        let (g, k) = (variable(&[samples, 2], 0.7), variable(&[samples, 2], 0.9));
        let out = add_scaled(&h, &activate(&u, &g).unwrap(), &k).unwrap();
        let weights = numbers(&shape, 2.0).to_dtype(dtype).unwrap();
        let gradients = (&out * weights).unwrap().sum_all().unwrap().backward().unwrap();
        let mut found = vec![flat(&out)];
        found.extend([&h, &u, &g, &k].map(|variable| flat(gradients.get(variable).unwrap())));
        found
    }

    #[test]
    fn kernels_are_the_formulas_with_gains_of_their_own_and_shared() {
        for samples in [3, 1] {
            let (kernels, formulas) = (run(DType::F32, samples), run(DType::F64, samples));
            for (kernel, formula) in kernels.iter().zip(&formulas) {
                assert_eq!(kernel.len(), formula.len());
                assert!(
                    kernel.iter().zip(formula).all(|(a, b)| (a - b).abs() < 1e-5),
                    "{kernel:?} {formula:?}"
                );
            }
        }
    }

    #[test]
    fn the_activation_is_odd_and_bounded() {
        let u = Tensor::new(&[[[[0f32, 0.75, -0.75, 1e4]]]], &Device::Cpu).unwrap();
        let a = flat(&activate(&u, &Tensor::ones((1, 1), DType::F32, &Device::Cpu).unwrap()).unwrap());
        assert_eq!(a[..], [0.0, f64::from(0.6f32), f64::from(-0.6f32), 1.0]);
    }
}
