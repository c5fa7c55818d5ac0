//! Metrics in the OpenMetrics text format, made at each scrape from what others count.
//!
//! Nothing is kept here: a series exists as long as what it tells of does. Series a scrape, at most:
//!
//! - queries: 2 transports * 10 types * 8 codes = 160, of which only those that are not zero are written;
//! - sockets, store, engine, configuration and look-ups upstream: some 50, and a histogram of 21 buckets;
//! - zones: one each; kinds of object: 11, and of a cluster that is followed, 11 more for each;
//! - reasons of shares: 9; causes of shifting back: 6;
//! - one for each service (its state), and three for each version of a service (share, targets, answers);
//! - of services that roll out or are weighted, one each (TTL), ten for each track (its states, a digest) and three for each
//!   version;
//! - one for each kind and result of roll-outs that a service has had, at most 28, and a histogram for each of these.
//!
//! So they grow with the cluster (1000 services of two versions: some 7200, and 17 more for each that rolls) and never with
//! what clients ask: no name of a question is a label, and no address of a client is. `tests/metrics.rs` holds them to
//! Prometheus' conventions and to a list of labels.

mod services;
mod watches;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric, MetricEncoder, NoLabelSet,
    text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio::task;
use tokio::time;

use super::{Reloads, now_secs, reloads};
use crate::answer::{Counts, TYPES, Transport, View};
use crate::engine::control::{Handle, Stopped};
use crate::engine::{CountedVersions, Programming, Summary, Totals};
use crate::files::{self, snapshot};
use crate::kubernetes;
use crate::model::ServiceKey;
use crate::wire::Rcode;
use crate::zone::StaticZone;
use crate::{server, upstream};

use watches::watched;

/// What the text is.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long a scrape waits for the engine, which may be busy with a large batch; then it goes without its facts. Half of
/// the time there is for an answer, and of the usual 10 seconds of a scraper.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the numbers come from.
pub(super) struct Meters {
    pub(super) engine: Handle,
    pub(super) view: Arc<View>,
    pub(super) workers: Vec<Arc<Counts>>,
    pub(super) server: Arc<server::Counters>,
    pub(super) versions: Arc<CountedVersions>,
    pub(super) upstream: Option<Arc<upstream::Counters>>,
    /// `None`: no cluster is followed.
    pub(super) watches: Option<Arc<kubernetes::Status>>,
    /// `None`: no snapshot is kept.
    pub(super) snapshot: Option<Arc<snapshot::Counters>>,
    pub(super) reloads: Arc<Reloads>,
    /// `None`: there are no zone files.
    pub(super) zone_files: Option<Arc<files::ZoneCounters>>,
}

/// The text of one scrape; `None` if it could not be written.
pub(super) async fn scrape(meters: &Meters) -> Option<String> {
    let facts = time::timeout(PATIENCE, Facts::ask(&meters.engine)).await;
    let snapshot = Snapshot {
        view: Arc::clone(&meters.view),
        workers: meters.workers.clone(),
        server: meters.server.read(),
        smallest_buffer: meters.server.smallest_buffer(),
        versions: meters.versions.snapshot(),
        upstream: meters.upstream.as_ref().map(|counters| counters.read()),
        watches: meters.watches.clone(),
        snapshot: meters.snapshot.as_ref().map(|counters| counters.read()),
        reloads: meters.reloads.read(),
        zone_files: meters.zone_files.as_ref().map(|counters| counters.read()),
        facts: facts.ok().and_then(Result::ok),
        now_secs: now_secs(),
    };
    // Tens of thousands of series take longer to write than a task may hold its thread.
    task::spawn_blocking(move || snapshot.encode()).await.ok()?
}

/// What the engine knows at one moment.
#[derive(Debug)]
struct Facts {
    services: Vec<Arc<Summary>>,
    totals: Totals,
}

impl Facts {
    async fn ask(engine: &Handle) -> Result<Self, Stopped> {
        Ok(Self {
            services: engine.list().await?,
            totals: engine.totals().await?,
        })
    }
}

/// All that one scrape tells.
#[derive(Debug)]
struct Snapshot {
    view: Arc<View>,
    workers: Vec<Arc<Counts>>,
    server: server::Counts,
    smallest_buffer: u64,
    versions: Vec<(u32, ServiceKey, Arc<str>, Arc<str>)>,
    upstream: Option<upstream::Counts>,
    watches: Option<Arc<kubernetes::Status>>,
    snapshot: Option<snapshot::Counts>,
    reloads: reloads::Read,
    zone_files: Option<(u64, u64)>,
    facts: Option<Facts>,
    now_secs: u64,
}

