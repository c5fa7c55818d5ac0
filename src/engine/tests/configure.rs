//! Other settings for the objects that are known.

use super::*;
use crate::objects::LabelSelector;

/// Settings and terms that differ from the usual ones in what the bits of `shape` say.
fn shaped(shape: u16) -> (Settings, Terms) {
    let is = |bit: u32| shape >> bit & 1 == 1;
    let mut settings = settings();
    let objects = &mut settings.objects;
    if is(0) {
        objects.namespaces = vec!["shop".to_owned()];
    }
    if is(1) {
        objects.namespace_selector = Some(LabelSelector::parse("env=prod").unwrap());
    }
    if is(2) {
        objects.reserved_namespaces.push("lab".to_owned());
    }
    if is(3) {
        objects.address_deny = vec!["10.1.0.0/30".parse().unwrap()];
    }
    if is(4) {
        (
            objects.endpoints_per_service,
            objects.endpoints_per_namespace,
        ) = (2, 3);
    }
    settings.pods = match shape >> 5 & 3 {
        0 => Pods::Disabled,
        1 => Pods::Unverified,
        _ => Pods::Verified,
    };
    settings.objects.pod_addresses = settings.pods == Pods::Verified;
    let ttl = if is(7) { 60 } else { 30 };
    settings.records.ttl_cluster_ip = ttl;
    settings.records.keep_empty = is(8);
    settings.records.endpoint_pod_names = is(9);
    if is(10) {
        settings.defaults.ttl.endpoints = 7;
        settings.defaults.soak_secs = 3;
    }
    if is(11) {
        settings.name_server = vec![Ipv4Addr::new(10, 9, 9, 8).into()];
        settings.cache_floor = 9;
    }
    let limits = Limits {
        pods_unverified: settings.pods == Pods::Unverified,
        ..Limits::default()
    };
    (settings, terms(ttl, limits))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever the settings were while a cluster was told: with others in their place it is as if they had been there from
    /// the beginning.
    #[test]
    fn other_settings_are_as_if_there_had_been_no_others(
        shapes in prop::collection::vec(0_u16..1 << 12, 2..4),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let (settings, terms) = shaped(shapes[0]);
        let mut engine = engine_of(settings, terms);
        let mut cluster = Cluster::default();
        engine.apply(cluster.lists(), at(0));
        let turns = steps.len().div_ceil(shapes.len());
        for ((steps, shape), seconds) in steps.chunks(turns).zip(shapes.iter().cycle().skip(1)).zip(1..) {
            let changes = steps.iter().flat_map(|step| cluster.step(step)).collect();
            engine.apply(changes, at(seconds));
            let serials = |engine: &Engine| engine.terms.zones.iter().map(Zone::serial).collect::<Vec<_>>();
            let before = serials(&engine);
            let (settings, terms) = shaped(*shape);
            engine.configure(settings, terms, at(seconds)).unwrap();
            prop_assert!(serials(&engine).iter().zip(&before).all(|(after, before)| after > before));

            // What is held for a moment is let go by then.
            engine.tick(at(seconds + 100));
            let now = at(seconds + 100);
            let found = published(&engine);
            prop_assert_eq!(differences(&found, &from_scratch(&engine, now)), [""; 0], "compiled");
            let (settings, terms) = shaped(*shape);
            let fresh = retold_to(engine_of(settings, terms), &engine, &cluster, now);
            prop_assert_eq!(differences(&found, &from_scratch(&fresh, now)), [""; 0], "told at once");
            prop_assert_eq!(engine.problems(), fresh.problems());
        }
    }
}

#[test]
fn other_zones_are_refused_and_nothing_is_done() {
    let mut engine = engine();
    let names = Authority {
        server: name("ns.dns.y"),
        mname: name("ns.dns.y"),
        rname: name("hostmaster.y"),
    };
    let zone = Zone::new(name("y"), ZoneKind::Cluster, &names, 30, 5);
    let mut others = terms(30, Limits::default());
    others.zones = Zones::new(vec![zone]);
    let before = published(&engine);
    let refused = engine.configure(settings(), others, at(0));
    assert_eq!(refused, Err(ConfigureError::OtherZones));
    assert_eq!(differences(&before, &published(&engine)), [""; 0]);
}

/// A name that has endpoints before and after has them at every moment between, on the terms of one configuration: the
/// worker takes the new ones with its next answer.
#[test]
fn a_worker_answers_on_the_terms_in_force() {
    let mut engine = engine();
    engine.apply(Cluster::default().lists(), at(0));
    let mut worker = Worker::new(1);
    let recurses = |engine: &Engine, worker: &mut Worker| {
        // A query for the root, of which nothing is ours: REFUSED, with RA as the terms have it.
        let query = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        let mut out = Vec::new();
        let peer = Ipv4Addr::LOCALHOST.into();
        respond(
            &query,
            peer,
            Transport::Udp,
            &engine.view,
            worker,
            0,
            &mut out,
        );
        out[3] & 0x80 != 0
    };
    assert!(!recurses(&engine, &mut worker));
    let limits = |recursion_available| Limits {
        recursion_available,
        ..Limits::default()
    };
    for available in [true, false, true] {
        let terms = terms(30, limits(available));
        engine.configure(settings(), terms, at(0)).unwrap();
        assert_eq!(recurses(&engine, &mut worker), available);
    }
    // One worker may ask several views.
    let other = super::engine();
    assert!(!recurses(&other, &mut worker));
    assert!(recurses(&engine, &mut worker));
}
