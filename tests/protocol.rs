//! What an answer means, how large it is, and what becomes of a message that no library would send.
//!
//! The names of tests carry the ids of the rows they prove: S semantics, Z size, O operations, H headers, N names,
//! E EDNS. Answers come over UDP and TCP from a real server and are expected as text, see [`rig`] and [`packet`].

mod packet;
mod rig;

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, UdpSocket};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use packet::{DO, Opt, Packet, Reply, flag, kind, wire, wire_of};
use rig::{Offline, Rig};
use shiftdns::answer::Transport;

/// The demo's shop; `many` with 200 endpoints and `seven` with seven; aliases that lead nowhere, in circles, and far.
fn manifests() -> Vec<String> {
    let mut all = vec![
        rig::shop(),
        rig::headless("many", 200),
        rig::headless("seven", 7),
        rig::external("nowhere", "missing.shop.svc.cluster.local"),
        rig::external("self", "self.shop.svc.cluster.local"),
        rig::external("ping", "pong.shop.svc.cluster.local"),
        rig::external("pong", "ping.shop.svc.cluster.local"),
        rig::external("tail", "ping.shop.svc.cluster.local"),
    ];
    let link = |i: u32| {
        let target = format!("link-{}.shop.svc.cluster.local", i + 1);
        rig::external(&format!("link-{i}"), &target)
    };
    all.extend((0..100).map(link));
    all.push(rig::external("link-100", "api.shop.svc.cluster.local"));
    all
}

static RIG: LazyLock<Rig> = LazyLock::new(|| {
    let mut config = rig::config();
    config.identity.id = Some("ns-1".to_owned());
    config.identity.version = Some("ShiftDNS".to_owned());
    Rig::with(&config, &manifests().join("\n---\n"))
});

/// A server that tells nothing of itself.
static MUTE: LazyLock<Rig> = LazyLock::new(|| Rig::serve(&rig::shop()));

fn offline() -> Offline {
    let manifests = manifests();
    let texts: Vec<&str> = manifests.iter().map(String::as_str).collect();
    Offline::with(&rig::config(), &texts)
}

fn over_udp(rig: &Rig, packet: &Packet) -> Reply {
    checked(packet, &rig.udp(&packet.octets()).expect("an answer"))
}

fn over_tcp(rig: &Rig, packet: &Packet) -> Reply {
    checked(packet, &rig.tcp(&packet.octets()).expect("an answer"))
}

/// What holds of every answer: the id and the question are the client's, byte for byte.
fn checked(packet: &Packet, octets: &[u8]) -> Reply {
    let reply = Reply::read(octets);
    assert_eq!(reply.id(), packet.id);
    if !reply.question.is_empty() {
        assert_eq!(reply.question, packet.sections[0].concat());
    }
    reply
}

/// The verdict is the same over UDP and TCP; the answer over UDP is returned.
fn check(packet: &Packet, expected: &str) -> Reply {
    check_at(&RIG, packet, expected)
}

fn check_at(rig: &Rig, packet: &Packet, expected: &str) -> Reply {
    let over_udp = over_udp(rig, packet);
    assert_eq!(over_udp.verdict(), expected, "over UDP: {packet:?}");
    let over_tcp = over_tcp(rig, packet);
    assert_eq!(over_tcp.verdict(), expected, "over TCP: {packet:?}");
    over_udp
}

/// Nothing comes back for any of these: the first answer on the socket is to the sound question behind them.
fn check_silence(messages: &[Vec<u8>]) {
    let mut sound = Packet::ask("Z", kind::SOA);
    sound.id = 0x7777;
    let sound = sound.octets();

    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let patience = Some(Duration::from_secs(10));
    socket.set_read_timeout(patience).expect("a timeout");
    socket.connect(RIG.dns).expect("a route");
    for message in messages {
        socket.send(message).expect("sent");
    }
    socket.send(&sound).expect("sent");
    let mut answer = [0; 4096];
    let len = socket.recv(&mut answer).expect("an answer");
    assert_eq!(Reply::read(&answer[..len]).id(), 0x7777, "over UDP");

    for message in messages {
        let mut stream = TcpStream::connect(RIG.dns).expect("a connection");
        stream.set_read_timeout(patience).expect("a timeout");
        for message in [message, &sound] {
            let len = u16::try_from(message.len()).expect("short").to_be_bytes();
            // The server may have closed after the first.
            let _ = stream.write_all(&[&len, &message[..]].concat());
        }
        let mut head = [0; 4];
        if stream.read_exact(&mut head).is_ok() {
            assert_eq!(head[2..], [0x77, 0x77], "over TCP: {message:02x?}");
        }
    }
}

