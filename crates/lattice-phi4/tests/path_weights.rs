//! Priors, ancestral steps and the weights of their paths, against closed forms.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{
    Ancestral, FieldPrior, Lattice, Orbits, PathCosts, PathError, PathSampler, Phi4, SpectralScore, Spectrum,
};
use ndarray::{Array2, ArrayViewMut1, Axis, s};
use sde_core::{
    Batch, BatchMut, Edm, EvalError, Noise, NoiseSchedule, Reverse, ScoreModel, Target, TimeGrid, TwoPeak,
    VarianceExpanding, VariancePreserving, integrate,
};
use std::f64::consts::TAU;
use testing::{Comparisons, seed};

/// `ln Z = V/2 ln 2 pi - 1/2 ln det A` of the free action `x A x / 2`, from its force and Gaussian elimination.
fn free_ln_z(action: &Phi4) -> f64 {
    let sites = action.sites();
    let mut a = Array2::zeros((sites, sites));
    action.force(Array2::eye(sites).view(), a.view_mut());
    a *= -1.0;
    let mut ln_determinant = 0.0;
    for pivot in 0..sites {
        ln_determinant += f64::ln(a[(pivot, pivot)]);
        for row in pivot + 1..sites {
            let factor = a[(row, pivot)] / a[(pivot, pivot)];
            for column in pivot..sites {
                a[(row, column)] -= factor * a[(pivot, column)];
            }
        }
    }
    0.5 * (sites as f64 * std::f64::consts::TAU.ln() - ln_determinant)
}

/// Times that have nothing in particular.
fn grid(top: f64, steps: usize) -> TimeGrid {
    let times: Vec<f64> = (0..=steps).rev().map(|k| top * (k as f64 / steps as f64).powf(1.7)).collect();
    TimeGrid::explicit(&times).unwrap()
}

/// The ancestral step of a Gaussian field is exact, so every path weighs `Z`: in one, two and three dimensions, with one step
/// or many, with a drift or without.
#[test]
fn all_paths_of_a_free_field_weigh_the_same() {
    for extents in [&[7][..], &[4, 5], &[4, 2], &[3, 4, 2]] {
        let lattice = Lattice::new(extents).unwrap();
        let action = Phi4::new(lattice.clone(), 0.14, 0.0).unwrap();
        let spectrum = Spectrum::free(&lattice, 0.14).unwrap();
        let exact = free_ln_z(&action);
        let schedules: [(Box<dyn NoiseSchedule + Sync>, f64); 3] = [
            (Box::new(Edm::new(20.0).unwrap()), 20.0),
            (Box::new(VarianceExpanding::new(10.0).unwrap()), 1.0),
            (Box::new(VariancePreserving::new(5.0).unwrap()), 0.8),
        ];
        for (schedule, top) in &schedules {
            for steps in [1, 2, 9, 100] {
                let sampler = PathSampler {
                    spectrum: &spectrum,
                    prior: FieldPrior::Matched,
                    process: Reverse { schedule, score: SpectralScore::new(&spectrum, schedule) },
                    grid: grid(*top, steps),
                };
                let downwards = sampler.run(&action, 5, 1).unwrap().log_weights;
                // Upwards from any field at all.
                let fields =
                    Array2::from_shape_fn((5, lattice.volume()), |(row, x)| ((7 * row + x) as f64).sin());
                let upwards = sampler.retrace(&action, fields.view(), 2).unwrap();
                for log_weight in downwards.into_iter().chain(upwards) {
                    let error = log_weight - exact;
                    assert!(error.abs() < 1e-10, "{extents:?}, {steps} steps: {log_weight} {exact}");
                }
            }
        }
    }
}

/// A prior at no noise as a target, whose `Z` is one.
struct Normalised<'a> {
    prior: FieldPrior,
    spectrum: &'a Spectrum,
}

impl Target for Normalised<'_> {
    fn sites(&self) -> usize {
        self.spectrum.lattice().volume()
    }

    fn action(&self, x: Batch<'_>, mut out: ArrayViewMut1<'_, f64>) {
        let schedule = Edm::new(1.0).unwrap();
        out.assign(&-self.prior.log_density(self.spectrum, &schedule, 0.0, x));
    }

    fn force(&self, _x: Batch<'_>, _out: BatchMut<'_>) {
        unreachable!("no weight needs a force")
    }
}

/// A score of fields of positive magnetisation, used for both signs.
struct Folded<M>(M);

impl<M: ScoreModel> ScoreModel for Folded<M> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let signs = x.sum_axis(Axis(1)).mapv(f64::signum).insert_axis(Axis(1));
        self.0.score((&x * &signs).view(), t, out.view_mut())?;
        out *= &signs;
        Ok(())
    }
}

