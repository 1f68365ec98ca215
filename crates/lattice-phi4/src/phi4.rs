//! The action.
//!
//! ```text
//! S = sum_x [ -2 kappa sum_nu phi_x phi_(x+nu) + (1 - 2 lambda) phi_x^2 + lambda phi_x^4 ]          [5.4]
//! ```
//!
//! with the hopping parameter `kappa` (not a cumulant) and the coupling `lambda`. The same theory is written in other ways:
//!
//! ```text
//! S = sum_x [ 1/2 sum_nu (f_(x+nu) - f_x)^2 + m^2/2 f_x^2 + g f_x^4 ] ,       f = sqrt(2 kappa) phi ,
//!     m^2 = (1 - 2 lambda) / kappa - 2 d ,    g = lambda / (4 kappa^2) ,
//! ```
//!
//! where `g` is often written as `lambda_0 / 4!`, or as `lambda_0` with `m^2 f^2 + lambda_0 f^4` and no factor one half; and
//! with a lattice spacing `a` in `d` dimensions, `f = a^(d/2 - 1) f_c`, `m^2 = a^2 m_c^2`, `g = a^(4 - d) g_c`.

use crate::Lattice;
use crate::kernel::{Layout, actions, kick_all};
use ndarray::ArrayViewMut1;
use sde_core::{Batch, BatchMut, Target, values, values_mut};
use serde::{Deserialize, Serialize};

/// An action cannot have these parameters.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Phi4Error {
    /// The parameter must be a number.
    #[error("{name} = {value} must be finite")]
    NotFinite {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The parameter must not be negative.
    #[error("{name} = {value} must not be negative")]
    Negative {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The parameter must be above zero.
    #[error("{name} = {value} must be positive")]
    NotPositive {
        /// Name of the parameter.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// Without interaction the action has no minimum from `|kappa| = 1 / (2 d)` on.
    #[error("hopping = {hopping}: at lambda = 0 the action is bounded for |hopping| < {bound} only")]
    Unbounded {
        /// What was given.
        hopping: f64,
        /// `1 / (2 d)`.
        bound: f64,
    },
}

impl Phi4Error {
    /// A parameter that must be finite and positive.
    pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64, Self> {
        if !value.is_finite() {
            Err(Self::NotFinite { name, value })
        } else if value <= 0.0 {
            Err(Self::NotPositive { name, value })
        } else {
            Ok(value)
        }
    }

    /// A number of things of which there must be one at least.
    pub(crate) fn at_least_one(name: &'static str, count: usize) -> Result<usize, Self> {
        if count == 0 { Err(Self::NotPositive { name, value: 0.0 }) } else { Ok(count) }
    }
}

/// The action of scalar `phi^4` theory on a lattice [5.4].
///
/// ```
/// use lattice_phi4::{Lattice, Phi4};
/// use sde_core::{Target, ndarray::{Array1, Array2}};
/// let action = Phi4::new(Lattice::new(&[4, 4])?, 0.25, 0.02)?;
/// // of a constant field: 16 [ -4 kappa + 1 - 2 lambda ] c^2 + 16 lambda c^4
/// let mut s = Array1::zeros(1);
/// action.action(Array2::from_elem((1, 16), 2.0).view(), s.view_mut());
/// assert!((s[0] - 16.0 * (-0.04 * 4.0 + 0.02 * 16.0)).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Phi4 {
    lattice: Lattice,
    couplings: Couplings,
    neighbours: Vec<u32>,
}

/// The parameters of the action [5.4].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Couplings {
    /// `kappa`.
    pub hopping: f64,
    /// `lambda`.
    pub lambda: f64,
}

/// The parameters of `S = sum_x [ 1/2 sum_nu (f_(x+nu) - f_x)^2 + m^2/2 f^2 + g f^4 ]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KineticCouplings {
    /// `m^2`, of either sign.
    pub mass_squared: f64,
    /// `g`.
    pub quartic: f64,
}

impl Couplings {
    /// The same theory with a kinetic term: `f = sqrt(2 kappa) phi`. Needs `hopping > 0`.
    ///
    /// ```
    /// use lattice_phi4::Couplings;
    /// let hopping = Couplings { hopping: 0.25, lambda: 0.02 };
    /// let kinetic = hopping.kinetic(2);
    /// assert!((kinetic.mass_squared - (0.96 / 0.25 - 4.0)).abs() < 1e-15);
    /// let back = kinetic.hopping(2);
    /// assert!((back.hopping - 0.25).abs() < 1e-15 && (back.lambda - 0.02).abs() < 1e-15);
    /// ```
    pub fn kinetic(self, dimension: usize) -> KineticCouplings {
        let Self { hopping, lambda } = self;
        KineticCouplings {
            mass_squared: (1.0 - 2.0 * lambda) / hopping - 2.0 * dimension as f64,
            quartic: lambda / (4.0 * hopping * hopping),
        }
    }
}

