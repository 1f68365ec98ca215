//! The published net as a candle graph: the same formulas in tensors, on any device and in both precisions.

use super::norm::EPSILON;
use super::places::{Channels, Layer, Places};
use super::time::angular_frequencies;
use crate::lattice::parameters::{constants, variables};
use crate::{Net, PublishedUnet, periodic_convolution};
use candle_core::{DType, Device, Result, Tensor, Var};
use std::collections::HashMap;

/// A [`PublishedUnet`] whose parameters are candle tensors.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::candle_core::{DType, Device, Tensor};
/// use score_nets::{PublishedUnet, PublishedUnetConfig, PublishedUnetGraph};
///
/// let config = PublishedUnetConfig {
///     extents: [4, 4], channels: vec![4, 8], features: 16, first_groups: 2, groups: 4, ..PublishedUnetConfig::paper()
/// };
/// let net = PublishedUnet::new(config, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// let (graph, variables) = PublishedUnetGraph::trainable(&net, DType::F64, &Device::Cpu)?;
/// let x = Tensor::ones((2, 1, 4, 4), DType::F64, &Device::Cpu)?;
/// let answer = graph.forward(&x, &Tensor::new(&[0.1f64, 0.9], &Device::Cpu)?)?;
/// let gradients = answer.sqr()?.mean_all()?.backward()?;
/// assert!(variables.iter().all(|v| gradients.get(v).is_some()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct PublishedUnetGraph {
    places: Places,
    levels: usize,
    tensors: HashMap<String, Tensor>,
    frequencies: Tensor,
}

impl PublishedUnetGraph {
    /// A copy of a net whose parameters are constants.
    ///
    /// # Errors
    /// candle's, if the device fails.
    pub fn constant(net: &PublishedUnet, dtype: DType, device: &Device) -> Result<Self> {
        Self::new(net, constants(net.layout(), net.parameters(), dtype, device)?, dtype, device)
    }

    /// A copy of a net, and its parameters as variables for an optimiser, in the order of the layout.
    ///
    /// # Errors
    /// candle's, if the device fails.
    pub fn trainable(net: &PublishedUnet, dtype: DType, device: &Device) -> Result<(Self, Vec<Var>)> {
        let (tensors, variables) = variables(net.layout(), net.parameters(), dtype, device)?;
        Ok((Self::new(net, tensors, dtype, device)?, variables))
    }

    fn new(
        net: &PublishedUnet,
        tensors: HashMap<String, Tensor>,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let config = net.config();
        let frequencies = Tensor::new(angular_frequencies(config), device)?.to_dtype(dtype)?.unsqueeze(0)?;
        Ok(Self { places: Places::new(config).1, levels: config.channels.len(), tensors, frequencies })
    }

    /// The answers, shape `(n, 1, h, w)`, to noised fields of this shape at times of shape `(n,)`.
    ///
    /// # Errors
    /// candle's, if shapes or types do not fit.
    pub fn forward(&self, x: &Tensor, t: &Tensor) -> Result<Tensor> {
        let phases = t.unsqueeze(1)?.broadcast_mul(&self.frequencies)?;
        let features = Tensor::cat(&[phases.sin()?, phases.cos()?], 1)?;
        let embedded = self.linear("embed", &features)?.silu()?;
        // What each level holds so far: the way down, then the way up before it.
        let mut levels: Vec<Vec<Tensor>> = vec![Vec::new(); self.levels];
        for layer in &self.places.layers {
            let from = match &layer.from {
                Some(Channels { level, .. }) => Tensor::cat(&levels[*level], 1)?,
                None => x.clone(),
            };
            let h = self.layer(layer, &from, &embedded)?;
            levels[layer.to.level].insert(0, h);
        }
        let answer = periodic_convolution(&Tensor::cat(&levels[0], 1)?, &self.tensors["out.weight"])?;
        answer.broadcast_add(&self.tensors["out.bias"])
    }

    fn layer(&self, layer: &Layer, x: &Tensor, embedded: &Tensor) -> Result<Tensor> {
        let tensor = |what: &str| &self.tensors[&format!("{}.{what}", layer.name)];
        let bias = self.linear(&format!("{}.dense", layer.name), embedded)?.unsqueeze(2)?.unsqueeze(3)?;
        let v = periodic_convolution(x, tensor("conv.weight"))?.broadcast_add(&bias)?;
        let (n, channels, h, w) = v.dims4()?;
        let grouped = v.reshape((n, layer.groups, channels / layer.groups * h * w))?;
        let centred = grouped.broadcast_sub(&grouped.mean_keepdim(2)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(2)? + EPSILON)?.sqrt()?;
        let normalised = centred.broadcast_div(&deviation)?.reshape((n, channels, h, w))?;
        let column = |what: &str| tensor(what).reshape((1, channels, 1, 1));
        normalised.broadcast_mul(&column("norm.weight")?)?.broadcast_add(&column("norm.bias")?)?.silu()
    }

    fn linear(&self, name: &str, x: &Tensor) -> Result<Tensor> {
        let [weight, bias] = ["weight", "bias"].map(|what| &self.tensors[&format!("{name}.{what}")]);
        x.matmul(&weight.t()?)?.broadcast_add(bias)
    }
}
