//! Periodic convolutions.

use candle_core::{Result, Tensor};

/// The periodic convolution of `x`, shape `(batch, in, h, w)`, with a kernel of shape `(out, in, 3, 3)`, without a bias:
///
/// ```text
/// y[o, i, j] = sum_(c, a, b) kernel[o, c, a, b] x[c, i + a - 1, j + b - 1] ,       sites modulo h and w .
/// ```
///
/// # Errors
/// candle's, if shapes or types do not fit.
pub fn periodic_convolution(x: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let x = Tensor::cat(&[&x.narrow(3, w - 1, 1)?, x, &x.narrow(3, 0, 1)?], 3)?;
    let x = Tensor::cat(&[&x.narrow(2, h - 1, 1)?, &x, &x.narrow(2, 0, 1)?], 2)?;
    x.conv2d(kernel, 0, 1, 1, 1)
}
