//! The names of versions and roles, asked through real sockets.

mod rig;

use rig::{NODATA, NXDOMAIN, Rig, cluster, serve};

/// A rolling update under way: two endpoints of 2.0.1, one of 2.0.2; 1.9.0 is history.
const UPDATE: &str = "namespace shop
    headless web.shop http:80 :9000
    deployment web.shop 3 1.9.0=zzz 2.0.1=aaa 2.0.2=bbb
    slice web.shop http:8080 :9000 | 10.1.0.1 @web-aaa host=one | 10.1.0.2 @web-aaa | 10.1.0.3 @web-bbb
    slice web.shop http:8080 :9000 | fd00::3 @web-bbb pod=pod-10-1-0-3";

/// The strings of a TXT answer without the moment since when things are so, which is the clock's, and without digests,
/// which say no more than that they are equal.
fn strings(rig: &Rig, name: &str) -> Vec<String> {
    let masked = |word: &str| match word.split_once('=') {
        Some((key @ ("since" | "digest"), _)) => format!("{key}=?"),
        _ => word.to_owned(),
    };
    let answer = rig.ask(&format!("{name} TXT"));
    let lines = answer.lines();
    lines
        .map(|line| line.split(' ').map(masked).collect::<Vec<_>>().join(" "))
        .collect()
}

/// A records of `name`, without owner and TTL.
fn check_a(rig: &Rig, name: &str, ttl: u32, addresses: &[&str]) {
    let owner = name.strip_suffix('Z').expect("a name in the zone");
    let lines = addresses.iter().map(|a| format!("{owner}Z. {ttl} A {a}\n"));
    rig.check(
        &format!("{name} A"),
        &format!("NOERROR aa\n{}", lines.collect::<String>()),
    );
}

#[test]
fn a_version_is_called_by_its_alias_and_its_hash_with_and_without_underscores() {
    let rig = serve(UPDATE);
    for old in [
        "2-0-1._version",
        "aaa._version",
        "2-0-1",
        "aaa",
        "AAA._VERSION",
    ] {
        check_a(
            &rig,
            &format!("{old}.web.shop.svc.Z"),
            5,
            &["10.1.0.1", "10.1.0.2"],
        );
        rig.check(&format!("{old}.web.shop.svc.Z AAAA"), NODATA);
    }
    for new in ["2-0-2._version", "bbb._version", "2-0-2", "bbb"] {
        let name = format!("{new}.web.shop.svc.Z");
        check_a(&rig, &name, 5, &["10.1.0.3"]);
        rig.check(
            &format!("{name} AAAA"),
            &format!("NOERROR aa\n {name}. 5 AAAA fd00::3"),
        );
        // The name of the other kind of view does not exist.
        rig.check(
            &format!(
                "{}._role.web.shop.svc.Z A",
                new.trim_end_matches("._version")
            ),
            NXDOMAIN,
        );
    }
    check_a(
        &rig,
        "web.shop.svc.Z",
        5,
        &["10.1.0.1", "10.1.0.2", "10.1.0.3"],
    );
}

#[test]
fn roles_are_called_with_and_without_underscores() {
    let rig = serve(UPDATE);
    for (role, addresses) in [
        ("stable", &["10.1.0.1", "10.1.0.2"][..]),
        ("canary", &["10.1.0.3"]),
        ("all", &["10.1.0.1", "10.1.0.2", "10.1.0.3"]),
    ] {
        for label in [format!("{role}._role"), role.to_owned()] {
            check_a(&rig, &format!("{label}.web.shop.svc.Z"), 5, addresses);
        }
        rig.check(&format!("{role}._version.web.shop.svc.Z A"), NXDOMAIN);
    }
    rig.check("stable._role.web.shop.svc.Z AAAA", NODATA);
}

