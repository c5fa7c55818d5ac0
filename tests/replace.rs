//! A server takes the place of another, and nobody who asks notices.
//!
//! ```text
//!   clients ── UDP, a window each ──┐      ┌── server, until ──┐
//!           ── TCP, of all sorts  ──┴──────┤                   ├── the same sockets
//!                                          └── its successor ──┘
//! ```
#![cfg(target_os = "linux")]

mod process;
mod rig;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use process::{Manifests, Process, code, query};

/// A query that is not answered by then is lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of queries.
#[derive(Debug, Default)]
struct Tally {
    stop: AtomicBool,
    answered: AtomicU64,
    lost: AtomicU64,
    wrong: AtomicU64,
    broken: AtomicU64,
}

/// Keeps `window` queries on the way from one socket, until it shall stop; `pause` after each round.
fn datagrams(to: SocketAddr, window: u16, pause: Duration, tally: &Tally) {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("it works on this machine");
    socket.connect(to).expect("it works on this machine");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("it works on this machine");
    let (mut id, mut reply) = (0_u16, [0; 1232]);
    while !tally.stop.load(Relaxed) {
        let mut missing: Vec<u16> = (0..window).map(|n| id.wrapping_add(n)).collect();
        id = id.wrapping_add(window);
        for id in &missing {
            socket.send(&query(*id)).expect("it works on this machine");
        }
        while !missing.is_empty() {
            let Ok(len) = socket.recv(&mut reply) else {
                break;
            };
            let id = u16::from_be_bytes([reply[0], reply[1]]);
            missing.retain(|other| *other != id);
            tally.answered.fetch_add(1, Relaxed);
            tally
                .wrong
                .fetch_add(u64::from(code(&reply[..len]) != 0), Relaxed);
        }
        tally.lost.fetch_add(missing.len() as u64, Relaxed);
        thread::sleep(pause);
    }
}

fn ask(stream: &mut TcpStream) -> std::io::Result<u8> {
    let message = query(7);
    let length = u16::try_from(message.len())
        .expect("it works on this machine")
        .to_be_bytes();
    stream.write_all(&[&length, &*message].concat())?;
    answer(stream)
}

fn answer(stream: &mut TcpStream) -> std::io::Result<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(code(&message))
}

fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Asks over connections: of one query each, or of as many as the server takes.
fn streams(to: SocketAddr, keeps: bool, tally: &Tally) {
    while !tally.stop.load(Relaxed) {
        let Ok(mut stream) = connect(to) else {
            tally.broken.fetch_add(1, Relaxed);
            continue;
        };
        loop {
            match ask(&mut stream) {
                Ok(code) => {
                    tally.answered.fetch_add(1, Relaxed);
                    tally.wrong.fetch_add(u64::from(code != 0), Relaxed);
                }
                Err(_) => {
                    tally.broken.fetch_add(1, Relaxed);
                    break;
                }
            }
            if !keeps || tally.stop.load(Relaxed) {
                break;
            }
            thread::sleep(Duration::from_millis(5));
            // A client that is told of the end does not ask again here.
            stream
                .set_nonblocking(true)
                .expect("it works on this machine");
            let is_over = matches!(stream.peek(&mut [0]), Ok(0));
            stream
                .set_nonblocking(false)
                .expect("it works on this machine");
            if is_over {
                break;
            }
        }
    }
}

/// Replaces a server `rounds` times under load.
#[expect(
    clippy::print_stdout,
    reason = "what was measured is for who asks for it with `--nocapture`"
)]
fn replaced_under_load(host: &str, rounds: u32, window: u16, pause: Duration) {
    let manifests =
        Manifests::new("headless web.shop http:80\nslice web.shop http:80 | 10.1.0.1 | 10.1.0.2");
    let mut server = Process::start(host, &manifests.args(), &[]);
    server.wait_ready();
    let to = server.dns;
    let tally = Arc::new(Tally::default());
    let mut clients = Vec::new();
    for n in 0..6 {
        let tally = Arc::clone(&tally);
        clients.push(thread::spawn(move || match n {
            0..=3 => datagrams(to, window, pause, &tally),
            4 => streams(to, false, &tally),
            _ => streams(to, true, &tally),
        }));
    }
    let began = Instant::now();
    for _ in 0..rounds {
        let args: Vec<String> = manifests
            .args()
            .into_iter()
            .chain(["--replace".to_owned()])
            .collect();
        let successor = Process::start(host, &args, &[]);
        // The old one ends when the new one answers, and says that all is well.
        assert_eq!(server.wait().code(), Some(0));
        server = successor;
    }
    let took = began.elapsed();
    tally.stop.store(true, Relaxed);
    clients
        .into_iter()
        .for_each(|client| client.join().expect("it works on this machine"));
    let count = |count: &AtomicU64| count.load(Relaxed);
    let answered = count(&tally.answered);
    println!(
        "{rounds} hand-overs in {:.1} s, {answered} answers ({:.0} a second): lost {}, wrong {}, broken {}",
        took.as_secs_f32(),
        answered as f32 / took.as_secs_f32(),
        count(&tally.lost),
        count(&tally.wrong),
        count(&tally.broken),
    );
    assert!(answered > u64::from(rounds) * 100);
    let bad = [&tally.lost, &tally.wrong, &tally.broken].map(count);
    assert_eq!(bad, [0, 0, 0], "lost, wrong, broken");
}

