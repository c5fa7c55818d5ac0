//! The measuring of `benches/peers` measures what it says: its percentiles are right, and the zone file and the Kubernetes objects are one
//! cluster. That servers answer both alike is seen by the bench itself before it measures.
#![allow(
    dead_code,
    reason = "the bench's own files, of which a part is looked at"
)]

#[path = "../benches/peers/histogram.rs"]
mod histogram;
#[path = "../benches/peers/objects.rs"]
mod objects;
#[path = "../benches/peers/shape.rs"]
mod shape;
#[path = "../benches/peers/zonefile.rs"]
mod zonefile;

use std::collections::BTreeSet;
use std::time::Duration;

use histogram::Histogram;
use shape::{Shape, Sort};

/// A small cluster, all of its names.
const SHAPE: Shape = Shape {
    cluster_ips: 30,
    headless: 3,
    namespaces: 4,
    weighted: 2,
};

#[test]
fn percentiles_are_within_a_step() {
    // Ramps of small, middling and large values.
    for scale in [1, 1000, 7_000_000] {
        let mut histogram = Histogram::new();
        for value in 1..=10_000 {
            histogram.add(value * scale);
        }
        for per_mille in [1, 500, 990, 999, 1000] {
            let exact = (per_mille * 10 * scale) as f64;
            let told = histogram.at(per_mille).as_nanos() as f64;
            assert!(
                (told / exact - 1.0).abs() <= 1.0 / 64.0,
                "{per_mille} of {scale}: {told}"
            );
        }
    }
    assert_eq!(Histogram::new().at(500), Duration::ZERO);
}

#[test]
fn every_address_of_the_zone_file_is_of_an_object_and_the_other_way_round() {
    let zone = zonefile::zone(SHAPE);
    let of_services = |line: &&str| line.contains(".svc.") && line.contains(" A ");
    let in_zone: BTreeSet<(String, String)> = (zone.lines().filter(of_services))
        .filter(|line| !line.starts_with("10-"))
        .map(|line| {
            let (owner, address) = line.split_once(" ").expect("fields");
            let address = address.rsplit(' ').next().expect("an address");
            (owner.to_owned(), address.to_owned())
        })
        .collect();

    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    let owner = |object: &serde_json::Value, name: &str| {
        let namespace = text(&object["metadata"]["namespace"]);
        format!("{name}.{namespace}.svc.cluster.local.")
    };
    let services = objects::services(SHAPE).filter(|s| s["spec"]["clusterIP"] != "None");
    let of_cluster_ips = services.map(|service| {
        let name = text(&service["metadata"]["name"]);
        (owner(&service, &name), text(&service["spec"]["clusterIP"]))
    });
    let of_slices = objects::slices(SHAPE).flat_map(|slice| {
        let name = text(&slice["metadata"]["labels"]["kubernetes.io/service-name"]);
        let endpoints = slice["endpoints"].as_array().expect("endpoints").clone();
        let name = owner(&slice, &name);
        endpoints
            .into_iter()
            .map(move |endpoint| (name.clone(), text(&endpoint["addresses"][0])))
    });
    // What has weights is in no zone file.
    let in_objects: BTreeSet<(String, String)> = (of_cluster_ips.chain(of_slices))
        .filter(|(name, _)| !name.starts_with("rolling-"))
        .collect();
    assert_eq!(in_zone, in_objects);
    assert_eq!(in_zone.len(), 30 + 3 * shape::ENDPOINTS);
}

#[test]
fn no_two_services_have_an_address_or_a_name_in_common() {
    let all = Shape::of(1000).services();
    let (mut names, mut addresses, mut count) = (BTreeSet::new(), BTreeSet::new(), 0);
    for service in all {
        assert!(names.insert(service.dns_name()), "{service:?}");
        for address in service.addresses() {
            assert!(addresses.insert(address), "{address}");
            count += 1;
        }
    }
    assert_eq!(names.len(), 1000 + 100 + 100);
    assert_eq!(count, 1000 + (100 + 100) * shape::ENDPOINTS);
    let weighted = Shape::of(1000).service(Sort::Weighted, 7);
    assert_eq!(weighted.targets().len(), shape::ENDPOINTS);
}
