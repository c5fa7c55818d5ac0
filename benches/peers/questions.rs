//! Questions: what is asked, as the octets of queries, and what must be answered.
//!
//! Given the cluster's [`Shape`] and a seed, [`Questions::of`] makes a long list in random order, the same each time; a load walks
//! through it round and round. Every answer's header is checked against its question ([`Question::is_answered_by`]), and of some
//! all that they say ([`Question::fault_in`]). It neither sends nor receives.

use std::fmt;
use std::net::Ipv4Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, RecordType};

use crate::chance::Chance;
use crate::shape::{ENDPOINTS, PORT, Service, Shape, Sort, ZONE, namespace};

/// How many questions a list has: enough that a server's caches have to hold the whole zone.
const COUNT: usize = 1 << 16;
const FLAGS_QR: u8 = 0x80;
const FLAGS_TC: u8 = 0x02;
const NXDOMAIN: u8 = 3;

/// A kind of question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// A of a cluster IP.
    ClusterIp,
    /// A of a headless service with ten endpoints.
    Headless,
    /// A of a service with two versions of ten endpoints in all: ours only.
    Weighted,
    /// SRV with one target.
    SrvOne,
    /// SRV with ten targets and their addresses.
    SrvTen,
    /// A of a name that does not exist.
    Nxdomain,
    /// AAAA of a cluster IP, where there are only IPv4 ones.
    Nodata,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] = [
        Self::ClusterIp,
        Self::Headless,
        Self::Weighted,
        Self::SrvOne,
        Self::SrvTen,
        Self::Nxdomain,
        Self::Nodata,
    ];

    pub(crate) fn told(self) -> &'static str {
        match self {
            Self::ClusterIp => "A of a cluster IP",
            Self::Headless => "A of ten",
            Self::Weighted => "weighted A of ten",
            Self::SrvOne => "SRV of one",
            Self::SrvTen => "SRV of ten, glue",
            Self::Nxdomain => "missing name",
            Self::Nodata => "NODATA",
        }
    }
}

/// Which questions a load asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// 70 % A of a cluster IP, 10 % A of a headless service, 10 % SRV of any service, 10 % names that do not exist.
    Mix,
    /// The same, and who answers is asked too (RFC 5001).
    MixWithNsid,
    One(Kind),
    /// The mix while endpoints come and go: in place of headless services the one that is watched ([`Question::is_probe`]), SRV of
    /// cluster IPs only.
    Moving,
}

/// A question.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) rtype: RecordType,
    /// Of the first headless service, whose endpoints come and go while it is asked.
    pub(crate) is_probe: bool,
    /// Addresses, or targets of SRV records, in the answer.
    expected: Expected,
    start: usize,
    end: usize,
}

#[derive(Clone, Debug)]
enum Expected {
    Addresses(Vec<Ipv4Addr>),
    /// Some of these.
    Among(Vec<Ipv4Addr>),
    Targets(Vec<(String, Ipv4Addr)>),
    Nothing,
}

/// Questions in the order in which they are asked.
pub(crate) struct Questions {
    list: Vec<Question>,
    octets: Vec<u8>,
}

impl Questions {
    pub(crate) fn of(asked: Asked, shape: Shape, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut questions = Self {
            list: Vec::with_capacity(COUNT),
            octets: Vec::new(),
        };
        for _ in 0..COUNT {
            let kind = match asked {
                Asked::One(kind) => kind,
                Asked::Mix | Asked::MixWithNsid | Asked::Moving => match chance.below(10) {
                    0..7 => Kind::ClusterIp,
                    7 => Kind::Headless,
                    // Of any service: one in eleven is headless.
                    8 if asked == Asked::Moving => Kind::SrvOne,
                    8 if chance.below(shape.cluster_ips + shape.headless) < shape.headless => {
                        Kind::SrvTen
                    }
                    8 => Kind::SrvOne,
                    _ => Kind::Nxdomain,
                },
            };
            questions.add(kind, shape, &mut chance, asked);
        }
        questions
    }

