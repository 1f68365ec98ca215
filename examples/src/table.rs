//! The table an example ends with.

use anstyle::{AnsiColor, Effects, Style};

use crate::bracket::{bracket, significant};
use crate::row::Row;

const COLUMNS: usize = 7;
const HEADER: [&str; COLUMNS] = ["quantity", "source", "ours", "tau_int", "exact", "pull in σ", "paper"];
/// What stands where there is no number.
const NONE: &str = "-";

/// Place of the pull, and the standard errors from which on it is shown in red.
const PULL: usize = 5;
const STRIKING: f64 = 3.0;
const RED: Style = AnsiColor::Red.on_default().effects(Effects::BOLD);

/// Columns as wide as their widest cell, words to the left and numbers to the right; none that is empty. Styles are ANSI sequences.
pub(crate) fn format(rows: &[Row]) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let shown: [bool; COLUMNS] =
        std::array::from_fn(|column| lines[1..].iter().any(|line| line[column] != NONE));
    let rule = widths.map(|width| "-".repeat(width));
    lines.insert(1, rule);

    let mut text = String::new();
    // Two lines of heads come before the rows.
    let striking = |line: usize| {
        let row = line.checked_sub(2).and_then(|row| rows.get(row));
        row.and_then(|row| row.pull).is_some_and(|pull| pull.abs() > STRIKING)
    };
    for (number, line) in lines.iter().enumerate() {
        let padded: Vec<String> = (line.iter().zip(widths).enumerate())
            .filter(|(column, _)| shown[*column])
            .map(|(column, (cell, width))| match column {
                0 | 1 => format!("{cell:<width$}"),
                PULL if striking(number) => format!("{RED}{cell:>width$}{RED:#}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let number = |number: Option<f64>| number.map_or(NONE.to_owned(), significant);
    [
        row.quantity.clone(),
        row.source.clone(),
        bracket(row.value, row.error),
        row.tau_int.map_or(NONE.to_owned(), |tau| format!("{tau:.1}")),
        number(row.exact.or(row.target)),
        row.pull.map_or(NONE.to_owned(), |pull| format!("{pull:+.1}")),
        number(row.paper),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            Row::new("kappa_2", "data", 1.0631, 0.0005).exact(1.0625).paper(1.0681),
            Row::new("kappa_8", "backward, learned score", -271.2, 2.3),
        ];
        let expected = "\
quantity  source                          ours   exact  pull in σ   paper
--------  -----------------------  -----------  ------  ---------  ------
kappa_2   data                     1.06310(50)  1.0625       +1.2  1.0681
kappa_8   backward, learned score  -271.2(2.3)       -          -       -
";
        assert_eq!(format(&rows), expected);

        let chain = [Row::new("phi2", "Monte Carlo", 0.6222, 0.0012).tau_int(0.52)];
        let expected = "\
quantity  source             ours  tau_int
--------  -----------  ----------  -------
phi2      Monte Carlo  0.6222(12)      0.5
";
        assert_eq!(format(&chain), expected);
    }

    #[test]
    fn large_differences_are_red() {
        let of = |pull: f64| format(&[Row::new("a", "b", pull, 1.0).exact(0.0)]);
        assert!(of(-3.1).contains("\u{1b}[1m\u{1b}[31m     -3.1\u{1b}[0m"), "{:?}", of(-3.1));
        assert!(!of(2.9).contains('\u{1b}'));
    }
}
