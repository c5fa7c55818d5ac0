//! Static zones beside a cluster, and from files: what of two wins, what waits for the cluster and what does not, and what becomes
//! of files that change.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod rig;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rig::{Offline, Rig, config, query, shown};
use shiftdns::answer::Transport;
use shiftdns::app::Source;
use shiftdns::config::Config;
use shiftdns::files::{Said, ZoneFiles};
use shiftdns::wire::Name;
use shiftdns::zone::{StaticZone, Weights, master};

const PATIENCE: Duration = Duration::from_secs(30);
const SOA: &str = "$TTL 300\n@ SOA ns host 7 1 1 1 60\n@ NS ns\nns A 192.0.2.1\n";

fn zone(name: &str, text: &str) -> (Name, Option<Box<StaticZone>>) {
    let apex = Name::parse(name).unwrap();
    let mut include = |_: &str, _: &str| Err(String::new());
    let read = master::read("z", text.as_bytes(), &apex, &mut include);
    let (zone, findings) = StaticZone::of(&read, &apex, &Weights::default());
    assert!(zone.is_some(), "{findings:?}");
    (apex, zone.map(Box::new))
}

fn ask(offline: &mut Offline, question: &str) -> String {
    shown(offline.ask(&query(question), Transport::Udp).unwrap())
}

fn check(offline: &mut Offline, question: &str, expected: &str) {
    assert_eq!(ask(offline, question), expected, "{question}");
}

/// A cluster with one service, reverse names of its addresses, and zones of files at and below the same apexes.
fn merged(config: &Config) -> Offline {
    let shop = rig::cluster("namespace shop\n clusterip web.shop 10.96.0.10 http:80");
    let mut offline = Offline::with(config, &[&shop]);
    let cluster = format!(
        "{SOA}@ MX 5 mail\nmail A 192.0.2.25\n*.pages A 192.0.2.26\nweb.shop.svc A 192.0.2.66\nother.svc A 192.0.2.67\n\
         far A 192.0.2.68\nto CNAME web.shop.svc\nsub NS ns.sub\nns.sub A 192.0.2.69\n"
    );
    let reverse = format!("{SOA}10.0 PTR file.\n10.0 TXT file\n11.0 PTR file.\n*.1 PTR wild.\n");
    let below = format!("{SOA}x A 192.0.2.70\n");
    let zones = vec![
        zone("cluster.local", &cluster),
        zone("96.10.in-addr.arpa", &reverse),
        zone("far.cluster.local", &below),
        zone("x.svc.cluster.local", &below),
        zone("local", &format!("{SOA}host A 192.0.2.71\n")),
    ];
    offline.engine.set_static_zones(zones, Vec::new());
    offline
}

fn with_reverse() -> Config {
    let mut config = config();
    config.reverse = vec!["10.96.0.0/16".parse().unwrap()];
    config
}

