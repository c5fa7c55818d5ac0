//! Side by side: our server and CoreDNS with its kubernetes plugin, on one API server, in one run.
//!
//! Two figures that people compare: how soon a changed EndpointSlice is answered, and what many services cost when a server starts.
//! They are printed; of the machine's own speed nothing is asserted. Debug builds are slow, so measure a release:
//!
//! ```text
//! cargo build --release
//! SHIFTDNS_BINARY=target/release/shiftdns tests/cluster/run --nocapture sidebyside
//! ```
//!
//! `SHIFTDNS_CHANGES` (1000) is how many changes are timed, `SHIFTDNS_SERVICES` (5000) how many services are created.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use hickory_proto::rr::RData;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::ours::{Ours, get};
use crate::plane::Plane;
use crate::programs::{Program, port};
use crate::rig;

/// The namespace of the one service that changes.
const SIDE: &str = "side";
/// Many services are spread over so many namespaces: one alone may by default not have all the endpoints.
const NAMESPACES: usize = 10;
/// Far above anything that is measured; a test that waits this long fails.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two questions to one server: well below what is measured, and it leaves the servers the processor.
const PAUSE: Duration = Duration::from_micros(200);
/// Between two changes, so that what the last one left to do does not fall into the next.
const GAP: Duration = Duration::from_millis(3);
/// Objects that are being created at a time.
const FLOW: usize = 64;
/// Endpoints of a service.
const ENDPOINTS: usize = 10;

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn sidebyside_freshness() {
    let count = number("SHIFTDNS_CHANGES", 1000);
    let plane = Plane::start();
    plane.namespace(SIDE);
    plane.apply(&service(SIDE, "fresh").to_string());
    plane.apply(&slice(SIDE, "fresh", &[nth(0)]).to_string());
    let kubeconfig = plane.install_ours();
    let ours = Ours::start(&plane, "shiftdns", &kubeconfig, &[]);
    // Without its cache, and asked for no TTL: what it answers is what it knows.
    let coredns = plane.coredns(&corefile(""));

    let pollers =
        [ours.dns, coredns.address].map(|server| Poller::of(server, &question(SIDE, "fresh")));
    for poller in &pollers {
        poller.want(nth(0));
        poller.seen();
    }
    let runtime = runtime();
    let client = client(&runtime, plane.kubeconfig_admin());
    let slices: Api<EndpointSlice> = Api::namespaced(client, SIDE);
    let mut times = Vec::new();
    for change in 1..=count {
        let address = nth(change);
        // Both are asked before the change is made, and each is woken first every other time.
        for turn in 0..2 {
            pollers[(change + turn) % 2].want(address);
        }
        let patch = Patch::Merge(json!({"endpoints": endpoints(&[address])}));
        let sent = Instant::now();
        let patched = runtime.block_on(slices.patch("fresh", &PatchParams::default(), &patch));
        let committed = Instant::now();
        patched.expect("the slice is changed");
        let [ours, coredns] = [pollers[0].seen(), pollers[1].seen()];
        times.push(Change {
            sent,
            committed,
            ours,
            coredns,
        });
        thread::sleep(GAP);
    }

    let sent = |change: &Change, seen: Instant| micros(change.sent, seen);
    let committed = |change: &Change, seen: Instant| micros(change.committed, seen);
    let written = sorted(&times, |change| micros(change.sent, change.committed));
    println!("{count} changes; microseconds");
    println!("{:34}{:>9}{:>9}{:>9}", "", "p50", "p99", "max");
    row("the write itself", &written);
    let ours_sent = sorted(&times, |change| sent(change, change.ours));
    let coredns_sent = sorted(&times, |change| sent(change, change.coredns));
    row("sent to answered: ours", &ours_sent);
    row("sent to answered: CoreDNS", &coredns_sent);
    row(
        "response to answered: ours",
        &sorted(&times, |change| committed(change, change.ours)),
    );
    row(
        "response to answered: CoreDNS",
        &sorted(&times, |change| committed(change, change.coredns)),
    );
    // Of one change both servers hear at once: here the write is out of it.
    row(
        "CoreDNS after ours",
        &sorted(&times, |change| micros(change.ours, change.coredns)),
    );
    let ratio = |percent| at(&ours_sent, percent) as f64 / at(&coredns_sent, percent) as f64;
    let first = times.iter().filter(|change| change.ours < change.coredns);
    println!(
        "ours / CoreDNS: p50 {:.2}, p99 {:.2}; ours answered first {} times",
        ratio(50),
        ratio(99),
        first.count()
    );
    // Both are in the same run, so a slow machine is slow for both. Twice as long is no noise, since the write, some milliseconds, is
    // in both: something waits that must not, as where changes are collected for a while before they are read.
    for percent in [50, 99] {
        assert!(
            ratio(percent) <= 2.0,
            "p{percent}: {:.2} times CoreDNS's",
            ratio(percent)
        );
    }
}

/// When one change was made, and answered.
struct Change {
    /// Just before the request: the change happens after it. From here on both are judged, since no answer can come sooner.
    sent: Instant,
    /// When the response was there: the change had happened before it, and may have been answered before it too.
    committed: Instant,
    ours: Instant,
    coredns: Instant,
}

