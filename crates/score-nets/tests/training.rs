//! Training on the two-peak model, whose best possible loss is known.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use rand::{Rng, SeedableRng};
use rand_distr::StandardNormal;
use rand_pcg::Pcg64;
use score_nets::{
    BatchBuffer, BatchSource, LearningRate, Mlp, MlpConfig, Preconditioning, ResidualBatches, ResidualConfig,
    Stop, TrainConfig, TrainError, Trainer, Validation,
};
use std::ops::ControlFlow;
use testing::{Comparisons, seed};

fn two_peak(seed: u64, samples: usize) -> Vec<f64> {
    let mut rng = Pcg64::seed_from_u64(seed);
    let mut draw = || {
        let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
        sign + 0.25 * rng.sample::<f64, _>(StandardNormal)
    };
    (0..samples).map(|_| draw()).collect()
}

/// `E[x_0 | x]` of the two-peak model at noise variance `V`: Tweedie's formula with its exact score.
fn exact_denoiser(x: f64, variance: f64) -> f64 {
    let width = 0.0625 + variance;
    x + variance * ((x / width).tanh() - x) / width
}

/// Mean square of `target - F` of the exact denoiser over held-out batches: what no net can go below, except
/// by chance.
fn smallest_loss(source: &mut ResidualBatches, batches: u64) -> f64 {
    let scales: Preconditioning = source.preconditioning();
    let mut batch = BatchBuffer::new(source.samples());
    let (mut sum, mut count) = (0.0, 0.0);
    for step in 0..batches {
        source.fill(step, &mut batch).unwrap();
        for i in 0..batch.samples() {
            let variance = (2.0 * f64::from(batch.coordinate[i])).exp();
            let x = f64::from(batch.x[i]) / scales.input_scale(variance);
            let best = scales.target(exact_denoiser(x, variance), x, variance);
            sum += (f64::from(batch.target[i]) - best).powi(2);
            count += 1.0;
        }
    }
    sum / count
}

fn net(seed: u64) -> Mlp {
    Mlp::new(MlpConfig::residual(), &mut Pcg64::seed_from_u64(seed)).unwrap().with_zero_output()
}

