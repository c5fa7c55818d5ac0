//! Slim workloads: Deployments, StatefulSets, DaemonSets, and what shows of them in a view.
//!
//! The arithmetic of their controllers (how many pods may be missing, when a roll-out is complete) stands here,
//! beside the fields it uses; the rules are those of Kubernetes 1.36.

use std::sync::Arc;

use jiff::Timestamp;

use super::conditions::{self, Progress, Stall};
use super::fields::Fields;
use super::meta::{self, Meta};
use super::object::Kind;
use super::templates::Template;
use super::tree::Tree;
use crate::model::{Amount, Uid, Workload, WorkloadKey, WorkloadKind};

/// Reads a number or a percentage such as `25%`.
fn read_amount(
    tree: &Tree,
    place: std::fmt::Arguments<'_>,
    fields: &mut Fields<'_>,
) -> Option<Amount> {
    if let Some(text) = tree.text() {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.parse().ok());
        if percent.is_none() {
            fields.note(format_args!(
                "`{place}` is ignored: `{tree}` is not a number or a percentage such as `25%`"
            ));
        }
        return percent.map(Amount::Percent);
    }
    fields.count(tree, place).map(Amount::Count)
}

/// How a workload replaces its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Update {
    /// Some at a time.
    Rolling {
        /// Pods above the desired number.
        surge: Option<Amount>,
        /// Pods below it.
        unavailable: Option<Amount>,
        /// Ordinals below it stay as they are; a StatefulSet's.
        partition: u32,
    },
    /// All old ones first; a Deployment's `Recreate`.
    Recreate,
    /// When someone deletes them.
    OnDelete,
}

impl Update {
    fn read(strategy: &Tree, fields: &mut Fields<'_>) -> Self {
        match strategy.get("type").text() {
            Some("Recreate") => Self::Recreate,
            Some("OnDelete") => Self::OnDelete,
            _ => {
                let rolling = strategy.get("rollingUpdate");
                let mut amount = |key: &str| {
                    read_amount(
                        rolling.get(key),
                        format_args!("rollingUpdate.{key}"),
                        fields,
                    )
                };
                let (surge, unavailable) = (amount("maxSurge"), amount("maxUnavailable"));
                let place = format_args!("rollingUpdate.partition");
                let partition = fields.count(rolling.get("partition"), place);
                Self::Rolling {
                    surge,
                    unavailable,
                    partition: partition.unwrap_or(0),
                }
            }
        }
    }
}

/// A Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Name.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Uid,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// Labels of its pods.
    pub template: Template,
    /// `spec.replicas`, 1 where unset.
    pub replicas: u32,
    /// `spec.strategy`.
    pub update: Update,
    /// `spec.minReadySeconds`
    pub min_ready_secs: u32,
    /// `spec.paused`.
    pub paused: bool,
    /// Since when the controller knows that it is paused.
    pub paused_since: Option<Timestamp>,
    /// The ReplicaSet that has not got on for `progressDeadlineSeconds`.
    pub deadline_exceeded: Option<Arc<str>>,
    /// Why no pod can be created: of which ReplicaSet, the condition does not tell.
    pub stalled: Option<Box<Stall>>,
    /// `status.observedGeneration`.
    pub observed: i64,
    /// `status.replicas`
    pub status_replicas: u32,
    /// `status.updatedReplicas`
    pub updated: u32,
    /// `status.availableReplicas`
    pub available: u32,
}

/// A StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub struct StatefulSet {
    /// Name.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Uid,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// Labels of its pods.
    pub template: Template,
    /// `spec.replicas`, 1 where unset.
    pub replicas: u32,
    /// `spec.updateStrategy`.
    pub update: Update,
    /// `spec.minReadySeconds`
    pub min_ready_secs: u32,
    /// `status.observedGeneration`
    pub observed: i64,
    /// `status.replicas`
    pub status_replicas: u32,
    /// `status.readyReplicas`
    pub ready: u32,
    /// `status.updatedReplicas`
    pub updated: u32,
    /// `status.currentRevision`
    pub current_revision: Arc<str>,
    /// `status.updateRevision`
    pub update_revision: Arc<str>,
}

