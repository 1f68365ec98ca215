//! The table of observables of an ensemble.

use cumulants::{ChainError, GammaEstimate};
use lattice_phi4::{Measurements, Observable, Phi4};

use crate::{Failure, Row};

/// Observables with their estimates, in the order of [`Observable::TABLE`].
#[derive(Clone, Debug)]
pub struct Table(pub Vec<(Observable, GammaEstimate)>);

impl Table {
    /// The estimate of an observable.
    ///
    /// # Panics
    /// If it is not in the table.
    pub fn get(&self, observable: Observable) -> GammaEstimate {
        let found = self.0.iter().find(|entry| entry.0 == observable);
        found.expect("an observable of the table").1
    }

    /// A row of results for each observable.
    pub fn rows(&self, source: &str) -> impl Iterator<Item = Row> {
        self.0.iter().map(move |(observable, found)| {
            Row::new(&observable.name(), source, found.value, found.error).tau_int(found.tau_int)
        })
    }
}

/// Estimates every observable of [`Observable::TABLE`]; those whose formula has no value for these data are left out.
///
/// # Errors
/// [`ChainError`] for less than four configurations in a chain.
pub fn table(action: &Phi4, measured: &Measurements, per_chain: usize) -> Result<Table, Failure> {
    let mut found = Vec::with_capacity(Observable::TABLE.len());
    for observable in Observable::TABLE {
        match observable.estimate(action, measured, per_chain) {
            Ok(estimate) => found.push((observable, estimate)),
            Err(ChainError::Function) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Table(found))
}
