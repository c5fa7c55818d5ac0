//! Static zones: what a file says is what is answered. The tests are named by the rows of the compliance table they are of.

mod rig;

use std::process::Command;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::RData;
use rig::{Offline, config, query, shown};
use shiftdns::answer::Transport;
use shiftdns::config::Config;
use shiftdns::wire::Name;
use shiftdns::zone::{Severity, StaticZone, Weights, master};

const HEAD: &str = "$TTL 300\n@ SOA ns host 7 7200 1800 86400 60\n@ NS ns\nns A 192.0.2.1\n";

/// Most of what a zone can have.
const ZONE: &str = "\
mail MX 10 ns
www A 192.0.2.10
www A 192.0.2.11
alias CNAME www
CaSe CNAME Www
out CNAME www.elsewhere.
gone CNAME nothing
a.b.ent TXT deep
*.wild TXT wild
host.wild A 192.0.2.20
*.walias CNAME www
sub NS ns.sub
sub NS ns
sub NS ns.elsewhere.
sub DS 1 8 2 AA
ns.sub A 192.0.2.30
ns.sub AAAA 2001:db8::30
below.sub TXT hidden
into CNAME x.sub
dn DNAME other
dn TXT own
x.other A 192.0.2.40
far DNAME x.elsewhere.
l1 CNAME l2
l2 CNAME l1
self CNAME self
strange TYPE666 \\# 4 01020304
_s._tcp SRV 0 5 80 www
svc HTTPS 1 . alpn=h2
";

fn read(name: &str, text: &str) -> (Name, Option<StaticZone>, Vec<String>) {
    let apex = Name::parse(name).expect("a name");
    let mut include = |_: &str, file: &str| Err(format!("no `{file}`"));
    let read = master::read("z", text.as_bytes(), &apex, &mut include);
    let (zone, findings) = StaticZone::of(&read, &apex, &Weights::default());
    let findings = findings.iter().map(|finding| {
        let line = finding.origin.as_ref().map_or(0, |origin| origin.line);
        format!("{line}: {finding}")
    });
    (apex, zone, findings.collect())
}

/// Publishes zones beside the cluster of `config`.
fn publish(offline: &mut Offline, zones: &[(&str, &str)]) {
    let zones = zones.iter().map(|(name, text)| {
        let (apex, zone, findings) = read(name, text);
        assert!(zone.is_some(), "{findings:?}");
        (apex, zone.map(Box::new))
    });
    offline.engine.set_static_zones(zones.collect(), Vec::new());
}

fn serve_with(config: &Config, zones: &[(&str, &str)]) -> Offline {
    let mut offline = Offline::with(config, &[]);
    publish(&mut offline, zones);
    offline
}

fn serve() -> Offline {
    serve_with(&config(), &[("example.test", &format!("{HEAD}{ZONE}"))])
}

fn ask(offline: &mut Offline, question: &str) -> String {
    let query = query(question);
    let shown = shown(offline.ask(&query, Transport::Udp).expect("an answer"));
    // hickory-proto knows these types as octets only, which it writes in base 64.
    [
        ("BW90aGVyB2V4YW1wbGUEdGVzdAA=", "other.example.test."),
        ("AXgJZWxzZXdoZXJlAA==", "x.elsewhere."),
        ("AAEIAqo=", "1 8 2 AA"),
    ]
    .into_iter()
    .fold(shown, |text, (octets, said)| text.replace(octets, said))
}

fn check(offline: &mut Offline, question: &str, expected: &str) {
    let lines = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let expected = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(ask(offline, question), expected, "{question}");
}

const NODATA: &str = "NOERROR aa\nauth example.test. 60 SOA";
const NXDOMAIN: &str = "NXDOMAIN aa\nauth example.test. 60 SOA";

