//! The hot loops of the theory: momenta kicked by the force, fields drifting with their momenta.
//!
//! A *slab* is what lies at one place of the first axis, a *row* what differs in the last axis alone. Fields may hold several
//! chains, innermost: `lanes` values for each site. Then neighbours along the last axis are `lanes` values away, all others
//! a whole number of rows, and a kick is one pass over rows that lie in memory as they are. Plain loops with fused
//! multiply-adds: the same bits on every instruction set.
//!
//! # Several steps in one pass
//!
//! A kick of slab `r` needs the fields of `r - 1`, `r` and `r + 1` before their drift. Steps can therefore follow one another
//! at a distance of two slabs, so that a lattice too large for the cache passes through it once for many steps:
//!
//! ```text
//! first     step s kicks slabs 2(s-1) .. L-1-2(s-1) and drifts 2s-1 .. L-2s, two slabs behind step s - 1;
//! then      step by step, the slabs about the seam that this left out.
//! ```

use crate::Phi4;
use crate::update::LANES;
use multiversion::multiversion;

/// One stage of an integrator: momenta move by `kick` times the force, then fields by `drift` times the momenta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) kick: f64,
    pub(crate) drift: f64,
}

/// Bytes of fields and momenta that a pass should keep in the second-level cache.
const CACHE: usize = 512 * 1024;

/// Advances fields and momenta, `lanes` chains of them, through all `stages`.
pub(crate) fn evolve(action: &Phi4, lanes: usize, field: &mut [f64], momentum: &mut [f64], stages: &[Stage]) {
    let slabs = action.lattice().extents()[0];
    let slab = field.len() / slabs;
    // Fields and momenta of four slabs a stage are in use.
    let fitting = if 16 * field.len() <= CACHE { 1 } else { CACHE / (64 * slab) };
    // In one dimension all slabs are one row.
    let together = if action.lattice().dimension() == 1 { 1 } else { fitting.min(slabs / 4).max(1) };
    let mut work = Rows::new(action, lanes);
    for stages in stages.chunks(together) {
        let end = slabs + 2 * stages.len();
        for wave in 0..end {
            for (s, stage) in stages.iter().enumerate() {
                let Some(r) = wave.checked_sub(2 * s) else { break };
                let kicked = (2 * s..slabs - 2 * s).contains(&r);
                let behind = r.checked_sub(1).filter(|r| (2 * s + 1..slabs - 2 * s - 1).contains(r));
                if kicked && behind.is_some() && work.rows_are_slabs() {
                    work.kick_and_drift(field, momentum, r, *stage);
                    continue;
                }
                if kicked {
                    work.kick(field, momentum, r, stage.kick);
                }
                if let Some(r) = behind {
                    drift(&mut field[r * slab..][..slab], &momentum[r * slab..][..slab], stage.drift);
                }
            }
        }
        for (s, stage) in stages.iter().enumerate() {
            for r in (slabs - 2 * s..slabs).chain(0..2 * s) {
                work.kick(field, momentum, r, stage.kick);
            }
            for r in (slabs - 2 * s - 1..slabs).chain(0..=2 * s) {
                drift(&mut field[r * slab..][..slab], &momentum[r * slab..][..slab], stage.drift);
            }
        }
    }
}

/// Adds `kick` times the force of `field` to all momenta.
pub(crate) fn kick_all(action: &Phi4, lanes: usize, field: &[f64], momentum: &mut [f64], kick: f64) {
    let mut work = Rows::new(action, lanes);
    for r in 0..action.lattice().extents()[0] {
        work.kick(field, momentum, r, kick);
    }
}

/// The geometry of rows.
struct Rows<'a> {
    action: &'a Phi4,
    lanes: usize,
    row: usize,
    /// Extents of all axes but the last and their strides in values.
    axes: Vec<(usize, usize)>,
    /// Sum over neighbours along axes beyond the first and the last.
    others: Vec<f64>,
}

impl<'a> Rows<'a> {
    fn new(action: &'a Phi4, lanes: usize) -> Self {
        let extents = action.lattice().extents();
        let mut stride = action.lattice().volume() * lanes;
        let axes = extents[..extents.len() - 1].iter().map(|&extent| {
            stride /= extent;
            (extent, stride)
        });
        let axes = axes.collect();
        let row = extents[extents.len() - 1] * lanes;
        Self { action, lanes, row, axes, others: vec![0.0; row] }
    }