impl Snapshot {
    fn encode(self) -> Option<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry).ok()?;
        Some(text)
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.queries(&mut page)?;
        self.answers(&mut page)?;
        self.sockets(&mut page)?;
        self.published(&mut page)?;
        read_anew(self.reloads, &mut page)?;
        if let Some(counts) = self.zone_files {
            zone_files(counts, &self.view, &mut page)?;
        }
        if let Some(counts) = &self.upstream {
            looked_up(counts, self.now_secs, &mut page)?;
        }
        if let Some(watches) = &self.watches {
            watched(watches, &mut page)?;
        }
        if let Some(counts) = &self.snapshot {
            snapshots(counts, self.view.is_restored(), &mut page)?;
        }
        if let Some(facts) = &self.facts {
            facts.counted(&mut page)?;
            facts.services(&mut page)?;
        }
        Ok(())
    }
}

impl Snapshot {
    fn queries(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut queries = page.counters(
            "shiftdns_queries",
            "Queries answered, by transport, type and response code",
        )?;
        for transport in Transport::ALL {
            for (index, (_, name)) in TYPES.iter().enumerate() {
                for rcode in Rcode::ALL {
                    let counts = self.workers.iter();
                    let count = sum(counts.map(|of| of.queries(transport, index, rcode)));
                    let labels = [
                        ("transport", transport.as_str()),
                        ("type", *name),
                        ("rcode", rcode.as_str()),
                    ];
                    if count > 0 {
                        queries.counter(&labels, count)?;
                    }
                }
            }
        }
        let mut dropped = page.counters(
            "shiftdns_messages_dropped",
            "Messages left unanswered because they are no queries",
        )?;
        for transport in Transport::ALL {
            let count = sum(self.workers.iter().map(|of| of.dropped(transport)));
            dropped.counter(&[("transport", transport.as_str())], count)?;
        }
        Ok(())
    }

    fn answers(&self, page: &mut Page<'_>) -> fmt::Result {
        let mut by_version: BTreeMap<[&str; 4], u64> = BTreeMap::new();
        for (slot, key, alias, hash) in &self.versions {
            let count = sum(self.workers.iter().map(|of| of.answers(*slot)));
            *by_version
                .entry([&key.namespace, &key.name, alias, hash])
                .or_default() += count;
        }
        let mut answers = page.counters(
            "shiftdns_answers",
            "Answers in which an address of this version came first",
        )?;
        for ([namespace, service, version, revision], count) in by_version {
            let labels = [
                ("namespace", namespace),
                ("service", service),
                ("version", version),
                ("revision", revision),
            ];
            answers.counter(&labels, count)?;
        }
        Ok(())
    }

    fn sockets(&self, page: &mut Page<'_>) -> fmt::Result {
        let counts = &self.server;
        page.gauge(
            "shiftdns_tcp_connections",
            "TCP connections that are open",
            counts.connections_open,
        )?;
        page.counter(
            "shiftdns_tcp_connections_refused",
            "TCP connections closed at once because all places, or those of their network, were taken",
            counts.connections_refused,
        )?;
        let mut closed = page.counters(
            "shiftdns_tcp_connections_closed",
            "TCP connections closed by a time limit",
        )?;
        for (limit, count) in [
            ("idle", counts.closed_idle),
            ("message", counts.closed_message),
            ("write", counts.closed_write),
            ("lifetime", counts.closed_lifetime),
        ] {
            closed.counter(&[("limit", limit)], count)?;
        }
        let mut errors = page.counters(
            "shiftdns_socket_errors",
            "Operations on sockets that failed",
        )?;
        for (operation, count) in [
            ("accept", counts.accept_errors),
            ("receive", counts.receive_errors),
            ("send", counts.send_errors),
        ] {
            errors.counter(&[("operation", operation)], count)?;
        }
        page.counter(
            "shiftdns_datagrams_port_zero",
            "Datagrams from source port 0, which are never answered",
            counts.port_zero,
        )?;
        page.counter(
            "shiftdns_datagrams_overflowed",
            "Datagrams that the kernel dropped because a receive buffer was full",
            counts.overflowed,
        )?;
        let help = "The smallest receive buffer that a UDP socket was given";
        let name = "shiftdns_datagram_buffer";
        page.family(name, help, Some(&Unit::Bytes), MetricType::Gauge)?
            .0
            .encode_gauge(&self.smallest_buffer)?;
        if cfg!(feature = "dnstap") {
            let help =
                "Queries, each with its answer, for a receiver of dnstap, by whether it took them";
            let mut copies = page.counters("shiftdns_dnstap_messages", help)?;
            for (result, count) in [
                ("written", counts.tap_written),
                ("dropped", counts.tap_dropped),
            ] {
                copies.counter(&[("result", result)], count)?;
            }
        }
        page.counter(
            "shiftdns_panics",
            "Queries that made the answering code panic",
            counts.panics,
        )
    }

