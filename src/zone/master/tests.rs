//! The reader, by tables: a text, and the records it stands for.

use proptest::prelude::*;

use super::*;

/// The records of a text below `example.test`, and its faults; `include` knows `a.inc`, which has one record without owner and sets
/// an origin, and `loop.inc`, which includes itself.
fn lines(text: &str) -> Vec<String> {
    let origin = Name::parse("example.test").unwrap();
    let mut include = |_: &str, file: &str| match file {
        "a.inc" => Ok((
            "a.inc".into(),
            b" TXT inside\n$ORIGIN deep\nx TXT y\n".to_vec(),
        )),
        "loop.inc" => Ok(("loop.inc".into(), b"$INCLUDE loop.inc\n".to_vec())),
        _ => Err(format!("cannot include `{file}`: not there")),
    };
    let read = read("z", text.as_bytes(), &origin, &mut include);
    let faults = read
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.origin, fault.text));
    let warnings = read
        .warnings
        .iter()
        .map(|fault| format!("{}: ? {}", fault.origin, fault.text));
    let entries = read.entries.iter().map(ToString::to_string);
    entries.chain(faults).chain(warnings).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(lines(text), expected, "{text}");
}

/// "<rr> ... [<TTL>] [<class>] <type> <RDATA>" or "[<class>] [<TTL>] <type> <RDATA>" (RFC 1035, section 5.1).
#[test]
fn owner_ttl_and_class_may_be_left_out_in_any_legal_order() {
    let a = |owner: &str, ttl: u32| format!("{owner}example.test. {ttl} IN A 192.0.2.1");
    let (plain, long) = (a("a.", 300), a("a.", 3600));
    for front in ["a", "a IN", "a in", "a CLASS1"] {
        check(&format!("$TTL 300\n{front} A 192.0.2.1"), &[&plain]);
    }
    for front in [
        "a 3600",
        "a 1h",
        "a 3600 IN",
        "a IN 3600",
        "a.example.test. IN 60m",
    ] {
        check(&format!("$TTL 300\n{front} A 192.0.2.1"), &[&long]);
    }
    check(
        "$TTL 300\na A 192.0.2.1\n  A 192.0.2.1\n\t3600 A 192.0.2.1\n@ A 192.0.2.1",
        &[&plain, &plain, &long, &a("", 300)],
    );
    check(
        "a CH A 192.0.2.1",
        &["z:1: the class `CH` is not served, only IN is"],
    );
    check("a 1 2 A 192.0.2.1", &["z:1: `2` is no type"]);
    check("a IN IN A 192.0.2.1", &["z:1: `IN` is no type"]);
    check(" A 192.0.2.1", &["z:1: no owner stands before this"]);
    check("a 1", &["z:1: the type is missing"]);
    // A name may look like anything.
    check(
        "$TTL 1\nA A 192.0.2.1\n300 A 192.0.2.2",
        &[
            "a.example.test. 1 IN A 192.0.2.1",
            "300.example.test. 1 IN A 192.0.2.2",
        ],
    );
}

/// "the RR ... if not explicitly stated, use $TTL" (RFC 2308, section 4), else the last stated one (RFC 1035, section 5.1).
#[test]
fn a_ttl_that_is_left_out_is_that_before() {
    check(
        "a 60 TXT x\nb TXT y",
        &[
            "a.example.test. 60 IN TXT \"x\"",
            "b.example.test. 60 IN TXT \"y\"",
        ],
    );
    check(
        "$TTL 1w\na 60 TXT x\nb TXT y",
        &[
            "a.example.test. 60 IN TXT \"x\"",
            "b.example.test. 604800 IN TXT \"y\"",
        ],
    );
    check(
        "a TXT x",
        &["z:1: no TTL stands here or before, nor `$TTL`"],
    );
    check(
        "@ SOA ns host 1 2h 3m 4w 5",
        &[
            r"example.test. 5 IN SOA ns.example.test. host.example.test. 1 7200 180 2419200 5",
            "z:1: ? no TTL stands here or before: 5, MINIMUM of the SOA record, is taken",
        ],
    );
    check(
        "a 2147483648 TXT x",
        &["z:1: the TTL `2147483648` is above 2147483647"],
    );
}

