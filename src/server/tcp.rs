//! Streams: messages with a two-octet length in front (RFC 1035, section 4.2.2), many on a connection (RFC 7766).
//!
//! ```text
//!            first octet               last octet            all answers of what was read, in one write
//!  waiting -------------> in a message ----------> answering ----------------------------------------> waiting
//!     | idle                   | message               | message, without progress                       |
//!     '------------------------+----- closed ----------+-------------------------------------------------'
//! ```
//!
//! Nothing is read while an answer is being written, so a client that does not read is not read from either.

use std::convert::Infallible;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{self, Instant};
use tracing::warn;

use super::backoff::Backoff;
use super::places::{Place, Places};
use super::{Counters, Tap, TcpLimits, guarded, now_secs, stopped};
use crate::answer::{Transport, Verdict, View, Worker, respond};

/// What a waiting connection keeps for reading: some 80 queries as resolvers send them.
const INPUT: usize = 4 << 10;

/// The longest message with its length. The buffer grows to it as octets arrive, not when a length promises them.
const INPUT_MAX: usize = 2 + u16::MAX as usize;

/// What a waiting connection keeps for writing: the answers to what fits into [`INPUT`].
const OUTPUT: usize = 16 << 10;

/// Answers are written when they pass this, before the next is made; with one more of the longest answers behind it,
/// the buffer stays below 128 KiB.
const OUTPUT_FULL: usize = 64 << 10;

/// When the listeners were handed over, a connection ends after so much silence: a query that was sent before its client
/// could know is under way for less.
const PARTING: Duration = Duration::from_secs(1);

/// And after this time at the first moment without a query: below the time there is for draining.
const PARTING_MAX: Duration = Duration::from_secs(3);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) view: Arc<View>,
    /// Held for the answers to what was read and never across an await, so plain locks. With as many as the runtime has
    /// threads one is always free.
    pub(super) desks: Box<[Mutex<Desk>]>,
    pub(super) places: Arc<Places>,
    pub(super) limits: Arc<TcpLimits>,
    pub(super) tap: Tap,
    pub(super) counters: Arc<Counters>,
    /// The listeners are another process's too, and connections of this one may ask once more when it stops.
    pub(super) is_handed_over: AtomicBool,
}

/// Where one answer at a time is made.
#[derive(Debug)]
pub(super) struct Desk {
    worker: Worker,
    reply: Vec<u8>,
}

impl Desk {
    pub(super) fn new(worker: Worker) -> Self {
        Self {
            worker,
            reply: Vec::new(),
        }
    }
}

