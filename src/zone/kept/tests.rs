//! Who keeps what, for some thousand clients. The hash is fixed, so the counts are the same at every run; the bounds say
//! how far a fair coin would stray.

use std::net::IpAddr;

use super::*;

/// Clients next to one another, as they are: a /16 network and its hosts.
const CLIENTS: u128 = 8192;

fn clients() -> impl Iterator<Item = u128> {
    (0..CLIENTS).map(|host| 0xFFFF_0A00_0000 + host)
}

/// `p5 p6@40`: targets with their identity, and a factor where it is not 100.
fn targets(text: &str) -> Vec<records::Target> {
    text.split_whitespace()
        .map(|word| {
            let (identity, factor) = word.split_once('@').unwrap_or((word, "100"));
            let address: IpAddr = "10.0.0.1".parse().unwrap();
            records::Target {
                identity: identity.into(),
                factor: factor.parse().unwrap(),
                addresses: vec![address],
                ports: Vec::new(),
            }
        })
        .collect()
}

/// Versions in their order as `1000: a b; 9000: c d`: share and targets. A target `-x` has no record in the set.
fn sticky(text: &str) -> Sticky {
    let versions = text.split("; ").zip(0..).map(|(version, index)| {
        let (share, names) = version.split_once(':').unwrap();
        records::StickyVersion {
            version: index,
            share: share.parse().unwrap(),
            targets: targets(names),
        }
    });
    let of = records::Sticky {
        by: model::Sticky::Ecs,
        service: "s".into(),
        versions: versions.collect(),
    };
    let add = |target: &records::Target| u16::from(!target.identity.starts_with('-'));
    Sticky::new(&of, &[0, 1, 2], add).unwrap()
}

/// For each client its version, and its target by identity.
fn kept(text: &str) -> Vec<(u32, String)> {
    let sticky = sticky(text);
    let words = text.split([':', ';', ' ']);
    let names: Vec<&str> = words
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(|word| word.split('@').next().unwrap())
        .collect();
    clients()
        .map(|client| {
            let keeps = sticky.select(client).unwrap();
            assert_eq!(keeps.run.count, 1);
            let name = names[keeps.run.start as usize];
            (keeps.count.unwrap(), name.to_owned())
        })
        .collect()
}

/// `part` of `whole` of the clients, give or take four standard deviations of as many tosses of such a coin.
fn assert_near(count: usize, part: u32, whole: u32, what: &str) {
    let chance = f64::from(part) / f64::from(whole);
    let expected = CLIENTS as f64 * chance;
    let bound = 4.0 * (expected * (1.0 - chance)).sqrt();
    let off = (count as f64 - expected).abs();
    assert!(off <= bound, "{what}: {count}, not {expected} +- {bound}");
}

fn of_version(kept: &[(u32, String)], version: u32) -> usize {
    kept.iter().filter(|(of, _)| *of == version).count()
}

fn of_target(kept: &[(u32, String)], target: &str) -> usize {
    kept.iter().filter(|(_, of)| of == target).count()
}

#[test]
fn versions_have_as_many_clients_as_their_share() {
    for (canary, other) in [(100, 0), (1000, 0), (1000, 4000), (5000, 0), (3333, 3333)] {
        let stable = 10_000 - canary - other;
        let split = kept(&format!("{canary}: a b; {other}: c; {stable}: d e f"));
        for (version, share) in [(0, canary), (1, other), (2, stable)] {
            assert_near(of_version(&split, version), share, 10_000, "a version");
        }
        for target in ["a", "b"] {
            assert_near(of_target(&split, target), canary, 20_000, target);
        }
        for target in ["d", "e", "f"] {
            assert_near(of_target(&split, target), stable, 30_000, target);
        }
    }
}

/// Raising a share only adds clients; who had the target before has the same endpoint of it after.
fn check_growth(split: impl Fn(u32) -> String) {
    let mut before: Option<Vec<(u32, String)>> = None;
    for share in (0..=10_000).step_by(250) {
        let after = kept(&split(share));
        if let Some(before) = before {
            for (client, (before, after)) in before.iter().zip(&after).enumerate() {
                assert!(before.0 != 0 || after == before, "client {client}");
            }
        }
        before = Some(after);
    }
    assert_eq!(
        of_version(&before.unwrap(), 0),
        clients().count(),
        "all of them"
    );
}

#[test]
fn the_clients_of_a_share_that_grows_stay() {
    check_growth(|share| format!("{share}: a b c; {}: d e f", 10_000 - share));
    // Of three, the one between is displaced first.
    check_growth(|share| {
        let other = 3000_u32.saturating_sub(share);
        let stable = 10_000 - share - other;
        format!("{share}: a b; {other}: c d; {stable}: e f")
    });
    // Or last.
    check_growth(|share| {
        let other = 3000.min(10_000 - share);
        let stable = 10_000 - share - other;
        format!("{share}: a b; {other}: c d; {stable}: e f")
    });
}

