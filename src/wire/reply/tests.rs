use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};
use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::wire::{BodyBuilder, Name, QueryName, SrvBuilder};

/// A query for `name`, with EDNS and NSID where `edns`.
fn query(name: &Name, edns: bool) -> Vec<u8> {
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    message.extend_from_slice(name.as_wire());
    message.extend([0, 1, 0, 1]);
    if edns {
        message.extend([0, 0, 41, 0x04, 0xD0, 0, 0, 0x80, 0, 0, 4, 0, 3, 0, 0]);
    }
    message
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// Writes an answer to a question for `z` and returns it, decoded to its last octet.
fn write(
    edns: bool,
    limit: usize,
    nsid: Option<&[u8]>,
    write: impl FnOnce(&mut Reply<'_>),
) -> (Vec<u8>, Message) {
    let message = query(&name("z"), edns);
    let mut name = QueryName::default();
    let query = Query::parse(&message, &mut name).unwrap();
    let mut out = b"what was there before".to_vec();
    let mut reply = Reply::begin(&mut out, &query, limit, 1232, nsid);
    write(&mut reply);
    reply.finish();
    let mut decoder = BinDecoder::new(&out);
    let decoded = Message::read(&mut decoder).unwrap();
    assert!(decoder.is_empty());
    assert!(out.len() <= limit, "{} octets", out.len());
    (out, decoded)
}

/// `count` addresses: 16 octets each.
fn addresses(count: u32) -> Body {
    let mut body = BodyBuilder::default();
    for i in 0..count {
        body.push_address(5, IpAddr::V4(Ipv4Addr::from_bits(0x0A00_0000 + i)));
    }
    body.build()
}

/// Header, and the question for `z`.
const START: usize = 12 + 7;

#[test]
fn header_only_is_twelve_octets_and_rd_of_queries() {
    let mut out = vec![1; 100];
    for (opcode, expected) in [(0, [0x81, 1]), (5, [0xA8, 1]), (15, [0xF8, 1])] {
        let header = Header {
            id: 0x1234,
            opcode,
            recursion_desired: true,
        };
        header_only(&mut out, header, Rcode::FormErr);
        assert_eq!(out[..4], [0x12, 0x34, expected[0], expected[1]]);
        assert_eq!(out[4..], [0; 8]);
    }
}

/// Answers are cut between records, for every limit, whoever owns them; OPT stays.
#[test]
fn answers_are_cut_between_records() {
    let body = addresses(30);
    for owner in [Owner::Question, Owner::At(12)] {
        for edns in [false, true] {
            let opt = if edns { OPT_LEN } else { 0 };
            for limit in START + opt..600 {
                let (_, message) = write(edns, limit, None, |reply| {
                    reply.answer(&body, 0, 30, owner);
                    // After the first cut nothing is added, whether or not it would fit.
                    reply.answer_one(rtype::TXT, 0, &[&[0]], owner);
                    reply.authority(rtype::TXT, 0, &[&[0]], owner);
                });
                let fitting = ((limit - START - opt) / 16).min(30);
                assert_eq!(message.edns.is_some(), edns);
                if fitting < 30 {
                    assert!(message.metadata.truncation);
                    assert_eq!(message.answers.len(), fitting);
                    assert!(message.authorities.is_empty());
                }
            }
        }
    }
}

/// A negative answer without its SOA cannot be cached, so it is truncated.
#[test]
fn a_soa_that_does_not_fit_truncates() {
    let rdata = [&[0; 2][..], &[0; 20]].concat();
    let soa_len = 2 + 10 + rdata.len();
    for (limit, fits) in [(START + soa_len, true), (START + soa_len - 1, false)] {
        let (_, message) = write(false, limit, None, |reply| {
            reply.authority(rtype::SOA, 5, &[&rdata], Owner::At(12));
        });
        assert_eq!(message.authorities.len(), usize::from(fits));
        assert_eq!(message.metadata.truncation, !fits);
    }
}

/// NSID (4 + 3 octets) and EDE (4 + 2) are told where they fit behind the records; each alone if not both.
#[test]
fn options_take_the_room_that_records_leave() {
    let body = addresses(4);
    let records_end = START + 64 + OPT_LEN;
    for (room, nsid, ede) in [
        (0, false, false),
        (5, false, false),
        (6, false, true),
        (7, true, false),
        (12, true, false),
        (13, true, true),
    ] {
        let (out, message) = write(true, records_end + room, Some(b"n/1"), |reply| {
            reply.set_ede(Ede::StaleAnswer);
            reply.answer(&body, 0, 4, Owner::Question);
        });
        assert_eq!(message.answers.len(), 4, "records come first");
        assert!(!message.metadata.truncation);
        let told = 7 * usize::from(nsid) + 6 * usize::from(ede);
        assert_eq!(out.len(), records_end + told, "{room} octets of room");
        let options = &out[records_end..];
        assert_eq!(options.starts_with(b"\x00\x03\x00\x03n/1"), nsid, "{room}");
        assert_eq!(
            options.ends_with(b"\x00\x0F\x00\x02\x00\x03"),
            ede,
            "{room}"
        );
    }
}

#[test]
fn options_are_told_to_edns_alone() {
    let (out, _) = write(false, 512, Some(b"n/1"), |reply| {
        reply.set_ede(Ede::NotReady);
    });
    assert_eq!(out.len(), START);
}

/// An extended code does not fit into a header without OPT.
#[test]
fn badvers_without_edns_is_a_failure() {
    let (out, _) = write(false, 512, None, |reply| reply.set_rcode(Rcode::BadVers));
    assert_eq!(out[3], 2);
}

/// A target of two addresses comes with both or with neither, and a target that is left out sets no TC.
#[test]
fn addresses_of_a_target_stay_together() {
    let mut builder = SrvBuilder::default();
    let both: [IpAddr; 2] = [
        Ipv4Addr::LOCALHOST.into(),
        std::net::Ipv6Addr::LOCALHOST.into(),
    ];
    for i in 0..4 {
        builder.push(5, 256, 80, &name(&format!("{i}.z")), &both, 5);
    }
    let srv = builder.build();
    let answers_end = START + 4 * 23;
    for room in 0..200 {
        let (_, message) = write(true, answers_end + OPT_LEN + room, None, |reply| {
            let at = reply.offset();
            reply.answer(&srv.answers, 0, 4, Owner::Question);
            reply.additional(&srv.glue, at);
        });
        assert_eq!(message.answers.len(), 4);
        assert!(!message.metadata.truncation);
        // 2 of owner, 10 to the RDATA: 16 octets for A, 28 for AAAA.
        assert_eq!(message.additionals.len(), (room / 44).min(4) * 2, "{room}");
    }
}

/// SRV records with targets of 100 octets, past the reach of a pointer (RFC 1035, section 4.1.4: 14 bits).
#[test]
fn no_pointer_reaches_past_its_fourteen_bits() {
    let label = "a".repeat(60);
    let mut builder = SrvBuilder::default();
    for i in 0..500 {
        let target = name(&format!("{i}.{label}.{}.z", "b".repeat(30)));
        builder.push(5, 256, 80, &target, &[Ipv4Addr::LOCALHOST.into()], 5);
    }
    let srv = builder.build();
    let (_, message) = write(true, 65_535, None, |reply| {
        let at = reply.offset();
        reply.answer(&srv.answers, 0, srv.answers.count(), Owner::Question);
        reply.additional(&srv.glue, at);
    });
    assert_eq!(message.answers.len(), 500);
    assert!(!message.metadata.truncation);
    let owners = message.additionals.iter().map(|record| &record.name);
    let targets = message.answers.iter().map(|record| match &record.data {
        RData::SRV(srv) => &srv.target,
        other => panic!("{other}"),
    });
    // Every address stands under the target of its own SRV record, as far as pointers reach.
    assert!(owners.clone().eq(targets.take(owners.clone().count())));
    assert!((100..200).contains(&owners.count()));
}

#[test]
fn a_stream_holds_65535_octets_and_no_more() {
    let body = addresses(5000);
    let (out, message) = write(true, 65_535, None, |reply| {
        reply.answer(&body, 0, 5000, Owner::Question);
    });
    assert!(message.metadata.truncation);
    assert_eq!(message.answers.len(), (65_535 - START - OPT_LEN) / 16);
    assert!(out.len() > 65_535 - 16);
}

/// Some records of a set, and only the addresses of their targets, each under its own target.
#[test]
fn a_run_of_srv_records_brings_its_own_addresses() {
    let mut builder = SrvBuilder::default();
    for i in 0..4_u8 {
        let (target, address) = (name(&format!("{i}.z")), Ipv4Addr::new(10, 0, 0, i).into());
        builder.push(5, 256, 80, &target, &[address], 5);
        // A second port of the same target, whose addresses are there already.
        builder.push(5, 256, 81, &target, &[], 5);
    }
    let srv = builder.build();
    for target in 0..4_usize {
        let (_, message) = write(true, 512, None, |reply| {
            reply.answer_srv(&srv, 2 * target, 2, Owner::Question);
        });
        let expected = format!("{target}.z.");
        let targets = message.answers.iter().map(|record| match &record.data {
            RData::SRV(srv) => srv.target.to_string(),
            other => panic!("{other}"),
        });
        assert_eq!(targets.collect::<Vec<_>>(), [&*expected; 2]);
        let [beside] = &message.additionals[..] else {
            panic!("{:?}", message.additionals);
        };
        assert_eq!(beside.name.to_string(), expected);
        assert_eq!(beside.data.to_string(), format!("10.0.0.{target}"));
    }
}

#[test]
fn times_to_live_are_lowered_from_an_offset_on() {
    let mut builder = SrvBuilder::default();
    builder.push(30, 1, 80, &name("a.z"), &[Ipv4Addr::LOCALHOST.into()], 30);
    let srv = builder.build();
    for (limit, expected) in [(0, 0), (1, 1), (29, 29), (30, 30), (u32::MAX, 30)] {
        let (_, message) = write(true, 512, None, |reply| {
            reply.answer_one(rtype::TXT, 60, &[&[0]], Owner::Question);
            let from = reply.offset();
            reply.answer_one(rtype::TXT, 3, &[&[0]], Owner::At(12));
            reply.answer_srv(&srv, 0, 1, Owner::Question);
            reply.limit_ttls(from, limit);
        });
        let ttls = |of: &[hickory_proto::rr::Record]| -> Vec<u32> {
            of.iter().map(|record| record.ttl).collect()
        };
        assert_eq!(ttls(&message.answers), [60, limit.min(3), expected]);
        assert_eq!(ttls(&message.additionals), [expected]);
    }
}

/// A resolver that is not told for whom an answer is would give it to all of its clients.
#[test]
fn an_answer_for_some_clients_is_told_as_such_or_not_given() {
    let subnet = ClientSubnet {
        address: Ipv4Addr::new(10, 1, 2, 0).into(),
        source: 24,
    };
    let body = addresses(2);
    // Code and length, family and prefixes, three octets of the address.
    let option_len = 11;
    let whole = START + 32 + OPT_LEN + option_len;
    for limit in START + OPT_LEN..whole + 20 {
        let (out, message) = write(true, limit, Some(b"n/1"), |reply| {
            reply.answer(&body, 0, 1, Owner::Question);
            reply.set_subnet(subnet);
            reply.answer(&body, 1, 1, Owner::Question);
        });
        let told = out
            .windows(option_len)
            .any(|option| option == b"\0\x08\0\x07\0\x01\x18\x18\x0A\x01\x02");
        assert_eq!(message.answers.len() == 2, limit >= whole, "{limit}");
        assert_eq!(message.metadata.truncation, limit < whole, "{limit}");
        assert!(told || message.answers.len() < 2, "{limit}");
    }
}

#[test]
fn a_rejection_takes_everything_back() {
    let (out, message) = write(true, 512, None, |reply| {
        reply.set_authoritative();
        reply.answer(&addresses(3), 0, 3, Owner::Question);
        reply.reject(Rcode::FormErr);
    });
    assert_eq!(out.len(), START + OPT_LEN);
    assert!(message.answers.is_empty() && !message.metadata.authoritative);
    assert_eq!(out[3], 1);
}
