//! The table: what was seen at each second, a row whenever something changed.
//!
//! Beside pods and shares it has what the policy and the capacity give, where shares are limited by them, and the time
//! to live, where that changes.

use crate::model::Share;

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
    /// What the policy gives it; `None` where no weight names it.
    pub(super) policy: Option<Share>,
    /// What its ready pods may carry; `None` where nothing is limited.
    pub(super) capacity: Option<Share>,
    /// What it carries.
    pub(super) share: Share,
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
    /// Policy and capacity decide, not the number of endpoints.
    pub(super) is_limited: bool,
    /// Its state.
    pub(super) state: &'static str,
    /// The time to live of its endpoints' records.
    pub(super) ttl: u32,
    /// Where its roll-out stands in its steps, and why it stands still.
    pub(super) note: String,
    /// What someone did.
    pub(super) event: String,
    /// Nothing but shares differs from the row before.
    pub(super) is_ramp: bool,
}

impl Row {
    /// Whether a person reading both would see nothing happen in between. What the policy gives moves with every tick
    /// of a ramp; alone, it moves nothing.
    pub(super) fn looks_like(&self, other: &Self) -> bool {
        self.without(|cell| cell.policy = None) == other.without(|cell| cell.policy = None)
    }

    /// What is to be compared of it: all but the second, and of its cells what `hide` leaves.
    fn without(&self, hide: impl Fn(&mut Cell)) -> (Vec<Cell>, &'static str, u32, &str) {
        let mut cells = self.cells.clone();
        cells.iter_mut().for_each(hide);
        (cells, self.state, self.ttl, &self.note)
    }

    /// Whether the next row is one of a ramp: shares and policies moved, and nothing else did.
    pub(super) fn differs_in_shares_only(&self, next: &Self) -> bool {
        let still = |cell: &mut Cell| (cell.policy, cell.share) = (None, Share::ZERO);
        next.event.is_empty() && self.without(still) == next.without(still)
    }
}

/// More rows of mere progress than that tell nothing new.
const RAMP_ROWS: usize = 20;

/// The rows without most of those that only tell how a ramp goes on; what is left of them is evenly spaced.
pub(super) fn thinned(rows: &[Row]) -> Vec<Row> {
    let every = rows
        .iter()
        .filter(|row| row.is_ramp)
        .count()
        .div_ceil(RAMP_ROWS)
        .max(1);
    let mut ramp = 0;
    let mut keep = |row: &&Row| {
        ramp += usize::from(row.is_ramp);
        !row.is_ramp || ramp.is_multiple_of(every)
    };
    rows.iter().filter(|row| keep(row)).cloned().collect()
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
    let names_of_all = heads.join("/");
    let optional = Optional {
        limits: rows.iter().any(|row| row.is_limited),
        ttl: rows.iter().any(|row| row.ttl != rows[0].ttl),
    };
    let mut header = vec![
        "t".to_owned(),
        format!("pods {names_of_all} (ready)"),
        "state".into(),
    ];
    if optional.limits {
        header.extend(["policy %".to_owned(), "capacity %".to_owned()]);
    }
    let first_share = header.len();
    header.extend(heads.iter().map(|name| format!("share {name}")));
    if optional.ttl {
        header.push("TTL".to_owned());
    }
    let first_words = header.len();
    header.extend(["reason".to_owned(), String::new()]);
    let mut lines = vec![header];
    lines.extend(rows.iter().map(|row| line(row, &names, &optional)));

    let columns = lines[0].len();
    let width = |column: usize| {
        let cells = lines.iter().filter_map(|line| line.get(column));
        cells.map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_right = |column: usize| column == 0 || (first_share..first_words).contains(&column);
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

/// Columns that not every table has.
struct Optional {
    limits: bool,
    ttl: bool,
}

fn line(row: &Row, names: &[(String, String)], optional: &Optional) -> Vec<String> {
    let cell = |hash: &str| row.cells.iter().find(|cell| cell.hash == hash);
    let each = |of: &dyn Fn(&Cell) -> u32| {
        let counts = names
            .iter()
            .map(|(hash, _)| cell(hash).map_or(0, of).to_string());
        counts.collect::<Vec<_>>().join("/")
    };
    let pods = format!("{} ({})", each(&|cell| cell.pods), each(&|cell| cell.ready));
    let mut line = vec![row.at.clone(), pods, row.state.to_owned()];
    let dash = || "-".to_owned();
    if optional.limits {
        let each = |of: &dyn Fn(&Cell) -> Option<Share>| {
            let shares = names
                .iter()
                .map(|(hash, _)| cell(hash).and_then(of).map_or_else(dash, short));
            shares.collect::<Vec<_>>().join("/")
        };
        line.push(each(&|cell| cell.policy));
        line.push(each(&|cell| cell.capacity));
    }
    let share = |hash: &str| cell(hash).map_or_else(dash, |cell| cell.share.to_string());
    line.extend(names.iter().map(|(hash, _)| share(hash)));
    if optional.ttl {
        line.push(row.ttl.to_string());
    }
    line.push(reason(row, names));
    let event = (!row.event.is_empty()).then(|| format!("<- {}", row.event));
    let note = (!row.note.is_empty()).then(|| row.note.clone());
    let words: Vec<String> = note.into_iter().chain(event).collect();
    line.push(words.join("  "));
    line
}

/// `37.5`, `100`, `8.33`.
fn short(share: Share) -> String {
    let points = share.basis_points();
    let text = format!("{}.{:02}", points / 100, points % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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