/// Accepts connections until `stop`, then waits for those that are open.
pub(super) async fn accept(
    listener: TcpListener,
    streams: Arc<Streams>,
    stop: watch::Receiver<bool>,
) {
    // It was bound to one; a socket that cannot tell it any more accepts nothing either.
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let local = listener.local_addr().unwrap_or(nowhere);
    let mut connections = JoinSet::new();
    // Without file descriptors every accept fails and the listener stays ready: the pause is what keeps the processor
    // free for UDP, which needs none.
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
    let mut stopping = stop.clone();
    let mut stopped = pin!(stopped(&mut stopping));
    loop {
        let accepted = select! {
            biased;
            () = &mut stopped => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (port, peer) = (peer.port(), peer.ip().to_canonical());
                if let Some(place) = streams.places.take(peer) {
                    let ends = Ends { peer, port, local };
                    let connection = Connection::new(stream, ends, place, Arc::clone(&streams));
                    connections.spawn(connection.serve(stop.clone()));
                }
            }
            // The client left before its turn: nothing of ours.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                streams.counters.accept_errors.add(1);
            }
            Err(error) => {
                streams.counters.accept_errors.add(1);
                let pause = backoff.fail(Instant::now());
                if pause.begins_streak {
                    warn!(%error, "cannot accept connections");
                }
                select! {
                    () = &mut stopped => break,
                    () = time::sleep(pause.length) => {}
                }
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client closed it, or the network did.
    Gone,
    /// A message of length 0, or one that is not answered: whoever sent it does not speak DNS.
    Nonsense,
    /// The server stops.
    Stopped,
    /// No message began.
    Idle,
    /// A message did not end.
    Message,
    /// The client does not read.
    Write,
    /// The connection is too old.
    Lifetime,
}

/// Who is at the two ends of a connection.
#[derive(Clone, Copy)]
struct Ends {
    peer: IpAddr,
    port: u16,
    /// The address that is listened on.
    local: SocketAddr,
}

struct Connection {
    stream: TcpStream,
    ends: Ends,
    streams: Arc<Streams>,
    end_of_life: Instant,
    /// Octets read and not yet answered: between two reads, the part of a message.
    input: Vec<u8>,
    /// Answers with their lengths, not yet written.
    output: Vec<u8>,
    _place: Place,
}

impl Connection {
    fn new(stream: TcpStream, ends: Ends, place: Place, streams: Arc<Streams>) -> Self {
        Self {
            stream,
            ends,
            end_of_life: Instant::now() + streams.limits.lifetime(),
            streams,
            input: Vec::with_capacity(INPUT),
            output: Vec::new(),
            _place: place,
        }
    }

    async fn serve(mut self, stop: watch::Receiver<bool>) {
        // Answers are written whole, so there is nothing to wait for; without it they only come later.
        let _slower = self.stream.set_nodelay(true);
        let Err(end) = self.converse(stop).await;
        let counters = &self.streams.counters;
        match end {
            End::Gone | End::Nonsense | End::Stopped => {}
            End::Idle => counters.closed_idle.add(1),
            End::Message => counters.closed_message.add(1),
            End::Write => counters.closed_write.add(1),
            End::Lifetime => counters.closed_lifetime.add(1),
        }
        if !self.output.is_empty() {
            // Else the kernel would go on offering the answers for minutes, outside of all limits.
            let _ = self.stream.set_zero_linger();
        }
    }

    /// Reads and answers until the end; there is no other way out.
    async fn converse(&mut self, mut stop: watch::Receiver<bool>) -> Result<Infallible, End> {
        let mut idle_since = Instant::now();
        // When the first octet of the message in `input` was read.
        let mut begun: Option<Instant> = None;
        // Since when it waits only for what may be under way.
        let mut parting: Option<Instant> = None;
        loop {
            let limits = &self.streams.limits;
            let (limit, due) = match (begun, parting) {
                (Some(begun), _) => (End::Message, begun + limits.message()),
                (None, None) => (End::Idle, idle_since + limits.idle()),
                (None, Some(since)) => (End::Stopped, idle_since.max(since) + PARTING),
            };
            select! {
                biased;
                read = self.read(limit, due) => read?,
                () = stopped(&mut stop), if begun.is_none() && parting.is_none() => {
                    if self.streams.is_handed_over.load(Ordering::Acquire) {
                        parting = Some(Instant::now());
                        continue;
                    }
                    self.read_at_hand()?;
                }
            }
            let read = Instant::now();
            let answered = self.answer().await?;
            begun = match begun {
                _ if self.input.is_empty() => None,
                Some(begun) if answered == 0 => Some(begun),
                _ => Some(read),
            };
            if begun.is_none() && parting.is_some_and(|since| since.elapsed() > PARTING_MAX) {
                // Who asks without a pause is answered to the last message that has come.
                self.read_at_hand()?;
                self.answer().await?;
                return Err(End::Stopped);
            }
            if begun.is_none() {
                idle_since = Instant::now();
                self.input.shrink_to(INPUT);
                self.output.shrink_to(OUTPUT);
            }
        }
    }

    /// Reads what comes until `due`, which is `limit`.
    async fn read(&mut self, limit: End, due: Instant) -> Result<(), End> {
        if self.input.len() == self.input.capacity() {
            let longest = INPUT_MAX.saturating_sub(self.input.len());
            self.input
                .reserve_exact(self.input.len().max(INPUT).min(longest));
        }
        let read = self.stream.read_buf(&mut self.input);
        match time::timeout_at(due.min(self.end_of_life), read).await {
            Ok(Ok(0) | Err(_)) => Err(End::Gone),
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(if due < self.end_of_life {
                limit
            } else {
                End::Lifetime
            }),
        }
    }

    /// Reads what has arrived, whether or not the runtime has noticed; the end if that is nothing.
    fn read_at_hand(&mut self) -> Result<(), End> {
        let mut octets = [0; INPUT];
        match (&*SockRef::from(&self.stream)).read(&mut octets) {
            Ok(0) | Err(_) => Err(End::Stopped),
            Ok(read) => {
                self.input.extend(octets.iter().take(read));
                Ok(())
            }
        }
    }

    /// Answers all whole messages of the input, and returns how many they were.
    async fn answer(&mut self) -> Result<usize, End> {
        let now = now_secs();
        let (mut taken, mut answered) = (0, 0);
        let end = loop {
            let input = self.input.get(taken..).unwrap_or_default();
            let run = self
                .streams
                .respond(input, self.ends, now, &mut self.output);
            taken += run.taken;
            answered += run.answered;
            match run.then {
                Then::Read => break Ok(answered),
                Then::Close => break Err(End::Nonsense),
                Then::Write => self.write().await?,
            }
        };
        // Also before a close: answers to good messages do not suffer for the bad one behind them.
        self.write().await?;
        self.input.drain(..taken);
        end
    }

    /// Writes the output, as long as the client takes some of it within the limit.
    async fn write(&mut self) -> Result<(), End> {
        let mut rest = self.output.as_slice();
        while !rest.is_empty() {
            let due = Instant::now() + self.streams.limits.message();
            match time::timeout_at(due.min(self.end_of_life), self.stream.write(rest)).await {
                Ok(Ok(0) | Err(_)) => return Err(End::Gone),
                Ok(Ok(written)) => rest = rest.get(written..).unwrap_or_default(),
                Err(_) if due < self.end_of_life => return Err(End::Write),
                Err(_) => return Err(End::Lifetime),
            }
        }
        self.output.clear();
        Ok(())
    }
}

/// What became of a run of messages.
struct Run {
    /// The octets that are done with.
    taken: usize,
    /// The messages that were answered.
    answered: usize,
    then: Then,
}

/// What to do after it.
enum Then {
    /// No whole message is left.
    Read,
    /// The answers are enough for a write; there may be more messages.
    Write,
    /// What follows is not DNS.
    Close,
}

impl Streams {
    /// A desk that nobody else sits at.
    fn desk(&self) -> Option<MutexGuard<'_, Desk>> {
        let free = self.desks.iter().find_map(|desk| match desk.try_lock() {
            Ok(desk) => Some(desk),
            // Its counts and draws mean something whatever happened.
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        });
        let wait = || {
            let first = self.desks.first()?;
            Some(first.lock().unwrap_or_else(PoisonError::into_inner))
        };
        free.or_else(wait)
    }

    /// Puts the answers to the messages of `input` behind `output`, each with its length.
    fn respond(&self, input: &[u8], ends: Ends, now: u64, output: &mut Vec<u8>) -> Run {
        let mut run = Run {
            taken: 0,
            answered: 0,
            then: Then::Close,
        };
        let Some(mut desk) = self.desk() else {
            return run;
        };
        let Desk { worker, reply } = &mut *desk;
        run.then = loop {
            let message = match Framed::first(input.get(run.taken..).unwrap_or_default()) {
                Framed::Part => break Then::Read,
                Framed::Empty => break Then::Close,
                Framed::Whole(message) => message,
            };
            let verdict = guarded(&self.counters, || {
                let transport = Transport::Tcp;
                let view = &self.view;
                respond(message, ends.peer, transport, view, worker, now, reply)
            });
            let answer = (verdict == Verdict::Reply).then_some(reply.as_slice());
            let peer = (ends.peer, ends.port);
            self.tap
                .answered(Transport::Tcp, peer, ends.local, message, answer);
            // `respond` keeps to the limit of its transport; what does not fit a length cannot be sent at all.
            let (Verdict::Reply, Ok(length)) = (verdict, u16::try_from(reply.len())) else {
                break Then::Close;
            };
            output.extend_from_slice(&length.to_be_bytes());
            output.extend_from_slice(reply);
            run.taken += 2 + message.len();
            run.answered += 1;
            if output.len() >= OUTPUT_FULL {
                break Then::Write;
            }
        };
        run
    }
}

/// What the first octets of a stream are.
#[derive(Debug, PartialEq, Eq)]
enum Framed<'a> {
    /// A message, without its length.
    Whole(&'a [u8]),
    /// The beginning of one, or nothing.
    Part,
    /// The length 0.
    Empty,
}

impl<'a> Framed<'a> {
    fn first(octets: &'a [u8]) -> Self {
        let Some((length, rest)) = octets.split_first_chunk() else {
            return Self::Part;
        };
        match usize::from(u16::from_be_bytes(*length)) {
            0 => Self::Empty,
            length => rest.get(..length).map_or(Self::Part, Self::Whole),
        }
    }
}
