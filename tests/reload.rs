//! A configuration that is read anew: every key is in force at once, or named as waiting for a restart; a file that cannot be
//! obeyed changes nothing; and nobody who asks meanwhile gets anything but the old answer or the new one. How the file is
//! watched is in `tests/reload_file.rs`.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use jiff::{SignedDuration, Timestamp};
use rig::Rig;
use serde_json::Value;
use shiftdns::config::{self, Config, Effect, Flags};
use shiftdns::engine::control::Event;

/// Every key of the template with another value than the default one; keys of a mapping stand in one.
const OTHERS: &[(&str, &str)] = &[
    ("zones", "[cluster.local, example.com]"),
    ("reverse", "[10.0.0.0/8]"),
    ("listen", "[\"127.0.0.2:0\"]"),
    ("http", "\"127.0.0.2:0\""),
    ("api.listen", "\"127.0.0.2:0\""),
    ("api.tokenFile", "TOKEN"),
    ("api.actions", "true"),
    ("workers", "1"),
    ("cpuAffinity", "true"),
    ("source", "{manifests: zones/demo}"),
    ("state", "STATE"),
    ("staticZones", "zones/static"),
    ("snapshotMaxAge", "1h"),
    ("staleAfter", "10s"),
    ("unreadyAfter", "10s"),
    ("lameDuck", "0s"),
    ("upstream", "[192.0.2.1]"),
    ("namespaces", "[lab]"),
    ("namespaceSelector", "env=prod"),
    ("pods", "insecure"),
    ("endpointPodNames", "true"),
    ("emptyService", "nodata"),
    ("recursionAvailable", "true"),
    ("soa.mname", "ns1.example.com"),
    ("soa.rname", "dns.example.com"),
    ("nameServers", "[192.0.2.53]"),
    ("ttl.clusterIp", "31"),
    ("ttl.endpoints", "6"),
    ("ttl.rollout", "2"),
    ("ttl.negative", "6"),
    ("ttl.cacheFloor", "60"),
    ("defaults.strategy", "blue-green"),
    ("defaults.soak", "1h"),
    ("defaults.answer", "pure"),
    ("defaults.records", "1"),
    ("defaults.onFailure", "hold"),
    ("defaults.rollback", "immediate"),
    ("defaults.headroom", "150"),
    ("limits.endpointsPerService", "2"),
    ("limits.endpointsPerNamespace", "3"),
    ("limits.tcpConnections", "1"),
    ("limits.tcpIdle", "1h"),
    ("limits.tcpMessage", "1h"),
    ("reservedNamespaces", "[shop]"),
    ("addressDeny", "[10.1.0.11/32]"),
    ("identity.id", "dns-1"),
    ("identity.version", "\"7\""),
    #[cfg(feature = "dnstap")]
    ("dnstap.socket", "/run/nobody.sock"),
    ("dnstap.identity", "dns-1"),
];

/// What the questions below do not show: how long a cache is waited for, and how long a connection may be silent. The same
/// places take them as at the start.
const UNSEEN: [&str; 3] = ["ttl.cacheFloor", "limits.tcpIdle", "limits.tcpMessage"];

const CLUSTER: &str = "
    namespace shop
    namespace lab
    headless web.shop http:80
    clusterip api.shop 10.96.0.10 http:80
    headless empty.shop http:80
    headless pay.shop http:80 weights=v1=50,v2=50
    headless lone.lab http:80
    deployment web.shop 3 v1=aaa v2=bbb
    slice web.shop http:8080 | 10.1.0.11 @web-aaa | 10.1.0.12 @web-aaa | 10.1.0.13 @web-bbb
    slice pay.shop http:8080 | 10.1.0.21 @v1 | 10.1.0.22 @v1 | 10.1.0.23 @v2
    slice lone.lab http:8080 | 10.1.0.31
";

