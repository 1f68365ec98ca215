//! The table of observables of an ensemble.

use cumulants::{Estimate, GammaMethod, cumulants_from_moments};
use lattice_phi4::{Lattice, Measurements, Primary};
use ndarray::ArrayView2;

use crate::Failure;

/// Observables by name, in the order of the table.
#[derive(Clone, Debug)]
pub struct Observables {
    /// Name, value with error, and autocorrelation time in configurations.
    pub entries: Vec<(String, Estimate, f64)>,
    /// `m` of every configuration.
    pub magnetisation: Vec<f64>,
}

impl Observables {
    /// The value of an observable.
    ///
    /// # Panics
    /// If there is none of this name.
    pub fn get(&self, name: &str) -> Estimate {
        self.entries.iter().find(|entry| entry.0 == name).expect("an observable of the table").1
    }
}

/// Measures `fields`, shape `(configurations, sites)`: chains of `per_chain` configurations, one after the other.
///
/// # Errors
/// [`GammaError`](cumulants::GammaError) for less than four configurations in a chain.
pub fn observables(
    lattice: &Lattice,
    fields: ArrayView2<'_, f64>,
    per_chain: usize,
) -> Result<Observables, Failure> {
    let mut measured = Measurements::new(lattice);
    measured.extend(fields);
    let volume = lattice.volume() as f64;
    let mut entries = Vec::new();
    let mut add = |name: &str, primaries: &[Primary], f: &dyn Fn(&[f64]) -> f64| -> Result<(), Failure> {
        let rows = measured.columns(primaries);
        let rows = rows.as_standard_layout();
        let values = rows.as_slice().expect("standard layout");
        let chains: Vec<&[f64]> = values.chunks(per_chain * primaries.len()).collect();
        let found = GammaMethod::default().derived(&chains, primaries.len(), f)?;
        entries.push((name.to_owned(), found.estimate(), found.tau_int));
        Ok(())
    };
    let powers: Vec<Primary> = (1..=8).map(Primary::Power).collect();
    for order in [2, 4, 6, 8] {
        // The target is even: odd moments vanish, and their estimates would only add noise.
        add(&format!("kappa_{order}"), &powers, &|m| {
            let even: Vec<f64> =
                m.iter().enumerate().map(|(k, m)| if k % 2 == 0 { 0.0 } else { *m }).collect();
            cumulants_from_moments(&even)[order - 1]
        })?;
    }
    add("mean_m", &[Primary::Power(1)], &|m| m[0])?;
    add("abs_m", &[Primary::AbsM], &|m| m[0])?;
    add("volume_m2", &[Primary::M2], &|m| volume * m[0])?;
    add("binder", &[Primary::M2, Primary::M4], &|m| 1.0 - m[1] / (3.0 * m[0] * m[0]))?;
    add("propagator_shell_1", &[Primary::LowestMomentum], &|m| m[0])?;
    add("phi2", &[Primary::Power(2)], &|m| m[0])?;
    add("phi4", &[Primary::Power(4)], &|m| m[0])?;
    add("nn", &[Primary::Neighbours], &|m| m[0])?;
    let magnetisation = measured.series(Primary::Power(1)).to_vec();
    Ok(Observables { entries, magnetisation })
}
