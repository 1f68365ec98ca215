//! Periodic convolutions of eight samples of 32 x 32, forward and both gradients, on one thread and two; an element is a floating
//! point operation: `cargo bench -p benches --bench convolution`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rayon::ThreadPoolBuilder;
use score_nets::candle_core::{Device, Tensor, Var};
use score_nets::periodic_convolution;
use std::hint::black_box;

const SAMPLES: usize = 8;
const EXTENT: usize = 32;
const CHANNELS: [[usize; 2]; 7] = [[1, 32], [8, 8], [16, 16], [32, 32], [64, 128], [128, 256], [256, 64]];

fn random(shape: &[usize]) -> Var {
    let normals = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).expect("memory suffices");
    Var::from_tensor(&normals).expect("memory suffices")
}

fn convolutions(criterion: &mut Criterion) {
    for threads in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        let mut group = criterion.benchmark_group(format!("convolution, {threads} threads"));
        group.sample_size(20);
        for [inputs, outputs] in CHANNELS {
            let operations = (18 * inputs * outputs * SAMPLES * EXTENT * EXTENT) as u64;
            let (x, kernel) = (random(&[SAMPLES, inputs, EXTENT, EXTENT]), random(&[outputs, inputs, 3, 3]));
            let (fixed_x, fixed_kernel) = (x.as_tensor().detach(), kernel.as_tensor().detach());
            let name = format!("{inputs} to {outputs}");
            let convolution =
                |x: &Tensor, kernel: &Tensor| periodic_convolution(x, kernel).expect("shapes fit");
            group.throughput(Throughput::Elements(operations));
            group.bench_function(BenchmarkId::new("forward", &name), |bencher| {
                pool.install(|| bencher.iter(|| black_box(convolution(&fixed_x, &fixed_kernel))));
            });
            for (what, y) in [
                ("gradient of x", convolution(x.as_tensor(), &fixed_kernel)),
                ("gradient of kernel", convolution(&fixed_x, kernel.as_tensor())),
            ] {
                group.bench_function(BenchmarkId::new(what, &name), |bencher| {
                    pool.install(|| {
                        bencher.iter(|| black_box(y.backward().expect("y depends on a variable")));
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, convolutions);
criterion_main!(benches);
