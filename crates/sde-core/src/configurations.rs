//! Where configurations come from: memory, or a file larger than it.

use ndarray::Array2;
use std::io;

/// Fields of equal length, read one at a time in any order, from any thread.
///
/// # Laws
/// - `read` of one index always gives the same numbers.
///
/// ```
/// use sde_core::Configurations;
/// use sde_core::ndarray::array;
/// // an array's own len counts numbers
/// let fields: &dyn Configurations = &array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
/// let mut field = [0.0; 2];
/// fields.read(1, &mut field)?;
/// assert_eq!((fields.len(), fields.sites(), field), (3, 2, [3.0, 4.0]));
/// # Ok::<(), std::io::Error>(())
/// ```
#[expect(clippy::len_without_is_empty, reason = "none is an error of whoever asks for one")]
pub trait Configurations: Sync {
    /// Number of fields.
    fn len(&self) -> usize;

    /// Values of one.
    fn sites(&self) -> usize;

    /// Writes field number `index`.
    ///
    /// # Errors
    /// Of the file system.
    ///
    /// # Panics
    /// If `index` is not below [`len`](Self::len), or `out` does not have [`sites`](Self::sites) values.
    fn read(&self, index: usize, out: &mut [f64]) -> io::Result<()>;
}

impl Configurations for Array2<f64> {
    fn len(&self) -> usize {
        self.nrows()
    }

    fn sites(&self) -> usize {
        self.ncols()
    }

    fn read(&self, index: usize, out: &mut [f64]) -> io::Result<()> {
        assert_eq!(out.len(), self.ncols(), "a field has one value per site");
        out.iter_mut().zip(self.row(index)).for_each(|(to, from)| *to = *from);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_an_array_are_configurations() {
        let fields = Array2::from_shape_fn((3, 2), |(row, site)| (10 * row + site) as f64);
        let mut out = [0.0; 2];
        fields.read(2, &mut out).unwrap();
        assert_eq!((Configurations::len(&fields), fields.sites(), out), (3, 2, [20.0, 21.0]));
    }
}
