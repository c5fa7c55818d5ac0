//! Whatever arrives: nothing panics, and what is sent back is sound.
//!
//! Sound is: read to its last octet by hickory-proto and by a walk of our own, the id echoed, QR set, the question that of the
//! client byte for byte, no flag that a query brought but RD, a size within the limit, and owners in our own zones under AA.

mod packet;
mod rig;

use std::cell::RefCell;

use hickory_proto::rr::Name;
use packet::{Opt, Packet, Reply, flag, kind, wire};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rig::Offline;
use shiftdns::answer::Transport;

const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];

thread_local! {
    /// A test is a thread: each compiles the shop once, not once a case.
    static OFFLINE: RefCell<Offline> = RefCell::new(offline());
}

fn offline() -> Offline {
    let mut config = rig::config();
    config.identity.id = Some("a-replica-with-a-name-of-some-length".to_owned());
    config.identity.version = Some("ShiftDNS".to_owned());
    config.reverse = vec!["10.1.0.0/16".parse().expect("a network")];
    config.pods = shiftdns::config::Pods::Insecure;
    let (many, shop) = (rig::headless("many", 120), rig::shop());
    let circle = rig::external("circle", "circle.shop.svc.cluster.local");
    Offline::with(&config, &[&shop, &many, &circle])
}

/// Sends it over both transports and holds what comes back against what holds of every answer.
fn check(query: &[u8]) -> [Option<Reply>; 2] {
    TRANSPORTS.map(|transport| {
        OFFLINE.with_borrow_mut(|offline| {
            let reply = offline.ask(query, transport)?;
            Some(check_reply(query, reply, transport))
        })
    })
}

fn check_reply(query: &[u8], octets: &[u8], transport: Transport) -> Reply {
    let reply = Reply::read(octets);
    assert_eq!(octets[..2], query[..2], "the id");
    assert!(reply.has(flag::QR));
    assert!(query[2] & 0x80 == 0, "an answer to an answer");
    assert_eq!(reply.opcode(), u16::from(query[2] >> 3 & 15), "the opcode");
    assert!(!reply.has(flag::RA | flag::Z | flag::AD | flag::CD));
    let desired = query[2] & 1 == 1 && reply.opcode() == 0;
    assert_eq!(reply.has(flag::RD), desired, "RD");
    if reply.question.is_empty() {
        assert_eq!(octets.len(), 12, "a header has nothing behind it");
        return reply;
    }
    let question = &query[12..12 + reply.question.len()];
    assert_eq!(reply.question, question, "the question, byte for byte");

    let opt = reply.opt();
    let limit = match (transport, &opt) {
        (Transport::Tcp, _) => 65_535,
        (Transport::Udp, None) => 512,
        // What this client allows is for those to check who know that the query was sound.
        (Transport::Udp, Some(_)) => 1232,
    };
    assert!(octets.len() <= limit, "{} octets", octets.len());
    if let Some(opt) = opt {
        assert_eq!((opt.version, opt.flags & 0x7FFF), (0, 0));
    }
    if reply.has(flag::AA) {
        assert!(reply.rcode() == 0 || reply.rcode() == 3);
        check_owners(&reply);
    } else {
        assert!(reply.records.iter().all(|r| r.rtype == kind::OPT));
    }
    reply
}

/// Every owner is the name asked or in one of our zones; the name asked is in one too, or in class CH.
fn check_owners(reply: &Reply) {
    let zone = |text: &str| Name::from_ascii(text).expect("a name");
    let zones = [zone("cluster.local."), zone("1.10.in-addr.arpa.")];
    let ours = |name: &Name| zones.iter().any(|zone| zone.zone_of(name));
    let message = &reply.message;
    let chaos = reply.question.ends_with(&[0, 3]);
    assert!(ours(message.queries[0].name()) || chaos);
    let sections = [&message.answers, &message.authorities, &message.additionals];
    for record in sections.into_iter().flatten() {
        assert!(ours(&record.name) || chaos, "{}", record.name);
    }
    assert!(message.authorities.len() <= 1);
}

/// Names with something behind them, or almost.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let texts = [
        "Z",
        "svc.Z",
        "shop.svc.Z",
        "api.shop.svc.Z",
        "web.shop.svc.Z",
        "pay.shop.svc.Z",
        "many.shop.svc.Z",
        "_http._tcp.many.shop.svc.Z",
        "_grpc._tcp.api.shop.svc.Z",
        "db-0.db.shop.svc.Z",
        "v1._version.web.shop.svc.Z",
        "_versions.pay.shop.svc.Z",
        "all.pay.shop.svc.Z",
        "alias-of-api.shop.svc.Z",
        "payments-ext.shop.svc.Z",
        "circle.shop.svc.Z",
        "nope.shop.svc.Z",
        "10-1-2-3.shop.pod.Z",
        "fd00--1.shop.pod.Z",
        "dns-version.Z",
        "ns.dns.Z",
        "11.1.1.10.in-addr.arpa",
        "1.10.in-addr.arpa",
        "version.bind",
        "id.server",
        "example.com",
        ".",
    ];
    prop_oneof![
        8 => select(texts.to_vec()).prop_map(wire),
        1 => proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=63), 0..5).prop_map(
            |labels| {
                let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
                packet::wire_of(&labels)
            }
        ),
        1 => proptest::collection::vec(any::<u8>(), 1..=20).prop_map(|label| {
            packet::wire_of(&[&label, b"shop", b"svc", b"cluster", b"local"])
        }),
    ]
}