fn micros(from: Instant, to: Instant) -> i128 {
    let after = to.saturating_duration_since(from).as_micros();
    let before = from.saturating_duration_since(to).as_micros();
    i128::try_from(after).expect("short") - i128::try_from(before).expect("short")
}

fn sorted(times: &[Change], of: impl Fn(&Change) -> i128) -> Vec<i128> {
    let mut all: Vec<i128> = times.iter().map(of).collect();
    all.sort_unstable();
    all
}

/// The nearest rank.
fn at(sorted: &[i128], percent: usize) -> i128 {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

fn row(name: &str, sorted: &[i128]) {
    let [half, most, all] = [50, 99, 100].map(|percent| at(sorted, percent));
    println!("{name:34}{half:9}{most:9}{all:9}");
}

/// Asks one server about one service, again and again, until an address is answered.
struct Poller {
    wants: mpsc::Sender<Ipv4Addr>,
    sees: mpsc::Receiver<Instant>,
}

impl Poller {
    fn of(server: SocketAddr, query: &[u8]) -> Self {
        let (wants, wanted) = mpsc::channel::<Ipv4Addr>();
        let (saw, sees) = mpsc::channel();
        let query = query.to_owned();
        thread::spawn(move || {
            let socket = socket(server);
            for address in wanted {
                if saw.send(first_answer(&socket, &query, address)).is_err() {
                    return;
                }
            }
        });
        Self { wants, sees }
    }

    fn want(&self, address: Ipv4Addr) {
        self.wants.send(address).expect("the poller runs");
    }

    fn seen(&self) -> Instant {
        self.sees.recv().expect("the address was answered in time")
    }
}

/// When `address` was answered first.
fn first_answer(socket: &UdpSocket, query: &[u8], address: Ipv4Addr) -> Instant {
    let begun = Instant::now();
    let octets = address.octets();
    let mut answer = [0; 1500];
    loop {
        socket.send(query).expect("sent");
        if let Ok(length) = socket.recv(&mut answer) {
            let now = Instant::now();
            // The name is ASCII and has no such octets, so a sight of them is enough to look closer.
            let answer = &answer[..length];
            if answer.windows(4).any(|four| four == octets) {
                assert_eq!(addresses(answer), [address.into()].into());
                return now;
            }
        }
        assert!(begun.elapsed() < PATIENCE, "{address} is never answered");
        thread::sleep(PAUSE);
    }
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn sidebyside_scale() {
    let count = number("SHIFTDNS_SERVICES", 5000);
    let plane = Plane::start();
    for index in 0..NAMESPACES {
        plane.namespace(&nth_namespace(index));
    }
    let kubeconfig = plane.install_ours();
    let begun = Instant::now();
    let runtime = runtime();
    let client = client(&runtime, plane.kubeconfig_admin());
    create(&runtime, &client, count);
    println!(
        "{count} headless services of {ENDPOINTS} endpoints without pods, created within {:.0} s",
        begun.elapsed().as_secs_f32()
    );
    drop((client, runtime));

    println!(
        "{:10}{:>12}{:>15}{:>13}{:>13}{:>13}",
        "", "ready, ms", "answered, ms", "peak, MiB", "then, MiB", "CPU, ms"
    );
    // Each starts more than once, in turns: what the first finds cold, the next finds warm.
    for _ in 0..3 {
        let begun = Instant::now();
        let ours = Ours::begin(&plane, "shiftdns", &kubeconfig, &[]);
        let started = Started::look(begun, count, ours.dns, &ours.program, || ours.is_ready());
        started.tell("ours");
        drop(ours);

        let ready = SocketAddr::from(([127, 0, 0, 1], port()));
        let begun = Instant::now();
        let coredns = plane.begin_coredns(&corefile(&format!("ready {ready}")));
        let is_ready = || get(ready, "/ready").is_some_and(|(status, _)| status == 200);
        let started = Started::look(begun, count, coredns.address, &coredns.program, is_ready);
        started.tell("CoreDNS");
    }
}

/// How a server started.
struct Started {
    /// Until it said that it was ready.
    ready: Duration,
    /// Until a sample of all services was answered with all their endpoints.
    answered: Duration,
    /// Memory, once every service had been asked for: the most it ever was, and what it is now, in kB.
    peak: u64,
    then: u64,
    /// The processor's time until then.
    cpu: Duration,
}

impl Started {
    fn look(
        begun: Instant,
        count: usize,
        dns: SocketAddr,
        program: &Program,
        is_ready: impl Fn() -> bool,
    ) -> Self {
        let wait = |what: &str, is_so: &dyn Fn() -> bool| {
            while !is_so() {
                assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
                assert_eq!(program.ended(), None, "{what}");
                thread::sleep(Duration::from_millis(2));
            }
            begun.elapsed()
        };
        let ready = wait("ready", &is_ready);
        let socket = socket(dns);
        let mut answered = ready;
        for index in (0..count).step_by(count.div_ceil(50)).chain([count - 1]) {
            answered = wait("answered", &|| is_answered(&socket, index));
        }
        for index in 0..count {
            assert!(is_answered(&socket, index), "service {index}");
        }
        let directory = Path::new("/proc").join(program.id().to_string());
        let status = fs::read_to_string(directory.join("status")).expect("a process has a status");
        let memory = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let words = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            words.unwrap_or_else(|| panic!("no {key} in {status}"))
        };
        Self {
            ready,
            answered,
            peak: memory("VmHWM"),
            then: memory("VmRSS"),
            cpu: processor_time(&directory),
        }
    }

    fn tell(&self, name: &str) {
        println!(
            "{name:10}{:12}{:15}{:13.1}{:13.1}{:13}",
            self.ready.as_millis(),
            self.answered.as_millis(),
            self.peak as f64 / 1024.0,
            self.then as f64 / 1024.0,
            self.cpu.as_millis()
        );
    }
}

/// What all threads of a process used: `utime` and `stime` of proc(5), in hundredths of a second.
fn processor_time(directory: &Path) -> Duration {
    let stat = fs::read_to_string(directory.join("stat")).expect("a process has a status");
    // Behind the name, which may have spaces; the first is field 3.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let fields = fields.split(' ').skip(11).take(2);
    let ticks: u64 = fields
        .map(|field| field.parse::<u64>().expect("ticks"))
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Whether service `index` is answered with all its endpoints.
fn is_answered(socket: &UdpSocket, index: usize) -> bool {
    let mut answer = [0; 1500];
    let sent = socket.send(&question(&nth_namespace(index), &nth_name(index)));
    // A server that does not listen yet refuses.
    let Ok(length) = sent.and_then(|_| socket.recv(&mut answer)) else {
        return false;
    };
    let expected = nth_endpoints(index).map(IpAddr::V4);
    addresses(&answer[..length]) == expected.into()
}

/// Creates the services and their EndpointSlices, many at a time.
fn create(runtime: &tokio::runtime::Runtime, client: &Client, count: usize) {
    let of = async |index: usize| {
        let (namespace, name) = (nth_namespace(index), nth_name(index));
        let services: Api<Service> = Api::namespaced(client.clone(), &namespace);
        let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), &namespace);
        let made = serde_json::from_value(service(&namespace, &name)).expect("a Service");
        let made = services.create(&PostParams::default(), &made).await;
        made.expect("the Service is created");
        let made = slice(&namespace, &name, &nth_endpoints(index));
        let made = serde_json::from_value(made).expect("an EndpointSlice");
        let made = slices.create(&PostParams::default(), &made).await;
        made.expect("the EndpointSlice is created");
    };
    let all = stream::iter(0..count).map(of).buffer_unordered(FLOW);
    runtime.block_on(all.for_each(|()| std::future::ready(())));
}

