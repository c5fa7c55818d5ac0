//! DNS on sockets: datagrams and streams, all of them in front of one [`respond`](crate::answer::respond).
//!
//! Given the addresses to listen on, [`bind()`] opens the sockets early, so that a port in use is told before anything
//! else is done; [`Bound::start`] begins to read from them. What a message means is not known here: octets go in, octets
//! come out. Errors of a socket are counted ([`Counters`]) and never end its task.
//!
//! ```text
//!  a listen address                                              a worker each     one a thread, behind locks
//!   |-- udp socket, udp socket, ...  (SO_REUSEPORT) -> a thread each -\                  |
//!   '-- tcp listener -> tcp::accept -> a place (caps) -> a connection -+-> respond <-----'
//! ```
//!
//! An IPv6 address never takes IPv4 in: `[::]:53` is the IPv6 wildcard alone (`IPV6_V6ONLY`), whatever the host's default,
//! so that it can stand beside `0.0.0.0:53` and no peer has two forms.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod bind;
mod counters;
mod inherited;
mod udp;

// Streams: who may connect, and what is said then.
mod limits;
mod places;
mod tcp;

// Copies for who listens.
mod tap;

mod backoff;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time;
use tracing::info;

use crate::answer::{Verdict, View, Worker};

pub use bind::{BindError, listen};
pub use counters::{Counters, Counts};
pub use inherited::Inherited;
pub use limits::TcpLimits;
pub use tap::{Tap, TapSettings};
pub use udp::{Path, Processors, UdpSettings, wake_promptly};

/// Where to listen, and how much a stranger may hold.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Each is served over UDP and TCP. With port 0 the system chooses one port for both.
    pub listen: Vec<SocketAddr>,
    /// UDP workers, at least one. Each has a socket of its own at every listen address; the kernel spreads the clients over
    /// them.
    pub workers: usize,
    /// How datagrams are moved.
    pub udp: UdpSettings,
    /// The limits of connections.
    pub tcp: TcpSettings,
}

/// What a connection may take: places, time, and nothing else.
#[derive(Clone, Debug)]
pub struct TcpSettings {
    /// Connections in all.
    ///
    /// A connection that waits holds 4 KiB of input and up to 16 KiB of output: 20 MiB for 1000. One that is busy
    /// holds at most 64 KiB of input and twice that of output, for as long as `message`: 192 MiB for 1000.
    pub connections: usize,
    /// Connections a network: a /24 of IPv4, a /56 of IPv6 (what one customer is usually given).
    ///
    /// With half of all it takes two networks to fill the places, and while one is full the other half is left to
    /// everyone else.
    pub connections_per_prefix: usize,
    /// From the end of an answer (or the accept) to the first octet of the next message.
    pub idle: Duration,
    /// From the first octet of a message to its last, and until the client has taken some of what is written to it.
    pub message: Duration,
    /// From accept to close, whatever happens between. A full table is empty again after this time; a client that lives
    /// longer connects again.
    pub lifetime: Duration,
}

impl Default for TcpSettings {
    fn default() -> Self {
        Self {
            connections: 1000,
            connections_per_prefix: 500,
            idle: Duration::from_secs(10),
            message: Duration::from_secs(1),
            // A resolver that keeps a connection pays 12 handshakes an hour.
            lifetime: Duration::from_secs(300),
        }
    }
}

/// Opens all sockets; nothing is read from them yet.
///
/// It waits for nothing; it is async because sockets are registered with the runtime that polls it.
///
/// # Errors
///
/// The first address that cannot be had.
pub async fn bind(settings: &Settings) -> Result<Bound, BindError> {
    bind_or_take(settings, &mut Inherited::default()).await
}

/// As [`bind()`], but where sockets of an address are among those that were inherited, takes these.
///
/// # Errors
///
/// The first address that cannot be had.
pub async fn bind_or_take(
    settings: &Settings,
    inherited: &mut Inherited,
) -> Result<Bound, BindError> {
    let counters = Arc::<Counters>::default();
    let (sockets, doors) = udp::Sockets::open(settings, inherited, &counters)?;
    let (got, asked) = (counters.smallest_buffer(), settings.udp.receive_buffer);
    if got < asked as u64 {
        info!(
            got,
            asked, "the receive buffers are small: bursts are lost; raise net.core.rmem_max"
        );
    }
    Ok(Bound {
        doors,
        sockets,
        tcp: Arc::new(TcpLimits::new(&settings.tcp)),
        tap: Tap::default(),
        counters,
    })
}

/// Sockets that are held and not yet served; the kernel queues what arrives.
#[derive(Debug)]
pub struct Bound {
    doors: Vec<bind::Door>,
    sockets: udp::Sockets,
    tcp: Arc<TcpLimits>,
    tap: Tap,
    counters: Arc<Counters>,
}

