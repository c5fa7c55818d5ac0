//! Tracks: where the workloads behind a service stand in their roll-outs.
//!
//! Given the revisions and workloads of a view and how many endpoints of each revision are ready,
//! [`standing`] finds each track's target and stable revision, its state, and the roles of versions. It looks
//! at one moment only: what a moment cannot show (a latch, a clock that ran, a person's pause) it does not claim.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Revision, ServiceKind, ServiceView, Share, Workload};

/// A service and one workload that rolls behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Index into [`ServiceView::workloads`]; `None`: the backends of the service.
    pub workload: Option<usize>,
    /// Where the roll-out stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What kind of change leads to the target.
    pub kind: ChangeKind,
    /// The version rolled to, T: the highest revision number. `None` where no revision is known.
    pub target: Option<usize>,
    /// The version it comes from, S; equal to the target where nothing rolls.
    pub stable: Option<usize>,
    /// When the target became the target.
    pub started: Timestamp,
    /// The part of the track's whole that the strategy gives the target; `None` where it does not say (`follow`,
    /// `manual`, `external`).
    pub wanted: Option<Share>,
    /// The step under way, counted from 1, and how many there are.
    pub step: Option<(u8, u8)>,
    /// When the strategy gives the target more by itself, as far as is known.
    pub next_move: Option<Timestamp>,
    /// Why it stands where it stands, in words: `paused in the Deployment`, `waits to be promoted`, `CrashLoopBackOff`.
    pub note: Option<String>,
    /// Equal where replicas agree: of target, stable revision and the shares of all versions.
    pub digest: u64,
}

impl Track {
    /// The workload that rolls; `None`: the backends of the service.
    pub fn workload_in<'v>(&self, view: &'v ServiceView) -> Option<&'v Workload> {
        view.workloads.get(self.workload?)
    }
}

/// Where a roll-out stands; ordered from calm to grave, so that the worst of several is the greatest.
///
/// ```text
///             new target              first ready               all of it
///  +---------+ ------------> +---------+ -----------> +-------------+ -------> +----------+
///  | Healthy |               | Pending |              | Progressing |          | Draining |
///  +---------+               +---------+              +-------------+          +----------+
///    ^  |  ^                      | failed     failed |  | paused  ^               |
///    |  |  |                      v                   |  v         | resumed       |
///    |  |  |                 +---------+              | +--------+ |               |
///    |  |  |                 | Aborted | <------------+ | Paused |-+               |
///    |  |  |                 +---------+                +--------+                 |
///    |  |  |   nothing else    |   ^                                               |
///    |  |  |   is ready        v   | others are ready                              |
///    |  |  |                 +----------+                                          |
///    |  |  |                 | Degraded |                                          |
///    |  |  |                 +----------+                                          |
///    |  |  +-----------------------------------------------------------------------+
///    |  | older target       +-------------+                           others gone
///    |  +------------------> | RollingBack |
///    +---------------------- +-------------+     from anywhere, while no endpoint is ready:
///           others gone                          Unavailable
/// ```
///
/// This release derives a state from one snapshot: Healthy, Pending, Progressing, Paused (a Deployment's own
/// `spec.paused`), RollingBack and Unavailable. Draining, Aborted and Degraded need memory of ramps and failures;
/// they are named here so that output and metrics keep their words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// The target is the stable revision, and no other has ready endpoints.
    Healthy,
    /// There is a new target, and none of its endpoints is ready.
    Pending,
    /// Endpoints of the target are ready beside others.
    Progressing,
    /// Two revisions stand side by side because someone said so.
    Paused,
    /// The target has the whole share; others still have ready endpoints. Not derived in this release.
    Draining,
    /// The target is older than another revision: an undo.
    RollingBack,
    /// The target failed, and others carry its share. Not derived in this release.
    Aborted,
    /// The target failed, and nothing else is ready. Not derived in this release.
    Degraded,
    /// No endpoint is ready.
    Unavailable,
}

impl State {
    /// The state's word in output and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Pending => "Pending",
            Self::Progressing => "Progressing",
            Self::Paused => "Paused",
            Self::Draining => "Draining",
            Self::RollingBack => "RollingBack",
            Self::Aborted => "Aborted",
            Self::Degraded => "Degraded",
            Self::Unavailable => "Unavailable",
        }
    }
}

/// What kind of change leads to a track's target, as far as numbers and ages of revisions tell.
///
/// A revision keeps its age when an undo gives it a new number; so a target that is not the youngest is a
/// roll-back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChangeKind {
    /// There is only one revision.
    Initial,
    /// The target is the youngest revision.
    Update,
    /// The target is the youngest revision, and was rolled back from before: an update once more.
    Reroll,
    /// Another revision is younger than the target.
    Rollback,
    /// The same template but for the mark of `kubectl rollout restart`: shares follow the pods.
    Restart,
    /// The same version and images, another template: an update.
    ConfigOnly,
    /// The same revision, and another number of pods.
    Scale,
}