/// "The TTL of this record is set from the minimum of the MINIMUM field of the SOA record and the TTL of the SOA itself" (RFC
/// 2308, section 3).
#[test]
fn s_nxd_and_s_nodata_carry_the_zones_own_soa() {
    let zones = serve();
    let mut zones = zones;
    check(&mut zones, "nothing.example.test A", NXDOMAIN);
    check(&mut zones, "www.example.test MX", NODATA);
    check(&mut zones, "x.www.example.test A", NXDOMAIN);
    check(&mut zones, "example.test A", NODATA);
    let query = query("example.test SOA");
    let answer = zones.ask(&query, Transport::Udp).expect("an answer");
    let message = rig::decode(answer);
    let RData::SOA(soa) = &message.answers[0].data else {
        panic!("{message:?}");
    };
    // The file's own, and not the clock's.
    assert_eq!((soa.serial, soa.refresh, soa.minimum), (7, 7200, 60));
    assert_eq!(soa.mname.to_string(), "ns.example.test.");
    check(
        &mut zones,
        "example.test NS",
        "NOERROR aa\nexample.test. 300 NS ns.example.test.\nadd ns.example.test. 300 A 192.0.2.1",
    );
    check(&mut zones, "www.elsewhere.test A", "REFUSED");
}

/// "empty non-terminals ... are domain names that own no resource records but have subdomains that do" (RFC 4592, section
/// 2.2.2): they exist.
#[test]
fn s_ent_names_with_names_below_exist() {
    let mut zones = serve();
    for name in ["ent", "b.ent", "wild", "_tcp"] {
        check(&mut zones, &format!("{name}.example.test A"), NODATA);
    }
    check(&mut zones, "c.ent.example.test A", NXDOMAIN);
}

/// RFC 4592, section 2.2.1: its own examples.
#[test]
fn s_wild_the_examples_of_rfc_4592() {
    let text = "$ORIGIN example.
$TTL 3600
@ SOA a b 1 2 3 4 5
@ NS ns.example.com.
@ NS ns.example.net.
*.example. TXT \"this is a wildcard\"
*.example. MX 10 host1.example.
sub.*.example. TXT \"this is not a wildcard\"
host1.example. A 192.0.2.1
_ssh._tcp.host1.example. SRV 0 0 22 host1
_ssh._tcp.host2.example. SRV 0 0 22 host1
subdel.example. NS ns.example.com.
subdel.example. NS ns.example.net.
";
    let mut zones = serve_with(&config(), &[("example", text)]);
    let soa = "auth example. 5 SOA";
    let nodata = format!("NOERROR aa\n{soa}");
    let nxdomain = format!("NXDOMAIN aa\n{soa}");
    let referral = "NOERROR\nauth subdel.example. 3600 NS ns.example.com.\nauth subdel.example. 3600 NS ns.example.net.";
    for (question, expected) in [
        (
            "host3.example MX",
            "NOERROR aa\nhost3.example. 3600 MX 10 host1.example.\nadd host1.example. 3600 A 192.0.2.1",
        ),
        ("host3.example A", &nodata),
        (
            "foo.bar.example TXT",
            "NOERROR aa\nfoo.bar.example. 3600 TXT \"this is a wildcard\"",
        ),
        ("host1.example MX", &nodata),
        ("sub.*.example MX", &nodata),
        ("_telnet._tcp.host1.example SRV", &nxdomain),
        ("host.subdel.example A", referral),
        ("ghost.*.example MX", &nxdomain),
    ] {
        check(&mut zones, question, expected);
    }
}

#[test]
fn s_wild_s_wild_nodata_and_s_wild_lit() {
    let mut zones = serve();
    check(
        &mut zones,
        "foo.bar.wild.example.test TXT",
        "NOERROR aa\nfoo.bar.wild.example.test. 300 TXT \"wild\"",
    );
    check(&mut zones, "foo.wild.example.test A", NODATA);
    check(
        &mut zones,
        "*.wild.example.test TXT",
        "NOERROR aa\n*.wild.example.test. 300 TXT \"wild\"",
    );
    check(&mut zones, "host.wild.example.test TXT", NODATA);
    check(&mut zones, "x.host.wild.example.test TXT", NXDOMAIN);
    let found = ask(&mut zones, "q.walias.example.test AAAA");
    assert_eq!(
        found,
        "NOERROR aa\nq.walias.example.test. 300 CNAME www.example.test.\nauth example.test. 60 SOA"
    );
}

