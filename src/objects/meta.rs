//! What every object has: who it is, its labels, who controls it, and what was wrong with it.

use std::sync::Arc;

use jiff::Timestamp;

use super::flaws::Flaws;
use super::labels::Labels;
use super::object::Kind;
use super::tree::Tree;
use crate::model::{Origin, Problem};

/// The parts of `metadata` that are used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// Empty for kinds that have none; `default` where a namespaced object does not say.
    pub namespace: Arc<str>,
    /// The name, never empty.
    pub name: Arc<str>,
    /// Empty where a manifest has none.
    pub uid: Arc<str>,
    /// All labels.
    pub labels: Labels,
    /// The annotations that someone here reads, by kind.
    pub annotations: Labels,
    /// `creationTimestamp`.
    pub created: Option<Timestamp>,
    /// Counted up with each change of the spec; 0 where absent.
    pub generation: i64,
    /// `deletionTimestamp` is set.
    pub deleting: bool,
    /// The owner whose `controller` is true.
    pub controller: Option<Controller>,
    /// Where the object was read from.
    pub origin: Option<Origin>,
    /// The parts that were ignored because they made no sense, each a sentence without a subject.
    pub flaws: Box<[Arc<str>]>,
}

/// An owner reference with `controller: true`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// `None` for kinds that are not known here, such as a Job.
    pub kind: Option<Kind>,
    /// The owner's name, in the same namespace.
    pub name: Arc<str>,
    /// The owner's UID; empty where a manifest has none.
    pub uid: Arc<str>,
}

/// The most text of annotations that is kept of one object, in octets: policies are short, and what a tenant can
/// multiply has a limit.
const ANNOTATIONS_MAX: usize = 64 * 1024;

impl Meta {
    /// Reads `metadata`; `keep` chooses the annotations. `None` without a name.
    pub(super) fn read(
        tree: &Tree,
        kind: Kind,
        flaws: &mut Flaws,
        keep: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let meta = tree.get("metadata");
        let name = flaws.named(meta.get("name"), format_args!("metadata.name"))?;
        let namespace = flaws.named(meta.get("namespace"), format_args!("metadata.namespace"));
        let place = format_args!("metadata.annotations");
        let mut annotations = flaws.labels(meta.get("annotations"), place, keep);
        let size: usize = annotations.iter().map(|(k, v)| k.len() + v.len()).sum();
        if size > ANNOTATIONS_MAX {
            flaws.note(format_args!(
                "`metadata.annotations` are ignored: {size} octets are more than {ANNOTATIONS_MAX}"
            ));
            annotations = Labels::default();
        }
        Some(Self {
            namespace: match namespace {
                _ if !kind.is_namespaced() => "".into(),
                Some(namespace) => namespace,
                None => "default".into(),
            },
            name,
            uid: flaws.shared(meta.get("uid"), format_args!("metadata.uid")),
            labels: flaws.labels(meta.get("labels"), format_args!("metadata.labels"), |_| {
                true
            }),
            annotations,
            created: flaws.time(
                meta.get("creationTimestamp"),
                format_args!("metadata.creationTimestamp"),
            ),
            generation: flaws
                .number(meta.get("generation"), format_args!("metadata.generation"))
                .unwrap_or(0),
            deleting: *meta.get("deletionTimestamp") != Tree::Null,
            controller: Controller::read(meta, flaws),
            origin: None,
            flaws: Box::default(),
        })
    }

    /// The flaws as Problems with `kind ns/name`.
    pub(super) fn problems(&self, kind: Kind) -> impl Iterator<Item = Problem> {
        let subject = self.subject(kind);
        self.flaws.iter().map(move |flaw| Problem {
            origin: self.origin.clone(),
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
    fn read(meta: &Tree, flaws: &mut Flaws) -> Option<Self> {
        let place = format_args!("metadata.ownerReferences");
        let owners = flaws.list(meta.get("ownerReferences"), place);
        let owner = owners
            .iter()
            .find(|owner| *owner.get("controller") == Tree::Bool(true))?;
        let name = flaws.named(
            owner.get("name"),
            format_args!("metadata.ownerReferences.name"),
        )?;
        let version = owner.get("apiVersion").text().unwrap_or("apps/v1");
        let kind = owner.get("kind").text().unwrap_or_default();
        Some(Self {
            kind: Kind::from_type(version, kind),
            name,
            uid: flaws.shared(
                owner.get("uid"),
                format_args!("metadata.ownerReferences.uid"),
            ),
        })
    }

    /// Whether this names the object with `meta`; UIDs decide where both are known.
    pub(super) fn is(&self, meta: &Meta) -> bool {
        self.name == meta.name
            && (self.uid.is_empty() || meta.uid.is_empty() || self.uid == meta.uid)
    }
}
