//! One perturbative score for many parameters: between hopping parameters, and on lattices of other sizes.
//!
//! What a [`PerturbativeModel`] is made of varies smoothly, and can be carried to where nothing was fitted. Path weights make the
//! result exact all the same; what the journey costs is effective sample size.
//!
//! **Hopping.** Between two fits, linear in `kappa`: the inverse propagator `1/G(p)`, which for the free field is linear in it; the
//! coefficients and linear parts at equal noise, zero above the highest level of a fit; and the [`ConstraintPotential`](crate::ConstraintPotential) in units of
//! the deviation of the zero mode.
//!
//! **Size.** `1/G` and linear parts are functions of the lattice momentum `p^2 = sum_nu 4 sin^2(p_nu/2)`, linear between those of the
//! old lattice; the coefficients belong to vertices and stay. The constraint potential is extensive, `U = V u(m)`, so that with
//! `a = m sqrt(V)` and `r = V'/V`
//!
//! ```text
//! U'(a) = r U( a / sqrt(r) ) ,
//! ```
//!
//! and the susceptibility on the new lattice is the variance under it: where the field is Gaussian the old one, in the ordered phase
//! one that grows with the volume.

use crate::{Lattice, Level, Orbits, PerturbativeModel, Spectrum};

/// Models that cannot be carried over.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TransferError {
    /// There is nothing to interpolate between.
    #[error("{found} models: expected at least two")]
    TooFew {
        /// How many there are.
        found: usize,
    },
    /// Hopping parameters must be finite and ascending.
    #[error("hopping[{place}] = {value}: expected finite numbers in ascending order")]
    Order {
        /// Place in the list.
        place: usize,
        /// The value there.
        value: f64,
    },
    /// Outside of where models were fitted the coefficients are not known.
    #[error("hopping = {found}: expected one between {low} and {high}, where models were fitted")]
    Outside {
        /// The lowest hopping of a model.
        low: f64,
        /// The highest.
        high: f64,
        /// What was asked for.
        found: f64,
    },
    /// Models of other lattices, phases or features have no common coefficients.
    #[error("model {place}: expected the {what} of model 0")]
    Different {
        /// Place in the list.
        place: usize,
        /// `lattice`, `mean` or `features`.
        what: &'static str,
    },
    /// A model about a mean knows nothing of other sizes: it has no potential of the magnetisation.
    #[error("the model is about the mean {mean}: only one about zero can be carried to another lattice")]
    Ordered {
        /// Its mean.
        mean: f64,
    },
    /// Lattices of other dimensions have other momenta.
    #[error("lattice: {found} dimensions, expected {expected}")]
    Dimension {
        /// Those of the model.
        expected: usize,
        /// Those of the lattice.
        found: usize,
    },
}

