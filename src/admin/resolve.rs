//! `/api/v1/resolve`: one query through the path that clients' queries take, and its answer for people and scripts.
//!
//! The query is written as a client's stub resolver would (RD, EDNS), handed to [`respond`] as if it came over TCP, so that
//! nothing is cut off, and the answer is read back by a decoder that shares no code with the encoder. Chance and counts are
//! a worker's of its own: asking here moves no client's rotation and is in no metric.

use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use schemars::JsonSchema;
use serde::Serialize;

use super::params::{BadParam, Given};
use crate::answer::{Transport, Verdict, View, Worker, respond};
use crate::wire::{self, Rcode, class, rtype};

/// What is read.
pub(super) const PARAMS: [&str; 3] = ["name", "type", "client"];

/// What to ask.
#[derive(Debug)]
pub(super) struct Question {
    name: wire::Name,
    rtype: u16,
    client: IpAddr,
    flags: Flags,
}

/// What a query says beside its question.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flags {
    /// CD
    pub(super) checking_disabled: bool,
    /// DO
    pub(super) dnssec: bool,
}

/// Why there is nothing to ask.
#[derive(Debug, thiserror::Error)]
pub(super) enum BadQuestion {
    #[error(transparent)]
    Param(#[from] BadParam),
    #[error("`name` is missing; give one, as in `?name=web.shop.svc.cluster.local&type=A`")]
    NoName,
    #[error("`{name}` is not a name: {source}")]
    Name {
        name: String,
        source: wire::NameError,
    },
    #[error("`{0}` is not a record type; give a mnemonic such as `SRV`, or `TYPE33`")]
    Type(String),
    #[error("client `{0}` is not an IP address")]
    Client(String),
}

/// No answer could be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("the query was dropped: it is not one that a client would be answered")]
    Silence,
    #[error("the answer could not be read back: {0}")]
    Unreadable(String),
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resolved {
    status: String,
    flags: Vec<&'static str>,
    /// Extended errors (RFC 8914).
    ede: Vec<Extended>,
    question: Asked,
    answers: Vec<Row>,
    authority: Vec<Row>,
    additional: Vec<Row>,
    /// All of it as `dig` prints it.
    text: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Asked {
    name: String,
    r#type: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    pub(super) name: String,
    r#type: String,
    pub(super) ttl: u32,
    pub(super) data: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extended {
    code: u16,
    text: &'static str,
}

/// Asks, one question at a time.
pub(super) struct Resolver {
    /// Behind a lock because a worker's draws are its own; held for one look-up, never across an await.
    worker: Mutex<Worker>,
}

impl Resolver {
    pub(super) fn new(worker: Worker) -> Self {
        Self {
            worker: Mutex::new(worker),
        }
    }

    pub(super) fn resolve(
        &self,
        question: &Question,
        view: &View,
        now_secs: u64,
    ) -> Result<Message, NoAnswer> {
        let query = question.message();
        let mut answer = Vec::new();
        let verdict = {
            // A panic elsewhere leaves draws and counts, which mean something at any point.
            let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
            respond(
                &query,
                question.client,
                Transport::Tcp,
                view,
                &mut worker,
                now_secs,
                &mut answer,
            )
        };
        match verdict {
            Verdict::Silence => Err(NoAnswer::Silence),
            Verdict::Reply => {
                Message::from_vec(&answer).map_err(|error| NoAnswer::Unreadable(error.to_string()))
            }
        }
    }
}

impl Question {
    /// Type A and a client on this host, unless the request says otherwise.
    pub(super) fn read(given: &Given) -> Result<Self, BadQuestion> {
        let rtype = read_type(given.one("type")?.unwrap_or("A"))?;
        let client = match given.one("client")? {
            None => Ipv4Addr::LOCALHOST.into(),
            Some(text) => text
                .parse()
                .map_err(|_| BadQuestion::Client(text.to_owned()))?,
        };
        Self::of(given.one("name")?.unwrap_or_default(), rtype, client)
    }

    pub(super) fn of(name: &str, rtype: u16, client: IpAddr) -> Result<Self, BadQuestion> {
        if name.is_empty() {
            return Err(BadQuestion::NoName);
        }
        let bad = |source| BadQuestion::Name {
            name: name.to_owned(),
            source,
        };
        Ok(Self {
            name: wire::Name::parse(name).map_err(bad)?,
            rtype,
            client,
            flags: Flags::default(),
        })
    }

    pub(super) fn with(self, flags: Flags) -> Self {
        Self { flags, ..self }
    }

    pub(super) fn name(&self) -> &wire::Name {
        &self.name
    }

    pub(super) fn rtype(&self) -> u16 {
        self.rtype
    }

    /// Header (RD, one question, one additional record), question, OPT.
    fn message(&self) -> Vec<u8> {
        const ID: u16 = 0;
        const RD: u16 = 0x0100;
        const CD: u16 = 0x0010;
        const DO: u16 = 0x8000;
        const UDP_SIZE: u16 = 1232;
        let mut message = Vec::with_capacity(12 + 255 + 4 + 11);
        let only = |is_set: bool, bit: u16| if is_set { bit } else { 0 };
        let bits = RD | only(self.flags.checking_disabled, CD);
        let dnssec = only(self.flags.dnssec, DO);
        for number in [ID, bits, 1, 0, 0, 1] {
            message.extend(number.to_be_bytes());
        }
        message.extend(self.name.as_wire());
        for number in [self.rtype, class::IN] {
            message.extend(number.to_be_bytes());
        }
        message.extend(wire::Name::root().as_wire());
        for number in [rtype::OPT, UDP_SIZE, 0, dnssec, 0] {
            message.extend(number.to_be_bytes());
        }
        message
    }
}

/// A mnemonic in any case, or `TYPE` and a number (RFC 3597, section 5).
pub(super) fn read_type(text: &str) -> Result<u16, BadQuestion> {
    let upper = text.to_ascii_uppercase();
    let number = upper.strip_prefix("TYPE");
    let number = number.filter(|digits| digits.bytes().all(|octet| octet.is_ascii_digit()));
    let known = match number {
        Some(digits) => digits.parse().ok(),
        None => RecordType::from_str(&upper).ok().map(u16::from),
    };
    known.ok_or_else(|| BadQuestion::Type(text.to_owned()))
}

impl Resolved {
    pub(super) fn read(question: &Question, message: &Message) -> Self {
        let rows = |records: &[Record]| records.iter().map(Row::read).collect();
        let mut resolved = Self {
            status: status(u16::from(message.metadata.response_code)),
            flags: flags(message),
            ede: extended(message),
            question: Asked {
                name: question.name.to_string(),
                r#type: type_text(question.rtype.into()),
            },
            answers: rows(&message.answers),
            authority: rows(&message.authorities),
            additional: rows(&message.additionals),
            text: String::new(),
        };
        resolved.text = resolved.told(message.edns.is_some());
        resolved
    }

    fn told(&self, edns: bool) -> String {
        let sections = [
            ("ANSWER", &self.answers),
            ("AUTHORITY", &self.authority),
            ("ADDITIONAL", &self.additional),
        ];
        let mut text = format!(
            ";; opcode: QUERY, status: {}\n;; flags: {}; QUERY: 1, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}\n",
            self.status,
            self.flags.join(" "),
            self.answers.len(),
            self.authority.len(),
            self.additional.len() + usize::from(edns),
        );
        // Writing into a String does not fail.
        for extended in &self.ede {
            let _ = writeln!(text, ";; {extended}");
        }
        let Asked { name, r#type } = &self.question;
        let _ = write!(text, "\n;; QUESTION SECTION:\n;{name}\tIN\t{type}\n");
        for (title, rows) in sections {
            if !rows.is_empty() {
                let _ = write!(text, "\n;; {title} SECTION:\n");
            }
            for row in rows {
                let Row {
                    name,
                    r#type,
                    ttl,
                    data,
                } = row;
                let _ = writeln!(text, "{name}\t{ttl}\tIN\t{type}\t{data}");
            }
        }
        text
    }
}

impl fmt::Display for Extended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EDE: {} ({})", self.code, self.text)
    }
}

fn status(code: u16) -> String {
    let known = Rcode::ALL.into_iter().find(|known| *known as u16 == code);
    known.map_or_else(|| format!("RCODE{code}"), |known| known.as_str().to_owned())
}

fn flags(message: &Message) -> Vec<&'static str> {
    let header = &message.metadata;
    let all = [
        ("qr", header.message_type == MessageType::Response),
        ("aa", header.authoritative),
        ("tc", header.truncation),
        ("rd", header.recursion_desired),
        ("ra", header.recursion_available),
    ];
    let set = all.into_iter().filter(|(_, set)| *set);
    set.map(|(flag, _)| flag).collect()
}

pub(super) fn extended(message: &Message) -> Vec<Extended> {
    /// INFO-CODE is the first two octets of the option (RFC 8914, section 2).
    const EDE: u16 = 15;
    let options = message.edns.iter();
    let options = options.flat_map(|edns| edns.options().get_all(EdnsCode::Unknown(EDE)));
    let code = |option: &EdnsOption| match option {
        EdnsOption::Unknown(EDE, octets) => octets.first_chunk().copied().map(u16::from_be_bytes),
        _ => None,
    };
    let told = |code: u16| Extended {
        code,
        text: match code {
            3 => "Stale Answer",
            14 => "Not Ready",
            20 => "Not Authoritative",
            _ => "",
        },
    };
    options.filter_map(code).map(told).collect()
}

fn type_text(rtype: RecordType) -> String {
    match rtype {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

/// In our own presentation format, which escapes whatever is not a printable octet.
fn name_text(name: &Name) -> String {
    wire::Name::root()
        .below(name.iter())
        .map_or_else(|_| name.to_ascii(), |name| name.to_string())
}

impl Row {
    pub(super) fn read(record: &Record) -> Self {
        Self {
            name: name_text(&record.name),
            r#type: type_text(record.record_type()),
            ttl: record.ttl,
            data: data_text(&record.data),
        }
    }
}

fn data_text(data: &RData) -> String {
    match data {
        RData::CNAME(target) => name_text(&target.0),
        RData::NS(target) => name_text(&target.0),
        RData::PTR(target) => name_text(&target.0),
        RData::SRV(srv) => {
            let target = name_text(&srv.target);
            format!("{} {} {} {target}", srv.priority, srv.weight, srv.port)
        }
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            name_text(&soa.mname),
            name_text(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum,
        ),
        RData::TXT(txt) => {
            let strings: Vec<String> = txt.txt_data.iter().map(|text| quoted(text)).collect();
            strings.join(" ")
        }
        other => other.to_string(),
    }
}

/// A character string in quotes (RFC 1035, section 5.1).
fn quoted(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in octets {
        let _ = match octet {
            b'"' | b'\\' => write!(text, "\\{}", char::from(*octet)),
            b' '..=b'~' => write!(text, "{}", char::from(*octet)),
            _ => write!(text, "\\{octet:03}"),
        };
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_mnemonics_in_any_case_or_numbers() {
        for (text, expected) in [
            ("A", Some(1)),
            ("aaaa", Some(28)),
            ("Srv", Some(33)),
            ("any", Some(255)),
            ("TYPE33", Some(33)),
            ("type65535", Some(65_535)),
            ("TYPE65536", None),
            ("TYPE", None),
            ("TYPE+1", None),
            ("FOO", None),
            ("", None),
        ] {
            assert_eq!(read_type(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn strings_are_quoted_and_escaped() {
        assert_eq!(quoted(b"v1 75%"), r#""v1 75%""#);
        assert_eq!(quoted(b"a\"b\\c\n\xff"), r#""a\"b\\c\010\255""#);
    }
}
