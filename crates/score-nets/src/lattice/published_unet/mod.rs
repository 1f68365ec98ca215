//! The net that the paper uses on lattices, for comparison.
//!
//! A net of the shape of the score-matching tutorial of Song (2021), with its strides removed: every level has the full
//! resolution of the lattice. With `*` the periodic convolution by kernels of 3 x 3,
//!
//! ```text
//! layer(h)      = swish( norm( K * h + D e(t) ) )
//! e(t)          = swish( A [ sin 2 pi W t, cos 2 pi W t ] + a ) ,      W ~ 30 N(0, 1), fixed
//! down          h_0 = layer(x) ,  h_i = layer(h_(i-1))
//! up            u_i = layer( u_(i+1), h_(i+1) ) ,   the first of them  layer( h_last )
//! answer        N(x, t) = k * ( u_0, h_0 ) + c ,                       score(x, t) = N(x, t) / sqrt(Xi(t))
//! ```
//!
//! with biases `D e + d` for every channel, and `norm` over groups of channels of a sample. It commutes with all translations of a
//! periodic lattice. It has no other symmetry, and no scale but that of the noise: it has to find all else in the data.

mod config;
mod denoising;
mod graph;
mod norm;
mod passes;
mod places;
mod score;
mod time;

pub use config::PublishedUnetConfig;
pub use denoising::FieldDenoisingBatches;
pub use graph::PublishedUnetGraph;
pub use score::PublishedScore;

use crate::convolution::Extents;
use crate::init::fill_like_pytorch;
use crate::{Layout, Net, NetError};
use passes::{Kernels, evaluate, loss_and_gradient};
use places::Places;
use rand::Rng;
use std::ops::Range;

/// The examples of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedFields {
    /// Noised fields, `(n, sites)`.
    pub x: Vec<f32>,
    /// The time of every sample.
    pub time: Vec<f32>,
    /// The noise `z` in them, of variance one, `(n, sites)`: the answer should be its opposite.
    pub noise: Vec<f32>,
}

impl TimedFields {
    /// Room for `samples` fields of `sites` values.
    pub fn new(samples: usize, sites: usize) -> Self {
        let fields = vec![0.0; samples * sites];
        Self { x: fields.clone(), time: vec![0.0; samples], noise: fields }
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.time.len()
    }
}

/// The net that the paper uses on lattices: convolutions at full resolution, joined across the way down and up.
///
/// One pass of the paper's net takes 1.8 GFLOP for a field of 32 x 32. Its answer over `sqrt(Xi(t))` is the score, see
/// [`PublishedScore`].
///
/// ```
/// use rand::SeedableRng;
/// use score_nets::{PublishedUnet, PublishedUnetConfig};
///
/// let config = PublishedUnetConfig {
///     extents: [4, 8], channels: vec![4, 8], features: 16, first_groups: 2, groups: 4, ..PublishedUnetConfig::paper()
/// };
/// let net = PublishedUnet::new(config, &mut rand_pcg::Pcg64::seed_from_u64(1))?;
/// let x: Vec<f32> = (0..32).map(|i| (i as f32).sin()).collect();
/// let moved: Vec<f32> = (0..32).map(|i| x[(i + 8) % 32]).collect();
/// let mut answers = [[0.0; 32]; 2];
/// net.evaluate(&x, 0.5, &mut answers[0]);
/// net.evaluate(&moved, 0.5, &mut answers[1]);
/// // the answer moves with the field
/// assert!((0..32).all(|i| (answers[1][i] - answers[0][(i + 8) % 32]).abs() < 1e-5));
/// # Ok::<(), score_nets::NetError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedUnet {
    config: PublishedUnetConfig,
    layout: Layout,
    places: Places,
    frequencies: Vec<f64>,
    parameters: Vec<f32>,
}

impl PublishedUnet {
    /// A net with the weights that PyTorch starts from: uniform in `+-1/sqrt(inputs)`, scales one and shifts zero.
    ///
    /// # Errors
    /// [`NetError`] if the architecture is out of its domain.
    pub fn new<R: Rng + ?Sized>(config: PublishedUnetConfig, rng: &mut R) -> Result<Self, NetError> {
        config.validate()?;
        let (layout, places) = Places::new(&config);
        let mut parameters = vec![0.0; layout.len()];
        fill_like_pytorch(&layout, &mut parameters, rng);
        for layer in &places.layers {
            parameters[layer.scale.clone()].fill(1.0);
            parameters[layer.shift.clone()].fill(0.0);
        }
        Self::from_parameters(config, parameters)
    }

    /// Writes the answers, `(n, sites)`, to noised fields of one time, on all threads.
    ///
    /// # Panics
    /// If the lengths differ or are not whole fields.
    pub fn evaluate(&self, x: &[f32], t: f32, out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "there is one answer to each field");
        assert!(x.len().is_multiple_of(self.config.sites()), "answers are to whole fields");
        evaluate(self, &Kernels::forward(self), x, t, out);
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn extents(&self) -> Extents {
        let [h, w] = self.config.extents;
        Extents { h, w }
    }

    fn part(&self, range: &Range<usize>) -> &[f32] {
        &self.parameters[range.clone()]
    }
}

impl Net for PublishedUnet {
    const KIND: &'static str = "published_unet";

    type Config = PublishedUnetConfig;
    type Batch = TimedFields;
    type Workspace = ();

    fn layout(config: &PublishedUnetConfig) -> Result<Layout, NetError> {
        config.validate()?;
        Ok(config.layout())
    }

    fn from_parameters(config: PublishedUnetConfig, parameters: Vec<f32>) -> Result<Self, NetError> {
        config.validate()?;
        let (layout, places) = Places::new(&config);
        layout.check(&parameters)?;
        let frequencies = time::angular_frequencies(&config);
        Ok(Self { config, layout, places, frequencies, parameters })
    }

    fn config(&self) -> &PublishedUnetConfig {
        &self.config
    }

    fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [f32] {
        &mut self.parameters
    }

    fn workspace(&self) {}

    /// The mean of `(N + z)^2` over samples and sites: denoising score matching with the weight `Xi(t)` [A.3].
    fn loss_and_gradient(&self, batch: &TimedFields, (): &mut (), gradient: &mut [f32]) -> f32 {
        assert_eq!(gradient.len(), self.parameters.len(), "the gradient has one element per parameter");
        loss_and_gradient(self, batch, gradient)
    }
}
