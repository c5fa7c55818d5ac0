//! RFC 8906, section 8: the eighteen questions that show whether a server keeps to the protocol, each over UDP and
//! over TCP; section 6: no answer depends on the one before; and what ISC's DNS compliance testing (ednscomp) asks beyond.
//!
//! Questions are made byte by byte and answers taken apart likewise. An answer is expected as one line, see [`packet`].

mod packet;
mod rig;

use std::sync::LazyLock;

use packet::{DO, Opt, Packet, Reply, flag, kind};
use rig::Rig;

/// One server for all: every question must stand on its own.
static RIG: LazyLock<Rig> = LazyLock::new(|| {
    let mut config = rig::config();
    config.identity.id = Some("ns-1".to_owned());
    let many = rig::headless("many", 200);
    Rig::with(&config, &format!("{}\n---\n{many}", rig::shop()))
});

/// Codes of EDNS options.
const NSID: u16 = 3;
const SUBNET: u16 = 8;
const EXPIRE: u16 = 9;
const COOKIE: u16 = 10;
/// An option that no one has assigned.
const UNKNOWN: u16 = 100;

/// Sends the packet over UDP and TCP; what comes back must be the same octets, and this verdict.
fn check(packet: &Packet, expected: &str) {
    let over_udp = over_udp(packet);
    let over_tcp = over_tcp(packet);
    assert_eq!(over_udp.verdict(), expected, "over UDP: {packet:?}");
    assert_eq!(over_tcp.verdict(), expected, "over TCP: {packet:?}");
    assert_eq!(over_udp.octets, over_tcp.octets, "{packet:?}");
}

fn over_udp(packet: &Packet) -> Reply {
    let octets = RIG.udp(&packet.octets()).expect("an answer over UDP");
    kept_in_mind(packet, &octets)
}

fn over_tcp(packet: &Packet) -> Reply {
    let octets = RIG.tcp(&packet.octets()).expect("an answer over TCP");
    kept_in_mind(packet, &octets)
}

/// Id and question are the client's own, byte for byte.
fn kept_in_mind(packet: &Packet, octets: &[u8]) -> Reply {
    let reply = Reply::read(octets);
    assert_eq!(reply.id(), packet.id);
    if !reply.question.is_empty() {
        assert_eq!(reply.question, packet.sections[0].concat());
    }
    reply
}

/// `dig +noedns +noad +norec soa Z`
fn soa() -> Packet {
    Packet::ask("Z", kind::SOA)
}

const PLAIN: &str = "NOERROR aa | an SOA";
const EDNS: &str = "NOERROR aa | an SOA | opt v0 1232";
const BADVERS: &str = "BADVERS | opt v0 1232";

// 8.1: basic tests.

#[test]
fn r8906_8_1_1_is_the_server_configured_for_the_zone() {
    check(&soa(), PLAIN);
}

#[test]
fn r8906_8_1_2_unknown_types() {
    let alive = || {
        let a = Packet::ask("api.shop.svc.Z", kind::A);
        check(&a, "NOERROR aa | an A");
    };
    alive();
    check(&Packet::ask("Z", 1000), "NOERROR aa | ns SOA");
    alive();
}

#[test]
fn r8906_8_1_3_1_cd() {
    // CD may be set in the answer only by a server that does DNSSEC.
    check(&soa().flags(flag::CD), PLAIN);
}

#[test]
fn r8906_8_1_3_2_ad() {
    check(&soa().flags(flag::AD), PLAIN);
}

#[test]
fn r8906_8_1_3_3_reserved_bit() {
    check(&soa().flags(flag::Z), PLAIN);
}

#[test]
fn r8906_8_1_3_4_recursion_desired() {
    check(&soa().flags(flag::RD), "NOERROR aa rd | an SOA");
}

#[test]
fn r8906_8_1_4_unknown_opcodes() {
    check(&Packet::header(0).opcode(15), "NOTIMP op15 qd0");
    // With a question: nothing of it comes back.
    check(&soa().opcode(15), "NOTIMP op15 qd0");
}

