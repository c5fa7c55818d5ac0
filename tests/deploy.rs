//! What `deploy/` installs: no more rights than are used, no more privileges than none, and text that agrees with the code.
//!
//! `SHIFTDNS_UPDATE=1 cargo test --test deploy` writes `deploy/base/crd.yaml` anew, and the chart's copy of it. What Helm makes of the
//! chart stands in `cluster/chart.rs`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use shiftdns::objects::Kind;

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn document(path: &str) -> Value {
    let mut all = documents(path);
    assert_eq!(all.len(), 1, "{path}");
    all.remove(0)
}

/// All objects of the base, as they were written.
fn base() -> Vec<Value> {
    let kustomization = document("base/kustomization.yaml");
    let files = kustomization["resources"].as_array().unwrap();
    let files = files
        .iter()
        .map(|file| format!("base/{}", file.as_str().unwrap()));
    files.flat_map(|file| documents(&file)).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    let all = base().into_iter();
    all.filter(|object| object["kind"] == kind).collect()
}

fn one(kind: &str) -> Value {
    let mut all = of_kind(kind);
    assert_eq!(all.len(), 1, "{kind}");
    all.remove(0)
}

fn pod() -> Value {
    one("Deployment")["spec"]["template"].clone()
}

fn container() -> Value {
    let containers = pod()["spec"]["containers"].as_array().unwrap().clone();
    assert_eq!(containers.len(), 1);
    containers[0].clone()
}

