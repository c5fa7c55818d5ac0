use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::wire::Name;

const OPT_RECORD: [u8; 11] = [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0];

/// A header: flags, then the four counts.
fn header(flags: [u8; 2], counts: [u8; 4]) -> Vec<u8> {
    let [qd, an, ns, ar] = counts;
    vec![0x12, 0x34, flags[0], flags[1], 0, qd, 0, an, 0, ns, 0, ar]
}

fn question(name: &str, qtype: u8) -> Vec<u8> {
    let name = Name::parse(name).unwrap();
    [name.as_wire(), &[0, qtype, 0, 1]].concat()
}

/// An OPT record with this RDATA.
fn opt(rdata: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rdata.len()).unwrap().to_be_bytes();
    [&OPT_RECORD[..9], &len, rdata].concat()
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap().to_be_bytes();
    [&code.to_be_bytes()[..], &len, data].concat()
}

/// A query with everything a query may have: EDNS with options, and a TSIG record.
fn full() -> Vec<u8> {
    let options = [option(3, b""), option(10, b"8 octets"), option(100, b"x")].concat();
    let tsig = [&b"\x03key\0"[..], &[0, 250, 0, 255, 0, 0, 0, 0, 0, 2, 9, 9]].concat();
    let parts = [
        header([1, 0], [1, 0, 0, 2]),
        question("web.shop", 1),
        opt(&options),
        tsig,
    ];
    parts.concat()
}

fn rejected(message: &[u8]) -> Option<Rcode> {
    match Query::parse(message, &mut QueryName::default()) {
        Err(Rejection::HeaderOnly(_, rcode)) => Some(rcode),
        Ok(_) | Err(Rejection::Silence) => None,
    }
}

fn is_sound(message: &[u8]) -> bool {
    Query::parse(message, &mut QueryName::default()).is_ok()
}

#[test]
fn a_full_query_is_read_without_copying_its_question() {
    let message = full();
    let mut name = QueryName::default();
    let query = Query::parse(&message, &mut name).unwrap();
    let header = Header {
        id: 0x1234,
        opcode: 0,
        recursion_desired: true,
    };
    assert_eq!(query.header, header);
    assert_eq!(query.name.to_string(), "web.shop.");
    assert_eq!((query.qtype, query.qclass), (1, 1));
    assert_eq!(query.question, &message[12..26]);
    let edns = Edns {
        udp_size: 1232,
        nsid: true,
        cookie: Some(b"8 octets"),
        ..Edns::default()
    };
    assert_eq!(query.edns, Some(edns));
    assert_eq!(query.tsig, Some(message.len() - 17));
}

#[test]
fn every_truncation_of_a_query_is_rejected_for_what_it_is() {
    let message = full();
    for len in 0..message.len() {
        let cut = &message[..len];
        match Query::parse(cut, &mut QueryName::default()) {
            Err(Rejection::Silence) => assert!(len < 12, "{len}"),
            Err(Rejection::HeaderOnly(_, Rcode::FormErr)) => assert!(len >= 12, "{len}"),
            other => panic!("{len} octets: {other:?}"),
        }
    }
}

/// The order of the picture: silence, opcode, counts; each before anything behind it is looked at.
#[test]
fn the_header_decides_first() {
    for opcode in 1..16_u8 {
        let notimp = header([opcode << 3, 0], [255, 255, 255, 255]);
        assert_eq!(rejected(&notimp), Some(Rcode::NotImp));
        let reply = header([0x80 | opcode << 3, 0], [1, 0, 0, 0]);
        assert_eq!(
            Query::parse(&reply, &mut QueryName::default()).unwrap_err(),
            Rejection::Silence
        );
    }
    for counts in [
        [0; 4],
        [2, 0, 0, 0],
        [1, 1, 0, 0],
        [1, 0, 2, 0],
        [1, 0, 0, 3],
    ] {
        assert_eq!(rejected(&header([0, 0], counts)), Some(Rcode::FormErr));
    }
}

/// RFC 7873, section 5.2.2: a client cookie of 8 octets, or that and a server cookie of 8 to 32.
#[test]
fn cookies_of_other_lengths_are_malformed() {
    for len in 0..64 {
        let cookie = option(10, &vec![7; len]);
        let message = [header([0, 0], [1, 0, 0, 1]), question("z", 1), opt(&cookie)].concat();
        let sound = len == 8 || (16..=40).contains(&len);
        assert_eq!(is_sound(&message), sound, "{len} octets");
    }
}

#[test]
fn the_first_of_two_cookies_counts() {
    let cookies = [option(10, b"the 1st."), option(10, b"the 2nd.")].concat();
    let message = [
        header([0, 0], [1, 0, 0, 1]),
        question("z", 1),
        opt(&cookies),
    ]
    .concat();
    let mut name = QueryName::default();
    let edns = Query::parse(&message, &mut name).unwrap().edns.unwrap();
    assert_eq!(edns.cookie, Some(&b"the 1st."[..]));
}

