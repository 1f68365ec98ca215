//! Loss and gradient of a batch, by hand.
//!
//! ```text
//! loss = 1/B sum_b weight_b ( n(x_b, c_b) - target_b )^2
//! ```
//!
//! The derivatives are those of the [`Mlp`] formulas, layer by layer backwards. With `a_l` the preactivations and
//! `d_l = d loss / d a_l`,
//!
//! ```text
//! d_2 = d_out w3 act'(a_2)       d loss/d W2 = d_2 h_1^T     d loss/d E_2 = d_2 e^T
//! d_1 = ( W2^T d_2 ) act'(a_1)   d loss/d w1 = d_1 . x       d loss/d E_1 = d_1 e^T
//! ```
//!
//! All matrices are stored feature by feature, `(features, rows)`, rows innermost. An odd net sees every sample
//! twice, as `x` and as `-x`; both share the embedding and its product. Batches are padded to whole tiles by
//! samples of weight zero. One thread, fixed order: the same batch gives the same bits on one machine.

use crate::Mlp;
use crate::embedding::BatchEmbedding;
use crate::lanes::{activate, add_scaled, dot, multiply, scaled_plus, scaled_product, sum};
use crate::linear::{LANES, PackedWeights};
use crate::matmul::{Strides, product};
use std::ops::Range;

/// Samples of a regression: `n(x, c)` is to be `target`, to the extent of `weight`. All of one length.
#[derive(Clone, Copy, Debug)]
pub struct TrainingBatch<'a> {
    /// Inputs.
    pub x: &'a [f32],
    /// Coordinates of the noise level, see [`Embedding`](crate::Embedding).
    pub coordinate: &'a [f32],
    /// Wanted outputs.
    pub target: &'a [f32],
    /// Weights of the squared errors.
    pub weight: &'a [f32],
}

/// Scratch memory of [`loss_and_gradient`] for one architecture, reused from batch to batch.
#[derive(Clone, Debug)]
pub struct Workspace {
    embedding: BatchEmbedding,
    /// Samples, padded.
    samples: usize,
    coordinate: Vec<f32>,
    e: Vec<f32>,
    /// Per sample, both layers: preactivations without their inputs, later the sums of `d` over both signs.
    shift: Vec<f32>,
    x: Vec<f32>,
    out: Vec<f32>,
    layers: [LayerSpace; 2],
    packed: PackedWeights,
}

/// What is kept of one hidden layer, shape `(width, rows)`.
#[derive(Clone, Debug, Default)]
struct LayerSpace {
    hidden: Vec<f32>,
    slope: Vec<f32>,
    d: Vec<f32>,
}

impl Workspace {
    /// For nets of the architecture of `mlp`.
    pub fn new(mlp: &Mlp) -> Self {
        Self {
            embedding: BatchEmbedding::new(mlp.config().embedding),
            samples: 0,
            coordinate: Vec::new(),
            e: Vec::new(),
            shift: Vec::new(),
            x: Vec::new(),
            out: Vec::new(),
            layers: Default::default(),
            packed: PackedWeights::default(),
        }
    }

    /// Takes in the inputs of a batch and makes room for the rest.
    fn load(&mut self, mlp: &Mlp, batch: TrainingBatch<'_>) {
        let config = mlp.config();
        let samples = batch.x.len().next_multiple_of(LANES);
        let rows = if config.odd { 2 * samples } else { samples };
        self.samples = samples;
        self.e.resize(config.embedding.dims() * samples, 0.0);
        self.shift.resize(2 * config.width * samples, 0.0);
        self.out.resize(rows, 0.0);
        for LayerSpace { hidden, slope, d } in &mut self.layers {
            for buffer in [hidden, slope, d] {
                buffer.resize(config.width * rows, 0.0);
            }
        }
        self.coordinate.clear();
        self.coordinate.extend_from_slice(batch.coordinate);
        self.coordinate.resize(samples, 0.0);
        self.x.clear();
        self.x.extend_from_slice(batch.x);
        self.x.resize(samples, 0.0);
        if config.odd {
            self.x.extend_from_within(..);
            self.x[samples..].iter_mut().for_each(|x| *x = -*x);
        }
    }

