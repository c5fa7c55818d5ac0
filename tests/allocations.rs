//! An answer costs no allocation: after one of its kind, none of the next thousand asks the allocator for anything.
//!
//! The first one may: the reply's buffer grows once, and so do the tables of draws and counts.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one counts and passes on"
)]

mod packet;
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::IpAddr;

use jiff::Timestamp;
use packet::{Opt, Packet, Reply, kind};
use rig::Offline;
use shiftdns::answer::{Identity, Limits, Transport, View, Worker, respond};
use shiftdns::model::{
    Endpoint, EndpointPort, Policy, PolicySource, Protocol, Resolved, ServiceKey, ServiceKind,
    ServiceView, Sticky,
};
use shiftdns::rollout::{Memory, evaluate};
use shiftdns::wire::Name;
use shiftdns::zone::{self, Authority, Slots, Zone, ZoneKind, Zones};
use shiftdns::{records, store};

/// The system's allocator, which counts what this thread asks of it: other tests run beside.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn asked() -> u64 {
    ASKED.with(Cell::get)
}

fn count() {
    // A thread that is being torn down has no count any more.
    let _ = ASKED.try_with(|asked| asked.set(asked.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn offline() -> Offline {
    let mut config = rig::config();
    config.pods = shiftdns::config::Pods::Insecure;
    config.reverse = vec!["10.96.0.0/16".parse().expect("a network")];
    config.upstream = vec!["192.0.2.53:53".parse().expect("an address")];
    let (shop, ten) = (rig::shop(), rig::headless("ten", 10));
    let mut offline = Offline::with(&config, &[&shop, &ten]);
    let addresses = (1..=8_u8).map(|n| IpAddr::from([192, 0, 2, n]));
    let resolved = Resolved {
        addresses: addresses.collect(),
        trouble: None,
    };
    let target = Name::parse("payments.example.com").expect("a name");
    let learned = vec![(target, resolved)];
    offline.engine.learn(learned, Timestamp::UNIX_EPOCH);
    offline
}

/// A thousand questions, after one, ask the allocator for nothing; the first is answered with `expected`.
fn check(name: &str, qtype: u16, expected: &str) {
    let mut offline = offline();
    let plain = Packet::ask(name, qtype);
    let edns = |size| plain.clone().opt(&Opt::version(0).size(size));
    for (packet, suffix) in [
        (plain.clone(), ""),
        (edns(512), " | opt v0 1232"),
        (edns(1232), " | opt v0 1232"),
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let octets = packet.octets();
            let first = Reply::read(offline.ask(&octets, transport).expect("an answer"));
            if transport == Transport::Tcp {
                assert_eq!(first.verdict(), format!("{expected}{suffix}"));
            }
            let before = asked();
            for _ in 0..1000 {
                assert!(offline.ask(&octets, transport).is_some());
            }
            assert_eq!(asked() - before, 0, "{name} over {transport:?}: {packet:?}");
        }
    }
}

#[test]
fn the_count_counts() {
    let before = asked();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(asked() - before, 1);
}

#[test]
fn addresses_of_a_cluster_ip() {
    check("api.shop.svc.Z", kind::A, "NOERROR aa | an A");
    check("api.shop.svc.Z", kind::AAAA, "NOERROR aa | an AAAA");
}

#[test]
fn weighted_addresses() {
    // Nine tenths on nine pods and a tenth on two: eight of eleven in every answer.
    let expected = format!("NOERROR aa | an{}", " A".repeat(8));
    check("pay.shop.svc.Z", kind::A, &expected);
}

#[test]
fn all_addresses_from_a_turning_start() {
    let expected = format!("NOERROR aa | an{}", " A".repeat(4));
    check("web.shop.svc.Z", kind::A, &expected);
    let expected = format!("NOERROR aa | an{}", " A".repeat(11));
    check("all.pay.shop.svc.Z", kind::A, &expected);
}

#[test]
fn srv_of_ten_targets() {
    let (answers, addresses) = (" SRV".repeat(10), " A".repeat(10));
    let expected = format!("NOERROR aa | an{answers} | ar{addresses}");
    check("_http._tcp.ten.shop.svc.Z", kind::SRV, &expected);
}

#[test]
fn what_is_not_there() {
    check("nope.shop.svc.Z", kind::A, "NXDOMAIN aa | ns SOA");
    check("api.shop.svc.Z", kind::MX, "NOERROR aa | ns SOA");
    check("shop.svc.Z", kind::A, "NOERROR aa | ns SOA");
}

#[test]
fn an_alias_inside_our_zones() {
    check(
        "alias-of-api.shop.svc.Z",
        kind::A,
        "NOERROR aa | an CNAME A",
    );
}

#[test]
fn an_alias_outside_them_with_the_addresses_of_its_target() {
    let expected = format!("NOERROR aa | an CNAME{}", " A".repeat(8));
    check("payments-ext.shop.svc.Z", kind::A, &expected);
    let alone = "NOERROR aa | an CNAME";
    check("payments-ext.shop.svc.Z", kind::AAAA, alone);
}

#[test]
fn names_of_zones_addresses_and_pods() {
    check("Z", kind::SOA, "NOERROR aa | an SOA");
    check("10.0.96.10.in-addr.arpa", kind::PTR, "NOERROR aa | an PTR");
    check("10-1-2-3.shop.pod.Z", kind::A, "NOERROR aa | an A");
    check("fd00--1.shop.pod.Z", kind::AAAA, "NOERROR aa | an AAAA");
}

/// A view with one service, `web.shop.svc.z`, whose endpoints clients keep.
fn sticky_view(factors: Vec<u8>) -> View {
    let port = EndpointPort {
        name: Some("http".into()),
        protocol: Protocol::Tcp,
        number: 80,
    };
    let endpoint = |n: u8| Endpoint {
        address: IpAddr::from([10, 1, 0, n]),
        uid: format!("pod-{n}").into(),
        pod: None,
        hostname: None,
        ready: true,
        serving: true,
        terminating: false,
        zone: None,
        node: None,
        ready_since: None,
        disputed: false,
        restarts: 0,
        revision: None,
        ports: [port.clone()].into(),
    };
    let service = ServiceView {
        key: ServiceKey::new("shop", "web"),
        uid: "web".into(),
        created: None,
        origin: None,
        kind: ServiceKind::Headless,
        ports: Vec::new(),
        annotations: Vec::new(),
        policy_of: PolicySource::Annotations,
        publish_not_ready: false,
        has_backends: false,
        endpoints: (1..=9).map(endpoint).collect(),
        revisions: Vec::new(),
        workloads: Vec::new(),
        external: None,
    };
    let (policy, memory) = (Policy::default(), Memory::default());
    let mut outcome = evaluate(&service, &policy, &memory, Timestamp::UNIX_EPOCH);
    outcome.weighted = true;
    outcome.policy.sticky = Sticky::Ecs;
    outcome.factors = factors;
    outcome.cut_over = Some(Timestamp::MAX);
    let records = records::compile(&service, &outcome, &records::Settings::default());
    let zone = || Name::parse("z").expect("a name");
    let encoded = zone::encode(&records, &zone(), &Slots::default(), 1).expect("it fits");
    let (store, mut publisher) = store::new();
    publisher.publish(&encoded.name, &zone(), encoded.node);
    let authority = Authority {
        server: zone(),
        mname: zone(),
        rname: zone(),
    };
    let zone = Zone::new(zone(), ZoneKind::Cluster, &authority, 30, 5);
    let limits = Limits::default();
    let view = View::new(store, Zones::new(vec![zone]), Identity::default(), limits);
    view.set_synced();
    view
}

/// Hashed, told again for whom, and counted down.
#[test]
fn what_a_client_keeps() {
    for factors in [vec![], (1..=9).map(|n| n * 11).collect()] {
        let view = sticky_view(factors);
        let (mut worker, mut out) = (Worker::new(1), Vec::new());
        for (name, qtype, expected) in [
            ("web.shop.svc.z", kind::A, "NOERROR aa | an A"),
            (
                "_http._tcp.web.shop.svc.z",
                kind::SRV,
                "NOERROR aa | an SRV | ar A",
            ),
        ] {
            let opt = Opt::version(0).option(8, &[0, 1, 24, 0, 10, 1, 2]);
            let packet = Packet::ask(name, qtype).opt(&opt).octets();
            let mut ask = |host: u8| {
                let peer = IpAddr::from([192, 0, 2, host]);
                let (transport, worker) = (Transport::Udp, &mut worker);
                respond(&packet, peer, transport, &view, worker, 1, &mut out);
                asked()
            };
            let before = ask(0);
            let after = (0..1000).map(|n: u32| ask(n.to_le_bytes()[0])).last();
            assert_eq!(after, Some(before), "{name}");
            let reply = Reply::read(&out).verdict();
            assert_eq!(reply, format!("{expected} | opt v0 1232 [8]"));
        }
    }
}

/// T3: a header that promises 65,535 records of everything costs what it weighs.
#[test]
fn unsound_messages() {
    let mut offline = offline();
    let lies = Packet::ask("Z", kind::A)
        .count(1, 65_535)
        .count(2, 65_535)
        .count(3, 65_535);
    let messages = [
        lies.octets(),
        Packet::ask("Z", kind::A).opcode(15).octets(),
        Packet::ask_wire(&[0xC0, 12], kind::A, 1).octets(),
        vec![0; 11],
    ];
    for message in messages {
        offline.ask(&message, Transport::Udp);
        let before = asked();
        for _ in 0..1000 {
            offline.ask(&message, Transport::Udp);
        }
        assert_eq!(asked() - before, 0, "{message:?}");
    }
}
