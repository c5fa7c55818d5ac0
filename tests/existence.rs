//! What exists and what does not: NODATA, NXDOMAIN, REFUSED and SERVFAIL, asked through real sockets.

mod rig;

use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use rig::{NODATA, NXDOMAIN, Rig, cluster, reverse, serve, serve_with};
use shiftdns::config::{Config, EmptyService};

/// The code of the extended error in an answer (RFC 8914).
fn extended_error(answer: &[u8]) -> Option<u16> {
    let message = rig::decode(answer);
    let EdnsOption::Unknown(_, octets) = message.edns?.option(EdnsCode::Unknown(15)).cloned()?
    else {
        return None;
    };
    Some(u16::from_be_bytes([*octets.first()?, *octets.get(1)?]))
}

#[test]
fn names_that_are_ancestors_exist_and_others_do_not() {
    let rig = serve(
        "namespace shop
         namespace empty
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1",
    );
    for exists in [
        "svc.Z",
        "pod.Z",
        "dns.Z",
        "shop.svc.Z",
        "empty.svc.Z",
        "_tcp.web.shop.svc.Z",
        "_version.web.shop.svc.Z",
        "_role.web.shop.svc.Z",
    ] {
        for rtype in ["A", "AAAA", "SRV", "TXT", "PTR"] {
            rig.check(&format!("{exists} {rtype}"), NODATA);
        }
    }
    for missing in [
        "none.svc.Z",
        "web.none.svc.Z",
        "none.shop.svc.Z",
        "_udp.web.shop.svc.Z",
        "_http._udp.web.shop.svc.Z",
        "_none._tcp.web.shop.svc.Z",
        "http._tcp.web.shop.svc.Z",
        "http.tcp.web.shop.svc.Z",
        "x._http._tcp.web.shop.svc.Z",
        "x._versions.web.shop.svc.Z",
        "_tcp.shop.svc.Z",
        "_none.web.shop.svc.Z",
        "_tcp.empty.svc.Z",
        "web.shop.Z",
        "web.shop.svc.svc.Z",
        "10-1-0-2.web.shop.svc.Z",
        "x._role.web.shop.svc.Z",
        "any.any.Z",
        "x.dns-version.Z",
    ] {
        rig.check(&format!("{missing} A"), NXDOMAIN);
        rig.check(&format!("{missing} SRV"), NXDOMAIN);
    }
    rig.check("_http._tcp.web.shop.svc.Z A", NODATA);
    rig.check("web.shop.svc.Z TXT", NODATA);
    rig.check("_versions.web.shop.svc.Z A", NODATA);
}

#[test]
fn a_headless_service_without_ready_endpoints_does_not_exist() {
    let text = "namespace shop
        headless web.shop http:80
        slice web.shop http:80 | 10.1.0.1 unready host=web-0";
    let below = [
        "web.shop.svc.Z",
        "_tcp.web.shop.svc.Z",
        "_http._tcp.web.shop.svc.Z",
        "all._role.web.shop.svc.Z",
        "_versions.web.shop.svc.Z",
    ];
    let rig = serve(text);
    for name in below.iter().chain(&["web-0.web.shop.svc.Z"]) {
        rig.check(&format!("{name} A"), NXDOMAIN);
    }
    rig.check("shop.svc.Z A", NODATA);
    let rig = serve_with(|config| config.empty_service = EmptyService::Nodata, text);
    for name in below {
        rig.check(&format!("{name} A"), NODATA);
        rig.check(&format!("{name} SRV"), NODATA);
    }
    rig.check("web-0.web.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn namespaces_that_are_not_served_do_not_exist() {
    let text = "namespace shop
        namespace bank
        clusterip web.shop 10.96.0.1 http:80
        clusterip web.bank 10.96.0.2 http:80";
    let rig = serve_with(reverse(&["10.96.0.0/16"]), text);
    rig.check(
        "web.bank.svc.Z A",
        "NOERROR aa\n web.bank.svc.Z. 30 A 10.96.0.2",
    );
    rig.check("lost.svc.Z A", NXDOMAIN);
    let filtered = |config: &mut Config| {
        config.namespaces = vec!["shop".to_owned()];
        reverse(&["10.96.0.0/16"])(config);
    };
    let rig = serve_with(filtered, text);
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 30 A 10.96.0.1",
    );
    for gone in ["web.bank.svc.Z", "bank.svc.Z"] {
        rig.check(&format!("{gone} A"), NXDOMAIN);
    }
    rig.check(
        "2.0.96.10.in-addr.arpa PTR",
        "NXDOMAIN aa\n auth 96.10.in-addr.arpa. 5 SOA",
    );
}

