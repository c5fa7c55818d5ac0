//! dnstap: a copy of every query and its answer for whoever listens at a Unix socket (<https://dnstap.info>).
//!
//! A [`Tap`] is given what was asked and answered, and hands it to a thread of its own, which writes it in frames; it never
//! waits, and what does not fit into its queue is dropped and counted. Without the feature `dnstap` it is nothing at all, and
//! the code that answers is the same as if it were not there; with it and none configured it is one comparison a query.
//!
//! ```text
//! worker ── query, answer ──> queue (dropped when full) ──> thread: protobuf, frame ──> Unix socket
//! ```

#[cfg(not(feature = "dnstap"))]
mod disabled;
#[cfg(feature = "dnstap")]
mod enabled;
#[cfg(feature = "dnstap")]
mod protobuf;
#[cfg(feature = "dnstap")]
mod stream;

#[cfg(not(feature = "dnstap"))]
pub use disabled::Tap;
#[cfg(feature = "dnstap")]
pub use enabled::Tap;

use std::path::PathBuf;

/// Who listens, and what this server calls itself there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TapSettings {
    /// The Unix socket of the receiver.
    pub socket: PathBuf,
    /// Tells one server from another.
    pub identity: String,
    /// The program and its version.
    pub version: String,
}
