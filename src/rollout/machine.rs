//! The state machine of one track: from what is remembered and what is there to state, wanted share and memory.
//!
//! Given a [`Scene`] and the track's memory, [`advance()`] gives a [`Stand`]. It is a pure function of both, so replicas
//! that see the same objects stand at the same place, and it may be called as often as one likes: at the same moment
//! nothing moves twice. What the shares of versions become is decided elsewhere; here is only what the target wants.
//!
//! The picture of the states is above [`State`].

use std::sync::Arc;

use jiff::Timestamp;

use super::ChangeKind;
use super::failure::{Verdict, failure};
use super::memory::{Cause, Latch, TrackMemory};
use super::ramp::{Place, TICK_SECS, after, exponential, linear, secs_between, tick, tick_from};
use super::track::State;
use crate::model::{
    OnFailure, Policy, Promotion, Revision, RollbackMode, Share, Strategy, Workload,
};

/// What there is to see of a track.
pub(super) struct Scene<'a> {
    pub(super) policy: &'a Policy,
    pub(super) workload: &'a Workload,
    pub(super) target: &'a Revision,
    /// The hash of the stable revision.
    pub(super) stable: &'a Arc<str>,
    pub(super) kind: ChangeKind,
    /// Revisions of the workload that have pods or ready endpoints.
    pub(super) alive: Vec<&'a Arc<str>>,
    /// Ready targets of the target revision.
    pub(super) up: u32,
    /// Other revisions have ready endpoints.
    pub(super) others_up: bool,
    /// When targets of the target revision that have soaked had done so, sorted.
    pub(super) soaked_at: &'a [Timestamp],
    /// When the next of them will have.
    pub(super) next_soak: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// Where a track stands.
pub(super) struct Stand {
    /// What to remember.
    pub(super) memory: TrackMemory,
    /// The part of the track's whole that the strategy gives the target; `None`: shares follow something else.
    pub(super) wanted: Option<Share>,
    /// The target is on its way: only what has soaked counts, and it fills in last.
    pub(super) is_canary: bool,
    /// Its capacity does not limit the target.
    pub(super) uncapped: bool,
    pub(super) step: Option<(u8, u8)>,
    pub(super) note: Option<String>,
    /// When the strategy gives the target more by itself.
    pub(super) next_move: Option<Timestamp>,
    /// When a great part of the share moves by itself.
    pub(super) cut_over: Option<Timestamp>,
    /// When to look again although nothing changed.
    pub(super) next: Option<Timestamp>,
}

/// What the strategy says of the target.
#[derive(Default)]
struct Wish {
    share: Option<Share>,
    step: Option<(u8, u8)>,
    /// Someone has to promote it.
    waits: bool,
    next_move: Option<Timestamp>,
    cut_over: Option<Timestamp>,
}

/// Goes from what is remembered to what is so at the scene's moment.
pub(super) fn advance(scene: &Scene<'_>, known: Option<&TrackMemory>) -> Stand {
    let mut memory = remember(scene, known);
    let mut looks: Vec<Option<Timestamp>> = vec![scene.next_soak];
    let verdict = judge(scene, &mut memory);
    looks.push(verdict.look_again);
    let latched = scene.latched(&memory);
    if let Some(known) = known
        && scene.is_target_of(known)
        && latched.is_none()
        && scene.latched(known).is_some()
    {
        rewind(&mut memory);
        forgive(scene, &mut memory);
    }
    let stop = scene.stop(latched);
    // Nobody sees how a target does of which nothing is ready.
    let stops = stop.is_some() || (memory.ramp.is_some() && scene.soaked_at.is_empty());
    begin_ramp(scene, known, &mut memory);
    stand_still(scene, &mut memory, stops);

    let mut wish = match scene.is_rolling() {
        true => scene.wish(&mut memory, latched, stops),
        false => Wish::default(),
    };
    let (state, note) = scene.state(&memory, &wish, &verdict, latched, stop);
    if state == State::Draining {
        let since = match memory.state {
            State::Draining => memory.since,
            _ => scene.now,
        };
        looks.push(Some(after(since, scene.ttl_secs())));
    }
    if state == State::Healthy {
        finish(&mut memory);
        wish = Wish::default();
    }
    looks.push(wish.next_move);
    if memory.state != state || known.is_none_or(|known| !scene.is_target_of(known)) {
        memory.since = scene.now;
        memory.state = state;
    }
    let acts = scene.acts(latched);
    let is_rolling = scene.is_rolling() && state != State::Healthy;
    let is_rollback = scene.is_rollback() && state != State::Healthy;
    Stand {
        wanted: wish.share,
        is_canary: is_rolling && !is_rollback && !acts,
        uncapped: is_rollback && scene.policy.rollback == RollbackMode::Immediate,
        step: wish.step,
        note,
        next_move: wish.next_move,
        cut_over: wish.cut_over,
        next: looks
            .into_iter()
            .flatten()
            .filter(|at| *at > scene.now)
            .min(),
        memory,
    }
}

