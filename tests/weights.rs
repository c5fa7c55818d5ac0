//! What weights do to answers, and how long answers are kept, asked through real sockets.
//!
//! That shares are exact is proved by enumeration beside the sampler; what is sampled here is the whole way from an
//! annotation to the datagrams.

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use hickory_proto::rr::RData;
use rig::{NODATA, NXDOMAIN, Rig, answers, cluster, firsts, of_version, serve, version};
use shiftdns::files::Manifests;
use shiftdns::objects::{Change, Kind};

/// Nine endpoints of v1 and two of v2, with `annotations`.
fn nine_and_two(annotations: &str) -> String {
    let v1: String = (1..=9).map(|n| format!(" | 10.1.0.{n} @v1")).collect();
    format!(
        "namespace shop
         headless pay.shop http:80 clamp=off {annotations}
         slice pay.shop http:8080{v1} | 10.2.0.1 @v2 | 10.2.0.2 @v2"
    )
}

#[test]
fn ninety_to_ten_is_ten_percent_of_first_records() {
    let rig = serve(&nine_and_two("weights=v1=90,v2=10"));
    let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 20_000);
    let firsts = firsts(&answers);
    // Within 0.2 points of 10 %.
    let v2 = of_version(&firsts, "2");
    assert!((1960..=2040).contains(&v2), "{v2} of 20000: {firsts:?}");
    // And equally among the endpoints of a version.
    for (address, count) in &firsts {
        let fair = if version(address) == "2" { 1000 } else { 2000 };
        assert!(count.abs_diff(fair) <= 60, "{address}: {count}, not {fair}");
    }
    let all = answers
        .iter()
        .flatten()
        .filter(|a| version(a) == "2")
        .count();
    for answer in &answers {
        assert_eq!(answer.len(), 8);
        assert_eq!(
            answer.iter().collect::<BTreeSet<_>>().len(),
            8,
            "{answer:?}"
        );
        // Eight records at 10 % are 0.8 of a record: none or one.
        assert!(
            answer.iter().filter(|a| version(a) == "2").count() <= 1,
            "{answer:?}"
        );
    }
    // A client that picks any record has 10 % too.
    assert!(all.abs_diff(16_000) <= 320, "{all} of 160000");
}

#[test]
fn an_answer_has_as_many_records_as_asked_for() {
    for records in [1, 3, 8] {
        let text = nine_and_two(&format!(
            "weights=v1=90,v2=10 answer=mixed records={records}"
        ));
        let rig = serve(&text);
        let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 2000);
        assert!(answers.iter().all(|answer| answer.len() == records));
        let v2 = of_version(&firsts(&answers), "2");
        assert!((180..=220).contains(&v2), "records={records}: {v2} of 2000");
    }
    // Of one endpoint each, an answer of two would be half and half; so each has one.
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 clamp=off weights=v1=90,v2=10
         slice pay.shop http:80 | 10.1.0.1 @v1 | 10.2.0.1 @v2",
    );
    let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 2000);
    assert!(answers.iter().all(|answer| answer.len() == 1));
    let v2 = of_version(&firsts(&answers), "2");
    assert!((180..=220).contains(&v2), "{v2} of 2000");
}

#[test]
fn pure_answers_never_hold_two_versions() {
    let rig = serve(&nine_and_two("weights=v1=90,v2=10 answer=pure"));
    let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 4000);
    for answer in &answers {
        let versions: BTreeSet<&str> = answer.iter().map(|a| version(a)).collect();
        assert_eq!(versions.len(), 1, "{answer:?}");
        let expected = if versions.contains("2") { 2 } else { 8 };
        assert_eq!(answer.len(), expected, "{answer:?}");
    }
    let v2 = of_version(&firsts(&answers), "2");
    assert!((380..=420).contains(&v2), "{v2} of 4000");
    let rig = serve(&nine_and_two("weights=v1=90,v2=10 answer=pure records=1"));
    let [answers] = self::answers(&rig, ["pay.shop.svc.Z A"], 400);
    assert!(answers.iter().all(|answer| answer.len() == 1));
}

