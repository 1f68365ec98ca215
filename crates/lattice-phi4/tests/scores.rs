//! Scores of lattice fields against closed forms.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{
    Chains, Feature, FitConfig, FitError, Hmc, Lattice, Leap, PerturbativeModel, PerturbativeScore, Phi4,
    SpectralScore, Spectrum, SpectrumError, WhitenedFlow, Wolff,
};
use ndarray::{Array1, Array2, Axis};
use sde_core::{
    Drift, Edm, Heun, Noise, NormalSource, ScoreModel, Target, TimeGrid, VariancePreserving, integrate,
};
use std::sync::Arc;

fn noise(rows: usize, sites: usize, seed: u64) -> Array2<f64> {
    let mut x = Array2::zeros((rows, sites));
    Noise::new(seed, 0).block(0, 0).fill(0, x.as_slice_mut().unwrap());
    x
}

fn ensemble(action: &Phi4, chains: usize) -> Array2<f64> {
    let mut chains = Chains::hot(action, chains, 1.0, testing::seed(2));
    chains.run(action, &[&Hmc::new(1.0, 4, Leap::Omelyan).unwrap(), &Wolff { clusters: 2 }], 60);
    chains.fields
}

/// The score of the free field is its force, at `t = 0`.
#[test]
fn the_spectral_score_of_the_free_field_is_the_force() {
    for extents in [&[6][..], &[4, 5], &[3, 4, 2]] {
        let lattice = Lattice::new(extents).unwrap();
        let action = Phi4::new(lattice.clone(), 0.12, 0.0).unwrap();
        let x = noise(3, lattice.volume(), 1);
        let (mut force, mut score) = (Array2::zeros(x.dim()), Array2::zeros(x.dim()));
        action.force(x.view(), force.view_mut());
        let free = Spectrum::free(&lattice, 0.12).unwrap();
        SpectralScore::new(&free, Edm::new(10.0).unwrap()).score(x.view(), 0.0, score.view_mut()).unwrap();
        for (score, force) in score.iter().zip(&force) {
            assert!((score - force).abs() < 1e-13, "{extents:?}: {score} {force}");
        }
    }
}

/// A field of independent sites has the score of one site everywhere; with a mean, about it.
#[test]
fn a_flat_spectrum_is_local() {
    let lattice = Lattice::new(&[4, 3]).unwrap();
    let orbits = lattice_phi4::Orbits::new(&lattice).len();
    let spectrum = Spectrum::new(&lattice, 0.7, vec![2.0; orbits]).unwrap();
    let schedule = VariancePreserving::new(10.0).unwrap();
    let kernel = sde_core::NoiseSchedule::transition(&schedule, 0.0, 0.3);
    let x = noise(2, 12, 3);
    let mut score = Array2::zeros(x.dim());
    SpectralScore::new(&spectrum, schedule).score(x.view(), 0.3, score.view_mut()).unwrap();
    let variance = 2.0 * kernel.mean_factor.powi(2) + kernel.variance;
    for (score, x) in score.iter().zip(&x) {
        let exact = -(x - 0.7 * kernel.mean_factor) / variance;
        assert!((score - exact).abs() < 1e-14);
    }
}

/// Without interaction there is nothing to find: coefficients and gain vanish within their fluctuation.
#[test]
fn a_gaussian_ensemble_has_no_corrections() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.15, 0.0).unwrap();
    let free = Spectrum::free(&lattice, 0.15).unwrap();
    // Exact samples: white noise coloured by sqrt(G).
    let mut x = noise(2000, 16, 4);
    let flow = WhitenedFlow::new(&free, SpectralScore::new(&free, Edm::new(10.0).unwrap()), 1e-6);
    flow.finish(x.view_mut()).unwrap();
    let config =
        FitConfig { features: Feature::SYMMETRIC.to_vec(), noise: vec![0.3, 1.0], ridge: 1e-9, seed: 1 };
    let model = PerturbativeModel::fit(free, x.view(), Some(&action), &config).unwrap();
    for level in model.levels() {
        // The force of the free field is linear: its target vanishes exactly.
        assert!(level.gain.abs() < 1e-20, "{level:?}");
    }
}

