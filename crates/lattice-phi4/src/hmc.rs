//! Hybrid (Hamiltonian) Monte Carlo.
//!
//! Momenta `p` are drawn from `N(0, 1)`, fields and momenta follow `H = p^2/2 + S(phi)` for a time `tau` by an integrator that
//! is reversible and keeps volumes, and the end is accepted with probability `min(1, e^(-dH))`. So `exp(-S)` is invariant
//! whatever the step, `E[e^(-dH)] = 1`, and for a near-normal `dH` the acceptance is `erfc( sqrt(E[dH]) / 2 )`.
//!
//! | integrator | one step of `eps` | forces | `dH` |
//! | --- | --- | --- | --- |
//! | leapfrog | `K(1/2) D(1) K(1/2)` | 1 | `eps^2` |
//! | Omelyan 2MN | `K(l) D(1/2) K(1-2l) D(1/2) K(l)`, `l = 0.1932` | 2 | `eps^2`, a tenth of it |
//! | force gradient | `K(1/6) D(1/2) K'(2/3) D(1/2) K(1/6)` | 3 | `eps^4` |
//! | nested | `H(1/2) [ L(1/(2n)) D(1/n) L(1/(2n)) ]^n H(1/2)` | 1 of neighbours, `n` of sites | `eps^2` |
//!
//! with kicks `K` and drifts `D` in units of `eps`. The force-gradient kick `K'` takes its force not at `phi` but at
//! `phi + eps^2/24 F(phi)`, which is the commutator term of fourth order to the order needed (Yin and Mawhinney,
//! arXiv:1111.5059; Omelyan, Mryglod and Folk, Comput. Phys. Commun. 151 (2003) 272).
//!
//! Nested steps split the kick into what comes from neighbours, `H`, and what a site has by itself, `L` (Sexton and Weingarten,
//! Nucl. Phys. B 380 (1992) 665). At large `lambda` the site is the stiff part, and its steps need no neighbour and no memory.

use crate::kernel::{
    Layout, Stage, actions, drift_all, evolve, kick_all, kick_by_neighbours, kinetic_energies, swing_sites,
};
use crate::update::{Draws, LANES, Report, Update, pieces};
use crate::{Phi4, Phi4Error};
use multiversion::multiversion;
use sde_core::{BatchMut, values_mut};
use serde::{Deserialize, Serialize};

/// Minimises the error of the 2MN scheme (Takaishi and de Forcrand, hep-lat/0505020).
const OMELYAN: f64 = 0.193_183_327_503_783_6;

/// How the equations of motion are integrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leap {
    /// Second order, one force a step.
    Leapfrog,
    /// Second order with a tenth of the error, two forces a step.
    Omelyan,
    /// Fourth order, three forces a step.
    ForceGradient,
    /// Second order, the forces of sites on themselves in `inner` steps for one of the forces between neighbours.
    Nested {
        /// Inner steps, at least one.
        inner: u32,
    },
}

impl Leap {
    /// All of them, the nested one with three inner steps.
    pub const ALL: [Self; 4] =
        [Self::Leapfrog, Self::Omelyan, Self::ForceGradient, Self::Nested { inner: 3 }];
}

/// Hybrid Monte Carlo with trajectories of `length`, in `steps` steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hmc {
    length: f64,
    steps: usize,
    leap: Leap,
}

impl Hmc {
    /// Trajectories of `length` in `steps` steps of `leap`.
    ///
    /// # Errors
    /// [`Phi4Error`] for a length that is not finite and positive, or no steps.
    pub fn new(length: f64, steps: usize, leap: Leap) -> Result<Self, Phi4Error> {
        if let Leap::Nested { inner } = leap {
            Phi4Error::at_least_one("inner steps", inner as usize)?;
        }
        let length = Phi4Error::positive("length", length)?;
        Ok(Self { length, steps: Phi4Error::at_least_one("steps", steps)?, leap })
    }

