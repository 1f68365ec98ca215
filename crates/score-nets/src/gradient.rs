//! Loss and gradient of a batch, by hand.
//!
//! ```text
//! loss = 1/B sum_b weight_b ( n(x_b, c_b) - target_b )^2
//! ```
//!
//! The derivatives are those of the [`Mlp`] formulas, layer by layer backwards; matrix products go to the
//! `gemm` crate, everything else is a loop with rows innermost. All matrices are stored feature by feature,
//! `(features, rows)`. One thread, fixed order: the same batch gives the same bits on one machine. Finite
//! differences and candle's automatic differentiation are the tests.

use crate::activation::{ActivationFn, LeakyRelu, Silu};
use crate::embedding::BatchEmbedding;
use crate::matmul::{Strides, product};
use crate::{Activation, Mlp};
use multiversion::multiversion;

/// Samples of a regression: `n(x, c)` is to be `target`, to the extent of `weight`. All of one length.
#[derive(Clone, Copy, Debug)]
pub struct TrainingBatch<'a> {
    /// Inputs.
    pub x: &'a [f32],
    /// Coordinates of the noise level.
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
    e: Vec<f32>,
    /// Preactivations that do not depend on `x`, both layers.
    shift: Vec<f32>,
    x: Vec<f32>,
    h1: Vec<f32>,
    slope1: Vec<f32>,
    h2: Vec<f32>,
    slope2: Vec<f32>,
    d1: Vec<f32>,
    d2: Vec<f32>,
    out: Vec<f32>,
}

impl Workspace {
    /// For nets of the architecture of `mlp`.
    pub fn new(mlp: &Mlp) -> Self {
        let empty = Vec::new;
        Self {
            embedding: BatchEmbedding::new(mlp.config().embedding),
            e: empty(),
            shift: empty(),
            x: empty(),
            h1: empty(),
            slope1: empty(),
            h2: empty(),
            slope2: empty(),
            d1: empty(),
            d2: empty(),
            out: empty(),
        }
    }

    fn resize(&mut self, mlp: &Mlp, samples: usize, rows: usize) {
        let (width, dims) = (mlp.config().width, mlp.config().embedding.dims());
        self.e.resize(dims * samples, 0.0);
        self.shift.resize(2 * width * samples, 0.0);
        self.x.resize(rows, 0.0);
        self.out.resize(rows, 0.0);
        for buffer in
            [&mut self.h1, &mut self.slope1, &mut self.h2, &mut self.slope2, &mut self.d1, &mut self.d2]
        {
            buffer.resize(width * rows, 0.0);
        }
    }
}

/// The mean weighted squared error of a batch; its gradient is written to `gradient`.
///
/// # Panics
/// If the lengths in `batch` differ or are zero, or `gradient` does not have one value per parameter.
#[expect(
    clippy::too_many_lines,
    reason = "one pass forwards and one backwards, in the order of the formulas"
)]
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
    let odd = mlp.config().odd;
    let (width, dims) = (mlp.config().width, mlp.config().embedding.dims());
    // An odd net sees every sample twice, as x and as -x.
    let rows = if odd { 2 * samples } else { samples };
    workspace.resize(mlp, samples, rows);
    let Workspace { embedding, e, shift, x, h1, slope1, h2, slope2, d1, d2, out } = workspace;
    let places = &mlp.layout().places;
    let parameters = mlp.parameters();
    let of = |range: &std::ops::Range<usize>| &parameters[range.clone()];
    let by_row = Strides::column_major(rows);
    let by_sample = Strides::column_major(samples);

    // Forwards.
    x[..samples].copy_from_slice(batch.x);
    if odd {
        for (minus, x) in x[samples..].iter_mut().zip(batch.x) {
            *minus = -x;
        }
    }
    embedding.evaluate(batch.coordinate, e);
    let e_weight = (of(&places.e), Strides::row_major(dims).transposed());
    for (layer, bias) in [&places.b1, &places.b2].into_iter().enumerate() {
        let columns = shift[layer * width * samples..].chunks_exact_mut(samples).zip(of(bias));
        for (neuron, (column, bias)) in columns.take(width).enumerate() {
            let extra = of(&places.be[layer]).get(neuron).copied().unwrap_or(0.0);
            column.fill(bias + extra);
        }
    }
    product([samples, dims, 2 * width], (shift, by_sample), true, (e, by_sample), e_weight);
    let (shift1, shift2) = shift.split_at(width * samples);
    for (neuron, column) in h1.chunks_exact_mut(rows).enumerate() {
        let weight = of(&places.w1)[neuron];
        let shift = &shift1[neuron * samples..][..samples];
        for (half, x) in column.chunks_exact_mut(samples).zip(x.chunks_exact(samples)) {
            scaled_plus(half, weight, x, shift);
        }
    }
    activate(mlp.config().activation, h1, slope1);
    for (column, shift) in h2.chunks_exact_mut(rows).zip(shift2.chunks_exact(samples)) {
        for half in column.chunks_exact_mut(samples) {
            half.copy_from_slice(shift);
        }
    }
    let w2 = Strides::row_major(width);
    product([rows, width, width], (h2, by_row), true, (h1, by_row), (of(&places.w2), w2.transposed()));
    activate(mlp.config().activation, h2, slope2);
    out.fill(of(&places.b3).first().copied().unwrap_or(0.0));
    for (column, &weight) in h2.chunks_exact(rows).zip(of(&places.w3)) {
        add_scaled(out, weight, column);
    }

    // The error, and d loss / d out in place of out.
    let mut loss = 0.0f64;
    for sample in 0..samples {
        let value = if odd { 0.5 * (out[sample] - out[samples + sample]) } else { out[sample] };
        let error = value - batch.target[sample];
        let weighted = batch.weight[sample] * error;
        loss += f64::from(weighted) * f64::from(error);
        let slope = 2.0 * weighted / samples as f32;
        if odd {
            (out[sample], out[samples + sample]) = (0.5 * slope, -0.5 * slope);
        } else {
            out[sample] = slope;
        }
    }

    // Backwards.
    for (neuron, d) in d2.chunks_exact_mut(rows).enumerate() {
        let column = neuron * rows..(neuron + 1) * rows;
        gradient[places.w3.start + neuron] = dot(&h2[column.clone()], out);
        scaled_product(d, of(&places.w3)[neuron], &slope2[column], out);
    }
    if let Some(bias) = gradient[places.b3.clone()].first_mut() {
        *bias = sum(out);
    }
    product([rows, width, width], (d1, by_row), false, (d2, by_row), (of(&places.w2), w2));
    multiply(d1, slope1);
    let g_w2 = &mut gradient[places.w2.clone()];
    product([width, rows, width], (g_w2, w2.transposed()), false, (h1, by_row.transposed()), (d2, by_row));
    for (neuron, d) in d1.chunks_exact(rows).enumerate() {
        gradient[places.w1.start + neuron] = dot(d, x);
    }
    // From here on only the sum over x and -x matters.
    let halves = shift;
    for (layer, d) in [&*d1, &*d2].into_iter().enumerate() {
        let folded = halves[layer * width * samples..].chunks_exact_mut(samples);
        for (folded, d) in folded.zip(d.chunks_exact(rows)) {
            folded.copy_from_slice(&d[..samples]);
            if odd {
                add_scaled(folded, 1.0, &d[samples..]);
            }
        }
    }
    for (layer, bias) in [&places.b1, &places.b2].into_iter().enumerate() {
        let folded = halves[layer * width * samples..].chunks_exact(samples).take(width);
        for (neuron, folded) in folded.enumerate() {
            let slope = sum(folded);
            gradient[bias.start + neuron] = slope;
            if let Some(extra) = gradient[places.be[layer].clone()].get_mut(neuron) {
                *extra = slope;
            }
        }
    }
    let g_e = (&mut gradient[places.e.clone()], Strides::row_major(dims).transposed());
    product([dims, samples, 2 * width], g_e, false, (e, by_sample.transposed()), (halves, by_sample));
    (loss / samples as f64) as f32
}

