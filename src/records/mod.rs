//! Record sets: which names a service has, and which addresses and weights stand behind each.
//!
//! Given a [`ServiceView`](crate::model::ServiceView) and what `rollout` made of it, [`compile()`] returns [`Records`]: names relative to the
//! service, sets as values. It knows labels, weights, TTLs and which name exists; it knows no zone and no byte
//! of a message, so the same records serve every zone.
//!
//! ```text
//!   web.shop.svc.Z                      view 0: the split
//!   ├── 10-1-2-3                        a host: one target, whatever the split
//!   ├── _tcp ── _http                   SRV of view 0
//!   ├── v2, _version ── v2              a view: the endpoints of one version
//!   ├── stable, _role ── stable         a view: the endpoints of one role; blue/green has active and preview
//!   ├── all, _role ── all               the view for clients that take an answer for the membership
//!   └── _versions, _rollout             TXT: what the shares are, and why
//! ```

mod compile;
mod hosts;
mod reshare;
mod sticky;
mod text;
mod views;

#[cfg(test)]
pub(crate) mod testing;

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Problem, Protocol, ServiceKey};

pub use compile::compile;
pub use hosts::{Host, address_label};
pub use reshare::{Moved, Shape, reshare};
pub use sticky::{Sticky, StickyVersion, Target, TargetPort};
pub use text::RolloutText;
pub(crate) use views::weigh_alike;

/// What `compile` needs to know beside the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The time to live of cluster IPs, PTR, and what no other rule covers, in seconds.
    pub ttl_cluster_ip: u32,
    /// An endpoint without a hostname is called by its pod's name rather than by its address.
    pub endpoint_pod_names: bool,
    /// A headless service without endpoints keeps its names (NODATA), rather than having none (NXDOMAIN).
    pub keep_empty: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttl_cluster_ip: 30,
            endpoint_pod_names: false,
            keep_empty: false,
        }
    }
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
        /// The addresses of a target outside our zones, where they are known: answered behind the CNAME.
        addresses: Vec<IpAddr>,
    },
    /// Addresses, hosts, ports and views.
    Names(Box<Names>),
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
    pub rollout_text: Vec<RolloutText>,
    /// The time to live of every view.
    pub ttl: u32,
    /// The time to live of hosts, which are endpoints also where the views are a cluster IP.
    pub ttl_hosts: u32,
    /// The time to live of the strings.
    pub ttl_text: u32,
    /// What the service's own name answers where a client keeps its endpoint; view 0 is then not answered.
    pub sticky: Option<Sticky>,
    /// The second since the epoch in which views change by themselves: no answer of theirs is to be kept beyond it.
    pub cut_over: Option<u64>,
}

impl Content {
    /// The time to live of the addresses of an alias' target, in seconds.
    ///
    /// It does not change while they stay, so that a refresh which brings nothing new publishes nothing; counted down, every
    /// refresh would be a publication. And it is not above the least time between two refreshes, so that what a client holds
    /// is older than its own records allow by that little at most. It is as long as for endpoints, which come and go as well.
    pub const TTL_TARGET: u32 = 5;
}

impl Names {
    /// The strings of a view.
    pub fn texts<'n>(&'n self, view: &'n View) -> impl Iterator<Item = &'n String> {
        let lines = view.text.iter();
        lines.filter_map(|line| self.versions_text.get(*line))
    }
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
    /// The lines of `_versions`, for the name of a version: indices into [`Names::versions_text`].
    pub text: Vec<usize>,
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
    /// Its part of what its version's members have, in percent of a whole one; 100 where none is told apart.
    pub factor: u8,
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
    /// Its part of that share, as a member's.
    pub factor: u8,
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

#[cfg(test)]
mod tests;
