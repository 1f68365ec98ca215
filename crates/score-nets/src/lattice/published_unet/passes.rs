//! The passes through a published net on a CPU, sample by sample.
//!
//! The net is hundreds of times larger than its small layers, so threads take samples; all fields of one stay in the caches.
//! candle's graph of the same formulas, [`PublishedUnetGraph`](super::PublishedUnetGraph), hands sums of tensors of this size to
//! spinning threads behind one lock, and copies fields together for the way up.

use super::norm::{Norm, NormGradient};
use super::places::{Channels, Layer, level_channels};
use super::time::Times;
use super::{PublishedUnet, TimedFields};
use crate::convolution::{Convolver, Correlator, Kernel, Planes, Transposed};
use rayon::prelude::*;
use std::ops::Range;

/// Samples whose gradients are added up one after the other; the sums of blocks are added in their order.
const BLOCK: usize = 4;

/// Kernels made ready for many samples.
#[derive(Clone, Debug)]
pub(super) struct Kernels {
    layers: Vec<Convolver>,
    out: Convolver,
}

impl Kernels {
    pub(super) fn forward(net: &PublishedUnet) -> Self {
        Self::new(net, Kernel::new)
    }

    fn adjoint(net: &PublishedUnet) -> Self {
        Self::new(net, Kernel::adjoint)
    }

    fn new<'a>(net: &'a PublishedUnet, kernel: fn(&'a [f32], [usize; 2]) -> Kernel<'a>) -> Self {
        let convolver =
            |place: &Range<usize>, shape| Convolver::new(kernel(net.part(place), shape), net.extents());
        let layers =
            net.places.layers.iter().map(|layer| convolver(&layer.kernel, [layer.outputs, layer.inputs]));
        let layers = layers.collect();
        Self { layers, out: convolver(&net.places.out, [1, net.places.out.len() / 9]) }
    }
}

/// The fields of one sample.
#[derive(Debug)]
struct Fields {
    /// What the convolution of every layer gives.
    convolved: Vec<Vec<f32>>,
    /// What layers make of it, by level.
    levels: Vec<Vec<f32>>,
    planes: Planes,
}

impl Fields {
    fn new(net: &PublishedUnet) -> Self {
        let sites = net.config.sites();
        let convolved = net.places.layers.iter().map(|layer| vec![0.0; layer.outputs * sites]).collect();
        Self { convolved, levels: levels(net), planes: Planes::default() }
    }

    /// Writes the answer to the field `x`, given the biases of its time.
    fn forward(
        &mut self,
        net: &PublishedUnet,
        kernels: &Kernels,
        x: &[f32],
        biases: &[f32],
        answer: &mut [f32],
    ) {
        let sites = net.config.sites();
        for ((layer, kernel), convolved) in
            net.places.layers.iter().zip(&kernels.layers).zip(&mut self.convolved)
        {
            let mut to = std::mem::take(&mut self.levels[layer.to.level]);
            convolved.fill(0.0);
            kernel.add(input(layer, x, &self.levels, sites), &mut self.planes, convolved);
            norm(net, layer, biases).apply(convolved, &mut to[within(&layer.to, sites)]);
            self.levels[layer.to.level] = to;
        }
        answer.fill(net.parameters[net.places.out_bias.start]);
        kernels.out.add(&self.levels[0], &mut self.planes, answer);
    }
}

/// Room for the fields of all levels.
fn levels(net: &PublishedUnet) -> Vec<Vec<f32>> {
    let channels = &net.config.channels;
    (0..channels.len()).map(|level| vec![0.0; level_channels(channels, level) * net.config.sites()]).collect()
}

fn within(channels: &Channels, sites: usize) -> Range<usize> {
    channels.range.start * sites..channels.range.end * sites
}

/// What a layer acts on.
fn input<'a>(layer: &Layer, x: &'a [f32], levels: &'a [Vec<f32>], sites: usize) -> &'a [f32] {
    layer.from.as_ref().map_or(x, |from| &levels[from.level][within(from, sites)])
}

fn norm<'a>(net: &'a PublishedUnet, layer: &Layer, biases: &'a [f32]) -> Norm<'a> {
    let (scale, shift) = (net.part(&layer.scale), net.part(&layer.shift));
    Norm { groups: layer.groups, scale, shift, bias: &biases[layer.times.clone()] }
}

/// Writes the answers to fields at one time, in the order in which they come.
pub(super) fn evaluate(net: &PublishedUnet, kernels: &Kernels, x: &[f32], t: f32, out: &mut [f32]) {
    let sites = net.config.sites();
    let times = Times::new(&net.frequencies, &net.places, &net.parameters, &[t]);
    let rows = x.par_chunks_exact(sites).zip(out.par_chunks_exact_mut(sites));
    rows.for_each_init(
        || Fields::new(net),
        |fields, (x, out)| fields.forward(net, kernels, x, &times.biases, out),
    );
}

/// The mean of `(answer + noise)^2` over samples and sites, and its gradient.
pub(super) fn loss_and_gradient(net: &PublishedUnet, batch: &TimedFields, gradient: &mut [f32]) -> f32 {
    let sites = net.config.sites();
    let (forward, adjoint) = (Kernels::forward(net), Kernels::adjoint(net));
    let scale = 1.0 / batch.noise.len() as f64;
    let blocks = batch
        .x
        .par_chunks(BLOCK * sites)
        .zip(batch.noise.par_chunks(BLOCK * sites))
        .zip(batch.time.par_chunks(BLOCK))
        .map_init(
            || Backward::new(net),
            |work, ((x, noise), t)| {
                work.block(net, [&forward, &adjoint], Block { x, noise, t }, scale as f32)
            },
        );
    let blocks: Vec<(f64, Vec<f32>)> = blocks.collect();
    gradient.fill(0.0);
    let mut loss = 0.0;
    for (part, of_block) in blocks {
        loss += scale * part;
        gradient.iter_mut().zip(&of_block).for_each(|(sum, part)| *sum += part);
    }
    loss as f32
}

