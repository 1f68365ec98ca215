//! Path weights where the partition function is known: strips by transfer matrix, and two peaks.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::WeightedMoments;
use diffusion::LogWeights;
use lattice_phi4::ndarray::{ArrayViewMut1, Axis};
use lattice_phi4::{
    Chains, Feature, FieldPrior, FitConfig, Hmc, Lattice, Leap, Measurements, Observable, PathSampler,
    PerturbativeModel, PerturbativeScore, Phi4, SpectralScore, Spectrum, Update, Wolff,
};
use sde_core::ndarray::Array2;
use sde_core::{
    Batch, BatchMut, Cosine, Edm, EvalError, Noise, NoiseSchedule, NormalSource, Reverse, ScoreModel, Target,
    TimeGrid, TwoPeak, VarianceExpanding, VariancePreserving,
};
use std::sync::Arc;
use testing::{Comparisons, accepted, seed};

const LAMBDA: f64 = 0.022;

fn ensemble(action: &Phi4, chains: usize) -> Array2<f64> {
    let mut chains = Chains::hot(action, chains, 1.0, seed(2));
    chains.run(action, &[&Hmc::new(1.0, 4, Leap::Omelyan).unwrap(), &Wolff { clusters: 2 }], 60);
    chains.fields
}

/// A score about zero, fitted at so many steps of equal ratio up to 2.5 deviations of the zero mode.
fn fitted(action: &Phi4, spectrum: &Spectrum, fields: Batch<'_>, steps: u32) -> PerturbativeScore<Edm> {
    let top = 2.5 * spectrum.variances()[0].sqrt();
    let model = fitted_model(action, spectrum, fields, steps);
    PerturbativeScore::new(Arc::new(model), Edm::new(top).unwrap())
}

fn fitted_model(action: &Phi4, spectrum: &Spectrum, fields: Batch<'_>, steps: u32) -> PerturbativeModel {
    let top = 2.5 * spectrum.variances()[0].sqrt();
    let noise = (0..=steps).map(|k| 0.05 * (top / 0.05).powf(f64::from(k) / f64::from(steps))).collect();
    let config = FitConfig { features: Feature::SYMMETRIC.to_vec(), noise, ridge: 1e-9, seed: seed(1) };
    PerturbativeModel::fit(spectrum.clone(), fields, Some(action), &config).unwrap()
}

/// From `top` down to `low` in equal steps of the logarithm, then to zero.
fn levels(low: f64, top: f64, steps: usize) -> TimeGrid {
    let level = |k: usize| low * (top / low).powf(k as f64 / steps as f64);
    let times: Vec<f64> = (0..=steps).rev().map(level).chain([0.0]).collect();
    TimeGrid::explicit(&times).unwrap()
}

/// Compares `ln Z` and the susceptibility `V <m^2>`, and checks that the former has this error at most, unless the weights are refused.
fn check<M: ScoreModel + Sync>(
    test: &Comparisons,
    action: &Phi4,
    sampler: &PathSampler<'_, Edm, M>,
    (ln_z, susceptibility, error): (f64, f64, f64),
) {
    let generated = sampler.run(action, 30_000, seed(5)).unwrap();
    let weights = LogWeights::new(generated.log_weights).unwrap();
    if !accepted(weights.tail().check()) {
        return;
    }
    let found = weights.ln_mean();
    assert!(test.normal(found.pull(ln_z)) && found.error < error, "ln Z = {found}, exact {ln_z}");
    let volume = action.sites() as f64;
    let squares = generated.fields.mean_axis(Axis(1)).unwrap().mapv(|m| volume * m * m).to_vec();
    let found = weights.estimate(&squares, WeightedMoments::<1>::mean).unwrap();
    assert!(test.student(found.pull(susceptibility), 255.0), "V <m^2> = {found}, exact {susceptibility}");
}

/// The Gaussian score alone is far from right near criticality; its weights know.
#[test]
fn strips_with_the_gaussian_score() {
    let test = Comparisons::of(4);
    for (extents, hopping, exact) in [
        ([4, 2], 0.21, (5.348_303_44, 2.432_090_80, 0.002)),
        ([4, 2], 0.27, (6.719_586_69, 12.224_371_3, 0.01)),
    ] {
        let lattice = Lattice::new(&extents).unwrap();
        let action = Phi4::new(lattice.clone(), hopping, LAMBDA).unwrap();
        let spectrum = Spectrum::of_ensemble(&lattice, 0.0, ensemble(&action, 4000).view()).unwrap();
        let top = 2.5 * spectrum.variances()[0].sqrt();
        let schedule = Edm::new(top).unwrap();
        let process = Reverse { schedule, score: SpectralScore::new(&spectrum, schedule) };
        let grid = levels(0.05, top, 30);
        let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Matched, process, grid };
        check(&test, &action, &sampler, exact);
    }
}