/// Two Gaussians far apart: the sign of a path never changes, and all weigh one.
#[test]
fn all_paths_of_two_signs_weigh_the_same() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let free = Spectrum::free(&lattice, 0.1).unwrap();
    let spectrum = Spectrum::new(&lattice, 20.0, free.variances().to_vec()).unwrap();
    let schedule = Edm::new(3.0).unwrap();
    let spectral = || SpectralScore::new(&spectrum, schedule);
    let weights = |prior, target| {
        let process = Reverse { schedule, score: Folded(spectral()) };
        let sampler = PathSampler { spectrum: &spectrum, prior, process, grid: grid(3.0, 6) };
        // Both signs are among them, but for a probability of 2^-39.
        sampler.run(&Normalised { prior: target, spectrum: &spectrum }, 40, seed(1)).unwrap()
    };
    let both = weights(FieldPrior::TwoSigns, FieldPrior::TwoSigns);
    assert!(both.log_weights.iter().all(|w| w.abs() < 1e-10), "{both:?}");
    let magnetisation = both.fields.mean_axis(Axis(1)).unwrap();
    assert!(magnetisation.iter().any(|m| *m > 15.0) && magnetisation.iter().any(|m| *m < -15.0));
    // One sign of a target of one sign; of a target of two signs, half.
    let one = weights(FieldPrior::Matched, FieldPrior::Matched);
    assert!(one.log_weights.iter().all(|w| w.abs() < 1e-10), "{one:?}");
    let half = weights(FieldPrior::Matched, FieldPrior::TwoSigns);
    assert!(half.log_weights.iter().all(|w| (w - 0.5_f64.ln()).abs() < 1e-10), "{half:?}");
}

/// Norm, second moment and nearest-neighbour correlation of all priors on two sites, by quadrature. Of smooth densities
/// that vanish at the ends the sum over a grid is exact.
#[test]
fn priors_are_normalised() {
    let test = Comparisons::of(12);
    let lattice = Lattice::new(&[2]).unwrap();
    let [even, odd] = [1.5, 0.4];
    let spectrum = Spectrum::new(&lattice, 0.6, vec![even, odd]).unwrap();
    let schedule = VariancePreserving::new(3.0).unwrap();
    let t = 0.4;
    let kernel = schedule.transition(0.0, t);
    let (nodes, spacing, rows) = (241, 0.1, 300_000);
    let node = |i: usize| spacing * (i as f64 - 120.0);
    let x = Array2::from_shape_fn((nodes * nodes, 2), |(row, site)| {
        node(if site == 0 { row / nodes } else { row % nodes })
    });
    let mean = kernel.mean_factor * 0.6;
    let [even, odd] = [even, odd].map(|g| kernel.variance_from(g));
    for prior in [FieldPrior::Noise, FieldPrior::Matched, FieldPrior::TwoSigns] {
        let density = prior.log_density(&spectrum, &schedule, t, x.view()).mapv(f64::exp);
        let integral = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            let terms = x.outer_iter().zip(&density).map(|(x, p)| f(x[0], x[1]) * p);
            terms.sum::<f64>() * spacing * spacing
        };
        let [first, second, neighbours] = match prior {
            FieldPrior::Noise => [0.0, kernel.variance, 0.0],
            FieldPrior::Matched => [mean, mean * mean + 0.5 * (even + odd), mean * mean + 0.5 * (even - odd)],
            FieldPrior::TwoSigns => [0.0, mean * mean + 0.5 * (even + odd), mean * mean + 0.5 * (even - odd)],
        };
        for (found, exact) in [
            (integral(&|_, _| 1.0), 1.0),
            (integral(&|a, _| a), first),
            (integral(&|a, _| a * a), second),
            (integral(&|a, b| a * b), neighbours),
        ] {
            assert!((found - exact).abs() < 1e-12, "{prior:?}: {found} {exact}");
        }
        // What is drawn has this law: four moments.
        let drawn = prior.draw(&spectrum, &schedule, t, rows, &Noise::new(seed(3), 0));
        let moments: [&dyn Fn(f64, f64) -> f64; 4] =
            [&|a, _| a, &|a, _| a * a, &|a, b| a * b, &|a, _| a.powi(4)];
        for f in moments {
            let found = drawn.outer_iter().map(|x| f(x[0], x[1])).sum::<f64>() / rows as f64;
            let variance = integral(&|a, b| f(a, b).powi(2)) - integral(f).powi(2);
            let pull = (found - integral(f)) / (variance / rows as f64).sqrt();
            assert!(test.normal(pull), "{prior:?}: {pull}");
        }
    }
}

