//! Reports: what is told of a service where the people of its cluster look: the status of its ServiceRollout, and
//! Events.
//!
//! Given what was evaluated and what the resource's status says, [`Report`]s are made where something happened, and
//! where a transition is not told there. Comparing with what stands there, rather than with what was said last, is what
//! lets any number of servers report: who comes second finds it said. A server that sees another thing than what is
//! told, but nothing new, may be late, or of another release: it says so only after a while, and ever more rarely, so
//! that two servers that do not agree do not wear out the API. Nothing is written here.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{Problem, Reason, ServiceKey, ServiceView, Share, WorkloadKey};
use crate::objects::{ServiceRollout, Told};
use crate::rollout::{
    ChangeKind, Memory, Outcome, Role, RolloutResult, State, Track, Transition, Version,
};

/// Something to tell about a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which service.
    pub service: ServiceKey,
    /// The UID of the Service, which Events are about.
    pub uid: Arc<str>,
    /// The status to write; `None`: the one that stands is right, or there is no resource.
    pub status: Option<Box<Status>>,
    /// What happened.
    pub notices: Vec<Notice>,
}

/// What the status of a ServiceRollout is to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The resource as it was read: who writes over another one lost a race, and reads again.
    pub version: Arc<str>,
    /// The generation of its spec; 0 where it has none.
    pub generation: i64,
    /// What makes a transition.
    pub standing: Standing,
    /// Since when the service is in its state.
    pub since: Timestamp,
    /// Since when the policy is accepted, or not.
    pub accepted_since: Timestamp,
    /// The versions there are.
    pub revisions: Vec<Revision>,
    /// Its tracks.
    pub tracks: Vec<TrackStatus>,
    /// What is to be remembered, for servers that begin later.
    pub memory: String,
}

/// Where a service stands, as people are told; its gravest track speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it is doing.
    pub state: State,
    /// Why it stands where it stands; may be empty.
    pub reason: String,
    /// What people call the stable revision; empty where none is known.
    pub stable: Arc<str>,
    /// What people call the target.
    pub target: Arc<str>,
    /// What the target has.
    pub share: Share,
    /// The time to live of its endpoints' records, in seconds.
    pub ttl: u32,
    /// What is wrong with the policy that was written; empty: it is in force.
    pub complaint: String,
}

/// A version in a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Its identity.
    pub hash: Arc<str>,
    /// What people call it.
    pub version: Arc<str>,
    /// The number its controller gave it.
    pub number: Option<i64>,
    /// What it has.
    pub share: Share,
    /// Why it has that.
    pub reason: Reason,
    /// What it failed by, if it did.
    pub failed: Option<&'static str>,
    /// What it is to a roll-out.
    pub role: Option<Role>,
    /// The workload whose revision it is.
    pub workload: Option<WorkloadKey>,
    /// Ready targets.
    pub ready: u32,
    /// Those ready for long enough.
    pub soaked: u32,
    /// Endpoints in all.
    pub endpoints: u32,
}

/// A track in a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackStatus {
    /// The workload; `None`: the backends of the service.
    pub workload: Option<WorkloadKey>,
    /// Where its roll-out stands.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What kind of change leads to the target.
    pub kind: ChangeKind,
    /// The stable revision's hash.
    pub stable: Arc<str>,
    /// The target's hash.
    pub target: Arc<str>,
    /// What the strategy gives the target of it, where it does.
    pub share: Option<Share>,
    /// Why it stands where it stands.
    pub note: Option<String>,
    /// The step under way, counted from 1, and how many there are.
    pub step: Option<(u8, u8)>,
}

/// What happened, for an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What sort of thing.
    pub occasion: Occasion,
    /// In words, for people.
    pub text: String,
    /// Equal on every server that sees the same happen, and unlike that of anything else that happens to the service.
    pub id: u64,
}

