//! The composition root: a configuration becomes a running server.
//!
//! [`start`] binds every socket, starts the engine and both HTTP listeners, and lets the source feed the engine.
//! Integration tests start the same thing on port 0. Nothing is decided here: each module gets its own settings
//! (made in `settings`) and the ends of the channels that join it to its neighbours.

mod reload;
mod replace;
mod reports;
mod settings;
mod snapshot;
mod statics;

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::admin::{self, Admin};
use crate::answer::{View, Worker};
use crate::config::Config;
use crate::engine::Engine;
use crate::engine::control::{self, Event, Handle, Keep, Loop, Sinks, Want};
use crate::files::state::{Keeper, StateError};
use crate::files::{self, Loaded, Manifests};
use crate::kubernetes::{self, Outbox, Watches};
use crate::server::{self, Inherited, Server};
use crate::store;
use crate::upstream::{self, Upstream, Wanted};
use crate::wire::NameError;

pub use reload::{Live, ReloadError};
pub use replace::{Predecessor, ReplaceError};

/// Where objects come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A directory of manifests, watched.
    Manifests(PathBuf),
    /// A live cluster.
    Kubernetes(Box<kubernetes::Settings>),
    /// Whoever holds [`Running::engine`].
    Caller,
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    /// The DNS addresses, with the ports that were chosen.
    pub dns: Vec<SocketAddr>,
    /// Probes and metrics.
    pub http: SocketAddr,
    /// The API.
    pub api: SocketAddr,
    /// The way to the engine.
    pub engine: Handle,
    /// What queries see.
    pub view: Arc<View>,
    server: Server,
    admin: Admin,
    upstream: Option<Upstream>,
    feed: Feed,
    zones: Option<files::Watch>,
    state: Option<Keeper>,
    snapshot: Option<snapshot::Kept>,
    offer: Option<replace::Offer>,
    live: Option<Live>,
}

/// What lets the source feed the engine; it stops when this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "held for their ends")]
enum Feed {
    Manifests(files::Watch),
    Kubernetes(Watches),
    Caller,
}

