//! The cluster as Kubernetes objects, for servers that read those: ShiftDNS as manifests, CoreDNS from an API server.
//!
//! Given a [`Shape`], it gives the objects of one kind as JSON, without a `resourceVersion`. Services with a cluster IP have no
//! endpoints: nothing that is asked needs them. Only weighted services have pods, whose labels say their version.

use serde_json::{Value, json};

use crate::shape::{ENDPOINTS, PORT, SECOND_VERSION_FROM, Service, Shape, Sort, namespace};

/// When everything was created.
const CREATED: &str = "2026-03-02T09:00:00Z";

pub(crate) fn namespaces(shape: Shape) -> impl Iterator<Item = Value> {
    (0..shape.namespaces).map(|number| {
        let name = namespace(number);
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name,
            "creationTimestamp": CREATED, "labels": {"kubernetes.io/metadata.name": name}}})
    })
}

pub(crate) fn services(shape: Shape) -> impl Iterator<Item = Value> {
    shape.services().map(|service| {
        let address = match service.sort {
            Sort::ClusterIp => service.addresses()[0].to_string(),
            _ => "None".to_owned(),
        };
        let annotations = match service.sort {
            Sort::Weighted => json!({"shiftdns.io/weights": "v1=90,v2=10", "shiftdns.io/clamp": "off"}),
            _ => json!({}),
        };
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": service.name(), "namespace": service.namespace(), "uid": uid(service, "service"),
                "creationTimestamp": CREATED, "annotations": annotations},
            "spec": {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address],
                "selector": {"app": service.name()},
                "ports": [{"name": "http", "protocol": "TCP", "port": PORT, "targetPort": PORT}]},
        })
    })
}

pub(crate) fn slices(shape: Shape) -> impl Iterator<Item = Value> {
    let with_endpoints = |s: &Service| s.sort != Sort::ClusterIp;
    (shape.services().filter(with_endpoints)).map(|service| slice(service, None))
}

/// The slice of a service; `unready` is the endpoint that is not ready, if there is one.
pub(crate) fn slice(service: Service, unready: Option<usize>) -> Value {
    let endpoint = |index: usize| {
        let ready = unready != Some(index);
        let mut endpoint = json!({"addresses": [service.endpoint(index)], "nodeName": format!("node-{index:03}"),
            "conditions": {"ready": ready, "serving": ready, "terminating": false}});
        if service.sort == Sort::Weighted {
            endpoint["targetRef"] = json!({"kind": "Pod", "namespace": service.namespace(),
                "name": pod_name(service, index), "uid": pod_uid(service, index)});
        }
        endpoint
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": format!("{}-abcde", service.name()), "namespace": service.namespace(),
            "uid": uid(service, "slice"), "creationTimestamp": CREATED,
            "labels": {"kubernetes.io/service-name": service.name()}},
        "ports": [{"name": "http", "protocol": "TCP", "port": PORT}],
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>(),
    })
}

pub(crate) fn pods(shape: Shape) -> impl Iterator<Item = Value> {
    let weighted = shape.services().filter(|s| s.sort == Sort::Weighted);
    weighted.flat_map(|service| (0..ENDPOINTS).map(move |index| pod(service, index)))
}

fn pod(service: Service, index: usize) -> Value {
    let version = if index < SECOND_VERSION_FROM {
        "v1"
    } else {
        "v2"
    };
    let address = service.endpoint(index);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(service, index), "namespace": service.namespace(), "uid": pod_uid(service, index),
            "creationTimestamp": CREATED,
            "labels": {"app": service.name(), "app.kubernetes.io/version": version}},
        "spec": {"nodeName": format!("node-{index:03}"), "containers": [{"name": "app", "image": "app"}]},
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": CREATED}]},
    })
}

fn uid(service: Service, what: &str) -> String {
    format!("{what}-{}", service.name())
}

fn pod_name(service: Service, index: usize) -> String {
    format!("{}-{index:02}", service.name())
}

fn pod_uid(service: Service, index: usize) -> String {
    uid(service, &format!("pod-{index:02}"))
}

/// All of it as one `List`, as `kubectl get -o json` prints it.
pub(crate) fn list(shape: Shape) -> Value {
    let items = namespaces(shape)
        .chain(services(shape))
        .chain(slices(shape))
        .chain(pods(shape));
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()})
}
