//! The reflector: what the kernel's UDP stack costs by itself, and so the limit of any server on ordinary sockets.
//!
//! Receives with `recvmmsg`, sets the QR bit, sends back with `sendmmsg`, in a process of its own. With `pktinfo` it also learns
//! which address was asked and answers from there, as a server on all addresses must. It reads no DNS.

use std::io;
use std::net::{Ipv4Addr, UdpSocket};

use socket2::SockRef;

use crate::calls::{Incoming, Told, tell_local_address};

/// What the servers are given or ask for.
pub(crate) const RECEIVE_BUFFER: usize = 4 << 20;
/// The flag that makes a query an answer (RFC 1035, section 4.1.1).
const QR: u8 = 0x80;

/// Reflects until the process is ended.
pub(crate) fn reflect(port: u16, with_pktinfo: bool) -> io::Result<()> {
    let (address, told) = match with_pktinfo {
        true => (Ipv4Addr::UNSPECIFIED, Told::PeerAndLocal),
        false => (Ipv4Addr::LOCALHOST, Told::Peer),
    };
    let socket = UdpSocket::bind((address, port))?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
    if with_pktinfo {
        tell_local_address(&socket)?;
    }
    let mut batch = Incoming::new(told);
    loop {
        let received = batch.wait(&socket)?;
        for index in 0..received {
            if let [_, _, flags, ..] = batch.get_mut(index) {
                *flags |= QR;
            }
        }
        batch.send_back(&socket, received)?;
    }
}
