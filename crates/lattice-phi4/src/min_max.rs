//! Min-max normalisation of an ensemble and its inverse [A.5].
//!
//! ```text
//! x = 2 (phi - min) / (max - min) - 1 ,     phi = min + (x + 1) (max - min) / 2
//! ```
//!
//! maps the whole ensemble to `[-1, 1]`. The map is affine, so cumulants above the first scale with powers of half
//! the range, `kappa_n(phi) = ((max - min)/2)^n kappa_n(x)`.

use sde_core::{Batch, BatchMut};
use serde::{Deserialize, Serialize};

/// The smallest and largest field value of an ensemble.
///
/// ```
/// use lattice_phi4::MinMax;
/// use lattice_phi4::ndarray::array;
///
/// let mut fields = array![[1.0, 4.0], [-2.0, 0.0]];
/// let map = MinMax::of(fields.view())?;
/// map.normalise(fields.view_mut());
/// assert_eq!(fields.row(0), array![0.0, 1.0]);
/// assert_eq!(fields[[1, 0]], -1.0);
/// map.denormalise(fields.view_mut());
/// assert!((fields[[0, 1]] - 4.0).abs() < 1e-15);
/// assert_eq!(map.scale(), 3.0);
/// # Ok::<(), lattice_phi4::MinMaxError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Range")]
pub struct MinMax {
    min: f64,
    max: f64,
}

/// The range cannot be mapped to `[-1, 1]`.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("min = {min}, max = {max}: a normalisation needs finite min < max and a finite difference")]
pub struct MinMaxError {
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl MinMax {
    /// The map of a given range.
    ///
    /// # Errors
    /// [`MinMaxError`] unless `min < max` with a finite difference.
    pub fn new(min: f64, max: f64) -> Result<Self, MinMaxError> {
        if min < max && (max - min).is_finite() {
            Ok(Self { min, max })
        } else {
            Err(MinMaxError { min, max })
        }
    }

    /// The map of an ensemble, shape `(configurations, sites)`.
    ///
    /// # Errors
    /// [`MinMaxError`] for an empty or constant ensemble, or one with values that are not finite.
    pub fn of(fields: Batch<'_>) -> Result<Self, MinMaxError> {
        let min = fields.iter().copied().fold(f64::INFINITY, f64::min);
        let max = fields.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // `f64::min` and `f64::max` pass over a NaN.
        match fields.iter().find(|value| value.is_nan()) {
            Some(&nan) => Err(MinMaxError { min: nan, max: nan }),
            None => Self::new(min, max),
        }
    }

    /// Smallest value, mapped to -1.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// Largest value, mapped to 1.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// Half the range: `kappa_n` of the fields is `scale^n` times that of normalised fields, `n > 1`.
    pub fn scale(&self) -> f64 {
        0.5 * (self.max - self.min)
    }

    /// Maps fields to `[-1, 1]`.
    pub fn normalise(&self, mut fields: BatchMut<'_>) {
        let range = self.max - self.min;
        fields.mapv_inplace(|phi| 2.0 * ((phi - self.min) / range) - 1.0);
    }

    /// The inverse of [`normalise`](Self::normalise).
    pub fn denormalise(&self, mut fields: BatchMut<'_>) {
        let scale = self.scale();
        fields.mapv_inplace(|x| (x + 1.0).mul_add(scale, self.min));
    }
}

/// The serialised form, not yet checked.
#[derive(Deserialize)]
struct Range {
    min: f64,
    max: f64,
}

impl TryFrom<Range> for MinMax {
    type Error = MinMaxError;

    fn try_from(range: Range) -> Result<Self, MinMaxError> {
        Self::new(range.min, range.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use sde_core::{Noise, NormalSource};

    #[test]
    fn the_inverse_gives_the_fields_back_and_the_ends_are_exact() {
        let mut fields = Array2::zeros((5, 40));
        Noise::new(1, 0).block(0, 0).fill(0, fields.as_slice_mut().unwrap());
        let map = MinMax::of(fields.view()).unwrap();
        let mut x = fields.clone();
        map.normalise(x.view_mut());
        let again = MinMax::of(x.view()).unwrap();
        assert_eq!((again.min(), again.max()), (-1.0, 1.0));
        map.denormalise(x.view_mut());
        assert!(fields.iter().zip(&x).all(|(a, b)| (a - b).abs() < 2e-15));
    }

    #[test]
    fn ranges_without_a_map_are_refused() {
        for fields in [array![[1.0, 1.0]], array![[0.0, f64::NAN, 1.0]], array![[0.0, f64::INFINITY]]] {
            assert!(MinMax::of(fields.view()).is_err());
        }
        assert!(MinMax::of(Array2::zeros((0, 4)).view()).is_err());
        assert!(MinMax::new(-f64::MAX, f64::MAX).is_err());
        assert!(serde_json::from_str::<MinMax>(r#"{"min": 1.0, "max": 0.0}"#).is_err());
    }
}
