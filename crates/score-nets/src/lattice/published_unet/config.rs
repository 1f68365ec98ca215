//! The architecture of a published net.

use super::places::Places;
use crate::error::{DEEPEST, LONGEST, WIDEST, at_most};
use crate::{Layout, NetError};
use serde::{Deserialize, Serialize};

/// The architecture of a [`PublishedUnet`](crate::PublishedUnet).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublishedUnetConfig {
    /// Extents of the lattice.
    pub extents: [usize; 2],
    /// Channels of every level, on the way down; on the way up those of all but the last.
    pub channels: Vec<usize>,
    /// Sines and cosines of the time, and what a matrix makes of them.
    pub features: usize,
    /// Groups of channels that are normalised together after the first convolution.
    pub first_groups: usize,
    /// The same after all others.
    pub groups: usize,
    /// Standard deviation of the frequencies, in turns per unit of time.
    pub frequency_scale: f64,
    /// Seed of the frequencies: they are drawn once and not trained.
    pub frequency_seed: u64,
}

impl PublishedUnetConfig {
    /// The paper's net: 32 x 32 sites, channels 32, 64, 128, 256, and 256 features of frequencies `30 N(0, 1)`.
    ///
    /// ```
    /// let layout = score_nets::PublishedUnetConfig::paper().layout();
    /// // nine numbers for every pair of channels, and 704 channels with a time, a scale and a shift
    /// let pairs = 32 + 32 * 64 + 64 * 128 + 128 * 256 + 256 * 128 + 256 * 64 + 128 * 32 + 64;
    /// assert_eq!(layout.len(), 9 * pairs + 1 + 257 * (256 + 704) + 2 * 704);
    /// ```
    pub fn paper() -> Self {
        Self {
            extents: [32, 32],
            channels: vec![32, 64, 128, 256],
            features: 256,
            first_groups: 4,
            groups: 32,
            frequency_scale: 30.0,
            frequency_seed: 0,
        }
    }

    /// # Errors
    /// [`NetError`] if there are no sites, channels or features, an odd number of features, groups that do not divide the
    /// channels, or a scale that is not positive.
    pub fn validate(&self) -> Result<(), NetError> {
        if self.extents.contains(&0) {
            return Err(NetError::Empty { name: "extents" });
        }
        if self.channels.is_empty() || self.channels.contains(&0) {
            return Err(NetError::Empty { name: "channels" });
        }
        if self.features == 0 || !self.features.is_multiple_of(2) {
            return Err(NetError::EmbeddingDims { dims: self.features });
        }
        at_most("features", self.features, WIDEST)?;
        at_most("levels", self.channels.len(), DEEPEST / 4)?;
        self.channels.iter().try_for_each(|&channels| at_most("channels", channels, WIDEST))?;
        self.extents.into_iter().try_for_each(|extent| at_most("extents", extent, LONGEST))?;
        let scale = self.frequency_scale;
        if !(scale.is_finite() && scale > 0.0) {
            return Err(NetError::Scale { name: "frequency_scale", index: 0, value: scale });
        }
        let groups = std::iter::once(self.first_groups).chain(std::iter::repeat(self.groups));
        // Up as down; the first convolution alone has its own groups.
        let up = &self.channels[..self.channels.len() - 1];
        for (&channels, groups) in self.channels.iter().chain(up).zip(groups) {
            if groups == 0 || !channels.is_multiple_of(groups) {
                return Err(NetError::Groups { channels, groups });
            }
        }
        Ok(())
    }

    /// Names, shapes and places of the parameters.
    pub fn layout(&self) -> Layout {
        Places::new(self).0
    }

    /// Number of sites.
    pub fn sites(&self) -> usize {
        self.extents[0] * self.extents[1]
    }
}
