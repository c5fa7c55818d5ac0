//! Services made of Services: `backends` names others of the namespace, each of which becomes one
//! revision, so that blue and green can have Services of their own.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::asked::Asked;
use super::index::Index;
use super::join::{self, Complaints};
use super::kin::Ties;
use super::network::{Service, ServiceTarget};
use super::pods::{Ailments, Pod};
use crate::model::{Endpoint, EndpointPort, Revision, ServiceKey, Uid, Weights, WeightsError};

/// What `backends` asks for; `None` where nobody asks.
fn wished(asked: &Asked<'_>) -> Option<Result<Weights, WeightsError>> {
    let text = asked.word("backends")?;
    Some(Weights::parse(text))
}

/// What a backend gives to the service in front of it.
#[derive(Default)]
struct Contribution<'i> {
    endpoints: Vec<Endpoint>,
    /// The pods behind it.
    pods: u32,
    /// How many of them its owner declares sufficient.
    declared: Option<u32>,
    ailments: Ailments<'i>,
    /// Why it has no endpoints.
    trouble: Option<&'static str>,
}

impl Index {
    /// Makes a service of other backends than those written, until it is told otherwise or the service goes. `None`: as
    /// written; `Some(None)`: of none.
    pub fn override_backends(&mut self, key: &ServiceKey, over: Option<Option<Weights>>) {
        if self.backends.get(key) == over.as_ref() {
            return;
        }
        let Some(service) = self.services.get(key).cloned() else {
            return;
        };
        self.link_backends(key, &service, false);
        match over {
            Some(over) => self.backends.insert(key.clone(), over),
            None => self.backends.remove(key),
        };
        self.link_backends(key, &service, true);
    }

    /// The backends in force, or why those written cannot be.
    pub(super) fn backends_of(
        &self,
        key: &ServiceKey,
        service: &Service,
    ) -> Option<Result<Weights, WeightsError>> {
        match self.backends.get(key) {
            Some(over) => over.clone().map(Ok),
            None => wished(&self.asked(key, service)),
        }
    }

    /// Its endpoints are those of its backends.
    pub(super) fn is_made_of_others(&self, key: &ServiceKey, service: &Service) -> bool {
        let backends = self.backends_of(key, service);
        join::has_endpoints(service) && matches!(backends, Some(Ok(_)))
    }

    /// The endpoints of the backends and one revision a backend, sorted by its name.
    ///
    /// Backends of backends are not followed: a cycle could not be answered, and a chain nobody would understand.
    pub(super) fn compose(
        &self,
        key: &ServiceKey,
        service: &Service,
        weights: &Weights,
        complaints: &mut Complaints,
    ) -> (Vec<Endpoint>, Vec<Revision>) {
        let origin = service.meta.origin();
        let origin = origin.as_ref();
        let source = self.asked(key, service).source();
        let mut names: Vec<&Arc<str>> = weights.iter().map(|(name, _)| name).collect();
        names.sort();
        let mut revisions = Vec::new();
        let mut endpoints: BTreeMap<(IpAddr, Uid), Endpoint> = BTreeMap::new();
        for name in names {
            let backend_key = ServiceKey {
                namespace: Arc::clone(&key.namespace),
                name: Arc::clone(name),
            };
            if backend_key == *key {
                let text = format!("backend `{name}` is ignored: it is the service itself");
                complaints.add_asked(&source, origin, text);
                continue;
            }
            let backend = self.services.get(&backend_key);
            let found = match backend {
                Some(backend) => self.contribution(&backend_key, backend),
                None => Contribution {
                    trouble: Some("there is no such service in the namespace"),
                    ..Contribution::default()
                },
            };
            if let Some(trouble) = found.trouble {
                let text = format!("backend `{name}` has no endpoints: {trouble}");
                complaints.add_asked(&source, origin, text);
            }
            let mut shared = 0_usize;
            for endpoint in found.endpoints {
                match endpoints.entry((endpoint.address, endpoint.uid.clone())) {
                    Entry::Occupied(_) => shared += 1,
                    Entry::Vacant(entry) => {
                        entry.insert(Endpoint {
                            revision: Some(revisions.len()),
                            ..endpoint
                        });
                    }
                }
            }
            if shared > 0 {
                let text = format!(
                    "{shared} endpoints of backend `{name}` are counted with an earlier one"
                );
                complaints.add(origin, text);
            }
            revisions.push(Revision {
                hash: Arc::clone(name),
                label: Arc::clone(name),
                workload: None,
                number: None,
                created: backend.and_then(|backend| backend.created),
                pods: found.pods,
                reused: false,
                template: None,
                images: None,
                declared: found.declared,
                deadline_exceeded: false,
                stalled: found.ailments.stalled(),
                troubles: found.ailments.into_troubles(),
            });
        }
        (endpoints.into_values().collect(), revisions)
    }