#[test]
fn one_more_target_takes_its_clients_and_moves_nobody_else() {
    let few = kept("2000: a b; 8000: c d e");
    let more = kept("2000: a b; 8000: c d e f");
    let mut moved = 0;
    for (few, more) in few.iter().zip(&more) {
        if few != more {
            assert_eq!(*more, (1, "f".to_owned()), "it was {few:?}");
            moved += 1;
        }
    }
    assert_near(moved, 2, 10, "a quarter of eight tenths");
}

#[test]
fn targets_have_as_many_clients_as_their_factor() {
    for factors in [[100, 50], [100, 1], [70, 71], [10, 100]] {
        let [one, other] = factors;
        let split = kept(&format!("10000: a@{one} b@{other}"));
        let whole = one + other;
        assert_near(of_target(&split, "a"), one, whole, "a");
        assert_near(of_target(&split, "b"), other, whole, "b");
    }
    let many: Vec<String> = (1..=40).map(|n| format!("p{n}@{}", n * 2)).collect();
    let split = kept(&format!("10000: {}", many.join(" ")));
    for n in 1..=40 {
        assert_near(of_target(&split, &format!("p{n}")), n, 820, "a factor");
    }
}

#[test]
fn a_factor_that_grows_only_takes_clients() {
    let mut before: Option<Vec<(u32, String)>> = None;
    for factor in [1, 2, 5, 10, 40, 75, 99, 100] {
        let after = kept(&format!("10000: a@{factor} b c"));
        if let Some(before) = before {
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || after.1 == "a", "{before:?} {after:?}");
            }
        }
        before = Some(after);
    }
    // Where all are whole, the factors say the same as none.
    assert_eq!(before.unwrap(), kept("10000: a@7 b@7 c@7"));
}

#[test]
fn a_set_that_lacks_a_target_agrees_about_all_others() {
    let whole = kept("1000: a b; 3000: c d; 6000: e f");
    for (lacking, lost) in [
        ("1000: -a b; 3000: c d; 6000: e f", &["a"][..]),
        ("1000: a b; 3000: c d; 6000: -e f", &["e"]),
        ("1000: -a -b; 3000: c d; 6000: e f", &["a", "b"]),
        ("1000: a b; 3000: -c -d; 6000: e f", &["c", "d"]),
    ] {
        let there = kept(lacking);
        for (whole, there) in whole.iter().zip(&there) {
            assert!(whole == there || lost.contains(&&*whole.1), "{whole:?}");
        }
    }
    // The clients of a version that is not there at all are dealt to the others by share.
    let without = kept("1000: a b; 3000: -c -d; 6000: e f");
    assert_near(of_version(&without, 0), 1000, 7000, "the canary");
    assert_near(of_version(&without, 2), 6000, 7000, "the stable one");
    let without = kept("1000: a b; 3000: c d; 6000: -e -f");
    assert_near(of_version(&without, 0), 1000, 4000, "the canary");
    assert_near(of_version(&without, 1), 3000, 4000, "the one between");
}

#[test]
fn services_deal_their_clients_each_in_its_own_way() {
    let canary = |service: &str| {
        let of = records::Sticky {
            by: model::Sticky::Ecs,
            service: service.into(),
            versions: [(0, 1000, "a"), (1, 9000, "b")]
                .map(|(version, share, names)| records::StickyVersion {
                    version,
                    share,
                    targets: targets(names),
                })
                .into(),
        };
        let sticky = Sticky::new(&of, &[0, 1], |_| 1).unwrap();
        clients().map(move |client| sticky.select(client).unwrap().count == Some(0))
    };
    // A tenth of a tenth has the canary of both.
    let both = canary("one").zip(canary("other"));
    let count = both.filter(|(one, other)| *one && *other).count();
    assert_near(count, 1, 100, "both");
}

/// Replicas of other releases have to agree as well: whoever changes these numbers moves every client there is.
#[test]
fn the_hash_stays_what_it_is() {
    assert_eq!(fingerprint(b""), mix64(0xCBF2_9CE4_8422_2325));
    assert_eq!(fingerprint(b"a"), mix64(0xAF63_DC4C_8601_EC8C));
    let sticky = sticky("1000: a b; 9000: c d e");
    let starts: Vec<u32> = clients()
        .take(24)
        .map(|client| sticky.select(client).unwrap().run.start)
        .collect();
    assert_eq!(
        starts,
        [
            3, 3, 0, 3, 2, 2, 4, 3, 1, 3, 4, 3, 3, 4, 2, 2, 2, 2, 3, 3, 3, 2, 4, 3
        ]
    );
}

/// Squares, quotients and what lies between: the digits of a logarithm.
#[test]
fn logarithms_are_right_to_the_last_digit_but_one() {
    let unit = (1_u64 << LOG_DIGITS) as f64;
    for score in [
        1,
        2,
        3,
        1 << 20,
        (1 << 63) - 1,
        1 << 63,
        0xB504_F333_F9DE_6484,
        u64::MAX - (1 << 40),
        u64::MAX,
    ] {
        let log = -(score as f64 / 2_f64.powi(64)).log2();
        let got = minus_log2(score) as f64 / unit;
        assert!((got - log).abs() < 2.0 / unit, "{score}: {got}, not {log}");
    }
    assert!(minus_log2(0) >= minus_log2(1));
}
