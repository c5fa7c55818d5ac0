//! The join: from a Service and all that stands behind it to one view.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::index::Index;
use super::kin::{Family, Ties};
use super::network::{AddressType, EndpointSlice, Service, ServiceTarget, SliceEndpoint};
use super::object::Kind;
use super::pods::Pod;
use crate::model::{
    Endpoint, EndpointPort, Origin, PolicySource, Problem, Revision, ServiceKey, ServiceKind,
    ServiceView, Workload,
};

/// A service as it is, with what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// `None` for a service that cannot have names, such as an ExternalName without a host name.
    pub view: Option<ServiceView>,
    /// What was left out and why, sorted.
    pub problems: Vec<Problem>,
}

/// An endpoint on its way into a view.
pub(super) struct Candidate<'i> {
    pub(super) endpoint: Endpoint,
    /// Its pod, where that lives here and has the address.
    pub(super) pod: Option<&'i Pod>,
    slice: &'i str,
}

/// The Problems of one service while it is joined.
pub(super) struct Complaints {
    key: ServiceKey,
    problems: Vec<Problem>,
}

impl Complaints {
    pub(super) fn about(key: &ServiceKey) -> Self {
        Self {
            key: key.clone(),
            problems: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, origin: Option<&Origin>, text: String) {
        let problem = Problem::of_service(&self.key, text).at(origin);
        self.problems.push(problem);
    }

    /// A problem with what is asked of the service.
    pub(super) fn add_asked(
        &mut self,
        source: &PolicySource,
        origin: Option<&Origin>,
        text: String,
    ) {
        let problem = source.problem(&self.key, text).at(origin);
        self.problems.push(problem);
    }

    fn sorted(mut self) -> Vec<Problem> {
        self.problems.sort();
        self.problems.dedup();
        self.problems
    }
}

/// What its slices say is answered, by itself or by those that name it as a backend.
pub(super) fn has_endpoints(service: &Service) -> bool {
    !matches!(service.target, ServiceTarget::External(_))
}

impl Index {
    pub(super) fn join(&self, key: &ServiceKey, service: &Service) -> Joined {
        let mut complaints = Complaints::about(key);
        let origin = service.meta.origin();
        let origin = origin.as_ref();
        for flaw in &service.meta.flaws {
            complaints.add(origin, flaw.to_string());
        }
        let asked = self.asked(key, service);
        if let Some(text) = asked.unheard() {
            complaints.add(origin, text);
        }
        let Some(kind) = self.service_kind(key, service, &mut complaints) else {
            let problems = complaints.sorted();
            return Joined {
                view: None,
                problems,
            };
        };
        let (endpoints, revisions, workloads) = self.endpoints(key, service, &mut complaints);
        let view = ServiceView {
            key: key.clone(),
            uid: service.uid.clone(),
            created: service.created,
            origin: service.meta.origin(),
            kind,
            ports: service.ports.to_vec(),
            annotations: asked.words(),
            policy_of: asked.source(),
            publish_not_ready: service.publish_not_ready,
            has_backends: self.is_made_of_others(key, service),
            endpoints,
            revisions,
            workloads,
            external: None,
        };
        Joined {
            view: Some(view),
            problems: complaints.sorted(),
        }
    }

