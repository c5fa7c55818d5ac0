//! Scenes: what there is to see of a track at one moment, and what follows from it alone.
//!
//! Given by the census, the lineage and the policy; [`super::machine`] and [`super::recall`] read it, and nobody writes it.

use std::sync::Arc;

use jiff::Timestamp;

use super::ChangeKind;
use super::memory::{Cause, TrackMemory};
use crate::model::{OnFailure, Policy, Promotion, Revision, Workload};

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
    /// All revisions of the workload, the oldest first: each was made because it was the target.
    pub(super) ever: Vec<&'a Arc<str>>,
    /// Ready targets of the target revision.
    pub(super) up: u32,
    /// Other revisions have ready endpoints.
    pub(super) others_up: bool,
    /// An undo of which pods of other revisions are left, ready or not: they may be ready again in a moment.
    pub(super) goes_on_back: bool,
    /// When targets of the target revision that have soaked had done so, sorted.
    pub(super) soaked_at: &'a [Timestamp],
    /// When the next of them will have.
    pub(super) next_soak: Option<Timestamp>,
    pub(super) now: Timestamp,
}

impl Scene<'_> {
    pub(super) fn is_target_of(&self, known: &TrackMemory) -> bool {
        known.target == self.target.hash
    }

    pub(super) fn is_rollback(&self) -> bool {
        self.is_rolling() && self.kind == ChangeKind::Rollback
    }

    /// The target is not the stable revision, or an undo in mid-roll has not taken everything back yet.
    pub(super) fn is_rolling(&self) -> bool {
        let takes_back = self.others_up || self.goes_on_back;
        *self.stable != self.target.hash || (self.kind == ChangeKind::Rollback && takes_back)
    }

    pub(super) fn is_promoted_in_full(&self) -> bool {
        self.promotion() == Some(Promotion::Full)
    }

    pub(super) fn promotion(&self) -> Option<Promotion> {
        let promoted = self.policy.intents.promote.iter();
        promoted
            .filter(|(hash, _)| *hash == self.target.hash)
            .map(|(_, to)| *to)
            .max()
    }

    pub(super) fn latched(&self, memory: &TrackMemory) -> Option<Cause> {
        let latch = memory.latches.iter().find(|l| l.hash == self.target.hash);
        latch.map(|latch| latch.cause)
    }

    /// A failure takes the share away.
    pub(super) fn acts(&self, latched: Option<Cause>) -> bool {
        latched.is_some_and(|cause| quarantines(self.policy, cause))
    }

    /// Why the ramp stands still although the strategy would go on.
    pub(super) fn stop(&self, latched: Option<Cause>) -> Option<String> {
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
    pub(super) fn ttl_secs(&self) -> u32 {
        self.policy.ttl.endpoints.min(self.policy.ttl.rollout)
    }
}

/// Whether a failure by this cause takes a revision's share away: where someone asked for it.
pub(super) fn quarantines(policy: &Policy, cause: Cause) -> bool {
    cause == Cause::Aborted || (policy.guarded && policy.on_failure != OnFailure::Hold)
}
