//! What `deploy/` says, told to a real API server: it is accepted, it is enough, and the rules of the resource hold.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::ours::Ours;
use crate::plane::{Plane, eventually, kubectl};
use crate::rig;

fn path(below: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    deploy.join(below).display().to_string()
}

/// What the API server says of a ServiceRollout, without keeping it.
fn judge(plane: &Plane, name: &str, spec: &Value) -> Result<String, String> {
    let object = json!({"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"name": name, "namespace": "default"}, "spec": spec});
    let args = ["create", "--dry-run=server", "-f", "-"];
    kubectl(plane.kubeconfig_admin(), &args, Some(&object.to_string()))
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn what_is_deployed_is_accepted_and_enough() {
    let plane = Plane::start();
    // Objects of a namespace cannot be tried before it is there.
    plane.apply(&std::fs::read_to_string(path("base/namespace.yaml")).unwrap());
    for overlay in ["base", "overlays/stub-domain", "overlays/nodelocal"] {
        let said = plane.kubectl(&["apply", "--dry-run=server", "-k", &path(overlay)]);
        assert!(
            said.contains("deployment.apps/shiftdns created (server dry run)"),
            "{said}"
        );
    }
    let admin = plane.kubeconfig_admin();
    let apply = ["apply", "--warnings-as-errors", "-k", &path("base")];
    kubectl(admin, &apply, None).unwrap();
    plane.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/servicerollouts.shiftdns.io",
    ]);
    // What stands there is what was written, and a resolver can be put on top of it.
    assert_eq!(plane.kubectl(&["diff", "-k", &path("base")]), "");
    plane.kubectl(&["apply", "-k", &path("overlays/stub-domain")]);

    // The namespace takes only restricted pods, and these are.
    plane.kubectl(&[
        "-n",
        "shiftdns",
        "rollout",
        "status",
        "deployment/shiftdns",
        "--timeout=90s",
    ]);
    let pods = plane.json(&["-n", "shiftdns", "get", "pods"]);
    let nodes: std::collections::BTreeSet<&str> = pods["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pod| pod["spec"]["nodeName"].as_str().unwrap())
        .collect();
    assert_eq!(nodes.len(), 2, "each on a node of its own");

    let account = "--as=system:serviceaccount:shiftdns:shiftdns";
    let can = |verb: &str, what: &[&str]| {
        let args = [&["auth", "can-i", verb], what, &["-A", account]].concat();
        plane
            .try_kubectl(&args)
            .is_ok_and(|said| said.trim() == "yes")
    };
    for (verb, what, expected) in [
        ("list", &["pods"][..], true),
        ("watch", &["endpointslices.discovery.k8s.io"], true),
        ("list", &["servicerollouts.shiftdns.io"], true),
        (
            "patch",
            &["servicerollouts.shiftdns.io", "--subresource=status"],
            true,
        ),
        ("create", &["events.events.k8s.io"], true),
        ("patch", &["servicerollouts.shiftdns.io"], false),
        (
            "update",
            &["servicerollouts.shiftdns.io", "--subresource=status"],
            false,
        ),
        ("create", &["events"], false),
        ("get", &["pods"], false),
        ("patch", &["services"], false),
        ("list", &["secrets"], false),
        ("list", &["configmaps"], false),
        ("create", &["pods"], false),
        ("create", &["leases.coordination.k8s.io"], false),
    ] {
        assert_eq!(can(verb, what), expected, "{verb} {what:?}");
    }

    // A server with no more than that becomes ready, and answers.
    let kubeconfig = plane.kubeconfig_for_service_account("shiftdns", "shiftdns");
    let ours = Ours::start(&plane, "ours", &kubeconfig, &[]);
    let answer = ours.ask("shiftdns.shiftdns.svc.cluster.local A");
    assert!(answer.contains("10.96."), "{answer}");
    for (file, key) in [
        (
            "overlays/stub-domain/coredns-custom.yaml",
            "shiftdns.server",
        ),
        ("overlays/nodelocal/node-local-dns.yaml", "Corefile"),
    ] {
        let resolver = plane.coredns(&corefile(file, key, ours.dns));
        let question = rig::query("shiftdns.shiftdns.svc.cluster.local A");
        eventually("CoreDNS has the answer from us", || {
            let through = rig::udp(resolver.address, &question)?;
            rig::shown(&through).contains("10.96.").then_some(())
        });
    }
}

/// The block for our zone, to be asked on loopback and to ask there.
fn corefile(file: &str, key: &str, ours: SocketAddr) -> String {
    let map: Value = serde_saphyr::from_str(&std::fs::read_to_string(path(file)).unwrap()).unwrap();
    let all = map["data"][key].as_str().unwrap();
    let (block, _) = all.split_once("\n}").unwrap();
    let elsewhere = ["bind ", "prometheus ", "health "];
    let kept = block
        .lines()
        .filter(|line| !elsewhere.iter().any(|word| line.trim().starts_with(word)));
    let kept: Vec<&str> = kept.collect();
    let block = kept.join("\n").replace("10.96.0.53", &ours.to_string());
    block.replace(":53 {", ":{$PORT} {\n    bind 127.0.0.1") + "\n}\n"
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn the_resource_takes_what_makes_sense_and_nothing_else() {
    let plane = Plane::start();
    plane.kubectl(&["apply", "-f", &path("base/crd.yaml")]);
    plane.kubectl(&[
        "wait",
        "--for=condition=Established",
        "crd/servicerollouts.shiftdns.io",
    ]);
    eventually("the resource is served", || {
        judge(&plane, "web", &json!({})).ok()
    });
    let weights = |list: &[(&str, u32)]| -> Value {
        list.iter()
            .map(|(version, weight)| json!({"version": version, "weight": weight}))
            .collect()
    };
    let backends = |list: &[(&str, u32)]| -> Value {
        list.iter()
            .map(|(service, weight)| json!({"service": service, "weight": weight}))
            .collect()
    };
    let steps = |list: &[u32]| -> Value {
        list.iter()
            .map(|weight| json!({"weight": weight}))
            .collect()
    };
    let many = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"version": format!("v{n}"), "weight": 1}))
            .collect()
    };
    for good in [
        json!({}),
        json!({"ramp": "10m"}),
        json!({"strategy": "linear", "ramp": "1s"}),
        json!({"strategy": "exponential", "ramp": "168h"}),
        json!({"steps": [{"weight": 0, "hold": "0s"}, {"weight": 5, "hold": "1h30m"}, {"weight": 100}]}),
        json!({"strategy": "steps", "steps": (steps(&(1..=32).collect::<Vec<_>>()))}),
        json!({"strategy": "blue-green"}),
        json!({"strategy": "blue-green", "autoPromotion": "10m"}),
        json!({"autoPromotion": "10m"}),
        json!({"strategy": "blue-green", "backends": (backends(&[("web-blue", 100), ("web-green", 0)]))}),
        json!({"backends": (backends(&[("a", 50), ("b", 50)]))}),
        json!({"strategy": "manual", "weights": (weights(&[("v1", 65535), ("v2", 0)]))}),
        json!({"weights": (many(32))}),
        json!({"strategy": "external"}),
        json!({"strategy": "follow", "soak": "10s", "slowStart": "30s", "onFailure": "shift-back-strict"}),
        json!({"clamp": false, "headroom": 1000, "records": 8, "answer": "pure", "endpoints": true}),
        json!({"sticky": "off"}),
        json!({"sticky": "source/32", "rollback": "immediate", "ttl": {"endpoints": 3600, "rollout": 0}}),
        json!({"versionLabel": "example.com/release"}),
        json!({"promote": [{"revision": "a", "step": 2}, {"revision": "b", "full": true}],
            "pause": ["a"], "abort": ["b", "c"], "retry": [{"revision": "a", "count": 1}]}),
        json!({"pause": [], "promote": []}),
        // As elsewhere, a null is nothing.
        json!({"soak": null}),
    ] {
        let said = judge(&plane, "web", &good);
        assert!(said.is_ok(), "{good}: {said:?}");
    }
    for (bad, why) in [
        (json!({"strategy": "steady"}), "Unsupported value"),
        (
            json!({"strategy": "follow", "ramp": "1m"}),
            "ramp is a part of the strategies linear and exponential",
        ),
        (
            json!({"strategy": "linear", "ramp": "1m", "steps": (steps(&[1]))}),
            "steps are a part of the strategy steps",
        ),
        (
            json!({"strategy": "blue-green", "weights": (weights(&[("a", 1)]))}),
            "weights are a part of the strategy manual",
        ),
        (
            json!({"strategy": "follow", "backends": (backends(&[("a", 1)]))}),
            "backends are a part of the strategies",
        ),
        (
            json!({"strategy": "manual", "weights": (weights(&[("a", 1)])), "autoPromotion": "1m"}),
            "autoPromotion is a part",
        ),
        (
            json!({"ramp": "1m", "autoPromotion": "1m"}),
            "autoPromotion is a part",
        ),
        (
            json!({"ramp": "1m", "steps": (steps(&[1]))}),
            "ask for different strategies",
        ),
        (
            json!({"ramp": "1m", "backends": (backends(&[("a", 1)]))}),
            "ask for different strategies",
        ),
        (
            json!({"strategy": "manual", "weights": (weights(&[("a", 1)])), "backends": (backends(&[("a", 1)]))}),
            "weights have no effect beside backends",
        ),
        (json!({"strategy": "linear"}), "want ramp"),
        (json!({"strategy": "exponential"}), "want ramp"),
        (json!({"strategy": "steps"}), "wants steps"),
        (json!({"strategy": "manual"}), "wants weights or backends"),
        (
            json!({"strategy": "blue-green", "backends": (backends(&[("a", 5), ("b", 5), ("c", 1)]))}),
            "do not say which one is active",
        ),
        (json!({"ramp": "0s"}), "a ramp takes from 1s to 168h"),
        (json!({"ramp": "169h"}), "a ramp takes from 1s to 168h"),
        (json!({"ramp": "10"}), "should match"),
        (json!({"ramp": "-1s"}), "should match"),
        (json!({"ramp": "1d"}), "should match"),
        (json!({"soak": "10081m"}), "at most 168h"),
        (json!({"slowStart": "604801s"}), "at most 168h"),
        (
            json!({"strategy": "blue-green", "autoPromotion": "169h"}),
            "at most 168h",
        ),
        (json!({"soak": 5}), "must be of type string"),
        (
            json!({"steps": (steps(&[]))}),
            "should have at least 1 items",
        ),
        (
            json!({"steps": (steps(&[5, 5]))}),
            "each step is above the one before it",
        ),
        (
            json!({"steps": (steps(&[25, 5]))}),
            "each step is above the one before it",
        ),
        (
            json!({"steps": (steps(&[5, 101]))}),
            "should be less than or equal to 100",
        ),
        (json!({"steps": [{"hold": "5s"}]}), "Required value"),
        (
            json!({"steps": [{"weight": 5, "hold": "169h"}]}),
            "at most 168h",
        ),
        (
            json!({"steps": (steps(&(1..=33).collect::<Vec<_>>()))}),
            "Too many",
        ),
        (
            json!({"weights": (weights(&[("a", 0), ("b", 0)]))}),
            "no weight is above 0",
        ),
        (
            json!({"weights": (weights(&[("a", 1), ("a", 2)]))}),
            "a version stands twice",
        ),
        (
            json!({"weights": (weights(&[("a=1,b", 1)]))}),
            "should match",
        ),
        (
            json!({"weights": (weights(&[("a", 65536)]))}),
            "should be less than or equal to 65535",
        ),
        (json!({"weights": (many(33))}), "Too many"),
        (
            json!({"backends": (backends(&[("a", 0)]))}),
            "no weight is above 0",
        ),
        (
            json!({"backends": (backends(&[("a", 1), ("a", 1)]))}),
            "a service stands twice",
        ),
        (
            json!({"backends": (backends(&[("Web", 1)]))}),
            "should match",
        ),
        (
            json!({"headroom": 0}),
            "should be greater than or equal to 1",
        ),
        (
            json!({"headroom": 1001}),
            "should be less than or equal to 1000",
        ),
        (
            json!({"records": 0}),
            "should be greater than or equal to 1",
        ),
        (json!({"records": 9}), "should be less than or equal to 8"),
        (json!({"answer": "some"}), "Unsupported value"),
        (json!({"onFailure": "shift"}), "Unsupported value"),
        (json!({"rollback": "now"}), "Unsupported value"),
        (json!({"sticky": "source/33"}), "should match"),
        (json!({"sticky": false}), "must be of type string"),
        (json!({"clamp": "off"}), "must be of type boolean"),
        (
            json!({"ttl": {"endpoints": 3601}}),
            "should be less than or equal to 3600",
        ),
        (json!({"versionLabel": "a b"}), "should match"),
        (
            json!({"promote": [{"revision": "a"}]}),
            "either a step or full",
        ),
        (
            json!({"promote": [{"revision": "a", "step": 1, "full": true}]}),
            "either a step or full",
        ),
        (
            json!({"promote": [{"revision": "a", "full": false}]}),
            "either a step or full",
        ),
        (
            json!({"promote": [{"revision": "a", "step": 33}]}),
            "should be less than or equal to 32",
        ),
        (
            json!({"promote": [{"revision": "a", "step": 1}, {"revision": "a", "full": true}]}),
            "Duplicate value",
        ),
        (json!({"pause": ["a", "a"]}), "Duplicate value"),
        (json!({"abort": ["a,b"]}), "should match"),
        (
            json!({"retry": [{"revision": "a", "count": 0}]}),
            "should be greater than or equal to 1",
        ),
        (
            json!({"retry": [{"revision": "a", "count": 4_294_967_296_u64}]}),
            "should be less than or equal to 4294967295",
        ),
        (json!({"on-failure": "hold"}), "unknown field"),
    ] {
        let said = judge(&plane, "web", &bad).expect_err(&bad.to_string());
        assert!(said.contains(why), "{bad}: {said}");
    }
    let said = judge(&plane, "web.v1", &json!({})).expect_err("a name with a dot");
    assert!(said.contains("the name is that of a Service"), "{said}");
    let long = "a".repeat(64);
    judge(&plane, &long, &json!({})).expect_err("a name of 64 characters");

    // As people see it.
    plane.apply(
        r#"{"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
            "metadata": {"name": "web", "namespace": "default"}, "spec": {"ramp": "10m"}}"#,
    );
    let status = json!({"apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
        "metadata": {"name": "web", "namespace": "default"},
        "status": {"service": "default/web", "state": "Progressing", "stable": "v1", "target": "v2", "share": "25%",
            "shareBasisPoints": 2500, "ttl": 5, "observedGeneration": 1, "memory": "{}",
            "revisions": [{"revision": "a", "version": "v1", "ready": 4, "soaked": 4}],
            "tracks": [{"state": "Progressing", "since": "2026-01-01T00:00:00Z", "step": 1, "steps": 2}],
            "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let apply = [
        "apply",
        "--server-side",
        "--subresource=status",
        "--field-manager=shiftdns",
        "-f",
        "-",
    ];
    kubectl(plane.kubeconfig_admin(), &apply, Some(&status.to_string())).unwrap();
    let table = plane.kubectl(&["get", "sr"]);
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "NAME", "SERVICE", "STATE", "STABLE", "TARGET", "SHARE", "TTL", "AGE"
        ]
    );
    assert_eq!(
        lines[1][..7],
        ["web", "default/web", "Progressing", "v1", "v2", "25%", "5"]
    );
    let kept = plane.json(&["get", "sr", "web"]);
    assert_eq!(kept["status"], status["status"]);
    assert_eq!(kept["spec"], json!({"ramp": "10m"}));
}
