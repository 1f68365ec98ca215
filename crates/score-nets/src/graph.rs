//! The net as a candle graph.
//!
//! The same formulas as [`Mlp`] in tensors: slower on a CPU, but with automatic differentiation and on every
//! device candle has. It is the oracle of the hand-written gradients, and the way to train on an accelerator.
//!
//! Two habits of candle to know: gradients are computed for constant inputs too, so feed `x` and the
//! coordinate detached; and weights drawn by candle on a CPU cannot be seeded, so start from
//! [`MlpGraph::from_mlp`].

use crate::{Activation, Embedding, Mlp, MlpConfig, NetError};
use candle_core::{D, DType, Device, Tensor, Var};
use candle_nn::VarBuilder;
use std::collections::HashMap;

/// A net does not make the way to candle or back.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// candle's own error.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// The architecture or its parameters are out of their domain.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// An [`Mlp`] whose parameters are candle tensors.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::candle_core::{DType, Device, Tensor};
/// use score_nets::{Mlp, MlpConfig, MlpGraph};
/// let mlp = Mlp::new(MlpConfig::paper(), &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// let (graph, variables) = MlpGraph::from_mlp(&mlp, DType::F32, &Device::Cpu)?;
/// let x = Tensor::new(&[0.5f32, -0.5], &Device::Cpu)?;
/// let t = Tensor::new(&[0.1f32, 0.2], &Device::Cpu)?;
/// let gradients = graph.forward(&x, &t)?.sqr()?.mean_all()?.backward()?;
/// assert!(variables.iter().all(|v| gradients.get(v).is_some()));
/// assert_eq!(graph.to_mlp()?, mlp);
/// # Ok::<(), score_nets::GraphError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MlpGraph {
    config: MlpConfig,
    tensors: HashMap<String, Tensor>,
    frequencies: Tensor,
}

impl MlpGraph {
    /// Takes the tensors named as in [`MlpConfig::layout`] from a builder.
    ///
    /// # Errors
    /// [`GraphError`] if the architecture is out of its domain, or a tensor is missing or misshapen.
    pub fn new(config: MlpConfig, builder: &VarBuilder<'_>) -> Result<Self, GraphError> {
        config.validate()?;
        let tensors = config
            .layout()
            .tensors()
            .iter()
            .map(|spec| Ok((spec.name.clone(), builder.get(spec.shape.as_slice(), &spec.name)?)))
            .collect::<candle_core::Result<_>>()?;
        let frequencies = Tensor::new(config.embedding.angular_frequencies(), builder.device())?
            .to_dtype(builder.dtype())?;
        Ok(Self { config, tensors, frequencies })
    }

    /// A copy of a net, and its parameters as variables for an optimiser, in the order of the layout.
    ///
    /// # Errors
    /// [`GraphError`] if the device fails.
    pub fn from_mlp(mlp: &Mlp, dtype: DType, device: &Device) -> Result<(Self, Vec<Var>), GraphError> {
        let mut variables = Vec::new();
        let mut tensors = HashMap::new();
        for spec in mlp.layout().tensors() {
            let values = &mlp.parameters()[spec.range.clone()];
            let tensor = Tensor::from_slice(values, spec.shape.as_slice(), device)?.to_dtype(dtype)?;
            let variable = Var::from_tensor(&tensor)?;
            tensors.insert(spec.name.clone(), variable.as_tensor().clone());
            variables.push(variable);
        }
        let graph = Self::new(*mlp.config(), &VarBuilder::from_tensors(tensors, dtype, device))?;
        Ok((graph, variables))
    }

    /// The net in its flat form, rounded to single precision.
    ///
    /// # Errors
    /// [`GraphError`] if a parameter has become infinite or the device fails.
    pub fn to_mlp(&self) -> Result<Mlp, GraphError> {
        let layout = self.config.layout();
        let mut parameters = Vec::with_capacity(layout.len());
        for spec in layout.tensors() {
            let tensor = self.tensors[&spec.name].flatten_all()?.to_dtype(DType::F32)?;
            parameters.extend(tensor.to_vec1::<f32>()?);
        }
        Ok(Mlp::from_parameters(self.config, parameters)?)
    }

