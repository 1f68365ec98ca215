//! Where the tensors of an [`Mlp`](crate::Mlp) lie, by their role.

use crate::{Layout, MlpConfig};
use std::ops::Range;

/// The ranges of the [`Layout`] of an MLP by role, for the kernels.
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

impl Places {
    /// The layout of an architecture, and the places in it.
    ///
    /// The two embedding weights are neighbours, so that one matrix product serves both layers.
    pub(crate) fn new(config: &MlpConfig) -> (Layout, Self) {
        let (width, dims) = (config.width, config.embedding.dims());
        let mut layout = Layout::empty();
        let mut place =
            |name: &str, shape: &[usize], fan_in| layout.push(format!("network.{name}"), shape, fan_in);
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
        let places = Self { w1, b1, e: e1.start..e2.end, be, w2, b2, w3, b3 };
        (layout, places)
    }
}
