//! How answers end: laws of truncation, for every size of a set and every limit.
//!
//! What is complete is the answer over TCP. An answer over UDP is that, cut:
//!
//! ```text
//! [ header | question | answers ... | SRV's addresses ... | OPT ]
//!                       whole records  whole targets, only   always, if the query had one
//!                       from the front behind all answers
//! ```
//! TC says that answers are missing, and only that (RFC 2181, section 9); not an octet follows the last record. And as much
//! is there as fits: another record, or another target's addresses, would not.

mod packet;
mod rig;

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use packet::{Opt, Packet, RawRecord, Reply, flag, kind};
use rig::Offline;
use shiftdns::answer::Transport;
use shiftdns::model::Resolved;
use shiftdns::wire::Name;

/// The limits that matter, and one between any two: the client's size, if it speaks EDNS, and the limit that follows.
const LIMITS: [(Option<u16>, usize); 5] = [
    (None, 512),
    (Some(512), 512),
    (Some(777), 777),
    (Some(1232), 1232),
    (Some(65_535), 1232),
];

/// The shop with a headless service of `count` endpoints.
fn service_of(count: usize) -> Offline {
    let namespace =
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, uid: shop}\n".to_owned();
    Offline::with(&rig::config(), &[&namespace, &rig::headless("many", count)])
}

fn ask(offline: &mut Offline, packet: &Packet, transport: Transport) -> Reply {
    let reply = offline.ask(&packet.octets(), transport);
    Reply::read(reply.expect("an answer"))
}

fn datas(records: &[&RawRecord]) -> Vec<Vec<u8>> {
    records.iter().map(|record| record.rdata.clone()).collect()
}

/// Asks at every limit and holds the answers against the complete one. `ordered`: answers are always in one order.
fn check_limits(offline: &mut Offline, name: &str, qtype: u16, count: usize, ordered: bool) {
    let plain = Packet::ask(name, qtype);
    let whole = ask(offline, &plain, Transport::Tcp);
    assert!(!whole.has(flag::TC), "complete over TCP");
    assert_eq!(whole.section(1).len(), count);
    for (asked, limit) in LIMITS {
        let packet = match asked {
            Some(size) => plain.clone().opt(&Opt::version(0).size(size)),
            None => plain.clone(),
        };
        check_cut(
            &ask(offline, &packet, Transport::Udp),
            &whole,
            limit,
            ordered,
        );
        // The size in OPT is nothing to a stream.
        let stream = ask(offline, &packet, Transport::Tcp);
        assert_eq!(stream.opt().is_some(), asked.is_some());
        assert!(!stream.has(flag::TC));
        for section in 1..=3 {
            assert_eq!(stream.section(section).len(), whole.section(section).len());
        }
    }
}

fn check_cut(cut: &Reply, whole: &Reply, limit: usize, ordered: bool) {
    let len = cut.octets.len();
    let context = format!("{len} of {limit} octets: {}", cut.verdict());
    assert!(len <= limit, "{context}");
    let has_opt = cut.records.last().is_some_and(|r| r.rtype == kind::OPT);
    assert_eq!(has_opt, cut.opt().is_some(), "OPT is last: {context}");

    let (answers, all) = (datas(&cut.section(1)), datas(&whole.section(1)));
    if ordered {
        assert!(all.starts_with(&answers), "from the front: {context}");
    } else {
        let (some, all): (BTreeSet<_>, BTreeSet<_>) =
            (answers.iter().collect(), all.iter().collect());
        assert_eq!(some.len(), answers.len(), "each once: {context}");
        assert!(some.is_subset(&all), "{context}");
    }
    let missing = whole.section(1).len() - answers.len();
    assert_eq!(cut.has(flag::TC), missing > 0, "TC says it: {context}");

    let (glue, all) = (cut.section(3), whole.section(3));
    assert!(datas(&all).starts_with(&datas(&glue)), "{context}");
    // Sizes do not depend on the order: the records of a set are of one length, or always in one order.
    let next = if missing > 0 {
        assert!(glue.is_empty(), "additional goes first: {context}");
        whole.section(1).get(answers.len()).copied()
    } else {
        all.get(glue.len()).copied()
    };
    if let Some(next) = next {
        assert!(
            len + next.end - next.start > limit,
            "one more fits: {context}"
        );
    }
}

