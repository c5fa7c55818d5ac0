//! HTTP for people, probes and discovery clients, on two listeners.
//!
//! Given the engine's [`Handle`], the published [`View`] and what the workers count, `--http` tells whether this process
//! lives, whether it is ready, and its metrics: safe to expose in a cluster. `--api` tells who runs what, as JSON: off
//! loopback it wants a token. No request starts a connection to elsewhere, and none changes anything but those that ask
//! something of a roll-out, where the settings allow them.
//!
//! ```text
//!  --http   /healthz /health   /readyz /ready   /metrics
//!  --api    /api/v1/services   /api/v1/services/{namespace}/{name}   /api/v1/services/{namespace}/{name}/history
//!           /api/v1/resolve    /api/v1/problems   /api/v1/sources   /openapi.json
//!           /sd/prometheus     /resolve
//!           /v1/catalog/services   /v1/catalog/datacenters   /v1/catalog/service/{name.namespace}
//!           /v1/health/service/{name.namespace}   /v1/agent/self
//!    POST   /api/v1/services/{namespace}/{name}/promote   .../abort   .../pause   .../resume   .../retry
//!    GET    the same: what that would be, and where it is to be written
//! ```
//!
//! [`bind`] opens both early, so that a port in use is told before anything else is done; [`Bound::start`] begins to
//! answer. What a stranger may hold is bounded in `door` (connections, time) and by hyper (headers); who may ask the API is
//! decided in `guard`.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

// Getting in: sockets, limits, tokens.
mod door;
mod guard;
mod rules;

// What `--http` tells.
mod metrics;
mod probes;
mod reloads;

// What `--api` tells, and does: the table of its routes, what stands in a request, and the document of both.
mod openapi;
mod params;
mod routes;

// In our own words.
mod answered;
mod api;
mod resolve;
mod shapes;

// In the words of discovery clients.
mod consul;
mod discovery;
mod doh;
mod prometheus;
mod waits;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;
use tracing::warn;

use crate::answer::{self, View};
use crate::engine::CountedVersions;
use crate::engine::control::Handle;
use crate::files::{self, snapshot};
use crate::{kubernetes, server, upstream};

use answered::Answered;
use door::{Door, Stay};
use resolve::Resolver;
use waits::Waits;

pub use reloads::Reloads;
pub use rules::{InForce, Rules};

/// How long requests that have begun may go on at a shutdown.
const DRAIN: Duration = Duration::from_secs(5);

/// Lists of a whole cluster that are made at a time.
const LISTS_MAX: usize = 2;

/// Where to listen, and who may ask.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Probes and metrics. With port 0 the system chooses one.
    pub http: SocketAddr,
    /// The API. With port 0 the system chooses one.
    pub api: SocketAddr,
    /// Who is answered, and what is done for them.
    pub rules: Rules,
}

/// Where what is told comes from.
#[derive(Debug)]
pub struct Sources {
    /// The way to the engine.
    pub engine: Handle,
    /// What is published.
    pub view: Arc<View>,
    /// The counts of the workers that answer clients; not those of `resolver`, which nobody's traffic reaches.
    pub workers: Vec<Arc<answer::Counts>>,
    /// What the server's sockets count.
    pub server: Arc<server::Counters>,
    /// Which version each answer count stands for.
    pub versions: Arc<CountedVersions>,
    /// What look-ups upstream come to; `None`: there are none.
    pub upstream: Option<Arc<upstream::Counters>>,
    /// Chance and counts of `/api/v1/resolve`.
    pub resolver: answer::Worker,
    /// How the watches of a cluster fare; `None`: none is followed.
    pub watches: Option<Arc<kubernetes::Status>>,
    /// What comes of snapshots; `None`: none is kept.
    pub snapshot: Option<Arc<snapshot::Counters>>,
    /// How the configuration fares that is read anew.
    pub reloads: Arc<Reloads>,
    /// How zone files fare; `None`: there are none.
    pub zone_files: Option<Arc<files::ZoneCounters>>,
}

/// Opens both listeners; nothing is accepted yet.
///
/// It waits for nothing; it is async because sockets are registered with the runtime that polls it.
///
/// # Errors
///
/// The first address that cannot be had.
pub async fn bind(settings: &Settings) -> Result<Bound, server::BindError> {
    bind_or_take(settings, &mut server::Inherited::default()).await
}

/// As [`bind()`], but takes listeners that were inherited where there are some.
///
/// # Errors
///
/// The first address that cannot be had.
pub async fn bind_or_take(
    settings: &Settings,
    inherited: &mut server::Inherited,
) -> Result<Bound, server::BindError> {
    Ok(Bound {
        http: Door::open(settings.http, inherited, "http")?,
        api: Door::open(settings.api, inherited, "api")?,
        rules: InForce::new(settings.rules.clone()),
    })
}