impl KineticCouplings {
    /// The same theory in terms of the hopping parameter: `kappa` solves `8 g kappa^2 + (m^2 + 2 d) kappa = 1`.
    pub fn hopping(self, dimension: usize) -> Couplings {
        let Self { mass_squared, quartic } = self;
        let half = 0.5 * (mass_squared + 2.0 * dimension as f64);
        // The positive root, without cancellation for either sign of the middle term.
        let root = half.mul_add(half, 8.0 * quartic).sqrt();
        let hopping = if half >= 0.0 { (half + root).recip() } else { (root - half) / (8.0 * quartic) };
        Couplings { hopping, lambda: 4.0 * quartic * hopping * hopping }
    }

    /// In units of a lattice spacing `a` from physical ones: `m^2 = a^2 m_c^2`, `g = a^(4 - d) g_c`.
    #[must_use]
    pub fn at_spacing(self, a: f64, dimension: usize) -> Self {
        Self { mass_squared: self.mass_squared * a * a, quartic: self.quartic * a.powi(4 - dimension as i32) }
    }
}

impl Phi4 {
    /// The action with hopping parameter `hopping` and coupling `lambda`.
    ///
    /// # Errors
    /// [`Phi4Error`] unless both are finite, `lambda >= 0`, and the action bounded from below.
    pub fn new(lattice: Lattice, hopping: f64, lambda: f64) -> Result<Self, Phi4Error> {
        for (name, value) in [("hopping", hopping), ("lambda", lambda)] {
            if !value.is_finite() {
                return Err(Phi4Error::NotFinite { name, value });
            }
        }
        if lambda < 0.0 {
            return Err(Phi4Error::Negative { name: "lambda", value: lambda });
        }
        let bound = 0.5 / lattice.dimension() as f64;
        if lambda == 0.0 && hopping.abs() >= bound {
            return Err(Phi4Error::Unbounded { hopping, bound });
        }
        let neighbours = lattice.neighbour_table();
        Ok(Self { lattice, couplings: Couplings { hopping, lambda }, neighbours })
    }

    /// The lattice.
    pub fn lattice(&self) -> &Lattice {
        &self.lattice
    }

    /// [`Lattice::neighbours`] of all sites, one after the other.
    pub(crate) fn neighbour_table(&self) -> &[u32] {
        &self.neighbours
    }

    /// What the action says of one site while its neighbours stay.
    pub(crate) fn at_site(&self, site: usize, field: &[f64]) -> SiteAction {
        let degree = 2 * self.lattice.dimension();
        let around = &self.neighbours[site * degree..(site + 1) * degree];
        let sum: f64 = around.iter().map(|&there| field[there as usize]).sum();
        let Couplings { hopping, lambda } = self.couplings;
        SiteAction { push: 2.0 * hopping * sum, square: 1.0 - 2.0 * lambda, quartic: lambda }
    }

    /// The parameters.
    pub fn couplings(&self) -> Couplings {
        self.couplings
    }

    /// `kappa`.
    pub fn hopping(&self) -> f64 {
        self.couplings.hopping
    }

    /// `lambda`.
    pub fn lambda(&self) -> f64 {
        self.couplings.lambda
    }
}

/// `s(x) = -push x + square x^2 + quartic x^4`
#[derive(Clone, Copy, Debug)]
pub(crate) struct SiteAction {
    /// `2 kappa` times the sum of the neighbours.
    pub(crate) push: f64,
    /// `1 - 2 lambda`
    pub(crate) square: f64,
    /// `lambda`
    pub(crate) quartic: f64,
}

impl SiteAction {
    pub(crate) fn at(&self, x: f64) -> f64 {
        let x2 = x * x;
        self.quartic.mul_add(x2, self.square).mul_add(x2, -self.push * x)
    }
}

impl Target for Phi4 {
    fn sites(&self) -> usize {
        self.lattice.volume()
    }

    fn action(&self, x: Batch<'_>, mut out: ArrayViewMut1<'_, f64>) {
        let sites = self.sites();
        assert_eq!(x.ncols(), sites, "a configuration has one value per site");
        for (x, out) in values(&x).chunks_exact(sites).zip(&mut out) {
            *out = actions(self, Layout::Plain, x).iter().sum();
        }
    }

