//! A service as floors 2 and 3 see it: what it is, what stands behind it, which revision each endpoint runs.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::{Origin, Problem, ServiceKey, Uid, Weights, WorkloadKey};

/// Everything that decides a service's names and answers, joined from several objects at one moment.
///
/// Built for a dirty service and dropped after compilation. Endpoints, revisions and workloads are sorted by
/// their fields (never in the order of a hash map), so that equal clusters give equal views.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// `namespace/name`.
    pub key: ServiceKey,
    /// The Service's UID; empty where a manifest has none.
    pub uid: Uid,
    /// When the Service was created; the older of two claimants wins.
    pub created: Option<Timestamp>,
    /// Where the Service was read from.
    pub origin: Option<Origin>,
    /// What kind of names it has.
    pub kind: ServiceKind,
    /// `spec.ports`, in the Service's order.
    pub ports: Vec<Port>,
    /// What is asked of it: annotations with the prefix `shiftdns.io/`, prefix removed, sorted by key; of a service that
    /// has a ServiceRollout, what that says in the same words, and nothing else.
    pub annotations: Vec<(Arc<str>, Arc<str>)>,
    /// Where that is written.
    pub policy_of: PolicySource,
    /// `spec.publishNotReadyAddresses`: unready endpoints show as ready, and weights make no sense.
    pub publish_not_ready: bool,
    /// The endpoints are those of other services, of which each is a revision.
    pub has_backends: bool,
    /// Deduplicated over slices by target UID and address; sorted by address.
    pub endpoints: Vec<Endpoint>,
    /// Revisions of the workloads behind the service, also those without endpoints; sorted by workload, then hash.
    pub revisions: Vec<Revision>,
    /// Workloads that own an endpoint's pod, or whose pod template the Service selects; sorted by key.
    pub workloads: Vec<Workload>,
    /// Weights that another object of the cluster gives, such as a route.
    pub external: Option<External>,
}

/// Where a person finds what is asked of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PolicySource {
    /// In annotations of the Service.
    #[default]
    Annotations,
    /// In the ServiceRollout of its name.
    Resource {
        /// Where that was read from.
        origin: Option<Origin>,
    },
}

impl PolicySource {
    /// A problem with what is asked of the service `key`.
    pub fn problem(&self, key: &ServiceKey, text: String) -> Problem {
        match self {
            Self::Annotations => Problem::of_service(key, text),
            Self::Resource { origin } => Problem {
                origin: origin.clone(),
                subject: format!("servicerollout {key}"),
                text,
            },
        }
    }

    /// What a person writes there for the annotation `word` (without its prefix): the annotation itself, or the field.
    pub fn place(&self, word: &str) -> String {
        match self {
            Self::Annotations => format!("shiftdns.io/{word}"),
            Self::Resource { .. } => {
                let mut parts = word.split('-');
                let mut field = parts.next().unwrap_or_default().to_owned();
                for part in parts {
                    let (first, rest) = part.split_at(part.len().min(1));
                    field += &first.to_uppercase();
                    field += rest;
                }
                format!("spec.{field}")
            }
        }
    }
}

impl ServiceView {
    /// A problem with what is asked of it, at the place where that is written.
    pub fn policy_problem(&self, text: String) -> Problem {
        let problem = self.policy_of.problem(&self.key, text);
        problem.at(self.origin.as_ref())
    }
}

/// Weights that another object gives a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Kind, namespace and name of the object, for people.
    pub source: Arc<str>,
    /// Weights of versions by hash, alias or label, across workloads.
    pub weights: Weights,
}

/// What kind of names a service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// One virtual address per family; `spec.clusterIPs`, in order.
    ClusterIp {
        /// The virtual addresses.
        addresses: Vec<IpAddr>,
    },
    /// The names are the endpoints.
    Headless,
    /// A CNAME.
    ExternalName {
        /// `spec.externalName`, as written.
        target: Arc<str>,
    },
}

/// The transport protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `_tcp`
    Tcp,
    /// `_udp`
    Udp,
    /// `_sctp`
    Sctp,
}

impl Protocol {
    /// The label of SRV names, such as `_tcp`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Tcp => "_tcp",
            Self::Udp => "_udp",
            Self::Sctp => "_sctp",
        }
    }
}

/// One of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `None` where unnamed; such a port has no `_port._proto` name.
    pub name: Option<Arc<str>>,
    /// TCP where unset.
    pub protocol: Protocol,
    /// The Service's own port.
    pub number: u16,
    /// A numeric `targetPort`; equal to `number` where unset, `None` where it is a name.
    pub target: Option<u16>,
}

/// A port of the slice an endpoint came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointPort {
    /// Equal to the name of the Service's port; `None` where unnamed.
    pub name: Option<Arc<str>>,
    /// TCP where unset.
    pub protocol: Protocol,
    /// The port the endpoint listens on.
    pub number: u16,
}

