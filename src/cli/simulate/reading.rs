//! What to play: a service and the workloads behind it, found in a text of manifests.
//!
//! Given the text and what was asked, [`read`] gives a [`Cast`], or everything that is in the way, with its place.
//! Of a service and its workloads it takes what a play needs, as it was written.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::documents::{self, Known, kind_of, selects, with_address};
use crate::cli::stage::{Stage, slice_ports};
use crate::model::{Amount, Origin, Problem, ServiceKey, WorkloadKind};
use crate::objects::{Kind, Object};
use crate::rollout::controllers::{
    Controller, DaemonSetUpdate, DeploymentUpdate, PodManagement, StatefulSetUpdate, Workload,
};

/// A table of more is nobody's, and a StatefulSet's has a row for each.
const PODS_MAX: u32 = 250;

/// The nodes of a DaemonSet where the manifests tell of none.
const NODES: u32 = 3;

/// Of a service that has none written.
const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Who plays.
#[derive(Debug)]
pub(in crate::cli) struct Cast {
    /// The service that is watched.
    pub(in crate::cli) key: ServiceKey,
    /// As an object, with what a cluster would add.
    pub(in crate::cli) service: Object,
    /// Its ServiceRollout.
    pub(in crate::cli) resource: Option<Object>,
    /// The labels that may name a version of it, best first.
    pub(in crate::cli) version_labels: Vec<String>,
    /// The workloads behind it, in the order of the text.
    pub(in crate::cli) workloads: Vec<Player>,
}

/// A workload with its settings.
#[derive(Debug)]
pub(in crate::cli) struct Player {
    pub(in crate::cli) stage: Stage,
    pub(in crate::cli) workload: Workload,
    /// `spec.paused`
    pub(in crate::cli) is_paused: bool,
    origin: Option<Origin>,
}

impl Player {
    /// `deployment shop/web`.
    pub(in crate::cli) fn subject(&self) -> String {
        let Stage {
            kind,
            namespace,
            name,
            ..
        } = &self.stage;
        format!("{} {namespace}/{name}", kind.to_string().to_lowercase())
    }

    /// A problem with it, at its place.
    pub(in crate::cli) fn problem(&self, text: impl Into<String>) -> Problem {
        Problem {
            origin: self.origin.clone(),
            subject: self.subject(),
            text: text.into(),
        }
    }
}

/// The cast of `text`, read from `file`; the pods are ready `ready_after_secs` after their creation.
///
/// # Errors
/// All problems with the text, or the one that is in the way.
pub(in crate::cli) fn read(
    (file, text): (&str, &str),
    service: Option<&ServiceKey>,
    (epoch, ready_after_secs): (Timestamp, u32),
) -> Result<Cast, Vec<Problem>> {
    let (known, problems) = documents::read(file, text);
    if !problems.is_empty() {
        return Err(problems);
    }
    let of_file = |text: String| Problem {
        origin: None,
        subject: file.to_owned(),
        text,
    };
    let (service, workloads) = choose(&known, service).map_err(|text| vec![of_file(text)])?;
    let resource = known.iter().find(|known| {
        let object = &known.object;
        let id = |object: &Object| (Arc::clone(object.namespace()), Arc::clone(object.name()));
        object.kind() == Kind::ServiceRollout && id(object) == id(&service.object)
    });
    let flaws = || workloads.iter().copied().chain([service]).chain(resource);
    let flaws: Vec<Problem> = flaws().flat_map(|known| known.object.problems()).collect();
    if !flaws.is_empty() {
        return Err(flaws);
    }
    let word = |word: &str| match (resource.map(|known| &known.object), &service.object) {
        (Some(Object::ServiceRollout(resource)), _) => resource.written.get(word).cloned(),
        (_, Object::Service(service)) => service.annotation(word).cloned(),
        _ => None,
    };
    if word("backends").is_some() {
        let (writer, backends) = match resource {
            Some(resource) => (resource, "spec.backends"),
            None => (service, "shiftdns.io/backends"),
        };
        let text =
            format!("a service with `{backends}` is made of other services; simulate one of those");
        return Err(vec![writer.problem(text)]);
    }
    let nodes = known.iter().filter(|k| k.object.kind() == Kind::Node);
    let nodes = u32::try_from(nodes.count()).unwrap_or(u32::MAX);
    let key = ServiceKey::new(service.object.namespace(), service.object.name());
    let mut players = Vec::new();
    for (index, known) in workloads.iter().enumerate() {
        let shape = Shape::of(known).map_err(|problem| vec![problem])?;
        let workload = shape.workload(known, nodes, ready_after_secs);
        let workload = workload.and_then(|workload| match workload.replicas {
            1..=PODS_MAX => Ok(workload),
            count => Err(format!(
                "{count} pods are not from 1 to {PODS_MAX}; nothing is played"
            )),
        });
        let workload = workload.map_err(|text| vec![known.problem(text)])?;
        players.push(Player {
            stage: Stage {
                kind: shape.kind,
                namespace: known.object.namespace().to_string(),
                name: known.object.name().to_string(),
                manifest: known.value.clone(),
                templates: vec![shape.template.clone()],
                services: vec![(
                    key.name.to_string(),
                    slice_ports(&service.value, &shape.template),
                )],
                network: u8::try_from(index + 1).unwrap_or(u8::MAX),
                epoch,
            },
            workload,
            is_paused: shape.spec.paused,
            origin: known.object.origin(),
        });
    }
    let label = word("version-label").unwrap_or_default();
    let labels = [&*label, "app.kubernetes.io/version", "version"];
    Ok(Cast {
        key,
        service: with_address(service, CLUSTER_IP).map_err(|text| vec![service.problem(text)])?,
        resource: resource.map(|known| known.object.clone()),
        version_labels: labels.map(str::to_owned).into(),
        workloads: players,
    })
}

