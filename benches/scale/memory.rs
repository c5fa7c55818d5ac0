//! Resident memory after a load, its peak, and that of a re-list of every kind.

use std::time::Instant;

use shiftdns::engine::Engine;
use shiftdns::objects::Kind;

use crate::cluster::{self, Readers};
use crate::process::{forget_peak, resident};
use crate::{now, size};

pub(crate) fn measure(count: usize) {
    let (mut engine, _view) = cluster::engine();
    let mut readers = Readers::default();
    let (before, _) = resident("self");
    let started = Instant::now();
    list(&mut engine, &mut readers, count);
    let took = started.elapsed();
    let (loaded, peak) = resident("self");
    forget_peak();
    list(&mut engine, &mut readers, count);
    let (again, relist_peak) = resident("self");
    let endpoints = (count * cluster::endpoints()) as f64;
    println!(
        "memory: {}: {before:.1} MB before, {loaded:.1} MB loaded ({:.0} octets an endpoint), peak {peak:.1} MB; listed again: \
         {again:.1} MB, peak {relist_peak:.1} MB ({:.2} of loaded); made, read and loaded in {:.1} s",
        size(count),
        (loaded - before) * 1e6 / endpoints,
        relist_peak / loaded,
        took.as_secs_f64(),
    );
}

/// One list a kind, read completely and handed over, as the live source does it.
fn list(engine: &mut Engine, readers: &mut Readers, count: usize) {
    for kind in Kind::ALL {
        engine.apply(vec![cluster::reset(kind, count, readers)], now());
    }
}
