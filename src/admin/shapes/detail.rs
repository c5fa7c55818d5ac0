//! The shape of one service: all that is known of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{Head, Origin, Problem, Share, VersionName};
use crate::admin::answered::Lately;
use crate::engine::{self, Detail};
use crate::model::{self, Promotion, ServiceKind, ServiceView};
use crate::rollout::{self, Basis, Outcome};

/// `/api/v1/services/{namespace}/{name}`
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::admin) struct Service {
    #[serde(flatten)]
    head: Head,
    uid: Arc<str>,
    #[schemars(with = "Option<super::Time>")]
    created: Option<Timestamp>,
    origin: Option<Origin>,
    cluster_ips: Vec<IpAddr>,
    external_name: Option<Arc<str>>,
    /// The addresses of the external name that are answered with it; `null`: it is not looked up.
    external_addresses: Option<Vec<IpAddr>>,
    ports: Vec<Port>,
    annotations: BTreeMap<Arc<str>, Arc<str>>,
    policy: Policy,
    /// `ready`, `terminating` (the last resort) or `nothing`: which endpoints are answered.
    basis: &'static str,
    publish_not_ready: bool,
    weighted: bool,
    rolling: bool,
    /// Of endpoint records, in seconds.
    ttl: u32,
    /// When a great part of the share moves by itself; answers are forgotten by then.
    #[schemars(with = "Option<super::Time>")]
    cut_over: Option<Timestamp>,
    /// Its endpoints are gone while their pods are well: what is published stays until then.
    #[schemars(with = "Option<super::Time>")]
    held: Option<Timestamp>,
    versions: Vec<Version>,
    tracks: Vec<Track>,
    /// Addresses that left the answer and may still be known to caches, until their deadline.
    drains: Vec<Drain>,
    endpoints: Vec<Endpoint>,
    problems: Vec<Problem>,
    explain: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Port {
    name: Option<Arc<str>>,
    protocol: &'static str,
    port: u16,
    target_port: Option<u16>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Policy {
    answer: &'static str,
    records: u8,
    clamp: bool,
    headroom_percent: u32,
    endpoints: bool,
    ttl: Ttl,
    soak_seconds: u32,
    slow_start_seconds: u32,
    /// Someone asked for a strategy, or for what happens on failure; without that no failure leaves anything out.
    guarded: bool,
    on_failure: &'static str,
    rollback: &'static str,
    intents: Intents,
}

/// What people ask of revisions, by hash: on the Service, or through the API.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Intents {
    /// A step, counted from 1, or `full`.
    promote: BTreeMap<Arc<str>, String>,
    pause: Vec<Arc<str>>,
    abort: Vec<Arc<str>>,
    retry: BTreeMap<Arc<str>, u32>,
}

/// Seconds; `null`: the server's.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Ttl {
    endpoints: u32,
    rollout: u32,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Version {
    alias: Arc<str>,
    hash: Arc<str>,
    label: Arc<str>,
    workload: Option<String>,
    revision: Option<i64>,
    #[schemars(with = "Option<super::Time>")]
    created: Option<Timestamp>,
    pods: Option<u32>,
    ready: u32,
    soaked: u32,
    share: Share,
    policy: Option<Share>,
    capacity: Option<Share>,
    reason: &'static str,
    role: Option<&'static str>,
    /// What it failed by.
    failed: Option<&'static str>,
    /// What it had of the answers of the last minute; `null` before there were any.
    answered: Option<Answered>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Answered {
    share: Share,
    answers: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Track {
    /// `null`: the backends of the service, which have no replicas of their own.
    workload: Option<String>,
    replicas: Option<u32>,
    max_unavailable: Option<u32>,
    paused: bool,
    complete: bool,
    state: &'static str,
    #[schemars(with = "super::Time")]
    since: Timestamp,
    kind: &'static str,
    #[schemars(with = "super::Time")]
    started: Timestamp,
    target: Option<VersionName>,
    stable: Option<VersionName>,
    /// What the strategy gives the target.
    wanted: Option<Share>,
    step: Option<Step>,
    /// When the strategy gives the target more by itself.
    #[schemars(with = "Option<super::Time>")]
    next_move: Option<Timestamp>,
    note: Option<String>,
    /// Equal where replicas agree; in hexadecimal, since numbers of JavaScript end at 2^53.
    digest: String,
    latches: Vec<Latch>,
}

/// Counted from 1.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Step {
    current: u8,
    count: u8,
}

/// A revision that failed and gets nothing by itself.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Latch {
    hash: Arc<str>,
    cause: &'static str,
    #[schemars(with = "super::Time")]
    at: Timestamp,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Drain {
    address: IpAddr,
    alias: Arc<str>,
    #[schemars(with = "super::Time")]
    unpublished: Timestamp,
    /// When the last well-behaved cache forgets it.
    #[schemars(with = "super::Time")]
    deadline: Timestamp,
}

#[derive(Debug, Serialize, JsonSchema)]
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
    #[schemars(with = "Option<super::Time>")]
    ready_since: Option<Timestamp>,
    /// Its target has been ready for long enough to count for a roll-out.
    soaked: bool,
    restarts: u32,
}

impl Service {
    /// `lately` is what was counted of its answers, by hash.
    pub(in crate::admin) fn of(detail: &Detail, lately: &Lately) -> Self {
        let Detail {
            summary,
            view,
            outcome,
            problems,
            drains,
            held,
            resolved,
            soaked,
        } = detail;
        let (cluster_ips, external_name) = match &view.kind {
            ServiceKind::ClusterIp { addresses } => (addresses.clone(), None),
            ServiceKind::Headless => (Vec::new(), None),
            ServiceKind::ExternalName { target } => (Vec::new(), Some(Arc::clone(target))),
        };
        let versions = outcome.versions.iter();
        let tracks = outcome.tracks.iter();
        let answered: Vec<Option<(model::Share, u64)>> = versions
            .clone()
            .map(|version| lately.of(&version.hash))
            .collect();
        let shares: Vec<Option<model::Share>> = answered
            .iter()
            .map(|answered| answered.map(|(share, _)| share))
            .collect();
        Self {
            head: (&**summary).into(),
            uid: view.uid.text().into(),
            created: view.created,
            origin: view.origin.as_ref().map(Origin::from),
            cluster_ips,
            external_name,
            external_addresses: resolved.as_ref().map(|known| known.addresses.clone()),
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
            ttl: outcome.ttl,
            cut_over: outcome.cut_over,
            held: *held,
            versions: versions
                .zip(answered)
                .map(|(version, answered)| Version::of(version, view, answered))
                .collect(),
            tracks: tracks
                .map(|track| Track::of(track, view, outcome))
                .collect(),
            drains: drains.iter().map(Drain::from).collect(),
            endpoints: endpoints(view, outcome, soaked),
            problems: problems.iter().map(Problem::from).collect(),
            explain: rollout::explain(view, outcome, &shares),
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
            soak_seconds: policy.soak_secs,
            slow_start_seconds: policy.slow_start_secs,
            guarded: policy.guarded,
            on_failure: policy.on_failure.as_str(),
            rollback: policy.rollback.as_str(),
            intents: (&policy.intents).into(),
        }
    }
}

impl From<&model::Intents> for Intents {
    fn from(intents: &model::Intents) -> Self {
        let told = |(hash, to): &(Arc<str>, Promotion)| {
            let to = match to {
                Promotion::Step(step) => step.to_string(),
                Promotion::Full => "full".to_owned(),
            };
            (Arc::clone(hash), to)
        };
        Self {
            promote: intents.promote.iter().map(told).collect(),
            pause: intents.pause.clone(),
            abort: intents.abort.clone(),
            retry: intents.retry.iter().cloned().collect(),
        }
    }
}

impl From<&engine::Drain> for Drain {
    fn from(drain: &engine::Drain) -> Self {
        Self {
            address: drain.address,
            alias: Arc::clone(&drain.alias),
            unpublished: drain.unpublished,
            deadline: drain.deadline,
        }
    }
}

impl Version {
    fn of(
        version: &rollout::Version,
        view: &ServiceView,
        answered: Option<(model::Share, u64)>,
    ) -> Self {
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
            failed: version.failed.map(rollout::Cause::as_str),
            answered: answered.map(|(share, answers)| Answered {
                share: share.into(),
                answers,
            }),
        }
    }
}

