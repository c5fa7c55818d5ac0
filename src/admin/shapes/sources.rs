//! `/api/v1/sources`: where what is served comes from, and how that fares.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::kubernetes::{KindReport, LastError, Status};

/// `/api/v1/sources`
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct SourceList {
    synced: bool,
    /// Seconds since the source was lost; 0 while it is not.
    data_age_seconds: u64,
    /// `null` where no cluster is followed.
    kubernetes: Option<Kubernetes>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Kubernetes {
    /// By how much the API server's clock is ahead of ours.
    clock_offset_seconds: Option<f64>,
    kinds: Vec<Kind>,
}

/// A kind, by how its watch fares.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: &'static str,
    state: &'static str,
    synced: bool,
    /// Since the API server was last heard in its matter; `null`: never.
    age_seconds: Option<f64>,
    objects: u64,
    watch_restarts: u64,
    lists: u64,
    lists_held: u64,
    events: u64,
    failures: u64,
    decode_failures: u64,
    outdated_events: u64,
    last_error: Option<Failure>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Failure {
    #[schemars(with = "super::Time")]
    at: Timestamp,
    text: Arc<str>,
}

impl SourceList {
    pub(in crate::admin) fn of(synced: bool, age: u64, watches: Option<&Status>) -> Self {
        Self {
            synced,
            data_age_seconds: age,
            kubernetes: watches.map(|watches| Kubernetes {
                clock_offset_seconds: watches.clock_offset_secs(),
                kinds: watches.report().into_iter().map(Kind::from).collect(),
            }),
        }
    }
}

impl From<KindReport> for Kind {
    fn from(report: KindReport) -> Self {
        let millis = |age: std::time::Duration| age.as_millis() as f64 / 1000.0;
        Self {
            kind: report.kind.as_str(),
            state: report.following.as_str(),
            synced: report.synced,
            age_seconds: report.age.map(millis),
            objects: report.objects,
            watch_restarts: report.restarts,
            lists: report.lists,
            lists_held: report.lists_held,
            events: report.events,
            failures: report.failures,
            decode_failures: report.undecodable,
            outdated_events: report.outdated,
            last_error: report.last_error.map(|LastError { at, text }| Failure {
                at,
                text: text.into(),
            }),
        }
    }
}
