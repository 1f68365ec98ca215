//! Fitted scores on disk.
//!
//! A file is one JSON object. Its first entry is the SHA-256 of everything behind it, so that no byte can change unseen; then
//! come the version of the format, the theory and the protocol of the ensemble that was fitted, and the model. Numbers are
//! written so that they come back bit for bit.
//!
//! What is read is checked beyond the digest, which anybody can compute: a model has as many coefficients as it has features
//! and momenta, and all of them are finite.

use super::replacement::replace;
use super::sealed::{Broken, seal, unseal};
use crate::{Couplings, Feature, Lattice, Orbits, PerturbativeModel, Phi4};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Version of the format that this crate writes, and the only one it reads.
const FORMAT: u32 = 1;
/// The entry with the digest.
const SEAL: &str = "sha256";

/// A fitted score, and the ensemble it was fitted to.
///
/// ```
/// use lattice_phi4::{FittedScore, Lattice, PerturbativeModel, Phi4, Spectrum};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("score.json");
/// let action = Phi4::new(Lattice::new(&[4, 4])?, 0.2, 0.0)?;
/// let model = PerturbativeModel::gaussian(Spectrum::free(action.lattice(), 0.2)?);
/// let score = FittedScore { couplings: action.couplings(), protocol: "free field".into(), model };
/// score.write(&path)?;
///
/// assert_eq!(FittedScore::read_for(&path, &action)?, score);
/// let other = Phi4::new(Lattice::new(&[4, 4])?, 0.21, 0.0)?;
/// let error = FittedScore::read_for(&path, &other).unwrap_err().to_string();
/// assert!(error.ends_with("score.json: hopping: expected 0.21, found 0.2"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedScore {
    /// The theory.
    pub couplings: Couplings,
    /// How the ensemble was made.
    pub protocol: String,
    /// The score.
    pub model: PerturbativeModel,
}

/// A score cannot be written or read; every case names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScoreFileError {
    /// The operating system refused.
    #[error("{}: cannot be {action}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{}: not a fitted score: expected {{\"{SEAL}\":.. at the beginning", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file has changed since it was written.
    #[error("{}: sha256: expected {expected}, found {found}", file.display())]
    Digest {
        /// The file.
        file: PathBuf,
        /// Digest in the file.
        expected: String,
        /// Digest of what follows it.
        found: String,
    },
    /// The entries are not those of a score.
    #[error("{}: not a fitted score", file.display())]
    Entries {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file is of another version of the format.
    #[error("{}: format: expected {expected}, found {found}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// The version that can be read.
        expected: u32,
        /// The version of the file.
        found: u32,
    },
    /// A number that no model can have.
    #[error("{}: {what}: expected {expected}, found {found}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Which one.
        what: String,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The score is of another theory.
    #[error("{}: {what}: expected {expected}, found {found}", file.display())]
    Theory {
        /// The file.
        file: PathBuf,
        /// Which parameter.
        what: &'static str,
        /// What was asked for.
        expected: String,
        /// What the file has.
        found: String,
    },
}

/// The entries behind the digest.
#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    crate_version: &'a str,
    #[serde(flatten)]
    score: &'a FittedScore,
}

/// The entry that every version has.
#[derive(Deserialize)]
struct Version {
    format: u32,
}

