//! Every name that the specification of Kubernetes DNS gives an object, asked through real sockets.

mod rig;

use rig::{NODATA, NXDOMAIN, Rig, cluster, reverse, serve, serve_with, shop};
use shiftdns::config::{Config, Pods};

#[test]
fn cluster_ip_services_have_their_addresses_ports_and_reverse_names() {
    let mut config = rig::config();
    config.reverse = vec!["10.96.0.0/16".parse().expect("a network")];
    let rig = Rig::with(&config, &shop());
    rig.check(
        "api.shop.svc.Z A",
        "NOERROR aa\n api.shop.svc.Z. 30 A 10.96.0.10",
    );
    rig.check(
        "API.shop.svc.Z AAAA",
        "NOERROR aa\n API.shop.svc.Z. 30 AAAA fd00:10:96::a",
    );
    rig.check(
        "_grpc._tcp.api.shop.svc.Z SRV",
        "NOERROR aa
         _grpc._tcp.api.shop.svc.Z. 30 SRV 0 256 9090 api.shop.svc.Z.
         add api.shop.svc.Z. 30 A 10.96.0.10
         add api.shop.svc.Z. 30 AAAA fd00:10:96::a",
    );
    rig.check(
        "10.0.96.10.in-addr.arpa PTR",
        "NOERROR aa\n 10.0.96.10.in-addr.arpa. 30 PTR api.shop.svc.Z.",
    );
}

#[test]
fn the_zone_tells_its_schema_its_servers_and_itself() {
    let rig = serve("namespace shop");
    rig.check(
        "dns-version.Z TXT",
        "NOERROR aa\n dns-version.Z. 30 TXT \"1.1.0\"",
    );
    rig.check("dns-version.Z A", NODATA);
    rig.check("Z SOA", "NOERROR aa\n Z. 30 SOA");
    rig.check("Z NS", "NOERROR aa\n Z. 30 NS ns.dns.Z.");
    rig.check("Z A", NODATA);
    rig.check("ns.dns.Z A", "NOERROR aa\n ns.dns.Z. 30 A 127.0.0.1");
    rig.check("ns.dns.Z AAAA", NODATA);
    rig.check("dns.Z A", NODATA);
    rig.check("a.ns.dns.Z A", NXDOMAIN);
    rig.check("other.Z A", NXDOMAIN);
}

#[test]
fn configured_name_servers_have_their_addresses() {
    let configured = |config: &mut Config| {
        config.name_servers = ["192.0.2.1", "192.0.2.2", "2001:db8::53"]
            .map(|text| text.parse().expect("an address"))
            .into();
    };
    let rig = serve_with(configured, "namespace shop");
    rig.check(
        "ns.dns.Z A",
        "NOERROR aa\n ns.dns.Z. 30 A 192.0.2.1\n ns.dns.Z. 30 A 192.0.2.2",
    );
    rig.check(
        "ns.dns.Z AAAA",
        "NOERROR aa\n ns.dns.Z. 30 AAAA 2001:db8::53",
    );
}

#[test]
fn a_cluster_ip_is_answered_without_endpoints() {
    let rig = serve(
        "namespace shop
         clusterip api.shop 10.96.0.10 http:80:8080",
    );
    rig.check(
        "api.shop.svc.Z A",
        "NOERROR aa\n api.shop.svc.Z. 30 A 10.96.0.10",
    );
    rig.check("api.shop.svc.Z AAAA", NODATA);
    rig.check(
        "_http._tcp.api.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.api.shop.svc.Z. 30 SRV 0 256 80 api.shop.svc.Z.
         add api.shop.svc.Z. 30 A 10.96.0.10",
    );
}

