//! Evaluating a net on many rows at one noise level, fast.
//!
//! All rows of a batch share their time, so the embedding is folded into the biases once, and what is left per
//! row is `w3 . act( W2 act( w1 x + c1 ) + c2 ) + b3`. With leaky rectifiers that is piecewise linear in `x`, and
//! the pieces are tabulated. With a smooth activation a block of [`LANES`] rows runs through both layers in
//! registers and the first-level cache. A row's answer depends on that row alone: short blocks are padded.
#![expect(clippy::inline_always, reason = "must be compiled with the instruction set of its caller")]

use crate::activation::{ActivationFn, Silu};
use crate::segments::{Layers, Segments};
use crate::{Activation, Mlp};
use multiversion::multiversion;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a block: three vectors of 16 floats.
const LANES: usize = 48;
/// Neurons of the second layer computed together.
const TILE: usize = 8;

/// A net packed for evaluation.
#[derive(Clone, Debug)]
pub struct FusedMlp {
    mlp: Mlp,
    /// `W2`, tile by tile: for each input, the weights to the [`TILE`] neurons of the tile.
    packed: Vec<f32>,
}

/// A net at one noise level, ready for any number of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// The biases of both hidden layers.
    Biases { c1: Vec<f32>, c2: Vec<f32> },
    /// The pieces of a net of leaky rectifiers.
    Segments(Segments),
}

impl FusedMlp {
    /// Packs a net.
    pub fn new(mlp: Mlp) -> Self {
        let width = mlp.config().width;
        let w2 = &mlp.parameters()[mlp.places.w2.clone()];
        let place = |at: usize| {
            let (tile, input, row) = (at / (TILE * width), at / TILE % width, at % TILE);
            (tile * TILE + row) * width + input
        };
        let packed = (0..width / TILE * TILE * width).map(|at| w2[place(at)]).collect();
        Self { mlp, packed }
    }

    /// The net.
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }

    /// Folds the embedding of `coordinate` into the biases, in double precision.
    pub fn fold(&self, coordinate: f64) -> Folded {
        let config = self.mlp.config();
        let mut e = vec![0.0; config.embedding.dims()];
        config.embedding.evaluate(coordinate, &mut e);
        let places = &self.mlp.places;
        let parameters = self.mlp.parameters();
        let layer = |layer: usize, bias: &std::ops::Range<usize>| -> Vec<f64> {
            let weights = parameters[places.e.clone()].chunks_exact(e.len()).skip(layer * config.width);
            let extra = &parameters[places.be[layer].clone()];
            parameters[bias.clone()]
                .iter()
                .zip(weights)
                .enumerate()
                .map(|(neuron, (&bias, row))| {
                    let shift: f64 = row.iter().zip(&e).map(|(&w, e)| f64::from(w) * e).sum();
                    f64::from(bias) + f64::from(extra.get(neuron).copied().unwrap_or(0.0)) + shift
                })
                .collect()
        };
        let (c1, c2) = (layer(0, &places.b1), layer(1, &places.b2));
        Folded(match config.activation {
            Activation::LeakyRelu => Kind::Segments(Segments::new(&Layers {
                w1: &parameters[places.w1.clone()],
                c1: &c1,
                w2: &parameters[places.w2.clone()],
                c2: &c2,
                w3: &parameters[places.w3.clone()],
                b3: f64::from(self.last_bias()),
            })),
            Activation::Silu => {
                let single = |c: Vec<f64>| c.into_iter().map(|c| c as f32).collect();
                Kind::Biases { c1: single(c1), c2: single(c2) }
            }
        })
    }

    fn last_bias(&self) -> f32 {
        self.mlp.parameters()[self.mlp.places.b3.clone()].first().copied().unwrap_or(0.0)
    }

    /// Writes the net's answer to `scale * x` for every element of `x`.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn evaluate(&self, folded: &Folded, scale: f64, x: &[f64], out: &mut [f64]) {
        assert_eq!(x.len(), out.len(), "one answer per row");
        let odd = self.mlp.config().odd;
        let (c1, c2) = match &folded.0 {
            Kind::Biases { c1, c2 } => (c1, c2),
            Kind::Segments(segments) => {
                segments.evaluate(scale, x, out);
                if odd {
                    let mut mirrored = vec![0.0; x.len()];
                    segments.evaluate(-scale, x, &mut mirrored);
                    for (out, mirrored) in out.iter_mut().zip(mirrored) {
                        *out = 0.5 * (*out - mirrored);
                    }
                }
                return;
            }
        };
        let places = &self.mlp.places;
        let parameters = self.mlp.parameters();
        let net = Packed {
            w1: &parameters[places.w1.clone()],
            c1,
            w2: &self.packed,
            c2,
            w3: &parameters[places.w3.clone()],
            b3: self.last_bias(),
        };
        let mut hidden = vec![[0.0; LANES]; net.w1.len()];
        let kernel = if odd { silu_odd } else { silu };
        kernel(&net, &mut hidden, scale, x, out);
    }
}

