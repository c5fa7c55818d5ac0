//! Objects of all kinds under one roof: reading them from documents, and the changes that carry them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::{Deserialize, Deserializer, Error as _};

use super::fields::Fields;
use super::meta::Meta;
use super::network::{EndpointSlice, Namespace, Node, Service};
use super::pods::Pod;
use super::resource::ServiceRollout;
use super::revisions::{ControllerRevision, ReplicaSet};
use super::strings::Strings;
use super::tree::Tree;
use super::workloads::{DaemonSet, Deployment, StatefulSet};
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
    /// `shiftdns.io/v1alpha1`
    ServiceRollout,
}

impl Kind {
    /// Every kind, owners before what they own.
    pub const ALL: [Self; 11] = [
        Self::Namespace,
        Self::Node,
        Self::Deployment,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::ReplicaSet,
        Self::ControllerRevision,
        Self::Pod,
        Self::ServiceRollout,
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
            Self::ServiceRollout => "ServiceRollout",
        }
    }

    /// The API group, empty for the core.
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace | Self::Service | Self::Pod | Self::Node => "",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::ServiceRollout => "shiftdns.io",
            _ => "apps",
        }
    }

    /// The version of its API that is watched.
    pub fn version(self) -> &'static str {
        match self {
            Self::ServiceRollout => "v1alpha1",
            _ => "v1",
        }
    }

    /// Its objects in the paths of the API, in the plural.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Namespace => "namespaces",
            Self::Service => "services",
            Self::EndpointSlice => "endpointslices",
            Self::Pod => "pods",
            Self::Deployment => "deployments",
            Self::ReplicaSet => "replicasets",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::ControllerRevision => "controllerrevisions",
            Self::Node => "nodes",
            Self::ServiceRollout => "servicerollouts",
        }
    }

    /// A cluster may be without it: nobody installed the resource, or nobody may read it.
    pub fn is_optional(self) -> bool {
        self == Self::ServiceRollout
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

/// One object, reduced to what is used of it; clones share it.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// See [`Namespace`].
    Namespace(Arc<Namespace>),
    /// See [`Service`].
    Service(Arc<Service>),
    /// See [`EndpointSlice`].
    EndpointSlice(Arc<EndpointSlice>),
    /// See [`Pod`].
    Pod(Arc<Pod>),
    /// See [`Deployment`].
    Deployment(Arc<Deployment>),
    /// See [`ReplicaSet`].
    ReplicaSet(Arc<ReplicaSet>),
    /// See [`StatefulSet`].
    StatefulSet(Arc<StatefulSet>),
    /// See [`DaemonSet`].
    DaemonSet(Arc<DaemonSet>),
    /// See [`ControllerRevision`].
    ControllerRevision(Arc<ControllerRevision>),
    /// See [`Node`].
    Node(Arc<Node>),
    /// See [`ServiceRollout`].
    ServiceRollout(Arc<ServiceRollout>),
}

/// Something that happened to the objects of a cluster.
#[derive(Clone, Debug, PartialEq)]
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
    Object(Object),
    /// A `List`, or a list of one kind such as `ServiceList`.
    List(Vec<Document>),
    /// An object of a known kind that has no name.
    Nameless(Kind),
    /// An object of a known kind whose namespace cannot be read, with what stands there. It belongs somewhere, and
    /// anywhere else it would be a stranger.
    Homeless(Kind, Box<str>),
    /// An object that does not say what it is; the list that it is an item of may.
    Untyped,
    /// As [`Document::Untyped`], but it has what only an object or a list has, or is a mere text: as a rule the
    /// beginning of a document whose rest is still being written.
    Incomplete,
    /// Nothing, or something of another kind.
    Other,
}

/// What the items of a list are that do not say so themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemType {
    api_version: Box<str>,
    kind: Box<str>,
}

impl ItemType {
    /// What a document says of its items; `None` where it is no list. Of the list of no kind in particular they are
    /// nothing in particular.
    pub fn of(list: &Tree) -> Option<Self> {
        let text = |key: &str| list.get(key).text().unwrap_or_default().into();
        let (api_version, kind): (Box<str>, Box<str>) = (text("apiVersion"), text("kind"));
        let (Some(item), Tree::List(_)) = (kind.strip_suffix("List"), list.get("items")) else {
            return None;
        };
        Some(match item {
            "" => Self::default(),
            item => Self {
                kind: item.into(),
                api_version,
            },
        })
    }
}

/// Makes objects of documents. What many of them have in common it keeps once, so objects that live together are
/// best read by the same reader, or by readers that share.
#[derive(Debug, Default)]
pub struct Reader {
    /// Behind a lock because readers on several threads may share it; it is taken once an object.
    strings: Arc<Mutex<Strings>>,
    file: Option<Arc<str>>,
}

impl Reader {
    /// A reader that keeps once what its objects and those of this one have in common.
    #[must_use]
    pub fn sharing(&self) -> Self {
        Self {
            strings: Arc::clone(&self.strings),
            file: None,
        }
    }

    /// What is read from here on stands in `file`.
    pub fn open(&mut self, file: Arc<str>) {
        self.file = Some(file);
    }

    /// What the document is.
    pub fn read(&mut self, tree: &Tree) -> Document {
        self.read_item(tree, &ItemType::default())
    }