#[test]
fn only_named_ports_have_names_and_the_bare_name_has_all_ports() {
    let rig = serve(
        "namespace shop
         clusterip one.shop 10.96.0.11 :7000
         clusterip dns.shop 10.96.0.12 dns/udp:53 dns-tcp:53 metrics:9153",
    );
    rig.check(
        "one.shop.svc.Z SRV",
        "NOERROR aa
         one.shop.svc.Z. 30 SRV 0 256 7000 one.shop.svc.Z.
         add one.shop.svc.Z. 30 A 10.96.0.11",
    );
    rig.check("_tcp.one.shop.svc.Z SRV", NXDOMAIN);
    rig.check("_._tcp.one.shop.svc.Z SRV", NXDOMAIN);
    rig.check("_udp.dns.shop.svc.Z SRV", NODATA);
    rig.check("_tcp.dns.shop.svc.Z SRV", NODATA);
    rig.check("_sctp.dns.shop.svc.Z SRV", NXDOMAIN);
    rig.check("_dns._tcp.dns.shop.svc.Z SRV", NXDOMAIN);
    rig.check(
        "_dns._udp.dns.shop.svc.Z SRV",
        "NOERROR aa
         _dns._udp.dns.shop.svc.Z. 30 SRV 0 256 53 dns.shop.svc.Z.
         add dns.shop.svc.Z. 30 A 10.96.0.12",
    );
    // A set has no two equal records (RFC 2181, section 5), so port 53 of two protocols is one.
    rig.check(
        "dns.shop.svc.Z SRV",
        "NOERROR aa
         dns.shop.svc.Z. 30 SRV 0 256 53 dns.shop.svc.Z.
         dns.shop.svc.Z. 30 SRV 0 256 9153 dns.shop.svc.Z.
         add dns.shop.svc.Z. 30 A 10.96.0.12",
    );
}

#[test]
fn endpoints_have_names_below_a_cluster_ip_service() {
    let rig = serve(
        "namespace shop
         clusterip api.shop 10.96.0.10 http:80:8080
         slice api.shop http:8080 | 10.1.0.11 | 10.1.0.12 host=named | 10.1.0.13 unready
         slice api.shop http:8080 | fd00:10:1::11",
    );
    // Endpoint addresses are kept as briefly below a cluster IP as elsewhere.
    rig.check(
        "10-1-0-11.api.shop.svc.Z A",
        "NOERROR aa\n 10-1-0-11.api.shop.svc.Z. 5 A 10.1.0.11",
    );
    rig.check("10-1-0-11.api.shop.svc.Z AAAA", NODATA);
    rig.check(
        "named.api.shop.svc.Z A",
        "NOERROR aa\n named.api.shop.svc.Z. 5 A 10.1.0.12",
    );
    rig.check(
        "fd00-10-1--11.api.shop.svc.Z AAAA",
        "NOERROR aa\n fd00-10-1--11.api.shop.svc.Z. 5 AAAA fd00:10:1::11",
    );
    rig.check("10-1-0-13.api.shop.svc.Z A", NXDOMAIN);
    rig.check("_version.api.shop.svc.Z A", NXDOMAIN);
    rig.check("all.api.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn headless_services_are_their_ready_endpoints() {
    let rig = serve(
        "namespace shop
         headless db.shop pg:5432
         slice db.shop pg:5432 | 10.1.1.41 host=db-0 | 10.1.2.41 nil host=db-1 | 10.1.3.41 unready host=db-2
         slice db.shop pg:5432 | fd00:10:1::41 host=db-0",
    );
    rig.check(
        "db.shop.svc.Z A",
        "NOERROR aa\n db.shop.svc.Z. 5 A 10.1.1.41\n db.shop.svc.Z. 5 A 10.1.2.41",
    );
    rig.check(
        "db.shop.svc.Z AAAA",
        "NOERROR aa\n db.shop.svc.Z. 5 AAAA fd00:10:1::41",
    );
    rig.check(
        "db-0.db.shop.svc.Z A",
        "NOERROR aa\n db-0.db.shop.svc.Z. 5 A 10.1.1.41",
    );
    rig.check(
        "db-0.db.shop.svc.Z AAAA",
        "NOERROR aa\n db-0.db.shop.svc.Z. 5 AAAA fd00:10:1::41",
    );
    rig.check(
        "db-1.db.shop.svc.Z A",
        "NOERROR aa\n db-1.db.shop.svc.Z. 5 A 10.1.2.41",
    );
    rig.check("db-1.db.shop.svc.Z AAAA", NODATA);
    rig.check("db-2.db.shop.svc.Z A", NXDOMAIN);
    // The address is no name of an endpoint that has a hostname.
    rig.check("10-1-1-41.db.shop.svc.Z A", NXDOMAIN);
    rig.check(
        "_pg._tcp.db.shop.svc.Z SRV",
        "NOERROR aa
         _pg._tcp.db.shop.svc.Z. 5 SRV 0 256 5432 db-0.db.shop.svc.Z.
         _pg._tcp.db.shop.svc.Z. 5 SRV 0 256 5432 db-1.db.shop.svc.Z.
         add db-0.db.shop.svc.Z. 5 A 10.1.1.41
         add db-0.db.shop.svc.Z. 5 AAAA fd00:10:1::41
         add db-1.db.shop.svc.Z. 5 A 10.1.2.41",
    );
}

#[test]
fn endpoints_without_a_hostname_are_called_by_their_address() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.2.3 pod=web-abc
         slice web.shop http:80 | 2001:db8::1 | 2001:db8:1:: | ::2",
    );
    rig.check(
        "10-1-2-3.web.shop.svc.Z A",
        "NOERROR aa\n 10-1-2-3.web.shop.svc.Z. 5 A 10.1.2.3",
    );
    rig.check(
        "2001-db8--1.web.shop.svc.Z AAAA",
        "NOERROR aa\n 2001-db8--1.web.shop.svc.Z. 5 AAAA 2001:db8::1",
    );
    // A label must not end with a hyphen (RFC 1123, section 2.1), so a 0 follows it.
    rig.check(
        "2001-db8-1--0.web.shop.svc.Z AAAA",
        "NOERROR aa\n 2001-db8-1--0.web.shop.svc.Z. 5 AAAA 2001:db8:1::",
    );
    rig.check(
        "--2.web.shop.svc.Z AAAA",
        "NOERROR aa\n \\--2.web.shop.svc.Z. 5 AAAA ::2",
    );
    rig.check("web-abc.web.shop.svc.Z A", NXDOMAIN);
    rig.check("x.10-1-2-3.web.shop.svc.Z A", NXDOMAIN);
    rig.check("_http._tcp.10-1-2-3.web.shop.svc.Z SRV", NXDOMAIN);
}

