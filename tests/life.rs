//! The life of a server process: how it begins without its source, how it ends without losing anybody, and what whoever
//! started it is told.

mod api;
mod process;
mod rig;

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use api::oracle::extended_error;
use api::{Api, until};
use process::{Manifests, Process, code, query};
use rig::cluster;
use shiftdns::objects::Kind;

const SHOP: &str = "headless web.shop http:80\nslice web.shop http:80 | 10.1.0.1";

/// What the snapshot of the state file `state` is called.
fn snapshot(state: &str) -> String {
    format!("{state}.snapshot")
}

/// A server of the cluster behind `api`, with a state file in `dir`.
fn following(host: &str, api: &Api, dir: &Manifests) -> Process {
    let kubeconfig = api.kubeconfig().display().to_string();
    let args = [
        "--kubeconfig".to_owned(),
        kubeconfig,
        "--state".to_owned(),
        dir.path("state"),
        "--config".to_owned(),
        dir.config("lameDuck: 0s"),
    ];
    Process::start(host, &args, &[])
}

/// The extended error of an answer.
fn error_of(answer: &[u8]) -> Option<u16> {
    extended_error(&rig::decode(answer))
}

/// Asks until there is an answer that is not SERVFAIL, and says how long after the start that was.
fn first_answer(server: &Process) -> (Vec<u8>, Duration) {
    let mut good = None;
    until("an answer", || {
        good = server.ask().filter(|answer| code(answer) != 2);
        good.is_some()
    });
    (good.expect("there is one"), server.started.elapsed())
}

fn metric(server: &Process, name: &str) -> Option<f64> {
    let (_, text) = server.get("/metrics")?;
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Ends politely with a snapshot that is up to date.
fn end(mut server: Process) {
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "{}", server.logged());
}

#[test]
fn a_start_without_the_api_answers_from_the_snapshot_and_is_reconciled_when_it_is_back() {
    let host = "127.0.72.1";
    let api = Api::serving(&cluster(&format!("namespace shop\n{SHOP}")));
    let dir = Manifests::new("");
    let server = following(host, &api, &dir);
    server.wait_ready();
    assert_eq!(error_of(&first_answer(&server).0), None);
    end(server);

    api.down();
    api.delete(Kind::Service, "shop", "web");
    let mut server = following(host, &api, &dir);
    let (answer, took) = first_answer(&server);
    api::oracle::figure(&format!("k2: first answer {took:?} after the start"));
    assert_eq!(
        (code(&answer), error_of(&answer)),
        (0, Some(3)),
        "stale answer"
    );
    server.wait_ready();
    assert_eq!(metric(&server, "shiftdns_snapshot_serving"), Some(1.0));
    assert!(metric(&server, "shiftdns_data_age_seconds").is_some());

    // Killed, and still without an API server: what is on disk is as good as before.
    server.kill();
    let server = following(host, &api, &dir);
    assert_eq!(error_of(&first_answer(&server).0), Some(3));

    api.up();
    until("fresh answers", || {
        server.ask().is_some_and(|answer| code(&answer) == 3)
    });
    let answer = server.ask().expect("an answer");
    assert_eq!(error_of(&answer), None);
    until("fresh data", || {
        metric(&server, "shiftdns_snapshot_serving") == Some(0.0)
    });
    assert_eq!(metric(&server, "shiftdns_data_age_seconds"), Some(0.0));
}

/// Whatever is in the file, it is as if there were none: SERVFAIL until the API server answers, and never a name that does
/// not exist.
#[test]
fn a_snapshot_that_is_not_whole_or_of_another_cluster_is_not_used() {
    let host = "127.0.72.2";
    let api = Api::serving(&cluster(&format!("namespace shop\n{SHOP}")));
    let dir = Manifests::new("");
    let server = following(host, &api, &dir);
    server.wait_ready();
    end(server);
    api.down();
    let path = snapshot(&dir.path("state"));
    let whole = fs::read(&path).expect("a snapshot");
    let check = |api: &Api, why: &str| {
        let server = following(host, api, &dir);
        server.wait_logged(why);
        server.wait_logged("answering DNS");
        let answer = server.ask().expect("an answer");
        assert_eq!(
            (code(&answer), error_of(&answer)),
            (2, Some(14)),
            "not ready"
        );
        assert!(!server.is_ready());
    };
    let other = Api::start();
    other.down();
    check(&other, "it is of another cluster");
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    check(&api, "it is broken: its checksum is another");
    fs::remove_file(&path).expect("removed");
    check(&api, "there is no snapshot to begin with");
    let huge = fs::File::create(&path).expect("a file");
    huge.set_len(10 << 30).expect("a sparse file");
    check(&api, "more than 268435456 are not read");
    api.up();
    let server = following(host, &api, &dir);
    server.wait_ready();
}