impl FittedScore {
    /// Writes the score to `path`: the file is the new one or the old one, never half of each.
    ///
    /// # Errors
    /// [`ScoreFileError::Invalid`] for a model with a number that is not finite, [`ScoreFileError::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ScoreFileError> {
        let file = path.as_ref();
        self.validate(file)?;
        let document = Document { format: FORMAT, crate_version: env!("CARGO_PKG_VERSION"), score: self };
        let json = serde_json::to_string(&document)
            .map_err(|source| ScoreFileError::Entries { file: file.into(), source })?;
        replace(file, seal(SEAL, &json).as_bytes()).map_err(|source| ScoreFileError::Io {
            file: file.into(),
            action: "written",
            source,
        })
    }

    /// Reads a score. Its lattice may be far larger than the file, which has one number for each of the
    /// [`Orbits`](crate::Orbits): reading takes the memory of the file alone, using the score that of the lattice.
    ///
    /// # Errors
    /// [`ScoreFileError`] naming the file, what was expected and what was found.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ScoreFileError> {
        let file = path.as_ref();
        let io = |source| ScoreFileError::Io { file: file.into(), action: "read", source };
        let mut bytes = fs::read(file).map_err(io)?;
        let json = unseal(SEAL, &mut bytes).map_err(|broken| match broken {
            Broken::Foreign => ScoreFileError::Foreign { file: file.into() },
            Broken::Digest { expected, found } => {
                ScoreFileError::Digest { file: file.into(), expected, found }
            }
        })?;
        let damaged = |source| ScoreFileError::Entries { file: file.into(), source };
        let Version { format } = serde_json::from_slice(json).map_err(damaged)?;
        if format != FORMAT {
            return Err(ScoreFileError::Format { file: file.into(), expected: FORMAT, found: format });
        }
        let score: Self = serde_json::from_slice(json).map_err(damaged)?;
        score.validate(file)?;
        Ok(score)
    }

    /// Reads a score that must be of this theory: the same lattice and couplings.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`ScoreFileError::Theory`].
    pub fn read_for(path: impl AsRef<Path>, action: &Phi4) -> Result<Self, ScoreFileError> {
        let score = Self::read(&path)?;
        let other = |what, expected: String, found: String| {
            let file = path.as_ref().into();
            if expected == found {
                Ok(())
            } else {
                Err(ScoreFileError::Theory { file, what, expected, found })
            }
        };
        let lattice = score.model.spectrum.lattice();
        other("extents", format!("{:?}", action.lattice().extents()), format!("{:?}", lattice.extents()))?;
        other("hopping", action.hopping().to_string(), score.couplings.hopping.to_string())?;
        other("lambda", action.lambda().to_string(), score.couplings.lambda.to_string())?;
        Ok(score)
    }

    /// Refuses what would not be a model.
    fn validate(&self, file: &Path) -> Result<(), ScoreFileError> {
        let check = |holds: bool, what: &str, expected: &str, found: String| {
            let invalid = || ScoreFileError::Invalid {
                file: file.into(),
                what: what.into(),
                expected: expected.into(),
                found,
            };
            if holds { Ok(()) } else { Err(invalid()) }
        };
        let finite = |what: &str, values: &[f64]| {
            let bad = values.iter().find(|value| !value.is_finite());
            check(bad.is_none(), what, "finite numbers", bad.map_or(String::new(), f64::to_string))
        };
        let length = |what: &str, values: &[f64], expected: usize| {
            check(values.len() == expected, what, &format!("{expected} numbers"), values.len().to_string())?;
            finite(what, values)
        };
        finite("couplings", &[self.couplings.hopping, self.couplings.lambda])?;
        let PerturbativeModel { spectrum, potential, features, levels } = &self.model;
        let extents = spectrum.extents();
        let lattice = Lattice::new(extents);
        check(lattice.is_ok(), "extents", "those of a lattice", format!("{extents:?}"))?;
        // Counted, not found: a lattice may be far larger than the file, and memory for its sites is not asked for.
        let orbits = lattice.as_ref().map_or(0, Orbits::count);
        length("variances", spectrum.variances(), orbits)?;
        let least = spectrum.variances().iter().fold(f64::INFINITY, |least, g| least.min(*g));
        check(least > 0.0, "variances", "positive numbers", least.to_string())?;
        finite("mean", &[spectrum.mean()])?;
        let marginal = features.contains(&Feature::Marginal);
        let found = if potential.is_some() { "one" } else { "none" };
        check(
            potential.is_some() == marginal,
            "potential",
            if marginal { "one" } else { "none" },
            found.into(),
        )?;
        if let Some(potential) = potential {
            finite("potential", &potential.coefficients)?;
            let largest = potential.largest;
            check(
                largest > 0.0 && largest.is_finite(),
                "amplitude",
                "a positive number",
                largest.to_string(),
            )?;
        }
        let mut last = 0.0;
        for level in levels {
            finite("noise", &[level.noise])?;
            check(level.noise > last, "noise", &format!("more than {last}"), level.noise.to_string())?;
            last = level.noise;
            length("coefficients", &level.coefficients, features.len())?;
            length("zero_mode", &level.zero_mode, features.len())?;
            length("linear", &level.linear, orbits)?;
            finite("level", &[level.constant, level.condition, level.gain])?;
            check(
                level.bound > 0.0 && level.bound.is_finite(),
                "bound",
                "a positive number",
                level.bound.to_string(),
            )?;
        }
        Ok(())
    }
}
