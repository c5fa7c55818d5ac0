//! Record sets: which names a service has, and which addresses and weights stand behind each.
//!
//! Given a [`ServiceView`] and what `rollout` made of it, [`compile`] returns [`Records`]: names relative to the
//! service, sets as values. It knows labels, weights, TTLs and which name exists; it knows no zone and no byte
//! of a message, so the same records serve every zone.
//!
//! ```text
//!   web.shop.svc.Z                      view 0: the split
//!   ├── 10-1-2-3                        a host: one target, whatever the split
//!   ├── _tcp ── _http                   SRV of view 0
//!   ├── v2, _version ── v2              a view: the endpoints of one version
//!   ├── stable, _role ── stable         a view: the endpoints of one role
//!   ├── all, _role ── all               the view for clients that take an answer for the membership
//!   └── _versions, _rollout             TXT: what the shares are, and why
//! ```

mod hosts;
mod text;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{
    AnswerMode, Endpoint, Family, Port, Problem, Protocol, ServiceKey, ServiceKind, ServiceView,
};
use crate::rollout::{Basis, Outcome, Role};

use hosts::Hosts;
pub use hosts::{Host, address_label};

/// The time-to-live of each kind of record, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttls {
    /// Cluster IPs, PTR, and what no other rule covers.
    pub cluster_ip: u32,
    /// Endpoint addresses.
    pub endpoints: u32,
    /// The most while a track is not Healthy.
    pub rollout: u32,
}

impl Default for Ttls {
    fn default() -> Self {
        Self {
            cluster_ip: 30,
            endpoints: 5,
            rollout: 5,
        }
    }
}

/// TXT records about shares: never cached, they are read to see what is so at this moment.
const TTL_TEXT: u32 = 0;
/// The most for endpoints that are about to go (those of the fall-back): kube-proxy drops them as fast.
const TTL_TERMINATING_MAX: u32 = 5;

/// What `compile` needs to know beside the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Times to live.
    pub ttls: Ttls,
    /// An endpoint without a hostname is called by its pod's name rather than by its address.
    pub endpoint_pod_names: bool,
    /// A headless service without endpoints keeps its names (NODATA), rather than having none (NXDOMAIN).
    pub keep_empty: bool,
}

/// All names of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Records {
    /// Whose names they are.
    pub key: ServiceKey,
    /// The names.
    pub content: Content,
    /// Addresses whose reverse names point here, sorted.
    pub reverse: Vec<Reverse>,
    /// What could not be obeyed.
    pub problems: Vec<Problem>,
}

/// What stands at and below a service's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: NXDOMAIN with all that lies below.
    Absent,
    /// A CNAME, nothing below.
    Alias {
        /// The external name as written.
        target: Arc<str>,
        /// Its time to live.
        ttl: u32,
    },
    /// Addresses, hosts, ports and views.
    Names(Names),
}

/// The names at and below a service that has addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Named ports, sorted; [`View::srv`] is parallel to it.
    pub ports: Vec<PortName>,
    /// Names of single targets, sorted by label.
    pub hosts: Vec<Host>,
    /// View 0 is the service's own name.
    pub views: Vec<View>,
    /// Views by their label without underscores, sorted; labels of hosts are not among them.
    pub plain: Vec<(Arc<str>, usize)>,
    /// Views below `_version`, sorted by label.
    pub versions: Vec<(Arc<str>, usize)>,
    /// Views below `_role`, sorted by label.
    pub roles: Vec<(Arc<str>, usize)>,
    /// The strings of `_versions`, one a version; empty where the service has no version names.
    pub versions_text: Vec<String>,
    /// The strings of `_rollout`, one a track, without the generation: it is known when they are published.
    pub rollout_text: Vec<String>,
    /// The time to live of every view.
    pub ttl: u32,
    /// The time to live of hosts, which are endpoints also where the views are a cluster IP.
    pub ttl_hosts: u32,
    /// The time to live of the strings.
    pub ttl_text: u32,
}

/// The labels `_http._tcp`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortName {
    /// The port's name, without the underscore.
    pub name: Arc<str>,
    /// The protocol.
    pub protocol: Protocol,
}

/// The record sets of one name: the service's, or that of a version or role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// A records.
    pub a: Addresses,
    /// AAAA records.
    pub aaaa: Addresses,
    /// SRV records by port, parallel to [`Names::ports`].
    pub srv: Vec<Vec<Srv>>,
    /// SRV records of all ports, unnamed ones included: what the bare name answers.
    pub srv_bare: Vec<Srv>,
    /// The line of `_versions`, for the name of a version.
    pub text: Vec<String>,
}

