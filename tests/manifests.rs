//! The manifests that come with the source agree with themselves, as objects of a real cluster do.
//!
//! Read as plain values, so that a mistake in them shows here, and not as a fault of what reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

/// All objects of a folder of `zones/`, lists unpacked.
fn objects(folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("zones")
        .join(folder);
    let mut objects = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("its entries can be read").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("manifests are UTF-8");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("manifests are YAML");
        for mut document in documents {
            match document["items"].take() {
                Value::Array(items) => objects.extend(items),
                _ => objects.push(document),
            }
        }
    }
    objects
}

/// The text at a pointer, empty where there is none.
fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

fn labels<'a>(value: &'a Value, pointer: &str) -> BTreeMap<&'a str, &'a str> {
    let map = value.pointer(pointer).and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
        .collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|object| text(object, "/kind") == kind)
        .collect()
}

fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

fn owner(object: &Value) -> Option<&Value> {
    list(object, "/metadata/ownerReferences").first()
}

/// Everything that must agree.
fn check(folder: &str) {
    let objects = objects(folder);
    let by_uid: BTreeMap<&str, &Value> =
        objects.iter().map(|object| (uid(object), object)).collect();
    assert_eq!(
        by_uid.len(),
        objects.len(),
        "every object has a UID of its own"
    );
    assert!(!by_uid.contains_key(""), "every object has a UID");
    for object in &objects {
        let created = text(object, "/metadata/creationTimestamp");
        assert!(
            created.parse::<jiff::Timestamp>().is_ok(),
            "{}: created at `{created}`",
            name(object)
        );
        if let Some(reference) = owner(object) {
            let owner = by_uid[text(reference, "/uid")];
            assert_eq!(name(owner), text(reference, "/name"), "{}", name(object));
            assert_eq!(
                text(owner, "/kind"),
                text(reference, "/kind"),
                "{}",
                name(object)
            );
            assert_eq!(namespace(owner), namespace(object), "{}", name(object));
        }
    }
    let pods = of_kind(&objects, "Pod");
    pods_carry_their_revision(&objects, &pods, &by_uid);
    slices_show_their_pods(&objects, &pods, &by_uid);
    for set in of_kind(&objects, "ReplicaSet") {
        let owned =
            |pod: &&&Value| owner(pod).is_some_and(|reference| text(reference, "/uid") == uid(set));
        let alive = |pod: &&&Value| pod.pointer("/metadata/deletionTimestamp").is_none();
        let count = pods.iter().filter(owned).filter(alive).count();
        assert_eq!(
            set["spec"]["replicas"].as_u64(),
            Some(count as u64),
            "{}",
            name(set)
        );
    }
}

fn pods_carry_their_revision(objects: &[Value], pods: &[&Value], by_uid: &BTreeMap<&str, &Value>) {
    let revisions: BTreeSet<&str> = of_kind(objects, "ControllerRevision")
        .into_iter()
        .map(name)
        .collect();
    let mut addresses = BTreeSet::new();
    for pod in pods {
        for entry in list(pod, "/status/podIPs") {
            assert!(
                addresses.insert(text(entry, "/ip")),
                "{}: no two pods share an address",
                name(pod)
            );
        }
        assert_eq!(
            text(pod, "/status/podIP"),
            text(pod, "/status/podIPs/0/ip"),
            "{}",
            name(pod)
        );
        let Some(reference) = owner(pod) else {
            continue;
        };
        let owner = by_uid[text(reference, "/uid")];
        let carried = labels(pod, "/metadata/labels");
        match text(owner, "/kind") {
            "ReplicaSet" => {
                let selected = labels(owner, "/spec/selector/matchLabels");
                assert!(
                    selected
                        .iter()
                        .all(|(key, value)| carried.get(key) == Some(value)),
                    "{}",
                    name(pod)
                );
                assert!(
                    name(owner).ends_with(carried["pod-template-hash"]),
                    "{}",
                    name(pod)
                );
            }
            "StatefulSet" => assert!(
                revisions.contains(carried["controller-revision-hash"]),
                "{}",
                name(pod)
            ),
            _ => {
                let revision = format!("{}-{}", name(owner), carried["controller-revision-hash"]);
                assert!(revisions.contains(revision.as_str()), "{}", name(pod));
            }
        }
    }
}

