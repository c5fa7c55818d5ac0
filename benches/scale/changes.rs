//! What one change costs from the batch to the published names, with warm caches and with cold ones.

use std::hint::black_box;
use std::time::Instant;

use shiftdns::objects::Kind;

use crate::cluster::{self, Readers, Service};
use crate::{now, percentiles, size};

/// How many services of a kind take turns.
const CHANGING: usize = 90;
const KINDS: [(&str, usize); 3] = [("cluster ip", 0), ("headless", 9), ("weighted", 99)];
const WARM_ROUNDS: usize = 40;
const COLD_ROUNDS: usize = 4;
/// More than the caches that a core has for itself.
const SWEPT_OCTETS: usize = 32 << 20;

pub(crate) fn measure(count: usize) {
    let (mut engine, _view) = cluster::engine();
    let mut readers = Readers::default();
    for kind in Kind::ALL {
        engine.apply(vec![cluster::reset(kind, count, &mut readers)], now());
    }
    let mut swept = vec![0_u8; SWEPT_OCTETS];
    for (name, first) in KINDS {
        let step = (count / CHANGING).next_multiple_of(100).max(100);
        let services: Vec<Service> = (first..count).step_by(step).map(Service).collect();
        let mut time = |rounds: usize, sweeps: bool| {
            let mut times = Vec::new();
            for round in 0..rounds * 2 {
                for service in &services {
                    let changes = service.turn(3, round % 2 == 1, &mut readers);
                    if sweeps {
                        swept.iter_mut().step_by(64).for_each(|octet| *octet += 1);
                        black_box(&mut swept);
                    }
                    times.push(timed(|| engine.apply(changes, now())));
                }
            }
            percentiles(times)
        };
        let (warm, cold) = (time(WARM_ROUNDS, false), time(COLD_ROUNDS, true));
        println!("change: {}, {name}: {warm}; cold: {cold}", size(count));
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> u64 {
    let started = Instant::now();
    black_box(work());
    u64::try_from(started.elapsed().as_nanos()).expect("below five centuries")
}
