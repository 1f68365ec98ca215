//! Momenta in shells of about the same length.
//!
//! Orbits of momenta are many and small. A shell joins those of about the same length: shell `k` holds the momenta with
//!
//! ```text
//! k = round( |p| / |p_1| ) ,     p^2 = sum_nu 4 sin^2(p_nu / 2) ,
//! ```
//!
//! where `p_1` is the smallest momentum above zero. Shell 0 is the zero mode alone; none is empty, as along an axis `|p|` grows
//! by steps of at most `|p_1|`.

use cumulants::Estimate;
use lattice_phi4::{Lattice, Orbits, Phi4, propagator};
use ndarray::{Array2, ArrayView2};
use sde_core::{EvalError, ScoreModel, Target};

/// The momentum shells of a lattice.
///
/// ```
/// use examples::lattice::Shells;
/// use lattice_phi4::Lattice;
///
/// // p^2 on 4 x 4 is 0, 2, 4, 6, 8 for 1, 4, 6, 4, 1 momenta: shell 1 is that of 2 and 4
/// let shells = Shells::new(&Lattice::new(&[4, 4])?);
/// assert_eq!(shells.momentum_squared().len(), 3);
/// assert!((shells.momentum_squared()[1] - (4.0 * 2.0 + 6.0 * 4.0) / 10.0).abs() < 1e-14);
/// # Ok::<(), lattice_phi4::LatticeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shells {
    lattice: Lattice,
    /// Of every orbit the shell, and its share of the momenta there.
    shares: Vec<(usize, f64)>,
    momentum_squared: Vec<f64>,
}

impl Shells {
    /// Sorts the momenta of a lattice into shells.
    pub fn new(lattice: &Lattice) -> Self {
        let orbits = Orbits::new(lattice);
        let squares: Vec<f64> = (0..orbits.len()).map(|orbit| orbits.momentum_squared(orbit)).collect();
        let smallest = squares.iter().copied().filter(|square| *square > 0.0).fold(f64::INFINITY, f64::min);
        let shell_of = |square: &f64| (square / smallest).sqrt().round() as usize;
        let places: Vec<usize> = squares.iter().map(shell_of).collect();
        let mut sizes = vec![0; places.iter().max().map_or(0, |last| last + 1)];
        places.iter().enumerate().for_each(|(orbit, place)| sizes[*place] += orbits.size(orbit));
        let share = |(orbit, place): (usize, usize)| (place, orbits.size(orbit) as f64 / sizes[place] as f64);
        let shares: Vec<(usize, f64)> = places.into_iter().enumerate().map(share).collect();
        let momentum_squared = average(&shares, sizes.len(), &squares);
        Self { lattice: lattice.clone(), shares, momentum_squared }
    }

    /// The mean of `p^2` over the momenta of each shell.
    pub fn momentum_squared(&self) -> &[f64] {
        &self.momentum_squared
    }

    /// The mean over the momenta of each shell of what is given by orbit, in the order of [`Orbits::new`].
    ///
    /// # Panics
    /// Unless there is one value for each orbit.
    pub fn average(&self, by_orbit: &[f64]) -> Vec<f64> {
        assert_eq!(by_orbit.len(), self.shares.len(), "one value for each orbit");
        average(&self.shares, self.momentum_squared.len(), by_orbit)
    }

    /// `G(p)` of every configuration, averaged over the shells: shape `(configurations, shells)`.
    ///
    /// # Panics
    /// If the rows of `fields` do not have one value per site.
    pub fn propagator(&self, fields: ArrayView2<'_, f64>) -> Array2<f64> {
        let by_orbit = propagator(&self.lattice, fields);
        let mut rows = Array2::zeros((fields.nrows(), self.momentum_squared.len()));
        for (by_orbit, mut row) in by_orbit.outer_iter().zip(rows.outer_iter_mut()) {
            for (value, (shell, share)) in by_orbit.iter().zip(&self.shares) {
                row[*shell] += share * value;
            }
        }
        rows
    }

