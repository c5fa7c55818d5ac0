//! A thread a worker: a batch of queries in, the batch of their answers out, and nothing else on the way.
//!
//! ```text
//!   a worker with one socket:   recvmmsg (waits for the first) ------------------> respond, each -> sendmmsg
//!   with several:               poll -> recvmmsg (does not wait) of each ready one -> respond, each -> sendmmsg
//!   and once a second:          what the kernel dropped
//! ```
//!
//! A thread that waits in `recvmmsg` is woken by shutting its socket for reading: the call returns at once, what is queued
//! can still be received, and until then it costs nothing. (A second descriptor to wait for would be one more system call
//! a batch; a signal may come just before the wait.) That an unconnected socket can be shut is Linux's habit and in no
//! manual, so the wait ends by itself once a second as well.

use std::io;
use std::net::{Shutdown, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::SockRef;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use super::kernel::{self, BATCH, Batch, Readiness, ReplyFrom, Wait};
use super::{Buffer, Processors};
use crate::answer::{Transport, Verdict, View, Worker, respond};
use crate::server::backoff::Backoff;
use crate::server::{Counters, Tap, guarded, now_secs};

/// How long a thread waits before it looks whether it shall stop, should nothing have woken it.
const LOOK_UP: Duration = Duration::from_secs(1);

/// How long answers wait for room in a full send buffer. A link that is busy has some again within a millisecond; one that
/// stands still must not hold up the queries behind, and who is not answered asks again.
const SEND_PATIENCE: Duration = Duration::from_millis(5);

/// One UDP socket of a listen address.
#[derive(Debug)]
pub(in crate::server) struct Socket {
    io: Arc<UdpSocket>,
    address: SocketAddr,
    from: ReplyFrom,
    /// The kernel's count of drops when it was last looked at, and the second of that.
    dropped: u32,
    looked_at: u64,
}

impl Socket {
    /// Takes over a bound socket of `address`.
    pub(super) fn new(
        socket: UdpSocket,
        address: SocketAddr,
        buffer: &Buffer<'_>,
    ) -> io::Result<Self> {
        // Bound to all addresses: an answer must then say which one it leaves from, else the kernel chooses by route and the
        // client discards what comes from an address that it did not ask.
        let from = if address.ip().is_unspecified() {
            ReplyFrom::Asked
        } else {
            ReplyFrom::Bound
        };
        kernel::prepare(&socket, from)?;
        buffer.set(&socket, address)?;
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(LOOK_UP))?;
        socket.set_write_timeout(Some(SEND_PATIENCE))?;
        Ok(Self {
            io: Arc::new(socket),
            address,
            from,
            dropped: 0,
            looked_at: 0,
        })
    }
}

impl Socket {
    pub(super) fn io(&self) -> &UdpSocket {
        &self.io
    }
}

/// How far a server has come to its end.
#[derive(Debug, Default)]
struct Stage(AtomicU8);

impl Stage {
    const DRAINING: u8 = 1;
    const ABANDONED: u8 = 2;

    fn reach(&self, stage: u8) {
        self.0.fetch_max(stage, Ordering::Release);
    }

    fn is_running(&self) -> bool {
        self.0.load(Ordering::Acquire) == 0
    }

    fn is_abandoned(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::ABANDONED
    }
}

/// The threads of a server. Dropping them ends them at once, whatever is still queued.
#[derive(Debug, Default)]
pub(in crate::server) struct Threads {
    stage: Arc<Stage>,
    /// To wake who waits in one; a thread that ends closes its own.
    sockets: Vec<Weak<UdpSocket>>,
    threads: Vec<JoinHandle<()>>,
    /// Closed when the last thread has ended.
    ended: Option<mpsc::Receiver<()>>,
}

impl Threads {
    /// Starts a thread for each worker and its sockets.
    ///
    /// # Errors
    /// The system gave no thread; those that had begun have ended.
    pub(super) fn start(
        workers: impl Iterator<Item = (Vec<Socket>, Worker)>,
        processors: &Processors,
        view: &Arc<View>,
        counters: &Arc<Counters>,
        tap: &Tap,
    ) -> io::Result<Self> {
        let (running, ended) = mpsc::channel(1);
        let mut threads = Self::default();
        threads.ended = Some(ended);
        let mut processors = processors_in_turn(processors);
        for (number, (sockets, worker)) in workers.enumerate() {
            let sockets_of = sockets.iter().map(|socket| Arc::downgrade(&socket.io));
            threads.sockets.extend(sockets_of);
            let desk = DeskParts {
                sockets,
                worker,
                view: Arc::clone(view),
                counters: Arc::clone(counters),
                tap: tap.clone(),
                stage: Arc::clone(&threads.stage),
                processor: processors.next(),
            };
            let running = running.clone();
            let thread = thread::Builder::new().name(format!("udp-{number}"));
            threads.threads.push(thread.spawn(move || {
                desk.serve();
                drop(running);
            })?);
        }
        Ok(threads)
    }

    /// Lets the threads answer what is queued, and end.
    pub(in crate::server) fn stop(&self) {
        self.reach(Stage::DRAINING);
    }

    /// As [`Threads::stop`], and leaves the sockets as they are, for another process that has them too: a thread that waits
    /// notices within [`LOOK_UP`].
    pub(in crate::server) fn let_go(&self) {
        self.stage.reach(Stage::DRAINING);
    }

    /// Lets the threads end.
    pub(in crate::server) fn abandon(&self) {
        self.reach(Stage::ABANDONED);
    }

    fn reach(&self, stage: u8) {
        self.stage.reach(stage);
        for socket in self.sockets.iter().filter_map(Weak::upgrade) {
            // It says that there is no connection to shut, and wakes the thread all the same.
            let _no_connection = SockRef::from(&*socket).shutdown(Shutdown::Read);
        }
    }

