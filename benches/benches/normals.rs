//! Normal variates, per element: `cargo bench -p benches --bench normals`.

use benches::ROWS;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sde_core::{Noise, NormalSource};
use std::hint::black_box;

fn normals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normals");
    group.throughput(Throughput::Elements(ROWS as u64));
    let noise = Noise::new(1, 0);
    let mut z = vec![0.0; ROWS];
    let mut step = 0;
    // The second block starts inside a group of 64 and needs a copy at both ends.
    for (name, first) in [("aligned block", 0), ("unaligned block", 17)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                step += 1;
                noise.block(step, first).fill(0, black_box(&mut z));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, normals);
criterion_main!(benches);
