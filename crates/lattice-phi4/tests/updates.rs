//! Updates against exact expectation values: transfer matrices of strips, the free field, quadrature.
//!
//! Errors are those of means over independent chains.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{
    Chains, DualAveraging, FourierHmc, Hmc, Lattice, Leap, Measurements, Metropolis, Observable,
    Overrelaxation, Phi4, Spectrum, SwendsenWang, Update, Wolff,
    ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, aview1},
};
use sde_core::{EulerMaruyama, Langevin, Noise, TimeGrid, integrate};
use statrs::function::erf::erfc;
use testing::{Comparisons, seed};

const CHAINS: usize = 128;

/// Means over each chain of `phi^2`, `phi^4` and `V m^2`, from `sweeps` measurements after a tenth of that.
fn simulate(action: &Phi4, schedule: &[&dyn Update], chains: usize, sweeps: u64) -> Array2<f64> {
    let mut chains = Chains::hot(action, chains, 1.0, seed(7));
    chains.run(action, schedule, sweeps / 10);
    let mut sums = Array2::zeros((chains.fields.nrows(), 3));
    for _ in 0..sweeps {
        chains.run(action, schedule, 1);
        for (mut sums, field) in sums.rows_mut().into_iter().zip(chains.fields.rows()) {
            let [m, m2, m4] = field.iter().fold([0.0; 3], |[a, b, c], &x| [a + x, b + x * x, c + x.powi(4)]);
            sums += &aview1(&[m2, m4, m * m]);
        }
    }
    sums / (sweeps * action.lattice().volume() as u64) as f64
}

/// Mean and error of independent numbers.
fn mean(x: ArrayView1<'_, f64>) -> (f64, f64) {
    let mean = x.mean().unwrap();
    (mean, x.std(1.0) / (x.len() as f64).sqrt())
}

/// No error may be above the part `precision` of the exact value.
fn compare(test: &Comparisons, name: &str, found: &Array2<f64>, exact: [f64; 3], precision: f64) {
    for (quantity, (column, exact)) in found.columns().into_iter().zip(exact).enumerate() {
        let (mean, error) = mean(column);
        assert!(error < precision * exact, "{name}, quantity {quantity}: error {error} of {exact}");
        let agrees = test.student((mean - exact) / error, column.len() as f64 - 1.0);
        assert!(agrees, "{name}, quantity {quantity}: {mean}({error}), {exact}");
    }
}

fn check(
    test: &Comparisons,
    name: &str,
    action: &Phi4,
    schedule: &[&dyn Update],
    sweeps: u64,
    exact: [f64; 3],
) {
    compare(test, name, &simulate(action, schedule, CHAINS, sweeps), exact, 0.02);
}

/// Strips of two sites' width by transfer matrix: `phi^2`, `phi^4`, `V m^2`.
fn strips() -> [(Phi4, [f64; 3]); 3] {
    let strip =
        |extents: &[usize], hopping| Phi4::new(Lattice::new(extents).unwrap(), hopping, 0.022).unwrap();
    [
        (strip(&[4, 2], 0.27), [1.934_051_90, 7.734_763_1, 12.224_371_3]),
        (strip(&[16, 2], 0.27), [1.608_820_67, 5.836_315_3, 19.120_856_6]),
        (strip(&[4, 2], 0.21), [0.741_195_203, 1.523_239_52, 2.432_090_80]),
    ]
}

#[test]
fn strips_to_a_thousandth() {
    let test = Comparisons::of(9);
    let (hmc, wolff) = (Hmc::new(1.0, 6, Leap::Leapfrog).unwrap(), Wolff { clusters: 1 });
    for (action, exact) in strips() {
        compare(&test, "HMC and Wolff", &simulate(&action, &[&hmc, &wolff], 512, 24_000), exact, 1e-3);
    }
}

#[test]
fn every_update_on_strips() {
    let test = Comparisons::of(81);
    let leapfrog = Hmc::new(1.0, 6, Leap::Leapfrog).unwrap();
    let omelyan = Hmc::new(1.0, 4, Leap::Omelyan).unwrap();
    let force_gradient = Hmc::new(1.0, 2, Leap::ForceGradient).unwrap();
    let metropolis = Metropolis::new(1.5, 2).unwrap();
    let wolff = Wolff { clusters: 1 };
    for (action, exact) in &strips() {
        check(&test, "leapfrog", action, &[&leapfrog], 2000, *exact);
        check(&test, "2MN and Wolff", action, &[&omelyan, &wolff], 2000, *exact);
        check(
            &test,
            "force gradient and Swendsen-Wang",
            action,
            &[&force_gradient, &SwendsenWang],
            2000,
            *exact,
        );
        check(&test, "Metropolis and Wolff", action, &[&metropolis, &wolff], 2000, *exact);
        check(&test, "Metropolis", action, &[&metropolis], 4000, *exact);
        check(&test, "overrelaxation and Metropolis", action, &[&Overrelaxation, &metropolis], 4000, *exact);
        let spectrum = Spectrum::free(action.lattice(), 0.2).unwrap();
        let accelerated = FourierHmc::new(1.0, 4, &spectrum).unwrap();
        check(&test, "Fourier acceleration and Wolff", action, &[&accelerated, &wolff], 2000, *exact);
        check(&test, "MALA and Wolff", action, &[&Hmc::mala(0.1).unwrap(), &wolff], 8000, *exact);
        let nested = Hmc::new(1.0, 3, Leap::Nested { inner: 3 }).unwrap();
        check(&test, "nested steps and Wolff", action, &[&nested, &wolff], 2000, *exact);
    }
}

