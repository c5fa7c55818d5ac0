//! Resolvers: what clients see of us behind a real CoreDNS that forwards the cluster's zone and caches.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use hickory_proto::rr::RData;
use serde_json::{Value, json};

use crate::plane::eventually;
use crate::rig;
use crate::theatre::{SHOP, theatre};

/// Services over the same pods: each is a name, so each has draws of its own.
const SERVICES: usize = 60;
/// How often each is asked.
const ROUNDS: usize = 20;
/// Longer than an answer is kept: its TTL is a second.
const FORGOTTEN: Duration = Duration::from_millis(2100);

/// CoreDNS as it stands in front of us. Its cache keeps an answer for five seconds whatever its TTL, unless it is told not to.
fn corefile(ours: SocketAddr) -> String {
    format!(
        ".:{{$PORT}} {{
            bind 127.0.0.1
            forward cluster.local {ours}
            cache {{
                success 9984 3600 1
                denial 9984 30 1
            }}
        }}"
    )
}

/// What CoreDNS answers, as text.
fn ask(server: SocketAddr, question: &str) -> String {
    let answer = rig::udp(server, &rig::query(question));
    answer.map_or_else(|| "no answer".to_owned(), |answer| rig::shown(&answer))
}

/// The addresses in an answer, in its order.
fn addresses(server: SocketAddr, question: &str) -> Vec<IpAddr> {
    let answer = rig::udp(server, &rig::query(question)).expect("CoreDNS answers");
    let records = rig::decode(&answer).answers;
    let address = |record: &hickory_proto::rr::Record| match &record.data {
        RData::A(address) => Some(IpAddr::V4(address.0)),
        _ => None,
    };
    records.iter().filter_map(address).collect()
}

/// Waits until CoreDNS answers with these lines, but for the TTLs, which its cache counts down.
#[track_caller]
fn wait_for(server: SocketAddr, question: &str, expected: &[&str]) {
    let mut last = String::new();
    eventually(&format!("{question}: {expected:?}"), || {
        let answer = ask(server, question);
        let records = answer.lines().skip(1).map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (owner, data) = (words.first().copied(), words.get(2..).unwrap_or_default());
            format!("{} {}", owner.unwrap_or_default(), data.join(" "))
        });
        let is_so = answer.starts_with("NOERROR") && records.eq(expected.iter().copied());
        if answer != last {
            println!("{question}: {}", answer.replace('\n', " | "));
        }
        last = answer;
        is_so.then_some(())
    });
}

/// Two pods of a version, and with them whoever is behind the services.
fn mixed(version: &str) -> Value {
    let labels = json!({"app": "mixed", "track": version, "app.kubernetes.io/version": version});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": SHOP, "name": format!("mixed-{version}")},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "mixed", "track": version}},
            "template": {"metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": format!("shop/web:{version}"), "ports": [{"containerPort": 8080}]}]}}},
    })
}

fn addresses_of_pods(version: &str) -> BTreeSet<IpAddr> {
    let pods = theatre().plane.json(&[
        "-n",
        SHOP,
        "get",
        "pods",
        "-l",
        &format!("app=mixed,track={version}"),
    ]);
    let addresses = pods["items"].as_array().expect("a list").iter();
    addresses
        .filter_map(|pod| pod["status"]["podIP"].as_str()?.parse().ok())
        .collect()
}

