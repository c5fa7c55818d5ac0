//! Holding the last good answer: when the selector of a Service changes, its slices are empty for a moment before the
//! new endpoints arrive, and a name that does not exist for a moment is remembered for as long as its negative answer
//! lives.
//!
//! So what is published stays for [`HOLD_SECS`] after a service lost all its endpoints, as long as every pod that was
//! answered is still Ready: then it is the slices that changed, and not the pods.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{ServiceKind, ServiceView};
use crate::objects::Index;
use crate::rollout::{Basis, Outcome};

/// A controller that is not behind writes the new endpoints within a second; five are those of the usual time to live,
/// after which a client has asked again anyway.
const HOLD_SECS: i64 = 5;

/// What a service answered last.
#[derive(Clone, Debug, Default)]
pub(super) struct Answered {
    /// What kind of names it had; `None` while it has answered nothing.
    kind: Option<ServiceKind>,
    /// The pods behind the answers; empty where not every address was a pod's.
    pods: Box<[Arc<str>]>,
    /// Until when what is published stays.
    held: Option<Timestamp>,
}

impl Answered {
    /// What is published of a service from here on.
    pub(super) fn of(view: &ServiceView, outcome: &Outcome) -> Self {
        if outcome.basis == Basis::Nothing {
            return Self::default();
        }
        let endpoints = view.endpoints.iter().zip(&outcome.endpoint_versions);
        let mut pods: Vec<Option<Arc<str>>> = endpoints
            .filter(|(endpoint, _)| outcome.counts(endpoint))
            .filter(|(_, version)| {
                let share = outcome.versions.get(**version).map(|v| v.share);
                !outcome.weighted || share.is_some_and(|s| s.basis_points() > 0)
            })
            .map(|(endpoint, _)| endpoint.pod.clone())
            .collect();
        pods.sort();
        pods.dedup();
        let pods: Option<Vec<_>> = pods.into_iter().collect();
        Self {
            kind: Some(view.kind.clone()),
            pods: pods.unwrap_or_default().into(),
            held: None,
        }
    }

    /// Until when what is published stays, if the service answers nothing by what is known at `now`.
    pub(super) fn hold(
        &mut self,
        view: &ServiceView,
        outcome: &Outcome,
        index: &Index,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let latest = now
            .checked_add(SignedDuration::from_secs(HOLD_SECS))
            .unwrap_or(now);
        // A clock that was set back does not make it longer.
        let until = self.held.unwrap_or(latest).min(latest);
        let is_held = outcome.basis == Basis::Nothing
            && self.kind.as_ref() == Some(&view.kind)
            && self.are_ready(&view.key.namespace, index)
            && until > now;
        self.held = is_held.then_some(until);
        self.held
    }

    /// Whether every pod that was answered is Ready, and there was one.
    pub(super) fn are_ready(&self, namespace: &str, index: &Index) -> bool {
        let mut pods = self.pods.iter();
        !self.pods.is_empty() && pods.all(|pod| index.is_pod_ready(namespace, pod))
    }

    /// Until when what is published stays.
    pub(super) fn held(&self) -> Option<Timestamp> {
        self.held
    }
}