    /// The answers, shape `(rows,)`, to inputs and coordinates of that shape.
    ///
    /// # Errors
    /// candle's, if shapes or types do not fit.
    pub fn forward(&self, x: &Tensor, coordinate: &Tensor) -> candle_core::Result<Tensor> {
        let embedded = self.embed(coordinate)?;
        let shifts = [self.shift(0, &embedded)?, self.shift(1, &embedded)?];
        let answer = self.net(x, &shifts)?;
        if self.config.odd { (answer - self.net(&x.neg()?, &shifts)?)? * 0.5 } else { Ok(answer) }
    }

    fn net(&self, x: &Tensor, shifts: &[Tensor; 2]) -> candle_core::Result<Tensor> {
        let mut hidden = x.unsqueeze(1)?;
        for (layer, shift) in shifts.iter().enumerate() {
            let weight = &self.tensors[&format!("network.hidden_layers.{layer}.linear.weight")];
            let sum = (hidden.matmul(&weight.t()?)? + shift)?;
            hidden = match self.config.activation {
                Activation::LeakyRelu => candle_nn::ops::leaky_relu(&sum, 0.01)?,
                Activation::Silu => (&sum * candle_nn::ops::sigmoid(&sum)?)?,
            };
        }
        let answer = hidden.matmul(&self.tensors["network.final.weight"].t()?)?.squeeze(1)?;
        match self.tensors.get("network.final.bias") {
            Some(bias) => answer.broadcast_add(bias),
            None => Ok(answer),
        }
    }

    /// What layer `layer` adds to its inputs: biases and embedding, shape `(rows, width)`.
    fn shift(&self, layer: usize, embedded: &Tensor) -> candle_core::Result<Tensor> {
        let name = |part: &str| format!("network.hidden_layers.{layer}.{part}");
        let shift = embedded.matmul(&self.tensors[&name("embed.1.weight")].t()?)?;
        let shift = shift.broadcast_add(&self.tensors[&name("linear.bias")])?;
        match self.tensors.get(&name("embed.1.bias")) {
            Some(bias) => shift.broadcast_add(bias),
            None => Ok(shift),
        }
    }