fn slices_show_their_pods(objects: &[Value], pods: &[&Value], by_uid: &BTreeMap<&str, &Value>) {
    let slices = of_kind(objects, "EndpointSlice");
    for endpoint in slices.iter().flat_map(|slice| list(slice, "/endpoints")) {
        let Some(target) = endpoint.get("targetRef") else {
            continue;
        };
        let pod = by_uid[text(target, "/uid")];
        assert_eq!(
            (name(pod), namespace(pod)),
            (text(target, "/name"), text(target, "/namespace"))
        );
        assert_eq!(
            text(endpoint, "/nodeName"),
            text(pod, "/spec/nodeName"),
            "{}",
            name(pod)
        );
        let address = text(endpoint, "/addresses/0");
        let own = list(pod, "/status/podIPs")
            .iter()
            .any(|entry| text(entry, "/ip") == address);
        assert!(own, "{}: {address} is not its address", name(pod));
        let conditions = list(pod, "/status/conditions");
        let ready = conditions
            .iter()
            .any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
        assert_eq!(
            endpoint["conditions"]["serving"].as_bool(),
            Some(ready),
            "{}",
            name(pod)
        );
        let terminating = pod.pointer("/metadata/deletionTimestamp").is_some();
        assert_eq!(
            endpoint["conditions"]["terminating"].as_bool(),
            Some(terminating),
            "{}",
            name(pod)
        );
    }
    for service in of_kind(objects, "Service") {
        let selector = labels(service, "/spec/selector");
        if selector.is_empty() {
            continue;
        }
        let selected = pods.iter().filter(|pod| {
            let carried = labels(pod, "/metadata/labels");
            namespace(pod) == namespace(service)
                && selector.iter().all(|(k, v)| carried.get(k) == Some(v))
        });
        let selected: BTreeSet<&str> = selected.map(|pod| uid(pod)).collect();
        let shown = slices.iter().filter(|slice| {
            let of = labels(slice, "/metadata/labels")
                .get("kubernetes.io/service-name")
                .copied();
            namespace(slice) == namespace(service) && of == Some(name(service))
        });
        let shown: BTreeSet<&str> = shown
            .flat_map(|slice| list(slice, "/endpoints"))
            .map(|endpoint| text(endpoint, "/targetRef/uid"))
            .collect();
        assert_eq!(
            selected,
            shown,
            "the slices of {} show the pods it selects",
            name(service)
        );
    }
}

#[test]
fn the_demo_agrees_with_itself() {
    check("demo");
}

#[test]
fn the_example_cluster_agrees_with_itself() {
    check("examples");
}

#[test]
fn the_demo_holds_what_is_written_about_it() {
    let objects = objects("demo");
    let services: BTreeSet<&str> = of_kind(&objects, "Service").into_iter().map(name).collect();
    let expected = ["alias-of-api", "api", "db", "pay", "payments-ext", "web"];
    assert_eq!(services, BTreeSet::from(expected));
    let pods = |app: &str, version: &str| {
        let pods = of_kind(&objects, "Pod");
        let of = |pod: &&&Value| {
            let carried = labels(pod, "/metadata/labels");
            carried["app"] == app && carried["app.kubernetes.io/version"] == version
        };
        pods.iter().filter(of).count()
    };
    assert_eq!(
        (
            pods("web", "v1"),
            pods("pay", "v1"),
            pods("pay", "v2"),
            pods("db", "v17")
        ),
        (4, 9, 2, 3)
    );
    assert!(
        objects
            .iter()
            .any(|object| name(object) == "web-6f5b8c7d94")
    );
}