/// Of a Gaussian zero mode the marginal distribution is a linear feature: what is left of it is rounding and the end of its
/// support, on which there is nothing to regress. Constant fields of up to eight standard deviations keep the Gaussian
/// score.
#[test]
fn zero_modes_far_out_keep_a_sensible_score() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let free = Spectrum::free(&lattice, 0.15).unwrap();
    let schedule = Edm::new(10.0).unwrap();
    let x = free.draw(&schedule, 0.0, 4000, &Noise::new(4, 0));
    let noise = (0..12).map(|k| 0.1 * 1.4_f64.powi(k)).collect();
    let features = vec![Feature::Marginal];
    let config = FitConfig { features, noise, ridge: 1e-9, seed: 1 };
    let model = PerturbativeModel::fit(free.clone(), x.view(), None, &config).unwrap();
    let levels: Vec<f64> = model.levels().iter().map(|level| level.noise).collect();
    let score = PerturbativeScore::new(Arc::new(model), schedule);
    for s in levels {
        let variance = free.variances()[0] + s * s;
        for deviations in [1.0, 3.0, 5.0, 8.0] {
            let value = deviations * (variance / 16.0).sqrt();
            let mut found = Array2::zeros((1, 16));
            score.score(Array2::from_elem((1, 16), value).view(), s, found.view_mut()).unwrap();
            let ratio = -found[(0, 0)] * variance / value;
            assert!((ratio - 1.0).abs() < 1e-12, "s = {s}, {deviations} standard deviations: {ratio}");
        }
    }
}

/// Independent sites, `hopping = 0`: the score of the noised density of one site by quadrature, at the sites of fields that were
/// not fitted. What is missed, in the mean square and relative to the whole, was 1.3e-4 with a spread of 0.7e-4 over 40 seeds: like
/// chi^2 of six degrees of freedom, which exceeds the bound with probability 1e-7.
#[test]
fn one_site_by_quadrature() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.0, 0.1).unwrap();
    let fields = ensemble(&action, 4050);
    let (x, unseen) = fields.view().split_at(Axis(0), 4000);
    let spectrum = Spectrum::of_ensemble(&lattice, 0.0, x).unwrap();
    let s = 0.4;
    let features = vec![Feature::Power(3), Feature::Power(5), Feature::Power(7)];
    let config = FitConfig { features, noise: vec![s], ridge: 1e-12, seed: testing::seed(1) };
    let model = PerturbativeModel::fit(spectrum, x, Some(&action), &config).unwrap();
    assert!(model.levels()[0].gain > 0.0);
    let score = PerturbativeScore::new(Arc::new(model), Edm::new(10.0).unwrap());
    let noised = &unseen + &(noise(50, 16, testing::seed(3)) * s);
    let mut found = Array2::zeros(noised.dim());
    score.score(noised.view(), s, found.view_mut()).unwrap();
    // int (phi - y) p / (s^2 int p) with p = exp(-S(phi) - (y - phi)^2 / (2 s^2))
    let exact = noised.mapv(|y| {
        let (mut norm, mut mean) = (0.0, 0.0);
        for phi in (-400..=400).map(|i| f64::from(i) * 1e-2) {
            let density = (-(0.8 * phi * phi + 0.1 * phi.powi(4)) - (y - phi).powi(2) / (2.0 * s * s)).exp();
            norm += density;
            mean += (phi - y) * density;
        }
        mean / (norm * s * s)
    });
    let missed = (&found - &exact).mapv(|d| d * d).sum() / exact.mapv(|e| e * e).sum();
    assert!(missed < 1e-3, "{missed}");
}

