//! The shapes of the API's JSON: what scripts may rely on, apart from the domain's types, which may change.
//!
//! Keys are camelCase as in Kubernetes' objects. What is not known is `null`; a key is never left out. Shares are given
//! twice: exact, in basis points, and as the text people read.

mod acts;
mod detail;
mod sources;

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;

use crate::engine::{Summary, VersionSummary};
use crate::{model, rollout};

pub(super) use acts::{Ask, Done, History, Planned};
pub(super) use detail::Service;
pub(super) use sources::SourceList;

/// How a moment is written: RFC 3339, in UTC.
enum Time {}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Of every request that is not answered.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Error {
    pub(super) error: String,
}

/// `/api/v1/services`
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceList {
    pub(super) generation: u64,
    pub(super) synced: bool,
    pub(super) services: Vec<ListedService>,
}

/// A service in the list.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedService {
    #[serde(flatten)]
    head: Head,
    /// Of endpoint records, in seconds.
    ttl: u32,
    /// Where its roll-out leads, or it is at; of several workloads, that of the first that is not at rest.
    target: Option<VersionName>,
    versions: Vec<ListedVersion>,
}

/// What list and detail have in common.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Head {
    namespace: Arc<str>,
    name: Arc<str>,
    kind: &'static str,
    state: &'static str,
    #[schemars(with = "Time")]
    since: Timestamp,
    strategy: &'static str,
    ready: usize,
    total: usize,
    generation: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ListedVersion {
    alias: Arc<str>,
    hash: Arc<str>,
    share: Share,
    ready: u32,
    role: Option<&'static str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Share {
    basis_points: u16,
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VersionName {
    alias: Arc<str>,
    hash: Arc<str>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Origin {
    file: Arc<str>,
    line: u32,
}

/// `/api/v1/problems`
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemList {
    pub(super) problems: Vec<Problem>,
}

/// Something that could not be obeyed.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    origin: Option<Origin>,
    subject: String,
    text: String,
    /// All of it in a line.
    message: String,
}

impl From<&Summary> for Head {
    fn from(summary: &Summary) -> Self {
        let (ready, total) = summary.ready;
        Self {
            namespace: Arc::clone(&summary.key.namespace),
            name: Arc::clone(&summary.key.name),
            kind: summary.kind,
            state: summary.state.as_str(),
            since: summary.since,
            strategy: summary.strategy,
            ready,
            total,
            generation: summary.generation,
        }
    }
}

impl From<&Summary> for ListedService {
    fn from(summary: &Summary) -> Self {
        Self {
            head: summary.into(),
            ttl: summary.ttl,
            target: target(summary),
            versions: summary.versions.iter().map(ListedVersion::from).collect(),
        }
    }
}

fn target(summary: &Summary) -> Option<VersionName> {
    let mut tracks = summary.tracks.iter();
    let moves = tracks.find(|track| track.state != rollout::State::Healthy);
    let track = moves.or(summary.tracks.first())?;
    let version = summary.versions.get(track.target?)?;
    Some(VersionName {
        alias: Arc::clone(&version.alias),
        hash: Arc::clone(&version.hash),
    })
}

impl From<&VersionSummary> for ListedVersion {
    fn from(version: &VersionSummary) -> Self {
        Self {
            alias: Arc::clone(&version.alias),
            hash: Arc::clone(&version.hash),
            share: version.share.into(),
            ready: version.ready,
            role: version.role.map(rollout::Role::as_str),
        }
    }
}

impl From<model::Share> for Share {
    fn from(share: model::Share) -> Self {
        Self {
            basis_points: share.basis_points(),
            text: share.to_string(),
        }
    }
}

impl From<&model::Origin> for Origin {
    fn from(origin: &model::Origin) -> Self {
        Self {
            file: Arc::clone(&origin.file),
            line: origin.line,
        }
    }
}

impl From<&model::Problem> for Problem {
    fn from(problem: &model::Problem) -> Self {
        Self {
            origin: problem.origin.as_ref().map(Origin::from),
            subject: problem.subject.clone(),
            text: problem.text.clone(),
            message: problem.to_string(),
        }
    }
}