fn a(name: &str) -> Packet {
    Packet::ask(name, kind::A)
}

// S: what an answer means.

/// "The TTL of this record is set from the minimum of the MINIMUM field of the SOA record and the TTL of the SOA
/// itself" (RFC 2308, section 3): of 30 and 5 seconds, 5.
#[test]
fn s_nxd_a_name_that_does_not_exist() {
    for name in [
        "nope.shop.svc.Z",
        "nope.svc.Z",
        "a.b.c.nope.svc.Z",
        "nope.Z",
    ] {
        RIG.check(&format!("{name} A"), "NXDOMAIN aa\n auth Z. 5 SOA");
    }
}

/// A reverse zone is ours with all that is below it, names that are no address's too; service discovery asks for them.
#[test]
fn s_nxd_below_a_reverse_zone() {
    let mut config = rig::config();
    let ranges = ["10.96.0.0/16", "10.1.2.128/25", "fd00:10:96::/48"];
    config.reverse = ranges.map(|range| range.parse().expect("a range")).to_vec();
    let rig = Rig::with(&config, &rig::shop());
    let ptr = |name: &str| Packet::ask(name, kind::PTR);
    for name in [
        "9.0.96.10.in-addr.arpa",
        "lb._dns-sd._udp.0.0.96.10.in-addr.arpa",
        "x.96.10.in-addr.arpa",
        "300.0.96.10.in-addr.arpa",
        "1.10.0.96.10.in-addr.arpa",
        "g.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa",
        "00.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa",
    ] {
        check_at(&rig, &ptr(name), "NXDOMAIN aa | ns SOA");
    }
    for name in [
        "x.2.1.10.in-addr.arpa",
        "127.2.1.10.in-addr.arpa",
        "97.10.in-addr.arpa",
        "x.10.in-addr.arpa",
        "7.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa",
    ] {
        check_at(&rig, &ptr(name), "REFUSED");
    }
}

#[test]
fn s_nodata_a_type_that_does_not_exist() {
    for question in ["api.shop.svc.Z MX", "web.shop.svc.Z AAAA", "Z A"] {
        RIG.check(question, "NOERROR aa\n auth Z. 5 SOA");
    }
}

/// "all names and resource record sets (RRsets) at or below that node SHOULD be considered unreachable"
/// (RFC 8020, section 2): so a name with anything below it is never denied.
#[test]
fn s_ent_an_ancestor_of_names_exists() {
    for name in [
        "svc.Z",
        "pod.Z",
        "dns.Z",
        "shop.svc.Z",
        "empty.svc.Z",
        "_tcp.api.shop.svc.Z",
        "_version.web.shop.svc.Z",
        "_tcp.v1._version.web.shop.svc.Z",
    ] {
        RIG.check(&format!("{name} A"), "NOERROR aa\n auth Z. 5 SOA");
    }
}

#[test]
fn s_below_a_leaf_there_is_nothing() {
    for name in [
        "x.api.shop.svc.Z",
        "x.db-0.db.shop.svc.Z",
        "x._http._tcp.api.shop.svc.Z",
        "_udp.api.shop.svc.Z",
        "x.dns-version.Z",
    ] {
        RIG.check(&format!("{name} A"), "NXDOMAIN aa\n auth Z. 5 SOA");
    }
}

/// RFC 1034, section 4.3.2, step 3a: the alias is put into the answer and the search starts again at its target, unless
/// the alias itself was asked for. What lies in another's zones is another's to answer.
#[test]
fn s_cname_aliases_are_followed_inside_our_zones() {
    RIG.check(
        "alias-of-api.shop.svc.Z A",
        "NOERROR aa
         alias-of-api.shop.svc.Z. 30 CNAME api.shop.svc.Z.
         api.shop.svc.Z. 30 A 10.96.0.10",
    );
    RIG.check(
        "alias-of-api.shop.svc.Z CNAME",
        "NOERROR aa\n alias-of-api.shop.svc.Z. 30 CNAME api.shop.svc.Z.",
    );
    RIG.check(
        "payments-ext.shop.svc.Z A",
        "NOERROR aa\n payments-ext.shop.svc.Z. 30 CNAME payments.example.com.",
    );
    RIG.check(
        "alias-of-api.shop.svc.Z MX",
        "NOERROR aa
         alias-of-api.shop.svc.Z. 30 CNAME api.shop.svc.Z.
         auth Z. 5 SOA",
    );
    // The code speaks of the last name of the chain (RFC 6604, section 3).
    RIG.check(
        "nowhere.shop.svc.Z A",
        "NXDOMAIN aa
         nowhere.shop.svc.Z. 30 CNAME missing.shop.svc.Z.
         auth Z. 5 SOA",
    );
}

