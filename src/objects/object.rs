//! Objects of all kinds under one roof: reading them from documents, and the changes that carry them.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error as _};

use super::flaws::Flaws;
use super::meta::Meta;
use super::network::{EndpointSlice, Namespace, Node, Service};
use super::tree::Tree;
use super::workloads::{ControllerRevision, DaemonSet, Deployment, Pod, ReplicaSet, StatefulSet};
use crate::model::{Origin, Problem};

/// The kinds of object that are read; all others are nobody's business here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `v1`
    Namespace,
    /// `v1`
    Service,
    /// `discovery.k8s.io/v1`
    EndpointSlice,
    /// `v1`
    Pod,
    /// `apps/v1`
    Deployment,
    /// `apps/v1`
    ReplicaSet,
    /// `apps/v1`
    StatefulSet,
    /// `apps/v1`
    DaemonSet,
    /// `apps/v1`
    ControllerRevision,
    /// `v1`
    Node,
}

impl Kind {
    /// Every kind, owners before what they own.
    pub const ALL: [Self; 10] = [
        Self::Namespace,
        Self::Node,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ControllerRevision,
        Self::Pod,
        Self::Service,
        Self::EndpointSlice,
    ];

    /// The word in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::ControllerRevision => "ControllerRevision",
            Self::Node => "Node",
        }
    }

    /// The API group, empty for the core.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace | Self::Service | Self::Pod | Self::Node => "",
            Self::EndpointSlice => "discovery.k8s.io",
            _ => "apps",
        }
    }

    /// The kind of an `apiVersion` and a `kind`; any version of the right group will do.
    pub fn from_type(api_version: &str, kind: &str) -> Option<Self> {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        let known = Self::ALL.into_iter().find(|known| known.as_str() == kind)?;
        (known.group() == group).then_some(known)
    }

    /// Its objects live in namespaces.
    pub fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespace | Self::Node)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One object, reduced to what is used of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// See [`Namespace`].
    Namespace(Namespace),
    /// See [`Service`].
    Service(Service),
    /// See [`EndpointSlice`].
    EndpointSlice(EndpointSlice),
    /// See [`Pod`].
    Pod(Pod),
    /// See [`Deployment`].
    Deployment(Deployment),
    /// See [`ReplicaSet`].
    ReplicaSet(ReplicaSet),
    /// See [`StatefulSet`].
    StatefulSet(StatefulSet),
    /// See [`DaemonSet`].
    DaemonSet(DaemonSet),
    /// See [`ControllerRevision`].
    ControllerRevision(ControllerRevision),
    /// See [`Node`].
    Node(Node),
}

/// Something that happened to the objects of a cluster.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all changes are of the large variant, and a box each would only add an allocation"
)]
pub enum Change {
    /// The object is there, new or changed.
    Apply(Object),
    /// The object is gone.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its namespace; empty for kinds that have none.
        namespace: Arc<str>,
        /// Its name.
        name: Arc<str>,
    },
    /// These are all the objects of a kind: what is not among them is gone.
    Reset {
        /// The kind.
        kind: Kind,
        /// All of them.
        objects: Vec<Object>,
    },
}

/// What a document turned out to be.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// An object of a known kind.
    Object(Box<Object>),
    /// A `List`, or a list of one kind such as `ServiceList`.
    List(Vec<Document>),
    /// An object of a known kind that has no name.
    Nameless(Kind),
    /// Nothing, or something of another kind.
    Other,
}

impl Document {
    /// `default` is the type of an item that does not say: `apiVersion` and kind of its list.
    fn read(tree: &Tree, default: Option<(&str, &str)>) -> Self {
        let text = |key: &str| tree.get(key).text();
        let (default_version, default_kind) = default.unwrap_or_default();
        let version = text("apiVersion").unwrap_or(default_version);
        let kind = text("kind").unwrap_or(default_kind);
        if let (Some(item_kind), Tree::List(items)) = (kind.strip_suffix("List"), tree.get("items"))
        {
            let item = (!item_kind.is_empty()).then_some((version, item_kind));
            return Self::List(items.iter().map(|tree| Self::read(tree, item)).collect());
        }
        match Kind::from_type(version, kind) {
            None => Self::Other,
            Some(kind) => Object::read(kind, tree).map_or(Self::Nameless(kind), |object| {
                Self::Object(Box::new(object))
            }),
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Tree::deserialize(deserializer)?;
        Ok(Self::read(&tree, None))
    }
}

/// Fails for what is not one object of a known kind with a name; a strange field is never a failure.
impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Document::deserialize(deserializer)? {
            Document::Object(object) => Ok(*object),
            Document::Nameless(kind) => Err(D::Error::custom(format!("a {kind} without a name"))),
            Document::List(_) | Document::Other => {
                Err(D::Error::custom("not an object of a known kind"))
            }
        }
    }
}

