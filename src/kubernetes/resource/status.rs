//! What a server tells of a service, and what it keeps for itself: the `status`.
//!
//! Every field may be absent; lists are in the order in which the server tells versions and tracks elsewhere, so that
//! equal reports are equal texts. The schema bounds nothing here but what a reader relies on: a newer server may say
//! more.

#![allow(
    unreachable_pub,
    reason = "the derived schema repeats structs inside of functions"
)]

use jiff::Timestamp;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Where the roll-outs behind a service stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRolloutStatus {
    /// The generation of the spec that this tells of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The Service, as namespace/name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Healthy, Pending, Progressing, Paused, Draining, RollingBack, Aborted, Degraded or Unavailable: that of the
    /// track that needs a look first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Why it stands where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub since: Option<Timestamp>,
    /// The version it comes from: its alias, or its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// The version it goes to: its alias, or its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What the target has of the answers, such as 25%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// The same in basis points, 0 to 10000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_basis_points: Option<u32>,
    /// How long an answer is kept, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The revisions behind the service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub revisions: Vec<RevisionStatus>,
    /// The workloads behind the service, each with where it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub tracks: Vec<TrackStatus>,
    /// What servers remember of the roll-outs, for themselves: its form is theirs and changes between versions. Without it
    /// everything works, but a pause loses its elapsed time and a revision that failed may be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Conditions as elsewhere in Kubernetes, one a type. `Accepted`: the spec is in force; where it is False, the last
    /// good one is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// A revision behind a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RevisionStatus {
    /// Its hash; of a backend the Service's name.
    pub revision: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind, namespace and name of its workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// The revision number of its workload; higher is newer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// stable or canary, active or preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it has of the answers, such as 25%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// Why it has that, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it failed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Targets that are ready.
    pub ready: u32,
    /// Targets that have been ready long enough to count.
    pub soaked: u32,
    /// Targets in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<u32>,
}

/// A service and a workload that rolls behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrackStatus {
    /// Kind, namespace and name; absent: the backends of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload: Option<String>,
    /// As `state` of the whole.
    pub state: String,
    /// What kind of change it is, such as update or rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Since when it is in that state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub since: Option<Timestamp>,
    /// The hash of the revision it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// The hash of the revision it goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What the target has of the track's portion, such as 25%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// The step it is at, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u8>,
    /// How many steps there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u8>,
    /// What it waits for or failed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A condition, as elsewhere in Kubernetes (`metav1.Condition`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, in CamelCase.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 316))]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// The generation of the spec that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last became another.
    #[schemars(schema_with = "moment")]
    pub last_transition_time: Timestamp,
    /// Why, in a word in CamelCase.
    #[schemars(
        regex(pattern = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
        length(min = 1, max = 1024)
    )]
    pub reason: String,
    /// For a person.
    #[schemars(length(max = 32768))]
    pub message: String,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(
    missing_docs,
    reason = "they are words of Kubernetes, and the schema has no place for it"
)]
pub enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// A moment as RFC 3339 has it.
fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}
