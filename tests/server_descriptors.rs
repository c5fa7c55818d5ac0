//! P6: without file descriptors UDP keeps answering, accepts pause (no busy loop) and go on when there are some again.
//!
//! A process of its own: the limit is a process's, and the other tests want theirs.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shiftdns::answer::{Identity, Limits, View, Worker};
use shiftdns::server::{Settings, TcpSettings, UdpSettings, bind};
use shiftdns::zone::Zones;
use socket2::{Domain, Socket, Type};

const CHILD: &str = "SHIFTDNS_TEST_FEW_DESCRIPTORS";
const NAME: &str = "udp_answers_and_accepts_pause_without_descriptors";
const SOON: Duration = Duration::from_secs(20);

/// `test.cluster.local. A`.
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04test\x07cluster\x05local\x00\x00\x01\x00\x01";

#[test]
fn udp_answers_and_accepts_pause_without_descriptors() {
    if std::env::var_os(CHILD).is_some() {
        return exhausted();
    }
    let status = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 64 && exec \"$0\" --exact \"$1\" --nocapture",
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(NAME)
        .env(CHILD, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::main]
async fn exhausted() {
    let bound = bind(&Settings {
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        workers: 1,
        udp: UdpSettings::default(),
        tcp: TcpSettings::default(),
    })
    .await
    .unwrap();
    let address = bound.addresses()[0];
    let counters = bound.counters();
    let view = View::new(
        shiftdns::store::new().0,
        Zones::default(),
        Identity::default(),
        Limits::default(),
    );
    let (worker, streams) = (Worker::new(1), Worker::new(1));
    let server = bound.start(Arc::new(view), vec![worker], vec![streams]);
    let _server = server.unwrap();

    // The clients have their sockets before there are none.
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.connect(address).unwrap();
    udp.set_read_timeout(Some(SOON)).unwrap();
    let mut tcp = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    tcp.set_read_timeout(Some(SOON)).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    // The kernel completes the connection; the server may accept it later.
    tcp.connect(&address.into()).unwrap();
    tcp.write_all(&[&[0, 36], QUERY].concat()).unwrap();

    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(500) {
        udp.send(QUERY).unwrap();
        let mut reply = [0; 512];
        let length = udp.recv(&mut reply).unwrap();
        assert!(reply[..length].starts_with(b"\x12\x34"));
    }
    let failed = counters.read().accept_errors;
    // Pauses of 10, 20, 40, 80, 160 and 320 ms; without them some hundred thousand.
    assert!((1..=7).contains(&failed), "{failed} accepts failed");

    drop(hoard);
    let mut reply = [0; 4];
    tcp.read_exact(&mut reply).unwrap();
    assert!(reply.ends_with(b"\x12\x34"));
}
