//! One net for many parameters of a theory.
//!
//! What a parameter of the action changes of a net are its gains: polynomials of a coordinate `c`, that of the parameter,
//!
//! ```text
//! g = 1 + sum_j c^j A_j e(ln s) ,      j = 0 .. degree .
//! ```
//!
//! At any `c` this is an [`OddUnet`] with `A = sum_j c^j A_j`. As such it is sampled from, and as such it is trained: a batch has
//! parts, each with a `c` of its own, and a part's gradient by `A` is its share of the gradient by `A_j`, times `c^j`.

use super::{FieldBatch, FieldBatches, FieldScales, OddUnet, OddUnetConfig};
use crate::error::{DEEPEST, at_most};
use crate::{BatchSource, Layout, Net, NetError, SourceSettings};
use rand::Rng;
use sde_core::{Communicator, Solo};
use serde::{Deserialize, Serialize};
use std::io;

/// The architecture of a [`ConditionalUnet`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionalUnetConfig {
    /// The architecture at one value of the coordinate. The scales of its fields are those of no value in particular: see
    /// [`ConditionalUnet::at`].
    pub unet: OddUnetConfig,
    /// Highest power of the coordinate in the gains.
    pub degree: usize,
}

impl ConditionalUnetConfig {
    /// The layout of the net at one value, but for the gains, and `gains.{j}.weight` for every power.
    fn layout(&self) -> Result<Layout, NetError> {
        self.unet.validate()?;
        at_most("degree", self.degree, DEEPEST)?;
        let mut layout = Layout::empty();
        let of_one = self.unet.layout();
        let (gains, kernels) = of_one.tensors().split_last().expect("a net has gains");
        for tensor in kernels {
            layout.push(tensor.name.clone(), &tensor.shape, tensor.fan_in);
        }
        for power in 0..=self.degree {
            layout.push(format!("gains.{power}.weight"), &gains.shape, gains.fan_in);
        }
        Ok(layout)
    }
}

/// The examples of one step: parts with a value of the coordinate each.
pub type ConditionalBatch = Vec<(f64, FieldBatch)>;

/// A family of odd, periodic U-Nets, and its parameters.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{ConditionalUnet, ConditionalUnetConfig, FieldScales, Net, OddUnetConfig};
///
/// let fields = FieldScales { extents: [16, 16], deviation: 1.0, noise: vec![0.1, 1.0], width: vec![0.1, 0.7] };
/// let config = ConditionalUnetConfig { unet: OddUnetConfig::new(fields.clone()), degree: 2 };
/// let family = ConditionalUnet::new(config, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// // a net between those that the family was trained at, for fields of a scale of their own
/// let net = family.at(0.3, FieldScales { deviation: 1.4, ..fields })?;
/// assert_eq!(net.config().fields.deviation, 1.4);
/// assert!(net.parameters().len() < family.parameters().len());
/// # Ok::<(), score_nets::NetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConditionalUnet {
    config: ConditionalUnetConfig,
    layout: Layout,
    parameters: Vec<f32>,
}

impl ConditionalUnet {
    /// Nets that answer zero, with the initial weights of [`OddUnet::new`].
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain.
    pub fn new<R: Rng + ?Sized>(config: ConditionalUnetConfig, rng: &mut R) -> Result<Self, NetError> {
        let layout = config.layout()?;
        let mut parameters = OddUnet::new(config.unet.clone(), rng)?.parameters().to_vec();
        // The gains come last, and start at zero.
        parameters.resize(layout.len(), 0.0);
        Ok(Self { config, layout, parameters })
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The net at one value of the coordinate, for fields of these scales.
    ///
    /// # Errors
    /// [`NetError`] for scales that are out of their domain or of a lattice that the net does not fit on.
    pub fn at(&self, coordinate: f64, fields: FieldScales) -> Result<OddUnet, NetError> {
        let config = OddUnetConfig { fields, ..self.config.unet.clone() };
        let (kernels, by_power) = self.parameters.split_at(self.kernels());
        let gains = self.gains();
        let mut parameters = [kernels, &by_power[..gains]].concat();
        let (_, sum) = parameters.split_at_mut(kernels.len());
        for (power, part) in by_power.chunks_exact(gains).enumerate().skip(1) {
            let factor = coordinate.powi(power as i32) as f32;
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += factor * part);
        }
        OddUnet::from_parameters(config, parameters)
    }

    /// Elements of `A`.
    fn gains(&self) -> usize {
        self.layout.tensors().last().map_or(0, |gains| gains.range.len())
    }