#[test]
fn every_number_of_addresses_is_cut_by_the_laws() {
    for count in 1..=300 {
        let mut offline = service_of(count);
        check_limits(&mut offline, "many.shop.svc.Z", kind::A, count, false);
        check_limits(&mut offline, "all.many.shop.svc.Z", kind::A, count, true);
    }
}

#[test]
fn every_number_of_srv_targets_is_cut_by_the_laws() {
    for count in 1..=60 {
        let mut offline = service_of(count);
        let port = "_http._tcp.many.shop.svc.Z";
        check_limits(&mut offline, port, kind::SRV, count, true);
        // Every address of the complete answer belongs to a target of it.
        let whole = ask(&mut offline, &Packet::ask(port, kind::SRV), Transport::Tcp);
        assert_eq!(whole.section(3).len(), count);
    }
}

#[test]
fn the_addresses_of_an_external_name_are_cut_by_the_laws() {
    // The longest target there is: three labels of 63 and one of 61, 255 octets on the wire.
    let target = [63, 63, 63, 61].map(|len| "x".repeat(len)).join(".");
    let mut config = rig::config();
    config.upstream = vec!["192.0.2.53:53".parse().expect("an address")];
    let name = Name::parse(&target).expect("a name");
    for count in 1..=8_u16 {
        let text = format!("namespace shop\n external db.shop {target}");
        let mut offline = Offline::with(&config, &[&rig::cluster(&text)]);
        let address = |n| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, n]);
        let resolved = Resolved {
            addresses: (1..=count).map(address).collect(),
            trouble: None,
        };
        let learned = vec![(name.clone(), resolved)];
        offline.engine.learn(learned, Timestamp::UNIX_EPOCH);
        let records = usize::from(count) + 1;
        check_limits(&mut offline, "db.shop.svc.Z", kind::AAAA, records, false);
        // In a datagram of the usual size there is room for all of them.
        let packet = Packet::ask("db.shop.svc.Z", kind::AAAA).opt(&Opt::version(0).size(1232));
        let whole = ask(&mut offline, &packet, Transport::Udp);
        assert_eq!(whole.section(1).len(), records);
    }
}

/// Every limit between the smallest and the largest, octet by octet.
#[test]
fn every_limit_is_kept_to_the_octet() {
    let mut offline = service_of(90);
    for (name, qtype, ordered) in [
        ("many.shop.svc.Z", kind::A, false),
        ("_http._tcp.many.shop.svc.Z", kind::SRV, true),
    ] {
        let plain = Packet::ask(name, qtype);
        let whole = ask(&mut offline, &plain, Transport::Tcp);
        for size in 500..1300 {
            let packet = plain.clone().opt(&Opt::version(0).size(size));
            let cut = ask(&mut offline, &packet, Transport::Udp);
            let limit = usize::from(size).clamp(512, 1232);
            check_cut(&cut, &whole, limit, ordered);
        }
    }
    // The same for a set that fits as a whole, with its addresses partly.
    let mut offline = service_of(9);
    let plain = Packet::ask("_http._tcp.many.shop.svc.Z", kind::SRV);
    let whole = ask(&mut offline, &plain, Transport::Tcp);
    for size in 500..1300 {
        let packet = plain.clone().opt(&Opt::version(0).size(size));
        let cut = ask(&mut offline, &packet, Transport::Udp);
        check_cut(&cut, &whole, usize::from(size).clamp(512, 1232), true);
    }
}
