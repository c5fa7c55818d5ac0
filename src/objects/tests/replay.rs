//! The replay law: folding changes one by one gives the same views as starting from what is left at the end, and
//! every view that changed was marked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use proptest::sample::select;
use proptest::{collection::vec, prop_assert, prop_assert_eq};

use super::cast::{change, kind, object};
use crate::model::{Problem, ServiceKey};
use crate::objects::{Change, Index, Joined, LabelSelector, Object, Settings};

/// What can be at each place of a small universe, in which names collide as often as they can.
fn line() -> impl Strategy<Value = String> {
    let names = || select(vec!["a", "b"]);
    let ns = || select(vec!["n", "n", "n", "m"]);
    // Pods mostly have the address that slices give them.
    let at = |pod: &str, other: bool| match (pod, other) {
        ("p", false) => "10.1.0.1",
        ("q", false) => "10.1.0.2",
        _ => "10.1.0.3",
    };
    let other = || select(vec![false, false, false, true]);
    let service = (
        (ns(), select(vec!["a", "b", "c"])),
        select(vec![
            "ip=None",
            "ip=10.0.0.1",
            "ip=10.0.0.2",
            "",
            "external=x.example",
        ]),
        select(vec![
            "",
            "select:app=a",
            "select:app=b",
            "select:app=a select:t=x",
        ]),
        select(vec![
            "",
            "@backends=a=1,b=2",
            "@backends=c=1",
            "@version-label=t",
        ]),
        select(vec!["", "creationTimestamp=2026-01-01T00:00:00Z"]),
    )
        .prop_map(|((ns, n), ip, sel, ann, at)| format!("service {ns}/{n} {ip} {sel} {ann} {at}"));
    let endpoint = (
        select(vec!["p", "q", "p", "q", "m/r"]),
        other(),
        select(vec!["", "", "!", "~", "*"]),
    )
        .prop_map(move |(pod, other, flag)| format!("{pod}@{}{flag}", at(pod, other)));
    let slice = (
        (ns(), names()),
        select(vec!["a", "b", "c"]),
        vec(endpoint, 0..4),
    )
        .prop_map(|((ns, n), of, ends)| format!("slice {ns}/s{n} of={of} {}", ends.join(" ")));
    let owner = select(vec![
        "",
        "of=ReplicaSet/r-a",
        "of=ReplicaSet/r-a",
        "of=ReplicaSet/r-b",
        "of=StatefulSet/w",
        "of=DaemonSet/w",
        "of=Job/w",
    ]);
    let labels = select(vec![
        "",
        "version=v1",
        "t=x pod-template-hash=a",
        "controller-revision-hash=w-1 image=i:2",
    ]);
    let flags = select(vec![
        "",
        "!gone",
        "!done",
        "restarts=2",
        "c=2,waiting:CrashLoopBackOff,was:1:50",
        "c=0,waiting:ErrImagePull",
        "c=0,running:5 unready=65",
        "c=0,running:5 ready=6",
    ]);
    let pod = (
        (ns(), select(vec!["p", "q", "r"])),
        owner,
        other(),
        labels,
        flags,
    )
        .prop_map(move |((ns, n), owner, other, labels, flags)| {
            format!("pod {ns}/{n} {owner} ip={} {labels} {flags}", at(n, other))
        });
    let set = (
        (ns(), names()),
        select(vec![
            "",
            "of=Deployment/w",
            "of=Deployment/w",
            "of=Rollout/w",
        ]),
        1..3_i32,
        select(vec!["", "pod-template-hash=a", "version=v3"]),
        select(vec![
            "",
            "",
            "history=1",
            "failing=FailedCreate@60",
            "image=i:3",
        ]),
    )
        .prop_map(|((ns, n), of, rev, labels, facts)| {
            format!("replicaset {ns}/r-{n} {of} rev={rev} {labels} {facts}")
        });
    let revision = (
        ns(),
        select(vec!["1", "2"]),
        select(vec!["StatefulSet", "DaemonSet"]),
        1..3_i32,
        select(vec!["", "image=i:3"]),
    )
        .prop_map(|(ns, n, of, rev, image)| {
            format!("revision {ns}/w-{n} of={of}/w rev={rev} {image}")
        });
    let workload = (
        select(vec!["deployment", "statefulset", "daemonset"]),
        ns(),
        select(vec!["", "", "", "uid=other"]),
        select(vec!["app=a", "app=b", "app=a t=x"]),
        1..3_i32,
        select(vec![
            "",
            "",
            "exceeded=r-a",
            "failing=FailedCreate@60",
            "paused@60",
            "minready=9 generation=1",
        ]),
    )
        .prop_map(|(kind, ns, uid, labels, n, facts)| {
            format!("{kind} {ns}/w {uid} {labels} replicas={n} {facts}")
        });
    let namespace =
        (ns(), select(vec!["", "env=prod"])).prop_map(|(ns, env)| format!("namespace {ns} {env}"));
    let resource = (
        (ns(), select(vec!["a", "b", "c"])),
        select(vec![
            r#"{}"#,
            r#"{"soak":"5s"}"#,
            r#"{"soak":5}"#,
            r#"{"versionLabel":"t"}"#,
            r#"{"backends":[{"service":"a","weight":1},{"service":"b","weight":2}]}"#,
            r#"{"backends":[{"service":"c","weight":1}]}"#,
        ]),
    )
        .prop_map(|((ns, n), spec)| format!("rollout {ns}/{n} {spec}"));
    prop_oneof![4 => service, 4 => slice, 4 => pod, 2 => set, 1 => revision, 2 => workload, 1 => namespace, 2 => resource]
}