    /// The Metropolis-adjusted Langevin algorithm with step `eps`: one leapfrog step of length `sqrt(2 eps)` proposes
    /// `phi - eps dS/dphi + sqrt(2 eps) N(0, 1)`.
    ///
    /// # Errors
    /// [`Phi4Error`] for a step that is not finite and positive.
    pub fn mala(step: f64) -> Result<Self, Phi4Error> {
        Self::new((2.0 * Phi4Error::positive("step", step)?).sqrt(), 1, Leap::Leapfrog)
    }

    /// Length of a trajectory.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// Steps of a trajectory.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Follows the equations of motion for one trajectory. `shifted` is memory for as many fields.
    pub(crate) fn integrate(
        &self,
        action: &Phi4,
        layout: Layout,
        field: &mut [f64],
        momentum: &mut [f64],
        shifted: &mut [f64],
    ) {
        let eps = self.length / self.steps as f64;
        match self.leap {
            Leap::Leapfrog => {
                self.compose(action, layout, field, momentum, &[(0.5 * eps, eps)], 0.5 * eps);
            }
            Leap::Omelyan => {
                let stages = [(OMELYAN * eps, 0.5 * eps), ((1.0 - 2.0 * OMELYAN) * eps, 0.5 * eps)];
                self.compose(action, layout, field, momentum, &stages, OMELYAN * eps);
            }
            Leap::ForceGradient => {
                let mut kick = eps / 6.0;
                for _ in 0..self.steps {
                    evolve(action, layout, field, momentum, &[Stage { kick, drift: 0.5 * eps }]);
                    shifted.copy_from_slice(field);
                    kick_all(action, layout, field, shifted, eps * eps / 24.0);
                    kick_all(action, layout, shifted, momentum, 2.0 / 3.0 * eps);
                    drift_all(field, momentum, 0.5 * eps);
                    // The last kick of one step and the first of the next are one.
                    kick = eps / 3.0;
                }
                kick_all(action, layout, field, momentum, eps / 6.0);
            }
            Leap::Nested { inner } => {
                kick_by_neighbours(action, layout, field, momentum, 0.5 * eps);
                for step in 1..=self.steps {
                    swing_sites(action, field, momentum, eps, inner);
                    let kick = if step < self.steps { eps } else { 0.5 * eps };
                    kick_by_neighbours(action, layout, field, momentum, kick);
                }
            }
        }
    }

    /// Repeats stages of kick and drift; the last kick of a step and the first of the next are one.
    fn compose(
        &self,
        action: &Phi4,
        layout: Layout,
        field: &mut [f64],
        momentum: &mut [f64],
        stages: &[(f64, f64)],
        last: f64,
    ) {
        let mut all: Vec<Stage> = Vec::with_capacity(self.steps * stages.len());
        for step in 0..self.steps {
            for (place, &(kick, drift)) in stages.iter().enumerate() {
                let merged = if place == 0 && step > 0 { kick + last } else { kick };
                all.push(Stage { kick: merged, drift });
            }
        }
        evolve(action, layout, field, momentum, &all);
        kick_all(action, layout, field, momentum, last);
    }
}

impl Hmc {
    /// Follows the equations of motion for one trajectory, and returns `dH` lane by lane, see [`energies`].
    fn energy_errors(
        &self,
        action: &Phi4,
        layout: Layout,
        field: &mut [f64],
        momentum: &mut [f64],
        shifted: &mut [f64],
    ) -> [f64; LANES] {
        let start = energies(action, layout, field, momentum);
        self.integrate(action, layout, field, momentum, shifted);
        let end = energies(action, layout, field, momentum);
        std::array::from_fn(|lane| end[lane] - start[lane])
    }
}

/// `H` lane by lane, see [`actions`].
fn energies(action: &Phi4, layout: Layout, field: &[f64], momentum: &[f64]) -> [f64; LANES] {
    let (potential, kinetic) = (actions(action, layout, field), kinetic_energies(momentum));
    std::array::from_fn(|lane| potential[lane] + kinetic[lane])
}

