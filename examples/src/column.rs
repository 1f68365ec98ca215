//! One column of a file of numbers: `.npy`, an array of `.npz`, else comma-separated values.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use ndarray::{ArrayD, Axis};
use ndarray_npy::ReadNpyExt;

use crate::{Failure, read_npz};

/// A header of a `.npy` file is longer than this for no array of numbers.
const LONGEST_HEADER: usize = 1 << 16;

/// A file has no such column.
#[derive(Debug, thiserror::Error)]
enum ColumnError {
    #[error("{path}: no column `{column}`, {known}")]
    Missing { path: String, column: String, known: String },
    #[error("{path}, line {line}, column `{column}`: expected a number, found `{found}`")]
    NotANumber { path: String, line: usize, column: String, found: String },
    #[error("{path}: {values} values, at least {needed} are needed")]
    TooShort { path: String, values: usize, needed: usize },
    #[error("{path}: {bytes} bytes are not those of an array of the shape in its header")]
    Length { path: String, bytes: u64 },
}

/// Reads a column, by name or by number from 0, of at least `needed` values.
///
/// # Errors
/// Of the file system, and for a file that is damaged, has no such column, or has too few values.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("data.csv");
/// std::fs::write(&path, "t, x\n0, 1.5\n1, 2.5\n")?;
/// assert_eq!(examples::read_column(&path, "x", 2)?, [1.5, 2.5]);
/// assert_eq!(examples::read_column(&path, "0", 2)?, [0.0, 1.0]);
/// assert!(examples::read_column(&path, "y", 2).is_err());
/// # Ok::<(), examples::Failure>(())
/// ```
pub fn read_column(path: &Path, column: &str, needed: usize) -> Result<Vec<f64>, Failure> {
    let x = match path.extension().and_then(|extension| extension.to_str()) {
        Some("npy") => read_npy(path, column)?,
        Some("npz") => read_npz(path, column)?.into_iter().collect(),
        _ => read_csv(path, column)?,
    };
    if x.len() < needed {
        let path = path.display().to_string();
        return Err(ColumnError::TooShort { path, values: x.len(), needed }.into());
    }
    Ok(x)
}

/// Refuses an array that is larger than its file, before memory is asked for it.
fn check_length(path: &Path) -> Result<(), Failure> {
    let failed = |error| format!("{}: {error}", path.display());
    let bytes = fs::metadata(path).map_err(failed)?.len();
    let mut start = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LONGEST_HEADER as u64).read_to_end(&mut start).map_err(failed)?;
    if fits(&start, bytes) {
        return Ok(());
    }
    Err(ColumnError::Length { path: path.display().to_string(), bytes }.into())
}

/// Whether an array in `.npy` format that begins like this can be one of so many bytes.
pub(crate) fn fits(start: &[u8], bytes: u64) -> bool {
    let start = &start[..start.len().min(LONGEST_HEADER)];
    let length = match start.get(6) {
        Some(1) => start.get(8..10),
        _ => start.get(8..12),
    };
    // What this does not understand, the reader refuses.
    let length = length.map_or(0, |l| l.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)));
    let header = String::from_utf8_lossy(start);
    let shape =
        header.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(shape, _)| shape);
    let numbers = shape
        .split(',')
        .map(str::trim)
        .filter(|n| !n.is_empty())
        .try_fold(1_u64, |product, n| product.checked_mul(n.parse().ok()?));
    // A number has at least four bytes.
    length <= LONGEST_HEADER && numbers.is_some_and(|numbers| numbers <= bytes / 4)
}

/// Column of an array of one or more dimensions: index along the last of them.
fn read_npy(path: &Path, column: &str) -> Result<Vec<f64>, Failure> {
    check_length(path)?;
    let open =
        || File::open(path).map(BufReader::new).map_err(|error| format!("{}: {error}", path.display()));
    let array: ArrayD<f64> = match ArrayD::<f64>::read_npy(open()?) {
        Ok(array) => array,
        Err(_) => ArrayD::<f32>::read_npy(open()?)
            .map_err(|error| format!("{}: expected numbers of 4 or 8 bytes: {error}", path.display()))?
            .mapv(f64::from),
    };
    if array.ndim() < 2 {
        return Ok(array.into_iter().collect());
    }
    let axis = Axis(array.ndim() - 1);
    let known = format!("there are {} of them", array.len_of(axis));
    let missing = || ColumnError::Missing { path: path.display().to_string(), column: column.into(), known };
    match column.parse() {
        Ok(index) if index < array.len_of(axis) => {
            Ok(array.index_axis(axis, index).iter().copied().collect())
        }
        _ => Err(missing().into()),
    }
}

/// Column of comma-separated values, with or without a line of names.
fn read_csv(path: &Path, column: &str) -> Result<Vec<f64>, Failure> {
    let name = path.display().to_string();
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_path(path)
        .map_err(|error| format!("{name}: {error}"))?;
    let mut records = reader.records().enumerate().peekable();
    let names = records.next_if(|(_, record)| {
        record.as_ref().is_ok_and(|record| record.iter().all(|field| field.parse::<f64>().is_err()))
    });
    let names: Vec<String> = match names {
        Some((_, record)) => record?.iter().map(str::to_owned).collect(),
        None => Vec::new(),
    };
    let known = if names.is_empty() {
        "columns have no names".into()
    } else {
        format!("there are {}", names.join(", "))
    };
    let missing = || ColumnError::Missing { path: name.clone(), column: column.into(), known: known.clone() };
    let index = match names.iter().position(|name| name == column) {
        Some(index) => index,
        None => column.parse().map_err(|_| missing())?,
    };
    let mut values = Vec::new();
    for (line, record) in records {
        let record = record.map_err(|error| format!("{name}: {error}"))?;
        let field = record.get(index).ok_or_else(missing)?;
        let number = field.parse().map_err(|_| ColumnError::NotANumber {
            path: name.clone(),
            line: line + 1,
            column: column.into(),
            found: field.into(),
        })?;
        values.push(number);
    }
    Ok(values)
}
