//! Symmetries of a periodic lattice, for nets that do not have them.

use rand::Rng;
use serde::{Deserialize, Serialize};

/// Which symmetries of the ensemble are shown to a net: a random one is applied to each configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Augmentation {
    /// Translations by any vector.
    pub translations: bool,
    /// Reflections of both axes, and their exchange on a square lattice: with it, rotations.
    pub reflections: bool,
    /// `phi -> -phi`.
    pub sign: bool,
}

impl Augmentation {
    /// Fields as they are.
    pub const NONE: Self = Self { translations: false, reflections: false, sign: false };
    /// All but the sign, which an odd net has.
    pub const SPACE: Self = Self { translations: true, reflections: true, sign: false };
    /// All.
    pub const ALL: Self = Self { sign: true, ..Self::SPACE };

    /// Draws one of the symmetries.
    pub(crate) fn draw<R: Rng + ?Sized>(self, [h, w]: [usize; 2], rng: &mut R) -> Symmetry {
        // The same numbers are drawn for every setting, so that settings do not change the rest of the batch.
        let shift = [rng.random_range(0..h as u32) as usize, rng.random_range(0..w as u32) as usize];
        let bits: u32 = rng.random();
        let bit = |place: u32, allowed: bool| allowed && bits >> place & 1 == 1;
        Symmetry {
            shift: if self.translations { shift } else { [0, 0] },
            mirror: [bit(0, self.reflections), bit(1, self.reflections)],
            exchange: bit(2, self.reflections && h == w),
            negate: bit(3, self.sign),
        }
    }
}

/// A symmetry: the site `(y, x)` takes its value from `shift + mirror(exchange(y, x))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Symmetry {
    shift: [usize; 2],
    mirror: [bool; 2],
    exchange: bool,
    negate: bool,
}

impl Symmetry {
    /// Writes the transformed field.
    pub(crate) fn apply(&self, [h, w]: [usize; 2], field: &[f64], out: &mut [f64]) {
        let sign = if self.negate { -1.0 } else { 1.0 };
        let place = |axis: usize, extent: usize, at: usize| {
            let at = if self.mirror[axis] { extent - 1 - at } else { at };
            (at + self.shift[axis]) % extent
        };
        for (y, out) in out.chunks_exact_mut(w).enumerate() {
            for (x, out) in out.iter_mut().enumerate() {
                let (a, b) = if self.exchange { (x, y) } else { (y, x) };
                *out = sign * field[place(0, h, a) * w + place(1, w, b)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;
    use std::collections::HashSet;

    fn images(augmentation: Augmentation, extents: [usize; 2]) -> HashSet<Vec<i64>> {
        let field: Vec<f64> = (1..=extents[0] * extents[1]).map(|i| (i * i) as f64).collect();
        let mut rng = Pcg64::seed_from_u64(1);
        let mut image = vec![0.0; field.len()];
        (0..4000)
            .map(|_| {
                augmentation.draw(extents, &mut rng).apply(extents, &field, &mut image);
                image.iter().map(|x| *x as i64).collect()
            })
            .collect()
    }

    #[test]
    fn all_elements_of_the_group_are_drawn_and_no_others() {
        // Translations, times 8 for the square and 4 for another rectangle, times 2 for the sign.
        assert_eq!(images(Augmentation::NONE, [3, 4]).len(), 1);
        assert_eq!(images(Augmentation::SPACE, [3, 4]).len(), 12 * 4);
        assert_eq!(images(Augmentation::SPACE, [4, 4]).len(), 16 * 8);
        assert_eq!(images(Augmentation::ALL, [4, 4]).len(), 16 * 8 * 2);
    }

    #[test]
    fn neighbours_stay_neighbours() {
        let extents = [4, 4];
        let sum = |field: &[f64]| -> f64 {
            (0..16).map(|i| field[i] * (field[(i / 4) * 4 + (i + 1) % 4] + field[(i + 4) % 16])).sum()
        };
        let field: Vec<f64> = (0..16).map(|i| f64::from(i * i % 7)).collect();
        let mut image = vec![0.0; 16];
        let mut rng = Pcg64::seed_from_u64(2);
        for _ in 0..200 {
            Augmentation::ALL.draw(extents, &mut rng).apply(extents, &field, &mut image);
            assert_eq!(sum(&image), sum(&field));
        }
    }
}
