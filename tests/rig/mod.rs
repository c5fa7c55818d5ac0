//! A real server on loopback for tests: objects go in as manifests, questions go in through sockets, and every
//! answer is decoded by hickory-proto, which shares no code with our encoder.
//!
//! Answers read like the manual: `Z` is the zone, one record a line, sets sorted.
//!
//! ```text
//! NOERROR aa
//! web.shop.svc.Z. 5 A 10.1.0.11
//! auth Z. 5 SOA
//! add db-0.db.shop.svc.Z. 5 A 10.1.1.41
//! ```
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test crate that has a rig uses another part of it"
)]

mod cluster;
mod draws;

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinDecodable as _;
use jiff::Timestamp;
use shiftdns::answer::{Transport, Verdict, View, Worker, respond};
use shiftdns::app::{self, Live, Running, Source};
use shiftdns::config::{self, Config, Flags};
use shiftdns::engine::Engine;
use shiftdns::engine::control::Event;
use shiftdns::files;
use shiftdns::model::Problem;
use shiftdns::objects::{Change, Kind, Object};
use tokio::runtime::{Builder, Runtime};

pub use cluster::cluster;
pub use draws::{answers, firsts, of_version, version};

/// The name exists and has nothing of that type.
pub const NODATA: &str = "NOERROR aa\n auth Z. 5 SOA";
/// The name does not exist.
pub const NXDOMAIN: &str = "NXDOMAIN aa\n auth Z. 5 SOA";
/// Far above any answer's time on loopback; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running server.
pub struct Rig {
    runtime: Runtime,
    running: Option<Running>,
    /// Where DNS is answered.
    pub dns: SocketAddr,
    /// Probes and metrics.
    pub http: SocketAddr,
    /// The API.
    pub api: SocketAddr,
}

/// The default configuration on ports that the system chooses.
pub fn config() -> Config {
    let mut config = config::load(None, &Flags::default()).expect("the defaults are sound");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    config.listen = vec![any];
    config.http = any;
    config.api.listen = any;
    config
}

/// Whole lists of all kinds, from manifests; the manifests must be without problems.
pub fn resets(manifests: &str) -> Vec<Change> {
    let (objects, problems) = files::parse("test.yaml", manifests);
    assert_eq!(problems, []);
    resets_of(&objects)
}

/// Whole lists of all kinds.
fn resets_of(objects: &[Object]) -> Vec<Change> {
    let of = |kind: Kind| Change::Reset {
        kind,
        objects: objects
            .iter()
            .filter(|o| o.kind() == kind)
            .cloned()
            .collect(),
    };
    Kind::ALL.into_iter().map(of).collect()
}

impl Rig {
    /// Serves `manifests` with the default configuration.
    pub fn serve(manifests: &str) -> Self {
        Self::with(&config(), manifests)
    }

    /// Serves `manifests` with `config`.
    pub fn with(config: &Config, manifests: &str) -> Self {
        let rig = Self::unsynced(config);
        rig.apply(manifests);
        rig
    }

    /// A server that has read nothing yet.
    pub fn unsynced(config: &Config) -> Self {
        Self::from(config, Source::Caller)
    }

