//! Memory: the few facts about a service that its objects cannot tell again.
//!
//! A value that [`super::evaluate()`] is given and gives back. Without it everything works: how long a ramp stood still, a
//! latch whose evidence is gone, the ramp's start after its pods were replaced (so that what a failure held is
//! nothing), the true stable revision of chained roll-outs, second chances (retries that were heard, aborts that were
//! taken back), that a target was tried before, when a step was promoted to and the last good policy are then lost, and nothing else changes.

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
    /// Since when the ramp stands still.
    pub paused: Option<Timestamp>,
    /// How long it stood still before, in seconds.
    pub paused_secs: u32,
    /// The step, counted from 0, and the second of the ramp in which it was entered.
    pub step: (u8, u32),
    /// The share of the target at the last evaluation; what it keeps while it stands still for a failure.
    pub share: Share,
    /// Evidence of failure from before does not count: someone asked to try again.
    pub forgiven: Option<Timestamp>,
    /// Nor does the controller's deadline, which has no date: it had passed then, and stands since.
    #[serde(default)]
    pub stale_deadline: bool,
    /// Revisions that failed, in the order in which they did.
    pub latches: Vec<Latch>,
    /// Numbers of retries that have been heard.
    pub retries: Vec<(Arc<str>, u32)>,
    /// Targets there have been, the oldest first, at most [`TrackMemory::SEEN_MAX`].
    pub seen: Vec<Arc<str>>,
}

impl Memory {
    /// Gives back what it has room for beyond what it remembers: it is kept for every service, and seldom grows.
    pub fn shrink_to_fit(&mut self) {
        self.tracks.shrink_to_fit();
        for track in &mut self.tracks {
            track.latches.shrink_to_fit();
            track.retries.shrink_to_fit();
            track.seen.shrink_to_fit();
        }
    }

    /// Learns from another server's memory of the same service, so that all of them count from the same moments, from
    /// those of the one that wrote first; and what only one of them saw, all know. Tracks that stand elsewhere there keep
    /// what they have, but for failures of the same target: of two servers the one that saw it fail is right.
    pub fn learn_from(&mut self, first: &Self) {
        if self.state == first.state {
            self.since = first.since.or(self.since);
        }
        for track in &mut self.tracks {
            let mut others = first.tracks.iter();
            let Some(other) = others.find(|other| other.workload == track.workload) else {
                continue;
            };
            track.learn_failures(other);
            if other.stands_with(track) {
                track.date_by(other);
            }
        }
    }

    /// What of it another server must learn, in a form that can be compared: all but moments, and what follows from
    /// those by itself.
    pub fn lasting(&self) -> impl PartialEq + use<> {
        let tracks = self.tracks.iter().map(|track| {
            let latches = track.latches.iter();
            let latches = latches.map(|latch| (Arc::clone(&latch.hash), latch.cause));
            let ends = (Arc::clone(&track.stable), Arc::clone(&track.target));
            let pause = (track.paused.is_some(), track.paused_secs);
            let chances = (track.forgiven.is_some(), track.retries.clone());
            let workload = track.workload.clone();
            (workload, ends, latches.collect::<Vec<_>>(), pause, chances)
        });
        (self.good.clone(), tracks.collect::<Vec<_>>())
    }

    /// The last moment that it knows of.
    pub fn latest(&self) -> Option<Timestamp> {
        let tracks = self.tracks.iter().map(|track| track.since);
        tracks.chain(self.since).max()
    }
}

impl TrackMemory {
    /// Takes over when things happened. What it stood still is never less for it: a ramp does not leap.
    fn date_by(&mut self, other: &Self) {
        self.since = other.since;
        self.started = other.started;
        self.ramp = other.ramp.or(self.ramp);
        self.paused = other.paused.or(self.paused);
        self.paused_secs = self.paused_secs.max(other.paused_secs);
        self.forgiven = other.forgiven;
        if self.step.0 == other.step.0 {
            self.step = other.step;
        }
        for latch in &mut self.latches {
            let mut others = other.latches.iter();
            if let Some(other) = others.find(|o| o.hash == latch.hash) {
                latch.clone_from(other);
            }
        }
    }

    /// Takes over how the target failed where that cannot be seen any more, unless someone asked to try again since.
    fn learn_failures(&mut self, other: &Self) {
        let is_same = self.target == other.target && self.kind == other.kind;
        let is_retried = self
            .retries
            .iter()
            .any(|retry| !other.retries.contains(retry));
        if !is_same || is_retried {
            return;
        }
        for latch in &other.latches {
            let passes = matches!(
                latch.cause,
                Cause::CrashLoop | Cause::Restarts | Cause::BadExits | Cause::ReadinessLost
            );
            let is_known = self.latches.iter().any(|known| known.hash == latch.hash);
            let is_forgiven = self.forgiven.is_some_and(|forgiven| latch.at <= forgiven);
            if passes && latch.hash == self.target && !is_known && !is_forgiven {
                self.latches.push(latch.clone());
            }
        }
    }

    /// Both are of one track, in the same state, between the same revisions.
    fn stands_with(&self, other: &Self) -> bool {
        self.workload == other.workload
            && self.stable == other.stable
            && self.target == other.target
            && self.kind == other.kind
            && self.state == other.state
            && self.forgiven.is_some() == other.forgiven.is_some()
    }

    /// That of a track that was not seen before, at `stable` and nowhere else.
    pub fn new(workload: Option<WorkloadKey>, stable: &Arc<str>, now: Timestamp) -> Self {
        Self {
            workload,
            stable: Arc::clone(stable),
            target: Arc::clone(stable),
            kind: ChangeKind::Initial,
            state: State::Unavailable,
            since: now,
            started: now,
            ramp: None,
            paused: None,
            paused_secs: 0,
            step: (0, 0),
            share: Share::ZERO,
            forgiven: None,
            stale_deadline: false,
            latches: Vec::new(),
            retries: Vec::new(),
            seen: Vec::new(),
        }
    }

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
    /// Every cause, for tables of counters.
    pub const ALL: [Self; 6] = [
        Self::CrashLoop,
        Self::Restarts,
        Self::BadExits,
        Self::ReadinessLost,
        Self::ProgressDeadline,
        Self::Aborted,
    ];

    /// The cause in one word, for metrics.
    pub fn as_word(self) -> &'static str {
        match self {
            Self::CrashLoop => "crash-loop",
            Self::Restarts => "restarts",
            Self::BadExits => "bad-exits",
            Self::ReadinessLost => "readiness-lost",
            Self::ProgressDeadline => "progress-deadline",
            Self::Aborted => "aborted",
        }
    }

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