/// What sorts of things happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// A new target.
    RolloutDetected,
    /// A target that is older than what it replaces.
    RollbackDetected,
    /// The target failed, or someone gave it up: its share went back.
    TrafficShiftedBack,
    /// The target has more than the policy gives it, as nobody else has the pods for it.
    CapacityForced,
    /// The target has everything and is stable.
    RolloutCompleted,
    /// Pods of the target cannot start.
    Stalled,
    /// The service has a policy in two places.
    Conflict,
}

impl Occasion {
    /// The reason of the Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RolloutDetected => "RolloutDetected",
            Self::RollbackDetected => "RollbackDetected",
            Self::TrafficShiftedBack => "TrafficShiftedBack",
            Self::CapacityForced => "CapacityForced",
            Self::RolloutCompleted => "RolloutCompleted",
            Self::Stalled => "Stalled",
            Self::Conflict => "Conflict",
        }
    }

    /// Somebody should look.
    pub fn is_warning(self) -> bool {
        matches!(
            self,
            Self::TrafficShiftedBack | Self::CapacityForced | Self::Stalled | Self::Conflict
        )
    }
}

/// What has been told of a service by this server.
#[derive(Clone, Debug, Default)]
pub(super) struct Reported {
    /// Where this server saw the service last, and how far the resource was read then.
    own: Option<Box<(Standing, i64)>>,
    /// When this server says again what is not told.
    insists: Option<Timestamp>,
    /// How often it has done so since it last saw anything new.
    insisted: u32,
    /// What stands and has been told: `CapacityForced`, `Stalled` and `Conflict` are states, not moments.
    standing: BTreeSet<u64>,
    /// The moments told last, the oldest first: of many transitions of one roll-out the first is its begin.
    moments: VecDeque<u64>,
}

/// Moments that are kept of a service: more than one roll-out has.
const MOMENTS_MAX: usize = 16;

/// How long a server waits until it says what is not told although nothing new happened: longer than its own watches
/// may be behind; twice as long each time, up to an hour.
const INSISTS_MIN_SECS: i64 = 120;
const INSISTS_MAX_SECS: i64 = 3600;

/// How long pods cannot start before it is told, in seconds: most images are there by then.
const STALLED_SECS: i64 = 60;

/// The longest complaint that is worth reading, in characters; a condition has room for ten times as much.
const COMPLAINT_MAX: usize = 2000;

/// While a ramp moves the share by itself, the status follows in parts of this size, in basis points: ten writes a
/// roll-out at the most, and every server writes the same ones.
const SHARE_PART: u32 = 1000;

/// What [`Reported::report`] looks at.
pub(super) struct Seen<'a> {
    pub(super) view: &'a ServiceView,
    pub(super) outcome: &'a Outcome,
    pub(super) memory: &'a Memory,
    pub(super) problems: &'a [Problem],
    pub(super) transitions: &'a [Transition],
    pub(super) resource: Option<&'a ServiceRollout>,
    /// What is written in annotations beside it, and not heard.
    pub(super) unheard: Option<String>,
    pub(super) now: Timestamp,
}

impl Reported {
    /// What is to be told, if anything is, and when there may be something to tell by time alone.
    pub(super) fn report(&mut self, seen: &Seen<'_>) -> (Option<Report>, Option<Timestamp>) {
        let (standing, next) = standing_notices(seen);
        let mut notices = Vec::new();
        let moments = seen.transitions.iter();
        for notice in moments.filter_map(|transition| of_transition(seen, transition)) {
            if !self.moments.contains(&notice.id) {
                self.moments.push_back(notice.id);
                notices.push(notice);
            }
        }
        let old = self.moments.len().saturating_sub(MOMENTS_MAX);
        self.moments.drain(..old);
        let ids = standing.iter().map(|notice| notice.id).collect();
        let told = std::mem::replace(&mut self.standing, ids);
        notices.extend(standing.into_iter().filter(|n| !told.contains(&n.id)));
        let (status, insists) = match seen.resource {
            Some(resource) => self.status(seen, resource),
            None => (None, None),
        };
        let next = next.into_iter().chain(insists).min();
        let report = (status.is_some() || !notices.is_empty()).then(|| Report {
            service: seen.view.key.clone(),
            uid: seen.view.uid.text().into(),
            status,
            notices,
        });
        (report, next)
    }