#[test]
fn every_view_has_its_ports() {
    let rig = serve(UPDATE);
    let glue = |label: &str| match label {
        "one" => "add one.web.shop.svc.Z. 5 A 10.1.0.1\n",
        "10-1-0-2" => "add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2\n",
        "10-1-0-3" => "add 10-1-0-3.web.shop.svc.Z. 5 A 10.1.0.3\n",
        _ => "add fd00--3.web.shop.svc.Z. 5 AAAA fd00::3\n",
    };
    let stable = &["one", "10-1-0-2"][..];
    let canary = &["10-1-0-3", "fd00--3"][..];
    let all = &["one", "10-1-0-2", "10-1-0-3", "fd00--3"][..];
    for (view, hosts) in [
        ("2-0-1._version", stable),
        ("aaa._version", stable),
        ("2-0-1", stable),
        ("stable._role", stable),
        ("stable", stable),
        ("bbb._version", canary),
        ("2-0-2", canary),
        ("canary._role", canary),
        ("canary", canary),
        ("all._role", all),
        ("all", all),
    ] {
        for (port, numbers) in [("_http._tcp.", &[8080][..]), ("", &[8080, 9000])] {
            let name = format!("{port}{view}.web.shop.svc.Z");
            let mut srv: Vec<String> = hosts
                .iter()
                .flat_map(|host| {
                    let name = &name;
                    numbers
                        .iter()
                        .map(move |n| format!("{name}. 5 SRV 0 256 {n} {host}.web.shop.svc.Z.\n"))
                })
                .collect();
            srv.sort();
            let mut glue: Vec<&str> = hosts.iter().map(|host| glue(host)).collect();
            glue.sort_unstable();
            rig.check(
                &format!("{name} SRV"),
                &format!("NOERROR aa\n{}{}", srv.concat(), glue.concat()),
            );
        }
        rig.check(&format!("_tcp.{view}.web.shop.svc.Z SRV"), NODATA);
        rig.check(&format!("_udp.{view}.web.shop.svc.Z SRV"), NXDOMAIN);
        rig.check(&format!("_none._tcp.{view}.web.shop.svc.Z SRV"), NXDOMAIN);
        rig.check(&format!("x.{view}.web.shop.svc.Z A"), NXDOMAIN);
    }
}

#[test]
fn versions_and_rollout_are_told_as_text_that_is_not_kept() {
    let rig = serve(UPDATE);
    let old = "version=2.0.1 alias=2-0-1 revision=2 hash=aaa share=66.67% ready=2 role=stable reason=follow";
    let new = "version=2.0.2 alias=2-0-2 revision=3 hash=bbb share=33.33% ready=1 role=canary reason=follow";
    let gone =
        "version=1.9.0 alias=1-9-0 revision=1 hash=zzz share=0.00% ready=0 reason=no-endpoints";
    let owner = "_versions.web.shop.svc.Z. 0 TXT";
    assert_eq!(
        strings(&rig, "_versions.web.shop.svc.Z"),
        [
            "NOERROR aa".to_owned(),
            format!("{owner} \"{gone}\""),
            format!("{owner} \"{old}\""),
            format!("{owner} \"{new}\""),
        ]
    );
    assert_eq!(
        strings(&rig, "_rollout.web.shop.svc.Z"),
        [
            "NOERROR aa",
            "_rollout.web.shop.svc.Z. 0 TXT \"workload=web state=Progressing kind=update target=2-0-2 \
             stable=2-0-1 strategy=follow since=? digest=? ttl=5 generation=1\"",
        ]
    );
    for name in ["2-0-2._version.web.shop.svc.Z", "bbb.web.shop.svc.Z"] {
        rig.check(
            &format!("{name} TXT"),
            &format!("NOERROR aa\n {name}. 0 TXT \"{new}\""),
        );
    }
    rig.check("web.shop.svc.Z TXT", NODATA);
    rig.check("canary._role.web.shop.svc.Z TXT", NODATA);
}

#[test]
fn a_restart_makes_two_revisions_of_one_version() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 2 v1=aaa v1=bbb
         slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-bbb",
    );
    check_a(
        &rig,
        "v1._version.web.shop.svc.Z",
        5,
        &["10.1.0.1", "10.1.0.2"],
    );
    check_a(&rig, "aaa._version.web.shop.svc.Z", 5, &["10.1.0.1"]);
    check_a(&rig, "bbb.web.shop.svc.Z", 5, &["10.1.0.2"]);
    check_a(&rig, "stable.web.shop.svc.Z", 5, &["10.1.0.1"]);
    let name = "v1.web.shop.svc.Z";
    rig.check(
        &format!("{name} TXT"),
        &format!(
            "NOERROR aa
             {name}. 0 TXT \"version=v1 alias=v1 revision=1 hash=aaa share=50.00% ready=1 role=stable reason=follow\"
             {name}. 0 TXT \"version=v1 alias=v1 revision=2 hash=bbb share=50.00% ready=1 role=canary reason=follow\""
        ),
    );
}

