//! The laws of watches, by values: what decides is told the time, so nothing here waits.

mod encodings;
mod incarnations;
mod pages;

use std::time::{Duration, Instant};

use super::guard::{Doubt, Guard, Listed, Patience, Verdict};
use super::known::{Known, Mark};
use super::loss::{Losses, Turn};
use super::pace::{Backoff, Lists, Pace, jittered};
use crate::objects::Kind;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Judges lists in order, each written as `at: missing/known`, with `older` behind it.
fn check_guard(lists: &str, expected: &str) {
    let begun = Instant::now();
    let mut guard = Guard::new(Patience {
        shrunk: secs(10),
        older: secs(5),
    });
    let verdicts: Vec<String> = lists
        .split(", ")
        .map(|list| {
            let (at, rest) = list.split_once(": ").unwrap();
            let (missing, rest) = rest.split_once('/').unwrap();
            let known = rest.trim_end_matches(" older");
            let listed = Listed {
                known: known.parse().unwrap(),
                missing: missing.parse().unwrap(),
                is_older: rest.ends_with(" older"),
            };
            match guard.judge(listed, begun + secs(at.parse().unwrap())) {
                Verdict::Take => "take".to_owned(),
                Verdict::Hold(Doubt::Shrunk, wait) => format!("shrunk {}", wait.as_secs()),
                Verdict::Hold(Doubt::Older, wait) => format!("older {}", wait.as_secs()),
            }
        })
        .collect();
    assert_eq!(verdicts.join(", "), expected, "{lists}");
}

#[test]
fn a_list_that_loses_more_than_half_waits_for_a_second() {
    check_guard("0: 0/0", "take");
    check_guard("0: 10/20", "take");
    check_guard("0: 11/20", "shrunk 10");
    // However few there are: the one slice of the one service.
    check_guard("0: 1/2", "take");
    check_guard("0: 1/1, 10: 1/1", "shrunk 10, take");
    check_guard("0: 1000/1000, 10: 1000/1000", "shrunk 10, take");
    // Not before its time.
    check_guard(
        "0: 90/100, 4: 90/100, 10: 90/100",
        "shrunk 10, shrunk 6, take",
    );
    // A good list in between ends the doubt, and so does a confirmed one.
    check_guard(
        "0: 90/100, 10: 0/100, 20: 90/100",
        "shrunk 10, take, shrunk 10",
    );
    check_guard(
        "0: 90/100, 10: 90/100, 20: 90/100",
        "shrunk 10, take, shrunk 10",
    );
    // However long the second list took to come.
    check_guard("0: 90/100, 600: 90/100", "shrunk 10, take");
}

#[test]
fn a_list_older_than_what_is_known_waits_for_a_second() {
    check_guard("0: 0/3 older, 5: 0/3 older", "older 5, take");
    check_guard("0: 0/3 older, 5: 0/3", "older 5, take");
    // Restored from a backup with less in it: asked twice, not three times.
    check_guard("0: 90/100 older, 5: 90/100 older", "older 5, take");
}

#[test]
fn waits_double_up_to_a_limit_and_begin_anew_when_it_works() {
    let pace = Pace::default();
    let mut backoff = Backoff::new(&pace);
    // The least and the most that chance makes of a wait.
    let (least, most) = (0, 1023);
    assert_eq!(
        backoff.wait(None, least),
        Duration::from_millis(400),
        "half of 0.8 s"
    );
    let waits: Vec<u64> = (0..8).map(|_| backoff.wait(None, most).as_secs()).collect();
    assert_eq!(waits, [1, 3, 6, 12, 25, 29, 29, 29]);
    // The server's own wish is obeyed where it asks for more, within reason.
    assert_eq!(backoff.wait(Some(secs(1)), most).as_secs(), 29);
    assert_eq!(backoff.wait(Some(secs(45)), most).as_secs(), 45);
    assert_eq!(backoff.wait(Some(secs(86_400)), most).as_secs(), 120);
    backoff.reset();
    assert_eq!(backoff.wait(None, least), Duration::from_millis(400));
}

#[test]
fn chance_makes_a_time_shorter_by_half_at_most() {
    for draw in [0, 1, 511, 1023, 1024, u64::MAX] {
        let time = jittered(secs(60), draw);
        assert!((secs(30)..=secs(60)).contains(&time), "{draw}: {time:?}");
    }
    assert_eq!(jittered(secs(60), 512), secs(45));
}

#[test]
fn at_most_two_lists_are_begun_in_a_span() {
    let begun = Instant::now();
    let at = |after| begun + secs(after);
    let mut lists = Lists::default();
    for after in [0, 1] {
        assert_eq!(lists.wait(secs(60), at(after), 0), Duration::ZERO);
        lists.begin(at(after));
    }
    assert_eq!(lists.wait(secs(60), at(2), 0), secs(58));
    // By chance up to a quarter more, never less.
    assert!((secs(72)..secs(73)).contains(&lists.wait(secs(60), at(2), 1023)));
    assert_eq!(lists.wait(secs(60), at(60), 0), Duration::ZERO);
    lists.begin(at(60));
    // The one of second 1 and the one of second 60.
    assert_eq!(lists.wait(secs(60), at(60), 0), secs(1));
}