/// Deep in the ordered phase: a fit is the projection on its features and a constant, so what it leaves of the score's zero mode is
/// orthogonal to what it found, on fields that were not fitted: `E[(-z / s - score)_0 (score - spectral score)_0] = 0`.
#[test]
fn about_a_mean_the_zero_mode_has_a_constant() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.3, 0.022).unwrap();
    let mut fields = ensemble(&action, 16_000);
    for mut field in fields.rows_mut() {
        let sign = field.sum().signum();
        field *= sign;
    }
    let (x, unseen) = fields.view().split_at(Axis(0), 8000);
    let (s, schedule) = (0.4, Edm::new(10.0).unwrap());
    let spectrum = Spectrum::of_ensemble(&lattice, x.mean().unwrap(), x).unwrap();
    let config =
        FitConfig { features: vec![Feature::Power(2)], noise: vec![s], ridge: 1e-12, seed: testing::seed(1) };
    let model = PerturbativeModel::fit(spectrum.clone(), x, Some(&action), &config).unwrap();

    let z = noise(unseen.nrows(), 16, testing::seed(3));
    let noised = &unseen + &(&z * s);
    let zero_mode = |score: &dyn ScoreModel| {
        let mut out = Array2::zeros(noised.dim());
        score.score(noised.view(), s, out.view_mut()).unwrap();
        out.sum_axis(Axis(1))
    };
    let score = zero_mode(&PerturbativeScore::new(Arc::new(model), schedule));
    let found = &score - &zero_mode(&SpectralScore::new(&spectrum, schedule));
    let left = -(z.sum_axis(Axis(1)) / s) - score;
    let deviations =
        |products: Array1<f64>| products.mean().unwrap() * (products.len() as f64).sqrt() / products.std(1.0);
    // The fit has errors, too, from as many fields: no larger than those of the mean.
    let test = testing::Comparisons::of(2);
    for deviations in [deviations(left.clone()), deviations(&left * &found)] {
        assert!(test.normal(deviations / std::f64::consts::SQRT_2), "{deviations}");
    }
    // The same of the spectral score alone is ten standard errors from zero, in six runs 9.5 to 12.3.
    assert!(deviations(&left * &found + &found * &found) > 4.0);
}

/// Odd, and equivariant under translations and reflections.
#[test]
fn symmetries_are_exact() {
    let lattice = Lattice::new(&[4, 6]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.2, 0.05).unwrap();
    let x = ensemble(&action, 400);
    let spectrum = Spectrum::of_ensemble(&lattice, 0.0, x.view()).unwrap();
    let config =
        FitConfig { features: Feature::SYMMETRIC.to_vec(), noise: vec![0.2, 0.8], ridge: 1e-9, seed: 1 };
    let model = PerturbativeModel::fit(spectrum, x.view(), None, &config).unwrap();
    let score = PerturbativeScore::new(Arc::new(model), Edm::new(10.0).unwrap());
    let of = |x: &Array2<f64>| {
        let mut out = Array2::zeros(x.dim());
        score.score(x.view(), 0.4, out.view_mut()).unwrap();
        out
    };
    let x = noise(1, 24, 9);
    let plain = of(&x);
    let moved = |x: &Array2<f64>, map: &dyn Fn(usize, usize) -> (usize, usize)| {
        Array2::from_shape_fn((1, 24), |(_, site)| {
            let (i, j) = map(site / 6, site % 6);
            x[(0, 6 * i + j)]
        })
    };
    let translated = |i: usize, j: usize| ((i + 1) % 4, (j + 4) % 6);
    let reflected = |i: usize, j: usize| (i, (6 - j) % 6);
    for map in [&translated as &dyn Fn(usize, usize) -> (usize, usize), &reflected] {
        let (a, b) = (of(&moved(&x, map)), moved(&plain, map));
        assert!((a - b).iter().all(|d| d.abs() < 1e-12));
    }
    assert!((of(&-&x) + plain).iter().all(|d| d.abs() < 1e-13));
}

/// In whitened variables a Gaussian stands still, and comes out with its own propagator.
#[test]
fn the_whitened_flow_of_a_gaussian_stands_still() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let free = Spectrum::free(&lattice, 0.2).unwrap();
    let flow = WhitenedFlow::new(&free, SpectralScore::new(&free, Edm::new(20.0).unwrap()), 0.05);
    let start = noise(3, 16, 5);
    let mut slope = Array2::zeros(start.dim());
    flow.drift(start.view(), 2.0, slope.view_mut()).unwrap();
    assert!(slope.iter().all(|d| d.abs() < 1e-12));

    let mut u = start.clone();
    let grid = TimeGrid::explicit(&[5.0, 2.0, 0.0]).unwrap();
    integrate(&flow, &mut Heun::default(), &grid, u.view_mut(), 0, &Noise::new(0, 0), &mut ()).unwrap();
    flow.finish(u.view_mut()).unwrap();
    // sum over p of |phi(p)|^2 / G(p) is that of the white noise
    let mut score = Array2::zeros(u.dim());
    SpectralScore::new(&free, Edm::new(20.0).unwrap()).score(u.view(), 0.0, score.view_mut()).unwrap();
    let found = -(&u * &score).sum_axis(Axis(1));
    let exact = (&start * &start).sum_axis(Axis(1));
    assert!((found - exact).iter().all(|d| d.abs() < 1e-11));
}