#[test]
fn strips_with_a_perturbative_score() {
    let test = Comparisons::of(4);
    for (extents, hopping, exact) in [
        ([4, 2], 0.21, (5.348_303_44, 2.432_090_80, 0.001)),
        ([16, 2], 0.27, (25.736_590_0, 19.120_856_6, 0.005)),
    ] {
        let lattice = Lattice::new(&extents).unwrap();
        let action = Phi4::new(lattice.clone(), hopping, LAMBDA).unwrap();
        let fields = ensemble(&action, 4000);
        let spectrum = Spectrum::of_ensemble(&lattice, 0.0, fields.view()).unwrap();
        let top = 2.5 * spectrum.variances()[0].sqrt();
        let score = fitted(&action, &spectrum, fields.view(), 40);
        let process = Reverse { schedule: Edm::new(top).unwrap(), score };
        let grid = levels(0.05, top, 40);
        let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Matched, process, grid };
        check(&test, &action, &sampler, exact);
    }
}

/// Paths above fields of the target have `E[1/w] = 1/Z`: fields of chains that were thermalised.
#[test]
fn paths_upwards_have_the_inverse_weights() {
    let test = Comparisons::of(2);
    for (hopping, ln_z) in [(0.21, 5.348_303_44), (0.27, 6.719_586_69)] {
        let lattice = Lattice::new(&[4, 2]).unwrap();
        let action = Phi4::new(lattice.clone(), hopping, LAMBDA).unwrap();
        let fields = ensemble(&action, 20_000);
        let spectrum = Spectrum::of_ensemble(&lattice, 0.0, fields.view()).unwrap();
        let top = 2.5 * spectrum.variances()[0].sqrt();
        let score = fitted(&action, &spectrum, fields.view(), 40);
        let process = Reverse { schedule: Edm::new(top).unwrap(), score };
        let grid = levels(0.05, top, 30);
        let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Matched, process, grid };
        let inverse =
            sampler.retrace(&action, fields.view(), seed(3)).unwrap().iter().map(|log| -log).collect();
        let inverse = LogWeights::new(inverse).unwrap();
        if !accepted(inverse.tail().check()) {
            continue;
        }
        let found = inverse.ln_mean();
        assert!(test.normal(found.pull(-ln_z)) && found.error < 0.003, "{hopping}: {found}, {ln_z}");
    }
}

/// Fresh paths of a bad score, that of a free field of a third of the susceptibility, in four steps, with and without HMC between: `<phi^2>`
/// and `V <m^2>` with errors of the Gamma method.
#[test]
fn fresh_paths_leave_the_target_as_it_is() {
    let test = Comparisons::of(4);
    let lattice = Lattice::new(&[4, 2]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.27, LAMBDA).unwrap();
    let spectrum = Spectrum::free(&lattice, 0.22).unwrap();
    let top = 2.5 * spectrum.variances()[0].sqrt();
    let schedule = Edm::new(top).unwrap();
    let process = Reverse { schedule, score: SpectralScore::new(&spectrum, schedule) };
    let grid = levels(0.3, top, 3);
    let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Matched, process, grid };
    let hmc = Hmc::new(1.0, 4, Leap::Omelyan).unwrap();
    for updates in [&[][..], &[&hmc as &dyn Update][..]] {
        let mut chains = Chains::from_fields(ensemble(&action, 500), seed(4));
        let mut measured = Measurements::new(&lattice);
        let mut acceptance = 0.0;
        let rounds = 600;
        for _ in 0..rounds {
            if !updates.is_empty() {
                chains.run(&action, updates, 1);
            }
            acceptance += sampler.refresh(&action, &mut chains).unwrap() / f64::from(rounds);
            measured.extend(chains.fields.view());
        }
        assert!(acceptance < 0.6 && acceptance > 0.2, "{acceptance}");
        let history = measured.by_chain(500);
        for (observable, exact) in [(Observable::Phi2, 1.934_051_90), (Observable::VolumeM2, 12.224_371_3)] {
            let found = observable.estimate(&action, &history, rounds as usize).unwrap();
            let pull = found.estimate().pull(exact);
            assert!(test.student(pull, 499.0), "{observable:?}: {}({}), {pull}", found.value, found.error);
            assert!(found.error < 0.02 * exact, "{observable:?}: {}", found.error);
        }
    }
}

