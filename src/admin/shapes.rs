//! The shapes of the API's JSON: what scripts may rely on, apart from the domain's types, which may change.
//!
//! Keys are camelCase as in Kubernetes' objects. What is not known is `null`; a key is never left out. Shares are given
//! twice: exact, in basis points, and as the text people read.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::engine::{Detail, Summary, VersionSummary};
use crate::model::{self, ServiceKind, ServiceView};
use crate::rollout::{self, Basis, Outcome};

/// Of every request that is not answered.
#[derive(Debug, Serialize)]
pub(super) struct Error {
    pub(super) error: String,
}

/// `/api/v1/services`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceList {
    pub(super) generation: u64,
    pub(super) synced: bool,
    pub(super) services: Vec<ListedService>,
}

/// A service in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListedService {
    #[serde(flatten)]
    head: Head,
    versions: Vec<ListedVersion>,
}

/// What list and detail have in common.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    namespace: Arc<str>,
    name: Arc<str>,
    kind: &'static str,
    state: &'static str,
    since: Timestamp,
    strategy: &'static str,
    ready: usize,
    total: usize,
    generation: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedVersion {
    alias: Arc<str>,
    hash: Arc<str>,
    share: Share,
    ready: u32,
    role: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Share {
    basis_points: u16,
    text: String,
}

/// `/api/v1/services/{namespace}/{name}`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Service {
    #[serde(flatten)]
    head: Head,
    uid: Arc<str>,
    created: Option<Timestamp>,
    origin: Option<Origin>,
    cluster_ips: Vec<IpAddr>,
    external_name: Option<Arc<str>>,
    ports: Vec<Port>,
    annotations: BTreeMap<Arc<str>, Arc<str>>,
    policy: Policy,
    /// `ready`, `terminating` (the last resort) or `nothing`: which endpoints are answered.
    basis: &'static str,
    publish_not_ready: bool,
    weighted: bool,
    rolling: bool,
    versions: Vec<Version>,
    tracks: Vec<Track>,
    endpoints: Vec<Endpoint>,
    problems: Vec<Problem>,
    explain: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Origin {
    file: Arc<str>,
    line: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: Option<Arc<str>>,
    protocol: &'static str,
    port: u16,
    target_port: Option<u16>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    answer: &'static str,
    records: u8,
    clamp: bool,
    headroom_percent: u32,
    endpoints: bool,
    ttl: Ttl,
}

/// Seconds; `null`: the server's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ttl {
    endpoints: u32,
    rollout: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    alias: Arc<str>,
    hash: Arc<str>,
    label: Arc<str>,
    workload: Option<String>,
    revision: Option<i64>,
    created: Option<Timestamp>,
    pods: Option<u32>,
    ready: u32,
    soaked: u32,
    share: Share,
    policy: Option<Share>,
    capacity: Option<Share>,
    reason: &'static str,
    role: Option<&'static str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Track {
    workload: String,
    replicas: u32,
    max_unavailable: u32,
    paused: bool,
    complete: bool,
    state: &'static str,
    change: &'static str,
    target: Option<VersionName>,
    stable: Option<VersionName>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct VersionName {
    alias: Arc<str>,
    hash: Arc<str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    address: IpAddr,
    version: Option<VersionName>,
    /// It may be in an answer; how often is its version's share.
    answered: bool,
    ready: bool,
    serving: bool,
    terminating: bool,
    pod: Option<Arc<str>>,
    hostname: Option<Arc<str>>,
    zone: Option<Arc<str>>,
    node: Option<Arc<str>>,
    ready_since: Option<Timestamp>,
    restarts: u32,
}

/// `/api/v1/problems`
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProblemList {
    pub(super) problems: Vec<Problem>,
}

/// Something that could not be obeyed.
#[derive(Debug, Serialize)]
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
            versions: summary.versions.iter().map(ListedVersion::from).collect(),
        }
    }
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

