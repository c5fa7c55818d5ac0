//! The cluster that every server has: its services, their names and their addresses, all of them made from numbers.
//!
//! 10,000 services with a cluster IP in 200 namespaces and 1,000 headless ones of ten endpoints, each with one named port; other
//! sizes in the same proportion. Beside them a hundred headless services with two versions and weights, which only ShiftDNS can
//! answer. It knows neither zone files nor Kubernetes objects: `zonefile` and `objects` write it down as those.

use std::net::Ipv4Addr;

/// Endpoints of every headless service.
pub(crate) const ENDPOINTS: usize = 10;
/// The one named port of every service.
pub(crate) const PORT: u16 = 8080;
/// The zone, without the final dot.
pub(crate) const ZONE: &str = "cluster.local";
/// Services with weights, whatever the size.
const WEIGHTED: usize = 100;
/// Of ten endpoints the last three are of the second version.
pub(crate) const SECOND_VERSION_FROM: usize = 7;

/// How many of what there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) cluster_ips: usize,
    pub(crate) headless: usize,
    pub(crate) namespaces: usize,
    /// Only in Kubernetes objects, not in the zone file.
    pub(crate) weighted: usize,
}

impl Shape {
    /// The shape of a cluster of so many cluster IPs.
    pub(crate) fn of(cluster_ips: usize) -> Self {
        Self {
            cluster_ips,
            headless: cluster_ips / 10,
            namespaces: (cluster_ips / 50).max(1),
            weighted: WEIGHTED,
        }
    }

    pub(crate) fn services(self) -> impl Iterator<Item = Service> {
        let cluster_ips = (0..self.cluster_ips).map(|number| (Sort::ClusterIp, number));
        let headless = (0..self.headless).map(|number| (Sort::Headless, number));
        let weighted = (0..self.weighted).map(|number| (Sort::Weighted, number));
        let all = cluster_ips.chain(headless).chain(weighted);
        all.map(move |(sort, number)| self.service(sort, number))
    }

    pub(crate) fn service(self, sort: Sort, number: usize) -> Service {
        Service {
            sort,
            number,
            namespace: number % self.namespaces,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    ClusterIp,
    Headless,
    /// Headless, ten endpoints, the versions `v1` and `v2` with the weights 90 and 10.
    Weighted,
}

/// One service of the cluster.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service {
    pub(crate) sort: Sort,
    pub(crate) number: usize,
    namespace: usize,
}

/// The name of a namespace.
pub(crate) fn namespace(number: usize) -> String {
    format!("team-{number:03}")
}

impl Service {
    pub(crate) fn namespace(self) -> String {
        namespace(self.namespace)
    }

    pub(crate) fn name(self) -> String {
        let word = match self.sort {
            Sort::ClusterIp => "service",
            Sort::Headless => "group",
            Sort::Weighted => "rolling",
        };
        format!("{word}-{:05}", self.number)
    }

    /// Its name in the zone, without the final dot.
    pub(crate) fn dns_name(self) -> String {
        format!("{}.{}.svc.{ZONE}", self.name(), self.namespace())
    }

    /// The name of its port's SRV records.
    pub(crate) fn srv_name(self) -> String {
        format!("_http._tcp.{}", self.dns_name())
    }

    /// What its name has as A records: its cluster IP, or its endpoints.
    pub(crate) fn addresses(self) -> Vec<Ipv4Addr> {
        match self.sort {
            Sort::ClusterIp => vec![address(0xAC10_0100, self.number)],
            _ => (0..ENDPOINTS).map(|e| self.endpoint(e)).collect(),
        }
    }

    pub(crate) fn endpoint(self, endpoint: usize) -> Ipv4Addr {
        let base = match self.sort {
            Sort::Weighted => 0x0AF0_0100,
            _ => 0x0A00_0100,
        };
        address(base, self.number * ENDPOINTS + endpoint)
    }

    /// Where its SRV records lead: itself, or each of its endpoints.
    pub(crate) fn targets(self) -> Vec<String> {
        match self.sort {
            Sort::ClusterIp => vec![self.dns_name()],
            _ => (self.addresses().iter())
                .map(|address| self.endpoint_name(*address))
                .collect(),
        }
    }

    pub(crate) fn endpoint_name(self, address: Ipv4Addr) -> String {
        let host = address.to_string().replace('.', "-");
        format!("{host}.{}", self.dns_name())
    }
}

fn address(base: u32, number: usize) -> Ipv4Addr {
    Ipv4Addr::from(base + u32::try_from(number).expect("below a million"))
}