impl PerturbativeModel {
    /// The model at `hopping`, between the two of `models`, pairs of hopping and model in ascending order, that are next to it.
    ///
    /// ```
    /// use lattice_phi4::{Lattice, PerturbativeModel, Spectrum};
    ///
    /// let lattice = Lattice::new(&[8, 8])?;
    /// let free = |hopping| Spectrum::free(&lattice, hopping).map(PerturbativeModel::gaussian);
    /// let (a, b) = (free(0.1)?, free(0.2)?);
    /// let between = PerturbativeModel::interpolated(&[(0.1, &a), (0.2, &b)], 0.17)?;
    /// // exact for the free field
    /// for (found, exact) in between.spectrum().variances().iter().zip(free(0.17)?.spectrum().variances()) {
    ///     assert!((found / exact - 1.0).abs() < 1e-12);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TransferError`] for less than two models, hopping parameters out of order or outside of those of the models, and models of
    /// different lattices, means or features.
    pub fn interpolated(models: &[(f64, &Self)], hopping: f64) -> Result<Self, TransferError> {
        let [(low, first), .., (high, _)] = models else {
            return Err(TransferError::TooFew { found: models.len() });
        };
        for (place, pair) in models.windows(2).enumerate() {
            if !(pair[0].0 < pair[1].0 && pair[1].0.is_finite() && pair[0].0.is_finite()) {
                return Err(TransferError::Order { place: place + 1, value: pair[1].0 });
            }
        }
        for (place, (_, model)) in models.iter().enumerate() {
            let different = |what| Err(TransferError::Different { place, what });
            if model.spectrum.extents() != first.spectrum.extents() {
                return different("lattice");
            }
            if (model.spectrum.mean() == 0.0) != (first.spectrum.mean() == 0.0) {
                return different("mean");
            }
            if model.features != first.features || model.potential.is_some() != first.potential.is_some() {
                return different("features");
            }
        }
        if !(*low <= hopping && hopping <= *high) {
            return Err(TransferError::Outside { low: *low, high: *high, found: hopping });
        }
        let upper = models.partition_point(|(at, _)| *at < hopping).max(1);
        let ((from, a), (to, b)) = (models[upper - 1], models[upper]);
        Ok(a.mixed(b, (hopping - from) / (to - from)))
    }

    /// `1 - part` of this model, and `part` of `other`.
    fn mixed(&self, other: &Self, part: f64) -> Self {
        let mix = |a: f64, b: f64| (1.0 - part).mul_add(a, part * b);
        let mix_all = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| mix(*a, *b)).collect::<Vec<_>>();
        let (a, b) = (&self.spectrum, &other.spectrum);
        let variances = a.variances().iter().zip(b.variances());
        let variances: Vec<f64> = variances.map(|(a, b)| mix(a.recip(), b.recip()).recip()).collect();
        let root = variances[0].sqrt();
        let potential = self.potential.as_ref().zip(other.potential.as_ref());
        let potential = potential.map(|(p, q)| {
            let [p, q] =
                [(p, a), (q, b)].map(|(of, spectrum)| of.stretched(root / spectrum.variances()[0].sqrt()));
            p.mixed(&q, part)
        });
        let spectrum = Spectrum::new(&a.lattice(), mix(a.mean(), b.mean()), variances);
        // The levels of the model that reaches further.
        let reach = |model: &Self| model.levels.last().map_or(0.0, |level| level.noise);
        let levels = if reach(self) > reach(other) { &self.levels } else { &other.levels };
        let level = |noise: f64| {
            let [a, b] = [self, other].map(|model| model.at(noise).unwrap_or_else(|| model.nothing(noise)));
            Level {
                noise,
                coefficients: mix_all(&a.coefficients, &b.coefficients),
                zero_mode: mix_all(&a.zero_mode, &b.zero_mode),
                linear: mix_all(&a.linear, &b.linear),
                constant: mix(a.constant, b.constant),
                bound: mix(a.bound, b.bound),
                condition: f64::NAN,
                gain: f64::NAN,
            }
        };
        Self {
            spectrum: spectrum.expect("what lies between positive numbers is positive"),
            potential,
            features: self.features.clone(),
            levels: levels.iter().map(|of| level(of.noise)).collect(),
        }
    }

    /// A level without features.
    fn nothing(&self, noise: f64) -> Level {
        let zeros = vec![0.0; self.features.len()];
        Level {
            noise,
            coefficients: zeros.clone(),
            zero_mode: zeros,
            linear: vec![0.0; self.spectrum.variances().len()],
            constant: 0.0,
            bound: self.levels.last().map_or(1.0, |level| level.bound),
            condition: f64::NAN,
            gain: f64::NAN,
        }
    }

    /// The same model on a lattice of other extents.
    ///
    /// ```
    /// use lattice_phi4::{Lattice, PerturbativeModel, Spectrum};
    ///
    /// let free = |extent| Spectrum::free(&Lattice::new(&[extent, extent])?, 0.2).map_err(Box::<dyn std::error::Error>::from);
    /// let carried = PerturbativeModel::gaussian(free(8)?).on_lattice(&Lattice::new(&[32, 32])?)?;
    /// // 1/G is linear in p^2 for the free field
    /// for (found, exact) in carried.spectrum().variances().iter().zip(free(32)?.variances()) {
    ///     assert!((found / exact - 1.0).abs() < 1e-12);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`TransferError::Ordered`] for a model about a mean, [`TransferError::Dimension`] for a lattice of another dimension.
    pub fn on_lattice(&self, lattice: &Lattice) -> Result<Self, TransferError> {
        let old = self.spectrum.lattice();
        if self.spectrum.mean() != 0.0 {
            return Err(TransferError::Ordered { mean: self.spectrum.mean() });
        }
        if lattice.dimension() != old.dimension() {
            return Err(TransferError::Dimension { expected: old.dimension(), found: lattice.dimension() });
        }
        if lattice.extents() == old.extents() {
            return Ok(self.clone());
        }
        let [from, to] = [&old, lattice].map(Orbits::new);
        let carry = Carry::new(&from, &to);
        let inverse: Vec<f64> = self.spectrum.variances().iter().map(|g| g.recip()).collect();
        let mut variances: Vec<f64> = carry.to(&inverse).iter().map(|inverse| inverse.recip()).collect();
        let ratio = lattice.volume() as f64 / old.volume() as f64;
        let potential = self.potential.as_ref().map(|potential| potential.on_volume(ratio));
        if let Some(potential) = &potential {
            variances[0] = potential.variance();
        }
        let level = |level: &Level| Level { linear: carry.to(&level.linear), ..level.clone() };
        Ok(Self {
            spectrum: Spectrum::new(lattice, 0.0, variances)
                .expect("what lies between positive numbers is positive"),
            potential,
            features: self.features.clone(),
            levels: self.levels.iter().map(level).collect(),
        })
    }
}

