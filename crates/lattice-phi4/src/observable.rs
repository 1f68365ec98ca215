//! Observables: functions of the mean values of what is measured.
//!
//! Nearly everything that is quoted from a lattice simulation is a function of the means of several [`Primary`] quantities. An
//! [`Observable`] knows which ones and how, and the Gamma method of the `cumulants` crate propagates errors and
//! autocorrelations.
//!
//! | observable | formula |
//! | --- | --- |
//! | action density | `S/V = -2 kappa nn + (1 - 2 lambda) phi^2 + lambda phi^4` [5.4] |
//! | susceptibility | `chi = V E[m^2]`; connected `V (E[m^2] - E[abs m]^2)` |
//! | Binder cumulant | `U_4 = 1 - E[m^4] / (3 E[m^2]^2)`: 0 for a normal `m`, 2/3 for two values |
//! | correlation length | `xi = sqrt( G(0)/G(p_1) - 1 ) / (2 sin(pi/L))`, by second moments |
//! | effective mass | `m(t) = arcosh( (C(t-1) + C(t+1)) / (2 C(t)) )`, a plateau at the gap |
//! | four-point function | `chi_4 = V^3 (E[m^4] - 3 E[m^2]^2)`, connected, at zero momentum |
//! | renormalised coupling | `g_R = -chi_4 / (chi^2 xi^d) = 3 U_4 V / xi^d` |
//! | local cumulants | `kappa_n` of the field at one site, from even moments only: odd ones vanish by symmetry |
//! | shape | `kappa_n / kappa_2^(n/2)`, the same for normalised fields [A.5] |
//!
//! **Schwinger-Dyson equations.** Integrating `d/dphi_x ( F e^(-S) )` by parts, `E[F dS/dphi_x] = E[dF/dphi_x]` for any `F`.
//! With `dS/dphi_x = -2 kappa sum_nbrs phi + 2 (1 - 2 lambda) phi_x + 4 lambda phi_x^3`, the difference of the two sides is
//! zero in equilibrium, exactly and at any volume, and its error is that of any other mean:
//!
//! | `F` | residual |
//! | --- | --- |
//! | `phi_x` | `-4 kappa nn + 2 (1-2 lambda) phi^2 + 4 lambda phi^4 - 1` |
//! | `phi_x^3` | `-2 kappa cubic + 2 (1-2 lambda) phi^4 + 4 lambda phi^6 - 3 phi^2` |
//! | `m` | `V [ (2 (1-2 lambda) - 4 d kappa) m^2 + 4 lambda m phi^3 ] - 1` |
//!
//! The first two see short distances, the third the zero mode.

use crate::{Measurements, Phi4, Primary};
use cumulants::{ChainError, GammaEstimate, GammaMethod, cumulants_from_moments};
use std::f64::consts::PI;

/// A function of expectation values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observable {
    /// `E[phi^2]`.
    Phi2,
    /// `E[phi^4]`.
    Phi4,
    /// `E[sum_nu phi_x phi_(x+nu)]` over forward neighbours.
    Neighbours,
    /// `E[S] / V`.
    ActionDensity,
    /// `E[m]`, zero by symmetry.
    MeanM,
    /// `E[|m|]`.
    AbsM,
    /// Susceptibility `V E[m^2]`.
    VolumeM2,
    /// Connected susceptibility `V (E[m^2] - E[|m|]^2)`.
    ConnectedSusceptibility,
    /// Binder cumulant `U_4`.
    Binder,
    /// Local cumulant of even order 2 to 8.
    Cumulant(usize),
    /// Ratio `kappa_n / kappa_2^(n/2)`, even `n` from 4 to 8: the shape of the local distribution, whatever its width.
    Shape(usize),
    /// `G(p)` at the smallest momentum along an axis of the largest extent.
    LowestMomentum,
    /// Slice correlator `C(t)`, `0 <= t <= L_0/2`.
    Correlator(usize),
    /// Effective mass from three slices, `1 <= t < L_0/2`.
    EffectiveMass(usize),
    /// Second-moment correlation length.
    XiSecondMoment,
    /// Connected four-point function at zero momentum.
    FourPoint,
    /// Renormalised coupling.
    RenormalisedCoupling,
    /// Residual of the Schwinger-Dyson equation with this `F`.
    SchwingerDyson(Probe),
}

/// The function `F` of a Schwinger-Dyson equation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// `phi_x`.
    Field,
    /// `phi_x^3`.
    Cube,
    /// `m`.
    Magnetisation,
}

impl Observable {
    /// What a table of an ensemble shows.
    pub const TABLE: [Self; 20] = [
        Self::Phi2,
        Self::Phi4,
        Self::Neighbours,
        Self::ActionDensity,
        Self::MeanM,
        Self::AbsM,
        Self::VolumeM2,
        Self::ConnectedSusceptibility,
        Self::Binder,
        Self::Cumulant(2),
        Self::Cumulant(4),
        Self::Cumulant(6),
        Self::Cumulant(8),
        Self::Shape(4),
        Self::Shape(6),
        Self::Shape(8),
        Self::LowestMomentum,
        Self::XiSecondMoment,
        Self::FourPoint,
        Self::RenormalisedCoupling,
    ];

