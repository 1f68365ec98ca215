//! Rows of a field: how their sites lie in memory, and the loops over them.
//!
//! | layout | values of a row | neighbours along the row | for |
//! | --- | --- | --- | --- |
//! | [`Flat<1>`](Flat) | site after site | next to each other | any row |
//! | [`Flat<8>`](Flat) | of eight chains: the first sites of all of them, then the second, .. | eight values away | eight chains |
//! | [`Split`] | the row cut in eight: the first sites of all parts, then the second, .. | eight values away | eight times any length |
//!
//! A row that is cut is a sequence of vectors, and its loop goes from one to the next: what is to the right of one is the
//! centre of the next, and stays in registers. Each part goes on in the next, so the vector after the last one is the first
//! with its lanes turned by one place.

use crate::Phi4;
use crate::update::LANES;
use multiversion::multiversion;

/// Coefficients of the force, times the length of the kick.
#[derive(Clone, Copy)]
pub(crate) struct Couplings {
    hop: f64,
    linear: f64,
    cubic: f64,
}

impl Couplings {
    pub(crate) fn new(action: &Phi4, kick: f64) -> Self {
        Self {
            hop: 2.0 * action.hopping() * kick,
            linear: -2.0 * (1.0 - 2.0 * action.lambda()) * kick,
            cubic: -4.0 * action.lambda() * kick,
        }
    }

    /// Without what a site has by itself.
    pub(crate) fn of_neighbours(self) -> Self {
        Self { linear: 0.0, cubic: 0.0, ..self }
    }

    /// The momentum after the kick.
    #[inline(always)]
    fn kicked(self, p: f64, x: f64, neighbours: f64) -> f64 {
        x.mul_add((self.cubic * x).mul_add(x, self.linear), self.hop.mul_add(neighbours, p))
    }
}

/// Coefficients of the action.
#[derive(Clone, Copy)]
struct Local {
    hop: f64,
    square: f64,
    quartic: f64,
}

impl Local {
    fn new(action: &Phi4) -> Self {
        let (hopping, lambda) = (action.hopping(), action.lambda());
        Self { hop: -2.0 * hopping, square: 1.0 - 2.0 * lambda, quartic: lambda }
    }

    /// Adds what a site has with the sites `ahead` of it.
    #[inline(always)]
    fn add(self, x: f64, ahead: f64, sum: f64) -> f64 {
        let local = x * (self.quartic * x).mul_add(x, self.square);
        x.mul_add(self.hop.mul_add(ahead, local), sum)
    }
}

/// The neighbours of a row across it.
#[derive(Clone, Copy)]
pub(crate) struct Across<'a> {
    /// The next row along the first axis.
    pub(crate) up: &'a [f64],
    /// The sum of rows along the axes between the first and the last, zero if there are none.
    pub(crate) others: &'a [f64],
}

/// The loops over rows in one layout. With `down` the row before along the first axis; `BETWEEN` says that there are axes
/// between the first and the last.
pub(crate) trait Row {
    /// Chains in a field.
    const CHAINS: usize;

    /// Kicks the momenta of row `centre`.
    fn kick<const BETWEEN: bool>(
        momentum: &mut [f64],
        centre: &[f64],
        across: Across<'_>,
        down: &[f64],
        couplings: Couplings,
    );

    /// The same, and lets row `down` drift with the momenta `behind` after its last use.
    fn kick_and_drift<const BETWEEN: bool>(
        momentum: &mut [f64],
        centre: &[f64],
        across: Across<'_>,
        down: &mut [f64],
        behind: &[f64],
        couplings: Couplings,
        drift: f64,
    );

    /// `sum_x [ -2 kappa x (right + ahead) + (1 - 2 lambda) x^2 + lambda x^4 ]` of a row, lane by lane.
    fn action(row: &[f64], ahead: &[f64], action: &Phi4) -> [f64; LANES];
}

/// Chains side by side, see the [module](self).
pub(crate) struct Flat<const CHAINS: usize>;

/// One chain with its rows cut in eight, see the [module](self).
pub(crate) struct Split;

type Vector = [f64; LANES];

impl Split {
    /// The vector to the left of the first, given the last.
    #[inline(always)]
    fn before(last: Vector) -> Vector {
        std::array::from_fn(|lane| last[(lane + LANES - 1) % LANES])
    }

    /// The vector to the right of the last, given the first.
    #[inline(always)]
    fn after(first: Vector) -> Vector {
        std::array::from_fn(|lane| first[(lane + 1) % LANES])
    }
}

#[inline(always)]
fn vectors(row: &[f64]) -> &[Vector] {
    row.as_chunks().0
}