#[test]
fn r8906_8_1_5_tcp() {
    assert_eq!(over_tcp(&soa()).verdict(), PLAIN);
    // Both ways round: UDP is asked in every other test.
    assert_eq!(over_udp(&soa()).octets, over_tcp(&soa()).octets);
}

// 8.2: extended DNS.

#[test]
fn r8906_8_2_1_minimal_edns() {
    check(&soa().opt(&Opt::version(0)), EDNS);
}

#[test]
fn r8906_8_2_2_edns_version_negotiation() {
    check(&soa().opt(&Opt::version(1)), BADVERS);
}

#[test]
fn r8906_8_2_3_unknown_edns_options() {
    check(&soa().opt(&Opt::version(0).option(UNKNOWN, &[])), EDNS);
    check(&soa().opt(&Opt::version(0).option(UNKNOWN, b"data")), EDNS);
}

#[test]
fn r8906_8_2_4_unknown_edns_flags() {
    check(&soa().opt(&Opt::version(0).flags(0x0040)), EDNS);
}

#[test]
fn r8906_8_2_5_version_negotiation_with_unknown_flags() {
    check(&soa().opt(&Opt::version(1).flags(0x0040)), BADVERS);
}

#[test]
fn r8906_8_2_6_version_negotiation_with_unknown_options() {
    check(&soa().opt(&Opt::version(1).option(UNKNOWN, &[])), BADVERS);
}

#[test]
fn r8906_8_2_7_truncated_answers() {
    let opt = Opt::version(0).size(512).flags(DO);
    // The zone is not signed, so the question for its keys says little ...
    let keys = Packet::ask("Z", kind::DNSKEY).opt(&opt);
    check(&keys, "NOERROR aa | ns SOA | opt v0 1232 do");
    // ... and the one for two hundred addresses says it.
    let many = Packet::ask("many.shop.svc.Z", kind::A).opt(&opt);
    let cut = over_udp(&many);
    assert!(cut.octets.len() <= 512);
    let addresses = "A ".repeat(cut.section(1).len());
    let expected = format!("NOERROR aa tc | an {addresses}| opt v0 1232 do");
    assert_eq!(cut.verdict(), expected);
    let whole = format!("NOERROR aa | an {}| opt v0 1232 do", "A ".repeat(200));
    assert_eq!(over_tcp(&many).verdict(), whole);
}

#[test]
fn r8906_8_2_8_dnssec_ok() {
    // No signature in the answer, so DO could be clear; RFC 3225, section 3 has it copied.
    let packet = soa().opt(&Opt::version(0).flags(DO));
    check(&packet, "NOERROR aa | an SOA | opt v0 1232 do");
}

#[test]
fn r8906_8_2_9_version_negotiation_with_dnssec_ok() {
    let packet = soa().opt(&Opt::version(1).flags(DO));
    check(&packet, "BADVERS | opt v0 1232 do");
}

/// `+cookie +nsid +expire +subnet=0.0.0.0/0`
fn options(version: u8) -> Opt {
    Opt::version(version)
        .option(NSID, &[])
        .option(SUBNET, &[0, 1, 0, 0])
        .option(EXPIRE, &[])
        .option(COOKIE, b"\x01\x02\x03\x04\x05\x06\x07\x08")
}

#[test]
fn r8906_8_2_10_multiple_defined_options() {
    // NSID is the one option of these that is answered.
    let packet = soa().opt(&options(0));
    check(&packet, "NOERROR aa | an SOA | opt v0 1232 [3]");
}

