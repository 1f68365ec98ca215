//! Options of the two-peak examples.

use crate::{Args, Common, Options, PartsArgs};

/// Options of the two-peak examples.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct TwoPeakArgs {
    /// Those of the examples of one variable.
    #[command(flatten)]
    pub args: Args,

    /// Those about shards.
    #[command(flatten)]
    pub parts: PartsArgs,
}

impl Options for TwoPeakArgs {
    fn common(&mut self) -> &mut Common {
        &mut self.args.common
    }
}
