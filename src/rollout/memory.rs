//! Memory: the few facts about a service that its objects cannot tell again.
//!
//! A value that [`super::evaluate()`] is given and gives back. Without it everything works: a pause's elapsed time, a
//! latch whose evidence is gone, the ramp's start after its pods were replaced, the true stable revision of chained
//! roll-outs, consumed retries and the last good policy are then lost, and nothing else changes.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ChangeKind, State};
use crate::model::{Intents, Share, WorkloadKey};

/// What is remembered of a service between evaluations; the default remembers nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The annotations (prefix removed) that were last written without a fault; `None`: none yet.
    pub good: Option<Vec<(Arc<str>, Arc<str>)>>,
    /// Intents given to this server rather than written on the service.
    pub intents: Intents,
    /// The state of the service at the last evaluation.
    pub state: Option<State>,
    /// Since when the service is in that state.
    pub since: Option<Timestamp>,
    /// Times to live stay those of a roll-out until then.
    pub short_ttl_until: Option<Timestamp>,
    /// One a track, sorted by `workload`.
    pub tracks: Vec<TrackMemory>,
}

/// What is remembered of a track. Revisions are told by their hashes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrackMemory {
    /// The workload that rolls; `None`: the backends of the service.
    pub workload: Option<WorkloadKey>,
    /// The stable revision.
    pub stable: Arc<str>,
    /// The target.
    pub target: Arc<str>,
    /// What kind of change leads to the target.
    pub kind: ChangeKind,
    /// Where the roll-out stands.
    pub state: State,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// When the target became the target.
    pub started: Timestamp,
    /// From when the ramp counts: the first soaked endpoint of the target.
    pub ramp: Option<Timestamp>,
    /// Since when it stands still.
    pub paused: Option<Timestamp>,
    /// How long it stood still before, in seconds.
    pub paused_secs: u32,
    /// The step, counted from 0, and the second of the ramp in which it was entered.
    pub step: (u8, u32),
    /// The share of the target at the last evaluation; what it keeps while it stands still for a failure.
    pub share: Share,
    /// Evidence of failure from before does not count: someone asked to try again.
    pub forgiven: Option<Timestamp>,
    /// Revisions that failed, in the order in which they did.
    pub latches: Vec<Latch>,
    /// Numbers of retries that have been heard.
    pub retries: Vec<(Arc<str>, u32)>,
    /// Targets there have been, the oldest first, at most [`TrackMemory::SEEN_MAX`].
    pub seen: Vec<Arc<str>>,
}

impl TrackMemory {
    /// As many as a Deployment keeps revisions by default.
    pub const SEEN_MAX: usize = 10;
}

/// A revision that failed: it gets nothing by itself until someone retries or promotes it, or it has no pods left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// The revision.
    pub hash: Arc<str>,
    /// What it failed by.
    pub cause: Cause,
    /// When that was seen.
    pub at: Timestamp,
}

/// What a revision fails by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// Containers wait with `CrashLoopBackOff`.
    CrashLoop,
    /// Containers are started again and again.
    Restarts,
    /// Containers end by `OOMKilled` or with an exit code.
    BadExits,
    /// Half of the pods that were ready are not.
    ReadinessLost,
    /// The controller's condition `ProgressDeadlineExceeded` names the revision.
    ProgressDeadline,
    /// A person asked for it.
    Aborted,
}

impl Cause {
    /// The cause in words, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CrashLoop => "CrashLoopBackOff",
            Self::Restarts => "container restarts",
            Self::BadExits => "containers end badly",
            Self::ReadinessLost => "readiness lost",
            Self::ProgressDeadline => "ProgressDeadlineExceeded",
            Self::Aborted => "aborted by hand",
        }
    }
}

/// A track went from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The workload; `None`: the backends of the service.
    pub workload: Option<WorkloadKey>,
    /// When.
    pub at: Timestamp,
    /// The state before; `None`: the track is new.
    pub from: Option<State>,
    /// The state after it.
    pub to: State,
    /// The target after it.
    pub target: Arc<str>,
    /// What kind of change leads there.
    pub kind: ChangeKind,
    /// How a roll-out ended by it, if it did, and when that had begun.
    pub result: Option<(RolloutResult, Timestamp)>,
    /// Why, where there is a cause.
    pub cause: Option<Cause>,
}

/// How a roll-out ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutResult {
    /// The target has everything and is the stable revision.
    Promoted,
    /// The target failed, or someone gave it up.
    Aborted,
    /// The target is stable again, and an older one.
    RolledBack,
    /// Another target came before it was done.
    Superseded,
}

impl RolloutResult {
    /// The result's word in output and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "Promoted",
            Self::Aborted => "Aborted",
            Self::RolledBack => "RolledBack",
            Self::Superseded => "Superseded",
        }
    }
}

/// What happened to the tracks of a service between two evaluations, in the order of the tracks.
///
/// A new target before the old one was done is two transitions: the end of one roll-out, and the begin of another.
pub fn transitions(before: &Memory, after: &Memory) -> Vec<Transition> {
    let mut found = Vec::new();
    for track in &after.tracks {
        let known = before.tracks.iter().find(|t| t.workload == track.workload);
        let moved = known.is_none_or(|k| k.state != track.state || k.target != track.target);
        if !moved {
            continue;
        }
        let went = |target: &Arc<str>, to: State, at, result| Transition {
            workload: track.workload.clone(),
            at,
            from: known.map(|known| known.state),
            to,
            target: Arc::clone(target),
            kind: track.kind,
            result,
            cause: track
                .latches
                .iter()
                .find(|latch| latch.hash == *target)
                .map(|latch| latch.cause),
        };
        let at = track.since;
        let Some(known) = known else {
            found.push(went(&track.target, track.state, at, None));
            continue;
        };
        let was_rolling =
            !matches!(known.state, State::Healthy | State::Aborted) && known.target != known.stable;
        if known.target != track.target && was_rolling {
            let result = Some((RolloutResult::Superseded, known.started));
            found.push(went(&known.target, track.state, at, result));
        }
        let result = match track.state {
            _ if known.state == track.state => None,
            State::Healthy if track.kind == ChangeKind::Rollback => Some(RolloutResult::RolledBack),
            State::Healthy if known.target != known.stable || known.state != State::Unavailable => {
                Some(RolloutResult::Promoted)
            }
            State::Aborted => Some(RolloutResult::Aborted),
            _ => None,
        };
        let result = result.map(|result| (result, track.started));
        found.push(went(&track.target, track.state, at, result));
    }
    found
}
