//! A resolver on loopback that says what it is told to say, over UDP and TCP, and counts what it is asked.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test crate that has a resolver uses another part of it"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, SOA};
use hickory_proto::rr::{Name, RData, Record};

/// A running resolver.
pub struct Resolver {
    /// Where it answers.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// By question, `db.example. A`.
    says: Mutex<BTreeMap<String, String>>,
    asked: Mutex<BTreeMap<String, usize>>,
    stops: AtomicBool,
}

impl Resolver {
    /// One that says NXDOMAIN to everything.
    pub fn start() -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            thread::spawn(move || answer_datagrams(&udp, &one)),
            thread::spawn(move || answer_streams(&tcp, &other)),
        ];
        Self {
            address,
            shared,
            threads,
        }
    }

    /// From here on `question` (`db.example. A`) is answered with records, one a line (`db.example. 60 A 192.0.2.1`); with
    /// a code (`NXDOMAIN`, `NODATA`, `SERVFAIL`, `REFUSED`); or with `silence`. Behind `cut` it is truncated over UDP.
    pub fn say(&self, question: &str, answer: &str) {
        let mut says = self.shared.says.lock().expect("no thread panics with it");
        says.insert(question.to_owned(), answer.to_owned());
    }

    /// How often a question came.
    pub fn asked(&self, question: &str) -> usize {
        let asked = self.shared.asked.lock().expect("no thread panics with it");
        asked.get(question).copied().unwrap_or(0)
    }

    /// How many questions came.
    pub fn asked_in_all(&self) -> usize {
        let asked = self.shared.asked.lock().expect("no thread panics with it");
        asked.values().sum()
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.shared.stops.store(true, Ordering::Relaxed);
        // The one waits for a connection, the other for a datagram.
        drop(TcpStream::connect(self.address));
        let waker = UdpSocket::bind("127.0.0.1:0");
        drop(waker.map(|socket| socket.send_to(&[0], self.address)));
        for thread in self.threads.drain(..) {
            thread.join().expect("the resolver's threads end well");
        }
    }
}

/// One port for both.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = udp.local_addr().expect("an address");
        if let Ok(tcp) = TcpListener::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both");
}

fn answer_datagrams(socket: &UdpSocket, shared: &Shared) {
    let mut query = vec![0; 4096];
    while !shared.stops.load(Ordering::Relaxed) {
        let Ok((len, peer)) = socket.recv_from(&mut query) else {
            continue;
        };
        if let Some(answer) = shared.answer(&query[..len], true) {
            drop(socket.send_to(&answer, peer));
        }
    }
}

fn answer_streams(listener: &TcpListener, shared: &Shared) {
    while !shared.stops.load(Ordering::Relaxed) {
        let Ok((mut stream, _)) = listener.accept() else {
            continue;
        };
        // A client may keep its connection open; others are to be answered too.
        let patience = Duration::from_millis(200);
        stream.set_read_timeout(Some(patience)).expect("a timeout");
        let mut len = [0; 2];
        while stream.read_exact(&mut len).is_ok() {
            let mut query = vec![0; usize::from(u16::from_be_bytes(len))];
            if stream.read_exact(&mut query).is_err() {
                break;
            }
            let Some(answer) = shared.answer(&query, false) else {
                break;
            };
            let len = u16::try_from(answer.len()).expect("a message");
            drop(stream.write_all(&[&len.to_be_bytes()[..], &answer].concat()));
        }
    }
}

impl Shared {
    fn answer(&self, query: &[u8], over_udp: bool) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let asked = query.queries.first()?.clone();
        let name = asked.name().to_string().to_lowercase();
        let question = format!("{name} {}", asked.query_type());
        let transport = if over_udp { "" } else { " tcp" };
        let mut counts = self.asked.lock().expect("no thread panics with it");
        *counts.entry(format!("{question}{transport}")).or_default() += 1;
        drop(counts);
        let says = self.says.lock().expect("no thread panics with it");
        let says = says
            .get(&question)
            .cloned()
            .unwrap_or("NXDOMAIN".to_owned());

        let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        answer.add_query(asked.clone());
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        let soa = || {
            let (server, mailbox) = (name_of("ns.example."), name_of("mail.example."));
            let data = SOA::new(server, mailbox, 1, 60, 60, 60, 1);
            Record::from_rdata(name_of("example."), 1, RData::SOA(data))
        };
        let says = match says.strip_prefix("cut ") {
            Some(rest) if !over_udp => rest,
            Some(_) => {
                answer.metadata.truncation = true;
                return Some(answer.to_vec().expect("encodes"));
            }
            None => &says,
        };
        match says {
            "silence" => return None,
            "NODATA" => {
                answer.add_authority(soa());
            }
            "NXDOMAIN" => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                answer.add_authority(soa());
            }
            "SERVFAIL" => answer.metadata.response_code = ResponseCode::ServFail,
            "REFUSED" => answer.metadata.response_code = ResponseCode::Refused,
            lines => {
                answer.add_answers(lines.lines().map(record));
            }
        }
        Some(answer.to_vec().expect("encodes"))
    }
}

fn name_of(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn record(line: &str) -> Record {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [owner, ttl, of, data] = words[..] else {
        panic!("`{line}` is no record");
    };
    let data = match of {
        "A" => RData::A(A::from_str(data).expect("an address")),
        "AAAA" => RData::AAAA(AAAA::from_str(data).expect("an address")),
        "CNAME" => RData::CNAME(CNAME(name_of(data))),
        of => panic!("`{of}` is not said here"),
    };
    Record::from_rdata(name_of(owner), ttl.parse().expect("a TTL"), data)
}
