//! What is read from disk and written to it, and the only code that needs a hash and JSON: the feature `files`.

mod ensemble;
mod ensemble_error;
mod ensemble_fields;
mod merge;
mod npy;
mod replacement;
mod saved_production;
mod score_file;
mod sealed;

pub use ensemble::{EnsembleMetadata, EnsembleReader, EnsembleWriter, Provenance};
pub use ensemble_error::EnsembleError;
pub use ensemble_fields::EnsembleFields;
pub use merge::MergeError;
pub use npy::NpyError;
pub use score_file::{FittedScore, ScoreFileError};
