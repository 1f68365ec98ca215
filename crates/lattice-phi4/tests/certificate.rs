//! Certificates of sound and unsound ensembles.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use cumulants::ChainError;
use lattice_phi4::ndarray::{self, Array2};
use lattice_phi4::{
    Certificate, Evidence, Lattice, Measurements, Observable, Phi4, ProtocolError, Simulation, Start,
    Verdict, equilibrium, paper,
};

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

#[test]
fn equilibrium_passes_on_both_sides_of_the_transition() {
    for hopping in [0.0, 0.21, 0.27, 0.4] {
        let action = action(hopping, 0.022);
        let certificate = certify(&action, &equilibrium(&action, 3200, 5, &mut |_, _| ()).unwrap());
        assert_eq!(certificate.verdict, Verdict::Pass, "{hopping}: {:?}", failed(&certificate));
    }
}

/// Domain walls: starts from noise and from constant fields have not met.
#[test]
fn the_published_protocol_fails_in_the_ordered_phase() {
    let action = action(0.4, 0.022);
    let run = |start| measure(&action, &paper(&action, 400, start, 5, &mut |_, _| ()).unwrap());
    let (hot, cold) = (run(Start::Hot), run(Start::Cold));
    let evidence = Evidence { ensemble: &hot, per_chain: 400, hot: &hot, cold: &cold, energy_errors: &[] };
    let certificate = Certificate::new(&action, &evidence).unwrap();
    assert_eq!(certificate.verdict, Verdict::Fail);
    assert!(failed(&certificate).contains(&"hot - cold: abs_m"), "{:?}", failed(&certificate));
}

/// Schwinger-Dyson equations tell one action from another, of a history without fault.
#[test]
fn another_action_fails() {
    let simulation = equilibrium(&action(0.21, 0.022), 3200, 5, &mut |_, _| ()).unwrap();
    let certificate = certify(&action(0.21, 0.032), &simulation);
    assert!(failed(&certificate).iter().all(|name| name.starts_with("schwinger_dyson")));
    assert!(failed(&certificate).contains(&"schwinger_dyson_phi"), "{:?}", failed(&certificate));
}

/// A trend in `dH` that breaks `E[exp(-dH)] = 1`.
#[test]
fn trajectories_of_another_energy_fail() {
    let action = action(0.21, 0.022);
    let mut simulation = equilibrium(&action, 3200, 5, &mut |_, _| ()).unwrap();
    for error in &mut simulation.energy_errors {
        *error += 0.05;
    }
    assert_eq!(failed(&certify(&action, &simulation)), ["exp(-dH)"]);
}

/// One chain of 32 with fields ten per cent too wide.
#[test]
fn a_chain_apart_fails() {
    let action = action(0.21, 0.022);
    let mut simulation = equilibrium(&action, 3200, 5, &mut |_, _| ()).unwrap();
    let per_chain = simulation.per_chain();
    let mut chain = simulation.fields.slice_mut(ndarray::s![7 * per_chain..8 * per_chain, ..]);
    chain *= 1.1;
    assert!(failed(&certify(&action, &simulation)).contains(&"R: action_density"));
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