/// Noise levels that are remembered: more than the steps of a usual time grid; at a width of 64 they take 2 MiB, as
/// tables some 40 MiB. A full store is emptied: an adaptive integrator never asks twice, and a fixed grid fits.
const REMEMBERED: usize = 4096;

/// A packed net that remembers what it folded: every block of an ensemble asks for the same noise levels.
#[derive(Debug)]
pub(crate) struct Remembered {
    net: FusedMlp,
    /// By the bits of the coordinate.
    folded: Mutex<HashMap<u64, Arc<Folded>>>,
}

impl Remembered {
    pub(crate) fn new(net: FusedMlp) -> Self {
        Self { net, folded: Mutex::default() }
    }

    /// The net.
    pub(crate) fn mlp(&self) -> &Mlp {
        self.net.mlp()
    }

    /// [`FusedMlp::evaluate`] at `coordinate`.
    pub(crate) fn evaluate(&self, coordinate: f64, scale: f64, x: &[f64], out: &mut [f64]) {
        let folded = {
            // A panic elsewhere cannot have left a half-made entry.
            let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
            if folded.len() >= REMEMBERED {
                folded.clear();
            }
            let fold = || Arc::new(self.net.fold(coordinate));
            Arc::clone(folded.entry(coordinate.to_bits()).or_insert_with(fold))
        };
        self.net.evaluate(&folded, scale, x, out);
    }
}

struct Packed<'a> {
    w1: &'a [f32],
    c1: &'a [f32],
    w2: &'a [f32],
    c2: &'a [f32],
    w3: &'a [f32],
    b3: f32,
}

/// The net on one block.
#[inline(always)]
fn block<A: ActivationFn>(net: &Packed<'_>, hidden: &mut [[f32; LANES]], x: &[f32; LANES]) -> [f32; LANES] {
    for ((h, &w), &c) in hidden.iter_mut().zip(net.w1).zip(net.c1) {
        for lane in 0..LANES {
            h[lane] = A::value(x[lane].mul_add(w, c));
        }
    }
    let mut out = [net.b3; LANES];
    let inputs = net.w1.len();
    for ((weights, c), w3) in
        net.w2.chunks_exact(TILE * inputs).zip(net.c2.chunks_exact(TILE)).zip(net.w3.chunks_exact(TILE))
    {
        let mut sums = [[0.0f32; LANES]; TILE];
        for row in 0..TILE {
            sums[row] = [c[row]; LANES];
        }
        for (h, w) in hidden.iter().zip(weights.chunks_exact(TILE)) {
            for row in 0..TILE {
                let weight = w[row];
                for lane in 0..LANES {
                    sums[row][lane] = h[lane].mul_add(weight, sums[row][lane]);
                }
            }
        }
        for row in 0..TILE {
            let weight = w3[row];
            for lane in 0..LANES {
                out[lane] = A::value(sums[row][lane]).mul_add(weight, out[lane]);
            }
        }
    }
    out
}