    /// The status to write, if any, and when to look again whether it is told.
    fn status(
        &mut self,
        seen: &Seen<'_>,
        resource: &ServiceRollout,
    ) -> (Option<Box<Status>>, Option<Timestamp>) {
        let standing = where_it_stands(seen);
        let first = remembered(resource);
        let is_remembered = first.is_some_and(|first| first.lasting() == seen.memory.lasting());
        let is_told = is_remembered && is_told(&resource.told, &standing, resource.generation);
        let own = (standing, resource.generation);
        let is_news = match self.own.as_deref() {
            Some((known, generation)) => !known.is_much_like(&own.0) || *generation != own.1,
            // A server that begins leaves alone what others look after.
            None => resource.memory.is_none(),
        };
        let standing = own.0.clone();
        self.own = Some(Box::new(own));
        if is_told {
            self.insists = None;
            return (None, None);
        }
        if is_news {
            self.insisted = 0;
        }
        let is_due = is_news || self.insists.is_some_and(|at| at <= seen.now);
        if is_due && !is_news {
            self.insisted = (self.insisted + 1).min(16);
        }
        if is_due || self.insists.is_none() {
            let secs = (INSISTS_MIN_SECS << self.insisted).min(INSISTS_MAX_SECS);
            let at = seen.now.saturating_add(SignedDuration::from_secs(secs));
            self.insists = Some(at.unwrap_or(Timestamp::MAX));
        }
        let status = is_due.then(|| Box::new(status(seen, resource, standing)));
        (status, self.insists)
    }
}

impl Standing {
    /// No transition leads from one to the other.
    fn is_much_like(&self, other: &Self) -> bool {
        let part = |standing: &Self| part(standing.share.basis_points().into());
        let like = Self {
            share: self.share,
            ..other.clone()
        };
        *self == like && part(self) == part(other)
    }
}

/// The part of the whole that a share is in, and whether it is all or nothing.
fn part(basis_points: u32) -> (u32, bool) {
    let whole = u32::from(Share::WHOLE.basis_points());
    (
        basis_points / SHARE_PART,
        basis_points == 0 || basis_points == whole,
    )
}

/// The track that speaks for the service: the first of those in its state.
fn spokesman(outcome: &Outcome) -> Option<&Track> {
    let is_its = |track: &&Track| track.state == outcome.state;
    outcome.tracks.iter().find(is_its)
}

fn where_it_stands(seen: &Seen<'_>) -> Standing {
    let outcome = seen.outcome;
    let track = spokesman(outcome).or(outcome.tracks.first());
    let version = |index: Option<usize>| outcome.versions.get(index?);
    let alias = |index| version(index).map_or_else(Arc::default, |v| Arc::clone(&v.alias));
    let reason = track.and_then(|track| {
        let step = || {
            let (step, count) = track.step.filter(|_| track.target != track.stable)?;
            Some(format!("step {step} of {count}"))
        };
        track.note.clone().or_else(step)
    });
    let target = track.and_then(|track| version(track.target));
    Standing {
        state: outcome.state,
        reason: reason.unwrap_or_default(),
        stable: alias(track.and_then(|track| track.stable)),
        target: alias(track.and_then(|track| track.target)),
        share: target.map_or(Share::ZERO, |version| version.share),
        ttl: outcome.ttl,
        complaint: complaint(seen),
    }
}

/// What is wrong with what the resource says; of the Service's own faults it is told elsewhere.
fn complaint(seen: &Seen<'_>) -> String {
    let problems = seen.problems.iter();
    let of_resource = problems.filter(|problem| problem.subject.starts_with("servicerollout "));
    let texts: Vec<&str> = of_resource.map(|problem| &*problem.text).collect();
    texts.join("; ").chars().take(COMPLAINT_MAX).collect()
}

