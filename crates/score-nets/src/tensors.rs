//! Named tensors from a file, checked against a [`Layout`](crate::Layout).

use crate::layout::TensorSpec;

/// A tensor in a file is not the one a net needs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TensorError {
    /// A tensor of the net is not in the file.
    #[error("tensor {name} is missing")]
    Missing {
        /// Its name.
        name: String,
    },
    /// The file has a tensor that the net does not know.
    #[error("tensor {name} does not belong to this net")]
    Unexpected {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape.
    #[error("tensor {name}: expected shape {expected:?}, found {found:?}")]
    Shape {
        /// Its name.
        name: String,
        /// Shape in the net.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor has numbers of another type.
    #[error("tensor {name}: expected f32, found {found}")]
    Dtype {
        /// Its name.
        name: String,
        /// Type in the file.
        found: String,
    },
    /// A number is infinite or not a number.
    #[error("tensor {name}: element {index} is {value}, expected a finite number")]
    NotFinite {
        /// Its name.
        name: String,
        /// Place in the tensor, row-major.
        index: usize,
        /// What was found there.
        value: f32,
    },
}

/// Refuses a tensor whose shape is not that of `spec`; `name` is its name in the file.
pub(crate) fn check_shape(spec: &TensorSpec, name: &str, found: &[usize]) -> Result<(), TensorError> {
    if found == spec.shape {
        return Ok(());
    }
    Err(TensorError::Shape { name: name.into(), expected: spec.shape.clone(), found: found.to_vec() })
}

/// Refuses values that are not finite.
pub(crate) fn check_finite(name: &str, values: &[f32]) -> Result<(), TensorError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(TensorError::NotFinite { name: name.into(), index, value: values[index] }),
        None => Ok(()),
    }
}
