//! Local updates: one site after another.

use crate::update::{Draws, Report, Update, chain_by_chain};
use crate::{Phi4, Phi4Error};
use rand::Rng;
use sde_core::BatchMut;
use serde::{Deserialize, Serialize};

/// One sweep of Metropolis updates: every site in turn is offered `phi + width u`, with `u` uniform between -1 and 1, some
/// times in a row, while its neighbours stay.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metropolis {
    width: f64,
    hits: usize,
}

impl Metropolis {
    /// Proposals of half-width `width`, `hits` for each site.
    ///
    /// # Errors
    /// [`Phi4Error`] for a width that is not finite and positive, or no hits.
    pub fn new(width: f64, hits: usize) -> Result<Self, Phi4Error> {
        let width = Phi4Error::positive("width", width)?;
        Ok(Self { width, hits: Phi4Error::at_least_one("hits", hits)? })
    }
}

impl Update for Metropolis {
    fn update(
        &self,
        action: &Phi4,
        fields: BatchMut<'_>,
        draws: &Draws,
        reports: &mut [Report],
        _scratch: &mut Vec<f64>,
    ) {
        let sites = action.lattice().volume();
        chain_by_chain(fields, draws, reports, |field, generator| {
            let mut accepted = 0_usize;
            for site in 0..sites {
                let local = action.at_site(site, field);
                let mut x = field[site];
                let mut s = local.at(x);
                for _ in 0..self.hits {
                    let proposal = self.width.mul_add(generator.random_range(-1.0..1.0), x);
                    let there = local.at(proposal);
                    if there <= s || generator.random::<f64>() < (s - there).exp() {
                        (x, s) = (proposal, there);
                        accepted += 1;
                    }
                }
                field[site] = x;
            }
            accepted as f64 / (sites * self.hits) as f64
        });
    }
}
