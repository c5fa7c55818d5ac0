//! Slim ServiceRollouts: a policy as a resource of its own, and what a server remembers in its status.
//!
//! The resource has the name of its Service. What its `spec` says is read into the words of the annotations, so that
//! there is one language of policies and one place that judges it.

use std::sync::Arc;

use jiff::Timestamp;

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
    /// What `status` says.
    pub told: Told,
    /// `status.memory`, as it was written.
    pub memory: Option<Arc<str>>,
}

/// What the status of a ServiceRollout says of where its service stands; empty where nothing was written yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// `state`
    pub state: Arc<str>,
    /// `reason`
    pub reason: Arc<str>,
    /// `stable`
    pub stable: Arc<str>,
    /// `target`
    pub target: Arc<str>,
    /// `shareBasisPoints`
    pub share: Option<u32>,
    /// `ttl`
    pub ttl: Option<u32>,
    /// The condition `Accepted`, and since when it is as it is.
    pub accepted: Option<(bool, Option<Timestamp>)>,
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
            told: Told::read(tree.get("status"), fields),
            memory,
            meta,
        })
    }
}

impl Told {
    fn read(status: &Tree, fields: &mut Fields<'_>) -> Self {
        let mut text = |key: &str| fields.shared(status.get(key), format_args!("status.{key}"));
        let (state, reason) = (text("state"), text("reason"));
        let (stable, target) = (text("stable"), text("target"));
        let place = format_args!("status.shareBasisPoints");
        let share = fields.count(status.get("shareBasisPoints"), place);
        let ttl = fields.count(status.get("ttl"), format_args!("status.ttl"));
        let place = format_args!("status.conditions");
        let conditions = fields.list(status.get("conditions"), place);
        let mut conditions = conditions.iter();
        let accepted = conditions.find(|c| c.get("type").text() == Some("Accepted"));
        let accepted = accepted.map(|condition| {
            let place = format_args!("status.conditions.lastTransitionTime");
            let since = fields.time(condition.get("lastTransitionTime"), place);
            (condition.get("status").text() == Some("True"), since)
        });
        Self {
            state,
            reason,
            stable,
            target,
            share,
            ttl,
            accepted,
        }
    }
}
