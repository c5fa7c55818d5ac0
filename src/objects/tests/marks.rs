//! Which services a change marks: exactly those that may look different.

use super::cast::{apply, change, cluster, cluster_of, moment, object};
use crate::model::{ServiceKey, Weights};
use crate::objects::{Change, Dirty, Index, Kind, LabelSelector, Settings};

const SHOP: &str = "
    service web ip=10.0.0.1 select:app=web
    service all ip=None select:tier=front
    service db ip=None select:app=db
    service manual ip=None
    service front @backends=web=1,db=1
    deployment web replicas=2 app=web tier=front
    replicaset web-a of=Deployment/web rev=1 app=web pod-template-hash=a
    replicaset stray of=Deployment/nobody rev=1
    pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 pod-template-hash=a
    pod web-a-2 of=ReplicaSet/web-a ip=10.1.0.2 pod-template-hash=a
    pod lone ip=10.1.0.9
    statefulset db replicas=1 app=db
    slice web-x of=web web-a-1@10.1.0.1
    slice manual-x of=manual web-a-2@10.1.0.2
";

fn settled(text: &str) -> Index {
    let mut index = cluster(text);
    index.take_dirty();
    index
}

fn shown(dirty: &Dirty) -> String {
    let services = dirty.services.iter().map(ToString::to_string);
    let namespaces = dirty.namespaces.iter().map(|n| format!("ns:{n}"));
    let pods = dirty.pods.iter().map(|(n, a)| format!("pod:{n}/{a}"));
    let all: Vec<String> = services.chain(namespaces).chain(pods).collect();
    all.join(" ").replace("shop/", "")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let mut index = settled(SHOP);
    apply(&mut index, text);
    assert_eq!(shown(&index.take_dirty()), expected, "{text}");
    assert_eq!(index.take_dirty(), Dirty::default());
}

#[test]
fn an_object_that_is_equal_marks_nothing() {
    check(SHOP, "");
    check("- pod nobody", "");
    check(
        "deployment web replicas=2 app=web tier=front generation=0",
        "",
    );
}

#[test]
fn a_service_marks_itself_and_those_it_is_a_backend_of() {
    check("service manual ip=None port=x:1", "manual");
    check(
        "service web ip=10.0.0.1 select:app=web port=x:1",
        "front web",
    );
    check("- service db", "db front");
    check("service new ip=10.0.0.1", "front new web");
    check("service new2 ip=None @backends=manual=1", "new2");
}

#[test]
fn a_service_is_marked_by_the_backends_in_force() {
    let check = |over: Option<&str>, before: &str, text: &str, expected: &str| {
        let mut index = settled(SHOP);
        let over = over.map(|text| Weights::parse(text).unwrap());
        index.override_backends(&ServiceKey::new("shop", "front"), Some(over));
        apply(&mut index, before);
        index.take_dirty();
        apply(&mut index, text);
        assert_eq!(shown(&index.take_dirty()), expected, "{text}");
    };
    let (web, manual) = ("- slice web-x", "- slice manual-x");
    check(Some("manual=1"), "", web, "web");
    check(Some("manual=1"), "", manual, "front manual");
    check(None, "", web, "web");
    // Another Service, and what was in force instead of its text goes.
    let other = "service front @backends=web=2";
    check(Some("manual=1"), other, web, "front web");
    check(Some("manual=1"), other, manual, "manual");
    check(None, other, web, "front web");
}

#[test]
fn a_slice_marks_its_service() {
    check("slice web-x of=web web-a-1@10.1.0.1!", "front web");
    check("slice web-x of=manual web-a-1@10.1.0.1", "front manual web");
    check("slice new of=nobody a@10.1.0.1", "");
    check("- slice manual-x", "manual");
}