/// Section 6: an answer kept whole and given again has to be that of the same version, options and flags.
#[test]
fn r8906_6_answers_do_not_depend_on_the_questions_before() {
    let with = |opt: Opt| soa().opt(&opt);
    let mut questions = vec![
        (soa(), PLAIN),
        (soa().flags(flag::CD | flag::AD | flag::Z), PLAIN),
        (soa().flags(flag::RD), "NOERROR aa rd | an SOA"),
        (soa().opcode(15), "NOTIMP op15 qd0"),
        (Packet::ask("Z", 1000), "NOERROR aa | ns SOA"),
        (with(Opt::version(0)), EDNS),
        (with(Opt::version(0).size(512)), EDNS),
        (with(Opt::version(0).option(UNKNOWN, b"x")), EDNS),
        (with(Opt::version(0).flags(0x0040)), EDNS),
        (with(Opt::version(1)), BADVERS),
        (with(Opt::version(255)), BADVERS),
        (with(Opt::version(1).flags(0x0040)), BADVERS),
        (with(Opt::version(1).option(UNKNOWN, b"x")), BADVERS),
        (with(options(1)), BADVERS),
        (
            with(Opt::version(0).flags(DO)),
            "NOERROR aa | an SOA | opt v0 1232 do",
        ),
        (with(Opt::version(1).flags(DO)), "BADVERS | opt v0 1232 do"),
        (with(options(0)), "NOERROR aa | an SOA | opt v0 1232 [3]"),
        (
            with(options(0).flags(DO)).flags(flag::RD),
            "NOERROR aa rd | an SOA | opt v0 1232 do [3]",
        ),
    ];
    let mut chance = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..100_u16 {
        for last in (1..questions.len()).rev() {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            questions.swap(last, (chance % (last as u64 + 1)) as usize);
        }
        for (packet, expected) in &mut questions {
            packet.id = round;
            // Over one of the two, in turns by chance as well: connections are dear.
            let reply = if (chance ^ u64::from(round)) & 7 == 0 {
                over_tcp(packet)
            } else {
                over_udp(packet)
            };
            chance = chance.rotate_left(5);
            assert_eq!(reply.verdict(), *expected, "round {round}: {packet:?}");
        }
    }
}

/// Every row of ednscomp: what is sent, and the verdict.
fn ednscomp() -> Vec<(&'static str, Packet, &'static str)> {
    use flag::{AA, AD, CD, RA, RD, TC, Z};
    let edns = |opt: Opt| soa().opt(&opt);
    let keys = || Packet::ask("Z", kind::DNSKEY).opt(&Opt::version(0).size(512).flags(DO));
    let one = |version: u8, code: u16, data: &[u8]| edns(Opt::version(version).option(code, data));
    let cookie = b"\x01\x02\x03\x04\x05\x06\x07\x08";
    let opcode = Packet::header(0).opcode(15);
    let flags = opcode.clone().flags(AA | TC | RD | RA | Z | AD | CD);
    let with_cookie = || Opt::version(0).flags(DO).option(COOKIE, cookie);
    let signed = "NOERROR aa | an SOA | opt v0 1232 do";
    vec![
        ("GR-dns", soa(), PLAIN),
        ("GR-aa", soa().flags(AA), PLAIN),
        ("GR-ad", soa().flags(AD), PLAIN),
        ("GR-cd", soa().flags(CD), PLAIN),
        ("GR-rd", soa().flags(RD), "NOERROR aa rd | an SOA"),
        ("GR-zflag", soa().flags(Z), PLAIN),
        ("GR-ra", soa().flags(RA), PLAIN),
        ("GR-tc", soa().flags(TC), PLAIN),
        ("GR-opcode", opcode, "NOTIMP op15 qd0"),
        ("GR-opcodeflg", flags, "NOTIMP op15 qd0"),
        ("GR-type666", Packet::ask("Z", 666), "NOERROR aa | ns SOA"),
        ("GR-tcp", soa(), PLAIN),
        ("GR-edns", edns(Opt::version(0)), EDNS),
        ("GR-edns1", edns(Opt::version(1)), BADVERS),
        (
            "GR-edns@512",
            keys(),
            "NOERROR aa | ns SOA | opt v0 1232 do",
        ),
        ("GR-ednsopt", one(0, UNKNOWN, &[]), EDNS),
        ("GR-edns1opt", one(1, UNKNOWN, &[]), BADVERS),
        ("GR-do", edns(Opt::version(0).flags(DO)), signed),
        ("GR-docd", edns(Opt::version(0).flags(DO)).flags(CD), signed),
        (
            "GR-edns1do",
            edns(Opt::version(1).flags(DO)),
            "BADVERS | opt v0 1232 do",
        ),
        ("GR-ednsflags", edns(Opt::version(0).flags(0x0080)), EDNS),
        (
            "GR-optlist",
            edns(options(0)),
            "NOERROR aa | an SOA | opt v0 1232 [3]",
        ),
        (
            "GR-ednsnsid",
            one(0, NSID, &[]),
            "NOERROR aa | an SOA | opt v0 1232 [3]",
        ),
        ("GR-ednscookie", one(0, COOKIE, cookie), EDNS),
        ("GR-ednsexpire", one(0, EXPIRE, &[]), EDNS),
        ("GR-ednssubnet", one(0, SUBNET, &[0, 1, 0, 0]), EDNS),
        ("GR-edns1nsid", one(1, NSID, &[]), BADVERS),
        ("GR-edns1cookie", one(1, COOKIE, cookie), BADVERS),
        ("GR-edns1expire", one(1, EXPIRE, &[]), BADVERS),
        ("GR-edns1subnet", one(1, SUBNET, &[0, 1, 0, 0]), BADVERS),
        ("GR-ednstcp", keys(), "NOERROR aa | ns SOA | opt v0 1232 do"),
        ("GR-bind11", edns(with_cookie()), signed),
        (
            "GR-dig11",
            edns(with_cookie()).flags(AD | RD),
            "NOERROR aa rd | an SOA | opt v0 1232 do",
        ),
        // RFC 8945, section 5.2.1 wants a TSIG record with BADKEY in the answer. There are no keys to sign or to
        // name, so the code stands alone until there are.
        ("GR-dnswkk", well_known_key(), "NOTAUTH"),
    ]
}