#[test]
fn s_cname_targets_of_our_zones_are_followed() {
    let mut zones = serve();
    let www = "www.example.test. 300 A 192.0.2.10\nwww.example.test. 300 A 192.0.2.11";
    check(
        &mut zones,
        "alias.example.test A",
        &format!("NOERROR aa\nalias.example.test. 300 CNAME www.example.test.\n{www}"),
    );
    check(
        &mut zones,
        "alias.example.test CNAME",
        "NOERROR aa\nalias.example.test. 300 CNAME www.example.test.",
    );
    check(
        &mut zones,
        "out.example.test A",
        "NOERROR aa\nout.example.test. 300 CNAME www.elsewhere.",
    );
    check(
        &mut zones,
        "gone.example.test A",
        "NXDOMAIN aa\ngone.example.test. 300 CNAME nothing.example.test.\nauth example.test. 60 SOA",
    );
    // Letters stay as they were written.
    let query = query("case.example.test CNAME");
    let answer = zones
        .ask(&query, Transport::Udp)
        .expect("an answer")
        .to_vec();
    assert!(
        answer.windows(4).any(|octets| octets == b"\x03Www"),
        "{answer:?}"
    );
}

#[test]
fn s_cname_loop_chains_are_bounded() {
    let chain: String = (0..100)
        .map(|n| format!("c{n} CNAME c{}\n", n + 1))
        .collect();
    let text = format!("{HEAD}{ZONE}{chain}c100 A 192.0.2.9\n");
    let mut zones = serve_with(&config(), &[("example.test", &text)]);
    check(
        &mut zones,
        "l1.example.test A",
        "NOERROR aa\nl1.example.test. 300 CNAME l2.example.test.\nl2.example.test. 300 CNAME l1.example.test.",
    );
    check(
        &mut zones,
        "self.example.test A",
        "NOERROR aa\nself.example.test. 300 CNAME self.example.test.",
    );
    let found = ask(&mut zones, "c0.example.test A");
    assert_eq!(found.matches(" CNAME ").count(), 16, "{found}");
    assert!(found.starts_with("NOERROR aa\n"), "{found}");
    let found = ask(&mut zones, "c85.example.test A");
    assert!(
        found.ends_with("c99.example.test. 300 CNAME c100.example.test."),
        "{found}"
    );
    assert!(
        found.contains("c100.example.test. 300 A 192.0.2.9"),
        "{found}"
    );
}

/// "a referral ... AA clear, NS RRs in authority, addresses in additional" (RFC 1034, section 4.3.2, step 3b).
#[test]
fn s_ref_below_a_delegation_others_are_named() {
    let mut zones = serve();
    let servers = "auth sub.example.test. 300 NS ns.elsewhere.
        auth sub.example.test. 300 NS ns.example.test.
        auth sub.example.test. 300 NS ns.sub.example.test.
        add ns.example.test. 300 A 192.0.2.1
        add ns.sub.example.test. 300 A 192.0.2.30
        add ns.sub.example.test. 300 AAAA 2001:db8::30";
    for question in [
        "x.sub.example.test A",
        "sub.example.test A",
        "sub.example.test NS",
        "sub.example.test SOA",
        "below.sub.example.test TXT",
        "ns.sub.example.test A",
        "x.y.z.sub.example.test ANY",
        "x.sub.example.test DS",
    ] {
        check(&mut zones, question, &format!("NOERROR\n{servers}"));
    }
    // What leads there is ours.
    check(
        &mut zones,
        "into.example.test A",
        &format!("NOERROR aa\ninto.example.test. 300 CNAME x.sub.example.test.\n{servers}"),
    );
    // "the DS RRset is on the parent's side" (RFC 4035, section 3.1.4.1).
    let found = ask(&mut zones, "sub.example.test DS");
    assert!(
        found.starts_with("NOERROR aa\nsub.example.test. 300 DS 1 "),
        "{found}"
    );
}