fn go_on(_: score_nets::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Trains 2000 steps and returns the excess of the held-out loss over the smallest possible one.
fn excess(references: usize) -> (f64, f64) {
    let settings = ResidualConfig { references, seed: seed(1), ..ResidualConfig::default() };
    let data = two_peak(seed(1), 100_000);
    let source = ResidualBatches::new(&data, settings).unwrap();
    let kappa_2 = source.preconditioning().kappa_2;
    let mut held_out =
        ResidualBatches::new(&two_peak(seed(2), 100_000), ResidualConfig { seed: seed(2), ..settings })
            .unwrap();
    let smallest = smallest_loss(&mut held_out, 50);
    let validation = Validation { every: 500, batches: 50, patience: None };
    let mut trainer = Trainer::new(net(seed(3)), source, TrainConfig::residual(2000))
        .unwrap()
        .with_validation(validation, &mut held_out)
        .unwrap();
    let mut losses = Vec::new();
    let trained = trainer
        .train(&mut |progress| {
            losses.extend(progress.validation);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!((trained.stop, trained.step, losses.len()), (Stop::Finished, 2000, 4));
    let best = trained.best.unwrap();
    assert_eq!(best.loss, losses.iter().copied().fold(f64::INFINITY, f64::min));
    assert!((kappa_2 - 1.0625).abs() < 0.01);
    (best.loss - smallest, smallest)
}

/// Over 15 seeds the excess is 0.95e-3 with a spread of 0.33e-3, most of it from the batches held out.
#[test]
fn the_loss_comes_down_to_the_conditional_variance() {
    let (excess, smallest) = excess(0);
    assert!(smallest > 0.3 && smallest < 0.5, "{smallest}");
    assert!(excess < 3e-3, "{excess} above {smallest}");
}

/// Over 15 seeds the excess is 2.3e-4 with a spread of 1.0e-4.
#[test]
fn references_take_the_variance_out_of_the_target() {
    let (excess, smallest) = excess(256);
    // What is left is the scatter of 256 stratified references: a few per cent of the variance above.
    assert!(smallest < 0.02, "{smallest}");
    assert!(excess < 1e-3, "{excess} above {smallest}");
}

#[test]
fn targets_are_unbiased() {
    // Binned in x at fixed noise, the mean of each kind of target is the exact denoiser's.
    let test = Comparisons::of(24);
    for references in [0, 64, 256] {
        let settings = ResidualConfig {
            pairs: 64,
            log_sigma_mean: 0.3f64.ln(),
            log_sigma_deviation: 1e-9,
            references,
            seed: seed(9),
            ..ResidualConfig::default()
        };
        let mut source = ResidualBatches::new(&two_peak(seed(4), 1_600_000), settings).unwrap();
        let scales = source.preconditioning();
        let mut batch = BatchBuffer::new(source.samples());
        let (mut sum, mut square, mut count) = ([0.0f64; 8], [0.0f64; 8], [0.0f64; 8]);
        for step in 0..4000 {
            source.fill(step, &mut batch).unwrap();
            for i in 0..batch.samples() {
                let x = f64::from(batch.x[i]) / scales.input_scale(0.09);
                let difference = f64::from(batch.target[i]) - scales.target(exact_denoiser(x, 0.09), x, 0.09);
                // Only x_0 >= 0 is shown, so an odd net sees its answers at x and at -x together.
                let difference = difference * x.signum();
                let bin = (4.0 * x.abs()) as usize;
                if bin < 8 {
                    sum[bin] += difference;
                    square[bin] += difference * difference;
                    count[bin] += 1.0;
                }
            }
        }
        for bin in 0..8 {
            let error = square[bin].sqrt() / count[bin];
            let mean = sum[bin] / count[bin];
            // 1.6 million data fix the denoiser itself to about 1e-3 in this unit.
            assert!(test.normal(mean / error.hypot(1e-3)), "{references} {bin}: {mean} +- {error}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_bits() {
    let run = |seed| {
        let settings = ResidualConfig { pairs: 64, references: 64, seed, ..ResidualConfig::default() };
        let source = ResidualBatches::new(&two_peak(1, 5000), settings).unwrap();
        Trainer::new(net(1), source, TrainConfig::residual(100)).unwrap().train(&mut go_on).unwrap().net
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn divergence_is_an_error_and_leaves_good_weights() {
    let source = || {
        let settings = ResidualConfig { pairs: 32, ..ResidualConfig::default() };
        ResidualBatches::new(&two_peak(1, 5000), settings).unwrap()
    };
    let mut start = net(1);
    // A zero last layer would hide the others from the first gradient.
    start.parameters_mut().iter_mut().for_each(|p| *p += 0.01);
    let config =
        TrainConfig { learning_rate: LearningRate::Constant { rate: 1e30 }, ..TrainConfig::residual(1000) };
    let mut trainer = Trainer::new(start.clone(), source(), config).unwrap();
    let error = trainer.train(&mut go_on).unwrap_err();
    let TrainError::Diverged { step, last_good, .. } = error else { panic!("{error:?}") };
    assert!(step < 1000);
    assert_eq!(*last_good, start);
    assert_eq!(*trainer.net(), start);
}

#[test]
fn a_run_without_progress_stops_early() {
    let data = two_peak(1, 5000);
    let source =
        |seed| ResidualBatches::new(&data, ResidualConfig { pairs: 32, seed, ..ResidualConfig::default() });
    let config =
        TrainConfig { learning_rate: LearningRate::Constant { rate: 0.0 }, ..TrainConfig::residual(1000) };
    let validation = Validation { every: 5, batches: 1, patience: Some(3) };
    let mut trainer = Trainer::new(net(1), source(1).unwrap(), config)
        .unwrap()
        .with_validation(validation, &mut source(2).unwrap())
        .unwrap();
    let trained = trainer.train(&mut go_on).unwrap();
    assert_eq!((trained.stop, trained.step, trained.best.unwrap().step), (Stop::Patience, 20, 5));
}

#[test]
fn settings_out_of_their_domain() {
    let source = ResidualBatches::new(&two_peak(1, 1000), ResidualConfig::default()).unwrap();
    let config = TrainConfig { steps: 0, ..TrainConfig::residual(10) };
    let error = Trainer::new(net(1), source.clone(), config).unwrap_err();
    assert_eq!(error.to_string(), "steps = 0 must be finite and at least 1");
    let config =
        TrainConfig { learning_rate: LearningRate::Constant { rate: f64::NAN }, ..TrainConfig::residual(10) };
    assert_eq!(Trainer::new(net(1), source, config).unwrap_err().name, "rate");
}
