//! What people see of a roll-out with kubectl alone: the table of ServiceRollouts and the Events of the Service, written
//! by two servers that know nothing of each other.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ours::Ours;
use crate::plane::{Plane, eventually, items};
use crate::theatre::workload;

/// What is written to the API by both.
fn written(servers: &[Ours], result: &str) -> f64 {
    let series = format!("shiftdns_reports_total{{result=\"{result}\"}}");
    let counts = servers.iter().map(|server| server.metric(&series));
    counts.map(|count| count.expect("the series")).sum()
}

/// The row of the table, without its age.
fn row(plane: &Plane) -> String {
    let table = plane.kubectl(&["-n", "shop", "get", "sr", "web", "--no-headers"]);
    let mut words: Vec<&str> = table.split_whitespace().collect();
    words.pop();
    words.join(" ")
}

fn until_row(plane: &Plane, wanted: &str) {
    eventually(&format!("kubectl get sr says `{wanted}`"), || {
        (row(plane) == wanted).then_some(())
    });
}

/// The reasons of the Service's Events, each once, and how many Events there are.
fn events(plane: &Plane) -> (BTreeSet<String>, usize) {
    let field = "regarding.name=web,regarding.kind=Service";
    let list = plane.json(&[
        "-n",
        "shop",
        "get",
        "events.events.k8s.io",
        "--field-selector",
        field,
    ]);
    let events = items(&list).iter();
    let reasons = events.filter_map(|event| Some(event["reason"].as_str()?.to_owned()));
    let reasons: Vec<String> = reasons.collect();
    (reasons.iter().cloned().collect(), reasons.len())
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn kubectl_shows_roll_outs_as_a_table_and_as_events() {
    let plane = Plane::start();
    plane.namespace("shop");
    let kubeconfig = plane.install_ours();
    let servers = ["one", "two"].map(|name| Ours::start(&plane, name, &kubeconfig, &[]));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    });
    let resource = |spec: &Value| {
        let spec = spec.clone();
        let resource = json!({
            "apiVersion": "shiftdns.io/v1alpha1", "kind": "ServiceRollout",
            "metadata": {"namespace": "shop", "name": "web"}, "spec": spec,
        });
        plane.apply(&resource.to_string());
    };
    let steps = json!([{"weight": 25}, {"weight": 100}]);
    let surge = r#"{"strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}, "minReadySeconds": 10}"#;
    resource(&json!({"steps": steps, "ttl": {"endpoints": 2, "rollout": 1}}));
    plane.apply(&service.to_string());
    plane.apply(&workload("web", "deployment", 4, surge).to_string());
    until_row(&plane, "web shop/web Healthy 1 1 100% 2");

    let image = |tag: &str| {
        let image = format!("web=shop/web:{tag}");
        plane.kubectl(&["-n", "shop", "set", "image", "deployment/web", &image]);
    };
    image("2");
    until_row(&plane, "web shop/web Paused 1 2 25% 1");
    println!("{}", plane.kubectl(&["-n", "shop", "get", "sr"]));
    let told = plane.json(&["-n", "shop", "get", "sr", "web"]);
    let target = told["status"]["tracks"][0]["target"]
        .as_str()
        .expect("a target");
    resource(
        &json!({"steps": steps, "ttl": {"endpoints": 2, "rollout": 1},
        "promote": [{"revision": target, "full": true}]}),
    );
    until_row(&plane, "web shop/web Healthy 2 2 100% 2");

    image("crash");
    until_row(&plane, "web shop/web Aborted 2 crash 0% 1");
    plane.kubectl(&["-n", "shop", "rollout", "undo", "deployment/web"]);
    until_row(&plane, "web shop/web Healthy 2 2 100% 2");

    eventually("the Events are there", || {
        let (reasons, _) = events(&plane);
        let wanted = ["RolloutCompleted", "RolloutDetected", "TrafficShiftedBack"];
        wanted
            .iter()
            .all(|reason| reasons.contains(*reason))
            .then_some(())
    });
    println!(
        "{}",
        plane.kubectl(&[
            "-n",
            "shop",
            "get",
            "events.events.k8s.io",
            "--field-selector",
            "regarding.name=web"
        ])
    );
    // Every Event that a server was the first to tell is there once, and none was told twice.
    let (_, count) = events(&plane);
    assert_eq!(written(&servers, "event"), count as f64);
    assert!(
        written(&servers, "known") > 0.0,
        "the other server came second"
    );
    assert_eq!(
        (written(&servers, "failed"), written(&servers, "dropped")),
        (0.0, 0.0)
    );
    println!(
        "two servers: {} statuses and {count} Events written, {} times the other was first",
        written(&servers, "status"),
        written(&servers, "known")
    );
    let conditions = &plane.json(&["-n", "shop", "get", "sr", "web"])["status"]["conditions"];
    let conditions = conditions.as_array().expect("conditions").iter();
    let all: Vec<String> = conditions
        .map(|c| {
            format!(
                "{}={}",
                c["type"].as_str().expect("a type"),
                c["status"].as_str().expect("a status")
            )
        })
        .collect();
    assert_eq!(all, ["Accepted=True", "Healthy=True"]);
}