impl Update for Hmc {
    fn update(
        &self,
        action: &Phi4,
        mut fields: BatchMut<'_>,
        draws: &Draws,
        reports: &mut [Report],
        scratch: &mut Vec<f64>,
    ) {
        let (chains, sites) = fields.dim();
        let fields = values_mut(&mut fields);
        match Layout::of(action.lattice()) {
            Layout::SideBySide => {
                // Lanes without a chain hold the field zero, which stays where it is.
                let [normals, x, p, work] = pieces(scratch, LANES * sites);
                normals[chains * sites..].fill(0.0);
                draws.normals(sites, &mut normals[..chains * sites]);
                interleave(normals, p);
                normals[..chains * sites].copy_from_slice(fields);
                interleave(normals, x);
                let errors = self.energy_errors(action, Layout::SideBySide, x, p, work);
                for (chain, report) in reports.iter_mut().enumerate() {
                    *report = draws.decide(chain, errors[chain]);
                }
                separate(x, normals);
                let moved = normals.chunks_exact(sites).zip(fields.chunks_exact_mut(sites));
                for ((new, field), _) in moved.zip(&*reports).filter(|(_, report)| report.acceptance > 0.0) {
                    field.copy_from_slice(new);
                }
            }
            layout => {
                let [momenta, x, work] = pieces(scratch, fields.len());
                draws.normals(sites, momenta);
                let row = action.lattice().extents()[action.lattice().dimension() - 1];
                let chains = fields.chunks_exact_mut(sites).zip(momenta.chunks_exact_mut(sites));
                for ((chain, (field, p)), report) in chains.enumerate().zip(reports) {
                    let (x, work) = (&mut x[..sites], &mut work[..sites]);
                    match layout {
                        Layout::Split => split(field, row, x),
                        _ => x.copy_from_slice(field),
                    }
                    *report =
                        draws.decide(chain, self.energy_errors(action, layout, x, p, work).iter().sum());
                    if report.acceptance > 0.0 {
                        match layout {
                            Layout::Split => join(x, row, field),
                            _ => field.copy_from_slice(x),
                        }
                    }
                }
            }
        }
    }
}

/// From chain after chain to all chains of a site together.
#[inline(always)]
fn interleave(rows: &[f64], out: &mut [f64]) {
    let sites = rows.len() / LANES;
    let rows: [&[f64]; LANES] = std::array::from_fn(|lane| &rows[lane * sites..][..sites]);
    for (site, values) in out.as_chunks_mut::<LANES>().0[..sites].iter_mut().enumerate() {
        *values = std::array::from_fn(|lane| rows[lane][site]);
    }
}

/// And back.
#[inline(always)]
fn separate(interleaved: &[f64], rows: &mut [f64]) {
    let sites = interleaved.len() / LANES;
    for (lane, row) in rows.chunks_exact_mut(sites).enumerate() {
        for (value, values) in row.iter_mut().zip(interleaved.as_chunks::<LANES>().0) {
            *value = values[lane];
        }
    }
}

/// Cuts each row in eight parts.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn split(field: &[f64], row: usize, out: &mut [f64]) {
    for (row, out) in field.chunks_exact(row).zip(out.chunks_exact_mut(row)) {
        interleave(row, out);
    }
}