    /// Parameters that do not depend on the coordinate.
    fn kernels(&self) -> usize {
        self.layout.len() - (self.config.degree + 1) * self.gains()
    }
}

impl Net for ConditionalUnet {
    const KIND: &'static str = "conditional_unet";

    type Config = ConditionalUnetConfig;
    type Batch = ConditionalBatch;
    type Workspace = ();

    fn layout(config: &ConditionalUnetConfig) -> Result<Layout, NetError> {
        config.layout()
    }

    fn from_parameters(config: ConditionalUnetConfig, parameters: Vec<f32>) -> Result<Self, NetError> {
        let layout = config.layout()?;
        layout.check(&parameters)?;
        Ok(Self { config, layout, parameters })
    }

    fn config(&self) -> &ConditionalUnetConfig {
        &self.config
    }

    fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    fn workspace(&self) {}

    /// The mean over all samples and sites of the squared error.
    fn loss_and_gradient(&self, batch: &ConditionalBatch, (): &mut (), gradient: &mut [f32]) -> f32 {
        self.loss_and_gradient_on(&Solo, batch, &mut (), gradient)
    }

    fn loss_and_gradient_on(
        &self,
        communicator: &dyn Communicator,
        batch: &ConditionalBatch,
        (): &mut (),
        gradient: &mut [f32],
    ) -> f32 {
        let samples: usize = batch.iter().map(|(_, part)| part.samples()).sum();
        let kernels = self.kernels();
        let mut of_part = vec![0.0; kernels + self.gains()];
        gradient.fill(0.0);
        let (by_kernel, by_power) = gradient.split_at_mut(kernels);
        let mut loss = 0.0;
        for (coordinate, part) in batch {
            let net = self
                .at(*coordinate, self.config.unet.fields.clone())
                .expect("an architecture that was checked, and finite coordinates");
            let share = part.samples() as f32 / samples as f32;
            loss += share * net.loss_and_gradient_on(communicator, part, &mut (), &mut of_part);
            let (kernel_part, gain_part) = of_part.split_at(kernels);
            by_kernel.iter_mut().zip(kernel_part).for_each(|(sum, part)| *sum += share * part);
            for (power, sum) in by_power.chunks_exact_mut(gain_part.len()).enumerate() {
                let factor = share * coordinate.powi(power as i32) as f32;
                sum.iter_mut().zip(gain_part).for_each(|(sum, part)| *sum += factor * part);
            }
        }
        loss
    }
}

/// Batches for a [`ConditionalUnet`]: one part from every ensemble.
#[derive(Debug)]
pub struct ConditionalBatches<'a> {
    /// The coordinate of every ensemble, and its batches.
    parts: Vec<(f64, FieldBatches<'a>)>,
}

impl<'a> ConditionalBatches<'a> {
    /// Parts of these batches, with the coordinates that they are at.
    ///
    /// # Errors
    /// [`NetError`] if there are none, or a coordinate is not finite.
    pub fn new(parts: Vec<(f64, FieldBatches<'a>)>) -> Result<Self, NetError> {
        if parts.is_empty() {
            return Err(NetError::Empty { name: "parts" });
        }
        match parts.iter().position(|(coordinate, _)| !coordinate.is_finite()) {
            Some(index) => Err(NetError::Coordinate { index, value: parts[index].0 }),
            None => Ok(Self { parts }),
        }
    }
}

impl BatchSource for ConditionalBatches<'_> {
    type Net = ConditionalUnet;

    fn samples(&self) -> usize {
        self.parts.iter().map(|(_, part)| part.samples()).sum()
    }

    fn buffer(&self) -> ConditionalBatch {
        self.parts.iter().map(|(coordinate, part)| (*coordinate, part.buffer())).collect()
    }

    fn fill(&mut self, step: u64, batch: &mut ConditionalBatch) -> io::Result<()> {
        assert_eq!(batch.len(), self.parts.len(), "the buffer was made for another number of parts");
        self.parts.iter_mut().zip(batch).try_for_each(|((_, part), (_, batch))| part.fill(step, batch))
    }

    fn settings(&self) -> SourceSettings {
        let parts: Vec<_> = self.parts.iter().map(|(c, part)| (c, part.settings())).collect();
        let config: Vec<_> = parts.iter().map(|(c, part)| (c, part.seed, &part.config)).collect();
        let data: Vec<&str> = parts.iter().map(|(_, part)| part.data.as_str()).collect();
        SourceSettings {
            kind: "conditional_fields".into(),
            seed: parts[0].1.seed,
            config: serde_json::json!(config).to_string(),
            data: data.join(" "),
        }
    }
}
