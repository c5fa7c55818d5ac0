//! What the commands print, to the letter.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::pages;
use super::told::{Done, List};
use super::*;

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

/// A service on its way from 1.9.3 to 2.0.1.
pub(super) fn rolling() -> Value {
    let share = |text: &str| {
        let percent: f64 = text.trim_end_matches('%').parse().unwrap();
        json!({"basisPoints": (percent * 100.0) as u16, "text": text})
    };
    json!({
        "namespace": "shop", "name": "web", "kind": "Headless", "state": "Progressing",
        "since": "2026-03-01T10:00:00Z", "strategy": "steps", "ready": 12, "total": 13, "generation": 7,
        "ttl": 5, "cutOver": "2026-03-01T10:02:00Z", "held": null, "rolling": true,
        "versions": [
            {"alias": "1-9-3", "hash": "55c8d7", "revision": 11, "pods": 10, "ready": 10, "soaked": 10, "workload": "Deployment shop/web",
                "share": share("75.00%"), "policy": share("75.00%"), "capacity": share("100.00%"),
                "answered": {"share": share("74.10%"), "answers": 1000}, "role": "stable",
                "reason": "policy", "failed": null},
            {"alias": "2-0-1", "hash": "7d9f4b", "revision": 12, "pods": 3, "ready": 2, "soaked": 1, "workload": "Deployment shop/web",
                "share": share("25.00%"), "policy": share("25.00%"), "capacity": share("25.00%"),
                "answered": null, "role": "canary", "reason": "policy", "failed": null},
        ],
        "tracks": [{
            "workload": "Deployment shop/web", "state": "Progressing", "since": "2026-03-01T10:00:00Z",
            "kind": "update", "started": "2026-03-01T09:59:00Z", "paused": false,
            "target": {"alias": "2-0-1", "hash": "7d9f4b"}, "stable": {"alias": "1-9-3", "hash": "55c8d7"},
            "wanted": share("25.00%"), "step": {"current": 2, "count": 4},
            "nextMove": "2026-03-01T10:02:00Z", "note": "stalled: \u{1b}[31mImagePullBackOff",
            "digest": "0", "latches": [],
        }],
        "drains": [{"address": "10.1.2.3", "alias": "1-9-3", "unpublished": "2026-03-01T10:00:30Z",
            "deadline": "2026-03-01T10:01:00Z"}],
        "endpoints": [
            {"address": "10.1.2.3", "version": {"alias": "1-9-3", "hash": "55c8d7"}, "answered": true, "ready": true,
                "terminating": false, "soaked": true, "pod": "web-55c8d7-a", "zone": "eu-1", "restarts": 0},
            {"address": "10.1.2.11", "version": {"alias": "2-0-1", "hash": "7d9f4b"}, "answered": true, "ready": true,
                "terminating": false, "soaked": true, "pod": "web-7d9f4b-a", "zone": "eu-1", "restarts": 0},
            {"address": "10.1.2.12", "version": {"alias": "2-0-1", "hash": "7d9f4b"}, "answered": false, "ready": false,
                "terminating": false, "soaked": false, "pod": "web-7d9f4b-b", "zone": "eu-2", "restarts": 3},
        ],
        "problems": [{"origin": null, "subject": "service shop/web", "text": "steps: \u{7}", "message": ""}],
        "explain": "",
    })
}

fn check(value: &Value, now: Option<Timestamp>, expected: &str) {
    let service: Service = serde_json::from_value(value.clone()).unwrap();
    let page = pages::service(&service, now, Paint(false));
    assert_eq!(page, expected, "\n{page}");
}