/// `lambda = 0` at 32 x 32: `G(p = 0) = 1 / (2 - 8 kappa)`, and `E phi^4 = 3 (E phi^2)^2`.
#[test]
fn free_field() {
    let test = Comparisons::of(9);
    let action = Phi4::new(Lattice::new(&[32, 32]).unwrap(), 0.21, 0.0).unwrap();
    let phi2: f64 = 0.663_262_665_849;
    let exact = [phi2, 3.0 * phi2 * phi2, 1.0 / (2.0 - 8.0 * 0.21)];
    check(&test, "leapfrog", &action, &[&Hmc::new(1.5, 10, Leap::Leapfrog).unwrap()], 2500, exact);
    let spectrum = Spectrum::free(action.lattice(), 0.21).unwrap();
    let turn = FourierHmc::new(1.5, 6, &spectrum).unwrap();
    let found = simulate(&action, &[&turn], CHAINS, 300);
    compare(&test, "Fourier accelerated", &found, exact, 0.02);
    // `phi^2` of this lattice to a thousandth, and the same formula of a smaller one for all three.
    let (mean, error) = mean(found.column(0));
    assert!(error < 1e-3 * phi2, "{mean}({error})");
    let action = Phi4::new(Lattice::new(&[4, 4]).unwrap(), 0.21, 0.0).unwrap();
    let phi2 = Spectrum::free(action.lattice(), 0.21).unwrap().local_variance();
    let exact = [phi2, 3.0 * phi2 * phi2, 1.0 / (2.0 - 8.0 * 0.21)];
    let wolff = Wolff { clusters: 2 };
    let hmc = Hmc::new(1.5, 5, Leap::Leapfrog).unwrap();
    compare(&test, "a thousandth", &simulate(&action, &[&hmc, &wolff], 512, 20_000), exact, 1e-3);
}

/// `hopping = 0`, one site by quadrature: `E phi^2 = 0.490937139822` at `lambda = 0.022`.
#[test]
fn independent_sites_in_three_dimensions() {
    let test = Comparisons::of(6);
    let action = Phi4::new(Lattice::new(&[4, 4, 4]).unwrap(), 0.0, 0.022).unwrap();
    let phi2 = 0.490_937_139_822;
    let exact = [phi2, 0.696_911_234_766, phi2];
    check(&test, "2MN", &action, &[&Hmc::new(1.1, 5, Leap::Omelyan).unwrap()], 1500, exact);
    check(&test, "Metropolis", &action, &[&Metropolis::new(1.5, 2).unwrap()], 1500, exact);
}

/// Unadjusted Langevin dynamics by Euler-Maruyama: for a Gaussian of variance `G` the step `eps` leaves `G / (1 - eps/(2 G))`.
#[test]
fn langevin_dynamics_of_the_sde_core() {
    let hopping = 0.15;
    let action = Phi4::new(Lattice::new(&[4, 4]).unwrap(), hopping, 0.0).unwrap();
    let (step, steps, rows) = (0.2, 100, 32_000);
    let grid = TimeGrid::uniform(0.0, step * f64::from(steps), steps as usize).unwrap();
    let mut x = Array2::zeros((rows, 16));
    let noise = Noise::new(seed(5), 0);
    integrate(&Langevin(&action), &mut EulerMaruyama::new(), &grid, x.view_mut(), 0, &noise, &mut ())
        .unwrap();
    let mut measured = Measurements::new(action.lattice());
    measured.extend(x.view());
    let g = 1.0 / (2.0 - 8.0 * hopping);
    let exact = g / (1.0 - step / (2.0 * g));
    let chi = Observable::VolumeM2.estimate(&action, &measured, rows).unwrap().estimate();
    assert!(Comparisons::of(1).normal(chi.pull(exact)), "{chi:?} for {exact}");
    assert!(chi.pull(g).abs() > 5.0, "the bias of the step is seen");
}

