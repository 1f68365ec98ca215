//! How much a program says, and in which form.

use std::sync::OnceLock;

/// What was asked for on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Output {
    /// JSON in place of a table.
    pub(crate) json: bool,
    /// No progress, no closing words.
    pub(crate) quiet: bool,
}

static OUTPUT: OnceLock<Output> = OnceLock::new();

impl Output {
    /// Decides for the whole process; the first decision stands.
    pub(crate) fn decide(self) {
        let _ = OUTPUT.set(self);
    }

    /// What was decided; a program without options says everything.
    pub(crate) fn decided() -> Self {
        OUTPUT.get().copied().unwrap_or_default()
    }
}