#[test]
fn no_query_is_lost_while_servers_replace_each_other() {
    replaced_under_load("127.0.71.1", 4, 16, Duration::from_millis(10));
}

#[test]
#[ignore = "minutes, and it takes all there is of two processors"]
fn no_query_is_lost_in_a_hundred_hand_overs() {
    replaced_under_load("127.0.71.2", 100, 24, Duration::from_millis(4));
}

/// A connection whose message is half sent when the other process takes over is answered by the one that has it.
#[test]
fn a_message_that_is_under_way_is_answered() {
    let manifests = Manifests::new("headless web.shop http:80\nslice web.shop http:80 | 10.1.0.1");
    let mut server = Process::start("127.0.71.3", &manifests.args(), &[]);
    server.wait_ready();
    let mut half = connect(server.dns).expect("it works on this machine");
    let mut waiting = connect(server.dns).expect("it works on this machine");
    assert_eq!(ask(&mut waiting).expect("it works on this machine"), 0);
    let message = query(9);
    let length = u16::try_from(message.len())
        .expect("it works on this machine")
        .to_be_bytes();
    half.write_all(&length).expect("it works on this machine");
    let args: Vec<String> = manifests
        .args()
        .into_iter()
        .chain(["--replace".to_owned()])
        .collect();
    let successor = Process::start("127.0.71.3", &args, &[]);
    server.wait_logged("replaced");
    half.write_all(&message).expect("it works on this machine");
    assert_eq!(answer(&mut half).expect("it works on this machine"), 0);
    assert_eq!(ask(&mut waiting).expect("it works on this machine"), 0);
    assert_eq!(server.wait().code(), Some(0));
    drop(successor);
}

/// A successor with a mistake in its configuration, one that is killed before it is ready, and then one that works.
#[test]
fn a_successor_that_fails_changes_nothing() {
    let host = "127.0.71.4";
    let manifests = Manifests::new("headless web.shop http:80\nslice web.shop http:80 | 10.1.0.1");
    let mut server = Process::start(host, &manifests.args(), &[]);
    server.wait_ready();
    let tally = Arc::new(Tally::default());
    let (of_client, to) = (Arc::clone(&tally), server.dns);
    let client = thread::spawn(move || datagrams(to, 8, Duration::from_millis(5), &of_client));

    let mistaken = ["--manifests", "/nowhere", "--replace"].map(str::to_owned);
    let mut mistaken = Process::start(host, &mistaken, &[]);
    assert_eq!(mistaken.wait().code(), Some(1));

    // It has the sockets, and an API server that never answers.
    let kubeconfig = manifests.kubeconfig("http://127.0.71.4:9");
    let waiting = [
        "--kubeconfig".to_owned(),
        kubeconfig,
        "--replace".to_owned(),
    ];
    let mut waiting = Process::start(host, &waiting, &[]);
    waiting.wait_logged("have the sockets");
    waiting.kill();
    server.wait_logged("it ended before it was ready");

    let args: Vec<String> = manifests
        .args()
        .into_iter()
        .chain(["--replace".to_owned()])
        .collect();
    let _successor = Process::start(host, &args, &[]);
    assert_eq!(server.wait().code(), Some(0));
    tally.stop.store(true, Relaxed);
    client.join().expect("it works on this machine");
    assert_eq!(
        (tally.lost.load(Relaxed), tally.wrong.load(Relaxed)),
        (0, 0)
    );
}
