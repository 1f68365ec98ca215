//! Random initial parameters.

use crate::Layout;
use rand::Rng;

/// Draws every weight and bias uniformly from `+-1/sqrt(inputs)`, the default of PyTorch's `Linear`.
///
/// The variance `1 / (3 inputs)` keeps the preactivations of order one half whatever the width.
pub(crate) fn fill_like_pytorch<R: Rng + ?Sized>(layout: &Layout, parameters: &mut [f32], rng: &mut R) {
    fill_uniform(layout, parameters, 1.0, rng);
}

/// Draws every parameter uniformly from `+-gain/sqrt(inputs)`: with variance `gain^2 / (3 inputs)`.
pub(crate) fn fill_uniform<R: Rng + ?Sized>(layout: &Layout, parameters: &mut [f32], gain: f32, rng: &mut R) {
    for tensor in layout.tensors() {
        let bound = gain / (tensor.fan_in as f32).sqrt();
        for parameter in &mut parameters[tensor.range.clone()] {
            *parameter = rng.random_range(-bound..bound);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MlpConfig;
    use rand::SeedableRng;
    use rand_pcg::Pcg64;

    #[test]
    fn variances_are_those_of_the_uniform_law() {
        let layout = MlpConfig::paper().layout();
        let test = testing::Comparisons::of(layout.tensors().len());
        let mut parameters = vec![0.0; layout.len()];
        fill_like_pytorch(&layout, &mut parameters, &mut Pcg64::seed_from_u64(testing::seed(3)));
        for tensor in layout.tensors().iter().filter(|tensor| tensor.range.len() >= 4096) {
            let values = &parameters[tensor.range.clone()];
            let bound = 1.0 / (tensor.fan_in as f64).sqrt();
            assert!(values.iter().all(|&v| f64::from(v).abs() <= bound));
            let n = values.len() as f64;
            let square = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
            // z^2 of a uniform z has mean 1/3 and variance 4/45.
            let error = (4.0 / 45.0 / n).sqrt();
            assert!(test.normal((square / (bound * bound) - 1.0 / 3.0) / error), "{}", tensor.name);
        }
    }
}