/// A question signed with 32 zeros, by the root.
fn well_known_key() -> Packet {
    let mut rdata = packet::wire("hmac-sha256");
    rdata.extend([0; 6]);
    rdata.extend(300_u16.to_be_bytes());
    rdata.extend(32_u16.to_be_bytes());
    rdata.extend([0; 32]);
    rdata.extend(0x4242_u16.to_be_bytes());
    rdata.extend([0; 4]);
    let tsig = packet::record(&[0], kind::TSIG, kind::ANY, 0, &rdata);
    soa().record(3, tsig)
}

#[test]
fn gr_rows_of_ednscomp() {
    let rows = ednscomp();
    assert_eq!(rows.len(), 34, "33 rows, and the well-known key");
    for (id, packet, expected) in rows {
        eprintln!("{id}");
        check(&packet, expected);
    }
}

/// "no flag echoed" is more than the flags that have a name: the header is twelve octets, all known.
#[test]
fn gr_opcodeflg_comes_back_bare() {
    let packet = Packet::header(0x07FF & !0x000F).opcode(15);
    let bare = [0x42, 0x42, 0xF8, 0x04, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(RIG.udp(&packet.octets()).as_deref(), Some(&bare[..]));
    assert_eq!(RIG.tcp(&packet.octets()).as_deref(), Some(&bare[..]));
}

/// GR-TYPE-*: the 65 types that ednscomp asks for, A to DLV and TYPE1000.
#[test]
fn gr_type_rows_are_data_or_nodata() {
    let types: Vec<u16> = (1..=30)
        .chain([33, 35, 36, 37, 38, 39])
        .chain(42..=53)
        .chain([55, 59, 60, 61, 99])
        .chain(104..=109)
        .chain(256..=259)
        .chain([32769, 1000])
        .collect();
    assert_eq!(types.len(), 65);
    for qtype in types {
        let expected = match qtype {
            kind::NS => "NOERROR aa | an NS",
            kind::SOA => PLAIN,
            _ => "NOERROR aa | ns SOA",
        };
        check(&Packet::ask("Z", qtype), expected);
    }
}