    /// A name for tables and files.
    pub fn name(self) -> String {
        match self {
            Self::Phi2 => "phi2".into(),
            Self::Phi4 => "phi4".into(),
            Self::Neighbours => "nn".into(),
            Self::ActionDensity => "action_density".into(),
            Self::MeanM => "mean_m".into(),
            Self::AbsM => "abs_m".into(),
            Self::VolumeM2 => "volume_m2".into(),
            Self::ConnectedSusceptibility => "susceptibility_connected".into(),
            Self::Binder => "binder".into(),
            Self::Cumulant(order) => format!("kappa_{order}"),
            Self::Shape(order) => format!("shape_{order}"),
            Self::LowestMomentum => "propagator_shell_1".into(),
            Self::Correlator(t) => format!("correlator_{t}"),
            Self::EffectiveMass(t) => format!("effective_mass_{t}"),
            Self::XiSecondMoment => "xi_second_moment".into(),
            Self::FourPoint => "four_point".into(),
            Self::RenormalisedCoupling => "coupling_renormalised".into(),
            Self::SchwingerDyson(Probe::Field) => "schwinger_dyson_phi".into(),
            Self::SchwingerDyson(Probe::Cube) => "schwinger_dyson_phi3".into(),
            Self::SchwingerDyson(Probe::Magnetisation) => "schwinger_dyson_m".into(),
        }
    }

    /// Estimates the observable from chains of `per_chain` configurations each, one chain after the other.
    ///
    /// ```
    /// use lattice_phi4::{Chains, Hmc, Lattice, Leap, Measurements, Observable, Phi4};
    ///
    /// // The free field on 8 x 8 at hopping 0.1: chi = 1 / (2 - 8 kappa).
    /// let action = Phi4::new(Lattice::new(&[8, 8])?, 0.1, 0.0)?;
    /// let mut chains = Chains::hot(&action, 8, 1.0, 1);
    /// let mut measured = Measurements::new(action.lattice());
    /// let hmc = Hmc::new(1.0, 8, Leap::Leapfrog)?;
    /// chains.run(&action, &[&hmc], 20);
    /// for _ in 0..200 {
    ///     chains.run(&action, &[&hmc], 1);
    ///     measured.extend(chains.fields.view());
    /// }
    /// let chi = Observable::VolumeM2.estimate(&action, &measured.by_chain(8), 200)?;
    /// assert!(chi.estimate().pull(1.0 / 1.2).abs() < 4.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ChainError`] for chains of less than four configurations, and [`ChainError::Function`] where noise leaves the
    /// formula's domain, such as the square root of a negative `G(0)/G(p_1) - 1`.
    ///
    /// # Panics
    /// For an odd cumulant, one above order 8, or a distance that is not measured.
    pub fn estimate(
        self,
        action: &Phi4,
        measured: &Measurements,
        per_chain: usize,
    ) -> Result<GammaEstimate, ChainError> {
        let primaries = self.primaries();
        let rows = measured.columns(&primaries);
        let rows = rows.as_standard_layout();
        let values = sde_core::values(&rows.view()).to_vec();
        let chains: Vec<&[f64]> = values.chunks((per_chain * primaries.len()).max(1)).collect();
        let found =
            GammaMethod::default().derived(&chains, primaries.len(), |means| self.value(action, means))?;
        match self {
            Self::EffectiveMass(_) => mass_from_ratio(found),
            _ => Ok(found),
        }
    }

    /// The formula put to each configuration by itself: the history of an observable that is linear in its primaries.
    pub(crate) fn of_each(self, action: &Phi4, measured: &Measurements) -> Vec<f64> {
        let rows = measured.columns(&self.primaries());
        rows.outer_iter().map(|row| self.value(action, &row.to_vec())).collect()
    }

    /// The quantities whose means it is a function of.
    ///
    /// # Panics
    /// For an odd cumulant, or one above order 8.
    pub fn primaries(self) -> Vec<Primary> {
        use Primary::{AbsM, CubicNeighbours, LowestMomentum, M2, M4, MCube, Neighbours, Power, Slice};
        match self {
            Self::Phi2 => vec![Power(2)],
            Self::Phi4 => vec![Power(4)],
            Self::Neighbours => vec![Neighbours],
            Self::ActionDensity | Self::SchwingerDyson(Probe::Field) => {
                vec![Neighbours, Power(2), Power(4)]
            }
            Self::MeanM => vec![Power(1)],
            Self::AbsM => vec![AbsM],
            Self::VolumeM2 => vec![M2],
            Self::ConnectedSusceptibility => vec![M2, AbsM],
            Self::Binder | Self::FourPoint => vec![M2, M4],
            Self::Cumulant(order) | Self::Shape(order) => {
                assert!(matches!(order, 2 | 4 | 6 | 8), "cumulants 2, 4, 6 and 8 are measured, not {order}");
                (1..=order / 2).map(|k| Power(2 * k)).collect()
            }
            Self::LowestMomentum => vec![LowestMomentum],
            Self::Correlator(t) => vec![Slice(t)],
            Self::EffectiveMass(t) => vec![Slice(t - 1), Slice(t), Slice(t + 1)],
            Self::XiSecondMoment => vec![M2, LowestMomentum],
            Self::RenormalisedCoupling => vec![M2, M4, LowestMomentum],
            Self::SchwingerDyson(Probe::Cube) => vec![CubicNeighbours, Power(2), Power(4), Power(6)],
            Self::SchwingerDyson(Probe::Magnetisation) => vec![M2, MCube],
        }
    }