/// The memory of this target, with intents heard and latches kept that still mean something.
fn remember(scene: &Scene<'_>, known: Option<&TrackMemory>) -> TrackMemory {
    let now = scene.now;
    let target = &scene.target.hash;
    let mut memory = match known {
        Some(known) => TrackMemory {
            target: Arc::clone(target),
            stable: Arc::clone(scene.stable),
            kind: scene.kind,
            ..known.clone()
        },
        None => TrackMemory {
            workload: Some(scene.workload.key.clone()),
            stable: Arc::clone(scene.stable),
            target: Arc::clone(target),
            kind: scene.kind,
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
        },
    };
    memory.stale_deadline &= scene.target.deadline_exceeded;
    if known.is_some_and(|known| !scene.is_target_of(known)) {
        // Everything about a ramp belongs to the target it was for.
        rewind(&mut memory);
        memory.forgiven = None;
        memory.stale_deadline = false;
        memory.started = now;
        memory.state = State::Pending;
    }
    for hash in [scene.stable, target] {
        if !memory.seen.contains(hash) {
            memory.seen.push(Arc::clone(hash));
        }
    }
    let surplus = memory.seen.len().saturating_sub(TrackMemory::SEEN_MAX);
    memory.seen.drain(..surplus);
    hear(scene, &mut memory);
    memory
}

/// Intents and evidence that was withdrawn: what is latched and what is not any more.
fn hear(scene: &Scene<'_>, memory: &mut TrackMemory) {
    let (target, intents) = (&scene.target.hash, &scene.policy.intents);
    let is_here = |hash: &Arc<str>| hash == target || scene.alive.contains(&hash);
    memory.latches.retain(|latch| is_here(&latch.hash));
    memory.retries.retain(|(hash, _)| is_here(hash));
    memory.latches.retain(|latch| {
        latch.hash != *target
            || match latch.cause {
                Cause::ProgressDeadline => scene.target.deadline_exceeded,
                Cause::Aborted => intents.abort.contains(target),
                _ => true,
            }
    });
    for (hash, number) in intents.retry.iter().filter(|(hash, _)| is_here(hash)) {
        let heard = memory.retries.iter_mut().find(|(known, _)| known == hash);
        match heard {
            Some((_, heard)) if *heard >= *number => continue,
            Some((_, heard)) => *heard = *number,
            None => memory.retries.push((Arc::clone(hash), *number)),
        }
        memory.latches.retain(|latch| latch.hash != *hash);
        if hash == target {
            forgive(scene, memory);
        }
    }
    let is_aborted = scene.is_rolling() && !scene.is_rollback() && intents.abort.contains(target);
    // Where an undo leads is judged by readiness alone; so is what someone promoted, unless it is aborted all the same.
    if scene.is_promoted_in_full() || scene.is_rollback() {
        let stands = |cause: Cause| is_aborted && cause == Cause::Aborted;
        let latches = &mut memory.latches;
        latches.retain(|latch| latch.hash != *target || stands(latch.cause));
    }
    if is_aborted && scene.latched(memory).is_none() {
        memory.latches.push(Latch {
            hash: Arc::clone(target),
            cause: Cause::Aborted,
            at: scene.now,
        });
    }
}

