//! The commands of the program in a cluster: a server in a pod is reached through the API server, and what people ask is
//! written there, by their own rights.

mod api;
mod rig;

use std::process::Command;

use api::following::{Following, quick};
use api::{Api, Fault, On, Tls, Verb, until};
use rig::cluster;
use serde_json::{Value, json};
use shiftdns::objects::Kind;

/// A roll-out in steps of which each waits for a person.
const SHOP: &str = "namespace shop
    headless web.shop http:80 strategy=steps steps=10,50,100
    deployment web.shop 4 v1=aaa v2=bbb
    slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-aaa | 10.1.0.3 @web-aaa | 10.1.0.4 @web-aaa
    slice web.shop http:80 | 10.1.0.5 @web-bbb | 10.1.0.6 @web-bbb";

/// A pod of ours, as `deploy/base` labels it.
fn pod(name: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "shiftdns", "name": name, "uid": name, "labels": {"app.kubernetes.io/name": "shiftdns"}},
        "spec": {}, "status": {"conditions": [{"type": "Ready", "status": status}]}})
}

/// A server that follows the API server, in which it is a pod as well.
fn serve(tls: Option<Tls>) -> Following {
    let api = tls.map_or_else(Api::start, Api::with_tls);
    let pods = [pod("shiftdns-a", false), pod("shiftdns-b", true)];
    let pods = pods.iter().map(|pod| format!("{pod}\n"));
    api.set(&format!("{}\n{}", cluster(SHOP), pods.collect::<String>()));
    let following = Following::of(api, quick(), |_| {});
    following.api.inside(following.rig.api);
    following
}

/// The exit code of a command, and what it printed to standard output or else to standard error.
fn run(following: &Following, line: &str) -> (Option<i32>, String) {
    let kubeconfig = following.api.kubeconfig().display().to_string();
    let server = format!("http://{}", following.rig.api);
    let line = line.replace("KUBECONFIG", &kubeconfig);
    let line = line.replace("SERVER", &server);
    let output = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
        .args(line.split_whitespace())
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .expect("it runs");
    let told = match output.stdout.is_empty() {
        true => output.stderr,
        false => output.stdout,
    };
    let told = String::from_utf8(told).expect("UTF-8");
    (output.status.code(), told.trim_end().to_owned())
}

#[track_caller]
fn check(following: &Following, line: &str, code: i32, expected: &str) {
    let (got, told) = run(following, line);
    assert_eq!((got, told.as_str()), (Some(code), expected), "{line}");
}

/// Waits until the server tells that the service is in this state.
fn becomes(following: &Following, state: &str) {
    until(state, || {
        let (_, told) = run(following, "get shop/web --server SERVER -o json");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        told["state"] == state
    });
}

fn annotations(following: &Following) -> Value {
    let service = following.api.object(Kind::Service, "shop", "web");
    service.expect("it is there")["metadata"]["annotations"].clone()
}

