//! The score of fields that are in equilibrium about the minima of their potential, but not as a whole.
//!
//! Where domains of both signs are left, the density of the ensemble is not known. But what little noise `s` hides of a field is
//! a matter of its surroundings, and those are in equilibrium with the action: given `x = phi + s z`, the field has the density
//! `exp( -S(phi) - |x - phi|^2 / 2 s^2 )`. To one loop, its mean `D` solves
//!
//! ```text
//! D = x + s^2 [ F(D) - 12 lambda v D ] ,       v = mean over modes of  G s^2 / (G + s^2) ,
//! ```
//!
//! with the force `F = -dS/dphi`, and `v` the variance that is left at a site: `<phi^3> = D^3 + 3 v D`. `G` is the propagator
//! about the minima, which the loop moves,
//!
//! ```text
//! M^2 = M_0^2 - 3 v ,      M_0^2 = [ 2 d kappa - (1 - 2 lambda) ] / (2 lambda) ,
//! 1/G(p) = 2 (1 - 2 lambda) + 12 lambda (M_0^2 - 2 v) - 4 kappa sum_nu cos p_nu .
//! ```
//!
//! With `D = x + s^2 q` the steps `q <- q + W [ F(D) - 12 lambda v D - q ]`, `W = G / (G + s^2)`, solve the equation for the score
//! `q`: the first is all there is to do where the action is quadratic about `M`; in the walls it takes a few.
//!
//! In the middle of a wall, at `phi = 0`, the action is curved downwards by `1/s_w^2 = 4 d kappa - 2 (1 - 2 lambda)` at zero
//! momentum. From `s = s_w` on, the field given `x` is no longer in one place there: the noise hides where walls are, and that
//! the action does not know. There another score takes over.

use crate::pairs::{PairFilter, PairTransform};
use crate::{Orbits, Phi4};
use ndarray::{Array2, Zip};
use sde_core::{Batch, BatchMut, EvalError, NoiseSchedule, ScoreModel, Target, values_mut};

/// Steps that solve for the mean; more change nothing below `1.5 s_w`.
const STEPS: usize = 3;
/// Steps that solve for `v`: each gains two digits where fluctuations are a tenth of what they may be.
const LOOPS: usize = 30;
/// Noise in units of `s_w` from which on nothing is left of the local score.
const END: f64 = 1.5;

/// Magnitude in units of `M_0` that no mean has: further out the cubic force would throw the steps ever further.
const FAR: f64 = 2.0;

/// There are no domains.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error(
    "hopping = {hopping}, lambda = {lambda}: the field has no two minima that are further apart than its fluctuations, \
     so there are no domains"
)]
pub struct DomainError {
    /// The hopping parameter.
    pub hopping: f64,
    /// The coupling.
    pub lambda: f64,
}

/// The score of fields in equilibrium about two minima, below noise `s_w`; that of `base` from `1.5 s_w` on, and a mixture of
/// the two between.
///
/// Over a Gaussian base it is worth 79 nats in an e-fold of the noise about 0.8, for configurations of 32 x 32 sites of the published
/// protocol at hopping 0.4.
///
/// ```
/// use lattice_phi4::{DomainScore, Lattice, Phi4};
/// use sde_core::{Edm, ScoreFn, ScoreModel, ndarray::Array2};
///
/// let (edm, base) = (Edm::new(10.0)?, ScoreFn(|x: f64, s: f64| -x / (14.0 + s * s)));
/// let action = Phi4::new(Lattice::new(&[8, 8])?, 0.4, 0.022)?;
/// let score = DomainScore::new(&action, base, edm)?;
/// // Near a minimum, with hardly any noise, the field is pulled back with the stiffness 8 lambda M^2.
/// let (m, stiffness) = (14.636363636363635_f64.sqrt(), 8.0 * 0.022 * 14.636363636363635);
/// let noise = 1e-3_f64;
/// let mut s = Array2::zeros((1, 64));
/// score.score(Array2::from_elem((1, 64), m + 0.001).view(), noise, s.view_mut())?;
/// assert!((s[(0, 0)] + 0.001 * stiffness).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DomainScore<B, S> {
    action: Phi4,
    base: B,
    schedule: S,
    orbits: Orbits,
    transform: PairTransform,
    /// `1/G(p)` at `v = 0`, by orbit.
    stiffness: Vec<f64>,
    /// `s_w`.
    wall: f64,
    /// `M_0`.
    minimum: f64,
}

