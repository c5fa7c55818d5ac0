//! The strings of `_versions` and `_rollout`: what the shares are, and why.

use std::fmt::Write as _;

use crate::model::ServiceView;
use crate::rollout::{Outcome, Track, Version};

/// One string a version, in the outcome's order:
/// `version=v2 alias=v2 revision=12 hash=7d9f share=10.00% policy=25.00% cap=10.00% ready=3 role=canary reason=…`.
/// Keys without a value are left out.
pub(super) fn versions(outcome: &Outcome, view: &ServiceView) -> Vec<String> {
    let line = |version: &Version| {
        let Version {
            label,
            alias,
            hash,
            share,
            ready,
            reason,
            ..
        } = version;
        let mut text = format!("version={label} alias={alias}");
        let revision = version
            .revision
            .and_then(|index| view.revisions[index].number);
        push(&mut text, "revision", revision);
        push(&mut text, "hash", Some(hash));
        push(&mut text, "share", Some(share));
        push(&mut text, "policy", version.policy);
        push(&mut text, "cap", version.capacity);
        push(&mut text, "ready", Some(ready));
        push(&mut text, "role", version.role.map(|role| role.as_str()));
        push(&mut text, "reason", Some(reason));
        text
    };
    outcome.versions.iter().map(line).collect()
}

/// One string a track; one for the whole service where nothing is known to roll behind it.
pub(super) fn rollout(outcome: &Outcome, view: &ServiceView, ttl: u32) -> Vec<String> {
    let strategy = outcome.policy.strategy.as_str();
    // Whole seconds: nothing about a roll-out is known more exactly.
    let tail = format!("strategy={strategy} since={:.0} ttl={ttl}", outcome.since);
    let line = |track: &Track| {
        let alias = |version: Option<usize>| version.map(|v| &outcome.versions[v].alias);
        let workload = track
            .workload
            .map_or("backends", |index| &view.workloads[index].key.name);
        let mut text = format!(
            "workload={workload} state={:?} kind={}",
            track.state,
            track.kind.as_str()
        );
        push(&mut text, "target", alias(track.target));
        push(&mut text, "stable", alias(track.stable));
        format!("{text} {tail}")
    };
    if outcome.tracks.is_empty() {
        return vec![format!("state={:?} {tail}", outcome.state)];
    }
    outcome.tracks.iter().map(line).collect()
}

fn push(text: &mut String, key: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _ = write!(text, " {key}={value}");
    }
}