#[test]
fn a_pinned_name_with_nothing_behind_is_nodata_and_a_gone_version_does_not_exist() {
    let rig = serve(UPDATE);
    for nothing_now in ["1-9-0._version", "zzz._version", "1-9-0", "zzz"] {
        let name = format!("{nothing_now}.web.shop.svc.Z");
        rig.check(&format!("{name} A"), NODATA);
        rig.check(&format!("{name} SRV"), NODATA);
        rig.check(&format!("_http._tcp.{name} SRV"), NODATA);
    }
    rig.apply(&cluster(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 1 2.0.2=bbb
         slice web.shop http:8080 | 10.1.0.3 @web-bbb",
    ));
    for gone in ["1-9-0._version", "zzz", "2-0-1._version", "aaa"] {
        rig.check(&format!("{gone}.web.shop.svc.Z A"), NXDOMAIN);
        rig.check(&format!("_http._tcp.{gone}.web.shop.svc.Z SRV"), NXDOMAIN);
    }
    // Nothing rolls: the target is stable, and nothing is a canary.
    check_a(&rig, "stable._role.web.shop.svc.Z", 5, &["10.1.0.3"]);
    rig.check("canary._role.web.shop.svc.Z A", NODATA);
    rig.check("canary.web.shop.svc.Z A", NODATA);
}

#[test]
fn an_endpoints_own_name_wins_over_a_version_and_a_role() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 2 v1=aaa v2=bbb
         slice web.shop http:80 | 10.1.0.1 @web-aaa host=v2 | 10.1.0.2 @web-bbb host=canary",
    );
    check_a(&rig, "v2.web.shop.svc.Z", 5, &["10.1.0.1"]);
    check_a(&rig, "v2._version.web.shop.svc.Z", 5, &["10.1.0.2"]);
    check_a(&rig, "canary.web.shop.svc.Z", 5, &["10.1.0.2"]);
    check_a(&rig, "v1.web.shop.svc.Z", 5, &["10.1.0.1"]);
    rig.check("_http._tcp.v2.web.shop.svc.Z SRV", NXDOMAIN);
    let stands = |label: &str| {
        format!(
            "test.yaml:2: service shop/web: the endpoint called `{label}` stands where the version or role \
             `{label}` would; ask for that by `{label}._version` or `{label}._role`"
        )
    };
    assert_eq!(rig.problems(), [stands("canary"), stands("v2")]);
}

#[test]
fn a_version_called_like_a_role_gets_its_hash() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 2 stable=aaa v2=bbb
         slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-bbb | 10.1.0.3 @web-bbb",
    );
    check_a(&rig, "stable-aaa._version.web.shop.svc.Z", 5, &["10.1.0.1"]);
    check_a(&rig, "stable.web.shop.svc.Z", 5, &["10.1.0.1"]);
    rig.check("stable._version.web.shop.svc.Z A", NXDOMAIN);
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/web: version `stable` is called `stable-aaa`: `stable` is the name of a role"
        ]
    );
}

#[test]
fn labels_that_come_out_alike_are_told_apart() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 2 2.0=aaa 2_0=bbb
         slice web.shop http:80 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-bbb",
    );
    check_a(&rig, "2-0-aaa._version.web.shop.svc.Z", 5, &["10.1.0.1"]);
    check_a(&rig, "2-0-bbb._version.web.shop.svc.Z", 5, &["10.1.0.2"]);
    rig.check("2-0._version.web.shop.svc.Z A", NXDOMAIN);
    // Bare pods have no hash but their label, which does not tell these apart either.
    rig.apply(&cluster(
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1 @2.0 | 10.1.0.2 @2_0 | 10.1.0.3 @v1",
    ));
    rig.check("2-0._version.web.shop.svc.Z A", NXDOMAIN);
    check_a(&rig, "v1._version.web.shop.svc.Z", 5, &["10.1.0.3"]);
    let mut aliases: Vec<String> = strings(&rig, "_versions.web.shop.svc.Z")
        .iter()
        .filter_map(|line| {
            line.split(" alias=")
                .nth(1)?
                .split(' ')
                .next()
                .map(str::to_owned)
        })
        .collect();
    aliases.sort();
    aliases.dedup();
    assert_eq!(aliases.len(), 3, "{aliases:?}");
    for alias in aliases.iter().filter(|alias| *alias != "v1") {
        let answer = rig.ask(&format!("{alias}._version.web.shop.svc.Z A"));
        assert_eq!(answer.lines().count(), 2, "one address: {answer}");
    }
}

