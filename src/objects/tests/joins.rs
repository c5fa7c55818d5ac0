//! What a view joins, rule by rule.

use super::cast::{apply, cluster, cluster_of, joined, shown};
use crate::model::{Family, ServiceKind};
use crate::objects::{LabelSelector, Settings};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(shown(&joined(&cluster(text), "web")), expected, "{text}");
}

const ROLLING: &str = "
    service web ip=10.0.0.1 select:app=web port=http:80
    deployment web replicas=4 app=web
    replicaset web-a of=Deployment/web rev=1 app=web pod-template-hash=a version=v1
    replicaset web-b of=Deployment/web rev=2 app=web pod-template-hash=b version=v2
    pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 app=web pod-template-hash=a version=v1
    pod web-b-1 of=ReplicaSet/web-b ip=10.1.0.2 app=web pod-template-hash=b version=v2
    slice web-x of=web web-a-1@10.1.0.1 web-b-1@10.1.0.2!
";

#[test]
fn a_pod_of_a_deployment_runs_the_revision_of_its_hash() {
    check(
        ROLLING,
        &[
            "10.1.0.1 ready a",
            "10.1.0.2 unready b",
            "web a=v1 #1 1 pods",
            "web b=v2 #2 1 pods",
            "Deployment shop/web 4-1",
        ],
    );
}

#[test]
fn revisions_without_pods_are_known_by_their_template() {
    check(
        "service web ip=None select:app=web
         deployment web replicas=0 app=web
         replicaset web-a of=Deployment/web rev=1 app=web pod-template-hash=a image=reg:5000/web:1.0@sha256:abc
         replicaset web-b of=Deployment/web rev=2 app=web pod-template-hash=b image=reg:5000/web@sha256:abc",
        &[
            "web a=1.0 #1 0 pods",
            "web b=b #2 0 pods",
            "Deployment shop/web 0-0 complete",
        ],
    );
}

#[test]
fn a_statefulset_pod_has_the_bare_hash_of_its_controller_revision() {
    check(
        "service web ip=None select:app=db
         statefulset db replicas=2 app=db
         revision db-6d4b of=StatefulSet/db rev=1 app=db
         revision db-7e5c of=StatefulSet/db rev=2 app=db
         pod db-0 of=StatefulSet/db ip=10.1.0.1 app=db controller-revision-hash=db-6d4b image=db:1
         pod db-1 of=StatefulSet/db ip=10.1.0.2 app=db controller-revision-hash=db-7e5c image=db:2
         slice x of=web db-0@10.1.0.1#db-0 db-1@10.1.0.2#db-1",
        &[
            "10.1.0.1 ready 6d4b host=db-0",
            "10.1.0.2 ready 7e5c host=db-1",
            "db 6d4b=1 #1 1 pods",
            "db 7e5c=2 #2 1 pods",
            "StatefulSet shop/db 2-1",
        ],
    );
}

#[test]
fn a_statefulset_is_complete_when_its_pods_run_the_newest_revision_whatever_its_status_says() {
    let status = r#"status={"replicas":1,"readyReplicas":1,"updatedReplicas":1,"currentRevision":"db-b","updateRevision":"db-b"}"#;
    let text = |hash: &str| {
        format!(
            "service web ip=None select:app=db
             statefulset db replicas=1 app=db {status}
             revision db-a of=StatefulSet/db rev=1
             revision db-b of=StatefulSet/db rev=2
             pod db-0 of=StatefulSet/db controller-revision-hash=db-{hash}"
        )
    };
    let last = |hash| shown(&joined(&cluster(&text(hash)), "web")).pop().unwrap();
    assert_eq!(last("b"), "StatefulSet shop/db 1-1 complete");
    assert_eq!(last("a"), "StatefulSet shop/db 1-1");
}