    /// What kind of names the service has; `None` where it cannot have any.
    fn service_kind(
        &self,
        key: &ServiceKey,
        service: &Service,
        complaints: &mut Complaints,
    ) -> Option<ServiceKind> {
        let origin = service.meta.origin();
        let origin = origin.as_ref();
        for (what, text) in [("namespace", &key.namespace), ("name", &key.name)] {
            if !is_service_label(text) {
                complaints.add(
                    origin,
                    format!("no names: the {what} `{text}` is not a lower-case DNS label"),
                );
                return None;
            }
        }
        match &service.target {
            ServiceTarget::Headless => Some(ServiceKind::Headless),
            ServiceTarget::Unassigned => {
                let is_needed = !self.is_made_of_others(key, service)
                    && self
                        .asked(key, service)
                        .word("endpoints")
                        .is_none_or(|value| **value != *"true");
                if is_needed {
                    complaints.add(
                        origin,
                        "`clusterIP` is missing: no cluster has assigned one; give an address, \
                         or `None` for a headless service"
                            .into(),
                    );
                }
                let addresses = Vec::new();
                Some(ServiceKind::ClusterIp { addresses })
            }
            ServiceTarget::Addresses(addresses) => {
                let mut denied = Tally::default();
                let mut addresses = addresses.clone();
                addresses.retain(|address| {
                    let is_denied = self.is_denied(*address);
                    if is_denied {
                        denied.add(address);
                    }
                    !is_denied
                });
                if let Some(denied) = denied.text() {
                    complaints.add(
                        origin,
                        format!("cluster IP {denied} is denied by `addressDeny`"),
                    );
                }
                self.contested(key, service, &addresses, complaints);
                Some(ServiceKind::ClusterIp { addresses })
            }
            ServiceTarget::External(target) if is_host_name(target) => {
                let target = Arc::clone(target);
                Some(ServiceKind::ExternalName { target })
            }
            ServiceTarget::External(target) => {
                complaints.add(
                    origin,
                    format!("no names: externalName `{target}` is not a host name"),
                );
                None
            }
        }
    }

    /// Tells the younger of two services of a cluster IP that they share it.
    fn contested(
        &self,
        key: &ServiceKey,
        service: &Service,
        addresses: &[IpAddr],
        complaints: &mut Complaints,
    ) {
        for address in addresses {
            let claims = self.claims.of(address).iter();
            let mut older =
                claims.filter(|(_, other)| other == key || self.serves(&other.namespace));
            if let Some((_, oldest)) = older.next().filter(|(_, oldest)| oldest != key) {
                complaints.add(
                    service.meta.origin().as_ref(),
                    format!("cluster IP `{address}` is also that of {oldest}, which is older"),
                );
            }
        }
    }

    fn endpoints(
        &self,
        key: &ServiceKey,
        service: &Service,
        complaints: &mut Complaints,
    ) -> (Vec<Endpoint>, Vec<Revision>, Vec<Workload>) {
        let origin = service.meta.origin();
        let origin = origin.as_ref();
        let wished = self.backends_of(key, service);
        let source = || self.asked(key, service).source();
        let ignored = |why: &str| format!("`{}` is ignored: {why}", source().place("backends"));
        if let ServiceTarget::External(_) = service.target {
            if wished.is_some() {
                let text = ignored("an ExternalName has no endpoints");
                complaints.add_asked(&source(), origin, text);
            }
            return (Vec::new(), Vec::new(), Vec::new());
        }
        match wished {
            Some(Ok(weights)) => {
                let (mut endpoints, revisions) = self.compose(key, service, &weights, complaints);
                let limit = self.settings.endpoints_per_service;
                cap(&mut endpoints, limit, |e| e, origin, complaints);
                sort(&mut endpoints, |e| e);
                (endpoints, revisions, Vec::new())
            }
            Some(Err(error)) => {
                let text = ignored(&error.to_string());
                complaints.add_asked(&source(), origin, text);
                self.own_endpoints(key, service, complaints)
            }
            None => self.own_endpoints(key, service, complaints),
        }
    }

    fn own_endpoints(
        &self,
        key: &ServiceKey,
        service: &Service,
        complaints: &mut Complaints,
    ) -> (Vec<Endpoint>, Vec<Revision>, Vec<Workload>) {
        let mut candidates = self.gather(key, complaints);
        let origin = service.meta.origin();
        let origin = origin.as_ref();
        let asked = self.asked(key, service);
        let version_label = asked.word("version-label").map(|key| &**key);
        let pods = candidates.iter().filter_map(|candidate| candidate.pod);
        let pods: BTreeMap<&str, &Pod> = pods.map(|pod| (&*pod.meta.name, pod)).collect();
        let selected = self.workloads_selected(&key.namespace, &service.selector);
        let mut all = Ties::new(self, version_label);
        let Family {
            ties,
            revisions,
            workloads,
        } = self.family(&pods, &selected, &mut all);
        cap(
            &mut candidates,
            self.allowance(key),
            |c| &c.endpoint,
            origin,
            complaints,
        );
        sort(&mut candidates, |c| &c.endpoint);
        let endpoints = candidates.into_iter().map(|candidate| {
            let tie = candidate.pod.and_then(|pod| all.of(pod));
            let revision = tie.and_then(|tie| ties.binary_search(tie).ok());
            Endpoint {
                revision,
                ..candidate.endpoint
            }
        });
        (endpoints.collect(), revisions, workloads)
    }

