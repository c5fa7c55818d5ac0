//! The watch: a service looked at as the server would, from one second with a reason to the next.
//!
//! Given a cast and a plot, [`watch()`] plays all workloads and evaluates the service at every second at which an
//! object changes, and whenever the last evaluation asked for it; what is remembered goes from one to the next. It gives
//! rows for a table, and what is worth a sentence.

use super::super::check::resets;
use super::reading::Cast;
use super::table::{Cell, Row};
use super::{OLD, Plot};
use crate::model::{Policy, Problem, Reason, ServiceView, Share, WorkloadKey};
use crate::objects::{Index, Object, Settings};
use crate::rollout::controllers::{Event, Second, Snapshot, Start, play};
use crate::rollout::{self, Cause, ChangeKind, Memory, Outcome, State, Track, Version};

/// A ramp of a week has some 120,000 ticks; nothing that can be written has more looks.
const LOOKS_MAX: usize = 200_000;

/// What was seen of a play.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) rows: Vec<Row>,
    /// The version that pods were moved to, at each row.
    pub(super) aims: Vec<Option<Aim>>,
    /// How many ready pods carry everything.
    pub(super) basis: u32,
    /// What could not be obeyed at the end.
    pub(super) problems: Vec<Problem>,
    /// What applied at the end.
    pub(super) policy: Policy,
    /// The strategy had its way: the second at which it gave the target the whole.
    pub(super) whole_at: Option<Second>,
    /// The strategy had not.
    pub(super) forced: Option<Forced>,
    /// The target failed.
    pub(super) failed: Option<(Second, Cause)>,
    /// The last state, and why.
    pub(super) end: Option<(State, Option<String>)>,
}

/// The target of the workload that is updated.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Aim {
    pub(super) hash: String,
    pub(super) capacity: Share,
}

/// The target had more than the strategy gave it, because old pods were gone.
#[derive(Clone, Copy)]
pub(super) struct Forced {
    /// When first.
    pub(super) at: Second,
    /// What it had then.
    pub(super) share: Share,
    /// What the strategy gave it.
    pub(super) wanted: Share,
    /// When it had everything, and what the strategy gave it at that moment.
    pub(super) whole: Option<(Second, Share)>,
}

/// Plays all workloads and looks at the service at every second with a reason.
pub(super) fn watch(cast: &Cast, rolls: usize, plot: &Plot) -> Result<Seen, serde_json::Error> {
    let events: Vec<(Second, Event)> = plot.events.iter().map(|(at, e, _)| (*at, *e)).collect();
    let workloads = cast.workloads.iter().enumerate();
    let timelines: Vec<Vec<Snapshot>> = workloads
        .map(|(index, player)| match index == rolls {
            true => play(&player.workload, plot.start, &events, plot.until),
            false => play(&player.workload, Start::AtRest(OLD), &[], 0),
        })
        .collect();
    let before = match plot.start {
        Start::AtRest(_) => play(&cast.workloads[rolls].workload, plot.start, &[], 0).pop(),
        Start::Created(_) => None,
    };

    let mut camera = Camera::new(cast, rolls);
    if before.is_some() || cast.workloads.len() > 1 {
        let objects = objects(cast, |index| match index == rolls {
            true => before.as_ref(),
            false => timelines[index].first(),
        })?;
        camera.set(objects);
        camera.look(-1, "rest".to_owned(), String::new());
    }
    let mut snapshots = timelines[rolls].iter().peekable();
    let mut second = 0;
    for _ in 0..LOOKS_MAX {
        let mut changed = None;
        while let Some(snapshot) = snapshots.next_if(|snapshot| snapshot.at <= second) {
            changed = Some(snapshot);
        }
        if let Some(snapshot) = changed {
            camera.set(objects(cast, |index| match index == rolls {
                true => Some(snapshot),
                false => timelines[index].first(),
            })?);
        }
        let done = plot.events.iter().filter(|(at, _, _)| *at == second);
        let done: Vec<&str> = done.map(|(_, _, what)| what.as_str()).collect();
        let again = camera.look(second, second.to_string(), done.join("; "));
        let event = plot.events.iter().map(|(at, _, _)| *at);
        let event = event.filter(|at| *at > second);
        let next = snapshots.peek().map(|snapshot| snapshot.at);
        let Some(next) = event.chain(next).chain(again).min() else {
            break;
        };
        // Beyond it objects are not known.
        if next > plot.until {
            break;
        }
        second = next.max(second + 1);
    }
    Ok(camera.seen)
}

/// The objects of all workloads at a second; a workload without a snapshot does not exist yet.
fn objects<'s>(
    cast: &Cast,
    snapshot: impl Fn(usize) -> Option<&'s Snapshot>,
) -> Result<Vec<Object>, serde_json::Error> {
    let mut objects = vec![cast.service.clone()];
    objects.extend(cast.resource.clone());
    for (index, player) in cast.workloads.iter().enumerate() {
        if let Some(snapshot) = snapshot(index) {
            objects.extend(player.stage.objects(snapshot)?);
        }
    }
    Ok(objects)
}

/// Looks at a service as the server would.
struct Camera<'c> {
    cast: &'c Cast,
    rolls: WorkloadKey,
    index: Index,
    view: Option<ServiceView>,
    /// Problems of the view.
    flaws: Vec<Problem>,
    memory: Memory,
    seen: Seen,
}