#[test]
fn s_ref_of_a_zone_that_is_ours_too_it_is_the_answer_and_ds_the_parents() {
    let parent =
        format!("{HEAD}child NS ns.child\nns.child A 192.0.2.5\nchild DS 1 8 2 AA\nplain NS ns\n");
    let child = "$TTL 30\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.5\nx A 192.0.2.6\n";
    let zones = [
        ("example.test", &*parent),
        ("child.example.test", child),
        ("plain.example.test", child),
    ];
    let mut zones = serve_with(&config(), &zones);
    check(
        &mut zones,
        "x.child.example.test A",
        "NOERROR aa\nx.child.example.test. 30 A 192.0.2.6",
    );
    check(
        &mut zones,
        "y.child.example.test A",
        "NXDOMAIN aa\nauth child.example.test. 5 SOA",
    );
    let found = ask(&mut zones, "child.example.test DS");
    assert!(
        found.starts_with("NOERROR aa\nchild.example.test. 300 DS 1 "),
        "{found}"
    );
    check(&mut zones, "plain.example.test DS", NODATA);
    check(&mut zones, "example.test DS", NODATA);
}

/// "whole glue ... MUST set the TC" (RFC 9471, section 3.1): what a resolver cannot do without.
#[test]
fn s_ref_glue_that_does_not_fit_sets_tc() {
    let servers: String = (0..13)
        .map(|n| format!("sub NS a-long-name-of-a-server-{n}.sub\na-long-name-of-a-server-{n}.sub AAAA 2001:db8::{n}\n"))
        .collect();
    let text = format!("{HEAD}{servers}");
    let mut zones = serve_with(&config(), &[("example.test", &text)]);
    let plain = plain("x.sub.example.test", 1);
    let answer = zones
        .ask(&plain, Transport::Udp)
        .expect("an answer")
        .to_vec();
    assert!(answer.len() <= 512);
    assert!(rig::decode(&answer).metadata.truncation);
    let answer = zones
        .ask(&plain, Transport::Tcp)
        .expect("an answer")
        .to_vec();
    let message = rig::decode(&answer);
    assert!(!message.metadata.truncation);
    assert_eq!(
        (message.authorities.len(), message.additionals.len()),
        (13, 13)
    );
}

/// RFC 6672, section 2.2 and its table 1.
#[test]
fn dnames_rename_what_is_below_them() {
    let mut zones = serve();
    let dname = "dn.example.test. 300 DNAME other.example.test.";
    check(
        &mut zones,
        "x.dn.example.test A",
        &format!(
            "NOERROR aa\n{dname}\nx.dn.example.test. 300 CNAME x.other.example.test.\nx.other.example.test. 300 A 192.0.2.40"
        ),
    );
    check(
        &mut zones,
        "x.dn.example.test CNAME",
        &format!("NOERROR aa\n{dname}\nx.dn.example.test. 300 CNAME x.other.example.test."),
    );
    check(
        &mut zones,
        "y.dn.example.test A",
        &format!(
            "NXDOMAIN aa\n{dname}\ny.dn.example.test. 300 CNAME y.other.example.test.\nauth example.test. 60 SOA"
        ),
    );
    check(
        &mut zones,
        "dn.example.test DNAME",
        &format!("NOERROR aa\n{dname}"),
    );
    check(
        &mut zones,
        "dn.example.test TXT",
        "NOERROR aa\ndn.example.test. 300 TXT \"own\"",
    );
    check(&mut zones, "dn.example.test A", NODATA);
    check(
        &mut zones,
        "a.b.far.example.test A",
        "NOERROR aa\na.b.far.example.test. 300 CNAME a.b.x.elsewhere.\nfar.example.test. 300 DNAME x.elsewhere.",
    );
    // One that leads below itself never ends, and stands in the answer once (RFC 2181, section 5).
    let mut growing = serve_with(
        &config(),
        &[("example.test", &format!("{HEAD}g DNAME h.g\n"))],
    );
    let found = ask(&mut growing, "x.g.example.test A");
    assert_eq!(
        (
            found.matches(" DNAME ").count(),
            found.matches(" CNAME ").count()
        ),
        (1, 16),
        "{found}"
    );
    let label = "a".repeat(60);
    let long = format!("{label}.{label}.{label}.{}.dn.example.test", "b".repeat(53));
    let found = ask(&mut zones, &format!("{long} A"));
    assert_eq!(found, format!("YXDOMAIN aa\n{dname}"));
}

