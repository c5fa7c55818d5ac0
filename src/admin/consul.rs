//! `/v1/...`: the part of Consul's HTTP API by which its clients find services. Nothing can be registered.
//!
//! *Names.* Consul's are flat, so a service is called `name.namespace`, as in DNS: neither word has a dot, so it is
//! unambiguous, and it stands in a path as one segment, which `namespace/name` does not with clients that escape nothing.
//!
//! *Instances.* An endpoint is an instance, on the first port of the Service that it listens on; its other named ports are in
//! the metadata, as `port-<name>`. Versions and roles are tags.
//!
//! *Health.* An instance passes where DNS answers it. It is critical while it is not ready, and also where its version has
//! no share, whatever its pod says: who asks for `passing` is about to send traffic. *Weights* multiply up to shares: the
//! share of a version over its endpoints, in parts of 65535.
//!
//! Before every kind of object has been read nothing is told: a client would take half a cluster for the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::engine::{Detail, Summary};
use crate::model::{self, EndpointPort, ServiceKey};
use crate::rollout::{self, Outcome, Role};

/// What every request may say: of it, that data may be a little old is always so, and the rest is for those who choose among
/// servers.
pub(super) const PARAMS: [&str; 6] = ["dc", "index", "wait", "stale", "consistent", "cached"];
/// The same, and what an instance must have.
pub(super) const PARAMS_OF_SERVICE: [&str; 7] = [
    "dc",
    "index",
    "wait",
    "stale",
    "consistent",
    "cached",
    "tag",
];
/// The same, and whether it must pass.
pub(super) const PARAMS_OF_HEALTH: [&str; 8] = [
    "dc",
    "index",
    "wait",
    "stale",
    "consistent",
    "cached",
    "tag",
    "passing",
];

/// The greatest weight; SRV has the same.
const WEIGHT_MAX: u64 = u16::MAX as u64;

/// The name of a service here; `None` where there is no such name.
pub(super) fn key(name: &str) -> Option<ServiceKey> {
    let (name, namespace) = name.split_once('.')?;
    let is_word = |word: &str| !word.is_empty() && !word.contains('.');
    (is_word(name) && is_word(namespace)).then(|| ServiceKey::new(namespace, name))
}

fn name(key: &ServiceKey) -> String {
    format!("{}.{}", key.name, key.namespace)
}

/// `/v1/catalog/services`: names with their tags.
pub(super) fn services(list: &[Arc<Summary>]) -> BTreeMap<String, BTreeSet<Arc<str>>> {
    let listed = list
        .iter()
        .filter(|summary| summary.ready.1 > 0 && summary.kind != "ExternalName");
    let entry = |summary: &Arc<Summary>| {
        let versions = summary.versions.iter();
        let tags = versions.flat_map(|version| tags(&version.alias, version.role));
        (name(&summary.key), tags.collect())
    };
    listed.map(entry).collect()
}

fn tags(alias: &Arc<str>, role: Option<Role>) -> impl Iterator<Item = Arc<str>> {
    let role = role.map(|role| role.as_str().into());
    [Arc::clone(alias)].into_iter().chain(role)
}

