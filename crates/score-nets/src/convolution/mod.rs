//! Periodic convolutions.
//!
//! ```text
//! y[o, i, j] = sum_(c, a, b) k[o, c, a, b] x[c, i + a - 1, j + b - 1] ,        sites modulo h and w .
//! ```
//!
//! candle pads with zeros alone, so on other devices, and in double precision, the field is first surrounded by its own
//! edges. On a CPU in single precision the loops are our own. The gradient of `x` is the same convolution with the kernel
//! turned round and its channels exchanged, that of the kernel is the correlation of `x` with the gradient of `y`. Threads
//! share the samples; what they add up does not depend on how many there are. The oracle in tests is candle.

mod convolve;
mod correlate;
mod planes;
mod tile;

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Result, Shape, Tensor};
use convolve::convolve;
use correlate::correlate;

pub(crate) use convolve::{Convolver, Kernel, Planes};
pub(crate) use correlate::{Correlator, Transposed};
pub(crate) use planes::Extents;

/// The periodic convolution of `x`, shape `(batch, in, h, w)`, with a kernel of shape `(out, in, 3, 3)`, without a bias:
///
/// ```text
/// y[o, i, j] = sum_(c, a, b) kernel[o, c, a, b] x[c, i + a - 1, j + b - 1] ,       sites modulo h and w .
/// ```
///
/// ```
/// use score_nets::candle_core::{Device, Tensor};
/// use score_nets::periodic_convolution;
///
/// // A kernel that fetches the neighbour to the left: a translation, round the edge.
/// let x = Tensor::new(&[[[[1f32, 2.0, 3.0], [4.0, 5.0, 6.0]]]], &Device::Cpu)?;
/// let kernel = Tensor::new(&[[[[0f32, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]], &Device::Cpu)?;
/// let y = periodic_convolution(&x, &kernel)?;
/// assert_eq!(y.flatten_all()?.to_vec1::<f32>()?, [3.0, 1.0, 2.0, 6.0, 4.0, 5.0]);
/// # Ok::<(), score_nets::candle_core::Error>(())
/// ```
///
/// # Errors
/// candle's, if shapes or types do not fit.
pub fn periodic_convolution(x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let (_, inputs, h, w) = x.dims4()?;
    let fits = matches!(kernel.dims(), [_, from, 3, 3] if *from == inputs);
    if fits && x.device().is_cpu() && x.dtype() == DType::F32 && kernel.dtype() == DType::F32 {
        return x.contiguous()?.apply_op2(&kernel.contiguous()?, Convolution);
    }
    let x = Tensor::cat(&[&x.narrow(3, w - 1, 1)?, x, &x.narrow(3, 0, 1)?], 3)?;
    let x = Tensor::cat(&[&x.narrow(2, h - 1, 1)?, &x, &x.narrow(2, 0, 1)?], 2)?;
    x.conv2d(kernel, 0, 1, 1, 1)
}

/// `x`, kernel -> `y`.
struct Convolution;

/// Gradient of `y`, kernel -> gradient of `x`.
struct InputGradient;

/// `x`, gradient of `y` -> gradient of the kernel.
struct KernelGradient;

impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "periodic-convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        kernel: &CpuStorage,
        kernel_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, inputs, h, w) = x_layout.shape().dims4()?;
        let outputs = kernel_layout.shape().dims4()?.0;
        let (x, kernel) = (numbers(x, x_layout)?, numbers(kernel, kernel_layout)?);
        let y = convolve(x, Extents { h, w }, Kernel::new(kernel, [outputs, inputs]));
        Ok((CpuStorage::F32(y), (batch, outputs, h, w).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        kernel: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        // Of a constant there is none.
        let of_x = x.track_op().then(|| gradient.apply_op2_no_bwd(kernel, &InputGradient));
        let of_kernel = kernel.track_op().then(|| x.apply_op2_no_bwd(&gradient, &KernelGradient));
        Ok((of_x.transpose()?, of_kernel.transpose()?))
    }
}