    /// The net's answers to `x`, one per row, in `out`.
    fn forward(&mut self, mlp: &Mlp) {
        let Self { embedding, samples, coordinate, e, shift, x, out, layers, packed } = self;
        let (samples, rows, width) = (*samples, x.len(), mlp.config().width);
        let places = &mlp.places;
        let of = |range: &Range<usize>| &mlp.parameters()[range.clone()];

        embedding.evaluate(coordinate, e);
        let dims = mlp.config().embedding.dims();
        packed.pack([2 * width, dims], of(&places.e), Strides::row_major(dims));
        for (layer, shift) in shift.chunks_exact_mut(width * samples).enumerate() {
            let bias = of([&places.b1, &places.b2][layer]);
            let extra = of(&places.be[layer]).iter().copied().chain(std::iter::repeat(0.0));
            for ((column, bias), extra) in shift.chunks_exact_mut(samples).zip(bias).zip(extra) {
                column.fill(bias + extra);
            }
        }
        packed.apply(samples, e, shift, true);
        let (shift_1, shift_2) = shift.split_at(width * samples);
        let [first, second] = layers;

        let columns = first.hidden.chunks_exact_mut(rows).zip(shift_1.chunks_exact(samples));
        for ((column, shift), &weight) in columns.zip(of(&places.w1)) {
            for (half, x) in column.chunks_exact_mut(samples).zip(x.chunks_exact(samples)) {
                scaled_plus(half, weight, x, shift);
            }
        }
        activate(mlp.config().activation, &mut first.hidden, &mut first.slope);

        for (column, shift) in second.hidden.chunks_exact_mut(rows).zip(shift_2.chunks_exact(samples)) {
            for half in column.chunks_exact_mut(samples) {
                half.copy_from_slice(shift);
            }
        }
        packed.pack([width, width], of(&places.w2), Strides::row_major(width));
        packed.apply(rows, &first.hidden, &mut second.hidden, true);
        activate(mlp.config().activation, &mut second.hidden, &mut second.slope);

        out.fill(of(&places.b3).first().copied().unwrap_or(0.0));
        for (column, &weight) in second.hidden.chunks_exact(rows).zip(of(&places.w3)) {
            add_scaled(out, weight, column);
        }
    }

    /// Replaces the answers in `out` by `d loss / d out` and returns the loss.
    fn compare(&mut self, odd: bool, batch: TrainingBatch<'_>) -> f32 {
        let (plus, minus) = self.out.split_at_mut(self.samples);
        let count = batch.x.len();
        let mut loss = 0.0f64;
        for sample in 0..count {
            let value = if odd { 0.5 * (plus[sample] - minus[sample]) } else { plus[sample] };
            let error = value - batch.target[sample];
            let weighted = batch.weight[sample] * error;
            loss += f64::from(weighted) * f64::from(error);
            let slope = 2.0 * weighted / count as f32;
            if odd {
                (plus[sample], minus[sample]) = (0.5 * slope, -0.5 * slope);
            } else {
                plus[sample] = slope;
            }
        }
        plus[count..].fill(0.0);
        if odd {
            minus[count..].fill(0.0);
        }
        (loss / count as f64) as f32
    }