/// "Z-512": at most 512 octets without EDNS, TC, and nothing behind the last record; "Z-TCP": whole.
#[test]
fn z_512_z_edns_and_z_tcp_large_sets() {
    let addresses: String = (0..200).map(|n| format!("big A 10.0.0.{n}\n")).collect();
    let text = format!("{HEAD}{addresses}");
    let mut zones = serve_with(&config(), &[("example.test", &text)]);
    let asked = plain("big.example.test", 1);
    let answer = zones
        .ask(&asked, Transport::Udp)
        .expect("an answer")
        .to_vec();
    let message = rig::decode(&answer);
    assert!(answer.len() <= 512 && message.metadata.truncation && !message.answers.is_empty());
    let answer = zones
        .ask(&query("big.example.test A"), Transport::Udp)
        .expect("an answer")
        .to_vec();
    assert!((513..=1232).contains(&answer.len()), "{}", answer.len());
    assert!(rig::decode(&answer).metadata.truncation);
    let answer = zones
        .ask(&asked, Transport::Tcp)
        .expect("an answer")
        .to_vec();
    let message = rig::decode(&answer);
    assert!(!message.metadata.truncation);
    assert_eq!(message.answers.len(), 200);
}

#[test]
fn s_3597_unknown_data_is_served_octet_by_octet() {
    let mut zones = serve();
    let answer = zones
        .ask(&plain("strange.example.test", 666), Transport::Udp)
        .expect("an answer")
        .to_vec();
    let message = rig::decode(&answer);
    assert_eq!(
        (message.answers.len(), message.metadata.authoritative),
        (1, true)
    );
    assert!(answer.ends_with(&[0, 4, 1, 2, 3, 4]), "{answer:?}");
}

#[test]
fn s_rrset_one_ttl_and_no_duplicates() {
    let text = format!(
        "{HEAD}a 60 A 192.0.2.1\na 30 A 192.0.2.2\na A 192.0.2.1\nb MX 1 Www\nb MX 1 wWW\n"
    );
    let (_, zone, findings) = read("example.test", &text);
    assert_eq!(
        findings[0],
        "6: warning: the TTL 30 is not that of the other A records of `a.example.test.`, 60; the smallest is taken"
    );
    assert!(zone.is_some());
    let mut zones = serve_with(&config(), &[("example.test", &text)]);
    check(
        &mut zones,
        "a.example.test A",
        "NOERROR aa\na.example.test. 30 A 192.0.2.1\na.example.test. 30 A 192.0.2.2",
    );
    let found = ask(&mut zones, "b.example.test MX");
    assert_eq!(found.matches(" MX ").count(), 1);
}

#[test]
fn s_any_is_one_set() {
    let mut zones = serve();
    let found = ask(&mut zones, "example.test ANY");
    assert_eq!(
        found,
        "NOERROR aa\nexample.test. 300 NS ns.example.test.\nadd ns.example.test. 300 A 192.0.2.1"
    );
}

/// A query of any type, without EDNS.
fn plain(name: &str, qtype: u16) -> Vec<u8> {
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    let mut asked = Query::query(rig::parse_name(name), qtype.into());
    asked.set_query_class(hickory_proto::rr::DNSClass::IN);
    message.add_query(asked);
    message.to_vec().expect("encodes")
}

/// Whether `named-checkzone` loads the zone; `None` where it is not installed.
fn bind_loads(text: &str) -> Option<bool> {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("zone");
    std::fs::write(&file, text).expect("written");
    let output = Command::new("named-checkzone")
        .arg("example.test")
        .arg(&file)
        .output()
        .ok()?;
    Some(output.status.success())
}

