//! The hot loops of the theory: momenta kicked by the force, fields drifting with their momenta.
//!
//! A *slab* is what lies at one place of the first axis, a *row* what differs in the last axis alone. A kick of a row needs
//! rows that lie in memory as they are, and the neighbours along the last axis, for which the [`rows`](crate::rows) know how
//! fields lie in memory. Fused multiply-adds throughout: the same bits on every instruction set.
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

use crate::rows::{Across, Couplings, Flat, Row, Split, kinetic_energy, move_on, swing};
use crate::update::LANES;
use crate::{Lattice, Phi4};
use multiversion::multiversion;
use std::marker::PhantomData;

/// One stage of an integrator: momenta move by `kick` times the force, then fields by `drift` times the momenta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stage {
    pub(crate) kick: f64,
    pub(crate) drift: f64,
}

/// How fields lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One chain, site after site.
    Plain,
    /// One chain, each row cut in eight parts: the first sites of all parts, then the second.
    Split,
    /// Eight chains: the first sites of all chains, then the second.
    SideBySide,
}

impl Layout {
    /// The fastest one on a lattice.
    pub(crate) fn of(lattice: &Lattice) -> Self {
        let row = lattice.extents()[lattice.dimension() - 1];
        // Where rows have to be summed before one can be kicked, long ones pay.
        if row.is_multiple_of(LANES) && (lattice.dimension() < 3 || row >= 4 * LANES) {
            Self::Split
        } else if lattice.volume() <= SIDE_BY_SIDE {
            Self::SideBySide
        } else {
            Self::Plain
        }
    }
}

/// Sites of a lattice of which eight fields still fit the cache.
const SIDE_BY_SIDE: usize = 1 << 15;

/// Bytes of fields and momenta that a pass should keep in the cache of the first level, and of the second.
const CACHES: [usize; 2] = [24 * 1024, 512 * 1024];

/// Stages that pass through the lattice together.
fn together(slabs: usize, slab: usize) -> usize {
    // Fields and momenta of four slabs a stage are in use.
    let [first, second] = CACHES.map(|cache| cache / (64 * slab));
    let bytes = 16 * slabs * slab;
    let fitting = if bytes <= CACHES[0] {
        1
    } else if first > 1 || bytes <= CACHES[1] {
        first
    } else {
        second
    };
    fitting.clamp(1, (slabs / 4).max(1))
}

/// Calls a method of the [`Lines`] for this layout and dimension.
macro_rules! in_layout {
    ($action:expr, $layout:expr, $method:ident($($argument:expr),*)) => {
        match ($layout, $action.lattice().dimension() > 2) {
            (Layout::Plain, false) => Lines::<Flat<1>, false>::new($action).$method($($argument),*),
            (Layout::Plain, true) => Lines::<Flat<1>, true>::new($action).$method($($argument),*),
            (Layout::Split, false) => Lines::<Split, false>::new($action).$method($($argument),*),
            (Layout::Split, true) => Lines::<Split, true>::new($action).$method($($argument),*),
            (Layout::SideBySide, false) => Lines::<Flat<LANES>, false>::new($action).$method($($argument),*),
            (Layout::SideBySide, true) => Lines::<Flat<LANES>, true>::new($action).$method($($argument),*),
        }
    };
}

/// Advances fields and momenta through all `stages`.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn evolve(
    action: &Phi4,
    layout: Layout,
    field: &mut [f64],
    momentum: &mut [f64],
    stages: &[Stage],
) {
    in_layout!(action, layout, evolve(field, momentum, stages));
}

/// Adds `kick` times the force of `field` to all momenta.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn kick_all(action: &Phi4, layout: Layout, field: &[f64], momentum: &mut [f64], kick: f64) {
    in_layout!(action, layout, kick_all(field, momentum, kick));
}

/// The same, of the part of the force that comes from neighbours.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn kick_by_neighbours(
    action: &Phi4,
    layout: Layout,
    field: &[f64],
    momentum: &mut [f64],
    kick: f64,
) {
    in_layout!(action, layout, kick_slabs(field, momentum, Couplings::new(action, kick).of_neighbours()));
}

/// Advances fields and momenta by `length` in `steps` leapfrog steps, with what a site has by itself as the only force.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn swing_sites(action: &Phi4, field: &mut [f64], momentum: &mut [f64], length: f64, steps: u32) {
    let eps = length / f64::from(steps);
    let [half, whole] = [0.5 * eps, eps].map(|kick| Couplings::new(action, kick));
    swing(field, momentum, eps, steps, half, whole);
}

/// Lets all fields drift with their momenta.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn drift_all(field: &mut [f64], momentum: &[f64], drift: f64) {
    move_on(field, momentum, drift);
}