impl ChangeKind {
    /// The kind's word in output and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Update => "update",
            Self::Reroll => "re-roll",
            Self::Rollback => "rollback",
            Self::Restart => "restart",
            Self::ConfigOnly => "config-only",
            Self::Scale => "scale",
        }
    }
}

/// What a version is to the roll-outs of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A track's stable revision.
    Stable,
    /// The target of a track that is not Healthy.
    Canary,
    /// Blue/green: the stable revision.
    Active,
    /// Blue/green: the revision that waits for its promotion, or the other backend.
    Preview,
}

impl Role {
    /// The role's word in names and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Canary => "canary",
            Self::Active => "active",
            Self::Preview => "preview",
        }
    }
}

/// All tracks of a service.
pub(super) struct Standing {
    /// One per workload, in the view's order.
    pub(super) tracks: Vec<Track>,
    /// Of the service.
    pub(super) state: State,
    /// Any track has two revisions in play.
    pub(super) rolling: bool,
}

/// `ready` counts ready targets per version: one entry a revision, and perhaps one more for the unversioned.
pub(super) fn standing(view: &ServiceView, ready: &[u32], now: Timestamp) -> Standing {
    let tracks: Vec<Track> = (0..view.workloads.len())
        .map(|workload| track(view, workload, ready, now))
        .collect();
    // A workload without a ready endpoint (scaled to nothing, say) does not make a service unavailable that others
    // carry; but only a service that nothing carries is.
    let state = if matches!(view.kind, ServiceKind::ExternalName { .. }) {
        // It stands for a name; nothing of it is here that could be ready or not.
        State::Healthy
    } else if ready.iter().all(|&count| count == 0) {
        State::Unavailable
    } else {
        let states = tracks.iter().map(|track| track.state);
        states
            .filter(|state| *state != State::Unavailable)
            .max()
            .unwrap_or(State::Healthy)
    };
    let rolling = tracks.iter().any(|track| {
        let workload = track.workload.unwrap_or(usize::MAX);
        let ready_revisions = revisions_of(view, workload).filter(|&index| ready[index] > 0);
        track.target != track.stable || ready_revisions.count() > 1
    });
    Standing {
        tracks,
        state,
        rolling,
    }
}

impl Standing {
    /// The role of a version. One that is stable for a track and the target of another is stable.
    pub(super) fn role(&self, version: usize) -> Option<Role> {
        if self.tracks.iter().any(|t| t.stable == Some(version)) {
            return Some(Role::Stable);
        }
        let rolls = |t: &Track| t.state != State::Healthy && t.target == Some(version);
        self.tracks.iter().any(rolls).then_some(Role::Canary)
    }
}

fn revisions_of(view: &ServiceView, workload: usize) -> impl Iterator<Item = usize> {
    let revisions = view.revisions.iter().enumerate();
    revisions
        .filter(move |(_, revision)| revision.workload == Some(workload))
        .map(|(index, _)| index)
}

fn track(view: &ServiceView, index: usize, ready: &[u32], now: Timestamp) -> Track {
    let workload = &view.workloads[index];
    let revision = |version: usize| &view.revisions[version];
    let newest = |version: &usize| (revision(*version).number, revision(*version).created);
    let target = revisions_of(view, index).max_by_key(newest);
    let others = || revisions_of(view, index).filter(|&other| Some(other) != target);
    let most_ready = others()
        .filter(|&other| ready[other] > 0)
        .max_by_key(|&other| (ready[other], std::cmp::Reverse(revision(other).number)));
    let stable = match most_ready {
        Some(other) if !workload.complete => Some(other),
        _ => target,
    };
    let kind = match target {
        Some(target) if others().next().is_some() => {
            let younger = |other: usize| is_younger(revision(other), revision(target));
            if others().any(younger) {
                ChangeKind::Rollback
            } else {
                ChangeKind::Update
            }
        }
        _ => ChangeKind::Initial,
    };
    let ready_target = target.map_or(0, |target| ready[target]);
    Track {
        workload: Some(index),
        state: state(workload, kind, ready_target, most_ready.is_some()),
        since: now,
        kind,
        target,
        stable,
        started: now,
        wanted: None,
        step: None,
        next_move: None,
        note: None,
        digest: 0,
    }
}

/// Where a target with `ready_target` ready endpoints stands, others being ready or not; the first rule wins.
fn state(workload: &Workload, kind: ChangeKind, ready_target: u32, others_ready: bool) -> State {
    match (others_ready, ready_target) {
        (false, 0) => State::Unavailable,
        // Nothing else is ready, so nothing else is stable either.
        (false, _) => State::Healthy,
        _ if kind == ChangeKind::Rollback => State::RollingBack,
        _ if workload.paused => State::Paused,
        (true, 0) => State::Pending,
        (true, _) => State::Progressing,
    }
}

/// Without an age nothing is younger: what is not known is not called a roll-back.
fn is_younger(one: &Revision, other: &Revision) -> bool {
    match (one.created, other.created) {
        (Some(one), Some(other)) => one > other,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