#[derive(Clone, Debug)]
enum Step {
    Apply(String),
    Delete(String),
    Reset(Vec<String>),
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => line().prop_map(Step::Apply),
        2 => line().prop_map(Step::Delete),
        1 => vec(line(), 0..4).prop_map(Step::Reset),
        4 => Just(Step::Take),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (select(vec!["", "", "", "env=prod"]), 1..4_usize, 1..8_usize).prop_map(
        |(selector, service, namespace)| Settings {
            namespace_selector: LabelSelector::parse(selector)
                .ok()
                .filter(|_| !selector.is_empty()),
            endpoints_per_service: service,
            endpoints_per_namespace: namespace,
            ..Settings::default()
        },
    )
}

type Id = (crate::objects::Kind, String, String);

fn id(object: &Object) -> Id {
    (
        object.kind(),
        object.namespace().to_string(),
        object.name().to_string(),
    )
}

/// All that an index tells.
#[derive(Debug, PartialEq)]
struct Seen {
    views: BTreeMap<String, Joined>,
    pods: BTreeSet<(Arc<str>, IpAddr)>,
    namespaces: BTreeSet<String>,
    problems: Vec<Problem>,
    ready: Vec<&'static str>,
}

impl Seen {
    fn of(index: &Index) -> Self {
        let view = |key: &ServiceKey| (key.to_string(), index.view(key).unwrap());
        let pods = index.pod_addresses();
        Self {
            views: index.services().map(view).collect(),
            pods: pods
                .map(|(namespace, address)| (Arc::clone(namespace), address))
                .collect(),
            namespaces: index.namespaces().map(str::to_owned).collect(),
            problems: index.problems(),
            ready: ["p", "q", "r"]
                .into_iter()
                .filter(|pod| index.is_pod_ready("n", pod))
                .collect(),
        }
    }
}

fn changes(step: &Step) -> Vec<Change> {
    match step {
        Step::Apply(line) => vec![change(line)],
        Step::Delete(line) => {
            let words: Vec<&str> = line.split_whitespace().take(2).collect();
            vec![change(&format!("- {}", words.join(" ")))]
        }
        // A reset is of one kind: the first line's.
        Step::Reset(lines) => {
            let Some(first) = lines.first() else {
                return Vec::new();
            };
            let kind = kind(first.split(' ').next().unwrap());
            let objects = lines.iter().map(|line| object(line));
            let objects = objects.filter(|object| object.kind() == kind).collect();
            vec![Change::Reset { kind, objects }]
        }
        Step::Take => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn folding_equals_starting_anew(settings in settings(), steps in vec(step(), 1..80), turn in 0..1000_usize) {
        let mut index = Index::new(settings.clone());
        let mut left: BTreeMap<Id, Object> = BTreeMap::new();
        let mut before = Seen::of(&index);
        for step in &steps {
            for change in changes(step) {
                match &change {
                    Change::Apply(object) => {
                        left.insert(id(object), object.clone());
                    }
                    Change::Delete { kind, namespace, name } => {
                        left.remove(&(*kind, namespace.to_string(), name.to_string()));
                    }
                    Change::Reset { kind, objects } => {
                        left.retain(|(known, ..), _| known != kind);
                        left.extend(objects.iter().map(|object| (id(object), object.clone())));
                    }
                }
                index.apply(change);
            }
            if matches!(step, Step::Take) {
                // Marks may stand for several changes.
                let dirty = index.take_dirty();
                let after = Seen::of(&index);
                for key in before.views.keys().chain(after.views.keys()) {
                    let is_marked = dirty.services.iter().any(|marked| marked.to_string() == *key);
                    let is_same = before.views.get(key) == after.views.get(key);
                    prop_assert!(is_marked || is_same, "service {key} is not marked");
                }
                match index.changed_problems() {
                    Some(news) => prop_assert_eq!(&news, &after.problems),
                    None => prop_assert_eq!(&before.problems, &after.problems),
                }
                for pod in before.pods.symmetric_difference(&after.pods) {
                    prop_assert!(dirty.pods.contains(pod), "pod {pod:?} is not marked");
                }
                for name in before.namespaces.symmetric_difference(&after.namespaces) {
                    prop_assert!(dirty.namespaces.contains(&**name), "namespace {name} is not marked");
                }
                before = after;
            }
        }
        let mut objects: Vec<Object> = left.into_values().collect();
        let middle = turn % objects.len().max(1);
        objects.rotate_left(middle);
        if turn % 2 == 0 {
            objects.reverse();
        }
        let mut fresh = Index::new(settings);
        objects.into_iter().for_each(|object| fresh.apply(Change::Apply(object)));
        prop_assert_eq!(Seen::of(&index), Seen::of(&fresh));
    }
}
