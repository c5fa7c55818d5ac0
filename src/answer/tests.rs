mod cut_over;
mod factors;
mod kept;

use std::net::Ipv4Addr;

use hickory_proto::op::Message;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

use super::*;
use crate::records::{self, testing::Split};
use crate::store::{self, Publisher};
use crate::wire::{BodyBuilder, Name};
use crate::zone::{self, Alias, Authority, Slots, ZoneKind, Zones};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// The zone `z` with nothing in it, and one worker.
struct Server {
    view: View,
    publisher: Publisher,
    worker: Worker,
    /// Who asks, and when.
    peer: IpAddr,
    now: u64,
    out: Vec<u8>,
}

impl Server {
    fn new(apex: &Name, soa_names: &Authority, limits: Limits) -> Self {
        let (store, publisher) = store::new();
        let kind = ZoneKind::Cluster;
        let zone = Zone::new(apex.clone(), kind, soa_names, 30, 5);
        let identity = Identity::new("n", "");
        let view = View::new(store, Zones::new(vec![zone]), identity, limits);
        view.set_synced();
        Self {
            view,
            publisher,
            worker: Worker::new(7),
            peer: Ipv4Addr::LOCALHOST.into(),
            now: 1,
            out: Vec::new(),
        }
    }

    fn plain() -> Self {
        let root = Authority {
            server: Name::root(),
            mname: Name::root(),
            rname: Name::root(),
        };
        Self::new(&name("z"), &root, Limits::default())
    }

    fn publish(&mut self, text: &str, sets: Vec<(u16, Set)>) {
        let (name, apex) = (name(text), name("z"));
        self.publisher.publish(&name, &apex, Some(Node::of(sets)));
    }

    /// Publishes the service of a split, its answers counted in the slots 0, 1 and so on, by version.
    fn serve(&mut self, split: &Split) {
        let settings = records::Settings::default();
        let records = records::compile(&split.view, &split.outcome, &settings);
        let slots = Slots {
            a: Some(0),
            aaaa: Some(1),
            versions: (0..).take(split.outcome.versions.len()).collect(),
        };
        let encoded = zone::encode(&records, &name("z"), &slots, 1).unwrap();
        assert_eq!(encoded.problems, []);
        self.publisher
            .publish(&encoded.name, &name("z"), encoded.node);
    }

    fn alias(&mut self, from: &str, to: &str) {
        let target = name(to);
        let mut body = BodyBuilder::default();
        body.push(rtype::CNAME, 5, target.as_wire());
        let set = Set::Alias(Arc::new(Alias {
            body: body.build(),
            target: QueryName::from(&target),
            addresses: Sets::default(),
        }));
        self.publish(from, vec![(rtype::CNAME, set)]);
    }

    /// Asks with EDNS of `udp_size`, or without.
    fn ask(
        &mut self,
        name: &Name,
        qtype: u16,
        transport: Transport,
        udp_size: Option<u16>,
    ) -> Message {
        let opt = udp_size.map(|size| (size, &[][..]));
        self.send(&query(name, qtype, opt), transport)
    }

    fn send(&mut self, query: &[u8], transport: Transport) -> Message {
        let (view, worker, out) = (&self.view, &mut self.worker, &mut self.out);
        let verdict = respond(query, self.peer, transport, view, worker, self.now, out);
        assert_eq!(verdict, Verdict::Reply);
        let mut decoder = BinDecoder::new(&self.out);
        let message = Message::read(&mut decoder).unwrap();
        assert!(decoder.is_empty());
        message
    }

    fn udp(&mut self, text: &str, qtype: u16) -> Message {
        self.ask(&name(text), qtype, Transport::Udp, Some(1232))
    }
}

/// A query, with an OPT record of this UDP size and these octets of options, or without.
fn query(name: &Name, qtype: u16, opt: Option<(u16, &[u8])>) -> Vec<u8> {
    let with_opt = u8::from(opt.is_some());
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, with_opt];
    query.extend_from_slice(name.as_wire());
    query.extend(qtype.to_be_bytes());
    query.extend([0, 1]);
    if let Some((udp_size, options)) = opt {
        query.extend([0, 0, 41]);
        query.extend(udp_size.to_be_bytes());
        query.extend([0; 4]);
        query.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
        query.extend_from_slice(options);
    }
    query
}

/// Records in their order, as `5 A 10.0.0.1`; of names, what stands in front of the service's own.
fn shown(records: &[hickory_proto::rr::Record]) -> Vec<String> {
    let record = |record: &hickory_proto::rr::Record| {
        format!("{} {} {}", record.ttl, record.record_type(), record.data)
            .replace(".web.shop.svc.z.", "")
    };
    records.iter().map(record).collect()
}