impl From<&Detail> for Service {
    fn from(detail: &Detail) -> Self {
        let Detail {
            summary,
            view,
            outcome,
            problems,
            ..
        } = detail;
        let (cluster_ips, external_name) = match &view.kind {
            ServiceKind::ClusterIp { addresses } => (addresses.clone(), None),
            ServiceKind::Headless => (Vec::new(), None),
            ServiceKind::ExternalName { target } => (Vec::new(), Some(Arc::clone(target))),
        };
        let versions = outcome.versions.iter();
        let tracks = outcome.tracks.iter();
        Self {
            head: (&**summary).into(),
            uid: Arc::clone(&view.uid),
            created: view.created,
            origin: view.origin.as_ref().map(Origin::from),
            cluster_ips,
            external_name,
            ports: view.ports.iter().map(Port::from).collect(),
            annotations: view.annotations.iter().cloned().collect(),
            policy: (&outcome.policy).into(),
            basis: match outcome.basis {
                Basis::Ready => "ready",
                Basis::Terminating => "terminating",
                Basis::Nothing => "nothing",
            },
            publish_not_ready: outcome.publish_not_ready,
            weighted: outcome.weighted,
            rolling: outcome.rolling,
            versions: versions.map(|version| Version::of(version, view)).collect(),
            tracks: tracks
                .filter_map(|track| Track::of(track, view, outcome))
                .collect(),
            endpoints: endpoints(view, outcome),
            problems: problems.iter().map(Problem::from).collect(),
            explain: rollout::explain(view, outcome),
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

impl From<&model::Port> for Port {
    fn from(port: &model::Port) -> Self {
        Self {
            name: port.name.clone(),
            protocol: match port.protocol {
                model::Protocol::Tcp => "TCP",
                model::Protocol::Udp => "UDP",
                model::Protocol::Sctp => "SCTP",
            },
            port: port.number,
            target_port: port.target,
        }
    }
}

impl From<&model::Policy> for Policy {
    fn from(policy: &model::Policy) -> Self {
        Self {
            answer: policy.answer.as_str(),
            records: policy.records,
            clamp: policy.clamp,
            headroom_percent: policy.headroom_percent,
            endpoints: policy.endpoints,
            ttl: Ttl {
                endpoints: policy.ttl.endpoints,
                rollout: policy.ttl.rollout,
            },
        }
    }
}

impl Version {
    fn of(version: &rollout::Version, view: &ServiceView) -> Self {
        let revision = version.revision.and_then(|index| view.revisions.get(index));
        let workload = revision.and_then(|revision| view.workloads.get(revision.workload?));
        Self {
            alias: Arc::clone(&version.alias),
            hash: Arc::clone(&version.hash),
            label: Arc::clone(&version.label),
            workload: workload.map(|workload| workload.key.to_string()),
            revision: revision.and_then(|revision| revision.number),
            created: revision.and_then(|revision| revision.created),
            pods: revision.map(|revision| revision.pods),
            ready: version.ready,
            soaked: version.soaked,
            share: version.share.into(),
            policy: version.policy.map(Share::from),
            capacity: version.capacity.map(Share::from),
            reason: version.reason.as_str(),
            role: version.role.map(rollout::Role::as_str),
        }
    }
}

impl Track {
    fn of(track: &rollout::Track, view: &ServiceView, outcome: &Outcome) -> Option<Self> {
        let workload = track.workload_in(view)?;
        let name = |index: Option<usize>| Some(outcome.versions.get(index?)?.into());
        Some(Self {
            workload: workload.key.to_string(),
            replicas: workload.replicas,
            max_unavailable: workload.max_unavailable,
            paused: workload.paused,
            complete: workload.complete,
            state: track.state.as_str(),
            change: track.kind.as_str(),
            target: name(track.target),
            stable: name(track.stable),
        })
    }
}

impl From<&rollout::Version> for VersionName {
    fn from(version: &rollout::Version) -> Self {
        Self {
            alias: Arc::clone(&version.alias),
            hash: Arc::clone(&version.hash),
        }
    }
}

fn endpoints(view: &ServiceView, outcome: &Outcome) -> Vec<Endpoint> {
    let endpoints = view.endpoints.iter().zip(&outcome.endpoint_versions);
    let shape = |(endpoint, version): (&model::Endpoint, &usize)| Endpoint {
        address: endpoint.address,
        version: outcome.versions.get(*version).map(VersionName::from),
        answered: outcome.counts(endpoint),
        ready: endpoint.ready,
        serving: endpoint.serving,
        terminating: endpoint.terminating,
        pod: endpoint.pod.clone(),
        hostname: endpoint.hostname.clone(),
        zone: endpoint.zone.clone(),
        node: endpoint.node.clone(),
        ready_since: endpoint.ready_since,
        restarts: endpoint.restarts,
    };
    endpoints.map(shape).collect()
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