/// OPT in front of TSIG, each once, nothing else: RFC 8945, section 5.1; RFC 6891, section 6.1.1.
#[test]
fn the_additional_section_has_its_order() {
    let tsig = [&[0][..], &[0, 250, 0, 255, 0, 0, 0, 0, 0, 0]].concat();
    let a = [&[0][..], &[0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1]].concat();
    let opt = OPT_RECORD.to_vec();
    for (records, sound) in [
        (vec![&opt], true),
        (vec![&tsig], true),
        (vec![&opt, &tsig], true),
        (vec![&tsig, &opt], false),
        (vec![&opt, &opt], false),
        (vec![&tsig, &tsig], false),
        (vec![&a], false),
        (vec![&opt, &a], false),
    ] {
        let count = u8::try_from(records.len()).unwrap();
        let mut message = [header([0, 0], [1, 0, 0, count]), question("z", 1)].concat();
        message.extend(records.iter().copied().flatten());
        assert_eq!(is_sound(&message), sound, "{records:?}");
    }
}

/// RFC 1995, section 3: a question for an incremental transfer brings the SOA that the client has. Its owner is a name
/// like any other: up to 255 octets, or a pointer.
#[test]
fn ixfr_alone_may_bring_a_soa() {
    let soa = |owner: &[u8]| [owner, &[0, 6, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    let message = |qtype: u8, record: &[u8]| {
        let head = [header([0, 0], [1, 0, 1, 0]), question("z", qtype)].concat();
        [&head, record].concat()
    };
    let owner_of = |len: usize| {
        let mut owner = [1, b'a'].repeat((len - 1) / 2);
        if len.is_multiple_of(2) {
            owner.splice(0..2, [2, b'a', b'a']);
        }
        owner.push(0);
        assert_eq!(owner.len(), len);
        owner
    };
    assert!(is_sound(&message(251, &soa(&[0xC0, 12]))));
    assert!(is_sound(&message(251, &soa(&owner_of(255)))));
    let malformed = Some(Rcode::FormErr);
    assert_eq!(rejected(&message(251, &soa(&owner_of(256)))), malformed);
    assert_eq!(rejected(&message(251, &soa(&[0x40, 0]))), malformed);
    assert_eq!(rejected(&message(1, &soa(&[0xC0, 12]))), malformed);
    assert_eq!(rejected(&message(251, &OPT_RECORD)), malformed);
}

proptest! {
    #[test]
    fn anything_is_read_without_panic(message in vec(any::<u8>(), 0..600)) {
        let _ = Query::parse(&message, &mut QueryName::default());
    }

    /// A question, then anything: the counts say there is more.
    #[test]
    fn anything_behind_a_question_is_read_without_panic(
        counts in (0..3_u8, 0..4_u8), name in "[a-z.]{0,20}", behind in vec(any::<u8>(), 0..80)
    ) {
        let name = Name::parse(&name).map_or_else(|_| ".".to_owned(), |name| name.to_string());
        let head = header([0, 0], [1, 0, counts.0, counts.1]);
        let _ = Query::parse(&[head, question(&name, 251), behind].concat(), &mut QueryName::default());
    }

    /// Options are found wherever they stand among others, and their data is passed on as it is.
    #[test]
    fn options_are_found_among_others(
        options in vec((prop_oneof![0..16_u16, any::<u16>()], vec(any::<u8>(), 0..50)), 0..12),
        flags in any::<u8>(),
    ) {
        let rdata: Vec<u8> = options.iter().flat_map(|(code, data)| option(*code, data)).collect();
        let mut record = opt(&rdata);
        record[7] = flags;
        let message = [header([0, 0], [1, 0, 0, 1]), question("z", 1), record].concat();
        let has = |wanted: u16| options.iter().any(|(code, _)| *code == wanted);
        let data = |wanted: u16| options.iter().filter(move |(code, _)| *code == wanted).map(|(_, data)| &data[..]);
        if data(10).any(|data| data.len() != 8 && !(16..=40).contains(&data.len())) {
            prop_assert_eq!(rejected(&message), Some(Rcode::FormErr));
            return Ok(());
        }
        let expected = Edns {
            udp_size: 1232,
            version: 0,
            dnssec_ok: flags & 0x80 != 0,
            nsid: has(3),
            cookie: data(10).next(),
            client_subnet: data(8).next(),
            keepalive: has(11),
            padding: has(12),
            expire: has(9),
        };
        let mut name = QueryName::default();
        prop_assert_eq!(Query::parse(&message, &mut name).unwrap().edns, Some(expected));
        // One octet less, and the last option's length lies.
        if let Some(shorter) = u8::try_from(rdata.len()).ok().and_then(|len| len.checked_sub(1)) {
            let mut record = opt(&rdata[..usize::from(shorter)]);
            record[7] = flags;
            let message = [header([0, 0], [1, 0, 0, 1]), question("z", 1), record].concat();
            prop_assert_eq!(rejected(&message), Some(Rcode::FormErr));
        }
    }
}
