//! The Helm chart: it makes what `deploy/base` makes, and a real API server takes it, in every way in which it may be set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::ours::Ours;
use crate::plane::{Plane, kubectl};
use crate::programs;

/// Labels and annotations that Helm's objects have beside those of the base.
const HELMS: [&str; 5] = [
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
    "helm.sh/chart",
    "checksum/config",
];

fn deploy(below: &str) -> PathBuf {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    deploy.join(below)
}

/// What Helm says: standard output, or else standard error.
fn helm(home: &Path, args: &[&str]) -> Result<String, String> {
    let output = Command::new(programs::helm())
        .args(args)
        // Its caches and its configuration, and nobody's kubeconfig but the one that is named.
        .env("HELM_CACHE_HOME", home.join("helm"))
        .env("HELM_CONFIG_HOME", home.join("helm"))
        .env("HELM_DATA_HOME", home.join("helm"))
        .env_remove("KUBECONFIG")
        .output()
        .expect("helm can be run");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("helm writes UTF-8"))
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn chart() -> String {
    deploy("helm/shiftdns").display().to_string()
}

fn everything() -> String {
    let values = deploy("helm/shiftdns/ci/everything-values.yaml");
    values.display().to_string()
}

fn documents(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// The objects of a release `shiftdns` in the namespace `shiftdns`.
fn rendered(home: &Path, more: &[&str]) -> Result<Vec<Value>, String> {
    let chart = chart();
    let args = [
        "template",
        "shiftdns",
        chart.as_str(),
        "--namespace",
        "shiftdns",
    ];
    helm(home, &[&args[..], more].concat()).map(|text| documents(&text))
}

/// An object without what Helm adds, and without what kustomize adds to the name of a ConfigMap.
fn plain(value: &Value, hashed: &str) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(key, _)| !HELMS.contains(&key.as_str()));
            let kept = kept.map(|(key, value)| (key.clone(), plain(value, hashed)));
            let kept: Map<String, Value> = kept.filter(|(_, value)| *value != json!({})).collect();
            Value::Object(kept)
        }
        Value::Array(list) => list.iter().map(|value| plain(value, hashed)).collect(),
        Value::String(text) if text == hashed => json!("shiftdns"),
        other => other.clone(),
    }
}

/// Objects by kind and name, the configuration as what it says.
fn by_name(objects: &[Value]) -> BTreeMap<String, Value> {
    let is_config = |object: &&Value| object["data"]["config.yaml"].is_string();
    let config = objects.iter().find(is_config).expect("a configuration");
    let hashed = config["metadata"]["name"].as_str().unwrap();
    let mut all = BTreeMap::new();
    for object in objects {
        let mut object = plain(object, hashed);
        if let Some(text) = object["data"]["config.yaml"].as_str() {
            let config: Value = serde_saphyr::from_str(text).unwrap();
            object["data"]["config.yaml"] = plain(&config, hashed);
        }
        let name = format!("{} {}", object["kind"], object["metadata"]["name"]);
        all.insert(name, object);
    }
    all
}

#[test]
#[ignore = "runs helm and kubectl: tests/cluster/run"]
fn the_chart_makes_what_the_base_makes() {
    let directory = tempfile::tempdir().unwrap();
    let home = directory.path();
    let (chart, everything) = (chart(), everything());
    for values in [&[][..], &["--values", everything.as_str()]] {
        let args = [&["lint", "--strict", chart.as_str()], values].concat();
        helm(home, &args).unwrap();
    }
    for (overlay, more) in [
        ("base", &[][..]),
        (
            "overlays/stub-domain",
            &[
                "--set",
                "upstream.clusterIP=10.96.0.53,stubDomain.create=true",
            ],
        ),
    ] {
        let output = Command::new(programs::directory().join("kubectl"))
            .arg("kustomize")
            .arg(deploy(overlay))
            .output()
            .unwrap();
        let of_base = by_name(&documents(&String::from_utf8(output.stdout).unwrap()));
        let mut of_chart = by_name(&rendered(home, more).unwrap());
        // It is ours because the chart made it.
        if let Some(map) = of_chart.get_mut("\"ConfigMap\" \"coredns-custom\"") {
            map["metadata"].as_object_mut().unwrap().remove("labels");
        }
        for (name, object) in &of_base {
            match object["kind"].as_str().unwrap() {
                // Helm's own: `--create-namespace`, and the directory `crds`.
                "Namespace" | "CustomResourceDefinition" => assert!(!of_chart.contains_key(name)),
                _ => assert_eq!(of_chart.get(name), Some(object), "{overlay}: {name}"),
            }
        }
        let more: Vec<&String> = of_chart
            .keys()
            .filter(|name| !of_base.contains_key(*name))
            .collect();
        assert!(more.is_empty(), "{overlay}: {more:?}");
    }
}

