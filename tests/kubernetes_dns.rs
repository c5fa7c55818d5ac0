//! The cases of Kubernetes' own end-to-end tests of DNS (`test/e2e/network/dns.go`) that are about the server, over an
//! API: objects arrive, change and go while the server runs.
//!
//! Eleven of its seventeen cases; the others are about the kubelet (`/etc/hosts`, `resolv.conf`, host names of pods) or
//! about one provider. Where a case is about a client's search path, the client is [`resolve`].

mod api;
mod rig;

use api::following::Following;
use rig::{NODATA, NXDOMAIN, cluster, reverse};
use serde_json::{Value, json};
use shiftdns::objects::Kind;

/// The service that every cluster has.
const KUBERNETES: &str = "namespace default
    namespace dns-1
    clusterip kubernetes.default 10.96.0.1 https:443:6443";

/// `dnsPolicy: ClusterFirst` of a pod in `dns-1`.
const SEARCH: [&str; 3] = ["dns-1.svc.Z", "svc.Z", "Z"];

fn start() -> Following {
    Following::with(&cluster(KUBERNETES), reverse(&["10.0.0.0/8"]))
}

/// Looks a name up as the C library does with `ndots:5`: names of fewer dots are tried in every domain of the search path
/// first. The first name that exists decides.
fn resolve(following: &Following, search: &[&str], question: &str) -> String {
    let (name, rtype) = question.split_once(' ').expect("a name and a type");
    let mut candidates: Vec<String> = search.iter().map(|s| format!("{name}.{s}")).collect();
    if name.matches('.').count() >= 5 {
        candidates.insert(0, name.to_owned());
    } else {
        candidates.push(name.to_owned());
    }
    for candidate in candidates {
        // A single dot in a search path is the root.
        let candidate = candidate.trim_end_matches('.');
        let answer = following.rig.ask(&format!("{candidate} {rtype}"));
        // REFUSED as well: outside our zones somebody else is asked, who knows nothing of it.
        if !answer.starts_with("NXDOMAIN") && !answer.starts_with("REFUSED") {
            return answer;
        }
    }
    "nothing".to_owned()
}

/// A pod as the endpoint slice controller shows it.
fn pod(name: &str, hostname: Option<&str>, address: &str) -> Value {
    let mut spec = json!({"containers": []});
    if let Some(hostname) = hostname {
        spec["hostname"] = hostname.into();
        spec["subdomain"] = "dns-test-service".into();
    }
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "dns-1", "name": name, "labels": {"dns-test": "true"}},
        "spec": spec,
        "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}]}})
}

const API: &str = "NOERROR aa\n kubernetes.default.svc.Z. 30 A 10.96.0.1";

/// "should provide DNS for the cluster [Conformance]"
#[test]
fn dns_for_the_cluster() {
    let following = start();
    following.rig.check("kubernetes.default.svc.Z A", API);
    following.rig.check("kubernetes.default.svc.Z AAAA", NODATA);
}

/// "should resolve DNS of partial qualified names for the cluster [LinuxOnly]"
#[test]
fn partial_names_for_the_cluster() {
    let following = start();
    for name in ["kubernetes.default", "kubernetes.default.svc"] {
        let found = resolve(&following, &SEARCH, &format!("{name} A"));
        assert_eq!(found, API.replace("\n ", "\n"), "{name}");
    }
    // In the search path of its own namespace the bare name is enough, elsewhere not.
    let own = ["default.svc.Z", "svc.Z", "Z"];
    assert_eq!(
        resolve(&following, &own, "kubernetes A"),
        API.replace("\n ", "\n")
    );
    assert_eq!(resolve(&following, &SEARCH, "kubernetes A"), "nothing");
}

/// "should provide DNS on hostNetwork pods with dnsPolicy: ClusterFirstWithHostNet": whoever asks, be it from the address
/// of a node, has the same answer; and `localhost` is nobody's service.
#[test]
fn dns_for_pods_on_the_hosts_network() {
    let following = start();
    following.rig.check("kubernetes.default.svc.Z A", API);
    assert_eq!(resolve(&following, &SEARCH, "localhost A"), "nothing");
}

const SERVICES: &str = "headless dns-test-service.dns-1 http/tcp:80
    clusterip test-service-2.dns-1 10.96.7.7 http/tcp:80";

fn slices(address: &str) -> String {
    cluster(&format!(
        "slice dns-test-service.dns-1 http:80 | {address} pod=querier\n\
         slice test-service-2.dns-1 http:80 | {address} pod=querier"
    ))
}

