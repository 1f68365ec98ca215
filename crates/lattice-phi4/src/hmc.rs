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
//!
//! with kicks `K` and drifts `D` in units of `eps`. The force-gradient kick `K'` takes its force not at `phi` but at
//! `phi + eps^2/24 F(phi)`, which is the commutator term of fourth order to the order needed (Yin and Mawhinney,
//! arXiv:1111.5059; Omelyan, Mryglod and Folk, Comput. Phys. Commun. 151 (2003) 272).

use crate::kernel::{Stage, actions, evolve, kick_all, sums_of_squares};
use crate::update::{Draws, LANES, Report, Update, pieces};
use crate::{Phi4, Phi4Error};
use sde_core::{BatchMut, values_mut};
use serde::{Deserialize, Serialize};

/// Lattices up to this size run several chains side by side.
const SIDE_BY_SIDE: usize = 1 << 15;

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
}

impl Leap {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Leapfrog, Self::Omelyan, Self::ForceGradient];
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

    /// Follows the equations of motion for one trajectory: `lanes` chains, innermost. `shifted` is memory for as many fields.
    pub(crate) fn integrate(
        &self,
        action: &Phi4,
        lanes: usize,
        field: &mut [f64],
        momentum: &mut [f64],
        shifted: &mut [f64],
    ) {
        let eps = self.length / self.steps as f64;
        match self.leap {
            Leap::Leapfrog => {
                self.compose(action, lanes, field, momentum, &[(0.5 * eps, eps)], 0.5 * eps);
            }
            Leap::Omelyan => {
                let stages = [(OMELYAN * eps, 0.5 * eps), ((1.0 - 2.0 * OMELYAN) * eps, 0.5 * eps)];
                self.compose(action, lanes, field, momentum, &stages, OMELYAN * eps);
            }
            Leap::ForceGradient => {
                let mut kick = eps / 6.0;
                for _ in 0..self.steps {
                    evolve(action, lanes, field, momentum, &[Stage { kick, drift: 0.5 * eps }]);
                    shifted.copy_from_slice(field);
                    kick_all(action, lanes, field, shifted, eps * eps / 24.0);
                    kick_all(action, lanes, shifted, momentum, 2.0 / 3.0 * eps);
                    for (x, p) in field.iter_mut().zip(&*momentum) {
                        *x = (0.5 * eps).mul_add(*p, *x);
                    }
                    // The last kick of one step and the first of the next are one.
                    kick = eps / 3.0;
                }
                kick_all(action, lanes, field, momentum, eps / 6.0);
            }
        }
    }

    /// Repeats stages of kick and drift; the last kick of a step and the first of the next are one.
    fn compose(
        &self,
        action: &Phi4,
        lanes: usize,
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
        evolve(action, lanes, field, momentum, &all);
        kick_all(action, lanes, field, momentum, last);
    }
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
        let [normals, x, p, work] = pieces(scratch, fields.len());
        draws.normals(sites, normals);
        if chains == LANES && sites <= SIDE_BY_SIDE {
            interleave(fields, x);
            interleave(normals, p);
            let start = energies::<LANES>(action, x, p);
            self.integrate(action, LANES, x, p, work);
            let end = energies::<LANES>(action, x, p);
            for (chain, report) in reports.iter_mut().enumerate() {
                *report = draws.decide(chain, end[chain] - start[chain]);
            }
            separate(x, fields, |chain| reports[chain].acceptance > 0.0);
        } else {
            let rows = fields.chunks_exact_mut(sites).zip(normals.chunks_exact_mut(sites));
            for ((chain, (field, p)), report) in rows.enumerate().zip(reports) {
                let (x, work) = (&mut x[..sites], &mut work[..sites]);
                x.copy_from_slice(field);
                let [start] = energies(action, x, p);
                self.integrate(action, 1, x, p, work);
                let [end] = energies(action, x, p);
                *report = draws.decide(chain, end - start);
                if report.acceptance > 0.0 {
                    field.copy_from_slice(x);
                }
            }
        }
    }
}