    fn published(&self, page: &mut Page<'_>) -> fmt::Result {
        let view = &self.view;
        let seconds = Unit::Seconds;
        let help = "Time since the source was lost; 0 while it is not";
        let age = view.data_age_secs(self.now_secs);
        page.family("shiftdns_data_age", help, Some(&seconds), MetricType::Gauge)?
            .0
            .encode_gauge(&age)?;
        page.gauge(
            "shiftdns_synced",
            "1 once every kind of object has been read, else 0",
            u64::from(view.is_synced()),
        )?;
        page.gauge(
            "shiftdns_generation",
            "The number of publications so far",
            view.generation(),
        )?;
        page.gauge(
            "shiftdns_names",
            "Names that are published, empty ancestors included",
            view.store.len() as u64,
        )?;
        page.gauge(
            "shiftdns_engine_up",
            "1 if the engine gave its facts to this scrape, else 0; without them the services are missing here",
            u64::from(self.facts.is_some()),
        )?;
        let mut serials = page.gauges("shiftdns_zone_serial", "The serial in the zone's SOA")?;
        for zone in view.terms().zones.iter() {
            let name = zone.name.to_string();
            serials.gauge(&[("zone", &name)], zone.serial())?;
        }
        let info = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let help = "The program that is running";
        info.encode(
            page.0
                .encode_descriptor("shiftdns_build", help, None, MetricType::Info)?,
        )
    }
}

/// How the configuration fares.
fn read_anew(counts: reloads::Read, page: &mut Page<'_>) -> fmt::Result {
    let mut reloads = page.counters(
        "shiftdns_config_reloads",
        "How often the configuration was read anew, by what came of it",
    )?;
    reloads.counter(&[("result", "success")], counts.succeeded)?;
    reloads.counter(&[("result", "failure")], counts.failed)?;
    page.gauge(
        "shiftdns_config_last_reload_successful",
        "1 if the configuration that was read last is in force, 0 if it could not be obeyed",
        u64::from(counts.last_succeeded),
    )?;
    page.gauge(
        "shiftdns_config_keys_waiting",
        "Keys of the configuration that take effect after a restart",
        counts.waiting,
    )?;
    let name = "shiftdns_config_last_reload_success_timestamp";
    let help = "When the configuration in force was read, in seconds since the epoch";
    page.family(name, help, Some(&Unit::Seconds), MetricType::Gauge)?
        .0
        .encode_gauge(&counts.in_force_since)
}

/// How zones of files fare. Only where there are any.
fn zone_files((succeeded, failed): (u64, u64), view: &View, page: &mut Page<'_>) -> fmt::Result {
    let mut loads = page.counters(
        "shiftdns_static_zone_loads",
        "How often a static zone was read that is another, by what came of it",
    )?;
    loads.counter(&[("result", "success")], succeeded)?;
    loads.counter(&[("result", "failure")], failed)?;
    let terms = view.terms();
    let served = || terms.zones.iter().filter_map(|zone| zone.statics());
    let name = |zone: &StaticZone| zone.name().to_string();
    let mut serials = page.gauges(
        "shiftdns_static_zone_serial",
        "The serial of a static zone's file in force",
    )?;
    for zone in served() {
        serials.gauge(&[("zone", &name(zone))], u64::from(zone.serial()))?;
    }
    let mut records = page.gauges(
        "shiftdns_static_zone_records",
        "How many records of a static zone are served",
    )?;
    for zone in served() {
        records.gauge(&[("zone", &name(zone))], zone.records() as u64)?;
    }
    Ok(())
}

/// Only where names are looked up: no series tells of what is off.
fn looked_up(counts: &upstream::Counts, now_secs: u64, page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "shiftdns_upstream_targets",
        "Names outside our zones that are looked up",
        counts.targets,
    )?;
    let mut lookups = page.counters(
        "shiftdns_upstream_lookups",
        "Look-ups of a name and type, by what they came to",
    )?;
    for (result, count) in [
        ("answered", counts.answered),
        ("empty", counts.empty),
        ("failed", counts.failed),
    ] {
        lookups.counter(&[("result", result)], count)?;
    }
    let Some(last) = counts.last_success else {
        return Ok(());
    };
    let help = "Time since a look-up last did not fail; absent before the first";
    let name = "shiftdns_upstream_last_success_age";
    let age = now_secs.saturating_sub(last);
    page.family(name, help, Some(&Unit::Seconds), MetricType::Gauge)?
        .0
        .encode_gauge(&age)
}

