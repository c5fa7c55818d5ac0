//! Scale: what a cluster costs in memory, what a change costs however large it is, and how long a start takes.
//!
//! ```text
//! cargo bench --bench scale                                       # 1,000, 10,000 and 100,000 services of ten endpoints
//! cargo bench --bench scale -- --services 10000 --only memory,parts,changes,lag,start
//! SHIFTDNS_BENCH_ENDPOINTS=100 cargo bench --bench scale -- --services 10000 --only memory
//! ```
//!
//! Every measurement has a process of its own, so that nobody's memory is another's. Only `lag` needs two cores.
#![allow(
    clippy::print_stdout,
    reason = "figures that are no distributions have no other place"
)]

#[path = "../cluster/mod.rs"]
mod cluster;

mod changes;
mod lag;
mod memory;
mod parts;
mod process;
mod start;

use std::process::Command;

use jiff::Timestamp;

/// What measures, given the number of services.
type Measure = fn(usize);

/// What is measured, by name.
const MEASUREMENTS: [(&str, Measure); 5] = [
    ("memory", memory::measure),
    ("parts", parts::measure),
    ("changes", changes::measure),
    ("lag", lag::measure),
    ("start", start::measure),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |flag: &str| {
        let place = args.iter().position(|arg| arg == flag)?;
        args.get(place + 1).map(String::as_str)
    };
    let services = value("--services").unwrap_or("1000,10000,100000");
    let services = services
        .split(',')
        .map(|count| count.parse().expect("a number of services"));
    let only: Option<Vec<&str>> = value("--only").map(|only| only.split(',').collect());
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.contains(&name));
    let is_child = args.iter().any(|arg| arg == "--here");
    for count in services {
        for (name, measure) in MEASUREMENTS.iter().filter(|(name, _)| wanted(name)) {
            if is_child {
                measure(count);
                continue;
            }
            let me = std::env::current_exe().expect("this program");
            let count = count.to_string();
            let child = Command::new(me)
                .args(["--here", "--services", &count, "--only", name])
                .status();
            assert!(child.expect("a process").success(), "{name} of {count}");
        }
    }
}

/// When everything happens.
fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// How large the cluster is, for the beginning of a line.
fn size(count: usize) -> String {
    let endpoints = count * cluster::endpoints();
    format!("{count} services, {endpoints} endpoints")
}

/// The values at so many thousandths of a sorted list, in microseconds.
fn percentiles(mut nanos: Vec<u64>) -> String {
    nanos.sort_unstable();
    let at = |thousandths: usize| {
        let place = (nanos.len() * thousandths / 1000).min(nanos.len() - 1);
        nanos[place] as f64 / 1e3
    };
    let (p50, p99, p999) = (at(500), at(990), at(999));
    format!("p50 {p50:.1} µs, p99 {p99:.1} µs, p99.9 {p999:.1} µs")
}
