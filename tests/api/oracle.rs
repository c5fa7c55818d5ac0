//! A client that asks steadily and judges every answer by what the API held at that moment.
//!
//! What may be answered is computed from [`Api::history`] alone, by a few lines that share nothing with the server: a
//! ClusterIP service has its addresses, a headless one those of its ready endpoints, and what has none does not exist.
//! An answer is right if it was so at some moment between the freshness bound before the question and the answer; the
//! kinds are read by watches of their own, so each may be anywhere in that time.
//!
//! It asks for A records, `NAME.svc.cluster.local`, the case of the letters changing from question to question.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, RecordType};
use serde_json::Value;
use shiftdns::objects::Kind;

use super::{Api, Entry, Key};

/// Between two questions: short against anything that a client would notice, and a core is left for everybody else.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two looks at the socket; a time-out of the socket itself would be a whole tick of the system's.
const LOOK: Duration = Duration::from_micros(250);
/// What takes longer has been lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// What takes longer is late.
const LATE: Duration = Duration::from_millis(50);

/// What a name has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    Addresses(BTreeSet<Ipv4Addr>),
    Nothing,
    /// No name, or a failure.
    Code(String),
}

struct Answer {
    name: usize,
    sent: Instant,
    received: Instant,
    told: Told,
    error: Option<u16>,
}

/// A time in which the server could not know what happened.
#[derive(Clone, Copy, Debug)]
pub struct Blind {
    pub from: Instant,
    pub to: Instant,
}

/// A client that is asking.
pub struct Oracle {
    names: Vec<String>,
    started: Instant,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<(usize, Vec<Answer>)>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    pub sent: usize,
    pub answered: usize,
    pub late: usize,
    /// Each with its time and what would have been right.
    pub wrong: Vec<String>,
    pub servfail: usize,
    pub nxdomain: usize,
    /// With extended error 3, "Stale Answer".
    pub stale: usize,
    /// When the first of those came.
    pub first_stale: Option<Instant>,
    pub lost: usize,
    /// Between two answers that were right.
    pub max_gap: Duration,
    pub max_latency: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} answered, {} late, {} wrong, {} SERVFAIL, {} lost, {} stale, gap {:?}, slowest {:?}",
            self.sent,
            self.answered,
            self.late,
            self.wrong.len(),
            self.servfail,
            self.lost,
            self.stale,
            self.max_gap,
            self.max_latency
        )
    }
}

impl Report {
    /// Nothing wrong, nothing failed, nothing lost, and there was something to judge.
    #[track_caller]
    pub fn assert_flawless(&self, row: &str) {
        figure(&format!("{row}: {self}"));
        assert!(self.answered > 20, "{row}: {self}");
        let wrong = self.wrong.first();
        assert_eq!(
            (self.servfail, self.lost, wrong),
            (0, 0, None),
            "{row}: {self}"
        );
    }
}

/// Prints what was measured.
#[allow(
    clippy::print_stdout,
    reason = "figures are for whoever reads the test's output"
)]
pub fn figure(text: &str) {
    println!("{text}");
}

