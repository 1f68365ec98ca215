//! The options of the examples.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Command;
use cumulants::LEAF;

use crate::output::Output;

/// Options that every example understands; none is required.
///
/// Counts of zero, negative counts and words are refused with a message that names the option and the value.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Common {
    /// Seed of all random numbers; the same seed gives the same numbers for any number of threads
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub seed: u64,

    /// Threads to use [default: all cores]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Folder for figures, curves and results.json [default: the example's name in out]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print the contents of results.json in place of the table
    #[arg(long)]
    pub json: bool,

    /// No progress and no closing words: errors, and the table or the JSON, are all that is printed
    #[arg(long)]
    pub quiet: bool,
}

impl Common {
    /// Folder for all files of this run.
    pub fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("out"))
    }
}

/// A set of options.
pub trait Options: clap::Args {
    /// The options that every example has.
    fn common(&mut self) -> &mut Common;
}

/// Reads `words` (the first is the program's name) for the example called `example`.
///
/// # Errors
/// Whatever clap refuses, and the requests for help, which clap reports in the same way.
pub(crate) fn parse_from<O: Options, W: Into<OsString> + Clone>(
    example: &'static str,
    about: &'static str,
    words: impl IntoIterator<Item = W>,
) -> Result<O, clap::Error> {
    let mut command = O::augment_args(Command::new(example)).about(about).long_about(about);
    let mut options = O::from_arg_matches(&command.try_get_matches_from_mut(words)?)
        .map_err(|error| error.format(&mut command))?;
    options.common().out.get_or_insert_with(|| Path::new("out").join(example));
    Ok(options)
}

/// Options of the examples of one variable.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Those of every example.
    #[command(flatten)]
    pub common: Common,

    /// Sample with the weights of this PyTorch state dict instead of training
    #[arg(long, value_name = "FILE.pt")]
    pub load: Option<PathBuf>,

    /// Time steps of the backward process
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub steps: Option<usize>,

    /// Trajectories of each process
    #[arg(long, value_name = "N", value_parser = with_errors, allow_negative_numbers = true)]
    pub trajectories: Option<usize>,

    /// Run at the paper's scale (10^5, 10^6 and 10^7 trajectories)
    #[arg(long)]
    pub full: bool,

    /// Use the paper's net, optimiser, prior and time grid
    #[arg(long)]
    pub paper: bool,
}

impl Options for Args {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }
}

/// A word is no count.
#[derive(Debug, thiserror::Error)]
#[error("must be a whole number of at least 1")]
pub struct NotACount;

/// A count on the command line.
///
/// # Errors
/// For anything but a whole number of at least one.
pub fn positive(word: &str) -> Result<usize, NotACount> {
    NonZeroUsize::from_str(word).map(NonZeroUsize::get).map_err(|_| NotACount)
}

/// Errors are those between bins, of [`LEAF`] trajectories at least.
#[derive(Debug, thiserror::Error)]
#[error("must be a whole number of at least {}: errors are those between groups of {LEAF}", 2 * LEAF)]
struct TooFewForErrors;

fn with_errors(word: &str) -> Result<usize, TooFewForErrors> {
    word.parse().ok().filter(|&count| count >= 2 * LEAF).ok_or(TooFewForErrors)
}

/// One of several jobs that do a part of the work each: `2/5` is the third of five.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from zero.
    pub part: usize,
    /// Number of jobs.
    pub parts: usize,
}

/// A word is no shard.
#[derive(Debug, thiserror::Error)]
#[error("must be like 2/5, the third of five: a number from 0 on below that of the jobs")]
pub struct NoShard;

impl Shard {
    /// The last words of a job that has left its shard in this folder.
    #[expect(clippy::print_stdout, reason = "the last words of a program")]
    pub fn farewell(self, folder: &Path) {
        if !Output::decided().quiet {
            println!("Shard {} of {} is in {}, for --merge.", self.part, self.parts, folder.display());
        }
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(word: &str) -> Result<Self, NoShard> {
        let (part, parts) = word.split_once('/').ok_or(NoShard)?;
        let [part, parts] = [part, parts].map(|number| number.parse::<usize>().map_err(|_| NoShard));
        let shard = Self { part: part?, parts: parts? };
        if shard.part < shard.parts { Ok(shard) } else { Err(NoShard) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        parse_from("two_peak_ve", "about", std::iter::once("two_peak_ve").chain(line.split_whitespace()))
    }

    #[test]
    fn no_option_is_required() {
        let args = parse("").unwrap();
        assert_eq!(args.common.seed, 1);
        assert_eq!(args.common.out(), Path::new("out/two_peak_ve"));
        assert_eq!((args.common.threads, args.steps, args.trajectories), (None, None, None));
        assert!(!args.full && !args.paper && args.load.is_none());
    }

    #[test]
    fn every_option_is_read() {
        let args = parse(
            "--seed 7 --threads 2 --out here --load net.pt --steps 50 --trajectories 5000 --full --paper --json \
             --quiet",
        )
        .unwrap();
        assert!(args.common.json && args.common.quiet);
        assert_eq!((args.common.seed, args.common.threads), (7, Some(2)));
        assert_eq!((args.steps, args.trajectories), (Some(50), Some(5000)));
        assert_eq!((args.common.out(), args.load.as_deref()), (Path::new("here"), Some(Path::new("net.pt"))));
        assert!(args.full && args.paper);
    }

    #[test]
    fn bad_counts_are_refused_by_name_and_value() {
        for option in ["--threads", "--steps", "--trajectories"] {
            let least = if option == "--trajectories" { "at least 2048" } else { "at least 1" };
            for value in ["0", "-3", "many", "1.5"] {
                let message = parse(&format!("{option} {value}")).unwrap_err().to_string();
                assert!(message.contains(option) && message.contains(&format!("'{value}'")), "{message}");
                assert!(message.contains(least), "{message}");
            }
        }
        assert!(parse("--trajectories 2047").is_err() && parse("--trajectories 2048").is_ok());
        assert!(parse("--seed -1").unwrap_err().to_string().contains("--seed"));
    }

    #[test]
    fn help_is_no_failure() {
        let help = parse("--help").unwrap_err();
        assert!(!help.use_stderr());
        let text = help.to_string();
        assert!(text.starts_with("about\n") && text.contains("--trajectories"), "{text}");
    }
    #[test]
    fn shards() {
        assert_eq!("2/5".parse::<Shard>().unwrap(), Shard { part: 2, parts: 5 });
        for word in ["5/5", "0/0", "1", "-1/2", "a/2", "1/2/3"] {
            assert!(word.parse::<Shard>().unwrap_err().to_string().contains("2/5"), "{word}");
        }
    }
}