impl Track {
    fn of(track: &rollout::Track, view: &ServiceView, outcome: &Outcome) -> Self {
        let workload = track.workload_in(view);
        let key = workload.map(|workload| &workload.key);
        let name = |index: Option<usize>| Some(outcome.versions.get(index?)?.into());
        let remembered = outcome.memory.tracks.iter();
        let remembered = remembered.filter(|known| known.workload.as_ref() == key);
        let latches = remembered.flat_map(|known| &known.latches);
        Self {
            workload: key.map(ToString::to_string),
            replicas: workload.map(|workload| workload.replicas),
            max_unavailable: workload.map(|workload| workload.max_unavailable),
            paused: workload.is_some_and(|workload| workload.paused),
            complete: workload.is_some_and(|workload| workload.complete),
            state: track.state.as_str(),
            since: track.since,
            kind: track.kind.as_str(),
            started: track.started,
            target: name(track.target),
            stable: name(track.stable),
            wanted: track.wanted.map(Share::from),
            step: track.step.map(|(current, count)| Step { current, count }),
            next_move: track.next_move,
            note: track.note.clone(),
            digest: format!("{:016x}", track.digest),
            latches: latches
                .map(|latch| Latch {
                    hash: Arc::clone(&latch.hash),
                    cause: latch.cause.as_str(),
                    at: latch.at,
                })
                .collect(),
        }
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

fn endpoints(view: &ServiceView, outcome: &Outcome, soaked: &[bool]) -> Vec<Endpoint> {
    let endpoints = view.endpoints.iter().zip(&outcome.endpoint_versions);
    let shape = |((endpoint, version), soaked): ((&model::Endpoint, &usize), &bool)| Endpoint {
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
        soaked: *soaked,
        restarts: endpoint.restarts,
    };
    endpoints.zip(soaked).map(shape).collect()
}
