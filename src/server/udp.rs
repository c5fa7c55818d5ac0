//! Datagrams, in one of two ways: in batches on threads of their own where the kernel has batches, else by the runtime.
//!
//! Both take the same queries and give the same answers, and the same tests run over both.

mod portable;

#[cfg(target_os = "linux")]
mod batched;
#[cfg(target_os = "linux")]
mod kernel;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;

use socket2::SockRef;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bind::{self, BindError, Opened};
use super::{Counters, Inherited, Settings, Tap};
use crate::answer::{View, Worker};

/// How long a turn on the processor is asked to be, in nanoseconds: the least that Linux gives. What a query or a change of the
/// cluster takes fits into it.
#[cfg(target_os = "linux")]
const TURN_NANOS: u64 = 100_000;

/// Makes this thread, and those that it starts from here on, run soon after they are woken on a busy machine.
///
/// Linux (6.12 and later) lets who asks for short turns run before who asked for long ones, and gives nobody more time for
/// that: no privilege is wanted. Elsewhere it does nothing.
///
/// # Errors
/// The kernel does not know what is asked, or does not allow it; nothing else is wrong then.
pub fn wake_promptly() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    kernel::take_turns_of(TURN_NANOS)?;
    Ok(())
}

/// How datagrams are moved, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpSettings {
    /// How they are moved.
    pub path: Path,
    /// What is asked for as a receive buffer, in octets; without a privilege the kernel gives at most `net.core.rmem_max`.
    pub receive_buffer: usize,
    /// Which processors the workers run on.
    pub processors: Processors,
}

impl Default for UdpSettings {
    fn default() -> Self {
        Self {
            path: Path::default(),
            // A query of 100 octets is charged about 768: 4 MiB hold 5,400 of them, 27 ms of 200,000 queries a second.
            receive_buffer: 4 << 20,
            processors: Processors::Any,
        }
    }
}

/// How datagrams are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// A thread a worker, with a socket of its own at every listen address; up to 64 queries in one system call, and their
    /// answers in another.
    #[cfg(target_os = "linux")]
    #[cfg_attr(target_os = "linux", default)]
    Batched,
    /// A task of the runtime for every socket; answers are sent one by one.
    #[cfg_attr(not(target_os = "linux"), default)]
    Portable,
}

impl Path {
    /// Every way this platform has.
    #[cfg(test)]
    pub(super) const ALL: &[Self] = &[
        #[cfg(target_os = "linux")]
        Self::Batched,
        Self::Portable,
    ];
}

/// Which processors the workers run on. On [`Path::Portable`] any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Processors {
    /// Where the scheduler puts them.
    #[default]
    Any,
    /// Each on one of those that the process may use, in turn.
    Each,
    /// Each on one of these, in turn.
    These(Vec<usize>),
}

/// The sockets of all listen addresses.
#[derive(Debug)]
pub(super) enum Sockets {
    /// Of each worker, one an address.
    #[cfg(target_os = "linux")]
    Batched(Vec<Vec<batched::Socket>>, Processors),
    Portable(Vec<portable::Socket>),
}

impl Sockets {
    /// Opens the sockets of `settings`, with the doors they belong to.
    pub(super) fn open(
        settings: &Settings,
        inherited: &mut Inherited,
        counters: &Counters,
    ) -> Result<(Self, Vec<bind::Door>), BindError> {
        let workers = settings.workers.max(1);
        let buffer = Buffer {
            asked: settings.udp.receive_buffer,
            counters,
        };
        match settings.udp.path {
            #[cfg(target_os = "linux")]
            Path::Batched => {
                let mut doors = Vec::new();
                let mut of_workers: Vec<Vec<_>> = (0..workers).map(|_| Vec::new()).collect();
                for &address in &settings.listen {
                    let prepare = |socket, address| batched::Socket::new(socket, address, &buffer);
                    let Opened { door, datagrams } =
                        bind::open(address, workers, inherited, prepare)?;
                    // More than there are workers only where they were inherited.
                    for (number, socket) in datagrams.into_iter().enumerate() {
                        if let Some(sockets) = of_workers.get_mut(number % workers) {
                            sockets.push(socket);
                        }
                    }
                    doors.push(door);
                }
                let processors = settings.udp.processors.clone();
                Ok((Self::Batched(of_workers, processors), doors))
            }
            Path::Portable => {
                let (mut doors, mut sockets) = (Vec::new(), Vec::new());
                for &address in &settings.listen {
                    let prepare = |socket, address| portable::Socket::new(socket, address, &buffer);
                    let Opened { door, datagrams } =
                        bind::open(address, workers, inherited, prepare)?;
                    sockets.extend(datagrams);
                    doors.push(door);
                }
                Ok((Self::Portable(sockets), doors))
            }
        }
    }

    /// Every one of them.
    pub(super) fn each(&self) -> Box<dyn Iterator<Item = BorrowedFd<'_>> + '_> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(of_workers, _) => Box::new(
                of_workers
                    .iter()
                    .flatten()
                    .map(|socket| socket.io().as_fd()),
            ),
            Self::Portable(sockets) => Box::new(sockets.iter().map(portable::Socket::as_fd)),
        }
    }

    /// How many workers they need.
    pub(super) fn workers_needed(&self) -> usize {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(of_workers, _) => of_workers.len(),
            Self::Portable(sockets) => sockets.len(),
        }
    }

    /// Begins to answer. `stopping` is for the tasks of the runtime; threads are stopped through what is returned.
    pub(super) fn start(
        self,
        view: &Arc<View>,
        workers: Vec<Worker>,
        counters: &Arc<Counters>,
        tap: &Tap,
        stopping: &watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<Threads> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Batched(of_workers, processors) => {
                let workers = of_workers.into_iter().zip(workers);
                batched::Threads::start(workers, &processors, view, counters, tap)
            }
            Self::Portable(sockets) => {
                for (socket, worker) in sockets.into_iter().zip(workers) {
                    let (view, counters) = (Arc::clone(view), Arc::clone(counters));
                    let tap = tap.clone();
                    tasks.spawn(portable::serve(
                        socket,
                        view,
                        worker,
                        counters,
                        tap,
                        stopping.clone(),
                    ));
                }
                Ok(Threads::default())
            }
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) use batched::Threads;

/// There are none.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub(super) struct Threads;

#[cfg(not(target_os = "linux"))]
impl Threads {
    pub(super) fn stop(&self) {}
    pub(super) fn let_go(&self) {}
    pub(super) fn abandon(&self) {}
    pub(super) async fn ended(&mut self) {}
}

/// The receive buffer that each socket asks for.
struct Buffer<'a> {
    asked: usize,
    counters: &'a Counters,
}

impl Buffer<'_> {
    /// Asks for it, and notes what was given.
    fn set(&self, socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
        let reference = SockRef::from(socket);
        #[cfg(target_os = "linux")]
        let forced = kernel::force_receive_buffer(socket, self.asked).is_ok();
        #[cfg(not(target_os = "linux"))]
        let forced = false;
        if !forced {
            reference.set_recv_buffer_size(self.asked)?;
        }
        // Linux tells twice of what was asked, as it counts its own overhead.
        let got = reference.recv_buffer_size()? / if cfg!(target_os = "linux") { 2 } else { 1 };
        tracing::debug!(%address, asked = self.asked, got, "receive buffer");
        self.counters.note_buffer(got);
        Ok(())
    }
}
