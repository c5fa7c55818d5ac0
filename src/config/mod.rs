//! The configuration: what a file and the command line ask for, checked once, as typed values.
//!
//! Given a [`File`] (YAML, versioned, unknown keys refused) and the [`Flags`] of `serve`, [`load`] gives a
//! [`Config`] or every problem there is, each with its file, line and key. Flags win over the file. [`render()`]
//! writes a `Config` as a file that loads again to an equal one.
//!
//! What is not built in this release is accepted at its default and refused otherwise, never ignored. Nothing here
//! opens a socket, reads a token or looks at a manifest: values are taken at their word.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;

use crate::model::{Policy, Problem};
use crate::objects::LabelSelector;

mod changed;
mod check;
mod file;
mod flags;
mod render;
mod text;

pub use changed::{Changes, Effect, changes, keys, without_restart};
pub use file::File;
pub use flags::Flags;
pub use render::render;

/// What is in force. Everything has been checked; names are lower case and without the final dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The zones we are the authority for, at least one; the first is the zone of PTR targets.
    pub zones: Vec<String>,
    /// Networks whose reverse names we own, without host bits.
    pub reverse: Vec<IpNet>,
    /// Where DNS is answered, UDP and TCP; at least one.
    pub listen: Vec<SocketAddr>,
    /// Probes and metrics.
    pub http: SocketAddr,
    /// The API for people and tools.
    pub api: Api,
    /// UDP workers; `None`: one a core.
    pub workers: Option<NonZeroUsize>,
    /// Which processors they run on.
    pub cpu_affinity: CpuAffinity,
    /// The directory of manifests; `None`: a cluster is followed.
    pub manifests: Option<PathBuf>,
    /// Which cluster, where there are no manifests.
    pub kubernetes: Kubernetes,
    /// The file for what must outlive a restart; `None`: nothing does.
    pub state: Option<PathBuf>,
    /// The age up to which a snapshot of a cluster, beside `state`, is begun with; zero: there is none.
    pub snapshot_max_age: Duration,
    /// For how long queries are answered after SIGTERM, while this server says that it is not ready.
    pub lame_duck: Duration,
    /// A directory of zone files; `None`: there are none.
    pub static_zones: Option<PathBuf>,
    /// Resolvers for ExternalName targets outside our zones; empty: their CNAME alone is answered.
    pub upstream: Vec<SocketAddr>,
    /// Namespaces that are served; empty: all.
    pub namespaces: Vec<String>,
    /// Namespaces that are served, by their labels; `None`: all.
    pub namespace_selector: Option<LabelSelector>,
    /// Data age from which answers say that they may be out of date.
    pub stale_after: Duration,
    /// Data age from which this server is not ready; zero: it stays ready, since what it knows is served on.
    pub unready_after: Duration,
    /// Whether pods have names by address.
    pub pods: Pods,
    /// An endpoint without hostname is named after its pod instead of its address.
    pub endpoint_pod_names: bool,
    /// What a headless service without ready endpoints is.
    pub empty_service: EmptyService,
    /// Whether answers carry RA, for clients that insist on it.
    pub recursion_available: bool,
    /// Names in the SOA record.
    pub soa: Soa,
    /// Addresses of `ns.dns.ZONE`; empty: the listen addresses.
    pub name_servers: Vec<IpAddr>,
    /// Times to live.
    pub ttl: Ttl,
    /// The policy of a service that asks nothing itself.
    pub defaults: Policy,
    /// Bounds of what one client or one namespace may take.
    pub limits: Limits,
    /// Namespaces, and top-level domains, whose services get no names.
    pub reserved_namespaces: Vec<String>,
    /// Addresses that are never answered as an endpoint.
    pub address_deny: Vec<IpNet>,
    /// What the server tells about itself.
    pub identity: Identity,
    /// Who gets a copy of what is asked and answered.
    pub dnstap: Dnstap,
}

/// Copies of queries and answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dnstap {
    /// The Unix socket of the receiver; `None`: nothing is copied.
    pub socket: Option<PathBuf>,
    /// What this server is called there; `None`: by its id, else by its host.
    pub identity: Option<String>,
}

/// The listener that tells who runs what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// On loopback, unless there is a token.
    pub listen: SocketAddr,
    /// The file that holds the token; it has not been read.
    pub token_file: Option<PathBuf>,
    /// Whether people may promote, pause and abort through it.
    pub actions: bool,
}

/// Which processors UDP workers run on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CpuAffinity {
    /// Where the scheduler puts them.
    #[default]
    Off,
    /// Each on one of those that the process may use, in turn.
    On,
    /// Each on one of these, in turn; at least one, and none twice.
    Cpus(Vec<usize>),
}

/// The way to a cluster; its files have not been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubernetes {
    /// `None`: the service account of the pod, else the kubeconfig that kubectl would use.
    pub kubeconfig: Option<PathBuf>,
    /// The context in the kubeconfig; `None`: its current one.
    pub context: Option<String>,
}

/// Names of pods such as `10-1-2-3.shop.pod.cluster.local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// There are none.
    Disabled,
    /// Any address has one, whether or not a pod has it.
    Insecure,
    /// Only addresses of pods in that namespace.
    Verified,
}

/// What a headless service without ready endpoints is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyService {
    /// Its names do not exist, as the specification has it.
    Nxdomain,
    /// Its names exist and own nothing.
    Nodata,
}

/// Names in the SOA record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// `None`: `ns.dns.ZONE`.
    pub mname: Option<String>,
    /// The mailbox as a name; `None`: `hostmaster.ZONE`.
    pub rname: Option<String>,
}

/// Times to live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// Of cluster IPs.
    pub cluster_ip: u32,
    /// Of endpoint addresses.
    pub endpoints: u32,
    /// The most while a roll-out is under way.
    pub rollout: u32,
    /// Of the news that there is nothing.
    pub negative: u32,
    /// The least time for which caches in front of us keep an answer, whatever its TTL.
    pub cache_floor: u32,
}

/// Bounds of what one client or one namespace may take; all above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Endpoints of one service that are answered.
    pub endpoints_per_service: usize,
    /// Endpoints of all services of a namespace.
    pub endpoints_per_namespace: usize,
    /// Open TCP connections.
    pub tcp_connections: usize,
    /// How long a connection may be silent.
    pub tcp_idle: Duration,
    /// How long one message may take to come in.
    pub tcp_message: Duration,
}

/// What the server tells about itself; each at most 255 octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// For NSID and `id.server`; `None`: not told.
    pub id: Option<String>,
    /// For `version.bind`; `None`: refused.
    pub version: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file as the operator named it.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something in it, or on the command line, cannot be obeyed. Displayed one problem a line.
    #[error("{}", lines(problems))]
    Invalid {
        /// Everything that is wrong, not only the first.
        problems: Vec<Problem>,
    },
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// The configuration of the file at `path`, else of the defaults, with `flags` over it.
///
/// # Errors
/// See [`ConfigError`]. A file that is empty, or lacks `apiVersion` or `kind`, is an error too: it is more likely
/// the wrong file than a wish for the defaults.
pub fn load(path: Option<&Path>, flags: &Flags) -> Result<Config, ConfigError> {
    let Some(path) = path.or(flags.config.as_deref()) else {
        return check::check(None, &File::default(), flags);
    };
    let source = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let text = fs::read_to_string(path).map_err(source)?;
    let name = path.to_string_lossy();
    let file = file::parse(&name, &text)?;
    check::check(Some(&name), &file, flags)
}

#[cfg(test)]
mod tests;
