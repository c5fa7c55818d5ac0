//! A scheduled cut-over: from the moment it is known no answer about shares may be kept beyond it.

use jiff::Timestamp;

use super::*;
use crate::model::{AnswerMode, Sticky, Strategy};
use crate::records::testing::{NOW, split};

/// Seconds from [`NOW`] to the cut-over.
const AHEAD: u64 = 20;
/// What the answers' TTL is otherwise.
const TTL: u32 = 60;

fn server(change: impl FnOnce(&mut Split)) -> Server {
    let mut split = split("v2 preview 10%: a=10.2.0.1; v1 active 90%: b=10.1.0.1 c=10.1.0.2");
    split.outcome.policy.strategy = Strategy::BlueGreen {
        auto_promotion_secs: Some(AHEAD as u32),
        backends: None,
    };
    split.outcome.ttl = TTL;
    split.outcome.cut_over = Some(Timestamp::from_second(NOW + AHEAD as i64).unwrap());
    change(&mut split);
    let mut server = Server::plain();
    server.serve(&split);
    server
}

/// The times to live in an answer: of its records, and of those beside it.
fn ttls(
    server: &mut Server,
    (text, qtype): (&str, u16),
    transport: Transport,
    secs: u64,
) -> (Vec<u32>, Vec<u32>) {
    server.now = NOW as u64 + secs;
    let answer = server.ask(&name(text), qtype, transport, Some(1232));
    let ttls = |section: &[hickory_proto::rr::Record]| section.iter().map(|r| r.ttl).collect();
    (ttls(&answer.answers), ttls(&answer.additionals))
}

/// The one TTL that all records of an answer have `secs` after [`NOW`].
fn check(server: &mut Server, text: &str, qtype: u16, by_secs: &[(u64, u32)]) {
    for (secs, expected) in by_secs {
        for transport in Transport::ALL {
            let (answers, beside) = ttls(server, (text, qtype), transport, *secs);
            assert!(!answers.is_empty(), "{text}");
            let mut all = answers.into_iter().chain(beside);
            assert!(
                all.all(|ttl| ttl == *expected),
                "{text} {qtype} after {secs} s: not {expected}"
            );
        }
    }
}

const COUNTED_DOWN: [(u64, u32); 6] = [(0, 20), (1, 19), (19, 1), (20, TTL), (21, TTL), (500, TTL)];

#[test]
fn answers_of_views_end_with_the_split() {
    for mode in [AnswerMode::Auto, AnswerMode::Pure, AnswerMode::All] {
        let mut server = server(|split| split.outcome.policy.answer = mode);
        for view in [
            "web.shop.svc.z",
            "all._role.web.shop.svc.z",
            "active.web.shop.svc.z",
            "v1._version.web.shop.svc.z",
        ] {
            check(&mut server, view, rtype::A, &COUNTED_DOWN);
            check(&mut server, view, rtype::ANY, &COUNTED_DOWN);
            check(&mut server, view, rtype::SRV, &COUNTED_DOWN);
            let port = format!("_http._tcp.{view}");
            check(&mut server, &port, rtype::SRV, &COUNTED_DOWN);
        }
    }
}

#[test]
fn what_a_client_keeps_ends_with_the_split_too() {
    let mut server = server(|split| split.outcome.policy.sticky = Sticky::Ecs);
    check(&mut server, "web.shop.svc.z", rtype::A, &COUNTED_DOWN);
    let port = "_http._tcp.web.shop.svc.z";
    check(&mut server, port, rtype::SRV, &COUNTED_DOWN);
    // The record and the address of its target.
    let (answers, beside) = ttls(&mut server, (port, rtype::SRV), Transport::Udp, 5);
    assert_eq!((answers, beside), (vec![15], vec![15]));
}

#[test]
fn a_ttl_that_ends_before_is_left_alone() {
    let mut server = server(|split| split.outcome.ttl = 5);
    let by_secs = [(0, 5), (14, 5), (15, 5), (16, 4), (19, 1), (20, 5)];
    check(&mut server, "web.shop.svc.z", rtype::A, &by_secs);
    check(
        &mut server,
        "_http._tcp.web.shop.svc.z",
        rtype::SRV,
        &by_secs,
    );
}

/// Half a second is no answer's age: it counts as a whole one, so that nothing is answered in full just before.
#[test]
fn the_moment_is_counted_in_whole_seconds() {
    let mut server = server(|split| {
        let half = jiff::SignedDuration::from_millis(500);
        split.outcome.cut_over = split.outcome.cut_over.map(|at| at - half);
    });
    check(&mut server, "web.shop.svc.z", rtype::A, &COUNTED_DOWN);
}

#[test]
fn hosts_texts_and_what_does_not_exist_are_as_ever() {
    let mut server = server(|_| {});
    let always = [(0, TTL), (19, TTL), (20, TTL)];
    check(&mut server, "10-1-0-1.web.shop.svc.z", rtype::A, &always);
    let never = [(0, 0), (19, 0), (20, 0)];
    for text in ["_rollout", "_versions", "v1._version"] {
        check(
            &mut server,
            &format!("{text}.web.shop.svc.z"),
            rtype::TXT,
            &never,
        );
    }
    for (text, qtype) in [
        ("web.shop.svc.z", rtype::AAAA),
        ("x.web.shop.svc.z", rtype::A),
    ] {
        server.now = NOW as u64 + 19;
        let answer = server.udp(text, qtype);
        let ttls: Vec<u32> = answer.authorities.iter().map(|soa| soa.ttl).collect();
        assert_eq!(ttls, [5], "{text}");
    }
}

/// An alias is followed into the service; its own record is no part of the split.
#[test]
fn an_alias_keeps_its_ttl_and_its_target_does_not() {
    let mut server = server(|_| {});
    server.alias("old.z", "web.shop.svc.z");
    let (answers, _) = ttls(&mut server, ("old.z", rtype::A), Transport::Udp, 17);
    assert_eq!(answers, [5, 3, 3]);
}

#[test]
fn without_a_cut_over_nothing_is_counted_down() {
    let mut server = server(|split| split.outcome.cut_over = None);
    let always = [(0, TTL), (19, TTL), (20, TTL)];
    check(&mut server, "web.shop.svc.z", rtype::A, &always);
}
