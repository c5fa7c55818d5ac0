//! Flips: blue/green between two Services, where a person says which one is active.
//!
//! Given the backends with their ready targets, who is asked to be active and what is remembered, [`flip()`] tells where
//! the service stands between the two. The share moves in one evaluation, as far as the active one can carry it.

use std::sync::Arc;

use jiff::Timestamp;

use super::ChangeKind;
use super::memory::TrackMemory;
use super::ramp::after;
use super::track::State;
use crate::model::{Intents, Share, Weights};

/// What there is to see.
pub(super) struct Backends<'a> {
    /// Each backend's name.
    pub(super) names: Vec<&'a Arc<str>>,
    /// Ready targets of each.
    pub(super) ready: Vec<u32>,
    /// Which one is asked to be active: an index into both.
    pub(super) active: usize,
    /// It can carry the whole load.
    pub(super) carries_all: bool,
    /// The time to live of answers, in seconds.
    pub(super) ttl_secs: u32,
    pub(super) now: Timestamp,
}

/// The backend that is asked to be active: one that was promoted, else the one with the greatest weight, the first of
/// equals. `None` if no backend is known.
pub(super) fn asked(names: &[&Arc<str>], weights: &Weights, intents: &Intents) -> Option<usize> {
    let place = |wanted: &Arc<str>| names.iter().position(|name| **name == *wanted);
    let promoted = intents.promote.iter().find_map(|(name, _)| place(name));
    let mut greatest: Option<(u16, usize)> = None;
    for (name, weight) in weights.iter() {
        if let Some(index) = place(name)
            && greatest.is_none_or(|(known, _)| weight > known)
        {
            greatest = Some((weight, index));
        }
    }
    promoted.or(greatest.map(|(_, index)| index))
}

/// Where the flip stands: what to remember, why, and when to look again.
pub(super) fn flip(
    scene: &Backends<'_>,
    known: Option<&TrackMemory>,
) -> (TrackMemory, Option<String>, Option<Timestamp>) {
    let now = scene.now;
    let active = scene.names[scene.active];
    let is_known = |hash: &Arc<str>| scene.names.contains(&hash);
    let mut memory = match known.filter(|known| is_known(&known.stable)) {
        Some(known) => known.clone(),
        None => TrackMemory {
            share: Share::WHOLE,
            seen: vec![Arc::clone(active)],
            ..TrackMemory::new(None, active, now)
        },
    };
    let is_new = memory.target != *active;
    if is_new {
        let order = |hash: &Arc<str>| memory.seen.iter().position(|seen| seen == hash);
        let is_back = order(active).is_some_and(|place| Some(place) < order(&memory.target));
        memory.kind = match is_back {
            true => ChangeKind::Rollback,
            false => ChangeKind::Update,
        };
        memory.target = Arc::clone(active);
        memory.started = now;
        if !memory.seen.contains(active) {
            memory.seen.push(Arc::clone(active));
        }
        let surplus = memory.seen.len().saturating_sub(TrackMemory::SEEN_MAX);
        memory.seen.drain(..surplus);
    }
    let ready = scene.ready[scene.active];
    let nothing_ready = scene.ready.iter().all(|count| *count == 0);
    let is_stable = memory.stable == memory.target;
    let drained =
        !is_new && memory.state == State::Draining && after(memory.since, scene.ttl_secs) <= now;
    let (state, note) = match ready {
        _ if nothing_ready => (State::Unavailable, None),
        0 if is_stable => (
            State::Degraded,
            Some("nothing behind it is ready; the other fills in".to_owned()),
        ),
        0 => (State::Pending, None),
        _ if is_stable || drained => (State::Healthy, None),
        _ if scene.carries_all => (State::Draining, None),
        _ => (State::Progressing, None),
    };
    if state != memory.state || is_new {
        memory.state = state;
        memory.since = now;
    }
    if state == State::Healthy {
        memory.stable = Arc::clone(&memory.target);
    }
    let next = (state == State::Draining).then(|| after(memory.since, scene.ttl_secs));
    (memory, note, next)
}
