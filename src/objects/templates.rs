//! Pod templates: the labels they give, the images they run, and a digest that tells them apart.
//!
//! `kubectl rollout restart` makes a new revision that differs in nothing but a mark, and controllers add the label of
//! their hash; the digest leaves both out, so that equal digests are the same code with the same settings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fields::Fields;
use super::labels::Labels;
use super::tree::Tree;

/// The labels and the image tag of a pod template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// Labels its pods get.
    pub labels: Labels,
    /// The tag of the first container's image.
    pub tag: Option<Arc<str>>,
}

impl Template {
    pub(super) fn read(template: &Tree, fields: &mut Fields<'_>) -> Self {
        let labels = template.at(&["metadata", "labels"]);
        Self {
            labels: fields.labels(labels, format_args!("template.metadata.labels"), |_| true),
            tag: image_tag(template.get("spec"), fields),
        }
    }
}

/// What tells the template of a revision from those of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Equal for templates that say the same.
    pub digest: u64,
    /// The images of its containers, in their order, a space between them.
    pub images: Option<Arc<str>>,
}

impl Content {
    /// `None` where there is no template, as in an object that is watched by its metadata alone.
    pub(super) fn read(template: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let entries = fields.map(template, format_args!("template"))?;
        let mut digest = Digest::new();
        digest.map(entries, Place::Template);
        let mut images = Vec::new();
        // That they are a list is seen to where the tag is read.
        if let Tree::List(containers) = template.at(&["spec", "containers"]) {
            for container in containers {
                let place = format_args!("template.spec.containers.image");
                images.extend(fields.text(container.get("image"), place));
            }
        }
        Some(Self {
            digest: digest.0,
            images: (!images.is_empty()).then(|| fields.part(&images.join(" "))),
        })
    }
}

/// The tag of the first container's image; `None` for an image without one, such as one named by its digest alone.
pub(super) fn image_tag(pod_spec: &Tree, fields: &mut Fields<'_>) -> Option<Arc<str>> {
    let containers = fields.list(pod_spec.get("containers"), format_args!("spec.containers"));
    let image = containers.first()?.get("image").text()?;
    let (name, _digest) = image.split_once('@').unwrap_or((image, ""));
    // The host before the first slash may have a port; the tag stands behind the last slash.
    let last = name.rsplit('/').next()?;
    let (_, tag) = last.split_once(':')?;
    (!tag.is_empty()).then(|| fields.part(tag))
}

/// Where in a template a map stands, as far as that matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Template,
    Metadata,
    Annotations,
    Labels,
    Elsewhere,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Template, "metadata") => Self::Metadata,
            (Self::Metadata, "annotations") => Self::Annotations,
            (Self::Metadata, "labels") => Self::Labels,
            _ => Self::Elsewhere,
        }
    }

    /// What is no part of what the template says.
    fn leaves_out(self, key: &str) -> bool {
        match self {
            Self::Annotations => key == "kubectl.kubernetes.io/restartedAt",
            Self::Labels => HASH_LABELS.contains(&key),
            Self::Template | Self::Metadata | Self::Elsewhere => false,
        }
    }

    /// A map is as good as none: the first restart of a template without annotations brings the map along. Elsewhere
    /// an empty map may mean something, such as a selector of everything.
    fn may_be_empty(self) -> bool {
        self != Self::Elsewhere
    }
}

/// Labels by which controllers find the pods of a revision, in the order of who knows better.
pub(super) const HASH_LABELS: [&str; 3] = [
    "rollouts-pod-template-hash",
    "pod-template-hash",
    "controller-revision-hash",
];

/// FNV-1a over a tree: without a key, so that it is the same in every process, today and after a restart. Whoever can
/// write templates can make two of one digest; they would only be taken for one.
struct Digest(u64);

impl Digest {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    /// What follows is of this sort and so long, so that neighbours do not run into each other.
    fn begin(&mut self, sort: u8, len: usize) {
        self.bytes(&[sort]);
        self.bytes(&u64::try_from(len).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.begin(b't', text.len());
        self.bytes(text.as_bytes());
    }

    fn tree(&mut self, tree: &Tree, place: Place) {
        match tree {
            Tree::Null => self.bytes(b"n"),
            Tree::Bool(value) => self.bytes(&[b'b', u8::from(*value)]),
            Tree::Int(value) => {
                self.bytes(b"i");
                self.bytes(&value.to_be_bytes());
            }
            Tree::Float(value) => {
                self.bytes(b"f");
                self.bytes(&value.to_bits().to_be_bytes());
            }
            Tree::Text(text) => self.text(text),
            Tree::List(list) => {
                self.begin(b'l', list.len());
                list.iter()
                    .for_each(|value| self.tree(value, Place::Elsewhere));
            }
            Tree::Map(entries) => self.map(entries, place),
        }
    }

    fn map(&mut self, entries: &[(Box<str>, Tree)], place: Place) {
        let entries = said(entries, place);
        self.begin(b'm', entries.len());
        for (key, value) in entries {
            self.text(key);
            self.tree(value, place.below(key));
        }
    }
}

/// The entries that count, by their keys.
fn said(entries: &[(Box<str>, Tree)], place: Place) -> BTreeMap<&str, &Tree> {
    let entries = entries.iter().map(|(key, value)| (&**key, value));
    let mut last: BTreeMap<&str, &Tree> = entries.collect();
    last.retain(|key, value| match value {
        _ if place.leaves_out(key) => false,
        Tree::Null => false,
        Tree::Map(inner) if place.below(key).may_be_empty() => {
            !said(inner, place.below(key)).is_empty()
        }
        _ => true,
    });
    last
}