/// "@ A free standing @ is used to denote the current origin" (RFC 1035, section 5.1), in data as well.
#[test]
fn names_are_below_the_origin_and_at_signs_are_it() {
    check(
        "$TTL 1\n@ MX 5 @\n$ORIGIN sub\nx CNAME y\nX.Y. CNAME .\n\\@ TXT \\@",
        &[
            "example.test. 1 IN MX 5 example.test.",
            "x.sub.example.test. 1 IN CNAME y.sub.example.test.",
            "x.y. 1 IN CNAME .",
            r#"\064.sub.example.test. 1 IN TXT "@""#,
        ],
    );
    check(
        "$TTL 1\na\\.b.c CNAME A\\032B",
        &[r"a\046b.c.example.test. 1 IN CNAME A\032B.example.test."],
    );
    let label = "a".repeat(63);
    let fits = format!("{label}.{label}.{label}.{}", "b".repeat(48));
    assert_eq!(
        lines(&format!("{fits} 1 TXT x"))[0].len(),
        254 + " 1 IN TXT \"x\"".len()
    );
    for (name, why) in [
        (format!("{label}a"), "a label is longer than 63 octets"),
        (format!("{fits}b"), "it is longer than 255 octets"),
        ("a..b".to_owned(), "a label is empty"),
        (".a".to_owned(), "a label is empty"),
        (
            r"a\25".to_owned(),
            "a `\\` in front of a digit takes three of them",
        ),
    ] {
        let found = lines(&format!("{name} 1 TXT x"));
        assert!(
            found[0].starts_with("z:1: `") && found[0].ends_with(why),
            "{found:?}"
        );
    }
}

#[test]
fn files_are_included_and_leave_no_trace() {
    check(
        "$TTL 1\na TXT b\n$INCLUDE a.inc sub\n TXT d\ne TXT f",
        &[
            r#"a.example.test. 1 IN TXT "b""#,
            r#"a.example.test. 1 IN TXT "inside""#,
            r#"x.deep.sub.example.test. 1 IN TXT "y""#,
            r#"a.example.test. 1 IN TXT "d""#,
            r#"e.example.test. 1 IN TXT "f""#,
        ],
    );
    check(
        "$INCLUDE loop.inc",
        &["loop.inc:1: `loop.inc` includes itself"],
    );
    check("$INCLUDE x", &["z:1: cannot include `x`: not there"]);
    check(
        "$INCLUDE",
        &["z:1: `$INCLUDE` takes a file, and perhaps an origin"],
    );
    check("$FOO", &["z:1: `$FOO` is no directive"]);
}

#[test]
fn a_file_that_includes_itself_under_ever_other_names_comes_to_an_end() {
    let mut count = 0;
    let mut include = |_: &str, _: &str| {
        count += 1;
        Ok((
            format!("f{count}").into(),
            b"$INCLUDE x\n$INCLUDE x\n$INCLUDE x\n$INCLUDE x\n".to_vec(),
        ))
    };
    let read = read("z", b"$INCLUDE x", &Name::root(), &mut include);
    assert!(read.faults.len() <= FAULTS_MAX + 1, "{}", read.faults.len());
    assert!(count <= INCLUDES_MAX);
}

#[test]
fn lines_are_generated() {
    check(
        "$TTL 1\n$GENERATE 1-3/2 h$ A 10.0.0.$",
        &[
            "h1.example.test. 1 IN A 10.0.0.1",
            "h3.example.test. 1 IN A 10.0.0.3",
        ],
    );
    check(
        "$GENERATE 1-2 ${0,3} 60 IN CNAME h$",
        &[
            "001.example.test. 60 IN CNAME h1.example.test.",
            "002.example.test. 60 IN CNAME h2.example.test.",
        ],
    );
    check(
        "$TTL 1\n$GENERATE 255-256 h$ A 10.0.0.$",
        &[
            "h255.example.test. 1 IN A 10.0.0.255",
            "z:2: A: `10.0.0.256` is not an IPv4 address",
        ],
    );
    check(
        "$GENERATE 0-65536 a A 1.2.3.4",
        &["z:1: 65537 records are more than 65536"],
    );
    check(
        "$GENERATE 1-2 a",
        &["z:1: `$GENERATE` takes a range, an owner, a type and data"],
    );
}

#[test]
fn many_faults_are_told_at_once_and_not_all() {
    let text = "a 1 A x\n".repeat(30);
    let found = lines(&text);
    assert_eq!(found.len(), 21);
    assert_eq!(found[1], "z:2: A: `x` is not an IPv4 address");
    assert_eq!(found[20], "z:20: 20 faults; what follows is not read");
}