/// A configuration on ports that the system chooses, with one key that is another.
fn config(home: &Path, key: Option<(&str, &str)>) -> Config {
    let mut keys: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    let any = "\"127.0.0.1:0\"";
    for (key, value) in [
        ("listen", "[\"127.0.0.1:0\"]"),
        ("http", any),
        ("api.listen", any),
    ]
    .into_iter()
    .chain(key)
    {
        let (outer, inner) = key.split_once('.').unwrap_or((key, ""));
        let value = value
            .replace("TOKEN", home.join("token").to_str().unwrap())
            .replace("STATE", home.join("state").to_str().unwrap());
        keys.entry(outer).or_default().insert(inner, value);
    }
    let mut text = "apiVersion: shiftdns.io/v1alpha1\nkind: Config\n".to_owned();
    for (outer, inner) in keys {
        match inner.get("") {
            Some(value) => text += &format!("{outer}: {value}\n"),
            None => {
                text += &format!("{outer}:\n");
                for (key, value) in inner {
                    text += &format!("  {key}: {value}\n");
                }
            }
        }
    }
    let file = home.join("config.yaml");
    fs::write(&file, &text).unwrap();
    config::load(Some(&file), &Flags::default()).unwrap_or_else(|error| panic!("{text}{error}"))
}

/// All that a client, a probe and a person see.
fn seen(rig: &Rig) -> Vec<String> {
    let mut seen = Vec::new();
    for question in [
        "web.shop.svc.Z A",
        "web.shop.svc.Z SRV",
        "web-aaa-0.web.shop.svc.Z A",
        "10-1-0-12.web.shop.svc.Z A",
        "_versions.web.shop.svc.Z TXT",
        "api.shop.svc.Z A",
        "empty.shop.svc.Z A",
        "lone.lab.svc.Z A",
        "nope.shop.svc.Z A",
        "10-1-0-11.shop.pod.Z A",
        "11.0.1.10.in-addr.arpa PTR",
        "web.shop.svc.example.com A",
        "ns.dns.Z A",
    ] {
        let answer = rig::shown(&rig.udp(&rig::query(question)).unwrap());
        let lines: Vec<&str> = answer.lines().collect();
        seen.push(format!("{question}: {}", lines.join(" ")));
    }
    let soa = rig.udp(&rig::query("Z SOA")).unwrap();
    // Two names in front of the serial, which is the clock's.
    seen.push(
        format!("{:?}", rig::decode(&soa).answers)
            .split("serial")
            .next()
            .unwrap()
            .to_owned(),
    );
    for name in ["\x07version\x04bind", "\x02id\x06server"] {
        let mut query = b"\0\x07\0\0\0\x01\0\0\0\0\0\0".to_vec();
        query.extend(name.as_bytes());
        query.extend(b"\0\0\x10\0\x03");
        seen.push(format!("{name}: {:?}", rig.udp(&query)));
    }
    // A connection that stays, and whether there is a place for another.
    let _stays = connected(rig);
    seen.push(format!(
        "places: {}",
        rig.tcp(&rig::query("Z SOA")).is_some()
    ));
    for (method, path) in [
        ("GET", "/api/v1/services"),
        ("POST", "/api/v1/services/shop/web/pause"),
    ] {
        let answer = request(rig, method, path);
        let status = answer.split("\r\n").next().unwrap().to_owned();
        seen.push(format!("{method} {path}: {status}"));
    }
    let policies = request(rig, "GET", "/api/v1/services/shop/web");
    let body = policies.split("\r\n\r\n").nth(1).unwrap_or_default();
    if let Ok(service) = serde_json::from_str::<Value>(body) {
        for field in ["strategy", "policy", "ttl", "state"] {
            seen.push(format!("{field}: {}", service[field]));
        }
    }
    let lost = Event::SourceLost {
        since: Some(Timestamp::now() - SignedDuration::from_secs(30)),
        cause: "gone".to_owned(),
    };
    rig.wait(rig.running().engine.send(lost)).unwrap();
    rig.services();
    // Whether it has one option more.
    let stale = rig.udp(&rig::query("api.shop.svc.Z A")).unwrap();
    seen.push(format!("stale: {}", stale.len()));
    seen.push(format!("ready: {:?}", rig.http("/readyz").0));
    seen
}

/// A connection on which one question was answered.
fn connected(rig: &Rig) -> TcpStream {
    let query = rig::query("Z SOA");
    let mut stream = TcpStream::connect(rig.dns).unwrap();
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream
        .write_all(&[&length, query.as_slice()].concat())
        .unwrap();
    let mut octet = [0];
    // With the only place taken by the one before, which has not been closed yet: asked again.
    match stream.read(&mut octet) {
        Ok(1) => stream,
        _ => connected(rig),
    }
}