/// A DaemonSet.
#[derive(Clone, Debug, PartialEq)]
pub struct DaemonSet {
    /// Name.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Uid,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// Labels of its pods.
    pub template: Template,
    /// `spec.updateStrategy`.
    pub update: Update,
    /// `spec.minReadySeconds`
    pub min_ready_secs: u32,
    /// `status.observedGeneration`
    pub observed: i64,
    /// `status.desiredNumberScheduled`
    pub desired: u32,
    /// `status.updatedNumberScheduled`
    pub updated: u32,
    /// `status.numberAvailable`
    pub available: u32,
}

/// Reads the numbers of a status: absent ones are 0.
fn status(tree: &Tree, key: &str, fields: &mut Fields<'_>) -> u32 {
    let place = format_args!("status.{key}");
    fields.count(tree.at(&["status", key]), place).unwrap_or(0)
}

fn observed(tree: &Tree, fields: &mut Fields<'_>) -> i64 {
    let place = format_args!("status.observedGeneration");
    let generation = tree.at(&["status", "observedGeneration"]);
    fields.number(generation, place).unwrap_or(0)
}

fn replicas(tree: &Tree, fields: &mut Fields<'_>) -> u32 {
    let place = format_args!("spec.replicas");
    fields
        .count(tree.at(&["spec", "replicas"]), place)
        .unwrap_or(1)
}

fn min_ready_secs(tree: &Tree, fields: &mut Fields<'_>) -> u32 {
    let place = format_args!("spec.minReadySeconds");
    let secs = fields.count(tree.at(&["spec", "minReadySeconds"]), place);
    secs.unwrap_or(0)
}

fn key_of(kind: WorkloadKind, meta: &Meta) -> WorkloadKey {
    WorkloadKey {
        kind,
        namespace: Arc::clone(&meta.namespace),
        name: Arc::clone(&meta.name),
    }
}

impl Deployment {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let spec = tree.get("spec");
        let conditions = conditions::list(tree, fields);
        let progress = Progress::read(conditions, fields);
        let paused = fields.boolean(spec.get("paused"), format_args!("spec.paused"));
        let paused = paused.unwrap_or(false);
        Some(Self {
            meta: Meta::read(tree, Kind::Deployment, fields, |_| false)?,
            uid: meta::uid(tree, fields),
            generation: meta::generation(tree, fields),
            template: Template::read(spec.get("template"), fields),
            replicas: replicas(tree, fields),
            update: Update::read(spec.get("strategy"), fields),
            min_ready_secs: min_ready_secs(tree, fields),
            paused,
            // The condition outlasts the pause until the controller has looked.
            paused_since: progress.paused_since.filter(|_| paused),
            deadline_exceeded: progress.deadline_exceeded,
            stalled: Stall::read(conditions, fields).map(Box::new),
            observed: observed(tree, fields),
            status_replicas: status(tree, "replicas", fields),
            updated: status(tree, "updatedReplicas", fields),
            available: status(tree, "availableReplicas", fields),
        })
    }

    /// Pods that may be missing: `maxSurge` rounds up, `maxUnavailable` down, and both cannot be 0.
    fn max_unavailable(&self) -> u32 {
        let Update::Rolling {
            surge, unavailable, ..
        } = self.update
        else {
            return 0;
        };
        if self.replicas == 0 {
            return 0;
        }
        let surge = surge.unwrap_or(Amount::Percent(25)).ceil(self.replicas);
        let unavailable = unavailable
            .unwrap_or(Amount::Percent(25))
            .floor(self.replicas);
        if surge == 0 && unavailable == 0 {
            1
        } else {
            unavailable
        }
    }

    /// What shows of it in a view.
    pub(super) fn workload(&self) -> Workload {
        Workload {
            key: key_of(WorkloadKind::Deployment, &self.meta),
            replicas: self.replicas,
            max_unavailable: self.max_unavailable(),
            paused: self.paused,
            paused_since: self.paused_since,
            complete: self.is_complete(),
            observed: self.is_observed(),
            min_ready_secs: self.min_ready_secs,
            partition: 0,
            on_delete: false,
        }
    }

    fn is_observed(&self) -> bool {
        self.observed >= self.generation
    }

    fn is_complete(&self) -> bool {
        self.is_observed()
            && self.updated == self.replicas
            && self.status_replicas == self.replicas
            && self.available == self.replicas
    }
}

