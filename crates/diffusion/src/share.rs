//! Parts of an ensemble.
//!
//! Trajectories do not know of each other, so an ensemble can be cut and its parts evolved by different processes, or by jobs that run one
//! after the other. What was measured is put together in the order of the rows, and is the same to the last bit as of the whole, as
//! long as all cuts are where [`PairwiseMoments::append`](cumulants::PairwiseMoments::append) allows them.

use crate::flow::Subtrees;
use crate::{CumulantFlow, Evolution, EvolutionError};
use cumulants::{AppendError, PairwiseMoments};
use sde_core::{Communicator, share};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One of several parts of an ensemble.
///
/// ```
/// use diffusion::Share;
///
/// let cut = |parts| (0..parts).map(move |part| Share::of(1_000_000, 1, part, parts).map(|share| share.rows()));
/// let thirds = cut(3).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(thirds, [0..333_824, 333_824..667_648, 667_648..1_000_000]);
/// # Ok::<(), diffusion::ShareError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// Rows of the whole ensemble, and sites of each.
    shape: (usize, usize),
    part: usize,
    parts: usize,
}

/// Parts that do not make up a whole.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// Parts are numbered from zero, and there is at least one.
    #[error("part {part} of {parts}: expected a number below that of the parts")]
    Part {
        /// What was given.
        part: usize,
        /// Number of parts.
        parts: usize,
    },
    /// A part is missing, comes twice or out of order.
    #[error("place {place} has part {found}: expected every one of {parts} parts once, in order")]
    Order {
        /// Place in the sequence.
        place: usize,
        /// The part found there, if any.
        found: String,
        /// Number of parts.
        parts: usize,
    },
    /// Two flows were measured at different times.
    #[error("measured at {found} times where the parts before have {expected}, or at other ones")]
    Times {
        /// Number of times so far.
        expected: usize,
        /// Number of times of the next part.
        found: usize,
    },
    /// Parts were cut at other places.
    #[error(transparent)]
    Cut(#[from] AppendError),
    /// Another process failed.
    #[error("rank {rank}: {message}")]
    Rank {
        /// Its number.
        rank: usize,
        /// Why.
        message: String,
    },
}

impl Share {
    /// Part number `part` of `parts` of `rows` rows of `sites` sites. With more parts than there are places to cut at, the last ones
    /// are empty.
    ///
    /// # Errors
    /// [`ShareError::Part`].
    pub fn of(rows: usize, sites: usize, part: usize, parts: usize) -> Result<Self, ShareError> {
        if part >= parts {
            return Err(ShareError::Part { part, parts });
        }
        Ok(Self { shape: (rows, sites), part, parts })
    }

    /// Its rows, numbered as those of the whole.
    pub fn rows(&self) -> Range<usize> {
        let (rows, sites) = self.shape;
        let leaf = Evolution::<(), ()>::leaf_rows(sites);
        let leaves = rows.div_ceil(leaf);
        // An even number, and where as many leaves as a part has can be appended.
        let each = leaves.div_ceil(self.parts) as u64;
        let unit = PairwiseMoments::<1>::alignment(each).max(2) as usize;
        let units = share(leaves.div_ceil(unit), self.part, self.parts);
        let row = |unit_number: usize| rows.min(unit_number * unit * leaf);
        row(units.start)..row(units.end)
    }

    /// Which part it is.
    pub fn part(&self) -> usize {
        self.part
    }

    /// Of how many.
    pub fn parts(&self) -> usize {
        self.parts
    }

    /// Whether these are all parts of one whole, in order.
    ///
    /// # Errors
    /// [`ShareError::Order`] if a part is missing, doubled, or of another whole.
    pub fn check_whole(parts: &[Self]) -> Result<(), ShareError> {
        let (first, count) = (parts.first(), parts.first().map_or(1, |first| first.parts));
        for place in 0..count.max(parts.len()) {
            let found = parts.get(place);
            if found.is_none() || found.copied() != first.map(|first| Self { part: place, ..*first }) {
                let found = found.map_or("none".into(), |share| format!("{} of {}", share.part, share.parts));
                return Err(ShareError::Order { place, found, parts: count });
            }
        }
        Ok(())
    }

    /// Puts the flows of all parts together, which must come in order.
    ///
    /// # Errors
    /// As [`check_whole`](Self::check_whole); [`ShareError::Times`], [`ShareError::Cut`].
    pub fn merge(parts: Vec<(Self, CumulantFlow)>) -> Result<CumulantFlow, ShareError> {
        let (shares, flows): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        Self::check_whole(&shares)?;
        let mut flows = flows.into_iter();
        let mut whole = flows.next().expect("there is a first");
        for flow in flows {
            whole.append(&flow)?;
        }
        Ok(whole)
    }
}

/// Puts together what every process has measured on its share of an ensemble.
///
/// The first process does it, and hands the whole to the others. What a process sends does not grow with its trajectories: a few dozen
/// sums for each measured step, see [`PairwiseMoments::subtrees`].
///
/// # Errors
/// On all processes alike: [`ShareError::Rank`] if one of them failed, or its share does not fit the others.
pub fn gather_flow(
    communicator: &dyn Communicator,
    share: &Share,
    measured: Result<CumulantFlow, EvolutionError>,
) -> Result<CumulantFlow, ShareError> {
    let leaf = Evolution::<(), ()>::leaf_rows(share.shape.1);
    let total = share.shape.0.div_ceil(leaf) as u64;
    let first = (share.rows().start / leaf) as u64;
    // All have the same steps to measure, and no other process needs to hear of them.
    let (flow, subtrees) = match &measured {
        Ok(flow) => (Some(flow), flow.subtrees(first, total).map_err(|error| error.to_string())),
        Err(error) => (None, Err(error.to_string())),
    };
    let messages = communicator.collect(&encoded(&subtrees));
    let whole = || -> Result<CumulantFlow, (usize, String)> {
        let parts = messages.iter().enumerate().map(|(rank, message)| {
            let part: Result<Vec<Subtrees>, String> =
                postcard::from_bytes(message).map_err(|error| (rank, error.to_string()))?;
            part.map_err(|message| (rank, message))
        });
        let parts = parts.collect::<Result<Vec<_>, _>>()?;
        let flow = flow.ok_or_else(|| (0, "nothing was measured".into()))?;
        flow.of_subtrees(total, &parts).map_err(|error| (0, error.to_string()))
    };
    let answer = if communicator.is_first() { encoded(&whole()) } else { Vec::new() };
    let whole: Result<CumulantFlow, (usize, String)> = postcard::from_bytes(&communicator.broadcast(&answer))
        .map_err(|error| ShareError::Rank { rank: 0, message: error.to_string() })?;
    whole.map_err(|(rank, message)| ShareError::Rank { rank, message })
}

fn encoded<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).expect("numbers, words and lists of them can be written down")
}
