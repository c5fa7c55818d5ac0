//! Names outside our zones: which are wanted, and what is answered of them.

use hickory_proto::op::Message;

use super::*;
use crate::model::Resolved;

/// What may be learned of a name: nothing, something, or why not.
pub(super) fn resolved(n: u8) -> Resolved {
    let addresses: &[&str] = match n {
        0 => &[],
        1 => &["192.0.2.1"],
        2 => &["192.0.2.1", "192.0.2.2", "2001:db8::1"],
        _ => &["2001:db8::1", "2001:db8::2"],
    };
    Resolved {
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        trouble: n.is_multiple_of(2).then(|| format!("is told {n}")),
    }
}

/// `shop/SERVICE` with this external name.
fn alias(service: &str, target: &str) -> Change {
    Change::Apply(read(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": service, "namespace": "shop"},
        "spec": {"type": "ExternalName", "externalName": target},
    })))
}

fn gone(service: &str) -> Change {
    Change::Delete {
        kind: Kind::Service,
        namespace: "shop".into(),
        name: service.into(),
    }
}

fn synced() -> Engine {
    let mut engine = engine();
    engine.apply(Cluster::default().lists(), at(0));
    engine
}

/// What is wanted or not any more: `+db.example -cdn.example`.
fn wanted(engine: &mut Engine) -> String {
    let news = engine.take_wanted().into_iter();
    let mut words: Vec<String> = news
        .map(|(name, is_wanted)| format!("{}{name}", if is_wanted { '+' } else { '-' }))
        .collect();
    words.sort();
    words.join(" ")
}

/// The answers to A and AAAA in `z`, one record a line, in order: owner, TTL, data.
fn answer(engine: &Engine, service: &str) -> Vec<String> {
    let mut all = BTreeSet::new();
    for rtype in [rtype::A, rtype::AAAA] {
        let message =
            Message::from_vec(&ask(engine, &format!("{service}.shop.svc.z"), rtype)).unwrap();
        assert!(message.metadata.authoritative);
        assert!(message.authorities.is_empty());
        let records = message.answers.iter();
        all.extend(records.map(|r| format!("{} {} {}", r.name, r.ttl, r.data)));
    }
    all.into_iter().collect()
}

#[track_caller]
fn check(engine: &Engine) {
    let compiled = from_scratch(engine, at(0));
    assert_eq!(differences(&published(engine), &compiled), [""; 0]);
    assert_eq!(engine.problems(), problems_from_scratch(engine));
}

#[test]
fn a_name_is_wanted_once_by_however_many_and_until_the_last_goes() {
    let mut engine = synced();
    let mut play = |changes: Vec<Change>| {
        engine.apply(changes, at(0));
        check(&engine);
        wanted(&mut engine)
    };
    for (changes, expected) in [
        (vec![alias("a", "db.example")], "+db.example."),
        (
            vec![alias("b", "DB.example."), alias("a", "db.example")],
            "",
        ),
        (vec![gone("a")], ""),
        (
            vec![alias("b", "cdn.example")],
            "+cdn.example. -db.example.",
        ),
        // Within a batch it may go from one service to another.
        (vec![alias("a", "cdn.example"), gone("b")], ""),
        (
            vec![alias("a", "db.example"), alias("c", "cdn.example")],
            "+db.example.",
        ),
        (vec![gone("a"), gone("c")], "-cdn.example. -db.example."),
        (vec![alias("a", "db.example")], "+db.example."),
        (vec![Change::Apply(service("shop", "a", 0))], "-db.example."),
        // Our own are followed in the answer: other zones of ours too, reverse names too.
        (
            vec![
                alias("a", "b.shop.svc.z"),
                alias("b", "web.shop.svc.far.away"),
            ],
            "",
        ),
        (
            vec![alias("a", "1.0.0.10.in-addr.arpa"), alias("b", "z")],
            "",
        ),
        (
            vec![alias("a", "1.0.0.11.in-addr.arpa")],
            "+1.0.0.11.in-addr.arpa.",
        ),
    ] {
        let said = format!("{changes:?}");
        assert_eq!(play(changes), expected, "{said}");
    }
}

