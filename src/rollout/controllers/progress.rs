//! The condition `Progressing`: how the Deployment controller tells whether a roll-out gets on (`syncRolloutStatus`).
//!
//! ```text
//! new target --> ReplicaSetUpdated, again with each progress --> NewReplicaSetAvailable
//!                        |   ^
//!                        v   | progress
//!            ProgressDeadlineExceeded
//! ```
//!
//! Progress is more updated, ready or available pods, or fewer old ones; so a crash loop that becomes ready between
//! its crashes progresses each time. A pause stops the clock. A roll-out that was complete is not looked at again: what
//! happens to its pods later is no matter of a deadline. `NewReplicaSetCreated` is left out: here the first pods come
//! in the second in which the ReplicaSet does.

use super::fleet::{Fleet, Phase, Pod, Second, Snapshot, Template};
use super::{Controller, Workload};

/// What the condition `Progressing` of a Deployment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Why it is what it is.
    pub reason: ProgressReason,
    /// The template of the ReplicaSet that its message names. An old message may outlive the next target.
    pub about: Option<Template>,
    /// `lastUpdateTime`: the last progress, a pause, or the end of one.
    pub updated: Second,
    /// `lastTransitionTime`: since when it is true, false or unknown.
    pub since: Second,
}

/// The reasons of the condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressReason {
    /// The roll-out has got on.
    ReplicaSetUpdated,
    /// It is complete.
    NewReplicaSetAvailable,
    /// It has not got on for `progressDeadlineSeconds`.
    ProgressDeadlineExceeded,
    /// `spec.paused` is set.
    DeploymentPaused,
    /// It was.
    DeploymentResumed,
}

impl ProgressReason {
    /// As the condition has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReplicaSetUpdated => "ReplicaSetUpdated",
            Self::NewReplicaSetAvailable => "NewReplicaSetAvailable",
            Self::ProgressDeadlineExceeded => "ProgressDeadlineExceeded",
            Self::DeploymentPaused => "DeploymentPaused",
            Self::DeploymentResumed => "DeploymentResumed",
        }
    }

    /// The status that goes with it.
    pub fn status(self) -> &'static str {
        match self {
            Self::ReplicaSetUpdated | Self::NewReplicaSetAvailable => "True",
            Self::ProgressDeadlineExceeded => "False",
            Self::DeploymentPaused | Self::DeploymentResumed => "Unknown",
        }
    }
}

/// What the status of a Deployment counts, for a wanted template.
#[derive(Clone, Copy)]
struct Counts {
    updated: usize,
    old: usize,
    ready: usize,
    available: u32,
}

impl Counts {
    fn of(now: &Snapshot, wanted: Template) -> Self {
        let count = |is: &dyn Fn(&Pod) -> bool| now.active().filter(|pod| is(pod)).count();
        Self {
            updated: count(&|pod| pod.template == wanted),
            old: count(&|pod| pod.template != wanted),
            ready: count(&|pod| pod.phase == Phase::Ready),
            available: now.available(),
        }
    }

    /// `DeploymentProgressing`
    fn is_progress_after(&self, before: &Self) -> bool {
        self.updated > before.updated
            || self.old < before.old
            || self.ready > before.ready
            || self.available > before.available
    }
}

/// The eye that the controller keeps on the progress of a Deployment.
pub(super) struct Deadline {
    secs: Option<Second>,
    /// What the controller saw when it last looked.
    seen: Option<Snapshot>,
}

impl Deadline {
    /// A Deployment's; of others, and without a deadline, there is no such condition.
    pub(super) fn of(workload: &Workload) -> Self {
        let secs = match workload.controller {
            Controller::Deployment(_) => workload.progress_deadline_secs,
            Controller::StatefulSet { .. } | Controller::DaemonSet(_) => None,
        };
        Self {
            secs: secs.map(Second::from),
            seen: None,
        }
    }

    /// What is there was complete long ago.
    pub(super) fn rest(&mut self, fleet: &mut Fleet) {
        if self.secs.is_some() {
            set(&mut fleet.now, ProgressReason::NewReplicaSetAvailable);
        }
        self.seen = Some(fleet.now.clone());
    }

    /// Looks at what a second has brought.
    pub(super) fn look(&mut self, fleet: &mut Fleet) {
        let seen = self.seen.replace(fleet.now.clone());
        let Some(secs) = self.secs else { return };
        let now = &mut fleet.now;
        // A new target begins with the pods that it has already.
        let wanted = now.template;
        let counts = Counts::of(now, wanted);
        let before = seen.map(|seen| Counts::of(&seen, wanted));
        let reason = |now: &Snapshot| now.progress.map(|progress| progress.reason);
        if now.paused {
            // What was given up stays given up.
            if reason(now) != Some(ProgressReason::ProgressDeadlineExceeded) {
                set(now, ProgressReason::DeploymentPaused);
            }
            return;
        }
        if reason(now) == Some(ProgressReason::DeploymentPaused) {
            set(now, ProgressReason::DeploymentResumed);
        }
        let was_complete = reason(now) == Some(ProgressReason::NewReplicaSetAvailable);
        if was_complete && counts.old == 0 {
            return;
        }
        if now.is_complete() {
            set(now, ProgressReason::NewReplicaSetAvailable);
        } else if before.is_none_or(|before| counts.is_progress_after(&before)) {
            set(now, ProgressReason::ReplicaSetUpdated);
        } else if !was_complete && now.progress.is_some_and(|p| p.updated + secs <= now.at) {
            set(now, ProgressReason::ProgressDeadlineExceeded);
        }
    }

    /// The second at which the controller gives up, if nothing happens before.
    pub(super) fn due(&self, now: &Snapshot) -> Option<Second> {
        let progress = now.progress?;
        let is_waiting = matches!(
            progress.reason,
            ProgressReason::ReplicaSetUpdated | ProgressReason::DeploymentResumed
        );
        let at = progress.updated + self.secs?;
        (is_waiting && at > now.at).then_some(at)
    }
}

/// `SetDeploymentCondition`: a condition of the same reason stays as it is, but for one that tells of more progress.
fn set(now: &mut Snapshot, reason: ProgressReason) {
    let old = now.progress;
    let is_same = old.is_some_and(|old| old.reason == reason);
    if is_same && reason != ProgressReason::ReplicaSetUpdated {
        return;
    }
    let lasts = old.filter(|old| old.reason.status() == reason.status());
    now.progress = Some(Progress {
        reason,
        about: now.revision(now.template).map(|r| r.template),
        updated: now.at,
        since: lasts.map_or(now.at, |old| old.since),
    });
}

#[cfg(test)]
mod tests;