#[test]
fn all_is_every_endpoint_in_turn() {
    let rig = serve(&nine_and_two("weights=v1=90,v2=10 answer=all"));
    let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 2200);
    let first = &answers[0];
    for answer in &answers {
        assert_eq!(
            answer.iter().collect::<BTreeSet<_>>().len(),
            11,
            "{answer:?}"
        );
        let start = answer
            .iter()
            .position(|a| a == &first[0])
            .expect("all are there");
        let mut turned = answer.clone();
        turned.rotate_left(start);
        assert_eq!(&turned, first, "the circle stays");
    }
    for (address, count) in firsts(&answers) {
        assert!(count.abs_diff(200) <= 30, "{address}: {count} of 2200");
    }
}

#[test]
fn equal_weights_leave_nothing_to_choose() {
    // Without weights, and with weights that are in proportion to the endpoints, every answer has all of them.
    for annotations in ["", "weights=v1=9,v2=2"] {
        let rig = serve(&nine_and_two(annotations));
        let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 200);
        assert!(answers.iter().all(|answer| answer.len() == 11));
        assert_eq!(firsts(&answers).len(), 11);
    }
}

#[test]
fn all_role_is_stable_and_never_sampled() {
    let rig = serve(&nine_and_two("weights=v1=90,v2=10"));
    let [answers] = answers(&rig, ["all._role.pay.shop.svc.Z A"], 200);
    assert_eq!(answers[0].len(), 11);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    // What is pinned is not weighted: both endpoints, in turn.
    let [answers] = self::answers(&rig, ["v2._version.pay.shop.svc.Z A"], 200);
    assert!(answers.iter().all(|answer| answer.len() == 2));
    assert_eq!(firsts(&answers).len(), 2);
}

#[test]
fn weight_zero_is_never_served_while_another_is_ready() {
    for annotations in ["weights=v1=1,v2=0", "weights=v1=1"] {
        let rig = serve(&nine_and_two(annotations));
        let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 500);
        let versions: BTreeSet<&str> = answers.iter().flatten().map(|a| version(a)).collect();
        assert_eq!(versions, BTreeSet::from(["1"]), "{annotations}");
        let srv = rig.ask("_http._tcp.pay.shop.svc.Z SRV");
        assert!(srv.contains("10-1-0-9.pay"), "{srv}");
        assert!(!srv.contains("10-2-0-"), "{annotations}: {srv}");
        // It is left out of the service's answers, not of its names.
        rig.check(
            "10-2-0-1.pay.shop.svc.Z A",
            "NOERROR aa\n 10-2-0-1.pay.shop.svc.Z. 5 A 10.2.0.1",
        );
        let [answers] = self::answers(&rig, ["v2.pay.shop.svc.Z A"], 1);
        assert_eq!(answers[0].len(), 2);
    }
    // Nothing else is ready: it is better than nothing.
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 weights=v1=1,v2=0
         slice pay.shop http:80 | 10.1.0.1 @v1 unready | 10.2.0.1 @v2",
    );
    rig.check(
        "pay.shop.svc.Z A",
        "NOERROR aa\n pay.shop.svc.Z. 5 A 10.2.0.1",
    );
}

#[test]
fn capacity_limits_what_a_weight_asks() {
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 weights=v1=10,v2=90
         deployment pay.shop 4 v1=aaa v2=bbb
         slice pay.shop http:80 | 10.1.0.1 @pay-aaa | 10.1.0.2 @pay-aaa | 10.1.0.3 @pay-aaa | 10.2.0.1 @pay-bbb",
    );
    rig.check(
        "_versions.pay.shop.svc.Z TXT",
        "NOERROR aa
         _versions.pay.shop.svc.Z. 0 TXT \"version=v1 alias=v1 revision=1 hash=aaa share=75.00% policy=10.00% cap=75.00% ready=3 role=stable reason=fills-in\"
         _versions.pay.shop.svc.Z. 0 TXT \"version=v2 alias=v2 revision=2 hash=bbb share=25.00% policy=90.00% cap=25.00% ready=1 role=canary reason=capacity-capped\"",
    );
    let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 1000);
    let v2 = of_version(&firsts(&answers), "2");
    assert!((235..=265).contains(&v2), "{v2} of 1000");
}

