//! The cluster as a zone file (RFC 1035, section 5), for servers that read nothing else.
//!
//! Every owner is written out and every name is whole, which all four of them read. TTLs, the weight of SRV records and the SOA's
//! times are those that ShiftDNS answers with, so that all answers are of one size.

use std::fmt::Write as _;

use crate::shape::{PORT, Shape, Sort, ZONE};

/// The whole zone.
pub(crate) fn zone(shape: Shape) -> String {
    let mut text = String::new();
    let mut line = |owner: &str, ttl: u32, rest: &str| {
        writeln!(text, "{owner}. {ttl} IN {rest}").expect("a string takes everything");
    };
    let soa = format!("SOA ns.dns.{ZONE}. hostmaster.{ZONE}. 1 7200 1800 86400 5");
    line(ZONE, 5, &soa);
    line(ZONE, 30, &format!("NS ns.dns.{ZONE}."));
    line(&format!("ns.dns.{ZONE}"), 30, "A 127.0.0.1");
    line(&format!("dns-version.{ZONE}"), 30, "TXT \"1.1.0\"");
    for service in shape.services().filter(|s| s.sort != Sort::Weighted) {
        let ttl = if service.sort == Sort::ClusterIp {
            30
        } else {
            5
        };
        for address in service.addresses() {
            line(&service.dns_name(), ttl, &format!("A {address}"));
            if service.sort == Sort::Headless {
                let name = service.endpoint_name(address);
                line(&name, ttl, &format!("A {address}"));
            }
        }
        for target in service.targets() {
            let srv = format!("SRV 0 256 {PORT} {target}.");
            line(&service.srv_name(), ttl, &srv);
        }
    }
    text
}
