//! What the server itself knows; what is answered is counted by the workers.

use std::sync::atomic::{AtomicU64, Ordering};

/// Written by the server's tasks, read by whoever shows them.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) connections_open: Count,
    pub(super) connections_refused: Count,
    pub(super) closed_idle: Count,
    pub(super) closed_message: Count,
    pub(super) closed_write: Count,
    pub(super) closed_lifetime: Count,
    pub(super) accept_errors: Count,
    pub(super) receive_errors: Count,
    pub(super) send_errors: Count,
    pub(super) port_zero: Count,
    pub(super) panics: Count,
    pub(super) overflowed: Count,
    pub(super) tap_written: Count,
    pub(super) tap_dropped: Count,
    /// 0 before the first socket.
    smallest_buffer: AtomicU64,
}

/// The counters at one time. All but the first only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that are open.
    pub connections_open: u64,
    /// Connections closed at once because all places, or those of their network, were taken.
    pub connections_refused: u64,
    /// Connections on which no message began in time.
    pub closed_idle: u64,
    /// Connections on which a message began and did not end in time.
    pub closed_message: u64,
    /// Connections whose client did not take its answers in time.
    pub closed_write: u64,
    /// Connections that reached their total limit.
    pub closed_lifetime: u64,
    /// Accepts that failed, most often for want of file descriptors.
    pub accept_errors: u64,
    /// Receives of datagrams that failed.
    pub receive_errors: u64,
    /// Answers dropped because the socket did not take them.
    pub send_errors: u64,
    /// Datagrams from source port 0, which are never answered.
    pub port_zero: u64,
    /// Queries that made the answering code panic.
    pub panics: u64,
    /// Datagrams that the kernel dropped, most often because a receive buffer was full; looked at once a second.
    pub overflowed: u64,
    /// Queries, each with its answer, that a receiver of dnstap took.
    pub tap_written: u64,
    /// Those that it did not take, or that did not fit into the queue in front of it.
    pub tap_dropped: u64,
}

impl Counters {
    /// Each value is exact; they are not read at the same instant.
    pub fn read(&self) -> Counts {
        Counts {
            connections_open: self.connections_open.get(),
            connections_refused: self.connections_refused.get(),
            closed_idle: self.closed_idle.get(),
            closed_message: self.closed_message.get(),
            closed_write: self.closed_write.get(),
            closed_lifetime: self.closed_lifetime.get(),
            accept_errors: self.accept_errors.get(),
            receive_errors: self.receive_errors.get(),
            send_errors: self.send_errors.get(),
            port_zero: self.port_zero.get(),
            panics: self.panics.get(),
            overflowed: self.overflowed.get(),
            tap_written: self.tap_written.get(),
            tap_dropped: self.tap_dropped.get(),
        }
    }

    /// The smallest receive buffer that a UDP socket has been given, in octets.
    pub fn smallest_buffer(&self) -> u64 {
        self.smallest_buffer.load(Ordering::Relaxed)
    }

    /// Notes the receive buffer of one more socket.
    pub(super) fn note_buffer(&self, octets: usize) {
        let octets = octets as u64;
        let smaller = |smallest| (smallest == 0 || octets < smallest).then_some(octets);
        let _ = self
            .smallest_buffer
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, smaller);
    }
}

/// A number that orders nothing else, hence relaxed.
#[derive(Debug, Default)]
pub(in crate::server) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn sub(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
