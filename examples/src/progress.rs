//! Progress of long work, with its rate.

use std::borrow::Cow;
use std::io::IsTerminal as _;
use std::time::Duration;

use crate::output::Output;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

const TEMPLATE: &str = "{prefix:24} {bar:32} {percent:>3} %  {rate}  {eta} left  {msg}";

/// A bar on stderr, or, where stderr is no terminal, one plain line at the end of the phase.
///
/// ```
/// use examples::Progress;
///
/// let progress = Progress::new("forward process", 1000, "trajectories");
/// for _ in 0..10 {
///     progress.advance(100); // from any thread
/// }
/// progress.finish();
/// ```
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    phase: Cow<'static, str>,
    unit: &'static str,
}

impl Progress {
    /// A phase of `total` units, for example 20000 `steps`.
    pub fn new(phase: impl Into<Cow<'static, str>>, total: u64, unit: &'static str) -> Self {
        let (bar, phase) = (ProgressBar::new(total), phase.into());
        if std::io::stderr().is_terminal() && !Output::decided().quiet {
            let style = ProgressStyle::with_template(TEMPLATE)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("rate", move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                    // A bar has no use for an error of its own formatting.
                    let _ = write!(out, "{} {unit}/s", short(state.per_sec()));
                })
                .progress_chars("━━╌");
            bar.set_style(style);
            bar.set_prefix(phase.clone());
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        Self { bar, phase, unit }
    }

    /// Counts `units` more as done.
    pub fn advance(&self, units: u64) {
        self.bar.inc(units);
    }

    /// Sets the number of units done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Shows a word beside the bar, for example the current loss.
    pub fn message(&self, message: impl Into<Cow<'static, str>>) {
        self.bar.set_message(message);
    }

    /// Replaces the bar by a line that says what was done in which time.
    pub fn finish(self) {
        self.bar.finish_and_clear();
        let seconds = self.bar.elapsed().as_secs_f64();
        if Output::decided().quiet {
            return;
        }
        eprintln!("{}", summary(&self.phase, self.bar.position(), self.unit, seconds));
    }
}

fn summary(phase: &str, done: u64, unit: &str, seconds: f64) -> String {
    let rate = short(done as f64 / seconds.max(1e-9));
    format!("{phase}: {} {unit} in {seconds:.1} s, {rate} {unit}/s", short(done as f64))
}

/// Three digits and a power of a thousand.
fn short(number: f64) -> String {
    let powers = [(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")];
    let (unit, letter) = powers.into_iter().find(|(unit, _)| number >= *unit).unwrap_or((1.0, ""));
    let mantissa = number / unit;
    let decimals = usize::from(mantissa < 100.0 && mantissa.fract() != 0.0);
    format!("{mantissa:.decimals$}{letter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_ends_with_its_rate() {
        let line = summary("training", 20_000, "steps", 16.0);
        assert_eq!(line, "training: 20 k steps in 16.0 s, 1.2 k steps/s");
        assert_eq!(summary("data", 0, "rows", 0.0), "data: 0 rows in 0.0 s, 0 rows/s");
    }

    #[test]
    fn the_template_is_valid() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