/// IPv4 or IPv6: A or AAAA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// One address of one target behind a service; a dual-stack pod is two endpoints with one UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where clients are sent.
    pub address: IpAddr,
    /// The target's UID, else empty.
    pub uid: Uid,
    /// The name of the target pod.
    pub pod: Option<Arc<str>>,
    /// `hostname` of the slice's endpoint.
    pub hostname: Option<Arc<str>>,
    /// The slice's condition; unset counts as true.
    pub ready: bool,
    /// The pod is Ready, also while terminating; unset counts as `ready`.
    pub serving: bool,
    /// The pod is being deleted.
    pub terminating: bool,
    /// `topology.kubernetes.io/zone` of its node, as the slice says.
    pub zone: Option<Arc<str>>,
    /// The node it runs on.
    pub node: Option<Arc<str>>,
    /// Since when the pod is Ready (`lastTransitionTime`).
    pub ready_since: Option<Timestamp>,
    /// The slice says that the pod is Ready, and the pod itself, as it is known here, that it is not: news of one of
    /// them are still to come. It is answered, but since when it is ready nobody knows yet.
    pub disputed: bool,
    /// Restarts of its containers, added up.
    pub restarts: u32,
    /// Index into [`ServiceView::revisions`]; `None`: unversioned.
    pub revision: Option<usize>,
    /// The ports of its slice, in the slice's order; named target ports may differ between versions.
    pub ports: Arc<[EndpointPort]>,
}

impl Endpoint {
    /// The family of its address.
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }
}

/// One pod template of a workload. Two revisions may carry the same version label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The identity for weights: `pod-template-hash`, or the bare hash of a ControllerRevision; for a backend
    /// Service its name; for a bare pod its version label.
    pub hash: Arc<str>,
    /// What people call it: the version label, else the image tag, else the hash. Not yet a DNS label.
    pub label: Arc<str>,
    /// Index into [`ServiceView::workloads`]; `None` for bare pods, unknown owners and backends.
    pub workload: Option<usize>,
    /// The revision number, higher is newer in the order of roll-outs (not of creation).
    pub number: Option<i64>,
    /// When its ReplicaSet or ControllerRevision was created.
    pub created: Option<Timestamp>,
    /// Its pods that are not terminating, ready or not.
    pub pods: u32,
    /// Its number was another before: it has been the target of an earlier roll-out (`revision-history`).
    pub reused: bool,
    /// Tells templates apart, the mark that `kubectl rollout restart` leaves excepted; `None` where it is not known.
    pub template: Option<u64>,
    /// The images of its containers, in their order; `None` where they are not known.
    pub images: Option<Arc<str>>,
    /// The pods its owner declares sufficient for the whole load, where that is not a workload of the view: the
    /// workloads behind a backend Service.
    pub declared: Option<u32>,
    /// The controller gave it up: its condition `ProgressDeadlineExceeded` names this revision.
    pub deadline_exceeded: bool,
    /// Why pods of it cannot start (`ImagePullBackOff`, `FailedCreate`), and since when, if that is known.
    pub stalled: Option<(Arc<str>, Option<Timestamp>)>,
    /// What is wrong with pods of it that are not terminating; pods that are well are not listed.
    pub troubles: Vec<Trouble>,
}

/// What is wrong with a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// Restarts of its containers, added up.
    pub restarts: u32,
    /// A container waits with `CrashLoopBackOff`.
    pub crash_looping: bool,
    /// When a container of it last ended (`lastState.terminated.finishedAt`, or `state.terminated`); where one ended
    /// badly, when the last of those did.
    pub ended: Option<Timestamp>,
    /// It ended by `OOMKilled` or with another exit code than 0.
    pub ended_badly: bool,
    /// Since when it is not Ready although it was, its containers running on.
    pub unready_since: Option<Timestamp>,
}

/// A workload behind a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Kind, namespace and name.
    pub key: WorkloadKey,
    /// Desired pods: `spec.replicas`, for a DaemonSet `status.desiredNumberScheduled`.
    pub replicas: u32,
    /// Pods that may be missing during an update, percentages resolved as the workload's controller does.
    pub max_unavailable: u32,
    /// `spec.paused` of a Deployment.
    pub paused: bool,
    /// Since when it is paused (the condition of reason `DeploymentPaused`), where that is known.
    pub paused_since: Option<Timestamp>,
    /// The controller has seen the latest spec and reports every pod updated and available.
    pub complete: bool,
    /// The controller has seen the latest spec; if not, the target is about to change.
    pub observed: bool,
    /// `minReadySeconds`
    pub min_ready_secs: u32,
    /// Ordinals below it stay at the old revision: `partition` of a StatefulSet.
    pub partition: u32,
    /// Pods change when someone deletes them: `OnDelete`.
    pub on_delete: bool,
}

impl Workload {
    /// The number of pods its owner declares sufficient for the whole load, at least 1.
    pub fn capacity_basis(&self) -> u32 {
        self.replicas.saturating_sub(self.max_unavailable).max(1)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}