/// Looks at the pods of a target on its way, and latches what it fails by.
fn judge(scene: &Scene<'_>, memory: &mut TrackMemory) -> Verdict {
    if !scene.is_rolling() || scene.is_promoted_in_full() || scene.latched(memory).is_some() {
        return Verdict::default();
    }
    let since = match scene.is_rollback() {
        true => Some(memory.started),
        false => memory.forgiven,
    };
    let deadline = !scene.is_rollback() && !memory.stale_deadline;
    let verdict = failure(scene.target, scene.up, (since, deadline), scene.now);
    if let Some(cause) = verdict.cause.filter(|_| !scene.is_rollback()) {
        memory.latches.push(Latch {
            hash: Arc::clone(&scene.target.hash),
            cause,
            at: scene.now,
        });
    }
    verdict
}

/// The ramp counts from the first soaked endpoint, but not from before a second chance; nor, with pods that an earlier
/// try has left, from before this one.
fn begin_ramp(scene: &Scene<'_>, known: Option<&TrackMemory>, memory: &mut TrackMemory) {
    if let (true, None, Some(first)) = (scene.is_rolling(), memory.ramp, scene.soaked_at.first()) {
        let was_target = |known: &TrackMemory| known.seen.contains(&scene.target.hash);
        let again = known.filter(|known| !scene.is_target_of(known) && was_target(known));
        let least = memory.forgiven.max(again.map(|_| scene.now));
        let first = least.map_or(*first, |least| least.max(*first));
        memory.ramp = Some(first.min(scene.now));
    }
}

/// Keeps account of how long the ramp stood still, in whole ticks, so that it goes on exactly where it stopped.
fn stand_still(scene: &Scene<'_>, memory: &mut TrackMemory, stops: bool) {
    let now = scene.now;
    match (stops, memory.paused) {
        (true, None) => {
            let told = scene
                .workload
                .paused_since
                .filter(|_| scene.workload.paused);
            memory.paused = Some(told.unwrap_or(now).min(now));
        }
        (false, Some(since)) => {
            let begun = memory
                .ramp
                .map(|ramp| secs_between(tick(since.max(ramp)), tick(now)));
            memory.paused_secs = memory.paused_secs.saturating_add(begun.unwrap_or(0));
            memory.paused = None;
        }
        _ => {}
    }
}

/// A second chance: what was seen before does not count.
fn forgive(scene: &Scene<'_>, memory: &mut TrackMemory) {
    memory.forgiven = Some(scene.now);
    memory.stale_deadline = scene.target.deadline_exceeded;
}

/// The ramp begins anew.
fn rewind(memory: &mut TrackMemory) {
    memory.ramp = None;
    memory.paused = None;
    memory.paused_secs = 0;
    memory.step = (0, 0);
    memory.share = Share::ZERO;
}

/// The target is the stable revision.
fn finish(memory: &mut TrackMemory) {
    rewind(memory);
    memory.forgiven = None;
    memory.stable = Arc::clone(&memory.target);
    let target = Arc::clone(&memory.target);
    memory.latches.retain(|latch| latch.hash != target);
}