    /// Writes the gradient, from `d loss / d out` in `out`.
    fn backward(&mut self, mlp: &Mlp, gradient: &mut [f32]) {
        let Self { samples, e, shift, x, out, layers: [first, second], packed, .. } = self;
        let (samples, rows, width) = (*samples, x.len(), mlp.config().width);
        let places = &mlp.places;
        let w3 = &mlp.parameters()[places.w3.clone()];
        let (by_row, by_sample) = (Strides::column_major(rows), Strides::column_major(samples));

        if let Some(slope) = gradient[places.b3.clone()].first_mut() {
            *slope = sum(out);
        }
        for (slope, hidden) in gradient[places.w3.clone()].iter_mut().zip(second.hidden.chunks_exact(rows)) {
            *slope = dot(hidden, out);
        }
        let columns = second.d.chunks_exact_mut(rows).zip(second.slope.chunks_exact(rows));
        for ((d, slope), &weight) in columns.zip(w3) {
            scaled_product(d, weight, slope, out);
        }

        let by_weight = Strides::row_major(width);
        packed.pack([width, width], &mlp.parameters()[places.w2.clone()], by_weight.transposed());
        packed.apply(rows, &second.d, &mut first.d, false);
        multiply(&mut first.d, &first.slope);
        let w2 = (&mut gradient[places.w2.clone()], by_weight.transposed());
        product([width, rows, width], w2, false, (&first.hidden, by_row.transposed()), (&second.d, by_row));
        for (slope, d) in gradient[places.w1.clone()].iter_mut().zip(first.d.chunks_exact(rows)) {
            *slope = dot(d, x);
        }

        // Biases and embedding do not know the sign of x: only the sum over both matters from here on.
        let folded = shift;
        let layers = folded.chunks_exact_mut(width * samples).zip([first, second]);
        for (layer, (folded, space)) in layers.enumerate() {
            let bias = [&places.b1, &places.b2][layer].start;
            for (neuron, (folded, d)) in
                folded.chunks_exact_mut(samples).zip(space.d.chunks_exact(rows)).enumerate()
            {
                let (plus, minus) = d.split_at(samples);
                folded.copy_from_slice(plus);
                // Empty unless the net is odd.
                add_scaled(folded, 1.0, minus);
                gradient[bias + neuron] = sum(folded);
            }
            let extra = places.be[layer].clone();
            gradient.copy_within(bias..bias + extra.len(), extra.start);
        }
        let dims = mlp.config().embedding.dims();
        let weights = (&mut gradient[places.e.clone()], Strides::row_major(dims).transposed());
        product([dims, samples, 2 * width], weights, false, (e, by_sample.transposed()), (folded, by_sample));
    }
}