/// Kicks the momenta of eight sites, whose neighbours along the row, across it and in between are given. Here and below all
/// loads stand before all stores, or the compiler takes the lanes apart.
#[inline(always)]
fn kick_sites<const BETWEEN: bool>(
    p: &mut Vector,
    x: &Vector,
    [left, right]: [&Vector; 2],
    [up, down, others]: [&Vector; 3],
    couplings: Couplings,
) {
    let mut kicked = *p;
    for lane in 0..LANES {
        let sum = (left[lane] + right[lane]) + (up[lane] + down[lane]);
        let neighbours = if BETWEEN { sum + others[lane] } else { sum };
        kicked[lane] = couplings.kicked(kicked[lane], x[lane], neighbours);
    }
    *p = kicked;
}

/// The same, and lets the fields `down` drift.
#[inline(always)]
fn kick_and_drift_sites<const BETWEEN: bool>(
    p: &mut Vector,
    x: &Vector,
    [left, right]: [&Vector; 2],
    (up, down, others): (&Vector, &mut Vector, &Vector),
    behind: &Vector,
    (couplings, drift): (Couplings, f64),
) {
    let (mut kicked, mut drifted) = (*p, *down);
    for lane in 0..LANES {
        let sum = (left[lane] + right[lane]) + (up[lane] + drifted[lane]);
        let neighbours = if BETWEEN { sum + others[lane] } else { sum };
        kicked[lane] = couplings.kicked(kicked[lane], x[lane], neighbours);
        drifted[lane] = drift.mul_add(behind[lane], drifted[lane]);
    }
    (*p, *down) = (kicked, drifted);
}

impl Row for Split {
    const CHAINS: usize = 1;

    #[inline(always)]
    fn kick<const BETWEEN: bool>(
        momentum: &mut [f64],
        centre: &[f64],
        across: Across<'_>,
        down: &[f64],
        couplings: Couplings,
    ) {
        let (momentum, centre) = (momentum.as_chunks_mut::<LANES>().0, vectors(centre));
        let (up, down, others) = (vectors(across.up), vectors(down), vectors(across.others));
        let n = centre.len().min(momentum.len()).min(up.len()).min(down.len()).min(others.len());
        let (mut left, mut x) = (Self::before(centre[n - 1]), centre[0]);
        let after = Self::after(x);
        for j in 0..n - 1 {
            let right = centre[j + 1];
            let across = [&up[j], &down[j], &others[j]];
            kick_sites::<BETWEEN>(&mut momentum[j], &x, [&left, &right], across, couplings);
            (left, x) = (x, right);
        }
        let across = [&up[n - 1], &down[n - 1], &others[n - 1]];
        kick_sites::<BETWEEN>(&mut momentum[n - 1], &x, [&left, &after], across, couplings);
    }

    #[inline(always)]
    fn kick_and_drift<const BETWEEN: bool>(
        momentum: &mut [f64],
        centre: &[f64],
        across: Across<'_>,
        down: &mut [f64],
        behind: &[f64],
        couplings: Couplings,
        drift: f64,
    ) {
        let (momentum, centre) = (momentum.as_chunks_mut::<LANES>().0, vectors(centre));
        let (up, down) = (vectors(across.up), down.as_chunks_mut::<LANES>().0);
        let (others, behind) = (vectors(across.others), vectors(behind));
        let n = centre
            .len()
            .min(momentum.len())
            .min(up.len())
            .min(down.len())
            .min(others.len())
            .min(behind.len());
        let (mut left, mut x) = (Self::before(centre[n - 1]), centre[0]);
        let after = Self::after(x);
        for j in 0..n - 1 {
            let right = centre[j + 1];
            let across = (&up[j], &mut down[j], &others[j]);
            let (p, along) = (&mut momentum[j], [&left, &right]);
            kick_and_drift_sites::<BETWEEN>(p, &x, along, across, &behind[j], (couplings, drift));
            (left, x) = (x, right);
        }
        let j = n - 1;
        let across = (&up[j], &mut down[j], &others[j]);
        let (p, along) = (&mut momentum[j], [&left, &after]);
        kick_and_drift_sites::<BETWEEN>(p, &x, along, across, &behind[j], (couplings, drift));
    }

    #[inline(always)]
    fn action(row: &[f64], ahead: &[f64], action: &Phi4) -> Vector {
        let local = Local::new(action);
        let row = vectors(row);
        let mut x = row[0];
        let end = Self::after(x);
        let to_the_right = row[1..].iter().chain([&end]);
        let mut sums = [0.0; LANES];
        for (right, ahead) in to_the_right.zip(vectors(ahead)) {
            for lane in 0..LANES {
                sums[lane] = local.add(x[lane], right[lane] + ahead[lane], sums[lane]);
            }
            x = *right;
        }
        sums
    }
}

impl<const CHAINS: usize> Row for Flat<CHAINS> {
    const CHAINS: usize = CHAINS;

    #[inline(always)]
    fn kick<const BETWEEN: bool>(
        momentum: &mut [f64],
        centre: &[f64],
        across: Across<'_>,
        down: &[f64],
        couplings: Couplings,
    ) {
        kick_flat::<CHAINS>(momentum, centre, across.up, down, across.others, couplings);
    }