    fn add(&mut self, kind: Kind, shape: Shape, chance: &mut Chance, asked: Asked) {
        let is_probe = asked == Asked::Moving && kind == Kind::Headless;
        let mut pick = |sort, count| shape.service(sort, chance.below(count));
        let service = match kind {
            Kind::Headless if is_probe => shape.service(Sort::Headless, 0),
            Kind::Headless | Kind::SrvTen => pick(Sort::Headless, shape.headless),
            Kind::Weighted => pick(Sort::Weighted, shape.weighted),
            _ => pick(Sort::ClusterIp, shape.cluster_ips),
        };
        let (name, rtype, expected) = match kind {
            Kind::ClusterIp | Kind::Headless | Kind::Weighted => {
                let addresses = service.addresses();
                let expected = match is_probe || kind == Kind::Weighted {
                    true => Expected::Among(addresses),
                    false => Expected::Addresses(addresses),
                };
                (service.dns_name(), RecordType::A, expected)
            }
            Kind::SrvOne | Kind::SrvTen => (
                service.srv_name(),
                RecordType::SRV,
                Expected::Targets(targets(service)),
            ),
            Kind::Nxdomain => {
                let namespace = namespace(chance.below(shape.namespaces));
                let name = format!(
                    "missing-{:05}.{namespace}.svc.{ZONE}",
                    chance.below(100_000)
                );
                (name, RecordType::A, Expected::Nothing)
            }
            Kind::Nodata => (service.dns_name(), RecordType::AAAA, Expected::Nothing),
        };
        let start = self.octets.len();
        write_query(
            &mut self.octets,
            &name,
            rtype.into(),
            asked == Asked::MixWithNsid,
        );
        self.list.push(Question {
            kind,
            name,
            rtype,
            is_probe,
            expected,
            start,
            end: self.octets.len(),
        });
    }

    /// Question `number`, counted round and round.
    pub(crate) fn get(&self, number: usize) -> &Question {
        &self.list[number % self.list.len()]
    }

    /// The octets of its query, with ID 0.
    pub(crate) fn query(&self, number: usize) -> &[u8] {
        let question = self.get(number);
        &self.octets[question.start..question.end]
    }
}

/// Each target of a service's SRV records and its address.
fn targets(service: Service) -> Vec<(String, Ipv4Addr)> {
    service
        .targets()
        .into_iter()
        .zip(service.addresses())
        .collect()
}

impl Question {
    /// Whether the header is that of the right answer: its code, the count of its answers, not cut.
    pub(crate) fn is_answered_by(&self, answer: &[u8]) -> bool {
        let [_, _, flags, code, _, _, count_high, count_low, ..] = *answer else {
            return false;
        };
        let count = usize::from(u16::from_be_bytes([count_high, count_low]));
        let (wanted_code, count_is_right) = match &self.expected {
            Expected::Addresses(addresses) => (0, count == addresses.len()),
            Expected::Among(addresses) => (0, (1..=addresses.len()).contains(&count)),
            Expected::Targets(targets) => (0, count == targets.len()),
            Expected::Nothing if self.kind == Kind::Nxdomain => (NXDOMAIN, count == 0),
            Expected::Nothing => (0, count == 0),
        };
        flags & (FLAGS_QR | FLAGS_TC) == FLAGS_QR && code & 0x0F == wanted_code && count_is_right
    }