#[test]
fn a_pod_marks_the_services_it_is_an_endpoint_of_and_those_of_its_workload_if_it_counts_otherwise()
{
    // Since when it is ready shows at endpoints only.
    check(
        "pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 pod-template-hash=a ready=5",
        "front web",
    );
    // A pod that goes away is missing in the revision wherever that shows: `all` selects the workload.
    let leaving = "pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 pod-template-hash=a !gone";
    check(leaving, "all front manual web");
    check(
        "pod web-a-3 of=ReplicaSet/web-a ip=10.1.0.3 pod-template-hash=a",
        "all front manual web pod:10.1.0.3",
    );
    check("pod lone ip=10.1.0.9 restarts=4", "");
    check("- pod lone", "pod:10.1.0.9");
    check("pod lone ip=10.1.0.8", "pod:10.1.0.8 pod:10.1.0.9");
}

#[test]
fn what_is_behind_a_service_marks_it() {
    check(
        "deployment web replicas=3 app=web tier=front",
        "all front manual web",
    );
    check("deployment web replicas=2 app=web", "all");
    check(
        "replicaset web-b of=Deployment/web rev=2 pod-template-hash=b",
        "all front manual web",
    );
    check(
        "replicaset web-a of=Deployment/web rev=3 app=web pod-template-hash=a",
        "all front manual web",
    );
    check("revision db-1 of=StatefulSet/db rev=1", "db front");
    check("daemonset d app=db", "db front");
    check("- statefulset db", "db front");
    check("replicaset stray of=Deployment/nobody rev=2", "");
    check("deployment nobody app=other", "");
}

#[test]
fn what_is_wrong_with_a_pod_marks_where_its_revision_shows() {
    let web_a_1 = "pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 pod-template-hash=a";
    for wrong in [
        "restarts=1",
        "c=2,waiting:CrashLoopBackOff,was:1:50",
        "c=0,waiting:ErrImagePull",
        "c=0,running:5 unready=65",
    ] {
        check(&format!("{web_a_1} {wrong}"), "all front manual web");
    }
    // A container that starts or runs is in no view.
    check(&format!("{web_a_1} c=0,waiting:ContainerCreating"), "");
    check(&format!("{web_a_1} c=0,running:5"), "");
    // That it is not Ready belies a status that counts it.
    let starting = format!("{web_a_1} c=0,running:5 unready=3");
    check(&starting, "all front manual web");
    let mut index = settled(&format!("{SHOP}\n{starting}"));
    apply(&mut index, &format!("{web_a_1} c=0,running:5 unready=4"));
    assert_eq!(shown(&index.take_dirty()), "");
}

#[test]
fn conditions_mark_what_is_served_by_the_workload() {
    for words in [
        "exceeded=web-a",
        "failing=FailedCreate@60",
        "paused@60",
        "minready=5",
        "generation=1",
    ] {
        let deployment = format!("deployment web replicas=2 app=web tier=front {words}");
        check(&deployment, "all front manual web");
    }
    check(
        "deployment web replicas=2 app=web tier=front failing=FailedDelete@60",
        "",
    );
    for words in ["failing=FailedCreate@60", "history=1", "image=web:2"] {
        let set = "replicaset web-a of=Deployment/web rev=1 app=web pod-template-hash=a";
        check(&format!("{set} {words}"), "all front manual web");
    }
    check(
        r#"statefulset db replicas=1 app=db strategy={"rollingUpdate":{"partition":1}}"#,
        "db front",
    );
}

#[test]
fn what_backends_desire_marks_those_in_front() {
    let text = "
        service web @backends=green=1
        service green ip=None @backends=blue=1
        deployment green replicas=4 app=green
        replicaset green-a of=Deployment/green rev=1 pod-template-hash=a
        pod green-a-1 of=ReplicaSet/green-a ip=10.1.0.1 pod-template-hash=a
        slice g of=green green-a-1@10.1.0.1";
    let mut index = settled(text);
    // A backend that is made of others is one by its own slices.
    apply(&mut index, "deployment green replicas=5 app=green");
    assert_eq!(shown(&index.take_dirty()), "green web");
    apply(&mut index, "deployment green replicas=5 app=green");
    assert_eq!(index.take_dirty(), Dirty::default());
}