#[test]
fn by_option_endpoints_are_called_by_their_pods() {
    let rig = serve_with(
        |config| config.endpoint_pod_names = true,
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.2.3 pod=web-abc | 10.1.2.4 pod=web-def host=named | 10.1.2.5 | 10.1.2.6 pod=a.b
         slice web.shop http:80 | fd00::3 pod=web-abc",
    );
    rig.check(
        "web-abc.web.shop.svc.Z A",
        "NOERROR aa\n web-abc.web.shop.svc.Z. 5 A 10.1.2.3",
    );
    rig.check(
        "web-abc.web.shop.svc.Z AAAA",
        "NOERROR aa\n web-abc.web.shop.svc.Z. 5 AAAA fd00::3",
    );
    rig.check(
        "named.web.shop.svc.Z A",
        "NOERROR aa\n named.web.shop.svc.Z. 5 A 10.1.2.4",
    );
    rig.check(
        "10-1-2-5.web.shop.svc.Z A",
        "NOERROR aa\n 10-1-2-5.web.shop.svc.Z. 5 A 10.1.2.5",
    );
    // A pod's name with a dot is no label.
    rig.check(
        "10-1-2-6.web.shop.svc.Z A",
        "NOERROR aa\n 10-1-2-6.web.shop.svc.Z. 5 A 10.1.2.6",
    );
    rig.check("10-1-2-3.web.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn srv_has_the_port_of_each_endpoints_own_slice() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80:8080 :9000
         slice web.shop http:8080 :9001 | 10.1.0.1
         slice web.shop http:3000 :9002 | 10.1.0.2",
    );
    rig.check(
        "_http._tcp.web.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.web.shop.svc.Z. 5 SRV 0 256 3000 10-1-0-2.web.shop.svc.Z.
         _http._tcp.web.shop.svc.Z. 5 SRV 0 256 8080 10-1-0-1.web.shop.svc.Z.
         add 10-1-0-1.web.shop.svc.Z. 5 A 10.1.0.1
         add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
    rig.check(
        "web.shop.svc.Z SRV",
        "NOERROR aa
         web.shop.svc.Z. 5 SRV 0 256 3000 10-1-0-2.web.shop.svc.Z.
         web.shop.svc.Z. 5 SRV 0 256 8080 10-1-0-1.web.shop.svc.Z.
         web.shop.svc.Z. 5 SRV 0 256 9001 10-1-0-1.web.shop.svc.Z.
         web.shop.svc.Z. 5 SRV 0 256 9002 10-1-0-2.web.shop.svc.Z.
         add 10-1-0-1.web.shop.svc.Z. 5 A 10.1.0.1
         add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
}

#[test]
fn srv_has_one_record_for_each_endpoint_and_named_port() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80 grpc:90 dns/udp:53
         slice web.shop http:8080 grpc:9090 dns/udp:53 | 10.1.0.1 | 10.1.0.2 | 10.1.0.3",
    );
    for (port, number) in [
        ("_http._tcp", 8080),
        ("_grpc._tcp", 9090),
        ("_dns._udp", 53),
    ] {
        let srv = (1..=3).map(|n| {
            format!("{port}.web.shop.svc.Z. 5 SRV 0 256 {number} 10-1-0-{n}.web.shop.svc.Z.\n")
        });
        let glue = (1..=3).map(|n| format!("add 10-1-0-{n}.web.shop.svc.Z. 5 A 10.1.0.{n}\n"));
        let lines: String = srv.chain(glue).collect();
        rig.check(
            &format!("{port}.web.shop.svc.Z SRV"),
            &format!("NOERROR aa\n{lines}"),
        );
    }
}