/// The exact score of one free field, and steps with the variance of another: all there is to pay for are the steps. Costs in
/// closed form, `c(s) = s^4 sum_p [ 1/(G + s^2) - 1/(G' + s^2) ]^2`, and the divergence of paths as it was foretold.
#[test]
fn steps_cost_what_was_foretold() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let action = Phi4::new(lattice.clone(), 0.2, 0.0).unwrap();
    let [target, other] = [0.2, 0.0].map(|hopping| Spectrum::free(&lattice, hopping).unwrap());
    let orbits = Orbits::new(&lattice);
    let rate = |s: f64| {
        let modes = target.variances().iter().zip(other.variances()).enumerate();
        let square = |(k, (a, b)): (usize, (&f64, &f64))| {
            orbits.size(k) as f64 * ((a + s * s).recip() - (b + s * s).recip()).powi(2)
        };
        s * s * modes.map(square).sum::<f64>().sqrt()
    };
    // A by Simpson's rule in ln s.
    let (low, high, cells) = (0.05_f64, 60.0_f64, 400);
    let h = (high / low).ln() / f64::from(cells);
    let simpson = |i: i32| if i == 0 || i == cells { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
    let inner: f64 = (0..=cells).map(|i| simpson(i) * rate(low * (h * f64::from(i)).exp())).sum();
    let exact = inner * h / 3.0 + 0.5 * rate(low);

    let schedule = Edm::new(high).unwrap();
    let fields = FieldPrior::Matched.draw(&target, &schedule, 0.0, 20_000, &Noise::new(seed(1), 0));
    let noise: Vec<f64> = (0..=60).map(|i| low * (high / low).powf(f64::from(i) / 60.0)).collect();
    let score = SpectralScore::new(&target, schedule);
    let costs = PathCosts::measure(&other, &score, fields.view(), &noise, seed(1)).unwrap();
    let steps = 60;
    let found = costs.divergence(steps) / (exact * exact / steps as f64);
    // A trace of 16 modes by 20 000 vectors: at most one per cent at a level, and levels are independent, which leaves 0.1 per cent.
    assert!((found - 1.0).abs() < 0.01, "{found}");

    let divergence = |grid: TimeGrid| {
        let sampler = PathSampler {
            spectrum: &other,
            prior: FieldPrior::Matched,
            process: Reverse { schedule, score: SpectralScore::new(&target, schedule) },
            grid,
        };
        let weights = ndarray::Array1::from(sampler.run(&action, 200_000, seed(2)).unwrap().log_weights);
        (free_ln_z(&action) - weights.mean().unwrap(), weights.std(1.0) / 200_000_f64.sqrt())
    };
    let (found, error) = divergence(costs.grid(steps));
    let foretold = costs.divergence(steps);
    // Higher orders in the length of a step: a few times 1 / steps.
    let higher = 3.0 / steps as f64 * foretold;
    let excess = ((found - foretold).abs() - higher).max(0.0);
    assert!(Comparisons::of(1).normal(excess / error), "{found}({error}), {foretold}");
    assert!(error < 0.05 * foretold, "{error} of {foretold}");
    // Steps of equal ratio cost more.
    let ratio: Vec<f64> =
        (1..steps).rev().map(|i| low * (high / low).powf(i as f64 / (steps - 1) as f64)).collect();
    let even = [&[high][..], &ratio[1..], &[low, 0.0]].concat();
    let (of_equal_ratios, _) = divergence(TimeGrid::explicit(&even).unwrap());
    assert!(of_equal_ratios > 1.2 * found, "{of_equal_ratios}, {found}");
}

/// Independent sites of two peaks, whose score has another slope everywhere: `c(s) = s^4 V E (ds/dx + 1/(kappa_2 + s^2))^2` by
/// quadrature. Over 40 seeds `A` had a spread of 0.4 per cent.
#[test]
fn costs_are_those_of_noised_fields() {
    let lattice = Lattice::new(&[4, 4]).unwrap();
    let model = TwoPeak::new(1.0, 0.25).unwrap();
    let mut fields = Array2::zeros((4000, 16));
    model.fill(&Noise::new(seed(1), 0).block(0, 0), fields.as_slice_mut().unwrap());
    let noise = [0.1, 0.2, 0.4, 0.7, 1.0];
    let rates = noise.map(|s| {
        let (v, h) = (0.0625 + s * s, 0.01);
        let square = |x: f64| {
            let slope = ((x / v).cosh().powi(-2) / v - 1.0) / v;
            (slope + (1.0625 + s * s).recip()).powi(2)
        };
        let peak = |x: f64| (-(x - 1.0).powi(2) / (2.0 * v)).exp() / (TAU * v).sqrt();
        let mean: f64 = (-800..=800).map(|i| h * f64::from(i)).map(|x| h * peak(x) * square(x)).sum();
        s * s * (16.0 * mean).sqrt()
    });
    let pairs = noise.windows(2).zip(rates.windows(2));
    let exact: f64 = pairs.map(|(s, rates)| 0.5 * (rates[0] + rates[1]) * (s[1] / s[0]).ln()).sum();
    let exact = 0.5 * rates[0] + exact;
    let orbits = Orbits::new(&lattice).len();
    let spectrum = Spectrum::new(&lattice, 0.0, vec![1.0625; orbits]).unwrap();
    let score = model.score(Edm::new(1.0).unwrap());
    let costs = PathCosts::measure(&spectrum, &score, fields.view(), &noise, seed(2)).unwrap();
    let found = costs.divergence(1).sqrt();
    assert!((found / exact - 1.0).abs() < 0.025, "{found}, {exact}");
}