/// The SRV answer of two versions with one endpoint each, as weights.
fn check_srv(weights: &str, expected: &[(&str, u16)]) {
    let rig = serve(&format!(
        "namespace shop
         headless pay.shop http:80 clamp=off weights={weights}
         slice pay.shop http:8080 | 10.1.0.1 @v1 | 10.2.0.1 @v2"
    ));
    let name = "_http._tcp.pay.shop.svc.Z";
    let mut srv: Vec<String> = expected
        .iter()
        .map(|(host, weight)| format!("{name}. 5 SRV 0 {weight} 8080 {host}.pay.shop.svc.Z.\n"))
        .collect();
    srv.sort();
    let glue = expected.iter().map(|(host, _)| {
        format!(
            "add {host}.pay.shop.svc.Z. 5 A {}\n",
            host.replace('-', ".")
        )
    });
    let glue: String = glue.collect();
    rig.check(
        &format!("{name} SRV"),
        &format!("NOERROR aa\n{}{glue}", srv.concat()),
    );
}

#[test]
fn srv_weights_are_shares_times_256_and_fit_16_bits() {
    let (v1, v2) = ("10-1-0-1", "10-2-0-1");
    check_srv("v1=90,v2=10", &[(v1, 2304), (v2, 256)]);
    check_srv("v1=1,v2=1", &[(v1, 256), (v2, 256)]);
    check_srv("v1=2,v2=1", &[(v1, 65_535), (v2, 32_763)]);
    // 999 times 256 is too much: the largest is 65535, 65.6 the other.
    check_srv("v1=999,v2=1", &[(v1, 65_535), (v2, 66)]);
    check_srv("v1=1,v2=0", &[(v1, 256)]);
}

#[test]
fn srv_weights_of_a_split_that_is_even_are_equal() {
    // Thirds are not whole basis points: 66.67 % for two endpoints and 33.33 % for one.
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 weights=v1=2,v2=1
         slice pay.shop http:80 | 10.1.0.1 @v1 | 10.1.0.2 @v1 | 10.2.0.1 @v2",
    );
    let answer = rig.ask("_http._tcp.pay.shop.svc.Z SRV");
    assert_eq!(answer.matches(" SRV 0 256 80 ").count(), 3, "{answer}");
    let [answers] = answers(&rig, ["pay.shop.svc.Z A"], 30);
    assert!(answers.iter().all(|answer| answer.len() == 3));
}

#[test]
fn srv_is_complete_however_few_records_an_address_answer_has() {
    let rig = serve(&nine_and_two("weights=v1=90,v2=10 records=1"));
    let answer = rig.ask("_http._tcp.pay.shop.svc.Z SRV");
    let weights: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.split(" SRV 0 ").nth(1)?.split(' ').next())
        .collect();
    // Ten each to five each: two to one.
    assert_eq!(
        weights.iter().filter(|w| **w == "512").count(),
        9,
        "{answer}"
    );
    assert_eq!(
        weights.iter().filter(|w| **w == "256").count(),
        2,
        "{answer}"
    );
    assert_eq!(weights.len(), 11, "{answer}");
}

#[test]
fn a_and_aaaa_are_drawn_independently() {
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 clamp=off weights=v1=50,v2=50 records=1 answer=mixed
         slice pay.shop http:80 | 10.1.0.1 @v1 pod=one | 10.2.0.1 @v2 pod=two
         slice pay.shop http:80 | fd00:1::1 @v1 pod=one | fd00:2::1 @v2 pod=two",
    );
    let [v4, v6] = answers(&rig, ["pay.shop.svc.Z A", "pay.shop.svc.Z AAAA"], 20_000);
    for family in [&v4, &v6] {
        let v2 = of_version(&firsts(family), "2");
        // Asked in turn with the other, each family is as exact as if it were alone.
        assert!(v2.abs_diff(10_000) <= 10, "{v2} of 20000");
    }
    // A client asks for both at once, and must not find them in step.
    let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for (a, aaaa) in v4.iter().zip(&v6) {
        *pairs
            .entry((version(&a[0]), version(&aaaa[0])))
            .or_default() += 1;
    }
    assert_eq!(pairs.len(), 4, "{pairs:?}");
    assert!(
        pairs.values().all(|count| (4000..=6000).contains(count)),
        "{pairs:?}"
    );
}

#[test]
fn a_family_that_a_version_lacks_goes_to_the_others() {
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 clamp=off weights=v1=90,v2=10
         slice pay.shop http:80 | 10.1.0.1 @v1 pod=one | 10.2.0.1 @v2 pod=two
         slice pay.shop http:80 | fd00:1::1 @v1 pod=one",
    );
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/pay: no IPv6 address in version v2; its AAAA share goes to the others"
        ]
    );
    let [v4, v6] = answers(&rig, ["pay.shop.svc.Z A", "pay.shop.svc.Z AAAA"], 1000);
    let v2 = of_version(&firsts(&v4), "2");
    assert!((85..=115).contains(&v2), "{v2} of 1000");
    assert!(v6.iter().all(|answer| *answer == ["fd00:1::1"]));
    rig.check("v2._version.pay.shop.svc.Z AAAA", NODATA);
}