/// The service that was asked for, or the only one with a workload, and the workloads whose pods it selects.
fn choose<'k>(
    known: &'k [Known],
    asked: Option<&ServiceKey>,
) -> Result<(&'k Known, Vec<&'k Known>), String> {
    let is_workload = |known: &&Known| kind_of(known.object.kind()).is_some();
    let behind = |service: &Known| -> Vec<&'k Known> {
        let workloads = known.iter().filter(is_workload);
        workloads
            .filter(|workload| selects(service, workload))
            .collect()
    };
    let services = known.iter().filter(|k| k.object.kind() == Kind::Service);
    let named = |known: &Known| ServiceKey::new(known.object.namespace(), known.object.name());
    if let Some(asked) = asked {
        let mut services = services;
        let service = services.find(|known| named(known) == *asked);
        let service = service.ok_or_else(|| format!("there is no service {asked}"))?;
        let workloads = behind(service);
        if workloads.is_empty() {
            return Err(format!(
                "the selector of service {asked} matches no pod template of a Deployment, StatefulSet or DaemonSet"
            ));
        }
        return Ok((service, workloads));
    }
    let mut found: Vec<_> = services.map(|service| (service, behind(service))).collect();
    found.retain(|(_, workloads)| !workloads.is_empty());
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(s, _)| named(s).to_string()).collect();
        return Err(format!(
            "there is more than one service to simulate; choose with `--service`: {}",
            names.join(", ")
        ));
    }
    found.pop().ok_or_else(|| {
        "there is no service whose selector matches the pod template of a Deployment, StatefulSet or DaemonSet"
            .to_owned()
    })
}

/// What a manifest says of a workload; the text says what is wrong with it.
pub(in crate::cli) fn declared(known: &Known, nodes: u32) -> Result<Workload, String> {
    let shape = Shape::of(known).map_err(|problem| problem.text)?;
    shape.workload(known, nodes, 0)
}