impl Object {
    fn read(kind: Kind, tree: &Tree) -> Option<Self> {
        let mut flaws = Flaws::default();
        let flaws_of = &mut flaws;
        let mut object = match kind {
            Kind::Namespace => Self::Namespace(Namespace::read(tree, flaws_of)?),
            Kind::Service => Self::Service(Service::read(tree, flaws_of)?),
            Kind::EndpointSlice => Self::EndpointSlice(EndpointSlice::read(tree, flaws_of)?),
            Kind::Pod => Self::Pod(Pod::read(tree, flaws_of)?),
            Kind::Deployment => Self::Deployment(Deployment::read(tree, flaws_of)?),
            Kind::ReplicaSet => Self::ReplicaSet(ReplicaSet::read(tree, flaws_of)?),
            Kind::StatefulSet => Self::StatefulSet(StatefulSet::read(tree, flaws_of)?),
            Kind::DaemonSet => Self::DaemonSet(DaemonSet::read(tree, flaws_of)?),
            Kind::ControllerRevision => {
                Self::ControllerRevision(ControllerRevision::read(tree, flaws_of)?)
            }
            Kind::Node => Self::Node(Node::read(tree, flaws_of)?),
        };
        object.meta_mut().flaws = flaws.into_notes();
        Some(object)
    }

    /// Which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Namespace(_) => Kind::Namespace,
            Self::Service(_) => Kind::Service,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::Pod(_) => Kind::Pod,
            Self::Deployment(_) => Kind::Deployment,
            Self::ReplicaSet(_) => Kind::ReplicaSet,
            Self::StatefulSet(_) => Kind::StatefulSet,
            Self::DaemonSet(_) => Kind::DaemonSet,
            Self::ControllerRevision(_) => Kind::ControllerRevision,
            Self::Node(_) => Kind::Node,
        }
    }

    /// What all objects have.
    pub fn meta(&self) -> &Meta {
        match self {
            Self::Namespace(object) => &object.meta,
            Self::Service(object) => &object.meta,
            Self::EndpointSlice(object) => &object.meta,
            Self::Pod(object) => &object.meta,
            Self::Deployment(object) => &object.meta,
            Self::ReplicaSet(object) => &object.meta,
            Self::StatefulSet(object) => &object.meta,
            Self::DaemonSet(object) => &object.meta,
            Self::ControllerRevision(object) => &object.meta,
            Self::Node(object) => &object.meta,
        }
    }

    pub(super) fn meta_mut(&mut self) -> &mut Meta {
        match self {
            Self::Namespace(object) => &mut object.meta,
            Self::Service(object) => &mut object.meta,
            Self::EndpointSlice(object) => &mut object.meta,
            Self::Pod(object) => &mut object.meta,
            Self::Deployment(object) => &mut object.meta,
            Self::ReplicaSet(object) => &mut object.meta,
            Self::StatefulSet(object) => &mut object.meta,
            Self::DaemonSet(object) => &mut object.meta,
            Self::ControllerRevision(object) => &mut object.meta,
            Self::Node(object) => &mut object.meta,
        }
    }

    /// Its namespace; empty for kinds that have none.
    pub fn namespace(&self) -> &Arc<str> {
        &self.meta().namespace
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.meta().name
    }

    /// Says where it was read from.
    pub fn set_origin(&mut self, origin: Origin) {
        self.meta_mut().origin = Some(origin);
    }

    /// Where it was read from.
    pub fn origin(&self) -> Option<&Origin> {
        self.meta().origin.as_ref()
    }

    /// What was ignored while reading it.
    pub fn problems(&self) -> Vec<Problem> {
        self.meta().problems(self.kind()).collect()
    }
}
