//! Messages made byte by byte, and read byte by byte: the half of a conversation that shares no code with the server,
//! and can say what no library would.
//!
//! A [`Packet`] is whatever a client may send, sound or not. A [`Reply`] is what came back, walked record by record to its
//! last octet and decoded by hickory-proto besides; [`Reply::verdict`] shows it in one line:
//!
//! ```text
//! NOERROR aa rd | an A A | ns SOA | ar AAAA | opt v0 1232 do [3]
//! NOTIMP op15 qd0
//! ```
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test crate that speaks in packets uses another part of it"
)]

use hickory_proto::op::Message;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// Bits of the second header word.
pub mod flag {
    pub const QR: u16 = 0x8000;
    pub const AA: u16 = 0x0400;
    pub const TC: u16 = 0x0200;
    pub const RD: u16 = 0x0100;
    pub const RA: u16 = 0x0080;
    pub const Z: u16 = 0x0040;
    pub const AD: u16 = 0x0020;
    pub const CD: u16 = 0x0010;
}

/// Numbers of the types that tests ask for by name.
pub mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const OPT: u16 = 41;
    pub const DNSKEY: u16 = 48;
    pub const TSIG: u16 = 250;
    pub const IXFR: u16 = 251;
    pub const AXFR: u16 = 252;
    pub const ANY: u16 = 255;
}

/// Anything that may be sent.
#[derive(Clone, Debug)]
pub struct Packet {
    pub id: u16,
    /// Everything between the id and the counts.
    pub flags: u16,
    /// Question, answer, authority, additional; each item as its octets.
    pub sections: [Vec<Vec<u8>>; 4],
    /// What the header says of them, where that is not the truth.
    pub counts: [Option<u16>; 4],
    /// Octets behind the last record.
    pub trailer: Vec<u8>,
}

/// The OPT record of a query.
#[derive(Clone, Debug)]
pub struct Opt {
    pub owner: Vec<u8>,
    pub size: u16,
    pub extended_rcode: u8,
    pub version: u8,
    pub flags: u16,
    pub options: Vec<(u16, Vec<u8>)>,
}

/// DO.
pub const DO: u16 = 0x8000;

impl Opt {
    /// What `dig +edns=VERSION` sends.
    pub fn version(version: u8) -> Self {
        Self {
            owner: vec![0],
            size: 1232,
            extended_rcode: 0,
            version,
            flags: 0,
            options: Vec::new(),
        }
    }

    pub fn size(mut self, size: u16) -> Self {
        self.size = size;
        self
    }

    pub fn flags(mut self, flags: u16) -> Self {
        self.flags = flags;
        self
    }

    pub fn option(mut self, code: u16, data: &[u8]) -> Self {
        self.options.push((code, data.to_vec()));
        self
    }

    pub fn record(&self) -> Vec<u8> {
        let mut rdata = Vec::new();
        for (code, data) in &self.options {
            rdata.extend(code.to_be_bytes());
            rdata.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
            rdata.extend(data);
        }
        let [flags0, flags1] = self.flags.to_be_bytes();
        let ttl = [self.extended_rcode, self.version, flags0, flags1];
        record(
            &self.owner,
            kind::OPT,
            self.size,
            u32::from_be_bytes(ttl),
            &rdata,
        )
    }
}

/// A record, its owner in wire format.
pub fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, rdata: &[u8]) -> Vec<u8> {
    let mut octets = owner.to_vec();
    octets.extend(rtype.to_be_bytes());
    octets.extend(class.to_be_bytes());
    octets.extend(ttl.to_be_bytes());
    octets.extend(u16::try_from(rdata.len()).expect("short").to_be_bytes());
    octets.extend(rdata);
    octets
}

/// A name in wire format, its letters as they are; `Z` at the end stands for the zone.
pub fn wire(name: &str) -> Vec<u8> {
    let name = match name.strip_suffix('Z') {
        Some(front) if front.is_empty() || front.ends_with('.') => format!("{front}cluster.local"),
        _ => name.trim_end_matches('.').to_owned(),
    };
    let labels: Vec<&[u8]> = name
        .split('.')
        .filter(|l| !l.is_empty())
        .map(str::as_bytes)
        .collect();
    wire_of(&labels)
}

/// A name in wire format from its labels.
pub fn wire_of(labels: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in labels {
        octets.push(u8::try_from(label.len()).expect("a label"));
        octets.extend(*label);
    }
    octets.push(0);
    octets
}

impl Packet {
    /// A query for `name` in class IN, without flags and without EDNS.
    pub fn ask(name: &str, qtype: u16) -> Self {
        Self::ask_wire(&wire(name), qtype, 1)
    }