fn request(rig: &Rig, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(rig.api).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n",
        rig.api
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The keys of the template, those of a mapping with its name in front.
fn keys_of_the_template() -> BTreeSet<String> {
    let template: Value = serde_saphyr::from_str(include_str!("../deploy/config.yaml")).unwrap();
    let mut keys = BTreeSet::new();
    for (key, value) in template.as_object().unwrap() {
        match value.as_object() {
            // One or the other of two mappings.
            Some(inner) if key != "source" => {
                keys.extend(inner.keys().map(|inner| format!("{key}.{inner}")));
            }
            _ => drop(keys.insert(key.clone())),
        }
    }
    keys.remove("apiVersion");
    keys.remove("kind");
    keys
}

#[test]
fn every_key_of_the_template_is_applied_at_once_or_after_a_restart() {
    let known: BTreeSet<String> = config::keys().map(|(key, _)| key.to_owned()).collect();
    assert_eq!(known, keys_of_the_template());
    let mut tried: BTreeSet<String> = OTHERS.iter().map(|(key, _)| (*key).to_owned()).collect();
    // Without the feature as well.
    tried.insert("dnstap.socket".to_owned());
    assert_eq!(tried, known);
    // The template says which.
    let waits = config::keys().filter(|(_, effect)| *effect == Effect::AfterRestart);
    let waits: Vec<&str> = waits.map(|(key, _)| key).collect();
    let said = format!(": {}.", waits.join(", "));
    let template = include_str!("../deploy/config.yaml").replace("\n# ", " ");
    assert!(template.contains(&said), "{said}");
}

/// A server that is given a key's other value behaves as one that was started with it, or, where it says that this takes a
/// restart, as before.
#[test]
fn a_key_is_in_force_as_if_it_had_been_there_from_the_start_or_waits_and_is_named() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::write(home.join("token"), "s3cret\n").unwrap();
    let usual = config(home, None);
    let manifests = rig::cluster(CLUSTER);
    let before = seen(&Rig::with(&usual, &manifests));
    assert_eq!(
        before,
        seen(&Rig::with(&usual, &manifests)),
        "a server is like another"
    );
    let effects: BTreeMap<&str, Effect> = config::keys().collect();
    for (key, value) in OTHERS {
        let other = config(home, Some((key, value)));
        let mut rig = Rig::with(&usual, &manifests);
        let mut live = rig.take_live();
        let changes = rig.wait(live.reload(&other)).unwrap();
        let problems = rig.problems();
        match effects[key] {
            Effect::AtOnce => {
                assert_eq!(
                    (changes.at_once, changes.after_restart),
                    (vec![*key], vec![])
                );
                let fresh = Rig::with(&other, &manifests);
                assert_eq!(problems, fresh.problems(), "{key}");
                let (now, fresh) = (seen(&rig), seen(&fresh));
                assert_eq!(now, fresh, "{key}");
                assert_eq!(now == before, UNSEEN.contains(key), "{key}: {now:#?}");
            }
            Effect::AfterRestart => {
                assert_eq!(
                    (changes.at_once, changes.after_restart),
                    (vec![], vec![*key])
                );
                let named = format!("configuration: `{key}` takes effect after a restart");
                assert_eq!(problems, [named]);
                assert_eq!(seen(&rig), before, "{key}");
            }
        }
        // And back.
        let back = rig.wait(live.reload(&usual)).unwrap();
        assert_eq!(back.after_restart, [""; 0], "{key}");
        assert_eq!(*live.in_force(), usual);
    }
}

#[test]
fn the_rest_of_a_file_is_in_force_without_what_waits() {
    let mut usual = rig::config();
    let mut rig = Rig::with(&usual, &rig::cluster(CLUSTER));
    let mut live = rig.take_live();
    usual.ttl.cluster_ip = 77;
    usual.listen = vec!["127.0.0.1:1".parse().unwrap()];
    let changes = rig.wait(live.reload(&usual)).unwrap();
    assert_eq!(changes.after_restart, ["listen"]);
    rig.check(
        "api.shop.svc.Z A",
        "NOERROR aa\n api.shop.svc.Z. 77 A 10.96.0.10",
    );
    assert_eq!(rig.metric("shiftdns_config_keys_waiting", &[]), Some(1.0));
    // Not a second time for what is in force.
    let again = rig.wait(live.reload(&usual)).unwrap();
    assert_eq!(
        (again.at_once, again.after_restart),
        (vec![], vec!["listen"])
    );
}

