//! Changes: from changed objects to published names, in clusters of several sizes; loading a cluster; its memory.
//!
//! One change is one endpoint of a service of ten that turns unready or ready again: its pod, then its slice, in one
//! batch, as a source hands them over. Services take turns, so that nothing is warm that would be cold in a cluster.
//! The figures that are no distributions (loading, memory, percentiles) are printed before Criterion begins.
#![allow(
    clippy::print_stdout,
    reason = "figures that are no distributions have no other place"
)]

mod cluster;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use shiftdns::engine::Engine;
use shiftdns::objects::Change;

use cluster::{Readers, Service};

/// How many services take turns in changing.
const CHANGING: usize = 90;
const NOW: i64 = 1_800_000_000;

/// A kind of service, and the numbers of those that change.
const KINDS: [(&str, usize); 3] = [("cluster ip", 0), ("headless", 9), ("weighted", 99)];

/// How many services the clusters have: `SHIFTDNS_BENCH_SERVICES`, separated by commas, else 1,000 and 10,000.
fn sizes() -> Vec<usize> {
    let sizes = std::env::var("SHIFTDNS_BENCH_SERVICES");
    let sizes = sizes.as_deref().unwrap_or("1000,10000");
    let sizes = sizes.split(',').map(|size| size.trim().parse());
    sizes
        .collect::<Result<_, _>>()
        .expect("numbers of services")
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).expect("a time")
}

/// Resident memory of this process, in octets.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).expect("the second field");
    // TODO-scale: the page size of x86-64 and of most arm64 kernels.
    pages.parse::<usize>().expect("a number") * 4096
}

/// A cluster of `count` services, and what it took to load it.
fn load(count: usize) -> Engine {
    let (mut engine, view) = cluster::engine();
    let before = resident();
    let lists = cluster::lists(count);
    let listed = resident();
    let started = Instant::now();
    let applied = engine.apply(lists, now());
    let took = started.elapsed();
    let after = resident();
    let mb = |octets: usize| octets as f64 / 1e6;
    println!(
        "load: {count} services, {} endpoints: {} names in {:.2} s; resident {:.1} MB before, {:.1} MB with the lists, \
         {:.1} MB after; {:.0} octets an endpoint",
        count * cluster::endpoints(),
        view.store.len(),
        took.as_secs_f64(),
        mb(before),
        mb(listed),
        mb(after),
        (after.saturating_sub(before)) as f64 / (count * cluster::endpoints()) as f64,
    );
    assert_eq!(applied.services, count);
    engine
}

/// The changes of services that take turns: all turn one endpoint unready, then all turn it ready again.
fn turns(count: usize, first: usize) -> Vec<Vec<Change>> {
    let step = (count / CHANGING).next_multiple_of(100).max(100);
    let services: Vec<Service> = (first..count).step_by(step).map(Service).collect();
    let mut readers = Readers::default();
    let turns = [false, true].into_iter();
    let turns = turns.flat_map(|ready| services.iter().map(move |service| (service, ready)));
    turns
        .map(|(service, ready)| service.turn(3, ready, &mut readers))
        .collect()
}

/// Times every change alone and prints the percentiles.
fn percentiles(engine: &mut Engine, count: usize, name: &str, turns: &[Vec<Change>]) {
    let mut times = Vec::new();
    for _ in 0..(10_000 / turns.len()).next_multiple_of(2) {
        for changes in turns {
            let changes = changes.clone();
            let started = Instant::now();
            black_box(engine.apply(changes, now()));
            times.push(started.elapsed());
        }
    }
    times.sort();
    let at = |permille: usize| {
        times[(times.len() * permille / 1000).min(times.len() - 1)].as_nanos() as f64 / 1e3
    };
    println!(
        "change: {count} services, {name}: p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs of {}",
        at(500),
        at(990),
        at(999),
        times.len()
    );
}

fn changes(criterion: &mut Criterion) {
    for count in sizes() {
        let mut engine = load(count);
        let mut group = criterion.benchmark_group(format!("change in {count} services"));
        group
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(2));
        for (name, first) in KINDS {
            let turns = turns(count, first);
            percentiles(&mut engine, count, name, &turns);
            let mut next = 0;
            group.bench_function(name, |bencher| {
                bencher.iter_batched(
                    || {
                        next = if next + 1 == turns.len() { 0 } else { next + 1 };
                        turns[next].clone()
                    },
                    |changes| engine.apply(changes, now()),
                    BatchSize::SmallInput,
                );
            });
        }
        group.bench_function("problems", |bencher| bencher.iter(|| engine.problems()));
        group.finish();
    }
}

criterion_group!(benches, changes);
criterion_main!(benches);
