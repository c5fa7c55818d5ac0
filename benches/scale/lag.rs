//! How far publication is behind while a thousand slices a second change, through the engine's own thread.
//!
//! Changes come at their times whether or not those before them are published; this thread looks without a pause at the
//! name of the oldest that is not.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use shiftdns::engine::control::{self, Event, Sinks};
use shiftdns::objects::Kind;
use shiftdns::wire::{Name, QueryName};

use crate::cluster::{self, Readers, Service};
use crate::{now, percentiles, size};

const CHANGES_A_SECOND: u32 = 1000;
const SECONDS: u32 = 5;
/// An endpoint of these changes, one service after another.
const CHANGING: usize = 900;

pub(crate) fn measure(count: usize) {
    let (mut engine, view) = cluster::engine();
    let mut readers = Readers::default();
    for kind in Kind::ALL {
        engine.apply(vec![cluster::reset(kind, count, &mut readers)], now());
    }
    let mut changes = Vec::new();
    let services = (0..CHANGING).map(|n| Service(n * count / CHANGING));
    let services: Vec<Service> = services.collect();
    let total = (CHANGES_A_SECOND * SECONDS) as usize;
    for n in 0..total {
        let service = services[n % services.len()];
        let ready = n / services.len() % 2 == 1;
        let change = service.slice_turn(3, ready, &mut readers);
        let parse = |name: &str| Name::parse(name).expect("a name");
        let names = (
            parse(&service.dns_name()),
            QueryName::from(&parse(&service.host_name(3))),
        );
        changes.push((change, names, ready));
    }
    let engine = control::start(engine, Sinks::default()).expect("a thread");
    let mut changes = changes.into_iter();
    let mut waiting: VecDeque<(Instant, (Name, QueryName), bool)> = VecDeque::new();
    let mut lags = Vec::new();
    let started = Instant::now();
    let mut sent = 0;
    while lags.len() < total {
        let due = started + Duration::from_secs(1) * sent / CHANGES_A_SECOND;
        if Instant::now() >= due
            && let Some((change, names, ready)) = changes.next()
        {
            let batch = Event::Batch {
                changes: vec![change],
                problems: None,
            };
            engine.send_blocking(batch).expect("the engine runs");
            waiting.push_back((due, names, ready));
            sent += 1;
        }
        let is_there = |(name, host): &(Name, QueryName)| {
            let find = |node: &shiftdns::zone::Node| node.find(host, 1).exists();
            view.store.find(name.as_wire(), find).unwrap_or(false)
        };
        while let Some((due, names, ready)) = waiting.front()
            && is_there(names) == *ready
        {
            lags.push(u64::try_from(due.elapsed().as_nanos()).expect("below five centuries"));
            waiting.pop_front();
        }
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "one change was never published"
        );
    }
    println!(
        "lag: {}, {CHANGES_A_SECOND} changed slices a second: {}",
        size(count),
        percentiles(lags)
    );
}