#[test]
fn a_cluster_and_a_file_of_the_same_apex_are_one_zone_and_the_clusters_names_win() {
    let mut zones = merged(&with_reverse());
    let negative = "auth Z. 5 SOA";
    for (question, expected) in [
        (
            "Z MX",
            "NOERROR aa\nZ. 300 MX 5 mail.Z.\nadd mail.Z. 300 A 192.0.2.25".to_owned(),
        ),
        ("Z NS", "NOERROR aa\nZ. 30 NS ns.dns.Z.".to_owned()),
        ("Z SOA", "NOERROR aa\nZ. 30 SOA".to_owned()),
        ("Z AAAA", format!("NOERROR aa\n{negative}")),
        (
            "mail.Z A",
            "NOERROR aa\nmail.Z. 300 A 192.0.2.25".to_owned(),
        ),
        (
            "a.pages.Z A",
            "NOERROR aa\na.pages.Z. 300 A 192.0.2.26".to_owned(),
        ),
        (
            "web.shop.svc.Z A",
            "NOERROR aa\nweb.shop.svc.Z. 30 A 10.96.0.10".to_owned(),
        ),
        ("web.shop.svc.Z TXT", format!("NOERROR aa\n{negative}")),
        ("other.svc.Z A", format!("NXDOMAIN aa\n{negative}")),
        ("nothing.Z A", format!("NXDOMAIN aa\n{negative}")),
        ("nothing.shop.svc.Z A", format!("NXDOMAIN aa\n{negative}")),
        (
            "to.Z A",
            "NOERROR aa\nto.Z. 300 CNAME web.shop.svc.Z.\nweb.shop.svc.Z. 30 A 10.96.0.10"
                .to_owned(),
        ),
        (
            "a.sub.Z A",
            "NOERROR\nauth sub.Z. 300 NS ns.sub.Z.\nadd ns.sub.Z. 300 A 192.0.2.69".to_owned(),
        ),
        ("dns.Z A", format!("NOERROR aa\n{negative}")),
        // The longest apex wins, label by label.
        (
            "x.far.Z A",
            "NOERROR aa\nx.far.Z. 300 A 192.0.2.70".to_owned(),
        ),
        ("y.far.Z A", "NXDOMAIN aa\nauth far.Z. 60 SOA".to_owned()),
        (
            "host.local A",
            "NOERROR aa\nhost.local. 300 A 192.0.2.71".to_owned(),
        ),
        (
            "xcluster.local A",
            "NXDOMAIN aa\nauth local. 60 SOA".to_owned(),
        ),
        // Set by set.
        (
            "10.0.96.10.in-addr.arpa PTR",
            "NOERROR aa\n10.0.96.10.in-addr.arpa. 30 PTR web.shop.svc.Z.".to_owned(),
        ),
        (
            "10.0.96.10.in-addr.arpa TXT",
            "NOERROR aa\n10.0.96.10.in-addr.arpa. 300 TXT \"file\"".to_owned(),
        ),
        (
            "11.0.96.10.in-addr.arpa PTR",
            "NOERROR aa\n11.0.96.10.in-addr.arpa. 300 PTR file.".to_owned(),
        ),
        (
            "12.0.96.10.in-addr.arpa PTR",
            "NXDOMAIN aa\nauth 96.10.in-addr.arpa. 5 SOA".to_owned(),
        ),
        (
            "12.1.96.10.in-addr.arpa PTR",
            "NOERROR aa\n12.1.96.10.in-addr.arpa. 300 PTR wild.".to_owned(),
        ),
    ] {
        check(&mut zones, question, &expected);
    }
    let problems: Vec<String> = zones
        .engine
        .problems()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        problems,
        [
            "zone cluster.local: names at and below `svc` are the cluster's, those of the file are not served",
            "zone x.svc.cluster.local: not served: in `cluster.local.` these names are the cluster's",
        ]
    );
}

/// K3: until the cluster is known its names are told to nobody; what stands in files does not wait for it.
#[test]
fn static_zones_are_served_while_the_cluster_is_not_synced() {
    let config = with_reverse();
    let (mut engine, view) = shiftdns::app::offline(&config).unwrap();
    let zones = vec![
        zone(
            "example.test",
            &format!("{SOA}www A 192.0.2.2\nin CNAME web.shop.svc.cluster.local.\n"),
        ),
        zone(
            "cluster.local",
            &format!("{SOA}mail A 192.0.2.25\nalias CNAME mail\n"),
        ),
        (Name::parse("broken.test").unwrap(), None),
    ];
    engine.set_static_zones(zones, Vec::new());
    let mut offline = Offline::of(engine, view);
    let fails = "SERVFAIL";
    for (question, expected) in [
        (
            "www.example.test A",
            "NOERROR aa\nwww.example.test. 300 A 192.0.2.2",
        ),
        (
            "no.example.test A",
            "NXDOMAIN aa\nauth example.test. 60 SOA",
        ),
        // Half a chain is no answer.
        ("in.example.test A", fails),
        (
            "in.example.test CNAME",
            "NOERROR aa\nin.example.test. 300 CNAME web.shop.svc.Z.",
        ),
        ("mail.Z A", "NOERROR aa\nmail.Z. 300 A 192.0.2.25"),
        (
            "alias.Z A",
            "NOERROR aa\nalias.Z. 300 CNAME mail.Z.\nmail.Z. 300 A 192.0.2.25",
        ),
        ("mail.Z AAAA", fails),
        ("other.Z A", fails),
        ("web.shop.svc.Z A", fails),
        ("10.0.96.10.in-addr.arpa PTR", fails),
        ("broken.test SOA", fails),
        ("x.broken.test A", fails),
    ] {
        check(&mut offline, question, expected);
    }
}