/// A disk that cannot be written costs the snapshot and nothing else.
#[test]
fn a_snapshot_that_cannot_be_saved_is_told() {
    let api = Api::serving(&cluster(&format!("namespace shop\n{SHOP}")));
    let dir = Manifests::new("");
    // A directory stands where it should be.
    fs::create_dir(snapshot(&dir.path("state"))).expect("a directory");
    let server = following("127.0.72.3", &api, &dir);
    server.wait_ready();
    server.wait_logged("the snapshot cannot be saved");
    assert_eq!(
        metric(&server, "shiftdns_snapshot_failures_total"),
        Some(1.0)
    );
    assert_eq!(code(&first_answer(&server).0), 0);
}

#[test]
#[ignore = "large; for a figure of a release build"]
fn a_start_from_a_snapshot_of_ten_thousand_services() {
    let mut text = "namespace shop\n".to_owned();
    text.push_str("headless web.shop http:80\nslice web.shop http:80 | 10.1.0.1\n");
    for n in 0..10_000 {
        let (a, b) = (n / 250, n % 250 + 1);
        // A namespace has so many endpoints at most.
        let namespace = format!("ns{}", n / 1000);
        if n % 1000 == 0 {
            let _ = writeln!(text, "namespace {namespace}");
        }
        let _ = writeln!(text, "headless s{n}.{namespace} http:80");
        let endpoints = (0..10).map(|e| format!(" | 10.{}.{a}.{b} pod=s{n}-{e}", e + 2));
        let _ = writeln!(
            text,
            "slice s{n}.{namespace} http:80{}",
            endpoints.collect::<String>()
        );
    }
    let api = Api::serving(&cluster(&text));
    let dir = Manifests::new("");
    let server = following("127.0.72.4", &api, &dir);
    let ready = Instant::now();
    server.wait_ready();
    let ready = ready.elapsed();
    end(server);
    let octets = fs::metadata(snapshot(&dir.path("state")))
        .expect("a snapshot")
        .len();
    api.down();
    let server = following("127.0.72.4", &api, &dir);
    let (answer, took) = first_answer(&server);
    assert_eq!((code(&answer), error_of(&answer)), (0, Some(3)));
    api::oracle::figure(&format!(
        "k2 (10,000 services, 100,000 endpoints with pods): first answer {took:?} after the start, snapshot of {octets} \
         octets; without one {ready:?}"
    ));
    server.wait_ready();
    api.up();
    let patience = Duration::from_secs(120);
    let took = api::until_in(patience, "fresh answers", || {
        server
            .ask()
            .is_some_and(|answer| error_of(&answer).is_none())
    });
    api::oracle::figure(&format!("k2: reconciled {took:?} after the API was back"));
}

#[test]
fn after_sigterm_it_is_not_ready_and_answers_for_as_long_as_the_lame_duck_key_says() {
    let manifests = Manifests::new(SHOP);
    let start = |keys: &str| {
        let config = ["--config".to_owned(), manifests.config(keys)];
        let args: Vec<String> = manifests.args().into_iter().chain(config).collect();
        let server = Process::start("127.0.72.5", &args, &[]);
        server.wait_ready();
        server
    };
    let mut server = start("lameDuck: 1h");
    server.signal("TERM");
    server.wait_logged("stopping: not ready, still answering");
    let (status, text) = server.get("/readyz").expect("it is told");
    assert!(status == 503 && text.ends_with("shutting down"), "{text}");
    assert_eq!(server.ask().map(|answer| code(&answer)), Some(0));
    assert!(!server.has_ended());
    // Whoever does not want to wait says so once more.
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));

    let mut server = start("lameDuck: 0s");
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.logged().contains("still answering"));
}