    /// What a score without noise is wrong by, against the force `F = -dS/dphi` that it should be, for every shell
    ///
    /// ```text
    /// sum over p of < |s(phi, 0) - F(phi)|_p^2 >  /  sum over p of < |F(phi)|_p^2 > ,
    /// ```
    ///
    /// with its error over configurations.
    ///
    /// # Errors
    /// Of the score.
    pub fn score_error(
        &self,
        score: &dyn ScoreModel,
        action: &Phi4,
        fields: ArrayView2<'_, f64>,
    ) -> Result<Vec<Estimate>, EvalError> {
        let (mut wrong, mut force) = (Array2::zeros(fields.dim()), Array2::zeros(fields.dim()));
        score.score(fields, 0.0, wrong.view_mut())?;
        action.force(fields, force.view_mut());
        wrong -= &force;
        let (wrong, force) = (self.propagator(wrong.view()), self.propagator(force.view()));
        let ratio = |shell: usize| {
            let (wrong, force) = (wrong.column(shell), force.column(shell));
            let (value, n) = (wrong.sum() / force.sum(), force.len() as f64);
            let square: f64 = wrong.iter().zip(force).map(|(w, f)| (w - value * f).powi(2)).sum();
            Estimate { value, error: square.sqrt() / force.sum() * (n / (n - 1.0)).sqrt() }
        };
        Ok((0..self.momentum_squared.len()).map(ratio).collect())
    }
}

fn average(shares: &[(usize, f64)], shells: usize, by_orbit: &[f64]) -> Vec<f64> {
    let mut means = vec![0.0; shells];
    by_orbit.iter().zip(shares).for_each(|(value, (shell, share))| means[*shell] += share * value);
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use lattice_phi4::{SpectralScore, Spectrum};
    use sde_core::{Batch, BatchMut, Edm, Noise, NormalSource};

    #[test]
    fn shells_of_the_papers_lattice() {
        // |p|^2 goes up to 8, and |p_1| = 2 sin(pi / 32): the last shell is round(14.43).
        let shells = Shells::new(&Lattice::new(&[32, 32]).unwrap());
        let squares = shells.momentum_squared();
        assert_eq!((squares.len(), squares[0]), (15, 0.0));
        // Four momenta of p_1^2 and four of twice that, whose root rounds to 1.
        let smallest = 4.0 * (std::f64::consts::PI / 32.0).sin().powi(2);
        assert!((squares[1] / smallest - 1.5).abs() < 1e-14);
    }

    #[test]
    fn no_shell_is_empty() {
        for extents in [&[2, 2][..], &[3, 2], &[16, 2], &[2, 63], &[64, 5], &[2, 3, 2], &[31, 2, 4]] {
            let shells = Shells::new(&Lattice::new(extents).unwrap());
            assert!(shells.momentum_squared().windows(2).all(|pair| pair[0] < pair[1]), "{extents:?}");
        }
    }

    #[test]
    fn a_score_that_is_a_tenth_short_is_wrong_by_a_hundredth_everywhere() {
        let action = Phi4::new(Lattice::new(&[8, 8]).unwrap(), 0.2, 0.0).unwrap();
        let spectrum = Spectrum::free(action.lattice(), 0.2).unwrap();
        let exact = SpectralScore::new(&spectrum, Edm::new(10.0).unwrap());
        let mut fields = Array2::zeros((20, 64));
        Noise::new(9, 0).block(0, 0).fill(0, fields.as_slice_mut().unwrap());
        let short = Scaled(&exact, 0.9);
        let shells = Shells::new(action.lattice());
        for (score, known) in [(&exact as &dyn ScoreModel, 0.0), (&short, 0.01)] {
            for error in shells.score_error(score, &action, fields.view()).unwrap() {
                assert!((error.value - known).abs() < 1e-14 && error.error < 1e-14);
            }
        }
    }

    struct Scaled<'a>(&'a dyn ScoreModel, f64);

    impl ScoreModel for Scaled<'_> {
        fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
            self.0.score(x, t, out.view_mut())?;
            out *= self.1;
            Ok(())
        }
    }

    #[test]
    fn parseval() {
        let lattice = Lattice::new(&[4, 4]).unwrap();
        let mut fields = Array2::zeros((2, 16));
        Noise::new(8, 0).block(0, 0).fill(0, fields.as_slice_mut().unwrap());
        let rows = Shells::new(&lattice).propagator(fields.view());
        // The mean over a shell times its 1, 10 or 5 momenta, over all shells: the sum of phi^2.
        for (row, field) in rows.outer_iter().zip(fields.outer_iter()) {
            let sum: f64 = row.iter().zip([1.0, 10.0, 5.0]).map(|(g, size)| g * size).sum();
            assert!((sum - field.iter().map(|x| x * x).sum::<f64>()).abs() < 1e-12);
        }
    }
}
