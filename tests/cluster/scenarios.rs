//! Roll-outs as people do them, driven by kubectl and the real controllers, while the judge asks ten times a second.
//!
//! Every test has services of its own on a plane that all share, and prints its verdict: how many answers, how many of
//! them wrong, how late the latest was, and the states that the service went through.

use std::time::Duration;

use serde_json::json;

use crate::judge::Judge;
use crate::plane::eventually;
use crate::theatre::{SHOP, SURGE, Scene, theatre, workload};

/// A scene on the plane that all share.
fn open(
    name: &'static str,
    kind: &'static str,
    replicas: usize,
    annotations: &[(&str, &str)],
    spec: &str,
) -> Scene<'static> {
    theatre().open(name, kind, replicas, annotations, spec)
}

fn state(service: &str) -> String {
    theatre().state(service)
}

fn share(service: &str, version: &str) -> Option<u64> {
    theatre().share(service, version)
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn rolling_update_that_is_followed() {
    let scene = open("follow", "deployment", 10, &[], "{}");
    scene.image("2");
    scene.until_share("2", 20, 80);
    scene.until_done();
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn rolling_update_on_a_ramp() {
    let policy = [
        ("strategy", "linear"),
        ("ramp", "10s"),
        ("ttl", "endpoints=1"),
    ];
    let scene = open("ramp", "deployment", 10, &policy, SURGE);
    scene.image("2");
    scene.until_share("2", 20, 80);
    // Kubernetes holds all the old pods: what moves the share is the ramp.
    assert_eq!(theatre().plane.ready_endpoints(SHOP, "ramp"), 20);
    scene.until_done();
    scene.close(&["Healthy", "Pending", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn rolling_update_in_steps() {
    let policy = [
        ("steps", "25@3s,50@3s,100"),
        ("ttl", "endpoints=1,rollout=1"),
    ];
    let scene = open("steps", "deployment", 10, &policy, SURGE);
    scene.image("2");
    scene.until_share("2", 25, 25);
    scene.until_share("2", 50, 50);
    assert_eq!(theatre().plane.ready_endpoints(SHOP, "steps"), 20);
    scene.until_done();
    scene.close(&["Healthy", "Pending", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn undo_half_way_and_after_the_end() {
    let scene = open(
        "undo",
        "deployment",
        10,
        &[("strategy", "linear"), ("ramp", "10s")],
        SURGE,
    );
    scene.image("2");
    scene.until_share("2", 20, 80);
    scene.rollout("undo");
    scene.until("RollingBack");
    scene.until_done();
    assert_eq!(share("undo", "1"), Some(10_000));
    scene.image("2");
    scene.until_done();
    assert_eq!(share("undo", "2"), Some(10_000));
    scene.rollout("undo");
    scene.until_done();
    assert_eq!(share("undo", "1"), Some(10_000));
    scene.close(&[
        "Progressing",
        "RollingBack",
        "Healthy",
        "Progressing",
        "Healthy",
        "RollingBack",
        "Healthy",
    ]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn pause_and_resume() {
    // While it is paused Kubernetes takes the old pods away all the same, once the new ones are available.
    let later = SURGE.replace("12", "30");
    let scene = open(
        "pause",
        "deployment",
        10,
        &[("strategy", "linear"), ("ramp", "10s")],
        &later,
    );
    scene.image("2");
    scene.until_share("2", 20, 80);
    scene.rollout("pause");
    scene.until("Paused");
    let held = share("pause", "2");
    // Longer than a tick of the ramp.
    std::thread::sleep(Duration::from_secs(7));
    assert_eq!(share("pause", "2"), held, "it stands still");
    scene.rollout("resume");
    scene.until_done();
    scene.close(&["Progressing", "Paused", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn restart_of_the_same_code() {
    let scene = open("restart", "deployment", 10, &[], "{}");
    scene.rollout("restart");
    scene.until("Progressing");
    scene.until_done();
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_version_that_crashes_gets_nothing() {
    let scene = open("crash", "deployment", 10, &[("steps", "50@1h,100")], "{}");
    scene.image("crash");
    scene.until("Aborted");
    assert_eq!(share("crash", "1"), Some(10_000));
    scene.rollout("undo");
    scene.until_done();
    scene.close(&["Healthy", "Pending", "Aborted", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_version_that_crashes_after_it_was_ready_is_shifted_back() {
    let policy = [("steps", "50@1h,100"), ("on-failure", "shift-back")];
    let spec = r#"{"strategy": {"rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}, "minReadySeconds": 60}"#;
    let scene = open("flap", "deployment", 10, &policy, spec);
    scene.image("flap");
    scene.until("Aborted");
    eventually("all of it is back", || {
        (share("flap", "1") == Some(10_000)).then_some(())
    });
    scene.rollout("undo");
    scene.until_done();
    scene.close(&["Healthy", "Aborted", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn scaling_in_mid_roll() {
    let scene = open(
        "scale",
        "deployment",
        6,
        &[("strategy", "linear"), ("ramp", "10s")],
        SURGE,
    );
    scene.image("2");
    scene.until_share("2", 20, 80);
    scene.scale(10);
    scene.until("Progressing");
    scene.scale(4);
    scene.until_done();
    eventually("four are left", || {
        (theatre().plane.ready_endpoints(SHOP, "scale") == 4).then_some(())
    });
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_third_version_over_the_second() {
    let scene = open(
        "third",
        "deployment",
        10,
        &[("strategy", "linear"), ("ramp", "10s")],
        SURGE,
    );
    scene.image("2");
    scene.until_share("2", 20, 80);
    scene.image("3");
    scene.until_done();
    assert_eq!(share("third", "3"), Some(10_000));
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_stateful_set_whose_partition_stands() {
    let spec = r#"{"podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}}"#;
    let scene = open(
        "set",
        "statefulset",
        5,
        &[("steps", "40,100"), ("headroom", "200")],
        spec,
    );
    scene.image("2");
    scene.until("Paused");
    scene.until_share("2", 40, 40);
    let open = r#"{"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}"#;
    scene.kubectl(&["patch", "statefulset/set", "-p", open]);
    scene.until_done();
    scene.close(&["Healthy", "Paused", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_daemon_set() {
    let scene = open("daemon", "daemonset", 3, &[], "{}");
    scene.image("2");
    scene.until("Progressing");
    scene.until_done();
    eventually("all of it is new", || {
        (share("daemon", "2") == Some(10_000)).then_some(())
    });
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn blue_and_green_behind_one_name() {
    let theatre = theatre();
    for colour in ["blue", "green"] {
        let name = format!("bg-{colour}");
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": name},
            "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
        });
        theatre.plane.apply(&service.to_string());
        theatre
            .plane
            .apply(&workload(&name, "deployment", 4, "{}").to_string());
    }
    let front = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": SHOP, "name": "bg", "annotations": {
            "shiftdns.io/strategy": "blue-green", "shiftdns.io/backends": "bg-blue=100,bg-green=0"}},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
    });
    theatre.plane.apply(&front.to_string());
    eventually("blue is answered", || {
        (share("bg", "bg-blue") == Some(10_000) && state("bg") == "Healthy").then_some(())
    });
    let judge =
        Judge::of(theatre.ours.dns, theatre.ours.api, SHOP, "bg").behind(&["bg-blue", "bg-green"]);
    let shift = |backends: &str| {
        let backends = format!("shiftdns.io/backends={backends}");
        theatre.plane.kubectl(&[
            "-n",
            SHOP,
            "annotate",
            "--overwrite",
            "service/bg",
            &backends,
        ]);
    };
    shift("bg-blue=0,bg-green=100");
    eventually("green is answered", || {
        (share("bg", "bg-green") == Some(10_000) && state("bg") == "Healthy").then_some(())
    });
    shift("bg-blue=100,bg-green=0");
    eventually("blue is answered again", || {
        (share("bg", "bg-blue") == Some(10_000) && state("bg") == "Healthy").then_some(())
    });
    let verdict = judge.verdict(&theatre.truth);
    println!("bg: {verdict}");
    verdict.acquit();
}
