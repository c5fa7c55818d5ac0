//! The shapes of what happened to a service, and of what somebody asks of it.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

use crate::engine::{self, Acted};
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

/// `GET /api/v1/services/{namespace}/{name}/{action}`: what would be done, and where it is to be written for that.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Planned {
    #[serde(flatten)]
    done: Done,
    /// Of the Service.
    uid: Arc<str>,
    /// `Service`: in its annotations; `ServiceRollout`: in the `spec` of the one of its name; `null`: this server keeps it,
    /// when it is asked with POST.
    place: Option<&'static str>,
    edits: Vec<Edit>,
    /// The same as what a person runs.
    command: Option<String>,
}

/// An entry for the revision.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Edit {
    /// `promote`, `pause`, `abort` or `retry`.
    intent: &'static str,
    /// What stands behind the revision's hash: a step or `full`, the number of a retry.
    to: Option<String>,
    /// Whether it is to stand there, or to be taken away.
    stands: bool,
}

impl Planned {
    pub(in crate::admin) fn of(key: ServiceKey, plan: engine::Plan) -> Self {
        let edits = plan.edits.into_iter().map(|edit| Edit {
            intent: edit.word,
            to: edit.to,
            stands: edit.stands,
        });
        Self {
            done: Done::of(key, plan.acted),
            uid: plan.uid.text().into(),
            place: plan.place.map(engine::Place::as_str),
            edits: edits.collect(),
            command: plan.command,
        }
    }
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
