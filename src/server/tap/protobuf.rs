//! The messages of `dnstap.proto`, written by hand: a dozen fields of three sorts.

use std::net::{IpAddr, SocketAddr};
use std::time::SystemTime;

use super::TapSettings;
use super::enabled::Seen;
use crate::answer::Transport;

// How a field is written (Protocol Buffers, "Message Structure").
const VARINT: u32 = 0;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// `Message.Type`.
const AUTH_QUERY: u64 = 1;
const AUTH_RESPONSE: u64 = 2;
/// `Dnstap.Type`.
const MESSAGE: u64 = 1;

/// Writes one `Dnstap` with the query, or with the answer, of `seen`.
pub(super) fn message(out: &mut Vec<u8>, settings: &TapSettings, seen: &Seen, is_query: bool) {
    bytes(out, 1, settings.identity.as_bytes());
    bytes(out, 2, settings.version.as_bytes());
    let inner = inner(seen, is_query);
    bytes(out, 14, &inner);
    number(out, 15, MESSAGE);
}

/// The `Message` in it.
fn inner(seen: &Seen, is_query: bool) -> Vec<u8> {
    let Seen {
        transport,
        peer: (peer, peer_port),
        local,
        at,
        query,
        reply,
    } = seen;
    let out = &mut Vec::with_capacity(96 + query.len().max(reply.as_ref().map_or(0, |r| r.len())));
    number(out, 1, if is_query { AUTH_QUERY } else { AUTH_RESPONSE });
    // SocketFamily and SocketProtocol.
    number(out, 2, if peer.is_ipv4() { 1 } else { 2 });
    number(
        out,
        3,
        match transport {
            Transport::Udp => 1,
            Transport::Tcp => 2,
        },
    );
    address(out, 4, *peer);
    respondent(out, local);
    number(out, 6, (*peer_port).into());
    number(out, 7, local.port().into());
    time(out, 8, *at);
    match (is_query, reply) {
        (false, Some(reply)) => {
            time(out, 12, *at);
            bytes(out, 14, reply);
        }
        _ => bytes(out, 10, query),
    }
    std::mem::take(out)
}

/// Where it was asked; a wildcard is nobody's address.
fn respondent(out: &mut Vec<u8>, local: &SocketAddr) {
    if !local.ip().is_unspecified() {
        address(out, 5, local.ip());
    }
}

fn address(out: &mut Vec<u8>, field: u32, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => bytes(out, field, &v4.octets()),
        IpAddr::V6(v6) => bytes(out, field, &v6.octets()),
    }
}

/// Seconds since the epoch, and in the field behind them the nanoseconds.
fn time(out: &mut Vec<u8>, field: u32, at: SystemTime) {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    number(out, field, since.as_secs());
    key(out, field + 1, FIXED32);
    out.extend(since.subsec_nanos().to_le_bytes());
}

fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    key(out, field, VARINT);
    varint(out, value);
}

fn bytes(out: &mut Vec<u8>, field: u32, value: &[u8]) {
    key(out, field, LENGTH);
    varint(out, value.len() as u64);
    out.extend(value);
}

fn key(out: &mut Vec<u8>, field: u32, sort: u32) {
    varint(out, u64::from(field << 3 | sort));
}

/// Seven bits at a time, the lowest first; the eighth says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_sevens_of_bits() {
        for (value, expected) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[128, 1]),
            (300, &[0xac, 2]),
            (u64::MAX, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out, expected, "{value}");
        }
        let mut out = Vec::new();
        bytes(&mut out, 14, b"ab");
        number(&mut out, 15, 1);
        assert_eq!(out, [0x72, 2, b'a', b'b', 0x78, 1]);
    }
}
