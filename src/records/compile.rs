//! The compiler: from a service's view and its split to its names.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::hosts::Hosts;
use super::text;
use super::views::PlainViews;
use super::{
    Addresses, Choice, Content, Member, Names, PortName, Records, Reverse, Settings, Srv,
    SrvTarget, View,
};
use crate::model::{Endpoint, Family, Port, Problem, Protocol, ServiceKind, ServiceView, Strategy};
use crate::rollout::{Basis, Outcome, Role, is_role_word};

/// The factor of an endpoint that weighs as much as any other of its version.
pub(super) const FACTOR_WHOLE: u8 = 100;
/// TXT records about shares: never cached, they are read to see what is so at this moment.
const TTL_TEXT: u32 = 0;
/// The most for endpoints that are about to go (those of the fall-back): kube-proxy drops them as fast.
const TTL_TERMINATING_MAX: u32 = 5;

/// The record sets of a service.
pub fn compile(view: &ServiceView, outcome: &Outcome, settings: &Settings) -> Records {
    let mut records = Records {
        key: view.key.clone(),
        content: Content::Absent,
        reverse: Vec::new(),
        problems: Vec::new(),
    };
    match &view.kind {
        ServiceKind::ExternalName { target } => {
            records.content = Content::Alias {
                target: Arc::clone(target),
                ttl: settings.ttl_cluster_ip,
                addresses: Vec::new(),
            };
        }
        ServiceKind::Headless => {
            if outcome.basis == Basis::Nothing && !settings.keep_empty {
                return records;
            }
            let compiler = Compiler::new(view, outcome, settings);
            records.content = Content::Names(Box::new(compiler.endpoint_names(&mut records)));
        }
        ServiceKind::ClusterIp { addresses } => {
            for address in addresses {
                let (address, host) = (*address, None);
                records.reverse.push(Reverse { address, host });
            }
            let compiler = Compiler::new(view, outcome, settings);
            let names = if compiler.answers_endpoints(&mut records) {
                compiler.endpoint_names(&mut records)
            } else {
                compiler.cluster_ip_names(addresses, &mut records)
            };
            records.content = Content::Names(Box::new(names));
        }
    }
    records.reverse.sort();
    records.reverse.dedup();
    records
}

/// One service on its way to its names.
pub(super) struct Compiler<'a> {
    view: &'a ServiceView,
    pub(super) outcome: &'a Outcome,
    pub(super) hosts: Hosts,
    ttl_cluster_ip: u32,
    /// Indices of the endpoints that count, in circular order.
    pub(super) counting: Vec<usize>,
    /// Two endpoints may have one address: pods of a node's own network do.
    pub(super) shared_addresses: bool,
}

impl<'a> Compiler<'a> {
    fn new(view: &'a ServiceView, outcome: &'a Outcome, settings: &Settings) -> Self {
        let mut counting: Vec<usize> = (0..view.endpoints.len())
            .filter(|index| outcome.counts(&view.endpoints[*index]))
            .collect();
        let place = |index: &usize| {
            let endpoint = &view.endpoints[*index];
            let version = outcome.endpoint_versions[*index];
            let of_node = (endpoint.zone.as_ref(), endpoint.node.as_ref());
            (version, of_node, &endpoint.uid, endpoint.address)
        };
        counting.sort_by(|one, other| place(one).cmp(&place(other)));
        // A view's endpoints are sorted by address.
        let shared_addresses = view
            .endpoints
            .windows(2)
            .any(|pair| pair[0].address == pair[1].address);
        Self {
            view,
            outcome,
            hosts: Hosts::of(
                view,
                &outcome.endpoint_versions,
                &counting,
                settings.endpoint_pod_names,
            ),
            ttl_cluster_ip: settings.ttl_cluster_ip,
            counting,
            shared_addresses,
        }
    }

