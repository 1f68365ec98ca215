//! Local cumulants, and ensembles by protocol, against values that are known from elsewhere.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{Lattice, Measurements, Observable, Phi4, Start, equilibrium, paper};
use testing::{Comparisons, seed};

fn action(extents: &[usize], hopping: f64, lambda: f64) -> Phi4 {
    Phi4::new(Lattice::new(extents).unwrap(), hopping, lambda).unwrap()
}

/// Differences to `known` values with errors of their own, in standard errors of both.
fn compare(
    action: &Phi4,
    measured: &Measurements,
    per_chain: usize,
    test: &Comparisons,
    known: &[(Observable, f64, f64)],
) {
    for &(observable, value, error) in known {
        let found = observable.estimate(action, measured, per_chain).unwrap();
        let pull = (found.value - value) / found.error.hypot(error);
        assert!(
            test.normal(pull),
            "{} = {}({}) for {value}: {pull}",
            observable.name(),
            found.value,
            found.error
        );
    }
}

/// Without hopping every site is by itself: quadrature of one variable.
#[test]
fn one_site() {
    let test = Comparisons::of(14);
    let quadrature = [
        (0.022, [0.490_937_139_822, 0.696_911_234_766], [-0.026_146_591, 0.012_178_223, -0.014_616_313]),
        (0.5, [0.477_988_797_486, 0.5], [-0.185_419_871_6, 0.408_297_416_9, -2.002_515_216]),
    ];
    for (lambda, [phi2, phi4], kappa) in quadrature {
        let action = action(&[16, 16], 0.0, lambda);
        let simulation = equilibrium(&action, 32_000, seed(1), &mut |_, _| ()).unwrap();
        let mut measured = Measurements::new(action.lattice());
        measured.extend(simulation.fields.view());
        let known = [
            (Observable::Phi2, phi2, 0.0),
            (Observable::Phi4, phi4, 0.0),
            (Observable::Cumulant(2), phi2, 0.0),
            (Observable::Cumulant(4), kappa[0], 0.0),
            (Observable::Cumulant(6), kappa[1], 0.0),
            (Observable::Cumulant(8), kappa[2], 0.0),
            (Observable::VolumeM2, phi2, 0.0),
        ];
        compare(&action, &measured, simulation.per_chain(), &test, &known);
        // Eight million sites.
        let found = Observable::Phi2.estimate(&action, &measured, simulation.per_chain()).unwrap();
        assert!(found.error < 1e-3 * phi2, "{found:?}");
    }
}

/// Cluster updates with Metropolis, by another program; the fourth number is `1 - E m^4 / (3 (E m^2)^2)`.
#[test]
fn another_simulation() {
    let test = Comparisons::of(10);
    let known = [
        (
            0.21,
            vec![
                (Observable::AbsM, 0.040_02, 0.000_12),
                (Observable::VolumeM2, 2.574, 0.014),
                (Observable::Binder, 0.003, 0.005),
                (Observable::Phi2, 0.622_29, 0.000_18),
                (Observable::Phi4, 1.098_1, 0.000_7),
            ],
        ),
        (
            0.4,
            vec![
                (Observable::AbsM, 3.748_37, 0.000_07),
                (Observable::VolumeM2, 14_387.9, 0.6),
                (Observable::Binder, 0.666_628, 0.000_000_5),
                (Observable::Phi2, 14.247_1, 0.000_6),
                (Observable::Phi4, 213.893, 0.016),
            ],
        ),
    ];
    for (hopping, known) in known {
        let action = action(&[32, 32], hopping, 0.022);
        let simulation = equilibrium(&action, 10_000, seed(2), &mut |_, _| ()).unwrap();
        let mut measured = Measurements::new(action.lattice());
        measured.extend(simulation.fields.view());
        compare(&action, &measured, simulation.per_chain(), &test, &known);
    }
}

/// The ratios of Table 2 are those of the protocol, and not of equilibrium. Published: `kappa_n` of normalised data with
/// their errors.
#[test]
fn the_published_protocol_gives_the_published_ratios() {
    let test = Comparisons::of(3);
    let published = [(0.3960, 0.0002), (-0.2946, 0.0004), (0.9012, 0.0020), (-5.869, 0.017)];
    let ratio = |place: usize, power: f64| {
        let ((k2, e2), (k, e)) = (published[0], published[place]);
        // The errors of the two are correlated in an unknown way; the larger one stands for both.
        let value = k / f64::powf(k2, power);
        (value, value.abs() * f64::max(e / f64::abs(k), power * e2 / k2))
    };
    let action = action(&[32, 32], 0.4, 0.022);
    let simulation = paper(&action, 2000, Start::Hot, seed(3), &mut |_, _| ()).unwrap();
    let mut measured = Measurements::new(action.lattice());
    measured.extend(simulation.fields.view());
    let known: Vec<_> = [(4, 2.0), (6, 3.0), (8, 4.0)]
        .iter()
        .enumerate()
        .map(|(place, &(order, power))| {
            let (value, error) = ratio(place + 1, power);
            (Observable::Shape(order), value, error)
        })
        .collect();
    compare(&action, &measured, measured.len(), &test, &known);
    let shape = Observable::Shape(4).estimate(&action, &measured, measured.len()).unwrap();
    assert!((shape.value + 1.9449) / shape.error > 10.0, "far from equilibrium: {shape:?}");
}
