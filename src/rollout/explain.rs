//! Explanations: why a service has the split it has, as a text for a person.
//!
//! Given a view, its [`Outcome`] and what was counted of its answers, [`explain`] tells the inputs, the rule and the
//! result. It computes nothing that [`super::evaluate()`] has not; plain ASCII, lines under 100 columns.

mod layout;

use std::collections::BTreeSet;

use super::evaluate::{Basis, Outcome, Version};
use super::shares::Capacity;
use super::track::{ChangeKind, Track};
use crate::model::{
    OnFailure, Policy, PolicySource, Reason, ServiceKind, ServiceView, Share, Step, Steps,
    Strategy, Weights, Workload,
};

use layout::{line, printable, section, table};

/// The text of `shiftdns explain shop/web`: what was given, what rule applied, what came of it, what is wrong.
///
/// `outcome` is that of `view`. `answered` is what part of its answers each version had lately, in the order of the
/// outcome's versions; `None`, and nothing at all, where it was not counted.
pub fn explain(view: &ServiceView, outcome: &Outcome, answered: &[Option<Share>]) -> String {
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
    section(&mut text, "rule", vec![("", rule(outcome))]);
    text.push_str("\nversions\n");
    text.push_str(&table(view, outcome));
    section(&mut text, "reasons", reasons.collect());
    section(&mut text, "failed", failed(outcome));
    section(
        &mut text,
        "answered in the last minute",
        counted(outcome, answered),
    );
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
        let workload = track.workload_in(view);
        lines.extend(workload.map(|workload| ("workload", pods(workload))));
        lines.push(("track", standing(workload, track, &outcome.versions)));
        lines.extend(move_of(track).map(|text| ("", text)));
    }
    lines.push(("endpoints", endpoints(view, outcome)));
    lines.push(("policy", told(&outcome.policy)));
    lines.extend(guards(&outcome.policy).map(|text| ("guards", text)));
    if let Some(limits) = &outcome.capacity {
        lines.push(("capacity", capacity(limits)));
    }
    let source = match view.policy_of {
        PolicySource::Annotations => "annotation",
        PolicySource::Resource { .. } => "resource",
    };
    for (key, value) in &view.annotations {
        lines.push((source, printable(&format!("{key}: {value}"))));
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

fn standing(workload: Option<&Workload>, track: &Track, versions: &[Version]) -> String {
    let name = |version: Option<usize>| {
        version.map_or_else(|| "no revision".to_owned(), |v| name(&versions[v]))
    };
    let target = name(track.target);
    let stable = name(track.stable);
    let change = match track.kind {
        _ if track.target == track.stable => format!("at {target}"),
        ChangeKind::Rollback => format!("rolls back to {target}, from {stable}"),
        _ => format!("rolls to {target}, from {stable}"),
    };
    let paused = match workload {
        Some(workload) if workload.paused => ", paused",
        _ => "",
    };
    let note = track.note.as_ref();
    let note = note.map_or_else(String::new, |note| format!(" ({})", printable(note)));
    format!("{}: {change}{paused}{note}", track.state.as_str())
}

/// Where a roll-out is on its way, and when it goes on; nothing where none is, or shares follow something else.
fn move_of(track: &Track) -> Option<String> {
    if track.target == track.stable {
        return None;
    }
    let step = track
        .step
        .map(|(step, count)| format!("step {step} of {count}"));
    let wanted = track
        .wanted
        .map(|share| format!("the strategy gives the target {share}"));
    let next = track
        .next_move
        .map(|at| format!("and more by itself at {at}"));
    let parts: Vec<String> = [step, wanted, next].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn name(version: &Version) -> String {
    match version.alias == version.hash {
        true => version.alias.to_string(),
        false => format!("{} ({})", version.alias, version.hash),
    }
}

/// Versions that failed, and by what.
fn failed(outcome: &Outcome) -> Vec<(&'static str, String)> {
    let versions = outcome.versions.iter();
    let failed = versions.filter_map(|version| {
        let cause = version.failed?.as_str();
        Some(("", printable(&format!("{}: {cause}", name(version)))))
    });
    failed.collect()
}

fn counted(outcome: &Outcome, answered: &[Option<Share>]) -> Vec<(&'static str, String)> {
    let versions = outcome.versions.iter().zip(answered);
    let counted = versions.filter_map(|(version, share)| {
        let share = share.as_ref()?.to_string();
        Some(("", printable(&format!("{share:>7}  {}", name(version)))))
    });
    counted.collect()
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
    format!(
        "{}; answer {}, {}, clamp {}, headroom {}%",
        printable(&strategy(&policy.strategy)),
        policy.answer.as_str(),
        count(policy.records.into(), "record"),
        if policy.clamp { "on" } else { "off" },
        policy.headroom_percent
    )
}

/// What guards a roll-out; nothing where nobody asked for that.
fn guards(policy: &Policy) -> Option<String> {
    let mut parts = Vec::new();
    if policy.guarded {
        let (failure, rollback) = (policy.on_failure.as_str(), policy.rollback.as_str());
        parts.push(format!("on failure {failure}, rollback {rollback}"));
    }
    for (what, secs) in [
        ("soak", policy.soak_secs),
        ("slow start", policy.slow_start_secs),
    ] {
        if secs > 0 {
            parts.push(format!("{what} {}", duration(secs)));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The strategy, as it would be written.
fn strategy(strategy: &Strategy) -> String {
    let word = strategy.as_str();
    match strategy {
        Strategy::Follow | Strategy::External => word.to_owned(),
        Strategy::Linear { over_secs } | Strategy::Exponential { over_secs } => {
            format!("{word} over {}", duration(*over_secs))
        }
        Strategy::Steps(steps) => format!("{word} {}", written_steps(steps)),
        Strategy::BlueGreen {
            auto_promotion_secs,
            backends,
        } => {
            let backends = backends.as_ref().map(written_weights);
            let by_itself = auto_promotion_secs
                .map(|secs| format!("promoted by itself after {}", duration(secs)));
            let parts: Vec<String> = [Some(word.to_owned()), backends, by_itself]
                .into_iter()
                .flatten()
                .collect();
            parts.join(" ")
        }
        Strategy::Manual(weights) => format!("{word} {}", written_weights(weights)),
    }
}

fn written_weights(weights: &Weights) -> String {
    let written: Vec<String> = weights.iter().map(|(n, w)| format!("{n}={w}")).collect();
    written.join(",")
}

fn written_steps(steps: &Steps) -> String {
    let written = |step: &Step| {
        let percent = step.share.basis_points() / 100;
        let hold = step.hold_secs.map(duration);
        hold.map_or_else(|| percent.to_string(), |hold| format!("{percent}@{hold}"))
    };
    let steps: Vec<String> = steps.as_slice().iter().map(written).collect();
    steps.join(",")
}

/// `1h30m`, `45s`.
fn duration(secs: u32) -> String {
    let parts = [(secs / 3600, 'h'), (secs / 60 % 60, 'm'), (secs % 60, 's')];
    let text: String = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, unit)| format!("{number}{unit}"))
        .collect();
    match text.is_empty() {
        true => "0s".to_owned(),
        false => text,
    }
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

/// The rule in a sentence or two: what each version is asked to carry, and what becomes of the rest.
fn rule(outcome: &Outcome) -> String {
    if outcome.basis == Basis::Nothing {
        return "No endpoint counts: there is nothing to share.".to_owned();
    }
    if outcome.capacity.is_none() {
        return match outcome.weighted {
            true => {
                "Every endpoint that counts weighs the same, but for those that have just become ready: they \
                 start with a part of their weight."
            }
            false => {
                "Every endpoint that counts weighs the same; the shares below only tell what that gives."
            }
        }
        .to_owned();
    }
    let (who, part) = match (&outcome.policy.strategy, outcome.policy.clamp) {
        (_, true) => ("Every version", ", up to what its ready pods can carry"),
        (_, false) => ("Every version with a ready endpoint", ""),
    };
    let asked = match outcome.policy.strategy {
        Strategy::Manual(_) | Strategy::External => "has the part that its weight asks",
        Strategy::Follow => "has the part of its ready pods",
        _ => {
            "has the part that the strategy gives it (the target what its roll-out has reached, the stable version \
             the rest)"
        }
    };
    let mut rule = format!(
        "{who} {asked}{part}; what is left goes to the stable version, then to others newest first, then to the target."
    );
    let is_out = |version: &Version| {
        matches!(
            version.reason,
            Reason::Quarantined | Reason::QuarantineOverflow
        )
    };
    if outcome.versions.iter().any(is_out) {
        rule.push_str(match outcome.policy.on_failure {
            OnFailure::ShiftBackStrict => {
                " A version that failed carries nothing while any other is ready."
            }
            _ => " A version that failed carries only what nobody else has the capacity for.",
        });
    }
    rule
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

#[cfg(test)]
mod tests;
