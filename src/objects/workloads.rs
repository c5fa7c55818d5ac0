//! Slim Pods and what makes them: Deployments, ReplicaSets, StatefulSets, DaemonSets, ControllerRevisions.
//!
//! The arithmetic of their controllers (how many pods may be missing, when a roll-out is complete) stands here,
//! beside the fields it uses; the rules are those of Kubernetes 1.36.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::few::Few;
use super::fields::Fields;
use super::labels::Labels;
use super::meta::{self, Meta};
use super::object::Kind;
use super::tree::Tree;
use crate::model::Amount;

/// A Pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Pod {
    /// Name, labels, controller.
    pub meta: Meta,
    /// `status.podIPs`, else `status.podIP`.
    pub addresses: Few<IpAddr>,
    /// The phase is `Succeeded` or `Failed`: it will not run again.
    pub terminal: bool,
    /// Since when it is Ready; `None` while it is not.
    pub ready_since: Option<Timestamp>,
    /// Restarts of its containers, added up.
    pub restarts: u32,
    /// The tag of its first container's image.
    pub tag: Option<Arc<str>>,
}

impl Pod {
    /// It counts among its revision's pods: not going away, and not done.
    pub fn counts(&self) -> bool {
        !self.meta.deleting && !self.terminal
    }

    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::Pod, fields, |_| true)?;
        let status = tree.get("status");
        let mut addresses: Vec<IpAddr> = Vec::new();
        for entry in fields.list(status.get("podIPs"), format_args!("status.podIPs")) {
            addresses.extend(fields.address(entry.get("ip"), format_args!("status.podIPs")));
        }
        if addresses.is_empty() && status.get("podIP").text().is_some_and(|t| !t.is_empty()) {
            addresses.extend(fields.address(status.get("podIP"), format_args!("status.podIP")));
        }
        let conditions = fields.list(status.get("conditions"), format_args!("status.conditions"));
        let ready = conditions.iter().find(|condition| {
            condition.get("type").text() == Some("Ready")
                && condition.get("status").text() == Some("True")
        });
        let ready_since = ready.and_then(|condition| {
            let place = format_args!("status.conditions.lastTransitionTime");
            fields.time(condition.get("lastTransitionTime"), place)
        });
        let place = format_args!("status.containerStatuses");
        let containers = fields.list(status.get("containerStatuses"), place);
        let mut restarts = 0_u32;
        for container in containers {
            let place = format_args!("status.containerStatuses.restartCount");
            let count = fields.count(container.get("restartCount"), place);
            restarts = restarts.saturating_add(count.unwrap_or(0));
        }
        Some(Self {
            meta,
            addresses: addresses.into(),
            terminal: matches!(status.get("phase").text(), Some("Succeeded" | "Failed")),
            ready_since,
            restarts,
            tag: image_tag(tree.get("spec"), fields),
        })
    }
}

/// The labels and the image tag of a pod template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// Labels its pods get.
    pub labels: Labels,
    /// The tag of the first container's image.
    pub tag: Option<Arc<str>>,
}

impl Template {
    fn read(template: &Tree, fields: &mut Fields<'_>) -> Self {
        let labels = template.at(&["metadata", "labels"]);
        Self {
            labels: fields.labels(labels, format_args!("template.metadata.labels"), |_| true),
            tag: image_tag(template.get("spec"), fields),
        }
    }
}

/// The tag of the first container's image; `None` for an image without one, such as one named by its digest alone.
fn image_tag(pod_spec: &Tree, fields: &mut Fields<'_>) -> Option<Arc<str>> {
    let containers = fields.list(pod_spec.get("containers"), format_args!("spec.containers"));
    let image = containers.first()?.get("image").text()?;
    let (name, _digest) = image.split_once('@').unwrap_or((image, ""));
    // The host before the first slash may have a port; the tag stands behind the last slash.
    let last = name.rsplit('/').next()?;
    let (_, tag) = last.split_once(':')?;
    (!tag.is_empty()).then(|| fields.part(tag))
}

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
                Self::Rolling {
                    surge: amount("maxSurge"),
                    unavailable: amount("maxUnavailable"),
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
    pub uid: Arc<str>,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// Labels of its pods.
    pub template: Template,
    /// `spec.replicas`, 1 where unset.
    pub replicas: u32,
    /// `spec.strategy`.
    pub update: Update,
    /// `spec.paused`.
    pub paused: bool,
    /// `status.observedGeneration`.
    pub observed: i64,
    /// `status.replicas`
    pub status_replicas: u32,
    /// `status.updatedReplicas`
    pub updated: u32,
    /// `status.availableReplicas`
    pub available: u32,
}

/// A ReplicaSet: one revision of a Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSet {
    /// Name, labels, controller.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Arc<str>,
    /// `creationTimestamp`.
    pub created: Option<Timestamp>,
    /// The revision number its controller gave it.
    pub number: Option<i64>,
    /// Labels of its pods.
    pub template: Template,
}

/// A StatefulSet.
#[derive(Clone, Debug, PartialEq)]
pub struct StatefulSet {
    /// Name.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Arc<str>,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// Labels of its pods.
    pub template: Template,
    /// `spec.replicas`, 1 where unset.
    pub replicas: u32,
    /// `spec.updateStrategy`.
    pub update: Update,
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
    pub uid: Arc<str>,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// Labels of its pods.
    pub template: Template,
    /// `spec.updateStrategy`.
    pub update: Update,
    /// `status.observedGeneration`
    pub observed: i64,
    /// `status.desiredNumberScheduled`
    pub desired: u32,
    /// `status.updatedNumberScheduled`
    pub updated: u32,
    /// `status.numberAvailable`
    pub available: u32,
}

