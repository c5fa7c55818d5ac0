//! Controllers: how Kubernetes replaces the pods of a workload, second by second.
//!
//! Given a [`Workload`], how it starts and what is done to it at which second, [`play()`] gives the timeline: a
//! [`Snapshot`] for every second at which something changed. It is the upstream controllers' own arithmetic (the
//! functions are named where they are followed) with pods that become ready after a fixed time. It reads no clock,
//! rolls no dice and knows nothing of services: the same play always gives the same timeline.
//!
//! What it leaves out: nodes and their capacity, quotas, volumes, pod deletion costs, `ordinals.start`, and the time
//! that watches take; a controller acts in the second in which it has a reason to.
//!
//! ```text
//!             events, and pods that became ready, available or were gone
//!                                     |
//!  second t -> pods wake up -> sync -> sync -> ... nothing changes -> snapshot -> the next second with a reason
//! ```

// What is played, and the clock that plays it.
mod fleet;
mod play;

// What each controller does when it looks.
mod daemon_set;
mod deployment;
mod progress;
mod stateful_set;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use crate::model::Amount;

pub use fleet::{Phase, Pod, Revision, Second, Snapshot, Template};
pub use play::{Event, Failure, REST_SECS, Start, play};
pub use progress::{Progress, ProgressReason};

/// What someone wrote into the workload, and how its pods behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Desired pods; for a DaemonSet the nodes it runs on.
    pub replicas: u32,
    /// Who replaces them, and how.
    pub controller: Controller,
    /// `minReadySeconds`: a pod is available when it has been ready for so long.
    pub min_ready_secs: u32,
    /// `progressDeadlineSeconds`: when a Deployment that does not get on is given up, if ever.
    pub progress_deadline_secs: Option<u32>,
    /// `revisionHistoryLimit`: how many revisions without pods are kept.
    pub history_limit: u32,
    /// From its creation until a pod is ready.
    pub ready_after_secs: u32,
    /// From its deletion until a pod is gone.
    pub gone_after_secs: u32,
}

/// A controller with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controller {
    /// A Deployment.
    Deployment(DeploymentUpdate),
    /// A StatefulSet.
    StatefulSet {
        /// How it updates.
        update: StatefulSetUpdate,
        /// How it creates and scales down.
        management: PodManagement,
    },
    /// A DaemonSet.
    DaemonSet(DaemonSetUpdate),
}

/// `spec.strategy` of a Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentUpdate {
    /// New pods while old ones go.
    Rolling {
        /// `maxSurge`, a percentage rounded up.
        surge: Amount,
        /// `maxUnavailable`, a percentage rounded down; 1 where both come to 0.
        unavailable: Amount,
    },
    /// No new pod before the last old one is gone.
    Recreate,
}

/// `spec.updateStrategy` of a StatefulSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatefulSetUpdate {
    /// The highest ordinal first.
    Rolling {
        /// Ordinals below it stay at the current revision.
        partition: u32,
        /// `maxUnavailable`, a percentage rounded down, at least 1.
        unavailable: Amount,
    },
    /// When someone deletes them.
    OnDelete,
}

/// `spec.podManagementPolicy` of a StatefulSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodManagement {
    /// One at a time; a pod that does not become available blocks everything, the way back too.
    OrderedReady,
    /// All at once.
    Parallel,
}

/// `spec.updateStrategy` of a DaemonSet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonSetUpdate {
    /// Node by node.
    Rolling {
        /// `maxSurge`, a percentage rounded up: nodes that run both at once.
        surge: Amount,
        /// `maxUnavailable`, a percentage rounded up; at least 1 without a surge.
        unavailable: Amount,
    },
    /// When someone deletes them.
    OnDelete,
}

/// How far a workload may be from its desired pods while it updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Pods above the desired number.
    pub surge: u32,
    /// Pods below it.
    pub unavailable: u32,
}

impl Controller {
    /// The bounds at `replicas` desired pods; none unavailable where nothing may be missing by itself.
    ///
    /// A Deployment's are those of `ResolveFenceposts`; `Recreate` and `OnDelete` promise nothing.
    pub fn bounds(self, replicas: u32) -> Option<Bounds> {
        let bounds = |surge, unavailable: u32| {
            Some(Bounds {
                surge,
                unavailable: unavailable.min(replicas),
            })
        };
        match self {
            Self::Deployment(DeploymentUpdate::Rolling { surge, unavailable }) => {
                match (surge.ceil(replicas), unavailable.floor(replicas)) {
                    (0, 0) => bounds(0, 1),
                    (surge, unavailable) => bounds(surge, unavailable),
                }
            }
            Self::StatefulSet {
                update: StatefulSetUpdate::Rolling { unavailable, .. },
                ..
            } => bounds(0, unavailable.floor(replicas).max(1)),
            Self::DaemonSet(DaemonSetUpdate::Rolling { surge, unavailable }) => {
                match (surge.ceil(replicas), unavailable.ceil(replicas)) {
                    (0, unavailable) => bounds(0, unavailable.max(1)),
                    // With a surge the old pod stays until the new one is available.
                    (surge, _) => bounds(surge, 0),
                }
            }
            Self::Deployment(DeploymentUpdate::Recreate)
            | Self::StatefulSet {
                update: StatefulSetUpdate::OnDelete,
                ..
            }
            | Self::DaemonSet(DaemonSetUpdate::OnDelete) => None,
        }
    }
}