/// The news of a new ReplicaSet may come before those of its Deployment, which still tells of the roll-out before.
#[test]
fn a_status_that_is_behind_completes_nothing() {
    let last = |more: &str| {
        let text = format!(
            r#"service web ip=None select:app=web
             deployment web replicas=1 app=web status={{"replicas":1,"updatedReplicas":1,"availableReplicas":1}}
             replicaset web-a of=Deployment/web rev=1 pod-template-hash=a
             pod web-a-1 of=ReplicaSet/web-a pod-template-hash=a
             pod web-b-1 of=ReplicaSet/web-b pod-template-hash=b !gone
             {more}"#
        );
        shown(&joined(&cluster(&text), "web")).pop().unwrap()
    };
    assert_eq!(last(""), "Deployment shop/web 1-0 complete");
    let newer = "replicaset web-b of=Deployment/web rev=2 pod-template-hash=b";
    assert_eq!(last(newer), "Deployment shop/web 1-0");
    let older = "replicaset web-b of=Deployment/web rev=0 pod-template-hash=b";
    assert_eq!(last(older), "Deployment shop/web 1-0 complete");
    // So may those of a pod that was ready.
    let pod = "pod web-a-1 of=ReplicaSet/web-a pod-template-hash=a";
    assert_eq!(
        last(&format!("{pod} ready=5")),
        "Deployment shop/web 1-0 complete"
    );
    assert_eq!(last(&format!("{pod} unready=5")), "Deployment shop/web 1-0");
    let surplus = format!("{pod} ready=5\n{} unready=5", pod.replace("a-1", "a-2"));
    assert_eq!(last(&surplus), "Deployment shop/web 1-0 complete");
}

#[test]
fn a_daemonset_pod_has_a_bare_hash() {
    check(
        r#"service web ip=None select:app=d
         daemonset d app=d strategy={"rollingUpdate":{"maxUnavailable":"10%"}} status={"desiredNumberScheduled":11,"updatedNumberScheduled":11,"numberAvailable":11}
         revision d-5f of=DaemonSet/d rev=3
         pod d-x of=DaemonSet/d ip=10.1.0.1 controller-revision-hash=5f
         slice x of=web d-x@10.1.0.1"#,
        &[
            "10.1.0.1 ready 5f",
            "d 5f=5f #3 1 pods",
            "DaemonSet shop/d 11-2 complete",
        ],
    );
}

#[test]
fn bare_pods_are_their_version_label() {
    check(
        "service web ip=None
         pod a ip=10.1.0.1 version=v1
         pod b ip=10.1.0.2 version=v1 !gone
         pod c ip=10.1.0.3 image=c:9
         slice x of=web a@10.1.0.1 b@10.1.0.2~ c@10.1.0.3",
        &[
            "10.1.0.1 ready v1",
            "10.1.0.2 leaving v1",
            "10.1.0.3 ready unversioned",
            "- v1=v1 1 pods",
        ],
    );
}

#[test]
fn pods_of_strangers_are_their_hash() {
    check(
        "service web ip=None
         replicaset r-a of=Rollout/r rollouts-pod-template-hash=a
         pod p of=ReplicaSet/r-a ip=10.1.0.1 rollouts-pod-template-hash=a pod-template-hash=z version=v1
         pod q of=ReplicaSet/nobody ip=10.1.0.2 version=v2
         slice x of=web p@10.1.0.1 q@10.1.0.2",
        &[
            "10.1.0.1 ready a",
            "10.1.0.2 ready v2",
            "- a=v1 1 pods",
            "- v2=v2 1 pods",
        ],
    );
}

/// "`targetRef` names a version only if that pod lives in the namespace and has that address".
#[test]
fn a_slice_cannot_borrow_the_version_of_a_pod_it_does_not_target() {
    check(
        "service web ip=None
         pod mine ip=10.1.0.1 version=v1
         pod other/theirs ip=10.1.0.2 version=v1
         slice x of=web mine@10.1.0.9 other/theirs@10.1.0.2 *@10.1.0.3*
         slice other/y of=web mine@10.1.0.1",
        &[
            "10.1.0.2 ready unversioned",
            "10.1.0.3 ready unversioned",
            "10.1.0.9 ready unversioned",
        ],
    );
}

#[test]
fn an_owner_of_the_same_name_and_another_uid_is_a_stranger() {
    check(
        "service web ip=None
         statefulset db uid=new replicas=1
         pod db-0 of=StatefulSet/db ip=10.1.0.1 controller-revision-hash=db-1
         slice x of=web db-0@10.1.0.1",
        &["10.1.0.1 ready 1", "- 1=1 1 pods"],
    );
}