    pub(super) fn endpoint(&self, index: usize) -> &'a Endpoint {
        &self.view.endpoints[index]
    }

    pub(super) fn service(&self) -> &'a ServiceView {
        self.view
    }

    /// The part of an endpoint in what its version has, in percent of a whole one, never zero: what counts is served.
    pub(super) fn factor(&self, index: usize) -> u8 {
        let factor = self.outcome.factors.get(index).copied();
        factor.map_or(FACTOR_WHOLE, |factor| factor.clamp(1, FACTOR_WHOLE))
    }

    pub(super) fn version_of(&self, index: usize) -> usize {
        self.outcome.endpoint_versions[index]
    }

    /// Whether a ClusterIP service answers endpoints: it was asked to, and clients that take only the address
    /// would reach the port they know.
    fn answers_endpoints(&self, records: &mut Records) -> bool {
        if !self.outcome.policy.endpoints && !self.view.has_backends {
            return false;
        }
        let Some((port, number)) = self.differing_port() else {
            return true;
        };
        let text = format!(
            "endpoints: port {} of the Service is port {number} of its endpoints, so clients of an address \
             alone would be refused; the cluster IP stays (make them equal, or use a headless Service and SRV)",
            port.number
        );
        records.problems.push(self.view.policy_problem(text));
        false
    }

    fn differing_port(&self) -> Option<(&'a Port, u16)> {
        self.view.ports.iter().find_map(|port| {
            let of_endpoints = self.counting.iter().find_map(|index| {
                let ports = self.endpoint(*index).ports.iter();
                ports
                    .filter(|p| p.name == port.name && p.protocol == port.protocol)
                    .map(|p| p.number)
                    .find(|number| *number != port.number)
            });
            let declared = port
                .target
                .filter(|target| *target != port.number && self.counting.is_empty());
            Some((port, of_endpoints.or(declared)?))
        })
    }

    /// A ClusterIP service: its virtual addresses; hosts below it; no version names.
    fn cluster_ip_names(&self, addresses: &[IpAddr], records: &mut Records) -> Names {
        let fixed = |family: Family| Addresses {
            members: addresses
                .iter()
                .filter(|address| Family::of(**address) == family)
                .map(|address| Member {
                    address: *address,
                    version: 0,
                    factor: FACTOR_WHOLE,
                })
                .collect(),
            choice: Choice::Fixed,
        };
        let srv = |wanted: &dyn Fn(&Port) -> bool| {
            let mut numbers: Vec<u16> = Vec::new();
            for port in self.view.ports.iter().filter(|port| wanted(port)) {
                // One number of two protocols is one record of the bare name.
                if !numbers.contains(&port.number) {
                    numbers.push(port.number);
                }
            }
            let record = |port| Srv {
                target: SrvTarget::Service,
                port,
                version: None,
                share: 0,
                factor: FACTOR_WHOLE,
            };
            numbers.into_iter().map(record).collect::<Vec<_>>()
        };
        let ports = named_ports(
            self.view
                .ports
                .iter()
                .map(|p| (p.name.as_ref(), p.protocol)),
        );
        let own = View {
            a: fixed(Family::V4),
            aaaa: fixed(Family::V6),
            srv: ports
                .iter()
                .map(|name| srv(&|port| name.is(port.name.as_ref(), port.protocol)))
                .collect(),
            srv_bare: srv(&|_| true),
            text: Vec::new(),
        };
        self.reverse_of_hosts(records);
        Names {
            ports,
            hosts: self.hosts.list.clone(),
            views: vec![own],
            ttl: self.ttl_cluster_ip,
            ttl_hosts: self.endpoint_ttl(),
            ttl_text: TTL_TEXT,
            ..Names::default()
        }
    }

    /// A service whose names are its endpoints: the split, the hosts, and a view of each version and role.
    fn endpoint_names(&self, records: &mut Records) -> Names {
        self.reverse_of_hosts(records);
        let of_service = self
            .view
            .ports
            .iter()
            .map(|port| (port.name.as_ref(), port.protocol));
        let of_slices = self
            .counting
            .iter()
            .flat_map(|index| &*self.endpoint(*index).ports);
        let of_slices = of_slices.map(|port| (port.name.as_ref(), port.protocol));
        let mut names = Names {
            ports: named_ports(of_service.chain(of_slices)),
            hosts: self.hosts.list.clone(),
            ttl: self.endpoint_ttl(),
            ttl_hosts: self.endpoint_ttl(),
            ttl_text: TTL_TEXT,
            cut_over: self.outcome.cut_over.and_then(second_after),
            ..Names::default()
        };
        let lines = text::versions(self.outcome, self.view);
        let mut plain = PlainViews::default();
        names.views.push(self.split_view(&names.ports, &mut plain));
        names.sticky = self.sticky(&names.ports);
        self.add_roles(&mut names, &mut plain);
        self.add_versions(&mut names, &mut plain);
        names.versions_text = lines;
        names.rollout_text = text::rollout(self.outcome, self.view, names.ttl);
        for list in [&mut names.plain, &mut names.versions, &mut names.roles] {
            list.sort();
        }
        let hosts = &self.hosts;
        let hidden = |(label, _): &(Arc<str>, usize)| hosts.has(label);
        for (label, _) in names.plain.iter().filter(|entry| hidden(entry)) {
            let text = format!(
                "the endpoint called `{label}` stands where the version or role `{label}` would; \
                 ask for that by `{label}._version` or `{label}._role`"
            );
            let problem = Problem::of_service(&self.view.key, text);
            records.problems.push(problem.at(self.view.origin.as_ref()));
        }
        names.plain.retain(|entry| !hidden(entry));
        names
    }

    /// The whole, and the roles that the strategy knows: where nothing has one of them, its name has no records.
    fn add_roles(&self, names: &mut Names, plain: &mut PlainViews) {
        let mut all = plain.of(self, &names.ports, |_| true);
        all.a.choice = Choice::Fixed;
        all.aaaa.choice = Choice::Fixed;
        let mut of_role = |role: Role| {
            let has_role = |version: usize| self.outcome.versions[version].role == Some(role);
            plain.of(self, &names.ports, has_role)
        };
        let roles = match self.outcome.policy.strategy {
            Strategy::BlueGreen { .. } => [Role::Active, Role::Preview],
            _ => [Role::Stable, Role::Canary],
        };
        let [one, other] = roles.map(|role| (role.as_str(), of_role(role)));
        for (label, view) in [("all", all), one, other] {
            let label: Arc<str> = label.into();
            names.roles.push((Arc::clone(&label), names.views.len()));
            names.plain.push((label, names.views.len()));
            names.views.push(view);
        }
    }

    /// A version is reached by its alias, which names all revisions that carry the label, and each revision by
    /// its hash.
    fn add_versions(&self, names: &mut Names, plain: &mut PlainViews) {
        let versions = &self.outcome.versions;
        // The hash of a bare pod is its version's label, which may be no DNS label; then only its alias is one.
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let named = || versions.iter().filter(|version| version.is_name);
        let hashes = named()
            .map(|v| &v.hash)
            .filter(|hash| hash.bytes().all(fits));
        let mut labels: Vec<&Arc<str>> = named().map(|v| &v.alias).chain(hashes).collect();
        labels.sort();
        labels.dedup();
        // An alias and a hash mostly call the same revisions: then they are one view.
        let mut known: Vec<(Vec<bool>, usize)> = Vec::new();
        for label in labels {
            let called: Vec<bool> = versions
                .iter()
                .map(|version| {
                    version.is_name && (version.alias == *label || version.hash == *label)
                })
                .collect();
            let view = match known.iter().find(|(versions, _)| *versions == called) {
                Some((_, view)) => *view,
                None => {
                    let mut view = plain.of(self, &names.ports, |version| called[version]);
                    view.text = (0..versions.len())
                        .filter(|version| called[*version])
                        .collect();
                    known.push((called, names.views.len()));
                    names.views.push(view);
                    names.views.len() - 1
                }
            };
            names.versions.push((Arc::clone(label), view));
            // The hash of a bare pod may be such a word, also that of a role which this strategy does not have.
            if !is_role_word(label) {
                names.plain.push((Arc::clone(label), view));
            }
        }
    }

    /// The reverse names of hosts, and what is wrong with hosts' names.
    fn reverse_of_hosts(&self, records: &mut Records) {
        for label in self.hosts.of_many_versions() {
            let text = format!(
                "the hostname `{label}` is that of several versions' endpoints; SRV records lead to names by \
                 address, so that each version keeps its own"
            );
            let problem = Problem::of_service(&self.view.key, text);
            records.problems.push(problem.at(self.view.origin.as_ref()));
        }
        for host in self.hosts.list.iter().filter(|host| !host.is_second) {
            for address in &host.addresses {
                let (address, host) = (*address, Some(Arc::clone(&host.label)));
                records.reverse.push(Reverse { address, host });
            }
        }
    }

    fn endpoint_ttl(&self) -> u32 {
        match self.outcome.basis {
            Basis::Terminating => self.outcome.ttl.min(TTL_TERMINATING_MAX),
            Basis::Ready | Basis::Nothing => self.outcome.ttl,
        }
    }
}

/// The first whole second since the epoch that is not before `at`: an answer's age is counted in such.
fn second_after(at: Timestamp) -> Option<u64> {
    let has_begun = i64::from(at.subsec_nanosecond() > 0);
    u64::try_from(at.as_second() + has_begun).ok()
}

impl PortName {
    pub(super) fn is(&self, name: Option<&Arc<str>>, protocol: Protocol) -> bool {
        name == Some(&self.name) && self.protocol == protocol
    }
}

fn named_ports<'p>(ports: impl Iterator<Item = (Option<&'p Arc<str>>, Protocol)>) -> Vec<PortName> {
    let mut names: Vec<PortName> = ports
        .filter_map(|(name, protocol)| {
            let name = Arc::clone(name.filter(|name| !name.is_empty())?);
            Some(PortName { name, protocol })
        })
        .collect();
    names.sort();
    names.dedup();
    names
}