/// "\# ... an unsigned decimal integer specifying the RDATA length in octets ... zero or more words of hexadecimal data"
/// (RFC 3597, section 5).
#[test]
fn s_3597_data_of_any_type_is_read_and_kept() {
    check(
        "a 1 TYPE666 \\# 4 01020304",
        &["a.example.test. 1 IN TYPE666 \\# 4 01020304"],
    );
    check(
        "a 1 type666 \\# 4 0102 0304",
        &["a.example.test. 1 IN TYPE666 \\# 4 01020304"],
    );
    check("a 1 TYPE666 \\# 0", &["a.example.test. 1 IN TYPE666 \\# 0"]);
    check(
        "a 1 A \\# 4 C0000201",
        &["a.example.test. 1 IN A 192.0.2.1"],
    );
    check("a 1 TYPE1 192.0.2.1", &["a.example.test. 1 IN A 192.0.2.1"]);
    check(
        "a 1 MX \\# 6 0005 01 61 0000",
        &["z:1: MX: these octets are no data of MX"],
    );
    check(
        "a 1 A \\# 3 C00002",
        &["z:1: A: these octets are no data of A"],
    );
    check(
        "a 1 TYPE666 \\# 5 01020304",
        &["z:1: TYPE666: 5 octets were announced, 4 are there"],
    );
    check(
        "a 1 TYPE666 \\# 1 0",
        &["z:1: TYPE666: half an octet is left over"],
    );
    check(
        "a 1 TYPE666 x",
        &["z:1: TYPE666: data of TYPE666 is written as `\\# LENGTH OCTETS`"],
    );
    check(
        "a 1 TYPE255 \\# 0",
        &["z:1: TYPE255 is a type of questions, no record has it"],
    );
    check(
        "a 1 TYPE0 \\# 0",
        &["z:1: TYPE0 is a type of questions, no record has it"],
    );
    // Names in such data are whole: nothing stands before it that a pointer could lead to.
    check(
        "a 1 NS \\# 2 C00C",
        &["z:1: NS: these octets are no data of NS"],
    );
}

#[test]
fn the_data_of_each_type_is_read() {
    for (data, shown) in [
        ("A 192.0.2.1", ""),
        ("AAAA 2001:DB8::1", "AAAA 2001:db8::1"),
        ("AAAA ::ffff:1.2.3.4", ""),
        ("NS Ns1", "NS Ns1.example.test."),
        ("PTR WWW.Example.COM.", ""),
        (
            "HINFO \"PC \\\"x\\\"\" Linux",
            "HINFO \"PC \\\"x\\\"\" \"Linux\"",
        ),
        ("MX 10 mail", "MX 10 mail.example.test."),
        (
            "TXT a \"b c\" \"\" \\100\\009",
            "TXT \"a\" \"b c\" \"\" \"d\\009\"",
        ),
        ("SRV 0 5 5060 .", ""),
        ("CAA 0 issue \"ca.example; x=y\"", ""),
        ("CAA 128 tbs Unknown", "CAA 128 tbs \"Unknown\""),
        ("DNAME x.", ""),
        (
            r#"NAPTR 100 50 "s" "z3950+I2L" "!^.*$!x\\1!" _z._tcp.x."#,
            "",
        ),
        (
            "SSHFP 2 1 123456789abcdef67890123456789abcdef67890",
            "SSHFP 2 1 123456789ABCDEF67890123456789ABCDEF67890",
        ),
        ("TLSA 3 1 1 0d6f ce13", "TLSA 3 1 1 0D6FCE13"),
        ("DS 60485 RSASHA1 1 2BB183AF", "DS 60485 5 1 2BB183AF"),
        ("DNSKEY 256 3 8 AwEAAQ==", ""),
        (
            "RRSIG A 5 3 86400 20030322173103 20030220173103 2642 example.com. oJB1W6WN",
            "RRSIG A 5 3 86400 1048354263 1045762263 2642 example.com. oJB1W6WN",
        ),
        ("NSEC host.x. A MX RRSIG NSEC TYPE1234", ""),
        (
            "NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY",
            "NSEC3 1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR MX DNSKEY",
        ),
        ("NSEC3PARAM 1 0 0 -", ""),
        ("SVCB 0 foo.example.com.", ""),
        (
            "HTTPS 1 . alpn=h2,h3 port=8443",
            "HTTPS 1 . alpn=\"h2,h3\" port=8443",
        ),
        (
            "SVCB 16 foo.x. ipv6hint=\"2001:db8::1,2001:db8::53:1\" key667=\"a b\"",
            "SVCB 16 foo.x. ipv6hint=2001:db8::1,2001:db8::53:1 key667=\"\\097\\032\\098\"",
        ),
        (
            "LOC 1 N 1 E 0",
            "LOC 1 0 0.000 N 1 0 0.000 E 0.00m 1.00m 10000.00m 10.00m",
        ),
        ("NID 10 0014:4fff:ff20:ee64", ""),
        ("L32 10 10.1.2.0", ""),
        ("EUI48 00-00-5e-00-53-2a", ""),
        ("URI 10 1 \"ftp://ftp1.x/public\"", ""),
        ("RP a.x. b.x.", ""),
        ("CERT 1 2 3 AAAA", ""),
        ("CSYNC 66 3 A NS AAAA", ""),
    ] {
        let shown = if shown.is_empty() { data } else { shown };
        let found = lines(&format!("a 1 {data}"));
        assert_eq!(found, [format!("a.example.test. 1 IN {shown}")], "{data}");
        assert_eq!(lines(&found[0]), found, "{data}");
    }
}

