//! Central moments to order 8, per sample: `cargo bench -p benches --bench moments`.

use benches::{ROWS, spread};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use cumulants::Moments;
use std::hint::black_box;

fn moments(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("moments");
    for rows in [ROWS, 64 * ROWS] {
        group.throughput(Throughput::Elements(rows as u64));
        let x = spread(rows).into_raw_vec_and_offset().0;
        group.bench_function(format!("order 8, {rows} samples"), |bencher| {
            bencher.iter(|| Moments::<8>::of(black_box(&x)));
        });
    }
    group.finish();
}

criterion_group!(benches, moments);
criterion_main!(benches);