/// Whitened by one Gaussian, about a mean, the flow of another is still its own, `x_p(s) = x_p(s_0) sqrt((G + s^2) / (G + s_0^2))`; the
/// error of Heun's rule falls with the square of the step.
#[test]
fn the_whitened_flow_of_another_gaussian_is_exact() {
    let lattice = Lattice::new(&[4, 6]).unwrap();
    let target = Spectrum::free(&lattice, 0.2).unwrap();
    let orbits = lattice_phi4::Orbits::new(&lattice).len();
    let other = Spectrum::new(&lattice, 0.7, vec![0.5; orbits]).unwrap();
    let score = SpectralScore::new(&target, Edm::new(20.0).unwrap());
    let (floor, top) = (0.1, 30_f64.ln());
    let [of_target, flow] = [&target, &other].map(|by| WhitenedFlow::new(by, score.clone(), floor));
    let x = noise(3, 24, 5);
    // The ratio of widths is a whitening and its opposite.
    let exact = of_target.fields(of_target.whitened(x.view(), top).view(), 0.0);
    let errors = [50, 100].map(|steps| {
        let mut u = flow.whitened(x.view(), top);
        let grid = TimeGrid::uniform(top, 0.0, steps).unwrap();
        integrate(&flow, &mut Heun::default(), &grid, u.view_mut(), 0, &Noise::new(0, 0), &mut ()).unwrap();
        (flow.fields(u.view(), 0.0) - &exact).iter().fold(0.0, |largest, d| d.abs().max(largest))
    });
    assert!(errors[1] < 1e-3, "{errors:?}");
    assert!((errors[0] / errors[1] - 4.0).abs() < 0.4, "{errors:?}");
}

#[test]
fn bad_fits_are_refused() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let free = Spectrum::free(&lattice, 0.1).unwrap();
    let fit = |x: &Array2<f64>, noise: Vec<f64>| {
        let config = FitConfig { features: vec![Feature::Power(3)], noise, ridge: 1e-9, seed: 1 };
        PerturbativeModel::fit(free.clone(), x.view(), None, &config).unwrap_err()
    };
    let x = noise(10, 16, 1);
    assert_eq!(fit(&x, vec![1.0, 0.5]), FitError::Noise { place: 1, value: 0.5 });
    assert_eq!(
        fit(&noise(10, 12, 1), vec![1.0]),
        FitError::Spectrum(SpectrumError::Sites { expected: 16, found: 12 })
    );
    let mut broken = x.clone();
    broken[(3, 7)] = f64::NAN;
    assert_eq!(fit(&broken, vec![1.0]), FitError::NotFinite { row: 3 });
    assert_eq!(
        Spectrum::of_ensemble(&lattice, 0.0, Array2::zeros((4, 16)).view()),
        Err(SpectrumError::NotPositive { momentum: vec![0, 0], value: 0.0 })
    );
}

/// `G(0) = V E (m - M)^2`, whatever `M`.
#[test]
fn the_zero_mode_moves_about_the_mean() {
    let lattice = Lattice::new(&[4, 6]).unwrap();
    let fields = noise(5, 24, 1);
    for mean in [0.7, -0.2] {
        let spectrum = Spectrum::of_ensemble(&lattice, mean, fields.view()).unwrap();
        let magnetisation = fields.mean_axis(Axis(1)).unwrap();
        let exact = 24.0 * magnetisation.mapv(|m| (m - mean).powi(2)).mean().unwrap();
        assert!((spectrum.variances()[0] - exact).abs() < 1e-13 * exact);
    }
}