/// `/v1/agent/self`: who this is, as far as clients look.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulAgent")]
pub(super) struct Agent {
    config: AgentConfig,
    member: Member,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulAgentConfig")]
struct AgentConfig {
    datacenter: String,
    node_name: &'static str,
    server: bool,
    /// Ours, not that of a Consul.
    version: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulMember")]
struct Member {
    name: &'static str,
}

impl Agent {
    pub(super) fn of(datacenter: &str) -> Self {
        const NAME: &str = env!("CARGO_PKG_NAME");
        Self {
            config: AgentConfig {
                datacenter: datacenter.to_owned(),
                node_name: NAME,
                server: true,
                version: env!("CARGO_PKG_VERSION"),
            },
            member: Member { name: NAME },
        }
    }
}

/// An instance in `/v1/catalog/service/{name}`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulCatalogService")]
pub(super) struct CatalogService {
    #[serde(rename = "ID")]
    id: &'static str,
    node: Arc<str>,
    address: IpAddr,
    datacenter: Arc<str>,
    tagged_addresses: BTreeMap<&'static str, String>,
    node_meta: BTreeMap<&'static str, Arc<str>>,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_address: IpAddr,
    service_tags: Vec<Arc<str>>,
    service_meta: BTreeMap<String, String>,
    /// 0 where the endpoint listens on none of the Service's ports.
    service_port: u16,
    service_weights: Weights,
    service_enable_tag_override: bool,
    create_index: u64,
    modify_index: u64,
}

/// An instance in `/v1/health/service/{name}`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulServiceEntry")]
pub(super) struct ServiceEntry {
    node: Node,
    service: Service,
    checks: Vec<Check>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulNode")]
struct Node {
    #[serde(rename = "ID")]
    id: &'static str,
    /// The node's name; the endpoint's address where it is on none.
    node: Arc<str>,
    /// The endpoint's: addresses of nodes are not read.
    address: IpAddr,
    datacenter: Arc<str>,
    tagged_addresses: BTreeMap<&'static str, String>,
    meta: BTreeMap<&'static str, Arc<str>>,
    create_index: u64,
    modify_index: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulService")]
struct Service {
    /// `namespace/name/address`
    #[serde(rename = "ID")]
    id: String,
    service: String,
    tags: Vec<Arc<str>>,
    address: IpAddr,
    tagged_addresses: BTreeMap<&'static str, String>,
    meta: BTreeMap<String, String>,
    /// 0 where the endpoint listens on none of the Service's ports.
    port: u16,
    weights: Weights,
    enable_tag_override: bool,
    create_index: u64,
    modify_index: u64,
}

/// 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulWeights")]
struct Weights {
    passing: u16,
    warning: u16,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
#[schemars(rename = "ConsulCheck")]
struct Check {
    node: Arc<str>,
    #[serde(rename = "CheckID")]
    check_id: &'static str,
    name: &'static str,
    /// `passing`, `warning` (it is being deleted and serves still) or `critical`.
    status: &'static str,
    notes: &'static str,
    output: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    service_name: String,
    service_tags: Vec<Arc<str>>,
    r#type: &'static str,
    create_index: u64,
    modify_index: u64,
}

/// What is asked of the instances of a service.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// All of them.
    pub(super) tags: Vec<String>,
    pub(super) passing: bool,
}

/// Where an answer comes from.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) datacenter: Arc<str>,
    /// The index that the answer bears.
    pub(super) index: u64,
    /// The least index there is.
    pub(super) base: u64,
}

/// The instances of a service that are wanted, for the catalogue.
pub(super) fn catalog(detail: &Detail, wanted: &Wanted, source: &Source) -> Vec<CatalogService> {
    let instances = instances(detail, wanted).into_iter();
    let entry = |instance: Instance| CatalogService {
        id: "",
        node: Arc::clone(&instance.node),
        address: instance.address,
        datacenter: Arc::clone(&source.datacenter),
        tagged_addresses: BTreeMap::new(),
        node_meta: instance.node_meta(),
        service_id: instance.id,
        service_name: instance.service,
        service_address: instance.address,
        service_tags: instance.tags,
        service_meta: instance.meta,
        service_port: instance.port,
        service_weights: instance.weights,
        service_enable_tag_override: false,
        create_index: source.base,
        modify_index: source.index,
    };
    instances.map(entry).collect()
}

/// The instances of a service that are wanted, with their health.
pub(super) fn health(detail: &Detail, wanted: &Wanted, source: &Source) -> Vec<ServiceEntry> {
    let (create_index, modify_index) = (source.base, source.index);
    let instances = instances(detail, wanted).into_iter();
    let entry = |instance: Instance| ServiceEntry {
        node: Node {
            id: "",
            node: Arc::clone(&instance.node),
            address: instance.address,
            datacenter: Arc::clone(&source.datacenter),
            tagged_addresses: BTreeMap::new(),
            meta: instance.node_meta(),
            create_index,
            modify_index,
        },
        checks: vec![Check {
            node: Arc::clone(&instance.node),
            check_id: "shiftdns",
            name: "answered in DNS",
            status: instance.status,
            notes: "",
            output: instance.output,
            service_id: instance.id.clone(),
            service_name: instance.service.clone(),
            service_tags: instance.tags.clone(),
            r#type: "",
            create_index,
            modify_index,
        }],
        service: Service {
            id: instance.id,
            service: instance.service,
            tags: instance.tags,
            address: instance.address,
            tagged_addresses: BTreeMap::new(),
            meta: instance.meta,
            port: instance.port,
            weights: instance.weights,
            enable_tag_override: false,
            create_index,
            modify_index,
        },
    };
    instances.map(entry).collect()
}

/// An endpoint, as Consul's clients see it.
#[derive(Debug)]
struct Instance {
    id: String,
    service: String,
    address: IpAddr,
    port: u16,
    node: Arc<str>,
    zone: Option<Arc<str>>,
    tags: Vec<Arc<str>>,
    meta: BTreeMap<String, String>,
    weights: Weights,
    status: &'static str,
    output: String,
}

impl Instance {
    fn node_meta(&self) -> BTreeMap<&'static str, Arc<str>> {
        let zone = self.zone.iter();
        zone.map(|zone| ("zone", Arc::clone(zone))).collect()
    }
}

fn instances(detail: &Detail, wanted: &Wanted) -> Vec<Instance> {
    let Detail { view, outcome, .. } = detail;
    let parts = parts(detail);
    let endpoints = view.endpoints.iter().zip(&outcome.endpoint_versions);
    let mut instances = Vec::new();
    for (index, (endpoint, version)) in endpoints.enumerate() {
        let Some(version) = outcome.versions.get(*version) else {
            continue;
        };
        let tags: Vec<Arc<str>> = tags(&version.alias, version.role).collect();
        let has = |tag: &String| tags.iter().any(|known| **known == **tag);
        let (status, output) = status(outcome, endpoint, version);
        if !wanted.tags.iter().all(has) || (wanted.passing && status != "passing") {
            continue;
        }
        let factor = outcome.factors.get(index).copied().unwrap_or(100);
        instances.push(Instance {
            id: format!("{}/{}", view.key, endpoint.address),
            service: name(&view.key),
            address: endpoint.address,
            port: first_port(view, endpoint).map_or(0, |port| port.number),
            node: match &endpoint.node {
                Some(node) => Arc::clone(node),
                None => endpoint.address.to_string().into(),
            },
            zone: endpoint.zone.clone(),
            meta: meta(view, endpoint, version),
            weights: Weights {
                passing: weight(outcome, version, factor, parts.get(&version.hash)),
                warning: 1,
            },
            tags,
            status,
            output,
        });
    }
    instances
}

/// In the order of the Service's ports, by which people mean the first one.
fn first_port<'e>(
    view: &model::ServiceView,
    endpoint: &'e model::Endpoint,
) -> Option<&'e EndpointPort> {
    let mut ports = view.ports.iter();
    let found = ports.find_map(|port| {
        let mut listens = endpoint.ports.iter();
        listens.find(|other| other.name == port.name && other.protocol == port.protocol)
    });
    found.or(endpoint.ports.first())
}

