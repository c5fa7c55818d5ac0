//! The exposition keeps to the conventions of Prometheus and OpenMetrics, and its labels to a list: whatever is asked of the
//! server, by whomever, makes no series.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use std::collections::{BTreeMap, BTreeSet};

use rig::Rig;

/// Labels, each with what bounds it.
const LABELS: [(&str, &str); 17] = [
    ("transport", "two"),
    ("type", "ten"),
    ("rcode", "eight"),
    ("limit", "four"),
    ("operation", "three"),
    ("result", "words of the program"),
    ("reason", "words of the program"),
    ("state", "words of the program"),
    ("role", "words of the program"),
    ("kind", "kinds of object, and of change"),
    ("service_kind", "one"),
    ("le", "bounds of buckets"),
    ("zone", "the configuration"),
    ("namespace", "objects of the cluster"),
    ("service", "objects of the cluster"),
    ("workload", "objects of the cluster"),
    (
        "version",
        "objects of the cluster; of the program itself, one",
    ),
];

/// A revision's hash is as bounded as its version.
const REVISION: &str = "revision";

/// Units in which numbers are told, at the end of a family's name.
const UNITS: [&str; 3] = ["seconds", "bytes", "ratio"];

#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    unit: Option<String>,
    series: BTreeSet<String>,
    labels: BTreeSet<String>,
}

/// The families of a text, in which every line must be of one.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut last = String::new();
    for line in text.lines() {
        if line == "# EOF" {
            last = line.to_owned();
        } else if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').unwrap();
            let (name, value) = rest.split_once(' ').unwrap();
            if word == "HELP" {
                assert!(!families.contains_key(name), "{name} stands twice");
                name.clone_into(&mut last);
            }
            assert_eq!(name, last, "{line}: comes before its HELP");
            let family = families.entry(name.to_owned()).or_default();
            match word {
                "HELP" => value.clone_into(&mut family.help),
                "TYPE" => value.clone_into(&mut family.kind),
                "UNIT" => family.unit = Some(value.to_owned()),
                _ => panic!("{line}"),
            }
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            let ending = name
                .strip_prefix(&last)
                .unwrap_or_else(|| panic!("{line}: not of {last}"));
            let family = families.get_mut(&last).unwrap();
            let endings: &[&str] = match &*family.kind {
                "counter" => &["_total"],
                "gauge" => &[""],
                "histogram" => &["_bucket", "_count", "_sum"],
                "info" => &["_info"],
                other => panic!("{last} is a {other}"),
            };
            assert!(
                endings.contains(&ending),
                "{line}: no series of a {}",
                family.kind
            );
            assert!(
                family.series.insert(series.to_owned()),
                "{line} stands twice"
            );
            let labels = series.split_once('{').map_or("", |(_, labels)| labels);
            let names = labels
                .split("=\"")
                .filter_map(|part| part.rsplit([',', '"']).next());
            let names = names.filter(|name| !name.is_empty() && *name != "}");
            family.labels.extend(names.map(str::to_owned));
        }
    }
    assert_eq!(last, "# EOF");
    families
}

fn rig() -> Rig {
    let change = |config: &mut shiftdns::config::Config| {
        config.reverse = vec!["10.0.0.0/8".parse().unwrap()];
        config.upstream = vec!["127.0.0.1:1".parse().unwrap()];
    };
    rig::serve_with(
        change,
        "
        headless web.shop http:80 weights=v1=50,v2=50
        clusterip api.shop 10.96.0.10 http:80
        external ext.shop payments.example.com
        deployment web.shop 3 v1=aaa v2=bbb
        slice web.shop http:8080 | 10.1.0.11 @web-aaa | 10.1.0.12 @web-aaa | 10.1.0.13 @web-bbb
        ",
    )
}

#[test]
fn the_exposition_keeps_to_the_conventions() {
    let rig = rig();
    rig.ask("web.shop.svc.Z A");
    let (_, text) = rig.http("/metrics");
    let families = families(&text);
    assert!(families.len() > 40, "{:?}", families.keys());
    for (name, family) in &families {
        assert!(name.starts_with("shiftdns_"), "{name}");
        let is_snake = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        assert!(is_snake && !name.contains("__"), "{name}");
        // The format adds these itself.
        for ending in ["_total", "_info", "_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(ending), "{name}");
        }
        let help = &family.help;
        assert!(help.len() > 15 && !help.ends_with(".."), "{name}: {help}");
        assert!(
            help.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()),
            "{name}: {help}"
        );
        match &family.unit {
            Some(unit) => {
                assert!(UNITS.contains(&&**unit), "{name}: {unit}");
                assert!(name.ends_with(&format!("_{unit}")), "{name}: {unit}");
            }
            None => {
                let last = name.rsplit('_').next().unwrap();
                assert!(
                    !UNITS.contains(&last),
                    "{name} has a unit in its name and none by itself"
                );
                let others = [
                    "milliseconds",
                    "ms",
                    "percent",
                    "bp",
                    "minutes",
                    "kilobytes",
                ];
                assert!(!others.contains(&last), "{name}: not a base unit");
            }
        }
        for label in &family.labels {
            let known = LABELS.iter().any(|(known, _)| known == label) || label == REVISION;
            assert!(known, "{name}: what bounds the label `{label}`?");
        }
    }
}

#[test]
fn what_is_asked_makes_no_series() {
    let rig = rig();
    let series = |rig: &Rig| {
        let (_, text) = rig.http("/metrics");
        let all = families(&text)
            .into_values()
            .flat_map(|family| family.series);
        // Of these there is one for each transport, type and code that was answered: a bound, and not a name.
        all.filter(|series| !series.starts_with("shiftdns_queries_total"))
            .collect::<BTreeSet<_>>()
    };
    rig.ask("web.shop.svc.Z A");
    let before = series(&rig);
    for number in 0..50 {
        for name in ["shop.svc.Z", "svc.Z", "example.com", "web.shop.svc.Z"] {
            rig.udp(&rig::query(&format!("x{number}.{name} A")));
            rig.udp(&rig::query(&format!("x{number}.{name} MX")));
        }
        rig.http(&format!("/x{number}"));
    }
    assert_eq!(series(&rig), before);
}