    #[inline(always)]
    fn kick_and_drift<const BETWEEN: bool>(
        momentum: &mut [f64],
        centre: &[f64],
        across: Across<'_>,
        down: &mut [f64],
        behind: &[f64],
        couplings: Couplings,
        drift: f64,
    ) {
        Self::kick::<BETWEEN>(momentum, centre, across, down, couplings);
        move_on(down, behind, drift);
    }

    #[inline(always)]
    fn action(row: &[f64], ahead: &[f64], action: &Phi4) -> [f64; LANES] {
        let local = Local::new(action);
        let (end, ahead) = (row.len() - CHAINS, &ahead[..row.len()]);
        let mut sums = [0.0; LANES];
        let add = |x: &[f64], right: &[f64], ahead: &[f64], sums: &mut [f64]| {
            for (((x, right), ahead), sum) in x.iter().zip(right).zip(ahead).zip(sums) {
                *sum = local.add(*x, right + ahead, *sum);
            }
        };
        let inner = row[..end].chunks(LANES).zip(row[CHAINS..].chunks(LANES)).zip(ahead.chunks(LANES));
        for ((x, right), ahead) in inner {
            add(x, right, ahead, &mut sums);
        }
        // The site at the end has the first to its right.
        add(&row[end..], &row[..CHAINS], &ahead[end..], &mut sums[end % LANES..]);
        sums
    }
}

/// A function of its own, since the compiler knows of the arguments of functions that they do not overlap.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn kick_flat<const CHAINS: usize>(
    momentum: &mut [f64],
    centre: &[f64],
    up: &[f64],
    down: &[f64],
    others: &[f64],
    couplings: Couplings,
) {
    let (row, end) = (momentum.len(), momentum.len() - CHAINS);
    let new = |p: f64, x: f64, left: f64, right: f64, up: f64, down: f64, other: f64| {
        couplings.kicked(p, x, ((left + right) + (up + down)) + other)
    };
    let (centre, up, down, others) = (&centre[..row], &up[..row], &down[..row], &others[..row]);
    for i in 0..CHAINS {
        let (last, next) = (centre[end + i], centre[CHAINS + i]);
        momentum[i] = new(momentum[i], centre[i], last, next, up[i], down[i], others[i]);
        // With two sites in a row these are the last.
        let (j, before) = (end + i, centre[end - CHAINS + i]);
        momentum[j] = new(momentum[j], centre[j], before, centre[i], up[j], down[j], others[j]);
    }
    let (left, right) = (&centre[..end - CHAINS], &centre[2 * CHAINS..]);
    let (centre, up) = (&centre[CHAINS..end], &up[CHAINS..end]);
    let (down, others) = (&down[CHAINS..end], &others[CHAINS..end]);
    for (i, p) in momentum[CHAINS..end].iter_mut().enumerate() {
        *p = new(*p, centre[i], left[i], right[i], up[i], down[i], others[i]);
    }
}

/// `x += drift p`
#[inline(always)]
pub(crate) fn move_on(x: &mut [f64], p: &[f64], drift: f64) {
    for (x, p) in x.iter_mut().zip(p) {
        *x = drift.mul_add(*p, *x);
    }
}

/// Leapfrog steps of sites without neighbours: kicks `half`, and `whole` in between.
#[inline(always)]
pub(crate) fn swing(x: &mut [f64], p: &mut [f64], drift: f64, steps: u32, half: Couplings, whole: Couplings) {
    // As many as stay in registers.
    for (x, p) in x.chunks_mut(4 * LANES).zip(p.chunks_mut(4 * LANES)) {
        kick_alone(x, p, half);
        for step in 1..=steps {
            move_on(x, p, drift);
            kick_alone(x, p, if step < steps { whole } else { half });
        }
    }
}

#[inline(always)]
fn kick_alone(x: &[f64], p: &mut [f64], couplings: Couplings) {
    for (x, p) in x.iter().zip(p) {
        *p = couplings.kicked(*p, *x, 0.0);
    }
}

/// Values in one partial sum.
const BLOCK: usize = 2048;

/// `sum p^2 / 2`, lane by lane.
#[inline(always)]
pub(crate) fn kinetic_energy(p: &[f64]) -> [f64; LANES] {
    let mut all = [0.0; LANES];
    for block in p.chunks(BLOCK) {
        let mut sums = [0.0; LANES];
        let (whole, rest) = block.as_chunks::<LANES>();
        for p in whole {
            for lane in 0..LANES {
                sums[lane] = p[lane].mul_add(p[lane], sums[lane]);
            }
        }
        for (sum, p) in sums.iter_mut().zip(rest) {
            *sum = p.mul_add(*p, *sum);
        }
        for lane in 0..LANES {
            all[lane] = 0.5_f64.mul_add(sums[lane], all[lane]);
        }
    }
    all
}
