//! Slim ServiceRollouts: a policy as a resource of its own, and what a server remembers in its status.
//!
//! The resource has the name of its Service. What its `spec` says is read into the words of the annotations, so that
//! there is one language of policies and one place that judges it.

use std::sync::Arc;

use super::fields::Fields;
use super::labels::Labels;
use super::meta::{self, Meta};
use super::object::Kind;
use super::tree::Tree;

/// A ServiceRollout.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRollout {
    /// Name and namespace: those of the Service.
    pub meta: Meta,
    /// Empty where a manifest has none.
    pub uid: Arc<str>,
    /// `metadata.resourceVersion`, by which who writes a status says which one was read; empty in a manifest.
    pub version: Arc<str>,
    /// What `spec` says, as annotations without their prefix would say it; sorted by key.
    pub written: Labels,
    /// `status.memory`, as it was written.
    pub memory: Option<Arc<str>>,
}

impl ServiceRollout {
    pub(super) fn read(tree: &Tree, fields: &mut Fields<'_>) -> Option<Self> {
        let meta = Meta::read(tree, Kind::ServiceRollout, fields, |_| false)?;
        let place = format_args!("metadata.resourceVersion");
        let version = fields.uid(tree.at(&["metadata", "resourceVersion"]), place);
        let memory = fields.text(
            tree.at(&["status", "memory"]),
            format_args!("status.memory"),
        );
        let memory = memory.map(Arc::from);
        Some(Self {
            uid: meta::uid(tree, fields),
            version,
            written: Labels::default(),
            memory,
            meta,
        })
    }
}
