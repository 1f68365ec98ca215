//! Laws of the odd U-Net, of its batches and of the score that it makes.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../../lattice-phi4/tests/hostile/sealed.rs"]
#[allow(dead_code, reason = "other tests take seals away, too")]
mod sealed;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use score_nets::candle_core::{DType, Device, Tensor};
use score_nets::{
    Augmentation, BatchSource, Checkpoint, CheckpointError, Denoising, FieldBatch, FieldBatches,
    FieldBatchesConfig, FieldScales, FieldSourceError, FieldTarget, LatticeScore, Mlp, Net, NetError,
    OddUnet, OddUnetConfig, OddUnetGraph, TrainError, Trainer, information_rates,
};
use sde_core::ndarray::{Array2, s};
use sde_core::{Communicator, Edm, NoiseSchedule, ScoreFn, ScoreModel, Solo, Threads, VariancePreserving};
use sealed::sealed;
use std::io;
use std::ops::ControlFlow;
use testing::seed;

mod common;

use common::{go_on, in_a_pool, normals, settings, single};

/// The highest learning rate.
const PEAK: f64 = 1e-2;

/// The scales of independent sites of variance one.
fn scales(extents: [usize; 2]) -> FieldScales {
    let noise: Vec<f64> = (0..60).map(|i| 0.05 * 1.1f64.powi(i)).collect();
    let width = noise.iter().map(|s| s / (1.0 + s * s).sqrt()).collect();
    FieldScales { extents, deviation: 1.0, noise, width }
}

fn small(extents: [usize; 2]) -> OddUnetConfig {
    OddUnetConfig { channels: vec![3, 4], harmonics: 2, ..OddUnetConfig::new(scales(extents)) }
}

/// A net whose parameters are all in use.
fn net(config: OddUnetConfig) -> OddUnet {
    let mut net = OddUnet::new(config, &mut Pcg64::seed_from_u64(1)).unwrap();
    let mut rng = Pcg64::seed_from_u64(2);
    net.parameters_mut().iter_mut().for_each(|p| *p += rng.random_range(-0.2..0.2));
    net
}

fn answer(net: &OddUnet, inputs: &[f32], log_noise: f32) -> Vec<f32> {
    let mut out = vec![0.0; inputs.len() / 2];
    net.evaluate(inputs, log_noise, &mut out);
    out
}

#[test]
fn odd_to_the_bit() {
    for packed in [false, true] {
        let net = net(OddUnetConfig { packed, ..small([8, 16]) });
        let inputs = single(&normals(3 * 2 * 128, 5));
        let mirrored: Vec<f32> = inputs.iter().map(|x| -x).collect();
        let (plus, minus) = (answer(&net, &inputs, 0.3), answer(&net, &mirrored, 0.3));
        assert!(plus.iter().any(|x| x.abs() > 0.01));
        assert!(plus.iter().zip(&minus).all(|(a, b)| *a == -*b));
    }
}

/// Translates every plane of 8 x 16 sites.
fn translated(fields: &[f32], dy: usize, dx: usize) -> Vec<f32> {
    let place = |i: usize| (i / 128) * 128 + ((i / 16 + dy) % 8) * 16 + (i % 16 + dx) % 16;
    let mut out = vec![0.0; fields.len()];
    fields.iter().enumerate().for_each(|(i, x)| out[place(i)] = *x);
    out
}

