//! The state machine of one track: from what is remembered and what is there to state, wanted share and memory.
//!
//! Given a [`Scene`] and the track's memory, [`advance()`] gives a [`Stand`]. It is a pure function of both, so replicas
//! that see the same objects stand at the same place, and it may be called as often as one likes: at the same moment
//! nothing moves twice. What the shares of versions become is decided elsewhere; here is only what the target wants.
//!
//! The picture of the states is above [`State`].

use jiff::Timestamp;

use super::ChangeKind;
use super::failure::Verdict;
use super::memory::{Cause, TrackMemory};
use super::ramp::{Place, TICK_SECS, after, exponential, linear, secs_between, tick, tick_from};
use super::recall::{begin_anew, begin_ramp, finish, judge, remember, stand_still};
use super::scene::Scene;
use super::track::State;
use crate::model::{Promotion, RollbackMode, Share, Strategy};

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
        begin_anew(scene, &mut memory);
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

impl Scene<'_> {
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
                    && place.index.saturating_add(1) < step
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
