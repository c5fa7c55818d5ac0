//! Explanations: why a service has the split it has, as a text for a person.
//!
//! Given a view and its [`Outcome`], [`explain`] tells the inputs, the rule and the result. It computes nothing
//! that [`super::evaluate()`] has not; plain ASCII, lines under 100 columns.

use std::collections::BTreeSet;

use super::evaluate::{Basis, Outcome, Version};
use super::shares::Capacity;
use super::track::{ChangeKind, Role, Track};
use crate::model::{Policy, Reason, ServiceKind, ServiceView, Share, Strategy, Workload};

/// The text of `shiftdns explain shop/web`: what was given, what rule applied, what came of it, what is wrong.
///
/// `outcome` is that of `view`.
pub fn explain(view: &ServiceView, outcome: &Outcome) -> String {
    let reasons: BTreeSet<Reason> = outcome.versions.iter().map(|v| v.reason).collect();
    let reasons = reasons.into_iter();
    let reasons = reasons.map(|reason| (reason.as_str(), sentence(reason).to_owned()));
    let mut problems: Vec<_> = outcome
        .problems
        .iter()
        .map(|problem| ("", printable(&problem.text)))
        .collect();
    if problems.is_empty() {
        problems.push(("", "none".to_owned()));
    }

    let mut text = String::new();
    let state = outcome.state.as_str();
    let title = format!("service {}: {state} since {}", view.key, outcome.since);
    line(&mut text, "", 0, &title);
    section(&mut text, "inputs", inputs(view, outcome));
    section(&mut text, "rule", vec![("", rule(outcome).to_owned())]);
    text.push_str("\nversions\n");
    text.push_str(&table(view, outcome));
    section(&mut text, "reasons", reasons.collect());
    section(&mut text, "problems", problems);
    text
}

fn inputs(view: &ServiceView, outcome: &Outcome) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(origin) = &view.origin {
        lines.push(("read from", printable(&origin.to_string())));
    }
    lines.push(("kind", kind(view)));
    for track in &outcome.tracks {
        let Some(workload) = track.workload_in(view) else {
            continue;
        };
        lines.push(("workload", pods(workload)));
        lines.push(("track", standing(workload, track, &outcome.versions)));
    }
    lines.push(("endpoints", endpoints(view, outcome)));
    lines.push(("policy", told(&outcome.policy)));
    if let Some(limits) = &outcome.capacity {
        lines.push(("capacity", capacity(limits)));
    }
    for (key, value) in &view.annotations {
        lines.push(("annotation", printable(&format!("{key}: {value}"))));
    }
    lines
}

fn kind(view: &ServiceView) -> String {
    let kind = match &view.kind {
        ServiceKind::ClusterIp { .. } => "ClusterIP",
        ServiceKind::Headless => "headless",
        ServiceKind::ExternalName { .. } => "ExternalName",
    };
    match view.publish_not_ready {
        true => format!("{kind}, publishes addresses that are not ready"),
        false => kind.to_owned(),
    }
}

fn pods(workload: &Workload) -> String {
    format!(
        "{}: {} wanted, {} may be missing",
        workload.key,
        count(workload.replicas, "pod"),
        workload.max_unavailable
    )
}

fn standing(workload: &Workload, track: &Track, versions: &[Version]) -> String {
    let name = |version: Option<usize>| match version {
        Some(index) if versions[index].alias == versions[index].hash => {
            versions[index].alias.to_string()
        }
        Some(index) => format!("{} ({})", versions[index].alias, versions[index].hash),
        None => "no revision".to_owned(),
    };
    let target = name(track.target);
    let stable = name(track.stable);
    let change = match track.kind {
        _ if track.target == track.stable => format!("at {target}"),
        ChangeKind::Rollback => format!("rolls back to {target}, from {stable}"),
        _ => format!("rolls to {target}, from {stable}"),
    };
    let paused = if workload.paused { ", paused" } else { "" };
    format!("{}: {change}{paused}", track.state.as_str())
}