#[test]
fn data_that_its_type_has_not_is_refused() {
    for (data, why) in [
        ("A 1.2.3", "A: `1.2.3` is not an IPv4 address"),
        ("A", "A: something is missing at the end"),
        ("A 1.2.3.4 5", "A: `5` is more than A has"),
        ("MX mail 10", "MX: `mail` is no number, or too large here"),
        ("MX 65536 a", "MX: `65536` is no number, or too large here"),
        ("MX +1 a", "MX: `+1` is no number, or too large here"),
        ("TXT", "TXT: something is missing at the end"),
        ("SRV 1 2 3", "SRV: something is missing at the end"),
        (
            "CAA 0 is-sue x",
            "CAA: `is-sue` is no tag of letters and digits",
        ),
        ("DS 1 8 2 0g", "DS: `0g` holds what is no digit"),
        ("NSEC a FOO", "NSEC: `FOO` is no type"),
        ("SVCB 1 . alpn", "SVCB: `alpn`: it needs a value"),
        (
            "APL 1:10.0.0.0/8",
            "APL: data of APL is written as `\\# LENGTH OCTETS`",
        ),
    ] {
        check(&format!("a 1 {data}"), &[&format!("z:1: {why}")]);
    }
    let long = "x".repeat(256);
    check(
        &format!("a 1 TXT {long}"),
        &["z:1: TXT: a string of 256 octets, and 255 are the most"],
    );
    let most = format!("a 1 TXT {}", "x".repeat(255));
    assert!(!lines(&most)[0].starts_with("z:"));
    // More than a token of other readers holds.
    let digits = "ab".repeat(5000);
    assert!(!lines(&format!("a 1 TYPE999 \\# 5000 {digits}"))[0].starts_with("z:"));
    let digits = "ab".repeat(65_536);
    assert!(lines(&format!("a 1 TLSA 1 1 1 {digits}"))[0].contains("more than 65535"));
}

/// Names that fit, of any octets.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let label = prop::collection::vec(any::<u8>(), 1..=63);
    prop::collection::vec(label, 0..4).prop_map(|labels| {
        let mut wire = Vec::new();
        for label in labels {
            if wire.len() + label.len() + 2 <= 255 {
                wire.push(label.len() as u8);
                wire.extend(label);
            }
        }
        wire.push(0);
        wire
    })
}

fn strings() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
        .prop_map(|octets| [vec![octets.len() as u8], octets].concat())
}