    fn force(&self, x: Batch<'_>, mut out: BatchMut<'_>) {
        let sites = self.sites();
        assert_eq!(x.ncols(), sites, "a configuration has one value per site");
        out.fill(0.0);
        for (x, out) in values(&x).chunks_exact(sites).zip(values_mut(&mut out).chunks_exact_mut(sites)) {
            kick_all(self, Layout::Plain, x, out, 1.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};
    use sde_core::{Noise, NormalSource};

    const SHAPES: [&[usize]; 7] = [&[2], &[7], &[5, 2], &[4, 6], &[2, 3], &[3, 4, 5], &[2, 3, 2, 4]];

    fn setup(extents: &[usize]) -> (Phi4, Array2<f64>) {
        let lattice = Lattice::new(extents).unwrap();
        let mut x = Array2::zeros((2, lattice.volume()));
        Noise::new(5, 0).block(0, 0).fill(0, x.as_slice_mut().unwrap());
        (Phi4::new(lattice, 0.31, 0.17).unwrap(), x)
    }

    #[test]
    fn masses_and_couplings_have_their_dimensions() {
        let physical = KineticCouplings { mass_squared: 2.0, quartic: 8.0 };
        for (dimension, quartic) in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 16.0)] {
            assert_eq!(physical.at_spacing(0.5, dimension), KineticCouplings { mass_squared: 0.5, quartic });
        }
    }

    /// The definition, over forward neighbours.
    #[test]
    fn the_action_is_the_sum_over_sites_and_bonds() {
        for extents in SHAPES {
            let (action, x) = setup(extents);
            let mut found = Array1::zeros(2);
            action.action(x.view(), found.view_mut());
            for (x, found) in x.outer_iter().zip(found) {
                let exact: f64 = (0..x.len())
                    .map(|site| {
                        let forward = action.lattice().neighbours(site);
                        let sum: f64 = forward.iter().step_by(2).map(|&there| x[there]).sum();
                        let phi = x[site];
                        -2.0 * 0.31 * phi * sum + (1.0 - 0.34) * phi * phi + 0.17 * phi.powi(4)
                    })
                    .sum();
                assert!((found - exact).abs() < 1e-12 * x.len() as f64, "{extents:?}: {found} {exact}");
            }
        }
    }

    #[test]
    fn the_force_is_minus_the_gradient() {
        for extents in SHAPES {
            let (action, x) = setup(extents);
            let mut force = Array2::zeros(x.dim());
            action.force(x.view(), force.view_mut());
            let h = 1e-5;
            for site in 0..x.ncols() {
                let at = |shift: f64| {
                    let mut moved = x.clone();
                    moved.column_mut(site).mapv_inplace(|x| x + shift);
                    let mut s = Array1::zeros(2);
                    action.action(moved.view(), s.view_mut());
                    s
                };
                let slope = (at(h) - at(-h)) / (2.0 * h);
                for row in 0..2 {
                    assert!((force[(row, site)] + slope[row]).abs() < 1e-8, "{extents:?}");
                }
            }
        }
    }

    #[test]
    fn bad_parameters_are_refused() {
        let lattice = || Lattice::new(&[4, 4]).unwrap();
        assert!(matches!(
            Phi4::new(lattice(), f64::NAN, 0.1),
            Err(Phi4Error::NotFinite { name: "hopping", .. })
        ));
        assert_eq!(Phi4::new(lattice(), 0.2, -0.1), Err(Phi4Error::Negative { name: "lambda", value: -0.1 }));
        assert_eq!(Phi4::new(lattice(), 0.25, 0.0), Err(Phi4Error::Unbounded { hopping: 0.25, bound: 0.25 }));
        assert!(Phi4::new(lattice(), 0.5, 0.1).is_ok());
    }

    /// `S` is the same number for `f = sqrt(2 kappa) phi`, up to no constant at all.
    #[test]
    fn both_conventions_are_the_same_theory() {
        let (action, x) = setup(&[4, 6]);
        let mut s = Array1::zeros(2);
        action.action(x.view(), s.view_mut());
        let KineticCouplings { mass_squared, quartic } = action.couplings().kinetic(2);
        let f = &x * (2.0 * action.hopping()).sqrt();
        for (f, s) in f.outer_iter().zip(s) {
            let other: f64 = (0..f.len())
                .map(|site| {
                    let forward = action.lattice().neighbours(site);
                    let kinetic: f64 =
                        forward.iter().step_by(2).map(|&there| 0.5 * (f[there] - f[site]).powi(2)).sum();
                    kinetic + 0.5 * mass_squared * f[site].powi(2) + quartic * f[site].powi(4)
                })
                .sum();
            assert!((s - other).abs() < 1e-12, "{s} {other}");
        }
    }
}