/// Samples that one thread takes.
#[derive(Clone, Copy)]
struct Block<'a> {
    x: &'a [f32],
    noise: &'a [f32],
    t: &'a [f32],
}

/// Memory of the way back.
struct Backward {
    fields: Fields,
    /// Gradients of the fields of all levels.
    of_levels: Vec<Vec<f32>>,
    of_convolved: Vec<f32>,
    transposed: Transposed,
}

impl Backward {
    fn new(net: &PublishedUnet) -> Self {
        let widest = net.places.layers.iter().map(|layer| layer.outputs).max().unwrap_or(0);
        Self {
            fields: Fields::new(net),
            of_levels: levels(net),
            of_convolved: vec![0.0; widest * net.config.sites()],
            transposed: Transposed::default(),
        }
    }

    /// The sum of squares of a block, and the gradient of `scale` times that.
    fn block(
        &mut self,
        net: &PublishedUnet,
        [forward, adjoint]: [&Kernels; 2],
        block: Block<'_>,
        scale: f32,
    ) -> (f64, Vec<f32>) {
        let (places, sites) = (&net.places, net.config.sites());
        let mut gradient = vec![0.0; net.parameters.len()];
        let correlators: Vec<Correlator> = places
            .layers
            .iter()
            .map(|layer| Correlator::new([layer.outputs, layer.inputs], net.extents()))
            .chain([Correlator::new([1, places.out.len() / 9], net.extents())])
            .collect();
        let mut sums: Vec<Vec<f32>> = correlators.iter().map(|correlator| correlator.sums()).collect();

        let times = Times::new(&net.frequencies, places, &net.parameters, block.t);
        let mut of_biases = vec![0.0; times.biases.len()];
        let channels = places.dense_bias.len();
        let mut of_answer = vec![0.0; sites];
        let mut loss = 0.0;
        let samples = block.x.chunks_exact(sites).zip(block.noise.chunks_exact(sites));
        let times_of = times.biases.chunks_exact(channels).zip(of_biases.chunks_exact_mut(channels));
        for ((x, noise), (biases, of_biases)) in samples.zip(times_of) {
            self.fields.forward(net, forward, x, biases, &mut of_answer);
            for (d, z) in of_answer.iter_mut().zip(noise) {
                let error = *d + z;
                loss += f64::from(error) * f64::from(error);
                *d = 2.0 * scale * error;
            }
            gradient[places.out_bias.start] += of_answer.iter().sum::<f32>();
            self.backward(
                net,
                adjoint,
                [x, &of_answer],
                (biases, of_biases),
                &correlators,
                &mut sums,
                &mut gradient,
            );
        }
        times.add_gradient(&of_biases, places, &net.parameters, &mut gradient);
        let kernels = places.layers.iter().map(|layer| &layer.kernel).chain([&places.out]);
        for ((correlator, sums), kernel) in correlators.iter().zip(&sums).zip(kernels) {
            correlator.add_to_kernel(sums, &mut gradient[kernel.clone()]);
        }
        (loss, gradient)
    }

    /// Adds the gradients of one sample, whose fields are those of the last pass forward.
    #[expect(clippy::too_many_arguments, reason = "what is read and what is added to are owned by the block")]
    fn backward(
        &mut self,
        net: &PublishedUnet,
        adjoint: &Kernels,
        [x, of_answer]: [&[f32]; 2],
        (biases, of_biases): (&[f32], &mut [f32]),
        correlators: &[Correlator],
        sums: &mut [Vec<f32>],
        gradient: &mut [f32],
    ) {
        let Self { fields: Fields { convolved, levels, planes }, of_levels, of_convolved, transposed } = self;
        let sites = net.config.sites();
        let layers = &net.places.layers;
        for level in of_levels.iter_mut() {
            level.fill(0.0);
        }
        adjoint.out.add(of_answer, planes, &mut of_levels[0]);
        correlators[layers.len()].add(&levels[0], of_answer, transposed, &mut sums[layers.len()]);
        for (number, layer) in layers.iter().enumerate().rev() {
            let of_convolved = &mut of_convolved[..layer.outputs * sites];
            // Scale and shift are neighbours.
            let (of_scale, of_shift) =
                gradient[layer.scale.start..layer.shift.end].split_at_mut(layer.outputs);
            let mut of =
                NormGradient { scale: of_scale, shift: of_shift, bias: &mut of_biases[layer.times.clone()] };
            let of_output = &of_levels[layer.to.level][within(&layer.to, sites)];
            norm(net, layer, biases).gradient(&convolved[number], of_output, of_convolved, &mut of);
            let from = input(layer, x, levels, sites);
            correlators[number].add(from, of_convolved, transposed, &mut sums[number]);
            if let Some(from) = &layer.from {
                adjoint.layers[number].add(
                    of_convolved,
                    planes,
                    &mut of_levels[from.level][within(from, sites)],
                );
            }
        }
    }
}
