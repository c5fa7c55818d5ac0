//! From the start of the program over one JSON list to the first right answer, on one core.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cluster::{self, Service};
use crate::process::resident;
use crate::size;

/// A and IN.
const A: u16 = 1;

pub(crate) fn measure(count: usize) {
    let dir = tempfile::tempdir().expect("a directory");
    let list = File::create(dir.path().join("all.json")).expect("a file");
    let mut list = BufWriter::new(list);
    cluster::write_list(count, &mut list).expect("room for it");
    list.flush().expect("room for it");
    let octets = list.get_ref().metadata().expect("a file").len();

    let address = free_address();
    let started = Instant::now();
    // One core: the kernel's, where the tool for it is at hand.
    let mut server = Command::new("taskset")
        .args(["-c", "0", env!("CARGO_BIN_EXE_shiftdns"), "serve"])
        .arg("--manifests")
        .arg(dir.path())
        .args(["--listen", &address.to_string()])
        .args(["--http", "127.0.0.1:0", "--api", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program, and taskset of util-linux");
    // The last service there is, and one of endpoints.
    let question = cluster::query(&Service(count - 1).dns_name(), A);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let wait = Some(Duration::from_millis(20));
    socket.set_read_timeout(wait).expect("a timeout");
    let took = loop {
        // Nobody listens at first, and a refusal is told by the next call.
        let _ = socket.send_to(&question, address);
        let mut answer = [0; 1232];
        let len = socket.recv(&mut answer).unwrap_or(0);
        // No error, and answers.
        if len > 12 && answer[3] & 0x0F == 0 && answer[7] > 0 {
            break started.elapsed();
        }
        std::thread::sleep(Duration::from_millis(5));
        assert!(started.elapsed() < Duration::from_secs(300), "no answer");
    };
    std::thread::sleep(Duration::from_secs(2));
    let (settled, peak) = resident(&server.id().to_string());
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    println!(
        "start: {}: {:.0} MB of JSON, first right answer after {:.2} s; {settled:.1} MB resident two seconds later, peak {peak:.1} MB",
        size(count),
        octets as f64 / 1e6,
        took.as_secs_f64(),
    );
}

/// An address that was free a moment ago.
fn free_address() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("an address")
}
