//! What any text comes to: a zone or errors, and answers that agree with a slow reading of RFC 1034, section 4.3.2.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::zone::master::{self, Read};

const APEX: &str = "z";

fn read(text: &str) -> Read {
    let apex = Name::parse(APEX).unwrap();
    master::read("z", text.as_bytes(), &apex, &mut |_, _| Err(String::new()))
}

fn zone(body: &str) -> (Option<StaticZone>, Vec<Finding>) {
    let text = format!("$TTL 1\n@ SOA a b 1 2 3 4 5\n@ NS x.\n{body}");
    StaticZone::of(
        &read(&text),
        &Name::parse(APEX).unwrap(),
        &Weights::default(),
    )
}

/// What a look-up comes to: a name that exists, that of a delegation or a DNAME, or nothing.
#[derive(Debug, PartialEq)]
enum Outcome {
    Exists,
    Delegated(Name),
    Renamed(Name),
    Missing,
}

/// Label by label from the apex, as the standard tells it, with lists instead of tables.
fn slowly(owners: &BTreeSet<(Name, &str)>, name: &Name) -> Outcome {
    let apex = Name::parse(APEX).unwrap();
    let mut path: Vec<Name> = Vec::new();
    let mut next = Some(name.clone());
    while let Some(one) = next.filter(|one| one.is_within(&apex)) {
        next = one.parent();
        path.push(one);
    }
    let has = |name: &Name, of: &str| owners.contains(&(name.clone(), of));
    let exists = |name: &Name| owners.iter().any(|(owner, _)| owner.is_within(name));
    for over in path.iter().rev() {
        if *over != apex && has(over, "NS") {
            return Outcome::Delegated(over.clone());
        }
        if over != name && has(over, "DNAME") {
            return Outcome::Renamed(over.clone());
        }
    }
    if exists(name) {
        return Outcome::Exists;
    }
    let encloser = path.iter().find(|over| exists(over)).unwrap();
    match encloser
        .below([b"*".as_slice()])
        .is_ok_and(|wildcard| exists(&wildcard))
    {
        true => Outcome::Exists,
        false => Outcome::Missing,
    }
}

fn quickly(zone: &StaticZone, name: &Name) -> Outcome {
    let asked = QueryName::from(name);
    let of = |labels: usize| Name::from_wire(asked.suffix(labels)).unwrap();
    match zone.find(&asked, rtype::A, |_| false) {
        Stands::Node(_) => Outcome::Exists,
        Stands::Delegated(labels, _) => Outcome::Delegated(of(labels)),
        Stands::Renamed(labels, _) => Outcome::Renamed(of(labels)),
        Stands::Missing => Outcome::Missing,
    }
}

fn names() -> impl Strategy<Value = Name> {
    let label = prop::sample::select(vec!["a", "b", "*"]);
    prop::collection::vec(label, 1..5)
        .prop_map(|labels| Name::parse(&format!("{}.{APEX}", labels.join("."))).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_look_up_finds_what_the_standard_says(
        records in prop::collection::btree_set((names(), prop::sample::select(vec!["A", "A", "TXT", "NS", "DNAME"])), 0..12),
        asked in prop::collection::vec(names(), 20),
    ) {
        let is_wild = |name: &Name| name.labels().next() == Some(b"*");
        // Wildcards are neither delegated nor renamed (RFC 4592, sections 4.2 and 4.4).
        let records: BTreeSet<_> = records
            .into_iter()
            .filter(|(name, of)| !(is_wild(name) && matches!(*of, "NS" | "DNAME")))
            .collect();
        let line = |(name, of): &(Name, &str)| match *of {
            "A" => format!("{name} A 192.0.2.1\n"),
            "TXT" => format!("{name} TXT x\n"),
            of => format!("{name} {of} x.\n"),
        };
        let (zone, findings) = zone(&records.iter().map(line).collect::<String>());
        prop_assert!(zone.is_some(), "{:?}", findings);
        let zone = zone.unwrap();
        let mut owners = records;
        owners.insert((Name::parse(APEX).unwrap(), "SOA"));
        for name in asked.iter().chain(owners.iter().map(|(name, _)| name)) {
            // A delegation below a DNAME, or the other way round: whichever is nearer the apex.
            prop_assert_eq!(quickly(&zone, name), slowly(&owners, name), "{}", name);
        }
    }

    #[test]
    fn any_records_are_a_zone_or_errors(lines in prop::collection::vec(prop::sample::select(vec![
        "@ NS a", "a A 1.2.3.4", "a A 1.2.3.5", "a 5 A 1.2.3.5", "a AAAA ::1", "a CNAME b", "b CNAME a", "a DNAME b", "@ DNAME c", "a NS b.a", "b.a A 1.2.3.4",
        "b.a NS c.b.a", "*.a MX 1 x.a", "* A 1.2.3.4", "* CNAME x", "*.* TXT x", "@ SOA a b 2 2 3 4 5", "b SOA a b 1 2 3 4 5", "c DS 1 8 2 AA", "c SRV 1 1 1 b",
        "x.y. TXT out", "_s SRV 0 0 0 .", "c NS .", "b HTTPS 1 .", "d TYPE666 \\# 0", "d NSEC @ A", "a RRSIG A 8 1 1 1 1 1 z. AAAA", "@ MX 0 .", "e",
    ]), 0..20)) {
        let (zone, findings) = zone(&(lines.join("\n") + "\n"));
        let has_errors = findings.iter().any(|finding| finding.severity == Severity::Error);
        prop_assert_eq!(zone.is_none(), has_errors, "{:?}", findings);
    }
}
