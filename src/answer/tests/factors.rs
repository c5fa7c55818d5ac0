//! Slow start: an endpoint that has just come gets its factor's part of what its version has, down to the octets sent.

use std::collections::BTreeMap;

use super::*;
use crate::model::AnswerMode;
use crate::records::testing::split;

const ASKED: u64 = 5000;

/// How often each address comes first among [`ASKED`] answers, as the last number of each; and how long answers are.
fn firsts(text: &str, mode: AnswerMode, records: u8) -> (BTreeMap<u8, u64>, usize) {
    let mut split = split(text);
    split.outcome.policy.answer = mode;
    split.outcome.policy.records = records;
    let mut server = Server::plain();
    server.serve(&split);
    let (mut counts, mut longest) = (BTreeMap::new(), 0);
    for _ in 0..ASKED {
        let answer = server.udp("web.shop.svc.z", rtype::A);
        let first = answer.answers[0].data.to_string();
        let (_, last) = first.rsplit_once('.').unwrap();
        *counts.entry(last.parse().unwrap()).or_default() += 1;
        longest = longest.max(answer.answers.len());
    }
    (counts, longest)
}

/// `parts` are what each address is to have of their sum.
fn check(text: &str, mode: AnswerMode, records: u8, longest: usize, parts: &[(u8, u64)]) {
    let (counts, found) = firsts(text, mode, records);
    assert_eq!(found, longest, "{text}");
    let sum: u64 = parts.iter().map(|(_, part)| part).sum();
    for (address, part) in parts {
        let fair = ASKED * part / sum;
        let count = counts.get(address).copied().unwrap_or(0);
        // Draws of one slot are at most eight off.
        assert!(
            count.abs_diff(fair) <= 9,
            "{text}: .{address} {count}, not {fair}"
        );
    }
    assert_eq!(counts.len(), parts.len(), "{text}");
}

#[test]
fn an_endpoint_has_its_factors_part_of_its_versions_share() {
    let text = "v1 stable 100%: a=10.1.0.1 b@50=10.1.0.2";
    let two_to_one = [(1, 2), (2, 1)];
    check(text, AnswerMode::Auto, 8, 1, &two_to_one);
    check(text, AnswerMode::Pure, 1, 1, &two_to_one);
    // 60 % on 100, 100 and 40; 40 % on 10 and 30.
    let text = "v2 canary 40%: d@10=10.2.0.4 e@30=10.2.0.5; \
                v1 stable 60%: a=10.1.0.1 b=10.1.0.2 c@40=10.1.0.3";
    let parts = [(1, 25), (2, 25), (3, 10), (4, 10), (5, 30)];
    check(text, AnswerMode::Mixed, 8, 3, &parts);
    check(text, AnswerMode::Mixed, 2, 2, &parts);
    // Two of three fit, and of the other version one: it has three quarters of what there is.
    check(text, AnswerMode::Pure, 8, 2, &parts);
}

#[test]
fn all_are_in_every_answer_where_that_is_asked_for() {
    let text = "v1 stable 100%: a=10.1.0.1 b@50=10.1.0.2";
    check(text, AnswerMode::All, 8, 2, &[(1, 1), (2, 1)]);
}

#[test]
fn srv_weights_are_divided_by_factors_as_well() {
    let weights = |text: &str| -> Vec<String> {
        let mut server = Server::plain();
        server.serve(&split(text));
        let answer = server.udp("_http._tcp.web.shop.svc.z", rtype::SRV);
        let mut records = shown(&answer.answers);
        records.sort();
        records
    };
    assert_eq!(
        weights("v1 stable 100%: a=10.1.0.1 b@50=10.1.0.2 c@25=10.1.0.3"),
        [
            "5 SRV 0 1024 8080 10-1-0-1",
            "5 SRV 0 256 8080 10-1-0-3",
            "5 SRV 0 512 8080 10-1-0-2",
        ]
    );
    // Half each: 50 on one, and 50 on one and a quarter.
    assert_eq!(
        weights("v2 canary 50%: d@30=10.2.0.1; v1 stable 50%: a=10.1.0.1 b@25=10.1.0.2"),
        [
            "5 SRV 0 1024 8080 10-1-0-1",
            "5 SRV 0 1280 8080 10-2-0-1",
            "5 SRV 0 256 8080 10-1-0-2",
        ]
    );
    assert_eq!(
        weights("v1 stable 100%: a@30=10.1.0.1 b@30=10.1.0.2"),
        ["5 SRV 0 256 8080 10-1-0-1", "5 SRV 0 256 8080 10-1-0-2"]
    );
}
