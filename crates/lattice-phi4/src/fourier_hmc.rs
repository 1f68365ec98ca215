//! Hybrid Monte Carlo with Fourier acceleration.
//!
//! With unit masses the modes of a field oscillate at frequencies `1/sqrt(G(p))`: near the critical point the slow ones
//! hardly move in a trajectory over which the fast ones have to be resolved. With a mass `M(p)` for each momentum,
//!
//! ```text
//! H = 1/2 sum_p |pi(p)|^2 / (V M(p)) + S(phi) ,     d phi(p)/dt = pi(p) / M(p) ,     d pi/dt = -dS/d phi ,
//! ```
//!
//! and `M(p) = 1/G(p)`, all modes of a free field turn at frequency one: a trajectory of length `pi/2` decorrelates them all
//! (Batrouni et al., Phys. Rev. D 32 (1985) 2736). An interaction detunes them. The price is two Fourier transforms for each
//! drift.

use crate::kernel::{Layout, kick_all};
use crate::pairs::{PairFilter, PairTransform};
use crate::update::{Draws, Report, Update, pieces};
use crate::{Phi4, Phi4Error, Spectrum};
use sde_core::ndarray::Array1;
use sde_core::{Batch, BatchMut, Target, values_mut};

/// Hybrid Monte Carlo with the inverse of a propagator as masses, by leapfrog steps.
///
/// ```
/// use lattice_phi4::{Chains, FourierHmc, Lattice, Phi4, Spectrum};
///
/// // A free field follows circles: at a quarter of the period nothing is left of the start.
/// let action = Phi4::new(Lattice::new(&[16, 16])?, 0.24, 0.0)?;
/// let hmc = FourierHmc::new(std::f64::consts::FRAC_PI_2, 16, &Spectrum::free(action.lattice(), 0.24)?)?;
/// let mut chains = Chains::hot(&action, 8, 1.0, 1);
/// assert!(chains.run(&action, &[&hmc], 100).acceptance[0] > 0.9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FourierHmc {
    length: f64,
    steps: usize,
    transform: PairTransform,
    /// `G(p)` by mode: velocity from momentum.
    propagator: Vec<f64>,
    /// `1 / sqrt(G(p))`: momentum from white noise.
    stiffness: Vec<f64>,
}

impl FourierHmc {
    /// Trajectories of `length` in `steps` leapfrog steps, with `M(p) = 1/G(p)` from a spectrum such as
    /// [`Spectrum::of_ensemble`] finds in a short run; its mean plays no part.
    ///
    /// # Errors
    /// [`Phi4Error`] for a length that is not finite and positive, or no steps.
    pub fn new(length: f64, steps: usize, spectrum: &Spectrum) -> Result<Self, Phi4Error> {
        let length = Phi4Error::positive("length", length)?;
        let steps = Phi4Error::at_least_one("steps", steps)?;
        let transform = PairTransform::new(&spectrum.lattice());
        let propagator = transform.by_mode(spectrum.variances());
        let stiffness: Vec<f64> = propagator.iter().map(|g| g.sqrt().recip()).collect();
        Ok(Self { length, steps, transform, propagator, stiffness })
    }

    /// Follows one or two chains for a trajectory; `velocity` becomes that of the last momentum.
    fn integrate(
        &self,
        action: &Phi4,
        fields: &mut [f64],
        momenta: &mut [f64],
        velocities: &mut [f64],
        filter: &mut PairFilter,
    ) {
        let (eps, sites) = (self.length / self.steps as f64, self.transform.sites());
        let kick = |fields: &[f64], momenta: &mut [f64], length: f64| {
            for (field, momentum) in fields.chunks_exact(sites).zip(momenta.chunks_exact_mut(sites)) {
                kick_all(action, Layout::Plain, field, momentum, length);
            }
        };
        let mut accelerate = |momenta: &[f64], velocities: &mut [f64]| {
            velocities.copy_from_slice(momenta);
            filter.filter_rows(velocities, &self.propagator);
        };
        kick(fields, momenta, 0.5 * eps);
        for step in 1..=self.steps {
            accelerate(momenta, velocities);
            for (x, velocity) in fields.iter_mut().zip(&*velocities) {
                *x = eps.mul_add(*velocity, *x);
            }
            kick(fields, momenta, if step < self.steps { eps } else { 0.5 * eps });
        }
        accelerate(momenta, velocities);
    }
}

