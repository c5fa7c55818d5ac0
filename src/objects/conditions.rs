//! Conditions that controllers write into the status of Deployments and ReplicaSets.

use std::sync::Arc;

use jiff::Timestamp;

use super::fields::Fields;
use super::tree::Tree;

/// Why pods cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stall {
    /// `ImagePullBackOff`, `FailedCreate`.
    pub reason: Arc<str>,
    /// Since when, if that is known.
    pub since: Option<Timestamp>,
}

impl Stall {
    /// Of several the one that lasts longest speaks for all; the reason only decides between equals.
    pub(super) fn longest<'s>(one: Option<&'s Self>, other: Option<&'s Self>) -> Option<&'s Self> {
        let rank = |stall: &&Self| {
            (
                stall.since.is_none(),
                stall.since,
                Arc::clone(&stall.reason),
            )
        };
        one.into_iter().chain(other).min_by_key(rank)
    }

    /// The condition `ReplicaFailure`: the ReplicaSet's own, or as a Deployment repeats it.
    ///
    /// Pods that cannot be deleted (`FailedDelete`) keep none from starting.
    pub(super) fn read(conditions: &[Tree], fields: &mut Fields<'_>) -> Option<Self> {
        let condition = find(conditions, "ReplicaFailure")?;
        if condition.get("status").text() != Some("True") {
            return None;
        }
        let place = format_args!("status.conditions.reason");
        let reason = fields.text(condition.get("reason"), place);
        let reason = reason.unwrap_or("ReplicaFailure");
        if reason == "FailedDelete" {
            return None;
        }
        let place = format_args!("status.conditions.lastTransitionTime");
        Some(Self {
            reason: fields.part(reason),
            since: fields.time(condition.get("lastTransitionTime"), place),
        })
    }
}

/// What the condition `Progressing` of a Deployment tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The ReplicaSet that was given up.
    pub(super) deadline_exceeded: Option<Arc<str>>,
    /// Since when the Deployment is paused.
    pub(super) paused_since: Option<Timestamp>,
}

impl Progress {
    pub(super) fn read(conditions: &[Tree], fields: &mut Fields<'_>) -> Self {
        let mut progress = Self::default();
        let Some(condition) = find(conditions, "Progressing") else {
            return progress;
        };
        let reason = condition.get("reason");
        let reason = fields.text(reason, format_args!("status.conditions.reason"));
        match (condition.get("status").text(), reason) {
            (Some("False"), Some("ProgressDeadlineExceeded")) => {
                let place = format_args!("status.conditions.message");
                let message = fields.text(condition.get("message"), place);
                let name = message.and_then(timed_out);
                progress.deadline_exceeded = name.map(|name| fields.part(name));
            }
            (_, Some("DeploymentPaused")) => {
                let place = format_args!("status.conditions.lastUpdateTime");
                progress.paused_since = fields.time(condition.get("lastUpdateTime"), place);
            }
            _ => {}
        }
        progress
    }
}

/// The ReplicaSet that a message names. The condition outlives the roll-out that it is about, so a message that
/// names no ReplicaSet is about none.
fn timed_out(message: &str) -> Option<&str> {
    let name = message.strip_prefix("ReplicaSet \"")?;
    name.strip_suffix("\" has timed out progressing.")
}

/// The conditions of an object.
pub(super) fn list<'t>(tree: &'t Tree, fields: &mut Fields<'_>) -> &'t [Tree] {
    let conditions = tree.at(&["status", "conditions"]);
    fields.list(conditions, format_args!("status.conditions"))
}

/// The condition of a type.
pub(super) fn find<'t>(conditions: &'t [Tree], kind: &str) -> Option<&'t Tree> {
    let mut conditions = conditions.iter();
    conditions.find(|condition| condition.get("type").text() == Some(kind))
}