/// The action lane by lane: of each chain if there are eight, or its parts if there is one.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn actions(action: &Phi4, layout: Layout, field: &[f64]) -> [f64; LANES] {
    in_layout!(action, layout, actions(field))
}

/// `sum p^2 / 2`, lane by lane in the same way.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
pub(crate) fn kinetic_energies(momentum: &[f64]) -> [f64; LANES] {
    kinetic_energy(momentum)
}

/// The rows of a field, and which of them are neighbours. With `BETWEEN` there are axes between the first and the last, and
/// rows along them have to be summed before a row is kicked.
struct Lines<'a, R, const BETWEEN: bool> {
    action: &'a Phi4,
    /// Values of a row and of a slab.
    row: usize,
    slab: usize,
    /// Rows of a slab, and slabs. Divisions take as long as short rows.
    rows: usize,
    slabs: usize,
    /// Extents of the axes between the first and the last, and their strides in values.
    between: Vec<(usize, usize)>,
    /// A sum over rows along these axes; in one dimension a row of zeros in place of the rows along the first axis.
    others: Vec<f64>,
    layout: PhantomData<R>,
}

impl<'a, R: Row, const BETWEEN: bool> Lines<'a, R, BETWEEN> {
    fn new(action: &'a Phi4) -> Self {
        let extents = action.lattice().extents();
        let size = action.lattice().volume() * R::CHAINS;
        let row = extents[extents.len() - 1] * R::CHAINS;
        // In one dimension all sites are one row, which has no neighbours across it.
        let slab = if extents.len() == 1 { row } else { size / extents[0] };
        let mut stride = slab;
        let between = extents.get(1..extents.len() - 1).unwrap_or(&[]).iter().map(|&extent| {
            stride /= extent;
            (extent, stride)
        });
        let between: Vec<_> = between.collect();
        let (rows, slabs) = (slab / row, size / slab);
        Self { action, row, slab, rows, slabs, between, others: vec![0.0; row], layout: PhantomData }
    }

    #[inline(always)]
    fn evolve(&mut self, field: &mut [f64], momentum: &mut [f64], stages: &[Stage]) {
        let slabs = self.slabs;
        let stages: Vec<_> = stages.iter().map(|s| (Couplings::new(self.action, s.kick), s.drift)).collect();
        let together = together(slabs, self.slab);
        if together == 1 {
            for (couplings, drift) in stages {
                self.kick_slabs(field, momentum, couplings);
                move_on(field, momentum, drift);
            }
            return;
        }
        for stages in stages.chunks(together) {
            let end = slabs + 2 * stages.len();
            for wave in 0..end {
                for (s, &(couplings, drift)) in stages.iter().enumerate() {
                    let Some(r) = wave.checked_sub(2 * s) else { break };
                    let kicked = (2 * s..slabs - 2 * s).contains(&r);
                    let behind = r.checked_sub(1).filter(|r| (2 * s + 1..slabs - 2 * s - 1).contains(r));
                    match (kicked, behind) {
                        (true, Some(_)) => self.kick_and_drift(field, momentum, r, couplings, drift),
                        (true, None) => self.kick(field, momentum, r, couplings),
                        (false, Some(behind)) => self.drift(field, momentum, behind, drift),
                        (false, None) => {}
                    }
                }
            }
            for (s, &(couplings, drift)) in stages.iter().enumerate() {
                for r in (slabs - 2 * s..slabs).chain(0..2 * s) {
                    self.kick(field, momentum, r, couplings);
                }
                // The only slab of one dimension is both ends.
                for r in (slabs - 2 * s - 1..slabs).chain(0..=2 * s).take(slabs) {
                    self.drift(field, momentum, r, drift);
                }
            }
        }
    }

    #[inline(always)]
    fn kick_all(&mut self, field: &[f64], momentum: &mut [f64], kick: f64) {
        self.kick_slabs(field, momentum, Couplings::new(self.action, kick));
    }

    #[inline(always)]
    fn kick_slabs(&mut self, field: &[f64], momentum: &mut [f64], couplings: Couplings) {
        let (row, slabs) = (self.row, self.slabs);
        if BETWEEN || slabs < 3 {
            for r in 0..slabs {
                self.kick(field, momentum, r, couplings);
            }
            return;
        }
        // One row after the other with as little as possible between them: rows may be short.
        self.kick(field, momentum, 0, couplings);
        let centres = momentum[row..].chunks_exact_mut(row).zip(field[row..].chunks_exact(row));
        let across = field.chunks_exact(row).zip(field[2 * row..].chunks_exact(row));
        for ((momentum, centre), (down, up)) in centres.zip(across) {
            R::kick::<BETWEEN>(momentum, centre, Across { up, others: &self.others }, down, couplings);
        }
        self.kick(field, momentum, slabs - 1, couplings);
    }

