//! Objects: what the cluster is.
//!
//! Given Kubernetes objects as [`Change`]s, one by one or as whole lists, the [`Index`] keeps what is used of them
//! and joins it into a [`ServiceView`](crate::model::ServiceView) for each service: its addresses, what stands
//! behind it, and the revision every endpoint runs. It says which services really changed. It does no I/O, reads no
//! clock, and knows nothing of DNS messages; what makes no sense in an object is left out and told as a
//! [`Problem`](crate::model::Problem).
//!
//! ```text
//! text -> Tree -> Document -> Object -> Change -> Index -> Dirty, and a view for each dirty service
//! ```

// Reading objects.
mod conditions;
mod few;
mod fields;
mod labels;
mod meta;
mod network;
mod object;
mod pods;
mod resource;
mod revisions;
mod strings;
mod templates;
mod tree;
mod workloads;

// Keeping and joining them.
mod asked;
mod backends;
mod fold;
mod index;
mod join;
mod kin;
mod links;
mod marks;
mod refilter;
mod settings;

// Keeping them for the next process.
pub mod stored;

#[cfg(test)]
mod tests;

pub use conditions::Stall;
pub use few::Few;
pub use index::{Dirty, Index};
pub use join::Joined;
pub use labels::{LabelSelector, Labels, SelectorError};
pub use meta::{Common, Controller, Meta};
pub use network::{
    AddressType, EndpointSlice, Namespace, Node, Place, Service, ServiceTarget, SliceEndpoint,
};
pub use object::{Change, Document, ItemType, Kind, Object, Reader};
pub use pods::{Ailment, Pod};
pub use resource::{Accepted, ServiceRollout, Told};
pub use revisions::{ControllerRevision, ReplicaSet};
pub use settings::Settings;
pub use templates::{Content, Template};
pub use tree::Tree;
pub use workloads::{DaemonSet, Deployment, StatefulSet, Update};