impl<'c> Camera<'c> {
    fn new(cast: &'c Cast, rolls: usize) -> Self {
        let stage = &cast.workloads[rolls].stage;
        Self {
            cast,
            rolls: WorkloadKey {
                kind: stage.kind,
                namespace: stage.namespace.as_str().into(),
                name: stage.name.as_str().into(),
            },
            index: Index::new(Settings::default()),
            view: None,
            flaws: Vec::new(),
            memory: Memory::default(),
            seen: Seen::default(),
        }
    }

    fn set(&mut self, objects: Vec<Object>) {
        for change in resets(objects) {
            self.index.apply(change);
        }
        // The marks are for those who evaluate what changed; this is one service, looked at every time.
        self.index.take_dirty();
        let joined = self.index.view(&self.cast.key);
        (self.view, self.flaws) = joined.map_or((None, Vec::new()), |j| (j.view, j.problems));
        self.seen.problems.clone_from(&self.flaws);
    }

    /// Looks, and tells the second at which to look again although nothing changed.
    fn look(&mut self, second: Second, at: String, event: String) -> Option<Second> {
        let view = self.view.as_ref()?;
        let stage = &self.cast.workloads[0].stage;
        let moment = stage.moment(second);
        let outcome = rollout::evaluate(view, &Policy::default(), &self.memory, moment);
        let workloads = view.workloads.iter().filter(|w| w.replicas > 0);
        let basis: u32 = workloads.map(|workload| workload.capacity_basis()).sum();
        let seen = &mut self.seen;
        seen.basis = basis.max(1);
        // What is wrong for a moment (a weight for a version that has yet to come) shows in the rows.
        seen.problems.clone_from(&self.flaws);
        seen.problems.extend(outcome.problems.iter().cloned());
        seen.policy = outcome.policy.clone();
        let mut tracks = outcome.tracks.iter();
        let track = tracks.find(|t| t.workload_in(view).is_some_and(|w| w.key == self.rolls));
        let target = track.and_then(|track| Some((track, &outcome.versions[track.target?])));
        if let Some((track, target)) = target {
            seen.judge(track, target, second);
        }
        let row = Row {
            at,
            cells: cells(view, &outcome),
            is_limited: outcome.capacity.is_some(),
            state: outcome.state.as_str(),
            ttl: outcome.ttl,
            note: track.map(note).unwrap_or_default(),
            event,
            is_ramp: false,
        };
        let last = seen.rows.last();
        if last.is_none_or(|last| !last.looks_like(&row)) || !row.event.is_empty() {
            let is_ramp = last.is_some_and(|last| last.differs_in_shares_only(&row));
            let aim = target.map(|(_, target)| Aim::of(target, seen.basis));
            seen.aims.push(aim);
            seen.rows.push(Row { is_ramp, ..row });
        }
        self.memory = outcome.memory;
        let again = outcome.next?.as_second() - stage.moment(0).as_second();
        Some(again)
    }
}

fn cells(view: &ServiceView, outcome: &Outcome) -> Vec<Cell> {
    let cell = |version: &Version| {
        let revision = version.revision.map(|index| &view.revisions[index]);
        Cell {
            hash: version.hash.to_string(),
            alias: version.alias.to_string(),
            pods: revision.map_or(0, |revision| revision.pods),
            ready: version.ready,
            policy: version.policy,
            capacity: version.capacity,
            share: version.share,
            reason: version.reason.as_str(),
        }
    };
    outcome.versions.iter().map(cell).collect()
}

/// Where it stands in its steps, and why it stands still.
fn note(track: &Track) -> String {
    let moves = matches!(track.state, State::Progressing | State::Paused);
    let step = track.step.filter(|_| moves);
    let step = step.map(|(step, of)| format!("step {step} of {of}"));
    let words = step.into_iter().chain(track.note.clone());
    words.collect::<Vec<_>>().join(", ")
}

impl Seen {
    /// What became of the strategy's wish, and of the target.
    fn judge(&mut self, track: &Track, target: &Version, second: Second) {
        self.end = Some((track.state, track.note.clone()));
        if let Some(cause) = target.failed {
            self.failed.get_or_insert((second, cause));
        }
        let rolls = matches!(
            track.state,
            State::Pending | State::Progressing | State::Paused | State::Draining
        );
        let (Some(wanted), Some(policy)) = (track.wanted.filter(|_| rolls), target.policy) else {
            return;
        };
        if track.kind == ChangeKind::Rollback {
            return;
        }
        if target.share > policy && target.reason == Reason::FillsIn {
            let forced = self.forced.get_or_insert(Forced {
                at: second,
                share: target.share,
                wanted,
                whole: None,
            });
            if target.share == Share::WHOLE {
                forced.whole.get_or_insert((second, wanted));
            }
        } else if wanted == Share::WHOLE && target.share == policy {
            self.whole_at.get_or_insert(second);
        }
    }
}

impl Aim {
    fn of(target: &Version, basis: u32) -> Self {
        let capacity = u64::from(target.ready) * 10_000 / u64::from(basis);
        Self {
            hash: target.hash.to_string(),
            capacity: Share::from_basis_points(capacity),
        }
    }
}
