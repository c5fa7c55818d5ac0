//! What time does: the last good answer is held, deadlines of caches are told, and nothing moves blind.

use super::shop::{Shop, web};
use super::*;

fn check(script: &str) {
    Shop::rolling().check(script);
}

/// "the last good set for 5 s while its pods are still Ready (a selector flip empties slices for a moment)"
#[test]
fn a_selector_flip_never_makes_the_name_vanish() {
    check(
        "
        0   endpoints 0 1   -> 1 2
        10  endpoints -     -> 1 2
        11  -               -> 1 2
        13  endpoints 4 5   -> 5 6
        20  -               -> 5 6
        ",
    );
}

#[test]
fn what_stays_empty_is_empty_after_five_seconds() {
    check(
        "
        0   endpoints 0 1   -> 1 2
        10  endpoints -     -> 1 2
        14  -               -> 1 2
        15  -               -> NXDomain
        16  -               -> NXDomain
        20  endpoints 0     -> 1
        ",
    );
    // Other news of the service meanwhile do not make it longer.
    check(
        "
        0   endpoints 0 1         -> 1 2
        10  endpoints -           -> 1 2
        14  service answer: all   -> 1 2
        15  -                     -> NXDomain
        ",
    );
}

#[test]
fn pods_that_are_not_ready_hold_nothing() {
    for gone in ["unready", "gone", "leaving", "done"] {
        check(&format!(
            "
            0   endpoints 0 1                -> 1 2
            10  endpoints -; pod 1 {gone}    -> NXDomain
            "
        ));
        check(&format!(
            "
            0   endpoints 0 1    -> 1 2
            10  endpoints -      -> 1 2
            12  pod 0 {gone}     -> NXDomain
            "
        ));
    }
    // A pod that was not answered says nothing.
    check(
        "
        0   endpoints 0 1                 -> 1 2
        10  endpoints -; pod 2 unready    -> 1 2
        ",
    );
    check(
        "
        0   service weights: v1=1+v2=0; endpoints 0 1 4   -> 1 2
        10  endpoints -; pod 4 gone                       -> 1 2
        ",
    );
}

#[test]
fn a_service_that_goes_or_changes_its_kind_is_not_held() {
    check(
        "
        0   endpoints 0 1               -> 1 2
        10  endpoints -; service gone   -> NXDomain
        ",
    );
    check(
        "
        0   endpoints 0 1               -> 1 2
        10  endpoints -                 -> 1 2
        11  service gone                -> NXDomain
        ",
    );
    check(
        "
        0   endpoints 0 1               -> 1 2
        10  endpoints -; service ip     -> 1
        ",
    );
}

#[test]
fn people_are_told_that_it_is_held() {
    let mut shop = Shop::open();
    shop.play(0, "endpoints 0 1");
    assert_eq!(shop.detail(0).held, None);
    shop.play(10, "endpoints -");
    let detail = shop.detail(12);
    assert_eq!(detail.held, Some(at(15)));
    // As it was published, not as it would be.
    assert_eq!(detail.summary.ready, (2, 2));
    shop.play(15, "-");
    let detail = shop.detail(15);
    assert_eq!((detail.held, detail.summary.ready), (None, (0, 0)));
}

#[test]
fn time_stands_still_while_the_source_is_lost() {
    check(
        "
        0   endpoints 0 1         -> 1 2
        10  endpoints -           -> 1 2
        12  lost                  -> 1 2
        15  -                     -> 1 2
        99  -                     -> 1 2
        99  service answer: all   -> 1 2
        99  back                  -> NXDomain
        ",
    );
    let mut shop = Shop::open();
    shop.play(0, "endpoints 0 1");
    shop.play(10, "endpoints -");
    assert_eq!(shop.engine.next_due(), Some(at(15)));
    shop.play(12, "lost");
    assert_eq!(shop.engine.next_due(), None);
    assert_eq!(shop.engine.clock(at(20)), at(12));
    assert_eq!(shop.engine.tick(at(20)).services, 0);
}