/// `E[exp(-dH)] = 1`, and the acceptance is `erfc( sqrt(E[dH]) / 2 )`.
#[test]
fn energy_errors_obey_their_identities() {
    let test = Comparisons::of(8);
    let action = Phi4::new(Lattice::new(&[32, 32]).unwrap(), 0.25, 0.022).unwrap();
    let hmc = |length, steps, leap| Hmc::new(length, steps, leap).unwrap();
    let accelerated = FourierHmc::new(1.0, 4, &Spectrum::free(action.lattice(), 0.2).unwrap()).unwrap();
    let updates: [(&str, &dyn Update); 4] = [
        ("leapfrog", &hmc(1.5, 5, Leap::Leapfrog)),
        ("2MN", &hmc(1.5, 3, Leap::Omelyan)),
        ("force gradient", &hmc(1.0, 1, Leap::ForceGradient)),
        ("Fourier acceleration", &accelerated),
    ];
    for (name, update) in updates {
        let mut chains = Chains::hot(&action, 64, 1.0, seed(3));
        // From a hot start the long steps under test would be refused for ever.
        chains.run(&action, &[&Hmc::new(1.0, 15, Leap::Omelyan).unwrap()], 200);
        let summary = chains.run(&action, &[update], 1000);
        let errors = &summary.energy_errors;
        let count = errors.len() as f64;
        let mean = errors.iter().map(|e| (-e).exp()).sum::<f64>() / count;
        let variance = errors.iter().map(|e| ((-e).exp() - mean).powi(2)).sum::<f64>() / count;
        // dH of successive trajectories is nearly uncorrelated.
        assert!(test.normal((mean - 1.0) / (variance / count).sqrt()), "{name}: {mean}");
        // Both sides of the law have errors, and move together: an error of their difference from parts of the history.
        let difference = |errors: ArrayView2<'_, f64>| {
            let accepted = errors.mapv(|e| (-e).exp().min(1.0)).mean().unwrap();
            accepted - erfc(errors.mean().unwrap().max(0.0).sqrt() / 2.0)
        };
        let parts: Array1<f64> = errors.axis_chunks_iter(Axis(0), 20).map(difference).collect();
        let (law, error) = self::mean(parts.view());
        assert!(test.student(law / error, parts.len() as f64 - 1.0), "{name}: {law}({error})");
        let found = summary.acceptance[0];
        assert!(found > 0.4 && found < 0.995, "{name}: {found}");
    }
}

#[test]
fn threads_and_stops_change_no_bit() {
    let action = Phi4::new(Lattice::new(&[6, 4]).unwrap(), 0.27, 0.022).unwrap();
    let (hmc, wolff) = (Hmc::new(1.0, 5, Leap::Leapfrog).unwrap(), Wolff { clusters: 2 });
    let schedule: [&dyn Update; 2] = [&hmc, &wolff];
    let run = |threads, pieces: &[u64]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut chains = Chains::hot(&action, 21, 1.0, 3);
            for &sweeps in pieces {
                chains.run(&action, &schedule, sweeps);
            }
            chains
        })
    };
    let whole = run(1, &[20]);
    assert_eq!(whole, run(3, &[20]));
    assert_eq!(whole, run(2, &[7, 1, 12]));
}

/// The step of dual averaging is accepted as often as was asked for.
#[test]
fn the_step_is_found_for_an_acceptance() {
    let test = Comparisons::of(2);
    let action = Phi4::new(Lattice::new(&[16, 16]).unwrap(), 0.25, 0.022).unwrap();
    let mut chains = Chains::hot(&action, 64, 1.0, seed(4));
    chains.run(&action, &[&Hmc::new(1.0, 10, Leap::Leapfrog).unwrap()], 200);
    // Three steps of any length.
    let hmc = |step: f64| Hmc::new(3.0 * step, 3, Leap::Leapfrog).unwrap();
    for target in [0.6, 0.9] {
        let mut step = DualAveraging::new(0.5, target);
        for _ in 0..400 {
            let acceptance = chains.run(&action, &[&hmc(step.current())], 1).acceptance[0];
            step.update(acceptance);
        }
        let found = chains.run(&action, &[&hmc(step.averaged())], 600).acceptance[0];
        // 64 * 600 decisions, and 64 * 400 that the step was chosen from: errors of 0.0025 and 0.0031 at 0.6.
        let error = (target * (1.0 - target) * (1.0 / 38_400.0 + 1.0 / 25_600.0)).sqrt();
        // The averaged step remembers the first ones, which costs a hundredth of acceptance.
        let excess = ((found - target).abs() - 0.01).max(0.0);
        assert!(test.normal(excess / error), "{found} for {target}");
    }
}

/// Clusters change signs alone, and report for how many of the sites.
#[test]
fn clusters_report_what_they_flip() {
    let action = Phi4::new(Lattice::new(&[6, 4]).unwrap(), 0.2, 0.022).unwrap();
    let mut chains = Chains::hot(&action, 20, 1.0, 3);
    for update in [&SwendsenWang as &dyn Update, &Wolff { clusters: 1 }] {
        let before = chains.fields.clone();
        let acceptance = chains.run(&action, &[update], 1).acceptance[0];
        assert!(before.iter().zip(&chains.fields).all(|(a, b)| a.abs() == b.abs()));
        let flipped = before.iter().zip(&chains.fields).filter(|(a, b)| a != b).count();
        assert!(
            flipped > 0 && (acceptance - flipped as f64 / before.len() as f64).abs() < 1e-14,
            "{acceptance}"
        );
    }
}
