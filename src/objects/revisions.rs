//! Slim ReplicaSets and ControllerRevisions: the revisions of a workload, each with its hash and its number.

use std::sync::Arc;

use jiff::Timestamp;

use super::conditions::{self, Stall};
use super::fields::Fields;
use super::labels::Labels;
use super::meta::{self, Meta};
use super::object::Kind;
use super::templates::{Content, HASH_LABELS, Template};
use super::tree::Tree;
use crate::model::Uid;

/// A ReplicaSet: one revision of a Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaSet {
    /// Name, labels, controller.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Uid,
    /// `creationTimestamp`.
    pub created: Option<Timestamp>,
    /// The revision number its controller gave it.
    pub number: Option<i64>,
    /// It had another number before.
    pub reused: bool,
    /// Labels of its pods.
    pub template: Template,
    /// What its template says, where it has one.
    pub content: Option<Content>,
    /// Why no pod of it can be created.
    pub stalled: Option<Box<Stall>>,
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
    /// What that says, where there is one.
    pub content: Option<Content>,
}

/// What either tells of a revision.
#[derive(Clone, Copy)]
pub(super) struct Portrait<'i> {
    pub(super) number: Option<i64>,
    pub(super) created: Option<Timestamp>,
    pub(super) reused: bool,
    pub(super) labels: &'i Labels,
    pub(super) template: &'i Template,
    pub(super) content: Option<&'i Content>,
}

/// The revision number, under the keys of those who give one; the first counts.
const NUMBERS: [&str; 2] = [
    "deployment.kubernetes.io/revision",
    "rollout.argoproj.io/revision",
];

/// The numbers it had before, of which a way back adds one.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";

impl ReplicaSet {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let template = tree.at(&["spec", "template"]);
        let meta = Meta::read(tree, Kind::ReplicaSet, fields, |_| true)?;
        let is_read = |key: &str| key == HISTORY || NUMBERS.contains(&key);
        let annotations = meta::annotations(tree, fields, is_read);
        let number = NUMBERS.iter().find_map(|key| annotations.get(key));
        let conditions = conditions::list(tree, fields);
        Some(Self {
            meta,
            uid: meta::uid(tree, fields),
            created: meta::created(tree, fields),
            number: number.and_then(|text| text.parse().ok()),
            reused: annotations.get(HISTORY).is_some_and(|h| !h.is_empty()),
            template: Template::read(template, fields),
            content: Content::read(template, fields),
            stalled: Stall::read(conditions, fields).map(Box::new),
        })
    }

    /// The hash of its template: a label, else its name.
    pub(super) fn hash(&self) -> &Arc<str> {
        hash_label(&self.meta.labels).unwrap_or(&self.meta.name)
    }

    pub(super) fn portrait(&self) -> Portrait<'_> {
        Portrait {
            number: self.number,
            created: self.created,
            reused: self.reused,
            labels: &self.meta.labels,
            template: &self.template,
            content: self.content.as_ref(),
        }
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
            content: Content::read(template, fields),
        })
    }

    /// The bare hash: its name without the owner's.
    pub(super) fn hash(&self) -> Arc<str> {
        let owner = self.meta.controller.as_ref().map(|owner| &*owner.name);
        bare_hash(&self.meta.name, owner.unwrap_or_default())
    }

    pub(super) fn portrait(&self) -> Portrait<'_> {
        Portrait {
            number: self.number,
            created: self.created,
            reused: false,
            labels: &self.meta.labels,
            template: &self.template,
            content: self.content.as_ref(),
        }
    }
}

/// The label that holds a pod's revision.
pub(super) fn hash_label(labels: &Labels) -> Option<&Arc<str>> {
    let mut found = HASH_LABELS.iter().filter_map(|key| labels.get(key));
    found.find(|value| !value.is_empty())
}

/// `web-6d4b` of the owner `web` is `6d4b`; anything else stays as it is.
pub(super) fn bare_hash(name: &Arc<str>, owner: &str) -> Arc<str> {
    let rest = name
        .strip_prefix(owner)
        .and_then(|rest| rest.strip_prefix('-'));
    rest.map_or_else(|| Arc::clone(name), Arc::from)
}