/// What a play needs of a workload's manifest.
struct Shape {
    kind: WorkloadKind,
    spec: Spec,
    template: Value,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    replicas: Option<u32>,
    min_ready_seconds: u32,
    progress_deadline_seconds: Option<u32>,
    revision_history_limit: Option<u32>,
    paused: bool,
    strategy: Update,
    update_strategy: Update,
    pod_management_policy: String,
    template: Template,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Update {
    #[serde(rename = "type")]
    kind: String,
    rolling_update: Option<Rolling>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rolling {
    max_surge: Option<Written>,
    max_unavailable: Option<Written>,
    partition: u32,
}

/// A number, or a percentage as text.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "Value")]
struct Written(Amount);

impl TryFrom<Value> for Written {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
        let percent = || value.as_str()?.strip_suffix('%')?.parse().ok();
        let amount = number
            .map(Amount::Count)
            .or_else(|| percent().map(Amount::Percent));
        let what = || format!("{value} is not a number or a percentage such as `25%`");
        amount.map(Self).ok_or_else(what)
    }
}

/// A pod template must have this shape, so that labels and a node can be added to it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: TemplateMeta,
    #[serde(rename = "spec")]
    _spec: Option<serde_json::Map<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateMeta {
    labels: BTreeMap<String, String>,
}

impl Shape {
    fn of(known: &Known) -> Result<Self, Problem> {
        let value = &known.value["spec"];
        let spec: Spec = serde_json::from_value(value.clone())
            .map_err(|error| known.problem(format!("`spec`: {error}")))?;
        let mut template = value["template"].clone();
        template["metadata"]["labels"] =
            serde_json::to_value(&spec.template.metadata.labels).unwrap_or_default();
        Ok(Self {
            kind: kind_of(known.object.kind()).unwrap_or(WorkloadKind::Deployment),
            spec,
            template,
        })
    }

    fn workload(
        &self,
        known: &Known,
        nodes: u32,
        ready_after_secs: u32,
    ) -> Result<Workload, String> {
        let spec = &self.spec;
        let replicas = match self.kind {
            WorkloadKind::DaemonSet => {
                let status = known.value["status"]["desiredNumberScheduled"].as_u64();
                let status = status
                    .and_then(|count| u32::try_from(count).ok())
                    .unwrap_or(NODES);
                if nodes > 0 { nodes } else { status }
            }
            _ => spec.replicas.unwrap_or(1),
        };
        Ok(Workload {
            replicas,
            controller: self.controller()?,
            min_ready_secs: spec.min_ready_seconds,
            // The largest number is how the API says never.
            progress_deadline_secs: Some(spec.progress_deadline_seconds.unwrap_or(600))
                .filter(|secs| *secs < i32::MAX.unsigned_abs()),
            history_limit: spec.revision_history_limit.unwrap_or(10),
            ready_after_secs,
            gone_after_secs: 0,
        })
    }

    fn controller(&self) -> Result<Controller, String> {
        let update = match self.kind {
            WorkloadKind::Deployment => &self.spec.strategy,
            _ => &self.spec.update_strategy,
        };
        let rolling = update.rolling_update.unwrap_or_default();
        let or = |written: Option<Written>, default| written.map_or(default, |amount| amount.0);
        let quarter = Amount::Percent(25);
        let unknown = |what: &str| Err(format!("`{what}` is not a way to update a {}", self.kind));
        Ok(match (self.kind, &*update.kind) {
            (WorkloadKind::Deployment, "" | "RollingUpdate") => {
                Controller::Deployment(DeploymentUpdate::Rolling {
                    surge: or(rolling.max_surge, quarter),
                    unavailable: or(rolling.max_unavailable, quarter),
                })
            }
            (WorkloadKind::Deployment, "Recreate") => {
                Controller::Deployment(DeploymentUpdate::Recreate)
            }
            (WorkloadKind::StatefulSet, kind @ ("" | "RollingUpdate" | "OnDelete")) => {
                Controller::StatefulSet {
                    update: match kind {
                        "OnDelete" => StatefulSetUpdate::OnDelete,
                        _ => StatefulSetUpdate::Rolling {
                            partition: rolling.partition,
                            unavailable: or(rolling.max_unavailable, Amount::Count(1)),
                        },
                    },
                    management: match &*self.spec.pod_management_policy {
                        "" | "OrderedReady" => PodManagement::OrderedReady,
                        "Parallel" => PodManagement::Parallel,
                        other => return unknown(other),
                    },
                }
            }
            (WorkloadKind::DaemonSet, "" | "RollingUpdate") => {
                Controller::DaemonSet(DaemonSetUpdate::Rolling {
                    surge: or(rolling.max_surge, Amount::Count(0)),
                    unavailable: or(rolling.max_unavailable, Amount::Count(1)),
                })
            }
            (WorkloadKind::DaemonSet, "OnDelete") => {
                Controller::DaemonSet(DaemonSetUpdate::OnDelete)
            }
            (_, other) => return unknown(other),
        })
    }
}