#[test]
fn the_token_is_not_taken_from_an_api_that_is_exposed_until_the_restart() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("token"), "s3cret").unwrap();
    let mut exposed = rig::config();
    exposed.api.listen = "0.0.0.0:0".parse().unwrap();
    exposed.api.token_file = Some(home.path().join("token"));
    let mut rig = Rig::with(&exposed, &rig::cluster(CLUSTER));
    let mut live = rig.take_live();
    let changes = rig.wait(live.reload(&rig::config())).unwrap();
    assert_eq!(changes.at_once, [""; 0]);
    assert_eq!(changes.after_restart, ["api.listen", "api.tokenFile"]);
    assert!(request(&rig, "GET", "/api/v1/services").starts_with("HTTP/1.1 401"));
}

#[test]
fn a_token_that_cannot_be_read_changes_nothing_and_one_that_is_rotated_counts_at_once() {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    fs::write(&token, "old").unwrap();
    let mut guarded = rig::config();
    guarded.api.token_file = Some(token.clone());
    let mut rig = Rig::with(&guarded, &rig::cluster(CLUSTER));
    let mut live = rig.take_live();
    let status = |rig: &Rig, token: &str| {
        let mut stream = TcpStream::connect(rig.api).unwrap();
        let request = format!(
            "GET /api/v1/services HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text[9..12].to_owned()
    };
    assert_eq!([status(&rig, "old"), status(&rig, "new")], ["200", "401"]);
    fs::write(&token, "new").unwrap();
    rig.wait(live.reload(&guarded)).unwrap();
    assert_eq!([status(&rig, "old"), status(&rig, "new")], ["401", "200"]);
    for broken in [Some(""), None] {
        match broken {
            Some(text) => fs::write(&token, text).unwrap(),
            None => fs::remove_file(&token).unwrap(),
        }
        let mut other = guarded.clone();
        other.ttl.cluster_ip = 99;
        let error = rig.wait(live.reload(&other)).unwrap_err();
        assert!(
            error.to_string().starts_with("cannot read the API token"),
            "{error}"
        );
        assert_eq!([status(&rig, "old"), status(&rig, "new")], ["401", "200"]);
        rig.check(
            "api.shop.svc.Z A",
            "NOERROR aa\n api.shop.svc.Z. 30 A 10.96.0.10",
        );
    }
}

/// While two configurations take turns, every answer is the one's or the other's: no name is lost, none is without records,
/// and none mixes them.
#[test]
fn who_asks_during_a_reload_gets_the_old_answer_or_the_new_one() {
    let one = rig::config();
    let mut other = one.clone();
    other.ttl.endpoints = 50;
    other.ttl.cluster_ip = 300;
    other.ttl.negative = 50;
    other.recursion_available = true;
    other.pods = config::Pods::Insecure;
    other.limits.endpoints_per_service = 900;
    let mut rig = Rig::with(&one, &rig::cluster(CLUSTER));
    let mut live = rig.take_live();
    let questions = [
        "web.shop.svc.Z A",
        "web.shop.svc.Z SRV",
        "api.shop.svc.Z A",
        "nope.shop.svc.Z A",
        "lone.lab.svc.Z A",
    ];
    // RA and the SOA of a negative answer are of the terms, the records of the name's node: each is wholly old or new.
    let expected: Vec<BTreeSet<String>> = {
        let fresh = Rig::with(&other, &rig::cluster(CLUSTER));
        let both = |question: &&str| {
            let answers = [rig.ask(question), fresh.ask(question)];
            let head = |answer: &String| answer.split('\n').next().unwrap().to_owned();
            let body = |answer: &String| answer.split_once('\n').unwrap().1.to_owned();
            let mixes = |head_of: &String, body_of: &String| {
                format!("{}\n{}", head(head_of), body(body_of))
            };
            let [old, new] = &answers;
            let mut all = BTreeSet::from([old.clone(), new.clone()]);
            if !question.starts_with("nope") {
                all.extend([mixes(old, new), mixes(new, old)]);
            }
            all
        };
        questions.iter().map(both).collect()
    };
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for (question, expected) in questions.iter().zip(&expected) {
                        let answer = rig::shown(&rig.udp(&rig::query(question)).unwrap());
                        assert!(expected.contains(&answer), "{question}: {answer}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut turns = 0;
        while turns < 40 || asked.load(Ordering::Relaxed) < 400 {
            for config in [&other, &one] {
                let changes = rig.wait(live.reload(config)).unwrap();
                assert!(!changes.at_once.is_empty());
            }
            turns += 1;
        }
        done.store(true, Ordering::Relaxed);
    });
}
