//! One step of one block of trajectories, noise included, per trajectory: `cargo bench -p benches --bench sde`.

use benches::{ROWS, forward, grid, reverse, spread};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sde_core::{ChurnHeun, EulerMaruyama, ExactTransition, Integrator, Noise, TimeGrid, integrate};

/// Steps of a run: enough that its start does not count.
const STEPS: usize = 100;

fn bench<P, I: Integrator<P>>(
    criterion: &mut Criterion,
    name: &str,
    process: &P,
    integrator: &mut I,
    grid: &TimeGrid,
) {
    let mut group = criterion.benchmark_group("sde");
    group.throughput(Throughput::Elements((ROWS * STEPS) as u64));
    let start = spread(ROWS);
    let mut x = start.clone();
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            x.assign(&start);
            integrate(process, integrator, grid, x.view_mut(), 0, &Noise::new(1, 0), &mut ())
        });
    });
    group.finish();
}

fn steps(criterion: &mut Criterion) {
    let (up, down) = (grid(0.0, 1.0, STEPS), grid(1.0, 0.0, STEPS));
    bench(criterion, "forward, exact transition", &forward(), &mut ExactTransition::default(), &up);
    bench(criterion, "forward, Euler-Maruyama", &forward(), &mut EulerMaruyama::new(), &up);
    bench(criterion, "backward, Euler-Maruyama", &reverse(), &mut EulerMaruyama::new(), &down);
    bench(criterion, "backward, churn Heun", &reverse(), &mut ChurnHeun::default(), &down);
}

criterion_group!(benches, steps);
criterion_main!(benches);