/// A ControllerRevision: one revision of a StatefulSet or DaemonSet.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerRevision {
    /// Name, labels, controller.
    pub meta: Meta,
    /// `creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `revision`: higher is newer.
    pub number: Option<i64>,
    /// The template in its `data`.
    pub template: Template,
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

impl Deployment {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let spec = tree.get("spec");
        Some(Self {
            meta: Meta::read(tree, Kind::Deployment, fields, |_| false)?,
            uid: meta::uid(tree, fields),
            generation: meta::generation(tree, fields),
            template: Template::read(spec.get("template"), fields),
            replicas: replicas(tree, fields),
            update: Update::read(spec.get("strategy"), fields),
            paused: fields
                .boolean(spec.get("paused"), format_args!("spec.paused"))
                .unwrap_or(false),
            observed: observed(tree, fields),
            status_replicas: status(tree, "replicas", fields),
            updated: status(tree, "updatedReplicas", fields),
            available: status(tree, "availableReplicas", fields),
        })
    }

    /// Pods that may be missing: `maxSurge` rounds up, `maxUnavailable` down, and both cannot be 0.
    pub(super) fn max_unavailable(&self) -> u32 {
        let Update::Rolling { surge, unavailable } = self.update else {
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

    pub(super) fn is_complete(&self) -> bool {
        self.observed >= self.generation
            && self.updated == self.replicas
            && self.status_replicas == self.replicas
            && self.available == self.replicas
    }
}

impl ReplicaSet {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            meta: Meta::read(tree, Kind::ReplicaSet, fields, |_| true)?,
            uid: meta::uid(tree, fields),
            created: meta::created(tree, fields),
            number: revision_number(tree, fields),
            template: Template::read(tree.at(&["spec", "template"]), fields),
        })
    }

    /// The hash of its template: a label, else its name.
    pub(super) fn hash(&self) -> &Arc<str> {
        hash_label(&self.meta.labels).unwrap_or(&self.meta.name)
    }
}

/// The revision number in the annotations of a ReplicaSet; the first of the keys counts.
fn revision_number(tree: &Tree, fields: &mut Fields<'_>) -> Option<i64> {
    let keys = [
        "deployment.kubernetes.io/revision",
        "rollout.argoproj.io/revision",
    ];
    let annotations = meta::annotations(tree, fields, |key| keys.contains(&key));
    let found = keys.iter().find_map(|key| annotations.get(key));
    found.and_then(|text| text.parse().ok())
}

/// The label that holds a pod's revision, in the order of who knows better.
pub(super) fn hash_label(labels: &Labels) -> Option<&Arc<str>> {
    [
        "rollouts-pod-template-hash",
        "pod-template-hash",
        "controller-revision-hash",
    ]
    .iter()
    .find_map(|key| labels.get(key).filter(|value| !value.is_empty()))
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
            observed: observed(tree, fields),
            status_replicas: status(tree, "replicas", fields),
            ready: status(tree, "readyReplicas", fields),
            updated: status(tree, "updatedReplicas", fields),
            current_revision,
            update_revision,
        })
    }

    /// Pods that may be missing: a percentage rounds down, and at least one may.
    pub(super) fn max_unavailable(&self) -> u32 {
        let unavailable = match self.update {
            Update::Rolling { unavailable, .. } => unavailable,
            Update::Recreate | Update::OnDelete => None,
        };
        unavailable
            .unwrap_or(Amount::Count(1))
            .floor(self.replicas)
            .max(1)
    }

    /// What the status says; the equality of its revisions alone proves nothing, so the caller looks at the pods.
    pub(super) fn is_complete(&self) -> bool {
        self.observed >= self.generation
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
            observed: observed(tree, fields),
            desired: status(tree, "desiredNumberScheduled", fields),
            updated: status(tree, "updatedNumberScheduled", fields),
            available: status(tree, "numberAvailable", fields),
        })
    }

    /// Pods that may be missing: both percentages round up, and both cannot be 0.
    pub(super) fn max_unavailable(&self) -> u32 {
        let (surge, unavailable) = match self.update {
            Update::Rolling { surge, unavailable } => (surge, unavailable),
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

    pub(super) fn is_complete(&self) -> bool {
        self.observed >= self.generation
            && self.updated >= self.desired
            && self.available >= self.desired
    }
}

impl ControllerRevision {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let template = tree.at(&["data", "spec", "template"]);
        Some(Self {
            meta: Meta::read(tree, Kind::ControllerRevision, fields, |_| true)?,
            created: meta::created(tree, fields),
            number: fields.number(tree.get("revision"), format_args!("revision")),
            template: Template::read(template, fields),
        })
    }

    /// The bare hash: its name without the owner's.
    pub(super) fn hash(&self) -> Arc<str> {
        let owner = self.meta.controller.as_ref().map(|owner| &*owner.name);
        bare_hash(&self.meta.name, owner.unwrap_or_default())
    }
}

/// `web-6d4b` of the owner `web` is `6d4b`; anything else stays as it is.
pub(super) fn bare_hash(name: &Arc<str>, owner: &str) -> Arc<str> {
    let rest = name
        .strip_prefix(owner)
        .and_then(|rest| rest.strip_prefix('-'));
    rest.map_or_else(|| Arc::clone(name), Arc::from)
}
