//! The limits of connections, which may be set anew while there are some.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::TcpSettings;

/// The limits in force. A connection has a new one from its next message on; who is in stays in, however few places there
/// are from then on.
#[derive(Debug)]
pub struct TcpLimits {
    connections: AtomicUsize,
    connections_per_prefix: AtomicUsize,
    idle_millis: AtomicU64,
    message_millis: AtomicU64,
    lifetime_millis: AtomicU64,
}

impl TcpLimits {
    pub(super) fn new(settings: &TcpSettings) -> Self {
        let limits = Self {
            connections: AtomicUsize::new(0),
            connections_per_prefix: AtomicUsize::new(0),
            idle_millis: AtomicU64::new(0),
            message_millis: AtomicU64::new(0),
            lifetime_millis: AtomicU64::new(0),
        };
        limits.set(settings);
        limits
    }

    /// Puts these in force, one after another: none of them needs the others.
    pub fn set(&self, settings: &TcpSettings) {
        /// "Never" is a year: a time that can be added to a clock.
        const YEAR: Duration = Duration::from_secs(365 * 86_400);
        let millis = |time: Duration| u64::try_from(time.min(YEAR).as_millis()).unwrap_or(u64::MAX);
        let order = Ordering::Relaxed;
        self.connections.store(settings.connections, order);
        self.connections_per_prefix
            .store(settings.connections_per_prefix, order);
        self.idle_millis.store(millis(settings.idle), order);
        self.message_millis.store(millis(settings.message), order);
        self.lifetime_millis.store(millis(settings.lifetime), order);
    }

    /// Connections in all, and of one network.
    pub(super) fn places(&self) -> (usize, usize) {
        let all = self.connections.load(Ordering::Relaxed);
        (all, self.connections_per_prefix.load(Ordering::Relaxed))
    }

    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.idle_millis.load(Ordering::Relaxed))
    }

    pub(super) fn message(&self) -> Duration {
        Duration::from_millis(self.message_millis.load(Ordering::Relaxed))
    }

    pub(super) fn lifetime(&self) -> Duration {
        Duration::from_millis(self.lifetime_millis.load(Ordering::Relaxed))
    }

    /// All of them, for tests: in force is what was set last.
    pub fn read(&self) -> TcpSettings {
        let (connections, connections_per_prefix) = self.places();
        TcpSettings {
            connections,
            connections_per_prefix,
            idle: self.idle(),
            message: self.message(),
            lifetime: self.lifetime(),
        }
    }
}