#[test]
fn endpoints_that_serve_while_they_terminate_are_the_last_resort() {
    let text = |first: &str| {
        format!(
            "namespace shop
             headless web.shop http:80 ttl=endpoints=60
             slice web.shop http:80 | 10.1.0.1 {first} | 10.1.0.2 terminating | 10.1.0.3 terminating unready"
        )
    };
    let rig = serve(&text("nil"));
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 60 A 10.1.0.1",
    );
    rig.check("10-1-0-2.web.shop.svc.Z A", NXDOMAIN);
    rig.apply(&cluster(&text("unready")));
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 5 A 10.1.0.2",
    );
    rig.check(
        "10-1-0-2.web.shop.svc.Z A",
        "NOERROR aa\n 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
    rig.check(
        "_http._tcp.web.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.web.shop.svc.Z. 5 SRV 0 256 80 10-1-0-2.web.shop.svc.Z.
         add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
}

/// One endpoint of each revision named, behind a headless service.
fn revisions(annotations: &str, of: &[&str]) -> String {
    let endpoints: String = (1..)
        .zip(of)
        .map(|(n, of)| format!(" | 10.1.0.{n} @web-{of}"))
        .collect();
    format!(
        "namespace shop
         headless web.shop http:80 {annotations}
         clusterip api.shop 10.96.0.1 http:80 {annotations}
         deployment web.shop 2 v1=aaa v2=bbb
         slice web.shop http:80{endpoints}
         slice api.shop http:80 | 10.3.0.1"
    )
}

/// The TTL of each name's first record.
fn check_ttls(rig: &Rig, expected: &[(&str, u32)]) {
    for (question, ttl) in expected {
        let answer = rig.ask(question);
        let first = answer.lines().nth(1).expect("a record");
        let shown = first.split(' ').nth(1).and_then(|ttl| ttl.parse().ok());
        assert_eq!(shown, Some(*ttl), "{question}: {answer}");
    }
}

#[test]
fn records_are_kept_as_long_as_the_table_says() {
    let mut config = rig::config();
    config.reverse = vec!["10.0.0.0/8".parse().expect("a range")];
    let settled = revisions("", &["bbb", "bbb"]);
    let rig = Rig::with(&config, &cluster(&settled));
    let others = [
        ("api.shop.svc.Z A", 30),
        ("api.shop.svc.Z SRV", 30),
        ("10-3-0-1.api.shop.svc.Z A", 5),
        ("1.0.96.10.in-addr.arpa PTR", 30),
        ("2.0.1.10.in-addr.arpa PTR", 30),
        ("dns-version.Z TXT", 30),
        ("Z SOA", 30),
        ("_versions.web.shop.svc.Z TXT", 0),
        ("_rollout.web.shop.svc.Z TXT", 0),
        ("v2.web.shop.svc.Z TXT", 0),
    ];
    let endpoints = |ttl: u32| {
        [
            "web.shop.svc.Z A",
            "web.shop.svc.Z SRV",
            "_http._tcp.web.shop.svc.Z SRV",
            "all.web.shop.svc.Z A",
            "v2._version.web.shop.svc.Z A",
            "10-1-0-2.web.shop.svc.Z A",
        ]
        .map(|question| (question, ttl))
    };
    check_ttls(&rig, &others);
    check_ttls(&rig, &endpoints(5));
    // An annotation is about endpoints, so it leaves a cluster IP alone.
    rig.apply(&cluster(&revisions(
        "ttl=endpoints=60,rollout=7",
        &["bbb", "bbb"],
    )));
    check_ttls(&rig, &endpoints(60));
    check_ttls(
        &rig,
        &[("api.shop.svc.Z A", 30), ("10-3-0-1.api.shop.svc.Z A", 60)],
    );
    // While a roll-out is under way, and as soon as there is a newer ReplicaSet.
    for rolling in [&["aaa", "bbb"][..], &["aaa", "aaa"]] {
        rig.apply(&cluster(&revisions("ttl=endpoints=60,rollout=7", rolling)));
        check_ttls(
            &rig,
            &[("web.shop.svc.Z A", 7), ("10-1-0-2.web.shop.svc.Z A", 7)],
        );
        rig.apply(&cluster(&revisions("ttl=endpoints=60", rolling)));
        check_ttls(&rig, &[("web.shop.svc.Z A", 5)]);
        // It is the most, not the least.
        rig.apply(&cluster(&revisions("ttl=endpoints=3,rollout=7", rolling)));
        check_ttls(&rig, &[("web.shop.svc.Z A", 3)]);
    }
    config.ttl.endpoints = 20;
    config.ttl.rollout = 10;
    config.ttl.cluster_ip = 40;
    let rig = Rig::with(&config, &cluster(&settled));
    check_ttls(&rig, &endpoints(20));
    check_ttls(
        &rig,
        &[("api.shop.svc.Z A", 40), ("2.0.1.10.in-addr.arpa PTR", 40)],
    );
    rig.apply(&cluster(&revisions("", &["aaa", "bbb"])));
    check_ttls(&rig, &endpoints(10));
}

#[test]
fn weights_have_no_effect_where_unready_peers_are_published() {
    let rig = serve(
        "namespace shop
         headless db.shop pg:5432 publishNotReady weights=v1=1,v2=0
         slice db.shop pg:5432 | 10.1.0.1 @v1 | 10.2.0.1 @v2",
    );
    rig.check(
        "db.shop.svc.Z A",
        "NOERROR aa\n db.shop.svc.Z. 5 A 10.1.0.1\n db.shop.svc.Z. 5 A 10.2.0.1",
    );
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/db: weights: `v1=1,v2=0` has no effect with `publishNotReadyAddresses`"
        ]
    );
}