/// Nothing can be said of a name that a file may have; the cluster's own are answered all the same.
#[test]
fn a_file_beside_the_cluster_that_was_never_right_takes_no_name_away() {
    let mut config = with_reverse();
    config.reverse = vec!["10.96.0.0/25".parse().unwrap()];
    let shop = rig::cluster("namespace shop\n clusterip web.shop 10.96.0.10 http:80");
    let mut zones = Offline::with(&config, &[&shop]);
    let broken =
        ["cluster.local", "0.96.10.in-addr.arpa"].map(|name| (Name::parse(name).unwrap(), None));
    let below = zone(
        "example.test",
        &format!("{SOA}in CNAME www.cluster.local.\n"),
    );
    let all = broken.into_iter().chain([below]).collect();
    zones.engine.set_static_zones(all, Vec::new());
    let fails = "SERVFAIL";
    for (question, expected) in [
        ("www.Z A", fails),
        ("Z MX", fails),
        ("in.example.test A", fails),
        ("12.0.96.10.in-addr.arpa PTR", fails),
        ("200.0.96.10.in-addr.arpa PTR", fails),
        ("Z NS", "NOERROR aa\nZ. 30 NS ns.dns.Z."),
        (
            "web.shop.svc.Z A",
            "NOERROR aa\nweb.shop.svc.Z. 30 A 10.96.0.10",
        ),
        ("no.shop.svc.Z A", "NXDOMAIN aa\nauth Z. 5 SOA"),
        (
            "10.0.96.10.in-addr.arpa PTR",
            "NOERROR aa\n10.0.96.10.in-addr.arpa. 30 PTR web.shop.svc.Z.",
        ),
    ] {
        check(&mut zones, question, expected);
    }
    // With the file gone it is as if it had never been there.
    zones.engine.set_static_zones(Vec::new(), Vec::new());
    check(&mut zones, "www.Z A", "NXDOMAIN aa\nauth Z. 5 SOA");
    check(&mut zones, "200.0.96.10.in-addr.arpa PTR", "REFUSED");
}

/// "the parent zone is authoritative for the DS RRset" (RFC 4035, section 3.1.4.1), where it delegates at all.
#[test]
fn a_file_above_that_does_not_delegate_the_cluster_does_not_deny_it() {
    let mut zones = Offline::with(&config(), &[]);
    let publish = |zones: &mut Offline, more: &str| {
        let above = zone("local", &format!("{SOA}{more}"));
        zones.engine.set_static_zones(vec![above], Vec::new());
    };
    publish(&mut zones, "* CNAME elsewhere.\n");
    check(&mut zones, "Z DS", "NOERROR aa\nauth Z. 5 SOA");
    publish(&mut zones, "cluster NS ns\n");
    check(&mut zones, "Z DS", "NOERROR aa\nauth local. 60 SOA");
}

/// A second name makes a file a second zone: parked domains are kept so.
#[test]
fn a_file_of_two_names_is_two_zones() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("b.test.zone"), SOA).unwrap();
    for link in ["a.test.zone", "c.test.zone"] {
        std::os::unix::fs::symlink("b.test.zone", dir.path().join(link)).unwrap();
    }
    let loaded = ZoneFiles::new(dir.path().into()).load_if_changed();
    let loaded = loaded.unwrap().unwrap();
    let names: Vec<String> = loaded
        .zones
        .iter()
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(names, ["a.test.", "b.test.", "c.test."]);
}

#[test]
fn data_of_files_is_never_stale() {
    let mut zones = merged(&config());
    zones.engine.set_lost(jiff::Timestamp::UNIX_EPOCH);
    let ede = |zones: &mut Offline, question: &str| {
        let answer = zones
            .ask_at(&query(question), Transport::Udp, 1_000_000)
            .unwrap();
        answer
            .windows(6)
            .any(|octets| octets == [0, 15, 0, 2, 0, 3])
    };
    assert!(ede(&mut zones, "web.shop.svc.Z A"));
    assert!(!ede(&mut zones, "host.local A"));
    assert!(!ede(&mut zones, "mail.Z A"));
}

/// Shares of weighted sets, exactly: each record first by its weight, over as many answers as the weights sum to.
#[test]
fn weights_beside_a_zone_are_kept() {
    let (_dir, mut offline) = of_files("zones/static");
    let mut firsts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..10_000 {
        let answer = offline
            .ask(&query("www.example.test A"), Transport::Udp)
            .unwrap();
        let message = rig::decode(answer);
        assert_eq!(message.answers.len(), 1);
        *firsts
            .entry(message.answers[0].data.to_string())
            .or_default() += 1;
    }
    let share = firsts["192.0.2.20"];
    // A slot of its own draws in strata: 8 picks off at the most.
    assert!((992..=1008).contains(&share), "{firsts:?}");
    let found = ask(&mut offline, "blog.example.test A");
    assert!(
        found.starts_with(
            "NOERROR aa\nblog.example.test. 3600 CNAME www.example.test.\nwww.example.test. 30 A "
        ),
        "{found}"
    );
}