#[test]
fn what_is_learned_stands_behind_the_cname_of_each_service_that_wants_it() {
    let mut engine = synced();
    let (db, cdn) = (name("db.example"), name("cdn.example"));
    let changes = vec![
        alias("a", "db.example"),
        alias("b", "db.example"),
        alias("c", "cdn.example"),
    ];
    engine.apply(changes, at(0));
    assert_eq!(wanted(&mut engine), "+cdn.example. +db.example.");
    // Nothing is known yet, and caches are not to believe for long that there is nothing.
    assert_eq!(answer(&engine, "a"), ["a.shop.svc.z. 5 db.example."]);

    let applied = engine.learn(vec![(db.clone(), resolved(2))], at(1));
    // A node in each of the two zones.
    assert_eq!((applied.services, applied.changed.replaced), (2, 4));
    check(&engine);
    for service in ["a", "b"] {
        let expected = [
            &format!("{service}.shop.svc.z. 30 db.example."),
            "db.example. 5 192.0.2.1",
            "db.example. 5 192.0.2.2",
            "db.example. 5 2001:db8::1",
        ];
        assert_eq!(answer(&engine, service), expected);
    }
    assert_eq!(answer(&engine, "c"), ["c.shop.svc.z. 5 cdn.example."]);
    let problems: Vec<String> = engine.problems().iter().map(ToString::to_string).collect();
    let expected = ["a", "b"]
        .map(|service| format!("service shop/{service}: externalName: `db.example` is told 2"));
    assert_eq!(problems, expected);

    // The same once more is no news; nor is what is learned of a name that nobody wants.
    let generation = engine.generation;
    let again = vec![
        (db.clone(), resolved(2)),
        (name("other.example"), resolved(1)),
    ];
    assert_eq!(engine.learn(again, at(2)).services, 0);
    // Trouble alone changes no answer.
    let mut troubled = resolved(2);
    troubled.trouble = None;
    let applied = engine.learn(vec![(db.clone(), troubled)], at(2));
    assert_eq!((applied.services, applied.changed), (2, Changed::default()));
    assert_eq!((engine.generation, engine.problems()), (generation, vec![]));
    assert_eq!(wanted(&mut engine), "");

    // A service that comes later has it at once, also while another goes.
    engine.apply(vec![alias("c", "db.example"), gone("a")], at(3));
    check(&engine);
    assert_eq!(answer(&engine, "c").len(), 4);
    assert_eq!(wanted(&mut engine), "-cdn.example.");
    // What nobody wanted any more is forgotten.
    engine.learn(vec![(cdn, resolved(1))], at(4));
    engine.apply(vec![alias("a", "cdn.example")], at(5));
    assert_eq!(answer(&engine, "a"), ["a.shop.svc.z. 5 cdn.example."]);
    check(&engine);
}

#[test]
fn a_chain_of_ours_ends_with_the_addresses_of_its_last_name() {
    let mut engine = synced();
    engine.apply(
        vec![alias("a", "b.shop.svc.z"), alias("b", "db.example")],
        at(0),
    );
    engine.learn(vec![(name("db.example"), resolved(1))], at(0));
    let expected = [
        "a.shop.svc.z. 30 b.shop.svc.z.",
        "b.shop.svc.z. 30 db.example.",
        "db.example. 5 192.0.2.1",
    ];
    assert_eq!(answer(&engine, "a"), expected);
    let other = Message::from_vec(&ask(&engine, "b.shop.svc.z", rtype::TXT)).unwrap();
    assert_eq!(other.answers.len(), 1);
}

#[test]
fn nothing_is_wanted_where_nobody_looks_up() {
    let mut engine = synced();
    engine.settings.upstream = false;
    engine.apply(vec![alias("a", "db.example")], at(0));
    engine.learn(vec![(name("db.example"), resolved(1))], at(0));
    assert_eq!(wanted(&mut engine), "");
    assert_eq!(answer(&engine, "a"), ["a.shop.svc.z. 30 db.example."]);
}

/// What may happen to three services and two names.
#[derive(Clone, Debug)]
enum Turn {
    /// A service has this target from here on, or goes.
    Service(usize, Option<usize>),
    Learn(usize, u8),
    Settle,
}

const NAMES: [&str; 3] = ["db.example", "cdn.example", "b.shop.svc.z"];

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (0_usize..3, prop::option::weighted(0.8, 0_usize..3)).prop_map(|(s, t)| Turn::Service(s, t)),
        3 => (0_usize..3, 0_u8..4).prop_map(|(name, n)| Turn::Learn(name, n)),
        2 => Just(Turn::Settle),
    ]
}

proptest! {
    /// In whatever order services and what is learned come, what is published is what compiling gives; and who looks up
    /// knows of every name whether it is wanted.
    #[test]
    fn what_was_learned_is_an_input_like_any_other(turns in prop::collection::vec(turn(), 1..40)) {
        let mut engine = synced();
        let mut told: BTreeSet<Name> = BTreeSet::new();
        let mut targets = [None; 3];
        for turn in turns {
            match turn {
                Turn::Service(service, target) => {
                    targets[service] = target;
                    let service = ["a", "b", "c"][service];
                    let change = target.map_or_else(|| gone(service), |t| alias(service, NAMES[t]));
                    engine.apply(vec![change], at(0));
                }
                Turn::Learn(target, n) => {
                    engine.learn(vec![(name(NAMES[target]), resolved(n))], at(0));
                }
                Turn::Settle => {
                    for (name, is_wanted) in engine.take_wanted() {
                        let is_news = match is_wanted {
                            true => told.insert(name),
                            false => told.remove(&name),
                        };
                        prop_assert!(is_news);
                    }
                    let all: BTreeSet<Name> = targets.iter().flatten().filter(|t| **t < 2).map(|t| name(NAMES[*t])).collect();
                    prop_assert_eq!(&told, &all);
                }
            }
            prop_assert_eq!(differences(&published(&engine), &from_scratch(&engine, at(0))), [""; 0]);
            prop_assert_eq!(engine.problems(), problems_from_scratch(&engine));
        }
    }
}
