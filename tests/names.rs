//! Every name that a service has, through real sockets.

mod rig;

use rig::Rig;

/// The demo's shop at rest.
fn shop() -> String {
    let files = ["namespaces", "web", "pay", "db", "api", "external"];
    let read =
        |file| std::fs::read_to_string(format!("zones/demo/{file}.yaml")).expect("a manifest");
    files.map(read).join("\n---\n")
}

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