/// A loop is told once around, without a record twice; a chain to its eighth link.
#[test]
fn s_cname_loop_is_bounded() {
    for (name, links) in [
        ("self", 1),
        ("ping", 2),
        ("tail", 3),
        ("link-0", 9),
        ("link-98", 3),
    ] {
        let packet = a(&format!("{name}.shop.svc.Z")).edns();
        let aliases = " CNAME".repeat(links);
        let end = if name == "link-98" { " A" } else { "" };
        let reply = check(
            &packet,
            &format!("NOERROR aa | an{aliases}{end} | opt v0 1232"),
        );
        assert_eq!(duplicates(&reply), 0, "{name}");
    }
    let mut offline = offline();
    let chain = a("link-0.shop.svc.Z").octets();
    let start = Instant::now();
    for _ in 0..1000 {
        offline.ask(&chain, Transport::Udp);
    }
    let each = start.elapsed() / 1000;
    assert!(each < Duration::from_millis(1), "{each:?} for a long chain");
}

fn duplicates(reply: &Reply) -> usize {
    let all: Vec<String> = reply.message.answers.iter().map(rig::record).collect();
    all.len() - all.iter().collect::<BTreeSet<_>>().len()
}

/// Names of others: neither data nor AA. To who speaks EDNS, "not authoritative" besides (RFC 8914, section 4.21).
#[test]
fn s_ooz_names_outside_every_zone() {
    for (name, qtype) in [
        (".", kind::NS),
        ("example.com", kind::A),
        ("local", kind::A),
    ] {
        check(&Packet::ask(name, qtype), "REFUSED");
        let reply = check(
            &Packet::ask(name, qtype).edns(),
            "REFUSED | opt v0 1232 [15]",
        );
        assert_eq!(reply.ede(), Some(20));
    }
    check(&a("xcluster.local"), "REFUSED");
}

/// RFC 4343: case is kept where it was written and ignored where names are compared.
#[test]
fn s_case_ten_thousand_spellings_are_one_name() {
    let mut offline = offline();
    let plain = a("api.shop.svc.Z").edns().octets();
    let expected = offline
        .ask(&plain, Transport::Udp)
        .expect("an answer")
        .to_vec();
    let mut chance = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..10_000 {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mut spelled = plain.clone();
        let mut expected = expected.clone();
        for at in 12..42 {
            if chance >> (at + 10) & 1 == 1 {
                spelled[at] = spelled[at].to_ascii_uppercase();
                expected[at] = expected[at].to_ascii_uppercase();
            }
        }
        assert_eq!(offline.ask(&spelled, Transport::Udp), Some(&expected[..]));
    }
    check(&a("ApI.sHoP.SvC.CLUSTER.local"), "NOERROR aa | an A");
}

/// "the TTLs of all RRs in an RRSet must be the same" (RFC 2181, section 5.2), and no record is there twice (section 5).
#[test]
fn s_rrset_one_ttl_and_no_record_twice() {
    let questions = [
        ("web.shop.svc.Z", kind::A),
        ("pay.shop.svc.Z", kind::A),
        ("all.pay.shop.svc.Z", kind::A),
        ("db.shop.svc.Z", kind::SRV),
        ("_http._tcp.pay.shop.svc.Z", kind::SRV),
        ("_versions.pay.shop.svc.Z", kind::TXT),
        ("many.shop.svc.Z", kind::A),
        ("_http._tcp.many.shop.svc.Z", kind::SRV),
        ("tail.shop.svc.Z", kind::A),
    ];
    for (name, qtype) in questions {
        let reply = over_tcp(&RIG, &Packet::ask(name, qtype));
        let answers = reply.section(1);
        assert!(answers.len() > 1, "{name} is a set of more than one");
        assert_eq!(duplicates(&reply), 0, "{name}");
        let ttls: BTreeSet<(u16, u32)> = answers.iter().map(|r| (r.rtype, r.ttl)).collect();
        let types: BTreeSet<u16> = answers.iter().map(|r| r.rtype).collect();
        assert_eq!(ttls.len(), types.len(), "{name}: one TTL a set");
    }
}

