//! Everything on loopback: an engine with one small shop behind it, and requests as a client writes them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::{Admin, Reloads, Rules, Settings, Sources, bind};
use super::schema;
use crate::answer::{Identity, Limits, Transport, View, Worker, respond};
use crate::engine::control::{self, Event, Handle};
use crate::engine::{self, Engine, Pods};
use crate::kubernetes;
use crate::model::Policy;
use crate::objects::{Change, Kind, Object};
use crate::records;
use crate::store;
use crate::wire::Name;
use crate::zone::{Authority, Zone, ZoneKind, Zones};

/// A headless service whose Deployment rolls from v1 (three pods) to v2 (one), and a service with a mistake.
pub(super) fn shop() -> Vec<Value> {
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": "web", "uid": "u-web", "annotations": {
                "shiftdns.io/strategy": "manual", "shiftdns.io/weights": "v1=75,v2=25"}},
            "spec": {"clusterIP": "None", "selector": {"app": "web"},
                "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}),
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": "odd",
                "annotations": {"shiftdns.io/strategy": "manual", "shiftdns.io/weights": "v2=-1"}},
            "spec": {"clusterIP": "10.96.0.9"}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"namespace": "shop", "name": "web", "uid": "d-web", "generation": 2},
            "spec": {"replicas": 4, "template": {"metadata": {"labels": {"app": "web"}}}},
            "status": {"observedGeneration": 2, "replicas": 4, "updatedReplicas": 1, "availableReplicas": 4}}),
    ];
    let mut endpoints = Vec::new();
    for (version, hash, number, pods) in [("v1", "aaa", 1, 1..4), ("v2", "bbb", 2, 4..5)] {
        let labels =
            json!({"app": "web", "app.kubernetes.io/version": version, "pod-template-hash": hash});
        objects.push(json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"namespace": "shop", "name": format!("web-{hash}"), "uid": format!("r-{hash}"),
                "creationTimestamp": format!("2026-01-0{number}T00:00:00Z"), "labels": labels,
                "annotations": {"deployment.kubernetes.io/revision": number.to_string()},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web",
                    "uid": "d-web", "controller": true}]},
            "spec": {"template": {"metadata": {"labels": labels}}}}));
        for n in pods {
            let (pod, uid, address) = (format!("web-{n}"), format!("p-{n}"), format!("10.0.0.{n}"));
            objects.push(json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "shop", "name": pod, "uid": uid, "labels": labels,
                    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet",
                        "name": format!("web-{hash}"), "uid": format!("r-{hash}"), "controller": true}]},
                "status": {"podIP": address}}));
            endpoints.push(
                json!({"addresses": [address], "conditions": {"ready": true},
                "nodeName": "node-1", "zone": "zone-a",
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": pod, "uid": uid}}),
            );
        }
    }
    objects.push(
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"namespace": "shop", "name": "web-1",
            "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 8080}]}),
    );
    objects
}

/// Everything, listening on loopback.
pub(in crate::admin) struct Site {
    pub(super) http: SocketAddr,
    pub(super) api: SocketAddr,
    pub(super) admin: Admin,
    pub(in crate::admin) engine: Handle,
    pub(super) view: Arc<View>,
    /// A worker of clients.
    pub(super) clients: Worker,
}

pub(super) const WEB: &str = "web.shop.svc.cluster.local";

impl Site {
    pub(super) async fn open(token: Option<&str>) -> Self {
        Self::with(token, true).await
    }

    pub(super) async fn with(token: Option<&str>, actions: bool) -> Self {
        Self::made(token, actions, Duration::ZERO, None).await
    }

