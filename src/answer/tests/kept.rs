//! Answers that stay with a client, asked as clients ask. Who keeps what is proved beside the hash; here is that all
//! questions of a client agree, and what makes a client.

use super::*;
use crate::model::Sticky;
use crate::records::testing::split;

/// Three of each version, of both families and of one; two of them with more ports.
const MIXED: &str = "v2 canary 30%: a+=10.2.0.1,fd00::2:1 b=10.2.0.2 c=fd00::2:3; \
                     v1 stable 70%: d=10.1.0.1,fd00::1:1 e+=10.1.0.2 f=fd00::1:3";

fn server(text: &str, by: Sticky) -> Server {
    let mut split = split(text);
    split.outcome.policy.sticky = by;
    let mut server = Server::plain();
    server.serve(&split);
    server
}

const SOURCE: Sticky = Sticky::Source { bits: 32 };

/// The answer to the client `peer`, over both transports the same: its records, then those beside it.
fn ask(server: &mut Server, peer: &str, text: &str, qtype: u16) -> Vec<String> {
    server.peer = peer.parse().unwrap();
    let tcp = server.ask(&name(text), qtype, Transport::Tcp, Some(1232));
    let udp = server.udp(text, qtype);
    assert_eq!(tcp.metadata.response_code, udp.metadata.response_code);
    let all = |message: &Message| [shown(&message.answers), shown(&message.additionals)].concat();
    assert_eq!(all(&tcp), all(&udp));
    all(&udp)
}

/// The version of an answer by its addresses, `10.2.0.1` and `fd00::2:1` being of version 2.
fn version(records: &[String]) -> char {
    let version = |text: &String| {
        let (_, address) = text.rsplit_once(' ').unwrap();
        let second = address
            .trim_start_matches("fd00::")
            .trim_start_matches("10.");
        second.chars().next().unwrap()
    };
    let versions: Vec<char> = records.iter().map(version).collect();
    assert!(
        versions.windows(2).all(|pair| pair[0] == pair[1]),
        "{records:?}"
    );
    versions[0]
}

fn peers() -> impl Iterator<Item = String> {
    (0..200).map(|host| format!("192.0.2.{host}"))
}

#[test]
fn a_client_keeps_one_endpoint_in_all_its_questions() {
    let mut server = server(MIXED, SOURCE);
    let own = "web.shop.svc.z";
    let mut seen = std::collections::BTreeSet::new();
    for peer in peers() {
        let a = ask(&mut server, &peer, own, rtype::A);
        let aaaa = ask(&mut server, &peer, own, rtype::AAAA);
        assert_eq!((a.len(), aaaa.len()), (1, 1));
        // Every version has both families: so it is one version, whatever the families of its endpoints.
        assert_eq!(version(&a), version(&aaaa), "{peer}");
        let srv = ask(&mut server, &peer, "_http._tcp.web.shop.svc.z", rtype::SRV);
        let bare = ask(&mut server, &peer, own, rtype::SRV);
        assert_eq!(ask(&mut server, &peer, own, rtype::A), a, "it stays");
        assert_eq!(ask(&mut server, &peer, own, rtype::ANY), a);
        let told = match (&*a[0], &*aaaa[0]) {
            // The pod of both families wins both, and its records bring both addresses along.
            ("5 A 10.2.0.1", "5 AAAA fd00::2:1") => {
                assert_eq!(
                    bare,
                    [
                        "5 SRV 0 256 8080 10-2-0-1",
                        "5 SRV 0 256 9000 10-2-0-1",
                        "5 SRV 0 256 7000 10-2-0-1",
                        "5 SRV 0 256 8080 fd00--2-1",
                        "5 SRV 0 256 9000 fd00--2-1",
                        "5 SRV 0 256 7000 fd00--2-1",
                        "5 A 10.2.0.1",
                        "5 AAAA fd00::2:1",
                    ]
                );
                "a"
            }
            ("5 A 10.1.0.1", "5 AAAA fd00::1:1") => "d",
            // Neither is of both families; SRV records of the one that wins among all.
            _ => "another",
        };
        seen.insert(told);
        let glue: Vec<&String> = srv.iter().filter(|r| !r.contains("SRV")).collect();
        match told {
            "a" | "d" => assert_eq!(glue, [&a[0], &aaaa[0]], "{peer}"),
            _ => assert!(
                glue.iter().all(|r| a.contains(r) || aaaa.contains(r)),
                "{srv:?}"
            ),
        }
        // What only some endpoints have is asked of those, and the winner is the winner there as well.
        let admin = ask(&mut server, &peer, "_admin._tcp.web.shop.svc.z", rtype::SRV);
        let of = |records: &[String]| -> Vec<String> {
            let glue = records.iter().filter(|r| !r.contains("SRV"));
            glue.cloned().collect()
        };
        assert_eq!(version(&of(&admin)), version(&a), "{peer}");
        if told == "a" {
            assert_eq!(of(&admin), of(&srv));
        }
    }
    assert_eq!(seen.len(), 3, "{seen:?}");
}

