//! Opens the sockets of a listen address, and says what is wrong with one that cannot be had.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::{io, iter};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::inherited::Inherited;

/// Connections that may wait to be accepted. As many as there are places: more would be refused after their wait.
const BACKLOG: i32 = 1000;

/// How often to ask for another port when the one the system chose for UDP is taken for TCP. One in a few thousand
/// ports is, on a host that does little else.
const PORT_ATTEMPTS: usize = 16;

/// Why an address is not served. The text names the address and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it, or the address is configured twice.
    #[error(
        "{address} ({transport}): address in use; stop the process that holds it, or listen on another port"
    )]
    InUse {
        /// The address as configured, with the port that was tried.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
    },
    /// The port is privileged.
    #[error(
        "{address} ({transport}): permission denied; grant CAP_NET_BIND_SERVICE, or listen on a port above 1023"
    )]
    Denied {
        /// The address as configured, with the port that was tried.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
    },
    /// The address belongs to someone else.
    #[error(
        "{address} ({transport}): no interface of this host has this address; listen on one of its own, or on a wildcard"
    )]
    NotHere {
        /// The address as configured, with the port that was tried.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
    },
    /// Anything else, such as a host without IPv6 or a process without file descriptors.
    #[error("{address} ({transport}): cannot listen")]
    Other {
        /// The address as configured, with the port that was tried.
        address: SocketAddr,
        /// `udp` or `tcp`.
        transport: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, transport: &'static str, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::InUse { address, transport },
            io::ErrorKind::PermissionDenied => Self::Denied { address, transport },
            io::ErrorKind::AddrNotAvailable => Self::NotHere { address, transport },
            _ => Self::Other {
                address,
                transport,
                source,
            },
        }
    }
}

/// A listen address, and where its streams come in.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    pub(super) streams: tokio::net::TcpListener,
}

/// What stands at one listen address.
#[derive(Debug)]
pub(super) struct Opened<S> {
    pub(super) door: Door,
    /// They share the door's port.
    pub(super) datagrams: Vec<S>,
}

/// Opens one listen address: `workers` UDP sockets, each made ready by `prepare`, and a TCP listener on the same port.
/// Where there are inherited sockets of the address, these are taken, every one of them.
pub(super) fn open<S>(
    address: SocketAddr,
    workers: usize,
    inherited: &mut Inherited,
    prepare: impl Fn(UdpSocket, SocketAddr) -> io::Result<S>,
) -> Result<Opened<S>, BindError> {
    let mut attempts = if address.port() == 0 {
        PORT_ATTEMPTS
    } else {
        1
    };
    let datagrams = inherited.datagrams(address);
    if !datagrams.is_empty() {
        return take(address, workers, datagrams, inherited, &prepare);
    }
    loop {
        attempts -= 1;
        match open_once(address, workers, &prepare) {
            Err(BindError::InUse { .. }) if attempts > 0 => {}
            outcome => return outcome,
        }
    }
}

/// Makes one listen address of UDP sockets that are bound already.
fn take<S>(
    address: SocketAddr,
    workers: usize,
    sockets: Vec<UdpSocket>,
    inherited: &mut Inherited,
    prepare: &impl Fn(UdpSocket, SocketAddr) -> io::Result<S>,
) -> Result<Opened<S>, BindError> {
    let in_address = |transport| move |source| BindError::new(address, transport, source);
    let streams = listener(address, inherited).map_err(in_address("tcp"))?;
    let streams = tokio::net::TcpListener::from_std(streams).map_err(in_address("tcp"))?;
    // A socket may have several workers; one that nobody reads would swallow its part of the clients.
    let clones = (sockets.len()..workers).zip(sockets.iter().cycle());
    let clones: Vec<_> = clones.map(|(_, socket)| socket.try_clone()).collect();
    let datagrams = sockets.into_iter().map(Ok).chain(clones);
    let datagrams = datagrams
        .map(|socket| prepare(socket?, address))
        .collect::<io::Result<_>>()
        .map_err(in_address("udp"))?;
    let door = Door { address, streams };
    Ok(Opened { door, datagrams })
}

/// The inherited listener of an address, or one that is bound now.
fn listener(address: SocketAddr, inherited: &mut Inherited) -> io::Result<TcpListener> {
    match inherited.streams(address) {
        Some(listener) => Ok(listener),
        None => listen_tcp(address),
    }
}

fn open_once<S>(
    asked: SocketAddr,
    workers: usize,
    prepare: &impl Fn(UdpSocket, SocketAddr) -> io::Result<S>,
) -> Result<Opened<S>, BindError> {
    let udp_error = |source| BindError::new(asked, "udp", source);
    // The first socket is bound alone: with SO_REUSEPORT a second server of the same user would get the port too, and
    // half of the first one's clients with it. The option is set when the port is ours, for our own other sockets.
    let first = bind_udp(asked, false).map_err(udp_error)?;
    let address = first.local_addr().map_err(udp_error)?;
    let in_address = |transport| move |source| BindError::new(address, transport, source);

    let streams = listen_tcp(address).map_err(in_address("tcp"))?;
    if workers > 1 {
        SockRef::from(&first)
            .set_reuse_port(true)
            .map_err(in_address("udp"))?;
    }
    let others = (1..workers).map(|_| bind_udp(address, true));
    let datagrams = iter::once(Ok(first))
        .chain(others)
        .map(|socket| prepare(socket?, address))
        .collect::<io::Result<_>>()
        .map_err(in_address("udp"))?;
    let streams = tokio::net::TcpListener::from_std(streams).map_err(in_address("tcp"))?;
    Ok(Opened {
        door: Door { address, streams },
        datagrams,
    })
}

fn bind_udp(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Listens for streams as the DNS listeners do, for the process's other doors, or takes a listener that was inherited;
/// `name` is what an error calls it.
///
/// # Errors
/// See [`BindError`].
pub fn listen(
    address: SocketAddr,
    inherited: &mut Inherited,
    name: &'static str,
) -> Result<tokio::net::TcpListener, BindError> {
    let listener = listener(address, inherited).and_then(tokio::net::TcpListener::from_std);
    listener.map_err(|source| BindError::new(address, name, source))
}

fn listen_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // A restart need not wait for old connections in TIME_WAIT; two listeners exclude each other all the same.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
