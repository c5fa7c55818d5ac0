//! Recall: what a track's memory is at one moment, before it is asked where the track stands.
//!
//! Given a [`Scene`] and what was remembered, [`remember`] hears intents and drops what is over; the other functions are
//! the changes that [`super::machine::advance`] makes on its way, in its order. They decide neither state nor share.

use std::sync::Arc;

use super::failure::{Verdict, failure};
use super::memory::{Cause, Latch, TrackMemory};
use super::ramp::{secs_between, tick};
use super::scene::Scene;
use super::track::State;
use crate::model::Share;

/// The memory of this target, with intents heard and latches kept that still mean something.
pub(super) fn remember(scene: &Scene<'_>, known: Option<&TrackMemory>) -> TrackMemory {
    let now = scene.now;
    let target = &scene.target.hash;
    // What has been a target before is not known, but that each revision was one when it was made.
    let new = || TrackMemory {
        seen: scene.ever.iter().map(|hash| Arc::clone(hash)).collect(),
        ..TrackMemory::new(Some(scene.workload.key.clone()), scene.stable, now)
    };
    let mut memory = TrackMemory {
        target: Arc::clone(target),
        stable: Arc::clone(scene.stable),
        kind: scene.kind,
        ..known.cloned().unwrap_or_else(new)
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
pub(super) fn judge(scene: &Scene<'_>, memory: &mut TrackMemory) -> Verdict {
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
pub(super) fn begin_ramp(scene: &Scene<'_>, known: Option<&TrackMemory>, memory: &mut TrackMemory) {
    if let (true, None, Some(first)) = (scene.is_rolling(), memory.ramp, scene.soaked_at.first()) {
        let was_target = |known: &TrackMemory| known.seen.contains(&scene.target.hash);
        let again = known.filter(|known| !scene.is_target_of(known) && was_target(known));
        let least = memory.forgiven.max(again.map(|_| scene.now));
        let first = least.map_or(*first, |least| least.max(*first));
        memory.ramp = Some(first.min(scene.now));
    }
}

/// Keeps account of how long the ramp stood still, in whole ticks, so that it goes on exactly where it stopped.
pub(super) fn stand_still(scene: &Scene<'_>, memory: &mut TrackMemory, stops: bool) {
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

/// A second chance for a target that lost its latch.
pub(super) fn begin_anew(scene: &Scene<'_>, memory: &mut TrackMemory) {
    rewind(memory);
    forgive(scene, memory);
}

/// What was seen before does not count.
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
pub(super) fn finish(memory: &mut TrackMemory) {
    rewind(memory);
    memory.forgiven = None;
    memory.stable = Arc::clone(&memory.target);
    let target = Arc::clone(&memory.target);
    memory.latches.retain(|latch| latch.hash != target);
}