#[test]
fn the_version_label_is_chosen_in_order() {
    let label = |service: &str, pod: &str| {
        let text = format!(
            "service web ip=None {service}
             pod p ip=10.1.0.1 pod-template-hash=h {pod}
             slice x of=web p@10.1.0.1"
        );
        shown(&joined(&cluster(&text), "web"))[1].clone()
    };
    let all = "build=7 app.kubernetes.io/version=1.2 version=v1 image=web:x";
    assert_eq!(label("@version-label=build", all), "- h=7 1 pods");
    assert_eq!(label("", all), "- h=1.2 1 pods");
    assert_eq!(label("", "version=v1 image=web:x"), "- h=v1 1 pods");
    assert_eq!(label("", "image=web:x"), "- h=x 1 pods");
    assert_eq!(label("", "image=web@sha256:0"), "- h=h 1 pods");
}

#[test]
fn an_endpoint_in_two_slices_is_one_and_ready_if_one_says_so() {
    check(
        "service web ip=None
         slice x of=web a@10.1.0.1! b@10.1.0.2
         slice y of=web a@10.1.0.1 b@10.1.0.2!",
        &["10.1.0.1 ready unversioned", "10.1.0.2 ready unversioned"],
    );
}

#[test]
fn a_dual_stack_pod_is_two_endpoints_and_one_pod() {
    let index = cluster(
        "service web ip=None
         pod p ip=10.1.0.1 ip=fd00::1 version=v1
         slice x of=web p@10.1.0.1
         slice y of=web type=IPv6 p@fd00::1",
    );
    let view = joined(&index, "web").view.unwrap();
    let families: Vec<Family> = view.endpoints.iter().map(|e| e.family()).collect();
    assert_eq!(families, [Family::V4, Family::V6]);
    assert_eq!(view.endpoints[0].uid, view.endpoints[1].uid);
    assert_eq!((view.revisions.len(), view.revisions[0].pods), (1, 1));
}

#[test]
fn bad_parts_of_slices_are_told_and_left_out() {
    check(
        "service web ip=None
         slice x of=web a@10.1.0.1#Not_A_Label b@127.0.0.1 c@127.0.0.2 d@010.0.0.1
         slice y of=web type=FQDN e@host.example",
        &[
            "10.1.0.1 ready unversioned",
            "! endpointslice `x`: `endpoints[3].addresses` is ignored: `010.0.0.1` is not an IP address",
            "! endpointslice `x`: address `127.0.0.1` and 1 more is denied by `addressDeny`",
            "! endpointslice `x`: hostname `Not_A_Label` is not a DNS label; the endpoint is named by its address",
            "! endpointslice `y`: ignored: addressType `FQDN` is not answered",
        ],
    );
    check(
        "service web ip=None\n slice y of=web type=IPv6 a@::ffff:127.0.0.1",
        &["! endpointslice `y`: address `::ffff:127.0.0.1` is denied by `addressDeny`"],
    );
}

#[test]
fn cluster_addresses_are_claimed_by_the_older_and_kept_by_both() {
    let index = cluster(
        "service web ip=10.0.0.1 creationTimestamp=2026-01-02T00:00:00Z
         service api ip=10.0.0.1 creationTimestamp=2026-01-01T00:00:00Z",
    );
    let web = joined(&index, "web");
    let told = "! cluster IP `10.0.0.1` is also that of shop/api, which is older";
    assert_eq!(shown(&web), [told]);
    let addresses = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(web.view.unwrap().kind, ServiceKind::ClusterIp { addresses });
    assert_eq!(shown(&joined(&index, "api")), [""; 0]);
}

#[test]
fn a_service_without_a_cluster_address_is_told_unless_it_needs_none() {
    let told = "! `clusterIP` is missing: no cluster has assigned one; give an address, or `None` for a headless service";
    check("service web", &[told]);
    check("service web @endpoints=true", &[]);
}