/// What is an error is one for `named-checkzone` as well, and the other way round.
#[test]
fn errors_and_warnings_are_those_of_named_checkzone() {
    let mut differ = Vec::new();
    for (body, errors, warnings) in [
        ("", 0, 0),
        ("d DNAME x.example.\na.d A 192.0.2.1", 0, 1),
        ("d DNAME x.example.\nd NS ns", 0, 0),
        ("d DNAME x.example.\nd CNAME ns", 1, 0),
        ("d DNAME x.example.\nd DNAME y.example.", 1, 0),
        ("*.d NS ns", 1, 0),
        ("*.d CNAME ns", 0, 0),
        ("@ MX 10 nomx", 0, 1),
        ("@ MX 10 al\nal CNAME ns", 0, 1),
        ("@ MX 0 .", 0, 0),
        ("_s._tcp SRV 0 0 1 nosrv", 0, 1),
        ("_s._tcp SRV 0 0 1 al\nal CNAME ns", 0, 1),
        ("_s._tcp SRV 0 0 0 .", 0, 0),
        ("@ NS al\nal CNAME ns", 1, 0),
        ("@ NS nons", 1, 0),
        ("@ NS x.wild\n*.wild A 192.0.2.7", 0, 0),
        ("@ NS ns.elsewhere.", 0, 0),
        ("sub NS ns.sub", 0, 1),
        ("sub NS al\nal CNAME ns", 0, 1),
        ("sub NS ns.sub\nns.sub A 192.0.2.9\nx.sub TXT x", 0, 1),
        ("sub NS nons2", 0, 1),
        ("sub NS ns.sub2\nsub2 NS ns.sub2", 0, 2),
        ("d DNAME x.example.\nsub NS q.d", 0, 1),
        ("d DNAME x.example.\n@ MX 1 q.d", 0, 1),
        ("a CNAME b\na TXT x", 1, 0),
        ("a CNAME b\na CNAME c", 1, 0),
        ("a CNAME b\na CNAME B", 0, 0),
        ("a A 1.2.3.4\na A 1.2.3.4", 0, 0),
        ("a 5 A 1.2.3.4\na 6 A 1.2.3.5", 0, 1),
        ("a.b.other. A 1.2.3.4", 0, 1),
        ("sub SOA a b 1 2 3 4 5", 1, 0),
        ("@ SOA ns host 2 2 3 4 5", 1, 0),
        ("a.*.b A 1.2.3.4", 0, 2),
        ("_x A 1.2.3.4", 0, 1),
        ("@ CNAME x", 1, 0),
        ("@ DNAME x.example.", 1, 1),
        ("x A 1.2.3.4\nx 300 CH TXT a", 1, 0),
        ("x PTR a b", 1, 0),
        ("x TXT \"a", 1, 0),
        ("x TXT ( a", 1, 0),
        ("x A 1.2.3", 1, 0),
        ("x TYPE666 \\# 4 01020304", 0, 0),
        ("x A \\# 4 01020304", 0, 0),
        ("x A \\# 3 010203", 1, 0),
        ("$INCLUDE nothing", 1, 0),
        ("$GENERATE 1-3 h$ A 1.2.3.$", 0, 0),
        ("x SVCB 1 . alpn=h2 port=5", 0, 0),
        ("x SVCB 1 . mandatory=alpn", 1, 0),
        ("x SVCB 1 . alpn", 1, 0),
        ("x CAA 0 issue \"ca\"", 0, 0),
        ("x LOC 42 21 54 N 71 06 18 W -24m 30m", 0, 0),
    ] {
        let text = format!("{HEAD}{body}\n");
        let (_, zone, findings) = read("example.test", &text);
        let warning = |finding: &&String| finding.contains(": warning: ");
        let warned = findings.iter().filter(warning).count();
        let found = (findings.len() - warned, warned);
        if found != (errors, warnings) {
            differ.push(format!("{body:?}: {findings:?}"));
        }
        assert_eq!(zone.is_some(), errors == 0, "{body}: {findings:?}");
        if let Some(loads) = bind_loads(&text)
            && loads != (errors == 0)
        {
            differ.push(format!("{body:?}: BIND loads it: {loads}"));
        }
    }
    for text in [
        "$TTL 300\n@ NS ns\nns A 192.0.2.1\n",
        "$TTL 300\n@ SOA a b 1 2 3 4 5\n",
        "",
    ] {
        let (_, zone, _) = read("example.test", text);
        assert!(zone.is_none(), "{text}");
        assert_ne!(bind_loads(text), Some(true), "{text}");
    }
    assert_eq!(differ, Vec::<String>::new());
    assert!(Severity::Error < Severity::Warning);
}