    /// A query for a name in wire format, sound or not.
    pub fn ask_wire(name: &[u8], qtype: u16, qclass: u16) -> Self {
        Self::header(0).question(name, qtype, qclass)
    }

    /// A header alone.
    pub fn header(flags: u16) -> Self {
        Self {
            id: 0x4242,
            flags,
            sections: Default::default(),
            counts: [None; 4],
            trailer: Vec::new(),
        }
    }

    pub fn question(mut self, name: &[u8], qtype: u16, qclass: u16) -> Self {
        let fixed = [qtype.to_be_bytes(), qclass.to_be_bytes()].concat();
        self.sections[0].push([name, &fixed].concat());
        self
    }

    pub fn flags(mut self, flags: u16) -> Self {
        self.flags |= flags;
        self
    }

    pub fn opcode(self, opcode: u16) -> Self {
        self.flags(opcode << 11)
    }

    /// Adds a record to the answer (1), authority (2) or additional (3) section.
    pub fn record(mut self, section: usize, record: Vec<u8>) -> Self {
        self.sections[section].push(record);
        self
    }

    pub fn opt(self, opt: &Opt) -> Self {
        self.record(3, opt.record())
    }

    /// EDNS as a modern client speaks it.
    pub fn edns(self) -> Self {
        self.opt(&Opt::version(0))
    }

    /// Lies about the number of items in a section.
    pub fn count(mut self, section: usize, count: u16) -> Self {
        self.counts[section] = Some(count);
        self
    }

    pub fn trailer(mut self, octets: &[u8]) -> Self {
        self.trailer = octets.to_vec();
        self
    }

    pub fn octets(&self) -> Vec<u8> {
        let mut octets = [self.id.to_be_bytes(), self.flags.to_be_bytes()].concat();
        for (items, told) in self.sections.iter().zip(self.counts) {
            let count = told.unwrap_or(u16::try_from(items.len()).expect("few"));
            octets.extend(count.to_be_bytes());
        }
        octets.extend(self.sections.iter().flatten().flatten());
        octets.extend(&self.trailer);
        octets
    }
}

/// A record as it stands in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// 1 answer, 2 authority, 3 additional.
    pub section: usize,
    /// Where its owner begins, and where its RDATA ends.
    pub start: usize,
    pub end: usize,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub rdata: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub octets: Vec<u8>,
    /// The question section as it stands.
    pub question: Vec<u8>,
    pub records: Vec<RawRecord>,
    /// The same, by hickory-proto.
    pub message: Message,
}

impl Reply {
    /// Reads an answer.
    ///
    /// # Panics
    /// If its counts, its lengths and its end do not agree, or hickory-proto does not read it to its last octet.
    pub fn read(octets: &[u8]) -> Self {
        let counts: Vec<usize> = (2..6).map(|i| usize::from(u16_at(octets, 2 * i))).collect();
        let mut at = 12;
        for _ in 0..counts[0] {
            at = behind_name(octets, at) + 4;
        }
        let question = octets[12..at].to_vec();
        let mut records = Vec::new();
        for (section, count) in counts.iter().enumerate().skip(1) {
            for _ in 0..*count {
                let fixed = behind_name(octets, at);
                let end = fixed + 10 + usize::from(u16_at(octets, fixed + 8));
                let ttl = [u16_at(octets, fixed + 4), u16_at(octets, fixed + 6)].map(u32::from);
                records.push(RawRecord {
                    section,
                    start: at,
                    end,
                    rtype: u16_at(octets, fixed),
                    class: u16_at(octets, fixed + 2),
                    ttl: ttl[0] << 16 | ttl[1],
                    rdata: octets[fixed + 10..end].to_vec(),
                });
                at = end;
            }
        }
        assert_eq!(at, octets.len(), "octets behind the last record");
        let mut decoder = BinDecoder::new(octets);
        let message = Message::read(&mut decoder).expect("hickory-proto decodes it");
        assert!(decoder.is_empty(), "hickory-proto leaves octets behind");
        Self {
            octets: octets.to_vec(),
            question,
            records,
            message,
        }
    }

    pub fn id(&self) -> u16 {
        u16_at(&self.octets, 0)
    }

    /// Everything between the id and the counts.
    pub fn flags(&self) -> u16 {
        u16_at(&self.octets, 2)
    }

    pub fn has(&self, flag: u16) -> bool {
        self.flags() & flag != 0
    }

    pub fn opcode(&self) -> u16 {
        self.flags() >> 11 & 15
    }

