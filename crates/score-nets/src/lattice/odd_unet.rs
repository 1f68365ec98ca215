//! An odd, periodic U-Net.
//!
//! ```text
//! down, level by level   h <- block(h),   keep h,   h <- D pack(h)
//! up                     h <- kept h + unpack(U h),   h <- block(h)
//! block                  h <- h + g_2 K_2 * a( g_1 K_1 * h )
//! ```
//!
//! `*` is the periodic convolution with kernels of 3 x 3, `a` the odd activation `v / sqrt(1 + v^2)`; `pack` turns 2 x 2 sites
//! into four channels and `D`, `U` are matrices over channels. There are no biases, and the gains `g = 1 + A e(ln s)` depend
//! on the noise alone, so `N(-x) = -N(x)` to the last bit: the net cannot break the sign symmetry of the field. It commutes
//! with translations by multiples of [`OddUnetConfig::stride`]; with the others only as far as it has learnt to, which is
//! what augmentation is for. At the coarsest level of a 32 x 32 lattice a kernel reaches across it: that is where domains are decided.
//!
//! The last convolution starts at zero, so a new net answers zero.

use super::FieldScales;
use super::odd_unet_graph::OddUnetGraph;
use crate::error::{DEEPEST, WIDEST, at_most};
use crate::init::fill_uniform;
use crate::{Embedding, Layout, Net, NetError};
use candle_core::{DType, Device, Tensor};
use rand::Rng;
use rayon::prelude::*;
use sde_core::{Communicator, Solo};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Channels that the net sees: the base's denoised field and the noised field.
pub(crate) const INPUTS: usize = 2;
/// Values in the largest tensor of one graph: few enough that tensors stay in the cache, and below the 2^16 from which on candle
/// hands elementwise work to spinning threads of its own, which stand in the way of those that work on other chunks.
const CHUNK_VALUES: usize = 40_000;

/// The architecture of an [`OddUnet`], and the fields that it is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OddUnetConfig {
    /// Channels of every level, from the finest to the coarsest.
    pub channels: Vec<usize>,
    /// Blocks of every level on the way down, and again on the way up; the coarsest level has them once.
    pub blocks: usize,
    /// Whether the finest level has half the resolution of the lattice, its sites packed into channels.
    pub packed: bool,
    /// Harmonics of `ln s` in the gains, see [`Embedding::LogNoise`].
    pub harmonics: usize,
    /// The fields.
    pub fields: FieldScales,
}

impl OddUnetConfig {
    /// Channels 8, 16, 32, 32 from the full resolution down, one block, 8 harmonics.
    pub fn new(fields: FieldScales) -> Self {
        Self { channels: vec![8, 16, 32, 32], blocks: 1, packed: false, harmonics: 8, fields }
    }

    /// The net commutes with translations by this many sites along each axis.
    pub fn stride(&self) -> usize {
        1 << (self.channels.len() - 1 + usize::from(self.packed))
    }

    /// Number of gains: two for each channel of every block.
    fn gains(&self) -> usize {
        let blocks = self.channels.iter().enumerate().map(|(level, channels)| {
            let times = if level + 1 == self.channels.len() { 1 } else { 2 };
            2 * times * self.blocks * channels
        });
        blocks.sum()
    }

    /// Samples in one graph. The order of all sums is fixed by it.
    pub(crate) fn chunk(&self) -> usize {
        let finest = self.fields.sites() / if self.packed { 4 } else { 1 };
        let level = |(level, channels)| channels * (finest >> (2 * level));
        let largest = self.channels.iter().enumerate().map(level).max().unwrap_or(1);
        (CHUNK_VALUES / largest.max(INPUTS * self.fields.sites())).max(1)
    }

    pub(crate) fn embedding(&self) -> Embedding {
        Embedding::LogNoise { harmonics: self.harmonics }
    }

    /// # Errors
    /// [`NetError`] if there are no channels, blocks or harmonics, the extents are not multiples of the stride, or the
    /// scales are out of their domain.
    pub fn validate(&self) -> Result<(), NetError> {
        self.fields.validate()?;
        self.embedding().validate()?;
        if self.blocks == 0 {
            return Err(NetError::Empty { name: "blocks" });
        }
        if self.channels.is_empty() || self.channels.contains(&0) {
            return Err(NetError::Empty { name: "channels" });
        }
        at_most("blocks", self.blocks, DEEPEST)?;
        at_most("levels", self.channels.len(), DEEPEST / 4)?;
        self.channels.iter().try_for_each(|&channels| at_most("channels", channels, WIDEST))?;
        let stride = self.stride();
        match self.fields.extents.into_iter().find(|extent| !extent.is_multiple_of(stride)) {
            Some(extent) => Err(NetError::Extent { extent, stride }),
            None => Ok(()),
        }
    }