/// However large the cluster: a moment at which nothing is due compiles nothing.
#[test]
fn only_what_is_due_is_evaluated() {
    let mut shop = Shop::open();
    shop.play(0, "endpoints 0 1");
    assert_eq!(shop.engine.next_due(), None);
    assert_eq!(shop.engine.tick(at(5)).services, 0);
    shop.play(10, "endpoints -");
    assert_eq!(shop.engine.tick(at(14)).services, 0);
    let applied = shop.engine.tick(at(15));
    assert_eq!((applied.services, applied.changed.any()), (1, true));
    assert_eq!(applied.generation, shop.engine.generation);
    assert_eq!(shop.engine.tick(at(16)).services, 0);
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_for_longer() {
    let mut shop = Shop::open();
    shop.check(
        "
        3600  endpoints 0 1   -> 1 2
        3610  endpoints -     -> 1 2
        11    -               -> 1 2
        ",
    );
    assert_eq!(shop.engine.next_due(), Some(at(16)));
    shop.check("16  -  -> NXDomain");
}

/// "the last well-behaved cache forgets 10.1.2.3 at ..."
fn check_drains(script: &str, second: i64, expected: &str) {
    let mut shop = Shop::rolling();
    shop.check(script);
    let drains = shop.detail(second).drains;
    let told = drains.iter().map(|drain| {
        let since = drain.unpublished.as_second() - NOW;
        let until = drain.deadline.as_second() - NOW;
        format!("{} {} {since}-{until}", drain.address, drain.alias)
    });
    assert_eq!(told.collect::<Vec<_>>().join(", "), expected, "{script}");
}

#[test]
fn an_address_that_leaves_the_answer_drains_from_caches() {
    let gone = "
        0   service ttl: endpoints=30+rollout=30; endpoints 0 1 2  -> 1 2 3
        10  endpoints 0 2                                          -> 1 3
        12  endpoints 0                                            -> 1
        ";
    check_drains(gone, 12, "10.0.0.2 v1 10-40, 10.0.0.3 v1 12-42");
    check_drains(gone, 40, "10.0.0.3 v1 12-42");
    check_drains(gone, 42, "");
    check_drains(
        "
        0   service weights: v1=1+v2=1; endpoints 0 4   -> 1 5
        10  service weights: v1=1+v2=0                  -> 1
        ",
        10,
        "10.0.0.5 v2 10-15",
    );
    // While it is held it is answered.
    check_drains(
        "
        0   endpoints 0 1   -> 1 2
        10  endpoints -     -> 1 2
        15  -               -> NXDomain
        ",
        15,
        "10.0.0.1 v1 15-20, 10.0.0.2 v1 15-20",
    );
}

#[test]
fn the_floor_of_caches_and_a_lowered_time_to_live_count() {
    check_drains(
        "
        0   service ttl: endpoints=1+rollout=1; endpoints 0 1    -> 1 2
        10  endpoints 0                                          -> 1
        ",
        10,
        "10.0.0.2 v1 10-15",
    );
    check_drains(
        "
        0   service ttl: endpoints=30+rollout=30; endpoints 0 1   -> 1 2
        10  service ttl: endpoints=5+rollout=5                    -> 1 2
        12  endpoints 0                                           -> 1
        ",
        12,
        "10.0.0.2 v1 12-40",
    );
}

#[test]
fn a_held_service_is_looked_at_once() {
    let mut shop = Shop::open();
    shop.play(0, "endpoints 0 1");
    shop.play(10, "endpoints -");
    assert_eq!(shop.engine.held, [web()].into());
    shop.play(11, "endpoints 0");
    assert_eq!(shop.engine.held, BTreeSet::new());
    assert_eq!(shop.engine.next_due(), None);
}

/// What stays of a service is not joined and not encoded again at a tick; what comes of it is the same as if it were.
#[test]
fn a_tick_publishes_what_compiling_from_scratch_gives() {
    let mut shop = Shop::rolling();
    shop.play(0, "service ramp: 100s, clamp: off");
    shop.play(0, "endpoints 0 1 4 5");
    let mut splits = Vec::new();
    for second in (5..130).step_by(5) {
        match second {
            40 => shop.play(second, "endpoints 0 1 5"),
            45 => shop.play(second, "endpoints 0 1 4 5"),
            60 => shop.play(second, "service ramp: 100s, clamp: off, ttl: endpoints=4"),
            80 => shop.play(second, "service ramp: 100s, clamp: off"),
            105.. => shop.play(second, "-"),
            _ => {
                assert_eq!(shop.engine.tick(at(second)).services, 1, "{second}");
            }
        }
        let found = published(&shop.engine);
        let compiled = from_scratch(&shop.engine, at(second));
        assert_eq!(differences(&found, &compiled), [""; 0], "{second}");
        let summary = shop.engine.services[&web()].summary.clone().unwrap();
        splits.push(summary.versions.iter().map(|v| v.share).collect::<Vec<_>>());
    }
    splits.dedup();
    assert!(splits.len() > 15, "{splits:?}");
}
