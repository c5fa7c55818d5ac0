//! Which fields of which messages are read, and what they are called in JSON.
//!
//! The numbers are those of Kubernetes' `generated.proto` files, which never change within a version of an API. A field
//! that is not here is skipped; to read another field of an object, it has to be named here too. Kinds with pod templates
//! are missing on purpose: a template counts with all that it says, including what later releases will add to it.

use crate::objects::Kind;

/// A field of a message.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u32,
    /// Its name in JSON.
    pub(super) key: &'static str,
    pub(super) form: Form,
}

/// What stands in a field.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A text; an empty one is written for none at all.
    Text,
    Texts,
    Bool,
    Int,
    /// Seconds since the epoch, in a message of their own; an empty one is no time.
    Time,
    /// An `IntOrString`.
    IntOrText,
    /// Texts by texts.
    Words,
    One(Message),
    Many(Message),
}

/// What is read of a message.
pub(super) type Message = &'static [Field];

const fn field(number: u32, key: &'static str, form: Form) -> Field {
    Field { number, key, form }
}

/// The message of a kind; `None` for kinds that are read as JSON.
pub(super) fn of(kind: Kind) -> Option<Message> {
    match kind {
        Kind::Namespace | Kind::Node => Some(NAMED),
        Kind::Service => Some(SERVICE),
        Kind::EndpointSlice => Some(ENDPOINT_SLICE),
        Kind::Pod => Some(POD),
        Kind::Deployment
        | Kind::ReplicaSet
        | Kind::StatefulSet
        | Kind::DaemonSet
        | Kind::ControllerRevision
        | Kind::ServiceRollout => None,
    }
}

use Form::{Bool, Int, IntOrText, Many, One, Text, Texts, Time, Words};

/// `meta/v1` `Status`.
pub(super) const STATUS: Message = &[
    field(2, "status", Text),
    field(3, "message", Text),
    field(4, "reason", Text),
    field(6, "code", Int),
];

/// `meta/v1` `ListMeta`.
pub(super) const LIST_META: Message = &[
    field(2, "resourceVersion", Text),
    field(3, "continue", Text),
];

/// `runtime` `TypeMeta`.
pub(super) const TYPE_META: Message = &[field(1, "apiVersion", Text), field(2, "kind", Text)];

/// `meta/v1` `ObjectMeta`, without the annotations.
const META: [Field; 9] = [
    field(1, "name", Text),
    field(3, "namespace", Text),
    field(5, "uid", Text),
    field(6, "resourceVersion", Text),
    field(7, "generation", Int),
    field(8, "creationTimestamp", Time),
    field(9, "deletionTimestamp", Time),
    field(11, "labels", Words),
    field(13, "ownerReferences", Many(OWNER)),
];

/// The same of a Service, whose annotations are its policy, and of an EndpointSlice, which has one that tells since when.
const ANNOTATED_META: [Field; 10] = {
    let mut fields = [field(12, "annotations", Words); 10];
    let mut place = 0;
    while place < META.len() {
        fields[place] = META[place];
        place += 1;
    }
    fields
};

const OWNER: Message = &[
    field(1, "kind", Text),
    field(3, "name", Text),
    field(4, "uid", Text),
    field(5, "apiVersion", Text),
    field(6, "controller", Bool),
];

/// Objects of which nothing but the metadata is read.
pub(super) const NAMED: Message = &[field(1, "metadata", One(&META))];

/// `core/v1` `Service`.
const SERVICE: Message = &[
    field(1, "metadata", One(&ANNOTATED_META)),
    field(
        2,
        "spec",
        One(&[
            field(1, "ports", Many(SERVICE_PORT)),
            field(2, "selector", Words),
            field(3, "clusterIP", Text),
            field(4, "type", Text),
            field(10, "externalName", Text),
            field(13, "publishNotReadyAddresses", Bool),
            field(18, "clusterIPs", Texts),
        ]),
    ),
];

const SERVICE_PORT: Message = &[
    field(1, "name", Text),
    field(2, "protocol", Text),
    field(3, "port", Int),
    field(4, "targetPort", IntOrText),
];

/// `discovery/v1` `EndpointSlice`.
const ENDPOINT_SLICE: Message = &[
    field(1, "metadata", One(&ANNOTATED_META)),
    field(2, "endpoints", Many(ENDPOINT)),
    field(
        3,
        "ports",
        Many(&[
            field(1, "name", Text),
            field(2, "protocol", Text),
            field(3, "port", Int),
        ]),
    ),
    field(4, "addressType", Text),
];

const ENDPOINT: Message = &[
    field(1, "addresses", Texts),
    field(
        2,
        "conditions",
        One(&[
            field(1, "ready", Bool),
            field(2, "serving", Bool),
            field(3, "terminating", Bool),
        ]),
    ),
    field(3, "hostname", Text),
    field(
        4,
        "targetRef",
        One(&[
            field(1, "kind", Text),
            field(2, "namespace", Text),
            field(3, "name", Text),
            field(4, "uid", Text),
        ]),
    ),
    field(6, "nodeName", Text),
    field(7, "zone", Text),
];

/// `core/v1` `Pod`.
const POD: Message = &[
    field(1, "metadata", One(&META)),
    field(
        2,
        "spec",
        One(&[field(2, "containers", Many(&[field(2, "image", Text)]))]),
    ),
    field(
        3,
        "status",
        One(&[
            field(1, "phase", Text),
            field(
                2,
                "conditions",
                Many(&[
                    field(1, "type", Text),
                    field(2, "status", Text),
                    field(4, "lastTransitionTime", Time),
                ]),
            ),
            field(6, "podIP", Text),
            field(8, "containerStatuses", Many(CONTAINER_STATUS)),
            field(10, "initContainerStatuses", Many(CONTAINER_STATUS)),
            field(12, "podIPs", Many(&[field(1, "ip", Text)])),
        ]),
    ),
];

const CONTAINER_STATUS: Message = &[
    field(2, "state", One(CONTAINER_STATE)),
    field(3, "lastState", One(CONTAINER_STATE)),
    field(5, "restartCount", Int),
];

const CONTAINER_STATE: Message = &[
    field(1, "waiting", One(&[field(1, "reason", Text)])),
    field(2, "running", One(&[field(1, "startedAt", Time)])),
    field(
        3,
        "terminated",
        One(&[
            field(1, "exitCode", Int),
            field(3, "reason", Text),
            field(6, "finishedAt", Time),
        ]),
    ),
];
