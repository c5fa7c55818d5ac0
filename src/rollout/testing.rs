//! Services as text, for the tests of this module.
//!
//! ```text
//! workload web N=10 unavailable=2 paused complete        the default: `web`, N as many as there are pods
//! v1 rev1 9 ready 1 unready 2 terminating                a revision of the last workload named
//! v1 rev3 hash=bbb born=1 dual 2 ready                   born: minutes; rev by default. dual, v6: its addresses
//! v1 bare declares=9 2 ready                             a version without a workload; what its owner declares
//! unversioned 1 ready                                    endpoints without a version
//! service clusterip | external | publish                 what else is true of the service
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Endpoint, PolicySource, Revision, ServiceKey, ServiceKind, ServiceView, Workload, WorkloadKey,
    WorkloadKind,
};

/// Minute `minutes` of the tests' time.
pub(super) fn minute(minutes: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + 60 * minutes).unwrap()
}

/// The service `shop/web` with what `text` puts behind it, and annotations as `key: value; key: value`.
pub(super) fn view(text: &str, annotations: &str) -> ServiceView {
    let mut view = ServiceView {
        key: ServiceKey::new("shop", "web"),
        uid: "".into(),
        created: None,
        origin: None,
        kind: ServiceKind::Headless,
        ports: Vec::new(),
        annotations: annotations
            .split("; ")
            .filter_map(|line| line.split_once(": "))
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        policy_of: PolicySource::Annotations,
        publish_not_ready: false,
        has_backends: annotations
            .split("; ")
            .any(|line| line.starts_with("backends: ")),
        endpoints: Vec::new(),
        revisions: Vec::new(),
        workloads: Vec::new(),
        external: None,
    };
    let mut counted = Vec::new();
    for clause in text.split("; ").filter(|clause| !clause.is_empty()) {
        let words: Vec<&str> = clause.split_whitespace().collect();
        match words[0] {
            "workload" => {
                let (workload, is_counted) = workload(&words[1..]);
                view.workloads.push(workload);
                counted.push(is_counted);
            }
            "service" => apply(&mut view, words[1]),
            _ => {
                if view.workloads.is_empty() && words[1].starts_with("rev") {
                    view.workloads.push(workload(&["web"]).0);
                    counted.push(true);
                }
                version(&mut view, &words);
            }
        }
    }
    for revision in &view.revisions {
        if let Some(index) = revision.workload
            && counted[index]
        {
            view.workloads[index].replicas += revision.pods;
        }
    }
    view
}

fn apply(view: &mut ServiceView, word: &str) {
    match word {
        "clusterip" => view.kind = ServiceKind::ClusterIp { addresses: vec![] },
        "external" => {
            view.kind = ServiceKind::ExternalName {
                target: "a.example".into(),
            };
        }
        "publish" => view.publish_not_ready = true,
        _ => panic!("`{word}`"),
    }
}

/// A workload, and whether its desired pods are those that will be listed.
fn workload(words: &[&str]) -> (Workload, bool) {
    let mut workload = Workload {
        key: WorkloadKey {
            kind: WorkloadKind::Deployment,
            namespace: "shop".into(),
            name: words[0].into(),
        },
        replicas: 0,
        max_unavailable: 0,
        paused: false,
        complete: false,
        paused_since: None,
        observed: true,
        min_ready_secs: 0,
        partition: 0,
        on_delete: false,
    };
    let mut is_counted = true;
    for word in &words[1..] {
        match word.split_once('=') {
            Some(("N", n)) => {
                workload.replicas = n.parse().unwrap();
                is_counted = false;
            }
            Some(("unavailable", n)) => workload.max_unavailable = n.parse().unwrap(),
            None if *word == "paused" => workload.paused = true,
            None if *word == "complete" => workload.complete = true,
            _ => panic!("`{word}`"),
        }
    }
    (workload, is_counted)
}

fn version(view: &mut ServiceView, words: &[&str]) {
    let label = words[0];
    let index = view.revisions.len();
    let (mut number, mut born, mut hash) = (None, None, label.to_lowercase());
    let mut workload = view.workloads.len().checked_sub(1);
    let (mut dual, mut v6) = (false, false);
    let mut declared = None;
    let mut count = 0;
    let mut pods = 0;
    for word in &words[1..] {
        if let Some(value) = word.strip_prefix("rev") {
            number = Some(value.parse::<i64>().unwrap());
        } else if let Some(value) = word.strip_prefix("born=") {
            born = Some(value.parse::<i64>().unwrap());
        } else if let Some(value) = word.strip_prefix("hash=") {
            value.clone_into(&mut hash);
        } else if let Some(value) = word.strip_prefix("declares=") {
            declared = Some(value.parse::<u32>().unwrap());
        } else if let Ok(value) = word.parse::<u32>() {
            count = value;
        } else {
            match *word {
                "bare" => workload = None,
                "dual" => dual = true,
                "v6" => v6 = true,
                "ready" | "unready" | "terminating" => {
                    for _ in 0..count {
                        let revision = (label != "unversioned").then_some(index);
                        pod(view, revision, word, (dual, v6));
                    }
                    if *word != "terminating" {
                        pods += count;
                    }
                }
                _ => panic!("`{word}`"),
            }
        }
    }
    if label != "unversioned" {
        view.revisions.push(Revision {
            hash: hash.into(),
            label: label.into(),
            workload,
            number,
            created: born.or(number).map(minute),
            pods,
            reused: false,
            template: None,
            images: None,
            declared,
            deadline_exceeded: false,
            stalled: None,
            troubles: Vec::new(),
        });
    }
}

fn pod(view: &mut ServiceView, revision: Option<usize>, word: &str, (dual, v6): (bool, bool)) {
    let serial = u16::try_from(view.endpoints.len()).unwrap();
    let [high, low] = serial.to_be_bytes();
    let v4_address = IpAddr::V4(Ipv4Addr::new(10, 0, high, low));
    let v6_address = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, serial));
    let addresses = match (dual, v6) {
        (true, _) => vec![v4_address, v6_address],
        (_, true) => vec![v6_address],
        _ => vec![v4_address],
    };
    for address in addresses {
        view.endpoints.push(Endpoint {
            address,
            uid: format!("uid-{serial}").into(),
            pod: None,
            hostname: None,
            ready: word == "ready" || view.publish_not_ready,
            serving: word != "unready",
            terminating: word == "terminating",
            zone: None,
            node: None,
            ready_since: None,
            disputed: false,
            restarts: 0,
            revision,
            ports: Arc::new([]),
        });
    }
}
