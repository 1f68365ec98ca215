//! The layers of a published net, and where their parameters lie.
//!
//! What a layer writes lies beside what it will be joined with: the fields of level `i` are `(up, down)`, of the coarsest level
//! `(down)` alone, so that nothing is ever copied together.

use super::PublishedUnetConfig;
use crate::Layout;
use std::ops::Range;

/// Some of the channels of a level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) level: usize,
    pub(super) range: Range<usize>,
}

/// A convolution, its time, norm and activation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    /// `down.i` or `up.i`.
    pub(super) name: String,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    pub(super) groups: usize,
    /// What it acts on; without, the field itself.
    pub(super) from: Option<Channels>,
    pub(super) to: Channels,
    /// Its channels among those of all layers: the rows of the dense matrix.
    pub(super) times: Range<usize>,
    pub(super) kernel: Range<usize>,
    pub(super) scale: Range<usize>,
    pub(super) shift: Range<usize>,
}

/// Parameters by their role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) embed: Range<usize>,
    pub(super) embed_bias: Range<usize>,
    /// One matrix for all layers.
    pub(super) dense: Range<usize>,
    pub(super) dense_bias: Range<usize>,
    pub(super) layers: Vec<Layer>,
    pub(super) out: Range<usize>,
    pub(super) out_bias: Range<usize>,
}

impl Places {
    pub(super) fn new(config: &PublishedUnetConfig) -> (Layout, Self) {
        let mut layers = layers(config);
        let features = config.features;
        let mut layout = Layout::empty();
        let mut place = |name: &str, shape: &[usize], fan_in| layout.push(name.to_string(), shape, fan_in);
        let embed = place("embed.weight", &[features, features], features);
        let embed_bias = place("embed.bias", &[features], features);
        let mut join = |what: &str, shape: &[usize]| {
            let ranges = layers.iter().map(|layer| {
                place(&format!("{}.dense.{what}", layer.name), &[&[layer.outputs], shape].concat(), features)
            });
            ranges.reduce(|all, next| all.start..next.end).expect("a net has layers")
        };
        let (dense, dense_bias) = (join("weight", &[features]), join("bias", &[]));
        for layer in &mut layers {
            let Layer { outputs, inputs, .. } = *layer;
            layer.kernel =
                place(&format!("{}.conv.weight", layer.name), &[outputs, inputs, 3, 3], 9 * inputs);
            layer.scale = place(&format!("{}.norm.weight", layer.name), &[outputs], 1);
            layer.shift = place(&format!("{}.norm.bias", layer.name), &[outputs], 1);
        }
        let last = level_channels(&config.channels, 0);
        let out = place("out.weight", &[1, last, 3, 3], 9 * last);
        let out_bias = place("out.bias", &[1], 9 * last);
        (layout, Self { embed, embed_bias, dense, dense_bias, layers, out, out_bias })
    }
}

/// Channels of a level, both ways.
pub(super) fn level_channels(channels: &[usize], level: usize) -> usize {
    if level + 1 == channels.len() { channels[level] } else { 2 * channels[level] }
}

/// The layers in the order in which they act, without parameters yet.
fn layers(config: &PublishedUnetConfig) -> Vec<Layer> {
    let channels = &config.channels;
    let coarsest = channels.len() - 1;
    let all = |level| Channels { level, range: 0..level_channels(channels, level) };
    let half = |level: usize, down: bool| {
        let start = if down && level < coarsest { channels[level] } else { 0 };
        Channels { level, range: start..start + channels[level] }
    };
    let down = (0..=coarsest).map(|level| {
        let from = level.checked_sub(1).map(|above| half(above, true));
        (format!("down.{level}"), from, half(level, true))
    });
    let up =
        (0..coarsest).rev().map(|level| (format!("up.{level}"), Some(all(level + 1)), half(level, false)));
    let mut times = 0;
    let layer = |(name, from, to): (String, Option<Channels>, Channels)| {
        let outputs = to.range.len();
        times += outputs;
        Layer {
            groups: if from.is_none() { config.first_groups } else { config.groups },
            name,
            outputs,
            inputs: from.as_ref().map_or(1, |from| from.range.len()),
            from,
            to,
            times: times - outputs..times,
            kernel: 0..0,
            scale: 0..0,
            shift: 0..0,
        }
    };
    down.chain(up).map(layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_up_sees_both_ways() {
        let config = PublishedUnetConfig::paper();
        let (layout, places) = Places::new(&config);
        let shapes: Vec<_> =
            places.layers.iter().map(|layer| [layer.inputs, layer.outputs, layer.groups]).collect();
        let expected = [
            [1, 32, 4],
            [32, 64, 32],
            [64, 128, 32],
            [128, 256, 32],
            [256, 128, 32],
            [256, 64, 32],
            [128, 32, 32],
        ];
        assert_eq!(shapes, expected);
        assert_eq!(places.layers[2].from, Some(Channels { level: 1, range: 64..128 }));
        assert_eq!(places.layers[5].from, Some(Channels { level: 2, range: 0..256 }));
        assert_eq!(places.layers[5].to, Channels { level: 1, range: 0..64 });
        assert_eq!(places.layers.last().unwrap().times.end, 704);
        assert_eq!(places.dense.len(), 704 * 256);
        assert_eq!(places.dense_bias.len(), 704);
        assert_eq!(layout.find("out.weight").unwrap().shape, [1, 64, 3, 3]);
    }
}