#[test]
#[ignore = "runs helm: tests/cluster/run"]
fn values_that_make_no_sense_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (set, why) in [
        ("replica=3", "additional properties 'replica' not allowed"),
        ("config.zone=a", "additional properties 'zone' not allowed"),
        ("config.listen={1053}", "config/listen"),
        ("config.zones={}", "config/zones"),
        ("replicas=two", "want integer"),
        ("image.digest=latest", "image/digest"),
        ("monitoring.rules.enable=true", "not allowed"),
        ("stubDomain.create=true", "wants upstream.clusterIP"),
    ] {
        let said = rendered(directory.path(), &["--set", set]).expect_err(set);
        assert!(said.contains(why), "{set}: {said}");
    }
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_release_is_installed_upgraded_and_taken_away() {
    let plane = Plane::start();
    let home = plane.home().to_owned();
    let admin = plane.kubeconfig_admin().to_str().unwrap();
    let run = |args: &[&str]| helm(&home, &[args, &["--kubeconfig", admin]].concat()).unwrap();
    let chart = chart();
    let chart = chart.as_str();
    let everything = everything();
    let everything = everything.as_str();

    // Every switch thrown, but for the resources of an operator that is not here.
    plane.namespace("dns");
    let objects = rendered(&home, &["--values", everything, "--namespace", "dns"]).unwrap();
    let is_ours = |object: &&Value| object["apiVersion"] != "monitoring.coreos.com/v1";
    let list: Vec<&Value> = objects.iter().filter(is_ours).collect();
    assert_eq!(objects.len() - list.len(), 3, "two monitors and the rules");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": list}).to_string();
    let args = [
        "apply",
        "--dry-run=server",
        "--warnings-as-errors",
        "-f",
        "-",
    ];
    kubectl(plane.kubeconfig_admin(), &args, Some(&list)).unwrap();

    // A namespace that takes only restricted pods takes these.
    plane.namespace("shiftdns");
    let restricted = "pod-security.kubernetes.io/enforce=restricted";
    plane.kubectl(&["label", "namespace", "shiftdns", restricted]);
    let release = [
        "shiftdns",
        chart,
        "--namespace",
        "shiftdns",
        "--wait",
        "--timeout",
        "2m",
    ];
    let said = run(&[&["install"], &release[..]].concat());
    assert!(said.contains("forward . ADDRESS {"), "{said}");
    let list = ["-n", "shiftdns", "get"];
    let pods = || -> Vec<String> {
        let pods = plane.json(
            &[
                &list[..],
                &["pods", "-l", "app.kubernetes.io/name=shiftdns"],
            ]
            .concat(),
        );
        let items = pods["items"].as_array().unwrap();
        let name = |pod: &Value| pod["metadata"]["name"].as_str().unwrap().to_owned();
        items.iter().map(name).collect()
    };
    let before = pods();
    assert_eq!(before.len(), 2);

    // A server with the rights of the release becomes ready, and answers.
    let kubeconfig = plane.kubeconfig_for_service_account("shiftdns", "shiftdns");
    let ours = Ours::start(&plane, "ours", &kubeconfig, &[]);
    let answer = ours.ask("shiftdns.shiftdns.svc.cluster.local A");
    assert!(answer.contains("10.96."), "{answer}");

    // A change of the configuration rolls the server; an address for resolvers comes beside the Service that is there.
    let change = "config.ttl.endpoints=3,upstream.clusterIP=10.96.0.53";
    let said = run(&[
        &["upgrade"],
        &release[..],
        &["--reuse-values", "--set", change],
    ]
    .concat());
    assert!(said.contains("forward . 10.96.0.53 {"), "{said}");
    plane.kubectl(&[
        "-n",
        "shiftdns",
        "rollout",
        "status",
        "deployment/shiftdns",
        "--timeout=90s",
    ]);
    assert!(pods().iter().any(|pod| !before.contains(pod)), "new pods");
    let map = plane.json(&[&list[..], &["configmap", "shiftdns"]].concat());
    let config: Value =
        serde_saphyr::from_str(map["data"]["config.yaml"].as_str().unwrap()).unwrap();
    assert_eq!(config["ttl"], json!({"endpoints": 3}));
    let front = plane.json(&[&list[..], &["service", "shiftdns-upstream"]].concat());
    assert_eq!(front["spec"]["clusterIP"], "10.96.0.53");

    // People's ServiceRollouts outlive the release.
    run(&["uninstall", "shiftdns", "--namespace", "shiftdns", "--wait"]);
    let left = plane.kubectl(&[
        "get",
        "clusterroles,clusterrolebindings",
        "-l",
        "app.kubernetes.io/name=shiftdns",
        "-o",
        "name",
    ]);
    assert_eq!(left, "");
    plane.kubectl(&["get", "crd", "servicerollouts.shiftdns.io"]);
}
