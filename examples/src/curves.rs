//! Curves as CSV: one column each, with its unit, for any plotting program.

use std::borrow::Borrow;
use std::fmt;
use std::path::Path;

use cumulants::Estimate;

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

/// The unit of a column, by the name that it has in a file and in `docs/files.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A pure number: `1`.
    One,
    /// Per cent: `%`.
    Percent,
    /// `diffusion time`, which ends with that of the schedule.
    Time,
    /// A power of that of the samples: `data`, `data^2`.
    Data(i32),
    /// A power of the lattice spacing: `lattice units`.
    Lattice,
    /// Numbers of `measurements`.
    Measurements,
    /// Numbers of `sweeps`.
    Sweeps,
    /// Milliseconds of wall-clock time: `ms`.
    Milliseconds,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One => f.write_str("1"),
            Self::Percent => f.write_str("%"),
            Self::Time => f.write_str("diffusion time"),
            Self::Data(1) => f.write_str("data"),
            Self::Data(power) => write!(f, "data^{power}"),
            Self::Lattice => f.write_str("lattice units"),
            Self::Measurements => f.write_str("measurements"),
            Self::Sweeps => f.write_str("sweeps"),
            Self::Milliseconds => f.write_str("ms"),
        }
    }
}

/// The curves of a file: a comment with the units, a header of names, one line per point.
///
/// Numbers have the fewest digits that read back the same; those that are not finite are written as `NaN`, `inf`
/// and `-inf`, as NumPy and pandas read them, because the curve of a net that diverged is worth keeping.
///
/// ```
/// use examples::{Curves, Unit};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("kappa.csv");
/// let mut curves = Curves::over("t", Unit::Time, [0.0, 0.5]);
/// curves.push("kappa_2", Unit::Data(2), [1.0625, 1e-20]);
/// curves.save(&path)?;
/// let written = std::fs::read_to_string(&path)?;
/// assert_eq!(written, "# units: diffusion time, data^2\nt,kappa_2\n0.0,1.0625\n0.5,1e-20\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Curves {
    columns: Vec<Column>,
}

#[derive(Clone, Debug)]
struct Column {
    name: String,
    unit: Unit,
    values: Vec<f64>,
}

impl Curves {
    /// Curves over these points.
    pub fn over(name: &str, unit: Unit, points: impl IntoIterator<Item: Borrow<f64>>) -> Self {
        let mut curves = Self { columns: Vec::new() };
        curves.push(name, unit, points);
        curves
    }

    /// Adds a column.
    pub fn push(&mut self, name: &str, unit: Unit, values: impl IntoIterator<Item: Borrow<f64>>) {
        let values = values.into_iter().map(|value| *value.borrow()).collect();
        self.columns.push(Column { name: name.into(), unit, values });
    }

    /// Adds a column, and one called `NAME_error` behind it.
    pub fn push_estimates(
        &mut self,
        name: &str,
        unit: Unit,
        estimates: impl IntoIterator<Item: Borrow<Estimate>>,
    ) {
        let (values, errors): (Vec<f64>, Vec<f64>) =
            estimates.into_iter().map(|estimate| (estimate.borrow().value, estimate.borrow().error)).unzip();
        self.push(name, unit, values);
        self.push(&format!("{name}_error"), unit, errors);
    }

    /// Writes the file, all of it or nothing.
    ///
    /// # Errors
    /// [`CurveError::Length`] for columns of different lengths, [`CurveError::File`] if the file cannot be written, with
    /// an earlier file left as it was.
    pub fn save(&self, path: &Path) -> Result<(), CurveError> {
        let expected = self.columns[0].values.len();
        if let Some(column) = self.columns.iter().find(|column| column.values.len() != expected) {
            let (name, path) = (column.name.clone(), path.display().to_string());
            return Err(CurveError::Length { name, path, expected, found: column.values.len() });
        }
        write_atomically(path, |out| {
            let units: Vec<String> = self.columns.iter().map(|column| column.unit.to_string()).collect();
            writeln!(out, "# units: {}", units.join(", "))?;
            let mut table = csv::Writer::from_writer(out);
            table.write_record(self.columns.iter().map(|column| &column.name))?;
            for point in 0..expected {
                table
                    .serialize(self.columns.iter().map(|column| column.values[point]).collect::<Vec<_>>())?;
            }
            table.flush()
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read_column;

    #[test]
    fn numbers_read_back_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        let numbers = [0.1 + 0.2, -1.0 / 3.0, 5e-324, f64::MAX, f64::INFINITY];
        let mut curves = Curves::over("numbers, all", Unit::One, numbers);
        curves.push("again", Unit::Data(1), numbers);
        curves.save(&path).unwrap();
        for column in ["numbers, all", "again"] {
            assert_eq!(read_column(&path, column, 5).unwrap(), numbers);
        }
    }

    #[test]
    fn every_column_has_its_unit_in_the_line_above_the_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        let mut curves = Curves::over("t", Unit::Time, [1.0]);
        curves.push_estimates("kappa_4", Unit::Data(4), [Estimate { value: -2.0, error: 0.5 }]);
        curves.push("cost", Unit::Milliseconds, [3.0]);
        curves.save(&path).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = written.lines().collect();
        assert_eq!(lines[0], "# units: diffusion time, data^4, data^4, ms");
        assert_eq!(lines[1..], ["t,kappa_4,kappa_4_error,cost", "1.0,-2.0,0.5,3.0"]);
    }

    #[test]
    fn every_unit_is_explained() {
        let page = include_str!("../../docs/files.md");
        for unit in [
            Unit::One,
            Unit::Percent,
            Unit::Time,
            Unit::Data(1),
            Unit::Lattice,
            Unit::Measurements,
            Unit::Sweeps,
            Unit::Milliseconds,
        ] {
            assert!(page.lines().any(|line| line.starts_with(&format!("| `{unit}`"))), "{unit}");
        }
    }

    #[test]
    fn ragged_columns_are_refused_and_the_earlier_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        Curves::over("t", Unit::Time, [1.0]).save(&path).unwrap();
        let mut ragged = Curves::over("t", Unit::Time, [1.0, 2.0]);
        ragged.push("kappa_4", Unit::Data(4), [1.0]);
        let error = ragged.save(&path).unwrap_err();
        assert!(error.to_string().contains("`kappa_4`"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "# units: diffusion time\nt\n1.0\n");
    }
}
