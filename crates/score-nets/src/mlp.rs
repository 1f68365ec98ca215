//! The net: a function of one variable `x` and a noise level, with two hidden layers.
//!
//! ```text
//! h1  = act( w1 x  + b1 + E1 e(c) + be1 )
//! h2  = act( W2 h1 + b2 + E2 e(c) + be2 )
//! out = w3 . h2 + b3
//! ```
//!
//! `c` is the coordinate of the noise level and `e` its [`Embedding`]. It is the architecture of the paper's
//! two-peak nets (Sec. 4), 1-64-64-1. An *odd* net answers `F(x) = [ out(x) - out(-x) ] / 2`: an even density
//! has an odd score, and a net that cannot break the symmetry need not learn it.
//!
//! All parameters live in one flat vector; [`Layout`] says where. Optimisers, averages and checkpoints then
//! deal with one slice.

use crate::error::{WIDEST, at_most};
use crate::init::fill_like_pytorch;
use crate::places::Places;
use crate::{Activation, Embedding, Layout, NetError};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// The architecture of an [`Mlp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MlpConfig {
    /// Neurons in each of the two hidden layers, a multiple of 16.
    pub width: usize,
    /// The nonlinearity of the hidden layers.
    pub activation: Activation,
    /// How the noise level enters.
    pub embedding: Embedding,
    /// Whether the two embedding layers have biases `be1`, `be2` of their own. They duplicate `b1` and `b2`,
    /// but published nets have them.
    pub embedding_bias: bool,
    /// Whether the net is made odd in `x`. Then `b3` cancels and does not exist.
    pub odd: bool,
}

impl MlpConfig {
    /// The paper's two-peak nets: 64 neurons, leaky rectifiers, 128 sines and cosines of `t`.
    pub fn paper() -> Self {
        Self {
            width: 64,
            activation: Activation::LeakyRelu,
            embedding: Embedding::Sinusoidal { dims: 128 },
            embedding_bias: true,
            odd: false,
        }
    }

    /// The odd, smooth net behind [`ResidualScore`](crate::ResidualScore): 64 neurons, SiLU, 8 harmonics of
    /// `ln(V)/2`.
    pub fn residual() -> Self {
        Self {
            width: 64,
            activation: Activation::Silu,
            embedding: Embedding::LogNoise { harmonics: 8 },
            embedding_bias: false,
            odd: true,
        }
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> Layout {
        Places::new(self).0
    }

    /// # Errors
    /// [`NetError`] unless `width` is a positive multiple of 16 and the embedding is not empty.
    pub fn validate(&self) -> Result<(), NetError> {
        if self.width == 0 || !self.width.is_multiple_of(16) {
            return Err(NetError::Width { width: self.width });
        }
        at_most("width", self.width, WIDEST)?;
        self.embedding.validate()
    }
}

/// A net and its parameters.
///
/// This form is for training, storing and averaging; [`FusedMlp`](crate::FusedMlp) evaluates it fast.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{Mlp, MlpConfig};
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let mlp = Mlp::new(MlpConfig::paper(), &mut rng)?;
/// let weight = mlp.tensor("network.hidden_layers.1.linear.weight").unwrap();
/// assert!(weight.iter().all(|w| w.abs() <= 1.0 / 8.0));
/// let copy = Mlp::from_parameters(MlpConfig::paper(), mlp.parameters().to_vec())?;
/// assert_eq!(copy, mlp);
/// # Ok::<(), score_nets::NetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Mlp {
    config: MlpConfig,
    layout: Layout,
    pub(crate) places: Places,
    parameters: Vec<f32>,
}

impl Mlp {
    /// A net with random weights and biases, uniform in `+-1/sqrt(inputs)` as PyTorch draws them.
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain.
    pub fn new<R: Rng + ?Sized>(config: MlpConfig, rng: &mut R) -> Result<Self, NetError> {
        config.validate()?;
        let (layout, places) = Places::new(&config);
        let mut parameters = vec![0.0; layout.len()];
        fill_like_pytorch(&layout, &mut parameters, rng);
        Ok(Self { config, layout, places, parameters })
    }

    /// The same net with its last layer set to zero, which makes its answer zero: a net that learns a
    /// correction starts from no correction.
    #[must_use]
    pub fn with_zero_output(mut self) -> Self {
        let places = &self.places;
        self.parameters[places.w3.clone()].fill(0.0);
        self.parameters[places.b3.clone()].fill(0.0);
        self
    }

    /// A net from its flat parameter vector.
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain, the length is wrong or a value is not finite.
    pub fn from_parameters(config: MlpConfig, parameters: Vec<f32>) -> Result<Self, NetError> {
        config.validate()?;
        let (layout, places) = Places::new(&config);
        layout.check(&parameters)?;
        Ok(Self { config, layout, places, parameters })
    }

    /// The architecture.
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// All parameters.
    pub fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// All parameters, for an optimiser.
    pub fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    /// The values of one named tensor, row-major.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        self.layout.find(name).map(|tensor| &self.parameters[tensor.range.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn the_layout_has_no_gaps_and_the_published_names() {
        for (config, tensors) in [(MlpConfig::paper(), 10), (MlpConfig::residual(), 7)] {
            let layout = config.layout();
            assert_eq!(layout.tensors().len(), tensors);
            let mut at = 0;
            for tensor in layout.tensors() {
                assert_eq!(tensor.range.start, at);
                assert_eq!(tensor.range.len(), tensor.shape.iter().product::<usize>());
                at = tensor.range.end;
            }
            assert_eq!(at, layout.len());
        }
        let names: Vec<String> =
            MlpConfig::paper().layout().tensors().iter().map(|t| t.name.clone()).collect();
        for layer in 0..2 {
            for part in ["linear", "embed.1"] {
                for kind in ["weight", "bias"] {
                    assert!(names.contains(&format!("network.hidden_layers.{layer}.{part}.{kind}")));
                }
            }
        }
        assert!(names.contains(&"network.final.weight".into()));
        assert!(names.contains(&"network.final.bias".into()));
    }

    #[test]
    fn wrong_parameters_are_refused() {
        let config = MlpConfig::residual();
        let length = config.layout().len();
        assert_eq!(
            Mlp::from_parameters(config, vec![0.0; 3]),
            Err(NetError::Length { expected: length, found: 3 })
        );
        let mut parameters = vec![0.0; length];
        parameters[5] = f32::INFINITY;
        assert_eq!(
            Mlp::from_parameters(config, parameters),
            Err(NetError::NotFinite { index: 5, value: f32::INFINITY })
        );
        for width in [0, 8, 65] {
            let config = MlpConfig { width, ..config };
            assert_eq!(
                Mlp::new(config, &mut Pcg64::seed_from_u64(1)).unwrap_err(),
                NetError::Width { width }
            );
        }
    }
}