/// The zones of a directory, and one that holds a copy of it.
fn of_files(from: &str) -> (tempfile::TempDir, Offline) {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let mut offline = Offline::with(&config(), &[]);
    let loaded = ZoneFiles::new(dir.path().into())
        .load_if_changed()
        .unwrap()
        .unwrap();
    assert_eq!(loaded.problems, []);
    let zones = loaded.zones.into_iter().map(|(name, said)| match said {
        Said::Another(zone) => (name, Some(zone)),
        Said::Nothing => (name, None),
    });
    offline.engine.set_static_zones(zones.collect(), Vec::new());
    (dir, offline)
}

fn problems(dir: &Path) -> Vec<String> {
    let loaded = ZoneFiles::new(dir.into())
        .load_if_changed()
        .unwrap()
        .unwrap();
    let home = dir.display().to_string();
    loaded
        .problems
        .iter()
        .map(|problem| problem.to_string().replace(&home, "D"))
        .collect()
}

#[test]
fn weights_that_fit_no_record_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write(
        "a.test.zone",
        &format!("{SOA}w A 192.0.2.2\nw A 192.0.2.3\nw AAAA ::1\n"),
    );
    let weights = |names: &str| {
        format!("apiVersion: shiftdns.io/v1alpha1\nkind: ZoneWeights\nnames:\n{names}")
    };
    write(
        "a.test.weights.yaml",
        &weights("  w: {192.0.2.2: 1, 192.0.2.4: 1}\n  x: {192.0.2.2: 1}\n"),
    );
    write("b.test.weights.yaml", &weights("  x: {192.0.2.2: 1}\n"));
    assert_eq!(
        problems(dir.path()),
        [
            "D/a.test.weights.yaml:4: zone a.test: `w.a.test.` has a weight for 192.0.2.4 and no such record",
            "D/a.test.weights.yaml:4: zone a.test: `w.a.test.` has weights, and none for 192.0.2.3",
            "D/a.test.weights.yaml:5: zone a.test: `x.a.test.` has weights and no records in the zone",
            "D/b.test.weights.yaml:1: weights of no zone: there is no file of that name that ends with `.zone`",
        ]
    );
}

#[test]
fn files_are_included_from_inside_the_directory_only() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "secret TXT secret\n").unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    write("sub/hosts.inc", "a A 192.0.2.3\n$INCLUDE more.inc\n");
    write("sub/more.inc", "b A 192.0.2.4\n");
    write("good.test.zone", &format!("{SOA}$INCLUDE sub/hosts.inc\n"));
    std::os::unix::fs::symlink(&secret, dir.path().join("link.inc")).unwrap();
    let up = format!(
        "../{}/secret",
        outside.path().file_name().unwrap().to_string_lossy()
    );
    for (name, file) in [
        ("absolute.test", secret.display().to_string()),
        ("link.test", "link.inc".to_owned()),
        ("up.test", up),
        ("pipe.test", "/dev/zero".to_owned()),
    ] {
        write(&format!("{name}.zone"), &format!("{SOA}$INCLUDE {file}\n"));
    }
    write("loop.test.zone", &format!("{SOA}$INCLUDE loop.test.zone\n"));
    let found = problems(dir.path());
    let outside = found
        .iter()
        .filter(|text| text.contains(": it is outside of `D`"));
    assert_eq!(outside.count(), 4, "{found:#?}");
    assert!(
        found.iter().any(|text| text
            .starts_with("D/loop.test.zone:5: zone loop.test: `loop.test.zone` includes itself")),
        "{found:#?}"
    );
    assert!(
        !found
            .iter()
            .any(|text| text.contains("good.test") || text.contains("secret TXT")),
        "{found:#?}"
    );
}