#[test]
fn versions_of_one_address_are_drawn_by_their_shares_and_answered_once() {
    // Pods of a node's own network: both versions stand on node 192.168.0.1.
    let rig = serve(
        "namespace shop
         headless agent.shop http:80 clamp=off weights=v1=50,v2=50
         slice agent.shop http:80 | 192.168.0.1 @v1 pod=a | 192.168.0.2 @v1 pod=b | 192.168.0.1 @v2 pod=c",
    );
    let [answers] = answers(&rig, ["agent.shop.svc.Z A"], 400);
    for answer in &answers {
        assert_eq!(
            answer.iter().collect::<BTreeSet<_>>().len(),
            answer.len(),
            "{answer:?}"
        );
    }
    let first = firsts(&answers);
    // Half of v1's half is at the second node.
    assert!((85..=115).contains(&first["192.168.0.2"]), "{first:?}");
}

#[test]
fn a_thousand_flips_never_mix_two_states() {
    let state = |n: u32| {
        let endpoints: String = (1..=6).map(|e| format!(" | 10.{n}.0.{e} @v{n}")).collect();
        cluster(&format!(
            "namespace shop
             headless web.shop http:80
             slice web.shop http:{n}000{endpoints}"
        ))
    };
    let rig = serve("namespace shop");
    let changes = |n: u32| -> Vec<Change> { rig::resets(&state(n)) };
    rig.apply_changes(changes(1));
    let stop = AtomicBool::new(false);
    let dns = rig.dns;
    // Whose state the records of an answer are of; each must have all of its records.
    let client = |question: &'static str, records: usize| {
        let stop = &stop;
        move || {
            let mut seen = [0_usize; 3];
            while !stop.load(Ordering::Relaxed) {
                let answer = rig::udp(dns, &rig::query(question)).expect("an answer");
                let message = rig::decode(&answer);
                let shown = rig::shown(&answer);
                let data = message.answers.iter().chain(&message.additionals);
                let states: BTreeSet<usize> = data
                    .map(|record| match &record.data {
                        RData::A(address) => usize::from(address.octets()[1]),
                        RData::SRV(srv) => usize::from(srv.port / 1000),
                        other => panic!("{other}"),
                    })
                    .collect();
                assert_eq!(states.len(), 1, "{shown}");
                assert_eq!(shown.lines().count(), 1 + records, "{shown}");
                for state in states {
                    seen[state] += 1;
                }
            }
            seen
        }
    };
    let seen = thread::scope(|scope| {
        let clients = [
            scope.spawn(client("web.shop.svc.Z A", 6)),
            scope.spawn(client("_http._tcp.web.shop.svc.Z SRV", 12)),
        ];
        let mut flips: Vec<Change> = [1, 2]
            .into_iter()
            .flat_map(changes)
            .filter(|change| {
                matches!(
                    change,
                    Change::Reset {
                        kind: Kind::EndpointSlice,
                        ..
                    }
                )
            })
            .collect();
        for _ in 0..1000 {
            flips.rotate_left(1);
            rig.apply_changes(flips[..1].to_vec());
        }
        stop.store(true, Ordering::Relaxed);
        clients.map(|client| client.join().expect("every answer is of one state"))
    });
    for seen in seen {
        assert!(seen[1] > 20 && seen[2] > 20, "{seen:?}");
    }
}

