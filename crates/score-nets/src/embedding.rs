//! How a net is told the noise level: `e(c)`, a vector of functions of one scalar coordinate `c`.
//!
//! A hidden layer that sees `c` itself can only bend its answer slowly with it. Sines and cosines over a range
//! of frequencies let a linear map of `e(c)` resolve both the coarse and the fine dependence.

use crate::NetError;
use crate::error::{WIDEST, at_most};
use crate::math::Frequency;
use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// The functions `e(c)`, `dims` of them.
///
/// ```
/// use score_nets::Embedding;
/// let embedding = Embedding::LogNoise { harmonics: 8 };
/// assert_eq!(embedding.dims(), 17);
/// let mut e = vec![0.0; 17];
/// embedding.evaluate(4.0, &mut e);
/// // u/2, then sin(k pi u/8), then cos(k pi u/8): at u = 4 the first harmonic is a quarter turn
/// assert_eq!(e[0], 2.0);
/// assert!((e[1] - 1.0).abs() < 1e-15 && e[9].abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Embedding {
    /// The embedding of the paper's nets, after Vaswani et al. 2017; the coordinate is the time `t`:
    ///
    /// ```text
    /// e = [ sin(w_k t), k = 0..n ] ++ [ cos(w_k t), k = 0..n ],    w_k = 10^(4 k/n),    n = dims/2
    /// ```
    ///
    /// There is no `2 pi`. The published nets have `dims = 128`.
    Sinusoidal {
        /// Number of functions, even.
        dims: usize,
    },
    /// Harmonics in the logarithm of the noise level; the coordinate is `u = ln(V)/2`, `V = Xi/f^2`:
    ///
    /// ```text
    /// e = [ u/2 ] ++ [ sin(k pi u/8), k = 1..=harmonics ] ++ [ cos(k pi u/8), k = 1..=harmonics ]
    /// ```
    LogNoise {
        /// Number of harmonics.
        harmonics: usize,
    },
}

impl Embedding {
    /// The length of `e`.
    pub fn dims(&self) -> usize {
        match *self {
            Self::Sinusoidal { dims } => dims,
            Self::LogNoise { harmonics } => 2 * harmonics + 1,
        }
    }

    /// Writes `e(c)` in double precision.
    ///
    /// # Panics
    /// If `out` does not have [`dims`](Self::dims) elements.
    pub fn evaluate(&self, coordinate: f64, out: &mut [f64]) {
        assert_eq!(out.len(), self.dims(), "an embedding writes dims() values");
        let waves = self.split(out, 1, |linear| linear[0] = 0.5 * coordinate);
        let (sines, cosines) = waves.split_at_mut(waves.len() / 2);
        for ((omega, s), c) in self.angular_frequencies().into_iter().zip(sines).zip(cosines) {
            (*s, *c) = (omega * coordinate).sin_cos();
        }
    }

    /// The frequencies in radians per unit of the coordinate.
    pub fn angular_frequencies(&self) -> Vec<f64> {
        match *self {
            Self::Sinusoidal { dims } => {
                let n = dims / 2;
                (0..n).map(|k| (1e4f64.ln() * k as f64 / n as f64).exp()).collect()
            }
            Self::LogNoise { harmonics } => {
                (1..=harmonics).map(|k| k as f64 * std::f64::consts::PI / 8.0).collect()
            }
        }
    }

    /// Hands the linear function, if there is one, to `linear`, and returns the room for the waves.
    fn split<'a, T>(&self, out: &'a mut [T], rows: usize, linear: impl FnOnce(&mut [T])) -> &'a mut [T] {
        match self {
            Self::Sinusoidal { .. } => out,
            Self::LogNoise { .. } => {
                let (first, waves) = out.split_at_mut(rows);
                linear(first);
                waves
            }
        }
    }

    /// # Errors
    /// [`NetError`] if there is no function, or an odd number of sines and cosines.
    pub(crate) fn validate(&self) -> Result<(), NetError> {
        match *self {
            Self::Sinusoidal { dims } if dims < 2 || dims % 2 == 1 => Err(NetError::EmbeddingDims { dims }),
            Self::LogNoise { harmonics: 0 } => Err(NetError::NoHarmonics),
            Self::Sinusoidal { dims } => at_most("dims", dims, WIDEST),
            Self::LogNoise { harmonics } => at_most("harmonics", harmonics, WIDEST),
        }
    }
}

