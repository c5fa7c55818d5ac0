//! What a roll-out is told of pods, ReplicaSets and workloads, fact by fact; and what of it costs a pod that is well.

use serde_json::json;

use super::cast::{apply, cluster, joined, read, shown};
use crate::objects::{Object, Pod};

/// What the revision of a pod is told of it.
#[track_caller]
fn check_pod(words: &str, expected: &str) {
    let text = format!(
        "service web ip=None
         pod p ip=10.1.0.1 pod-template-hash=a {words}
         slice x of=web p@10.1.0.1"
    );
    let line = shown(&joined(&cluster(&text), "web"))[1].clone();
    let told = line.strip_prefix("- a=a ").unwrap();
    assert_eq!(told, expected, "{words}");
}

/// What the view of a service shows of the Deployment `web` behind it, endpoints excepted.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let text = format!("service web ip=None select:app=web\n{text}");
    assert_eq!(shown(&joined(&cluster(&text), "web")), expected, "{text}");
}

const SETS: &str = "
    replicaset web-a of=Deployment/web rev=1 pod-template-hash=a
    replicaset web-b of=Deployment/web rev=2 pod-template-hash=b
";

#[test]
fn a_pod_that_is_well_has_no_trouble() {
    check_pod("", "1 pods");
    check_pod("c=0,running:5 ready=9", "1 pods");
    // An init container that has done its work is well however often it tried.
    check_pod("init=3,done:0:4,was:1:3 c=0,running:5 ready=9", "1 pods");
    // A pod that starts is not in trouble.
    check_pod("c=0,waiting:ContainerCreating unready=1", "1 pods");
    check_pod(
        "init=0,running:2 c=0,waiting:PodInitializing unready=1",
        "1 pods",
    );
}

#[test]
fn restarts_and_ends_of_all_containers_are_told() {
    check_pod(
        "c=2,running:60,was:1:50 c=1,running:5,was:1:40",
        "1 pods [3 restarts, ended badly at 50]",
    );
    check_pod(
        "c=1,running:60,was:0:50",
        "1 pods [1 restarts, ended at 50]",
    );
    check_pod(
        "c=1,running:60,was:0/OOMKilled:50",
        "1 pods [1 restarts, ended badly at 50]",
    );
    check_pod(
        "c=1,done:137/OOMKilled:70,was:1:50",
        "1 pods [1 restarts, ended badly at 70]",
    );
    // The companion that was stopped with it does not hide how it ended.
    check_pod(
        "c=1,running:60,was:1:50 c=1,running:60,was:0:55",
        "1 pods [2 restarts, ended badly at 50]",
    );
    check_pod("c=0,done:0:50", "1 pods [ended at 50]");
    // While it keeps the pod from starting, an init container counts as any.
    check_pod(
        "init=4,waiting:CrashLoopBackOff,was:1:50",
        "1 pods [4 restarts, crash-looping, ended badly at 50]",
    );
}

#[test]
fn a_crash_loop_is_told() {
    check_pod(
        "c=2,waiting:CrashLoopBackOff,was:1:50",
        "1 pods [2 restarts, crash-looping, ended badly at 50]",
    );
}

#[test]
fn a_pod_that_cannot_start_is_told_since_its_creation() {
    for reason in [
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    ] {
        let expected = format!("1 pods stalled={reason}@7");
        check_pod(&format!("born=7 c=0,waiting:{reason}"), &expected);
    }
    check_pod(
        "c=0,waiting:ErrImagePull c=0,waiting:CreateContainerError",
        "1 pods stalled=CreateContainerError@?",
    );
}

#[test]
fn readiness_that_was_lost_is_told_and_readiness_that_never_was_is_not() {
    check_pod("c=0,running:5 unready=65", "1 pods [unready since 65]");
    check_pod(
        "c=0,running:5 c=0,running:8 unready=9",
        "1 pods [unready since 9]",
    );
    // The condition is older than the container, so it was never Ready; in the same second nobody can tell.
    check_pod("c=0,running:5 unready=3", "1 pods");
    check_pod("c=0,running:5 unready=5", "1 pods");
    check_pod("c=0,running:5 c=0,running:9 unready=7", "1 pods");
    // A container ended and was started again: that is a restart.
    check_pod(
        "c=1,running:66,was:1:65 unready=65",
        "1 pods [1 restarts, ended badly at 65]",
    );
    check_pod(
        "c=0,running:5 c=1,waiting:CrashLoopBackOff unready=65",
        "1 pods [1 restarts, crash-looping]",
    );
    check_pod("unready=65", "1 pods");
    check_pod("c=0,running:5 ready=65", "1 pods");
}

#[test]
fn pods_that_go_or_are_done_are_in_no_trouble() {
    let wrong = "c=2,waiting:CrashLoopBackOff,was:1:50";
    check_pod(&format!("{wrong} !gone"), "0 pods");
    check_pod(&format!("{wrong} !done"), "0 pods");
    check_pod("c=0,waiting:ErrImagePull !gone", "0 pods");
}

