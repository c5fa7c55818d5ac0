//! What resolvers upstream tell of a name outside our zones.

use std::net::IpAddr;

/// The addresses of a name that others are the authority for, as they were last learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// IPv4 before IPv6, sorted, each once: resolvers rotate them, and the same addresses are no news.
    pub addresses: Vec<IpAddr>,
    /// What is wrong, to be read behind the name: `does not exist`, `cannot be looked up: SERVFAIL`.
    pub trouble: Option<String>,
}