/// `S + pi . (G pi) / 2`
fn energy(action: &Phi4, field: &[f64], momentum: &[f64], velocity: &[f64]) -> f64 {
    let mut potential = Array1::zeros(1);
    let row = Batch::from_shape((1, field.len()), field).expect("one configuration");
    action.action(row, potential.view_mut());
    potential[0] + 0.5 * momentum.iter().zip(velocity).map(|(p, v)| p * v).sum::<f64>()
}

impl Update for FourierHmc {
    /// # Panics
    /// If the action lives on another lattice than the spectrum.
    fn update(
        &self,
        action: &Phi4,
        mut fields: BatchMut<'_>,
        draws: &Draws,
        reports: &mut [Report],
        scratch: &mut Vec<f64>,
    ) {
        let sites = fields.ncols();
        assert_eq!(sites, self.transform.sites(), "the action and the spectrum live on one lattice");
        let mut filter = PairFilter::new(&self.transform);
        let fields = values_mut(&mut fields);
        let [normals, before, momenta, velocities] = pieces(scratch, fields.len());
        before.copy_from_slice(fields);
        draws.normals(sites, normals);
        momenta.copy_from_slice(normals);
        filter.filter_rows(momenta, &self.stiffness);
        for (chain, report) in reports.iter_mut().enumerate() {
            let place = chain * sites..(chain + 1) * sites;
            // pi . (G pi) is the square of the white noise.
            let white = &normals[place.clone()];
            report.energy_error = -energy(action, &fields[place], white, white);
        }
        let pairs = fields.chunks_mut(2 * sites).zip(momenta.chunks_mut(2 * sites));
        for ((fields, momenta), velocities) in pairs.zip(velocities.chunks_mut(2 * sites)) {
            self.integrate(action, fields, momenta, velocities, &mut filter);
        }
        for (chain, report) in reports.iter_mut().enumerate() {
            let place = chain * sites..(chain + 1) * sites;
            let field = &mut fields[place.clone()];
            let end = energy(action, field, &momenta[place.clone()], &velocities[place.clone()]);
            *report = draws.decide(chain, end + report.energy_error);
            if report.acceptance == 0.0 {
                field.copy_from_slice(&before[place]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chains, Lattice};

    /// The free field in its own metric is one harmonic oscillator: after a whole turn everything is back.
    #[test]
    fn free_modes_turn_together() {
        let action = Phi4::new(Lattice::new(&[6, 4]).unwrap(), 0.2, 0.0).unwrap();
        let spectrum = Spectrum::free(action.lattice(), 0.2).unwrap();
        let start = Chains::hot(&action, 1, 0.8, 1).fields.into_raw_vec_and_offset().0;
        let distance = |steps| {
            let hmc = FourierHmc::new(std::f64::consts::TAU, steps, &spectrum).unwrap();
            let mut filter = PairFilter::new(&hmc.transform);
            let (mut x, mut p) = (start.clone(), start.iter().rev().copied().collect::<Vec<_>>());
            let mut velocity = vec![0.0; x.len()];
            hmc.integrate(&action, &mut x, &mut p, &mut velocity, &mut filter);
            x.iter().zip(&start).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        // The phase is late by 2 pi eps^2 / 24.
        let (coarse, fine) = (distance(100), distance(200));
        assert!(fine < 0.01, "{fine}");
        assert!((coarse / fine - 4.0).abs() < 0.05, "{coarse} {fine}");
    }
}
