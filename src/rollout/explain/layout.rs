//! The layout of explanations: a table of versions, and lines that fit a terminal.

use super::super::evaluate::{Outcome, Version};
use super::super::track::Role;
use crate::model::{ServiceView, Share};

/// Fewer columns than the narrowest terminal in wide use for tables, 100.
const COLUMNS_MAX: usize = 99;

/// A `pod-template-hash` has ten octets, `unversioned` eleven; names of backends are cut, and told as aliases.
const HASH_MAX: usize = 11;

const HEADER: [&str; 10] = [
    "alias", "rev", "hash", "pods", "ready", "policy", "capacity", "share", "role", "reason",
];

/// One line per version; aliases are cut to what the other columns leave.
pub(super) fn table(view: &ServiceView, outcome: &Outcome) -> String {
    if outcome.versions.is_empty() {
        return "  none\n".to_owned();
    }
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(outcome.versions.iter().map(|version| row(view, version)));
    let mut widths = HEADER.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let others: usize = widths[1..].iter().map(|width| width + 2).sum();
    widths[0] = widths[0]
        .min(COLUMNS_MAX.saturating_sub(2 + others))
        .max(HEADER[0].len());
    let mut text = String::new();
    for mut row in rows {
        row[0] = clip(&row[0], widths[0]);
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .zip(HEADER)
            .map(|((cell, width), column)| match column {
                "alias" | "hash" | "role" | "reason" => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            })
            .collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}

fn row(view: &ServiceView, version: &Version) -> [String; 10] {
    let dash = || "-".to_owned();
    let share = |share: Option<Share>| share.map_or_else(dash, |share| share.to_string());
    let revision = version.revision.map(|index| &view.revisions[index]);
    let number = revision.and_then(|revision| revision.number);
    [
        version.alias.to_string(),
        number.map_or_else(dash, |number| number.to_string()),
        clip(&printable(&version.hash), HASH_MAX),
        revision.map_or_else(dash, |revision| revision.pods.to_string()),
        version.ready.to_string(),
        share(version.policy),
        share(version.capacity),
        version.share.to_string(),
        version.role.map_or("-", Role::as_str).to_owned(),
        version.reason.as_str().to_owned(),
    ]
}

fn clip(text: &str, max: usize) -> String {
    match text.len() <= max {
        true => text.to_owned(),
        false => format!("{}..", &text[..max - 2]),
    }
}

/// What strangers wrote, in ASCII: anything else is `?`, so that columns line up and terminals are not steered.
pub(super) fn printable(text: &str) -> String {
    let plain = |c: char| matches!(c, ' '..='~');
    text.chars()
        .map(|c| if plain(c) { c } else { '?' })
        .collect()
}

/// Adds a title and lines behind their labels; nothing where there are no lines.
pub(super) fn section(text: &mut String, title: &str, lines: Vec<(&'static str, String)>) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    let label_width = lines.iter().map(|(label, _)| label.len()).max();
    let indent = match label_width {
        None | Some(0) => 2,
        Some(width) => 4 + width,
    };
    for (label, content) in lines {
        line(text, &format!("  {label}"), indent, &content);
    }
}

/// Adds a line, broken at spaces where it is too long, and inside a word that has none.
pub(super) fn line(text: &mut String, head: &str, indent: usize, content: &str) {
    let width = COLUMNS_MAX - indent;
    let (mut head, mut rest) = (head, content.trim());
    loop {
        let end = match rest.get(..=width) {
            None => rest.len(),
            Some(most) => most.rfind(' ').filter(|&at| at > 0).unwrap_or(width),
        };
        let (here, later) = rest.split_at(end);
        text.push_str(format!("{head:<indent$}{here}").trim_end());
        text.push('\n');
        head = "";
        rest = later.trim_start();
        if rest.is_empty() {
            return;
        }
    }
}
