//! Plain text for terminals: columns, and nothing that steers one.

/// Rows under their titles, each column as wide as its widest cell; columns that are empty in every row are left out.
pub(super) fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    painted(titles, rows, |_, cell| cell.to_owned())
}

/// The same, where `paint` gives cells that take no more room but are coloured, by title.
pub(super) fn painted<const N: usize>(
    titles: [&str; N],
    rows: &[[String; N]],
    paint: impl Fn(&str, &str) -> String,
) -> String {
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| row.each_ref().map(|cell| printable(cell)))
        .collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let head = titles.map(str::to_owned);
    let mut text = String::new();
    for row in std::iter::once(&head).chain(&rows) {
        let mut line = String::new();
        for ((cell, width), title) in row.iter().zip(widths).zip(titles) {
            if width > 0 {
                let width = width.max(title.len());
                let gap = width.saturating_sub(cell.chars().count()) + 2;
                line.push_str(&paint(title, cell));
                line.extend(std::iter::repeat_n(' ', gap));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// What servers tell may have been written by anybody: control characters are `?`.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_and_the_empty_ones_are_left_out() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned);
        let rows = [row(["a", "", "long cell"]), row(["bbbbb", "", "\x1b[31mx"])];
        assert_eq!(
            columns(["ONE", "TWO", "THREE"], &rows),
            "ONE    THREE\na      long cell\nbbbbb  ?[31mx\n"
        );
        assert_eq!(columns(["ONE"], &[]), "\n");
    }
}
