//! The parameters of a net as candle tensors.

use crate::Layout;
use candle_core::{DType, Device, Result, Tensor, Var};
use std::collections::HashMap;

/// Constant tensors by name.
pub(super) fn constants(
    layout: &Layout,
    parameters: &[f32],
    dtype: DType,
    device: &Device,
) -> Result<HashMap<String, Tensor>> {
    named(layout, parameters, dtype, device, Ok)
}

/// Tensors by name, and the variables that they are, in the order of the layout.
pub(super) fn variables(
    layout: &Layout,
    parameters: &[f32],
    dtype: DType,
    device: &Device,
) -> Result<(HashMap<String, Tensor>, Vec<Var>)> {
    let mut variables = Vec::new();
    let tensors = named(layout, parameters, dtype, device, |tensor| {
        let variable = Var::from_tensor(&tensor)?;
        variables.push(variable.clone());
        Ok(variable.into_inner())
    })?;
    Ok((tensors, variables))
}

fn named(
    layout: &Layout,
    parameters: &[f32],
    dtype: DType,
    device: &Device,
    mut each: impl FnMut(Tensor) -> Result<Tensor>,
) -> Result<HashMap<String, Tensor>> {
    let mut tensors = HashMap::new();
    for spec in layout.tensors() {
        let values = &parameters[spec.range.clone()];
        let tensor = Tensor::from_slice(values, spec.shape.as_slice(), device)?.to_dtype(dtype)?;
        tensors.insert(spec.name.clone(), each(tensor)?);
    }
    Ok(tensors)
}
