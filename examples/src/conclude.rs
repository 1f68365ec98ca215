//! The end of an example.

use std::path::Path;

use crate::output::Output;
use crate::{Failure, Results};

/// Writes the results, prints the table, and says where everything is and what comes next.
///
/// # Errors
/// If `results.json` cannot be written.
#[expect(clippy::print_stdout, reason = "the last words of a program")]
pub fn conclude(mut results: Results, out: &Path, next: &str) -> Result<(), Failure> {
    results.write(out)?;
    let output = Output::decided();
    results.print(output.json);
    if output.quiet || output.json {
        return Ok(());
    }
    println!("\nFigures (SVG), curves (CSV) and results.json are in {}.", out.display());
    println!("Next: cargo run --release --example {next}");
    Ok(())
}
