//! Measurements on an ensemble that is evolved in blocks.

use sde_core::Observer;

/// A measurement on an ensemble: it hands an [`Observer`] to every block of rows and takes the observers back
/// in the order of the rows, however the blocks were scheduled.
///
/// # Law
/// The result may depend on the order of the rows, but not on where they were cut: blocks hold whole
/// multiples of [`Evolution::leaf_rows`](crate::Evolution::leaf_rows) rows, all but the last.
///
/// `()` measures nothing; a pair of tallies measures both.
pub trait Tally: Sync {
    /// What watches one block.
    type Block: Observer + Send;

    /// An observer for the next block.
    fn block(&self) -> Self::Block;

    /// Takes in the observations of one block; called once for every block, in the order of the rows.
    fn absorb(&mut self, block: Self::Block);
}

impl Tally for () {
    type Block = ();

    fn block(&self) -> Self::Block {}

    fn absorb(&mut self, (): Self::Block) {}
}

impl<A: Tally, B: Tally> Tally for (A, B) {
    type Block = (A::Block, B::Block);

    fn block(&self) -> Self::Block {
        (self.0.block(), self.1.block())
    }

    fn absorb(&mut self, block: Self::Block) {
        self.0.absorb(block.0);
        self.1.absorb(block.1);
    }
}