/// P14: what was served stays where a file is broken, the log, a problem and a metric say so, and nothing of it is lost.
#[test]
fn a_file_that_changes_is_another_zone_and_one_that_breaks_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        // As editors do: the old file or the new one is there, never half of it.
        let draft = dir.path().join(".draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, dir.path().join(name)).unwrap();
    };
    let text = |serial: u32, rest: &str| {
        format!("$TTL 300\n@ SOA ns host {serial} 1 1 1 60\n@ NS ns\nns A 192.0.2.1\n{rest}")
    };
    write("a.test.zone", &text(1, "x A 192.0.2.10\n"));
    write("b.test.zone", &text(1, "x A 192.0.2.20\n"));
    write("never.test.zone", "x A\n");
    let mut config = config();
    config.static_zones = Some(dir.path().into());
    let rig = Rig::from(&config, Source::Caller);
    let a = |address: &str| format!("NOERROR aa\nx.a.test. 300 A {address}");
    assert_eq!(rig.ask("x.a.test A"), a("192.0.2.10"));
    assert_eq!(rig.ask("x.never.test A"), "SERVFAIL");
    assert_eq!(
        rig.metric("shiftdns_static_zone_serial", &["zone=\"a.test.\""]),
        Some(1.0)
    );
    assert_eq!(
        rig.metric("shiftdns_static_zone_records", &["zone=\"a.test.\""]),
        Some(4.0)
    );
    assert_eq!(
        rig.metric("shiftdns_static_zone_loads_total", &["result=\"failure\""]),
        Some(1.0)
    );

    write("a.test.zone", &text(2, "x A 192.0.2.11\n"));
    let over_udp = || shown(&rig.udp(&query("x.a.test A")).unwrap());
    eventually("another zone", || over_udp() == a("192.0.2.11"));
    assert_eq!(
        rig.metric("shiftdns_static_zone_serial", &["zone=\"a.test.\""]),
        Some(2.0)
    );
    assert_eq!(
        rig.metric("shiftdns_static_zone_loads_total", &["result=\"success\""]),
        Some(3.0)
    );

    write(
        "a.test.zone",
        &text(3, "x A 192.0.2.12\ny A 1.2.3\ny CNAME\n"),
    );
    eventually("a problem", || {
        rig.problems()
            .iter()
            .any(|problem| problem.contains("a.test"))
    });
    let home = dir.path().display().to_string();
    let found: Vec<String> = rig
        .problems()
        .iter()
        .map(|problem| problem.replace(&home, "D"))
        .collect();
    assert_eq!(
        found,
        [
            "D/a.test.zone:6: zone a.test: A: `1.2.3` is not an IPv4 address (what the zone was before is served on)",
            "D/a.test.zone:7: zone a.test: CNAME: something is missing at the end",
            "D/never.test.zone:1: zone never.test: A: something is missing at the end",
        ]
    );
    assert_eq!(rig.ask("x.a.test A"), a("192.0.2.11"));
    assert_eq!(
        rig.metric("shiftdns_static_zone_serial", &["zone=\"a.test.\""]),
        Some(2.0)
    );

    write("a.test.zone", &text(4, "x A 192.0.2.13\n"));
    fs::remove_file(dir.path().join("b.test.zone")).unwrap();
    fs::remove_file(dir.path().join("never.test.zone")).unwrap();
    eventually("all is well", || rig.problems().is_empty());
    assert_eq!(rig.ask("x.a.test A"), a("192.0.2.13"));
    assert_eq!(rig.ask("x.b.test A"), "REFUSED");
    assert_eq!(rig.ask("x.never.test A"), "REFUSED");
    // A configuration that is read anew takes nothing away.
    drop(rig);
}

#[test]
fn a_configuration_that_is_read_anew_leaves_static_zones_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("a.test.zone"),
        format!("{SOA}x A 192.0.2.10\n"),
    )
    .unwrap();
    let mut usual = config();
    usual.static_zones = Some(dir.path().into());
    let mut rig = Rig::with(&usual, &rig::cluster("namespace shop"));
    let mut live = rig.take_live();
    let mut other = usual.clone();
    other.ttl.negative = 9;
    rig.wait(live.reload(&other)).unwrap();
    assert_eq!(
        rig.ask("x.a.test A"),
        "NOERROR aa\nx.a.test. 300 A 192.0.2.10"
    );
    assert_eq!(rig.ask("nothing.Z A"), "NXDOMAIN aa\nauth Z. 9 SOA");
    assert_eq!(
        rig.ask("nothing.a.test A"),
        "NXDOMAIN aa\nauth a.test. 60 SOA"
    );
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_shiftdns"))
        .args(arguments)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn check_tells_what_is_wrong_with_zone_files() {
    assert_eq!(
        run(&["check", "zones/static"]),
        (true, "no problems\n".to_owned())
    );
    assert_eq!(
        run(&["check", "zones/static/example.test.zone"]),
        (true, "no problems\n".to_owned())
    );
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.test.zone");
    fs::write(&file, format!("{SOA}x A 1.2.3\nx.other. A 1.2.3.4\n")).unwrap();
    let (file, home) = (file.display().to_string(), dir.path().display().to_string());
    for path in [&file, &home] {
        let (is_well, text) = run(&["check", path]);
        let expected = format!(
            "{file}:5: zone a.test: A: `1.2.3` is not an IPv4 address\n\
             {file}:6: zone a.test: warning: `x.other.` is not in the zone, and left out\n"
        );
        assert_eq!((is_well, text), (false, expected));
    }
    fs::write(&file, format!("{SOA}x.other. A 1.2.3.4\n")).unwrap();
    let (is_well, text) = run(&["check", &file]);
    assert!(is_well && text.contains(": warning: "), "{text}");
}
