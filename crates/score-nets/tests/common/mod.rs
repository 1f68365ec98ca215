//! What tests of lattice nets share.

use score_nets::{AdamConfig, LearningRate, Progress, TrainConfig};
use sde_core::{Noise, NormalSource};
use std::ops::ControlFlow;

pub(crate) fn normals(values: usize, seed: u64) -> Vec<f64> {
    let mut out = vec![0.0; values];
    Noise::new(seed, 0).block(0, 0).fill(0, &mut out);
    out
}

pub(crate) fn single(values: &[f64]) -> Vec<f32> {
    values.iter().map(|x| *x as f32).collect()
}

pub(crate) fn in_a_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

pub(crate) fn settings(steps: u64, peak: f64) -> TrainConfig {
    TrainConfig {
        steps,
        learning_rate: LearningRate::WarmupCosine {
            peak,
            warmup: 20.min(steps / 2),
            total: steps,
            floor: 0.0,
        },
        adam: AdamConfig { beta_2: 0.99, ..AdamConfig::default() },
        gradient_clip: Some(1.0),
        average_horizon: (steps as f64 / 10.0).max(1.0),
    }
}

pub(crate) fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