#[test]
fn a_reverse_name_points_to_each_service_that_has_the_address() {
    let rig = serve_with(
        reverse(&["10.1.0.0/16", "fd00:10::/32"]),
        "namespace shop
         headless web.shop http:80
         headless peers.shop gossip:7946
         slice web.shop http:80 | 10.1.0.1 host=web-0
         slice peers.shop gossip:7946 | 10.1.0.1 | 10.1.0.2 unready
         slice peers.shop gossip:7946 | fd00:10::1",
    );
    rig.check(
        "1.0.1.10.in-addr.arpa PTR",
        "NOERROR aa
         1.0.1.10.in-addr.arpa. 30 PTR 10-1-0-1.peers.shop.svc.Z.
         1.0.1.10.in-addr.arpa. 30 PTR web-0.web.shop.svc.Z.",
    );
    let name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa";
    rig.check(
        &format!("{name} PTR"),
        &format!("NOERROR aa\n {name}. 30 PTR fd00-10--1.peers.shop.svc.Z."),
    );
    rig.check(
        "2.0.1.10.in-addr.arpa PTR",
        "NXDOMAIN aa\n auth 1.10.in-addr.arpa. 5 SOA",
    );
    rig.check(
        "1.0.1.10.in-addr.arpa A",
        "NOERROR aa\n auth 1.10.in-addr.arpa. 5 SOA",
    );
    // The ancestor of a reverse name exists (RFC 8020, section 2).
    rig.check(
        "0.1.10.in-addr.arpa PTR",
        "NOERROR aa\n auth 1.10.in-addr.arpa. 5 SOA",
    );
    rig.check(
        "1.1.10.in-addr.arpa PTR",
        "NXDOMAIN aa\n auth 1.10.in-addr.arpa. 5 SOA",
    );
    rig.check(
        "1.10.in-addr.arpa NS",
        "NOERROR aa\n 1.10.in-addr.arpa. 30 NS ns.dns.Z.",
    );
    rig.check(
        "1.10.in-addr.arpa SOA",
        "NOERROR aa\n 1.10.in-addr.arpa. 30 SOA",
    );
    rig.check("1.0.2.10.in-addr.arpa PTR", "REFUSED");
}

#[test]
fn an_external_name_outside_our_zones_is_a_cname_alone() {
    let rig = serve(
        "namespace shop
         external pay.shop Payments.Example.COM
         external dot.shop payments.example.com.",
    );
    let cname = "NOERROR aa\n pay.shop.svc.Z. 30 CNAME payments.example.com.";
    for rtype in ["A", "AAAA", "CNAME", "SRV", "TXT"] {
        rig.check(&format!("pay.shop.svc.Z {rtype}"), cname);
    }
    rig.check(
        "dot.shop.svc.Z A",
        "NOERROR aa\n dot.shop.svc.Z. 30 CNAME payments.example.com.",
    );
    rig.check("_http._tcp.pay.shop.svc.Z SRV", NXDOMAIN);
    rig.check("all.pay.shop.svc.Z A", NXDOMAIN);
}

