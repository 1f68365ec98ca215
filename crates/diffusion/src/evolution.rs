//! An ensemble of trajectories, evolved in place.
//!
//! Rows are cut into blocks that stay in the first-level cache, and each block runs through *all* its time
//! steps before the next one starts: the ensemble is never streamed through memory step by step. Blocks are
//! spread over the threads of the current rayon pool. Noise is addressed by step and element and tallies
//! are merged in the order of the rows, so the numbers are the same, bit for bit, for any number of threads
//! and any block size.

use crate::Tally;
use cumulants::LEAF;
use rayon::prelude::*;
use sde_core::ndarray::ArrayViewMut2;
use sde_core::{BatchMut, EvalError, Integrator, Noise, TimeGrid, integrate};

/// An ensemble could not be evolved; its batch is then in an unspecified state.
#[derive(Debug, thiserror::Error)]
pub enum EvolutionError {
    /// The ensemble has no rows or no sites.
    #[error("the ensemble is empty: {rows} rows of {sites} sites")]
    Empty {
        /// Trajectories.
        rows: usize,
        /// Degrees of freedom of each.
        sites: usize,
    },
    /// A trajectory started from, or ran into, an infinity or a NaN.
    #[error("trajectory {row} is not finite {place}")]
    NotFinite {
        /// Its row.
        row: usize,
        /// `at the start` or `at the end`.
        place: &'static str,
    },
    /// The score or drift failed.
    #[error("rows from {row} on could not be evolved")]
    Model {
        /// First row of the block.
        row: usize,
        /// The model's error.
        source: EvalError,
    },
}

/// A process, an integrator, a time grid and the noise: all that an ensemble needs to evolve.
///
/// See the [crate](crate) documentation for an example.
pub struct Evolution<'a, P: ?Sized, I> {
    process: &'a P,
    integrator: &'a I,
    grid: &'a TimeGrid,
    noise: Noise,
    block_values: usize,
    first_row: Option<usize>,
    progress: Option<&'a (dyn Fn(usize) + Sync)>,
}

impl<P: ?Sized, I> std::fmt::Debug for Evolution<'_, P, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evolution")
            .field("grid", &(self.grid.start(), self.grid.end(), self.grid.len()))
            .field("noise", &self.noise)
            .field("block_values", &self.block_values)
            .finish_non_exhaustive()
    }
}

/// Blocks between two merges of tallies, which bounds the memory of what blocks have observed.
const WAVE: usize = 64;

impl<P: ?Sized, I> Evolution<'_, P, I> {
    /// Rows that every tally may count on finding uncut: [`LEAF`] values or one row, whichever is more.
    pub fn leaf_rows(sites: usize) -> usize {
        LEAF.div_ceil(sites)
    }
}

impl<'a, P, I> Evolution<'a, P, I>
where
    P: Sync + ?Sized,
    I: Integrator<P> + Clone + Sync,
{
    /// `integrator` takes `process` along `grid` under `noise`.
    pub fn new(process: &'a P, integrator: &'a I, grid: &'a TimeGrid, noise: Noise) -> Self {
        Self { process, integrator, grid, noise, block_values: 2 * LEAF, first_row: None, progress: None }
    }

    /// Sets the size of a block in values, rows times sites; rounded up to whole leaves.
    ///
    /// A matter of speed alone. The default of 2048 values, 16 KiB, leaves room for a scheme's scratch memory
    /// in the first-level cache.
    #[must_use]
    pub fn block_values(mut self, values: usize) -> Self {
        self.block_values = values;
        self
    }

    /// The rows are those from `row` on of a larger ensemble, and get their noise: see [`Share`](crate::Share). There may be none.
    ///
    /// # Panics
    /// If the share does not begin with a pair of leaves.
    #[must_use]
    pub fn first_row(mut self, row: usize) -> Self {
        self.first_row = Some(row);
        self
    }

    /// Calls `progress` with the number of trajectories of every finished block, from any thread.
    #[must_use]
    pub fn progress(mut self, progress: &'a (dyn Fn(usize) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Evolves `x`, shape `(rows, sites)`, in place, and measures on the way.
    ///
    /// # Errors
    /// [`EvolutionError`] for an empty ensemble, a failing model, and trajectories that are not finite.
    ///
    /// # Panics
    /// If `x` is not contiguous in row-major order.
    pub fn run<T: Tally>(&self, mut x: ArrayViewMut2<'_, f64>, tally: &mut T) -> Result<(), EvolutionError> {
        let (rows, sites) = x.dim();
        let first = match self.first_row {
            Some(_) if rows == 0 && sites > 0 => return Ok(()),
            _ if x.is_empty() => return Err(EvolutionError::Empty { rows, sites }),
            first => first.unwrap_or(0),
        };
        // An even number of leaves: rows may be evaluated in pairs, see `ScoreModel`.
        let leaves = 2 * Self::leaf_rows(sites);
        let block_rows = self.block_values.div_ceil(leaves * sites).max(1) * leaves;
        assert!(first.is_multiple_of(leaves), "a share begins with whole leaves");
        let values = x.as_slice_mut().expect("a batch is contiguous and row-major");
        for (wave, blocks) in values.chunks_mut(WAVE * block_rows * sites).enumerate() {
            let evolved: Vec<_> = blocks
                .par_chunks_mut(block_rows * sites)
                .enumerate()
                .map(|(index, values)| {
                    let first_row = first + (wave * WAVE + index) * block_rows;
                    self.run_block(values, sites, first_row, tally.block())
                })
                .collect();
            for block in evolved {
                tally.absorb(block?);
            }
        }
        Ok(())
    }

    fn run_block<B: sde_core::Observer>(
        &self,
        values: &mut [f64],
        sites: usize,
        first_row: usize,
        mut observer: B,
    ) -> Result<B, EvolutionError> {
        let finite = |values: &[f64], place| match values.iter().position(|x| !x.is_finite()) {
            Some(at) => Err(EvolutionError::NotFinite { row: first_row + at / sites, place }),
            None => Ok(()),
        };
        finite(values, "at the start")?;
        let rows = values.len() / sites;
        let x = BatchMut::from_shape((rows, sites), &mut *values).expect("rows are whole");
        let mut integrator = self.integrator.clone();
        let first = (first_row * sites) as u64;
        integrate(self.process, &mut integrator, self.grid, x, first, &self.noise, &mut observer)
            .map_err(|source| EvolutionError::Model { row: first_row, source })?;
        finite(values, "at the end")?;
        if let Some(progress) = self.progress {
            progress(rows);
        }
        Ok(observer)
    }
}