/// RFC 8482, section 4.1: one set, chosen by the server, answers ANY.
#[test]
fn s_any_is_one_set() {
    let any = |name| Packet::ask(name, kind::ANY);
    check(&any("api.shop.svc.Z"), "NOERROR aa | an A");
    check(&any("Z"), "NOERROR aa | an NS");
    check(&any("alias-of-api.shop.svc.Z"), "NOERROR aa | an CNAME");
    check(&any("shop.svc.Z"), "NOERROR aa | ns SOA");
    check(&any("nope.shop.svc.Z"), "NXDOMAIN aa | ns SOA");
    let largest = over_tcp(&RIG, &a("many.shop.svc.Z")).octets.len();
    let all = over_tcp(&RIG, &any("many.shop.svc.Z")).octets.len();
    assert!(all <= largest, "{all} octets for ANY");
}

/// Data of one class is never given under another.
#[test]
fn s_class_other_classes_are_refused() {
    for qclass in [0, 2, 3, 4, 254, 255, 4660, 65_535] {
        let packet = Packet::ask_wire(&wire("api.shop.svc.Z"), kind::A, qclass);
        check(&packet, "REFUSED");
        check(&packet.edns(), "REFUSED | opt v0 1232");
    }
}

fn chaos(name: &str, qtype: u16) -> Packet {
    Packet::ask_wire(&wire(name), qtype, 3)
}

#[test]
fn s_ch_is_refused_unless_configured() {
    for name in ["version.bind", "hostname.bind", "id.server"] {
        check_at(&MUTE, &chaos(name, kind::TXT), "REFUSED");
    }
}