#[test]
fn an_external_name_in_our_zones_is_followed() {
    let rig = serve(
        "namespace shop
         clusterip api.shop 10.96.0.10 http:80
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1
         external one.shop api.shop.svc.cluster.local
         external two.shop one.shop.svc.cluster.local
         external three.shop two.shop.svc.cluster.local
         external host.shop 10-1-0-1.web.shop.svc.cluster.local",
    );
    rig.check(
        "one.shop.svc.Z A",
        "NOERROR aa
         api.shop.svc.Z. 30 A 10.96.0.10
         one.shop.svc.Z. 30 CNAME api.shop.svc.Z.",
    );
    // The type asked decides what of the target is answered; the CNAME itself is not followed if it was asked.
    rig.check(
        "one.shop.svc.Z AAAA",
        "NOERROR aa\n one.shop.svc.Z. 30 CNAME api.shop.svc.Z.\n auth Z. 5 SOA",
    );
    rig.check(
        "one.shop.svc.Z CNAME",
        "NOERROR aa\n one.shop.svc.Z. 30 CNAME api.shop.svc.Z.",
    );
    rig.check(
        "three.shop.svc.Z A",
        "NOERROR aa
         api.shop.svc.Z. 30 A 10.96.0.10
         one.shop.svc.Z. 30 CNAME api.shop.svc.Z.
         three.shop.svc.Z. 30 CNAME two.shop.svc.Z.
         two.shop.svc.Z. 30 CNAME one.shop.svc.Z.",
    );
    rig.check(
        "one.shop.svc.Z SRV",
        "NOERROR aa
         api.shop.svc.Z. 30 SRV 0 256 80 api.shop.svc.Z.
         one.shop.svc.Z. 30 CNAME api.shop.svc.Z.
         add api.shop.svc.Z. 30 A 10.96.0.10",
    );
    rig.check(
        "host.shop.svc.Z A",
        "NOERROR aa
         10-1-0-1.web.shop.svc.Z. 5 A 10.1.0.1
         host.shop.svc.Z. 30 CNAME 10-1-0-1.web.shop.svc.Z.",
    );
}

#[test]
fn a_cname_whose_target_is_missing_stays_and_the_code_is_the_targets() {
    let rig = serve(
        "namespace shop
         external gone.shop nothing.shop.svc.cluster.local
         external far.shop gone.shop.svc.cluster.local",
    );
    rig.check(
        "gone.shop.svc.Z A",
        "NXDOMAIN aa\n gone.shop.svc.Z. 30 CNAME nothing.shop.svc.Z.\n auth Z. 5 SOA",
    );
    rig.check(
        "far.shop.svc.Z A",
        "NXDOMAIN aa
         far.shop.svc.Z. 30 CNAME gone.shop.svc.Z.
         gone.shop.svc.Z. 30 CNAME nothing.shop.svc.Z.
         auth Z. 5 SOA",
    );
}

#[test]
fn a_loop_of_external_names_ends_where_it_closes() {
    let rig = serve(
        "namespace shop
         external self.shop self.shop.svc.cluster.local
         external a.shop b.shop.svc.cluster.local
         external b.shop c.shop.svc.cluster.local
         external c.shop b.shop.svc.cluster.local",
    );
    // A set has no two equal records, so each link stands once.
    rig.check(
        "self.shop.svc.Z A",
        "NOERROR aa\n self.shop.svc.Z. 30 CNAME self.shop.svc.Z.",
    );
    rig.check(
        "a.shop.svc.Z A",
        "NOERROR aa
         a.shop.svc.Z. 30 CNAME b.shop.svc.Z.
         b.shop.svc.Z. 30 CNAME c.shop.svc.Z.
         c.shop.svc.Z. 30 CNAME b.shop.svc.Z.",
    );
}

