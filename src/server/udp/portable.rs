//! A task of the runtime and a worker for every socket: what the platform has of batches in, the answers out one by one.

use std::array;
use std::io::{self, IoSliceMut};
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{self, Instant};
use tokio::{select, task};
use tracing::warn;

use super::Buffer as ReceiveBuffer;
use crate::answer::{Transport, Verdict, View, Worker, respond};
use crate::server::backoff::Backoff;
use crate::server::{Counters, Tap, guarded, now_secs, stopped};

/// Room for one receive. The kernel may join datagrams of one flow (GRO), up to 64 KiB of them; what does not fit
/// would be lost.
///
/// A batch is 32 of these, 2 MiB of address space; only pages that were written to take memory, 128 KiB of them unless
/// someone sends more than 4 KiB at once.
const BUFFER: usize = 64 << 10;

/// One UDP socket of a listen address.
#[derive(Debug)]
pub(in crate::server) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    /// Bound to all addresses: an answer must then say which one it leaves from, else the kernel chooses by route and
    /// the client discards what comes from an address that it did not ask.
    is_wildcard: bool,
}

impl Socket {
    /// Takes over a bound socket of `address`.
    pub(super) fn new(
        socket: net::UdpSocket,
        address: SocketAddr,
        buffer: &ReceiveBuffer<'_>,
    ) -> io::Result<Self> {
        // Asks for what `RecvMeta` tells, and sets "don't fragment" (RFC 9715): answers of 1232 octets pass anywhere, and
        // one that does not pass the interface is an error here rather than fragments that anyone may forge.
        let state = UdpSocketState::new((&socket).into())?;
        buffer.set(&socket, address)?;
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            address,
            is_wildcard: address.ip().is_unspecified(),
        })
    }
}

impl Socket {
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

/// Answers what arrives on `socket` until `stop`, then what is still queued in it.
pub(super) async fn serve(
    socket: Socket,
    view: Arc<View>,
    worker: Worker,
    counters: Arc<Counters>,
    tap: Tap,
    mut stop: watch::Receiver<bool>,
) {
    let mut batch = Batch::new();
    let mut desk = Desk {
        socket: &socket,
        view: &view,
        worker,
        counters: &counters,
        tap: &tap,
        reply: Vec::new(),
    };
    let mut backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(100));
    let mut stopped = pin!(stopped(&mut stop));
    loop {
        select! {
            biased;
            () = &mut stopped => break,
            ready = socket.io.readable() => if ready.is_err() {
                return; // The runtime is going down.
            },
        }
        match batch.receive_ready(&socket) {
            Ok(()) => desk.answer(&batch),
            Err(error) => {
                counters.receive_errors.add(1);
                let pause = backoff.fail(Instant::now());
                if pause.begins_streak {
                    warn!(%error, "cannot receive datagrams");
                }
                time::sleep(pause.length).await;
            }
        }
        if batch.is_full() {
            // More is waiting; under a flood the other tasks of this thread want their turn too.
            task::yield_now().await;
        }
    }
    while let Ok(()) = batch.receive(&socket) {
        desk.answer(&batch);
        if !batch.is_full() {
            break;
        }
        task::yield_now().await;
    }
}

/// What a task needs to answer, and its own buffers.
struct Desk<'a> {
    socket: &'a Socket,
    view: &'a View,
    worker: Worker,
    counters: &'a Counters,
    tap: &'a Tap,
    reply: Vec<u8>,
}

impl Desk<'_> {
    fn answer(&mut self, batch: &Batch) {
        let now = now_secs();
        for (meta, datagram) in batch.datagrams() {
            // No one can receive on port 0: the source is forged.
            if meta.addr.port() == 0 {
                self.counters.port_zero.add(1);
                continue;
            }
            let peer = meta.addr.ip();
            let verdict = guarded(self.counters, || {
                respond(
                    datagram,
                    peer,
                    Transport::Udp,
                    self.view,
                    &mut self.worker,
                    now,
                    &mut self.reply,
                )
            });
            let is_answered = verdict == Verdict::Reply;
            let from = (peer, meta.addr.port());
            let answer = is_answered.then_some(self.reply.as_slice());
            let local = self.socket.address;
            self.tap
                .answered(Transport::Udp, from, local, datagram, answer);
            if is_answered {
                self.send(meta);
            }
        }
    }

    /// Sends the reply back, or drops it: a client asks again, and an answer that waited for a full socket would hold up
    /// those behind it.
    fn send(&self, meta: &RecvMeta) {
        let transmit = Transmit {
            destination: meta.addr,
            ecn: None,
            contents: &self.reply,
            segment_size: None,
            src_ip: meta.dst_ip.filter(|_| self.socket.is_wildcard),
        };
        let io = (&self.socket.io).into();
        if self.socket.state.try_send(io, &transmit).is_err() {
            self.counters.send_errors.add(1);
        }
    }
}

/// What one receive call brought.
struct Batch {
    octets: Vec<u8>,
    metas: [RecvMeta; BATCH_SIZE],
    received: usize,
}

impl Batch {
    fn new() -> Self {
        Self {
            octets: vec![0; BATCH_SIZE * BUFFER],
            metas: [RecvMeta::default(); BATCH_SIZE],
            received: 0,
        }
    }

    /// Whether there may be more where this came from.
    fn is_full(&self) -> bool {
        self.received == BATCH_SIZE
    }

    /// Receives, and tells the runtime when the socket is empty.
    fn receive_ready(&mut self, socket: &Socket) -> io::Result<()> {
        let outcome = socket.io.try_io(Interest::READABLE, || {
            self.receive(socket)?;
            if self.is_full() {
                Ok(())
            } else {
                // The call met the end of the queue. To say so saves a second call that would only be told the same.
                Err(io::ErrorKind::WouldBlock.into())
            }
        });
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    fn receive(&mut self, socket: &Socket) -> io::Result<()> {
        self.received = 0;
        let mut buffers = self.octets.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let io = (&socket.io).into();
        self.received = socket.state.recv(io, &mut slices, &mut self.metas)?;
        Ok(())
    }

    /// The datagrams, those that the kernel had joined taken apart again.
    fn datagrams(&self) -> impl Iterator<Item = (&RecvMeta, &[u8])> {
        let received = self.metas.iter().zip(self.octets.chunks_exact(BUFFER));
        received.take(self.received).flat_map(|(meta, buffer)| {
            let joined = buffer.get(..meta.len).unwrap_or_default();
            let datagrams = joined.chunks(meta.stride.max(1));
            datagrams.map(move |datagram| (meta, datagram))
        })
    }
}