#[test]
fn bare_pods_are_called_by_their_version_label_in_any_case() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1 @V1 | 10.1.0.2 @v2.1 | 10.1.0.3",
    );
    check_a(&rig, "v1._version.web.shop.svc.Z", 5, &["10.1.0.1"]);
    check_a(&rig, "V1.web.shop.svc.Z", 5, &["10.1.0.1"]);
    check_a(&rig, "v2-1.web.shop.svc.Z", 5, &["10.1.0.2"]);
    check_a(
        &rig,
        "unversioned._version.web.shop.svc.Z",
        5,
        &["10.1.0.3"],
    );
}

#[test]
fn labels_of_bare_pods_that_differ_in_case_are_two_versions() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1 @V1 | 10.1.0.2 @v1",
    );
    check_a(
        &rig,
        "v1-93fa9488._version.web.shop.svc.Z",
        5,
        &["10.1.0.1"],
    );
    // The hash of the second is a DNS label and so a name of it.
    check_a(&rig, "v1._version.web.shop.svc.Z", 5, &["10.1.0.2"]);
}

#[test]
fn an_endpoint_has_a_version_only_if_its_pod_lives_there_and_has_the_address() {
    // Whoever writes slices must not choose the version of an address that is not the pod's.
    let mut manifests = cluster(
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1 @v1 pod=web-0",
    );
    manifests = manifests.replacen(
        "\"addresses\":[\"10.1.0.1\"]",
        "\"addresses\":[\"10.6.6.6\"]",
        1,
    );
    let rig = Rig::serve(&manifests);
    check_a(
        &rig,
        "unversioned._version.web.shop.svc.Z",
        5,
        &["10.6.6.6"],
    );
    rig.check("v1._version.web.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn two_workloads_behind_one_service_are_versions_of_it() {
    let rig = serve(
        "namespace shop
         headless pay.shop http:80
         deployment pay-a.shop 2 v1=aaa
         deployment pay-b.shop 1 v2=bbb v1=ccc
         slice pay.shop http:80 | 10.1.0.1 @pay-a-aaa | 10.1.0.2 @pay-a-aaa
         slice pay.shop http:80 | 10.1.0.3 @pay-b-bbb | 10.1.0.4 @pay-b-ccc",
    );
    check_a(
        &rig,
        "v1.pay.shop.svc.Z",
        5,
        &["10.1.0.1", "10.1.0.2", "10.1.0.4"],
    );
    check_a(&rig, "aaa.pay.shop.svc.Z", 5, &["10.1.0.1", "10.1.0.2"]);
    check_a(&rig, "v2.pay.shop.svc.Z", 5, &["10.1.0.3"]);
    // One is stable of each; the other workload's target is the canary.
    check_a(
        &rig,
        "stable.pay.shop.svc.Z",
        5,
        &["10.1.0.1", "10.1.0.2", "10.1.0.3"],
    );
    check_a(&rig, "canary.pay.shop.svc.Z", 5, &["10.1.0.4"]);
    assert_eq!(
        strings(&rig, "_rollout.pay.shop.svc.Z"),
        [
            "NOERROR aa",
            "_rollout.pay.shop.svc.Z. 0 TXT \"workload=pay-a state=Healthy kind=initial target=v1 stable=v1 \
             strategy=follow since=? digest=? ttl=5 generation=1\"",
            "_rollout.pay.shop.svc.Z. 0 TXT \"workload=pay-b state=Progressing kind=update target=v1 stable=v2 \
             strategy=follow since=? digest=? ttl=5 generation=1\"",
        ]
    );
}

#[test]
fn a_cluster_ip_service_answers_endpoints_where_it_asks_for_it() {
    let rig = serve(
        "namespace shop
         clusterip web.shop 10.96.0.1 http:8080 endpoints=true
         deployment web.shop 2 v1=aaa v2=bbb
         slice web.shop http:8080 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-bbb",
    );
    assert_eq!(rig.problems(), Vec::<String>::new());
    check_a(&rig, "web.shop.svc.Z", 5, &["10.1.0.1", "10.1.0.2"]);
    check_a(&rig, "v2._version.web.shop.svc.Z", 5, &["10.1.0.2"]);
    rig.check(
        "_http._tcp.v2.web.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.v2.web.shop.svc.Z. 5 SRV 0 256 8080 10-1-0-2.web.shop.svc.Z.
         add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
}

#[test]
fn a_cluster_ip_stays_where_its_port_is_not_the_endpoints() {
    let rig = serve(
        "namespace shop
         clusterip web.shop 10.96.0.1 http:80:8080 endpoints=true
         deployment web.shop 2 v1=aaa v2=bbb
         slice web.shop http:8080 | 10.1.0.1 @web-aaa | 10.1.0.2 @web-bbb",
    );
    check_a(&rig, "web.shop.svc.Z", 30, &["10.96.0.1"]);
    rig.check("v2._version.web.shop.svc.Z A", NXDOMAIN);
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/web: endpoints: port 80 of the Service is port 8080 of its endpoints, so \
          clients of an address alone would be refused; the cluster IP stays (make them equal, or use a headless \
          Service and SRV)"
        ]
    );
}