#[test]
fn a_server_in_a_ready_pod_is_reached_through_the_api_server() {
    for tls in [None, Some(Tls::new())] {
        let following = serve(tls);
        let (code, told) = run(&following, "get --kubeconfig KUBECONFIG -o json");
        assert_eq!(code, Some(0), "{told}");
        let told: Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told["services"][0]["name"], "web");
        let asked = following.api.asked();
        let forwards = asked
            .iter()
            .filter(|asked| asked.line.contains("/portforward"));
        let lines: Vec<&str> = forwards.map(|asked| asked.line.as_str()).collect();
        let expected = "GET /api/v1/namespaces/shiftdns/pods/shiftdns-b/portforward?&ports=9154";
        assert_eq!(lines, [expected]);
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_told_with_the_reason() {
    let following = serve(None);
    check(
        &following,
        "get --kubeconfig KUBECONFIG --server-namespace dns",
        1,
        "shiftdns: cannot reach a server in the cluster: no pod with the label `app.kubernetes.io/name=shiftdns` in \
         namespace `dns` is ready (0 are there)",
    );
    check(
        &following,
        "get --kubeconfig KUBECONFIG --context wob",
        1,
        &format!(
            "shiftdns: cannot reach a server in the cluster: cannot use the kubeconfig `{}`: failed to load current context: wob",
            following.api.kubeconfig().display()
        ),
    );
    // As a node says it when nobody listens in the pod.
    let deaf = Api::serving(&pod("shiftdns-a", true).to_string());
    let deaf = Following::unsynced(deaf, quick(), |_| {});
    check(
        &deaf,
        "get --kubeconfig KUBECONFIG",
        1,
        "shiftdns: pod `shiftdns/shiftdns-a` takes no connection: failed to connect to localhost: connection refused",
    );
}

#[test]
fn what_is_asked_is_written_on_the_service_and_taken_away_again() {
    let following = serve(None);
    becomes(&following, "Paused");
    let done = |what: &str| {
        format!("shop/web: Deployment shop/web: revision bbb {what} (written on the Service)")
    };
    check(
        &following,
        "pause shop/web --kubeconfig KUBECONFIG",
        0,
        &done("paused"),
    );
    assert_eq!(annotations(&following)["shiftdns.io/pause"], "bbb");
    let mut patches = following
        .api
        .asked()
        .into_iter()
        .filter(|asked| asked.verb == Verb::Write && asked.kind == Some(Kind::Service));
    let patch = patches.next_back().expect("a patch").line;
    assert!(patch.contains("fieldManager=kubectl-shiftdns"), "{patch}");
    // The server has read it, or the next one would say something else.
    let is_heard = || annotations_heard(&following, "pause");
    until("the server has heard of it", is_heard);
    // With --server the cluster is still the one to write to.
    let line = "resume shop/web --server SERVER --kubeconfig KUBECONFIG";
    check(&following, line, 0, &done("resumed"));
    assert_eq!(annotations(&following)["shiftdns.io/pause"], Value::Null);
    until("the server has heard of it", || {
        !annotations_heard(&following, "pause")
    });
    check(
        &following,
        "promote shop/web --kubeconfig KUBECONFIG",
        0,
        &done("promoted to step 2 of 3"),
    );
    assert_eq!(annotations(&following)["shiftdns.io/promote"], "bbb@2");
    check(
        &following,
        "abort shop/web --kubeconfig KUBECONFIG",
        0,
        &done("aborted"),
    );
    becomes(&following, "Aborted");
}

/// Whether the server tells of an annotation.
fn annotations_heard(following: &Following, word: &str) -> bool {
    let (_, told) = run(following, "get shop/web --server SERVER -o json");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    !told["annotations"][word].is_null()
}

#[test]
fn where_there_is_a_servicerollout_it_is_written_there() {
    let following = serve(None);
    let rollout = json!({"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"namespace": "shop", "name": "web", "uid": "r"},
        "spec": {"steps": [{"weight": 10}, {"weight": 100}], "pause": ["old"]}});
    following.api.add(&rollout.to_string());
    until("the server has heard of it", || {
        annotations_heard(&following, "pause")
    });
    let told =
        "shop/web: Deployment shop/web: revision bbb paused (written into its ServiceRollout)";
    check(
        &following,
        "pause shop/web --kubeconfig KUBECONFIG",
        0,
        told,
    );
    let stands = following
        .api
        .object(Kind::ServiceRollout, "shop", "web")
        .expect("it is there");
    assert_eq!(stands["spec"]["pause"], json!(["old", "bbb"]));
    assert_eq!(annotations(&following)["shiftdns.io/pause"], Value::Null);
}

#[test]
fn somebody_who_is_quicker_is_not_overwritten_and_who_may_not_is_told() {
    let following = serve(None);
    becomes(&following, "Paused");
    let write = On::writes().of(Kind::Service);
    following
        .api
        .once(write, Fault::Status(409, "Conflict", Vec::new()));
    let done = "shop/web: Deployment shop/web: revision bbb paused (written on the Service)";
    check(
        &following,
        "pause shop/web --kubeconfig KUBECONFIG",
        0,
        done,
    );
    following.api.once(
        On::writes().of(Kind::Service),
        Fault::Status(403, "Forbidden", Vec::new()),
    );
    let (code, told) = run(&following, "abort shop/web --kubeconfig KUBECONFIG");
    assert_eq!(code, Some(1));
    let expected = "shiftdns: cannot ask it of revision `bbb`: cannot write service `shop/web`: ";
    assert!(told.starts_with(expected), "{told}");
    assert_eq!(annotations(&following)["shiftdns.io/abort"], Value::Null);
}

#[test]
fn a_cluster_that_nobody_named_is_not_written_to() {
    let following = serve(None);
    becomes(&following, "Paused");
    check(
        &following,
        "pause shop/web --server SERVER",
        1,
        "shiftdns: this server follows a cluster and writes nobody's objects; name the cluster with --kubeconfig or \
         --context, or run: kubectl annotate --overwrite service web -n shop shiftdns.io/pause=bbb",
    );
    // The service of another cluster has another UID.
    let other = serve(None);
    let mut web = other
        .api
        .object(Kind::Service, "shop", "web")
        .expect("it is there");
    web["metadata"]["uid"] = "another".into();
    other.api.delete(Kind::Service, "shop", "web");
    other.api.add(&web.to_string());
    let kubeconfig = other.api.kubeconfig().display().to_string();
    let line = format!("pause shop/web --server SERVER --kubeconfig {kubeconfig}");
    let (code, told) = run(&following, &line);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("of this cluster is not the one that the server told of"),
        "{told}"
    );
    assert_eq!(annotations(&other)["shiftdns.io/pause"], Value::Null);
}
