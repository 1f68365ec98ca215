//! `results.json`: everything a run found, for programs to read.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::atomic::{FileError, write_json};
use crate::row::Row;
use crate::table;

/// Results that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ResultsError {
    /// A number that JSON cannot hold, or an error below zero.
    #[error("row `{quantity}` of `{origin}`: {field} is {found}, it must be finite and errors not negative")]
    Number {
        /// The row's quantity.
        quantity: String,
        /// The row's source.
        origin: String,
        /// The field of the row.
        field: &'static str,
        /// What it holds.
        found: f64,
    },
    /// A setting that is not a finite number.
    #[error("setting `{name}` is not finite")]
    Setting {
        /// The setting's name.
        name: String,
    },
    /// The file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// The numbers of one run: who made them, with which settings, and the rows.
///
/// The order of the rows is the order of [`push`](Self::push), settings are sorted by name, and floats are
/// written with the fewest digits that read back the same, so equal numbers give equal bytes (`seconds` apart).
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Name of the example.
    pub example: String,
    /// Seed of its random numbers.
    pub seed: u64,
    /// Wall-clock time from [`new`](Self::new) to [`write`](Self::write).
    pub seconds: f64,
    /// What was asked for: steps, trajectories and the like.
    pub settings: BTreeMap<String, Value>,
    /// What was found.
    pub rows: Vec<Row>,
    #[serde(skip)]
    started: Instant,
}

impl Results {
    /// No rows yet; the clock starts here.
    pub fn new(example: &str, seed: u64) -> Self {
        let (settings, rows) = (BTreeMap::new(), Vec::new());
        Self { example: example.into(), seed, seconds: 0.0, settings, rows, started: Instant::now() }
    }

    /// Notes a setting: a number, a word, a truth value.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.settings.insert(name.into(), value.into());
        self
    }

    /// Adds a row.
    pub fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Stops the clock and writes `folder/results.json`, all of it or nothing.
    ///
    /// # Errors
    /// [`ResultsError::Number`] and [`ResultsError::Setting`] for what JSON cannot hold, checked before the file is
    /// touched; [`ResultsError::File`] if it cannot be written, with an earlier file left as it was.
    pub fn write(&mut self, folder: &Path) -> Result<(), ResultsError> {
        self.check()?;
        self.seconds = (self.started.elapsed().as_secs_f64() * 1e3).round() / 1e3;
        Ok(write_json(&folder.join("results.json"), self)?)
    }

    /// Prints the rows as a table, with differences of more than three errors in red on a terminal (unless `NO_COLOR` is set), or what
    /// [`write`](Self::write) writes.
    pub fn print(&self, json: bool) {
        // The files are written by now: a reader that closed the pipe is no failure of the run.
        let mut out = anstream::stdout().lock();
        let _ = if json {
            serde_json::to_writer_pretty(&mut out, self).map_err(Into::into).and_then(|()| writeln!(out))
        } else {
            out.write_all(table::format(&self.rows).as_bytes())
        };
    }

    /// serde_json would write NaN as null, silently.
    fn check(&self) -> Result<(), ResultsError> {
        for row in &self.rows {
            if let Some((field, found)) = row.bad_field() {
                let (quantity, origin) = (row.quantity.clone(), row.source.clone());
                return Err(ResultsError::Number { quantity, origin, field, found });
            }
        }
        match self.settings.iter().find(|(_, value)| value.is_null()) {
            Some((name, _)) => Err(ResultsError::Setting { name: name.clone() }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let mut results = Results::new("two_peak_ve", 3).setting("steps", 100).setting("horizon", 1.0);
        results.push(Row::new("kappa_2", "data", 1.0631, 0.0005).exact(1.0625).paper(1.0625));
        results.push(Row::new("kappa_4", "backward, learned score", -1.99, 0.01));
        results
    }

    #[test]
    fn the_file_has_the_documented_fields() {
        let folder = tempfile::tempdir().unwrap();
        results().write(folder.path()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["example"], "two_peak_ve");
        assert_eq!(json["seed"], 3);
        assert!(json["seconds"].as_f64().unwrap() >= 0.0);
        assert_eq!(json["settings"], serde_json::json!({ "steps": 100, "horizon": 1.0 }));
        assert_eq!(json["rows"][0]["value"], 1.0631);
        assert!((json["rows"][0]["pull"].as_f64().unwrap() - 1.2).abs() < 1e-9);
        assert_eq!(json["rows"][1]["source"], "backward, learned score");
        for field in ["exact", "paper", "pull"] {
            assert_eq!(json["rows"][1].get(field), Some(&Value::Null));
        }
    }

    #[test]
    fn non_finite_numbers_are_refused_and_the_earlier_file_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        std::fs::write(&path, "earlier").unwrap();
        for row in [
            Row::new("kappa_6", "forward", f64::NAN, 1.0),
            Row::new("kappa_6", "forward", 1.0, f64::INFINITY),
            Row::new("kappa_6", "forward", 1.0, -1.0),
            Row::new("kappa_6", "forward", 1.0, 1.0).paper(f64::NEG_INFINITY),
        ] {
            let mut results = results();
            results.push(row);
            let message = results.write(folder.path()).unwrap_err().to_string();
            assert!(message.contains("`kappa_6` of `forward`"), "{message}");
        }
        let error = results().setting("sigma", f64::NAN).write(folder.path()).unwrap_err();
        assert!(error.to_string().contains("`sigma`"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "earlier");
    }

    #[test]
    fn a_zero_error_has_no_pull() {
        assert_eq!(Row::new("kappa_2", "closed form", 1.0, 0.0).exact(1.0).pull, None);
    }

    #[test]
    fn a_folder_in_the_place_of_the_file_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("results.json")).unwrap();
        let error = results().write(folder.path()).unwrap_err();
        assert!(error.to_string().contains("results.json"), "{error}");
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