    /// The sum over the next rows along all axes but the last, of the row that begins at `start`.
    fn ahead<'b>(&'b mut self, field: &'b [f64], start: usize) -> &'b [f64] {
        let row = self.row;
        let next = |&(extent, stride): &(usize, usize)| {
            let place = start / stride % extent;
            let there = start - place * stride + (place + 1) % extent * stride;
            &field[there..there + row]
        };
        if let [axis] = &self.axes[..] {
            return next(axis);
        }
        self.others.fill(0.0);
        for axis in &self.axes {
            self.others.iter_mut().zip(next(axis)).for_each(|(sum, x)| *sum += x);
        }
        &self.others
    }

    /// Whether [`kick_and_drift`](Self::kick_and_drift) is for these: two dimensions, chains side by side.
    fn rows_are_slabs(&self) -> bool {
        self.axes.len() == 1 && self.lanes == LANES
    }

    /// Kicks the momenta of row `r`, and lets the fields of the row before drift in the same pass, after their last use.
    fn kick_and_drift(&self, field: &mut [f64], momentum: &mut [f64], r: usize, stage: Stage) {
        let (rows, size) = (self.axes[0].0, self.row);
        let row = |r: usize| r * size..(r + 1) * size;
        let fields = field.get_disjoint_mut([row(r - 1), row(r), row((r + 1) % rows)]);
        let momenta = momentum.get_disjoint_mut([row(r - 1), row(r)]);
        let ([down, centre, up], [behind, momentum]) =
            (fields.expect("three rows or more"), momenta.expect("two rows or more"));
        let couplings = Couplings::new(self.action, stage.kick);
        kick_and_drift_row(momentum, centre, up, down, behind, couplings, stage.drift);
    }

    /// Kicks the momenta of slab `r`.
    fn kick(&mut self, field: &[f64], momentum: &mut [f64], r: usize, kick: f64) {
        let Self { action, lanes, row, .. } = *self;
        let couplings = Couplings::new(action, kick);
        let Some(&(slabs, slab)) = self.axes.first() else {
            // One dimension: every slab is a site; all of them are one row, kicked with the first.
            if r == 0 {
                let none = &self.others;
                kick_row(momentum, field, none, none, none, lanes, couplings);
            }
            return;
        };
        let (up, down) = ((r + 1) % slabs * slab, (r + slabs - 1) % slabs * slab);
        for inside in (0..slab).step_by(row) {
            let start = r * slab + inside;
            if self.axes.len() > 1 {
                self.others.fill(0.0);
                for &(extent, stride) in &self.axes[1..] {
                    let place = start / stride % extent;
                    for to in [(place + 1) % extent, (place + extent - 1) % extent] {
                        let there = start - place * stride + to * stride;
                        self.others.iter_mut().zip(&field[there..there + row]).for_each(|(sum, x)| *sum += x);
                    }
                }
            }
            kick_row(
                &mut momentum[start..start + row],
                &field[start..start + row],
                &field[up + inside..][..row],
                &field[down + inside..][..row],
                &self.others,
                lanes,
                couplings,
            );
        }
    }
}

/// Coefficients of the force, times the length of the kick.
#[derive(Clone, Copy)]
struct Couplings {
    hop: f64,
    linear: f64,
    cubic: f64,
}

impl Couplings {
    fn new(action: &Phi4, kick: f64) -> Self {
        Self {
            hop: 2.0 * action.hopping() * kick,
            linear: -2.0 * (1.0 - 2.0 * action.lambda()) * kick,
            cubic: -4.0 * action.lambda() * kick,
        }
    }

    /// The momentum after the kick.
    #[inline(always)]
    fn kicked(self, p: f64, x: f64, neighbours: f64) -> f64 {
        x.mul_add((self.cubic * x).mul_add(x, self.linear), self.hop.mul_add(neighbours, p))
    }
}