#[test]
fn an_external_name_is_a_host_name() {
    let good = ["a.example", "a.example.", "_x.a-b.example", "localhost"];
    for name in good {
        check(&format!("service web external={name}"), &[]);
    }
    let long = format!("{}.example", "a.".repeat(130));
    for name in [
        "10.0.0.1",
        "::1",
        "010.0.0.1",
        "a..b",
        "",
        "*.example",
        "-a.example",
        "ä.example",
        &long,
    ] {
        let shown = shown(&joined(
            &cluster(&format!("service web external={name}")),
            "web",
        ));
        assert_eq!(shown[0], "no names", "{name}");
        assert!(shown[1].contains("is not a host name"), "{shown:?}");
    }
}

#[test]
fn service_names_are_lower_case_labels_that_may_start_with_a_digit() {
    assert!(
        joined(&cluster("service 1web ip=None"), "1web")
            .view
            .is_some()
    );
    for name in ["Web", "a.b", "_tcp", "-a"] {
        assert!(
            joined(&cluster(&format!("service {name} ip=None")), name)
                .view
                .is_none(),
            "{name}"
        );
    }
}

#[test]
fn too_many_endpoints_leave_out_the_unready_and_then_the_last() {
    let settings = || Settings {
        endpoints_per_service: 2,
        ..Settings::default()
    };
    let text = "service web ip=None\n slice x of=web a@10.1.0.4! b@10.1.0.3 c@10.1.0.2 d@10.1.0.1";
    let expected = [
        "10.1.0.2 ready unversioned",
        "10.1.0.3 ready unversioned",
        "! 2 of 4 endpoints are left out: 2 are allowed; raise `limits.endpointsPerService` or `limits.endpointsPerNamespace`",
    ];
    assert_eq!(
        shown(&joined(&cluster_of(settings(), text), "web")),
        expected
    );
}

#[test]
fn a_namespace_over_its_limit_loses_the_endpoints_of_its_last_services() {
    let settings = Settings {
        endpoints_per_namespace: 3,
        ..Settings::default()
    };
    let index = cluster_of(
        settings,
        "service a ip=None\n service b ip=None\n service other/c ip=None
         slice x of=a a@10.1.0.1 b@10.1.0.2
         slice y of=b c@10.1.0.3 d@10.1.0.4
         slice other/z of=c e@10.1.0.5",
    );
    let count = |name: &str| joined(&index, name).view.unwrap().endpoints.len();
    assert_eq!([count("a"), count("b"), count("other/c")], [2, 1, 1]);
    assert_eq!(index.problems().len(), 1);
    assert!(
        index.problems()[0]
            .to_string()
            .starts_with("namespace shop: 4 endpoints are more than 3")
    );
}

#[test]
fn backends_are_revisions() {
    check(
        "service web @backends=blue=100,green=0,gone=5,web=1
         service blue ip=10.0.0.1 port=http:80 uid=u1
         slice b of=blue p@10.1.0.1! q@10.1.0.2
         service green ip=None @backends=blue=1
         slice g of=green r@10.1.0.3! s@10.1.0.4~",
        &[
            "10.0.0.1 ready blue",
            "10.1.0.3 unready green",
            "10.1.0.4 leaving green",
            "- blue=blue 2 pods",
            "- gone=gone 0 pods",
            "- green=green 1 pods declared=1",
            "! backend `gone` has no endpoints: there is no such service in the namespace",
            "! backend `web` is ignored: it is the service itself",
        ],
    );
    let index =
        cluster("service web @backends=blue=1\n service blue ip=10.0.0.1 port=http:80 uid=u1");
    let view = joined(&index, "web").view.unwrap();
    let endpoint = &view.endpoints[0];
    assert_eq!(
        (
            endpoint.ready,
            endpoint.uid.to_string(),
            endpoint.ports[0].number
        ),
        (false, "u1".to_owned(), 80)
    );
}

#[test]
fn backends_that_are_no_weights_are_told_and_ignored() {
    check(
        "service web ip=None @backends=blue\n slice x of=web a@10.1.0.1",
        &[
            "10.1.0.1 ready unversioned",
            "! `shiftdns.io/backends` is ignored: `blue` is not `name=weight` with a weight from 0 to 65535",
        ],
    );
}