    pub(super) async fn made(
        token: Option<&str>,
        actions: bool,
        unready_after: Duration,
        watches: Option<Arc<kubernetes::Status>>,
    ) -> Self {
        let name = |text: &str| Name::parse(text).unwrap();
        let soa = Authority {
            server: name("ns.dns.cluster.local"),
            mname: name("ns.dns.cluster.local"),
            rname: name("hostmaster.cluster.local"),
        };
        let apex = name("cluster.local");
        let zone = Zone::new(apex, ZoneKind::Cluster, &soa, 30, 5);
        let (store, publisher) = store::new();
        let zones = Zones::new(vec![zone]);
        let view = View::new(store, zones, Identity::default(), Limits::default());
        let view = Arc::new(view);
        let settings = engine::Settings {
            objects: crate::objects::Settings::default(),
            defaults: Policy::default(),
            records: records::Settings::default(),
            pods: Pods::Disabled,
            name_server: vec![IpAddr::from([10, 96, 0, 10])],
            cache_floor: 5,
            in_cluster: false,
            upstream: false,
        };
        let engine = Engine::new(settings, Arc::clone(&view), publisher).unwrap();
        let versions = engine.counted_versions();
        let engine = control::start(engine, control::Sinks::default()).unwrap();
        let clients = Worker::new(1);
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let settings = Settings {
            http: any,
            api: any,
            rules: Rules::new(token, actions, unready_after),
        };
        let bound = bind(&settings).await.unwrap();
        let (http, api) = (bound.http(), bound.api());
        let admin = bound.start(Sources {
            engine: engine.clone(),
            view: Arc::clone(&view),
            workers: vec![clients.counts()],
            server: Arc::default(),
            versions,
            upstream: None,
            resolver: Worker::new(2),
            reloads: Arc::new(Reloads::new(0)),
            zone_files: None,
            watches,
            snapshot: None,
        });
        Self {
            http,
            api,
            admin,
            engine,
            view,
            clients,
        }
    }

    /// Reads one object that is new, or another.
    pub(super) async fn apply(&self, object: Value) {
        let object = serde_json::from_value(object).unwrap();
        let event = Event::Batch {
            changes: vec![Change::Apply(object)],
            problems: None,
        };
        self.engine.send(event).await.unwrap();
        self.engine.list().await.unwrap();
    }

    /// Reads the objects, all of their kinds.
    pub(super) async fn sync(&self, objects: &[Value]) {
        let objects: Vec<Object> = objects
            .iter()
            .map(|value| serde_json::from_value(value.clone()).unwrap())
            .collect();
        let of_kind = |kind| objects.iter().filter(move |o| o.kind() == kind).cloned();
        let changes = Kind::ALL.map(|kind| Change::Reset {
            kind,
            objects: of_kind(kind).collect(),
        });
        let event = Event::Batch {
            changes: changes.into(),
            problems: None,
        };
        self.engine.send(event).await.unwrap();
        // A question is answered behind the batch.
        self.engine.list().await.unwrap();
    }

    pub(in crate::admin) async fn synced(token: Option<&str>) -> Self {
        let site = Self::open(token).await;
        site.sync(&shop()).await;
        site
    }

    pub(super) async fn json(&self, path: &str) -> Value {
        let got = get(self.api, path).await;
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        serde_json::from_str(&got.body).unwrap()
    }

    /// What a client's datagram counts as.
    pub(super) fn client_asks(&mut self, name: &str, rtype: u16) {
        let mut query = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        query.extend(Name::parse(name).unwrap().as_wire());
        query.extend([rtype.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        let client = Ipv4Addr::LOCALHOST.into();
        let mut out = Vec::new();
        let view = &self.view;
        respond(
            &query,
            client,
            Transport::Udp,
            view,
            &mut self.clients,
            0,
            &mut out,
        );
    }
}

impl Got {
    /// A header that stands, in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
}

pub(super) async fn get(address: SocketAddr, path: &str) -> Got {
    ask(address, "GET", path, &format!("host: {address}\r\n")).await
}

/// One request, its answer read to the end of the connection.
pub(super) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &str) -> Got {
    send(address, method, path, headers, "").await
}

/// The same with a body.
pub(super) async fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Got {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = match body.len() {
        0 => String::new(),
        length => format!("content-length: {length}\r\n"),
    };
    let request = format!("{method} {path} HTTP/1.1\r\n{headers}{length}\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head ends");
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let got = Got {
        status,
        headers: head.to_ascii_lowercase(),
        body: body.to_owned(),
    };
    schema::check(method, path, &got);
    got
}
