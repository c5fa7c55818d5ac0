//! The theatre: a plane, a server of ours on it, and what is true; and scenes in it, of a service that rolls.
//!
//! Given a Service's annotations and a workload, [`Theatre::open`] makes both, waits until they are answered, and has a judge
//! ask until [`Scene::close`], which fails where anything was answered that must not be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::judge::{Judge, Truth, Verdict};
use crate::ours::{Ours, service_of};
use crate::plane::{Plane, eventually};

/// The namespace of the workloads.
pub const SHOP: &str = "shop";

/// One plane, one server of ours, one watch of what is true.
pub struct Theatre {
    // In this order they are dropped.
    pub truth: Truth,
    pub ours: Ours,
    /// As whom ours asks the API server.
    pub kubeconfig: PathBuf,
    pub plane: Plane,
}

/// The one that all share who leave the control plane as it is.
pub fn theatre() -> &'static Theatre {
    static THEATRE: OnceLock<Theatre> = OnceLock::new();
    THEATRE.get_or_init(|| Theatre::build(""))
}

impl Theatre {
    /// Builds one whose server has these lines in its configuration.
    pub fn build(config: &str) -> Self {
        let plane = Plane::start();
        plane.namespace(SHOP);
        let kubeconfig = plane.install_ours();
        let ours = configured(&plane, "shiftdns", &kubeconfig, config);
        let truth = Truth::of(plane.kubeconfig_admin(), SHOP);
        Self {
            truth,
            ours,
            kubeconfig,
            plane,
        }
    }

    /// One more server of ours.
    pub fn another(&self, name: &str, config: &str) -> Ours {
        configured(&self.plane, name, &self.kubeconfig, config)
    }

    /// A headless Service with these annotations of ours and a workload of so many pods; begins when all are answered.
    pub fn open(
        &self,
        name: &'static str,
        kind: &'static str,
        replicas: usize,
        annotations: &[(&str, &str)],
        spec: &str,
    ) -> Scene<'_> {
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
        self.plane.apply(&service.to_string());
        self.plane.apply(&workload.to_string());
        // A DaemonSet has a pod on each of the plane's three nodes.
        let pods = if kind == "daemonset" { 3 } else { replicas };
        eventually("all endpoints are ready", || {
            (self.plane.ready_endpoints(SHOP, name) == pods).then_some(())
        });
        let question = format!("{name}.{SHOP}.svc.cluster.local A");
        eventually("the service is answered, and at rest", || {
            let is_answered = self.ours.ask(&question).starts_with("NOERROR");
            (is_answered && self.state(name) == "Healthy").then_some(())
        });
        let judge = Judge::of(self.ours.dns, self.ours.api, SHOP, name);
        Scene {
            theatre: self,
            name,
            kind,
            judge,
        }
    }

    /// The state that our server says a service is in; empty if it knows none.
    pub fn state(&self, service: &str) -> String {
        let service = self.ours.service(SHOP, service);
        let state = service.and_then(|service| Some(service["state"].as_str()?.to_owned()));
        state.unwrap_or_default()
    }

    /// The share of a version, in basis points.
    pub fn share(&self, service: &str, version: &str) -> Option<u64> {
        share(self.ours.api, service, version)
    }
}

/// A server of ours with these lines in its configuration.
fn configured(plane: &Plane, name: &str, kubeconfig: &Path, config: &str) -> Ours {
    let file = plane.home().join(format!("{name}.yaml"));
    let config = format!("apiVersion: shiftdns.io/v1alpha1\nkind: Config\n{config}\n");
    std::fs::write(&file, config).expect("a file");
    let file = file.display().to_string();
    Ours::start(plane, name, kubeconfig, &["--config", &file])
}

/// One service, its workload, and the judge who watches it.
pub struct Scene<'a> {
    theatre: &'a Theatre,
    name: &'static str,
    kind: &'static str,
    judge: Judge,
}

/// Enough for every old pod to stay until `minReadySeconds` of the new ones are over.
pub const SURGE: &str = r#"{"minReadySeconds": 12, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}"#;

impl Scene<'_> {
    fn target(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// kubectl in the namespace.
    pub fn kubectl(&self, args: &[&str]) -> String {
        let mut all = vec!["-n", SHOP];
        all.extend(args);
        self.theatre.plane.kubectl(&all)
    }

    /// `kubectl rollout`.
    pub fn rollout(&self, what: &str) {
        self.kubectl(&["rollout", what, &self.target()]);
    }

    /// `kubectl set image`: another version.
    pub fn image(&self, tag: &str) {
        let image = format!("web=shop/web:{tag}");
        self.kubectl(&["set", "image", &self.target(), &image]);
    }

    /// `kubectl scale`.
    pub fn scale(&self, replicas: usize) {
        let replicas = format!("--replicas={replicas}");
        self.kubectl(&["scale", &self.target(), &replicas]);
    }

    /// Waits until our server says so.
    pub fn until(&self, wanted: &str) {
        eventually(&format!("{} is {wanted}", self.name), || {
            (self.theatre.state(self.name) == wanted).then_some(())
        });
    }

    /// Waits until the version has at least this share, in percent, and at most that.
    pub fn until_share(&self, version: &str, least: u64, most: u64) {
        let what = format!("{version} of {} has {least} to {most}%", self.name);
        eventually(&what, || {
            let share = self.theatre.share(self.name, version)? / 100;
            (least..=most).contains(&share).then_some(())
        });
    }

    /// Waits until kubectl says that the roll-out is over, and our server that it is at rest.
    pub fn until_done(&self) {
        self.kubectl(&["rollout", "status", &self.target(), "--timeout=120s"]);
        self.until("Healthy");
    }

    /// Ends the scene. Nothing wrong was answered; the states came in this order, among others.
    pub fn close(self, states: &[&str]) -> Verdict {
        let theatre = self.theatre;
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

/// A workload of so many pods of version `1`, with more in its spec.
pub fn workload(name: &str, kind: &str, replicas: usize, spec: &str) -> Value {
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

/// The share that a server says a version has, in basis points.
pub fn share(api: SocketAddr, service: &str, version: &str) -> Option<u64> {
    let service = service_of(api, SHOP, service)?;
    let versions = service["versions"].as_array()?;
    let version = versions.iter().find(|known| known["alias"] == version)?;
    version["share"]["basisPoints"].as_u64()
}
