//! Copies of queries and answers reach a receiver of others, and are what was sent.
//!
//! `fstrm_capture` (Debian's package `fstrm-bin`) takes the frames and `dnstap-read` (`bind9-dnsutils`) reads them, so the one
//! that needs both is ignored by plain `cargo test`:
//!
//! ```text
//! cargo test --features dnstap --test dnstap -- --ignored
//! ```

#![cfg(feature = "dnstap")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rig::Rig;

const CLUSTER: &str = "clusterip api.shop 10.96.0.10 http:80";

/// A server that copies to `socket`.
fn copying(socket: &Path) -> Rig {
    let change = |config: &mut shiftdns::config::Config| {
        config.dnstap.socket = Some(socket.to_owned());
        config.dnstap.identity = Some("dns-1".to_owned());
    };
    rig::serve_with(change, CLUSTER)
}

/// Looks until there is something.
fn eventually<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

fn copies(rig: &Rig, result: &str) -> f64 {
    let label = format!("result=\"{result}\"");
    rig.metric("shiftdns_dnstap_messages_total", &[&label])
        .unwrap()
}

/// Asks until a copy was taken: the receiver is found with the first query after it came.
fn asked_until_taken(rig: &Rig) {
    eventually("a copy is taken", || {
        rig.udp(&rig::query("api.shop.svc.Z A")).unwrap();
        (copies(rig, "written") > 0.0).then_some(())
    });
}

#[test]
fn without_a_receiver_queries_are_answered_and_copies_are_dropped_and_counted() {
    let home = tempfile::tempdir().unwrap();
    let rig = copying(&home.path().join("tap.sock"));
    for _ in 0..20 {
        rig.check(
            "api.shop.svc.Z A",
            "NOERROR aa\n api.shop.svc.Z. 30 A 10.96.0.10",
        );
    }
    // Each over UDP and TCP.
    eventually("all are dropped", || {
        (copies(&rig, "dropped") == 40.0).then_some(())
    });
    assert_eq!(copies(&rig, "written"), 0.0);
}

#[test]
fn a_receiver_that_comes_later_gets_what_comes_then() {
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("tap.sock");
    let rig = copying(&socket);
    rig.udp(&rig::query("api.shop.svc.Z A")).unwrap();
    eventually("it is dropped", || {
        (copies(&rig, "dropped") > 0.0).then_some(())
    });
    let listener = UnixListener::bind(&socket).unwrap();
    let receiver = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let ready = control(&mut stream);
        assert_eq!(&ready[..4], [0, 0, 0, 4]);
        // ACCEPT, and the same contents.
        let accept = [&1_u32.to_be_bytes(), &ready[4..]].concat();
        let length = u32::try_from(accept.len()).unwrap().to_be_bytes();
        stream
            .write_all(&[&[0; 4], &length[..], &accept].concat())
            .unwrap();
        assert_eq!(&control(&mut stream)[..4], [0, 0, 0, 2]);
        // A query and its answer; what comes later waits in the socket, which stays open.
        let frames = [data(&mut stream), data(&mut stream)];
        (stream, frames)
    });
    asked_until_taken(&rig);
    let (_open, [frame, answer]) = receiver.join().unwrap();
    assert!(answer.len() > frame.len());
    // identity = "dns-1", and the query in it as it was sent.
    assert_eq!(&frame[..7], b"\x0a\x05dns-1");
    let query = rig::query("api.shop.svc.Z A");
    assert!(frame.windows(query.len()).any(|part| part == query));
}

/// Reads a frame of data.
fn data(stream: &mut UnixStream) -> Vec<u8> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).unwrap();
    frame
}

/// Reads a control frame.
fn control(stream: &mut UnixStream) -> Vec<u8> {
    let mut head = [0; 8];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[..4], [0; 4]);
    let mut octets = vec![0; u32::from_be_bytes(head[4..].try_into().unwrap()) as usize];
    stream.read_exact(&mut octets).unwrap();
    octets
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "runs fstrm_capture and dnstap-read: Debian's packages fstrm-bin and bind9-dnsutils"]
fn a_real_receiver_reads_what_was_asked_and_answered() {
    let home = tempfile::tempdir().unwrap();
    let (socket, file) = (home.path().join("tap.sock"), home.path().join("tap.fstrm"));
    let mut receiver = Running(
        Command::new("fstrm_capture")
            .args([
                "-t",
                "protobuf:dnstap.Dnstap",
                "-u",
                socket.to_str().unwrap(),
            ])
            .args(["-w", file.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .expect("fstrm_capture, of Debian's package fstrm-bin"),
    );
    eventually("it listens", || socket.exists().then_some(()));
    let rig = copying(&socket);
    asked_until_taken(&rig);
    rig.ask("nope.shop.svc.Z AAAA");
    let asked = eventually("all are taken", || {
        let all = copies(&rig, "written") + copies(&rig, "dropped");
        (all >= 3.0).then_some(copies(&rig, "written"))
    });
    // Its end ends the stream, and the receiver's end its file.
    drop(rig);
    let id = receiver.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    receiver.0.wait().unwrap();
    let read = Command::new("dnstap-read")
        .args(["-y", file.to_str().unwrap()])
        .output();
    let read = read.expect("dnstap-read, of Debian's package bind9-dnsutils");
    let text = String::from_utf8(read.stdout).unwrap();
    let count = |what: &str| text.matches(what).count();
    let messages = count("type: MESSAGE");
    assert_eq!(
        messages,
        2 * asked as usize,
        "a query and an answer each: {text}"
    );
    for (what, least) in [
        ("identity: dns-1", messages),
        ("type: AUTH_QUERY", messages / 2),
        ("type: AUTH_RESPONSE", messages / 2),
        ("socket_protocol: TCP", 2),
        ("query_address: \"127.0.0.1\"", messages),
        ("status: NXDOMAIN", 2),
        ("api.shop.svc.cluster.local. 30 IN A 10.96.0.10", 1),
    ] {
        assert!(
            count(what) >= least,
            "{what}: {} of {least}\n{text}",
            count(what)
        );
    }
}