    /// What an item of a list is.
    pub fn read_item(&mut self, tree: &Tree, default: &ItemType) -> Document {
        if let (Some(items), Tree::List(list)) = (ItemType::of(tree), tree.get("items")) {
            let items = list.iter().map(|item| self.read_item(item, &items));
            return Document::List(items.collect());
        }
        let (said_version, said_kind) = (tree.get("apiVersion").text(), tree.get("kind").text());
        let version = said_version.unwrap_or(&default.api_version);
        let kind = said_kind.unwrap_or(&default.kind);
        match Kind::from_type(version, kind) {
            Some(kind) => {
                let mut strings = self.strings.lock().unwrap_or_else(PoisonError::into_inner);
                let fields = Fields::new(&mut strings, self.file.clone());
                match (tree.at(&["metadata", "namespace"]), kind.is_namespaced()) {
                    (Tree::Null | Tree::Text(_), _) | (_, false) => {
                        let object = Object::read(kind, tree, fields);
                        object.map_or(Document::Nameless(kind), Document::Object)
                    }
                    (strange, true) => Document::Homeless(kind, strange.to_string().into()),
                }
            }
            None if kind.is_empty() && is_beginning(tree) => Document::Incomplete,
            None if said_version.is_none() || said_kind.is_none() => Document::Untyped,
            None => Document::Other,
        }
    }
}

/// Of a document that has no `kind`: it was to have one.
fn is_beginning(tree: &Tree) -> bool {
    match tree {
        Tree::Map(entries) => {
            let mut keys = entries.iter().map(|(key, _)| &**key);
            keys.any(|key| key == "apiVersion" || key == "items")
        }
        _ => matches!(tree, Tree::Text(_)),
    }
}

/// Reads a document alone; [`Reader`] is for many of them.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Tree::deserialize(deserializer)?;
        Ok(Reader::default().read(&tree))
    }
}

/// Fails for what is not one object of a known kind with a name; a strange field is never a failure.
impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Document::deserialize(deserializer)? {
            Document::Object(object) => Ok(object),
            Document::Nameless(kind) => Err(D::Error::custom(format!("a {kind} without a name"))),
            Document::Homeless(kind, found) => Err(D::Error::custom(format!(
                "a {kind} in the namespace `{found}`, which is not a text"
            ))),
            Document::List(_) | Document::Untyped | Document::Incomplete | Document::Other => {
                Err(D::Error::custom("not an object of a known kind"))
            }
        }
    }
}

impl Object {
    fn read(kind: Kind, tree: &Tree, mut fields: Fields<'_>) -> Option<Self> {
        let f = &mut fields;
        let mut object = match kind {
            Kind::Namespace => Self::Namespace(Namespace::read(tree, f)?.into()),
            Kind::Node => Self::Node(Node::read(tree, f)?.into()),
            Kind::Service => Self::Service(Service::read(tree, f)?.into()),
            Kind::EndpointSlice => Self::EndpointSlice(EndpointSlice::read(tree, f)?.into()),
            Kind::Pod => Self::Pod(Pod::read(tree, f)?.into()),
            Kind::Deployment => Self::Deployment(Deployment::read(tree, f)?.into()),
            Kind::ReplicaSet => Self::ReplicaSet(ReplicaSet::read(tree, f)?.into()),
            Kind::StatefulSet => Self::StatefulSet(StatefulSet::read(tree, f)?.into()),
            Kind::DaemonSet => Self::DaemonSet(DaemonSet::read(tree, f)?.into()),
            Kind::ControllerRevision => {
                Self::ControllerRevision(ControllerRevision::read(tree, f)?.into())
            }
            Kind::ServiceRollout => Self::ServiceRollout(ServiceRollout::read(tree, f)?.into()),
        };
        object.meta_mut().flaws = fields.into_flaws();
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
            Self::ServiceRollout(_) => Kind::ServiceRollout,
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
            Self::ServiceRollout(object) => &object.meta,
        }
    }

    /// Its own, whoever else has a clone.
    fn meta_mut(&mut self) -> &mut Meta {
        match self {
            Self::Namespace(object) => &mut Arc::make_mut(object).meta,
            Self::Node(object) => &mut Arc::make_mut(object).meta,
            Self::ServiceRollout(object) => &mut Arc::make_mut(object).meta,
            Self::Service(object) => &mut Arc::make_mut(object).meta,
            Self::EndpointSlice(object) => &mut Arc::make_mut(object).meta,
            Self::Pod(object) => &mut Arc::make_mut(object).meta,
            Self::Deployment(object) => &mut Arc::make_mut(object).meta,
            Self::ReplicaSet(object) => &mut Arc::make_mut(object).meta,
            Self::StatefulSet(object) => &mut Arc::make_mut(object).meta,
            Self::DaemonSet(object) => &mut Arc::make_mut(object).meta,
            Self::ControllerRevision(object) => &mut Arc::make_mut(object).meta,
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

    /// Says in which line of its file it begins.
    pub fn set_line(&mut self, line: u32) {
        self.meta_mut().line = line;
    }

    /// Where it was read from.
    pub fn origin(&self) -> Option<Origin> {
        self.meta().origin()
    }

    /// What was ignored while reading it.
    pub fn problems(&self) -> Vec<Problem> {
        self.meta().problems(self.kind()).collect()
    }
}