/// The status says what is to be said, but for what a transition is not.
fn is_told(told: &Told, standing: &Standing, generation: i64) -> bool {
    let share = u32::from(standing.share.basis_points());
    *told.state == *standing.state.as_str()
        && *told.reason == *standing.reason
        && told.stable == standing.stable
        && told.target == standing.target
        && told.share.map(part) == Some(part(share))
        && told.ttl == Some(standing.ttl)
        && told.accepted.as_ref().map(|told| told.is) == Some(standing.complaint.is_empty())
        && (standing.complaint.is_empty()
            || told
                .accepted
                .as_ref()
                .is_some_and(|told| *told.message == *standing.complaint))
        && told.generation == generation
}

fn status(seen: &Seen<'_>, resource: &ServiceRollout, standing: Standing) -> Status {
    let Seen { view, outcome, .. } = seen;
    let known = resource.told.accepted.as_ref();
    let known = known.filter(|told| told.is == standing.complaint.is_empty());
    let hash = |index: Option<usize>| {
        let version = index.and_then(|index| outcome.versions.get(index));
        version.map_or_else(Arc::default, |version| Arc::clone(&version.hash))
    };
    let revision = |version: &Version| view.revisions.get(version.revision?);
    let endpoints = |index: usize| {
        let of_version = outcome.endpoint_versions.iter();
        let count = of_version.filter(|version| **version == index).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let revisions = outcome.versions.iter().enumerate();
    let revisions = revisions.map(|(index, version)| Revision {
        hash: Arc::clone(&version.hash),
        version: Arc::clone(&version.alias),
        number: revision(version).and_then(|revision| revision.number),
        share: version.share,
        reason: version.reason,
        failed: version.failed.map(|cause| cause.as_str()),
        role: version.role,
        workload: revision(version)
            .and_then(|revision| view.workloads.get(revision.workload?))
            .map(|workload| workload.key.clone()),
        ready: version.ready,
        soaked: version.soaked,
        endpoints: endpoints(index),
    });
    let tracks = outcome.tracks.iter().map(|track| TrackStatus {
        workload: track.workload_in(view).map(|workload| workload.key.clone()),
        state: track.state,
        since: track.since,
        kind: track.kind,
        stable: hash(track.stable),
        target: hash(track.target),
        share: track.wanted,
        note: track.note.clone(),
        step: track.step,
    });
    Status {
        version: Arc::clone(&resource.version),
        generation: resource.generation,
        since: outcome.since,
        accepted_since: known.and_then(|told| told.since).unwrap_or(seen.now),
        revisions: revisions.collect(),
        tracks: tracks.collect(),
        memory: written(seen.memory),
        standing,
    }
}

/// A memory as it is written into a status.
fn written(memory: &Memory) -> String {
    serde_json::to_string(memory).unwrap_or_default()
}

/// A memory as it was written into a status; `None` where it cannot be read.
pub(super) fn remembered(resource: &ServiceRollout) -> Option<Memory> {
    serde_json::from_str(resource.memory.as_ref()?).ok()
}

fn of_transition(seen: &Seen<'_>, transition: &Transition) -> Option<Notice> {
    let name = name(seen, &transition.target);
    let who = who(transition.workload.as_ref());
    let (occasion, text) = match (transition.result, transition.to) {
        (Some((RolloutResult::Promoted | RolloutResult::RolledBack, _)), _) => {
            let text = format!("{who} is at {name}: it has all of the traffic and is stable");
            (Occasion::RolloutCompleted, text)
        }
        (_, State::Aborted) => {
            let cause = transition.cause.map_or("it failed", |cause| cause.as_str());
            let text = format!("{name} of {who} gets no traffic: {cause}");
            (Occasion::TrafficShiftedBack, text)
        }
        (None, State::Pending | State::Progressing | State::Paused | State::RollingBack) => {
            match transition.kind {
                ChangeKind::Rollback => {
                    let text = format!("{who} rolls back to {name}");
                    (Occasion::RollbackDetected, text)
                }
                _ => {
                    let text = format!("{who} rolls out {name}");
                    (Occasion::RolloutDetected, text)
                }
            }
        }
        _ => return None,
    };
    let id = id(
        seen,
        occasion,
        transition.workload.as_ref(),
        &transition.target,
    );
    Some(Notice { occasion, text, id })
}

/// What stands and is worth an Event, and when there may be more of it by time alone.
fn standing_notices(seen: &Seen<'_>) -> (Vec<Notice>, Option<Timestamp>) {
    let (mut notices, mut next) = (Vec::new(), None);
    let Seen { view, outcome, .. } = seen;
    if let Some(text) = seen.unheard.clone() {
        let id = id(seen, Occasion::Conflict, None, &text);
        notices.push(Notice {
            occasion: Occasion::Conflict,
            text,
            id,
        });
    }
    for track in &outcome.tracks {
        let Some(target) = track.target.and_then(|index| outcome.versions.get(index)) else {
            continue;
        };
        if track.target == track.stable {
            continue;
        }
        let workload = track.workload_in(view).map(|workload| &workload.key);
        let mut add = |occasion, text| {
            let id = id(seen, occasion, workload, &target.hash);
            notices.push(Notice { occasion, text, id });
        };
        let (name, who) = (name(seen, &target.hash), who(workload));
        let is_forced = target.policy.is_some_and(|policy| target.share > policy);
        if is_forced && target.reason != Reason::Policy {
            let share = target.share;
            let text = format!(
                "{name} of {who} has {share}, more than its policy gives it: the others have not the pods for it"
            );
            add(Occasion::CapacityForced, text);
        }
        let revision = target.revision.map(|index| &view.revisions[index]);
        let stalled = revision.and_then(|revision| revision.stalled.as_ref());
        if let Some((reason, since)) = stalled {
            let since = since.unwrap_or(track.since);
            let due = since.saturating_add(SignedDuration::from_secs(STALLED_SECS));
            match due {
                Ok(due) if due > seen.now => {
                    next = next.into_iter().chain([due]).min();
                }
                _ => {
                    let text = format!("pods of {name} of {who} cannot start: {reason}");
                    add(Occasion::Stalled, text);
                }
            }
        }
    }
    (notices, next)
}

/// `v2 (5b7f9c)`, or the hash alone where it has no other name.
fn name(seen: &Seen<'_>, hash: &str) -> String {
    let mut versions = seen.outcome.versions.iter();
    match versions.find(|version| *version.hash == *hash) {
        Some(version) if version.alias != version.hash => format!("{} ({hash})", version.alias),
        _ => hash.to_owned(),
    }
}

fn who(workload: Option<&WorkloadKey>) -> String {
    workload.map_or_else(|| "the active Service".to_owned(), ToString::to_string)
}

/// FNV-1a over what makes a notice itself: which Service, what, of which track, about which revision in which number
/// (an undo gives a revision another one), tried how often.
fn id(seen: &Seen<'_>, occasion: Occasion, workload: Option<&WorkloadKey>, target: &str) -> u64 {
    let mut revisions = seen.view.revisions.iter();
    let number = revisions
        .find(|r| *r.hash == *target)
        .and_then(|r| r.number);
    let mut tracks = seen.memory.tracks.iter();
    let track = tracks.find(|track| track.workload.as_ref() == workload);
    let tried = track.map_or(0, |track| {
        let mut retries = track.retries.iter();
        retries
            .find(|(hash, _)| **hash == *target)
            .map_or(0, |(_, n)| *n)
    });
    // Backends have no numbers; when it began is told to the minute, as clocks differ by less.
    let begun = track.filter(|_| workload.is_none());
    let begun = begun.map_or(0, |track| track.started.as_second() / 60);
    let text = format!(
        "{}|{}|{}|{target}|{number:?}|{tried}|{begun}",
        seen.view.uid,
        occasion.as_str(),
        who(workload),
    );
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