fn endpoints(view: &ServiceView, outcome: &Outcome) -> String {
    let counting = view.endpoints.iter().filter(|e| outcome.counts(e)).count();
    let which = match outcome.basis {
        Basis::Ready if outcome.publish_not_ready => "all that are published",
        Basis::Ready => "the ready ones",
        Basis::Terminating => "none is ready, those that serve while terminating are left",
        Basis::Nothing => "none is ready",
    };
    format!("{counting} of {} count: {which}", view.endpoints.len())
}

fn told(policy: &Policy) -> String {
    let weights = match &policy.strategy {
        Strategy::Manual(weights) => {
            let written: Vec<String> = weights.iter().map(|(n, w)| format!("{n}={w}")).collect();
            printable(&format!(" {}", written.join(",")))
        }
        _ => String::new(),
    };
    format!(
        "{}{weights}; answer {}, {}, clamp {}, headroom {}%",
        policy.strategy.as_str(),
        policy.answer.as_str(),
        count(policy.records.into(), "record"),
        if policy.clamp { "on" } else { "off" },
        policy.headroom_percent
    )
}

fn capacity(capacity: &Capacity) -> String {
    if !capacity.clamp {
        return "not limited".to_owned();
    }
    let basis = capacity.basis.max(1);
    let carry = if basis == 1 { "carries" } else { "carry" };
    format!("{} {carry} the whole load", count(basis, "ready pod"))
}

fn count(number: u32, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

fn rule(outcome: &Outcome) -> &'static str {
    match (outcome.basis, outcome.weighted) {
        (Basis::Nothing, _) => "No endpoint counts: there is nothing to share.",
        (_, false) => {
            "Every endpoint that counts weighs the same; the shares below only tell what that gives."
        }
        (_, true) if outcome.policy.clamp => {
            "Every version has the part that its weight asks, up to what its ready pods can carry; what is left \
             goes to the stable version, then to others newest first, then to the target."
        }
        (_, true) => {
            "Every version with a ready endpoint has the part that its weight asks; what is left goes to the \
             stable version, then to others newest first, then to the target."
        }
    }
}

/// The reason as a sentence.
fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::Follow => "Every ready endpoint counts the same.",
        Reason::Policy => "It has what the policy gives it.",
        Reason::CapacityCapped => {
            "The policy gives it more than its ready pods can carry; it has what they can."
        }
        Reason::FillsIn => "It carries what others cannot, within its own capacity.",
        Reason::QuarantineOverflow => {
            "It failed, and carries only what nobody else has the capacity for."
        }
        Reason::OverloadShared => {
            "Together the ready pods cannot carry the load; each of them has the same part."
        }
        Reason::Quarantined => "It failed, and is kept out.",
        Reason::Excluded => "The policy leaves it out: its weight is 0, or no weight names it.",
        Reason::NoEndpoints => "None of its endpoints is ready.",
    }
}

/// Fewer columns than the narrowest terminal in wide use for tables, 100.
const COLUMNS_MAX: usize = 99;

/// A `pod-template-hash` has ten octets, `unversioned` eleven; names of backends are cut, and told as aliases.
const HASH_MAX: usize = 11;

const HEADER: [&str; 10] = [
    "alias", "rev", "hash", "pods", "ready", "policy", "capacity", "share", "role", "reason",
];

/// One line per version; aliases are cut to what the other columns leave.
fn table(view: &ServiceView, outcome: &Outcome) -> String {
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
fn printable(text: &str) -> String {
    let plain = |c: char| matches!(c, ' '..='~');
    text.chars()
        .map(|c| if plain(c) { c } else { '?' })
        .collect()
}

/// Adds a title and lines behind their labels; nothing where there are no lines.
fn section(text: &mut String, title: &str, lines: Vec<(&'static str, String)>) {
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
fn line(text: &mut String, head: &str, indent: usize, content: &str) {
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

#[cfg(test)]
mod tests;
