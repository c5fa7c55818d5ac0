//! How the watches of a cluster fare, a few series for each kind.

use std::fmt;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::Page;
use crate::kubernetes::{Following, KindReport, Status};

/// A count of each kind.
type Count = fn(&KindReport) -> u64;

const COUNTERS: [(&str, &str, Count); 7] = [
    (
        "shiftdns_watch_restarts",
        "Watches that began after the first, by kind",
        |kind| kind.restarts,
    ),
    (
        "shiftdns_watch_lists",
        "Lists that were read completely, by kind",
        |kind| kind.lists,
    ),
    (
        "shiftdns_watch_lists_held",
        "Lists that were held until another confirmed them, because they lacked most of what was known or were older, by kind",
        |kind| kind.lists_held,
    ),
    (
        "shiftdns_watch_events",
        "Events that were read, by kind",
        |kind| kind.events,
    ),
    (
        "shiftdns_watch_events_outdated",
        "Events older than what was known, which changed nothing, by kind",
        |kind| kind.outdated,
    ),
    (
        "shiftdns_watch_failures",
        "Requests and watches that failed, by kind",
        |kind| kind.failures,
    ),
    (
        "shiftdns_watch_decode_failures",
        "Objects and events that could not be read, by kind",
        |kind| kind.undecodable,
    ),
];

const GAUGES: [(&str, &str, Count); 3] = [
    (
        "shiftdns_watch_synced",
        "1 once the kind has been read as a whole, else 0",
        |kind| u64::from(kind.synced),
    ),
    (
        "shiftdns_watch_up",
        "1 while the kind is followed, or the cluster is without it and may be, else 0",
        |kind| {
            u64::from(matches!(
                kind.following,
                Following::Following | Following::Absent
            ))
        },
    ),
    (
        "shiftdns_watch_objects",
        "Objects that the API server has told of, by kind",
        |kind| kind.objects,
    ),
];

pub(super) fn watched(watches: &Status, page: &mut Page<'_>) -> fmt::Result {
    let kinds = watches.report();
    for (name, help, count) in COUNTERS {
        let mut series = page.counters(name, help)?;
        for kind in &kinds {
            series.counter(&[("kind", kind.kind.as_str())], count(kind))?;
        }
    }
    for (name, help, count) in GAUGES {
        let mut series = page.gauges(name, help)?;
        for kind in &kinds {
            series.gauge(&[("kind", kind.kind.as_str())], count(kind))?;
        }
    }
    let help = "Time since the API server was last heard in the matter of the kind, be it by a bookmark; absent until it is";
    let seconds = Unit::Seconds;
    let mut ages = page.family(
        "shiftdns_watch_age",
        help,
        Some(&seconds),
        MetricType::Gauge,
    )?;
    for kind in &kinds {
        if let Some(age) = kind.age {
            ages.gauge(&[("kind", kind.kind.as_str())], age.as_secs_f64())?;
        }
    }
    let written = watches.written();
    let help = "Statuses and Events that were to be written to the API, by what came of it; known: another server had written the same";
    let mut reports = page.counters("shiftdns_reports", help)?;
    for (result, count) in [
        ("status", written.statuses),
        ("event", written.events),
        ("known", written.known),
        ("failed", written.failed),
        ("dropped", written.dropped),
    ] {
        reports.counter(&[("result", result)], count)?;
    }
    if let Some(offset) = watches.clock_offset_secs() {
        let help = "By how much the API server's clock is ahead of ours, to about half a second";
        let kind = MetricType::Gauge;
        page.family("shiftdns_clock_offset", help, Some(&seconds), kind)?
            .value(offset)?;
    }
    Ok(())
}