/// However rows are cut, in even numbers, and whatever the number of threads.
#[test]
fn blocks_do_not_matter() {
    let lattice = Lattice::new(&[6, 6]).unwrap();
    let spectrum = Spectrum::free(&lattice, 0.2).unwrap();
    let action = Phi4::new(lattice, 0.2, 0.05).unwrap();
    let schedule = Edm::new(4.0).unwrap();
    let process = Reverse { schedule, score: SpectralScore::new(&spectrum, schedule) };
    let sampler = PathSampler {
        spectrum: &spectrum,
        prior: FieldPrior::Matched,
        process: Reverse { schedule, score: &process.score },
        grid: grid(4.0, 5),
    };
    let rows = 4001;
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sampler.run(&action, rows, 7).unwrap())
    };
    let whole = run(2);
    assert_eq!(whole, run(1));
    let retrace = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sampler.retrace(&action, whole.fields.view(), 7).unwrap())
    };
    assert_eq!(retrace(2), retrace(1));

    let mut x = FieldPrior::Matched.draw(&spectrum, &schedule, 4.0, rows, &Noise::new(7, 0));
    let mut first = 0_usize;
    for block in [2, 16, 3982, 1] {
        let rows = x.slice_mut(s![first..first + block, ..]);
        let noise = Noise::new(7, 1);
        integrate(
            &process,
            &mut Ancestral::new(&spectrum),
            &sampler.grid,
            rows,
            36 * first as u64,
            &noise,
            &mut (),
        )
        .unwrap();
        first += block;
    }
    assert_eq!(whole.fields, x);

    for prior in [FieldPrior::Noise, FieldPrior::Matched, FieldPrior::TwoSigns] {
        let spectrum = Spectrum::new(&spectrum.lattice(), 0.7, spectrum.variances().to_vec()).unwrap();
        let sampler = PathSampler { prior, spectrum: &spectrum, ..sampler.clone() };
        let whole = sampler.run(&action, rows, 8).unwrap();
        for range in [0..1000, 1000..1002, 1002..rows] {
            let part = sampler.run_rows(&action, range.clone(), 8).unwrap();
            assert_eq!(part.log_weights, whole.log_weights[range.clone()], "{prior:?}");
            assert_eq!(part.fields, whole.fields.slice(s![range, ..]));
        }
    }
}

#[test]
fn what_cannot_be_weighed_is_refused() {
    let [lattice, other] = [[4, 4], [4, 2]].map(|extents| Lattice::new(&extents).unwrap());
    let spectrum = Spectrum::free(&lattice, 0.2).unwrap();
    let schedule = Edm::new(4.0).unwrap();
    let score = sde_core::ScoreFn(|x: f64, _| 1e200 * x.powi(3));
    let process = Reverse { schedule, score };
    let sampler = PathSampler { spectrum: &spectrum, prior: FieldPrior::Noise, process, grid: grid(4.0, 3) };
    let refused = |lattice: &Lattice| {
        sampler.run(&Phi4::new(lattice.clone(), 0.2, 0.05).unwrap(), 4, 1).unwrap_err().to_string()
    };
    assert_eq!(refused(&other), "target: configurations of 8 sites, the spectrum has 16");
    assert_eq!(refused(&lattice), "path 0: ln w = NaN is not finite");
    let retraced = |sites| {
        let action = Phi4::new(lattice.clone(), 0.2, 0.05).unwrap();
        sampler.retrace(&action, Array2::ones((4, sites)).view(), 1).unwrap_err().to_string()
    };
    assert_eq!(retraced(8), "fields: configurations of 8 sites, the spectrum has 16");
    assert_eq!(retraced(16), "path 0: ln w = inf is not finite");
    assert!(matches!(
        sampler.run(&Phi4::new(lattice, 0.2, 0.05).unwrap(), 4, 1),
        Err(PathError::NotFinite { row: 0, .. })
    ));
}
