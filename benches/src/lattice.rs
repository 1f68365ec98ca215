//! Lattices at the couplings of the peers, and a perturbative score on them.

use lattice_phi4::{
    Chains, Feature, FitConfig, Hmc, Lattice, Leap, Orbits, PerturbativeModel, PerturbativeScore, Phi4,
    Spectrum, Wolff,
};
use rayon::prelude::*;
use sde_core::ndarray::{Array2, Axis};
use sde_core::{Edm, Noise, NormalSource, ScoreModel};
use serde_json::{Value, json};
use std::sync::Arc;

/// Square lattices at hopping 0.27 and lambda 0.022, in equilibrium as far as that many sweeps go.
///
/// # Panics
/// If an extent is below 2.
pub fn chains(extent: usize, chains: usize, sweeps: u64) -> (Phi4, Chains) {
    let lattice = Lattice::new(&[extent, extent]).expect("the extents are valid");
    let action = Phi4::new(lattice, 0.27, 0.022).expect("the couplings are valid");
    let mut chains = Chains::hot(&action, chains, 1.0, 1);
    chains.run(&action, &[&Wolff { clusters: 5 }, &hmc(10)], sweeps);
    (action, chains)
}

/// Trajectories of unit length in leapfrog steps.
///
/// # Panics
/// Without steps.
pub fn hmc(steps: usize) -> Hmc {
    Hmc::new(1.0, steps, Leap::Leapfrog).expect("the parameters are valid")
}

/// Extent of the lattice, configurations, and those that a thread takes at a time.
const EXTENT: usize = 32;
const BATCH: usize = 1024;
const ROWS: usize = 16;
/// Configurations that peers can compare themselves on.
const COMPARED: usize = 4;
/// The noise on the field.
const NOISE: f64 = 0.5;
const FEATURES: [Feature; 5] =
    [Feature::Power(3), Feature::Power(5), Feature::Power(7), Feature::Bubble, Feature::Tree];

/// The perturbative score at one noise level, and configurations with that noise.
#[derive(Debug)]
pub struct Perturbative {
    model: Arc<PerturbativeModel>,
    score: PerturbativeScore<Edm>,
    /// `phi + s z`, shape `(configurations, sites)`.
    pub noised: Array2<f64>,
}

impl Perturbative {
    /// Simulates, fits and noises.
    ///
    /// # Panics
    /// Never: the parameters are valid.
    #[expect(clippy::new_without_default, reason = "it is seconds of work")]
    pub fn new() -> Self {
        let (action, chains) = chains(EXTENT, BATCH, 20);
        let fields = chains.fields;
        let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view()).expect("fields that move");
        let config = FitConfig { features: FEATURES.to_vec(), noise: vec![NOISE], ridge: 1e-9, seed: 1 };
        let model = PerturbativeModel::fit(spectrum, fields.view(), Some(&action), &config);
        let model = Arc::new(model.expect("independent features"));
        let score = PerturbativeScore::new(model.clone(), Edm::new(2.0 * NOISE).expect("it is positive"));
        let mut noised = Array2::zeros(fields.dim());
        Noise::new(2, 0).block(0, 0).fill(0, noised.as_slice_mut().expect("a new array is contiguous"));
        noised *= NOISE;
        noised += &fields;
        Self { model, score, noised }
    }

    /// Evaluates the score of all configurations.
    ///
    /// # Panics
    /// Unless `out` has the shape of [`noised`](Self::noised).
    pub fn score(&self, out: &mut Array2<f64>) {
        let blocks = out.axis_chunks_iter_mut(Axis(0), ROWS).zip(self.noised.axis_chunks_iter(Axis(0), ROWS));
        blocks.collect::<Vec<_>>().into_par_iter().for_each(|(out, x)| {
            self.score.score(x, NOISE, out).expect("the score cannot fail");
        });
    }

    /// All that defines the score, by momentum where it depends on that, with its values on a few configurations.
    pub fn reference(&self) -> Value {
        let (spectrum, level) = (self.model.spectrum(), &self.model.levels()[0]);
        let orbits = Orbits::new(&spectrum.lattice());
        let by_momentum = |of_orbit: &[f64]| -> Vec<f64> {
            (0..EXTENT * EXTENT).map(|n| of_orbit[orbits.orbit_of(&[n / EXTENT, n % EXTENT])]).collect()
        };
        let mut scores = Array2::zeros(self.noised.dim());
        self.score(&mut scores);
        let few =
            |all: &Array2<f64>| all.iter().take(COMPARED * EXTENT * EXTENT).copied().collect::<Vec<_>>();
        json!({
            "extent": EXTENT,
            "noise": NOISE,
            "variances": by_momentum(spectrum.variances()),
            "coefficients": level.coefficients,
            "zero_mode": level.zero_mode,
            "linear": by_momentum(&level.linear),
            "constant": level.constant,
            "bound": level.bound,
            "fields": few(&self.noised),
            "scores": few(&scores),
        })
    }
}