    /// The slices of a service, in the order of their names.
    pub(super) fn slices_of(&self, key: &ServiceKey) -> impl Iterator<Item = &EndpointSlice> {
        let names = self.slices_of_service.of(key).iter();
        names.filter_map(|name| {
            let slice = self.slices.get(&key.namespace, name);
            slice.map(|slice| &**slice)
        })
    }

    /// The endpoints of a service's slices, each target's address once.
    pub(super) fn gather(
        &self,
        key: &ServiceKey,
        complaints: &mut Complaints,
    ) -> Vec<Candidate<'_>> {
        let mut found: Vec<Candidate<'_>> = Vec::new();
        for slice in self.slices_of(key) {
            let mut denied = Tally::default();
            let mut misnamed = Tally::default();
            for slice_endpoint in &slice.endpoints {
                let hostname = slice_endpoint.place.hostname.as_ref();
                if let Some(hostname) = hostname.filter(|hostname| !is_host_label(hostname)) {
                    misnamed.add(hostname);
                }
                for address in slice_endpoint.addresses.iter() {
                    if self.is_denied(*address) {
                        denied.add(address);
                        continue;
                    }
                    found.push(self.candidate(slice, slice_endpoint, *address));
                }
            }
            complain_of_slice(slice, &denied, &misnamed, complaints);
        }
        sort(&mut found, |candidate| &candidate.endpoint);
        let mut targets: Vec<Candidate<'_>> = Vec::with_capacity(found.len());
        for candidate in found {
            let target = |of: &Candidate<'_>| (of.endpoint.address, of.endpoint.uid.clone());
            let before = targets.pop_if(|last| target(last) == target(&candidate));
            targets.push(match before {
                Some(before) => merge(before, candidate),
                None => candidate,
            });
        }
        targets
    }

    /// The address must never be answered.
    pub(super) fn is_denied(&self, address: IpAddr) -> bool {
        // `::ffff:127.0.0.1` is 127.0.0.1 in a coat.
        let plain = address.to_canonical();
        let deny = &self.settings.address_deny;
        deny.iter()
            .any(|net| net.contains(&address) || net.contains(&plain))
    }

    fn candidate<'i>(
        &'i self,
        slice: &'i EndpointSlice,
        endpoint: &'i SliceEndpoint,
        address: IpAddr,
    ) -> Candidate<'i> {
        let namespace = &slice.meta.namespace;
        let named = endpoint.pod.as_ref();
        let pod = named.and_then(|name| self.pods.get(namespace, name));
        let pod = pod.filter(|pod| pod.addresses.contains(&address));
        let hostname = endpoint.place.hostname.as_ref();
        Candidate {
            endpoint: Endpoint {
                address,
                uid: endpoint.uid.clone(),
                pod: endpoint.pod.clone(),
                hostname: hostname.filter(|hostname| is_host_label(hostname)).cloned(),
                ready: endpoint.ready,
                serving: endpoint.serving,
                terminating: endpoint.terminating,
                zone: endpoint.place.zone.clone(),
                node: endpoint.place.node.clone(),
                ready_since: pod.and_then(|pod| pod.ready_since),
                disputed: endpoint.serving && pod.is_some_and(|pod| pod.ready == Some(false)),
                restarts: pod.map_or(0, |pod| pod.restarts),
                revision: None,
                ports: Arc::clone(&slice.ports),
            },
            pod: pod.map(|pod| &**pod),
            slice: &slice.meta.name,
        }
    }
}

