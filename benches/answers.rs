//! Answers: from a query's octets to an answer's, in a cluster of 10,000 services and 100,000 endpoints.
//!
//! Each kind of question is measured twice: `hot` asks one name again and again; `rotated` asks every name of the
//! cluster that is of that kind, in random order, so that names and bodies are seldom in the nearest cache.
//!
//! Last, two workers answer at once, on a thread each: the only line of memory that both write is the lock word of a
//! shard of names, and only where they ask for names of the same shard. What it costs is the difference between one
//! name for both and a name each.

mod cluster;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use shiftdns::answer::{Transport, Verdict, Worker, respond};
use shiftdns::wire::rtype;

use cluster::Service;

const SERVICES: usize = 10_000;
const NOW: i64 = 1_800_000_000;

/// A kind of question: what it is called, whom it is asked of, and what the answer must have: code and records.
struct Kind {
    name: &'static str,
    of: fn(Service) -> bool,
    query: fn(Service) -> Vec<u8>,
    rcode: u8,
    answers: u16,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "cluster ip A",
        of: |service| !service.is_headless(),
        query: |service| cluster::query(&service.dns_name(), rtype::A),
        rcode: 0,
        answers: 1,
    },
    Kind {
        name: "weighted A, mixed",
        of: Service::is_weighted,
        query: |service| cluster::query(&service.dns_name(), rtype::A),
        rcode: 0,
        answers: 8,
    },
    Kind {
        name: "headless A of ten",
        of: |service| service.is_headless() && !service.is_weighted(),
        query: |service| cluster::query(&service.dns_name(), rtype::A),
        rcode: 0,
        answers: 10,
    },
    Kind {
        name: "SRV of one with glue",
        of: |service| !service.is_headless(),
        query: |service| cluster::query(&format!("_http._tcp.{}", service.dns_name()), rtype::SRV),
        rcode: 0,
        answers: 1,
    },
    Kind {
        name: "SRV of ten with glue",
        of: |service| service.is_headless() && !service.is_weighted(),
        query: |service| cluster::query(&format!("_http._tcp.{}", service.dns_name()), rtype::SRV),
        rcode: 0,
        answers: 10,
    },
    Kind {
        name: "missing name",
        of: |service| !service.is_headless(),
        query: |service| cluster::query(&format!("no{}", service.dns_name()), rtype::A),
        rcode: 3,
        answers: 0,
    },
    Kind {
        name: "NODATA",
        of: |service| !service.is_headless(),
        query: |service| cluster::query(&service.dns_name(), rtype::AAAA),
        rcode: 0,
        answers: 0,
    },
];

fn answers(criterion: &mut Criterion) {
    let (mut engine, view) = cluster::engine();
    let now = Timestamp::from_second(NOW).expect("a time");
    engine.apply(cluster::lists(SERVICES), now);
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let now = u64::try_from(NOW).expect("after 1970");
    let mut worker = Worker::new(7);
    let mut out = Vec::with_capacity(65_535);

    let order = cluster::shuffled(SERVICES);
    for kind in KINDS {
        let services = order.iter().map(|number| Service(*number));
        let queries: Vec<Vec<u8>> = services.filter(|s| (kind.of)(*s)).map(kind.query).collect();
        for query in &queries {
            let verdict = respond(
                query,
                peer,
                Transport::Udp,
                &view,
                &mut worker,
                now,
                &mut out,
            );
            assert_eq!(verdict, Verdict::Reply);
            let found = (out[3] & 15, u16::from_be_bytes([out[6], out[7]]));
            assert_eq!(found, (kind.rcode, kind.answers), "{}", kind.name);
        }
        let mut group = criterion.benchmark_group(kind.name);
        group
            .throughput(Throughput::Elements(1))
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2));
        for (variant, count) in [("hot", 1), ("rotated", queries.len())] {
            let asked = &queries[..count];
            let mut next = 0;
            group.bench_function(variant, |bencher| {
                bencher.iter(|| {
                    let query = black_box(asked[next].as_slice());
                    next = if next + 1 == asked.len() { 0 } else { next + 1 };
                    respond(
                        query,
                        peer,
                        Transport::Udp,
                        &view,
                        &mut worker,
                        now,
                        &mut out,
                    )
                });
            });
        }
        group.finish();
    }
}

/// Two workers at once; the time of the slower one counts.
fn workers(criterion: &mut Criterion) {
    let (mut engine, view) = cluster::engine();
    let now = Timestamp::from_second(NOW).expect("a time");
    engine.apply(cluster::lists(SERVICES), now);
    let now = u64::try_from(NOW).expect("after 1970");
    let query = |number| cluster::query(&Service(number).dns_name(), rtype::A);
    let mut group = criterion.benchmark_group("two workers, cluster ip A");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(3));
    for (variant, asked) in [
        ("a name each", [query(0), query(1)]),
        ("one name", [query(0), query(0)]),
    ] {
        group.bench_function(variant, |bencher| {
            bencher.iter_custom(|count| {
                let begin = Barrier::new(asked.len());
                let work = |seed: u64, query: &[u8]| {
                    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
                    let mut worker = Worker::new(seed);
                    let mut out = Vec::with_capacity(65_535);
                    begin.wait();
                    let begun = Instant::now();
                    for _ in 0..count {
                        let query = black_box(query);
                        let udp = Transport::Udp;
                        respond(query, peer, udp, &view, &mut worker, now, &mut out);
                    }
                    begun.elapsed()
                };
                thread::scope(|scope| {
                    let workers = (1..).zip(&asked);
                    let threads =
                        workers.map(|(seed, query)| scope.spawn(move || work(seed, query)));
                    let threads: Vec<_> = threads.collect();
                    let times = threads
                        .into_iter()
                        .map(|thread| thread.join().expect("no panic"));
                    times.max().unwrap_or_default()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, answers, workers);
criterion_main!(benches);
