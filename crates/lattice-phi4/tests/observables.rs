//! Every observable of the free field in closed form, on fields drawn from it.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use lattice_phi4::{Lattice, Measurements, Observable, Phi4, Probe, Spectrum};
use sde_core::{Edm, Noise};
use std::f64::consts::{PI, TAU};
use testing::{Comparisons, seed};

/// `1 / G(p) = 2 - 4 kappa sum_nu cos p_nu` on 16 x 4, from which everything else follows; `cosh` of the mass is
/// `1/(2 kappa) - 1` at every distance.
#[test]
fn free_field() {
    let (extents, hopping) = ([16, 4], 0.2);
    let lattice = Lattice::new(&extents).unwrap();
    let action = Phi4::new(lattice.clone(), hopping, 0.0).unwrap();
    let volume = 64.0;
    let cosine = |n: usize, axis: usize| (TAU * n as f64 / extents[axis] as f64).cos();
    let g = |n: usize, k: usize| (2.0 - 4.0 * hopping * (cosine(n, 0) + cosine(k, 1))).recip();
    let mean_of = |f: &dyn Fn(usize, usize) -> f64| {
        (0..64).map(|p| f(p / 4, p % 4) * g(p / 4, p % 4)).sum::<f64>() / volume
    };
    let phi2 = mean_of(&|_, _| 1.0);
    let correlator = |t: usize| (0..16).map(|n| g(n, 0) * cosine(n * t, 0)).sum::<f64>() / 16.0;
    let mass = (0.5 / hopping - 1.0).acosh();
    let xi = (g(0, 0) / g(1, 0) - 1.0).sqrt() / (2.0 * (PI / 16.0).sin());
    let exact = [
        (Observable::Phi2, phi2),
        (Observable::Phi4, 3.0 * phi2 * phi2),
        (Observable::Neighbours, mean_of(&|n, k| cosine(n, 0) + cosine(k, 1))),
        (Observable::ActionDensity, 0.5),
        (Observable::MeanM, 0.0),
        (Observable::AbsM, (2.0 * g(0, 0) / (PI * volume)).sqrt()),
        (Observable::VolumeM2, g(0, 0)),
        (Observable::ConnectedSusceptibility, (1.0 - 2.0 / PI) * g(0, 0)),
        (Observable::Binder, 0.0),
        (Observable::FourPoint, 0.0),
        (Observable::RenormalisedCoupling, 0.0),
        (Observable::Cumulant(2), phi2),
        (Observable::Cumulant(4), 0.0),
        (Observable::Cumulant(6), 0.0),
        (Observable::Shape(4), 0.0),
        (Observable::LowestMomentum, g(1, 0)),
        (Observable::XiSecondMoment, xi),
        (Observable::Correlator(0), correlator(0)),
        (Observable::Correlator(3), correlator(3)),
        (Observable::Correlator(8), correlator(8)),
        (Observable::EffectiveMass(1), mass),
        (Observable::EffectiveMass(2), mass),
        (Observable::EffectiveMass(4), mass),
        (Observable::SchwingerDyson(Probe::Field), 0.0),
        (Observable::SchwingerDyson(Probe::Cube), 0.0),
        (Observable::SchwingerDyson(Probe::Magnetisation), 0.0),
    ];

    let free = Spectrum::free(&lattice, hopping).unwrap();
    let fields = free.draw(&Edm::new(1.0).unwrap(), 0.0, 40_000, &Noise::new(seed(1), 0));
    let mut measured = Measurements::new(&lattice);
    measured.extend(fields.view());
    let test = Comparisons::of(exact.len());
    for (observable, exact) in exact {
        let found = observable.estimate(&action, &measured, 10_000).unwrap();
        assert!(test.normal(found.estimate().pull(exact)), "{observable:?}: {found:?} for {exact}");
        // Independent configurations, whose autocorrelation time is one half.
        assert!((found.tau_int - 0.5).abs() < 0.1, "{observable:?}: {found:?}");
    }
}