#[test]
fn troubles_of_all_pods_of_a_revision_are_told_whether_they_are_endpoints_or_not() {
    check(
        &format!(
            "deployment web replicas=3 app=web {SETS}
             pod web-b-2 of=ReplicaSet/web-b pod-template-hash=b born=9 c=1,waiting:ErrImagePull
             pod web-b-1 of=ReplicaSet/web-b pod-template-hash=b c=3,running:1
             pod web-b-3 of=ReplicaSet/web-b pod-template-hash=b born=8 c=0,waiting:ImagePullBackOff
             pod web-b-4 of=ReplicaSet/web-b pod-template-hash=b
             pod web-b-5 of=ReplicaSet/web-b pod-template-hash=b c=0,waiting:CreateContainerError"
        ),
        &[
            "web a=a #1 0 pods",
            // The one that waits longest gives the reason.
            "web b=b #2 5 pods stalled=ImagePullBackOff@8 [1 restarts] [3 restarts]",
            "Deployment shop/web 3-0",
        ],
    );
}

#[test]
fn a_deadline_is_exceeded_by_exactly_the_replica_set_that_is_named() {
    let shown = |words: &str| {
        let text =
            format!("service web ip=None select:app=web\n deployment web app=web {words} {SETS}");
        shown(&joined(&cluster(&text), "web"))[..2].join(", ")
    };
    assert_eq!(
        shown("exceeded=web-b"),
        "web a=a #1 0 pods, web b=b #2 0 pods given-up"
    );
    // After an undo the condition stays, and is about the one that was left.
    assert_eq!(
        shown("exceeded=web-a"),
        "web a=a #1 0 pods given-up, web b=b #2 0 pods"
    );
    let nobody = "web a=a #1 0 pods, web b=b #2 0 pods";
    assert_eq!(shown("exceeded=web"), nobody);
    assert_eq!(shown("exceeded=other"), nobody);
}

/// A Deployment with one condition `Progressing`.
fn progressing(status: &str, reason: &str, message: &str) -> Object {
    let condition = json!({"type": "Progressing", "status": status, "reason": reason, "message": message,
        "lastUpdateTime": super::cast::moment("5")});
    read(
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "status": {"conditions": [condition]}}),
    )
}

#[test]
fn a_message_that_names_no_replica_set_is_about_none() {
    let named = |status: &str, reason: &str, message: &str| {
        let Object::Deployment(deployment) = progressing(status, reason, message) else {
            panic!()
        };
        deployment.deadline_exceeded.as_deref().map(str::to_owned)
    };
    let (exceeded, timed_out) = (
        "ProgressDeadlineExceeded",
        "ReplicaSet \"web-b\" has timed out progressing.",
    );
    assert_eq!(
        named("False", exceeded, timed_out).as_deref(),
        Some("web-b")
    );
    assert_eq!(named("True", exceeded, timed_out), None);
    assert_eq!(named("False", "ReplicaSetCreateError", timed_out), None);
    for message in [
        "Deployment \"web\" has timed out progressing.",
        "ReplicaSet web-b has timed out progressing.",
        "ReplicaSet \"web-b\" is progressing.",
        "",
    ] {
        assert_eq!(named("False", exceeded, message), None, "{message}");
    }
}

#[test]
fn a_pause_is_known_since_its_condition_while_it_stands() {
    let shown = |words: &str| {
        let text = format!("service web ip=None select:app=web\n deployment web app=web {words}");
        shown(&joined(&cluster(&text), "web")).pop().unwrap()
    };
    assert_eq!(shown("paused@60"), "Deployment shop/web 1-0 paused@60");
    assert_eq!(shown("paused"), "Deployment shop/web 1-0 paused");
    assert_eq!(
        shown("paused exceeded=web-a"),
        "Deployment shop/web 1-0 paused"
    );
    // Resumed, and the controller has yet to look.
    let mut value =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    value["status"]["conditions"] = json!([super::cast::paused("60")]);
    let Object::Deployment(deployment) = read(value) else {
        panic!()
    };
    assert_eq!(deployment.paused_since, None);
}

#[test]
fn pods_that_cannot_be_created_stall_the_replica_set_that_says_so_else_the_target() {
    let shown = |deployment: &str, a: &str, b: &str| {
        let text = format!(
            "service web ip=None select:app=web
             deployment web app=web {deployment}
             replicaset web-a of=Deployment/web rev=1 pod-template-hash=a {a}
             replicaset web-b of=Deployment/web rev=2 pod-template-hash=b {b}"
        );
        shown(&joined(&cluster(&text), "web"))[..2].join(", ")
    };
    let failing = "failing=FailedCreate@60";
    let target = "web a=a #1 0 pods, web b=b #2 0 pods stalled=FailedCreate@60";
    assert_eq!(shown("", "", failing), target);
    assert_eq!(shown(failing, "", ""), target);
    // What the Deployment repeats may be the failure of an old one.
    assert_eq!(
        shown(failing, failing, ""),
        "web a=a #1 0 pods stalled=FailedCreate@60, web b=b #2 0 pods"
    );
    // Pods that cannot be deleted keep none from starting.
    assert_eq!(
        shown("", "failing=FailedDelete@60", ""),
        "web a=a #1 0 pods, web b=b #2 0 pods"
    );
}