#[test]
fn at_most_eight_links_are_followed() {
    let mut text = "namespace shop\n clusterip n0.shop 10.96.0.10 http:80\n".to_owned();
    for n in 1..=9 {
        text += &format!("external n{n}.shop n{}.shop.svc.cluster.local\n", n - 1);
    }
    let rig = serve(&text);
    let links = |from: u32, last: u32| -> String {
        (last..=from)
            .map(|n| format!("n{n}.shop.svc.Z. 30 CNAME n{}.shop.svc.Z.\n", n - 1))
            .collect()
    };
    rig.check(
        "n8.shop.svc.Z A",
        &format!(
            "NOERROR aa\n n0.shop.svc.Z. 30 A 10.96.0.10\n{}",
            links(8, 1)
        ),
    );
    rig.check("n9.shop.svc.Z A", &format!("NOERROR aa\n{}", links(9, 1)));
}

/// Two namespaces with a pod each, one of them of both families.
const PODS: &str = "namespace shop
    namespace bank
    pod web.shop 10.1.2.3 2001:db8::1 2001:db8:2::
    pod vault.bank 10.1.2.4";

#[test]
fn pods_have_no_names_by_default() {
    let rig = serve(PODS);
    rig.check("10-1-2-3.shop.pod.Z A", NXDOMAIN);
    rig.check("shop.pod.Z A", NXDOMAIN);
    rig.check("pod.Z A", NODATA);
}

#[test]
fn insecure_pod_names_are_made_of_the_question() {
    let rig = serve_with(|config| config.pods = Pods::Insecure, PODS);
    rig.check(
        "10-9-9-9.shop.pod.Z A",
        "NOERROR aa\n 10-9-9-9.shop.pod.Z. 30 A 10.9.9.9",
    );
    rig.check("10-9-9-9.shop.pod.Z AAAA", NODATA);
    rig.check(
        "2001-db8--9.shop.pod.Z AAAA",
        "NOERROR aa\n 2001-db8--9.shop.pod.Z. 30 AAAA 2001:db8::9",
    );
    rig.check("2001-db8--9.shop.pod.Z A", NODATA);
    rig.check(
        "2001-db8--0.shop.pod.Z AAAA",
        "NOERROR aa\n 2001-db8--0.shop.pod.Z. 30 AAAA 2001:db8::",
    );
    rig.check("10-9-9-9.nowhere.pod.Z A", NXDOMAIN);
    for no_address in ["10-9-9", "10-9-9-256", "010-9-9-9", "web", "-", "1-2-3-4-5"] {
        rig.check(&format!("{no_address}.shop.pod.Z A"), NXDOMAIN);
    }
    rig.check("x.10-9-9-9.shop.pod.Z A", NXDOMAIN);
    rig.check("shop.pod.Z A", NODATA);
    rig.check("nowhere.pod.Z A", NXDOMAIN);
}

#[test]
fn verified_pod_names_are_those_of_pods_that_live_there() {
    let rig = serve_with(|config| config.pods = Pods::Verified, PODS);
    rig.check(
        "10-1-2-3.shop.pod.Z A",
        "NOERROR aa\n 10-1-2-3.shop.pod.Z. 30 A 10.1.2.3",
    );
    rig.check("10-1-2-3.shop.pod.Z AAAA", NODATA);
    rig.check(
        "2001-db8--1.shop.pod.Z AAAA",
        "NOERROR aa\n 2001-db8--1.shop.pod.Z. 30 AAAA 2001:db8::1",
    );
    rig.check(
        "2001-db8-2--0.shop.pod.Z AAAA",
        "NOERROR aa\n 2001-db8-2--0.shop.pod.Z. 30 AAAA 2001:db8:2::",
    );
    rig.check(
        "10-1-2-4.bank.pod.Z A",
        "NOERROR aa\n 10-1-2-4.bank.pod.Z. 30 A 10.1.2.4",
    );
    rig.check("10-1-2-4.shop.pod.Z A", NXDOMAIN);
    rig.check("10-9-9-9.shop.pod.Z A", NXDOMAIN);
    rig.check("shop.pod.Z A", NODATA);
    rig.check("nowhere.pod.Z A", NXDOMAIN);
    rig.apply(&cluster("namespace shop\n namespace bank"));
    rig.check("10-1-2-3.shop.pod.Z A", NXDOMAIN);
    rig.check("shop.pod.Z A", NODATA);
}