    /// What is wrong with an answer, everything looked at: its question, records and glue. `None`: nothing.
    pub(crate) fn fault_in(&self, answer: &[u8]) -> Option<String> {
        let told = match Told::read(answer) {
            Ok(told) => told,
            Err(error) => return Some(format!("cannot be read: {error}")),
        };
        let mut right = Told {
            question: format!("{} {}", self.name, self.rtype),
            code: ResponseCode::NoError,
            answers: Vec::new(),
            glue: Vec::new(),
            has_soa: false,
        };
        match &self.expected {
            Expected::Addresses(addresses) => {
                right.answers = sorted(addresses.iter().map(|a| format!("{} A {a}", self.name)));
            }
            Expected::Among(addresses) => {
                let all = sorted(addresses.iter().map(|a| format!("{} A {a}", self.name)));
                let (some, distinct) =
                    (&told.answers, told.answers.windows(2).all(|w| w[0] != w[1]));
                if !some.is_empty() && distinct && some.iter().all(|a| all.contains(a)) {
                    right.answers.clone_from(some);
                } else {
                    right.answers = all;
                }
            }
            Expected::Targets(targets) => {
                let srv = |(target, _): &(String, Ipv4Addr)| {
                    format!("{} SRV 0 {PORT} {target}", self.name)
                };
                right.answers = sorted(targets.iter().map(srv));
                right.glue = sorted(targets.iter().map(|(target, a)| format!("{target} A {a}")));
            }
            Expected::Nothing => {
                right.has_soa = true;
                if self.kind == Kind::Nxdomain {
                    right.code = ResponseCode::NXDomain;
                }
            }
        }
        (told != right).then(|| format!("said {told}, should say {right}"))
    }
}

/// What an answer says, without what servers may differ in.
///
/// Not compared: TTLs (CoreDNS has one for all), the order of records, the weight of SRV records (CoreDNS has the hundredth part, by
/// count), the SOA's numbers, name servers and their addresses beside a positive answer (NSD has them), the OPT record.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    question: String,
    code: ResponseCode,
    answers: Vec<String>,
    glue: Vec<String>,
    has_soa: bool,
}

impl Told {
    fn read(answer: &[u8]) -> Result<Self, String> {
        let message = Message::from_vec(answer).map_err(|error| error.to_string())?;
        let question = message.queries.first().ok_or("no question")?;
        let name = |name: &hickory_proto::rr::Name| {
            name.to_ascii().trim_end_matches('.').to_ascii_lowercase()
        };
        let line = |record: &hickory_proto::rr::Record| {
            let owner = name(&record.name);
            match &record.data {
                RData::A(address) => format!("{owner} A {}", address.0),
                RData::SRV(srv) => format!(
                    "{owner} SRV {} {} {}",
                    srv.priority,
                    srv.port,
                    name(&srv.target)
                ),
                other => format!("{owner} {other}"),
            }
        };
        let is_soa = |record: &hickory_proto::rr::Record| record.record_type() == RecordType::SOA;
        let is_glue = |record: &&hickory_proto::rr::Record| {
            let is_address = record.record_type() == RecordType::A;
            is_address && !record.name.to_ascii().starts_with("ns.dns.")
        };
        Ok(Self {
            question: format!("{} {}", name(question.name()), question.query_type()),
            code: message.metadata.response_code,
            answers: sorted(message.answers.iter().map(line)),
            glue: sorted(message.additionals.iter().filter(is_glue).map(line)),
            has_soa: message.authorities.iter().any(is_soa),
        })
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            question,
            code,
            answers,
            glue,
            has_soa,
        } = self;
        write!(
            f,
            "{question}: {code}, {answers:?}, glue {glue:?}, SOA {has_soa}"
        )
    }
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    lines
}

/// A query with EDNS (1232 octets), as a resolver's forwarder sends it.
fn write_query(octets: &mut Vec<u8>, name: &str, rtype: u16, with_nsid: bool) {
    octets.extend_from_slice(&[0, 0, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.') {
        octets.push(u8::try_from(label.len()).expect("a label"));
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets.extend_from_slice(&rtype.to_be_bytes());
    octets.extend_from_slice(&[0, 1]);
    // OPT: root, type 41, 1232 octets, no flags; its options are none, or NSID without a value.
    octets.extend_from_slice(&[0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0]);
    let options: &[u8] = if with_nsid {
        &[0, 4, 0, 3, 0, 0]
    } else {
        &[0, 0]
    };
    octets.extend_from_slice(options);
}

const _: () = assert!(ENDPOINTS == 10, "the kinds' names say ten");
