//! Which part of the memory is whose: octets that were asked for, by what happened when they were.
//!
//! The kinds are read one after another, each by its reader, as the live source does; then an index is filled with the
//! same objects, and an engine. What is left when the index is dropped, and when the engine is, tells the rest.

use shiftdns::objects::{Change, Index, Kind, Settings};

use crate::cluster::counting::{self, Alive, alive};
use crate::cluster::{self, Readers};
use crate::{now, size};

/// What was alive before, and what is counted against.
struct Tally {
    last: Alive,
    endpoints: f64,
    services: f64,
}

impl Tally {
    /// What came, or went, since the last line.
    fn line(&mut self, what: &str) {
        let now = alive();
        let octets = (now.octets - self.last.octets) as f64;
        let taken = (now.taken - self.last.taken) as f64;
        let blocks = (now.blocks - self.last.blocks) as f64;
        self.last = now;
        println!(
            "parts:   {what:<42} {:>7.2} MB asked, {:>7.2} MB taken, {:>5.0} octets an endpoint, {:>6.2} blocks a service",
            octets / 1e6,
            taken / 1e6,
            taken / self.endpoints,
            blocks / self.services,
        );
    }
}

pub(crate) fn measure(count: usize) {
    let (mut engine, view) = cluster::engine();
    let mut readers = Readers::default();
    counting::start();
    println!("parts: {}", size(count));
    let mut tally = Tally {
        last: alive(),
        endpoints: (count * cluster::endpoints()) as f64,
        services: count as f64,
    };
    let mut lists: Vec<Change> = Vec::new();
    for kind in Kind::ALL {
        lists.push(cluster::reset(kind, count, &mut readers));
        tally.line(&format!("objects and their texts: {kind}"));
    }
    let mut index = Index::new(Settings::default());
    for list in &lists {
        index.apply(list.clone());
        let Change::Reset { kind, .. } = list else {
            continue;
        };
        tally.line(&format!("index of {kind}"));
    }
    index.take_dirty();
    tally.line("index: who stands behind whom");
    drop(index);
    tally.line("the index dropped");
    engine.apply(lists, now());
    tally.line("index and engine, less the lists");
    drop(readers);
    tally.line("texts that are known, dropped");
    let total = alive();
    drop(engine);
    tally.line("engine, index and objects dropped");
    drop(view);
    tally.line("the published names dropped");
    println!(
        "parts:   all of it: {:.2} MB asked, {:.2} MB taken",
        total.octets as f64 / 1e6,
        total.taken as f64 / 1e6
    );
}
