//! Tracks: where the workloads behind a service stand in their roll-outs.
//!
//! Given a view, the policy, the census and what is remembered, [`standing`] finds each track's target and stable
//! revision, its state, what the strategy gives the target, and the roles of versions.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::census::Census;
use super::flip::{self, Backends};
use super::lineage::{Lineage, lineage, revisions_of};
use super::machine::{Stand, advance};
use super::memory::{Cause, Memory, TrackMemory};
use super::scene::Scene;
use super::shares::Capacity;
use crate::model::{Policy, Revision, ServiceKind, ServiceView, Share, Strategy, Workload};

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
/// A new target in mid-roll supersedes the old one: the machine starts again, and the stable revision stays what it was
/// until a target is complete. A failed target is Degraded, too, where nobody asked to shift back: it keeps its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// The target is the stable revision, and no other has ready endpoints.
    Healthy,
    /// There is a new target, and none of its endpoints has been ready for long enough.
    Pending,
    /// Endpoints of the target have soaked beside others, and its share grows.
    Progressing,
    /// Two revisions stand side by side because someone said so, or has to say how it goes on.
    Paused,
    /// The target has the whole share; others still have ready endpoints, or caches still know them.
    Draining,
    /// The target is older than another revision: an undo.
    RollingBack,
    /// The target failed, or someone gave it up, and others carry its share.
    Aborted,
    /// The target failed, and keeps its share: nothing else is ready, or nobody asked to shift back.
    Degraded,
    /// No endpoint is ready.
    Unavailable,
}