#[test]
fn commutes_with_translations_by_the_stride_and_no_others() {
    for (packed, stride) in [(false, 2), (true, 4)] {
        let net = net(OddUnetConfig { packed, ..small([8, 16]) });
        assert_eq!(net.config().stride(), stride);
        let inputs = single(&normals(2 * 2 * 128, 5));
        let here = answer(&net, &inputs, -0.7);
        for (dy, dx) in [(stride, 0), (0, stride), (2 * stride, 3 * stride)] {
            let there = answer(&net, &translated(&inputs, dy, dx), -0.7);
            assert!(there.iter().zip(&translated(&here, dy, dx)).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        let there = answer(&net, &translated(&inputs, 1, 0), -0.7);
        assert!(there.iter().zip(&translated(&here, 1, 0)).any(|(a, b)| (a - b).abs() > 1e-3));
    }
}

fn batch(samples: usize, sites: usize) -> FieldBatch {
    FieldBatch {
        inputs: single(&normals(samples * 2 * sites, 7)),
        log_noise: (0..samples).map(|i| i as f32 / 5.0 - 1.0).collect(),
        target: single(&normals(samples * sites, 8)),
    }
}

/// The loss in double precision.
fn loss(net: &OddUnet, batch: &FieldBatch) -> Tensor {
    let graph = OddUnetGraph::constant(net, DType::F64, &Device::Cpu).unwrap();
    loss_of(&graph, net, batch)
}

fn loss_of(graph: &OddUnetGraph, net: &OddUnet, batch: &FieldBatch) -> Tensor {
    let [h, w] = net.config().fields.extents;
    let n = batch.samples();
    let double = |values: &[f32], shape: &[usize]| {
        Tensor::from_slice(values, shape, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap()
    };
    let out = graph.forward(&double(&batch.inputs, &[n, 2, h, w]), &double(&batch.log_noise, &[n])).unwrap();
    (out - double(&batch.target, &[n, 1, h, w])).unwrap().sqr().unwrap().mean_all().unwrap()
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for packed in [false, true] {
        let net = net(OddUnetConfig { packed, ..small([4, 8]) });
        let batch = batch(5, 32);
        let mut gradient = vec![f32::NAN; net.parameters().len()];
        let value = net.loss_and_gradient(&batch, &mut (), &mut gradient);
        let exact = loss(&net, &batch).to_scalar::<f64>().unwrap();
        assert!((f64::from(value) / exact - 1.0).abs() < 1e-6);

        // Single precision against the same graph in double precision, everywhere.
        let (graph, variables) = OddUnetGraph::trainable(&net, DType::F64, &Device::Cpu).unwrap();
        let gradients = loss_of(&graph, &net, &batch).backward().unwrap();
        let double: Vec<f64> = variables
            .iter()
            .flat_map(|v| gradients.get(v).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap())
            .collect();
        let scale = double.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        for (i, (a, b)) in gradient.iter().zip(&double).enumerate() {
            assert!((f64::from(*a) - b).abs() < 2e-6 * scale, "{i}: {a} {b}");
        }
        // Double precision against differences, at the largest derivative of every tensor.
        for spec in net.layout().tensors() {
            let place =
                spec.range.clone().max_by(|a, b| double[*a].abs().total_cmp(&double[*b].abs())).unwrap();
            // Powers of two: parameters are single precision.
            let at = |step: f32| {
                let mut moved = net.clone();
                moved.parameters_mut()[place] += step;
                (moved.parameters()[place], loss(&moved, &batch).to_scalar::<f64>().unwrap())
            };
            let ((low, below), (high, above)) = (at(-1.0 / 512.0), at(1.0 / 512.0));
            let difference = (above - below) / f64::from(high - low);
            assert!((difference - double[place]).abs() < 1e-4 * scale, "{}", spec.name);
        }
    }
}

#[test]
fn gradients_and_scores_do_not_depend_on_threads() {
    let net = net(small([16, 16]));
    let batch = batch(64, 256);
    let score =
        LatticeScore::new(ScoreFn(|x: f64, s: f64| -x / (1.0 + s * s)), &net, Edm::new(20.0).unwrap());
    let x = Array2::from_shape_vec((64, 256), normals(64 * 256, 3)).unwrap();
    let work = || {
        let mut gradient = vec![0.0; net.parameters().len()];
        let loss = net.loss_and_gradient(&batch, &mut (), &mut gradient);
        let mut out = Array2::zeros(x.dim());
        score.score(x.view(), 0.5, out.view_mut()).unwrap();
        (loss, gradient, out)
    };
    assert_eq!(in_a_pool(1, work), in_a_pool(4, work));
    // nor do scores on the other rows
    let whole = in_a_pool(2, work).2;
    let mut part = Array2::zeros((5, 256));
    score.score(x.slice(s![31..36, ..]), 0.5, part.view_mut()).unwrap();
    assert!(part.iter().zip(whole.slice(s![31..36, ..])).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn any_number_of_processes_and_threads_trains_the_same_net() {
    let (data, base) = (two_peak(200, 64, 1), two_peak_base());
    let trained = |member: &dyn Communicator| {
        let batches = FieldBatchesConfig { samples: 400, ..FieldBatchesConfig::default() };
        let source = FieldBatches::new(&data, &base, two_peak_scales([8, 8]), batches).unwrap();
        let start = OddUnet::new(small([8, 8]), &mut Pcg64::seed_from_u64(3)).unwrap();
        Trainer::new(start, source, settings(5, PEAK)).unwrap().on(member).train(&mut go_on).unwrap().net
    };
    let alone = trained(&Solo);
    for (size, threads) in [1, 2, 3, 4].into_iter().flat_map(|size| [1, 2, 3, 8].map(|n| (size, n))) {
        let found = Threads::run(size, |member| in_a_pool(threads, || trained(member)));
        assert!(found.iter().all(|net| *net == alone), "{size} x {threads}");
    }
}

#[test]
fn one_net_serves_every_schedule() {
    let net = net(small([8, 8]));
    let preserving = VariancePreserving::new(10.0).unwrap();
    let kernel = preserving.transition(0.0, 0.3);
    let (f, s) = (kernel.mean_factor, kernel.noise_to_signal().sqrt());
    // the score of N(0, 1) under either schedule
    let there = LatticeScore::new(ScoreFn(|x: f64, _: f64| -x), &net, preserving);
    let here = LatticeScore::new(ScoreFn(|x: f64, s: f64| -x / (1.0 + s * s)), &net, Edm::new(20.0).unwrap());
    let y = Array2::from_shape_vec((2, 64), normals(128, 4)).unwrap();
    let (mut a, mut b) = (Array2::zeros(y.dim()), Array2::zeros(y.dim()));
    here.score(y.view(), s, a.view_mut()).unwrap();
    there.score((&y * f).view(), 0.3, b.view_mut()).unwrap();
    assert!(a.iter().zip(&b).all(|(a, b)| (a - f * b).abs() < 1e-5 * a.abs().max(1.0)));
    // without noise levels to speak for, the base
    let mut gaussian = Array2::zeros(y.dim());
    here.score(y.view(), 19.0, gaussian.view_mut()).unwrap();
    assert!(gaussian.iter().zip(&y).all(|(s, y)| *s == -y / 362.0));
    let wrong = here.score(Array2::zeros((1, 63)).view(), 1.0, Array2::zeros((1, 63)).view_mut());
    assert!(wrong.is_err());
}

/// Independent sites of the two-peak model.
fn two_peak(rows: usize, sites: usize, seed: u64) -> Array2<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut field = Array2::from_shape_vec((rows, sites), normals(rows * sites, seed)).unwrap();
    field.mapv_inplace(|z| 0.25 * z + if rng.random::<bool>() { 1.0 } else { -1.0 });
    field
}

/// Scales and base of independent sites of variance `17/16`.
fn two_peak_scales(extents: [usize; 2]) -> FieldScales {
    FieldScales { deviation: (17.0f64 / 16.0).sqrt(), ..scales(extents) }
}

fn two_peak_base() -> ScoreFn<fn(f64, f64) -> f64> {
    ScoreFn(|x, s| -x / (17.0 / 16.0 + s * s))
}

/// Over 15 seeds and three levels 0.984 of the gain is found, with a spread of 0.009.
#[test]
fn learns_the_exact_score_of_independent_sites() {
    let (data, base, scales) = (two_peak(2000, 64, seed(1)), two_peak_base(), two_peak_scales([8, 8]));
    let batches = FieldBatchesConfig { seed: seed(0), ..FieldBatchesConfig::default() };
    let source = FieldBatches::new(&data, &base, scales.clone(), batches).unwrap();
    let config = OddUnetConfig { channels: vec![8], ..OddUnetConfig::new(scales) };
    let start = OddUnet::new(config, &mut Pcg64::seed_from_u64(seed(3))).unwrap();
    let net = Trainer::new(start, source, settings(600, PEAK)).unwrap().train(&mut go_on).unwrap().net;

    let edm = Edm::new(20.0).unwrap();
    let learnt = LatticeScore::new(base, &net, edm);
    // The law of one site at noise s: two peaks of variance 1/16 + s^2 [4.10].
    let exact = ScoreFn(|x: f64, s: f64| {
        let width = 1.0 / 16.0 + s * s;
        ((x / width).tanh() - x) / width
    });
    let unseen = two_peak(500, 64, seed(9));
    let levels = [0.2, 0.5, 1.0];
    let best = information_rates(&base, &exact, &Denoising, &unseen, &levels, seed(1)).unwrap();
    let found = information_rates(&base, &learnt, &Denoising, &unseen, &levels, seed(1)).unwrap();
    for (found, best) in found.iter().zip(&best) {
        // The same noise on the same fields: the two share their fluctuations.
        assert!(best.rate > 5.0 * best.error);
        assert!(found.rate > 0.9 * best.rate && found.rate < best.rate + best.error, "{found:?} {best:?}");
    }
}

#[test]
fn batches_are_a_function_of_the_step_and_resume_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let (data, base, scales) = (two_peak(300, 64, 1), two_peak_base(), two_peak_scales([8, 8]));
    let config = FieldBatchesConfig { samples: 16, augmentation: Augmentation::ALL, seed: 4 };
    let source = || FieldBatches::new(&data, &base, scales.clone(), config).unwrap();
    let filled = |source: &mut FieldBatches<'_>, step| {
        let mut batch = source.buffer();
        source.fill(step, &mut batch).unwrap();
        batch
    };
    let mut first = source();
    let ahead: Vec<_> = (0..5).map(|step| filled(&mut first, step)).collect();
    for step in (0..5).rev() {
        assert_eq!(in_a_pool(3, || filled(&mut source(), step)), ahead[step as usize]);
    }
    assert_ne!(ahead[0], ahead[1]);

    let start = || OddUnet::new(OddUnetConfig { ..small([8, 8]) }, &mut Pcg64::seed_from_u64(3)).unwrap();
    let mut whole = Trainer::new(start(), source(), settings(40, PEAK)).unwrap();
    let result = whole.train(&mut go_on).unwrap();
    let mut half = Trainer::new(start(), source(), settings(40, PEAK)).unwrap().with_checkpoints(&path, 20);
    let stop = |news: score_nets::Progress| match news.step {
        20 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    half.train(&mut { stop }).unwrap();
    let mut rest = Trainer::resume(&path, source(), settings(40, PEAK)).unwrap();
    assert_eq!(rest.step(), 20);
    assert_eq!(rest.train(&mut go_on).unwrap(), result);
    assert_eq!(rest.checkpoint(), whole.checkpoint());
}

#[test]
fn checkpoints_refuse_another_size_normalisation_architecture_and_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let (data, base, scales) = (two_peak(100, 64, 1), two_peak_base(), two_peak_scales([8, 8]));
    let config = FieldBatchesConfig { samples: 8, ..FieldBatchesConfig::default() };
    let source = |scales: &FieldScales| FieldBatches::new(&data, &base, scales.clone(), config).unwrap();
    let start =
        OddUnet::new(OddUnetConfig { fields: scales.clone(), ..small([8, 8]) }, &mut Pcg64::seed_from_u64(3));
    Trainer::new(start.unwrap(), source(&scales), settings(2, PEAK))
        .unwrap()
        .with_checkpoints(&path, 2)
        .train(&mut go_on)
        .unwrap();

    let refused =
        |source: FieldBatches<'_>| match Trainer::resume(&path, source, settings(2, PEAK)).unwrap_err() {
            CheckpointError::Setting { field: "source", expected, found, .. } => (expected, found),
            other => panic!("{other:?}"),
        };
    let wider = FieldScales { deviation: 2.0, ..scales.clone() };
    let (expected, found) = refused(source(&wider));
    assert!(expected.contains("2.0") && found.contains("1.03"), "{expected} {found}");
    let oblong = FieldScales { extents: [4, 16], ..scales.clone() };
    let (expected, found) = refused(source(&oblong));
    assert!(expected.contains("[4,16]") && found.contains("[8,8]"), "{expected} {found}");
    refused(source(&scales).with_target(&Halfway));
    Trainer::resume(&path, source(&scales), settings(2, PEAK)).unwrap();

    // A net of another kind.
    match Checkpoint::<Mlp>::read(&path).unwrap_err() {
        CheckpointError::Setting { field, expected, found, .. } => {
            assert_eq!((field, &expected[..], &found[..]), ("kind", "mlp", "odd_unet"));
        }
        other => panic!("{other:?}"),
    }
    // Another architecture in the metadata than in the tensors.
    let metadata = std::fs::read_to_string(&path).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    json.as_object_mut().unwrap().remove("seal");
    let write = |json: &serde_json::Value| {
        std::fs::write(&path, sealed("seal", &json.to_string().as_bytes()[1..])).unwrap();
    };
    json["net"]["channels"] = serde_json::json!([3, 5]);
    write(&json);
    let error = Checkpoint::<OddUnet>::read(&path).unwrap_err();
    assert!(matches!(error, CheckpointError::Tensor { .. }), "{error:?}");
    json["net"]["channels"] = serde_json::json!([3, 5, 5, 5, 5]);
    write(&json);
    match Checkpoint::<OddUnet>::read(&path).unwrap_err() {
        CheckpointError::Net { source, .. } => assert_eq!(source, NetError::Extent { extent: 8, stride: 16 }),
        other => panic!("{other:?}"),
    }
}

/// Not a target of anything, but another one.
struct Halfway;

impl FieldTarget for Halfway {
    fn write(&self, phi: &[f64], x: &[f64], _: f64, out: &mut [f64]) {
        (0..out.len()).for_each(|i| out[i] = 0.5 * (phi[i] + x[i]));
    }
}

/// Fields on a medium that fails from number 10 on, once they have been checked.
struct Failing {
    fields: Array2<f64>,
    reads: std::sync::atomic::AtomicUsize,
}

impl score_nets::Configurations for Failing {
    fn len(&self) -> usize {
        self.fields.nrows()
    }

    fn sites(&self) -> usize {
        self.fields.ncols()
    }

    fn read(&self, index: usize, out: &mut [f64]) -> io::Result<()> {
        if self.reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 2 * self.len() {
            return Err(io::Error::other("the disk is gone"));
        }
        self.fields.read(index, out)
    }
}

#[test]
fn bad_data_are_refused() {
    let (base, scales) = (two_peak_base(), two_peak_scales([8, 8]));
    let config = FieldBatchesConfig { samples: 8, ..FieldBatchesConfig::default() };
    let made =
        |data: &Array2<f64>| FieldBatches::new(data, &base, scales.clone(), config).map(|_| ()).unwrap_err();
    let error = made(&Array2::zeros((0, 64)));
    assert_eq!(error.to_string(), "configurations = 0 must be at least 1");
    let error = made(&Array2::zeros((3, 63)));
    assert_eq!(error.to_string(), "fields of 63 sites for a net of 64");
    let mut data = two_peak(5, 64, 1);
    data[(3, 7)] = f64::NAN;
    let error = made(&data);
    assert!(matches!(error, FieldSourceError::NotFinite { index: 3, site: 7, .. }), "{error:?}");

    let failing = Failing { fields: two_peak(20, 64, 1), reads: std::sync::atomic::AtomicUsize::new(0) };
    let source = FieldBatches::new(&failing, &base, scales.clone(), config).unwrap();
    let start = OddUnet::new(OddUnetConfig { fields: scales, ..small([8, 8]) }, &mut Pcg64::seed_from_u64(3));
    let mut trainer = Trainer::new(start.unwrap(), source, settings(100, PEAK)).unwrap();
    let error = trainer.train(&mut go_on).unwrap_err();
    assert!(matches!(error, TrainError::Data { .. }), "{error:?}");

    let config = |change: fn(&mut OddUnetConfig)| {
        let mut config = small([8, 8]);
        change(&mut config);
        OddUnet::new(config, &mut Pcg64::seed_from_u64(1)).unwrap_err()
    };
    assert_eq!(config(|c| c.blocks = 0), NetError::Empty { name: "blocks" });
    assert_eq!(config(|c| c.channels.clear()), NetError::Empty { name: "channels" });
    assert_eq!(config(|c| c.harmonics = 0), NetError::NoHarmonics);
    assert_eq!(config(|c| c.channels = vec![1; 5]), NetError::Extent { extent: 8, stride: 16 });
    assert_eq!(config(|c| c.fields.noise.truncate(4)), NetError::Table { noise: 4, width: 60 });
    assert_eq!(
        config(|c| c.fields.noise[2] = 0.01),
        NetError::Scale { name: "noise", index: 2, value: 0.01 }
    );
    assert!(config(|c| c.fields.deviation = f64::NAN).to_string().starts_with("deviation[0] = NaN"));
}
