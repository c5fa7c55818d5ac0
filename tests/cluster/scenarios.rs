//! Roll-outs as people do them, driven by kubectl and the real controllers, while the judge asks ten times a second.
//!
//! Every test has services of its own on a plane that all share, and prints its verdict: how many answers, how many of
//! them wrong, how late the latest was, and the states that the service went through.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::judge::{Judge, Truth, Verdict};
use crate::ours::Ours;
use crate::plane::{Plane, eventually};

/// The namespace of the workloads.
const SHOP: &str = "shop";

/// One plane, one server of ours, one watch of what is true.
struct Theatre {
    // In this order they are dropped.
    truth: Truth,
    ours: Ours,
    plane: Plane,
}

fn theatre() -> &'static Theatre {
    static THEATRE: OnceLock<Theatre> = OnceLock::new();
    THEATRE.get_or_init(|| {
        let plane = Plane::start();
        plane.namespace(SHOP);
        let kubeconfig = plane.install_ours();
        let ours = Ours::start(&plane, "shiftdns", &kubeconfig, &[]);
        let truth = Truth::of(plane.kubeconfig_admin(), SHOP);
        Theatre { truth, ours, plane }
    })
}

/// One service, its workload, and the judge who watches it.
struct Scene {
    name: &'static str,
    kind: &'static str,
    judge: Judge,
}

/// Enough for every old pod to stay until `minReadySeconds` of the new ones are over.
const SURGE: &str = r#"{"minReadySeconds": 12, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}"#;

impl Scene {
    /// A headless Service with these annotations of ours and a workload of so many pods; begins when all are answered.
    fn open(
        name: &'static str,
        kind: &'static str,
        replicas: usize,
        annotations: &[(&str, &str)],
        spec: &str,
    ) -> Self {
        let theatre = theatre();
        let annotations: serde_json::Map<String, Value> = annotations
            .iter()
            .map(|(key, value)| (format!("shiftdns.io/{key}"), (*value).into()))
            .collect();
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": SHOP, "name": name, "annotations": annotations},
            "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "http", "port": 80}]},
        });
        let workload = workload(name, kind, replicas, spec);
        theatre.plane.apply(&service.to_string());
        theatre.plane.apply(&workload.to_string());
        // A DaemonSet has a pod on each of the plane's three nodes.
        let pods = if kind == "daemonset" { 3 } else { replicas };
        eventually("all endpoints are ready", || {
            (theatre.plane.ready_endpoints(SHOP, name) == pods).then_some(())
        });
        let question = format!("{name}.{SHOP}.svc.cluster.local A");
        eventually("the service is answered, and at rest", || {
            let is_answered = theatre.ours.ask(&question).starts_with("NOERROR");
            (is_answered && state(name) == "Healthy").then_some(())
        });
        let judge = Judge::of(theatre.ours.dns, theatre.ours.api, SHOP, name);
        Self { name, kind, judge }
    }

    fn target(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    fn kubectl(&self, args: &[&str]) -> String {
        let mut all = vec!["-n", SHOP];
        all.extend(args);
        theatre().plane.kubectl(&all)
    }

    fn rollout(&self, what: &str) {
        self.kubectl(&["rollout", what, &self.target()]);
    }

    /// `kubectl set image`: another version.
    fn image(&self, tag: &str) {
        let image = format!("web=shop/web:{tag}");
        self.kubectl(&["set", "image", &self.target(), &image]);
    }

    fn scale(&self, replicas: usize) {
        let replicas = format!("--replicas={replicas}");
        self.kubectl(&["scale", &self.target(), &replicas]);
    }

    /// Waits until our server says so.
    fn until(&self, wanted: &str) {
        eventually(&format!("{} is {wanted}", self.name), || {
            (state(self.name) == wanted).then_some(())
        });
    }

    /// Waits until the version has at least this share, in percent, and at most that.
    fn until_share(&self, version: &str, least: u64, most: u64) {
        let what = format!("{version} of {} has {least} to {most}%", self.name);
        eventually(&what, || {
            let share = share(self.name, version)? / 100;
            (least..=most).contains(&share).then_some(())
        });
    }

    /// Waits until kubectl says that the roll-out is over, and our server that it is at rest.
    fn until_done(&self) {
        self.kubectl(&["rollout", "status", &self.target(), "--timeout=120s"]);
        self.until("Healthy");
    }

    /// Ends the scene. Nothing wrong was answered; the states came in this order, among others.
    fn close(self, states: &[&str]) -> Verdict {
        let theatre = theatre();
        let verdict = self.judge.verdict(&theatre.truth);
        println!("{}: {verdict}", self.name);
        verdict.acquit();
        let mut seen = verdict.states.iter();
        let mut is_seen = |state: &str| seen.any(|seen| seen == state);
        let missing = states.iter().find(|state| !is_seen(state));
        assert_eq!(missing, None, "in {:?}", verdict.states);
        let target = format!("{}/{}", self.kind, self.name);
        let service = format!("service/{}", self.name);
        theatre
            .plane
            .kubectl(&["-n", SHOP, "delete", "--wait=false", &target, &service]);
        verdict
    }
}

