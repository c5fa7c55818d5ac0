//! The hand-over of sockets from a running server to the process that replaces it.
//!
//! Given the addresses that are served, [`Offer::start`] waits for a successor, and [`Predecessor::ask`] asks one for its
//! sockets. They meet at an abstract Unix socket named after the first listen address: it goes with its process, whatever
//! becomes of that, and nobody but the same user is spoken to.
//!
//! ```text
//!   predecessor, answering                          successor
//!      | <────────────────── connects ─────────────────|
//!      |──── how many sockets; the sockets ───────────>|  reads its source, and answers nothing yet
//!      | <──────────────── it is ready ────────────────|  answers from the same sockets
//!      |──── no other can ask for them ───────────────>|
//!   answers what it has read, ends
//! ```
//!
//! What is queued in a socket belongs to all who have it, so nothing is lost on the way. A successor that ends before it is
//! ready has changed nothing.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{self, UnixStream};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::{self, JoinHandle};
use tokio::time;
use tracing::{info, warn};

use crate::server::Inherited;

/// What is said first: which protocol this is.
const HELLO: [u8; 8] = *b"sdns-rp1";
/// Sockets that go in one message; the kernel takes up to 253.
const CHUNK: usize = 64;
/// No server has more: 1024 workers at 60 addresses.
const SOCKETS_MAX: u32 = 1 << 16;
/// How long one waits for the other, where there is nothing to be done but to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a name is asked for that another process has: one that is replaced gives it up at once.
const NAME_EVERY: Duration = Duration::from_secs(1);

const READY: u8 = b'r';
const DONE: u8 = b'd';

/// Why no sockets were handed over.
#[derive(Debug, Error)]
pub enum ReplaceError {
    /// There is nobody to ask.
    #[error("no server at {address} offers its sockets, so there is none to replace")]
    Nobody {
        /// The first listen address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else has the name.
    #[error("the process that offers sockets of {address} is another user's ({uid})")]
    Stranger {
        /// The first listen address.
        address: SocketAddr,
        /// The user.
        uid: u32,
    },
    /// It was spoken to and did not do what it should.
    #[error("the server at {address} did not hand its sockets over")]
    Failed {
        /// The first listen address.
        address: SocketAddr,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
}

/// Where the two meet.
#[cfg(target_os = "linux")]
fn place(address: SocketAddr) -> io::Result<net::SocketAddr> {
    use std::os::linux::net::SocketAddrExt as _;
    net::SocketAddr::from_abstract_name(format!("shiftdns/replace/{address}"))
}

/// Names that go with their process are Linux's.
#[cfg(not(target_os = "linux"))]
fn place(_: SocketAddr) -> io::Result<net::SocketAddr> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether sockets are given to, or taken from, a process of this user: the own, or one that may do anything as it is.
fn is_trusted(uid: u32) -> bool {
    uid == rustix::process::geteuid().as_raw() || uid == 0
}

/// The server whose place this process takes, while it still answers.
#[derive(Debug)]
pub struct Predecessor {
    stream: UnixStream,
    address: SocketAddr,
}

impl Predecessor {
    /// Asks the server that answers at `address`, its first one, for its sockets. It goes on answering.
    ///
    /// # Errors
    /// See [`ReplaceError`].
    pub async fn ask(address: SocketAddr) -> Result<(Self, Inherited), ReplaceError> {
        let nobody = |source| ReplaceError::Nobody { address, source };
        let failed = |source| ReplaceError::Failed { address, source };
        let stream = place(address).and_then(|place| UnixStream::connect_addr(&place));
        let stream = stream.map_err(nobody)?;
        stream.set_nonblocking(true).map_err(failed)?;
        let stream = tokio::net::UnixStream::from_std(stream).map_err(failed)?;
        let uid = stream.peer_cred().map_err(failed)?.uid();
        if !is_trusted(uid) {
            return Err(ReplaceError::Stranger { address, uid });
        }
        let stream = stream.into_std().map_err(failed)?;
        let taken = task::spawn_blocking(move || {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let inherited = receive(&stream)?;
            Ok((stream, inherited))
        });
        let taken = taken
            .await
            .unwrap_or_else(|gone| Err(io::Error::other(gone)));
        let (stream, inherited) = taken.map_err(failed)?;
        info!(
            sockets = inherited.len(),
            "have the sockets of the server that is to be replaced"
        );
        Ok((Self { stream, address }, inherited))
    }

    /// This process answers from here on: lets the other one end.
    ///
    /// # Errors
    /// The other one has not confirmed it. It may have ended by itself.
    pub(super) async fn relieve(self) -> Result<(), ReplaceError> {
        let Self {
            mut stream,
            address,
        } = self;
        let told = task::spawn_blocking(move || {
            stream.write_all(&[READY])?;
            let mut answer = [0];
            stream.read_exact(&mut answer)
        });
        let told = told
            .await
            .unwrap_or_else(|gone| Err(io::Error::other(gone)));
        told.map_err(|source| ReplaceError::Failed { address, source })
    }
}

/// Receives all sockets.
fn receive(mut stream: &UnixStream) -> io::Result<Inherited> {
    let strange = |text| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let Some((hello, count)) = head.split_first_chunk::<8>() else {
        return Err(strange("it said too little"));
    };
    let count = count
        .first_chunk()
        .map_or(0, |count| u32::from_le_bytes(*count));
    if *hello != HELLO || count > SOCKETS_MAX {
        return Err(strange("it is of another version, or something else"));
    }
    let count = usize::try_from(count).unwrap_or(0);
    let mut inherited = Inherited::default();
    while inherited.len() < count {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CHUNK))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut octet = [0];
        let octets = &mut [IoSliceMut::new(&mut octet)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(stream, octets, &mut control, flags)?;
        let before = inherited.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(sockets) = message {
                for socket in sockets {
                    inherited.add(socket)?;
                }
            }
        }
        if received.bytes == 0 || inherited.len() == before {
            return Err(strange("it sent fewer sockets than it said"));
        }
    }
    Ok(inherited)
}

