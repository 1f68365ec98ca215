//! A net on top of the Gaussian score: for ensembles with domain walls, which perturbation theory does not describe.

use std::f64::consts::TAU;
use std::path::Path;

use lattice_phi4::{FieldTransform, Orbits, Phi4, Spectrum};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rand::SeedableRng;
use rand_pcg::Pcg64;
use score_nets::{
    FieldBatches, FieldBatchesConfig, FieldScales, FieldTarget, LatticeScore, OddUnet, OddUnetConfig,
};
use sde_core::{Edm, ScoreModel, Target};

use super::generate::learned_levels;
use super::schedule;
use super::training::settings;
use crate::Failure;
use crate::training::trained;

/// How a net is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct UnetArgs {
    /// Channels of every level, from the finest to the coarsest.
    pub channels: Vec<usize>,
    /// Steps of 64 samples.
    pub steps: u64,
    /// Seed of weights and batches.
    pub seed: u64,
}

/// The highest learning rate.
pub(super) const PEAK: f64 = 4e-3;

/// What a net must know of the fields with this spectrum.
///
/// # Panics
/// Unless the lattice has two dimensions.
pub fn scales(spectrum: &Spectrum) -> FieldScales {
    let lattice = spectrum.lattice();
    let extents = lattice.extents().try_into().expect("the net is for two dimensions");
    let (orbits, deviation) = (Orbits::new(&lattice), spectrum.local_variance().sqrt());
    let levels = learned_levels(spectrum);
    let width = |s: &f64| {
        let square = s * s;
        let unknown = spectrum.variances().iter().enumerate();
        let sum: f64 = unknown.map(|(k, g)| orbits.size(k) as f64 * g * square / (g + square)).sum();
        (sum / lattice.volume() as f64).sqrt() / deviation
    };
    let noise = levels.iter().map(|s| s / deviation).collect();
    FieldScales { extents, deviation, noise, width: levels.iter().map(width).collect() }
}

/// Trains a net on top of `base`, whose time is the noise, on an ensemble, or goes on from the checkpoint of a run that was
/// stopped, and makes a score of it.
///
/// # Errors
/// Of the ensemble, of a checkpoint that is damaged or of another run, or of a run that diverges.
pub fn learn<B: ScoreModel + Sync>(
    spectrum: &Spectrum,
    base: B,
    fields: &Array2<f64>,
    target: &dyn FieldTarget,
    args: &UnetArgs,
    checkpoint: Option<&Path>,
) -> Result<LatticeScore<B, Edm>, Failure> {
    let scales = scales(spectrum);
    let batches = FieldBatchesConfig { seed: args.seed, ..FieldBatchesConfig::default() };
    let source = FieldBatches::new(fields, &base, scales.clone(), batches)?.with_target(target);
    let architecture = OddUnetConfig { channels: args.channels.clone(), ..OddUnetConfig::new(scales) };
    let fresh = || Ok(OddUnet::new(architecture, &mut Pcg64::seed_from_u64(args.seed))?);
    let net = trained(source, fresh, settings(args.steps, PEAK), checkpoint)?;
    Ok(LatticeScore::new(base, &net, schedule(spectrum)?))
}

/// A target of low variance from the force `F = -dS/dphi`, mode by mode
///
/// ```text
/// T = phi + c(s) W ( x + s^2 F(phi) - phi ) ,      W = G / (G + s^2) ,
/// ```
///
/// see [`FieldTarget`]. In equilibrium any `c` and `G` will do. Where there are domain walls, the field has come to equilibrium
/// about its minima, but not as a whole: then the force is a score only for what little noise hides, and `c` fades.
#[derive(Debug)]
pub struct MixedTarget<'a> {
    action: &'a Phi4,
    transform: FieldTransform,
    /// `G(p)` by stored mode.
    g: Vec<f64>,
    /// The noise at which `c` is one half.
    fading: f64,
}

impl<'a> MixedTarget<'a> {
    /// For an ensemble in equilibrium: `G` is its propagator and `c = 1`.
    pub fn equilibrium(spectrum: &Spectrum, action: &'a Phi4) -> Self {
        let orbits = Orbits::new(action.lattice());
        let of_mode = |n: &[usize]| spectrum.variances()[orbits.orbit_of(n)];
        Self::new(action, of_mode, f64::INFINITY)
    }

    /// For an ensemble of domains: `G` is the propagator about the minima `+-v` of the potential,
    ///
    /// ```text
    /// v^2 = ( 2 d kappa - 1 + 2 lambda ) / ( 2 lambda ) ,    1/G = 2 (1 - 2 lambda) + 12 lambda v^2 - 4 kappa sum_nu cos p_nu ,
    /// ```
    ///
    /// and `c = 1 / (1 + (s/fading)^4)`.
    ///
    /// # Panics
    /// If the potential has no two minima.
    pub fn domains(action: &'a Phi4, fading: f64) -> Self {
        let (extents, kappa, lambda) = (action.lattice().extents(), action.hopping(), action.lambda());
        let square = (2.0 * extents.len() as f64 * kappa - 1.0 + 2.0 * lambda) / (2.0 * lambda);
        assert!(square > 0.0, "the potential has one minimum");
        let of_mode = |n: &[usize]| {
            let cosine = |(n, extent): (&usize, &usize)| (TAU * *n as f64 / *extent as f64).cos();
            let cosines: f64 = n.iter().zip(extents).map(cosine).sum();
            (2.0 * (1.0 - 2.0 * lambda) + 12.0 * lambda * square - 4.0 * kappa * cosines).recip()
        };
        Self::new(action, of_mode, fading)
    }

