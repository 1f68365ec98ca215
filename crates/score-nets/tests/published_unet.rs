//! Laws of the paper's net for lattices, of its batches and of its score.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use score_nets::candle_core::{DType, Device, Tensor};
use score_nets::{
    Augmentation, BatchSource, Checkpoint, DenoisingConfig, FieldDenoisingBatches, FieldSourceError, Net,
    NetError, PublishedScore, PublishedUnet, PublishedUnetConfig, PublishedUnetGraph, TimedFields, Times,
    Trainer,
};
use sde_core::ndarray::{Array2, s};
use sde_core::{NoiseSchedule, ScoreModel, VarianceExpanding};
use std::f64::consts::TAU;
use std::ops::ControlFlow;
use testing::{Comparisons, seed};

mod common;

use common::{go_on, in_a_pool, normals, settings, single};

/// The highest learning rate.
const PEAK: f64 = 5e-3;

fn small(extents: [usize; 2]) -> PublishedUnetConfig {
    let channels = vec![4, 6, 8];
    PublishedUnetConfig {
        extents,
        channels,
        features: 8,
        first_groups: 1,
        groups: 2,
        frequency_scale: 1.0,
        frequency_seed: 3,
    }
}

/// A net whose scales and shifts are no longer those it starts with.
fn net(config: PublishedUnetConfig) -> PublishedUnet {
    let mut net = PublishedUnet::new(config, &mut Pcg64::seed_from_u64(1)).unwrap();
    let mut rng = Pcg64::seed_from_u64(2);
    net.parameters_mut().iter_mut().for_each(|p| *p += rng.random_range(-0.2..0.2));
    net
}

fn batch(samples: usize, sites: usize) -> TimedFields {
    TimedFields {
        x: single(&normals(samples * sites, 7)),
        time: (0..samples).map(|i| (i as f32 + 0.5) / samples as f32).collect(),
        noise: single(&normals(samples * sites, 8)),
    }
}

fn answers(graph: &PublishedUnetGraph, net: &PublishedUnet, batch: &TimedFields, dtype: DType) -> Tensor {
    let [h, w] = net.config().extents;
    let n = batch.samples();
    let tensor = |values: &[f32], shape: &[usize]| {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap().to_dtype(dtype).unwrap()
    };
    graph.forward(&tensor(&batch.x, &[n, 1, h, w]), &tensor(&batch.time, &[n])).unwrap()
}

/// The loss in double precision.
fn loss_of(graph: &PublishedUnetGraph, net: &PublishedUnet, batch: &TimedFields) -> Tensor {
    let answers = answers(graph, net, batch, DType::F64).flatten_all().unwrap();
    let noise: Vec<f64> = batch.noise.iter().map(|z| f64::from(*z)).collect();
    (answers + Tensor::new(noise, &Device::Cpu).unwrap()).unwrap().sqr().unwrap().mean_all().unwrap()
}

fn loss(net: &PublishedUnet, batch: &TimedFields) -> f64 {
    let graph = PublishedUnetGraph::constant(net, DType::F64, &Device::Cpu).unwrap();
    loss_of(&graph, net, batch).to_scalar().unwrap()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    // Rows that vectors fit, and rows that they do not.
    for extents in [[4, 8], [3, 5]] {
        let net = net(small(extents));
        let batch = batch(5, extents[0] * extents[1]);
        let mut gradient = vec![f32::NAN; net.parameters().len()];
        let value = net.loss_and_gradient(&batch, &mut (), &mut gradient);
        assert!((f64::from(value) / loss(&net, &batch) - 1.0).abs() < 1e-5);

        // By hand in single precision against the graph in double precision, everywhere.
        let (graph, variables) = PublishedUnetGraph::trainable(&net, DType::F64, &Device::Cpu).unwrap();
        let gradients = loss_of(&graph, &net, &batch).backward().unwrap();
        let double: Vec<f64> = variables
            .iter()
            .flat_map(|v| gradients.get(v).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap())
            .collect();
        let scale = double.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        for spec in net.layout().tensors() {
            for i in spec.range.clone() {
                let (a, b) = (f64::from(gradient[i]), double[i]);
                assert!((a - b).abs() < 1e-5 * scale, "{} {i}: {a} {b}", spec.name);
            }
        }
        // Double precision against differences, at the largest derivative of every tensor.
        for spec in net.layout().tensors() {
            let place =
                spec.range.clone().max_by(|a, b| double[*a].abs().total_cmp(&double[*b].abs())).unwrap();
            // Powers of two: parameters are single precision.
            let at = |step: f32| {
                let mut moved = net.clone();
                moved.parameters_mut()[place] += step;
                (f64::from(moved.parameters()[place]), loss(&moved, &batch))
            };
            let ((low, below), (high, above)) = (at(-1.0 / 1024.0), at(1.0 / 1024.0));
            let difference = (above - below) / (high - low);
            assert!((difference - double[place]).abs() < 1e-4 * scale, "{}", spec.name);
        }
    }
}

