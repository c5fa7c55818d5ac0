//! `/sd/prometheus`: targets for Prometheus, in the format of its `http_sd_configs`.
//!
//! Every ready endpoint is a target on every TCP port of its slice that was asked for; those with equal labels stand together.
//! Labels are the ones of [`Labels`], all of them in every group, the empty string where there is nothing to tell: a rule of
//! relabelling need not ask whether a label is there. All of them begin with `__meta_`, so Prometheus drops them unless a rule
//! keeps them, and a share that moves makes no new series by itself.
//!
//! A list of a whole cluster is made of a few services at a time: the engine does other things in between, and the
//! threads that serve do none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task;

use super::params::Given;
use crate::engine::control::{Handle, Stopped};
use crate::engine::{Detail, Summary};
use crate::model::{Protocol, ServiceKey};
use crate::rollout::Role;

/// Targets of one answer. One is some 600 octets of JSON where it stands alone: 30 MB.
const TARGETS_MAX: usize = 50_000;
/// Services that the engine tells of in one go: at some 50 microseconds each, it does something else after two milliseconds.
const SERVICES_AT_ONCE: usize = 32;

/// What is read.
pub(super) const PARAMS: [&str; 4] = ["namespace", "service", "version", "port"];

/// Which targets are asked for; of each list any word will do, and an empty one asks for all.
#[derive(Debug, Default)]
pub(super) struct Selection {
    namespaces: BTreeSet<String>,
    services: BTreeSet<String>,
    /// Aliases or hashes.
    versions: BTreeSet<String>,
    /// Names of ports.
    ports: BTreeSet<String>,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTargets {
    #[error(
        "there are more than {TARGETS_MAX} targets; ask for some of them by `namespace`, `service`, `version` or `port`"
    )]
    TooMany,
    #[error("the endpoints of `{0}` are changing; what was told before stands")]
    Held(ServiceKey),
    #[error("the answer could not be written")]
    Unwritten,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Targets with the same labels.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PrometheusTargets")]
pub(super) struct Group {
    /// `address:port`
    targets: Vec<String>,
    labels: Labels,
}

/// What is told of a target. What does not apply is empty.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "PrometheusLabels")]
pub(super) struct Labels {
    #[serde(rename = "__meta_shiftdns_namespace")]
    namespace: Arc<str>,
    #[serde(rename = "__meta_shiftdns_service")]
    service: Arc<str>,
    /// `ClusterIP` or `Headless`.
    #[serde(rename = "__meta_shiftdns_service_kind")]
    kind: &'static str,
    /// What people call the version, as a DNS label.
    #[serde(rename = "__meta_shiftdns_version")]
    version: Arc<str>,
    /// The revision's hash.
    #[serde(rename = "__meta_shiftdns_revision")]
    revision: Arc<str>,
    /// `stable`, `canary`, `active`, `preview`.
    #[serde(rename = "__meta_shiftdns_role")]
    role: &'static str,
    /// The part of the service's answers that the version has, in percent, such as `12.50`; empty where shares choose
    /// nothing.
    #[serde(rename = "__meta_shiftdns_share")]
    share: String,
    /// Kind and name of the workload that the version is of, such as `Deployment/web`.
    #[serde(rename = "__meta_shiftdns_workload")]
    workload: String,
    #[serde(rename = "__meta_shiftdns_pod")]
    pod: Arc<str>,
    #[serde(rename = "__meta_shiftdns_node")]
    node: Arc<str>,
    #[serde(rename = "__meta_shiftdns_zone")]
    zone: Arc<str>,
    /// The name of the port, empty where it has none.
    #[serde(rename = "__meta_shiftdns_port_name")]
    port_name: Arc<str>,
    /// The number of the port that the endpoint listens on.
    #[serde(rename = "__meta_shiftdns_port")]
    port: String,
}

impl Selection {
    pub(super) fn read(given: &Given) -> Self {
        let set = |name| given.all(name).into_iter().collect();
        Self {
            namespaces: set("namespace"),
            services: set("service"),
            versions: set("version"),
            ports: set("port"),
        }
    }

    /// Whether a service may have targets, as far as a list tells.
    fn may_have(&self, summary: &Summary) -> bool {
        let takes = |set: &BTreeSet<String>, word: &str| set.is_empty() || set.contains(word);
        let mut versions = summary.versions.iter();
        takes(&self.namespaces, &summary.key.namespace)
            && takes(&self.services, &summary.key.name)
            && summary.ready.0 > 0
            && versions.any(|version| self.takes_version(&version.alias, &version.hash))
    }

    fn takes_version(&self, alias: &str, hash: &str) -> bool {
        self.versions.is_empty() || self.versions.contains(alias) || self.versions.contains(hash)
    }

    fn takes_port(&self, name: Option<&str>) -> bool {
        self.ports.is_empty() || name.is_some_and(|name| self.ports.contains(name))
    }
}

