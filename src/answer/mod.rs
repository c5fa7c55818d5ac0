//! The one request path: bytes in, bytes out.

use std::net::IpAddr;

/// How a query came in; the same bytes go out on all of them, but for the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: at most 1232 octets, or what the client says.
    Udp,
    /// Streams with a two-octet length in front of each message.
    Tcp,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is sent.
    Silence,
    /// `out` holds the answer.
    Reply,
}

/// What a query may see: store, zones, identity, limits.
#[derive(Debug, Default)]
pub struct View {}

/// Chance and counts of one caller of [`respond`].
#[derive(Debug, Default)]
pub struct Worker {}

/// Answers one message. `out` is cleared first; on [`Verdict::Reply`] it holds exactly the answer.
/// `now` is the wall clock in whole seconds since the epoch.
pub fn respond(
    packet: &[u8],
    _peer: IpAddr,
    _transport: Transport,
    _view: &View,
    _worker: &mut Worker,
    _now: u64,
    out: &mut Vec<u8>,
) -> Verdict {
    out.clear();
    let Some(header) = packet.get(..12) else {
        return Verdict::Silence;
    };
    out.extend_from_slice(header);
    if let Some(flags) = out.get_mut(2) {
        *flags |= 0x80;
    }
    Verdict::Reply
}
