//! What a denoiser is shown.
//!
//! Let `x = phi + s z` with `phi` of density `p_0`, and `p` the density of `x`. Two fields have the same mean given `x`:
//!
//! ```text
//! phi                                E[ phi | x ] = x + s^2 grad log p(x)                        (Tweedie)
//! x + s^2 grad log p_0(phi)          E[ grad log p_0(phi) | x ] = grad log p(x)
//! ```
//!
//! The second line, by parts: with `g` the density of the noise and `p(x) = int p_0(phi) g(x - phi) dphi`,
//!
//! ```text
//! grad p(x) = int p_0(phi) grad_x g(x - phi) = int g(x - phi) grad p_0(phi) = p(x) E[ grad log p_0(phi) | x ] .
//! ```
//!
//! For an ensemble in equilibrium `grad log p_0 = F = -dS/dphi` is the force, which is known.
//!
//! So any mixture with fixed weights is a target too, mode by mode
//!
//! ```text
//! T = phi + W ( x + s^2 F(phi) - phi ) ,       W = G / (G + s^2) .
//! ```
//!
//! For a Gaussian, `F = -phi/G`, and `x - phi - s^2 phi/G = x - phi/W`: `T = W x`, the conditional mean itself, with no variance at all.
//! Where noise is small `phi` scatters about the mean by `s`, and `T` by less than that, as far as the field is Gaussian; where
//! it is large `W` falls, and `T` goes over to `phi`.

/// A field `T` with `E[T | x] = E[phi | x]`.
///
/// # Laws
/// - `T` depends on the arguments alone, and every element of `out` is written.
/// - `E[T | x] = E[phi | x]` for the fields that it is used on.
pub trait FieldTarget: Sync {
    /// Writes `T` for a field `phi`, seen as `x = phi + noise z`. All in units of the field itself.
    fn write(&self, phi: &[f64], x: &[f64], noise: f64, out: &mut [f64]);
}

/// `T = phi`: for any ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Denoising;

impl FieldTarget for Denoising {
    fn write(&self, phi: &[f64], _: &[f64], _: f64, out: &mut [f64]) {
        out.copy_from_slice(phi);
    }
}