/// A headless Service without a selector, whose endpoints nobody but the test writes.
fn service(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": name},
        "spec": {"clusterIP": "None", "ports": [{"name": "http", "port": 80}]},
    })
}

fn slice(namespace: &str, service: &str, addresses: &[Ipv4Addr]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": namespace, "name": service, "labels": {
            "kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "test"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": endpoints(addresses),
    })
}

fn endpoints(addresses: &[Ipv4Addr]) -> Value {
    let ready = json!({"ready": true, "serving": true, "terminating": false});
    let of = |address: &Ipv4Addr| json!({"addresses": [address], "conditions": ready});
    addresses.iter().map(of).collect()
}

/// Addresses that are no two the same.
fn nth(index: usize) -> Ipv4Addr {
    let index = u32::try_from(index).expect("few enough");
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 128, 0, 1).to_bits() + index)
}

fn nth_name(index: usize) -> String {
    format!("service-{index:05}")
}

fn nth_namespace(index: usize) -> String {
    format!("{SIDE}-{}", index % NAMESPACES)
}

fn nth_endpoints(index: usize) -> [Ipv4Addr; ENDPOINTS] {
    std::array::from_fn(|endpoint| nth(index * ENDPOINTS + endpoint))
}

fn question(namespace: &str, service: &str) -> Vec<u8> {
    rig::query(&format!("{service}.{namespace}.svc.cluster.local A"))
}

/// The addresses of an answer.
fn addresses(answer: &[u8]) -> BTreeSet<IpAddr> {
    let answers = rig::decode(answer).answers;
    let of = answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        _ => None,
    });
    of.collect()
}

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    socket.connect(server).expect("an address");
    // Longer than any answer takes: a lost datagram is asked for again.
    let timeout = socket.set_read_timeout(Some(Duration::from_secs(1)));
    timeout.expect("a timeout");
    socket
}

fn corefile(more: &str) -> String {
    format!(
        ".:{{$PORT}} {{
    bind 127.0.0.1
    {more}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {{$KUBECONFIG}}
        ttl 0
    }}
}}
"
    )
}

fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

fn client(runtime: &tokio::runtime::Runtime, kubeconfig: &Path) -> Client {
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        Client::try_from(config.expect("a configuration")).expect("a client")
    })
}

/// A number from the environment.
fn number(variable: &str, default: usize) -> usize {
    let set = std::env::var(variable).ok();
    set.map_or(default, |text| text.parse().expect("a number"))
}
