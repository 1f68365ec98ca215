//! One measured number and what it is compared with.

use serde::Serialize;

/// One line of `results.json` and of the final table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What was measured, for example `kappa_4`.
    pub quantity: String,
    /// Where the value comes from, for example `backward, learned score`.
    pub source: String,
    /// The value.
    pub value: f64,
    /// Its standard error, not negative.
    pub error: f64,
    /// The closed form, if there is one.
    pub exact: Option<f64>,
    /// The published value, if there is one.
    pub paper: Option<f64>,
    /// The deviation from the exact value, or from the target's, over the error of the difference, if it is not zero.
    pub pull: Option<f64>,
    /// The same quantity of the target ensemble, if that is what it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Its standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_error: Option<f64>,
    /// Integrated autocorrelation time, in configurations, of a Markov chain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau_int: Option<f64>,
}

impl Row {
    /// A value with its standard error and nothing to compare with yet.
    pub fn new(quantity: &str, source: &str, value: f64, error: f64) -> Self {
        Self {
            quantity: quantity.into(),
            source: source.into(),
            value,
            error,
            exact: None,
            paper: None,
            pull: None,
            target: None,
            target_error: None,
            tau_int: None,
        }
    }

    /// Adds the closed form, and with it the pull.
    ///
    /// ```
    /// let row = examples::Row::new("kappa_2", "forward", 1.07, 0.02).exact(1.0625);
    /// assert!((row.pull.unwrap() - 0.375).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn exact(mut self, exact: f64) -> Self {
        self.exact = Some(exact);
        self.pull = (self.error != 0.0).then(|| (self.value - exact) / self.error);
        self
    }

    /// Adds the target's value with its error, and with it the pull.
    ///
    /// ```
    /// let row = examples::Row::new("V m^2", "generated", 403.0, 3.0).target(413.0, 4.0);
    /// assert!((row.pull.unwrap() + 2.0).abs() < 1e-12);
    /// ```
    #[must_use]
    pub fn target(mut self, value: f64, error: f64) -> Self {
        self.target = Some(value);
        self.target_error = Some(error);
        let both = self.error.hypot(error);
        self.pull = (both != 0.0).then(|| (self.value - value) / both);
        self
    }

    /// Adds the autocorrelation time.
    #[must_use]
    pub fn tau_int(mut self, tau_int: f64) -> Self {
        self.tau_int = Some(tau_int);
        self
    }

    /// Adds the published value.
    #[must_use]
    pub fn paper(mut self, paper: f64) -> Self {
        self.paper = Some(paper);
        self
    }

    /// The first field that is no finite number, or an error below zero.
    pub(crate) fn bad_field(&self) -> Option<(&'static str, f64)> {
        [
            ("value", Some(self.value)),
            ("error", Some(self.error)),
            ("exact", self.exact),
            ("paper", self.paper),
            ("pull", self.pull),
        ]
        .into_iter()
        .filter_map(|(field, number)| Some((field, number?)))
        .find(|&(field, number)| !number.is_finite() || (field == "error" && number < 0.0))
    }
}
