//! What layers are told about the time.
//!
//! ```text
//! f = [ sin 2 pi W t, cos 2 pi W t ] ,   e = swish( A f + a ) ,   b = D e + d
//! ```
//!
//! with fixed random frequencies `W` and one number of `b` for each channel of every layer.

use super::PublishedUnetConfig;
use super::places::Places;
use crate::batches::keyed::{Domain, stream};
use crate::math::sigmoid;
use crate::matmul::{Strides, product};
use sde_core::{Noise, NormalSource};
use std::f64::consts::TAU;

/// The frequencies `2 pi W`: normal variates, a function of the seed.
pub(super) fn angular_frequencies(config: &PublishedUnetConfig) -> Vec<f64> {
    let mut frequencies = vec![0.0; config.features / 2];
    Noise::new(stream(config.frequency_seed, Domain::Normals), 0).block(0, 0).fill(0, &mut frequencies);
    for frequency in &mut frequencies {
        *frequency *= TAU * config.frequency_scale;
    }
    frequencies
}

/// The time of some samples on its way to the layers, samples one after the other.
#[derive(Debug)]
pub(super) struct Times {
    features: Vec<f32>,
    /// `A f + a`.
    before: Vec<f32>,
    /// `e`.
    embedded: Vec<f32>,
    /// `b`, channels of all layers.
    pub(super) biases: Vec<f32>,
}

impl Times {
    pub(super) fn new(frequencies: &[f64], places: &Places, parameters: &[f32], t: &[f32]) -> Self {
        let mut features = Vec::with_capacity(2 * frequencies.len() * t.len());
        for &t in t {
            let phases = || frequencies.iter().map(|omega| omega * f64::from(t));
            features.extend(phases().map(|phase| phase.sin() as f32));
            features.extend(phases().map(|phase| phase.cos() as f32));
        }
        let linear = |x: &[f32], weight: &[f32], bias: &[f32]| {
            let (to, from) = (bias.len(), x.len() / t.len());
            let mut y = bias.repeat(t.len());
            let weight = (weight, Strides::column_major(from));
            product(
                [t.len(), from, to],
                (&mut y, Strides::row_major(to)),
                true,
                (x, Strides::row_major(from)),
                weight,
            );
            y
        };
        let part = |range: &std::ops::Range<usize>| &parameters[range.clone()];
        let before = linear(&features, part(&places.embed), part(&places.embed_bias));
        let embedded: Vec<f32> = before.iter().map(|a| a * sigmoid(*a)).collect();
        let biases = linear(&embedded, part(&places.dense), part(&places.dense_bias));
        Self { features, before, embedded, biases }
    }

    /// Adds to the gradient of the parameters, for the gradient of [`biases`](Self::biases).
    pub(super) fn add_gradient(
        &self,
        of_biases: &[f32],
        places: &Places,
        parameters: &[f32],
        gradient: &mut [f32],
    ) {
        let (features, channels) = (places.embed_bias.len(), places.dense_bias.len());
        let samples = self.features.len() / features;
        let mut of_linear =
            |of_y: &[f32], x: &[f32], weight: std::ops::Range<usize>, bias: std::ops::Range<usize>| {
                let (to, from) = (bias.len(), features);
                for of_y in of_y.chunks_exact(to) {
                    gradient[bias.clone()].iter_mut().zip(of_y).for_each(|(sum, part)| *sum += part);
                }
                let of_weight = (&mut gradient[weight], Strides::row_major(from));
                product(
                    [to, samples, from],
                    of_weight,
                    true,
                    (of_y, Strides::column_major(to)),
                    (x, Strides::row_major(from)),
                );
            };
        of_linear(of_biases, &self.embedded, places.dense.clone(), places.dense_bias.clone());
        let mut of_embedded = vec![0.0; samples * features];
        product(
            [samples, channels, features],
            (&mut of_embedded, Strides::row_major(features)),
            false,
            (of_biases, Strides::row_major(channels)),
            (&parameters[places.dense.clone()], Strides::row_major(features)),
        );
        for (d, a) in of_embedded.iter_mut().zip(&self.before) {
            let s = sigmoid(*a);
            *d *= s * a.mul_add(1.0 - s, 1.0);
        }
        of_linear(&of_embedded, &self.features, places.embed.clone(), places.embed_bias.clone());
    }
}
