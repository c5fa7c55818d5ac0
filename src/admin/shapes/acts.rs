//! The shapes of what happened to a service, and of what somebody asks of it.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

use crate::engine::Acted;
use crate::model::ServiceKey;
use crate::rollout;

/// `/api/v1/services/{namespace}/{name}/history`
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct History {
    namespace: Arc<str>,
    name: Arc<str>,
    /// The oldest first.
    transitions: Vec<Transition>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Transition {
    #[schemars(with = "super::Time")]
    at: Timestamp,
    /// `null`: the backends of the service.
    workload: Option<String>,
    /// `null`: the track was new.
    from: Option<&'static str>,
    to: &'static str,
    target: Arc<str>,
    kind: &'static str,
    /// How a roll-out ended by it, if one did, and how long that had taken.
    result: Option<&'static str>,
    seconds: Option<i64>,
    cause: Option<&'static str>,
}

/// The body of a request for an action; it may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(in crate::admin) struct Ask {
    /// Of a promotion: the whole share at once.
    pub(in crate::admin) full: bool,
    /// Where several workloads roll: which one.
    pub(in crate::admin) workload: Option<String>,
}

impl Ask {
    /// Its schema: what is written by others may leave everything out.
    pub(in crate::admin) fn schema() -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "full": {"type": "boolean", "description": "of a promotion: the whole share at once"},
                "workload": {"type": ["string", "null"], "description": "where several roll: which one"},
            },
        })
    }
}

/// What was done.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Done {
    namespace: Arc<str>,
    name: Arc<str>,
    /// `null`: the backends of the service.
    workload: Option<String>,
    /// The hash of the revision that it was done for.
    target: Arc<str>,
    done: String,
}

impl History {
    pub(in crate::admin) fn of(key: ServiceKey, transitions: &[rollout::Transition]) -> Self {
        Self {
            namespace: key.namespace,
            name: key.name,
            transitions: transitions.iter().map(Transition::from).collect(),
        }
    }
}

impl From<&rollout::Transition> for Transition {
    fn from(transition: &rollout::Transition) -> Self {
        let result = transition.result;
        let at = transition.at.as_second();
        Self {
            at: transition.at,
            workload: transition.workload.as_ref().map(ToString::to_string),
            from: transition.from.map(rollout::State::as_str),
            to: transition.to.as_str(),
            target: Arc::clone(&transition.target),
            kind: transition.kind.as_str(),
            result: result.map(|(result, _)| result.as_str()),
            seconds: result.map(|(_, started)| (at - started.as_second()).max(0)),
            cause: transition.cause.map(rollout::Cause::as_str),
        }
    }
}

impl Done {
    pub(in crate::admin) fn of(key: ServiceKey, acted: Acted) -> Self {
        Self {
            namespace: key.namespace,
            name: key.name,
            workload: acted.workload.map(|workload| workload.to_string()),
            target: acted.target,
            done: acted.done,
        }
    }
}