/// An embedding ready for batches in single precision.
#[derive(Clone, Debug)]
pub(crate) struct BatchEmbedding {
    embedding: Embedding,
    frequencies: Vec<Frequency>,
}

impl BatchEmbedding {
    pub(crate) fn new(embedding: Embedding) -> Self {
        let frequencies = embedding.angular_frequencies().into_iter().map(Frequency::from_radians).collect();
        Self { embedding, frequencies }
    }

    /// Writes `e` of every coordinate, shape `(dims, rows)`: rows innermost, where they fill the lanes.
    pub(crate) fn evaluate(&self, coordinates: &[f32], out: &mut [f32]) {
        let rows = coordinates.len();
        assert_eq!(out.len(), rows * self.embedding.dims(), "one column of dims() values per coordinate");
        let waves = self.embedding.split(out, rows, |linear| {
            for (e, c) in linear.iter_mut().zip(coordinates) {
                *e = 0.5 * c;
            }
        });
        let (sines, cosines) = waves.split_at_mut(waves.len() / 2);
        write_waves(&self.frequencies, coordinates, sines, cosines);
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+avx512bw+avx2+fma+bmi2", "x86_64+avx2+fma+bmi2"))]
fn write_waves(frequencies: &[Frequency], coordinates: &[f32], sines: &mut [f32], cosines: &mut [f32]) {
    let rows = coordinates.len();
    let columns = sines.chunks_exact_mut(rows).zip(cosines.chunks_exact_mut(rows));
    for (frequency, (sines, cosines)) in frequencies.iter().zip(columns) {
        for ((s, c), &x) in sines.iter_mut().zip(cosines).zip(coordinates) {
            (*s, *c) = frequency.sin_cos(x);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_match_double_precision() {
        let coordinates: Vec<f32> = (0..37).map(|i| i as f32 / 36.0).collect();
        for embedding in [Embedding::Sinusoidal { dims: 128 }, Embedding::LogNoise { harmonics: 8 }] {
            let dims = embedding.dims();
            let mut batch = vec![0.0; dims * 37];
            BatchEmbedding::new(embedding).evaluate(&coordinates, &mut batch);
            let mut exact = vec![0.0; dims];
            for (row, &c) in coordinates.iter().enumerate() {
                embedding.evaluate(f64::from(c), &mut exact);
                for (k, e) in exact.iter().enumerate() {
                    assert!((f64::from(batch[k * 37 + row]) - e).abs() < 2e-7, "{embedding:?} {k} {c}");
                }
            }
        }
    }

    #[test]
    fn sinusoidal_order_is_the_published_one() {
        let mut e = vec![0.0; 128];
        Embedding::Sinusoidal { dims: 128 }.evaluate(0.5, &mut e);
        assert_eq!((e[0], e[64]), (0.5f64.sin(), 0.5f64.cos()));
        let fastest = 0.5 * 1e4f64.powf(63.0 / 64.0);
        assert!((e[63] - fastest.sin()).abs() < 1e-11 && (e[127] - fastest.cos()).abs() < 1e-11);
    }

    #[test]
    fn domain() {
        for bad in [0, 1, 127] {
            assert_eq!(
                Embedding::Sinusoidal { dims: bad }.validate(),
                Err(NetError::EmbeddingDims { dims: bad })
            );
        }
        assert_eq!(Embedding::LogNoise { harmonics: 0 }.validate(), Err(NetError::NoHarmonics));
    }
}