    fn embed(&self, coordinate: &Tensor) -> candle_core::Result<Tensor> {
        let column = coordinate.detach().unsqueeze(1)?;
        let phases = column.broadcast_mul(&self.frequencies.unsqueeze(0)?)?;
        let waves = [phases.sin()?, phases.cos()?];
        match self.config.embedding {
            Embedding::Sinusoidal { .. } => Tensor::cat(&waves, D::Minus1),
            Embedding::LogNoise { .. } => {
                let [sines, cosines] = waves;
                Tensor::cat(&[(column * 0.5)?, sines, cosines], D::Minus1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FusedMlp, TrainingBatch, Workspace, loss_and_gradient};
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    fn double(values: &[f32]) -> Tensor {
        Tensor::from_slice(values, values.len(), &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
    }

    #[test]
    fn gradients_match_automatic_differentiation() {
        // More samples than fit one block of the hand-written code.
        let samples = 601;
        for config in [
            MlpConfig::paper(),
            MlpConfig::residual(),
            MlpConfig { odd: true, width: 32, ..MlpConfig::paper() },
            MlpConfig { odd: false, width: 16, embedding_bias: true, ..MlpConfig::residual() },
        ] {
            let mut rng = Pcg64::seed_from_u64(8);
            let mlp = Mlp::new(config, &mut rng).unwrap();
            let mut column = |low: f32, high: f32| -> Vec<f32> {
                (0..samples).map(|_| rng.random_range(low..high)).collect()
            };
            let (x, c, target, weight) =
                (column(-2.0, 2.0), column(0.0, 1.0), column(-1.0, 1.0), column(0.1, 2.0));
            let batch = TrainingBatch { x: &x, coordinate: &c, target: &target, weight: &weight };
            let mut gradient = vec![f32::NAN; mlp.parameters().len()];
            let mut workspace = Workspace::new(&mlp);
            let loss = loss_and_gradient(&mlp, batch, &mut workspace, &mut gradient);

            let (graph, variables) = MlpGraph::from_mlp(&mlp, DType::F64, &Device::Cpu).unwrap();
            let error = (graph.forward(&double(&x), &double(&c)).unwrap() - double(&target)).unwrap();
            let oracle = (error.sqr().unwrap() * double(&weight)).unwrap().mean_all().unwrap();
            let exact = oracle.to_scalar::<f64>().unwrap();
            assert!((f64::from(loss) / exact - 1.0).abs() < 1e-6, "{loss} {exact}");
            let gradients = oracle.backward().unwrap();
            for (spec, variable) in mlp.layout().tensors().iter().zip(&variables) {
                let exact = gradients.get(variable).unwrap().flatten_all().unwrap();
                let exact = exact.to_vec1::<f64>().unwrap();
                let norm = exact.iter().map(|g| g * g).sum::<f64>().sqrt();
                let difference = gradient[spec.range.clone()]
                    .iter()
                    .zip(&exact)
                    .map(|(&g, e)| (f64::from(g) - e).powi(2))
                    .sum::<f64>()
                    .sqrt();
                assert!(difference < 1e-5 * norm, "{}: {difference:e} of {norm:e}", spec.name);
            }

            // Nothing of the last batch is left in the workspace, and the same batch gives the same bits.
            let first = gradient.clone();
            let part =
                TrainingBatch { x: &x[..9], coordinate: &c[..9], target: &target[..9], weight: &weight[..9] };
            loss_and_gradient(&mlp, part, &mut workspace, &mut gradient);
            assert_ne!(first, gradient);
            assert_eq!(loss_and_gradient(&mlp, batch, &mut workspace, &mut gradient), loss);
            assert_eq!(first, gradient);
        }
    }

    #[test]
    fn inference_matches_the_graph() {
        for config in [
            MlpConfig::paper(),
            MlpConfig::residual(),
            MlpConfig { odd: true, width: 32, ..MlpConfig::paper() },
            MlpConfig { odd: false, width: 16, ..MlpConfig::residual() },
        ] {
            let mlp = Mlp::new(config, &mut Pcg64::seed_from_u64(9)).unwrap();
            let (graph, _) = MlpGraph::from_mlp(&mlp, DType::F64, &Device::Cpu).unwrap();
            let net = FusedMlp::new(mlp);
            let x: Vec<f64> = (0..301).map(|i| f64::from(i) / 50.0 - 3.0).collect();
            let mut out = vec![0.0; x.len()];
            for coordinate in [0.0, 0.37, 1.0] {
                net.evaluate(&net.fold(coordinate), 1.0, &x, &mut out);
                let rows = Tensor::from_slice(&x, x.len(), &Device::Cpu).unwrap();
                let exact = graph.forward(&rows, &rows.affine(0.0, coordinate).unwrap()).unwrap();
                for (o, e) in out.iter().zip(exact.to_vec1::<f64>().unwrap()) {
                    assert!((o - e).abs() < 1e-6, "{config:?} {coordinate}: {o} {e}");
                }
            }
        }
    }

    #[test]
    fn missing_tensors_are_refused() {
        let builder = VarBuilder::from_tensors(HashMap::new(), DType::F32, &Device::Cpu);
        assert!(matches!(MlpGraph::new(MlpConfig::paper(), &builder), Err(GraphError::Candle(_))));
    }
}