/// "should provide DNS for services [Conformance]"
#[test]
fn dns_for_services() {
    let following = start();
    following.api.add(&cluster(SERVICES));
    following.shows(
        "test-service-2.dns-1.svc.Z A",
        "NOERROR aa\n test-service-2.dns-1.svc.Z. 30 A 10.96.7.7",
    );
    following
        .rig
        .check("dns-test-service.dns-1.svc.Z A", NXDOMAIN);
    // The pod starts after its services: the slices come last.
    following.api.add(&slices("10.1.0.7"));
    following.shows(
        "dns-test-service.dns-1.svc.Z A",
        "NOERROR aa\n dns-test-service.dns-1.svc.Z. 5 A 10.1.0.7",
    );
    following.shows(
        "_http._tcp.dns-test-service.dns-1.svc.Z SRV",
        "NOERROR aa
         _http._tcp.dns-test-service.dns-1.svc.Z. 5 SRV 0 256 80 10-1-0-7.dns-test-service.dns-1.svc.Z.
         add 10-1-0-7.dns-test-service.dns-1.svc.Z. 5 A 10.1.0.7",
    );
    following.shows(
        "_http._tcp.test-service-2.dns-1.svc.Z SRV",
        "NOERROR aa
         _http._tcp.test-service-2.dns-1.svc.Z. 30 SRV 0 256 80 test-service-2.dns-1.svc.Z.
         add test-service-2.dns-1.svc.Z. 30 A 10.96.7.7",
    );
    following.shows(
        "7.7.96.10.in-addr.arpa PTR",
        "NOERROR aa\n 7.7.96.10.in-addr.arpa. 30 PTR test-service-2.dns-1.svc.Z.",
    );
    // The pod moves.
    following.api.add(&slices("10.1.0.8"));
    following.shows(
        "dns-test-service.dns-1.svc.Z A",
        "NOERROR aa\n dns-test-service.dns-1.svc.Z. 5 A 10.1.0.8",
    );
    following.shows("10-1-0-7.dns-test-service.dns-1.svc.Z A", NXDOMAIN);
    following
        .api
        .delete(Kind::Service, "dns-1", "dns-test-service");
    following
        .api
        .delete(Kind::Service, "dns-1", "test-service-2");
    for name in [
        "dns-test-service",
        "test-service-2",
        "_http._tcp.test-service-2",
    ] {
        following.shows(&format!("{name}.dns-1.svc.Z A"), NXDOMAIN);
    }
    following.shows(
        "7.7.96.10.in-addr.arpa PTR",
        "NXDOMAIN aa\n auth 10.in-addr.arpa. 5 SOA",
    );
}

/// "should resolve DNS of partial qualified names for services [LinuxOnly] [Conformance]"
#[test]
fn partial_names_for_services() {
    let following = start();
    following.api.add(&cluster(SERVICES));
    following.api.add(&slices("10.1.0.7"));
    let headless = "NOERROR aa\ndns-test-service.dns-1.svc.Z. 5 A 10.1.0.7";
    following.shows("dns-test-service.dns-1.svc.Z A", headless);
    let name = "dns-test-service";
    for name in [name, &format!("{name}.dns-1"), &format!("{name}.dns-1.svc")] {
        assert_eq!(
            resolve(&following, &SEARCH, &format!("{name} A")),
            headless,
            "{name}"
        );
    }
    for name in [
        "_http._tcp.test-service-2.dns-1.svc",
        "_http._tcp.test-service-2.dns-1",
    ] {
        let found = resolve(&following, &SEARCH, &format!("{name} SRV"));
        assert!(
            found.contains("SRV 0 256 80 test-service-2.dns-1.svc.Z."),
            "{name}: {found}"
        );
    }
}

/// "should provide DNS for pods for Hostname [Conformance]" and "... for Subdomain [Conformance]"
#[test]
fn dns_for_pods_with_a_hostname_and_a_subdomain() {
    let following = start();
    following
        .api
        .add(&cluster("headless dns-test-service.dns-1 http/tcp:80"));
    following
        .api
        .apply(&pod("querier", Some("dns-querier-2"), "10.1.0.9"));
    following
        .rig
        .check("dns-querier-2.dns-test-service.dns-1.svc.Z A", NXDOMAIN);
    let slice = |host: &str, address: &str| {
        let host = if host.is_empty() {
            String::new()
        } else {
            format!(" host={host}")
        };
        cluster(&format!(
            "slice dns-test-service.dns-1 http:80 | {address} pod=querier{host}"
        ))
    };
    let host = "dns-querier-2.dns-test-service.dns-1.svc.Z";
    let subdomain =
        |address: &str| format!("NOERROR aa\n dns-test-service.dns-1.svc.Z. 5 A {address}");
    following.api.add(&slice("dns-querier-2", "10.1.0.9"));
    following.shows(
        &format!("{host} A"),
        &format!("NOERROR aa\n {host}. 5 A 10.1.0.9"),
    );
    following.shows("dns-test-service.dns-1.svc.Z A", &subdomain("10.1.0.9"));
    following.shows(
        "9.0.1.10.in-addr.arpa PTR",
        &format!("NOERROR aa\n 9.0.1.10.in-addr.arpa. 30 PTR {host}."),
    );
    let found = resolve(&following, &SEARCH, "dns-querier-2.dns-test-service A");
    assert_eq!(found, format!("NOERROR aa\n{host}. 5 A 10.1.0.9"));
    // The pod is made anew at another address, then without a host name.
    following.api.add(&slice("dns-querier-2", "10.1.0.10"));
    following.shows(
        &format!("{host} A"),
        &format!("NOERROR aa\n {host}. 5 A 10.1.0.10"),
    );
    following.api.add(&slice("", "10.1.0.10"));
    following.shows(&format!("{host} A"), NXDOMAIN);
    following.shows("dns-test-service.dns-1.svc.Z A", &subdomain("10.1.0.10"));
}