    /// What a backend contributes, or why there is nothing.
    fn contribution(&self, key: &ServiceKey, backend: &Service) -> Contribution<'_> {
        if let ServiceTarget::External(_) = &backend.target {
            return Contribution {
                trouble: Some("it is an ExternalName"),
                ..Contribution::default()
            };
        }
        // What is wrong with the backend is told of the backend.
        let mut unheard = Complaints::about(key);
        let candidates = self.gather(key, &mut unheard);
        let known = candidates.iter().filter_map(|candidate| candidate.pod);
        let known: BTreeMap<&str, &Pod> = known.map(|pod| (&*pod.meta.name, pod)).collect();
        let mut ailments = Ailments::default();
        known.values().for_each(|pod| ailments.add(pod));
        let behind: Vec<Endpoint> = candidates.into_iter().map(|found| found.endpoint).collect();
        let pods = pods(&behind);
        let (endpoints, declared, trouble) = match &backend.target {
            ServiceTarget::Headless => {
                let selected = self.workloads_selected(&key.namespace, &backend.selector);
                let workloads =
                    self.workloads_behind(&known, &selected, &mut Ties::new(self, None));
                let desired = workloads.iter().filter_map(|key| self.workload(key));
                let desired = desired.map(|workload| workload.replicas);
                let declared = desired.reduce(u32::saturating_add);
                let declared = declared.unwrap_or_else(|| staying(&behind));
                (behind, Some(declared), None)
            }
            ServiceTarget::Addresses(addresses) => {
                let mut allowed = addresses.clone();
                allowed.retain(|address| !self.is_denied(*address));
                let trouble = "it has no cluster IP that may be answered";
                let trouble = allowed.is_empty().then_some(trouble);
                // An endpoint is one address for any number of pods, so their number says nothing of it.
                (virtual_endpoints(backend, &allowed, &behind), None, trouble)
            }
            ServiceTarget::Unassigned | ServiceTarget::External(_) => {
                (Vec::new(), None, Some("its `clusterIP` is missing"))
            }
        };
        Contribution {
            endpoints,
            pods,
            declared,
            ailments,
            trouble,
        }
    }
}

/// The targets among endpoints that are not going away: pods, and addresses that are not those of a pod.
fn staying(endpoints: &[Endpoint]) -> u32 {
    let staying = endpoints.iter().filter(|endpoint| !endpoint.terminating);
    let alone = staying.filter(|endpoint| endpoint.pod.is_none());
    let addresses: BTreeSet<IpAddr> = alone.map(|endpoint| endpoint.address).collect();
    let alone = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    pods(endpoints).saturating_add(alone)
}

/// The pods among endpoints that are not going away; a dual-stack pod is one.
fn pods(endpoints: &[Endpoint]) -> u32 {
    let staying = endpoints.iter().filter(|endpoint| !endpoint.terminating);
    let pods: BTreeSet<&Arc<str>> = staying
        .filter_map(|endpoint| endpoint.pod.as_ref())
        .collect();
    u32::try_from(pods.len()).unwrap_or(u32::MAX)
}

/// One endpoint a cluster IP, ready while anything behind it is.
fn virtual_endpoints(
    backend: &Service,
    addresses: &[IpAddr],
    behind: &[Endpoint],
) -> Vec<Endpoint> {
    let ports: Arc<[EndpointPort]> = backend
        .ports
        .iter()
        .map(|port| EndpointPort {
            name: port.name.clone(),
            protocol: port.protocol,
            number: port.number,
        })
        .collect();
    let ready = behind.iter().any(|endpoint| endpoint.ready);
    let endpoint = |address: &IpAddr| Endpoint {
        address: *address,
        uid: backend.uid.clone(),
        pod: None,
        hostname: None,
        ready,
        serving: ready || behind.iter().any(|endpoint| endpoint.serving),
        terminating: false,
        zone: None,
        node: None,
        ready_since: None,
        disputed: false,
        restarts: 0,
        revision: None,
        ports: Arc::clone(&ports),
    };
    addresses.iter().map(endpoint).collect()
}
