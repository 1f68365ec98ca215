//! The odd U-Net as a candle graph: the formulas of [`OddUnet`] in tensors, on any device and in both precisions.

use super::modulate::{activate, add_scaled};
use super::odd_unet::INPUTS;
use super::pack::{pack, unpack};
use super::parameters::{constants, variables};
use crate::{Net, OddUnet, OddUnetConfig, periodic_convolution};
use candle_core::{DType, Device, Result, Tensor, Var};
use std::collections::HashMap;

/// An [`OddUnet`] whose parameters are candle tensors.
#[derive(Clone, Debug)]
pub struct OddUnetGraph {
    config: OddUnetConfig,
    tensors: HashMap<String, Tensor>,
    frequencies: Tensor,
}

impl OddUnetGraph {
    /// A copy of a net whose parameters are constants.
    ///
    /// # Errors
    /// candle's, if the device fails.
    pub fn constant(net: &OddUnet, dtype: DType, device: &Device) -> Result<Self> {
        Self::new(net, constants(net.layout(), net.parameters(), dtype, device)?, dtype, device)
    }

    /// A copy of a net, and its parameters as variables for an optimiser, in the order of the layout.
    ///
    /// # Errors
    /// candle's, if the device fails.
    pub fn trainable(net: &OddUnet, dtype: DType, device: &Device) -> Result<(Self, Vec<Var>)> {
        let (tensors, variables) = variables(net.layout(), net.parameters(), dtype, device)?;
        Ok((Self::new(net, tensors, dtype, device)?, variables))
    }

    fn new(net: &OddUnet, tensors: HashMap<String, Tensor>, dtype: DType, device: &Device) -> Result<Self> {
        let config = net.config().clone();
        let frequencies = config.embedding().angular_frequencies();
        let frequencies = Tensor::new(frequencies, device)?.to_dtype(dtype)?.unsqueeze(0)?;
        Ok(Self { config, tensors, frequencies })
    }

    /// The answers, shape `(n, 1, h, w)`, to inputs of shape `(n, 2, h, w)`. `log_noise` has shape `(n,)`, or `(1,)` for one
    /// level that all samples share; the gains are then computed once.
    ///
    /// # Errors
    /// candle's, if shapes or types do not fit.
    pub fn forward(&self, inputs: &Tensor, log_noise: &Tensor) -> Result<Tensor> {
        let mut gains = Gains { all: self.gains(log_noise)?, next: 0 };
        let inputs = if self.config.packed { pack(inputs)? } else { inputs.clone() };
        let mut h = periodic_convolution(&inputs, &self.tensors["in.weight"])?;
        let coarsest = self.config.channels.len() - 1;
        let mut kept = Vec::with_capacity(coarsest);
        for level in 0..coarsest {
            h = self.blocks("down", level, h, &mut gains)?;
            let coarse = self.mix(&format!("pack.{level}.weight"), &pack(&h)?)?;
            kept.push(std::mem::replace(&mut h, coarse));
        }
        h = self.blocks("down", coarsest, h, &mut gains)?;
        for (level, kept) in kept.iter().enumerate().rev() {
            h = (kept + unpack(&self.mix(&format!("unpack.{level}.weight"), &h)?)?)?;
            h = self.blocks("up", level, h, &mut gains)?;
        }
        let out = periodic_convolution(&h, &self.tensors["out.weight"])?;
        if self.config.packed { unpack(&out) } else { Ok(out) }
    }

    /// `1 + A e(ln s)`, shape `(n, gains)`.
    fn gains(&self, log_noise: &Tensor) -> Result<Tensor> {
        let u = log_noise.unsqueeze(1)?;
        let phases = u.broadcast_mul(&self.frequencies)?;
        let e = Tensor::cat(&[(u * 0.5)?, phases.sin()?, phases.cos()?], 1)?;
        e.matmul(&self.tensors["gains.weight"].t()?)? + 1.0
    }

    fn blocks(&self, way: &str, level: usize, mut h: Tensor, gains: &mut Gains) -> Result<Tensor> {
        let channels = self.config.channels[level];
        for block in 0..self.config.blocks {
            let kernel = |number: usize| &self.tensors[&format!("{way}.{level}.{block}.conv{number}.weight")];
            let inner = activate(&periodic_convolution(&h, kernel(1))?, &gains.take(channels)?)?;
            h = add_scaled(&h, &periodic_convolution(&inner, kernel(2))?, &gains.take(channels)?)?;
        }
        Ok(h)
    }

    /// A matrix over channels.
    fn mix(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let (batch, _, h, w) = x.dims4()?;
        let weight = &self.tensors[name];
        weight.broadcast_matmul(&x.flatten_from(2)?)?.reshape((batch, weight.dim(0)?, h, w))
    }

    /// Writes the answers, `(n, sites)`, to inputs `(n, 2, sites)` at one noise level.
    pub(crate) fn evaluate(&self, inputs: &[f32], log_noise: f32, out: &mut [f32]) {
        let [h, w] = self.config.fields.extents;
        let rows = out.len() / (h * w);
        assert_eq!(out.len(), rows * h * w, "answers are whole fields");
        assert_eq!(inputs.len(), INPUTS * out.len(), "each answer has two input fields");
        let answer = || -> Result<Vec<f32>> {
            let inputs = Tensor::from_slice(inputs, (rows, INPUTS, h, w), &Device::Cpu)?;
            self.forward(&inputs, &Tensor::new(&[log_noise], &Device::Cpu)?)?.flatten_all()?.to_vec1()
        };
        out.copy_from_slice(&answer().expect("shapes follow from the layout"));
    }
}

/// Hands out the gains in the order in which the net uses them.
struct Gains {
    all: Tensor,
    next: usize,
}

impl Gains {
    fn take(&mut self, channels: usize) -> Result<Tensor> {
        let gains = self.all.narrow(1, self.next, channels)?;
        self.next += channels;
        Ok(gains)
    }
}
