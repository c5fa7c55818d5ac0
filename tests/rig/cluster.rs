//! Clusters in a few lines of text: each line becomes the Kubernetes objects it stands for.
//!
//! ```text
//! namespace shop
//! headless web.shop http:80 dns/udp:53 :9000 weights=v1=90,v2=10
//! clusterip api.shop 10.96.0.10 fd00:10:96::a http:80:8080
//! external ext.shop payments.example.com
//! deployment web.shop 10 v1=aaa v2=bbb
//! slice web.shop http:8080 | 10.1.0.11 @web-aaa | 10.1.0.12 @v2 unready zone=a host=db-0
//! ```
//! A port is `name/protocol:number:targetPort`, an annotation `key=value`. The deployment above has ReplicaSets
//! `web-aaa` (revision 1) and `web-bbb` (revision 2); `aaa:3` makes a revision 3 of one that keeps its age.
//! `@web-aaa` is a pod of that ReplicaSet, `@v2` a bare pod that carries that version; `pod=name` names it.
//!
//! The n-th line is the n-th line of the manifest as well, so that places in Problems can be read off.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

/// The manifests of a cluster, one object a line.
pub fn cluster(text: &str) -> String {
    let mut cluster = Cluster::default();
    let lines = text.lines().map(str::trim);
    for line in lines.filter(|line| !line.is_empty()) {
        let object = cluster.line(line);
        cluster.objects.push(object);
    }
    let pods = std::mem::take(&mut cluster.pods);
    cluster.behind.extend(pods.into_values());
    let objects = cluster.objects.iter().chain(&cluster.behind);
    let lines: Vec<String> = objects.map(Value::to_string).collect();
    lines.join("\n")
}

#[derive(Default)]
struct Cluster {
    /// One a line.
    objects: Vec<Value>,
    /// ReplicaSets, and at the end pods.
    behind: Vec<Value>,
    /// By namespace and name.
    pods: BTreeMap<(String, String), Value>,
    slices: usize,
}

impl Cluster {
    fn line(&mut self, line: &str) -> Value {
        let (kind, rest) = line.split_once(' ').expect("a kind and a name");
        let (name, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if kind == "namespace" {
            return json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta("", name)});
        }
        let (name, namespace) = name.split_once('.').expect("name.namespace");
        match kind {
            "headless" | "clusterip" => service(kind, meta(namespace, name), rest),
            "external" => {
                json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(namespace, name),
                "spec": {"type": "ExternalName", "externalName": rest}})
            }
            "deployment" => self.deployment(namespace, name, rest),
            "slice" => self.slice(namespace, name, rest),
            "pod" => json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta(namespace, name),
                "status": status(&rest.split(' ').collect::<Vec<_>>(), true)}),
            _ => panic!("no such line: {line}"),
        }
    }

    fn deployment(&mut self, namespace: &str, name: &str, rest: &str) -> Value {
        let mut words = rest.split(' ');
        let replicas: u32 = words.next().and_then(|n| n.parse().ok()).expect("replicas");
        let mut metadata = meta(namespace, name);
        let owner = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": name,
            "uid": metadata["uid"], "controller": true}]);
        let mut template = Value::Null;
        let mut newest = 0;
        for (age, word) in words.enumerate() {
            let (version, hash) = word.split_once('=').expect("version=hash");
            let (hash, number) = match hash.split_once(':') {
                Some((hash, number)) => (hash, number.parse().expect("a revision")),
                None => (hash, age + 1),
            };
            let mut set = meta(namespace, &format!("{name}-{hash}"));
            set["creationTimestamp"] = format!("2026-03-0{}T09:00:00Z", age + 1).into();
            set["annotations"] = json!({"deployment.kubernetes.io/revision": number.to_string()});
            set["ownerReferences"] = owner.clone();
            let labels = json!({"app": name, "app.kubernetes.io/version": version, "pod-template-hash": hash});
            set["labels"] = labels.clone();
            let of_set = json!({"metadata": {"labels": labels}, "spec": {"containers": []}});
            if number > newest {
                newest = number;
                template = of_set.clone();
            }
            self.behind.push(
                json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": set,
                "spec": {"replicas": 1, "template": of_set}}),
            );
        }
        metadata["annotations"] = json!({"deployment.kubernetes.io/revision": newest.to_string()});
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": replicas, "template": template, "selector": {"matchLabels": {"app": name}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
            "status": {"observedGeneration": 1}})
    }

    fn slice(&mut self, namespace: &str, service: &str, rest: &str) -> Value {
        let mut parts = rest.split('|').map(str::trim);
        let ports = parts.next().unwrap_or_default().split(' ');
        let ports: Vec<Value> = ports.filter(|word| !word.is_empty()).map(port).collect();
        let endpoints: Vec<Value> = parts.map(|text| self.endpoint(namespace, text)).collect();
        let first = endpoints.first().and_then(|e| e["addresses"][0].as_str());
        let family = match first.map(str::parse::<IpAddr>) {
            Some(Ok(address)) if address.is_ipv6() => "IPv6",
            Some(Err(_)) => "FQDN",
            _ => "IPv4",
        };
        self.slices += 1;
        let mut metadata = meta(namespace, &format!("{service}-{}", self.slices));
        metadata["labels"] = json!({"kubernetes.io/service-name": service});
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata,
            "addressType": family, "ports": ports, "endpoints": endpoints})
    }

    fn endpoint(&mut self, namespace: &str, text: &str) -> Value {
        let mut words = text.split(' ');
        let address = words.next().expect("an address");
        let mut endpoint = json!({"addresses": [address],
            "conditions": {"ready": true, "serving": true, "terminating": false}});
        let mut pod = None;
        let mut of = None;
        for word in words {
            match word.split_once('=') {
                Some(("host", name)) => endpoint["hostname"] = name.into(),
                Some(("zone", name)) => endpoint["zone"] = name.into(),
                Some(("node", name)) => endpoint["nodeName"] = name.into(),
                Some(("pod", name)) => pod = Some(name.to_owned()),
                _ if word == "nil" => endpoint["conditions"] = json!({}),
                _ if word == "unready" => {
                    endpoint["conditions"]["ready"] = false.into();
                    endpoint["conditions"]["serving"] = false.into();
                }
                _ if word == "terminating" => {
                    endpoint["conditions"]["ready"] = false.into();
                    endpoint["conditions"]["terminating"] = true.into();
                }
                _ => of = Some(word.strip_prefix('@').expect("@version or @replicaset")),
            }
        }
        if pod.is_some() || of.is_some() {
            let name = pod.unwrap_or_else(|| format!("pod-{}", address.replace(['.', ':'], "-")));
            let uid = self.pod(namespace, &name, of, address, &endpoint["conditions"]);
            endpoint["targetRef"] =
                json!({"kind": "Pod", "namespace": namespace, "name": name, "uid": uid});
        }
        endpoint
    }

    /// Makes the pod, or adds an address to the one that is there.
    fn pod(
        &mut self,
        namespace: &str,
        name: &str,
        of: Option<&str>,
        address: &str,
        conditions: &Value,
    ) -> Value {
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(known) = self.pods.get_mut(&key) {
            let addresses = known["status"]["podIPs"].as_array_mut().expect("a list");
            addresses.push(json!({"ip": address}));
            return known["metadata"]["uid"].clone();
        }
        let mut metadata = meta(namespace, name);
        if let Some(of) = of {
            let set = self.behind.iter().find(|set| {
                set["metadata"]["name"] == of && set["metadata"]["namespace"] == namespace
            });
            match set {
                Some(set) => {
                    metadata["labels"] = set["metadata"]["labels"].clone();
                    metadata["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                        "name": of, "uid": set["metadata"]["uid"], "controller": true}]);
                }
                None => metadata["labels"] = json!({"app.kubernetes.io/version": of}),
            }
        }
        let uid = metadata["uid"].clone();
        let ready = conditions["serving"] != false;
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata,
            "spec": {"containers": []}, "status": status(&[address], ready)});
        self.pods.insert(key, pod);
        uid
    }
}