impl Bound {
    /// The addresses in the order of the settings, with the ports that were chosen.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.doors.iter().map(|door| door.address).collect()
    }

    /// The sockets once more, for another process to read from when this one stops ([`Server::hand_over`]): what is queued in
    /// them belongs to all who have them.
    ///
    /// # Errors
    /// There are no file descriptors left.
    pub fn share(&self) -> io::Result<Vec<OwnedFd>> {
        let streams = self.doors.iter().map(|door| door.streams.as_fd());
        let all = self.sockets.each().chain(streams);
        all.map(|socket| socket.try_clone_to_owned()).collect()
    }

    /// How many workers [`Bound::start`] needs: those of the settings, or one a UDP socket ([`Path::Portable`]).
    pub fn workers_needed(&self) -> usize {
        self.sockets.workers_needed()
    }

    /// What the server counts, before and after its start.
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Copies what is asked and answered to the receiver of `settings`.
    ///
    /// # Errors
    /// The system gave no thread.
    pub fn copy_to(&mut self, settings: TapSettings) -> io::Result<()> {
        self.tap = Tap::start(settings, &self.counters)?;
        Ok(())
    }

    /// The limits of connections, to be set anew at any time.
    pub fn tcp_limits(&self) -> Arc<TcpLimits> {
        Arc::clone(&self.tcp)
    }

    /// Begins to answer, on the runtime that calls it and on threads of its own. `workers` are for UDP; all connections
    /// share `streams`, of which there should be as many as the runtime has threads: then none waits for another.
    ///
    /// # Errors
    /// The system gave no thread.
    ///
    /// # Panics
    ///
    /// Unless there are [`Bound::workers_needed`] workers, since a socket that no one reads would swallow its part of the
    /// clients; and without `streams`.
    pub fn start(
        self,
        view: Arc<View>,
        workers: Vec<Worker>,
        streams: Vec<Worker>,
    ) -> io::Result<Server> {
        assert_eq!(workers.len(), self.workers_needed(), "a worker each");
        assert!(!streams.is_empty(), "a worker for connections");
        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let threads = self.sockets.start(
            &view,
            workers,
            &self.counters,
            &self.tap,
            &stopping,
            &mut tasks,
        )?;
        let streams = Arc::new(tcp::Streams {
            view,
            desks: streams
                .into_iter()
                .map(tcp::Desk::new)
                .map(Mutex::new)
                .collect(),
            places: Arc::new(places::Places::new(
                Arc::clone(&self.tcp),
                Arc::clone(&self.counters),
            )),
            limits: self.tcp,
            tap: self.tap,
            counters: self.counters,
            is_handed_over: AtomicBool::new(false),
        });
        let handed_over = Arc::clone(&streams);
        for door in self.doors {
            let streams = Arc::clone(&streams);
            tasks.spawn(tcp::accept(door.streams, streams, stopping.clone()));
        }
        Ok(Server {
            tasks,
            stop,
            threads,
            streams: handed_over,
        })
    }
}

/// A running server. Dropping it closes everything at once; [`Server::shutdown`] is the polite way.
#[derive(Debug)]
pub struct Server {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    threads: udp::Threads,
    streams: Arc<tcp::Streams>,
}

impl Server {
    /// Accepts nothing more, answers what has arrived already, and closes; never longer than `drain`.
    ///
    /// What has arrived: datagrams that are queued in the sockets, and messages of which a connection holds an octet
    /// (their rest is awaited within the limit of a message).
    pub async fn shutdown(mut self, drain: Duration) {
        self.stop.send_replace(true);
        self.threads.stop();
        self.finish(drain).await;
    }

    /// As [`Server::shutdown`], where another process reads from the same sockets ([`Bound::share`]): they are not shut, and
    /// who is connected to this process may ask once more.
    pub async fn hand_over(mut self, drain: Duration) {
        self.streams.is_handed_over.store(true, Ordering::Release);
        self.stop.send_replace(true);
        self.threads.let_go();
        self.finish(drain).await;
    }

    async fn finish(&mut self, drain: Duration) {
        let finished = async {
            while self.tasks.join_next().await.is_some() {}
            self.threads.ended().await;
        };
        if time::timeout(drain, finished).await.is_err() {
            self.threads.abandon();
            self.tasks.shutdown().await;
        }
    }
}

/// Returns when the server shall stop, which is also when no one is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _gone = stop.wait_for(|stop| *stop).await;
}

/// Runs one `respond`. A panic in it costs the query that caused it, and is counted, but not the socket: a message that
/// kills would otherwise silence a worker for good.
fn guarded(counters: &Counters, respond: impl FnOnce() -> Verdict) -> Verdict {
    // What `respond` changes are counts and draws; they mean something at any point of it.
    panic::catch_unwind(AssertUnwindSafe(respond)).unwrap_or_else(|_| {
        counters.panics.add(1);
        Verdict::Silence
    })
}

/// The wall clock, in whole seconds since the epoch.
fn now_secs() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