/// An address set of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Its records in circular order: by version, zone, node and UID, so that a sample spreads over them.
    pub members: Vec<Member>,
    /// How an answer is chosen from them.
    pub choice: Choice,
}

/// One address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The address.
    pub address: IpAddr,
    /// Index into the outcome's versions.
    pub version: u16,
}

/// How an answer is chosen from an address set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// All of them, always in this order.
    #[default]
    Fixed,
    /// All of them, the first one drawn.
    Rotated,
    /// A systematic sample by weight.
    Mixed {
        /// The share of each version that has members here, in basis points, by version.
        shares: Vec<(u16, u32)>,
        /// The most records in an answer.
        records: u8,
    },
    /// Records of one version, drawn by share.
    Pure {
        /// As for `Mixed`.
        shares: Vec<(u16, u32)>,
        /// The most records in an answer.
        records: u8,
    },
}

/// One SRV record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Srv {
    /// What it points to.
    pub target: SrvTarget,
    /// The port.
    pub port: u16,
    /// Which version it is of, for its weight; `None`: alone, or all equal.
    pub version: Option<u16>,
    /// The share of that version, in basis points.
    pub share: u32,
}

/// What an SRV record points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrvTarget {
    /// The service's own name.
    Service,
    /// A host, by its index in [`Names::hosts`].
    Host(usize),
}

/// An address whose reverse name points to this service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reverse {
    /// The address.
    pub address: IpAddr,
    /// The host's label; `None`: the service itself, by a cluster IP.
    pub host: Option<Arc<str>>,
}

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
                ttl: settings.ttls.cluster_ip,
            };
        }
        ServiceKind::Headless => {
            if outcome.basis == Basis::Nothing && !settings.keep_empty {
                return records;
            }
            let compiler = Compiler::new(view, outcome, settings);
            records.content = Content::Names(compiler.endpoint_names(&mut records));
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
            records.content = Content::Names(names);
        }
    }
    records.reverse.sort();
    records.reverse.dedup();
    records
}

struct Compiler<'a> {
    view: &'a ServiceView,
    outcome: &'a Outcome,
    hosts: Hosts,
    ttls: Ttls,
    /// Indices of the endpoints that count, in circular order.
    counting: Vec<usize>,
    /// Two endpoints may have one address: pods of a node's own network do.
    shared_addresses: bool,
}

/// Plain views by the versions in them, each made once: most of a service's names have the same.
#[derive(Default)]
struct PlainViews(Vec<(Vec<bool>, View)>);

