//! One net for a family of ensembles.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64;
use score_nets::{
    BatchSource, Checkpoint, ConditionalBatches, ConditionalUnet, ConditionalUnetConfig, Denoising,
    FieldBatches, FieldBatchesConfig, FieldScales, LatticeScore, Net, NetError, OddUnetConfig, Trainer,
    information_rates,
};
use sde_core::ndarray::Array2;
use sde_core::{Edm, ScoreFn, ScoreModel};
use testing::seed;

#[expect(dead_code, reason = "other tests use more of it")]
mod common;

use common::{go_on, normals, settings};

/// The family: independent sites with peaks at `+-1` of width `2^(3c/4 - 2)`.
fn width(c: f64) -> f64 {
    0.75f64.mul_add(c, -2.0).exp2()
}

fn variance(c: f64) -> f64 {
    1.0 + width(c).powi(2)
}

fn fields(rows: usize, c: f64, seed: u64) -> Array2<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut fields = Array2::from_shape_vec((rows, 64), normals(rows * 64, seed)).unwrap();
    fields.mapv_inplace(|z| width(c) * z + if rng.random::<bool>() { 1.0 } else { -1.0 });
    fields
}

fn scales(c: f64) -> FieldScales {
    let noise: Vec<f64> = (0..60).map(|i| 0.05 * 1.1f64.powi(i)).collect();
    let width = noise.iter().map(|s| s / (1.0 + s * s).sqrt()).collect();
    FieldScales { extents: [8, 8], deviation: variance(c).sqrt(), noise, width }
}

fn base(c: f64) -> ScoreFn<impl Fn(f64, f64) -> f64 + Sync> {
    ScoreFn(move |x: f64, s: f64| -x / (variance(c) + s * s))
}

fn exact(c: f64) -> ScoreFn<impl Fn(f64, f64) -> f64 + Sync> {
    ScoreFn(move |x: f64, s: f64| {
        let width = width(c).powi(2) + s * s;
        ((x / width).tanh() - x) / width
    })
}

fn config(channels: &[usize], degree: usize) -> ConditionalUnetConfig {
    let unet = OddUnetConfig { channels: channels.to_vec(), ..OddUnetConfig::new(scales(0.0)) };
    ConditionalUnetConfig { unet, degree }
}

/// Nets of this degree, trained where `c` is -1, 0 and 1.
fn trained(degree: usize, steps: u64) -> ConditionalUnet {
    let at = [-1.0, 0.0, 1.0];
    let data = at.map(|c| fields(1000, c, seed(7)));
    let bases = at.map(base);
    let parts = (0..3)
        .map(|i| {
            let batches =
                FieldBatchesConfig { samples: 32, seed: seed(i as u64), ..FieldBatchesConfig::default() };
            (at[i], FieldBatches::new(&data[i], &bases[i], scales(at[i]), batches).unwrap())
        })
        .collect();
    let source = ConditionalBatches::new(parts).unwrap();
    assert_eq!(source.samples(), 96);
    let start = ConditionalUnet::new(config(&[8], degree), &mut Pcg64::seed_from_u64(seed(3))).unwrap();
    Trainer::new(start, source, settings(steps, 1e-2)).unwrap().train(&mut go_on).unwrap().net
}

/// What a family gains over the base, and what can be gained, by the exact score, at noise 0.3 and one `c`.
fn gain(family: &ConditionalUnet, c: f64) -> (f64, f64) {
    let edm = Edm::new(20.0).unwrap();
    let net = family.at(c, scales(c)).unwrap();
    let (learnt, unseen) = (LatticeScore::new(base(c), &net, edm), fields(500, c, seed(9)));
    let rate = |score: &(dyn ScoreModel + Sync)| {
        information_rates(&base(c), score, &Denoising, &unseen, &[0.3], seed(1)).unwrap()[0].rate
    };
    (rate(&learnt), rate(&exact(c)))
}