fn meta(
    view: &model::ServiceView,
    endpoint: &model::Endpoint,
    version: &rollout::Version,
) -> BTreeMap<String, String> {
    let mut meta = BTreeMap::new();
    let mut put = |key: &str, value: &str| meta.insert(key.to_owned(), value.to_owned());
    put("namespace", &view.key.namespace);
    put("version", &version.alias);
    put("revision", &version.hash);
    put("share", &version.share.basis_points().to_string());
    if let Some(pod) = &endpoint.pod {
        put("pod", pod);
    }
    for port in endpoint.ports.iter() {
        if let Some(name) = &port.name {
            put(&format!("port-{name}"), &port.number.to_string());
        }
    }
    meta
}

fn status(
    outcome: &Outcome,
    endpoint: &model::Endpoint,
    version: &rollout::Version,
) -> (&'static str, String) {
    if !outcome.counts(endpoint) {
        let told = match endpoint.serving && endpoint.terminating {
            true => ("warning", "it is being deleted and serves still"),
            false => ("critical", "it is not ready"),
        };
        return (told.0, told.1.to_owned());
    }
    if outcome.weighted && version.share.basis_points() == 0 {
        let told = format!("version `{}` has no share", version.alias);
        return ("critical", told);
    }
    ("passing", "it is answered".to_owned())
}

/// The factors of the endpoints of each version that are answered, added up.
fn parts(detail: &Detail) -> BTreeMap<Arc<str>, u64> {
    let Detail { view, outcome, .. } = detail;
    let mut parts = BTreeMap::new();
    let endpoints = view.endpoints.iter().zip(&outcome.endpoint_versions);
    for (index, (endpoint, version)) in endpoints.enumerate() {
        if let Some(version) = outcome.versions.get(*version)
            && outcome.counts(endpoint)
        {
            let factor = outcome.factors.get(index).copied().unwrap_or(100);
            *parts.entry(Arc::clone(&version.hash)).or_insert(0) += u64::from(factor);
        }
    }
    parts
}

/// An endpoint's part of its version's share, rounded; at least 1, since a weight of nothing is no weight in Consul.
fn weight(outcome: &Outcome, version: &rollout::Version, factor: u8, all: Option<&u64>) -> u16 {
    if !outcome.weighted {
        return 1;
    }
    let whole = 10_000 * all.copied().unwrap_or(0).max(1);
    let part = u64::from(version.share.basis_points()) * u64::from(factor) * WEIGHT_MAX;
    let weight = (part + whole / 2) / whole;
    u16::try_from(weight.clamp(1, WEIGHT_MAX)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_two_words() {
        assert_eq!(key("web.shop"), Some(ServiceKey::new("shop", "web")));
        for other in ["web", "web.", ".shop", "", "a.b.c", "."] {
            assert_eq!(key(other), None, "{other}");
        }
    }
}
