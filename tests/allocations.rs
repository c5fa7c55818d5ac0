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

use packet::{Opt, Packet, Reply, kind};
use rig::Offline;
use shiftdns::answer::Transport;

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
    let (shop, ten) = (rig::shop(), rig::headless("ten", 10));
    Offline::with(&config, &[&shop, &ten])
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
fn names_of_zones_addresses_and_pods() {
    check("Z", kind::SOA, "NOERROR aa | an SOA");
    check("10.0.96.10.in-addr.arpa", kind::PTR, "NOERROR aa | an PTR");
    check("10-1-2-3.shop.pod.Z", kind::A, "NOERROR aa | an A");
    check("fd00--1.shop.pod.Z", kind::AAAA, "NOERROR aa | an AAAA");
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
