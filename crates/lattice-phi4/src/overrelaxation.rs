//! Overrelaxation: local moves that go as far as they can.
//!
//! Given its neighbours, a site has the action `s(x) = (1 - 2 lambda) x^2 + lambda x^4 - h x`, `h = 2 kappa sum_nbrs phi`. Its
//! reflection `x -> 2 c - x` about any point `c` that depends on the neighbours alone is its own inverse and keeps volumes, so
//! accepting it with `min(1, e^(-ds))` leaves `exp(-S)` invariant. With `c` near the minimum of `s` nearly all moves are
//! accepted, always so for `lambda = 0`, where the energy does not change at all (Creutz, Phys. Rev. D 36 (1987) 515). The
//! moves have no random direction and carry disturbances over the lattice in straight lines; alone they are not ergodic.

use crate::Phi4;
use crate::phi4::SiteAction;
use crate::update::{Draws, Report, Update, chain_by_chain};
use rand::Rng;
use sde_core::BatchMut;

/// One sweep of reflections about the minimum of each site's action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overrelaxation;

/// Newton steps towards the minimum. Where they end depends on `h` alone, which is all that exactness asks for.
const NEWTON: usize = 4;

/// Near the `x` with `2 a x + 4 lambda x^3 = h`, where `a` is the action's square term and `h` its push.
fn minimum(local: &SiteAction) -> f64 {
    let SiteAction { push: h, square: a, quartic: lambda } = *local;
    // For large |h| the quartic term decides: from there Newton's steps cannot overshoot a convex slope.
    let mut x = if lambda > 0.0 { (h / (4.0 * lambda)).cbrt() } else { 0.0 };
    for _ in 0..NEWTON {
        let curvature = 2.0 * a + 12.0 * lambda * x * x;
        if curvature <= 0.0 {
            break;
        }
        x -= (2.0 * a * x + 4.0 * lambda * x * x * x - h) / curvature;
    }
    x
}

impl Update for Overrelaxation {
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
                let x = field[site];
                let proposal = 2.0 * minimum(&local) - x;
                let difference = local.at(proposal) - local.at(x);
                if difference <= 0.0 || generator.random::<f64>() < (-difference).exp() {
                    field[site] = proposal;
                    accepted += 1;
                }
            }
            accepted as f64 / sites as f64
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{SiteAction, minimum};

    #[test]
    fn the_minimum_is_found_where_the_action_is_convex() {
        for (a, lambda) in [(1.0, 0.0), (0.956, 0.022), (0.2, 0.4)] {
            for h in [-30.0, -1.0, 0.0, 0.3, 5.0] {
                let x = minimum(&SiteAction { push: h, square: a, quartic: lambda });
                let slope = 2.0 * a * x + 4.0 * lambda * x * x * x - h;
                assert!(slope.abs() < 1e-2 * (1.0 + h.abs()), "{a} {lambda} {h}: {x}, slope {slope}");
            }
        }
    }
}