#[test]
fn a_roll_out_is_told_on_one_page() {
    check(
        &rolling(),
        at("2026-03-01T10:00:55Z"),
        "\
Namespace:    shop
Name:         web
Kind:         Headless
State:        Progressing since 2026-03-01T10:00:00Z
Strategy:     steps
Endpoints:    12 of 13 ready
TTL:          5s
Cut-over:     2026-03-01T10:02:00Z (in 1m5s)

Track:        Deployment shop/web
  State:      Progressing since 2026-03-01T10:00:00Z
  Change:     update to 2-0-1 (7d9f4b), from 1-9-3 (55c8d7)
  Step:       2 of 4
  Wanted:     25.00%
  Note:       stalled: ?[31mImagePullBackOff
  Next move:  2026-03-01T10:02:00Z (in 1m5s)

VERSION  REV  HASH    SHARE   POLICY  CAPACITY  ANSWERED  READY  ROLE    REASON
1-9-3    11   55c8d7  75.00%  75.00%  100.00%   74.10%    10/10  stable  policy
2-0-1    12   7d9f4b  25.00%  25.00%  25.00%    -         2/3    canary  policy

DRAINS    VERSION  THE LAST WELL-BEHAVED CACHE FORGETS IT AT
10.1.2.3  1-9-3    2026-03-01T10:01:00Z (in 5s)

PROBLEMS
steps: ?
",
    );
}

#[test]
fn a_service_at_rest_is_told_in_few_lines() {
    let mut calm = rolling();
    calm["state"] = "Healthy".into();
    for key in ["versions", "drains", "problems"] {
        calm[key] = json!([]);
    }
    calm["cutOver"] = Value::Null;
    calm["held"] = "2026-03-01T10:00:05Z".into();
    calm["tracks"] = json!([{
        "workload": null, "state": "Healthy", "since": "2026-03-01T10:00:00Z", "kind": "initial",
        "target": {"alias": "blue", "hash": "blue"}, "stable": {"alias": "blue", "hash": "blue"},
        "wanted": null, "step": null, "nextMove": null, "note": null,
    }]);
    check(
        &calm,
        None,
        "\
Namespace:    shop
Name:         web
Kind:         Headless
State:        Healthy since 2026-03-01T10:00:00Z
Strategy:     steps
Endpoints:    12 of 13 ready
TTL:          5s
Held:         its endpoints are gone and their pods are ready; what was answered stays until 2026-03-01T10:00:05Z

Track:        backends
  State:      Healthy since 2026-03-01T10:00:00Z
  Change:     at blue
",
    );
}

#[test]
fn of_many_drains_and_problems_the_first_are_shown() {
    let mut many = rolling();
    let drain = |n: u8| {
        json!({"address": format!("10.1.2.{n}"), "alias": "v1",
            "deadline": format!("2026-03-01T10:01:{n:02}Z")})
    };
    many["drains"] = (0..12).map(drain).collect();
    many["problems"] = (0..12).map(|n| json!({"text": format!("p{n}")})).collect();
    let service: Service = serde_json::from_value(many).unwrap();
    let page = pages::service(&service, None, Paint(false));
    let (_, told) = page.split_once("DRAINS").unwrap();
    let lines: Vec<&str> = told.lines().collect();
    // Those that last longest.
    assert!(lines[1].starts_with("10.1.2.11"), "{told}");
    assert_eq!(lines[11], "and 2 more");
    assert_eq!(lines.last(), Some(&"and 2 more"));
    assert!(!told.contains("10.1.2.1 "), "{told}");
}

#[test]
fn services_are_listed_with_their_shares() {
    let list = json!({"generation": 7, "synced": false, "services": [
        {"namespace": "shop", "name": "web", "kind": "Headless", "state": "Progressing", "strategy": "steps",
            "since": "2026-03-01T10:00:00Z", "ready": 12, "total": 13, "generation": 7, "ttl": 5,
            "target": {"alias": "2-0-1", "hash": "7"}, "versions": [
                {"alias": "1-9-3", "hash": "5", "share": {"basisPoints": 7500, "text": "75.00%"}, "ready": 10, "role": "stable"},
                {"alias": "2-0-1", "hash": "7", "share": {"basisPoints": 2500, "text": "25.00%"}, "ready": 2, "role": "canary"}]},
        {"namespace": "shop", "name": "api", "kind": "ClusterIP", "state": "Healthy", "strategy": "follow",
            "since": "2026-03-01T10:00:00Z", "ready": 2, "total": 2, "generation": 1, "ttl": 30, "target": null,
            "versions": []},
    ]});
    let list: List = serde_json::from_value(list).unwrap();
    let page = pages::list(&list, at("2026-03-01T10:01:05Z"), Paint(false));
    let expected = "\
not synced: not every kind of object has been read yet
NAMESPACE  NAME  KIND       STATE        STRATEGY  READY  VERSIONS                               TARGET  SHARE   TTL  AGE
shop       web   Headless   Progressing  steps     12/13  =======### 1-9-3 75.00%, 2-0-1 25.00%  2-0-1   25.00%  5s   1m5s
shop       api   ClusterIP  Healthy      follow    2/2                                           -       -       30s  1m5s
";
    assert_eq!(page, expected, "\n{page}");
    // Without a time, what is told changes only when something happens.
    assert!(!pages::list(&list, None, Paint(false)).contains("AGE"));
    let painted = pages::list(&list, None, Paint(true));
    assert!(
        painted.contains("  \x1b[36mProgressing\x1b[0m  steps "),
        "{painted:?}"
    );
    assert!(
        painted.contains("  \x1b[32mHealthy\x1b[0m      follow"),
        "{painted:?}"
    );
    let none = List {
        synced: true,
        services: Vec::new(),
    };
    assert_eq!(pages::list(&none, None, Paint(false)), "no services\n");
}

#[test]
fn a_wait_ends_when_all_is_well_or_something_failed() {
    for (state, expected) in [
        ("Healthy", Some(Outcome::Done)),
        ("Aborted", Some(Outcome::Failed)),
        ("Degraded", Some(Outcome::Failed)),
        ("Progressing", None),
        ("Paused", None),
        ("Unavailable", None),
    ] {
        assert_eq!(outcome(state), expected, "{state}");
    }
    let service: Service = serde_json::from_value(rolling()).unwrap();
    assert_eq!(
        pages::status(&service),
        "Progressing; Deployment shop/web: Progressing, update to 2-0-1, step 2 of 4, 25.00%, \
         stalled: ?[31mImagePullBackOff"
    );
}

#[test]
fn what_happened_is_told_line_by_line() {
    let transition = |from: Option<&str>, to: &str, result: Option<&str>, seconds: Option<i64>| {
        json!({"at": "2026-03-01T10:00:00Z", "workload": "Deployment shop/web", "from": from, "to": to,
            "target": "7d9f4b", "kind": "update", "result": result, "seconds": seconds,
            "cause": result.map(|_| "CrashLoopBackOff")})
    };
    let transitions = json!({"namespace": "shop", "name": "web", "transitions": [
        transition(None, "Progressing", None, None),
        transition(Some("Progressing"), "Aborted", Some("Aborted"), Some(5400)),
    ]});
    let history: History = serde_json::from_value(transitions).unwrap();
    let page = pages::history(&history, Paint(false));
    let expected = "\
AT                    WORKLOAD             FROM         TO           KIND    TARGET  RESULT   TOOK   CAUSE
2026-03-01T10:00:00Z  Deployment shop/web  -            Progressing  update  7d9f4b
2026-03-01T10:00:00Z  Deployment shop/web  Progressing  Aborted      update  7d9f4b  Aborted  1h30m  CrashLoopBackOff
";
    assert_eq!(page, expected, "\n{page}");
    let nothing = History {
        transitions: Vec::new(),
    };
    let told = "nothing has happened since the server began\n";
    assert_eq!(pages::history(&nothing, Paint(false)), told);
}

#[test]
fn what_was_done_is_told_with_its_revision() {
    let done = json!({"namespace": "shop", "name": "web", "workload": null, "target": "7d9f4b",
        "done": "promoted to step 3 of 4"});
    let done: Done = serde_json::from_value(done).unwrap();
    assert_eq!(
        pages::done(&ServiceKey::new("shop", "web"), &done, ""),
        "shop/web: backends: revision 7d9f4b promoted to step 3 of 4"
    );
}
