//! What can go wrong: a parameter out of its domain, or a model that cannot be evaluated.

use std::error::Error;

/// A number handed to a constructor lies outside its domain.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// The value must be finite and above zero.
    #[error("{name} = {value} must be finite and positive")]
    NotPositive {
        /// Name of the argument.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// The value must lie in a closed interval.
    #[error("{name} = {value} must lie between {low} and {high}")]
    OutOfRange {
        /// Name of the argument.
        name: &'static str,
        /// What was given.
        value: f64,
        /// Smallest allowed value.
        low: f64,
        /// Largest allowed value.
        high: f64,
    },
}

/// Returns `value` if it is finite and positive.
pub(crate) fn positive(name: &'static str, value: f64) -> Result<f64, ParameterError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ParameterError::NotPositive { name, value })
    }
}

/// Returns `value` if it lies in `[low, high]`; a NaN does not.
pub(crate) fn within(name: &'static str, value: f64, low: f64, high: f64) -> Result<f64, ParameterError> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(ParameterError::OutOfRange { name, value, low, high })
    }
}

/// A drift or a score could not be evaluated; the source is the model's own error.
#[derive(Debug, thiserror::Error)]
#[error("the model could not be evaluated")]
pub struct EvalError(#[source] Box<dyn Error + Send + Sync + 'static>);

impl EvalError {
    /// Wraps the error of a model's backend.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync + 'static>>) -> Self {
        Self(source.into())
    }
}