#[test]
fn a_workload_seen_after_its_pods_is_found_by_them() {
    let mut index = settled(
        "service web ip=None
         pod p of=ReplicaSet/web-a ip=10.1.0.1 pod-template-hash=a
         slice x of=web p@10.1.0.1",
    );
    for line in [
        "replicaset web-a of=Deployment/web rev=1 pod-template-hash=a",
        "deployment web",
    ] {
        index.apply(change(line));
        assert_eq!(shown(&index.take_dirty()), "web", "{line}");
    }
}

#[test]
fn namespaces_mark_themselves_and_their_services() {
    let mut index = settled("service a/s ip=None\n service b/s ip=None");
    let mut check = |text: &str, expected: &str| {
        apply(&mut index, text);
        assert_eq!(shown(&index.take_dirty()), expected, "{text}");
    };
    check("service a/t ip=None", "a/t");
    check("service c/s ip=None", "c/s ns:c");
    // The first Namespace object ends the time in which services imply namespaces.
    check("namespace a", "a/s a/t ns:a ns:b ns:c");
    check("namespace b", "b/s ns:b");
    check("namespace b", "");
    check("namespace b env=x", "b/s ns:b");
    check("service d/s ip=None", "d/s");
}

#[test]
fn what_is_not_served_is_not_marked_until_it_is() {
    let settings = Settings {
        namespace_selector: LabelSelector::parse("env=prod").ok(),
        ..Settings::default()
    };
    let mut index = cluster_of(
        settings,
        "namespace a env=test\n service a/s ip=None\n pod a/p ip=10.1.0.1",
    );
    index.take_dirty();
    apply(&mut index, "service a/s ip=None port=x:1");
    assert_eq!(index.take_dirty(), Dirty::default());
    apply(&mut index, "namespace a env=prod");
    assert_eq!(shown(&index.take_dirty()), "a/s ns:a pod:a/10.1.0.1");
    // Reserved namespaces never are.
    apply(&mut index, "service svc/s ip=None");
    assert_eq!(index.take_dirty().services.len(), 0);
}

#[test]
fn a_reset_drops_exactly_what_vanished() {
    let mut index = settled(SHOP);
    let objects = vec![
        object("slice web-x of=web web-a-1@10.1.0.1"),
        object("slice db-x of=db db-0@10.1.0.5"),
        object("pod lone ip=10.1.0.9 version=wrong-kind"),
    ];
    let kind = Kind::EndpointSlice;
    index.apply(Change::Reset { kind, objects });
    assert_eq!(shown(&index.take_dirty()), "db front manual");
    assert!(index.counts().contains(&(Kind::EndpointSlice, 2)));
    assert!(index.counts().contains(&(Kind::Pod, 3)));
    let kind = Kind::Namespace;
    index.apply(Change::Reset {
        kind,
        objects: vec![],
    });
    assert_eq!(index.take_dirty(), Dirty::default());
}

/// Since when a slice should be as it is counts once, and only where names stand for its endpoints as a controller keeps
/// them.
#[test]
fn the_trigger_of_a_slice_is_told_when_it_is_news_of_a_headless_service() {
    let index = settled(&format!("{SHOP}\n slice db-x of=db triggered=5"));
    for (line, expected) in [
        ("slice db-x of=db triggered=6 lone@10.1.0.9", Some(6)),
        ("slice db-x of=db triggered=5 lone@10.1.0.9", None),
        ("slice db-y of=db triggered=5", Some(5)),
        ("slice db-x of=db", None),
        ("slice web-x of=web triggered=6", None),
        ("slice manual-x of=manual triggered=6", None),
        ("slice lost-x of=nobody triggered=6", None),
        ("slice lost-x triggered=6", None),
        ("slice other/db-x of=db triggered=6", None),
    ] {
        let triggered = index.triggered(&change(line));
        let expected = expected.map(|second: u32| moment(&second.to_string()));
        assert_eq!(triggered.map(|at| at.to_string()), expected, "{line}");
    }
    // A list tells what is, not what happens.
    let reset = Change::Reset {
        kind: Kind::EndpointSlice,
        objects: vec![object("slice db-x of=db triggered=7")],
    };
    assert_eq!(index.triggered(&reset), None);
}