#[test]
fn a_replica_set_with_a_history_was_the_target_before() {
    check(
        "deployment web app=web
         replicaset web-a of=Deployment/web rev=3 history=1 pod-template-hash=a
         replicaset web-b of=Deployment/web rev=2 history= pod-template-hash=b",
        &[
            "web a=a #3 0 pods reused",
            "web b=b #2 0 pods",
            "Deployment shop/web 1-0",
        ],
    );
}

#[test]
fn how_a_workload_updates_is_told() {
    check(
        "deployment web app=web minready=30 generation=4 observed=4",
        &["Deployment shop/web 1-0 min-ready=30"],
    );
    check(
        "deployment web app=web generation=5 observed=4",
        &["Deployment shop/web 1-0 unobserved"],
    );
    check(
        r#"statefulset web app=web replicas=5 minready=3 strategy={"rollingUpdate":{"partition":3}} generation=2 observed=1"#,
        &["StatefulSet shop/web 5-1 unobserved min-ready=3 partition=3"],
    );
    check(
        r#"statefulset web app=web replicas=5 strategy={"type":"OnDelete"}"#,
        &["StatefulSet shop/web 5-1 on-delete"],
    );
    check(
        r#"daemonset web app=web minready=3 strategy={"type":"OnDelete"} generation=2 observed=1 status={"desiredNumberScheduled":5}"#,
        &["DaemonSet shop/web 5-1 unobserved min-ready=3 on-delete"],
    );
}

#[test]
fn backends_declare_what_their_workloads_desire_else_their_pods() {
    let shown = |green: &str| {
        let text = format!(
            "service web @backends=green=1
             slice g of=green web-a-1@10.1.0.1 q@10.1.0.2~
             {green}"
        );
        shown(&joined(&cluster(&text), "web")).pop().unwrap()
    };
    let behind = "deployment web replicas=4 app=web
        replicaset web-a of=Deployment/web rev=1 pod-template-hash=a
        pod web-a-1 of=ReplicaSet/web-a ip=10.1.0.1 c=2,running:5 born=3 c=0,waiting:ErrImagePull
        statefulset db replicas=3 app=db";
    let told = "stalled=ErrImagePull@3 [2 restarts]";
    let green = |spec: &str| format!("service green {spec}\n {behind}");
    // The owner of its pods; and what it selects, though it has no pod yet.
    assert_eq!(
        shown(&green("ip=None")),
        format!("- green=green 1 pods declared=4 {told}")
    );
    assert_eq!(
        shown(&green("ip=None select:app=db")),
        format!("- green=green 1 pods declared=7 {told}")
    );
    // One address for any number of pods.
    assert_eq!(
        shown(&green("ip=10.0.0.1 select:app=db")),
        format!("- green=green 1 pods {told}")
    );
    assert_eq!(
        shown("service green ip=None"),
        "- green=green 1 pods declared=1"
    );
    // Addresses that are not those of pods.
    assert_eq!(
        shown("service green ip=None\n slice g of=green a@10.1.0.1* b@10.1.0.2* c@10.1.0.3~*"),
        "- green=green 0 pods declared=2"
    );
}

#[test]
fn a_pod_is_ready_while_it_is_known_and_neither_done_nor_going() {
    let mut index = cluster(
        "pod p ready=5
         pod q unready=5
         pod r ready=5 !gone
         pod s ready=5 !done
         pod t",
    );
    let ready = |index: &crate::objects::Index| {
        let names = ["p", "q", "r", "s", "t", "nobody"].into_iter();
        names
            .filter(|name| index.is_pod_ready("shop", name))
            .collect::<String>()
    };
    assert_eq!(ready(&index), "p");
    assert!(!index.is_pod_ready("other", "p"));
    apply(&mut index, "- pod p\n pod q ready=6");
    assert_eq!(ready(&index), "q");
}

#[test]
fn a_pod_that_is_well_costs_a_pointer_for_what_may_be_wrong() {
    let Object::Pod(pod) = super::cast::object("pod p init=1,done:0:3 c=0,running:5 ready=9")
    else {
        panic!()
    };
    assert_eq!(pod.ailment, None);
    assert_eq!(size_of_val(&pod.ailment), size_of::<usize>());
    // A hundred thousand pods: every eight octets are a megabyte.
    assert!(size_of::<Pod>() <= 128, "{}", size_of::<Pod>());
}
