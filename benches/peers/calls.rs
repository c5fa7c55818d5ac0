//! Calls: many datagrams in one system call, and threads that stay on a core. The only `unsafe` code of this bench.
//!
//! [`Incoming`] receives a batch (`recvmmsg`) and can send the same datagrams back (`sendmmsg`) from where they were asked;
//! [`Outgoing`] collects datagrams and sends them on a connected socket. Every header is written anew before each call from
//! vectors that the value owns, so no pointer outlives a call. The wrappers of `nix` do not serve: its `sendmmsg` puts the same
//! control messages on all datagrams, and this is the yardstick by which servers are measured.
#![allow(
    unsafe_code,
    reason = "recvmmsg, sendmmsg, IP_PKTINFO and sched_setaffinity have no safe wrapper in what we depend on"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Datagrams a call, at the most: what the anchors were measured with. Larger batches gain nothing.
pub(crate) const BATCH: usize = 64;
/// Room for one datagram: above every answer that is asked for here (1232 octets).
const ROOM: usize = 2048;
/// Room for the control messages of a datagram: one `in_pktinfo` and its header, aligned.
const CONTROL_WORDS: usize = 8;

/// A batch of received datagrams.
pub(crate) struct Incoming {
    octets: Vec<u8>,
    lengths: [usize; BATCH],
    addresses: Vec<libc::sockaddr_in>,
    controls: Vec<[u64; CONTROL_WORDS]>,
    control_lengths: [usize; BATCH],
    with_addresses: bool,
    with_controls: bool,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

/// What is received besides the octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Nothing: the socket is connected.
    Octets,
    /// Who asked.
    Peer,
    /// Who asked, and which address was asked ([`tell_local_address`]).
    PeerAndLocal,
}

impl Incoming {
    pub(crate) fn new(told: Told) -> Self {
        // SAFETY: these are plain C structures for which all zeroes are a value (null pointers, no lengths).
        let (address, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            octets: vec![0; BATCH * ROOM],
            lengths: [0; BATCH],
            addresses: vec![address; BATCH],
            controls: vec![[0; CONTROL_WORDS]; BATCH],
            control_lengths: [0; BATCH],
            with_addresses: told != Told::Octets,
            with_controls: told == Told::PeerAndLocal,
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }

    /// Waits for one datagram at least and gives how many there were.
    pub(crate) fn wait(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.receive(socket, libc::MSG_WAITFORONE)
    }

    /// What there is, without waiting: 0 if nothing.
    pub(crate) fn poll(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        match self.receive(socket, libc::MSG_DONTWAIT) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            // An ICMP error of a datagram before: the server's port was closed for a moment.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(0),
            other => other,
        }
    }

    fn receive(&mut self, socket: &UdpSocket, flags: libc::c_int) -> io::Result<usize> {
        self.lengths = [ROOM; BATCH];
        self.control_lengths = [CONTROL_WORDS * size_of::<u64>(); BATCH];
        self.point(BATCH);
        // SAFETY: every header points to vectors of `self`, which live and do not move during the call, with their lengths.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                flags,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (index, header) in self.headers.iter().take(received).enumerate() {
            self.lengths[index] = header.msg_len as usize;
            self.control_lengths[index] = header.msg_hdr.msg_controllen;
        }
        Ok(received)
    }

    /// Writes the headers of the first `count` datagrams for their present lengths.
    fn point(&mut self, count: usize) {
        for index in 0..count {
            self.vectors[index] = libc::iovec {
                iov_base: self.octets[index * ROOM..].as_mut_ptr().cast(),
                iov_len: self.lengths[index],
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            if self.with_addresses {
                header.msg_name = (&raw mut self.addresses[index]).cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            if self.with_controls {
                header.msg_control = self.controls[index].as_mut_ptr().cast();
                header.msg_controllen = self.control_lengths[index];
            }
        }
    }

    /// Datagram `index` of the last batch.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        &self.octets[index * ROOM..][..self.lengths[index]]
    }

    /// The same, to be changed.
    pub(crate) fn get_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.octets[index * ROOM..][..self.lengths[index]]
    }

    /// Sends the first `count` datagrams back to where they came from. What the socket does not take is dropped.
    pub(crate) fn send_back(&mut self, socket: &UdpSocket, count: usize) -> io::Result<()> {
        self.point(count);
        if self.with_controls {
            for control in &mut self.controls[..count] {
                // An `in_pktinfo` behind its header: the interface is its first word. Left as it came it would also choose the
                // route; the local address, which stays, chooses the source alone.
                let interface = size_of::<libc::cmsghdr>() / size_of::<u64>();
                control[interface] &= !u64::from(u32::MAX).to_le();
            }
        }
        send(socket, &mut self.headers[..count])
    }
}

/// Datagrams that leave together on a connected socket.
pub(crate) struct Outgoing {
    octets: Vec<u8>,
    lengths: [usize; BATCH],
    count: usize,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        // SAFETY: these are plain C structures for which all zeroes are a value (null pointers, no lengths).
        let (vector, header) = unsafe { (zeroed(), zeroed()) };
        Self {
            octets: vec![0; BATCH * ROOM],
            lengths: [0; BATCH],
            count: 0,
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count == BATCH
    }

    /// Adds a query with this ID.
    ///
    /// # Panics
    /// If the batch is full.
    pub(crate) fn push(&mut self, query: &[u8], id: u16) {
        let room = &mut self.octets[self.count * ROOM..][..query.len()];
        room.copy_from_slice(query);
        room[..2].copy_from_slice(&id.to_be_bytes());
        self.lengths[self.count] = query.len();
        self.count += 1;
    }

    /// Sends all of them, none is kept.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        for index in 0..self.count {
            self.vectors[index] = libc::iovec {
                iov_base: self.octets[index * ROOM..].as_mut_ptr().cast(),
                iov_len: self.lengths[index],
            };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
        }
        let count = std::mem::take(&mut self.count);
        send(socket, &mut self.headers[..count])
    }
}

/// Sends what the headers point to, in as many calls as the socket wants.
fn send(socket: &UdpSocket, headers: &mut [libc::mmsghdr]) -> io::Result<()> {
    let mut rest = headers;
    while !rest.is_empty() {
        // SAFETY: the callers have just pointed every header to memory that they own and hold during the call.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                rest.as_mut_ptr(),
                rest.len() as libc::c_uint,
                0,
            )
        };
        let sent = match usize::try_from(sent) {
            Ok(sent) => sent.max(1),
            Err(_) => match io::Error::last_os_error() {
                // Whoever should have had this one is gone, or the socket is full: as on a wire, it is lost.
                error if error.kind() == io::ErrorKind::ConnectionRefused => 1,
                error if error.kind() == io::ErrorKind::WouldBlock => 1,
                error if error.kind() == io::ErrorKind::Interrupted => 0,
                error => return Err(error),
            },
        };
        rest = &mut rest[sent..];
    }
    Ok(())
}

/// Has the kernel tell which address each datagram was sent to (`IP_PKTINFO`).
pub(crate) fn tell_local_address(socket: &UdpSocket) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option's value is a C int that lives during the call, and its size is given.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_PKTINFO,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Keeps this thread, and the threads and processes it starts, on one core.
pub(crate) fn stay_on(core: usize) -> io::Result<()> {
    // SAFETY: a `cpu_set_t` of zeroes is the empty set, the core is in its range, and it lives during the call.
    let outcome = unsafe {
        let mut set: libc::cpu_set_t = zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    match outcome {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