/// Three replicas, each ended and started anew in turn, and clients that ask who says that it is ready.
#[test]
fn no_query_is_lost_in_a_rolling_restart() {
    let manifests = Manifests::new(SHOP);
    let hosts = ["127.0.72.6", "127.0.72.7", "127.0.72.8"];
    let config = ["--config".to_owned(), manifests.config("lameDuck: 1s")];
    let args: Vec<String> = manifests.args().into_iter().chain(config).collect();
    let start = |host: &str| Process::start(host, &args, &[]);
    let mut replicas: Vec<Process> = hosts.iter().map(|host| start(host)).collect();
    replicas.iter().for_each(Process::wait_ready);
    let addresses: Vec<_> = replicas.iter().map(|r| (r.dns, r.http)).collect();
    let stop = AtomicBool::new(false);
    let ready: Vec<AtomicBool> = hosts.iter().map(|_| AtomicBool::new(true)).collect();
    let (answered, lost) = (AtomicU64::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        // As a kubelet: it looks every 50 ms, a twentieth of the time there is.
        for (ready, (_, http)) in ready.iter().zip(&addresses) {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Relaxed) {
                    ready.store(process::is_ready(*http), Relaxed);
                    thread::sleep(Duration::from_millis(50));
                }
            });
        }
        for client in 0..3 {
            let (ready, addresses, stop, answered, lost) =
                (&ready, &addresses, &stop, &answered, &lost);
            scope.spawn(move || {
                let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
                socket
                    .set_read_timeout(Some(Duration::from_secs(3)))
                    .expect("a timeout");
                let mut id = client;
                while !stop.load(Relaxed) {
                    for (ready, (dns, _)) in ready.iter().zip(addresses) {
                        if !ready.load(Relaxed) {
                            continue;
                        }
                        id += 3;
                        socket.send_to(&query(id), dns).expect("sent");
                        let mut answer = [0; 1232];
                        let is_good = socket
                            .recv(&mut answer)
                            .is_ok_and(|len| code(&answer[..len]) == 0);
                        let is_good = is_good && answer[..2] == id.to_be_bytes();
                        (if is_good { answered } else { lost }).fetch_add(1, Relaxed);
                    }
                    thread::sleep(Duration::from_millis(2));
                }
            });
        }
        for (replica, host) in replicas.iter_mut().zip(hosts) {
            replica.signal("TERM");
            assert_eq!(replica.wait().code(), Some(0));
            *replica = start(host);
            replica.wait_ready();
        }
        stop.store(true, Relaxed);
    });
    let (answered, lost) = (answered.load(Relaxed), lost.load(Relaxed));
    api::oracle::figure(&format!(
        "p3: rolling restart of three replicas: {answered} answered, {lost} lost"
    ));
    assert!(answered > 100);
    assert_eq!(lost, 0);
}

/// Receives what a supervisor is told, until it is told this.
fn told(socket: &UnixDatagram, expected: &str) {
    let mut message = [0; 256];
    loop {
        let len = socket
            .recv(&mut message)
            .expect("it is told within the time there is");
        let text = String::from_utf8_lossy(&message[..len]).into_owned();
        if text.lines().any(|line| line == expected) {
            return;
        }
    }
}

#[test]
fn a_supervisor_is_told_when_it_is_ready_that_it_lives_and_when_it_stops() {
    let manifests = Manifests::new(SHOP);
    let path = manifests.path("notify");
    let socket = UnixDatagram::bind(Path::new(&path)).expect("a socket");
    socket
        .set_read_timeout(Some(process::PATIENCE))
        .expect("a timeout");
    let environment = [
        ("NOTIFY_SOCKET", path),
        ("WATCHDOG_USEC", "100000".to_owned()),
    ];
    let mut server = Process::start("127.0.72.9", &manifests.args(), &environment);
    told(&socket, "READY=1");
    assert_eq!(
        server.ask().map(|answer| code(&answer)),
        Some(0),
        "ready means synced"
    );
    told(&socket, "WATCHDOG=1");
    told(&socket, "WATCHDOG=1");
    server.signal("INT");
    told(&socket, "STOPPING=1");
    assert_eq!(server.wait().code(), Some(0));
}

/// As systemd does it: the sockets are there before the server is, and what arrives is answered when it is.
#[test]
#[cfg(target_os = "linux")]
fn sockets_that_a_supervisor_opened_are_used() {
    let (host, port) = ("127.0.72.10", 21_353);
    let manifests = Manifests::new(SHOP);
    let datagrams = UdpSocket::bind((host, port)).expect("a socket");
    let streams = TcpListener::bind((host, port)).expect("a socket");
    let client = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
    client
        .set_read_timeout(Some(process::PATIENCE))
        .expect("a timeout");
    client.send_to(&query(5), (host, port)).expect("sent");
    // Descriptors 3 and 4, as the protocol has it, and the process that is told by its number.
    let script = "exec 3<&0 4<&1 </dev/null 1>&2; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=dns:dns exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_shiftdns")]);
    command.stdin(Stdio::from(OwnedFd::from(datagrams)));
    command.stdout(Stdio::from(OwnedFd::from(streams)));
    let mut server = Process::run(command, host, &manifests.args());
    server.wait_ready();
    let mut answer = [0; 1232];
    let len = client.recv(&mut answer).expect("an answer");
    assert_eq!(
        (answer[..2].to_vec(), len > 12),
        (5_u16.to_be_bytes().to_vec(), true)
    );
    assert_eq!(server.ask().map(|answer| code(&answer)), Some(0));
    // Both ways: nothing else could listen there while these are held.
    let stream = std::net::TcpStream::connect((host, port));
    assert!(stream.is_ok());
    server.signal("INT");
    assert_eq!(server.wait().code(), Some(0));
}