#[test]
fn a_cluster_ip_service_that_answers_endpoints_has_no_names_for_nothing() {
    let rig = serve(
        "namespace shop
         clusterip web.shop 10.96.0.1 http:8080 endpoints=true
         slice web.shop http:8080 | 10.1.0.1 @v1 unready",
    );
    // The service exists, so its name does; nothing is there to be answered.
    rig.check("web.shop.svc.Z A", NODATA);
    rig.check("_http._tcp.web.shop.svc.Z SRV", NODATA);
}

#[test]
fn weights_on_a_plain_cluster_ip_have_no_effect() {
    let rig = serve(
        "namespace shop
         clusterip web.shop 10.96.0.1 http:8080 weights=v1=90,v2=10
         slice web.shop http:8080 | 10.1.0.1 @v1 | 10.1.0.2 @v2",
    );
    check_a(&rig, "web.shop.svc.Z", 30, &["10.96.0.1"]);
    rig.check("_versions.web.shop.svc.Z TXT", NXDOMAIN);
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/web: weights: `v1=90,v2=10` has no effect on a ClusterIP service without \
          `shiftdns.io/endpoints: \"true\"` or `shiftdns.io/backends`"
        ]
    );
}

#[test]
fn backends_are_versions_called_by_their_services() {
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 backends=blue=90,green=10
         headless blue.shop http:80
         clusterip green.shop 10.96.0.2 fd00:96::2 http:80
         slice blue.shop http:80 | 10.1.0.1 @v1 | 10.1.0.2 @v1
         slice green.shop http:80 | 10.1.0.9 @v2",
    );
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/pay: no IPv6 address in version blue; its AAAA share goes to the others"
        ]
    );
    check_a(
        &rig,
        "blue._version.pay.shop.svc.Z",
        5,
        &["10.1.0.1", "10.1.0.2"],
    );
    check_a(&rig, "green.pay.shop.svc.Z", 5, &["10.96.0.2"]);
    check_a(
        &rig,
        "all.pay.shop.svc.Z",
        5,
        &["10.1.0.1", "10.1.0.2", "10.96.0.2"],
    );
    rig.check(
        "pay.shop.svc.Z AAAA",
        "NOERROR aa\n pay.shop.svc.Z. 5 AAAA fd00:96::2",
    );
    // Blue has two records of 45, green one of 10, in two families two of 5: the greatest common divisor is 5.
    rig.check(
        "_http._tcp.pay.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.pay.shop.svc.Z. 5 SRV 0 2304 80 10-1-0-1.pay.shop.svc.Z.
         _http._tcp.pay.shop.svc.Z. 5 SRV 0 2304 80 10-1-0-2.pay.shop.svc.Z.
         _http._tcp.pay.shop.svc.Z. 5 SRV 0 256 80 10-96-0-2.pay.shop.svc.Z.
         _http._tcp.pay.shop.svc.Z. 5 SRV 0 256 80 fd00-96--2.pay.shop.svc.Z.
         add 10-1-0-1.pay.shop.svc.Z. 5 A 10.1.0.1
         add 10-1-0-2.pay.shop.svc.Z. 5 A 10.1.0.2
         add 10-96-0-2.pay.shop.svc.Z. 5 A 10.96.0.2
         add fd00-96--2.pay.shop.svc.Z. 5 AAAA fd00:96::2",
    );
    assert_eq!(
        strings(&rig, "_versions.pay.shop.svc.Z"),
        [
            "NOERROR aa",
            "_versions.pay.shop.svc.Z. 0 TXT \"version=blue alias=blue hash=blue share=90.00% policy=90.00% \
             ready=2 reason=policy\"",
            "_versions.pay.shop.svc.Z. 0 TXT \"version=green alias=green hash=green share=10.00% policy=10.00% \
             ready=1 reason=policy\"",
        ]
    );
}