/// `H` of each of `L` chains, innermost.
fn energies<const L: usize>(action: &Phi4, fields: &[f64], momenta: &[f64]) -> [f64; L] {
    let potential: [f64; L] = actions(action, fields);
    let kinetic: [f64; L] = sums_of_squares(momenta);
    std::array::from_fn(|chain| 0.5_f64.mul_add(kinetic[chain], potential[chain]))
}

/// From chain after chain to all chains of a site together.
fn interleave(rows: &[f64], out: &mut [f64]) {
    let sites = rows.len() / LANES;
    for (site, values) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        *values = std::array::from_fn(|lane| rows[lane * sites + site]);
    }
}

/// And back, the chains that are `wanted`.
fn separate(interleaved: &[f64], rows: &mut [f64], wanted: impl Fn(usize) -> bool) {
    let sites = rows.len() / LANES;
    for (lane, row) in rows.chunks_exact_mut(sites).enumerate().filter(|(lane, _)| wanted(*lane)) {
        for (value, values) in row.iter_mut().zip(interleaved.as_chunks::<LANES>().0) {
            *value = values[lane];
        }
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
                hmc.integrate(&action, 1, &mut x, &mut p, &mut vec![0.0; start.len()]);
                assert!(x.iter().zip(&start).any(|(x, start)| (x - start).abs() > 0.1));
                for p in &mut p {
                    *p = -*p;
                }
                hmc.integrate(&action, 1, &mut x, &mut p, &mut vec![0.0; start.len()]);
                for (x, start) in x.iter().zip(&start) {
                    assert!((x - start).abs() < 1e-12, "{extents:?} {leap:?}: {x} {start}");
                }
            }
        }
    }

    /// `|dH|` falls as the order's power of the step: from 32 to 64 steps by 4 or 16.
    #[test]
    fn energies_are_kept_to_the_order_of_the_scheme() {
        for (leap, order) in [(Leap::Leapfrog, 2), (Leap::Omelyan, 2), (Leap::ForceGradient, 4)] {
            let error = |steps| {
                let (action, mut x, mut p) = setup(&[8, 8]);
                let mut work = vec![0.0; x.len()];
                let [before] = energies(&action, &x, &p);
                Hmc::new(1.0, steps, leap).unwrap().integrate(&action, 1, &mut x, &mut p, &mut work);
                energies::<1>(&action, &x, &p)[0] - before
            };
            let (coarse, fine) = (error(32), error(64));
            let found = (coarse / fine).abs().log2();
            assert!((found - f64::from(order)).abs() < 0.1, "{leap:?}: order {found} from {coarse}, {fine}");
        }
    }

    /// Chains side by side and many steps in one pass are the same loop bodies in another order.
    #[test]
    fn layouts_change_no_bit() {
        let action = Phi4::new(Lattice::new(&[64, 32]).unwrap(), 0.23, 0.1).unwrap();
        let sites = action.lattice().volume();
        let x = Chains::hot(&action, LANES, 0.8, 1).fields.into_raw_vec_and_offset().0;
        let p = Chains::hot(&action, LANES, 1.0, 2).fields.into_raw_vec_and_offset().0;
        for leap in Leap::ALL {
            let hmc = Hmc::new(1.0, 7, leap).unwrap();
            let [mut many, mut momenta, mut work] = [(); 3].map(|()| vec![0.0; x.len()]);
            interleave(&x, &mut many);
            interleave(&p, &mut momenta);
            // 2048 sites of eight chains do not fit: several steps go together.
            hmc.integrate(&action, LANES, &mut many, &mut momenta, &mut work);
            let mut rows = vec![0.0; x.len()];
            separate(&many, &mut rows, |_| true);
            for chain in 0..LANES {
                let place = chain * sites..(chain + 1) * sites;
                let (mut x, mut p) = (x[place.clone()].to_vec(), p[place.clone()].to_vec());
                hmc.integrate(&action, 1, &mut x, &mut p, &mut work[..sites]);
                assert_eq!(x, rows[place], "{leap:?}");
            }
        }
    }
}
