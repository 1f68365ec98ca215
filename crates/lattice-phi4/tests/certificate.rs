//! Certificates of sound and unsound ensembles.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::ChainError;
use lattice_phi4::ndarray::{self, Array2};
use lattice_phi4::{
    Certificate, Check, Evidence, Lattice, Measurements, Observable, Phi4, ProtocolError, Requirement,
    Simulation, Start, Verdict, equilibrium, paper,
};
use testing::{Comparisons, seed};

fn action(hopping: f64, lambda: f64) -> Phi4 {
    Phi4::new(Lattice::new(&[16, 16]).unwrap(), hopping, lambda).unwrap()
}

fn measure(action: &Phi4, simulation: &Simulation) -> Measurements {
    let mut measured = Measurements::new(action.lattice());
    measured.extend(simulation.fields.view());
    measured
}

fn certify(action: &Phi4, simulation: &Simulation) -> Certificate {
    let measured = measure(action, simulation);
    let half = measured.len() / 2;
    let evidence = Evidence {
        ensemble: &measured,
        per_chain: simulation.per_chain(),
        hot: &measured.part(0..half),
        cold: &measured.part(half..2 * half),
        energy_errors: &simulation.energy_errors,
    };
    Certificate::new(action, &evidence).unwrap()
}

fn failed(certificate: &Certificate) -> Vec<&str> {
    certificate.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect()
}

/// Whether a check is what a sound ensemble may have. A certificate fails one sound ensemble in a thousand, which is too often for
/// a test: means are compared at the test's significance, and `R` may be twice as far above one.
fn sound(test: &Comparisons, check: &Check) -> bool {
    match check.requirement {
        Requirement::Equals { expected, error, .. } => test.student((check.value - expected) / error, 31.0),
        Requirement::AtMost { limit } => check.value < 2.0 * limit - 1.0,
        Requirement::AtLeast { .. } => check.passed,
    }
}

#[test]
fn equilibrium_passes_on_both_sides_of_the_transition() {
    let test = Comparisons::of(40);
    for hopping in [0.0, 0.21, 0.27, 0.4] {
        let action = action(hopping, 0.022);
        let certificate = certify(&action, &equilibrium(&action, 3200, seed(5), &mut |_, _| ()).unwrap());
        assert!(certificate.checks.iter().all(|check| sound(&test, check)), "{hopping}: {certificate}");
        let expected = if failed(&certificate).is_empty() { Verdict::Pass } else { Verdict::Fail };
        assert_eq!(certificate.verdict, expected);
        // Four standard errors of 32 chains are exceeded with probability 4e-4, three times in 13 checks with 2e-8.
        assert!(failed(&certificate).len() < 3, "{hopping}: {certificate}");
    }
}

/// Domain walls: starts from noise and from constant fields have not met.
#[test]
fn the_published_protocol_fails_in_the_ordered_phase() {
    let action = action(0.4, 0.022);
    let run = |start| measure(&action, &paper(&action, 400, start, seed(5), &mut |_, _| ()).unwrap());
    let (hot, cold) = (run(Start::Hot), run(Start::Cold));
    let evidence = Evidence { ensemble: &hot, per_chain: 400, hot: &hot, cold: &cold, energy_errors: &[] };
    let certificate = Certificate::new(&action, &evidence).unwrap();
    assert_eq!(certificate.verdict, Verdict::Fail);
    assert!(failed(&certificate).contains(&"hot - cold: abs_m"), "{:?}", failed(&certificate));
}

/// Schwinger-Dyson equations tell one action from another, of a history without fault.
#[test]
fn another_action_fails() {
    let simulation = equilibrium(&action(0.21, 0.022), 3200, seed(5), &mut |_, _| ()).unwrap();
    let certificate = certify(&action(0.21, 0.032), &simulation);
    let test = Comparisons::of(7);
    let mut others = certificate.checks.iter().filter(|check| !check.name.starts_with("schwinger_dyson"));
    assert!(others.all(|check| sound(&test, check)), "{certificate}");
    assert!(failed(&certificate).contains(&"schwinger_dyson_phi"), "{:?}", failed(&certificate));
}

/// A trend in `dH` that breaks `E[exp(-dH)] = 1`.
#[test]
fn trajectories_of_another_energy_fail() {
    let action = action(0.21, 0.022);
    let mut simulation = equilibrium(&action, 3200, seed(5), &mut |_, _| ()).unwrap();
    for error in &mut simulation.energy_errors {
        *error += 0.05;
    }
    let certificate = certify(&action, &simulation);
    let test = Comparisons::of(9);
    let (biased, others): (Vec<_>, Vec<_>) =
        certificate.checks.iter().partition(|check| check.name == "exp(-dH)");
    assert!(biased.iter().all(|check| !check.passed), "{certificate}");
    assert!(others.iter().all(|check| sound(&test, check)), "{certificate}");
}

/// One chain of 32 with fields twenty per cent too wide: what it adds to `tau_int` leaves too few effective samples.
#[test]
fn a_chain_apart_fails() {
    let action = action(0.21, 0.022);
    let mut simulation = equilibrium(&action, 3200, seed(5), &mut |_, _| ()).unwrap();
    let per_chain = simulation.per_chain();
    let mut chain = simulation.fields.slice_mut(ndarray::s![7 * per_chain..8 * per_chain, ..]);
    chain *= 1.2;
    let certificate = certify(&action, &simulation);
    assert!(failed(&certificate).contains(&"effective samples: action_density"), "{certificate}");
}

#[test]
fn what_cannot_be_done_is_refused() {
    let few = equilibrium(&action(0.21, 0.022), 10, 1, &mut |_, _| ()).unwrap_err();
    assert_eq!(few, ProtocolError::TooFew { found: 10, needed: 128 });
    let negative = equilibrium(&action(-0.1, 0.022), 1000, 1, &mut |_, _| ()).unwrap_err();
    assert_eq!(negative, ProtocolError::Antiferromagnet { hopping: -0.1 });
    assert!(paper(&action(0.21, 0.022), 3, Start::Hot, 1, &mut |_, _| ()).is_err());
}

#[test]
fn ensembles_do_not_depend_on_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| equilibrium(&action(0.27, 0.022), 320, 9, &mut |_, _| ()).unwrap())
    };
    assert_eq!(run(1), run(3));
}

/// A formula without a value is a typed error, not a NaN: here `sqrt(0 / G(p_1) - 1)`.
#[test]
fn observables_without_a_value_say_so() {
    let action = action(0.21, 0.022);
    let wave =
        Array2::from_shape_fn((8, 256), |(_, x)| (std::f64::consts::TAU * (x % 16) as f64 / 16.0).cos());
    let mut measured = Measurements::new(action.lattice());
    measured.extend(wave.view());
    let found = Observable::XiSecondMoment.estimate(&action, &measured, 8);
    assert_eq!(found, Err(ChainError::Function));
}
