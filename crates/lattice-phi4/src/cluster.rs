//! Cluster updates of the signs.
//!
//! With the magnitudes `|phi_x|` fixed, the signs are an Ising model with couplings `2 kappa |phi_x| |phi_y|`, embedded in the
//! field. A bond between equal signs is set with probability `1 - e^(-4 kappa phi_x phi_y)`; sites joined by bonds may change
//! sign together. Both signs of the magnetisation are visited, however deep in the ordered phase, and near the critical point
//! the largest structures are updated at once (Wolff, Phys. Rev. Lett. 62 (1989) 361; Brower and Tamayo, ibid. 1087).
//! Magnitudes do not change: another update must go with it.

use crate::Phi4;
use crate::update::{Draws, Report, Update, chain_by_chain};
use rand::Rng;
use sde_core::BatchMut;
use serde::{Deserialize, Serialize};

/// Wolff's update: clusters are grown from random sites and flipped. For a ferromagnet, `hopping >= 0`.
///
/// Their number is fixed beforehand, which detailed balance asks for. With about a volume over the mean size of a cluster, an update
/// flips as many sites as there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wolff {
    /// Clusters in one update.
    pub clusters: usize,
}

/// The update of Swendsen and Wang: all bonds of the lattice are drawn and every cluster is flipped with probability one
/// half. For a ferromagnet, `hopping >= 0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SwendsenWang;

/// Whether the bond between two fields is set.
fn bond<R: Rng>(coupling: f64, x: f64, y: f64, generator: &mut R) -> bool {
    let product = x * y;
    product > 0.0 && generator.random::<f64>() >= (coupling * product).exp()
}

impl Update for Wolff {
    /// Reports the flipped sites as a part of all as the acceptance.
    fn update(
        &self,
        action: &Phi4,
        fields: BatchMut<'_>,
        draws: &Draws,
        reports: &mut [Report],
        _scratch: &mut Vec<f64>,
    ) {
        let sites = action.lattice().volume();
        let (table, degree) = (action.neighbour_table(), 2 * action.lattice().dimension());
        let coupling = -4.0 * action.hopping();
        let mut stack = Vec::with_capacity(sites);
        chain_by_chain(fields, draws, reports, |field, generator| {
            let mut flipped = 0_usize;
            for _ in 0..self.clusters {
                let seed = generator.random_range(0..sites);
                field[seed] = -field[seed];
                stack.push(seed);
                while let Some(site) = stack.pop() {
                    flipped += 1;
                    // What the site was before its flip: a site flipped already has the other sign and is left alone.
                    let x = -field[site];
                    for &there in &table[site * degree..(site + 1) * degree] {
                        let there = there as usize;
                        if bond(coupling, x, field[there], generator) {
                            field[there] = -field[there];
                            stack.push(there);
                        }
                    }
                }
            }
            flipped as f64 / sites as f64
        });
    }
}

impl Update for SwendsenWang {
    /// Reports the flipped sites as a part of all as the acceptance.
    fn update(
        &self,
        action: &Phi4,
        fields: BatchMut<'_>,
        draws: &Draws,
        reports: &mut [Report],
        _scratch: &mut Vec<f64>,
    ) {
        let sites = action.lattice().volume();
        let (table, degree) = (action.neighbour_table(), 2 * action.lattice().dimension());
        let coupling = -4.0 * action.hopping();
        let mut parents: Vec<u32> = Vec::with_capacity(sites);
        chain_by_chain(fields, draws, reports, |field, generator| {
            parents.clear();
            parents.extend(0..sites as u32);
            for site in 0..sites {
                // Forward bonds: every bond once.
                for &there in table[site * degree..(site + 1) * degree].iter().step_by(2) {
                    if bond(coupling, field[site], field[there as usize], generator) {
                        let (a, b) = (root(&mut parents, site as u32), root(&mut parents, there));
                        parents[a.max(b) as usize] = a.min(b);
                    }
                }
            }
            // Roots come before the other sites of their cluster; each gets a coin.
            let mut flips = vec![false; sites];
            let mut flipped = 0_usize;
            for site in 0..sites {
                let root = root(&mut parents, site as u32) as usize;
                flips[site] = if root == site { generator.random() } else { flips[root] };
                if flips[site] {
                    field[site] = -field[site];
                    flipped += 1;
                }
            }
            flipped as f64 / sites as f64
        });
    }
}

/// The smallest site of a cluster; shortens the path to it.
fn root(parents: &mut [u32], mut site: u32) -> u32 {
    while parents[site as usize] != site {
        let above = parents[parents[site as usize] as usize];
        parents[site as usize] = above;
        site = above;
    }
    site
}
