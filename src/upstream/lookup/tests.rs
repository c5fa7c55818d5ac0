//! Reading answers: what of them counts.

use std::str::FromStr;

use hickory_proto::op::Query;
use hickory_resolver::net::NoRecords;

use super::*;

fn dns(text: &str) -> rr::Name {
    let mut name = rr::Name::from_ascii(text).unwrap();
    name.set_fqdn(true);
    name
}

/// Records as they are written: `a.example 60 A 192.0.2.1`.
fn records(lines: &str) -> Vec<Record> {
    let record = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let data = match words[2] {
            "CNAME" => RData::CNAME(rr::rdata::CNAME(dns(words[3]))),
            "A" => RData::A(rr::rdata::A::from_str(words[3]).unwrap()),
            "AAAA" => RData::AAAA(rr::rdata::AAAA::from_str(words[3]).unwrap()),
            other => panic!("{other}"),
        };
        Record::from_rdata(dns(words[0]), words[1].parse().unwrap(), data)
    };
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(record).collect()
}

fn has(addresses: &str, ttl: u64) -> Told {
    let addresses = addresses.split_whitespace().map(|a| a.parse().unwrap());
    Told::Addresses(addresses.collect(), Duration::from_secs(ttl))
}

#[test]
fn the_end_of_the_chain_counts_and_its_shortest_link() {
    let nowhere = || Told::Failed("the answer does not lead to an address".into());
    let round = "a.example 60 CNAME b.example\n b.example 60 CNAME a.example";
    for (lines, v4, v6) in [
        (
            "a.example 60 A 192.0.2.2\n a.example 50 A 192.0.2.1\n a.example 9 AAAA 2001:db8::1",
            has("192.0.2.2 192.0.2.1", 9),
            has("2001:db8::1", 9),
        ),
        (
            "c.example 300 A 192.0.2.3
             b.example 20 CNAME c.example
             A.Example 40 CNAME B.example
             other.example 1 A 192.0.2.66",
            has("192.0.2.3", 20),
            nowhere(),
        ),
        ("other.example 60 A 192.0.2.66", nowhere(), nowhere()),
        (round, nowhere(), nowhere()),
        ("", nowhere(), nowhere()),
    ] {
        let answers = records(lines);
        for (family, expected) in [(Family::V4, v4), (Family::V6, v6)] {
            assert_eq!(
                read(&dns("a.example"), family, &answers),
                expected,
                "{lines}"
            );
        }
    }
}

#[test]
fn only_who_knows_says_that_there_is_nothing() {
    let none = |code, ttl, sends_on: bool| {
        let mut none = NoRecords::new(Query::new(), code);
        none.negative_ttl = ttl;
        none.ns = sends_on.then(|| Arc::from([]));
        NetError::from(none)
    };
    let failed = |why: &'static str| Told::Failed(why.into());
    let io = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
    for (error, expected) in [
        (
            none(ResponseCode::NXDomain, Some(7), false),
            Told::Nothing(Nothing::Name, Some(Duration::from_secs(7))),
        ),
        (
            none(ResponseCode::NoError, None, false),
            Told::Nothing(Nothing::Address, None),
        ),
        (
            none(ResponseCode::NoError, None, true),
            failed("the resolver does not resolve, it refers to others"),
        ),
        (
            none(ResponseCode::ServFail, None, false),
            failed("SERVFAIL"),
        ),
        (
            NetError::Dns(DnsError::ResponseCode(ResponseCode::Refused)),
            failed("REFUSED"),
        ),
        (
            NetError::Dns(DnsError::ResponseCode(ResponseCode::NotAuth)),
            failed("response code 9"),
        ),
        (NetError::Timeout, failed("no answer")),
        (NetError::Io(Arc::new(io)), failed("connection refused")),
        (
            NetError::NoConnections,
            failed("the resolver cannot be reached"),
        ),
        (
            NetError::Message("odd"),
            failed("the answer cannot be read"),
        ),
    ] {
        assert_eq!(read_error(&error), expected, "{error}");
    }
}
