//! What the example programs share: command line, results, curves, figures, progress bars, failures.
//!
//! An example is a `main` that hands its work to [`run`], which reads the options into [`Args`], starts the
//! thread pool, and turns any error into a message and exit code 1:
//!
//! ```no_run
//! use examples::{Args, Failure, Figure, Panel, Results, Row, check_writable, run};
//!
//! fn main() -> std::process::ExitCode {
//!     run("two_peak_ve", "The two-peak model in the variance-expanding scheme", work)
//! }
//!
//! fn work(args: &Args) -> Result<(), Failure> {
//!     check_writable(args.common.out())?; // before the work, not after it
//!     let mut results = Results::new("two_peak_ve", args.common.seed).setting("steps", 1000);
//!     let row = Row::new("kappa_4", "backward, learned score", -1.9987, 0.0031);
//!     results.push(row.exact(-2.0).paper(-1.98));
//!     let panel = Panel::new("Backward", "τ", "κ₄").line("learned", &[0.0, 1.0], &[0.0, -2.0]);
//!     Figure::grid(1, 1, vec![panel]).save(&args.common.out().join("figure4.svg"))?;
//!     results.write(args.common.out())?;
//!     results.print(false);
//!     Ok(())
//! }
//! ```
//!
//! Every file is written to a temporary sibling, synced and renamed, so a run that fails, or fills the disk,
//! leaves the files of an earlier run as they were.
#![expect(
    clippy::print_stderr,
    reason = "this is the layer of the programs: it reports failures to the user"
)]

mod args;
mod atomic;
mod bracket;
mod column;
mod conclude;
mod curves;
mod failure;
mod figure;
mod npz;
mod output;
mod parts;
mod progress;
mod results;
mod row;
mod table;
mod training;

pub mod lattice;
pub mod two_peak;

pub use args::{Args, Common, Options, Shard, positive};
pub use atomic::{FileError, check_writable, write_json};
pub use bracket::bracket;
pub use column::read_column;
pub use conclude::conclude;
pub use curves::{CurveError, Curves, Unit};
pub use failure::{Failure, chain, run};
pub use figure::{Colour, Corner, Figure, Panel};
pub use npz::{NpzError, read_npz, write_npz};
pub use parts::{Columns, Evolved, Parts, PartsArgs, Stitched};
pub use progress::Progress;
pub use results::{Results, ResultsError};
pub use row::Row;

/// Tensor code spends half its time in page faults of large blocks under the C library's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs the code of the book as tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../docs/tutorial.md")]
    struct Tutorial;
    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;
    #[doc = include_str!("../../docs/files.md")]
    struct Files;
    #[doc = include_str!("../../docs/crates/sde-core.md")]
    struct SdeCore;
    #[doc = include_str!("../../docs/crates/cumulants.md")]
    struct Cumulants;
    #[doc = include_str!("../../docs/crates/lattice-phi4.md")]
    struct LatticePhi4;
    #[doc = include_str!("../../docs/crates/score-nets.md")]
    struct ScoreNets;
    #[doc = include_str!("../../docs/crates/lattice-diffusion.md")]
    struct LatticeDiffusion;
}