fn addresses(count: u32) -> Set {
    let mut body = BodyBuilder::default();
    for i in 0..count {
        body.push_address(5, Ipv4Addr::from_bits(0x0A00_0000 + i).into());
    }
    Set::Fixed(Arc::new(body.build()))
}

/// Owners and targets, as `a>b b>c`.
fn links(message: &Message) -> String {
    let link = |record: &hickory_proto::rr::Record| format!("{}>{}", record.name, record.data);
    let all: Vec<String> = message.answers.iter().map(link).collect();
    all.join(" ").replace(".z.", "")
}

#[test]
fn circles_of_aliases_are_left_before_they_close() {
    let mut server = Server::plain();
    for (from, to) in [
        ("a.z", "b.z"),
        ("b.z", "c.z"),
        ("c.z", "b.z"),
        ("s.z", "s.z"),
    ] {
        server.alias(from, to);
    }
    for (asked, expected) in [("s.z", "s>s"), ("b.z", "b>c c>b"), ("a.z", "a>b b>c c>b")] {
        let answer = server.udp(asked, rtype::A);
        assert_eq!(links(&answer), expected);
        assert_eq!(answer.metadata.response_code.low(), 0);
    }
}

#[test]
fn chains_are_followed_for_eight_links() {
    for (length, reached) in [(1, true), (8, true), (9, false), (50, false)] {
        let mut server = Server::plain();
        for link in 0..length {
            server.alias(&format!("{link}.z"), &format!("{}.z", link + 1));
        }
        server.publish(&format!("{length}.z"), vec![(rtype::A, addresses(1))]);
        let answer = server.udp("0.z", rtype::A);
        let last = answer.answers.last().map(|record| record.record_type());
        assert_eq!(last == Some(rtype::A.into()), reached, "{length} links");
        assert_eq!(answer.answers.len(), length.min(8) + 1);
    }
}

/// What follows an alias that did not fit is not there either, and nothing points past the end.
#[test]
fn a_chain_is_cut_like_any_answer() {
    let mut server = Server::plain();
    let long = |i: u32| format!("{i}.{}.{}.z", "a".repeat(60), "b".repeat(60));
    for link in 0..8 {
        server.alias(&long(link), &long(link + 1));
    }
    for size in 512..1300 {
        let answer = server.ask(&name(&long(0)), rtype::A, Transport::Udp, Some(size));
        // The chain ends at a name that does not exist; alias and SOA are whole or not there.
        assert!(server.out.len() <= usize::from(size.min(1232)));
        let whole = answer.answers.len() == 8 && answer.authorities.len() == 1;
        assert_eq!(answer.metadata.truncation, !whole, "{size}");
    }
}

/// Everything as long as it may be: the question, both names of the SOA, and so the SOA itself, 530 octets.
#[test]
fn the_longest_names_make_sound_negative_answers() {
    let label = |octet: &str, len| octet.repeat(len);
    let longest = |octet: &str| {
        let three = format!("{0}.{0}.{0}", label(octet, 63));
        name(&format!("{three}.{}.z", label(octet, 59)))
    };
    let names = Authority {
        server: longest("m"),
        mname: longest("m"),
        rname: longest("r"),
    };
    assert_eq!(names.mname.as_wire().len(), 255);
    let mut server = Server::new(&name("z"), &names, Limits::default());
    let asked = longest("q");
    for (transport, udp_size, whole) in [
        (Transport::Udp, None, false),
        (Transport::Udp, Some(512), false),
        (Transport::Udp, Some(1232), true),
        (Transport::Tcp, None, true),
        (Transport::Tcp, Some(512), true),
    ] {
        let answer = server.ask(&asked, rtype::A, transport, udp_size);
        assert_eq!(answer.metadata.response_code.low(), 3);
        assert_eq!(answer.authorities.len(), usize::from(whole));
        assert_eq!(answer.metadata.truncation, !whole);
        assert!(whole || server.out.len() <= 512);
    }
}

/// An apex of 255 octets has no room below it, and is a name like any other.
#[test]
fn the_longest_apex_is_answered() {
    let label = "z".repeat(63);
    let apex = name(&format!("{label}.{label}.{label}.{}", "z".repeat(61)));
    let root = Authority {
        server: Name::root(),
        mname: Name::root(),
        rname: Name::root(),
    };
    let mut server = Server::new(&apex, &root, Limits::default());
    let answer = server.ask(&apex, rtype::SOA, Transport::Udp, None);
    assert_eq!(answer.answers.len(), 1);
    assert_eq!(answer.answers[0].name.to_string(), apex.to_string());
}

