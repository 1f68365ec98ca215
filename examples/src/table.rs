//! The table an example ends with.

use crate::bracket::{bracket, significant};
use crate::row::Row;

const HEADER: [&str; 6] = ["quantity", "source", "ours", "exact", "pull in σ", "paper"];

/// Columns as wide as their widest cell, words to the left and numbers to the right.
pub(crate) fn format(rows: &[Row]) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let widths: [usize; 6] = std::array::from_fn(|column| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
    });
    let rule = widths.map(|width| "-".repeat(width));
    lines.insert(1, rule);

    let mut text = String::new();
    for line in &lines {
        let padded: Vec<String> = (line.iter().zip(widths).enumerate())
            .map(
                |(column, (cell, width))| {
                    if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cells(row: &Row) -> [String; 6] {
    let number = |number: Option<f64>| number.map_or("-".to_owned(), significant);
    [
        row.quantity.clone(),
        row.source.clone(),
        bracket(row.value, row.error),
        number(row.exact.or(row.target)),
        row.pull.map_or("-".to_owned(), |pull| format!("{pull:+.1}")),
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
    }
}
