//! From a fallible piece of work to a process that ends as a program should.

use std::error::Error;
use std::process::ExitCode;

use crate::args::{Common, Options, parse_from};
use crate::output::Output;

/// Any error that ends an example; `?` converts into it.
pub type Failure = Box<dyn Error>;

/// Reads the command line, starts the thread pool and does the work of an example.
///
/// The exit code is 0 for success and for `--help`, 1 for everything else: options that are refused, threads that do
/// not start, and errors of the work, which are printed to stderr with all their causes as `error: what: cause`.
pub fn run<O: Options>(
    example: &'static str,
    about: &'static str,
    work: impl FnOnce(&O) -> Result<(), Failure>,
) -> ExitCode {
    let mut options: O = match parse_from(example, about, std::env::args_os()) {
        Ok(options) => options,
        Err(answer) => {
            // Nobody is left to tell if the terminal is gone.
            let _ = answer.print();
            return if answer.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let Common { json, quiet, .. } = *options.common();
    Output { json, quiet }.decide();
    let threads = rayon::ThreadPoolBuilder::new().num_threads(options.common().threads.unwrap_or(0));
    match threads.build_global().map_err(Failure::from).and_then(|()| work(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {}", chain(&*failure));
            ExitCode::FAILURE
        }
    }
}

/// The message of an error and of all its causes, leaving out those that only repeat the one before.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut next = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if message != last {
            text.push_str(": ");
            text.push_str(&message);
        }
        last = message;
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;
    use crate::{CurveError, FileError};

    #[test]
    fn causes_follow_their_effects() {
        let source = io::Error::other("disk is full");
        let error = CurveError::from(FileError::File { path: PathBuf::from("out/a.csv"), source });
        assert_eq!(chain(&error), "cannot write `out/a.csv`: disk is full");
    }
}