    /// The observable from the means of its [`primaries`](Self::primaries): for means that are not plain ones, such as
    /// those of weighted configurations. Of the effective mass it is the hyperbolic cosine.
    ///
    /// # Panics
    /// If there are fewer means.
    pub fn value(self, action: &Phi4, mean: &[f64]) -> f64 {
        let (hopping, lambda) = (action.hopping(), action.lambda());
        let quadratic = 1.0 - 2.0 * lambda;
        let lattice = action.lattice();
        let (volume, dimension) = (lattice.volume() as f64, lattice.dimension() as f64);
        let binder = |m2: f64, m4: f64| 1.0 - m4 / (3.0 * m2 * m2);
        let xi = |m2: f64, lowest: f64| {
            let longest = lattice.extents().iter().max().copied().unwrap_or(1);
            (volume * m2 / lowest - 1.0).sqrt() / (2.0 * (PI / longest as f64).sin())
        };
        match self {
            Self::Phi2
            | Self::Phi4
            | Self::Neighbours
            | Self::MeanM
            | Self::AbsM
            | Self::LowestMomentum
            | Self::Correlator(_) => mean[0],
            Self::ActionDensity => -2.0 * hopping * mean[0] + quadratic * mean[1] + lambda * mean[2],
            Self::VolumeM2 => volume * mean[0],
            Self::ConnectedSusceptibility => volume * (mean[0] - mean[1] * mean[1]),
            Self::Binder => binder(mean[0], mean[1]),
            Self::Cumulant(order) => {
                let moments: Vec<f64> = mean.iter().flat_map(|&even| [0.0, even]).collect();
                cumulants_from_moments(&moments)[order - 1]
            }
            Self::Shape(order) => {
                let moments: Vec<f64> = mean.iter().flat_map(|&even| [0.0, even]).collect();
                cumulants_from_moments(&moments)[order - 1] / mean[0].powi(order as i32 / 2)
            }
            Self::EffectiveMass(_) => (mean[0] + mean[2]) / (2.0 * mean[1]),
            Self::XiSecondMoment => xi(mean[0], mean[1]),
            Self::FourPoint => volume.powi(3) * (mean[1] - 3.0 * mean[0] * mean[0]),
            Self::RenormalisedCoupling => {
                3.0 * binder(mean[0], mean[1]) * volume / xi(mean[0], mean[2]).powf(dimension)
            }
            Self::SchwingerDyson(Probe::Field) => {
                -4.0 * hopping * mean[0] + 2.0 * quadratic * mean[1] + 4.0 * lambda * mean[2] - 1.0
            }
            Self::SchwingerDyson(Probe::Cube) => {
                -2.0 * hopping * mean[0] + 2.0 * quadratic * mean[2] + 4.0 * lambda * mean[3] - 3.0 * mean[1]
            }
            Self::SchwingerDyson(Probe::Magnetisation) => {
                let linear = 2.0 * quadratic - 4.0 * dimension * hopping;
                volume * (linear * mean[0] + 4.0 * lambda * mean[1]) - 1.0
            }
        }
    }
}

/// The mass from its `cosh`, whose estimate is smooth where the inverse function is not.
fn mass_from_ratio(ratio: GammaEstimate) -> Result<GammaEstimate, ChainError> {
    if ratio.value <= 1.0 {
        return Err(ChainError::Function);
    }
    let mass = ratio.value.acosh();
    let slope = 1.0 / mass.sinh();
    Ok(GammaEstimate {
        value: mass,
        error: ratio.error * slope,
        error_of_error: ratio.error_of_error * slope,
        bias: ratio.bias * slope,
        ..ratio
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cosh ln 2 = 5/4`, where the slope of the inverse is `1 / sinh ln 2 = 4/3`.
    #[test]
    fn errors_follow_the_slope() {
        let ratio = GammaEstimate {
            value: 1.25,
            error: 0.3,
            error_of_error: 0.03,
            tau_int: 0.7,
            tau_int_error: 0.1,
            window: 3,
            bias: -0.06,
            measurements: 100,
        };
        let mass = mass_from_ratio(ratio).unwrap();
        let found = [mass.value, mass.error, mass.error_of_error, mass.bias];
        let expected = [2_f64.ln(), 0.4, 0.04, -0.08];
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-15), "{found:?}");
        assert_eq!((mass.tau_int, mass.window, mass.measurements), (0.7, 3, 100));
        assert_eq!(mass_from_ratio(GammaEstimate { value: 1.0, ..ratio }), Err(ChainError::Function));
    }
}