#[test]
fn what_is_lost_is_noticed_within_ninety_seconds() {
    let pace = Pace::default();
    assert!(
        pace.silence > secs(65),
        "bookmarks come every 60 s or a little later"
    );
    assert!(pace.silence + pace.head <= secs(90));
    assert!(pace.watch < secs(295), "what the client refuses to ask for");
}

#[test]
fn the_source_is_lost_with_the_first_kind_and_back_with_the_last() {
    let mut losses = Losses::default();
    assert_eq!(losses.mend(Kind::Pod), None);
    assert_eq!(losses.fail(Kind::Pod), Some(Turn::Lost));
    assert_eq!(losses.fail(Kind::Pod), None);
    assert_eq!(losses.fail(Kind::Service), None);
    assert_eq!(losses.mend(Kind::Pod), None);
    assert_eq!(losses.mend(Kind::Pod), None);
    assert_eq!(losses.mend(Kind::Service), Some(Turn::Back));
    assert_eq!(losses.fail(Kind::Service), Some(Turn::Lost));
    // Nobody waits for what a cluster may be without.
    let mut losses = Losses::default();
    assert_eq!(losses.fail(Kind::ServiceRollout), None);
    assert_eq!(losses.mend(Kind::ServiceRollout), None);
}

/// `name/uid@version`; a version of 0 is none that can be compared, and `-` is no UID.
fn mark(text: &str) -> Mark {
    let (name, rest) = text.split_once('/').unwrap();
    let (uid, version) = rest.split_once('@').unwrap();
    super::known::Marker::fixed().mark("shop", name, uid.trim_matches('-'), version)
}

/// Plays `+` (there) and `-` (gone) events and says which were news.
fn check_events(events: &str, expected: &str) {
    let mut known = Known::default();
    let news: String = events
        .split(' ')
        .map(|event| {
            let (sign, of) = event.split_at(1);
            let is_news = match sign {
                "+" => known.apply(mark(of)),
                _ => known.delete(mark(of)),
            };
            if is_news { 'y' } else { '.' }
        })
        .collect();
    assert_eq!(news, expected, "{events}");
}

#[test]
fn an_event_older_than_what_is_known_is_no_news() {
    check_events("+a/u@5 +a/u@6 +a/u@5 +a/u@6 +a/u@7", "yy..y");
    // Numbers are compared as numbers.
    check_events("+a/u@9 +a/u@10", "yy");
    // What cannot be compared is always taken.
    check_events("+a/u@x +a/u@x", "yy");
}

#[test]
fn an_incarnation_that_ended_does_not_come_back() {
    check_events("+a/u@5 -a/u@8 +a/u@7 +a/u@9 -a/u@8", "yy...");
    // Its end may be heard before its last state, or before all of it.
    check_events("-a/u@8 +a/u@5", "..");
    // The next incarnation is another, and the end of the one before is none of its.
    check_events("+a/u@5 -a/u@8 +a/v@9 -a/u@8 +a/u@6", "yyy..");
    check_events("+a/v@9 -a/u@8 +a/u@5", "y..");
    // An end whose version is that of the last state, as it was before Kubernetes 1.9.
    check_events("+a/u@5 -a/u@5", "yy");
    // Without UIDs versions alone decide.
    check_events("+a/-@5 -a/-@8 +a/-@7 +a/-@9", "yy.y");
}

#[test]
fn only_a_list_sets_versions_back() {
    let mut known = Known::default();
    for of in ["a/u@50", "b/v@60"] {
        assert!(known.apply(mark(of)));
    }
    let mut restored = Known::default();
    assert!(restored.apply(mark("a/u@5")));
    assert_eq!(known.missing_in(&restored), 1);
    known = restored;
    assert_eq!(known.len(), 1);
    assert!(known.apply(mark("a/u@6")));
    assert!(known.apply(mark("b/v@7")), "it may be made again");
}

#[test]
fn gone_objects_are_forgotten_in_the_order_they_went() {
    let mut known = Known::default();
    assert!(known.apply(mark("there/u@1")));
    for number in 0..100_000 {
        let of = mark(&format!("pod-{number}/u{number}@{}", number + 2));
        assert!(known.apply(of));
        assert!(known.delete(of));
        assert!(known.remembered() < 5_000 + 1);
    }
    assert_eq!(known.len(), 1);
    // The last are remembered.
    assert!(!known.apply(mark("pod-99999/u99999@100001")));
    assert!(!known.apply(mark("there/u@1")));
}
