//! What the benches share: the two-peak model's processes and a clock that takes the best of several runs.

mod lattice;

pub use lattice::{Perturbative, chains, hmc};

use sde_core::ndarray::Array2;
use sde_core::{Forward, Reverse, TimeGrid, TwoPeak, TwoPeakScore, VarianceExpanding};
use std::time::{Duration, Instant};

/// The bench programs allocate as the project's other programs do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of a block: batch, drift and normals together fill the first-level cache.
pub const ROWS: usize = 2048;

/// The paper's variance-expanding scheme, `sigma = 10`.
///
/// # Panics
/// Never: 10 is a valid `sigma`.
pub fn schedule() -> VarianceExpanding {
    VarianceExpanding::new(10.0).expect("10 is positive")
}

/// The noising process.
pub fn forward() -> Forward<VarianceExpanding> {
    Forward(schedule())
}

/// The denoising process with the exact score of the two-peak model.
///
/// # Panics
/// Never: the paper's parameters are valid.
pub fn reverse() -> Reverse<VarianceExpanding, TwoPeakScore<VarianceExpanding>> {
    let model = TwoPeak::new(1.0, 0.25).expect("the paper's parameters are valid");
    Reverse { schedule: schedule(), score: model.score(schedule()) }
}

/// A uniform grid.
///
/// # Panics
/// If `steps` is zero or `from` equals `to`.
pub fn grid(from: f64, to: f64, steps: usize) -> TimeGrid {
    TimeGrid::uniform(from, to, steps).expect("a bench asks for a valid grid")
}

/// `rows` values spread over the width of the noised model.
pub fn spread(rows: usize) -> Array2<f64> {
    Array2::from_shape_fn((rows, 1), |(row, _)| (row % 97) as f64 / 12.0 - 4.0)
}

/// How long work of milliseconds is repeated at least: it depends on what the machine does beside it.
const AT_LEAST: Duration = Duration::from_millis(300);

/// Nanoseconds per unit of work, the best of at least `repeats` runs of `work` after one that does not count.
pub fn best_of(repeats: usize, units: usize, mut work: impl FnMut()) -> f64 {
    work();
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    for run in 0.. {
        if run >= repeats && begin.elapsed() > AT_LEAST {
            break;
        }
        let start = Instant::now();
        work();
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e9 / units as f64
}
