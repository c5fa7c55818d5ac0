//! What a server tells over its API, as far as it is shown. What else it tells is passed over, so that a client and a
//! server of two releases understand each other.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct List {
    pub(super) synced: bool,
    pub(super) services: Vec<Listed>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) since: Timestamp,
    pub(super) strategy: String,
    pub(super) ready: usize,
    pub(super) total: usize,
    pub(super) ttl: u32,
    pub(super) target: Option<VersionName>,
    pub(super) versions: Vec<ListedVersion>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListedVersion {
    pub(super) alias: String,
    pub(super) hash: String,
    pub(super) share: Share,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Share {
    pub(super) basis_points: u16,
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) since: Timestamp,
    pub(super) strategy: String,
    pub(super) ready: usize,
    pub(super) total: usize,
    pub(super) ttl: u32,
    pub(super) cut_over: Option<Timestamp>,
    pub(super) held: Option<Timestamp>,
    pub(super) versions: Vec<Version>,
    pub(super) tracks: Vec<Track>,
    pub(super) drains: Vec<Drain>,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) problems: Vec<Problem>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) alias: String,
    pub(super) hash: String,
    pub(super) workload: Option<String>,
    pub(super) revision: Option<i64>,
    pub(super) pods: Option<u32>,
    pub(super) ready: u32,
    pub(super) soaked: u32,
    pub(super) share: Share,
    pub(super) policy: Option<Share>,
    pub(super) capacity: Option<Share>,
    pub(super) answered: Option<Answered>,
    pub(super) role: Option<String>,
    pub(super) reason: String,
    pub(super) failed: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Answered {
    pub(super) share: Share,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Track {
    pub(super) workload: Option<String>,
    pub(super) state: String,
    pub(super) since: Timestamp,
    pub(super) kind: String,
    pub(super) target: Option<VersionName>,
    pub(super) stable: Option<VersionName>,
    pub(super) wanted: Option<Share>,
    pub(super) step: Option<Step>,
    pub(super) next_move: Option<Timestamp>,
    pub(super) note: Option<String>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
pub(super) struct VersionName {
    pub(super) alias: String,
    pub(super) hash: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Step {
    pub(super) current: u8,
    pub(super) count: u8,
}

#[derive(Debug, Deserialize)]
pub(super) struct Endpoint {
    pub(super) address: IpAddr,
    pub(super) version: Option<VersionName>,
    pub(super) answered: bool,
    pub(super) ready: bool,
    pub(super) terminating: bool,
    pub(super) soaked: bool,
    pub(super) pod: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) restarts: u32,
}

#[derive(Debug, Deserialize)]
pub(super) struct Drain {
    pub(super) address: IpAddr,
    pub(super) alias: String,
    pub(super) deadline: Timestamp,
}

#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) text: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct History {
    pub(super) transitions: Vec<Transition>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Transition {
    pub(super) at: Timestamp,
    pub(super) workload: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) target: String,
    pub(super) kind: String,
    pub(super) result: Option<String>,
    pub(super) seconds: Option<i64>,
    pub(super) cause: Option<String>,
}

/// What would be done, and where that is to be written.
#[derive(Debug, Deserialize)]
pub(super) struct Planned {
    #[serde(flatten)]
    pub(super) done: Done,
    pub(super) uid: String,
    pub(super) place: Option<String>,
    pub(super) edits: Vec<Edit>,
    pub(super) command: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Edit {
    pub(super) intent: String,
    pub(super) to: Option<String>,
    pub(super) stands: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Done {
    pub(super) workload: Option<String>,
    pub(super) target: String,
    pub(super) done: String,
}