    /// Returns when all threads have ended.
    pub(in crate::server) async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            while ended.recv().await.is_some() {}
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.abandon();
        for thread in self.threads.drain(..) {
            // A panic was printed where it happened.
            let _ = thread.join();
        }
    }
}

/// The processor of each worker; nothing at all where any will do.
fn processors_in_turn(processors: &Processors) -> impl Iterator<Item = usize> + use<> {
    let numbers = match processors {
        Processors::Any => Vec::new(),
        Processors::These(numbers) => numbers.clone(),
        Processors::Each => kernel::processors().unwrap_or_else(|error| {
            warn!(%error, "cannot tell which processors may be used; the workers run on any");
            Vec::new()
        }),
    };
    numbers.into_iter().cycle()
}

/// What a thread is given.
struct DeskParts {
    sockets: Vec<Socket>,
    worker: Worker,
    view: Arc<View>,
    counters: Arc<Counters>,
    tap: Tap,
    stage: Arc<Stage>,
    processor: Option<usize>,
}

impl DeskParts {
    /// The whole life of a thread.
    fn serve(self) {
        // First, so that what it allocates lies near the processor.
        if let Some(number) = self.processor
            && let Err(error) = kernel::run_on(number)
        {
            warn!(%error, processor = number, "a worker cannot run there and runs on any processor");
        }
        let mut sockets = self.sockets;
        let mut desk = Desk {
            batch: Batch::new(),
            worker: self.worker,
            view: &self.view,
            counters: &self.counters,
            tap: &self.tap,
            stage: &self.stage,
            backoff: Backoff::new(Duration::from_millis(1), Duration::from_millis(100)),
        };
        match sockets.as_mut_slice() {
            [socket] => desk.serve_one(socket),
            sockets => desk.serve_several(sockets),
        }
        for socket in &mut sockets {
            desk.drain(socket);
            desk.count_dropped(socket);
        }
    }
}

/// What a thread answers with.
struct Desk<'a> {
    batch: Batch,
    worker: Worker,
    view: &'a View,
    counters: &'a Counters,
    tap: &'a Tap,
    stage: &'a Stage,
    backoff: Backoff,
}

impl Desk<'_> {
    fn serve_one(&mut self, socket: &mut Socket) {
        while self.stage.is_running() {
            self.turn(socket, Wait::First);
        }
    }

    fn serve_several(&mut self, sockets: &mut [Socket]) {
        let mut readiness = Readiness::of(sockets.iter().map(|socket| &*socket.io));
        while self.stage.is_running() {
            if let Err(error) = readiness.wait(LOOK_UP) {
                self.failed(&error);
                continue;
            }
            // A batch each: one that is always full does not keep the others waiting. Where none is ready a second has
            // passed, and each has its look.
            let is_quiet = readiness.each().all(|is_ready| !is_ready);
            for (socket, is_ready) in sockets.iter_mut().zip(readiness.each()) {
                if is_ready || is_quiet {
                    self.turn(socket, Wait::Not);
                }
            }
        }
    }

    /// Answers what is queued, as long as somebody waits for that.
    fn drain(&mut self, socket: &mut Socket) {
        while !self.stage.is_abandoned() && self.turn(socket, Wait::Not) == BATCH {}
    }

    /// Receives a batch and answers it; returns how many datagrams it was.
    fn turn(&mut self, socket: &mut Socket, wait: Wait) -> usize {
        let received = self.batch.receive(&socket.io, wait);
        let now = now_secs();
        let received = match received {
            Ok(received) => {
                self.answer(socket, now);
                received
            }
            Err(error) => {
                self.failed(&error);
                0
            }
        };
        if now != socket.looked_at {
            socket.looked_at = now;
            self.count_dropped(socket);
        }
        received
    }

    fn answer(&mut self, socket: &Socket, now: u64) {
        self.batch.answer(socket.from, |query, source, reply| {
            // No one can receive on port 0: the source is forged.
            if source.port == 0 {
                self.counters.port_zero.add(1);
                return false;
            }
            let verdict = guarded(self.counters, || {
                respond(
                    query,
                    source.address,
                    Transport::Udp,
                    self.view,
                    &mut self.worker,
                    now,
                    reply,
                )
            });
            let is_answered = verdict == Verdict::Reply;
            let peer = (source.address, source.port);
            let answer = is_answered.then_some(reply.as_slice());
            self.tap
                .answered(Transport::Udp, peer, socket.address, query, answer);
            is_answered
        });
        let failed = self.batch.send(&socket.io);
        if failed > 0 {
            self.counters.send_errors.add(failed as u64);
        }
    }

    /// Counts what the kernel has dropped since the last look. Where it does not tell, nothing is counted.
    fn count_dropped(&self, socket: &mut Socket) {
        if let Ok(dropped) = kernel::dropped(&socket.io)
            && dropped != socket.dropped
        {
            let more = dropped.wrapping_sub(socket.dropped);
            self.counters.overflowed.add(more.into());
            socket.dropped = dropped;
        }
    }

    /// Leaves the socket alone for a while, unless nothing is wrong with it.
    fn failed(&mut self, error: &io::Error) {
        use io::ErrorKind::{Interrupted, WouldBlock};
        if matches!(error.kind(), Interrupted | WouldBlock) {
            return;
        }
        self.counters.receive_errors.add(1);
        let pause = self.backoff.fail(Instant::now());
        if pause.begins_streak {
            warn!(%error, "cannot receive datagrams");
        }
        thread::sleep(pause.length);
    }
}