    fn new(action: &'a Phi4, of_mode: impl Fn(&[usize]) -> f64, fading: f64) -> Self {
        let transform = FieldTransform::new(action.lattice());
        let g = (0..transform.modes().len()).map(|mode| of_mode(&transform.coordinates(mode))).collect();
        Self { action, transform, g, fading }
    }
}

impl FieldTarget for MixedTarget<'_> {
    fn write(&self, phi: &[f64], x: &[f64], noise: f64, out: &mut [f64]) {
        let (shape, square) = ((1, phi.len()), noise * noise);
        let fields = ArrayView2::from_shape(shape, phi).expect("one row");
        self.action.force(fields, ArrayViewMut2::from_shape(shape, &mut *out).expect("one row"));
        for ((out, x), phi) in out.iter_mut().zip(x).zip(phi) {
            *out = square.mul_add(*out, x - phi);
        }
        let fade = (1.0 + (noise / self.fading).powi(4)).recip();
        let (mut modes, mut scratch) = (self.transform.modes(), self.transform.scratch());
        self.transform.forward(out, &mut modes, &mut scratch);
        modes.iter_mut().zip(&self.g).for_each(|(mode, g)| *mode *= fade * g / (g + square));
        self.transform.inverse(&mut modes, out, &mut scratch);
        out.iter_mut().zip(phi).for_each(|(out, phi)| *out += phi);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_phi4::{Lattice, SpectralScore};
    use score_nets::Denoising;
    use sde_core::{Noise, NormalSource, VarianceExpanding};

    /// A free field and a noised one.
    fn free(noise: f64) -> (Phi4, Spectrum, Vec<f64>, Vec<f64>) {
        let lattice = Lattice::new(&[8, 12]).unwrap();
        let (action, spectrum) =
            (Phi4::new(lattice.clone(), 0.2, 0.0).unwrap(), Spectrum::free(&lattice, 0.2).unwrap());
        let phi = spectrum
            .draw(&VarianceExpanding::new(10.0).unwrap(), 0.0, 1, &Noise::new(1, 0))
            .into_raw_vec_and_offset()
            .0;
        let mut x = vec![0.0; phi.len()];
        Noise::new(2, 0).block(0, 0).fill(0, &mut x);
        x.iter_mut().zip(&phi).for_each(|(x, phi)| *x = noise * *x + phi);
        (action, spectrum, phi, x)
    }

    #[test]
    fn for_a_gaussian_the_mixture_is_the_conditional_mean() {
        for noise in [0.1, 1.0, 7.0] {
            let (action, spectrum, phi, x) = free(noise);
            let (mut found, mut exact) = (vec![0.0; x.len()], vec![0.0; x.len()]);
            MixedTarget::equilibrium(&spectrum, &action).write(&phi, &x, noise, &mut found);
            // W x, by the score of the Gaussian
            let shape = (1, x.len());
            let score = SpectralScore::new(&spectrum, Edm::new(10.0).unwrap());
            let rows = ArrayView2::from_shape(shape, &x).unwrap();
            let out = ArrayViewMut2::from_shape(shape, &mut exact).unwrap();
            sde_core::ScoreModel::score(&score, rows, noise, out).unwrap();
            for ((found, score), x) in found.iter().zip(&exact).zip(&x) {
                assert!((found - (x + noise * noise * score)).abs() < 1e-11, "{noise}");
            }
            Denoising.write(&phi, &x, noise, &mut found);
            assert_eq!(found, phi);
        }
    }

    #[test]
    fn in_a_domain_the_mixture_is_the_mean_about_its_minimum() {
        // At the minimum itself without noise on phi: the force vanishes, and T = v + W (x - v).
        let lattice = Lattice::new(&[8, 8]).unwrap();
        let action = Phi4::new(lattice, 0.4, 0.022).unwrap();
        let v = ((1.6f64 - 1.0 + 0.044) / 0.044).sqrt();
        let phi = vec![v; 64];
        // x - v is a constant: the zero mode alone, with 1/G the curvature of the potential there.
        let (noise, x) = (0.5, vec![v + 0.3; 64]);
        let curvature = 2.0 * (1.0 - 0.044) + 12.0 * 0.022 * v * v - 3.2;
        let weight = 1.0 / (1.0 + noise * noise * curvature);
        let mut found = vec![0.0; 64];
        for (fading, c) in [(f64::INFINITY, 1.0), (0.5, 0.5)] {
            MixedTarget::domains(&action, fading).write(&phi, &x, noise, &mut found);
            assert!(found.iter().all(|t| (t - v - c * weight * 0.3).abs() < 1e-12), "{fading}");
        }
    }

    #[test]
    fn scales_are_those_of_the_spectrum() {
        let spectrum = Spectrum::free(&Lattice::new(&[8, 8]).unwrap(), 0.2).unwrap();
        let scales = scales(&spectrum);
        scales.validate().unwrap();
        // Little noise leaves its own size unknown, much noise nearly all there was to know.
        let (low, high) = scales.range();
        assert!((scales.width_at(low) / low - 1.0).abs() < 0.01);
        assert!((0.8..1.0).contains(&scales.width_at(high)));
    }
}