impl PlainViews {
    fn of(
        &mut self,
        compiler: &Compiler<'_>,
        ports: &[PortName],
        include: impl Fn(usize) -> bool,
    ) -> View {
        let versions = 0..compiler.outcome.versions.len();
        let included: Vec<bool> = versions.map(include).collect();
        if let Some((_, view)) = self.0.iter().find(|(known, _)| *known == included) {
            return view.clone();
        }
        let view = compiler.plain_view(ports, |version| included[version]);
        self.0.push((included, view.clone()));
        view
    }
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
            hosts: Hosts::of(view, &counting, settings.endpoint_pod_names),
            ttls: settings.ttls,
            counting,
            shared_addresses,
        }
    }

    fn endpoint(&self, index: usize) -> &'a Endpoint {
        &self.view.endpoints[index]
    }

    fn version_of(&self, index: usize) -> usize {
        self.outcome.endpoint_versions[index]
    }

    /// Whether a ClusterIP service answers endpoints: it was asked to, and clients that take only the address
    /// would reach the port they know.
    fn answers_endpoints(&self, records: &mut Records) -> bool {
        let backends = self
            .view
            .annotations
            .iter()
            .any(|(key, _)| **key == *"backends");
        if !self.outcome.policy.endpoints && !backends {
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
        let problem = Problem::of_service(&self.view.key, text).at(self.view.origin.as_ref());
        records.problems.push(problem);
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
            ttl: self.ttls.cluster_ip,
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
            ..Names::default()
        };
        let lines = text::versions(self.outcome, self.view);
        let mut plain = PlainViews::default();
        names.views.push(self.split_view(&names.ports, &mut plain));
        self.add_roles(&mut names, &mut plain);
        self.add_versions(&mut names, &lines, &mut plain);
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

    fn add_roles(&self, names: &mut Names, plain: &mut PlainViews) {
        let mut all = plain.of(self, &names.ports, |_| true);
        all.a.choice = Choice::Fixed;
        all.aaaa.choice = Choice::Fixed;
        let mut of_role = |role: Role| {
            let has_role = |version: usize| self.outcome.versions[version].role == Some(role);
            plain.of(self, &names.ports, has_role)
        };
        let (stable, canary) = (of_role(Role::Stable), of_role(Role::Canary));
        for (label, view) in [("all", all), ("stable", stable), ("canary", canary)] {
            let label: Arc<str> = label.into();
            names.roles.push((Arc::clone(&label), names.views.len()));
            names.plain.push((label, names.views.len()));
            names.views.push(view);
        }
    }

    /// A version is reached by its alias, which names all revisions that carry the label, and each revision by
    /// its hash.
    fn add_versions(&self, names: &mut Names, lines: &[String], plain: &mut PlainViews) {
        let versions = &self.outcome.versions;
        // The hash of a bare pod is its version's label, which may be no DNS label; then only its alias is one.
        let hashes = versions.iter().map(|v| &v.hash).filter(|hash| {
            let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            hash.bytes().all(fits)
        });
        let mut labels: Vec<&Arc<str>> = versions.iter().map(|v| &v.alias).chain(hashes).collect();
        labels.sort();
        labels.dedup();
        // An alias and a hash mostly call the same revisions: then they are one view.
        let mut known: Vec<(Vec<bool>, usize)> = Vec::new();
        for label in labels {
            let called: Vec<bool> = versions
                .iter()
                .map(|version| version.alias == *label || version.hash == *label)
                .collect();
            let view = match known.iter().find(|(versions, _)| *versions == called) {
                Some((_, view)) => *view,
                None => {
                    let mut view = plain.of(self, &names.ports, |version| called[version]);
                    let of_version = lines.iter().zip(&called).filter(|(_, called)| **called);
                    view.text = of_version.map(|(line, _)| line.clone()).collect();
                    known.push((called, names.views.len()));
                    names.views.push(view);
                    names.views.len() - 1
                }
            };
            names.versions.push((Arc::clone(label), view));
            if !names.plain.iter().any(|(role, _)| role == label) {
                names.plain.push((Arc::clone(label), view));
            }
        }
    }

    fn reverse_of_hosts(&self, records: &mut Records) {
        for host in &self.hosts.list {
            for address in &host.addresses {
                let (address, host) = (*address, Some(Arc::clone(&host.label)));
                records.reverse.push(Reverse { address, host });
            }
        }
    }

    fn endpoint_ttl(&self) -> u32 {
        let policy = &self.outcome.policy.ttl;
        let mut ttl = policy.endpoints.unwrap_or(self.ttls.endpoints);
        if self.outcome.rolling {
            ttl = ttl.min(policy.rollout.unwrap_or(self.ttls.rollout));
        }
        if self.outcome.basis == Basis::Terminating {
            ttl = ttl.min(TTL_TERMINATING_MAX);
        }
        ttl
    }

    /// The service's own name: endpoints by the split.
    fn split_view(&self, ports: &[PortName], plain: &mut PlainViews) -> View {
        let weighted = self.outcome.weighted;
        let share = |version: usize| u32::from(self.outcome.versions[version].share.basis_points());
        if !weighted {
            return plain.of(self, ports, |_| true);
        }
        let mut view = self.weighted_view(ports, |version| share(version) > 0);
        let records = self.outcome.policy.records;
        for set in [&mut view.a, &mut view.aaaa] {
            let mut shares: Vec<(u16, u32)> = Vec::new();
            for member in &set.members {
                if shares
                    .last()
                    .is_none_or(|(version, _)| *version != member.version)
                {
                    shares.push((member.version, share(usize::from(member.version))));
                }
            }
            set.choice = match self.outcome.policy.answer {
                AnswerMode::All => Choice::Rotated,
                AnswerMode::Auto if equal_weights(set, &shares) => Choice::Rotated,
                AnswerMode::Auto | AnswerMode::Mixed => Choice::Mixed { shares, records },
                AnswerMode::Pure => Choice::Pure { shares, records },
            };
            if set.choice == Choice::Rotated {
                set.keep_first_of_each_address();
            }
        }
        for record in view.srv.iter_mut().flatten().chain(&mut view.srv_bare) {
            record.share = record
                .version
                .map_or(0, |version| share(usize::from(version)));
        }
        view
    }

    /// All counting endpoints of the versions that `include` takes, each with the same weight.
    fn plain_view(&self, ports: &[PortName], include: impl Fn(usize) -> bool) -> View {
        let mut view = self.weighted_view(ports, include);
        if self.shared_addresses {
            view.a.keep_first_of_each_address();
            view.aaaa.keep_first_of_each_address();
        }
        view
    }

    /// The same, an address of two versions being a member of both: each has its share there.
    fn weighted_view(&self, ports: &[PortName], include: impl Fn(usize) -> bool) -> View {
        let chosen: Vec<usize> = self
            .counting
            .iter()
            .copied()
            .filter(|index| include(self.version_of(*index)))
            .collect();
        let family = |family: Family| {
            let mut seen = BTreeSet::new();
            let of_family = chosen
                .iter()
                .filter(|index| self.endpoint(**index).family() == family);
            let members = of_family.map(|index| Member {
                address: self.endpoint(*index).address,
                version: u16::try_from(self.version_of(*index)).unwrap_or(u16::MAX),
            });
            Addresses {
                // Pods of a node's own network share its address.
                members: members
                    .filter(|member| {
                        !self.shared_addresses || seen.insert((member.version, member.address))
                    })
                    .collect(),
                choice: Choice::Rotated,
            }
        };
        View {
            a: family(Family::V4),
            aaaa: family(Family::V6),
            srv: ports
                .iter()
                .map(|port| self.srv(&chosen, |name, protocol| port.is(name, protocol)))
                .collect(),
            srv_bare: self.srv(&chosen, |_, _| true),
            text: Vec::new(),
        }
    }

    /// One record for each of the `chosen` endpoints' hosts and each of its slice's ports that `wanted` takes.
    fn srv(
        &self,
        chosen: &[usize],
        wanted: impl Fn(Option<&Arc<str>>, Protocol) -> bool,
    ) -> Vec<Srv> {
        let mut records: Vec<Srv> = Vec::with_capacity(chosen.len());
        // Where every endpoint is a host of its own, only its own records may repeat.
        let shared_hosts = self.hosts.list.len() < self.counting.len();
        let mut seen = BTreeSet::new();
        for index in chosen {
            let host = self.hosts.of_endpoint(*index);
            let version = u16::try_from(self.version_of(*index)).ok();
            let first = records.len();
            for port in self.endpoint(*index).ports.iter() {
                if !wanted(port.name.as_ref(), port.protocol) {
                    continue;
                }
                let is_new = match shared_hosts {
                    true => seen.insert((host, port.number)),
                    false => records[first..].iter().all(|r| r.port != port.number),
                };
                if is_new {
                    records.push(Srv {
                        target: SrvTarget::Host(host),
                        port: port.number,
                        version,
                        share: 0,
                    });
                }
            }
        }
        records
    }
}