/// The sites of a row one after the other: what is to the right of one is the centre of the next, and stays in registers.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn kick_and_drift_row(
    momentum: &mut [f64],
    centre: &[f64],
    up: &[f64],
    down: &mut [f64],
    behind: &[f64],
    couplings: Couplings,
    drift: f64,
) {
    let [centre, up, behind] = [centre, up, behind].map(|row| row.as_chunks::<LANES>().0);
    let [momentum, down] = [momentum, down].map(|row| row.as_chunks_mut::<LANES>().0);
    let (mut left, mut x) = (centre[centre.len() - 1], centre[0]);
    let to_the_right = centre[1..].iter().chain(&centre[..1]);
    let rows = momentum.iter_mut().zip(up).zip(down).zip(behind);
    for ((((p, up), down), behind), right) in rows.zip(to_the_right) {
        // All loads before all stores.
        let (mut kicked, mut drifted, up, behind, right) = (*p, *down, *up, *behind, *right);
        for lane in 0..LANES {
            let neighbours = (left[lane] + right[lane]) + (up[lane] + drifted[lane]);
            kicked[lane] = couplings.kicked(kicked[lane], x[lane], neighbours);
            drifted[lane] = drift.mul_add(behind[lane], drifted[lane]);
        }
        (*p, *down) = (kicked, drifted);
        (left, x) = (x, right);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn kick_row(
    momentum: &mut [f64],
    centre: &[f64],
    up: &[f64],
    down: &[f64],
    others: &[f64],
    lanes: usize,
    couplings: Couplings,
) {
    let row = momentum.len();
    let new = |p: f64, x: f64, left: f64, right: f64, up: f64, down: f64, other: f64| {
        couplings.kicked(p, x, ((left + right) + (up + down)) + other)
    };
    let (centre, up, down, others) = (&centre[..row], &up[..row], &down[..row], &others[..row]);
    for i in 0..lanes {
        momentum[i] = new(
            momentum[i],
            centre[i],
            centre[row - lanes + i],
            centre[lanes + i],
            up[i],
            down[i],
            others[i],
        );
        let j = row - lanes + i;
        // With two sites in a row these are the last.
        momentum[j] = new(momentum[j], centre[j], centre[j - lanes], centre[i], up[j], down[j], others[j]);
    }
    let inner = row - 2 * lanes;
    let (left, right) = (&centre[..inner], &centre[2 * lanes..]);
    let middle = lanes..row - lanes;
    let (centre, up) = (&centre[middle.clone()], &up[middle.clone()]);
    let (down, others) = (&down[middle.clone()], &others[middle.clone()]);
    for (i, p) in momentum[middle].iter_mut().enumerate() {
        *p = new(*p, centre[i], left[i], right[i], up[i], down[i], others[i]);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn drift(field: &mut [f64], momentum: &[f64], drift: f64) {
    for (x, p) in field.iter_mut().zip(momentum) {
        *x = drift.mul_add(*p, *x);
    }
}

/// Partial sums of a sum over a lattice: of the sites whose numbers leave the same remainder.
const SUMS: usize = 16;

/// `sum_x p^2` of each of `L` chains, innermost.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn sums_of_squares<const L: usize>(p: &[f64]) -> [f64; L] {
    site_sums(p, |p, sum| p.mul_add(p, sum))
}

/// Adds something of each site with `add(x, sum)`. The order is the same for any number of chains.
#[inline(always)]
fn site_sums<const L: usize>(x: &[f64], add: impl Fn(f64, f64) -> f64) -> [f64; L] {
    let mut sums = [[0.0; L]; SUMS];
    // Flat, or the compiler gathers what lies side by side.
    for x in x.chunks(SUMS * L) {
        for (sum, x) in sums.as_flattened_mut().iter_mut().zip(x) {
            *sum = add(*x, *sum);
        }
    }
    folded(&sums)
}

fn folded<const L: usize>(sums: &[[f64; L]; SUMS]) -> [f64; L] {
    std::array::from_fn(|lane| sums.iter().map(|sums| sums[lane]).sum())
}

/// The action of each of `L` chains, innermost: every bond once, with the site it points forward from.
pub(crate) fn actions<const L: usize>(action: &Phi4, field: &[f64]) -> [f64; L] {
    let mut rows = Rows::new(action, L);
    let mut sums = [[0.0; L]; SUMS];
    for start in (0..field.len()).step_by(rows.row) {
        let row = &field[start..start + rows.row];
        action_row(row, rows.ahead(field, start), action.hopping(), action.lambda(), &mut sums);
    }
    folded(&sums)
}

/// Adds `sum_x [ -2 kappa x (right + ahead) + (1 - 2 lambda) x^2 + lambda x^4 ]` of a row.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn action_row<const L: usize>(
    row: &[f64],
    ahead: &[f64],
    hopping: f64,
    lambda: f64,
    sums: &mut [[f64; L]; SUMS],
) {
    let (hop, square) = (-2.0 * hopping, 1.0 - 2.0 * lambda);
    let sums = sums.as_flattened_mut();
    let add = |x: &[f64], right: &[f64], ahead: &[f64], sums: &mut [f64]| {
        for (((sum, x), right), ahead) in sums.iter_mut().zip(x).zip(right).zip(ahead) {
            let local = x * (lambda * x).mul_add(*x, square);
            *sum = x.mul_add(hop.mul_add(right + ahead, local), *sum);
        }
    };
    // The site at the end has the first to its right.
    let end = row.len() - L;
    let (inner, right) = (row[..end].chunks(SUMS * L), row[L..].chunks(SUMS * L));
    for ((x, right), ahead) in inner.zip(right).zip(ahead.chunks(SUMS * L)) {
        add(x, right, ahead, sums);
    }
    add(&row[end..], &row[..L], &ahead[end..], &mut sums[end % (SUMS * L)..]);
}
