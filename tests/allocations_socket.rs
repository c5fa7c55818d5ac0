//! A datagram costs no allocation on its way through a worker: none of the next ten thousand, after some of their kind,
//! makes any thread of the server ask the allocator for anything.
//!
//! A process of its own: every thread but the client's counts, and the threads of other tests are not the server's.
#![allow(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one counts and passes on"
)]

mod packet;
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use packet::{Opt, Packet, Reply, kind};
use rig::Offline;
use shiftdns::answer::Worker;
use shiftdns::server::{Settings, TcpSettings, UdpSettings, bind};

/// The system's allocator, which counts what threads ask of it unless they are the client's.
struct Counting;

static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static IS_CLIENT: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let is_client = IS_CLIENT.try_with(Cell::get).unwrap_or(true);
    if !is_client {
        ASKED.fetch_add(1, Ordering::Relaxed);
    }
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

/// Sends each of `queries` and reads its answer, `rounds` times, several at once.
fn ask(client: &UdpSocket, queries: &[Vec<u8>], rounds: usize) {
    let mut octets = [0; 4096];
    for _ in 0..rounds {
        for query in queries {
            client.send(query).expect("a way");
        }
        for _ in queries {
            client.recv(&mut octets).expect("an answer");
        }
    }
}

#[test]
fn a_thousand_datagrams_of_every_kind_allocate_nothing() {
    IS_CLIENT.set(true);
    let (shop, ten) = (rig::shop(), rig::headless("ten", 10));
    let offline = Offline::with(&rig::config(), &[&shop, &ten]);
    let view = Arc::clone(&offline.view);
    let queries: Vec<Vec<u8>> = [
        ("api.shop.svc.Z", kind::A),
        ("pay.shop.svc.Z", kind::A),
        ("web.shop.svc.Z", kind::A),
        ("ten.shop.svc.Z", kind::A),
        ("_http._tcp.ten.shop.svc.Z", kind::SRV),
        ("nope.shop.svc.Z", kind::A),
        ("shop.svc.Z", kind::A),
        ("alias-of-api.shop.svc.Z", kind::A),
    ]
    .into_iter()
    .flat_map(|(name, qtype)| {
        let plain = Packet::ask(name, qtype);
        let edns = plain.clone().opt(&Opt::version(0).size(1232));
        [plain.octets(), edns.octets()]
    })
    .collect();

    // This thread alone runs the streams' tasks, and has nothing to do for them.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for listen in [&["127.0.0.1:0"][..], &["0.0.0.0:0", "127.0.0.1:0"]] {
            let bound = bind(&Settings {
                listen: listen
                    .iter()
                    .map(|address| address.parse().expect("an address"))
                    .collect(),
                workers: 1,
                udp: UdpSettings::default(),
                tcp: TcpSettings::default(),
            })
            .await
            .expect("free ports");
            let ports = bound.addresses();
            let (workers, streams) = (vec![Worker::new(1)], vec![Worker::new(2)]);
            let server = bound.start(Arc::clone(&view), workers, streams);
            let server = server.expect("a thread");
            for address in ports {
                let host = IpAddr::from([127, 0, 0, 1]);
                let client = UdpSocket::bind((host, 0)).expect("a port");
                client
                    .connect(SocketAddr::new(host, address.port()))
                    .expect("a way");
                client
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .expect("a timeout");
                for query in &queries {
                    client.send(query).expect("a way");
                    let mut octets = [0; 4096];
                    let length = client.recv(&mut octets).expect("an answer");
                    let verdict = Reply::read(&octets[..length]).verdict();
                    assert!(verdict.contains(" aa "), "{verdict}");
                }
                // Tables of draws and counts grow once, in the replies' order of batches too.
                ask(&client, &queries, 100);
                let before = ASKED.load(Ordering::Relaxed);
                assert!(before > 0, "the thread that was started is counted");
                ask(&client, &queries, 1000);
                assert_eq!(ASKED.load(Ordering::Relaxed) - before, 0, "{address}");
            }
            server.shutdown(Duration::from_secs(20)).await;
        }
    });
}