/// Only where one is kept.
fn snapshots(counts: &snapshot::Counts, is_restored: bool, page: &mut Page<'_>) -> fmt::Result {
    page.gauge(
        "shiftdns_snapshot_serving",
        "1 while names are answered from a snapshot because the source has not been read yet, else 0",
        u64::from(is_restored),
    )?;
    page.gauge(
        "shiftdns_snapshot_used",
        "1 if this process began with a snapshot, else 0",
        u64::from(counts.used),
    )?;
    let help = "When the objects of the snapshot on disk were last all there was to know, in seconds since the epoch; 0 \
                where none was saved or used";
    let name = "shiftdns_snapshot_timestamp";
    page.family(name, help, Some(&Unit::Seconds), MetricType::Gauge)?
        .0
        .encode_gauge(&counts.taken)?;
    let help = "The size of the snapshot that was last saved";
    page.family(
        "shiftdns_snapshot_size",
        help,
        Some(&Unit::Bytes),
        MetricType::Gauge,
    )?
    .0
    .encode_gauge(&counts.octets)?;
    page.counter(
        "shiftdns_snapshot_saves",
        "Snapshots that were saved",
        counts.saved,
    )?;
    page.counter(
        "shiftdns_snapshot_failures",
        "Snapshots that could not be saved",
        counts.failed,
    )
}

impl Facts {
    fn counted(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge(
            "shiftdns_services",
            "Services that are known",
            self.services.len() as u64,
        )?;
        page.gauge(
            "shiftdns_problems",
            "Parts of the input that could not be obeyed; the API lists them",
            self.totals.problems as u64,
        )?;
        let mut objects = page.gauges("shiftdns_objects", "Objects that are known, by kind")?;
        for (kind, count) in self.totals.objects {
            objects.gauge(&[("kind", kind.as_str())], count as u64)?;
        }
        self.programming(page)
    }

    /// Under the name, with the label and in the buckets of CoreDNS's, so that dashboards can be carried over.
    fn programming(&self, page: &mut Page<'_>) -> fmt::Result {
        let help = "From a change of endpoints, as the controller of their slice dates it, to the answers that follow from it";
        let mut family = page.family(
            "shiftdns_kubernetes_dns_programming_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?;
        let Programming { buckets, total } = self.totals.programming;
        let labels = [("service_kind", "headless_with_selector")];
        family.histogram(
            &labels,
            Programming::bounds(),
            &buckets,
            total.as_secs_f64(),
        )
    }
}

fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::wrapping_add)
}

/// The text being written, family after family.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn counters<'s>(&'s mut self, name: &'s str, help: &str) -> Result<Series<'s>, fmt::Error> {
        self.family(name, help, None, MetricType::Counter)
    }

    fn gauges<'s>(&'s mut self, name: &'s str, help: &str) -> Result<Series<'s>, fmt::Error> {
        self.family(name, help, None, MetricType::Gauge)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut counter = self.counters(name, help)?;
        counter
            .0
            .encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.gauges(name, help)?.0.encode_gauge(&value)
    }

    fn family<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<Series<'s>, fmt::Error> {
        Ok(Series(self.0.encode_descriptor(name, help, unit, kind)?))
    }
}

/// The series of one family.
struct Series<'e>(MetricEncoder<'e>);

impl Series<'_> {
    fn counter(&mut self, labels: &impl EncodeLabelSet, value: u64) -> fmt::Result {
        self.0
            .encode_family(labels)?
            .encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn gauge(&mut self, labels: &impl EncodeLabelSet, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_family(labels)?.encode_gauge(&value)
    }

    /// Of a family without labels.
    fn value(&mut self, value: f64) -> fmt::Result {
        self.0.encode_gauge(&value)
    }

    /// `buckets` has one more than `bounds`, for what is beyond the last; `total` is in the unit of the bounds.
    fn histogram(
        &mut self,
        labels: &impl EncodeLabelSet,
        bounds: impl Iterator<Item = f64>,
        buckets: &[u64],
        total: f64,
    ) -> fmt::Result {
        let count = sum(buckets.iter().copied());
        let bounds = bounds.chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(buckets.iter().copied()).collect();
        self.0
            .encode_family(labels)?
            .encode_histogram::<NoLabelSet>(total, count, &buckets, None)
    }
}
