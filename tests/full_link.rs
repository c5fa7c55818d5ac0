//! A link that stands still while a server has answers for it: what does not fit into the socket is lost and counted, and
//! nobody else waits.
//!
//! It wants the right to make network namespaces, and `ip` and `tc` (iproute2), hence by request only:
//!
//! ```text
//! cargo test --test full_link -- --ignored --nocapture
//! ```
//!
//! Two namespaces of the test's own, joined by a pair of links. The server lives in one of them, where `tc` lets the link send
//! one kilobit a second; its clients come from the other one, and over the loopback address of its own.
#![cfg(target_os = "linux")]

mod process;
mod rig;

use std::fs::File;
use std::io::Read as _;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use process::{Manifests, PATIENCE, Process, code, query};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const SHOP: &str =
    "headless web.shop http:80\nslice web.shop http:80 | 10.1.0.1 | 10.1.0.2 | 10.1.0.3";
const SERVER: &str = "192.0.2.1:21353";

/// Queries that come over the link which stands still: answers of 100 octets, of which the kernel keeps a few hundred for a
/// socket.
const QUERIES: u16 = 5_000;

/// Queries beside them, at least.
const ENOUGH: u64 = 100;

/// A network namespace, for as long as this lives.
struct Namespace(Child);

impl Namespace {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args([
            "--net",
            "sh",
            "-c",
            "ip link set lo up && echo made && exec sleep 600",
        ]);
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux)");
        let mut made = [0; 5];
        let stdout = child.stdout.as_mut().expect("it was asked for");
        stdout
            .read_exact(&mut made)
            .expect("the right to make a network namespace");
        Self(child)
    }

    /// Moves this thread, and what it starts, into it.
    fn enter(&self) {
        let path = format!("/proc/{}/ns/net", self.0.id());
        let link = File::open(path).expect("a namespace of ours");
        move_into_link_name_space(link.as_fd(), Some(LinkNameSpaceType::Network))
            .expect("the right to enter it");
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command of iproute2 in this thread's namespace.
fn run(command: &str) {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command");
    let status = Command::new(program).args(words).status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "{command}: {status:?}"
    );
}

fn send_errors(server: &Process) -> u64 {
    let (_, text) = server.get("/metrics").expect("metrics");
    let line = text.lines().find(|line| {
        line.starts_with("shiftdns_socket_errors_total") && line.contains("operation=\"send\"")
    });
    let number = line.and_then(|line| line.rsplit(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

/// Asks one question, and waits for its answer for so long.
fn ask(socket: &UdpSocket, id: u16, patience: Duration) -> Option<u8> {
    socket.set_read_timeout(Some(patience)).expect("a time");
    socket.send(&query(id)).expect("a query is small");
    let mut answer = [0; 1232];
    let len = socket.recv(&mut answer).ok()?;
    Some(code(answer.get(..len)?))
}

/// RFC 1035, section 4.2.1, has datagrams get lost; it has nobody wait for those of others.
#[test]
#[ignore = "wants the right to make network namespaces, and iproute2"]
fn a_link_that_stands_still_costs_its_own_answers_only() {
    let (near, far) = (Namespace::new(), Namespace::new());
    let (begin, begun) = mpsc::channel::<()>();
    let (flooded, was_flooded) = mpsc::channel::<()>();
    let (mend, mended) = mpsc::channel::<()>();
    let (leave, left) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let (far, near) = (&far, &near);
        let clients = scope.spawn(move || {
            far.enter();
            begun.recv().expect("a server");
            let socket = UdpSocket::bind("192.0.2.2:0").expect("an address");
            socket.connect(SERVER).expect("a route");
            for id in 0..QUERIES {
                socket.send(&query(id)).expect("the way there is free");
            }
            flooded.send(()).expect("somebody waits");
            mended.recv().expect("the link sends again");
            // What it had kept comes first.
            let mut answer = [0; 1232];
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .expect("a time");
            let mut kept = 0_u64;
            while socket.recv(&mut answer).is_ok() {
                kept += 1;
            }
            let after = ask(&socket, 1, PATIENCE);
            leave.send(()).expect("the server's side waits");
            (kept, after)
        });
        let server = scope.spawn(move || {
            near.enter();
            run(&format!(
                "ip link add veth-near type veth peer name veth-far netns {}",
                far.0.id()
            ));
            run("ip address add 192.0.2.1/24 dev veth-near");
            run("ip link set veth-near up");
            run(&format!(
                "nsenter --net=/proc/{}/ns/net ip address add 192.0.2.2/24 dev veth-far",
                far.0.id()
            ));
            run(&format!(
                "nsenter --net=/proc/{}/ns/net ip link set veth-far up",
                far.0.id()
            ));
            let manifests = Manifests::new(SHOP);
            let listen = ["--listen".to_owned(), SERVER.to_owned()];
            let args: Vec<String> = manifests.args().into_iter().chain(listen).collect();
            let server = Process::start("127.0.0.1", &args, &[]);
            server.wait_ready();
            // The limit is of what may wait: more than a socket may have.
            run("tc qdisc add dev veth-near root tbf rate 1kbit burst 2kb limit 64mb");
            begin.send(()).expect("clients");

            let own = UdpSocket::bind("127.0.0.1:0").expect("an address");
            own.connect(server.dns).expect("a route");
            let (mut asked, mut answered, mut slowest) = (0_u64, 0_u64, Duration::ZERO);
            let deadline = Instant::now() + PATIENCE;
            let mut is_over = false;
            // As long as the flood lasts, and until it has been noticed.
            while !is_over && Instant::now() < deadline {
                is_over =
                    asked >= ENOUGH && send_errors(&server) > 0 && was_flooded.try_recv().is_ok();
                asked += 1;
                let begun = Instant::now();
                answered += u64::from(ask(&own, 7, Duration::from_secs(5)) == Some(0));
                slowest = slowest.max(begun.elapsed());
            }
            let lost = send_errors(&server);
            run("tc qdisc del dev veth-near root");
            mend.send(()).expect("clients");
            left.recv().expect("clients");
            (asked, answered, slowest, lost)
        });
        let (asked, answered, slowest, lost) = server.join().expect("the server's side");
        let (kept, after) = clients.join().expect("the clients' side");
        println!(
            "full link: of {QUERIES} queries over it {lost} answers did not fit and were counted, {kept} came late; beside it \
             {answered} of {asked} answered, the slowest after {slowest:?}; afterwards {after:?}"
        );
        assert!(lost > 0, "the socket was never full");
        assert_eq!(answered, asked, "others waited in vain");
        assert_eq!(after, Some(0), "an answer when the link sends again");
    });
}