    /// Names, shapes and places of the parameters, in the order in which the net uses them.
    pub fn layout(&self) -> Layout {
        let mut layout = Layout::empty();
        let mut convolution = |name: String, outputs: usize, inputs: usize| {
            layout.push(name, &[outputs, inputs, 3, 3], 9 * inputs);
        };
        let sites = if self.packed { 4 } else { 1 };
        let (finest, levels) = (self.channels[0], self.channels.len());
        convolution("in.weight".into(), finest, sites * INPUTS);
        convolution("out.weight".into(), sites, finest);
        for (level, &channels) in self.channels.iter().enumerate() {
            let ways: &[&str] = if level + 1 == levels { &["down"] } else { &["down", "up"] };
            for way in ways {
                for block in 0..self.blocks {
                    for kernel in [1, 2] {
                        convolution(format!("{way}.{level}.{block}.conv{kernel}.weight"), channels, channels);
                    }
                }
            }
        }
        for (level, pair) in self.channels.windows(2).enumerate() {
            let (fine, coarse) = (pair[0], pair[1]);
            layout.push(format!("pack.{level}.weight"), &[coarse, 4 * fine], 4 * fine);
            layout.push(format!("unpack.{level}.weight"), &[4 * fine, coarse], coarse);
        }
        let dims = self.embedding().dims();
        layout.push("gains.weight".into(), &[self.gains(), dims], dims);
        layout
    }
}

/// The examples of one step: `n` samples of `sites` values each.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldBatch {
    /// What the net sees, `(n, 2, sites)`: the base's denoised field and the noised field, each of variance about one.
    pub inputs: Vec<f32>,
    /// `ln s` of every sample.
    pub log_noise: Vec<f32>,
    /// What the net should answer, `(n, sites)`.
    pub target: Vec<f32>,
}

impl FieldBatch {
    /// Room for `samples` fields of `sites` values.
    pub fn new(samples: usize, sites: usize) -> Self {
        Self {
            inputs: vec![0.0; samples * INPUTS * sites],
            log_noise: vec![0.0; samples],
            target: vec![0.0; samples * sites],
        }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.log_noise.len()
    }
}

/// An odd, periodic U-Net and its parameters.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{FieldScales, Net, OddUnet, OddUnetConfig};
///
/// let fields = FieldScales { extents: [16, 16], deviation: 1.0, noise: vec![0.1, 1.0], width: vec![0.1, 0.7] };
/// let config = OddUnetConfig::new(fields);
/// assert_eq!(config.stride(), 8);
/// let net = OddUnet::new(config, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// // it has learnt nothing yet
/// let mut answer = vec![1.0; 256];
/// net.evaluate(&[0.3; 512], 0.5, &mut answer);
/// assert!(answer.iter().all(|&x| x == 0.0));
/// # Ok::<(), score_nets::NetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OddUnet {
    config: OddUnetConfig,
    layout: Layout,
    parameters: Vec<f32>,
}

impl OddUnet {
    /// A net that answers zero. Weights are uniform with variance `1 / inputs`; those of the last convolution, of the second
    /// one of every block and of the gains are zero.
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain.
    pub fn new<R: Rng + ?Sized>(config: OddUnetConfig, rng: &mut R) -> Result<Self, NetError> {
        config.validate()?;
        let layout = config.layout();
        let mut parameters = vec![0.0; layout.len()];
        fill_uniform(&layout, &mut parameters, 3f32.sqrt(), rng);
        for tensor in layout.tensors() {
            let name = &tensor.name;
            if name == "out.weight" || name == "gains.weight" || name.ends_with("conv2.weight") {
                parameters[tensor.range.clone()].fill(0.0);
            }
        }
        Ok(Self { config, layout, parameters })
    }

    /// The architecture.
    pub fn config(&self) -> &OddUnetConfig {
        &self.config
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Writes the answers, `(n, sites)`, to inputs `(n, 2, sites)` at one noise level, `s = exp(log_noise)`.
    ///
    /// # Panics
    /// If the lengths do not fit the extents of the net.
    pub fn evaluate(&self, inputs: &[f32], log_noise: f32, out: &mut [f32]) {
        self.graph().evaluate(inputs, log_noise, out);
    }

    /// The net in single precision on the CPU, with constant parameters.
    pub(crate) fn graph(&self) -> OddUnetGraph {
        OddUnetGraph::constant(self, DType::F32, &Device::Cpu).expect("shapes follow from the layout")
    }
}

impl Net for OddUnet {
    const KIND: &'static str = "odd_unet";