fn workload(name: &str, kind: &str, replicas: usize, spec: &str) -> Value {
    let kind = match kind {
        "deployment" => "Deployment",
        "statefulset" => "StatefulSet",
        _ => "DaemonSet",
    };
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"namespace": SHOP, "name": name},
        "spec": serde_json::from_str::<Value>(spec).expect("a spec in JSON"),
    });
    let spec = &mut workload["spec"];
    if kind != "DaemonSet" {
        spec["replicas"] = replicas.into();
    }
    if kind == "StatefulSet" {
        spec["serviceName"] = name.into();
    }
    spec["selector"] = json!({"matchLabels": {"app": name}});
    spec["template"] = json!({
        "metadata": {"labels": {"app": name}, "annotations": {"stage.test/start": "1s", "stage.test/stop": "1s"}},
        "spec": {"terminationGracePeriodSeconds": 5,
            "containers": [{"name": "web", "image": "shop/web:1", "ports": [{"containerPort": 8080}]}]},
    });
    workload
}

fn state(service: &str) -> String {
    let service = theatre().ours.service(SHOP, service);
    let state = service.and_then(|service| Some(service["state"].as_str()?.to_owned()));
    state.unwrap_or_default()
}

/// The share of a version, in basis points.
fn share(service: &str, version: &str) -> Option<u64> {
    let service = theatre().ours.service(SHOP, service)?;
    let versions = service["versions"].as_array()?;
    let version = versions.iter().find(|known| known["alias"] == version)?;
    version["share"]["basisPoints"].as_u64()
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn rolling_update_that_is_followed() {
    let scene = Scene::open("follow", "deployment", 10, &[], "{}");
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
    let scene = Scene::open("ramp", "deployment", 10, &policy, SURGE);
    scene.image("2");
    scene.until_share("2", 30, 70);
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
    let scene = Scene::open("steps", "deployment", 10, &policy, SURGE);
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
    let scene = Scene::open(
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
    let scene = Scene::open(
        "pause",
        "deployment",
        10,
        &[("strategy", "linear"), ("ramp", "10s")],
        SURGE,
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
    let scene = Scene::open("restart", "deployment", 10, &[], "{}");
    scene.rollout("restart");
    scene.until("Progressing");
    scene.until_done();
    scene.close(&["Healthy", "Progressing", "Healthy"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_version_that_crashes_gets_nothing() {
    let scene = Scene::open("crash", "deployment", 10, &[("steps", "50@1h,100")], "{}");
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
    let scene = Scene::open("flap", "deployment", 10, &policy, spec);
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
    let scene = Scene::open(
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
    let scene = Scene::open(
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
    let scene = Scene::open(
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
    let scene = Scene::open("daemon", "daemonset", 3, &[], "{}");
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