#[test]
fn names_of_pods_are_made_from_the_question() {
    let limits = Limits {
        pods_unverified: true,
        ..Limits::default()
    };
    let root = Authority {
        server: Name::root(),
        mname: Name::root(),
        rname: Name::root(),
    };
    let mut server = Server::new(&name("z"), &root, limits);
    server.publish("shop.pod.z", Vec::new());
    for (asked, qtype, expected) in [
        ("10-1-2-3.shop.pod.z", rtype::A, "10.1.2.3"),
        ("10-1-2-3.shop.pod.z", rtype::ANY, "10.1.2.3"),
        ("10-1-2-3.shop.pod.z", rtype::AAAA, "NODATA"),
        ("2001-db8--1.shop.pod.z", rtype::AAAA, "2001:db8::1"),
        ("2001-DB8--0.shop.pod.z", rtype::AAAA, "2001:db8::"),
        ("2001-db8--1.shop.pod.z", rtype::A, "NODATA"),
        ("10-1-2.shop.pod.z", rtype::A, "NXDOMAIN"),
        ("10-1-2-256.shop.pod.z", rtype::A, "NXDOMAIN"),
        ("10-1-2-03.shop.pod.z", rtype::A, "NXDOMAIN"),
        (r"10\.1\.2\.3.shop.pod.z", rtype::A, "NXDOMAIN"),
        (r"\:\:1.shop.pod.z", rtype::AAAA, "NXDOMAIN"),
        ("10-1-2-3.other.pod.z", rtype::A, "NXDOMAIN"),
        ("x.10-1-2-3.shop.pod.z", rtype::A, "NXDOMAIN"),
    ] {
        let answer = server.udp(asked, qtype);
        let shown = match (answer.answers.first(), answer.metadata.response_code.low()) {
            (Some(record), 0) => record.data.to_string(),
            (None, 0) => "NODATA".to_owned(),
            (_, 3) => "NXDOMAIN".to_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(shown, expected, "{asked}");
    }
}

/// Each code in its own cell: what is counted is what was sent.
#[test]
fn every_code_is_counted_as_itself() {
    let mut server = Server::plain();
    server.publish("a.z", vec![(rtype::A, addresses(1))]);
    let plain = |name: &str, class: u8| {
        let name = Name::parse(name).unwrap();
        let head = [0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        [&head[..], name.as_wire(), &[0, 1, 0, class]].concat()
    };
    let mut edns1 = plain("a.z", 1);
    edns1[11] = 1;
    edns1.extend([0, 0, 41, 4, 208, 0, 1, 0, 0, 0, 0]);
    let mut signed = plain("a.z", 1);
    signed[11] = 1;
    signed.extend([0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]);
    let mut other = plain("a.z", 1);
    other[2] = 0x28;
    let a = TYPES.iter().position(|(_, name)| *name == "A").unwrap();
    let unread = TYPES.len() - 1;
    let counts = server.worker.counts();
    for (query, of, rcode) in [
        (plain("a.z", 1), a, Rcode::NoError),
        (plain("b.z", 1), a, Rcode::NxDomain),
        (plain("a.z", 255), a, Rcode::Refused),
        (plain("y", 1), a, Rcode::Refused),
        (edns1, a, Rcode::BadVers),
        (signed, a, Rcode::NotAuth),
        (other, unread, Rcode::NotImp),
        (plain("a.z", 1)[..14].to_vec(), unread, Rcode::FormErr),
    ] {
        let before = counts.queries(Transport::Tcp, of, rcode);
        let sent = server.send(&query, Transport::Tcp).metadata.response_code;
        assert_eq!(u16::from(sent), rcode as u16);
        assert_eq!(counts.queries(Transport::Tcp, of, rcode), before + 1);
    }
    let all = |of| Rcode::ALL.map(|rcode| counts.queries(Transport::Tcp, of, rcode));
    assert_eq!(all(a).iter().sum::<u64>(), 6);
    assert_eq!(all(unread).iter().sum::<u64>(), 2);
}

/// A set that no stream can hold is cut there too, and says so.
#[test]
fn over_tcp_an_answer_ends_at_65535_octets() {
    let mut server = Server::plain();
    server.publish("many.z", vec![(rtype::A, addresses(4090))]);
    server.publish("more.z", vec![(rtype::A, addresses(4095))]);
    for (asked, count) in [("many.z", 4090), ("more.z", 4093)] {
        let answer = server.ask(&name(asked), rtype::A, Transport::Tcp, Some(1232));
        assert_eq!(answer.answers.len(), count);
        assert_eq!(answer.metadata.truncation, asked == "more.z");
    }
}