    type Config = OddUnetConfig;
    type Batch = FieldBatch;
    type Workspace = ();

    fn layout(config: &OddUnetConfig) -> Result<Layout, NetError> {
        config.validate()?;
        Ok(config.layout())
    }

    fn from_parameters(config: OddUnetConfig, parameters: Vec<f32>) -> Result<Self, NetError> {
        let layout = <Self as Net>::layout(&config)?;
        layout.check(&parameters)?;
        Ok(Self { config, layout, parameters })
    }

    fn config(&self) -> &OddUnetConfig {
        &self.config
    }

    fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    fn workspace(&self) {}

    /// The mean over samples and sites of the squared error.
    fn loss_and_gradient(&self, batch: &FieldBatch, (): &mut (), gradient: &mut [f32]) -> f32 {
        self.loss_and_gradient_on(&Solo, batch, &mut (), gradient)
    }

    /// Samples are cut into chunks, each with a graph of its own, which are shared out among the processes; gradients are added
    /// in the order of the chunks.
    fn loss_and_gradient_on(
        &self,
        communicator: &dyn Communicator,
        batch: &FieldBatch,
        (): &mut (),
        gradient: &mut [f32],
    ) -> f32 {
        let chunks = communicator.share(batch.samples().div_ceil(self.config.chunk()));
        let parts = self.chunk_gradients(batch, chunks);
        let size = self.parameters.len();
        let all = if communicator.size() > 1 {
            let bytes: Vec<u8> = parts.iter().flat_map(|value| value.to_le_bytes()).collect();
            let value = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
            communicator.gather(&bytes).iter().flat_map(|part| part.chunks_exact(4).map(value)).collect()
        } else {
            parts
        };

        assert_eq!(gradient.len(), size, "the gradient has one element per parameter");
        let scale = 1.0 / (batch.samples() * self.config.fields.sites()) as f64;
        gradient.fill(0.0);
        let mut loss = 0.0;
        for part in all.chunks_exact(size + 1) {
            let (by_parameter, of_chunk) = part.split_at(size);
            loss += scale * f64::from(of_chunk[0]);
            gradient.iter_mut().zip(by_parameter).for_each(|(sum, part)| *sum += scale as f32 * part);
        }
        loss as f32
    }
}

impl OddUnet {
    /// The gradient of the summed squared error of every chunk by all parameters, and then the error itself.
    fn chunk_gradients(&self, batch: &FieldBatch, chunks: Range<usize>) -> Vec<f32> {
        let (graph, variables) = OddUnetGraph::trainable(self, DType::F32, &Device::Cpu)
            .expect("parameters have the shapes of the layout");
        let [h, w] = self.config.fields.extents;
        let (sites, samples) = (h * w, batch.samples());
        let rows_of_chunk = self.config.chunk();
        let chunk = |chunk: usize| -> candle_core::Result<Vec<f32>> {
            let rows = chunk * rows_of_chunk..samples.min((chunk + 1) * rows_of_chunk);
            let count = rows.len();
            let inputs = &batch.inputs[rows.start * INPUTS * sites..rows.end * INPUTS * sites];
            let inputs = Tensor::from_slice(inputs, (count, INPUTS, h, w), &Device::Cpu)?;
            let target = &batch.target[rows.start * sites..rows.end * sites];
            let target = Tensor::from_slice(target, (count, 1, h, w), &Device::Cpu)?;
            let log_noise = Tensor::from_slice(&batch.log_noise[rows], count, &Device::Cpu)?;
            let loss = (graph.forward(&inputs, &log_noise)? - target)?.sqr()?.sum_all()?;
            let gradients = loss.backward()?;
            // Variables come in the order of the layout, which has no gaps.
            let mut flat = Vec::with_capacity(self.parameters.len() + 1);
            for variable in &variables {
                match gradients.get(variable) {
                    Some(gradient) => flat.extend(gradient.flatten_all()?.to_vec1::<f32>()?),
                    None => flat.resize(flat.len() + variable.elem_count(), 0.0),
                }
            }
            flat.push(loss.to_scalar()?);
            Ok(flat)
        };
        let parts: Vec<_> = chunks
            .into_par_iter()
            .map(|number| chunk(number).expect("shapes follow from the layout"))
            .collect();
        parts.concat()
    }
}