/// Data of any type in the table that its parts can be made of.
fn data(rtype: u16) -> BoxedStrategy<Vec<u8>> {
    let Some(fields) = types::fields(rtype) else {
        return prop::collection::vec(any::<u8>(), 0..40).boxed();
    };
    let field = |field: &Field| -> BoxedStrategy<Vec<u8>> {
        let octets = |count: usize| prop::collection::vec(any::<u8>(), count).boxed();
        match field {
            Field::U8 | Field::Algorithm => octets(1),
            Field::U16 | Field::Type => octets(2),
            Field::U32 | Field::Seconds | Field::Date | Field::V4 => octets(4),
            Field::V6 => octets(16),
            Field::Groups => octets(8),
            Field::Hyphened(count) => octets(usize::from(*count)),
            Field::Name => names().boxed(),
            Field::Text | Field::Salt => strings().boxed(),
            Field::Hash => strings()
                .prop_filter("a digit", |octets| octets.len() > 1)
                .boxed(),
            Field::Texts => prop::collection::vec(strings(), 1..4)
                .prop_map(|all| all.concat())
                .boxed(),
            Field::Tag => "[a-zA-Z0-9]{1,15}"
                .prop_map(|tag| [&[tag.len() as u8][..], tag.as_bytes()].concat())
                .boxed(),
            Field::Rest | Field::Hex | Field::Base64 => {
                prop::collection::vec(any::<u8>(), 0..60).boxed()
            }
            Field::Types => prop::sample::select(vec![
                vec![],
                vec![0, 1, 0x40],
                vec![0, 6, 0x40, 1, 0, 0, 0, 3, 4, 1, 0x20],
            ])
            .boxed(),
            Field::Params => prop::collection::vec(any::<u8>(), 1..20)
                .prop_map(|octets| {
                    let alpn = [
                        &[0, 1, 0, octets.len() as u8 + 1, octets.len() as u8][..],
                        &octets,
                    ]
                    .concat();
                    let other = [&[2, 0x9b, 0, octets.len() as u8][..], &octets].concat();
                    [alpn, vec![0, 3, 0, 2, 1, 2], other].concat()
                })
                .boxed(),
            Field::Location => (octets(12), prop::sample::select(vec![0x12_u8, 0, 0x99]))
                .prop_map(|(mut numbers, size)| {
                    // Angles that there are.
                    numbers[0] = 0x80;
                    numbers[4] = 0x7f;
                    [vec![0, size, size, size], numbers].concat()
                })
                .boxed(),
        }
    };
    let parts: Vec<_> = fields.iter().map(field).collect();
    parts.prop_map(|parts| parts.concat()).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_read_again(
        (rtype, data) in prop::sample::select((0..=258_u16).filter(|number| !is_meta(*number)).collect::<Vec<_>>())
            .prop_flat_map(|rtype| (Just(rtype), data(rtype))),
        owner in names(),
        ttl in 0..=ttl::TTL_MAX,
    ) {
        let entry = Entry::new(Name::from_wire(&owner).unwrap(), ttl, rtype, &data);
        prop_assert!(types::parts(rtype, &data).is_some());
        let text = entry.to_string();
        let read = read("z", text.as_bytes(), &Name::root(), &mut |_, _| Err(String::new()));
        prop_assert_eq!(&read.faults, &[], "{}", text);
        let entries: Vec<Entry> = read.entries.into_iter().map(|read| Entry { place: (0, 0), ..read }).collect();
        prop_assert_eq!(entries, vec![entry], "{}", text);
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in prop::collection::vec(prop_oneof![
        any::<u8>(),
        prop::sample::select(b" \t\n\"\\();$@#.0123456789aATXMSVCBIN=,-".to_vec()),
    ], 0..400)) {
        let text = octets;
        let read = read("z", &text, &Name::root(), &mut |_, _| Err("no".to_owned()));
        prop_assert!(read.faults.len() <= FAULTS_MAX + 1);
    }

    #[test]
    fn any_words_are_read_or_refused(words in prop::collection::vec(prop::sample::select(vec![
        "a", "@", "IN", "300", "1h", "A", "AAAA", "SVCB", "HTTPS", "LOC", "CAA", "TXT", "NAPTR", "\\#", "4", "01020304", "\"", "\"x\"", "(", ")",
        ";", "\n", " ", "alpn=", "alpn=\"h2", "alpn=h2\"", "mandatory=", "mandatory=alpn", "key1", "1.2.3.4", "::1", ".", "$TTL", "$ORIGIN", "$GENERATE",
        "1-3", "${", "${0,300,n}", "${1,9,n}", "$", "\\", "\\0", "\\255", "N", "E", "-1m", "TYPE9", "TYPE",
    ]), 0..60)) {
        let text = words.join(" ");
        let read = read("z", text.as_bytes(), &Name::root(), &mut |_, _| Err("no".to_owned()));
        prop_assert!(read.faults.len() <= FAULTS_MAX + 1);
    }
}