/// Why a server did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// A DNS address could not be had.
    #[error("cannot answer DNS")]
    Dns(#[source] server::BindError),
    /// An HTTP address could not be had.
    #[error("cannot serve HTTP")]
    Http(#[source] server::BindError),
    /// The token of the API could not be read.
    #[error("cannot read the API token in `{}`", path.display())]
    Token {
        /// The file as the operator named it.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A zone's name leaves no room for the names below it.
    #[error("a zone's own names do not fit")]
    Zone(#[source] NameError),
    /// The state file cannot be used.
    #[error(transparent)]
    State(StateError),
    /// The state file would be read as a manifest, and every write of it would read the manifests anew.
    #[error(
        "state: `{}` lies in the directory of manifests; name a file outside `{}`",
        state.display(),
        manifests.display()
    )]
    StateAmongManifests {
        /// The file as the operator named it.
        state: PathBuf,
        /// The directory as the operator named it.
        manifests: PathBuf,
    },
    /// The directory of manifests could not be read.
    #[error(transparent)]
    Manifests(files::LoadError),
    /// The directory of manifests could not be watched.
    #[error("cannot watch the manifests")]
    Watch(#[source] files::WatchError),
    /// A resolver upstream cannot be used.
    #[error(transparent)]
    Upstream(upstream::StartError),
    /// The cluster cannot be followed.
    #[error(transparent)]
    Kubernetes(kubernetes::StartError),
    /// The server that was to be replaced goes on in its place.
    #[error("not everything has been read within {} s; the server that was to be replaced goes on", SYNC_MAX.as_secs())]
    NotSynced,
    /// The system gave no thread.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The engine ended while it was being started.
    #[error(transparent)]
    Stopped(#[from] control::Stopped),
}

/// Where `config` says that objects come from.
pub fn source(config: &Config) -> Source {
    match &config.manifests {
        Some(dir) => Source::Manifests(dir.clone()),
        None => Source::Kubernetes(Box::new(settings::kubernetes(config))),
    }
}

/// How a process comes to sockets that it does not bind itself.
#[derive(Debug, Default)]
pub struct Birth {
    /// Sockets that are bound.
    pub inherited: Inherited,
    /// The server that answers from them until this one is synced.
    pub predecessor: Option<Predecessor>,
}

/// How long a server that replaces another reads its source, at most.
const SYNC_MAX: Duration = Duration::from_secs(60);

/// As [`start_as`], with sockets of its own.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: &Config, source: Source) -> Result<Running, StartError> {
    start_as(config, source, Birth::default()).await
}

/// Starts everything. Sockets are bound first, so that a taken port is known before anything is read; until the
/// first batch is in, cluster names answer SERVFAIL; a server that replaces another answers nothing before.
///
/// # Errors
/// See [`StartError`].
pub async fn start_as(
    config: &Config,
    source: Source,
    birth: Birth,
) -> Result<Running, StartError> {
    let Birth {
        mut inherited,
        predecessor,
    } = birth;
    let mut bound = server::bind_or_take(&settings::server(config), &mut inherited)
        .await
        .map_err(StartError::Dns)?;
    let admin = admin::bind_or_take(&settings::admin(config)?, &mut inherited)
        .await
        .map_err(StartError::Http)?;
    let dns = bound.addresses();
    for address in inherited.addresses() {
        warn!(%address, "a socket was handed to this server that its configuration does not listen on; closing it");
    }
    drop(inherited);
    let offer = offer(&bound, &admin);

    let (store, publisher) = store::new();
    let zones = settings::zones(config).map_err(StartError::Zone)?;
    let identity = settings::identity(config);
    let view = Arc::new(View::new(store, zones, identity, settings::limits(config)));
    let mut engine_settings = settings::engine(config, &dns).map_err(StartError::Zone)?;
    engine_settings.in_cluster = matches!(source, Source::Kubernetes(_));
    let engine_tells = engine_settings.in_cluster;
    let mut engine =
        Engine::new(engine_settings, Arc::clone(&view), publisher).map_err(StartError::Zone)?;
    let zone_files = match &config.static_zones {
        Some(dir) => Some(statics::first(dir.clone(), &mut engine).await?),
        None => None,
    };
    let versions = engine.counted_versions();
    let state = match &config.state {
        Some(path) => {
            apart(path, &source)?;
            let (keeper, memories) = Keeper::start(path).map_err(StartError::State)?;
            info!(file = %path.display(), services = memories.len(), "read what is remembered");
            engine.remember(memories);
            Some(keeper)
        }
        None => None,
    };
    let snapshot = snapshot::Keeping::of(config, &source).await;
    if let Some(keeping) = &snapshot
        && let Some(snapshot) = keeping.load().await
    {
        let now = jiff::Timestamp::now();
        engine.restore(snapshot.objects, snapshot.taken, now);
    }
    let keep = state.as_ref().map(|keeper| {
        let sink = keeper.sink();
        let keep: Keep = Box::new(move |memories, kept| sink.put(memories, kept));
        keep
    });
    let upstream = settings::upstream(config).map(|settings| (settings, wants()));
    let (upstream, want) = match upstream {
        Some((settings, (want, wanted))) => (Some((settings, wanted)), Some(want)),
        None => (None, None),
    };
    let outbox = Arc::new(Outbox::default());
    let sinks = Sinks {
        keep,
        tell: Some(reports::tell(Arc::clone(&outbox))).filter(|_| engine_tells),
        want,
    };
    let (engine, control) = control::prepare(engine, sinks);
    let upstream = match upstream {
        Some((settings, wanted)) => Some(look_up(settings, wanted, engine.clone())?),
        None => None,
    };

    let workers: Vec<Worker> = (0..bound.workers_needed()).map(|_| worker()).collect();
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    let streams: Vec<Worker> = (0..threads.max(1)).map(|_| worker()).collect();
    let counts = workers.iter().chain(&streams).map(Worker::counts).collect();
    if let Some(settings) = settings::tap(config) {
        bound.copy_to(settings).map_err(StartError::Thread)?;
    }
    let (counters, tcp) = (bound.counters(), bound.tcp_limits());
    let of_server = Arc::clone(&view);
    let mut server = Begin::of(move || {
        let server = bound.start(of_server, workers, streams);
        server.map_err(StartError::Thread)
    });
    if predecessor.is_none() {
        server.begin()?;
    }
    let (http, api, rules) = (admin.http(), admin.api(), admin.rules());
    // Begun before HTTP is answered, which tells how it fares; manifests are read after, and sockets are bound by then.
    let (watches, source) = match source {
        Source::Kubernetes(settings) => {
            let watches = follow(*settings, outbox, engine.clone(), control).await?;
            (Some(watches), Source::Caller)
        }
        source => {
            control.start().map_err(StartError::Thread)?;
            (None, source)
        }
    };
    let live = Live::new(
        config.clone(),
        reload::Ends {
            engine: engine.clone(),
            dns: dns.clone(),
            tcp,
            rules,
            deny: upstream.as_ref().map(Upstream::deny),
        },
    );
    let sources = admin::Sources {
        engine: engine.clone(),
        view: Arc::clone(&view),
        workers: counts,
        server: counters,
        versions,
        upstream: upstream.as_ref().map(Upstream::counters),
        resolver: worker(),
        watches: watches.as_ref().map(|watches| Arc::clone(&watches.status)),
        snapshot: snapshot.as_ref().map(snapshot::Keeping::counters),
        reloads: live.reloads(),
        zone_files: zone_files.as_ref().map(files::ZoneFiles::counters),
    };
    let mut admin = Begin::of(move || Ok(admin.start(sources)));
    if predecessor.is_none() {
        admin.begin()?;
    }
    let zones = match zone_files {
        Some(files) => Some(statics::watch(files, engine.clone())?),
        None => None,
    };
    let feed = match (source, watches) {
        (Source::Manifests(dir), _) => Feed::Manifests(feed(dir, engine.clone()).await?),
        (_, Some(watches)) => Feed::Kubernetes(watches),
        (_, None) => Feed::Caller,
    };
    if predecessor.is_some() {
        synced(&view).await?;
    }
    let (server, admin) = (server.begun()?, admin.begun()?);
    if let Some(predecessor) = predecessor {
        let relieved = predecessor.relieve().await;
        if let Err(error) = relieved {
            let error = crate::telemetry::chain(&error);
            warn!(
                error,
                "answering; the server that was replaced may be answering too"
            );
        }
    }
    let snapshot = snapshot.map(|keeping| keeping.start(engine.clone()));
    let offer = offer.map(|(address, sockets)| replace::Offer::start(address, sockets));
    for address in &dns {
        info!(%address, "answering DNS over UDP and TCP");
    }
    info!(%http, %api, "serving HTTP");
    Ok(Running {
        dns,
        http,
        api,
        engine,
        view,
        server,
        admin,
        upstream,
        feed,
        zones,
        state,
        snapshot,
        offer,
        live: Some(live),
    })
}

impl Running {
    /// Says "not ready" from here on and goes on answering.
    pub fn leave(&self) {
        self.admin.leave();
    }

    /// Returns when another process answers in this one's place, and [`Running::hand_over`] is due.
    pub async fn replaced(&mut self) {
        match &mut self.offer {
            Some(offer) => offer.replaced().await,
            None => std::future::pending().await,
        }
    }

    /// What puts another configuration in force, for the one who does; `None` when it was taken before.
    pub fn take_live(&mut self) -> Option<Live> {
        self.live.take()
    }

    /// Stops politely: what has arrived is answered, for `drain` at the most.
    pub async fn shutdown(mut self, drain: Duration) {
        // With it go its copies of the sockets, which would keep them open.
        self.offer = None;
        self.end(drain, false).await;
    }

    /// Leaves what arrives to the process that has the same sockets, and finishes what this one has begun, for `drain` at the
    /// most.
    pub async fn hand_over(self, drain: Duration) {
        self.end(drain, true).await;
    }

    async fn end(self, drain: Duration, is_replaced: bool) {
        drop(self.upstream);
        drop(self.feed);
        drop(self.zones);
        self.admin.leave();
        match is_replaced {
            true => self.server.hand_over(drain).await,
            false => self.server.shutdown(drain).await,
        }
        self.admin.shutdown().await;
        if let Some(snapshot) = self.snapshot {
            snapshot.finish().await;
        }
        if let Some(keeper) = self.state {
            // Whether it could be written has been logged.
            let _ = tokio::task::spawn_blocking(move || keeper.finish()).await;
        }
    }
}

/// Something that is to begin at once, or when this process takes another's place.
enum Begin<T, F> {
    Due(Option<F>),
    Begun(T),
}

impl<T, F: FnOnce() -> Result<T, StartError>> Begin<T, F> {
    fn of(begin: F) -> Self {
        Self::Due(Some(begin))
    }

    fn begin(&mut self) -> Result<(), StartError> {
        if let Self::Due(begin) = self
            && let Some(begin) = begin.take()
        {
            *self = Self::Begun(begin()?);
        }
        Ok(())
    }

    fn begun(mut self) -> Result<T, StartError> {
        self.begin()?;
        match self {
            Self::Begun(begun) => Ok(begun),
            // It has failed, and that was told.
            Self::Due(_) => Err(StartError::Stopped(control::Stopped)),
        }
    }
}

/// The sockets once more, for who replaces this server, and the address that it is found by.
fn offer(bound: &server::Bound, admin: &admin::Bound) -> Option<(SocketAddr, Vec<OwnedFd>)> {
    let address = *bound.addresses().first()?;
    let shared = bound.share().and_then(|mut sockets| {
        sockets.extend(admin.share()?);
        Ok(sockets)
    });
    match shared {
        Ok(sockets) => Some((address, sockets)),
        Err(error) => {
            warn!(%error, "this server cannot be replaced without a gap");
            None
        }
    }
}

/// Waits until everything has been read by this process; where the source is away, what was restored will do.
async fn synced(view: &View) -> Result<(), StartError> {
    let read = async {
        // It happens once in a life: nobody needs to be told at once.
        while !view.is_synced() || view.is_restored() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(SYNC_MAX, read).await {
        Err(_) if !view.is_synced() => Err(StartError::NotSynced),
        _ => Ok(()),
    }
}

/// Refuses a state file among the manifests, whatever links lead there.
fn apart(state: &Path, source: &Source) -> Result<(), StartError> {
    let Source::Manifests(manifests) = source else {
        return Ok(());
    };
    let folder = match state.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), manifests.canonicalize()) {
        (Ok(folder), Ok(dir)) if folder.starts_with(&dir) => Err(StartError::StateAmongManifests {
            state: state.to_owned(),
            manifests: manifests.clone(),
        }),
        // What is not there is told by whoever reads it.
        _ => Ok(()),
    }
}

/// The way from the engine to who looks names up: it never waits, and nobody listens once the server stops.
fn wants() -> (Want, Wanted) {
    let (sender, wanted) = mpsc::unbounded_channel();
    let want = move |names| drop(sender.send(names));
    (Box::new(want), wanted)
}

/// Looks up what the engine wants, and tells it.
fn look_up(
    settings: upstream::Settings,
    wanted: Wanted,
    engine: Handle,
) -> Result<Upstream, StartError> {
    info!(servers = ?settings.servers, "looking up the targets of external names");
    let give = move |learned| {
        let engine = engine.clone();
        async move { engine.send(Event::Resolved(learned)).await.is_ok() }
    };
    upstream::start(settings, wanted, give).map_err(StartError::Upstream)
}

/// A worker with chance of its own.
fn worker() -> Worker {
    // A fresh `RandomState` is keyed by the system's randomness.
    Worker::new(RandomState::new().hash_one("worker"))
}

/// Reads the manifests once, then whenever they change.
async fn feed(dir: PathBuf, engine: Handle) -> Result<files::Watch, StartError> {
    let mut manifests = Manifests::new(dir.clone());
    let read = move || manifests.load().map(|loaded| (manifests, loaded));
    let joined = tokio::task::spawn_blocking(read).await;
    let (manifests, loaded) = joined
        .map_err(|_| control::Stopped)?
        .map_err(StartError::Manifests)?;
    announce(&dir, &loaded);
    engine.send(batch(loaded)).await?;
    let on_load = move |result: Result<Loaded, files::LoadError>| {
        // The engine ends with the process; what comes after is for nobody.
        let send = |event| {
            let _ = engine.send_blocking(event);
        };
        match result {
            Ok(loaded) => {
                send(Event::SourceBack);
                send(batch(loaded));
            }
            Err(error) => send(Event::SourceLost {
                since: None,
                cause: crate::telemetry::chain(&error),
            }),
        }
    };
    files::watch(dir, manifests, on_load).map_err(StartError::Watch)
}

/// Follows a cluster, and runs the control loop beside the watches.
async fn follow(
    settings: kubernetes::Settings,
    outbox: Arc<Outbox>,
    engine: Handle,
    control: Loop,
) -> Result<Watches, StartError> {
    let sink: kubernetes::Sink = Arc::new(move |event| {
        let event = match event {
            kubernetes::Event::Batch { changes, problems } => Event::Batch { changes, problems },
            kubernetes::Event::Lost { since, cause } => Event::SourceLost { since, cause },
            kubernetes::Event::Back => Event::SourceBack,
        };
        let engine = engine.clone();
        Box::pin(async move {
            let sent = engine.send(event).await;
            sent.map_err(|control::Stopped| kubernetes::Stopped)
        })
    });
    kubernetes::start(settings, outbox, sink, || control.run())
        .await
        .map_err(StartError::Kubernetes)
}

fn announce(dir: &Path, loaded: &Loaded) {
    info!(dir = %dir.display(), files = loaded.files, problems = loaded.problems.len(), "read manifests");
}

fn batch(loaded: Loaded) -> Event {
    Event::Batch {
        changes: loaded.changes,
        problems: Some(loaded.problems),
    }
}

/// The engine's settings and view for `config`, without sockets: for tools that compile and ask but do not serve.
///
/// # Errors
/// Where a zone's name leaves no room for the names below it.
pub fn offline(config: &Config) -> Result<(Engine, Arc<View>), NameError> {
    let (store, publisher) = store::new();
    let (zones, identity) = (settings::zones(config)?, settings::identity(config));
    let view = Arc::new(View::new(store, zones, identity, settings::limits(config)));
    let engine = Engine::new(
        settings::engine(config, &config.listen)?,
        Arc::clone(&view),
        publisher,
    )?;
    Ok((engine, view))
}

/// How many UDP workers `config` asks for: by default one a core.
pub fn worker_count(config: &Config) -> usize {
    settings::server(config).workers
}