/// Scores that were fitted nowhere: between two hopping parameters, and on half of the strip. `ln Z` and the susceptibility. At a hopping
/// of 0.27, where the two signs begin to part, weights of such scores have infinite variance.
#[test]
fn strips_with_scores_from_elsewhere() {
    let test = Comparisons::of(4);
    let fitted = |extents: [usize; 2], hopping| {
        let lattice = Lattice::new(&extents).unwrap();
        let action = Phi4::new(lattice.clone(), hopping, LAMBDA).unwrap();
        let fields = ensemble(&action, 4000);
        let spectrum = Spectrum::of_ensemble(&lattice, 0.0, fields.view()).unwrap();
        fitted_model(&action, &spectrum, fields.view(), 40)
    };
    let (low, high) = (fitted([4, 2], 0.17), fitted([4, 2], 0.25));
    let between = PerturbativeModel::interpolated(&[(0.17, &low), (0.25, &high)], 0.21).unwrap();
    let long = Lattice::new(&[16, 2]).unwrap();
    let carried = fitted([8, 2], 0.21).on_lattice(&long).unwrap();
    for (extents, model, exact) in [
        ([4, 2], between, (5.348_303_44, 2.432_090_80, 0.003)),
        ([16, 2], carried, (21.300_932_1, 2.455_550_70, 0.004)),
    ] {
        let action = Phi4::new(Lattice::new(&extents).unwrap(), 0.21, LAMBDA).unwrap();
        let spectrum = model.spectrum().clone();
        let top = 2.5 * spectrum.variances()[0].sqrt();
        let schedule = Edm::new(top).unwrap();
        let process = Reverse { schedule, score: PerturbativeScore::new(Arc::new(model), schedule) };
        let grid = levels(0.05, top, 40);
        let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Matched, process, grid };
        check(&test, &action, &sampler, exact);
    }
}

/// A score of one sign, used for both, where the two are not quite apart: neither it nor the prior is right at small
/// magnetisation.
#[test]
fn a_strip_with_two_signs() {
    let test = Comparisons::of(2);
    let lattice = Lattice::new(&[4, 2]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.27, LAMBDA).unwrap();
    let mut fields = ensemble(&action, 4000);
    let mut mean = 0.0;
    for mut row in fields.outer_iter_mut() {
        let m = row.sum() / 8.0;
        row *= m.signum();
        mean += m.abs() / 4000.0;
    }
    let spectrum = Spectrum::of_ensemble(&lattice, mean, fields.view()).unwrap();
    let top = 2.5 * spectrum.variances()[0].sqrt();
    let noise = (0..=30).map(|k| 0.05 * (top / 0.05).powf(f64::from(k) / 30.0)).collect();
    let config = FitConfig { features: Feature::ORDERED.to_vec(), noise, ridge: 1e-9, seed: seed(1) };
    let model = PerturbativeModel::fit(spectrum.clone(), fields.view(), Some(&action), &config).unwrap();
    let schedule = Edm::new(top).unwrap();
    let process = Reverse { schedule, score: PerturbativeScore::new(Arc::new(model), schedule) };
    let grid = levels(0.05, top, 30);
    let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::TwoSigns, process, grid };
    check(&test, &action, &sampler, (6.719_586_69, 12.224_371_3, 0.02));
}

/// Two-peak models at the sites of a lattice, unnormalised: `ln Z = -V`.
struct Peaks {
    model: TwoPeak,
    sites: usize,
}

impl Target for Peaks {
    fn sites(&self) -> usize {
        self.sites
    }

    fn action(&self, x: Batch<'_>, out: ArrayViewMut1<'_, f64>) {
        let action = |x: f64| 1.0 - self.model.density(x).ln();
        x.map_axis(Axis(1), |x| x.iter().copied().map(action).sum::<f64>()).assign_to(out);
    }

    fn force(&self, _x: Batch<'_>, _out: BatchMut<'_>) {
        unreachable!("no weight needs a force")
    }
}

/// Any schedule has path weights: `ln Z` with an error below 0.015 with the exact score, and with one that is 10 per cent
/// too large.
#[test]
fn two_peaks_under_any_schedule() {
    let test = Comparisons::of(8);
    let model = TwoPeak::new(1.0, 0.25).unwrap();
    let lattice = Lattice::new(&[3]).unwrap();
    let spectrum = Spectrum::new(&lattice, 0.0, vec![model.cumulant(2); 2]).unwrap();
    let schedules: [(Box<dyn NoiseSchedule + Send + Sync>, f64); 4] = [
        (Box::new(Edm::new(20.0).unwrap()), 20.0),
        (Box::new(VarianceExpanding::new(10.0).unwrap()), 1.0),
        (Box::new(VariancePreserving::new(10.0).unwrap()), 0.7),
        (Box::new(Cosine::new(0.008, 0.999).unwrap()), 0.9),
    ];
    for (schedule, top) in &schedules {
        for wrong in [1.0, 1.1] {
            let exact = model.score(schedule);
            let score = sde_core::ScoreFn(|x: f64, t: f64| {
                let x = Array2::from_elem((1, 1), x);
                let mut s = Array2::zeros((1, 1));
                exact.score(x.view(), t, s.view_mut()).unwrap();
                wrong * s[(0, 0)]
            });
            let sampler = PathSampler {
                spectrum: &spectrum,
                prior: FieldPrior::Matched,
                process: Reverse { schedule, score },
                grid: TimeGrid::asinh(schedule, *top, 0.0, 0.25, 40).unwrap(),
            };
            let generated = sampler.run(&Peaks { model, sites: 3 }, 15_000, seed(3)).unwrap();
            let found = LogWeights::new(generated.log_weights).unwrap();
            if !accepted(found.tail().check()) {
                continue;
            }
            let found = found.ln_mean();
            assert!(test.normal(found.pull(-3.0)) && found.error < 0.015, "{found}");
        }
    }
}