impl Oracle {
    /// Asks `server` for `names` (`web.shop`) in turn until it is stopped. The server knows what the API holds.
    pub fn start(server: SocketAddr, names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(AtomicUsize::new(0));
        let asked = names.clone();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || ask(server, &asked, &stopped, &counted));
        Self {
            names,
            started: Instant::now(),
            stop,
            answered,
            thread,
        }
    }

    /// Answers so far: tests wait for some more of them rather than for time to pass.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }

    /// Waits for so many answers more.
    pub fn more(&self, count: usize) {
        let from = self.answered();
        super::until("answers", || self.answered() >= from + count);
    }

    /// Stops and judges.
    pub fn judge(self, api: &Api, bound: Duration) -> Report {
        self.judge_with(api, bound, &[])
    }

    /// The same; what changed while the server was blind, it may have learnt `bound` after the end of that time.
    pub fn judge_with(self, api: &Api, bound: Duration, blind: &[Blind]) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, mut answers) = self.thread.join().expect("the oracle did not panic");
        let history = api.history();
        let times: Vec<Times> = self.names.iter().map(|n| Times::of(n, &history)).collect();
        let mut report = Report {
            sent,
            answered: answers.len(),
            lost: sent - answers.len(),
            ..Report::default()
        };
        answers.sort_by_key(|answer| answer.received);
        let mut last_right: Option<Instant> = None;
        for answer in &answers {
            let took = answer.received - answer.sent;
            report.max_latency = report.max_latency.max(took);
            report.late += usize::from(took > LATE);
            if answer.error == Some(3) {
                report.stale += 1;
                report.first_stale.get_or_insert(answer.received);
            }
            report.nxdomain += usize::from(answer.told == Told::Nothing);
            let mut from = answer.sent - bound;
            for time in blind {
                if answer.sent >= time.from && from <= time.to {
                    from = from.min(time.from - bound);
                }
            }
            // What happened before it began to ask is known: otherwise all that is new could be missing.
            let from = from.max(self.started);
            let legal = times[answer.name].legal(from, answer.received);
            if answer.told == Told::Code("ServFail".to_owned()) {
                report.servfail += 1;
            } else if !legal.contains(&answer.told) {
                report.wrong.push(format!(
                    "{} had {:?}, and not {legal:?}, {took:?} after {:?}",
                    self.names[answer.name], answer.told, answer.sent
                ));
            } else {
                let gap = last_right.map_or(Duration::ZERO, |last| answer.received - last);
                report.max_gap = report.max_gap.max(gap);
                last_right = Some(answer.received);
            }
        }
        report
    }
}

fn ask(
    server: SocketAddr,
    names: &[String],
    stop: &AtomicBool,
    answered: &AtomicUsize,
) -> (usize, Vec<Answer>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("a route to loopback");
    socket
        .set_nonblocking(true)
        .expect("a socket that does not wait");
    let mut open: BTreeMap<u16, (usize, Instant, Name)> = BTreeMap::new();
    let mut answers = Vec::new();
    let (mut sent, mut next_send) = (0, Instant::now());
    let mut datagram = [0; 4096];
    loop {
        let now = Instant::now();
        let stopping = stop.load(Ordering::Relaxed);
        open.retain(|_, (_, at, _)| now - *at < PATIENCE);
        if stopping && open.is_empty() {
            return (sent, answers);
        }
        if !stopping && now >= next_send {
            next_send = now + PAUSE;
            let id = u16::try_from(sent % 0x1_0000).expect("of two octets");
            let name = sent % names.len();
            let asked = cased(&format!("{}.svc.cluster.local.", names[name]), sent);
            let query = question(id, &asked);
            if socket.send(&query).is_ok() {
                sent += 1;
                open.insert(id, (name, Instant::now(), asked));
            }
        }
        let Ok(len) = socket.recv(&mut datagram) else {
            std::thread::sleep(LOOK);
            continue;
        };
        let received = Instant::now();
        let message = Message::from_vec(&datagram[..len]).expect("hickory-proto decodes it");
        let Some((name, sent, asked)) = open.remove(&message.metadata.id) else {
            continue;
        };
        let back = message.queries.first().map(|q| q.name().to_ascii());
        assert_eq!(
            back,
            Some(asked.to_ascii()),
            "the question comes back as it was"
        );
        answers.push(Answer {
            name,
            sent,
            received,
            told: told(&message),
            error: extended_error(&message),
        });
        answered.fetch_add(1, Ordering::Relaxed);
    }
}

fn question(id: u16, name: &Name) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message.to_vec().expect("encodes")
}

/// The letters in a case that depends on `n`.
fn cased(name: &str, n: usize) -> Name {
    let letters = name.chars().enumerate().map(|(i, c)| {
        if (n >> (i % 13)) & 1 == 1 {
            c.to_ascii_uppercase()
        } else {
            c
        }
    });
    Name::from_ascii(letters.collect::<String>()).expect("a name")
}

