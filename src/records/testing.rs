//! Splits as text, for the tests of this floor and of those above it.
//!
//! ```text
//! v2 canary 10%: a=10.2.0.1,fd00::2:1 b@50=10.2.0.2; v1 stable 90%: c+=10.1.0.1
//! ```
//! A version with its role, `-` for none, and its share; then its targets: the UID, a factor where it is not 100, and
//! addresses. Every target has the port `http` (8080); `+` has also `admin` (9000) and one without a name (7000).

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Endpoint, EndpointPort, Policy, PolicySource, Protocol, Revision, ServiceKey, ServiceKind,
    ServiceView, Share, Uid,
};
use crate::rollout::{Memory, Outcome, Role, evaluate};

/// When everything happens.
pub(crate) const NOW: i64 = 1_800_000_000;

/// A service, and what its roll-out came to.
pub(crate) struct Split {
    pub(crate) view: ServiceView,
    pub(crate) outcome: Outcome,
}

/// The headless service `shop/web` with this split.
pub(crate) fn split(text: &str) -> Split {
    let versions: Vec<(&str, &str)> = text
        .split("; ")
        .map(|version| version.split_once(": ").unwrap_or((version, "")))
        .collect();
    let heads: Vec<Vec<&str>> = versions
        .iter()
        .map(|(head, _)| head.split(' ').collect())
        .collect();
    let mut endpoints: Vec<(Endpoint, u8)> = versions
        .iter()
        .enumerate()
        .flat_map(|(revision, (_, targets))| {
            let targets = targets.split_whitespace();
            targets.flat_map(move |target| endpoints(target, revision))
        })
        .collect();
    endpoints.sort_by_key(|(endpoint, _)| endpoint.address);
    let (endpoints, factors): (Vec<Endpoint>, Vec<u8>) = endpoints.into_iter().unzip();
    let view = ServiceView {
        key: ServiceKey::new("shop", "web"),
        uid: "web-uid".into(),
        created: None,
        origin: None,
        kind: ServiceKind::Headless,
        ports: Vec::new(),
        annotations: Vec::new(),
        policy_of: PolicySource::Annotations,
        publish_not_ready: false,
        has_backends: false,
        endpoints,
        revisions: heads.iter().map(|head| revision(head[0])).collect(),
        workloads: Vec::new(),
        external: None,
    };
    let now = Timestamp::from_second(NOW).unwrap();
    let mut outcome = evaluate(&view, &Policy::default(), &Memory::default(), now);
    for (version, head) in outcome.versions.iter_mut().zip(&heads) {
        let percent: u64 = head[2].strip_suffix('%').unwrap().parse().unwrap();
        version.share = Share::from_basis_points(percent * 100);
        version.role = match head[1] {
            "canary" => Some(Role::Canary),
            "stable" => Some(Role::Stable),
            "active" => Some(Role::Active),
            "preview" => Some(Role::Preview),
            _ => None,
        };
    }
    outcome.weighted = true;
    if factors.iter().any(|factor| *factor != 100) {
        outcome.factors = factors;
    }
    Split { view, outcome }
}

fn revision(name: &str) -> Revision {
    Revision {
        hash: name.into(),
        label: name.into(),
        workload: None,
        number: None,
        created: None,
        pods: 0,
        reused: false,
        template: None,
        images: None,
        declared: None,
        deadline_exceeded: false,
        stalled: None,
        troubles: Vec::new(),
    }
}

/// The endpoints of a target, with their factor.
fn endpoints(target: &str, revision: usize) -> impl Iterator<Item = (Endpoint, u8)> {
    let (name, addresses) = target.split_once('=').unwrap();
    let (name, factor) = name.split_once('@').unwrap_or((name, "100"));
    let port = |name: Option<&str>, number| EndpointPort {
        name: name.map(Arc::from),
        protocol: Protocol::Tcp,
        number,
    };
    let mut ports = vec![port(Some("http"), 8080)];
    if name.ends_with('+') {
        ports.extend([port(Some("admin"), 9000), port(None, 7000)]);
    }
    let ports: Arc<[EndpointPort]> = ports.into();
    let uid: Uid = name.trim_end_matches('+').into();
    let factor: u8 = factor.parse().unwrap();
    let addresses: Vec<IpAddr> = addresses.split(',').map(|a| a.parse().unwrap()).collect();
    addresses.into_iter().map(move |address| {
        let endpoint = Endpoint {
            address,
            uid: uid.clone(),
            pod: None,
            hostname: None,
            ready: true,
            serving: true,
            terminating: false,
            zone: None,
            node: None,
            ready_since: None,
            disputed: false,
            restarts: 0,
            revision: Some(revision),
            ports: Arc::clone(&ports),
        };
        (endpoint, factor)
    })
}