/// RFC 4892, section 2: the name is queried with class CH and type TXT.
#[test]
fn s_ch_tells_what_is_configured() {
    for (name, text) in [
        ("version.bind", "ShiftDNS"),
        ("VERSION.bind", "ShiftDNS"),
        ("hostname.bind", "ns-1"),
        ("id.server", "ns-1"),
    ] {
        let reply = check(&chaos(name, kind::TXT), "NOERROR aa | an TXT");
        let answer = &reply.records[0];
        assert_eq!((answer.class, answer.ttl), (3, 0));
        let string = [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        assert_eq!(answer.rdata, string);
    }
    check(&chaos("version.bind", kind::A), "REFUSED");
    check(&chaos("authors.bind", kind::TXT), "REFUSED");
    check(&Packet::ask("version.bind", kind::TXT), "REFUSED");
}

/// RFC 3597, section 3: a type that is not known is a type like any other.
#[test]
fn s_type_any_number_is_a_type() {
    for qtype in [0, 46, 64, 65, 666, 1000, 65_535] {
        check(&Packet::ask("api.shop.svc.Z", qtype), "NOERROR aa | ns SOA");
    }
}

#[test]
fn s_meta_types_have_no_data() {
    for qtype in [kind::OPT, kind::TSIG, 253, 254] {
        check(&Packet::ask("api.shop.svc.Z", qtype), "NOERROR aa | ns SOA");
    }
    for qtype in [kind::AXFR, kind::IXFR] {
        check(&Packet::ask("Z", qtype), "REFUSED");
        check(&Packet::ask("api.shop.svc.Z", qtype), "REFUSED");
    }
}

// Z: how large it is.

/// Only addresses, truncated, and no larger than `size`; what there is came whole.
fn check_cut(packet: &Packet, size: usize) {
    let reply = over_udp(&RIG, packet);
    assert!(reply.octets.len() <= size, "{} octets", reply.octets.len());
    // Another address would not have fitted.
    assert!(
        reply.octets.len() + 16 > size,
        "{} octets",
        reply.octets.len()
    );
    assert!(reply.has(flag::TC) && reply.has(flag::AA));
    assert!(reply.section(1).iter().all(|r| r.rtype == kind::A));
    assert_eq!(reply.section(2).len() + reply.section(3).len(), 0);
    assert_eq!(duplicates(&reply), 0);
    let asked_with_edns = !packet.sections[3].is_empty();
    assert_eq!(reply.opt().is_some(), asked_with_edns);
}

/// RFC 1035, section 4.2.1: 512 octets, longer messages are truncated.
#[test]
fn z_512_without_edns() {
    check_cut(&a("many.shop.svc.Z"), 512);
}

/// "Values lower than 512 MUST be treated as equal to 512" (RFC 6891, section 6.2.3); above 1232 ours counts. "This
/// [an OPT record] MUST also occur when a truncated response (using the DNS header's TC bit) is returned" (section 7).
#[test]
fn z_edns_the_smaller_of_two_sizes() {
    for (asked, size) in [
        (0, 512),
        (100, 512),
        (512, 512),
        (513, 513),
        (1231, 1231),
        (1232, 1232),
        (1233, 1232),
        (4096, 1232),
        (65_535, 1232),
    ] {
        let opt = Opt::version(0).size(asked);
        check_cut(&a("many.shop.svc.Z").opt(&opt), size);
    }
}

#[test]
fn z_tcp_is_complete() {
    for packet in [a("many.shop.svc.Z"), a("many.shop.svc.Z").edns()] {
        let reply = over_tcp(&RIG, &packet);
        assert_eq!(reply.section(1).len(), 200);
        assert!(!reply.has(flag::TC));
        assert_eq!(duplicates(&reply), 0);
    }
    // The size in OPT is that of datagrams.
    let opt = Opt::version(0).size(512);
    let reply = over_tcp(&RIG, &a("many.shop.svc.Z").opt(&opt));
    assert_eq!(reply.section(1).len(), 200);
}

/// "The TC bit should not be set merely because some extra information could have been included, but there was
/// insufficient room" (RFC 2181, section 9).
#[test]
fn z_tc_add_additional_goes_without_a_word() {
    let srv = Packet::ask("_http._tcp.seven.shop.svc.Z", kind::SRV);
    let answers = " SRV".repeat(7);
    let small = over_udp(&RIG, &srv);
    let fitted = small.section(3).len();
    assert!((1..7).contains(&fitted), "{fitted} addresses");
    let expected = format!("NOERROR aa | an{answers} | ar{}", " A".repeat(fitted));
    assert_eq!(small.verdict(), expected);
    let large = format!(
        "NOERROR aa | an{answers} | ar{} | opt v0 1232",
        " A".repeat(7)
    );
    check(&srv.edns(), &large);
}

// O: operations.

#[test]
fn o_op_other_opcodes_are_not_implemented() {
    for opcode in [1, 2, 3].into_iter().chain(6..=15) {
        let expected = format!("NOTIMP op{opcode} qd0");
        check(&Packet::header(0).opcode(opcode), &expected);
        check(&a("Z").edns().flags(flag::RD).opcode(opcode), &expected);
    }
}

#[test]
fn o_notify_from_a_stranger() {
    let soa = packet::record(&wire("Z"), kind::SOA, 1, 0, &[0; 22]);
    let notify = Packet::ask("Z", kind::SOA).flags(flag::AA).opcode(4);
    check(&notify, "NOTIMP op4 qd0");
    check(&notify.record(1, soa), "NOTIMP op4 qd0");
}

#[test]
fn o_update_changes_nothing() {
    let forged = packet::record(&wire("forged.shop.svc.Z"), kind::A, 1, 60, &[10, 0, 0, 1]);
    let update = Packet::ask("Z", kind::SOA).opcode(5).record(2, forged);
    check(&update, "NOTIMP op5 qd0");
    check(&a("forged.shop.svc.Z"), "NXDOMAIN aa | ns SOA");
}

// H: headers and counts.

#[test]
fn h_qr_an_answer_is_not_answered() {
    let of = |opcode| a("Z").flags(flag::QR).opcode(opcode).octets();
    let mut messages: Vec<Vec<u8>> = (0..16).map(of).collect();
    messages.push(Packet::header(flag::QR).octets());
    check_silence(&messages);
}

/// Two servers, or one and itself, whose addresses were forged into each other's queries: whatever one says, the other
/// is silent.
#[test]
fn h_sport_no_server_answers_a_server() {
    let questions = [
        a("many.shop.svc.Z").edns(),
        a("nope.shop.svc.Z"),
        a("example.com"),
        a("Z").opcode(5),
        a("Z").count(0, 2),
        a("Z").opt(&Opt::version(1)),
    ];
    let said = questions.map(|packet| over_udp(&MUTE, &packet).octets);
    check_silence(&said);
}

#[test]
fn h_qd0_no_question() {
    check(&Packet::header(0), "FORMERR qd0");
    check(&Packet::header(0).edns(), "FORMERR qd0");
}

/// RFC 9619, section 4: more than one question is a format error.
#[test]
fn h_qd2_more_than_one_question() {
    let twice = a("Z").question(&wire("Z"), kind::A, 1);
    check(&twice, "FORMERR qd0");
    check(&a("Z").count(0, 2), "FORMERR qd0");
    check(&a("Z").count(0, 65_535), "FORMERR qd0");
    check(&a("Z").flags(flag::RD).count(0, 2), "FORMERR rd qd0");
}

#[test]
fn h_cnt_counts_that_lie() {
    let all = a("Z").count(1, 65_535).count(2, 65_535).count(3, 65_535);
    check(&all, "FORMERR qd0");
    for section in 1..=3 {
        for count in [1, 2, 3, 255, 256, 65_535] {
            check(&a("Z").count(section, count), "FORMERR qd0");
        }
    }
}

#[test]
fn h_an_a_question_that_brings_its_answer() {
    let answer = packet::record(&[0xC0, 12], kind::A, 1, 60, &[10, 0, 0, 1]);
    for section in 1..=3 {
        check(&a("Z").record(section, answer.clone()), "FORMERR qd0");
    }
}

#[test]
fn h_short_messages() {
    let header = a("Z").octets()[..12].to_vec();
    let shorter: Vec<Vec<u8>> = (0..12).map(|len| header[..len].to_vec()).collect();
    check_silence(&shorter);
    // A header that promises a question, and every part of that question.
    let whole = a("Z").octets();
    for len in 12..whole.len() {
        for reply in [RIG.udp(&whole[..len]), RIG.tcp(&whole[..len])] {
            let reply = Reply::read(&reply.expect("an answer"));
            assert_eq!(reply.verdict(), "FORMERR qd0", "{len} octets");
        }
    }
}

/// Octets behind the last record are passed over, as most servers do.
#[test]
fn h_trail_octets_behind_the_message() {
    let soa = Packet::ask("Z", kind::SOA);
    check(&soa.clone().trailer(&[0xAA; 16]), "NOERROR aa | an SOA");
    check(
        &soa.clone().edns().trailer(&[0]),
        "NOERROR aa | an SOA | opt v0 1232",
    );
    // A record that no count counts is not there: no EDNS.
    check(&soa.edns().count(3, 0), "NOERROR aa | an SOA");
}

// N: names.

/// "replaced with a pointer to a prior occurance of the same name" (RFC 1035, section 4.1.4): nothing is prior to a
/// question, so no pointer there can be sound (RFC 9267, section 2).
#[test]
fn n_ptr_no_pointer_in_a_question() {
    for (row, name) in [
        ("self", &[0xC0, 12][..]),
        ("forward", &[0xC0, 32]),
        ("header", &[0xC0, 0]),
        ("loop", &[1, b'a', 0xC0, 12]),
        ("out of bounds", &[0xFF, 0xFF]),
        ("cut", &[1, b'a', 0xC0]),
    ] {
        let packet = Packet::ask_wire(name, kind::A, 1).trailer(&[0; 64]);
        eprintln!("{row}");
        check(&packet, "FORMERR qd0");
    }
}

#[test]
fn n_lbl_no_label_is_longer_than_63() {
    for len in [64, 0x40, 0x41, 0x7F, 0x80, 0xBF] {
        let mut name = vec![len];
        name.extend([b'a'; 0xC0]);
        name.push(0);
        check(&Packet::ask_wire(&name, kind::A, 1), "FORMERR qd0");
    }
    let longest = [&[b'a'; 63][..], b"shop", b"svc", b"cluster", b"local"];
    let packet = Packet::ask_wire(&wire_of(&longest), kind::A, 1);
    check(&packet, "NXDOMAIN aa | ns SOA");
}

/// 255 octets on the wire, root label included (RFC 1035, section 2.3.4).
#[test]
fn n_len_no_name_is_longer_than_255() {
    let name_of = |len: usize| {
        // `cluster.local` takes 15 octets, every other label two, and one takes up what is odd.
        let spare = len - 15;
        let mut labels: Vec<&[u8]> = vec![b"a"; spare / 2 - spare % 2];
        if spare % 2 == 1 {
            labels.push(b"aa");
        }
        labels.extend([&b"cluster"[..], b"local"]);
        let name = wire_of(&labels);
        assert_eq!(name.len(), len);
        Packet::ask_wire(&name, kind::A, 1)
    };
    for len in [253, 254, 255] {
        check(&name_of(len), "NXDOMAIN aa | ns SOA");
        check(&name_of(len).edns(), "NXDOMAIN aa | ns SOA | opt v0 1232");
    }
    for len in [256, 257, 400] {
        check(&name_of(len), "FORMERR qd0");
    }
    let most = [&b"a"[..]; 127];
    check(&Packet::ask_wire(&wire_of(&most), kind::A, 1), "REFUSED");
    let more = [&b"a"[..]; 128];
    check(
        &Packet::ask_wire(&wire_of(&more), kind::A, 1),
        "FORMERR qd0",
    );
}

/// "any binary string whatever can be used as the label of any resource record" (RFC 2181, section 11).
#[test]
fn n_bytes_a_label_is_any_octets() {
    for label in [
        &b"a\0b"[..],
        b"a.b",
        b"\xFF\xFE",
        b"a b",
        b"a\\b",
        b"*",
        b"\x1B[31m",
    ] {
        let name = wire_of(&[label, b"shop", b"svc", b"cluster", b"local"]);
        check(&Packet::ask_wire(&name, kind::A, 1), "NXDOMAIN aa | ns SOA");
    }
    // A dot inside a label separates nothing.
    let name = wire_of(&[b"api.shop", b"svc", b"cluster", b"local"]);
    check(&Packet::ask_wire(&name, kind::A, 1), "NXDOMAIN aa | ns SOA");
}

/// RFC 9267: lengths, terminators and counts that do not agree with the message, in every section.
#[test]
fn n_9267_nothing_is_read_past_the_end() {
    // Section 3: a label longer than the message. Section 4: a name without its end.
    let beyond = Packet::ask_wire(&[63, b'a'], kind::A, 1);
    check(&beyond, "FORMERR qd0");
    let open = Packet::ask_wire(&[3, b'a', b'b', b'c'], kind::A, 1);
    check(&open, "FORMERR qd0");
    // Section 5: an RDLENGTH past the end, in the sections that a query may have.
    let opt = Opt::version(0).record();
    let with_len = |len: u16| [&opt[..9], &len.to_be_bytes()].concat();
    for len in [1, 4, 0x00FF, 0xFFFF] {
        check(&a("Z").record(3, with_len(len)), "FORMERR qd0");
    }
    let soa = packet::record(&[0xC0, 12], kind::SOA, 1, 0, &[]);
    let long = [&soa[..10], &[0xFF, 0xFF]].concat();
    let ixfr = Packet::ask("Z", kind::IXFR);
    check(&ixfr.clone().record(2, long), "FORMERR qd0");
    check(&ixfr.record(2, soa), "REFUSED");
    // Every record cut short.
    let whole = a("Z").edns().octets();
    for len in a("Z").octets().len()..whole.len() {
        let reply = Reply::read(&RIG.udp(&whole[..len]).expect("an answer"));
        assert_eq!(reply.verdict(), "FORMERR qd0", "{len} octets");
    }
}

// E: EDNS.

/// "If a query message with more than one OPT RR is received, a FORMERR (RCODE=1) MUST be returned" (RFC 6891,
/// section 6.1.1).
#[test]
fn e_2opt_two_opt_records() {
    check(&a("Z").edns().edns(), "FORMERR qd0");
}

/// The owner of OPT is the root (RFC 6891, section 6.1.2).
#[test]
fn e_owner_opt_belongs_to_the_root() {
    for owner in [&b"\x01a\0"[..], &[0xC0, 12], &[0xC0, 13]] {
        let opt = Opt {
            owner: owner.to_vec(),
            ..Opt::version(0)
        };
        check(&a("Z").opt(&opt), "FORMERR qd0");
    }
}

/// OPT stands in the additional section (RFC 6891, section 6.1.1).
#[test]
fn e_sect_opt_elsewhere() {
    for section in [1, 2] {
        let opt = Opt::version(0).record();
        check(&a("Z").record(section, opt.clone()), "FORMERR qd0");
        let ixfr = Packet::ask("Z", kind::IXFR);
        check(&ixfr.record(section, opt), "FORMERR qd0");
    }
}

#[test]
fn e_len_options_that_do_not_fit() {
    let rdata = |rdata: &[u8]| {
        let opt = packet::record(&[0], kind::OPT, 1232, 0, rdata);
        a("Z").record(3, opt)
    };
    check(&rdata(&[0, 100, 0, 1]), "FORMERR qd0");
    check(&rdata(&[0, 100, 0xFF, 0xFF]), "FORMERR qd0");
    check(&rdata(&[0, 100, 0]), "FORMERR qd0");
    check(&rdata(&[0, 100]), "FORMERR qd0");
    check(&rdata(&[0]), "FORMERR qd0");
    check(&rdata(&[0, 100, 0, 0]), "NOERROR aa | ns SOA | opt v0 1232");
}

/// "If a responder does not implement the VERSION level of the request, then it MUST respond with RCODE=BADVERS"
/// (RFC 6891, section 6.1.3).
#[test]
fn e_ver_only_version_0_exists() {
    for version in [1, 2, 100, 255] {
        check(&a("Z").opt(&Opt::version(version)), "BADVERS | opt v0 1232");
        // What stands in an OPT of another version is not for us to judge.
        let mut opt = Opt::version(version).record();
        opt[10] = 2;
        opt.extend([0, 100]);
        check(&a("Z").record(3, opt), "BADVERS | opt v0 1232");
    }
}

#[test]
fn e_erc_extended_rcode_in_a_question() {
    for extended_rcode in [1, 255] {
        let opt = Opt {
            extended_rcode,
            ..Opt::version(0)
        };
        let soa = Packet::ask("Z", kind::SOA).opt(&opt);
        check(&soa, "NOERROR aa | an SOA | opt v0 1232");
    }
}

/// RFC 5001, section 2: told to those who ask for it; what they send along is ignored.
#[test]
fn e_nsid_for_those_who_ask() {
    let soa = || Packet::ask("Z", kind::SOA);
    for payload in [&b""[..], b"payload"] {
        let asked = soa().opt(&Opt::version(0).option(3, payload));
        let reply = check(&asked, "NOERROR aa | an SOA | opt v0 1232 [3]");
        let id = reply.option(3).expect("NSID");
        assert_eq!(String::from_utf8(id).as_deref(), Ok("ns-1/1"));
        check_at(&MUTE, &asked, "NOERROR aa | an SOA | opt v0 1232");
    }
    check(&soa().edns(), "NOERROR aa | an SOA | opt v0 1232");
}

/// Answers do not depend on the client's network, so the option is passed over unread (RFC 7871, section 7.2.1 wants
/// FORMERR only from who processes it).
#[test]
fn e_ecs_is_ignored() {
    for data in [
        &[0, 1, 24, 0, 192, 0, 2][..],
        &[0, 9, 24, 0, 192, 0, 2],
        &[0, 1, 24, 0, 192],
        &[],
    ] {
        let soa = Packet::ask("Z", kind::SOA).opt(&Opt::version(0).option(8, data));
        check(&soa, "NOERROR aa | an SOA | opt v0 1232");
    }
}

/// "The DO bit of the query MUST be copied in the response" (RFC 3225, section 3).
#[test]
fn e_do_is_copied() {
    let with = |flags| a("api.shop.svc.Z").opt(&Opt::version(0).flags(flags));
    check(&with(DO), "NOERROR aa | an A | opt v0 1232 do");
    check(&with(0xFFFF), "NOERROR aa | an A | opt v0 1232 do");
    check(&with(0x7FFF), "NOERROR aa | an A | opt v0 1232");
    let cut = over_udp(&RIG, &a("many.shop.svc.Z").opt(&Opt::version(0).flags(DO)));
    assert!(cut.verdict().ends_with("| opt v0 1232 do"));
}

/// RFC 8914: why, for people, beside the code for programs; 14 not ready, 3 stale, 20 not ours.
#[test]
fn e_ede_says_why() {
    let mut config = rig::config();
    config.stale_after = Duration::ZERO;
    let rig = Rig::unsynced(&config);
    let plain = a("api.shop.svc.Z");
    let edns = plain.clone().edns();

    check_at(&rig, &plain, "SERVFAIL");
    let reply = check_at(&rig, &edns, "SERVFAIL | opt v0 1232 [15]");
    assert_eq!(reply.ede(), Some(14));

    rig.apply(&rig::shop());
    check_at(&rig, &edns, "NOERROR aa | an A | opt v0 1232");

    rig.lose_source();
    check_at(&rig, &plain, "NOERROR aa | an A");
    let reply = check_at(&rig, &edns, "NOERROR aa | an A | opt v0 1232 [15]");
    assert_eq!(reply.ede(), Some(3));
    let gone = a("nope.shop.svc.Z").edns();
    let reply = check_at(&rig, &gone, "NXDOMAIN aa | ns SOA | opt v0 1232 [15]");
    assert_eq!(reply.ede(), Some(3));
    let reply = check_at(&rig, &a("example.com").edns(), "REFUSED | opt v0 1232 [15]");
    assert_eq!(reply.ede(), Some(20));

    rig.apply(&rig::shop());
    check_at(&rig, &edns, "NOERROR aa | an A | opt v0 1232");
}