#[test]
fn a_backend_that_is_not_there_leaves_the_others() {
    let rig = serve(
        "namespace shop
         headless pay.shop http:80 backends=blue=50,red=50,ext=1,pay=1
         clusterip blue.shop 10.96.0.1 http:80
         external ext.shop example.com
         slice blue.shop http:80 | 10.1.0.1",
    );
    check_a(&rig, "pay.shop.svc.Z", 5, &["10.96.0.1"]);
    rig.check("red._version.pay.shop.svc.Z A", NODATA);
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/pay: backend `ext` has no endpoints: it is an ExternalName",
            "test.yaml:2: service shop/pay: backend `pay` is ignored: it is the service itself",
            "test.yaml:2: service shop/pay: backend `red` has no endpoints: there is no such service in the namespace",
            "test.yaml:2: service shop/pay: backends: no version `pay` behind this service; known: blue, ext, red",
        ]
    );
}

/// RFC 2782: "the domain name of the target host"; a name that holds another version's addresses would lead there.
#[test]
fn a_hostname_that_versions_share_leads_each_versions_srv_to_its_own_addresses() {
    let rig = Rig::serve(&cluster(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 2 v1=aaa v2=bbb
         slice web.shop http:80 | 10.1.0.1 @web-aaa host=same | 10.1.0.2 @web-bbb host=same",
    ));
    rig.check(
        "v1._version.web.shop.svc.Z SRV",
        "NOERROR aa
         v1._version.web.shop.svc.Z. 5 SRV 0 256 80 10-1-0-1.web.shop.svc.Z.
         add 10-1-0-1.web.shop.svc.Z. 5 A 10.1.0.1",
    );
    rig.check(
        "_http._tcp.web.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.web.shop.svc.Z. 5 SRV 0 256 80 10-1-0-1.web.shop.svc.Z.
         _http._tcp.web.shop.svc.Z. 5 SRV 0 256 80 10-1-0-2.web.shop.svc.Z.
         add 10-1-0-1.web.shop.svc.Z. 5 A 10.1.0.1
         add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
    rig.check(
        "same.web.shop.svc.Z A",
        "NOERROR aa
         same.web.shop.svc.Z. 5 A 10.1.0.1
         same.web.shop.svc.Z. 5 A 10.1.0.2",
    );
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:2: service shop/web: the hostname `same` is that of several versions' endpoints; SRV records \
             lead to names by address, so that each version keeps its own"
        ]
    );
}

#[test]
fn of_very_many_versions_only_the_newest_have_names() {
    let versions: Vec<String> = (0..40).map(|n| format!("v{n}=h{n}")).collect();
    let rig = Rig::serve(&cluster(&format!(
        "namespace shop
         headless web.shop http:80
         deployment web.shop 1 {}
         slice web.shop http:80 | 10.1.0.1 @web-h39",
        versions.join(" ")
    )));
    rig.check(
        "v39.web.shop.svc.Z A",
        "NOERROR aa\n v39.web.shop.svc.Z. 5 A 10.1.0.1",
    );
    for (name, code) in [
        ("v8", "NOERROR"),
        ("h8", "NOERROR"),
        ("v7", "NXDOMAIN"),
        ("h7", "NXDOMAIN"),
    ] {
        let answer = rig.ask(&format!("{name}._version.web.shop.svc.Z A"));
        assert!(answer.starts_with(code), "{name}: {answer}");
    }
}