#[test]
fn slices_count_only_in_their_services_namespace() {
    let rig = serve(
        "namespace shop
         namespace bank
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1
         slice web.bank http:80 | 10.6.6.6",
    );
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 5 A 10.1.0.1",
    );
    rig.check("web.bank.svc.Z A", NXDOMAIN);
    assert_eq!(rig.problems(), Vec::<String>::new());
}

#[test]
fn slices_of_host_names_are_ignored_and_told() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1
         slice web.shop http:80 | web.example.com",
    );
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 5 A 10.1.0.1",
    );
    assert_eq!(
        rig.problems(),
        [
            "test.yaml:4: service shop/web: endpointslice `web-2`: ignored: addressType `FQDN` is not answered"
        ]
    );
}

#[test]
fn a_target_in_two_slices_is_one_endpoint() {
    let rig = serve(
        "namespace shop
         headless web.shop http:80 admin:81
         slice web.shop http:8080 | 10.1.0.1 unready pod=web-0 | 10.1.0.2 pod=web-1
         slice web.shop http:8080 admin:8081 | 10.1.0.1 pod=web-0 | 10.1.0.2 pod=web-1",
    );
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 5 A 10.1.0.1\n web.shop.svc.Z. 5 A 10.1.0.2",
    );
    rig.check(
        "web.shop.svc.Z SRV",
        "NOERROR aa
         web.shop.svc.Z. 5 SRV 0 256 8080 10-1-0-1.web.shop.svc.Z.
         web.shop.svc.Z. 5 SRV 0 256 8080 10-1-0-2.web.shop.svc.Z.
         web.shop.svc.Z. 5 SRV 0 256 8081 10-1-0-1.web.shop.svc.Z.
         web.shop.svc.Z. 5 SRV 0 256 8081 10-1-0-2.web.shop.svc.Z.
         add 10-1-0-1.web.shop.svc.Z. 5 A 10.1.0.1
         add 10-1-0-2.web.shop.svc.Z. 5 A 10.1.0.2",
    );
}

#[test]
fn two_targets_of_one_address_are_one_record() {
    // Pods of the host's network share its address; a set has no two equal records.
    let rig = serve(
        "namespace shop
         headless agent.shop http:80
         slice agent.shop http:8080 | 192.168.0.1 pod=agent-a | 192.168.0.1 pod=agent-b",
    );
    rig.check(
        "agent.shop.svc.Z A",
        "NOERROR aa\n agent.shop.svc.Z. 5 A 192.168.0.1",
    );
    rig.check(
        "_http._tcp.agent.shop.svc.Z SRV",
        "NOERROR aa
         _http._tcp.agent.shop.svc.Z. 5 SRV 0 256 8080 192-168-0-1.agent.shop.svc.Z.
         add 192-168-0-1.agent.shop.svc.Z. 5 A 192.168.0.1",
    );
}

#[test]
fn unready_peers_are_published_where_a_service_asks_for_it() {
    // The endpoint controller shows them as ready already.
    let rig = serve(
        "namespace shop
         headless db.shop pg:5432 publishNotReady
         slice db.shop pg:5432 | 10.1.0.1 host=db-0 | 10.1.0.2 host=db-1",
    );
    rig.check(
        "db.shop.svc.Z A",
        "NOERROR aa\n db.shop.svc.Z. 5 A 10.1.0.1\n db.shop.svc.Z. 5 A 10.1.0.2",
    );
    rig.check(
        "db-1.db.shop.svc.Z A",
        "NOERROR aa\n db-1.db.shop.svc.Z. 5 A 10.1.0.2",
    );
}