    /// A server that reads its objects itself; it need not have read them yet.
    pub fn from(config: &Config, source: Source) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime");
        let running = runtime
            .block_on(app::start(config, source))
            .expect("a server");
        let (dns, http, api) = (running.dns[0], running.http, running.api);
        Self {
            runtime,
            running: Some(running),
            dns,
            http,
            api,
        }
    }

    /// The running server.
    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until it is dropped")
    }

    /// What puts another configuration in force, once.
    pub fn take_live(&mut self) -> Live {
        let live = self.running.as_mut().and_then(Running::take_live);
        live.expect("nobody else took it")
    }

    /// Runs what waits on the server's own threads.
    pub fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Replaces all objects as one batch and waits until it is published.
    pub fn apply(&self, manifests: &str) {
        self.apply_changes(resets(manifests));
    }

    /// Folds changes in as one batch and waits until it is published.
    pub fn apply_changes(&self, changes: Vec<Change>) {
        self.apply_batch(changes, Vec::new());
    }

    /// The same, with what the source could not read.
    pub fn apply_batch(&self, changes: Vec<Change>, problems: Vec<Problem>) {
        let engine = &self.running().engine;
        self.runtime.block_on(async {
            engine
                .send(Event::SourceBack)
                .await
                .expect("the engine runs");
            let problems = Some(problems);
            engine
                .send(Event::Batch { changes, problems })
                .await
                .expect("the engine runs");
            engine.list().await.expect("the engine runs");
        });
    }

    /// The engine is told that its source is gone.
    pub fn lose_source(&self) {
        let engine = &self.running().engine;
        self.runtime.block_on(async {
            let cause = "gone".to_owned();
            engine
                .send(Event::SourceLost { since: None, cause })
                .await
                .expect("the engine runs");
            engine.list().await.expect("the engine runs");
        });
    }

    /// The status and the text of a path of the probes' listener.
    pub fn http(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("GET {path} HTTP/1.0\r\nhost: {}\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (code.expect("a status"), body.to_owned())
    }

    /// The sum of the series of a metric that have all these labels (`kind="Service"`); `None` if there is no series.
    pub fn metric(&self, name: &str, labels: &[&str]) -> Option<f64> {
        let (_, text) = self.http("/metrics");
        let series = text.lines().filter(|line| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        let values = series.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.reduce(|sum, value| sum + value)
    }

    /// How many services there are.
    pub fn services(&self) -> usize {
        let services = self.runtime.block_on(self.running().engine.list());
        services.expect("the engine runs").len()
    }

    /// All problems, one a line.
    pub fn problems(&self) -> Vec<String> {
        let problems = self.runtime.block_on(self.running().engine.problems());
        problems
            .expect("the engine runs")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    /// Sends a datagram and waits for the answer; `None` if there is none for a second.
    pub fn udp(&self, query: &[u8]) -> Option<Vec<u8>> {
        udp(self.dns, query)
    }

    /// Sends a message over a stream and waits for the answer; `None` if the server closes.
    pub fn tcp(&self, query: &[u8]) -> Option<Vec<u8>> {
        tcp(self.dns, query)
    }

    /// Asks over UDP (EDNS, 1232 octets) and TCP and shows the answer, which must be the same on both.
    pub fn ask(&self, question: &str) -> String {
        let query = query(question);
        let over_udp = shown(&self.udp(&query).expect("an answer over UDP"));
        let over_tcp = shown(&self.tcp(&query).expect("an answer over TCP"));
        if !over_udp.starts_with("NOERROR aa tc") {
            assert_eq!(over_udp, over_tcp, "{question}: UDP and TCP differ");
        }
        over_tcp
    }

    /// Asks and compares: `expected` without the spaces in front of its lines.
    pub fn check(&self, question: &str, expected: &str) {
        let lines = expected
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty());
        assert_eq!(
            self.ask(question),
            lines.collect::<Vec<_>>().join("\n"),
            "{question}"
        );
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime
                .block_on(running.shutdown(Duration::from_millis(100)));
        }
    }
}

/// Sends a datagram to `server` and waits for the answer.
pub fn udp(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a route to loopback");
    socket
        .set_read_timeout(Some(Duration::from_secs(1)))
        .expect("a timeout");
    socket.send(query).expect("sent");
    let mut answer = vec![0; 65_535];
    let len = socket.recv(&mut answer).ok()?;
    answer.truncate(len);
    Some(answer)
}

/// Sends a message over a stream to `server` and waits for the answer.
pub fn tcp(server: SocketAddr, query: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(server).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let len = u16::try_from(query.len()).expect("a message").to_be_bytes();
    stream.write_all(&[&len, query].concat()).expect("sent");
    let mut len = [0; 2];
    stream.read_exact(&mut len).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(len))];
    stream.read_exact(&mut answer).ok()?;
    Some(answer)
}

/// A query for `name TYPE`, with EDNS. `Z` at the end of the name is the zone.
pub fn query(question: &str) -> Vec<u8> {
    let (name, rtype) = question.split_once(' ').expect("a name and a type");
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    let mut asked = Query::query(parse_name(name), rtype.parse().expect("a type"));
    asked.set_query_class(hickory_proto::rr::DNSClass::IN);
    message.add_query(asked);
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message.to_vec().expect("encodes")
}

/// A name, `Z` at its end standing for the zone.
pub fn parse_name(name: &str) -> Name {
    let name = match name.strip_suffix('Z') {
        Some(front) if front.is_empty() || front.ends_with('.') => format!("{front}cluster.local"),
        _ => name.trim_end_matches('.').to_owned(),
    };
    // Label by label, since DNS allows any octet in one (RFC 2181, section 11).
    let mut name = Name::from_labels(name.split('.').map(str::as_bytes)).expect("a name");
    name.set_fqdn(true);
    name
}

/// Decodes an answer, which must end with its last record.
pub fn decode(answer: &[u8]) -> Message {
    let mut decoder = hickory_proto::serialize::binary::BinDecoder::new(answer);
    let message = Message::read(&mut decoder).expect("hickory-proto decodes what we encode");
    assert!(decoder.is_empty(), "octets behind the last record");
    message
}

/// The answer as text; sets sorted, since a rotated one has no order.
pub fn shown(answer: &[u8]) -> String {
    let message = decode(answer);
    let metadata = &message.metadata;
    let mut head = format!("{:?}", metadata.response_code).to_uppercase();
    for (set, flag) in [
        (metadata.authoritative, " aa"),
        (metadata.truncation, " tc"),
        (metadata.recursion_available, " ra"),
        (metadata.authentic_data, " ad"),
        (metadata.checking_disabled, " cd"),
    ] {
        if set {
            head.push_str(flag);
        }
    }
    let mut lines = vec![head];
    for (prefix, records) in [
        ("", &message.answers),
        ("auth ", &message.authorities),
        ("add ", &message.additionals),
    ] {
        let mut section: Vec<String> = records
            .iter()
            .map(|r| format!("{prefix}{}", record(r)))
            .collect();
        section.sort();
        lines.extend(section);
    }
    lines.join("\n")
}

