//! Sockets that were bound before this process began: by the one whose place it takes, or by the one that started it.
//!
//! They are known by what they are and where they are bound. Who listens at an address looks here first; what nobody
//! wanted is closed with the rest, and with it whatever had arrived there.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use socket2::{Socket, Type};

/// Sockets, each until somebody takes it.
#[derive(Debug, Default)]
pub struct Inherited {
    datagrams: Vec<(SocketAddr, UdpSocket)>,
    streams: Vec<(SocketAddr, TcpListener)>,
}

impl Inherited {
    /// Adds a socket.
    ///
    /// # Errors
    /// It is neither a bound UDP socket nor a TCP socket that listens; then it is closed.
    pub fn add(&mut self, socket: OwnedFd) -> io::Result<()> {
        let strange = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
        let socket = Socket::from(socket);
        let address = socket.local_addr()?.as_socket();
        let address = address.ok_or_else(|| strange("it has no IP address"))?;
        // Programs that this one starts, for credentials, have no business with it.
        socket.set_cloexec(true)?;
        match socket.r#type()? {
            Type::DGRAM => self.datagrams.push((address, socket.into())),
            Type::STREAM if listens(&socket) => {
                socket.set_nonblocking(true)?;
                self.streams.push((address, socket.into()));
            }
            _ => return Err(strange("it is neither for datagrams nor does it listen")),
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.datagrams.len() + self.streams.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the sockets are bound that nobody has taken.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let datagrams = self.datagrams.iter().map(|(address, _)| *address);
        let streams = self.streams.iter().map(|(address, _)| *address);
        datagrams.chain(streams).collect()
    }

    /// Takes all UDP sockets of an address.
    pub(super) fn datagrams(&mut self, address: SocketAddr) -> Vec<UdpSocket> {
        let taken = self
            .datagrams
            .extract_if(.., |(bound, _)| *bound == address);
        taken.map(|(_, socket)| socket).collect()
    }

    /// Takes a listener of an address.
    pub(super) fn streams(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let at = self.streams.iter().position(|(at, _)| *at == address)?;
        Some(self.streams.swap_remove(at).1)
    }
}

#[cfg(target_os = "linux")]
fn listens(socket: &Socket) -> bool {
    socket.is_listener().unwrap_or(false)
}

/// Who passes sockets on passes listeners.
#[cfg(not(target_os = "linux"))]
fn listens(_: &Socket) -> bool {
    true
}