/// Sends all sockets.
fn send(mut stream: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX);
    stream.write_all(&[HELLO.as_slice(), &count.to_le_bytes()].concat())?;
    for chunk in sockets.chunks(CHUNK) {
        let chunk: Vec<BorrowedFd<'_>> = chunk.iter().map(OwnedFd::as_fd).collect();
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(CHUNK))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        control.push(SendAncillaryMessage::ScmRights(&chunk));
        let octets = &[IoSlice::new(b"#")];
        sendmsg(stream, octets, &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// A server's readiness to be replaced; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Offer {
    task: JoinHandle<()>,
    replaced: oneshot::Receiver<()>,
}

impl Offer {
    /// Offers `sockets`, those of the server at `address`, its first one, to who comes for them.
    pub(super) fn start(address: SocketAddr, sockets: Vec<OwnedFd>) -> Self {
        let (told, replaced) = oneshot::channel();
        let task = tokio::spawn(async move {
            if let Some(listener) = name(address).await {
                offer(listener, &sockets).await;
                // Nobody is left to be told where the server stops.
                let _ = told.send(());
            } else {
                // Until the server stops: it cannot be replaced.
                std::future::pending::<()>().await;
            }
        });
        Self { task, replaced }
    }

    /// Returns when another process answers in this one's place.
    pub(super) async fn replaced(&mut self) {
        if (&mut self.replaced).await.is_err() {
            // A panic of the task has been told where it happened.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A listener at the place of `address`, once nobody else has it; `None` where there can be none.
async fn name(address: SocketAddr) -> Option<UnixListener> {
    let mut is_told = false;
    loop {
        let bound = place(address).and_then(|place| net::UnixListener::bind_addr(&place));
        let bound = bound.and_then(|listener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        });
        match bound {
            Ok(listener) => return Some(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                if !std::mem::replace(&mut is_told, true) {
                    info!(%address, "another process offers the sockets of this address");
                }
                time::sleep(NAME_EVERY).await;
            }
            Err(error) => {
                info!(%error, "this server cannot be replaced without a gap");
                return None;
            }
        }
    }
}

/// Returns when a successor answers.
async fn offer(listener: UnixListener, sockets: &[OwnedFd]) {
    loop {
        match accept(&listener, sockets).await {
            Ok(mut successor) => {
                // So that the successor can have the name.
                drop(listener);
                let _ = successor.write_all(&[DONE]).await;
                return;
            }
            Err(error) => {
                warn!(%error, "a process that was to replace this one did not; going on");
                // A fault that repeats itself, such as no file descriptors, does not keep the processor busy.
                time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Gives the sockets to one who comes, and waits until it is ready or gone.
async fn accept(
    listener: &UnixListener,
    sockets: &[OwnedFd],
) -> io::Result<tokio::net::UnixStream> {
    let (stream, _) = listener.accept().await?;
    let peer = stream.peer_cred()?;
    let uid = peer.uid();
    if !is_trusted(uid) {
        return Err(io::Error::other(format!("it is another user's ({uid})")));
    }
    info!(
        pid = peer.pid(),
        "handing the sockets to another process; answering until it does"
    );
    // A few hundred octets, which fit into the buffer of a new connection.
    let stream = stream.into_std()?;
    send(&stream, sockets)?;
    let mut stream = tokio::net::UnixStream::from_std(stream)?;
    // However long it takes to read its source.
    let said = stream.read_u8().await.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it ended before it was ready"),
        _ => error,
    })?;
    match said {
        READY => Ok(stream),
        _ => Err(io::Error::other(
            "it said something else than that it is ready",
        )),
    }
}