fn types() -> impl Strategy<Value = u16> {
    let known = [
        1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 64, 65, 250, 251, 252, 253, 254, 255,
    ];
    prop_oneof![8 => select(known.to_vec()), 1 => any::<u16>()]
}

fn opts() -> impl Strategy<Value = Opt> {
    let data = proptest::collection::vec(any::<u8>(), 0..42);
    let option = (prop_oneof![8 => 0..16_u16, 1 => any::<u16>()], data);
    let version = prop_oneof![8 => Just(0), 1 => any::<u8>()];
    let size = prop_oneof![select(&[0, 512, 1232, 4096, 65_535][..]), any::<u16>()];
    let options = proptest::collection::vec(option, 0..4);
    (size, any::<u8>(), version, any::<u16>(), options).prop_map(
        |(size, extended_rcode, version, flags, options)| Opt {
            owner: vec![0],
            size,
            extended_rcode,
            version,
            flags,
            options,
        },
    )
}

/// Well-formed queries of every sort.
fn queries() -> impl Strategy<Value = Packet> {
    let class = prop_oneof![8 => Just(1), 2 => Just(3), 1 => any::<u16>()];
    let opt = prop_oneof![1 => Just(None), 2 => opts().prop_map(Some)];
    (
        names(),
        types(),
        class,
        opt,
        any::<u16>(),
        0..0x800_u16,
        any::<u64>(),
    )
        .prop_map(|(name, qtype, class, opt, id, flags, spelling)| {
            let mut name = name;
            for (place, octet) in name.iter_mut().enumerate() {
                if octet.is_ascii_lowercase() && spelling >> (place % 64) & 1 == 1 {
                    *octet = octet.to_ascii_uppercase();
                }
            }
            let mut packet = Packet::ask_wire(&name, qtype, class).flags(flags);
            packet.id = id;
            match opt {
                Some(opt) => packet.opt(&opt),
                None => packet,
            }
        })
}

/// What is done to the octets of a query.
#[derive(Clone, Debug)]
enum Mutation {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Cut(Index),
    Repeat(Index, Index),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<Index>;
    let value = || {
        prop_oneof![
            select(&[0, 1, 0x3F, 0x40, 0x80, 0xC0, 0xFF][..]),
            any::<u8>()
        ]
    };
    let one = prop_oneof![
        (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (at(), value()).prop_map(|(at, value)| Mutation::Set(at, value)),
        (at(), value()).prop_map(|(at, value)| Mutation::Insert(at, value)),
        at().prop_map(Mutation::Remove),
        at().prop_map(Mutation::Cut),
        (at(), at()).prop_map(|(from, to)| Mutation::Repeat(from, to)),
    ];
    proptest::collection::vec(one, 1..5)
}

fn mutated(mut octets: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        if octets.is_empty() {
            break;
        }
        let len = octets.len();
        match mutation {
            Mutation::Flip(at, bit) => octets[at.index(len)] ^= 1 << bit,
            Mutation::Set(at, value) => octets[at.index(len)] = *value,
            Mutation::Insert(at, value) => octets.insert(at.index(len), *value),
            Mutation::Remove(at) => drop(octets.remove(at.index(len))),
            Mutation::Cut(at) => octets.truncate(at.index(len)),
            Mutation::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                octets.extend_from_within(from.min(to)..from.max(to));
            }
        }
    }
    octets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn any_octets(message in proptest::collection::vec(any::<u8>(), 0..700)) {
        check(&message);
    }

    /// The header of a query, then anything.
    #[test]
    fn any_octets_behind_a_sound_header(behind in proptest::collection::vec(any::<u8>(), 0..300), ar in 0..3_u8) {
        check(&[&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, ar], &behind[..]].concat());
    }

    #[test]
    fn mutated_queries(query in queries(), mutations in mutations()) {
        check(&mutated(query.octets(), &mutations));
    }

    /// Every sound query but one with a malformed cookie is answered, over both transports, with its question.
    #[test]
    fn sound_queries_are_answered(query in queries()) {
        let replies = check(&query.octets());
        let [udp, tcp] = replies.map(|reply| reply.expect("an answer"));
        prop_assert_eq!(udp.rcode(), tcp.rcode());
        if udp.rcode() != 1 {
            prop_assert_eq!(&udp.question, &query.sections[0].concat());
            prop_assert_eq!(udp.opt().is_some(), !query.sections[3].is_empty());
            prop_assert!(!tcp.has(flag::TC));
            let asked = query.sections[3].first().map_or(0, |opt| packet::u16_at(opt, 3));
            prop_assert!(udp.octets.len() <= usize::from(asked).clamp(512, 1232));
        }
        if !udp.has(flag::TC) {
            prop_assert_eq!(udp.section(1).len(), tcp.section(1).len());
            prop_assert_eq!(udp.section(2).len(), tcp.section(2).len());
        }
    }
}