impl CustomOp2 for InputGradient {
    fn name(&self) -> &'static str {
        "periodic-convolution-input-gradient"
    }

    fn cpu_fwd(
        &self,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
        kernel: &CpuStorage,
        kernel_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, outputs, h, w) = gradient_layout.shape().dims4()?;
        let inputs = kernel_layout.shape().dims4()?.1;
        let (gradient, kernel) = (numbers(gradient, gradient_layout)?, numbers(kernel, kernel_layout)?);
        let x = convolve(gradient, Extents { h, w }, Kernel::adjoint(kernel, [outputs, inputs]));
        Ok((CpuStorage::F32(x), (batch, inputs, h, w).into()))
    }
}

impl CustomOp2 for KernelGradient {
    fn name(&self) -> &'static str {
        "periodic-convolution-kernel-gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, inputs, h, w) = x_layout.shape().dims4()?;
        let outputs = gradient_layout.shape().dims4()?.1;
        let (x, gradient) = (numbers(x, x_layout)?, numbers(gradient, gradient_layout)?);
        let sum = correlate(x, gradient, [outputs, inputs], Extents { h, w });
        Ok((CpuStorage::F32(sum), (outputs, inputs, 3, 3).into()))
    }
}

/// The numbers of a contiguous tensor in single precision.
pub(crate) fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        return Err(candle_core::Error::RequiresContiguous { op: "convolution" }.bt());
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};
    use rand::{Rng, SeedableRng};

    fn random(shape: &[usize], seed: u64) -> Tensor {
        let mut rng = rand_pcg::Pcg64::seed_from_u64(seed);
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Values and both gradients against candle's convolution and automatic differentiation in double precision.
    #[test]
    fn candle_finds_the_same() {
        for (batch, inputs, outputs, h, w) in [
            (1, 1, 1, 2, 2),
            (2, 2, 8, 32, 32),
            (3, 5, 9, 4, 7),
            (1, 16, 32, 8, 4),
            (2, 8, 1, 3, 2),
            (1, 33, 17, 5, 16),
            (9, 3, 6, 7, 9),
            (17, 40, 5, 3, 40),
            (2, 65, 18, 6, 1),
            (3, 2, 37, 1, 8),
        ] {
            let data = [
                random(&[batch, inputs, h, w], 1),
                random(&[outputs, inputs, 3, 3], 2),
                random(&[batch, outputs, h, w], 3),
            ];
            let results = [DType::F32, DType::F64].map(|dtype| {
                let [x, kernel, weight] = data.each_ref().map(|t| t.to_dtype(dtype).unwrap());
                let (x, kernel) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&kernel).unwrap());
                let y = periodic_convolution(&x, &kernel).unwrap();
                let gradients = (&y * weight).unwrap().sum_all().unwrap().backward().unwrap();
                [&y, gradients.get(&x).unwrap(), gradients.get(&kernel).unwrap()].map(|tensor| {
                    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap()
                })
            });
            let [single, double] = results;
            for (what, (single, double)) in ["y", "x", "kernel"].iter().zip(single.iter().zip(&double)) {
                let scale = double.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
                for (a, b) in single.iter().zip(double) {
                    assert!(
                        (a - b).abs() < 2e-6 * scale,
                        "{what} of {inputs} -> {outputs}, {h} x {w}: {a} {b}"
                    );
                }
            }
        }
    }

    #[test]
    fn translations_commute() {
        let (x, kernel) = (random(&[2, 3, 6, 5], 4), random(&[4, 3, 3, 3], 5));
        let moved = |x: &Tensor| x.roll(2, 2).unwrap().roll(1, 3).unwrap();
        let (a, b) = (
            periodic_convolution(&moved(&x), &kernel).unwrap(),
            moved(&periodic_convolution(&x, &kernel).unwrap()),
        );
        let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        // The same sums in the same order.
        assert_eq!(values(a), values(b));
    }

    #[test]
    fn kernels_of_another_shape_are_refused() {
        let x = random(&[1, 3, 4, 4], 6);
        assert!(periodic_convolution(&x, &random(&[2, 4, 3, 3], 7)).is_err());
        assert!(periodic_convolution(&random(&[3, 4, 4], 6), &random(&[2, 3, 3, 3], 7)).is_err());
    }
}
