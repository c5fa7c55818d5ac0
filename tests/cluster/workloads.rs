//! The plane alone: workloads behave on it as on a cluster, before any of our own program is looked at.

use serde_json::Value;

use crate::plane::{Plane, eventually, items, kubectl};
use crate::rig;

/// A Deployment `web` of four pods and its Service.
const WEB: &str = "
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: 'shop/web:1', ports: [{containerPort: 8080}]}]
";

/// The images of all pods behind `app`, sorted.
fn images(plane: &Plane, app: &str) -> Vec<String> {
    let pods = pods(plane, app);
    let image = |pod: &Value| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .map(str::to_owned)
    };
    let mut images: Vec<String> = pods.iter().filter_map(image).collect();
    images.sort();
    images
}

fn pods(plane: &Plane, app: &str) -> Vec<Value> {
    let label = format!("app={app}");
    items(&plane.json(&["-n", "shop", "get", "pods", "-l", &label])).to_vec()
}

fn ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.is_some_and(|all| {
        all.iter()
            .any(|c| c["type"] == "Ready" && c["status"] == "True")
    })
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn a_deployment_rolls_forward_and_back() {
    let plane = Plane::start();
    plane.namespace("shop");
    plane.apply(WEB);
    eventually("four ready endpoints", || {
        (plane.ready_endpoints("shop", "web") == 4).then_some(())
    });
    let endpoints = plane.endpoints("shop", "web");
    for endpoint in &endpoints {
        let address = endpoint["addresses"][0].as_str().expect("an address");
        assert!(
            address.starts_with("10.244."),
            "{address} is not of a node's range"
        );
        assert!(
            endpoint["zone"].is_string(),
            "the node's zone is known: {endpoint}"
        );
    }

    // The old pods serve on until they stop: terminating, serving, not ready.
    plane.kubectl(&[
        "-n",
        "shop",
        "set",
        "image",
        "deployment/web",
        "web=shop/web:2",
    ]);
    eventually("an endpoint that terminates and serves", || {
        let endpoints = plane.endpoints("shop", "web");
        let leaves = |c: &Value| c["terminating"] == true && c["serving"] == true;
        let leaving = endpoints.iter().find(|e| leaves(&e["conditions"]))?;
        assert_eq!(leaving["conditions"]["ready"], false);
        Some(())
    });
    plane.kubectl(&["-n", "shop", "rollout", "status", "deployment/web"]);
    let both = plane.json(&["-n", "shop", "get", "replicasets", "-l", "app=web"]);
    let mut sizes: Vec<i64> = items(&both)
        .iter()
        .filter_map(|r| r["spec"]["replicas"].as_i64())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [0, 4]);
    eventually("only the new image", || {
        (images(&plane, "web") == ["shop/web:2"; 4]).then_some(())
    });

    plane.kubectl(&["-n", "shop", "rollout", "undo", "deployment/web"]);
    plane.kubectl(&["-n", "shop", "rollout", "status", "deployment/web"]);
    eventually("only the old image", || {
        (images(&plane, "web") == ["shop/web:1"; 4]).then_some(())
    });
    assert_eq!(plane.ready_endpoints("shop", "web"), 4);

    // A broken image leaves the roll-out half-way: the crashing pods are counted up, the old ones stay.
    plane.kubectl(&[
        "-n",
        "shop",
        "set",
        "image",
        "deployment/web",
        "web=shop/web:crash",
    ]);
    let restarts = |at_least: i64| {
        eventually("a crash loop", || {
            let pods = pods(&plane, "web");
            let waits = |pod: &&Value| {
                let status = &pod["status"]["containerStatuses"][0];
                status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
                    && status["restartCount"].as_i64() >= Some(at_least)
            };
            let crashing = pods.iter().find(waits)?;
            assert!(!ready(crashing));
            Some(crashing["status"]["containerStatuses"][0]["restartCount"].as_i64())
        })
    };
    let first = restarts(1).expect("a count");
    assert!(restarts(first + 1).expect("a count") > first);
    // A quarter of four may be missing, none is needed: three or four serve.
    assert!(plane.ready_endpoints("shop", "web") >= 3);

    plane.kubectl(&[
        "-n",
        "shop",
        "set",
        "image",
        "deployment/web",
        "web=shop/web:badimage",
    ]);
    eventually("an image that cannot be pulled", || {
        let pods = pods(&plane, "web");
        let reason = |pod: &Value| {
            pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"]
                == "ImagePullBackOff"
        };
        pods.iter().any(reason).then_some(())
    });
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn stateful_sets_and_daemon_sets_have_ready_pods() {
    let plane = Plane::start();
    plane.namespace("shop");
    plane.apply(
        "
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: db}
spec:
  clusterIP: None
  selector: {app: db}
  ports: [{name: sql, port: 5432}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {namespace: shop, name: db}
spec:
  serviceName: db
  replicas: 3
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}, annotations: {stage.test/start: 0.1s}}
    spec:
      containers: [{name: db, image: 'shop/db:1'}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {namespace: shop, name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers: [{name: agent, image: 'shop/agent:1'}]
",
    );
    plane.kubectl(&["-n", "shop", "rollout", "status", "statefulset/db"]);
    eventually("three endpoints with the pods' names", || {
        let endpoints = plane.endpoints("shop", "db");
        let hostname = |e: &Value| e["hostname"].as_str().map(str::to_owned);
        let mut names: Vec<String> = endpoints.iter().filter_map(hostname).collect();
        names.sort();
        (names == ["db-0", "db-1", "db-2"]).then_some(())
    });

    plane.kubectl(&["-n", "shop", "rollout", "status", "daemonset/agent"]);
    let agents = pods(&plane, "agent");
    assert!(agents.iter().all(ready));
    let node = |pod: &Value| pod["spec"]["nodeName"].as_str().map(str::to_owned);
    let mut nodes: Vec<String> = agents.iter().filter_map(node).collect();
    nodes.sort();
    assert_eq!(nodes, ["node-a", "node-b", "node-c"]);
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn pods_flap_and_turn_unready_when_told() {
    let plane = Plane::start();
    plane.namespace("shop");
    let pod = |name: &str, annotations: &str| {
        plane.apply(&format!(
            "
apiVersion: v1
kind: Pod
metadata:
  {{namespace: shop, name: {name}, labels: {{app: {name}}}, annotations: {{{annotations}}}}}
spec:
  containers: [{{name: {name}, image: 'shop/{name}:1'}}]
"
        ));
    };
    let is_ready = |name: &str| pods(&plane, name).first().is_some_and(ready);
    let restarts = |name: &str| {
        let pods = pods(&plane, name);
        let status = &pods.first()?["status"]["containerStatuses"][0];
        status["restartCount"].as_i64()
    };

    // Ready, crashed, and ready again after a restart.
    pod("flap", "stage.test/start: 0.5s, stage.test/backoff: 0.5s");
    eventually("ready once", || is_ready("flap").then_some(()));
    eventually("crashed", || (!is_ready("flap")).then_some(()));
    eventually("ready again", || {
        (is_ready("flap") && restarts("flap") >= Some(1)).then_some(())
    });

    // A pod that is told to be unready, and then lets go of it.
    pod("calm", "stage.test/start: 0.1s");
    eventually("ready", || is_ready("calm").then_some(()));
    plane.kubectl(&[
        "-n",
        "shop",
        "annotate",
        "pod",
        "calm",
        "stage.test/ready=false",
    ]);
    eventually("unready", || (!is_ready("calm")).then_some(()));
    plane.kubectl(&["-n", "shop", "annotate", "pod", "calm", "stage.test/ready-"]);
    eventually("ready", || is_ready("calm").then_some(()));
    assert_eq!(restarts("calm"), Some(0));

    // Stopping takes no longer than the grace period.
    plane.kubectl(&[
        "-n",
        "shop",
        "annotate",
        "pod",
        "calm",
        "stage.test/stop=3600s",
    ]);
    plane.kubectl(&["-n", "shop", "delete", "pod", "calm", "--grace-period=1"]);
    assert!(pods(&plane, "calm").is_empty());
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn the_plane_survives_its_api_server() {
    let plane = Plane::start();
    plane.namespace("shop");
    plane.apply(WEB);
    let count_is = |count: usize| {
        eventually("as many ready endpoints as replicas", || {
            (plane.ready_endpoints("shop", "web") == count).then_some(())
        });
    };
    let scale = |count: usize| {
        plane.kubectl(&[
            "-n",
            "shop",
            "scale",
            "deployment/web",
            &format!("--replicas={count}"),
        ]);
    };
    count_is(4);

    // Killed while pods start: they become ready after all.
    scale(6);
    plane.api_server().kill();
    assert!(plane.try_kubectl(&["get", "nodes"]).is_err());
    plane.api_server().restart();
    count_is(6);

    plane.api_server().pause();
    let unanswered = plane.try_kubectl(&["get", "nodes", "--request-timeout=1s"]);
    assert!(unanswered.is_err(), "{unanswered:?}");
    plane.api_server().resume();
    scale(3);
    count_is(3);

    // What happened before a compaction cannot be asked for.
    let web = plane.json(&["-n", "shop", "get", "deployment", "web"]);
    let version = web["metadata"]["resourceVersion"]
        .as_str()
        .expect("a version");
    scale(5);
    count_is(5);
    let path = format!(
        "/api/v1/namespaces/shop/pods?watch=true&timeoutSeconds=1&resourceVersion={version}"
    );
    plane.api_server().restart_with(&["--watch-cache=false"]);
    let known = plane.kubectl(&["get", "--raw", &path]);
    assert!(known.contains("ADDED"), "{known}");
    plane.etcd_compact();
    let forgotten = plane.kubectl(&["get", "--raw", &path]);
    assert!(forgotten.contains("410"), "{forgotten}");
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn service_accounts_may_what_their_roles_say() {
    let plane = Plane::start();
    plane.namespace("shop");
    plane.apply(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: shop, name: reader}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [services], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, namespace: shop, name: reader}]
",
    );
    let config = plane.kubeconfig_for_service_account("shop", "reader");
    let ask = |args: &[&str]| kubectl(&config, args, None);
    // The role reaches the authorizer through a watch.
    eventually("services are listed", || {
        ask(&["get", "services", "-A"]).ok()
    });
    let refused = ask(&["get", "pods", "-A"]).expect_err("no role for pods");
    assert!(refused.contains("Forbidden"), "{refused}");
    let who = ask(&["auth", "whoami"]).expect("anyone may ask");
    assert!(who.contains("system:serviceaccount:shop:reader"), "{who}");
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn coredns_answers_from_the_same_cluster() {
    let plane = Plane::start();
    plane.namespace("shop");
    plane.apply(WEB);
    let address = plane.json(&["-n", "shop", "get", "service", "web"])["spec"]["clusterIP"].clone();
    let address = address.as_str().expect("an address");
    assert!(address.starts_with("10.96."), "{address}");
    let coredns = plane.coredns(
        ".:{$PORT} {
            bind 127.0.0.1
            kubernetes cluster.local {
                kubeconfig {$KUBECONFIG}
            }
        }",
    );
    eventually("CoreDNS knows the Service", || {
        let answer = rig::udp(coredns.address, &rig::query("web.shop.svc.Z A"))?;
        let answer = rig::shown(&answer);
        answer.contains(&format!(" A {address}")).then_some(())
    });
}