impl Scene<'_> {
    fn is_target_of(&self, known: &TrackMemory) -> bool {
        known.target == self.target.hash
    }

    fn is_rollback(&self) -> bool {
        self.is_rolling() && self.kind == ChangeKind::Rollback
    }

    /// The target is not the stable revision, or an undo in mid-roll has not taken everything back yet.
    fn is_rolling(&self) -> bool {
        *self.stable != self.target.hash || (self.kind == ChangeKind::Rollback && self.others_up)
    }

    fn is_promoted_in_full(&self) -> bool {
        self.promotion() == Some(Promotion::Full)
    }

    fn promotion(&self) -> Option<Promotion> {
        let promoted = self.policy.intents.promote.iter();
        promoted
            .filter(|(hash, _)| *hash == self.target.hash)
            .map(|(_, to)| *to)
            .max()
    }

    fn latched(&self, memory: &TrackMemory) -> Option<Cause> {
        let latch = memory.latches.iter().find(|l| l.hash == self.target.hash);
        latch.map(|latch| latch.cause)
    }

    /// A failure takes the share away.
    fn acts(&self, latched: Option<Cause>) -> bool {
        latched.is_some_and(|cause| quarantines(self.policy, cause))
    }

    /// Why the ramp stands still although the strategy would go on.
    fn stop(&self, latched: Option<Cause>) -> Option<String> {
        let is_held = self.policy.guarded && self.policy.on_failure == OnFailure::Hold;
        if !self.is_rolling() || self.is_rollback() {
            None
        } else if let Some(cause) = latched.filter(|_| is_held && !self.acts(latched)) {
            Some(format!("held: {}", cause.as_str()))
        } else if self.workload.paused {
            Some("paused in the Deployment".to_owned())
        } else if self.policy.intents.pause.contains(&self.target.hash) {
            Some("paused by hand".to_owned())
        } else {
            None
        }
    }

    /// The time to live while a roll-out is under way.
    fn ttl_secs(&self) -> u32 {
        self.policy.ttl.endpoints.min(self.policy.ttl.rollout)
    }

    /// Seconds of the ramp, standing still left out; it moves in whole ticks.
    fn elapsed_secs(&self, memory: &TrackMemory) -> Option<u32> {
        let at = tick(memory.paused.unwrap_or(self.now));
        Some(secs_between(memory.ramp?, at).saturating_sub(memory.paused_secs))
    }

    /// The tick at which the ramp will be so old.
    fn moment(&self, memory: &TrackMemory, elapsed_secs: u32) -> Option<Timestamp> {
        let secs = i64::from(elapsed_secs) + i64::from(memory.paused_secs);
        Some(tick_from(after(memory.ramp?, secs)))
    }

    /// What the strategy gives the target; the memory keeps it, since a ramp never runs backwards by itself.
    fn wish(&self, memory: &mut TrackMemory, latched: Option<Cause>, stops: bool) -> Wish {
        let mut wish = Wish::default();
        let is_timed = !matches!(
            self.policy.strategy,
            Strategy::Follow | Strategy::Manual(_) | Strategy::External
        );
        if !is_timed || self.kind == ChangeKind::Restart {
            return wish;
        }
        if self.is_rollback() {
            wish.share = Some(Share::WHOLE);
            return wish;
        }
        if self.acts(latched) {
            wish.share = Some(match self.others_up {
                true => Share::ZERO,
                false => Share::WHOLE,
            });
            memory.share = Share::ZERO;
            return wish;
        }
        let share = if self.is_promoted_in_full() {
            Share::WHOLE
        } else if latched.is_some() && stops {
            memory.share
        } else {
            self.curve(memory, &mut wish, stops)
        };
        let share = share.max(memory.share);
        memory.share = share;
        wish.share = Some(share);
        if share == Share::WHOLE {
            (wish.waits, wish.next_move, wish.cut_over) = (false, None, None);
        }
        wish
    }

    fn curve(&self, memory: &mut TrackMemory, wish: &mut Wish, stops: bool) -> Share {
        let Some(elapsed) = self.elapsed_secs(memory) else {
            return Share::ZERO;
        };
        let goes_on = |at: Option<Timestamp>| at.filter(|_| !stops);
        match &self.policy.strategy {
            Strategy::Linear { over_secs } => {
                wish.next_move = goes_on(Some(after(tick(self.now), TICK_SECS)));
                linear(elapsed, *over_secs)
            }
            Strategy::Exponential { over_secs } => {
                wish.next_move = goes_on(Some(after(tick(self.now), TICK_SECS)));
                exponential(elapsed, *over_secs)
            }
            Strategy::Steps(steps) => {
                let count = u8::try_from(steps.as_slice().len()).unwrap_or(u8::MAX);
                let place = Place {
                    index: memory.step.0,
                    entered_secs: memory.step.1,
                };
                let mut place = place.found_again(steps, memory.share, elapsed);
                if let Some(Promotion::Step(step)) = self.promotion()
                    && place.index + 1 < step
                {
                    place = Place {
                        index: (step - 1).min(count),
                        entered_secs: elapsed,
                    };
                }
                place = place.advance(steps, elapsed, self.ttl_secs());
                memory.step = (place.index, place.entered_secs);
                wish.step = Some((place.index.saturating_add(1).min(count), count));
                wish.waits = place.waits(steps);
                let due = place.due_secs(steps, self.ttl_secs());
                wish.next_move = goes_on(due.and_then(|due| self.moment(memory, due)));
                wish.cut_over = wish.next_move;
                place.share(steps)
            }
            Strategy::BlueGreen {
                auto_promotion_secs,
                ..
            } => {
                let due = auto_promotion_secs.and_then(|secs| {
                    let able = self.able_since()?;
                    Some(tick_from(after(able.max(memory.ramp?), secs)))
                });
                let due = goes_on(due);
                if self.promotion().is_some() || due.is_some_and(|due| due <= self.now) {
                    return Share::WHOLE;
                }
                wish.waits = true;
                (wish.next_move, wish.cut_over) = (due, due);
                Share::ZERO
            }
            Strategy::Follow | Strategy::Manual(_) | Strategy::External => Share::ZERO,
        }
    }

    /// Since when soaked endpoints of the target could carry the whole load of the track.
    fn able_since(&self) -> Option<Timestamp> {
        let needed = match self.policy.clamp {
            false => 1,
            true => {
                let basis = 100 * u64::from(self.workload.capacity_basis());
                basis.div_ceil(u64::from(self.policy.headroom_percent.max(1)))
            }
        };
        let index = usize::try_from(needed).ok()?.checked_sub(1)?;
        self.soaked_at.get(index).copied()
    }

    /// The state, the first rule that fits, and why.
    fn state(
        &self,
        memory: &TrackMemory,
        wish: &Wish,
        verdict: &Verdict,
        latched: Option<Cause>,
        stop: Option<String>,
    ) -> (State, Option<String>) {
        let is_done = !self.others_up && self.workload.complete;
        if self.up == 0 && !self.others_up {
            return (State::Unavailable, None);
        }
        if !self.is_rolling() {
            return match self.others_up {
                true => (State::Draining, None),
                false => (State::Healthy, None),
            };
        }
        if self.is_rollback() {
            return match verdict.cause {
                _ if is_done => (State::Healthy, None),
                Some(cause) => (
                    State::Degraded,
                    Some(format!("the way back fails: {}", cause.as_str())),
                ),
                None => (State::RollingBack, None),
            };
        }
        let failed = latched.map(|cause| cause.as_str().to_owned());
        if self.acts(latched) {
            return match self.others_up {
                true => (State::Aborted, failed),
                false if is_done => (State::Healthy, None),
                false => (State::Degraded, failed),
            };
        }
        // What has replaced every other pod cannot be held back.
        if let Some(note) = stop.filter(|_| !is_done) {
            return (State::Paused, Some(note));
        }
        if failed.is_some() {
            // Nobody asked to shift back: it is told, and shares go on following the pods.
            return match is_done {
                true => (State::Healthy, None),
                false => (State::Degraded, failed),
            };
        }
        if self.soaked_at.is_empty() {
            return (State::Pending, self.stalled());
        }
        // Where the workload has replaced every pod there is nothing left to wait for, nor to grow.
        let is_full = match wish.share {
            Some(share) => is_done || share == Share::WHOLE,
            None => !self.others_up,
        };
        if wish.waits && !is_full {
            return (State::Paused, Some("waits to be promoted".to_owned()));
        }
        if let Some(note) = self.stands_by_spec() {
            return (State::Paused, Some(note));
        }
        if !is_full {
            return (State::Progressing, self.stalled());
        }
        let drained =
            memory.state == State::Draining && after(memory.since, self.ttl_secs()) <= self.now;
        match drained && is_done {
            true => (State::Healthy, None),
            false => (State::Draining, None),
        }
    }

    /// Pods of the target cannot start.
    fn stalled(&self) -> Option<String> {
        let (reason, _) = self.target.stalled.as_ref()?;
        Some(format!("stalled: {reason}"))
    }

    /// Two revisions stand side by side because the workload's spec says so.
    fn stands_by_spec(&self) -> Option<String> {
        let workload = self.workload;
        let updated = workload.replicas.saturating_sub(workload.partition);
        let partition = workload.partition > 0 && self.target.pods >= updated;
        if !self.others_up {
            None
        } else if workload.on_delete {
            Some("waits for pods to be deleted (OnDelete)".to_owned())
        } else if partition && self.up >= updated {
            Some(format!("partition {} stands", workload.partition))
        } else {
            None
        }
    }
}

/// Whether a failure by this cause takes a revision's share away: where someone asked for it.
pub(super) fn quarantines(policy: &Policy, cause: Cause) -> bool {
    cause == Cause::Aborted || (policy.guarded && policy.on_failure != OnFailure::Hold)
}