impl Addresses {
    /// A set has no two equal records (RFC 2181, section 5).
    fn keep_first_of_each_address(&mut self) {
        let mut seen = BTreeSet::new();
        self.members.retain(|member| seen.insert(member.address));
    }
}

impl PortName {
    fn is(&self, name: Option<&Arc<str>>, protocol: Protocol) -> bool {
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

/// Whether every member weighs the same: share divided by count is one ratio for all versions.
fn equal_weights(set: &Addresses, shares: &[(u16, u32)]) -> bool {
    let count = |version: u16| set.members.iter().filter(|m| m.version == version).count() as u64;
    let mut ratios = shares
        .iter()
        .map(|(version, share)| (u64::from(*share), count(*version)));
    let first = ratios.next();
    first.is_none_or(|first| ratios.all(|other| weigh_alike(first, other)))
}

/// Whether the members of two versions weigh the same, given each version's share and number of members.
///
/// A share is rounded to a basis point, so two thirds for two endpoints and one third for one are alike although
/// 6667 is not twice 3333.
pub(crate) fn weigh_alike(one: (u64, u64), other: (u64, u64)) -> bool {
    let ((share, members), (others_share, others)) = (one, other);
    // Either share is off by less than 1, so equal ratios differ by less than this.
    (share * others).abs_diff(others_share * members) < members + others
}