impl StatefulSet {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let spec = tree.get("spec");
        let mut revision = |key: &str| {
            let place = format_args!("status.{key}");
            fields.shared(tree.at(&["status", key]), place)
        };
        let (current_revision, update_revision) =
            (revision("currentRevision"), revision("updateRevision"));
        Some(Self {
            meta: Meta::read(tree, Kind::StatefulSet, fields, |_| false)?,
            uid: meta::uid(tree, fields),
            generation: meta::generation(tree, fields),
            template: Template::read(spec.get("template"), fields),
            replicas: replicas(tree, fields),
            update: Update::read(spec.get("updateStrategy"), fields),
            min_ready_secs: min_ready_secs(tree, fields),
            observed: observed(tree, fields),
            status_replicas: status(tree, "replicas", fields),
            ready: status(tree, "readyReplicas", fields),
            updated: status(tree, "updatedReplicas", fields),
            current_revision,
            update_revision,
        })
    }

    /// Pods that may be missing: a percentage rounds down, as the controller's code does (its documentation says
    /// up), and at least one may.
    fn max_unavailable(&self) -> u32 {
        let unavailable = match self.update {
            Update::Rolling { unavailable, .. } => unavailable,
            Update::Recreate | Update::OnDelete => None,
        };
        let unavailable = unavailable.unwrap_or(Amount::Count(1));
        unavailable.floor(self.replicas).max(1)
    }

    /// What shows of it in a view, as far as its status tells.
    pub(super) fn workload(&self) -> Workload {
        let partition = match self.update {
            Update::Rolling { partition, .. } => partition,
            Update::Recreate | Update::OnDelete => 0,
        };
        Workload {
            key: key_of(WorkloadKind::StatefulSet, &self.meta),
            replicas: self.replicas,
            max_unavailable: self.max_unavailable(),
            paused: false,
            paused_since: None,
            complete: self.is_complete(),
            observed: self.is_observed(),
            min_ready_secs: self.min_ready_secs,
            partition,
            on_delete: self.update == Update::OnDelete,
        }
    }

    fn is_observed(&self) -> bool {
        self.observed >= self.generation
    }

    /// What the status says; the equality of its revisions alone proves nothing, so the caller looks at the pods.
    fn is_complete(&self) -> bool {
        self.is_observed()
            && self.status_replicas == self.replicas
            && self.updated == self.replicas
            && self.ready == self.replicas
            && self.current_revision == self.update_revision
    }
}

impl DaemonSet {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let spec = tree.get("spec");
        Some(Self {
            meta: Meta::read(tree, Kind::DaemonSet, fields, |_| false)?,
            uid: meta::uid(tree, fields),
            generation: meta::generation(tree, fields),
            template: Template::read(spec.get("template"), fields),
            update: Update::read(spec.get("updateStrategy"), fields),
            min_ready_secs: min_ready_secs(tree, fields),
            observed: observed(tree, fields),
            desired: status(tree, "desiredNumberScheduled", fields),
            updated: status(tree, "updatedNumberScheduled", fields),
            available: status(tree, "numberAvailable", fields),
        })
    }

    /// Pods that may be missing: both percentages round up, and both cannot be 0.
    fn max_unavailable(&self) -> u32 {
        let (surge, unavailable) = match self.update {
            Update::Rolling {
                surge, unavailable, ..
            } => (surge, unavailable),
            Update::Recreate | Update::OnDelete => (None, None),
        };
        let surge = surge.unwrap_or(Amount::Count(0)).ceil(self.desired);
        let unavailable = unavailable.unwrap_or(Amount::Count(1)).ceil(self.desired);
        if surge == 0 {
            unavailable.max(1)
        } else {
            unavailable
        }
    }

    /// What shows of it in a view.
    pub(super) fn workload(&self) -> Workload {
        Workload {
            key: key_of(WorkloadKind::DaemonSet, &self.meta),
            replicas: self.desired,
            max_unavailable: self.max_unavailable(),
            paused: false,
            paused_since: None,
            complete: self.is_complete(),
            observed: self.is_observed(),
            min_ready_secs: self.min_ready_secs,
            partition: 0,
            on_delete: self.update == Update::OnDelete,
        }
    }

    fn is_observed(&self) -> bool {
        self.observed >= self.generation
    }

    fn is_complete(&self) -> bool {
        self.is_observed() && self.updated >= self.desired && self.available >= self.desired
    }
}