/// `web.shop.svc.Z. 5 A 10.1.0.11`; of a SOA only the owner and the TTL, since its serial is the clock's.
pub fn record(record: &Record) -> String {
    let data = match &record.data {
        RData::SOA(_) => String::new(),
        RData::TXT(txt) => {
            let strings = txt
                .txt_data
                .iter()
                .map(|s| format!("{:?}", String::from_utf8_lossy(s)));
            format!(" {}", strings.collect::<Vec<_>>().join(" "))
        }
        data => format!(" {data}"),
    };
    let rtype: RecordType = record.record_type();
    let text = format!("{} {} {rtype}{data}", record.name, record.ttl);
    text.replace("cluster.local.", "Z.")
}

/// Serves a cluster in a few lines of text.
pub fn serve(text: &str) -> Rig {
    Rig::serve(&cluster(text))
}

/// The same, with another configuration than the default one.
pub fn serve_with(change: impl FnOnce(&mut Config), text: &str) -> Rig {
    let mut config = config();
    change(&mut config);
    Rig::with(&config, &cluster(text))
}

/// Answers of the reverse names of these ranges.
pub fn reverse(ranges: &'static [&str]) -> impl FnOnce(&mut Config) {
    |config| config.reverse = ranges.iter().map(|r| r.parse().expect("a range")).collect()
}

/// The demo's shop at rest.
pub fn shop() -> String {
    let files = ["namespaces", "web", "pay", "db", "api", "external"];
    let read =
        |file| std::fs::read_to_string(format!("zones/demo/{file}.yaml")).expect("a manifest");
    files.map(read).join("\n---\n")
}

/// A headless service `name` in `shop` with `count` ready endpoints of its own addresses, named `NAME-0` and so on,
/// behind the port `http`; as JSON, which is read much faster than YAML.
pub fn headless(name: &str, count: usize) -> String {
    let endpoints: Vec<String> = (0..count)
        .map(|i| {
            let address = format!("10.8.{}.{}", i / 200, i % 200 + 1);
            format!(
                r#"{{"addresses":["{address}"],"conditions":{{"ready":true}},"hostname":"{name}-{i}"}}"#
            )
        })
        .collect();
    let meta = |suffix: &str| {
        format!(r#""namespace":"shop","name":"{name}{suffix}","uid":"{name}{suffix}""#)
    };
    let (service_meta, slice_meta) = (meta(""), meta("-slice"));
    let endpoints = endpoints.join(",");
    format!(
        r#"{{"apiVersion":"v1","kind":"List","items":[
{{"apiVersion":"v1","kind":"Service","metadata":{{{service_meta}}},
 "spec":{{"clusterIP":"None","clusterIPs":["None"],"ipFamilies":["IPv4"],"selector":{{"app":"{name}"}},
 "ports":[{{"name":"http","protocol":"TCP","port":80,"targetPort":8080}}]}}}},
{{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{{slice_meta},
 "labels":{{"kubernetes.io/service-name":"{name}"}}}},"addressType":"IPv4",
 "ports":[{{"name":"http","protocol":"TCP","port":8080}}],"endpoints":[{endpoints}]}}]}}"#
    )
}

/// An ExternalName service `name` in `shop`.
pub fn external(name: &str, target: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{namespace: shop, name: {name}, uid: {name}}}\n\
         spec: {{type: ExternalName, externalName: {target}}}\n"
    )
}

/// The request path without sockets: a view that an engine has published to, and one worker.
pub struct Offline {
    pub engine: Engine,
    pub view: Arc<View>,
    pub worker: Worker,
    out: Vec<u8>,
}

impl Offline {
    /// Publishes manifests, JSON or YAML.
    pub fn with(config: &Config, manifests: &[&str]) -> Self {
        let (engine, view) = app::offline(config).expect("the zones' own names fit");
        let mut offline = Self::of(engine, view);
        offline.apply(manifests);
        offline
    }

    /// What this engine publishes, which has read nothing yet.
    pub fn of(engine: Engine, view: Arc<View>) -> Self {
        Self {
            engine,
            view,
            worker: Worker::new(1),
            out: Vec::new(),
        }
    }

    /// Replaces all objects.
    pub fn apply(&mut self, manifests: &[&str]) {
        let mut all = Vec::new();
        for text in manifests {
            let (objects, problems) = files::parse("test.yaml", text);
            assert_eq!(problems, []);
            all.extend(objects);
        }
        self.engine.apply(resets_of(&all), Timestamp::UNIX_EPOCH);
    }

    /// Asks; `None` is silence.
    pub fn ask(&mut self, query: &[u8], transport: Transport) -> Option<&[u8]> {
        self.ask_at(query, transport, 1)
    }

    /// The same at another second since the epoch.
    pub fn ask_at(&mut self, query: &[u8], transport: Transport, now: u64) -> Option<&[u8]> {
        let peer = Ipv4Addr::LOCALHOST.into();
        let (view, worker) = (&self.view, &mut self.worker);
        match respond(query, peer, transport, view, worker, now, &mut self.out) {
            Verdict::Reply => Some(&self.out),
            Verdict::Silence => None,
        }
    }
}