#[test]
fn a_service_stands_for_its_namespace_where_that_is_not_known() {
    // The list of Namespaces is another one than that of Services, and manifests often leave them out: a service
    // that is there counts more than a namespace that is not.
    let rig = serve("namespace shop\n clusterip web.lost 10.96.0.3 http:80");
    rig.check(
        "web.lost.svc.Z A",
        "NOERROR aa\n web.lost.svc.Z. 30 A 10.96.0.3",
    );
    rig.check("lost.svc.Z A", NODATA);
}

#[test]
fn a_namespace_of_another_clusters_word_has_no_names() {
    // `web.svc.svc.Z` would stand below `svc.svc.Z`; such namespaces are reserved.
    let rig = serve("namespace svc\n namespace pod\n clusterip web.svc 10.96.0.1 http:80");
    rig.check("web.svc.svc.Z A", NXDOMAIN);
    rig.check("svc.svc.Z A", NXDOMAIN);
}

#[test]
fn names_outside_our_zones_are_refused() {
    let rig = serve("namespace shop");
    for outside in [
        "example.com",
        "local",
        "cluster.local.example",
        "xcluster.local",
        "1.0.96.10.in-addr.arpa",
    ] {
        rig.check(&format!("{outside} A"), "REFUSED");
        let answer = rig
            .udp(&rig::query(&format!("{outside} A")))
            .expect("an answer");
        // RFC 8914, section 4.21: Not Authoritative.
        assert_eq!(extended_error(&answer), Some(20), "{outside}");
    }
    let answer = rig.udp(&rig::query("Z A")).expect("an answer");
    assert_eq!(extended_error(&answer), None);
}

#[test]
fn until_everything_has_been_read_cluster_names_fail() {
    let rig = Rig::unsynced(&rig::config());
    for name in ["web.shop.svc.Z", "Z", "none.Z"] {
        rig.check(&format!("{name} A"), "SERVFAIL");
        let answer = rig
            .udp(&rig::query(&format!("{name} A")))
            .expect("an answer");
        // RFC 8914, section 4.15: Not Ready.
        assert_eq!(extended_error(&answer), Some(14), "{name}");
    }
    rig.check("example.com A", "REFUSED");
    let mut changes = rig::resets(&cluster(
        "namespace shop\n clusterip web.shop 10.96.0.1 http:80",
    ));
    let last = changes.pop().expect("there are kinds");
    rig.apply_changes(changes);
    rig.check("web.shop.svc.Z A", "SERVFAIL");
    rig.apply_changes(vec![last]);
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 30 A 10.96.0.1",
    );
}

#[test]
fn negative_answers_are_kept_for_the_lesser_of_minimum_and_the_soas_own_time() {
    let minimum = |rig: &Rig| {
        let answer = rig.udp(&rig::query("none.Z A")).expect("an answer");
        let soa = rig::decode(&answer).authorities.remove(0);
        let RData::SOA(data) = &soa.data else {
            panic!("not a SOA: {soa}")
        };
        (
            soa.ttl,
            data.minimum,
            data.mname.to_string(),
            data.rname.to_string(),
        )
    };
    let names = (
        "ns.dns.cluster.local.".to_owned(),
        "hostmaster.cluster.local.".to_owned(),
    );
    let rig = serve("namespace shop");
    assert_eq!(minimum(&rig), (5, 5, names.0.clone(), names.1.clone()));
    let rig = serve_with(|config| config.ttl.negative = 12, "namespace shop");
    assert_eq!(minimum(&rig), (12, 12, names.0.clone(), names.1.clone()));
    // RFC 2308, section 3: the minimum of the SOA's MINIMUM field and the SOA's own TTL.
    let rig = serve_with(|config| config.ttl.negative = 600, "namespace shop");
    assert_eq!(minimum(&rig), (30, 600, names.0, names.1));
}