#[test]
fn answers_are_those_of_the_graph_in_double_precision() {
    for extents in [[8, 8], [5, 7]] {
        let net = net(PublishedUnetConfig { channels: vec![8, 36, 4], groups: 4, ..small(extents) });
        let mut batch = batch(3, extents[0] * extents[1]);
        batch.time.fill(0.37);
        let mut found = vec![0.0; batch.x.len()];
        net.evaluate(&batch.x, 0.37, &mut found);
        for dtype in [DType::F32, DType::F64] {
            let graph = PublishedUnetGraph::constant(&net, dtype, &Device::Cpu).unwrap();
            let expected = answers(&graph, &net, &batch, dtype).to_dtype(DType::F64).unwrap();
            let expected = expected.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            let scale = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
            for (a, b) in found.iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 1e-5 * scale, "{a} {b}");
            }
        }
    }
}

#[test]
fn commutes_with_all_translations() {
    let net = net(small([6, 8]));
    let x = single(&normals(48, 5));
    let translated = |x: &[f32], dy: usize, dx: usize| -> Vec<f32> {
        (0..48).map(|i| x[(i / 8 + dy) % 6 * 8 + (i + dx) % 8]).collect()
    };
    let answer = |x: &[f32]| {
        let mut out = vec![0.0; 48];
        net.evaluate(x, 0.6, &mut out);
        out
    };
    let here = answer(&x);
    for (dy, dx) in [(1, 0), (0, 1), (3, 5)] {
        let there = answer(&translated(&x, dy, dx));
        assert!(there.iter().zip(&translated(&here, dy, dx)).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    assert!(here.iter().any(|a| (a - here[0]).abs() > 0.01));
}

#[test]
fn gradients_batches_and_scores_do_not_depend_on_threads() {
    let net = net(small([4, 8]));
    let batch = batch(11, 32);
    let schedule = VarianceExpanding::new(5.0).unwrap();
    let score = PublishedScore::new(net.clone(), schedule);
    let x = Array2::from_shape_vec((11, 32), normals(11 * 32, 3)).unwrap();
    let work = || {
        let mut gradient = vec![0.0; net.parameters().len()];
        let loss = net.loss_and_gradient(&batch, &mut (), &mut gradient);
        let mut out = Array2::zeros(x.dim());
        score.score(x.view(), 0.5, out.view_mut()).unwrap();
        let config = DenoisingConfig { samples: 7, earliest: 1e-3, ..DenoisingConfig::default() };
        let mut source = FieldDenoisingBatches::new(&x, [4, 8], schedule, Augmentation::ALL, config).unwrap();
        let mut drawn = source.buffer();
        source.fill(5, &mut drawn).unwrap();
        (loss, gradient, out, drawn)
    };
    let one = in_a_pool(1, work);
    assert_eq!(one, in_a_pool(4, work));
    // nor do scores on the other rows
    let mut part = Array2::zeros((2, 32));
    score.score(x.slice(s![6..8, ..]), 0.5, part.view_mut()).unwrap();
    assert_eq!(part, one.2.slice(s![6..8, ..]));
}

#[test]
fn the_score_is_the_answer_over_the_noise() {
    let net = net(small([4, 4]));
    let schedule = VarianceExpanding::new(25.0).unwrap();
    let score = PublishedScore::new(net.clone(), schedule);
    let x = Array2::from_shape_vec((2, 16), normals(32, 3)).unwrap();
    let (mut found, mut answer) = (Array2::zeros(x.dim()), vec![0.0; 32]);
    score.score(x.view(), 0.25, found.view_mut()).unwrap();
    net.evaluate(&single(x.as_slice().unwrap()), 0.25, &mut answer);
    // Xi(t) = (sigma^(2t) - 1) / (2 ln sigma)
    let noise = (4.0 / (2.0 * 25f64.ln())).sqrt();
    assert!(found.iter().zip(&answer).all(|(s, n)| (s * noise - f64::from(*n)).abs() < 1e-12));
    assert!(score.score(Array2::zeros((1, 15)).view(), 1.0, Array2::zeros((1, 15)).view_mut()).is_err());
}

/// `1/V sum over modes of f(G(p)) cos(p r)` on 8 x 8 sites: a translation-invariant matrix by its first row.
fn invariant(f: impl Fn(f64) -> f64) -> Vec<f64> {
    let at = |r: usize| {
        let term = |p: usize| {
            let [a, b] = [p / 8, p % 8].map(|k| TAU * k as f64 / 8.0);
            let propagator = 1.0 / (2.0 * (1.0 - 2.0 * 0.2 * (a.cos() + b.cos())));
            f(propagator) * (a * (r / 8) as f64 + b * (r % 8) as f64).cos()
        };
        (0..64).map(term).sum::<f64>() / 64.0
    };
    (0..64).map(at).collect()
}

/// The product of such a matrix with a field.
fn times(row: &[f64], field: &[f64]) -> Vec<f64> {
    let site = |x: usize| {
        let term = |y: usize| row[(x / 8 + 8 - y / 8) % 8 * 8 + (x + 8 - y % 8) % 8] * field[y];
        (0..64).map(term).sum()
    };
    (0..64).map(site).collect()
}

/// Configurations of the free field at hopping 0.2.
fn free_field(rows: usize, seed: u64) -> Array2<f64> {
    let root = invariant(f64::sqrt);
    let fields = normals(rows * 64, seed).chunks(64).flat_map(|z| times(&root, z)).collect();
    Array2::from_shape_vec((rows, 64), fields).unwrap()
}

/// Over 15 seeds the loss comes from 2.95 times the best one, with a spread of 0.33, to 1.005 of it, with 0.0013.
#[test]
fn learns_the_free_field_to_its_exact_optimum() {
    let schedule = VarianceExpanding::new(5.0).unwrap();
    let config = DenoisingConfig { samples: 64, earliest: 1e-3, seed: seed(0), ..DenoisingConfig::default() };
    let data = free_field(2000, seed(1));
    let source = FieldDenoisingBatches::new(&data, [8, 8], schedule, Augmentation::ALL, config).unwrap();
    let start = PublishedUnetConfig { channels: vec![8, 16], features: 32, groups: 4, ..small([8, 8]) };
    let start = PublishedUnet::new(start, &mut Pcg64::seed_from_u64(seed(3))).unwrap();
    let trained =
        Trainer::new(start.clone(), source, settings(400, PEAK)).unwrap().train(&mut go_on).unwrap().net;

    // On the same unseen batch: the loss before and after, and of  E[z | x] = sqrt(Xi) x / (G + Xi).
    let unseen = free_field(256, seed(9));
    let config = DenoisingConfig { samples: 256, seed: seed(5), ..config };
    let mut source =
        FieldDenoisingBatches::new(&unseen, [8, 8], schedule, Augmentation::NONE, config).unwrap();
    let mut batch = source.buffer();
    source.fill(0, &mut batch).unwrap();
    let mut unused = vec![0.0; start.parameters().len()];
    let [before, after] =
        [start, trained].map(|net| f64::from(net.loss_and_gradient(&batch, &mut (), &mut unused)));
    let mut best = 0.0;
    for sample in 0..256 {
        let xi = schedule.transition(0.0, f64::from(batch.time[sample])).variance;
        let part = |values: &[f32]| -> Vec<f64> {
            values[64 * sample..64 * (sample + 1)].iter().map(|x| f64::from(*x)).collect()
        };
        let mean = times(&invariant(|g| xi.sqrt() / (g + xi)), &part(&batch.x));
        best += mean.iter().zip(part(&batch.noise)).map(|(m, z)| (z - m).powi(2)).sum::<f64>();
    }
    best /= 256.0 * 64.0;
    assert!(before > 1.2 * best, "{before} {best}");
    assert!(after < 1.02 * best, "{after} {best}");
    // Nothing is better than the conditional mean but by chance: the two share the noise, 1 in 100 is far beyond it.
    assert!(after > 0.99 * best, "{after} {best}");
}

#[test]
fn batches_are_the_formula_and_resume_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let data = free_field(50, 1);
    let schedule = VarianceExpanding::new(5.0).unwrap();
    let config = DenoisingConfig { samples: 6, earliest: 1e-3, seed: seed(0), ..DenoisingConfig::default() };
    let source = || FieldDenoisingBatches::new(&data, [8, 8], schedule, Augmentation::SPACE, config).unwrap();
    let start = net(small([8, 8]));
    let whole = Trainer::new(start.clone(), source(), settings(8, PEAK)).unwrap().train(&mut go_on).unwrap();
    let mut first = Trainer::new(start, source(), settings(8, PEAK)).unwrap();
    first
        .train(&mut |progress| if progress.step == 3 { ControlFlow::Break(()) } else { go_on(progress) })
        .unwrap();
    first.checkpoint().write(&path).unwrap();
    assert_eq!(Checkpoint::<PublishedUnet>::read(&path).unwrap(), first.checkpoint());
    let rest = Trainer::resume(&path, source(), settings(8, PEAK)).unwrap().train(&mut go_on).unwrap();
    assert_eq!(rest.net, whole.net);

    // Times are spread over their range, or one for all.
    let mut batch = source().buffer();
    let mut all = Vec::new();
    for step in 0..400 {
        source().fill(step, &mut batch).unwrap();
        all.extend_from_slice(&batch.time);
    }
    assert!(all.iter().all(|t| *t > 1e-3 && *t <= 1.0));
    let count = all.len() as f64;
    let mean = all.iter().map(|t| f64::from(*t)).sum::<f64>() / count;
    // Uniform numbers have the variance 1/12.
    assert!(Comparisons::of(1).normal((mean - 0.5005) * (12.0 * count).sqrt()), "{mean}");
    let config = DenoisingConfig { times: Times::PerBatch, ..config };
    let mut together =
        FieldDenoisingBatches::new(&data, [8, 8], schedule, Augmentation::SPACE, config).unwrap();
    together.fill(3, &mut batch).unwrap();
    assert!(batch.time.iter().all(|t| *t == batch.time[0]));
}

#[test]
fn domain() {
    let good = small([4, 4]);
    let refused = |config: PublishedUnetConfig| <PublishedUnet as Net>::layout(&config).unwrap_err();
    assert_eq!(
        refused(PublishedUnetConfig { extents: [0, 4], ..good.clone() }),
        NetError::Empty { name: "extents" }
    );
    assert_eq!(
        refused(PublishedUnetConfig { channels: vec![], ..good.clone() }),
        NetError::Empty { name: "channels" }
    );
    assert_eq!(
        refused(PublishedUnetConfig { features: 7, ..good.clone() }),
        NetError::EmbeddingDims { dims: 7 }
    );
    assert_eq!(
        refused(PublishedUnetConfig { groups: 4, ..good.clone() }),
        NetError::Groups { channels: 6, groups: 4 }
    );
    assert!(matches!(
        refused(PublishedUnetConfig { frequency_scale: 0.0, ..good.clone() }),
        NetError::Scale { name: "frequency_scale", .. }
    ));
    let data = Array2::zeros((3, 16));
    let schedule = VarianceExpanding::new(5.0).unwrap();
    let source =
        |config| FieldDenoisingBatches::new(&data, [4, 4], schedule, Augmentation::NONE, config).unwrap_err();
    assert!(matches!(
        source(DenoisingConfig { earliest: 0.0, ..DenoisingConfig::default() }),
        FieldSourceError::Earliest { .. }
    ));
    assert!(matches!(
        source(DenoisingConfig { samples: 0, ..DenoisingConfig::default() }),
        FieldSourceError::Empty { name: "samples" }
    ));
}
