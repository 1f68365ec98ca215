//! The paper's net: one sampling step per row, one training step of 512 samples:
//! `cargo bench -p benches --bench mlp`.

use benches::{ROWS, grid, schedule, spread};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng;
use score_nets::{
    Adam, AdamConfig, DirectScore, Mlp, MlpConfig, TrainingBatch, Workspace, loss_and_gradient,
};
use sde_core::{EulerMaruyama, Noise, Reverse, integrate};

/// Samples of a training step.
const BATCH: usize = 512;
/// Steps of a sampling run.
const STEPS: usize = 10;

fn net() -> Mlp {
    Mlp::new(MlpConfig::paper(), &mut rand_pcg::Pcg64::seed_from_u64(1)).expect("the paper's net is valid")
}

fn sampling(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mlp");
    group.throughput(Throughput::Elements((ROWS * STEPS) as u64));
    let process = Reverse { schedule: schedule(), score: DirectScore::new(net()) };
    let grid = grid(1.0, 0.0, STEPS);
    let start = spread(ROWS);
    let mut x = start.clone();
    let mut integrator = EulerMaruyama::new();
    group.bench_function("sampling step", |bencher| {
        bencher.iter(|| {
            x.assign(&start);
            integrate(&process, &mut integrator, &grid, x.view_mut(), 0, &Noise::new(1, 0), &mut ())
        });
    });
    group.finish();
}

fn training(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mlp");
    group.throughput(Throughput::Elements(BATCH as u64));
    let column = |scale: f32| (0..BATCH).map(|i| scale * (i as f32 * 0.37).sin()).collect::<Vec<_>>();
    let (x, target) = (column(4.0), column(1.0));
    let coordinate: Vec<f32> = (0..BATCH).map(|i| i as f32 / BATCH as f32).collect();
    let weight = vec![1.0; BATCH];
    let batch = TrainingBatch { x: &x, coordinate: &coordinate, target: &target, weight: &weight };
    let mut mlp = net();
    let mut gradient = vec![0.0; mlp.parameters().len()];
    let mut workspace = Workspace::new(&mlp);
    let mut adam = Adam::new(AdamConfig::default(), gradient.len());
    group.bench_function("training step", |bencher| {
        bencher.iter(|| {
            loss_and_gradient(&mlp, batch, &mut workspace, &mut gradient);
            adam.step(1e-3, mlp.parameters_mut(), &gradient);
        });
    });
    group.finish();
}

criterion_group!(benches, sampling, training);
criterion_main!(benches);