/// The mean weighted squared error of a batch; its gradient is written to `gradient`.
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{Mlp, MlpConfig, TrainingBatch, Workspace, loss_and_gradient};
/// let mut rng = rand_pcg::Pcg64::seed_from_u64(1);
/// let mlp = Mlp::new(MlpConfig::residual(), &mut rng)?.with_zero_output();
/// let batch = TrainingBatch { x: &[0.5, 2.0], coordinate: &[0.0, 1.0], target: &[1.0, 2.0], weight: &[1.0, 3.0] };
/// let mut gradient = vec![0.0; mlp.parameters().len()];
/// // a net that answers zero: the mean of 1 and 3 * 4
/// assert_eq!(loss_and_gradient(&mlp, batch, &mut Workspace::new(&mlp), &mut gradient), 6.5);
/// # Ok::<(), score_nets::NetError>(())
/// ```
///
/// # Panics
/// If the lengths in `batch` differ or are zero, `gradient` does not have one value per parameter, or
/// `workspace` is of another embedding.
pub fn loss_and_gradient(
    mlp: &Mlp,
    batch: TrainingBatch<'_>,
    workspace: &mut Workspace,
    gradient: &mut [f32],
) -> f32 {
    let samples = batch.x.len();
    assert!(samples > 0, "a batch is not empty");
    assert!(
        [batch.coordinate, batch.target, batch.weight].iter().all(|column| column.len() == samples),
        "all columns of a batch have one length"
    );
    assert_eq!(gradient.len(), mlp.parameters().len(), "the gradient has one value per parameter");
    workspace.load(mlp, batch);
    workspace.forward(mlp);
    let loss = workspace.compare(mlp.config().odd, batch);
    workspace.backward(mlp, gradient);
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, MlpConfig};
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    /// The net in double precision, as its formulas say.
    fn reference(mlp: &Mlp, parameters: &[f64], x: f64, coordinate: f64) -> f64 {
        let config = mlp.config();
        let places = &mlp.places;
        let (width, dims) = (config.width, config.embedding.dims());
        let mut e = vec![0.0; dims];
        config.embedding.evaluate(coordinate, &mut e);
        let act = |a: f64| match config.activation {
            Activation::LeakyRelu => a.max(0.01 * a),
            Activation::Silu => a / (1.0 + (-a).exp()),
        };
        let p = |range: &std::ops::Range<usize>, i: usize| {
            if i < range.len() { parameters[range.start + i] } else { 0.0 }
        };
        let shift = |layer: usize, j: usize| -> f64 {
            let row = (layer * width + j) * dims;
            p(&places.be[layer], j) + (0..dims).map(|k| p(&places.e, row + k) * e[k]).sum::<f64>()
        };
        let net = |x: f64| {
            let h1: Vec<f64> =
                (0..width).map(|j| act(p(&places.w1, j) * x + p(&places.b1, j) + shift(0, j))).collect();
            let h2 = (0..width).map(|j| {
                let sum: f64 = (0..width).map(|i| p(&places.w2, j * width + i) * h1[i]).sum();
                act(sum + p(&places.b2, j) + shift(1, j))
            });
            h2.enumerate().map(|(j, h)| p(&places.w3, j) * h).sum::<f64>() + p(&places.b3, 0)
        };
        if config.odd { 0.5 * (net(x) - net(-x)) } else { net(x) }
    }

    #[test]
    fn gradients_match_finite_differences_in_double_precision() {
        for config in [MlpConfig::paper(), MlpConfig::residual()] {
            let mut rng = Pcg64::seed_from_u64(5);
            let mlp = Mlp::new(config, &mut rng).unwrap();
            let samples = 37;
            let mut column = |low: f32, high: f32| -> Vec<f32> {
                (0..samples).map(|_| rng.random_range(low..high)).collect()
            };
            let (x, coordinate, target, weight) =
                (column(-2.0, 2.0), column(0.0, 1.0), column(-1.0, 1.0), column(0.1, 2.0));
            let batch = TrainingBatch { x: &x, coordinate: &coordinate, target: &target, weight: &weight };
            let mut gradient = vec![0.0; mlp.parameters().len()];
            let loss = loss_and_gradient(&mlp, batch, &mut Workspace::new(&mlp), &mut gradient);
            let loss_at = |parameters: &[f64]| -> f64 {
                let terms = (0..samples).map(|b| {
                    let value = reference(&mlp, parameters, x[b].into(), coordinate[b].into());
                    f64::from(weight[b]) * (value - f64::from(target[b])).powi(2)
                });
                terms.sum::<f64>() / samples as f64
            };
            let mut parameters: Vec<f64> = mlp.parameters().iter().map(|&p| p.into()).collect();
            assert!((f64::from(loss) / loss_at(&parameters) - 1.0).abs() < 1e-5);
            let largest = gradient.iter().fold(0.0f32, |a, g| a.max(g.abs()));
            for tensor in mlp.layout().tensors() {
                for index in tensor.range.clone().step_by(tensor.range.len().div_ceil(13)) {
                    let (h, kept) = (1e-6, parameters[index]);
                    parameters[index] = kept + h;
                    let up = loss_at(&parameters);
                    parameters[index] = kept - h;
                    let slope = (up - loss_at(&parameters)) / (2.0 * h);
                    parameters[index] = kept;
                    let error = (f64::from(gradient[index]) - slope).abs();
                    assert!(error < 2e-5 * f64::from(largest), "{} {index}: {slope} {error:e}", tensor.name);
                }
            }
        }
    }
}
