//! Curves as CSV: one column each, for any plotting program.

use std::path::Path;

use crate::atomic::{FileError, write_atomically};

/// Curves that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CurveError {
    /// Columns of one table have the same length.
    #[error("curve `{name}` of `{path}` has {found} points, the first has {expected}")]
    Length {
        /// The column.
        name: String,
        /// The file it was meant for.
        path: String,
        /// Points of the first column.
        expected: usize,
        /// Points of this one.
        found: usize,
    },
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Writes a header of names and one line per point, all of it or nothing.
///
/// Numbers have the fewest digits that read back the same; those that are not finite are written as `NaN`, `inf`
/// and `-inf`, as NumPy and pandas read them, because the curve of a net that diverged is worth keeping.
///
/// # Errors
/// [`CurveError::Length`] for columns of different lengths, [`CurveError::File`] if the file cannot be written, with
/// an earlier file left as it was.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("kappa.csv");
/// examples::write_csv(&path, &[("t", &[0.0, 0.5]), ("kappa_2", &[1.0625, 1e-20])])?;
/// assert_eq!(std::fs::read_to_string(&path)?, "t,kappa_2\n0.0,1.0625\n0.5,1e-20\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_csv(path: &Path, columns: &[(&str, &[f64])]) -> Result<(), CurveError> {
    let expected = columns.first().map_or(0, |(_, column)| column.len());
    if let Some((name, column)) = columns.iter().find(|(_, column)| column.len() != expected) {
        let (name, path) = ((*name).to_owned(), path.display().to_string());
        return Err(CurveError::Length { name, path, expected, found: column.len() });
    }
    write_atomically(path, |out| {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(columns.iter().map(|(name, _)| name))?;
        for point in 0..expected {
            table.serialize(columns.iter().map(|(_, column)| column[point]).collect::<Vec<_>>())?;
        }
        table.flush()
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        let numbers = [0.1 + 0.2, -1.0 / 3.0, 5e-324, f64::MAX, f64::INFINITY];
        write_csv(&path, &[("numbers, all", &numbers), ("again", &numbers)]).unwrap();
        let mut table = csv::Reader::from_path(&path).unwrap();
        assert_eq!(table.headers().unwrap(), vec!["numbers, all", "again"]);
        let rows: Vec<(f64, f64)> = table.deserialize().map(Result::unwrap).collect();
        assert_eq!(rows, numbers.map(|number| (number, number)));
    }

    #[test]
    fn ragged_columns_are_refused_and_the_earlier_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        write_csv(&path, &[("t", &[1.0])]).unwrap();
        let error = write_csv(&path, &[("t", &[1.0, 2.0]), ("kappa_4", &[1.0])]).unwrap_err();
        assert!(error.to_string().contains("`kappa_4`"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "t\n1.0\n");
    }
}