impl<B: ScoreModel, S: NoiseSchedule> DomainScore<B, S> {
    /// The score of fields with this action, noised by `schedule`, which is that of `base` as well.
    ///
    /// # Errors
    /// [`DomainError`] unless the action has two minima, which stay where noise of `1.5 s_w` lets the field fluctuate.
    pub fn new(action: &Phi4, base: B, schedule: S) -> Result<Self, DomainError> {
        let (kappa, lambda) = (action.hopping(), action.lambda());
        let none = DomainError { hopping: kappa, lambda };
        let (orbits, dimension) = (Orbits::new(action.lattice()), action.lattice().dimension());
        let downwards = 4.0 * dimension as f64 * kappa - 2.0 * (1.0 - 2.0 * lambda);
        if downwards <= 0.0 || lambda == 0.0 {
            return Err(none);
        }
        // 8 lambda M_0^2, and sum_nu 4 sin^2(p_nu / 2) in place of the cosines.
        let stiffness = |orbit| 2.0 * (downwards + kappa * orbits.momentum_squared(orbit));
        let score = Self {
            stiffness: (0..orbits.len()).map(stiffness).collect(),
            transform: PairTransform::new(action.lattice()),
            action: action.clone(),
            base,
            schedule,
            orbits,
            wall: downwards.sqrt().recip(),
            minimum: (downwards / (4.0 * lambda)).sqrt(),
        };
        match score.fluctuations((END * score.wall).powi(2)) {
            Some(_) => Ok(score),
            None => Err(none),
        }
    }

    /// `s_w`: the noise from which on walls may be anywhere.
    pub fn wall_noise(&self) -> f64 {
        self.wall
    }

    /// `W` by orbit, and `v`, if there is a minimum to fluctuate about.
    fn fluctuations(&self, square: f64) -> Option<(Vec<f64>, f64)> {
        let lambda = self.action.lambda();
        let mut wiener = vec![0.0; self.stiffness.len()];
        let mut v = 0.0;
        for _ in 0..LOOPS {
            let mut sum = 0.0;
            for (orbit, (w, stiffness)) in wiener.iter_mut().zip(&self.stiffness).enumerate() {
                let inverse = stiffness - 24.0 * lambda * v;
                if inverse <= 0.0 {
                    return None;
                }
                *w = (1.0 + square * inverse).recip();
                sum += self.orbits.size(orbit) as f64 * *w * square;
            }
            v = sum / self.action.lattice().volume() as f64;
        }
        Some((wiener, v))
    }
}

/// One below zero, zero above one, with a smooth way down.
fn fade(u: f64) -> f64 {
    let u = u.clamp(0.0, 1.0);
    1.0 - u * u * (3.0 - 2.0 * u)
}

