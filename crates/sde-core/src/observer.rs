//! Watching a batch as it evolves.

use crate::Batch;

/// Watches a batch along its path: called at the start, as step 0, and after every step.
///
/// Closures `FnMut(usize, f64, Batch)` observe, and so do `()` and pairs of observers.
pub trait Observer {
    /// The batch `x` at time `t` after `step` steps.
    fn observe(&mut self, step: usize, t: f64, x: Batch<'_>);
}

impl Observer for () {
    fn observe(&mut self, _step: usize, _t: f64, _x: Batch<'_>) {}
}

impl<F: FnMut(usize, f64, Batch<'_>)> Observer for F {
    fn observe(&mut self, step: usize, t: f64, x: Batch<'_>) {
        self(step, t, x);
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn observe(&mut self, step: usize, t: f64, x: Batch<'_>) {
        self.0.observe(step, t, x);
        self.1.observe(step, t, x);
    }
}
