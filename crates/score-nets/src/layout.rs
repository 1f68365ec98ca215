//! Where each tensor lies in the flat vector of parameters.

use crate::MlpConfig;
use std::ops::Range;

/// One named tensor of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name it has in a published state dict.
    pub name: String,
    /// Its shape; a weight is `(outputs, inputs)`, row-major.
    pub shape: Vec<usize>,
    /// Its place in the flat vector.
    pub range: Range<usize>,
    /// Number of inputs of the linear map it belongs to.
    pub fan_in: usize,
}

/// The named tensors of a net, one after the other in one flat vector without gaps.
///
/// The two embedding weights are neighbours, so that one matrix product serves both layers.
///
/// ```
/// use score_nets::MlpConfig;
/// let layout = MlpConfig::paper().layout();
/// assert_eq!(layout.len(), 2 * 64 + 64 * 65 + 2 * 64 * 129 + 65);
/// let weight = layout.find("network.hidden_layers.1.linear.weight").unwrap();
/// assert_eq!(weight.shape, [64, 64]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    tensors: Vec<TensorSpec>,
    pub(crate) places: Places,
}

/// The ranges of [`Layout`] by role, for the kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) w1: Range<usize>,
    pub(crate) b1: Range<usize>,
    /// Both embedding weights, `(2 width, dims)`.
    pub(crate) e: Range<usize>,
    /// Both embedding biases; empty where the net has none.
    pub(crate) be: [Range<usize>; 2],
    pub(crate) w2: Range<usize>,
    pub(crate) b2: Range<usize>,
    pub(crate) w3: Range<usize>,
    /// Empty for an odd net.
    pub(crate) b3: Range<usize>,
}

impl Layout {
    pub(crate) fn new(config: &MlpConfig) -> Self {
        let (width, dims) = (config.width, config.embedding.dims());
        let mut tensors = Vec::new();
        let mut at = 0;
        let mut place = |name: &str, shape: &[usize], fan_in: usize| {
            let range = at..at + shape.iter().product::<usize>();
            at = range.end;
            tensors.push(TensorSpec {
                name: format!("network.{name}"),
                shape: shape.to_vec(),
                range: range.clone(),
                fan_in,
            });
            range
        };
        let w1 = place("hidden_layers.0.linear.weight", &[width, 1], 1);
        let b1 = place("hidden_layers.0.linear.bias", &[width], 1);
        let e1 = place("hidden_layers.0.embed.1.weight", &[width, dims], dims);
        let e2 = place("hidden_layers.1.embed.1.weight", &[width, dims], dims);
        let be = if config.embedding_bias {
            [
                place("hidden_layers.0.embed.1.bias", &[width], dims),
                place("hidden_layers.1.embed.1.bias", &[width], dims),
            ]
        } else {
            [0..0, 0..0]
        };
        let w2 = place("hidden_layers.1.linear.weight", &[width, width], width);
        let b2 = place("hidden_layers.1.linear.bias", &[width], width);
        let w3 = place("final.weight", &[1, width], width);
        let b3 = if config.odd { 0..0 } else { place("final.bias", &[1], width) };
        let places = Places { w1, b1, e: e1.start..e2.end, be, w2, b2, w3, b3 };
        Self { tensors, places }
    }

    /// The tensors, in the order of the flat vector.
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// The tensor of that name.
    pub fn find(&self, name: &str) -> Option<&TensorSpec> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The length of the flat vector: the number of parameters.
    #[expect(clippy::len_without_is_empty, reason = "a net has parameters")]
    pub fn len(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.range.end)
    }
}