/// Functions of the lattice momentum, from one lattice to another.
struct Carry {
    /// Old orbits in the order of their momentum.
    order: Vec<usize>,
    /// For every new orbit two places in the order, and the part of the second.
    places: Vec<(usize, usize, f64)>,
}

impl Carry {
    fn new(from: &Orbits, to: &Orbits) -> Self {
        let mut order: Vec<usize> = (0..from.len()).collect();
        order.sort_by(|a, b| from.momentum_squared(*a).total_cmp(&from.momentum_squared(*b)));
        let known: Vec<f64> = order.iter().map(|&orbit| from.momentum_squared(orbit)).collect();
        let place = |orbit| {
            let square = to.momentum_squared(orbit);
            // Rounding must not tell apart what is the same.
            let upper = known.partition_point(|k| *k < square - 1e-12).clamp(1, known.len() - 1);
            let (below, above) = (known[upper - 1], known[upper]);
            let part = if above > below { ((square - below) / (above - below)).clamp(0.0, 1.0) } else { 0.0 };
            (upper - 1, upper, part)
        };
        Self { places: (0..to.len()).map(place).collect(), order }
    }

    /// From a number for each old orbit to one for each new one; zero momentum keeps its own.
    fn to(&self, values: &[f64]) -> Vec<f64> {
        let at = |place: usize| values[self.order[place]];
        self.places.iter().map(|&(a, b, part)| (1.0 - part).mul_add(at(a), part * at(b))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Feature, FieldPrior, FitConfig};
    use sde_core::{Edm, Noise};

    /// Fitted to a free field, with all features.
    fn model(extents: &[usize], hopping: f64) -> PerturbativeModel {
        let free = Spectrum::free(&Lattice::new(extents).unwrap(), hopping).unwrap();
        let fields = FieldPrior::Matched.draw(&free, &Edm::new(1.0).unwrap(), 0.0, 200, &Noise::new(1, 0));
        let noise = vec![0.3, 1.0, 3.0];
        let config = FitConfig { features: Feature::SYMMETRIC.to_vec(), noise, ridge: 1e-6, seed: 1 };
        PerturbativeModel::fit(free, fields.view(), None, &config).unwrap()
    }

    #[test]
    fn at_its_own_place_a_model_is_itself() {
        let (a, b) = (model(&[4, 4], 0.1), model(&[4, 4], 0.2));
        assert_eq!(a.on_lattice(&Lattice::new(&[4, 4]).unwrap()).unwrap(), a);
        for (hopping, exact) in [(0.1, &a), (0.2, &b)] {
            let found = PerturbativeModel::interpolated(&[(0.1, &a), (0.2, &b)], hopping).unwrap();
            for (x, y) in found.spectrum.variances().iter().zip(exact.spectrum.variances()) {
                assert!((x / y - 1.0).abs() < 1e-14);
            }
            for (x, y) in found.levels.iter().zip(&exact.levels) {
                assert_eq!(
                    (&x.coefficients, &x.zero_mode, &x.linear),
                    (&y.coefficients, &y.zero_mode, &y.linear)
                );
            }
            let [x, y] = [&found, exact].map(|model| model.potential.as_ref().unwrap());
            for k in 0..10 {
                let amplitude = 0.1 * f64::from(k) * x.largest;
                assert!((x.at(amplitude) - y.at(amplitude)).abs() < 1e-11 * (1.0 + y.at(amplitude).abs()));
            }
        }
    }

    #[test]
    fn a_potential_is_extensive() {
        let small = model(&[4, 4], 0.1);
        let large = small.on_lattice(&Lattice::new(&[8, 4]).unwrap()).unwrap();
        let [u, v] = [&small, &large].map(|model| model.potential().unwrap());
        // At the same magnetisation.
        let m = 0.05;
        assert!((v.at(m * 32f64.sqrt()) - 2.0 * u.at(m * 16f64.sqrt())).abs() < 1e-12);
        // And back.
        let back = large.on_lattice(&Lattice::new(&[4, 4]).unwrap()).unwrap();
        assert!((back.potential().unwrap().at(1.0) - u.at(1.0)).abs() < 1e-12);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (a, b, other) = (model(&[4, 4], 0.1), model(&[4, 4], 0.2), model(&[4, 2], 0.2));
        let refused = |models: &[(f64, &PerturbativeModel)], hopping| {
            PerturbativeModel::interpolated(models, hopping).unwrap_err().to_string()
        };
        assert_eq!(refused(&[(0.1, &a)], 0.1), "1 models: expected at least two");
        let order = "hopping[1] = 0.1: expected finite numbers in ascending order";
        assert_eq!(refused(&[(0.2, &a), (0.1, &b)], 0.1), order);
        let outside = "hopping = 0.3: expected one between 0.1 and 0.2, where models were fitted";
        assert_eq!(refused(&[(0.1, &a), (0.2, &b)], 0.3), outside);
        assert_eq!(refused(&[(0.1, &a), (0.2, &other)], 0.15), "model 1: expected the lattice of model 0");
        let gaussian = PerturbativeModel::gaussian(b.spectrum.clone());
        assert_eq!(
            refused(&[(0.1, &a), (0.2, &gaussian)], 0.15),
            "model 1: expected the features of model 0"
        );
        let lattice = Lattice::new(&[4, 4, 4]).unwrap();
        assert_eq!(a.on_lattice(&lattice).unwrap_err().to_string(), "lattice: 3 dimensions, expected 2");
        let variances = a.spectrum.variances().to_vec();
        let ordered = Spectrum::new(&Lattice::new(&[4, 4]).unwrap(), 2.0, variances).unwrap();
        let refused = PerturbativeModel::gaussian(ordered).on_lattice(&lattice).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the model is about the mean 2: only one about zero can be carried to another lattice"
        );
    }
}
