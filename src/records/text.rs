//! The strings of `_versions` and `_rollout`: what the shares are, and why.

use std::fmt::Write as _;

use jiff::Timestamp;

use crate::model::ServiceView;
use crate::rollout::{Outcome, Track, Version};

/// Longer than most lines, which are written at every tick of a ramp.
const LINE_LEN: usize = 255;

/// A string of `_rollout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutText {
    /// Facts without spaces inside, as `key=value`.
    pub facts: String,
    /// What stands behind all facts, since it has spaces.
    pub note: Option<String>,
}

impl RolloutText {
    /// The whole string; `generation` is the one that last changed the service.
    pub fn line(&self, generation: u64) -> String {
        let mut line = String::with_capacity(LINE_LEN);
        line.push_str(&self.facts);
        push(&mut line, "generation", Some(generation));
        push(&mut line, "note", self.note.as_ref());
        line
    }
}

/// One string a version, in the outcome's order:
/// `version=v2 alias=v2 revision=12 hash=7d9f share=10.00% policy=25.00% cap=10.00% ready=3 role=canary reason=… failed=…`.
/// Keys without a value are left out. The cause of a failure has spaces, so it is last.
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
        let mut text = String::with_capacity(LINE_LEN);
        // Writing to a string cannot fail.
        let _ = write!(text, "version={label} alias={alias}");
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
        push(&mut text, "failed", version.failed.map(|c| c.as_str()));
        text
    };
    outcome.versions.iter().map(line).collect()
}

/// One string a track; one for the whole service where nothing is known to roll behind it.
pub(super) fn rollout(outcome: &Outcome, view: &ServiceView, ttl: u32) -> Vec<RolloutText> {
    let strategy = outcome.policy.strategy.as_str();
    // Whole seconds: nothing about a roll-out is known more exactly.
    let seconds = |at: Timestamp| format!("{at:.0}");
    let line = |track: &Track| {
        let alias = |version: Option<usize>| version.map(|v| &outcome.versions[v].alias);
        let workload = track.workload_in(view).map(|workload| &*workload.key.name);
        let mut facts = String::with_capacity(LINE_LEN);
        let _ = write!(
            facts,
            "workload={} state={} kind={}",
            workload.unwrap_or("backends"),
            track.state.as_str(),
            track.kind.as_str()
        );
        push(&mut facts, "target", alias(track.target));
        push(&mut facts, "stable", alias(track.stable));
        push(&mut facts, "strategy", Some(strategy));
        // Nothing is remembered of a workload without revisions, so it would be since every evaluation anew.
        let since = track.target.map(|_| seconds(track.since));
        push(&mut facts, "since", since);
        push(&mut facts, "wanted", track.wanted);
        let step = track.step.map(|(step, of)| format!("{step}/{of}"));
        push(&mut facts, "step", step);
        push(&mut facts, "next", track.next_move.map(seconds));
        // Zero is what a track has before anything was digested.
        let digest = (track.digest != 0).then(|| format!("{:016x}", track.digest));
        push(&mut facts, "digest", digest);
        push(&mut facts, "ttl", Some(ttl));
        RolloutText {
            facts,
            note: track.note.clone(),
        }
    };
    if outcome.tracks.is_empty() {
        let (state, since) = (outcome.state.as_str(), seconds(outcome.since));
        return vec![RolloutText {
            facts: format!("state={state} strategy={strategy} since={since} ttl={ttl}"),
            note: None,
        }];
    }
    outcome.tracks.iter().map(line).collect()
}

fn push(text: &mut String, key: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        // Writing to a string cannot fail.
        let _ = write!(text, " {key}={value}");
    }
}
