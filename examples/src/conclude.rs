//! The end of an example.

use crate::{Args, Failure, Results};

/// Writes the results, prints the table, and says where everything is and what comes next.
///
/// # Errors
/// If `results.json` cannot be written.
#[expect(clippy::print_stdout, reason = "the last words of a program")]
pub fn conclude(mut results: Results, args: &Args, next: &str) -> Result<(), Failure> {
    results.write(args.out())?;
    results.print_table();
    println!("\nFigures (SVG), curves (CSV) and results.json are in {}.", args.out().display());
    println!("Next: cargo run --release --example {next}");
    Ok(())
}