fn meta(namespace: &str, name: &str) -> Value {
    let mut meta = json!({"name": name, "uid": format!("uid-{namespace}-{name}"),
        "creationTimestamp": "2026-03-01T08:00:00Z"});
    if !namespace.is_empty() {
        meta["namespace"] = namespace.into();
    }
    meta
}

fn status(addresses: &[&str], ready: bool) -> Value {
    let list: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    let ready = if ready { "True" } else { "False" };
    json!({"phase": "Running", "podIP": addresses.first(), "podIPs": list,
        "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2026-03-01T09:00:00Z"}]})
}

fn service(kind: &str, mut metadata: Value, rest: &str) -> Value {
    let mut spec = json!({"type": "ClusterIP", "ports": []});
    let mut addresses: Vec<Value> = Vec::new();
    let mut annotations = json!({});
    let mut ports: Vec<Value> = Vec::new();
    for word in rest.split(' ').filter(|word| !word.is_empty()) {
        if word.parse::<IpAddr>().is_ok() {
            addresses.push(word.into());
        } else if let Some((key, value)) = word.split_once('=') {
            annotations[format!("shiftdns.io/{key}")] = value.into();
        } else if word == "publishNotReady" {
            spec["publishNotReadyAddresses"] = true.into();
        } else {
            ports.push(port(word));
        }
    }
    if kind == "headless" {
        addresses = vec!["None".into()];
    }
    metadata["annotations"] = annotations;
    spec["ports"] = ports.into();
    spec["clusterIP"] = addresses.first().cloned().unwrap_or_default();
    spec["clusterIPs"] = addresses.into();
    spec["selector"] = json!({"app": metadata["name"]});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
}

/// `name/protocol:number:targetPort`.
fn port(word: &str) -> Value {
    let mut parts = word.split(':');
    let name = parts.next().unwrap_or_default();
    let (name, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
    let mut number = || parts.next().and_then(|n| n.parse::<u16>().ok());
    let mut port = json!({"protocol": protocol.to_uppercase(), "port": number().expect("a port")});
    if !name.is_empty() {
        port["name"] = name.into();
    }
    if let Some(target) = number() {
        port["targetPort"] = target.into();
    }
    port
}