    /// Kicks the momenta of slab `r`.
    #[inline(always)]
    fn kick(&mut self, field: &[f64], momentum: &mut [f64], r: usize, couplings: Couplings) {
        let (row, slab, slabs) = (self.row, self.slab, self.slabs);
        let ahead = if r + 1 < slabs { r + 1 } else { 0 };
        let behind = if r > 0 { r - 1 } else { slabs - 1 };
        let [start, up, down] = [r, ahead, behind].map(|r| r * slab);
        for inside in (0..self.rows).map(|i| i * row) {
            self.sum_between(&field[start..start + slab], inside);
            let place = |slab: usize| slab + inside..slab + inside + row;
            let (momentum, centre) = (&mut momentum[place(start)], &field[place(start)]);
            if slabs == 1 {
                let across = Across { up: &self.others, others: &self.others };
                R::kick::<BETWEEN>(momentum, centre, across, &self.others, couplings);
            } else {
                let across = Across { up: &field[place(up)], others: &self.others };
                R::kick::<BETWEEN>(momentum, centre, across, &field[place(down)], couplings);
            }
        }
    }

    /// Kicks the momenta of slab `r`, and lets the slab before drift in the same pass, after its last use.
    #[inline(always)]
    fn kick_and_drift(
        &mut self,
        field: &mut [f64],
        momentum: &mut [f64],
        r: usize,
        couplings: Couplings,
        drift: f64,
    ) {
        let (row, slab, slabs) = (self.row, self.slab, self.slabs);
        let place = |r: usize| r * slab..(r + 1) * slab;
        let ahead = if r + 1 < slabs { r + 1 } else { 0 };
        let fields = field.get_disjoint_mut([place(r - 1), place(r), place(ahead)]);
        let momenta = momentum.get_disjoint_mut([place(r - 1), place(r)]);
        let ([down, centre, up], [behind, momentum]) =
            (fields.expect("three slabs or more"), momenta.expect("two slabs or more"));
        for inside in (0..self.rows).map(|i| i * row) {
            self.sum_between(centre, inside);
            let place = inside..inside + row;
            let across = Across { up: &up[place.clone()], others: &self.others };
            let (centre, behind) = (&centre[place.clone()], &behind[place.clone()]);
            let (momentum, down) = (&mut momentum[place.clone()], &mut down[place]);
            R::kick_and_drift::<BETWEEN>(momentum, centre, across, down, behind, couplings, drift);
        }
    }

    #[inline(always)]
    fn drift(&self, field: &mut [f64], momentum: &[f64], r: usize, drift: f64) {
        let place = r * self.slab..(r + 1) * self.slab;
        move_on(&mut field[place.clone()], &momentum[place], drift);
    }

    #[inline(always)]
    fn actions(&mut self, field: &[f64]) -> [f64; LANES] {
        let (row, slab, slabs) = (self.row, self.slab, self.slabs);
        let mut sums = [0.0; LANES];
        for r in 0..slabs {
            let next = if r + 1 < slabs { r + 1 } else { 0 };
            let (here, up) = (&field[r * slab..][..slab], &field[next * slab..][..slab]);
            for inside in (0..self.rows).map(|i| i * row) {
                if BETWEEN {
                    self.others.copy_from_slice(&up[inside..inside + row]);
                    for &(extent, stride) in &self.between {
                        add(&mut self.others, here, neighbour(inside, extent, stride, 1));
                    }
                }
                let ahead = if BETWEEN || slabs == 1 { &self.others } else { &up[inside..inside + row] };
                let part = R::action(&here[inside..inside + row], ahead, self.action);
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        }
        sums
    }

    /// Puts the sum of the neighbouring rows along the axes between the first and the last into `others`.
    #[inline(always)]
    fn sum_between(&mut self, slab: &[f64], inside: usize) {
        if BETWEEN {
            self.others.fill(0.0);
            for &(extent, stride) in &self.between {
                for distance in [1, extent - 1] {
                    add(&mut self.others, slab, neighbour(inside, extent, stride, distance));
                }
            }
        }
    }
}

/// Where the row begins that lies `distance` places ahead of the one at `inside`.
fn neighbour(inside: usize, extent: usize, stride: usize, distance: usize) -> usize {
    let place = inside / stride % extent;
    inside - place * stride + (place + distance) % extent * stride
}

/// Adds the row that begins at `start`.
#[inline(always)]
fn add(sum: &mut [f64], slab: &[f64], start: usize) {
    let row = &slab[start..start + sum.len()];
    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
}