#[test]
fn files_that_flip_together_are_answered_together() {
    // A Service and its slices, in a file each: in state 1 all goes to v1, in state 2 all to v2.
    let dir = tempfile::TempDir::new().expect("a directory");
    for n in [1, 2] {
        let other = 3 - n;
        let text = cluster(&format!(
            "headless web.shop http:80 clamp=off weights=v{n}=100,v{other}=0
             slice web.shop http:{n}000 | 10.{n}.1.1 @v1 | 10.{n}.1.2 @v1 | 10.{n}.2.1 @v2 | 10.{n}.2.2 @v2"
        ));
        let version = dir.path().join(format!("..{n}"));
        fs::create_dir(&version).expect("made");
        let (service, rest): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.contains("\"Service\""));
        assert_eq!(service.len(), 1, "{text}");
        fs::write(version.join("service.json"), service.concat()).expect("written");
        fs::write(version.join("rest.json"), rest.join("\n")).expect("written");
    }
    let flip = |n: usize| {
        symlink(format!("..{n}"), dir.path().join("..tmp")).expect("a link");
        fs::rename(dir.path().join("..tmp"), dir.path().join("..data")).expect("swapped");
    };
    flip(1);
    for file in ["service.json", "rest.json"] {
        let target = format!("..data/{file}");
        symlink(target, dir.path().join(file)).expect("a link");
    }
    let mut manifests = Manifests::new(dir.path().to_owned());
    let rig = Rig::unsynced(&rig::config());
    let mut load = || {
        let loaded = manifests.load_if_changed().expect("it can be read");
        let loaded = loaded.expect("something changed");
        rig.apply_batch(loaded.changes, loaded.problems);
    };
    load();
    assert_eq!(rig.problems(), Vec::<String>::new());
    let stop = AtomicBool::new(false);
    let dns = rig.dns;
    // The third part of an address is its version; of weighted answers that must be the state, too.
    let client = |question: &'static str, is_weighted: bool| {
        let stop = &stop;
        move || {
            let mut seen = [0_usize; 3];
            while !stop.load(Ordering::Relaxed) {
                let answer = rig::udp(dns, &rig::query(question)).expect("an answer");
                let message = rig::decode(&answer);
                let shown = rig::shown(&answer);
                let mut states = BTreeSet::new();
                for record in message.answers.iter().chain(&message.additionals) {
                    match &record.data {
                        RData::A(address) => {
                            let [_, state, version, _] = address.octets();
                            states.insert(usize::from(state));
                            assert!(!is_weighted || version == state, "{shown}");
                        }
                        RData::SRV(srv) => {
                            states.insert(usize::from(srv.port / 1000));
                        }
                        other => panic!("{other}"),
                    }
                }
                assert_eq!(states.len(), 1, "{shown}");
                states.into_iter().for_each(|state| seen[state] += 1);
            }
            seen
        }
    };
    let mut generations = Vec::new();
    let seen = thread::scope(|scope| {
        let clients = [
            scope.spawn(client("web.shop.svc.Z A", true)),
            scope.spawn(client("v1._version.web.shop.svc.Z A", false)),
            scope.spawn(client("_http._tcp.v1._version.web.shop.svc.Z SRV", false)),
        ];
        for n in 0..50 {
            flip(2 - n % 2);
            load();
            generations.push(rig.running().view.generation());
            // Long enough that the clients see each state.
            for _ in 0..5 {
                rig.udp(&rig::query("web.shop.svc.Z A"));
            }
        }
        stop.store(true, Ordering::Relaxed);
        clients.map(|client| client.join().expect("every answer is of one state"))
    });
    assert_eq!(generations, (2..52).collect::<Vec<_>>());
    for seen in seen {
        assert!(seen[1] > 0 && seen[2] > 0, "{seen:?}");
    }
}