#[test]
fn a_second_zone_has_the_same_names() {
    let rig = serve_with(
        |config| config.zones.push("other.example".to_owned()),
        "namespace shop
         headless web.shop http:80
         slice web.shop http:80 | 10.1.0.1
         external one.shop web.shop.svc.other.example",
    );
    rig.check(
        "_http._tcp.web.shop.svc.other.example SRV",
        "NOERROR aa
         _http._tcp.web.shop.svc.other.example. 5 SRV 0 256 80 10-1-0-1.web.shop.svc.other.example.
         add 10-1-0-1.web.shop.svc.other.example. 5 A 10.1.0.1",
    );
    rig.check(
        "none.other.example A",
        "NXDOMAIN aa\n auth other.example. 5 SOA",
    );
    // Its name server is a name of its own, not one of the first zone.
    rig.check(
        "other.example NS",
        "NOERROR aa\n other.example. 30 NS ns.dns.other.example.",
    );
    rig.check(
        "ns.dns.other.example A",
        "NOERROR aa\n ns.dns.other.example. 30 A 127.0.0.1",
    );
    let soa = rig::decode(
        &rig.tcp(&rig::query("other.example SOA"))
            .expect("an answer"),
    );
    assert!(
        soa.answers[0]
            .to_string()
            .contains("ns.dns.other.example. hostmaster.other.example."),
        "{}",
        soa.answers[0]
    );
    rig.check(
        "one.shop.svc.Z A",
        "NOERROR aa
         one.shop.svc.Z. 30 CNAME web.shop.svc.other.example.
         web.shop.svc.other.example. 5 A 10.1.0.1",
    );
}

#[test]
fn what_leaves_the_cluster_leaves_the_zone() {
    let rig = serve_with(
        reverse(&["10.0.0.0/8"]),
        "namespace shop
         headless web.shop http:80
         clusterip api.shop 10.96.0.10 http:80
         slice web.shop http:80 | 10.1.0.1",
    );
    rig.check(
        "web.shop.svc.Z A",
        "NOERROR aa\n web.shop.svc.Z. 5 A 10.1.0.1",
    );
    rig.apply(&cluster("namespace shop"));
    for gone in [
        "web.shop.svc.Z",
        "10-1-0-1.web.shop.svc.Z",
        "_tcp.web.shop.svc.Z",
        "api.shop.svc.Z",
    ] {
        rig.check(&format!("{gone} A"), NXDOMAIN);
    }
    for gone in ["1.0.1.10", "0.1.10", "1.10", "10.0.96.10", "96.10"] {
        rig.check(
            &format!("{gone}.in-addr.arpa PTR"),
            "NXDOMAIN aa\n auth 10.in-addr.arpa. 5 SOA",
        );
    }
    rig.check("shop.svc.Z A", NODATA);
    rig.apply(&cluster("namespace bank"));
    rig.check("shop.svc.Z A", NXDOMAIN);
    rig.check("svc.Z A", NODATA);
}

#[test]
fn a_service_that_changes_its_kind_leaves_nothing_behind() {
    let slice = "slice web.shop http:80 | 10.1.0.1 host=one";
    let rig = serve_with(reverse(&["10.0.0.0/8"]), "namespace shop");
    let headless = format!("namespace shop\n headless web.shop http:80\n {slice}");
    let cluster_ip = format!("namespace shop\n clusterip web.shop 10.96.0.1 http:80\n {slice}");
    let external = format!("namespace shop\n external web.shop example.com\n {slice}");
    let pointer = "1.0.96.10.in-addr.arpa PTR";
    for _ in 0..2 {
        rig.apply(&cluster(&headless));
        rig.check(
            "web.shop.svc.Z A",
            "NOERROR aa\n web.shop.svc.Z. 5 A 10.1.0.1",
        );
        rig.check("_role.web.shop.svc.Z A", NODATA);
        rig.check(pointer, "NXDOMAIN aa\n auth 10.in-addr.arpa. 5 SOA");
        rig.apply(&cluster(&external));
        rig.check(
            "web.shop.svc.Z A",
            "NOERROR aa\n web.shop.svc.Z. 30 CNAME example.com.",
        );
        for gone in ["one", "_role", "_tcp", "_http._tcp", "all"] {
            rig.check(&format!("{gone}.web.shop.svc.Z A"), NXDOMAIN);
        }
        rig.check(
            "1.0.1.10.in-addr.arpa PTR",
            "NXDOMAIN aa\n auth 10.in-addr.arpa. 5 SOA",
        );
        rig.apply(&cluster(&cluster_ip));
        rig.check(
            "web.shop.svc.Z A",
            "NOERROR aa\n web.shop.svc.Z. 30 A 10.96.0.1",
        );
        rig.check("_role.web.shop.svc.Z A", NXDOMAIN);
        rig.check(
            pointer,
            "NOERROR aa\n 1.0.96.10.in-addr.arpa. 30 PTR web.shop.svc.Z.",
        );
    }
}