/// And back.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn join(cut: &[f64], row: usize, field: &mut [f64]) {
    for (cut, row) in cut.chunks_exact(row).zip(field.chunks_exact_mut(row)) {
        separate(cut, row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chains, Lattice};

    fn setup(extents: &[usize]) -> (Phi4, Vec<f64>, Vec<f64>) {
        let action = Phi4::new(Lattice::new(extents).unwrap(), 0.23, 0.1).unwrap();
        let sites = action.lattice().volume();
        let row = |seed| Chains::hot(&action, 1, 0.8, seed).fields.into_raw_vec_and_offset().0;
        let (x, p) = (row(1), row(2));
        assert_eq!(x.len(), sites);
        (action, x, p)
    }

    const SHAPES: [&[usize]; 6] = [&[7], &[2, 3], &[8, 8], &[5, 4], &[4, 3, 5], &[9, 2, 2, 3]];

    /// With the momenta turned round the way leads back.
    #[test]
    fn trajectories_are_reversible() {
        for extents in SHAPES {
            for leap in Leap::ALL {
                let (action, start, mut p) = setup(extents);
                let mut x = start.clone();
                let hmc = Hmc::new(1.0, 10, leap).unwrap();
                hmc.integrate(&action, Layout::Plain, &mut x, &mut p, &mut vec![0.0; start.len()]);
                assert!(x.iter().zip(&start).any(|(x, start)| (x - start).abs() > 0.1));
                for p in &mut p {
                    *p = -*p;
                }
                hmc.integrate(&action, Layout::Plain, &mut x, &mut p, &mut vec![0.0; start.len()]);
                for (x, start) in x.iter().zip(&start) {
                    assert!((x - start).abs() < 1e-12, "{extents:?} {leap:?}: {x} {start}");
                }
            }
        }
    }

    /// `|dH|` falls as the order's power of the step: from 32 to 64 steps by 4 or 16.
    #[test]
    fn energies_are_kept_to_the_order_of_the_scheme() {
        for (leap, order) in Leap::ALL.into_iter().zip([2, 2, 4, 2]) {
            let error = |steps| {
                let (action, mut x, mut p) = setup(&[8, 8]);
                let mut work = vec![0.0; x.len()];
                let before = energies(&action, Layout::Plain, &x, &p);
                Hmc::new(1.0, steps, leap).unwrap().integrate(
                    &action,
                    Layout::Plain,
                    &mut x,
                    &mut p,
                    &mut work,
                );
                let after = energies(&action, Layout::Plain, &x, &p);
                (0..LANES).map(|lane| after[lane] - before[lane]).sum::<f64>()
            };
            let (coarse, fine) = (error(32), error(64));
            let found = (coarse / fine).abs().log2();
            assert!((found - f64::from(order)).abs() < 0.1, "{leap:?}: order {found} from {coarse}, {fine}");
        }
    }

    /// Chains side by side and many steps in one pass are the same loop bodies in another order.
    #[test]
    fn layouts_change_no_bit() {
        // The first fits the cache; of the others some steps go together, in the last two by layout.
        let shapes: [&[usize]; 5] = [&[16, 8], &[64, 32], &[32, 2, 16], &[48], &[6, 4, 2, 8]];
        for (extents, leap) in shapes.iter().flat_map(|extents| Leap::ALL.map(|leap| (*extents, leap))) {
            let action = Phi4::new(Lattice::new(extents).unwrap(), 0.11, 0.1).unwrap();
            let sites = action.lattice().volume();
            let x = Chains::hot(&action, LANES, 0.8, 1).fields.into_raw_vec_and_offset().0;
            let p = Chains::hot(&action, LANES, 1.0, 2).fields.into_raw_vec_and_offset().0;
            let hmc = Hmc::new(1.0, 7, leap).unwrap();
            let [mut many, mut momenta, mut work] = [(); 3].map(|()| vec![0.0; x.len()]);
            interleave(&x, &mut many);
            interleave(&p, &mut momenta);
            hmc.integrate(&action, Layout::SideBySide, &mut many, &mut momenta, &mut work);
            let mut rows = vec![0.0; x.len()];
            separate(&many, &mut rows);
            for chain in 0..LANES {
                let place = chain * sites..(chain + 1) * sites;
                let (mut x, mut p) = (x[place.clone()].to_vec(), p[place.clone()].to_vec());
                let [mut cut, mut cut_momenta] = [(); 2].map(|()| vec![0.0; sites]);
                split(&x, extents[extents.len() - 1], &mut cut);
                split(&p, extents[extents.len() - 1], &mut cut_momenta);
                hmc.integrate(&action, Layout::Plain, &mut x, &mut p, &mut work[..sites]);
                assert_eq!(x, rows[place], "{extents:?} {leap:?}");
                hmc.integrate(&action, Layout::Split, &mut cut, &mut cut_momenta, &mut work[..sites]);
                let mut joined = vec![0.0; sites];
                join(&cut, extents[extents.len() - 1], &mut joined);
                assert_eq!(x, joined, "{extents:?} {leap:?}");
            }
        }
    }
}