/// Lanes of a sum: fixed, so the order of additions is.
const LANES: usize = 16;

macro_rules! vectorised {
    ($(fn $name:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block)*) => {$(
        #[multiversion(targets(
            "x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2",
            "x86_64+avx2+fma+bmi2"
        ))]
        fn $name($($argument: $kind),*) $(-> $result)? $body
    )*};
}

vectorised! {
    fn scaled_plus(out: &mut [f32], weight: f32, x: &[f32], shift: &[f32]) {
        for ((o, x), s) in out.iter_mut().zip(x).zip(shift) {
            *o = weight.mul_add(*x, *s);
        }
    }

    fn add_scaled(out: &mut [f32], weight: f32, x: &[f32]) {
        for (o, x) in out.iter_mut().zip(x) {
            *o = weight.mul_add(*x, *o);
        }
    }

    fn scaled_product(out: &mut [f32], weight: f32, a: &[f32], b: &[f32]) {
        for ((o, a), b) in out.iter_mut().zip(a).zip(b) {
            *o = weight * a * b;
        }
    }

    fn multiply(out: &mut [f32], a: &[f32]) {
        for (o, a) in out.iter_mut().zip(a) {
            *o *= a;
        }
    }

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
        let rest: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
        for (a, b) in a_chunks.zip(b_chunks) {
            for lane in 0..LANES {
                lanes[lane] = a[lane].mul_add(b[lane], lanes[lane]);
            }
        }
        lanes.iter().sum::<f32>() + rest
    }

    fn sum(a: &[f32]) -> f32 {
        let mut lanes = [0.0f32; LANES];
        let chunks = a.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().sum();
        for a in chunks {
            for lane in 0..LANES {
                lanes[lane] += a[lane];
            }
        }
        lanes.iter().sum::<f32>() + rest
    }

    fn activate_leaky(a: &mut [f32], slope: &mut [f32]) {
        activate_with::<LeakyRelu>(a, slope);
    }

    fn activate_silu(a: &mut [f32], slope: &mut [f32]) {
        activate_with::<Silu>(a, slope);
    }
}

#[inline(always)]
fn activate_with<A: ActivationFn>(a: &mut [f32], slope: &mut [f32]) {
    for (a, s) in a.iter_mut().zip(slope) {
        (*a, *s) = A::value_and_slope(*a);
    }
}

/// Replaces preactivations by activations and writes the slopes.
fn activate(activation: Activation, a: &mut [f32], slope: &mut [f32]) {
    match activation {
        Activation::LeakyRelu => activate_leaky(a, slope),
        Activation::Silu => activate_silu(a, slope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MlpConfig;
    use rand::{Rng, SeedableRng};
    use rand_pcg::Pcg64;

    /// The net in double precision, as its formulas say.
    fn reference(mlp: &Mlp, parameters: &[f64], x: f64, coordinate: f64) -> f64 {
        let config = mlp.config();
        let places = &mlp.layout().places;
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