    pub fn section(&self, section: usize) -> Vec<&RawRecord> {
        let of = |r: &&RawRecord| r.section == section && r.rtype != kind::OPT;
        self.records.iter().filter(of).collect()
    }

    /// The OPT record, at most one, in the additional section, owned by the root.
    pub fn opt(&self) -> Option<Opt> {
        let mut opts = self.records.iter().filter(|r| r.rtype == kind::OPT);
        let opt = opts.next()?;
        assert!(
            opts.next().is_none() && opt.section == 3,
            "one OPT, additional"
        );
        assert_eq!(self.octets[opt.start], 0, "the root owns OPT");
        let [extended_rcode, version, flags0, flags1] = opt.ttl.to_be_bytes();
        let mut options = Vec::new();
        let mut rest = &opt.rdata[..];
        while !rest.is_empty() {
            let end = 4 + usize::from(u16_at(rest, 2));
            options.push((u16_at(rest, 0), rest[4..end].to_vec()));
            rest = &rest[end..];
        }
        Some(Opt {
            owner: vec![0],
            size: opt.class,
            extended_rcode,
            version,
            flags: u16::from_be_bytes([flags0, flags1]),
            options,
        })
    }

    /// The data of an option.
    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        let options = self.opt()?.options;
        options
            .into_iter()
            .find(|(of, _)| *of == code)
            .map(|(_, data)| data)
    }

    /// The extended error code.
    pub fn ede(&self) -> Option<u16> {
        self.option(15).map(|data| u16_at(&data, 0))
    }

    pub fn rcode(&self) -> u16 {
        let high = self.opt().map_or(0, |opt| u16::from(opt.extended_rcode));
        high << 4 | self.flags() & 15
    }

    /// All of it in one line; see the module.
    pub fn verdict(&self) -> String {
        let mut text = mnemonic(self.rcode());
        let word = |set: bool, word: &str| {
            if set {
                format!(" {word}")
            } else {
                String::new()
            }
        };
        text += &word(self.opcode() != 0, &format!("op{}", self.opcode()));
        for (flag, name) in [
            (flag::AA, "aa"),
            (flag::TC, "tc"),
            (flag::RD, "rd"),
            (flag::RA, "ra"),
            (flag::Z, "z"),
            (flag::AD, "ad"),
            (flag::CD, "cd"),
        ] {
            text += &word(self.has(flag), name);
        }
        text += &word(!self.has(flag::QR), "NOT-A-RESPONSE");
        let questions = u16_at(&self.octets, 4);
        text += &word(questions != 1, &format!("qd{questions}"));
        for (section, name) in [(1, "an"), (2, "ns"), (3, "ar")] {
            let records = self.section(section);
            if !records.is_empty() {
                let types: Vec<String> = records.iter().map(|r| type_name(r.rtype)).collect();
                text += &format!(" | {name} {}", types.join(" "));
            }
        }
        if let Some(opt) = self.opt() {
            text += &format!(" | opt v{} {}", opt.version, opt.size);
            text += &word(opt.flags & DO != 0, "do");
            text += &word(opt.flags & !DO != 0, "MBZ");
            for (code, _) in opt.options {
                text += &format!(" [{code}]");
            }
        }
        text
    }
}

pub fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

/// Where the name at `at` ends.
fn behind_name(octets: &[u8], mut at: usize) -> usize {
    loop {
        match octets[at] {
            0 => return at + 1,
            0xC0.. => {
                let target = usize::from(u16_at(octets, at) & 0x3FFF);
                assert!(target < at, "a pointer points back");
                return at + 2;
            }
            len => at += 1 + usize::from(len),
        }
    }
}

fn mnemonic(rcode: u16) -> String {
    let known = [
        (0, "NOERROR"),
        (1, "FORMERR"),
        (2, "SERVFAIL"),
        (3, "NXDOMAIN"),
        (4, "NOTIMP"),
        (5, "REFUSED"),
        (9, "NOTAUTH"),
        (16, "BADVERS"),
    ];
    let name = known.iter().find(|(of, _)| *of == rcode);
    name.map_or(format!("RCODE{rcode}"), |(_, name)| (*name).to_owned())
}

fn type_name(rtype: u16) -> String {
    let known = [
        (kind::A, "A"),
        (kind::NS, "NS"),
        (kind::CNAME, "CNAME"),
        (kind::SOA, "SOA"),
        (kind::PTR, "PTR"),
        (kind::TXT, "TXT"),
        (kind::AAAA, "AAAA"),
        (kind::SRV, "SRV"),
    ];
    let name = known.iter().find(|(of, _)| *of == rtype);
    name.map_or(format!("TYPE{rtype}"), |(_, name)| (*name).to_owned())
}