/// Makes the list.
pub(super) async fn list(engine: &Handle, selection: Selection) -> Result<Bytes, NoTargets> {
    let all = engine.list().await?;
    let selected = task::spawn_blocking(move || {
        let keys = all.iter().filter(|summary| selection.may_have(summary));
        let keys: Vec<ServiceKey> = keys.map(|summary| summary.key.clone()).collect();
        (keys, selection)
    });
    let (keys, mut selection) = selected.await.map_err(|_| NoTargets::Unwritten)?;
    let mut written = Written::default();
    for keys in keys.chunks(SERVICES_AT_ONCE) {
        let details = engine.details(keys.to_vec()).await?;
        let added = task::spawn_blocking(move || {
            for detail in &details {
                written.add(detail, &selection)?;
            }
            Ok::<_, NoTargets>((written, selection))
        });
        (written, selection) = added.await.map_err(|_| NoTargets::Unwritten)??;
    }
    Ok(written.end())
}

/// The list as far as it is written.
#[derive(Debug, Default)]
struct Written {
    body: Vec<u8>,
    targets: usize,
}

impl Written {
    fn add(&mut self, detail: &Detail, selection: &Selection) -> Result<(), NoTargets> {
        if detail.held.is_some() {
            return Err(NoTargets::Held(detail.view.key.clone()));
        }
        for group in groups(detail, selection) {
            self.targets += group.targets.len();
            if self.targets > TARGETS_MAX {
                return Err(NoTargets::TooMany);
            }
            self.body.push(match self.body.is_empty() {
                true => b'[',
                false => b',',
            });
            serde_json::to_writer(&mut self.body, &group).map_err(|_| NoTargets::Unwritten)?;
        }
        Ok(())
    }

    fn end(mut self) -> Bytes {
        if self.body.is_empty() {
            self.body.push(b'[');
        }
        self.body.push(b']');
        self.body.into()
    }
}

/// The targets of one service.
fn groups(detail: &Detail, selection: &Selection) -> Vec<Group> {
    let Detail { view, outcome, .. } = detail;
    // Where a service has no versions to choose among, there is no share to tell.
    let share = |version: &crate::rollout::Version| match outcome.weighted {
        true => format!("{:.2}", f64::from(version.share.basis_points()) / 100.0),
        false => String::new(),
    };
    let mut groups: BTreeMap<Labels, BTreeSet<SocketAddr>> = BTreeMap::new();
    let endpoints = view.endpoints.iter().zip(&outcome.endpoint_versions);
    for (endpoint, version) in endpoints.filter(|(endpoint, _)| endpoint.ready) {
        let Some(version) = outcome.versions.get(*version) else {
            continue;
        };
        if !selection.takes_version(&version.alias, &version.hash) {
            continue;
        }
        let revision = version.revision.and_then(|index| view.revisions.get(index));
        let workload = revision.and_then(|revision| view.workloads.get(revision.workload?));
        // Nothing is scraped over datagrams.
        let ports = endpoint.ports.iter().filter(|port| {
            port.protocol == Protocol::Tcp && selection.takes_port(port.name.as_deref())
        });
        for port in ports {
            let text = |text: &Option<Arc<str>>| text.clone().unwrap_or_default();
            let labels = Labels {
                namespace: Arc::clone(&view.key.namespace),
                service: Arc::clone(&view.key.name),
                kind: detail.summary.kind,
                version: Arc::clone(&version.alias),
                revision: Arc::clone(&version.hash),
                role: version.role.map_or("", Role::as_str),
                share: share(version),
                workload: workload.map_or_else(String::new, |workload| {
                    format!("{}/{}", workload.key.kind, workload.key.name)
                }),
                pod: text(&endpoint.pod),
                node: text(&endpoint.node),
                zone: text(&endpoint.zone),
                port_name: text(&port.name),
                port: port.number.to_string(),
            };
            let target = SocketAddr::new(endpoint.address, port.number);
            groups.entry(labels).or_default().insert(target);
        }
    }
    let groups = groups.into_iter().map(|(labels, targets)| Group {
        targets: targets.iter().map(SocketAddr::to_string).collect(),
        labels,
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::admin::tests::site::Site;

    #[tokio::test]
    async fn a_list_is_whole_or_there_is_none() {
        let site = Site::synced(None).await;
        let web = ServiceKey::new("shop", "web");
        let mut detail = site.engine.detail(web).await.unwrap().unwrap();
        let all = Selection::default();
        let mut written = Written {
            targets: TARGETS_MAX - 4,
            ..Written::default()
        };
        assert!(written.add(&detail, &all).is_ok());
        let full = written.add(&detail, &all);
        assert!(matches!(full, Err(NoTargets::TooMany)), "{full:?}");
        // Its endpoints seem to be gone, and what DNS answers stays.
        detail.held = Some(Timestamp::UNIX_EPOCH);
        let held = Written::default().add(&detail, &all);
        assert!(matches!(held, Err(NoTargets::Held(_))), "{held:?}");
    }
}