/// A score whose part beyond the Gaussian one is multiplied by something random, another number in each of four bands of noise.
struct Spoilt<'a, M> {
    good: &'a M,
    gaussian: &'a SpectralScore<Edm>,
    factors: [f64; 4],
    range: [f64; 2],
}

impl<M: ScoreModel> ScoreModel for Spoilt<'_, M> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let [low, high] = self.range;
        let band = (4.0 * (t / low).ln() / (high / low).ln()).clamp(0.0, 3.0);
        let factor = self.factors[band as usize];
        let mut gaussian = Array2::zeros(x.dim());
        self.gaussian.score(x, t, gaussian.view_mut())?;
        self.good.score(x, t, out.view_mut())?;
        out.zip_mut_with(&gaussian, |out, gaussian| *out = factor.mul_add(*out - gaussian, *gaussian));
        Ok(())
    }
}

/// From scores whose corrections have the wrong sign to scores with thrice of them, and steps far too long: `ln Z`, `<phi^2>` and `V <m^2>`
/// are right within their errors, or refused by the tail of the weights. Fields that a bad score hardly ever makes are missing in the
/// errors as well: over 600 such scores the mean square of pulls was 1.5 at most, in any range of shapes of the tail. Pulls are
/// divided by its root; the largest of those 1800 was 4.6.
#[test]
fn a_hundred_bad_scores_give_right_answers_or_none() {
    let test = Comparisons::of(300);
    let lattice = Lattice::new(&[4, 2]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.27, LAMBDA).unwrap();
    let fields = ensemble(&action, 4000);
    let spectrum = Spectrum::of_ensemble(&lattice, 0.0, fields.view()).unwrap();
    let top = 2.5 * spectrum.variances()[0].sqrt();
    let schedule = Edm::new(top).unwrap();
    let good = fitted(&action, &spectrum, fields.view(), 30);
    let gaussian = SpectralScore::new(&spectrum, schedule);
    let mut normals = vec![0.0; 400];
    Noise::new(seed(3), 0).block(0, 0).fill(0, &mut normals);
    let (mut refused, mut efficiencies) = (0, Vec::<f64>::new());
    for (case, z) in normals.chunks(4).enumerate() {
        let factors = std::array::from_fn(|band| 0.5 + 1.5 * z[band]);
        let score = Spoilt { good: &good, gaussian: &gaussian, factors, range: [0.05, top] };
        let grid = levels(0.05, top, 4 + case % 17);
        let process = Reverse { schedule, score };
        let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Matched, process, grid };
        let Ok(generated) = sampler.run(&action, 4000, seed(case as u64)) else {
            refused += 1;
            continue;
        };
        let weights = LogWeights::new(generated.log_weights).unwrap();
        if weights.tail().check().is_err() {
            refused += 1;
            continue;
        }
        efficiencies.push(weights.efficiency());
        let m2 = generated.fields.mean_axis(Axis(1)).unwrap().mapv(|m| 8.0 * m * m).to_vec();
        let phi2 = generated.fields.mapv(|x| x * x).mean_axis(Axis(1)).unwrap().to_vec();
        let mean = |x: &[f64]| weights.estimate(x, WeightedMoments::<1>::mean).unwrap();
        let pulls = [
            weights.ln_mean().pull(6.719_586_69),
            mean(&phi2).pull(1.934_051_90),
            mean(&m2).pull(12.224_371_3),
        ];
        let right = pulls.iter().all(|pull| test.student(pull / 1.5_f64.sqrt(), 255.0));
        assert!(right, "case {case}, factors {factors:?}: {pulls:?}, {:?}", weights.tail());
    }
    // They were bad, and of those that are refused nothing is claimed. Over 16 seeds the mean efficiency is 0.54 with a spread of 0.033,
    // and one score in five is below 0.3; one in nine is refused, which is six spreads below the bound.
    let mean = efficiencies.iter().sum::<f64>() / efficiencies.len() as f64;
    assert!(mean < 0.72 && efficiencies.iter().any(|e| *e < 0.3), "{efficiencies:?}");
    assert!(refused < 32, "{refused}");
}
