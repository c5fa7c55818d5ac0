//! The table: what was seen at each second, a row whenever something changed.

/// One version at one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    /// Its identity.
    pub(super) hash: String,
    /// Its name.
    pub(super) alias: String,
    /// Pods that have not been deleted.
    pub(super) pods: u32,
    /// The ready ones.
    pub(super) ready: u32,
    /// `62.50%`.
    pub(super) share: String,
    /// Why.
    pub(super) reason: &'static str,
}

/// A service at one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// When: seconds, or `rest`.
    pub(super) at: String,
    /// Its versions.
    pub(super) cells: Vec<Cell>,
    /// Its state.
    pub(super) state: &'static str,
    /// What someone did.
    pub(super) event: String,
}

impl Row {
    /// Whether a person reading both would see no difference but in the second.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        self.cells == other.cells && self.state == other.state
    }
}

/// The columns' names: `(hash, name)`, in the order in which versions came; of those with one alias, each has a
/// number.
pub(super) fn names(rows: &[Row]) -> Vec<(String, String)> {
    let mut versions: Vec<(&str, &str)> = Vec::new();
    for cell in rows.iter().flat_map(|row| &row.cells) {
        if versions.iter().all(|(hash, _)| *hash != cell.hash) {
            versions.push((&cell.hash, &cell.alias));
        }
    }
    let name = |(index, (_, alias)): (usize, &(&str, &str))| {
        let like = |versions: &[(&str, &str)]| versions.iter().filter(|v| v.1 == *alias).count();
        match like(&versions) {
            1 => (*alias).to_owned(),
            _ => format!("{alias}#{}", like(&versions[..=index])),
        }
    };
    let named = versions.iter().enumerate();
    let named = named.map(|(index, version)| (version.0.to_owned(), name((index, version))));
    named.collect()
}

/// The rows as a text, every line ended.
pub(super) fn table(rows: &[Row]) -> String {
    let names = names(rows);
    let heads: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    let mut header = vec![
        "t".to_owned(),
        format!("pods {} (ready)", heads.join("/")),
        "state".into(),
    ];
    header.extend(heads.iter().map(|name| format!("share {name}")));
    header.extend(["reason".to_owned(), String::new()]);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| line(row, &names)));

    let columns = lines[0].len();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_right = |column: usize| column == 0 || (3..3 + names.len()).contains(&column);
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(&widths).enumerate();
        let cells: Vec<String> = cells
            .map(|(column, (cell, &width))| match is_right(column) {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            })
            .collect();
        text += format!("  {}", cells.join("  ")).trim_end();
        text.push('\n');
    }
    text
}

fn line(row: &Row, names: &[(String, String)]) -> Vec<String> {
    let cell = |hash: &str| row.cells.iter().find(|cell| cell.hash == hash);
    let each = |of: &dyn Fn(&Cell) -> u32| {
        let counts = names
            .iter()
            .map(|(hash, _)| cell(hash).map_or(0, of).to_string());
        counts.collect::<Vec<_>>().join("/")
    };
    let pods = format!("{} ({})", each(&|cell| cell.pods), each(&|cell| cell.ready));
    let mut line = vec![row.at.clone(), pods, row.state.to_owned()];
    let share = |hash: &str| cell(hash).map_or_else(|| "-".to_owned(), |cell| cell.share.clone());
    line.extend(names.iter().map(|(hash, _)| share(hash)));
    line.push(reason(row, names));
    line.push(match row.event.is_empty() {
        true => String::new(),
        false => format!("<- {}", row.event),
    });
    line
}

/// One word where it is that of every version that is ready, else `v1 fills-in, v2 policy`.
fn reason(row: &Row, names: &[(String, String)]) -> String {
    let cells = names.iter().filter_map(|(hash, name)| {
        let cell = row
            .cells
            .iter()
            .find(|cell| cell.hash == *hash && cell.ready > 0)?;
        Some((name.as_str(), cell.reason))
    });
    let cells: Vec<(&str, &str)> = cells.collect();
    match cells.first() {
        None => "no-endpoints".to_owned(),
        Some((_, first)) if cells.iter().all(|(_, reason)| reason == first) => (*first).to_owned(),
        Some(_) => {
            let each = cells
                .iter()
                .map(|(name, reason)| format!("{name} {reason}"));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}