fn told(message: &Message) -> Told {
    match message.metadata.response_code {
        ResponseCode::NoError if !message.answers.is_empty() => {
            let addresses = message.answers.iter().filter_map(|r| match &r.data {
                RData::A(address) => Some(address.0),
                _ => None,
            });
            Told::Addresses(addresses.collect())
        }
        ResponseCode::NXDomain => Told::Nothing,
        code => Told::Code(format!("{code:?}")),
    }
}

/// The extended error of an answer (RFC 8914).
pub fn extended_error(message: &Message) -> Option<u16> {
    let edns = message.edns.as_ref()?;
    let EdnsOption::Unknown(_, octets) = edns.option(EdnsCode::Unknown(15))? else {
        return None;
    };
    Some(u16::from_be_bytes([*octets.first()?, *octets.get(1)?]))
}

/// What there was of a service, and when.
struct Times {
    services: Vec<(Instant, Option<Arc<Value>>)>,
    slices: Vec<(Instant, BTreeMap<Key, Arc<Value>>)>,
}

impl Times {
    fn of(name: &str, history: &[Entry]) -> Self {
        let (name, namespace) = name.split_once('.').expect("name.namespace");
        let mut services = Vec::new();
        let mut slices = vec![];
        let mut known: BTreeMap<Key, Arc<Value>> = BTreeMap::new();
        for entry in history.iter().filter(|e| e.key.namespace == namespace) {
            match entry.key.kind {
                Kind::Service if entry.key.name == name => {
                    services.push((entry.at, entry.object.clone()));
                }
                Kind::EndpointSlice => {
                    let labels = |o: &&Arc<Value>| {
                        o["metadata"]["labels"]["kubernetes.io/service-name"] == name
                    };
                    match entry.object.as_ref().filter(labels) {
                        Some(slice) => drop(known.insert(entry.key.clone(), Arc::clone(slice))),
                        None => drop(known.remove(&entry.key)),
                    }
                    slices.push((entry.at, known.clone()));
                }
                _ => {}
            }
        }
        Self { services, slices }
    }

    /// Everything that was right at some moment of that time.
    fn legal(&self, from: Instant, to: Instant) -> BTreeSet<Told> {
        let mut legal = BTreeSet::new();
        for service in within(&self.services, from, to, &None) {
            for slices in within(&self.slices, from, to, &BTreeMap::new()) {
                legal.insert(right(service.as_deref(), &slices));
            }
        }
        legal
    }
}

fn within<T: Clone>(times: &[(Instant, T)], from: Instant, to: Instant, before: &T) -> Vec<T> {
    let first = times.iter().rev().find(|(at, _)| *at <= from);
    let first = first.map_or(before, |(_, value)| value).clone();
    let during = times.iter().filter(|(at, _)| *at > from && *at <= to);
    std::iter::once(first)
        .chain(during.map(|(_, value)| value.clone()))
        .collect()
}

/// What a service is answered with.
fn right(service: Option<&Value>, slices: &BTreeMap<Key, Arc<Value>>) -> Told {
    let Some(service) = service else {
        return Told::Nothing;
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let addresses: BTreeSet<Ipv4Addr> = match service["spec"]["clusterIP"].as_str() {
        Some("None") => {
            let endpoints = slices.values().flat_map(|slice| list(&slice["endpoints"]));
            let ready = endpoints.filter(|e| e["conditions"]["ready"] != false);
            let addresses = ready.flat_map(|e| list(&e["addresses"]));
            addresses
                .filter_map(|a| a.as_str().and_then(|a| a.parse().ok()))
                .collect()
        }
        Some(address) => address.parse().into_iter().collect(),
        None => BTreeSet::new(),
    };
    if addresses.is_empty() {
        Told::Nothing
    } else {
        Told::Addresses(addresses)
    }
}