/// What is pinned, and the view of the whole, stay complete: they are asked for what they are.
#[test]
fn other_views_are_as_without() {
    let (mut kept, mut drawn) = (server(MIXED, SOURCE), server(MIXED, Sticky::Off));
    for view in ["all._role", "v1._version", "stable", "10-1-0-1"] {
        for qtype in [rtype::A, rtype::AAAA, rtype::SRV] {
            let text = format!("{view}.web.shop.svc.z");
            let [mut with, mut without] =
                [&mut kept, &mut drawn].map(|server| shown(&server.udp(&text, qtype).answers));
            with.sort();
            without.sort();
            assert_eq!(with, without, "{text}");
        }
    }
}

#[test]
fn a_version_without_the_family_gives_its_clients_to_the_others() {
    let text = "v2 canary 30%: a=10.2.0.1; v1 stable 70%: d=10.1.0.1,fd00::1:1";
    let mut server = server(text, SOURCE);
    let mut canary = 0;
    for peer in peers() {
        let own = "web.shop.svc.z";
        canary += usize::from(version(&ask(&mut server, &peer, own, rtype::A)) == '2');
        let aaaa = ask(&mut server, &peer, own, rtype::AAAA);
        assert_eq!(aaaa, ["5 AAAA fd00::1:1"]);
    }
    assert!((30..90).contains(&canary), "{canary} of 200");
}

#[test]
fn answers_are_counted_for_their_version() {
    let mut server = server(MIXED, SOURCE);
    let mut of_canary = 0;
    for peer in peers() {
        // Over both transports.
        let answer = ask(&mut server, &peer, "web.shop.svc.z", rtype::A);
        of_canary += 2 * u64::from(version(&answer) == '2');
    }
    let counts = server.worker.counts();
    assert_eq!(
        [counts.answers(0), counts.answers(1)],
        [of_canary, 400 - of_canary]
    );
}

/// The endpoint of a client, as the only record of its A answer.
fn kept(server: &mut Server, peer: &str) -> String {
    ask(server, peer, "web.shop.svc.z", rtype::A).concat()
}

/// Twenty endpoints, so that two clients that are not one have seldom the same.
fn twenty() -> String {
    let targets: Vec<String> = (1..=20).map(|n| format!("p{n}=10.1.0.{n}")).collect();
    format!("v1 stable 100%: {}", targets.join(" "))
}

#[test]
fn hosts_of_a_network_are_one_client_where_its_bits_say_so() {
    for (bits, one, other, alike) in [
        (32, "192.0.2.1", "192.0.2.2", false),
        (31, "192.0.2.2", "192.0.2.3", true),
        (24, "192.0.2.1", "192.0.2.254", true),
        (24, "192.0.2.1", "192.0.3.1", false),
        (1, "1.2.3.4", "127.4.3.2", true),
        // As a socket of both families tells it.
        (32, "192.0.2.1", "::ffff:192.0.2.1", true),
        (24, "192.0.2.1", "::ffff:192.0.2.254", true),
        // Of IPv6 it is a network of 64 bits, or all.
        (24, "2001:db8::1", "2001:db8::ffff:0:1", true),
        (24, "2001:db8::1", "2001:db8:0:1::1", false),
        (32, "2001:db8::1", "2001:db8::2", false),
    ] {
        let mut server = server(&twenty(), Sticky::Source { bits });
        let [one_keeps, other_keeps] = [one, other].map(|peer| kept(&mut server, peer));
        assert_eq!(
            one_keeps == other_keeps,
            alike,
            "/{bits}: {one} and {other}"
        );
    }
}

/// The OPT record's options of an answer, as octets, and its code.
fn with_options(server: &mut Server, options: &[u8]) -> (String, Vec<u8>, Rcode) {
    let query = query(&name("web.shop.svc.z"), rtype::A, Some((1232, options)));
    let answer = server.send(&query, Transport::Udp);
    let records = shown(&answer.answers).concat();
    // OPT is last: behind its owner, type, size and flags come the options with their length.
    let at = server
        .out
        .windows(3)
        .rposition(|octets| octets == [0, 0, 41]);
    let told = server.out[at.unwrap() + 11..].to_vec();
    let code = u16::from(answer.metadata.response_code);
    let rcode = Rcode::ALL.into_iter().find(|rcode| *rcode as u16 == code);
    assert!(rcode == Some(Rcode::NoError) || records.is_empty());
    (records, told, rcode.unwrap())
}

/// The client subnet option.
fn subnet(data: &[u8]) -> Vec<u8> {
    [&[0, 8, 0, u8::try_from(data.len()).unwrap()], data].concat()
}

