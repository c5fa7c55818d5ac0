//! Look-ups: hickory-resolver, as thin as it can be.
//!
//! Only the resolvers that were configured are asked: no system configuration is read, no hosts file, no search list, and
//! every name is absolute. Each resolver has a client of its own, because a pool of the library takes the first failure for
//! an answer: here the next one is asked. What is cached is the schedule's business, so the clients cache nothing.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{self, RData, Record, RecordType};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use thiserror::Error;
use tokio::time;

use super::schedule::{Nothing, Told};
use crate::model::Family;
use crate::wire::Name;

/// Links of a chain that are followed: as many as the library asks for itself, and those that one answer brings.
const LINKS_MAX: usize = 16;
/// A whole look-up, however many links and resolvers it takes. A resolver that is slower than this is no use.
const PATIENCE_TIMES: u32 = 5;

/// A client could not be made.
#[derive(Debug, Error)]
#[error("cannot use `{address}` as a resolver")]
pub struct StartError {
    address: SocketAddr,
    #[source]
    source: NetError,
}

/// The resolvers, in the order of the configuration.
#[derive(Clone)]
pub(super) struct Resolvers {
    clients: Arc<[TokioResolver]>,
    /// The one that answered last is asked first: one that is gone costs its time once, not with every look-up.
    first: Arc<AtomicUsize>,
    patience: Duration,
}

impl Resolvers {
    pub(super) fn new(servers: &[SocketAddr], patience: Duration) -> Result<Self, StartError> {
        let clients = servers.iter().map(|address| {
            client(*address, patience).map_err(|source| StartError {
                address: *address,
                source,
            })
        });
        Ok(Self {
            clients: clients.collect::<Result<_, _>>()?,
            first: Arc::default(),
            patience,
        })
    }

    /// Asks one resolver after another until one of them knows.
    pub(super) async fn look_up(self, name: Name, family: Family) -> Told {
        let all = self.ask_all(&name, family);
        let told = time::timeout(self.patience * PATIENCE_TIMES, all).await;
        told.unwrap_or(Told::Failed(NO_ANSWER.into()))
    }

    async fn ask_all(&self, name: &Name, family: Family) -> Told {
        let Ok(absolute) = rr::Name::from_labels(name.labels()) else {
            return Told::Failed("it is no name that can be asked for".into());
        };
        let first = self.first.load(Ordering::Relaxed);
        let mut last = Told::Failed("there is no resolver".into());
        for step in 0..self.clients.len() {
            let index = (first + step) % self.clients.len();
            let Some(client) = self.clients.get(index) else {
                continue;
            };
            last = ask(client, absolute.clone(), family).await;
            if !matches!(last, Told::Failed(_)) {
                self.first.store(index, Ordering::Relaxed);
                break;
            }
        }
        last
    }
}

const NO_ANSWER: &str = "no answer";

fn client(address: SocketAddr, patience: Duration) -> Result<TokioResolver, NetError> {
    let connection = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    // TCP where an answer is truncated.
    let connections = vec![
        connection(ConnectionConfig::udp()),
        connection(ConnectionConfig::tcp()),
    ];
    let server = NameServerConfig::new(address.ip(), true, connections);
    let config = ResolverConfig::from_name_servers(vec![server]);
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Never;
    options.cache_size = 0;
    options.ndots = 0;
    options.timeout = patience;
    // Within that time a datagram is sent again by itself.
    options.attempts = 0;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

async fn ask(client: &TokioResolver, mut name: rr::Name, family: Family) -> Told {
    name.set_fqdn(true);
    let of = match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    };
    match client.lookup(name.clone(), of).await {
        Ok(lookup) => read(&name, family, lookup.answers()),
        Err(error) => read_error(&error),
    }
}

/// The addresses at the end of the chain that begins with `name`, for as long as the shortest link of it is good. Records
/// of other names are nobody's business.
fn read(name: &rr::Name, family: Family, answers: &[Record]) -> Told {
    let mut name = name;
    let mut ttl = u32::MAX;
    for _ in 0..LINKS_MAX {
        let own = || answers.iter().filter(|record| record.name == *name);
        let addresses: Vec<IpAddr> = own()
            .filter_map(|record| record.data.ip_addr())
            .filter(|address| Family::of(*address) == family)
            .collect();
        if !addresses.is_empty() {
            let ttls = own().filter(|record| record.data.ip_addr().is_some());
            ttl = ttls.fold(ttl, |ttl, record| ttl.min(record.ttl));
            return Told::Addresses(addresses, Duration::from_secs(ttl.into()));
        }
        let link = own().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((&target.0, record.ttl)),
            _ => None,
        });
        let Some((target, link_ttl)) = link else {
            break;
        };
        (name, ttl) = (target, ttl.min(link_ttl));
    }
    Told::Failed("the answer does not lead to an address".into())
}

fn read_error(error: &NetError) -> Told {
    let failed = |why: &'static str| Told::Failed(Cow::Borrowed(why));
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let nothing = match none.response_code {
                ResponseCode::NXDomain => Nothing::Name,
                // A server that sends us on has not looked for itself.
                ResponseCode::NoError if none.soa.is_none() && none.ns.is_some() => {
                    return failed("the resolver does not resolve, it refers to others");
                }
                ResponseCode::NoError => Nothing::Address,
                code => return Told::Failed(of_code(code)),
            };
            let ttl = none.negative_ttl.map(|ttl| Duration::from_secs(ttl.into()));
            Told::Nothing(nothing, ttl)
        }
        NetError::Dns(DnsError::ResponseCode(code)) => Told::Failed(of_code(*code)),
        NetError::Timeout => failed(NO_ANSWER),
        // The kind alone: a text that differs each time would be another problem each time.
        NetError::Io(error) => Told::Failed(error.kind().to_string().into()),
        NetError::NoConnections | NetError::Busy => failed("the resolver cannot be reached"),
        NetError::Truncated => failed("the answer is truncated over TCP too"),
        _ => failed("the answer cannot be read"),
    }
}

fn of_code(code: ResponseCode) -> Cow<'static, str> {
    match code {
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        code => format!("response code {}", u16::from(code)).into(),
    }
}

#[cfg(test)]
mod tests;