/// What lies between two models has the levels of the one that reaches further, on whichever side it is.
#[test]
fn models_in_between_reach_as_far_as_either() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let fit = |hopping, noise: Vec<f64>| {
        let fields = ensemble(&Phi4::new(lattice.clone(), hopping, 0.022).unwrap(), 100);
        let spectrum = Spectrum::of_ensemble(&lattice, 0.0, fields.view()).unwrap();
        let config = FitConfig { features: vec![Feature::Power(3)], noise, ridge: 1e-9, seed: 1 };
        PerturbativeModel::fit(spectrum, fields.view(), None, &config).unwrap()
    };
    let (short, long) = (vec![0.3, 0.6], vec![0.2, 0.8, 1.6]);
    for [below, above] in [[&short, &long], [&long, &short]] {
        let [a, b] = [fit(0.15, below.clone()), fit(0.2, above.clone())];
        let between = PerturbativeModel::interpolated(&[(0.15, &a), (0.2, &b)], 0.18).unwrap();
        let levels: Vec<f64> = between.levels().iter().map(|level| level.noise).collect();
        assert_eq!(levels, long);
    }
}

/// One feature has three unknowns at zero momentum: its coefficient, the linear part and the mean.
#[test]
fn a_fit_needs_more_configurations_than_unknowns() {
    let free = Spectrum::free(&Lattice::new(&[4, 4]).unwrap(), 0.1).unwrap();
    let config = FitConfig { features: vec![Feature::Power(3)], noise: vec![1.0], ridge: 1e-9, seed: 1 };
    let fit = |rows: usize| PerturbativeModel::fit(free.clone(), noise(rows, 16, 1).view(), None, &config);
    assert_eq!(fit(3).unwrap_err(), FitError::TooFew { found: 3, needed: 4 });
    let model = fit(4).unwrap();
    assert!(model.levels()[0].coefficients[0].is_finite());
    assert_eq!(fit(0).unwrap_err(), FitError::Spectrum(SpectrumError::Empty));
}

/// The same feature twice has no unique coefficients: a ridge shares them out, and the condition number is `2 / ridge`, since the
/// eigenvalues of the scaled matrix are `2 + ridge` and `ridge`; without a ridge there is no fit.
#[test]
fn features_that_depend_on_each_other_need_a_ridge() {
    let free = Spectrum::free(&Lattice::new(&[4, 4]).unwrap(), 0.1).unwrap();
    let x = noise(200, 16, 1);
    let fit = |ridge: f64| {
        let features = vec![Feature::Power(3); 2];
        let config = FitConfig { features, noise: vec![1.0], ridge, seed: 1 };
        PerturbativeModel::fit(free.clone(), x.view(), None, &config)
    };
    let level = fit(1e-6).unwrap().levels()[0].clone();
    assert!((level.condition * 1e-6 - 2.0).abs() < 1e-3, "{}", level.condition);
    assert!((level.coefficients[0] / level.coefficients[1] - 1.0).abs() < 1e-6);
    assert!(matches!(fit(0.0).unwrap_err(), FitError::Dependent { noise: 1.0, .. }));
}

/// Sums are taken over 64 configurations at a time, the last ones of which may be fewer and odd: a change of any one of them changes the fit.
#[test]
fn every_configuration_counts() {
    let action = Phi4::new(Lattice::new(&[4, 4]).unwrap(), 0.2, 0.022).unwrap();
    let fields = ensemble(&action, 199);
    let spectrum = Spectrum::of_ensemble(action.lattice(), 0.0, fields.view()).unwrap();
    let config = FitConfig { features: vec![Feature::Power(3)], noise: vec![0.5], ridge: 1e-9, seed: 1 };
    let fit = |fields: &Array2<f64>| {
        let model = PerturbativeModel::fit(spectrum.clone(), fields.view(), Some(&action), &config).unwrap();
        model.levels().to_vec()
    };
    let whole = fit(&fields);
    assert_eq!(whole, fit(&fields));
    for row in [0, 1, 63, 64, 65, 127, 128, 129, 197, 198] {
        let mut changed = fields.clone();
        changed.row_mut(row).mapv_inplace(|x| 1.5 * x);
        assert_ne!(whole, fit(&changed), "{row}");
    }
}
