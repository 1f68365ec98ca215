//! Halving and doubling a lattice without losing a number: blocks of 2 x 2 sites become four channels.
//!
//! ```text
//! pack(x)[4 c + 2 i + j, y, x'] = x[c, 2 y + i, 2 x' + j] ,       unpack = pack^(-1) = pack^T .
//! ```
//!
//! A convolution of stride 2 with kernels of 2 x 2 is `pack` and a matrix over channels; its adjoint is a matrix and `unpack`.
//! Both are permutations of sites, so the gradient of one is the other. Translations by two sites become translations by
//! one; no others survive.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

/// `(batch, c, h, w) -> (batch, 4 c, h/2, w/2)`; `h` and `w` even.
pub(crate) fn pack(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() && x.dtype() == DType::F32 {
        return x.contiguous()?.apply_op1(Pack);
    }
    let (batch, c, h, w) = x.dims4()?;
    let split = x.reshape(vec![batch, c, h / 2, 2, w / 2, 2])?;
    split.permute(vec![0, 1, 3, 5, 2, 4])?.contiguous()?.reshape((batch, 4 * c, h / 2, w / 2))
}

/// The inverse of [`pack`].
pub(crate) fn unpack(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() && x.dtype() == DType::F32 {
        return x.contiguous()?.apply_op1(Unpack);
    }
    let (batch, c, h, w) = x.dims4()?;
    let split = x.reshape(vec![batch, c / 4, 2, 2, h, w])?;
    split.permute(vec![0, 1, 4, 2, 5, 3])?.contiguous()?.reshape((batch, c / 4, 2 * h, 2 * w))
}

struct Pack;
struct Unpack;

impl CustomOp1 for Pack {
    fn name(&self) -> &'static str {
        "pack"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, c, h, w) = layout.shape().dims4()?;
        let fine = super::numbers(storage, layout)?;
        let mut coarse = vec![0.0; fine.len()];
        for (fine, coarse) in fine.chunks_exact(h * w).zip(coarse.chunks_exact_mut(h * w)) {
            let (quarter, half) = (h * w / 4, w / 2);
            for (row, fine) in fine.chunks_exact(w).enumerate() {
                for j in 0..2 {
                    let at = (2 * (row % 2) + j) * quarter + row / 2 * half;
                    let pairs = fine.as_chunks::<2>().0;
                    coarse[at..at + half].iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[j]);
                }
            }
        }
        Ok((CpuStorage::F32(coarse), Shape::from((batch, 4 * c, h / 2, w / 2))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        unpack(gradient).map(Some)
    }
}

impl CustomOp1 for Unpack {
    fn name(&self) -> &'static str {
        "unpack"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, c, half_h, half) = layout.shape().dims4()?;
        let (h, w) = (2 * half_h, 2 * half);
        let coarse = super::numbers(storage, layout)?;
        let mut fine = vec![0.0; coarse.len()];
        for (coarse, fine) in coarse.chunks_exact(h * w).zip(fine.chunks_exact_mut(h * w)) {
            let quarter = h * w / 4;
            for (row, fine) in fine.chunks_exact_mut(w).enumerate() {
                let from = |j: usize| {
                    let at = (2 * (row % 2) + j) * quarter + row / 2 * half;
                    &coarse[at..at + half]
                };
                let pairs = fine.as_chunks_mut::<2>().0;
                for ((pair, even), odd) in pairs.iter_mut().zip(from(0)).zip(from(1)) {
                    *pair = [*even, *odd];
                }
            }
        }
        Ok((CpuStorage::F32(fine), Shape::from((batch, c / 4, h, w))))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        pack(gradient).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Integers, which single and double precision hold alike.
    fn numbers(shape: (usize, usize, usize, usize)) -> Tensor {
        let count = shape.0 * shape.1 * shape.2 * shape.3;
        Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap().reshape(shape).unwrap()
    }

    fn flat(x: &Tensor) -> Vec<f64> {
        x.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn kernels_are_the_permutations_of_the_graph() {
        for shape in [(1, 1, 2, 2), (2, 3, 4, 6), (1, 2, 8, 4)] {
            let x = numbers(shape);
            let double = x.to_dtype(DType::F64).unwrap();
            let packed = pack(&x).unwrap();
            assert_eq!(packed.dims(), [shape.0, 4 * shape.1, shape.2 / 2, shape.3 / 2]);
            assert_eq!(flat(&packed), flat(&pack(&double).unwrap()));
            assert_eq!(flat(&unpack(&packed).unwrap()), flat(&x));
            assert_eq!(flat(&unpack(&pack(&double).unwrap()).unwrap()), flat(&x));
        }
    }

    #[test]
    fn the_first_block_goes_to_four_channels() {
        let packed = pack(&numbers((1, 1, 4, 4))).unwrap();
        assert_eq!(flat(&packed)[..], [0., 2., 8., 10., 1., 3., 9., 11., 4., 6., 12., 14., 5., 7., 13., 15.]);
    }
}