#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn coredns_in_front_keeps_names_and_shares() {
    let theatre = theatre();
    let annotations = json!({"shiftdns.io/weights": "v1=75,v2=25", "shiftdns.io/clamp": "off", "shiftdns.io/ttl": "endpoints=1"});
    let service = |index: usize| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": SHOP, "name": format!("mixed-{index}"), "annotations": annotations},
            "spec": {"clusterIP": "None", "selector": {"app": "mixed"}, "ports": [{"name": "http", "port": 80}]}})
    };
    let mut all: Vec<Value> = (0..SERVICES).map(service).collect();
    all.extend([mixed("v1"), mixed("v2")]);
    all.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": "plain"},
        "spec": {"ports": [{"name": "http", "port": 80}]}}));
    let list = json!({"apiVersion": "v1", "kind": "List", "items": all});
    theatre.plane.apply(&list.to_string());
    eventually("all pods are ready behind the last service", || {
        (theatre
            .plane
            .ready_endpoints(SHOP, &format!("mixed-{}", SERVICES - 1))
            == 4)
            .then_some(())
    });
    let (first, second) = (addresses_of_pods("v1"), addresses_of_pods("v2"));
    assert_eq!((first.len(), second.len()), (2, 2));
    for index in 0..SERVICES {
        eventually("every service has its shares", || {
            (theatre.share(&format!("mixed-{index}"), "v1")? == 7500).then_some(())
        });
        eventually("all four pods are answered", || {
            let service = format!("mixed-{index}");
            let all = addresses(
                theatre.ours.dns,
                &format!("all._role.{service}.{SHOP}.svc.Z A"),
            );
            (all.len() == 4).then_some(())
        });
    }
    let coredns = theatre.plane.coredns(&corefile(theatre.ours.dns));
    let front = coredns.address;

    // Names.
    let service = theatre.plane.json(&["-n", SHOP, "get", "service", "plain"]);
    let ip = service["spec"]["clusterIP"].as_str().expect("an address");
    wait_for(
        front,
        "plain.shop.svc.Z A",
        &[&format!("plain.shop.svc.Z. A {ip}")],
    );
    let of_version = |owner: &str| -> Vec<String> {
        let lines = second.iter().map(|address| format!("{owner} A {address}"));
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        lines
    };
    for owner in ["v2._version.mixed-0.shop.svc.Z", "v2.mixed-0.shop.svc.Z"] {
        let lines = of_version(&format!("{owner}."));
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        wait_for(front, &format!("{owner} A"), &lines);
    }
    let text = ask(front, "_versions.mixed-0.shop.svc.Z TXT");
    assert!(
        text.contains("alias=v1 ") && text.contains("share=75.00%"),
        "{text}"
    );
    assert!(ask(front, "nothing.shop.svc.Z A").starts_with("NXDOMAIN"));

    // Shares, for a client that takes the first address of each answer.
    let (mut draws, mut hits, mut records, mut of_first, mut repeated) =
        (0_u32, 0_u32, 0_u32, 0_u32, 0_u32);
    for _ in 0..ROUNDS {
        for index in 0..SERVICES {
            let question = format!("mixed-{index}.shop.svc.Z A");
            let drawn = addresses(front, &question);
            draws += 1;
            hits += u32::from(first.contains(&drawn[0]));
            for address in &drawn {
                assert!(
                    first.contains(address) || second.contains(address),
                    "{address}"
                );
                records += 1;
                of_first += u32::from(first.contains(address));
            }
            // Who asks at once gets the same from the cache.
            repeated += u32::from(addresses(front, &question) == drawn);
        }
        thread::sleep(FORGOTTEN);
    }
    let (share, expected) = (f64::from(hits) / f64::from(draws), 0.75);
    let deviation = (expected * (1.0 - expected) / f64::from(draws)).sqrt();
    let deviations = (share - expected) / deviation;
    println!(
        "behind CoreDNS: v1 {hits} of {draws} draws, {:.2}%, {deviations:+.2} standard deviations from 75%; {of_first} of \
         {records} records; {repeated} repeated from the cache",
        share * 100.0
    );
    assert!(deviations.abs() <= 4.0, "{deviations}");
    assert!(
        repeated * 10 > draws * 8,
        "the cache answers: {repeated} of {draws}"
    );
    drop(coredns);
    theatre.plane.kubectl(&[
        "-n",
        SHOP,
        "delete",
        "--wait=false",
        "deployment/mixed-v1",
        "deployment/mixed-v2",
        "service/plain",
    ]);
    let names: Vec<String> = (0..SERVICES)
        .map(|index| format!("service/mixed-{index}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    theatre
        .plane
        .kubectl(&[&["-n", SHOP, "delete", "--wait=false"], names.as_slice()].concat());
}

/// CoreDNS does not complete a CNAME that a server it forwards to gives, so the addresses have to come from us.
#[test]
#[ignore = "runs a control plane: tests/cluster/run"]
fn an_external_name_has_its_addresses_behind_coredns() {
    let theatre = theatre();
    let outside = theatre.plane.coredns(
        ".:{$PORT} {
            bind 127.0.0.1
            hosts {
                192.0.2.10 db.example.org
                192.0.2.11 db.example.org
                2001:db8::10 db.example.org
            }
        }",
    );
    let with = theatre.another(
        "resolvers-upstream",
        &format!("upstream: [\"{}\"]", outside.address),
    );
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": SHOP, "name": "db"},
        "spec": {"type": "ExternalName", "externalName": "db.example.org"}});
    theatre.plane.apply(&service.to_string());
    let cname = "db.shop.svc.Z. CNAME db.example.org.";
    // Filled before the cache in front is asked, which would keep the CNAME alone for its TTL.
    wait_for(
        with.dns,
        "db.shop.svc.Z A",
        &[
            "db.example.org. A 192.0.2.10",
            "db.example.org. A 192.0.2.11",
            cname,
        ],
    );
    let front = theatre.plane.coredns(&corefile(with.dns));
    wait_for(
        front.address,
        "db.shop.svc.Z A",
        &[
            "db.example.org. A 192.0.2.10",
            "db.example.org. A 192.0.2.11",
            cname,
        ],
    );
    wait_for(
        front.address,
        "db.shop.svc.Z AAAA",
        &["db.example.org. AAAA 2001:db8::10", cname],
    );
    // Without the option it is the CNAME alone: that is what it is for.
    let bare = theatre.plane.coredns(&corefile(theatre.ours.dns));
    wait_for(bare.address, "db.shop.svc.Z A", &[cname]);
    theatre
        .plane
        .kubectl(&["-n", SHOP, "delete", "service", "db"]);
    println!(
        "behind CoreDNS: an ExternalName has its three addresses with `upstream`, none without"
    );
}