impl<B: ScoreModel, S: NoiseSchedule> ScoreModel for DomainScore<B, S> {
    fn score(&self, x: Batch<'_>, t: f64, mut out: BatchMut<'_>) -> Result<(), EvalError> {
        let kernel = self.schedule.transition(0.0, t);
        let (f, square) = (kernel.mean_factor, kernel.noise_to_signal());
        let local = fade((square.sqrt() / self.wall).ln() / END.ln());
        if local < 1.0 {
            self.base.score(x, t, out.view_mut())?;
        }
        if local == 0.0 {
            return Ok(());
        }
        let (wiener, v) = self.fluctuations(square).expect("there are minima for more noise than this");
        let wiener = self.transform.by_mode(&wiener);
        let tadpole = 12.0 * self.action.lambda() * v;
        let y = x.mapv(|x| x / f);
        let bound = FAR * self.minimum;
        let mut mean = y.mapv(|y| y.clamp(-bound, bound));
        let (mut q, mut step) = (Array2::zeros(y.dim()), Array2::zeros(y.dim()));
        let mut filter = PairFilter::new(&self.transform);
        for _ in 0..STEPS {
            self.action.force(mean.view(), step.view_mut());
            Zip::from(&mut step).and(&mean).and(&q).for_each(|step, mean, q| *step -= tadpole * mean + q);
            filter.filter_rows(values_mut(&mut step.view_mut()), &wiener);
            q += &step;
            Zip::from(&mut mean)
                .and(&y)
                .and(&q)
                .for_each(|mean, y, q| *mean = square.mul_add(*q, *y).clamp(-bound, bound));
        }
        let of_base = 1.0 - local;
        Zip::from(&mut out).and(&q).for_each(|out, q| {
            *out = if local < 1.0 { of_base * *out } else { 0.0 } + local / f * q;
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lattice;
    use sde_core::{Edm, LinearBeta, ScoreFn};

    /// Two sites in one dimension, where a quadrature knows everything.
    fn two_sites() -> Phi4 {
        Phi4::new(Lattice::new(&[2]).unwrap(), 0.9, 0.022).unwrap()
    }

    /// The score of one field by a base that must not be asked.
    fn score(action: &Phi4, x: &[f64], s: f64) -> Vec<f64> {
        let base = ScoreFn(|_: f64, _: f64| f64::NAN);
        let score = DomainScore::new(action, base, Edm::new(10.0).unwrap()).unwrap();
        let x = Array2::from_shape_vec((1, x.len()), x.to_vec()).unwrap();
        let mut out = Array2::zeros(x.dim());
        score.score(x.view(), s, out.view_mut()).unwrap();
        out.into_raw_vec_and_offset().0
    }

    /// `(E[phi | x] - x) / s^2`, by the trapezoidal rule in the plane about `x`.
    fn exact(action: &Phi4, x: [f64; 2], s: f64) -> [f64; 2] {
        let action = |x: [f64; 2]| {
            let mut value = ndarray::Array1::zeros(1);
            action.action(ndarray::array![x].view(), value.view_mut());
            value[0]
        };
        let (step, reach, here) = (s / 25.0, 200, action(x));
        let mut sums = [0.0; 3];
        for i in -reach..=reach {
            for j in -reach..=reach {
                let d = [f64::from(i) * step, f64::from(j) * step];
                let noise = (d[0] * d[0] + d[1] * d[1]) / (2.0 * s * s);
                let w = (here - action([x[0] + d[0], x[1] + d[1]]) - noise).exp();
                sums = [sums[0] + w, sums[1] + w * d[0], sums[2] + w * d[1]];
            }
        }
        [sums[1] / sums[0] / (s * s), sums[2] / sums[0] / (s * s)]
    }

    /// The largest error of either site.
    fn error(action: &Phi4, x: [f64; 2], s: f64) -> f64 {
        let both = score(action, &x, s).into_iter().zip(exact(action, x, s));
        both.map(|(found, exact)| (found - exact).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn against_a_quadrature_it_is_of_fourth_order_in_the_noise() {
        // About the minima +-4.38 and in walls. Without the loop it would be of second order.
        let action = two_sites();
        for x in [[4.4, 4.2], [4.8, 4.1], [-4.0, -4.6], [4.4, -4.2], [2.0, -1.0], [0.5, 3.0]] {
            let order = (error(&action, x, 0.04) / error(&action, x, 0.02)).log2();
            assert!(order > 3.7, "{x:?}: {order}");
        }
        // About a minimum it stays good: scores are of order one here.
        for x in [[4.4, 4.2], [4.8, 4.1], [-4.0, -4.6]] {
            assert!(error(&action, x, 0.4) < 2e-3, "{x:?}");
        }
    }

    #[test]
    fn without_noise_it_is_the_force() {
        let action = two_sites();
        let x = [3.0, -2.5];
        let mut force = Array2::zeros((1, 2));
        action.force(ndarray::array![x].view(), force.view_mut());
        for (found, force) in score(&action, &x, 0.0).iter().zip(&force) {
            assert!((found - force).abs() < 1e-12);
        }
    }

    #[test]
    fn schedules_see_the_same_field() {
        // s_DDPM(x) = s(x / f) / f
        let action = Phi4::new(Lattice::new(&[4, 4]).unwrap(), 0.4, 0.022).unwrap();
        let base = ScoreFn(|_: f64, _: f64| f64::NAN);
        let schedule = LinearBeta::new(0.1, 20.0).unwrap();
        let kernel = schedule.transition(0.0, 0.05);
        let x = Array2::from_shape_fn((1, 16), |(_, i)| 3.0 + (i as f64).sin());
        let mut found = Array2::zeros(x.dim());
        let score_of_time = DomainScore::new(&action, base, schedule).unwrap();
        score_of_time.score(x.view(), 0.05, found.view_mut()).unwrap();
        let y: Vec<f64> = x.iter().map(|x| x / kernel.mean_factor).collect();
        for (found, of_noise) in found.iter().zip(score(&action, &y, kernel.noise_to_signal().sqrt())) {
            assert!((found - of_noise / kernel.mean_factor).abs() < 1e-11);
        }
    }

    #[test]
    fn from_far_outside_it_leads_back() {
        let action = two_sites();
        for s in [0.05, 0.2, 0.4] {
            for x in [15.0, 100.0, 1e6] {
                let found = score(&action, &[x, x], s);
                assert!(found.iter().all(|q| q.is_finite() && *q < -10.0), "{s}, {x}: {found:?}");
                assert!(score(&action, &[-x, -x], s).iter().all(|q| q.is_finite() && *q > 10.0));
            }
        }
    }

    #[test]
    fn much_noise_is_left_to_the_base() {
        let action = Phi4::new(Lattice::new(&[4, 4]).unwrap(), 0.4, 0.022).unwrap();
        let score =
            DomainScore::new(&action, ScoreFn(|x: f64, s: f64| -x / s), Edm::new(10.0).unwrap()).unwrap();
        let x = Array2::from_elem((1, 16), 1.5);
        let mut out = Array2::zeros(x.dim());
        let noise = 1.5001 * score.wall_noise();
        score.score(x.view(), noise, out.view_mut()).unwrap();
        assert!(out.iter().all(|s| *s == -1.5 / noise));
    }

    #[test]
    fn without_domains_there_is_no_score() {
        // one minimum; no interaction; two minima that are lost in their fluctuations
        for (hopping, lambda) in [(0.2, 0.022), (0.2, 0.0), (0.241, 0.022)] {
            let action = Phi4::new(Lattice::new(&[8, 8]).unwrap(), hopping, lambda).unwrap();
            let found = DomainScore::new(&action, ScoreFn(|x: f64, _: f64| x), Edm::new(10.0).unwrap());
            assert_eq!(found.err(), Some(DomainError { hopping, lambda }));
        }
    }
}