#[test]
fn a_client_is_whom_the_resolver_tells_of() {
    let mut server = server(&twenty(), Sticky::Ecs);
    let from_afar = kept(&mut server, "198.51.100.7");
    server.peer = "192.0.2.1".parse().unwrap();
    let told = |server: &mut Server, data: &[u8]| with_options(server, &subnet(data));
    // The same address, told by a resolver: the same endpoint, and the scope is the prefix it was told by.
    let (records, echoed, _) = told(&mut server, &[0, 1, 32, 0, 198, 51, 100, 7]);
    assert_eq!(records, from_afar);
    assert_eq!(echoed, subnet(&[0, 1, 32, 32, 198, 51, 100, 7]));
    let (_, echoed, _) = told(&mut server, &[0, 1, 20, 0, 198, 51, 96]);
    assert_eq!(echoed, subnet(&[0, 1, 20, 20, 198, 51, 96]));
    let (of_network, echoed, _) = told(&mut server, &[0, 2, 48, 0, 0x20, 1, 0xD, 0xB8, 0, 1]);
    assert_eq!(echoed, subnet(&[0, 2, 48, 48, 0x20, 1, 0xD, 0xB8, 0, 1]));
    assert_eq!(of_network, kept(&mut server, "2001:db8:1::"));
    // Who does not want to be told of is as good as the resolver, and so are all of its clients.
    let resolver = kept(&mut server, "192.0.2.1");
    for nobody in [&[0, 1, 0, 0][..], &[0, 2, 0, 0]] {
        let (records, echoed, _) = told(&mut server, nobody);
        assert_eq!((records, echoed), (resolver.clone(), subnet(nobody)));
    }
    // A family that is not known tells nothing.
    let (records, echoed, rcode) = told(&mut server, &[0, 9, 8, 0, 10]);
    assert_eq!((records, echoed, rcode), (resolver, vec![], Rcode::NoError));
}

/// RFC 7871, section 6: "too few or too many ADDRESS octets, or non-zero bits beyond SOURCE PREFIX-LENGTH".
#[test]
fn a_malformed_subnet_is_a_format_error_where_it_is_read() {
    let malformed = [
        &[0, 1, 24, 0, 10, 1][..],
        &[0, 1, 24, 0, 10, 1, 2, 3],
        &[0, 1, 23, 0, 10, 1, 3],
        &[0, 1, 33, 0, 10, 1, 2, 3, 0],
        &[0, 1, 24, 24, 10, 1, 2],
        &[0],
    ];
    for data in malformed {
        let mut told = server(&twenty(), Sticky::Ecs);
        let (_, echoed, rcode) = with_options(&mut told, &subnet(data));
        assert_eq!((echoed, rcode), (vec![], Rcode::FormErr), "{data:?}");
        // Where nothing depends on it, it is not read.
        for by in [SOURCE, Sticky::Off] {
            let mut untold = server(&twenty(), by);
            let (_, echoed, rcode) = with_options(&mut untold, &subnet(data));
            assert_eq!((echoed, rcode), (vec![], Rcode::NoError), "{data:?}");
        }
    }
}

#[test]
fn a_subnet_is_told_again_only_where_the_answer_depends_on_it() {
    let data = [0, 1, 24, 0, 10, 1, 2];
    let mut told = server(&twenty(), Sticky::Ecs);
    for (text, qtype, echoes) in [
        ("web.shop.svc.z", rtype::A, true),
        ("web.shop.svc.z", rtype::SRV, true),
        ("_http._tcp.web.shop.svc.z", rtype::SRV, true),
        ("web.shop.svc.z", rtype::AAAA, false),
        ("all._role.web.shop.svc.z", rtype::A, false),
        ("10-1-0-1.web.shop.svc.z", rtype::A, false),
        ("_rollout.web.shop.svc.z", rtype::TXT, false),
        ("nope.shop.svc.z", rtype::A, false),
    ] {
        let options = subnet(&data);
        let query = query(&name(text), qtype, Some((1232, &options)));
        told.send(&query, Transport::Udp);
        let echo = subnet(&[0, 1, 24, 24, 10, 1, 2]);
        assert_eq!(told.out.ends_with(&echo), echoes, "{text} {qtype}");
    }
}

/// NSID and the subnet in one OPT record, and neither lost for the other.
#[test]
fn the_replica_and_its_generation_are_told_beside_the_subnet() {
    let mut told = server(&twenty(), Sticky::Ecs);
    told.view.set_generation(412);
    let options = [&[0, 3, 0, 0][..], &subnet(&[0, 1, 8, 0, 10])].concat();
    let (_, echoed, _) = with_options(&mut told, &options);
    let expected = [&subnet(&[0, 1, 8, 8, 10])[..], &[0, 3, 0, 5], b"n/412"].concat();
    assert_eq!(echoed, expected);
    // Also where nothing else is told.
    let (_, echoed, _) = with_options(&mut told, &[0, 3, 0, 0]);
    assert_eq!(echoed, [&[0, 3, 0, 5][..], b"n/412"].concat());
}