/// Over 15 seeds 0.990 to 0.993 of the gain is found, with a spread of 0.003, and 0.859 with 0.007 by one net for all.
#[test]
fn learns_the_exact_scores_of_a_family_and_those_in_between() {
    let (family, alone) = (trained(2, 600), trained(0, 600));
    for c in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        let (found, best) = gain(&family, c);
        assert!(found > 0.97 * best && found < 1.01 * best, "{c}: {found} of {best}");
    }
    // One net for all has to strike a mean.
    let (found, best) = gain(&alone, -1.0);
    assert!(found < 0.9 * best, "{found} of {best}");
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let at = [-0.7, 0.4];
    let (data, bases) = (at.map(|c| fields(20, c, 1)), at.map(base));
    let batches = FieldBatchesConfig { samples: 4, ..FieldBatchesConfig::default() };
    let part = |i: usize| (at[i], FieldBatches::new(&data[i], &bases[i], scales(at[i]), batches).unwrap());
    let mut source = ConditionalBatches::new(vec![part(0), part(1)]).unwrap();
    let mut batch = source.buffer();
    source.fill(0, &mut batch).unwrap();

    let mut net = ConditionalUnet::new(config(&[3, 4], 2), &mut Pcg64::seed_from_u64(1)).unwrap();
    let mut rng = Pcg64::seed_from_u64(2);
    net.parameters_mut().iter_mut().for_each(|p| *p += rng.random_range(-0.2..0.2));
    let mut gradient = vec![f32::NAN; net.parameters().len()];
    net.loss_and_gradient(&batch, &mut (), &mut gradient);
    for tensor in net.layout().tensors() {
        // Along the gradient itself, where the loss changes most.
        let square: f32 = gradient[tensor.range.clone()].iter().map(|g| g * g).sum();
        let loss = |step: f32| {
            let mut moved = net.clone();
            let parameters = &mut moved.parameters_mut()[tensor.range.clone()];
            parameters.iter_mut().zip(&gradient[tensor.range.clone()]).for_each(|(p, g)| *p += step * g);
            moved.loss_and_gradient(&batch, &mut (), &mut vec![0.0; gradient.len()])
        };
        let step = 0.02 / square.sqrt();
        let slope = (loss(step) - loss(-step)) / (2.0 * step);
        assert!((slope / square - 1.0).abs() < 0.02, "{}: {slope} and {square}", tensor.name);
    }
}

#[test]
fn survives_a_checkpoint_and_refuses_bad_input() {
    let family = trained(1, 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("family.safetensors");
    let data = fields(10, 0.0, 1);
    let white = base(0.0);
    let part = || FieldBatches::new(&data, &white, scales(0.0), FieldBatchesConfig::default()).unwrap();
    let source = || ConditionalBatches::new(vec![(0.0, part())]).unwrap();
    let mut trainer =
        Trainer::new(family.clone(), source(), settings(2, 1e-3)).unwrap().with_checkpoints(&path, 1);
    let net = trainer.train(&mut go_on).unwrap().net;
    let read = Checkpoint::<ConditionalUnet>::read(&path).unwrap();
    assert_eq!(read.model().unwrap(), net);

    assert_eq!(ConditionalBatches::new(Vec::new()).unwrap_err(), NetError::Empty { name: "parts" });
    let error = ConditionalBatches::new(vec![(f64::NAN, part())]).unwrap_err();
    assert!(matches!(error, NetError::Coordinate { index: 0, .. }));
    let other = FieldScales { extents: [8, 6], ..scales(0.0) };
    assert!(family.at(0.0, other.clone()).is_ok());
    let deep = ConditionalUnet::new(config(&[3, 4, 4, 4], 1), &mut Pcg64::seed_from_u64(1)).unwrap();
    assert!(matches!(deep.at(0.0, other), Err(NetError::Extent { extent: 6, stride: 8 })));
}