/// Of two sightings of one target the ready one wins, then the serving one, then the one that is not going away;
/// it keeps the ports that only the other has.
fn merge<'i>(a: Candidate<'i>, b: Candidate<'i>) -> Candidate<'i> {
    let rank = |c: &Candidate<'_>| {
        (
            !c.endpoint.ready,
            !c.endpoint.serving,
            c.endpoint.terminating,
        )
    };
    let b_wins = (rank(&b), b.slice) < (rank(&a), a.slice);
    let (mut winner, loser) = if b_wins { (b, a) } else { (a, b) };
    let known = |port: &EndpointPort| {
        let mut own = winner.endpoint.ports.iter();
        own.any(|own| own.name == port.name && own.protocol == port.protocol)
    };
    let more: Vec<EndpointPort> = loser
        .endpoint
        .ports
        .iter()
        .filter(|port| !known(port))
        .cloned()
        .collect();
    if !more.is_empty() {
        winner.endpoint.ports = winner.endpoint.ports.iter().cloned().chain(more).collect();
    }
    // A second sighting in the same slice may target another pod of the same address and UID: the winner's counts.
    winner
}

/// Keeps at most `limit`: ready ones first, then by target and address, so that a change elsewhere moves nobody.
fn cap<T>(
    list: &mut Vec<T>,
    limit: usize,
    endpoint: impl Fn(&T) -> &Endpoint,
    origin: Option<&Origin>,
    complaints: &mut Complaints,
) {
    let count = list.len();
    if count <= limit {
        return;
    }
    list.sort_by(|a, b| {
        let (a, b) = (endpoint(a), endpoint(b));
        (!a.ready, &a.uid, a.address).cmp(&(!b.ready, &b.uid, b.address))
    });
    list.truncate(limit);
    complaints.add(
        origin,
        format!(
            "{} of {count} endpoints are left out: {limit} are allowed; \
             raise `limits.endpointsPerService` or `limits.endpointsPerNamespace`",
            count - limit
        ),
    );
}

fn sort<T>(list: &mut [T], endpoint: impl Fn(&T) -> &Endpoint) {
    list.sort_by(|a, b| {
        let (a, b) = (endpoint(a), endpoint(b));
        (a.address, &a.uid).cmp(&(b.address, &b.uid))
    });
}

/// The first of several, and how many there are: one Problem for a slice full of them.
#[derive(Default)]
struct Tally {
    first: String,
    count: usize,
}

impl Tally {
    fn add(&mut self, what: &dyn std::fmt::Display) {
        if self.count == 0 {
            self.first = what.to_string();
        }
        self.count += 1;
    }

    /// `` `x` `` or `` `x` and 3 more ``.
    fn text(&self) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("`{}`", self.first)),
            _ => Some(format!("`{}` and {} more", self.first, self.count - 1)),
        }
    }
}

fn complain_of_slice(
    slice: &EndpointSlice,
    denied: &Tally,
    misnamed: &Tally,
    complaints: &mut Complaints,
) {
    let origin = slice.meta.origin();
    let kind = Kind::EndpointSlice.as_str().to_lowercase();
    let mut add = |text: &str| {
        let name: String = slice.meta.name.chars().take(253).collect();
        complaints.add(origin.as_ref(), format!("{kind} `{name}`: {text}"));
    };
    for flaw in &slice.meta.flaws {
        add(flaw);
    }
    match slice.addresses {
        AddressType::V4 | AddressType::V6 => {}
        AddressType::Fqdn => add("ignored: addressType `FQDN` is not answered"),
        AddressType::Unknown => add("ignored: addressType is neither `IPv4` nor `IPv6`"),
    }
    if let Some(denied) = denied.text() {
        add(&format!("address {denied} is denied by `addressDeny`"));
    }
    if let Some(misnamed) = misnamed.text() {
        add(&format!(
            "hostname {misnamed} is not a DNS label; the endpoint is named by its address"
        ));
    }
}

/// Lower-case letters, digits and inner hyphens, at most 63; Services may start with a digit.
fn is_service_label(text: &str) -> bool {
    is_host_label(text) && !text.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host_label(text: &str) -> bool {
    is_label(text) && !text.contains('_')
}

fn is_label(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (1..=63).contains(&text.len())
        && text.bytes().all(fits)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A name that may be the target of a CNAME: labels, underscores among them, and no address (a name whose last label
/// is a number would be read as one).
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 253
        && name.split('.').all(is_label)
        && name.parse::<Ipv4Addr>().is_err()
        && !last.bytes().all(|b| b.is_ascii_digit())
}