/// Listeners that are held and not yet served; the kernel queues who arrives.
#[derive(Debug)]
pub struct Bound {
    http: Door,
    api: Door,
    rules: InForce,
}

impl Bound {
    /// Where probes and metrics are, with the port that was chosen.
    pub fn http(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where the API is, with the port that was chosen.
    pub fn api(&self) -> SocketAddr {
        self.api.address()
    }

    /// The listeners once more, for another process.
    ///
    /// # Errors
    /// There are no file descriptors left.
    pub fn share(&self) -> io::Result<[OwnedFd; 2]> {
        Ok([self.http.share()?, self.api.share()?])
    }

    /// The rules in force, to be set anew at any time.
    pub fn rules(&self) -> InForce {
        self.rules.clone()
    }

    /// Begins to answer, on the runtime that calls it.
    pub fn start(self, sources: Sources) -> Admin {
        let address = self.api();
        if !self.rules.get().wants_token() && !address.ip().is_loopback() {
            warn!(
                %address,
                "the api tells who runs what to everyone who reaches it; configure a token, or listen on loopback"
            );
        }
        let Sources {
            engine,
            view,
            workers,
            server,
            versions,
            upstream,
            resolver,
            watches,
            snapshot,
            reloads,
            zone_files,
        } = sources;
        let leaving = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(Answered::new(workers.clone(), Arc::clone(&versions)));
        let probes = probes::router(probes::Probes {
            view: Arc::clone(&view),
            leaving: Arc::clone(&leaving),
            rules: self.rules.clone(),
            meters: metrics::Meters {
                engine: engine.clone(),
                view: Arc::clone(&view),
                workers,
                server,
                versions,
                upstream,
                watches: watches.clone(),
                snapshot,
                reloads,
                zone_files,
            },
        });
        let (stop, stopping) = watch::channel(false);
        let api = api::Api {
            engine,
            datacenter: datacenter(&view).into(),
            view,
            resolver: Resolver::new(resolver),
            answered: Arc::clone(&answered),
            rules: self.rules.clone(),
            watches,
            waits: Waits::new(SystemTime::now(), stopping.clone()),
            lists: Semaphore::new(LISTS_MAX),
            document: Bytes::new(),
        };
        let api = routes::router(api, self.rules);

        let mut tasks = JoinSet::new();
        tasks.spawn(serve(self.http, probes, stopping.clone()));
        tasks.spawn(serve(self.api, api, stopping.clone()));
        tasks.spawn(note(answered, stopping));
        Admin {
            tasks,
            stop,
            leaving,
        }
    }
}

/// Both listeners, answering. Dropping it closes them at once; [`Admin::shutdown`] is the polite way.
#[derive(Debug)]
pub struct Admin {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    leaving: Arc<AtomicBool>,
}

impl Admin {
    /// From here on this process says that it is not ready, and everything else is answered as before: whoever sends
    /// clients here can stop before the DNS sockets close.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Accepts nothing more, answers what has been asked, and closes; within 5 seconds.
    pub async fn shutdown(mut self) {
        self.leave();
        self.stop.send_replace(true);
        let finished = async { while self.tasks.join_next().await.is_some() {} };
        if time::timeout(DRAIN, finished).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

async fn serve(door: Door, router: Router, mut stop: watch::Receiver<bool>) {
    // Also when no one is left to say so.
    let stopped = async move { drop(stop.wait_for(|stop| *stop).await) };
    // Its type has an error, for symmetry with other servers; it never gives one.
    let service = router.into_make_service_with_connect_info::<Stay>();
    let _never = axum::serve(door, service)
        .with_graceful_shutdown(stopped)
        .await;
}

/// Notes what was answered, until the end.
async fn note(answered: Arc<Answered>, mut stop: watch::Receiver<bool>) {
    let mut ticks = time::interval_at(time::Instant::now() + answered::EVERY, answered::EVERY);
    ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                // Tens of thousands of versions take longer than a task may hold its thread.
                let answered = Arc::clone(&answered);
                drop(tokio::task::spawn_blocking(move || answered.note()).await);
            }
            // It is said once, or there is nobody left to say it.
            _ = stop.changed() => return,
        }
    }
}

/// The wall clock, in whole seconds since the epoch.
fn now_secs() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// The first zone, in the letters that Consul allows for a datacenter.
fn datacenter(view: &View) -> String {
    let terms = view.terms();
    let zone = terms.zones.clusters().next();
    let name = zone.map_or_else(String::new, |zone| zone.name.to_string());
    name.trim_end_matches('.').replace('.', "-")
}
