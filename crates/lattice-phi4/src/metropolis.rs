//! Local updates: one site after another.

use crate::update::{Draws, Report, Update};
use crate::{Phi4, Phi4Error};
use rand::Rng;
use sde_core::{BatchMut, values_mut};
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
    /// [`Phi4Error::NotPositive`] for a width that is not positive, or no hits.
    pub fn new(width: f64, hits: usize) -> Result<Self, Phi4Error> {
        if !width.is_finite() {
            return Err(Phi4Error::NotFinite { name: "width", value: width });
        }
        if width <= 0.0 {
            return Err(Phi4Error::NotPositive { name: "width", value: width });
        }
        if hits == 0 {
            return Err(Phi4Error::NotPositive { name: "hits", value: 0.0 });
        }
        Ok(Self { width, hits })
    }
}

impl Update for Metropolis {
    fn update(&self, action: &Phi4, mut fields: BatchMut<'_>, draws: &Draws, reports: &mut [Report]) {
        let sites = action.lattice().volume();
        let table = action.neighbour_table();
        let degree = 2 * action.lattice().dimension();
        let (hop, square, quartic) = (2.0 * action.hopping(), 1.0 - 2.0 * action.lambda(), action.lambda());
        for (chain, field) in values_mut(&mut fields).chunks_exact_mut(sites).enumerate() {
            let mut generator = draws.generator(chain);
            let mut accepted = 0_usize;
            for site in 0..sites {
                let around = &table[site * degree..(site + 1) * degree];
                let push = hop * around.iter().map(|&there| field[there as usize]).sum::<f64>();
                let local = |x: f64| {
                    let x2 = x * x;
                    quartic.mul_add(x2, square).mul_add(x2, -push * x)
                };
                let mut x = field[site];
                let mut s = local(x);
                for _ in 0..self.hits {
                    let proposal = self.width.mul_add(generator.random_range(-1.0..1.0), x);
                    let there = local(proposal);
                    if there <= s || generator.random::<f64>() < (s - there).exp() {
                        (x, s) = (proposal, there);
                        accepted += 1;
                    }
                }
                field[site] = x;
            }
            let acceptance = accepted as f64 / (sites * self.hits) as f64;
            reports[chain] = Report { acceptance, energy_error: 0.0 };
        }
    }
}