#[test]
fn missing_pods_are_counted_as_their_controllers_do() {
    let max = |line: &str| {
        let text = format!("service web ip=None select:app=w\n {line}");
        let view = joined(&cluster(&text), "web").view.unwrap();
        view.workloads[0].max_unavailable
    };
    let rolling = |kind: &str, replicas: u32, rolling: &str| {
        let strategy = format!(r#"{{"rollingUpdate":{rolling}}}"#);
        max(&format!(
            "{kind} w app=w replicas={replicas} strategy={strategy}"
        ))
    };
    assert_eq!(rolling("deployment", 10, "{}"), 2);
    assert_eq!(rolling("deployment", 3, r#"{"maxSurge":0}"#), 1);
    assert_eq!(rolling("deployment", 3, r#"{"maxUnavailable":"50%"}"#), 1);
    assert_eq!(rolling("deployment", 3, r#"{"maxUnavailable":2}"#), 2);
    assert_eq!(
        max(r#"deployment w app=w replicas=3 strategy={"type":"Recreate"}"#),
        0
    );
    assert_eq!(rolling("statefulset", 3, r#"{"maxUnavailable":"10%"}"#), 1);
    assert_eq!(rolling("statefulset", 30, r#"{"maxUnavailable":"10%"}"#), 3);
    assert_eq!(rolling("statefulset", 39, r#"{"maxUnavailable":"10%"}"#), 3);
    assert_eq!(rolling("statefulset", 3, r#"{"maxUnavailable":"0%"}"#), 1);
    assert_eq!(
        rolling("daemonset", 0, r#"{"maxSurge":1,"maxUnavailable":0}"#),
        0
    );
    assert_eq!(rolling("daemonset", 0, "{}"), 1);
}

#[test]
fn only_chosen_namespaces_are_served() {
    let settings = |namespaces: &[&str], selector: &str| Settings {
        namespaces: namespaces.iter().map(|n| (*n).to_owned()).collect(),
        namespace_selector: (!selector.is_empty()).then(|| LabelSelector::parse(selector).unwrap()),
        ..Settings::default()
    };
    let text = "namespace a env=prod\n namespace b env=test\n namespace empty env=prod\n namespace svc env=prod
        service a/s ip=None\n service b/s ip=None\n service svc/s ip=None
        pod a/p ip=10.1.0.1\n pod b/p ip=10.1.0.2\n pod a/q ip=10.1.0.3 !done";
    let check = |settings: Settings, namespaces: &[&str], services: &[&str], pods: usize| {
        let index = cluster_of(settings, text);
        assert_eq!(index.namespaces().collect::<Vec<_>>(), namespaces);
        let found: Vec<String> = index.services().map(ToString::to_string).collect();
        assert_eq!(found, services);
        assert_eq!(index.pod_addresses().count(), pods);
        let reserved = "namespace svc: its 1 services get no names: `svc` is reserved; use another namespace or change `reservedNamespaces`";
        assert_eq!(index.problems()[0].to_string(), reserved);
    };
    check(settings(&[], ""), &["a", "b", "empty"], &["a/s", "b/s"], 2);
    check(settings(&["a", "svc"], ""), &["a"], &["a/s"], 1);
    check(settings(&[], "env=prod"), &["a", "empty"], &["a/s"], 1);
    let index = cluster("service b/s ip=None\n service a/s ip=None\n service a/t ip=None");
    assert_eq!(index.namespaces().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn pods_have_all_their_addresses_until_they_are_done() {
    let mut index = cluster("pod p ip=10.1.0.1 ip=fd00::1\n pod q ip=10.1.0.1");
    let exists =
        |index: &crate::objects::Index, ip: &str| index.pod_exists("shop", ip.parse().unwrap());
    assert!(exists(&index, "10.1.0.1") && exists(&index, "fd00::1"));
    assert!(!index.pod_exists("other", "10.1.0.1".parse().unwrap()));
    apply(&mut index, "pod p ip=10.1.0.1 ip=fd00::1 !done");
    assert!(exists(&index, "10.1.0.1") && !exists(&index, "fd00::1"));
}
