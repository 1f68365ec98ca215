//! Laws of the batch sources, and what they refuse.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use score_nets::{
    BatchBuffer, BatchSource, DenoisingBatches, DenoisingConfig, Mlp, ResidualBatches, ResidualConfig,
    SourceError, Times,
};
use sde_core::{NoiseSchedule, VariancePreserving};

fn data(n: u32) -> Vec<f64> {
    (0..n).map(|i| f64::from(i) + 1.0).collect()
}

fn batch(source: &mut dyn BatchSource<Net = Mlp>, step: u64) -> BatchBuffer {
    let mut batch = BatchBuffer::new(source.samples());
    source.fill(step, &mut batch).unwrap();
    batch
}

#[test]
fn a_batch_depends_on_settings_and_step_alone() {
    let schedule = VariancePreserving::new(10.0).unwrap();
    let residual = |seed| -> Box<dyn BatchSource<Net = Mlp>> {
        let settings = ResidualConfig { pairs: 32, references: 64, seed, ..ResidualConfig::default() };
        Box::new(ResidualBatches::new(&data(100), settings).unwrap())
    };
    let denoising = |seed| -> Box<dyn BatchSource<Net = Mlp>> {
        let settings = DenoisingConfig { samples: 32, seed, ..DenoisingConfig::default() };
        Box::new(DenoisingBatches::new(&data(100), schedule, settings).unwrap())
    };
    for make in [&residual as &dyn Fn(u64) -> Box<dyn BatchSource<Net = Mlp>>, &denoising] {
        let (mut first, mut other) = (make(1), make(2));
        let forwards: Vec<_> = (0..10).map(|step| batch(&mut *first, step)).collect();
        for step in (0..10).rev() {
            assert_eq!(batch(&mut *first, step), forwards[step as usize]);
            assert_eq!(batch(&mut *make(1), step), forwards[step as usize]);
            assert_ne!(batch(&mut *other, step), forwards[step as usize]);
        }
        assert_ne!(forwards[0], forwards[1]);
        assert_eq!(first.settings(), make(1).settings());
        assert_ne!(first.settings(), other.settings());
    }
}

#[test]
fn every_epoch_shows_every_datum_once() {
    let schedule = VariancePreserving::new(10.0).unwrap();
    let settings = DenoisingConfig { samples: 20, earliest: 1e-3, ..DenoisingConfig::default() };
    let mut source = DenoisingBatches::new(&data(100), schedule, settings).unwrap();
    assert_eq!(source.batches_per_epoch(), 5);
    let mut orders = Vec::new();
    for epoch in 0..3 {
        let mut seen = Vec::new();
        for step in 5 * epoch..5 * (epoch + 1) {
            let batch = batch(&mut source, step);
            for i in 0..20 {
                let f = schedule.transition(0.0, f64::from(batch.coordinate[i])).mean_factor;
                let x_0 = f64::from(batch.x[i]) + f64::from(batch.weight[i]) * f64::from(batch.target[i]);
                // Late times bury the datum; only early ones tell it exactly.
                seen.push(if f > 1e-3 { (x_0 / f).round() as i64 } else { 0 });
            }
        }
        orders.push(seen.clone());
        seen.retain(|&x_0| x_0 > 0);
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count, "a datum came twice in one epoch");
        assert!(count > 60 && seen.iter().all(|x_0| (1..=100).contains(x_0)));
    }
    assert_ne!(orders[0], orders[1]);
}

#[test]
fn one_time_for_the_batch_or_one_each() {
    let schedule = VariancePreserving::new(10.0).unwrap();
    for (times, different) in [(Times::PerBatch, 1), (Times::PerSample, 64)] {
        let settings = DenoisingConfig { samples: 64, times, earliest: 0.25, seed: 1 };
        let batch = batch(&mut DenoisingBatches::new(&data(64), schedule, settings).unwrap(), 3);
        let mut t = batch.coordinate;
        assert!(t.iter().all(|t| (0.25..=1.0).contains(t)));
        t.sort_by(f32::total_cmp);
        t.dedup();
        assert_eq!(t.len(), different);
    }
}

#[test]
fn a_residual_batch_is_stratified() {
    let settings = ResidualConfig { pairs: 100, even: false, ..ResidualConfig::default() };
    let mut source = ResidualBatches::new(&data(1000), settings).unwrap();
    let scales = source.preconditioning();
    let batch = batch(&mut source, 17);
    let normal = statrs::distribution::Normal::new(0.0, 1.0).unwrap();
    let slice = |z: f64| (100.0 * statrs::distribution::ContinuousCDF::cdf(&normal, z)).floor() as usize;
    let mut slices = [[0; 100]; 3];
    for i in 0..100 {
        let log_sigma = f64::from(batch.coordinate[i]);
        let variance = (2.0 * log_sigma).exp();
        let x = |i: usize| f64::from(batch.x[i]) / scales.input_scale(variance);
        let (plus, minus) = (x(i), x(i + 100));
        assert_eq!(batch.coordinate[i], batch.coordinate[i + 100]);
        let (x_0, z) = (0.5 * (plus + minus), 0.5 * (plus - minus) / variance.sqrt());
        slices[0][slice((log_sigma + 1.0) / 1.2)] += 1;
        slices[2][((x_0.round() - 1.0) / 10.0) as usize] += 1;
        // At small noise the difference of two x of order 1000 in single precision no longer gives z.
        if variance > 1.0 {
            slices[1][slice(z)] += 1;
        }
    }
    assert_eq!(slices[0], [1; 100]);
    assert_eq!(slices[2], [1; 100]);
    assert!(slices[1].iter().all(|&n| n <= 1) && slices[1].iter().sum::<i32>() > 10);
}

#[test]
fn bad_settings_and_data_are_refused() {
    let residual = |data: &[f64], settings| ResidualBatches::new(data, settings).unwrap_err();
    let settings = ResidualConfig { pairs: 16, ..ResidualConfig::default() };
    assert_eq!(residual(&[], settings), SourceError::TooFewData { needed: 16, found: 0 });
    let mut bad = data(20);
    bad[7] = f64::NAN;
    assert!(matches!(residual(&bad, settings), SourceError::NotFinite { index: 7, .. }));
    assert!(matches!(residual(&[0.0; 20], settings), SourceError::OutOfRange { name: "kappa_2", .. }));
    let zero = ResidualConfig { pairs: 0, ..settings };
    assert_eq!(residual(&data(20), zero), SourceError::Empty { name: "pairs" });
    let odd = ResidualConfig { references: 24, ..settings };
    assert_eq!(residual(&data(20), odd), SourceError::References { references: 24, pairs: 16 });
    let flat = ResidualConfig { log_sigma_deviation: f64::NAN, ..settings };
    assert!(matches!(residual(&data(20), flat), SourceError::OutOfRange { name: "log_sigma_deviation", .. }));

    let schedule = VariancePreserving::new(10.0).unwrap();
    let early = DenoisingConfig { samples: 4, earliest: 0.0, ..DenoisingConfig::default() };
    let error = DenoisingBatches::new(&data(20), schedule, early).unwrap_err();
    assert_eq!(error.to_string(), "earliest = 0 must lie above 0 and be at most 1");
}