#[inline(always)]
fn plain<A: ActivationFn>(
    net: &Packed<'_>,
    hidden: &mut [[f32; LANES]],
    scale: f64,
    x: &[f64],
    out: &mut [f64],
) {
    for (x, out) in x.chunks(LANES).zip(out.chunks_mut(LANES)) {
        let mut lanes = [0.0; LANES];
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = (scale * x) as f32;
        }
        let answer = block::<A>(net, hidden, &lanes);
        for (out, answer) in out.iter_mut().zip(answer) {
            *out = f64::from(answer);
        }
    }
}

/// Half the lanes hold `x`, the others `-x`.
#[inline(always)]
fn odd<A: ActivationFn>(
    net: &Packed<'_>,
    hidden: &mut [[f32; LANES]],
    scale: f64,
    x: &[f64],
    out: &mut [f64],
) {
    const HALF: usize = LANES / 2;
    for (x, out) in x.chunks(HALF).zip(out.chunks_mut(HALF)) {
        let mut lanes = [0.0; LANES];
        let (plus, minus) = lanes.split_at_mut(HALF);
        for ((p, m), x) in plus.iter_mut().zip(minus).zip(x) {
            (*p, *m) = ((scale * x) as f32, -((scale * x) as f32));
        }
        let answer = block::<A>(net, hidden, &lanes);
        for (lane, out) in out.iter_mut().enumerate() {
            *out = 0.5 * (f64::from(answer[lane]) - f64::from(answer[HALF + lane]));
        }
    }
}

macro_rules! kernels {
    ($($name:ident = $body:ident::<$activation:ty>;)*) => {$(
        #[multiversion(targets(
            "x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2",
            "x86_64+avx2+fma+bmi2"
        ))]
        fn $name(net: &Packed<'_>, hidden: &mut [[f32; LANES]], scale: f64, x: &[f64], out: &mut [f64]) {
            $body::<$activation>(net, hidden, scale, x, out);
        }
    )*};
}
kernels! {
    silu = plain::<Silu>;
    silu_odd = odd::<Silu>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MlpConfig;
    use crate::gradient::{TrainingBatch, Workspace, loss_and_gradient};
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn answers_match_the_training_code_and_do_not_depend_on_blocks() {
        for config in [MlpConfig::paper(), MlpConfig::residual()] {
            let mlp = Mlp::new(config, &mut Pcg64::seed_from_u64(2)).unwrap();
            let fused = FusedMlp::new(mlp.clone());
            let folded = fused.fold(0.37);
            let x: Vec<f64> = (0..131).map(|i| f64::from(i) / 20.0 - 3.2).collect();
            let mut out = vec![0.0; x.len()];
            fused.evaluate(&folded, 1.0, &x, &mut out);
            for (start, end) in [(0, 1), (5, 53), (100, 131)] {
                let mut part = vec![0.0; end - start];
                fused.evaluate(&folded, 1.0, &x[start..end], &mut part);
                assert_eq!(part, out[start..end]);
            }
            // With target 0 and weight 1 the loss of a single row is the square of the answer.
            let mut gradient = vec![0.0; mlp.parameters().len()];
            for (&x, &out) in x.iter().zip(&out) {
                let batch =
                    TrainingBatch { x: &[x as f32], coordinate: &[0.37], target: &[0.0], weight: &[1.0] };
                let loss = loss_and_gradient(&mlp, batch, &mut Workspace::new(&mlp), &mut gradient);
                assert!((f64::from(loss).sqrt() - out.abs()).abs() < 2e-6, "{x}: {loss} {out}");
            }
            if config.odd {
                let mirrored: Vec<f64> = x.iter().map(|x| -x).collect();
                let mut minus = vec![0.0; x.len()];
                fused.evaluate(&folded, 1.0, &mirrored, &mut minus);
                assert!(minus.iter().zip(&out).all(|(m, o)| *m == -*o));
            }
        }
    }
}