/// Group, resource and verb of everything that a role allows.
fn allowed(role: &Value) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap();
        list.iter()
            .map(|text| text.as_str().unwrap().to_owned())
            .collect()
    };
    for rule in role["rules"].as_array().unwrap() {
        let keys: Vec<&String> = rule.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["apiGroups", "resources", "verbs"]);
        for group in texts(&rule["apiGroups"]) {
            for resource in texts(&rule["resources"]) {
                for verb in texts(&rule["verbs"]) {
                    all.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    all
}

#[test]
fn the_server_may_see_what_it_reads_and_tell_what_it_finds() {
    let entry = |group: &str, resource: &str, verb: &str| {
        (group.to_owned(), resource.to_owned(), verb.to_owned())
    };
    let kinds = Kind::ALL.iter();
    let mut expected: BTreeSet<_> = kinds
        .flat_map(|kind| ["list", "watch"].map(|verb| entry(kind.group(), kind.plural(), verb)))
        .collect();
    expected.insert(entry("shiftdns.io", "servicerollouts/status", "patch"));
    expected.insert(entry("events.k8s.io", "events", "create"));

    let binding = one("ClusterRoleBinding");
    let account = one("ServiceAccount");
    assert_eq!(binding["roleRef"]["kind"], "ClusterRole");
    let subject = json!({"kind": "ServiceAccount", "name": account["metadata"]["name"],
        "namespace": account["metadata"]["namespace"]});
    assert_eq!(binding["subjects"], json!([subject]));
    assert_eq!(
        pod()["spec"]["serviceAccountName"],
        account["metadata"]["name"]
    );
    let roles = of_kind("ClusterRole").into_iter();
    let mut bound = roles.filter(|role| role["metadata"]["name"] == binding["roleRef"]["name"]);
    assert_eq!(allowed(&bound.next().unwrap()), expected);
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(of_kind(kind), [] as [Value; 0]);
    }
}

#[test]
fn people_may_write_resources_and_not_their_status() {
    let roles = of_kind("ClusterRole");
    let aggregated = roles.iter().filter(|role| {
        let labels = role["metadata"]["labels"].as_object().unwrap();
        labels
            .keys()
            .any(|key| key.starts_with("rbac.authorization.k8s.io/aggregate-to-"))
    });
    let mut count = 0;
    for role in aggregated {
        count += 1;
        for (group, resource, verb) in allowed(role) {
            assert_eq!((&*group, &*resource), ("shiftdns.io", "servicerollouts"));
            let views =
                role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true";
            assert!(
                !views || ["get", "list", "watch"].contains(&&*verb),
                "{verb}"
            );
        }
    }
    assert_eq!(count, 2);
}

/// The restricted profile of Kubernetes' pod security standards, and a root that cannot be written.
#[test]
fn the_server_runs_without_privileges() {
    let (pod, container) = (pod(), container());
    let labels = &one("Namespace")["metadata"]["labels"];
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    assert_eq!(
        pod["spec"]["securityContext"],
        json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}})
    );
    assert_eq!(
        container["securityContext"],
        json!({"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}})
    );
    for key in [
        "hostNetwork",
        "hostPID",
        "hostIPC",
        "initContainers",
        "ephemeralContainers",
    ] {
        assert!(pod["spec"][key].is_null(), "{key}");
    }
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    assert!(volumes.iter().all(|volume| volume["configMap"].is_object()));
    for port in container["ports"].as_array().unwrap() {
        assert!(port["hostPort"].is_null() && port["containerPort"].as_u64() > Some(1023));
    }
    // The image says the same, for who runs it elsewhere.
    let image = text("Dockerfile");
    let last = image.rsplit("\nFROM ").next().unwrap();
    assert!(
        last.starts_with("scratch\n") && last.contains("\nUSER 65532:65532\n"),
        "{last}"
    );
}

#[test]
fn one_node_one_zone_or_one_drain_takes_one_replica() {
    let deployment = one("Deployment");
    let spec = &deployment["spec"];
    assert!(spec["replicas"].as_u64() >= Some(2));
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let labels = &spec["template"]["metadata"]["labels"];
    let selector = json!({"matchLabels": labels});
    assert_eq!(spec["selector"], selector);
    let pod = &spec["template"]["spec"];
    let affinity =
        &pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(affinity["podAffinityTerm"]["labelSelector"], selector);
    let spreads = pod["topologySpreadConstraints"].as_array().unwrap();
    let keys: Vec<&Value> = spreads
        .iter()
        .map(|spread| &spread["topologyKey"])
        .collect();
    assert_eq!(
        keys,
        ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    );
    assert!(
        spreads
            .iter()
            .all(|spread| spread["labelSelector"] == selector)
    );
    let budget = one("PodDisruptionBudget");
    assert_eq!(budget["spec"]["selector"], selector);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(one("Service")["spec"]["selector"], *labels);
    // SIGTERM, 5 s of answers while not ready, at most 5 s for what has arrived; and something for a slow node.
    assert!(pod["terminationGracePeriodSeconds"].as_u64() >= Some(5 + 5 + 5));
    let probe = &container()["readinessProbe"];
    let seen =
        probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
    assert!(
        seen < 5,
        "who is not ready is seen in {seen} s, while it still answers"
    );
}

#[test]
fn ports_lead_to_where_the_server_listens() {
    let config = document("base/config.yaml");
    let port = |address: &Value| {
        address
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
    };
    let container = container();
    let by_name: BTreeMap<&str, (u64, &str)> = container["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| {
            let protocol = of["protocol"].as_str().unwrap();
            (
                of["name"].as_str().unwrap(),
                (of["containerPort"].as_u64().unwrap(), protocol),
            )
        })
        .collect();
    let dns = port(&config["listen"][0]);
    let http = port(&config["http"]);
    assert_eq!(
        by_name,
        BTreeMap::from([
            ("dns", (dns, "UDP")),
            ("dns-tcp", (dns, "TCP")),
            ("http", (http, "TCP"))
        ])
    );
    let service = one("Service");
    let ports = service["spec"]["ports"].as_array().unwrap();
    let led: Vec<(u64, &str)> = ports
        .iter()
        .map(|port| {
            let (_, protocol) = by_name[port["targetPort"].as_str().unwrap()];
            assert_eq!(port["protocol"], protocol);
            (port["port"].as_u64().unwrap(), protocol)
        })
        .collect();
    assert_eq!(led, [(53, "UDP"), (53, "TCP"), (http, "TCP")]);
    for (probe, path) in [("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")] {
        assert_eq!(
            container[probe]["httpGet"],
            json!({"path": path, "port": "http"})
        );
    }
    assert!(
        config["api"]["listen"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    let mount = container["volumeMounts"][0]["mountPath"].as_str().unwrap();
    assert_eq!(
        container["args"],
        json!(["serve", "--config", format!("{mount}/config.yaml")])
    );
    let generated = &document("base/kustomization.yaml")["configMapGenerator"][0];
    assert_eq!(generated["files"], json!(["config.yaml"]));
    assert_eq!(
        pod()["spec"]["volumes"][0]["configMap"]["name"],
        generated["name"]
    );
    assert_eq!(
        document("base/kustomization.yaml")["images"][0]["name"],
        container["image"]
    );
}

/// What our program says.
fn shiftdns(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
        .args(args)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{args:?}: {text}");
    text
}

#[test]
fn the_configuration_is_one() {
    let path = deploy("base/config.yaml");
    assert_eq!(
        shiftdns(&["check", path.to_str().unwrap()]),
        "no problems\n"
    );
}

/// Helm takes it from a directory of the chart, and follows no link out of that.
const DEFINITIONS: [&str; 2] = ["base/crd.yaml", "helm/shiftdns/crds/servicerollouts.yaml"];

#[test]
fn the_definition_is_the_derived_one() {
    let derived = shiftdns(&["crd"]);
    if std::env::var_os("SHIFTDNS_UPDATE").is_some() {
        for path in DEFINITIONS {
            fs::write(deploy(path), &derived).unwrap();
        }
    }
    for path in DEFINITIONS {
        assert!(
            text(path) == derived,
            "deploy/{path} is not what `shiftdns crd` prints; run `SHIFTDNS_UPDATE=1 cargo test --test deploy`"
        );
    }
    assert_eq!(
        one("CustomResourceDefinition")["spec"]["names"]["kind"],
        Kind::ServiceRollout.as_str()
    );
}

#[test]
fn resolvers_ask_for_our_zone_at_our_address_and_keep_answers_as_long_as_they_are_good() {
    let config = document("base/config.yaml");
    let zone = config["zones"][0].as_str().unwrap();
    let front = document("overlays/address/service.yaml");
    let address = front["spec"]["clusterIP"].as_str().unwrap();
    let service = one("Service");
    let ports = service["spec"]["ports"].as_array().unwrap();
    assert_eq!(front["spec"]["ports"].as_array().unwrap()[..], ports[..2]);
    assert_eq!(front["spec"]["selector"], service["spec"]["selector"]);
    assert_eq!(
        front["metadata"]["namespace"],
        service["metadata"]["namespace"]
    );
    for (overlay, file, key) in [
        ("stub-domain", "coredns-custom.yaml", "shiftdns.server"),
        ("nodelocal", "node-local-dns.yaml", "Corefile"),
    ] {
        let kustomization = document(&format!("overlays/{overlay}/kustomization.yaml"));
        assert_eq!(kustomization["resources"], json!(["../../base", file]));
        assert_eq!(kustomization["components"], json!(["../address"]));
        let map = document(&format!("overlays/{overlay}/{file}"));
        assert_eq!(map["metadata"]["namespace"], "kube-system");
        let corefile = map["data"][key].as_str().unwrap();
        // The block of our zone.
        let block = corefile.split_once(&format!("{zone}:53 {{\n")).unwrap().1;
        let block = block.split_once("\n}").unwrap().0;
        assert!(
            block.contains(&format!("    forward . {address} {{\n")),
            "{block}"
        );
        assert!(!block.contains("loadbalance"), "{block}");
        let kept: Vec<u64> = block
            .lines()
            .map(str::trim)
            .filter(|line| {
                line.starts_with("cache ")
                    || line.starts_with("success ")
                    || line.starts_with("denial ")
            })
            .filter_map(|line| {
                line.trim_end_matches([' ', '{'])
                    .rsplit(' ')
                    .next()
                    .unwrap()
                    .parse()
                    .ok()
            })
            .collect();
        assert!(
            !kept.is_empty() && kept.iter().all(|secs| *secs <= 5),
            "{block}"
        );
    }
}

/// Where there is a kubectl, it makes the same of it as we do.
#[test]
fn kubectl_renders_what_is_written() {
    let render = |path: &str| -> Option<Vec<Value>> {
        let output = Command::new("kubectl")
            .arg("kustomize")
            .arg(deploy(path))
            .output()
            .ok()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{path}: {said}");
        let text = String::from_utf8(output.stdout).unwrap();
        Some(serde_saphyr::from_multiple(&text).unwrap())
    };
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    for path in ["base", "overlays/stub-domain", "overlays/nodelocal"] {
        let Some(rendered) = render(path) else {
            // Nothing to compare with.
            return;
        };
        let known: BTreeMap<String, &Value> = rendered
            .iter()
            .map(|object| (name(object), object))
            .collect();
        for object in base() {
            let found = known[&name(&object)];
            match object["kind"].as_str().unwrap() {
                // An image and the name of a ConfigMap are filled in.
                "Deployment" => {}
                _ => assert_eq!(*found, object),
            }
        }
        let maps = rendered
            .iter()
            .filter(|object| object["kind"] == "ConfigMap");
        let ours = maps.filter(|map| map["metadata"]["namespace"] == "shiftdns");
        let ours: Vec<&Value> = ours.collect();
        assert_eq!(ours.len(), 1);
        assert_eq!(ours[0]["data"]["config.yaml"], text("base/config.yaml"));
        let deployment = known["\"Deployment\" \"shiftdns\""];
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(
            pod["volumes"][0]["configMap"]["name"],
            ours[0]["metadata"]["name"]
        );
        assert!(
            pod["containers"][0]["image"]
                .as_str()
                .unwrap()
                .contains(':')
        );
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    let keys = object.as_object().unwrap().keys();
    keys.map(String::as_str).collect()
}

#[test]
fn the_chart_is_of_this_release_and_starts_from_the_same_configuration() {
    let chart = document("helm/shiftdns/Chart.yaml");
    for key in ["version", "appVersion"] {
        assert_eq!(chart[key], env!("CARGO_PKG_VERSION"), "{key}");
    }
    let values = document("helm/shiftdns/values.yaml");
    let mut config = values["config"].clone();
    config["apiVersion"] = "shiftdns.io/v1alpha1".into();
    config["kind"] = "Config".into();
    assert_eq!(config, document("base/config.yaml"));
}

/// A key that Helm would refuse could not be set; one that it let through and the server refuses would be told too late.
#[test]
fn the_charts_schema_knows_the_keys_there_are() {
    let schema: Value = serde_json::from_str(&text("helm/shiftdns/values.schema.json")).unwrap();
    let properties = &schema["properties"];
    let mut known = keys(properties);
    // Helm's own.
    assert!(known.remove("global"));
    let values = document("helm/shiftdns/values.yaml");
    assert_eq!(known, keys(&values));
    assert_eq!(schema["additionalProperties"], false);

    let config = document("config.yaml");
    let mut expected = keys(&config);
    for written_by_the_chart in ["apiVersion", "kind"] {
        assert!(expected.remove(written_by_the_chart));
    }
    assert_eq!(keys(&properties["config"]["properties"]), expected);
    assert_eq!(properties["config"]["additionalProperties"], false);
    assert_eq!(
        keys(&properties["config"]["properties"]["api"]["properties"]),
        keys(&config["api"])
    );
}

#[test]
fn the_guide_shows_what_the_files_for_resolvers_say() {
    let guide = text("README.md");
    for file in [
        "dnsmasq.conf",
        "named.conf",
        "unbound.conf",
        "resolved.conf",
    ] {
        let said = text(&format!("resolvers/{file}"));
        let lines = said.lines().filter(|line| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#') && !line.starts_with("//")
        });
        for line in lines {
            assert!(
                guide.contains(&format!("\n{line}\n")),
                "{file}: the guide lacks `{line}`"
            );
        }
    }
}
