//! What every object has: who it is, its labels, who controls it, and what was wrong with it.

use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;

use super::fields::Fields;
use super::labels::Labels;
use super::object::Kind;
use super::templates::image_tag;
use super::tree::Tree;
use crate::model::{Origin, Problem, Uid};

/// The parts of `metadata` that are used of every kind: its own, and by dereference those it has in common. Where it
/// was read from is no part of what it is: objects are equal wherever they stand.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// The name, never empty.
    pub name: Arc<str>,
    /// What all pods of a revision, or all Services of a namespace, have in common.
    pub common: Arc<Common>,
    /// The line of the file it begins in; 0 where it was not read from a file.
    pub line: u32,
    /// `deletionTimestamp` is set.
    pub deleting: bool,
    /// The parts that were ignored because they made no sense, each a sentence without a subject.
    pub flaws: Box<[Arc<str>]>,
}

/// What the metadata of many objects has in common, kept once by those who read them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Common {
    /// Empty for kinds that have none; `default` where a namespaced object does not say.
    pub namespace: Arc<str>,
    /// The labels that someone here reads, by kind.
    pub labels: Labels,
    /// The owner whose `controller` is true.
    pub controller: Option<Controller>,
    /// The tag of the image of a pod's first container.
    pub tag: Option<Arc<str>>,
    /// The file it was read from.
    pub file: Option<Arc<str>>,
}

impl Deref for Meta {
    type Target = Common;

    fn deref(&self) -> &Common {
        &self.common
    }
}

impl PartialEq for Meta {
    fn eq(&self, other: &Self) -> bool {
        let (mine, others) = (&self.common, &other.common);
        let is_common_same = mine.namespace == others.namespace
            && mine.labels == others.labels
            && mine.controller == others.controller
            && mine.tag == others.tag;
        is_common_same
            && self.name == other.name
            && self.deleting == other.deleting
            && self.flaws == other.flaws
    }
}

/// An owner reference with `controller: true`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Controller {
    /// `None` for kinds that are not known here, such as a Job.
    pub kind: Option<Kind>,
    /// The owner's name, in the same namespace.
    pub name: Arc<str>,
    /// The owner's UID; empty where a manifest has none.
    pub uid: Uid,
}

/// The most text of annotations that is kept of one object, in octets: policies are short, and what a tenant can
/// multiply has a limit.
pub(super) const ANNOTATIONS_MAX: usize = 64 * 1024;

impl Meta {
    /// Reads `metadata`; `keep` chooses the labels. `None` without a name.
    pub(super) fn read(
        tree: &Tree,
        kind: Kind,
        fields: &mut Fields<'_>,
        keep: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let meta = tree.get("metadata");
        let place = format_args!("metadata.name");
        let name = match kind {
            // A hundred thousand names of which nobody else's is one.
            Kind::Pod | Kind::EndpointSlice => {
                Some(fields.own(meta.get("name"), place)).filter(|name| !name.is_empty())
            }
            _ => fields.named(meta.get("name"), place),
        }?;
        let namespace = fields.named(meta.get("namespace"), format_args!("metadata.namespace"));
        let namespace = match namespace {
            _ if !kind.is_namespaced() => fields.part(""),
            Some(namespace) => namespace,
            None => fields.part("default"),
        };
        let labels = fields.labels(meta.get("labels"), format_args!("metadata.labels"), keep);
        let controller = Controller::read(meta, fields);
        let tag = match kind {
            Kind::Pod => image_tag(tree.get("spec"), fields),
            _ => None,
        };
        Some(Self {
            name,
            common: fields.common(namespace, labels, controller, tag),
            line: 0,
            deleting: *meta.get("deletionTimestamp") != Tree::Null,
            flaws: Box::default(),
        })
    }

    /// Both were read from the same place.
    pub fn stands_with(&self, other: &Self) -> bool {
        self.line == other.line && self.file == other.file
    }

    /// Where the object was read from.
    pub fn origin(&self) -> Option<Origin> {
        let file = self.file.clone()?;
        let line = self.line;
        Some(Origin { file, line })
    }

    /// The flaws as Problems with `kind ns/name`.
    pub(super) fn problems(&self, kind: Kind) -> impl Iterator<Item = Problem> {
        let subject = self.subject(kind);
        self.flaws.iter().map(move |flaw| Problem {
            origin: self.origin(),
            subject: subject.clone(),
            text: flaw.to_string(),
        })
    }

    /// `pod shop/web-1`, as Problems name it.
    pub(super) fn subject(&self, kind: Kind) -> String {
        let kind = kind.as_str().to_lowercase();
        if self.namespace.is_empty() {
            format!("{kind} {}", self.name)
        } else {
            format!("{kind} {}/{}", self.namespace, self.name)
        }
    }
}

impl Controller {
    fn read(meta: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let place = format_args!("metadata.ownerReferences");
        let owners = fields.list(meta.get("ownerReferences"), place);
        let owner = owners
            .iter()
            .find(|owner| *owner.get("controller") == Tree::Bool(true))?;
        let name = fields.named(
            owner.get("name"),
            format_args!("metadata.ownerReferences.name"),
        )?;
        let version = owner.get("apiVersion").text().unwrap_or("apps/v1");
        let kind = owner.get("kind").text().unwrap_or_default();
        let place = format_args!("metadata.ownerReferences.uid");
        let uid = fields.uid(owner.get("uid"), place);
        let kind = Kind::from_type(version, kind);
        Some(Self { kind, name, uid })
    }

    /// Whether this names the object with `name` and `uid`; UIDs decide where both are known.
    pub(super) fn is(&self, name: &str, uid: &Uid) -> bool {
        *self.name == *name && (self.uid.is_empty() || uid.is_empty() || self.uid == *uid)
    }
}

/// `metadata.uid`; empty where a manifest has none.
pub(super) fn uid(tree: &Tree, fields: &mut Fields<'_>) -> Uid {
    let place = format_args!("metadata.uid");
    fields.uid(tree.at(&["metadata", "uid"]), place)
}

/// `metadata.creationTimestamp`.
pub(super) fn created(tree: &Tree, fields: &mut Fields<'_>) -> Option<Timestamp> {
    let place = format_args!("metadata.creationTimestamp");
    fields.time(tree.at(&["metadata", "creationTimestamp"]), place)
}

/// `metadata.generation`, which counts up with each change of the spec; 0 where absent.
pub(super) fn generation(tree: &Tree, fields: &mut Fields<'_>) -> i64 {
    let place = format_args!("metadata.generation");
    let generation = tree.at(&["metadata", "generation"]);
    fields.number(generation, place).unwrap_or(0)
}

/// The annotations whose keys pass `keep`.
pub(super) fn annotations(
    tree: &Tree,
    fields: &mut Fields<'_>,
    keep: impl Fn(&str) -> bool,
) -> Labels {
    let place = format_args!("metadata.annotations");
    let annotations = fields.labels(tree.at(&["metadata", "annotations"]), place, keep);
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
    if size > ANNOTATIONS_MAX {
        fields.note(format_args!(
            "`metadata.annotations` are ignored: {size} octets are more than {ANNOTATIONS_MAX}"
        ));
        return Labels::default();
    }
    annotations
}