impl State {
    /// Every state, from calm to grave.
    pub const ALL: [Self; 9] = [
        Self::Healthy,
        Self::Pending,
        Self::Progressing,
        Self::Paused,
        Self::Draining,
        Self::RollingBack,
        Self::Aborted,
        Self::Degraded,
        Self::Unavailable,
    ];

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

/// A track, with what only the split needs to know of it.
pub(super) struct Placed {
    pub(super) track: Track,
    /// The target is on its way: only what has soaked counts, and it fills in last.
    pub(super) is_canary: bool,
    /// No capacity limits the target.
    pub(super) uncapped: bool,
    /// What to remember; nothing where no revision is known.
    pub(super) memory: Option<TrackMemory>,
}

/// All tracks of a service.
pub(super) struct Standing {
    /// One per workload, in the view's order; or one for the backends.
    pub(super) placed: Vec<Placed>,
    /// Of the service.
    pub(super) state: State,
    /// Any track has two revisions in play.
    pub(super) rolling: bool,
    /// When a great part of the share moves by itself.
    pub(super) cut_over: Option<Timestamp>,
    /// When to look again.
    pub(super) next: Option<Timestamp>,
    is_blue_green: bool,
}

/// Where every track of a service stands.
pub(super) fn standing(
    view: &ServiceView,
    policy: &Policy,
    census: &Census,
    memory: &Memory,
    now: Timestamp,
) -> Standing {
    let up = census.each(|count| count.up);
    let mut standing = Standing {
        placed: Vec::new(),
        state: State::Healthy,
        rolling: false,
        cut_over: None,
        next: None,
        is_blue_green: matches!(policy.strategy, Strategy::BlueGreen { .. }),
    };
    if let Some((placed, next)) = backends(view, policy, census, memory, now) {
        standing.rolling = placed.track.state != State::Healthy;
        standing.placed.push(placed);
        standing.next = next;
    }
    for workload in 0..view.workloads.len() {
        let key = Some(&view.workloads[workload].key);
        let mut tracks = memory.tracks.iter();
        let known = tracks.find(|track| track.workload.as_ref() == key);
        let Some(lineage) = lineage(view, workload, &up, known) else {
            standing.placed.push(unknown(workload, known, now));
            continue;
        };
        let stand = stand(view, workload, &lineage, (policy, census), known, now);
        standing.cut_over = earlier(standing.cut_over, stand.cut_over);
        standing.next = earlier(standing.next, stand.next);
        let track = track(view, workload, &lineage, &stand);
        let is_calm = matches!(track.state, State::Healthy | State::Unavailable);
        let ready = revisions_of(view, workload).filter(|&index| up[index] > 0);
        standing.rolling |= track.target != track.stable || ready.count() > 1 || !is_calm;
        standing.placed.push(Placed {
            track,
            is_canary: stand.is_canary,
            uncapped: stand.uncapped,
            memory: Some(stand.memory),
        });
    }
    standing.state = service_state(view, &up, &standing.placed);
    standing
}

fn stand(
    view: &ServiceView,
    workload: usize,
    lineage: &Lineage,
    (policy, census): (&Policy, &Census),
    known: Option<&TrackMemory>,
    now: Timestamp,
) -> Stand {
    let count = &census.0[lineage.target];
    let alive = revisions_of(view, workload)
        .filter(|&index| view.revisions[index].pods > 0 || census.0[index].up > 0)
        .map(|index| &view.revisions[index].hash);
    let alive: Vec<_> = alive.collect();
    let mut ever: Vec<&Revision> = revisions_of(view, workload)
        .map(|index| &view.revisions[index])
        .collect();
    ever.sort_by_key(|revision| (revision.created, revision.number));
    let target = &view.revisions[lineage.target];
    let was_back = |known: &TrackMemory| {
        let is_back = matches!(known.state, State::RollingBack | State::Degraded);
        is_back && known.target == target.hash
    };
    let are_others = alive.iter().any(|hash| **hash != target.hash);
    let goes_on_back = count.up > 0 && are_others && known.is_some_and(was_back);
    let scene = Scene {
        policy,
        workload: &view.workloads[workload],
        target,
        stable: &view.revisions[lineage.stable].hash,
        kind: lineage.kind,
        alive,
        ever: ever.into_iter().map(|revision| &revision.hash).collect(),
        up: count.up,
        others_up: lineage.others_up,
        goes_on_back,
        soaked_at: &count.soaked_at,
        next_soak: count.next_soak,
        now,
    };
    advance(&scene, known)
}

fn track(view: &ServiceView, workload: usize, lineage: &Lineage, stand: &Stand) -> Track {
    let memory = &stand.memory;
    let mut revisions = revisions_of(view, workload);
    Track {
        workload: Some(workload),
        state: memory.state,
        since: memory.since,
        kind: lineage.kind,
        target: Some(lineage.target),
        stable: revisions.find(|&index| view.revisions[index].hash == memory.stable),
        started: memory.started,
        wanted: stand.wanted,
        step: stand.step,
        next_move: stand.next_move,
        note: stand.note.clone(),
        digest: 0,
    }
}

/// A workload of which no revision is known.
fn unknown(workload: usize, known: Option<&TrackMemory>, now: Timestamp) -> Placed {
    Placed {
        track: Track {
            workload: Some(workload),
            state: State::Unavailable,
            since: known.map_or(now, |known| known.since),
            kind: ChangeKind::Initial,
            target: None,
            stable: None,
            started: known.map_or(now, |known| known.started),
            wanted: None,
            step: None,
            next_move: None,
            note: None,
            digest: 0,
        },
        is_canary: false,
        uncapped: false,
        memory: known.cloned(),
    }
}

/// The track of two Services under blue/green, and when to look at it again.
fn backends(
    view: &ServiceView,
    policy: &Policy,
    census: &Census,
    memory: &Memory,
    now: Timestamp,
) -> Option<(Placed, Option<Timestamp>)> {
    let Strategy::BlueGreen {
        backends: Some(weights),
        ..
    } = &policy.strategy
    else {
        return None;
    };
    let names: Vec<_> = view.revisions.iter().map(|backend| &backend.hash).collect();
    let active = flip::asked(&names, weights, &policy.intents)?;
    let ready = census.each(|count| count.ready);
    let capacity = Capacity::of_backends(view, policy);
    let is_alone = view.revisions[active].declared.is_none();
    let known = memory.tracks.iter().find(|track| track.workload.is_none());
    let scene = Backends {
        carries_all: is_alone || capacity.of(ready[active]) == Share::WHOLE,
        ready,
        active,
        ttl_secs: policy.ttl.endpoints.min(policy.ttl.rollout),
        names,
        now,
    };
    let (memory, note, next) = flip::flip(&scene, known);
    let place = |hash: &Arc<str>| scene.names.iter().position(|name| **name == *hash);
    let track = Track {
        workload: None,
        state: memory.state,
        since: memory.since,
        kind: memory.kind,
        target: Some(active),
        stable: place(&memory.stable),
        started: memory.started,
        wanted: Some(Share::WHOLE),
        step: None,
        next_move: None,
        note,
        digest: 0,
    };
    let placed = Placed {
        track,
        is_canary: false,
        uncapped: is_alone,
        memory: Some(memory),
    };
    Some((placed, next))
}

fn service_state(view: &ServiceView, up: &[u32], placed: &[Placed]) -> State {
    // A workload without a ready endpoint (scaled to nothing, say) does not make a service unavailable that others
    // carry; but only a service that nothing carries is.
    if matches!(view.kind, ServiceKind::ExternalName { .. }) {
        // It stands for a name; nothing of it is here that could be ready or not.
        return State::Healthy;
    }
    if up.iter().all(|&count| count == 0) {
        return State::Unavailable;
    }
    let states = placed.iter().map(|placed| placed.track.state);
    states
        .filter(|state| *state != State::Unavailable)
        .max()
        .unwrap_or(State::Healthy)
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

impl Standing {
    /// The track of two Services under blue/green.
    pub(super) fn flip(&self) -> Option<&Placed> {
        let first = self.placed.first()?;
        first.track.workload.is_none().then_some(first)
    }

    /// What a revision failed by, whatever became of that.
    pub(super) fn failed(&self, view: &ServiceView, revision: Option<usize>) -> Option<Cause> {
        let revision = &view.revisions[revision?];
        let of_track = |placed: &&Placed| placed.track.workload == revision.workload;
        let placed = self.placed.iter().find(of_track)?;
        let mut latches = placed.memory.as_ref()?.latches.iter();
        let latch = latches.find(|latch| latch.hash == revision.hash)?;
        Some(latch.cause)
    }

    /// The role of a version. One that is stable for a track and the target of another is stable.
    pub(super) fn role(&self, version: usize) -> Option<Role> {
        let version = Some(version);
        let tracks = || self.placed.iter().map(|placed| &placed.track);
        if !self.is_blue_green {
            let rolls = |t: &Track| t.state != State::Healthy && t.target == version;
            return if tracks().any(|t| t.stable == version) {
                Some(Role::Stable)
            } else {
                tracks().any(rolls).then_some(Role::Canary)
            };
        }
        let active = |t: &Track| match t.wanted {
            Some(Share::WHOLE) => t.target,
            _ => t.stable,
        };
        let waits = |t: &Track| match t.workload {
            Some(_) => t.state != State::Healthy && t.target == version,
            None => true,
        };
        if tracks().any(|t| active(t) == version) {
            Some(Role::Active)
        } else {
            tracks().any(waits).then_some(Role::Preview)
        }
    }
}

#[cfg(test)]
mod tests;
