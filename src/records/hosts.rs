//! Hosts: the names of single targets below a service.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Endpoint, ServiceView};

/// The name of a target below its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its label: the endpoint's hostname, else (where asked for) the pod's name, else the address with dashes.
    pub label: Arc<str>,
    /// Its addresses, sorted; both families where a target has both under one hostname.
    pub addresses: Vec<IpAddr>,
    /// A name by address beside a hostname that several versions share: what SRV records of one version point to.
    pub is_second: bool,
}

/// The hosts of a service, and which host each endpoint is.
pub(super) struct Hosts {
    /// Sorted by label.
    pub(super) list: Vec<Host>,
    /// By endpoint: index into `list`; `usize::MAX` for those that do not count.
    by_endpoint: Vec<usize>,
    /// Hostnames that endpoints of several versions have.
    shared: Vec<Arc<str>>,
}

/// A label on its way to a host; sorted, labels of one host stand together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    label: Arc<str>,
    is_second: bool,
    endpoint: usize,
}

impl Hosts {
    /// Hosts of the `counting` endpoints; `versions` tells each endpoint's version.
    pub(super) fn of(
        view: &ServiceView,
        versions: &[usize],
        counting: &[usize],
        pod_names: bool,
    ) -> Self {
        let mut labels: Vec<Label> = counting
            .iter()
            .map(|index| Label {
                label: label_of(&view.endpoints[*index], pod_names),
                is_second: false,
                endpoint: *index,
            })
            .collect();
        labels.sort();
        let of_many_versions = |label: &&[Label]| {
            label
                .iter()
                .any(|one| versions[one.endpoint] != versions[label[0].endpoint])
        };
        let mut second: Vec<Label> = Vec::new();
        let mut shared: Vec<Arc<str>> = Vec::new();
        let hosts = labels.chunk_by(|one, other| one.label == other.label);
        for host in hosts.filter(of_many_versions) {
            shared.push(Arc::clone(&host[0].label));
            second.extend(host.iter().map(|label| Label {
                label: address_label(view.endpoints[label.endpoint].address).into(),
                is_second: true,
                endpoint: label.endpoint,
            }));
        }
        if !second.is_empty() {
            labels.append(&mut second);
            labels.sort();
        }
        let mut hosts = Self {
            list: Vec::with_capacity(labels.len()),
            by_endpoint: vec![usize::MAX; view.endpoints.len()],
            shared,
        };
        for Label {
            label,
            is_second,
            endpoint,
        } in labels
        {
            if hosts.list.last().is_none_or(|host| host.label != label) {
                let addresses = Vec::with_capacity(1);
                hosts.list.push(Host {
                    label,
                    addresses,
                    is_second,
                });
            }
            let place = hosts.list.len() - 1;
            let known = &mut hosts.by_endpoint[endpoint];
            if *known == usize::MAX || is_second {
                *known = place;
            }
            if let Some(host) = hosts.list.last_mut() {
                host.addresses.push(view.endpoints[endpoint].address);
            }
        }
        for host in &mut hosts.list {
            host.addresses.sort_unstable();
            host.addresses.dedup();
        }
        hosts
    }

    pub(super) fn of_endpoint(&self, index: usize) -> usize {
        self.by_endpoint[index]
    }

    /// Hostnames that endpoints of several versions have.
    pub(super) fn of_many_versions(&self) -> impl Iterator<Item = &Arc<str>> {
        self.shared.iter()
    }

    pub(super) fn has(&self, label: &str) -> bool {
        self.list
            .binary_search_by(|host| (*host.label).cmp(label))
            .is_ok()
    }
}

fn label_of(endpoint: &Endpoint, pod_names: bool) -> Arc<str> {
    let pod = endpoint.pod.as_ref().filter(|_| pod_names);
    // A pod's name may hold dots and be longer than a label; then the address serves.
    let pod = pod.filter(|name| name.len() <= 63 && !name.contains('.'));
    match endpoint.hostname.as_ref().or(pod) {
        Some(name) => name.to_ascii_lowercase().into(),
        None => address_label(endpoint.address).into(),
    }
}

/// The address as a label: `10-1-2-3`, `2001-db8--1`; a hyphen at the end gets a `0`, so that the label still
/// reads as an address.
pub fn address_label(address: IpAddr) -> String {
    if let IpAddr::V4(v4) = address {
        return v4_label(v4.octets());
    }
    let mut label = address.to_string().replace([':', '.'], "-");
    if label.ends_with('-') {
        label.push('0');
    }
    label
}

/// Digit by digit: a change of a service writes one for each of its endpoints, and formatting costs five times as much.
fn v4_label(octets: [u8; 4]) -> String {
    let mut label = String::with_capacity("255-255-255-255".len());
    for (place, octet) in octets.into_iter().enumerate() {
        if place > 0 {
            label.push('-');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let zeros = match octet {
            0..10 => 2,
            10..100 => 1,
            _ => 0,
        };
        let digits = digits.into_iter().skip(zeros);
        label.extend(digits.map(|digit| char::from(b'0' + digit)));
    }
    label
}

#[cfg(test)]
mod tests {
    use super::address_label;

    #[test]
    fn addresses_become_labels() {
        for (address, label) in [
            ("10.1.2.3", "10-1-2-3"),
            ("0.99.100.255", "0-99-100-255"),
            ("2001:db8::1", "2001-db8--1"),
            ("2001:db8::", "2001-db8--0"),
            ("::1", "--1"),
        ] {
            assert_eq!(address_label(address.parse().unwrap()), label);
        }
    }
}
