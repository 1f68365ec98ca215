//! Where each tensor lies in the flat vector of parameters.

use crate::NetError;
use std::ops::Range;

/// One named tensor of a [`Layout`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name it has in a published state dict.
    pub name: String,
    /// Its shape; a weight is `(outputs, inputs)`, row-major.
    pub shape: Vec<usize>,
    /// Its place in the flat vector.
    pub range: Range<usize>,
    /// Number of inputs of the linear map it belongs to.
    pub fan_in: usize,
}

/// The named tensors of a net, one after the other in one flat vector without gaps.
///
/// ```
/// use score_nets::MlpConfig;
/// let layout = MlpConfig::paper().layout();
/// assert_eq!(layout.len(), 2 * 64 + 64 * 65 + 2 * 64 * 129 + 65);
/// let weight = layout.find("network.hidden_layers.1.linear.weight").unwrap();
/// assert_eq!(weight.shape, [64, 64]);
///
/// // of a net of one's own
/// let mut layout = score_nets::Layout::empty();
/// assert_eq!(layout.push("out.weight".into(), &[1, 3], 3), 0..3);
/// assert!(layout.check(&[0.1, 0.2]).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    tensors: Vec<TensorSpec>,
}

impl Layout {
    /// No tensors yet.
    pub fn empty() -> Self {
        Self { tensors: Vec::new() }
    }

    /// Appends a tensor and returns its place.
    pub fn push(&mut self, name: String, shape: &[usize], fan_in: usize) -> Range<usize> {
        let start = self.len();
        // A net that counts too many parameters to be one is refused where it is made.
        let length = shape.iter().fold(1_usize, |length, extent| length.saturating_mul(*extent));
        let range = start..start.saturating_add(length);
        self.tensors.push(TensorSpec { name, shape: shape.to_vec(), range: range.clone(), fan_in });
        range
    }

    /// Refuses a flat vector of another length, or with values that are not finite.
    ///
    /// # Errors
    /// [`NetError::Length`], [`NetError::NotFinite`].
    pub fn check(&self, parameters: &[f32]) -> Result<(), NetError> {
        if parameters.len() != self.len() {
            return Err(NetError::Length { expected: self.len(), found: parameters.len() });
        }
        match parameters.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(NetError::NotFinite { index, value: parameters[index] }),
            None => Ok(()),
        }
    }

    /// The tensors, in the order of the flat vector.
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// The tensor of that name.
    pub fn find(&self, name: &str) -> Option<&TensorSpec> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// The length of the flat vector: the number of parameters.
    #[expect(clippy::len_without_is_empty, reason = "a net has parameters")]
    pub fn len(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.range.end)
    }
}