/// "should provide DNS for ExternalName services [Conformance]"
#[test]
fn dns_for_external_name_services_that_change() {
    let following = start();
    let name = "dns-test-service-3.dns-1.svc.Z";
    following.api.add(&cluster(
        "external dns-test-service-3.dns-1 foo.example.com",
    ));
    let cname = |target: &str| format!("NOERROR aa\n {name}. 30 CNAME {target}.");
    following.shows(&format!("{name} CNAME"), &cname("foo.example.com"));
    // "changing the externalName to bar.example.com"
    let patch = |change: &dyn Fn(&mut Value)| {
        let service = following
            .api
            .get(Kind::Service, "dns-1", "dns-test-service-3");
        let mut service = service.expect("it is there");
        change(&mut service["spec"]);
        following.api.apply(&service);
    };
    patch(&|spec| spec["externalName"] = "bar.example.com".into());
    following.shows(&format!("{name} CNAME"), &cname("bar.example.com"));
    following.shows(&format!("{name} A"), &cname("bar.example.com"));
    // "changing the service to type=ClusterIP"
    patch(&|spec| {
        *spec = json!({"type": "ClusterIP", "clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9"],
            "ports": [{"port": 80, "name": "http", "protocol": "TCP"}]});
    });
    following.shows(
        &format!("{name} A"),
        &format!("NOERROR aa\n {name}. 30 A 10.96.9.9"),
    );
    following.rig.check(&format!("{name} CNAME"), NODATA);
}

/// "should work with a service name that starts with a digit" (KEP-5311)
#[test]
fn a_service_name_that_starts_with_a_digit() {
    let following = start();
    following.api.add(&cluster(
        "clusterip 1kubernetes.dns-1 10.96.0.99 http:80
         clusterip 10.dns-1 10.96.0.98 http:80",
    ));
    let found = "NOERROR aa\n1kubernetes.dns-1.svc.Z. 30 A 10.96.0.99";
    following.shows("1kubernetes.dns-1.svc.Z A", found);
    for name in ["1kubernetes", "1kubernetes.dns-1", "1kubernetes.dns-1.svc"] {
        assert_eq!(
            resolve(&following, &SEARCH, &format!("{name} A")),
            found,
            "{name}"
        );
    }
    // Nothing but digits is a label like any other.
    following.shows(
        "10.dns-1.svc.Z A",
        "NOERROR aa\n 10.dns-1.svc.Z. 30 A 10.96.0.98",
    );
}

/// "should work with the pod containing more than 6 DNS search paths and longer than 256 search list characters"
#[test]
fn a_long_search_path() {
    let following = start();
    let mut search: Vec<String> = (0..32)
        .map(|n| format!("a{n:02}.{}example.com", "b.".repeat(n)))
        .collect();
    search.extend(SEARCH.map(str::to_owned));
    let search: Vec<&str> = search.iter().map(String::as_str).collect();
    assert!(search.concat().len() > 256);
    let found = resolve(&following, &search, "kubernetes.default A");
    assert_eq!(found, API.replace("\n ", "\n"));
}

/// "should work with a search path containing an underscore and a search path with a single dot"
#[test]
fn a_search_path_with_an_underscore_and_one_of_a_dot() {
    let following = start();
    let search = [
        ".",
        "_sip._tcp.abc_d.example.com",
        "dns-1.svc.Z",
        "svc.Z",
        "Z",
    ];
    let found = resolve(&following, &search, "kubernetes.default A");
    assert_eq!(found, API.replace("\n ", "\n"));
    // Below our zone as well: underscores that are nobody's port do not exist.
    following
        .rig
        .check("kubernetes.default._sip._tcp.Z A", NXDOMAIN);
}
