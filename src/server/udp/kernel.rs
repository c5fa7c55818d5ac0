//! What Linux offers and std does not: datagrams by the batch, the address that was asked, drops, a thread's processor.
//!
//! [`Batch`] is given a socket and gives the datagrams that were waiting in it, in one system call, with room for an answer
//! to each; the answers go back in one more. Nothing is allocated after it was made, and no octet of a query or an answer
//! is copied here. What a datagram means is not known here, and nothing is decided: not how long to wait, not what an
//! error costs.
//!
//! This is the only module of the program with unsafe code; `tests/memory/run` runs its tests under valgrind and under the
//! address sanitizer. The system calls are made by number and with the kernel's own structures, because the C library's
//! functions differ where it matters: musl sends a batch as so many single calls.
//!
//! # What the unsafe code relies on
//!
//! - The vectors of a [`Batch`] keep their length, and so their place, from [`Batch::new`] on. `incoming` points into
//!   `names`, `controls`, `slices` and `octets`; the last four are only read after that (through shared references), so the
//!   kernel is the only writer behind those pointers, and only during [`Batch::receive`].
//! - What `outgoing` points to is set for each answer between [`Batch::answer`] and the system call in [`Batch::send`], and
//!   nothing is changed in between.
//! - The pointers are why a `Batch` is not `Send`: its thread makes it.

#![allow(
    unsafe_code,
    reason = "system calls that std does not have; this module alone, and what it relies on is said above"
)]

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::{io, mem, ptr};

/// Datagrams a call, at most. From 32 on a larger batch saves nothing more; 64 keep a burst from a cache in one.
pub(super) const BATCH: usize = 64;

/// The longest query that is read whole. Clients send a few hundred octets at the most; of what is longer the rest is lost,
/// as octets behind the last record (which are passed over) or in the midst of one (which is malformed).
pub(super) const QUERY_MAX: usize = 4096;

/// The distance between two queries. One cache line more than a page, since queries that begin at the same place of a page
/// would all want the same few lines of the cache.
const SLOT: usize = QUERY_MAX + 64;

/// What an answer's buffer begins with: more than a datagram of ours ever has, while it is being made too.
const REPLY: usize = 2048;

/// Room for an IPv6 socket address, 28 octets.
#[derive(Clone, Copy)]
#[repr(C, align(4))]
struct Name([u8; 28]);

/// Room for the address that was asked: 36 octets with their head, aligned 40.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 40]);

/// The kernel's `user_msghdr`.
#[repr(C)]
struct Header {
    name: *mut Name,
    name_len: c_uint,
    slices: *mut Slice,
    slices_len: usize,
    control: *mut Control,
    control_len: usize,
    flags: c_uint,
}

/// The kernel's `mmsghdr`.
#[repr(C)]
struct Message {
    header: Header,
    len: c_uint,
}

/// The kernel's `iovec`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Slice {
    octets: *mut u8,
    len: usize,
}

const _: () = {
    assert!(size_of::<Header>() == size_of::<libc::msghdr>());
    assert!(size_of::<Message>() == size_of::<libc::mmsghdr>());
    assert!(size_of::<Slice>() == size_of::<libc::iovec>());
    assert!(size_of::<Name>() >= size_of::<libc::sockaddr_in6>());
    assert!(align_of::<Name>() >= align_of::<libc::sockaddr_in6>());
};

impl Message {
    /// Of nothing, to nobody.
    const EMPTY: Self = Self {
        header: Header {
            name: ptr::null_mut(),
            name_len: 0,
            slices: ptr::null_mut(),
            slices_len: 0,
            control: ptr::null_mut(),
            control_len: 0,
            flags: 0,
        },
        len: 0,
    };
}

/// How long to wait for the first datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// As long as the socket's read timeout; for a second one never.
    First,
    /// Not at all.
    Not,
}

/// Where answers leave from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyFrom {
    /// The address that the socket is bound to.
    Bound,
    /// The address that the query was sent to, which the socket must tell (see [`prepare`]).
    Asked,
}

/// Who sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

/// The datagrams of one system call, and the answers to them.
pub(super) struct Batch {
    incoming: Vec<Message>,
    names: Vec<Name>,
    controls: Vec<Control>,
    slices: Vec<Slice>,
    octets: Vec<u8>,
    /// How many of `incoming` hold a datagram.
    received: usize,

    outgoing: Vec<Message>,
    replies: Vec<Vec<u8>>,
    reply_controls: Vec<Control>,
    reply_slices: Vec<Slice>,
    /// How many of `outgoing` hold an answer.
    answered: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        let empty = Slice {
            octets: ptr::null_mut(),
            len: 0,
        };
        let mut batch = Self {
            incoming: (0..BATCH).map(|_| Message::EMPTY).collect(),
            names: vec![Name([0; 28]); BATCH],
            controls: vec![Control([0; 40]); BATCH],
            slices: vec![empty; BATCH],
            octets: vec![0; BATCH * SLOT],
            // So that the first call sets the lengths of all.
            received: BATCH,
            outgoing: (0..BATCH).map(|_| Message::EMPTY).collect(),
            replies: (0..BATCH).map(|_| Vec::with_capacity(REPLY)).collect(),
            reply_controls: vec![Control([0; 40]); BATCH],
            reply_slices: vec![empty; BATCH],
            answered: 0,
        };
        let octets = batch.octets.as_mut_ptr();
        for (index, slice) in batch.slices.iter_mut().enumerate() {
            *slice = Slice {
                // SAFETY: `octets` has `BATCH * SLOT` octets, and there are `BATCH` slices.
                octets: unsafe { octets.add(index * SLOT) },
                len: QUERY_MAX,
            };
        }
        let names = batch.names.as_mut_ptr();
        let controls = batch.controls.as_mut_ptr();
        let slices = batch.slices.as_mut_ptr();
        for (index, message) in batch.incoming.iter_mut().enumerate() {
            // SAFETY: the vectors have as many elements as `incoming`.
            let (name, control, slice) =
                unsafe { (names.add(index), controls.add(index), slices.add(index)) };
            message.header.name = name;
            message.header.control = control;
            message.header.slices = slice;
            message.header.slices_len = 1;
        }
        batch
    }

    /// Receives what there is, up to [`BATCH`] datagrams, and returns how many it was. One is never held back for another.
    ///
    /// # Errors
    /// `WouldBlock` if nothing came within the time to wait; `Interrupted`; anything else is wrong with the socket or the host.
    pub(super) fn receive(&mut self, socket: &UdpSocket, wait: Wait) -> io::Result<usize> {
        // The kernel wrote over the lengths of those it used.
        for message in self.incoming.iter_mut().take(self.received) {
            message.header.name_len = size_of::<Name>() as c_uint;
            message.header.control_len = size_of::<Control>();
        }
        self.received = 0;
        let flags = match wait {
            Wait::First => libc::MSG_WAITFORONE,
            Wait::Not => libc::MSG_DONTWAIT,
        };
        // SAFETY: `incoming` has `BATCH` messages. Each points to a name, a control and a slice of its own with their true
        // lengths, and the slice to `QUERY_MAX` octets of its own; all of them live as long as `self`, which is borrowed
        // exclusively, and none of them is referred to during the call. They hold plain octets: whatever is written is valid.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                c_long::from(socket.as_raw_fd()),
                self.incoming.as_mut_ptr(),
                BATCH as c_long,
                c_long::from(flags),
                ptr::null_mut::<c_void>(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.received = received.min(BATCH);
        Ok(self.received)
    }

    /// Hands each datagram to `answer`, with its source and the buffer for the answer; `true` means that there is one.
    pub(super) fn answer(
        &mut self,
        from: ReplyFrom,
        mut answer: impl FnMut(&[u8], Source, &mut Vec<u8>) -> bool,
    ) {
        self.answered = 0;
        let datagrams = self.incoming.iter().zip(&self.names).zip(&self.controls);
        let datagrams = datagrams.zip(self.octets.chunks_exact(SLOT));
        let mut answers = self.outgoing.iter_mut().zip(&mut self.reply_controls);
        let mut answer_to = answers.next();
        for (((message, name), control), octets) in datagrams.take(self.received) {
            let (Some((to, reply_control)), Some(reply)) =
                (&mut answer_to, self.replies.get_mut(self.answered))
            else {
                return;
            };
            // Nobody: what a socket gives that was told to stop.
            let Some(source) = name.source(message.header.name_len) else {
                continue;
            };
            let datagram = octets.get(..message.len as usize).unwrap_or_default();
            if !answer(datagram, source, reply) {
                continue;
            }
            to.header.name = ptr::from_ref(name).cast_mut();
            to.header.name_len = message.header.name_len;
            to.header.control = ptr::null_mut();
            to.header.control_len = 0;
            if from == ReplyFrom::Asked
                && let Some(len) = reply_control.leave_from(control, message.header.control_len)
            {
                to.header.control = ptr::from_mut(*reply_control);
                to.header.control_len = len;
            }
            self.answered += 1;
            answer_to = answers.next();
        }
    }

    /// Sends the answers, and returns how many of them could not be sent.
    ///
    /// A socket whose buffer is full makes it wait for the socket's write timeout, and costs the rest of the answers then;
    /// any other error is that of one answer, such as a destination that has no route.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let outgoing = self.outgoing.iter_mut().zip(&mut self.reply_slices);
        for ((message, slice), reply) in outgoing.zip(&mut self.replies).take(self.answered) {
            slice.octets = reply.as_mut_ptr();
            slice.len = reply.len();
            message.header.slices = ptr::from_mut(slice);
            message.header.slices_len = 1;
        }
        let (mut done, mut failed) = (0, 0);
        while let Some(rest @ [_, ..]) = self.outgoing.get_mut(done..self.answered) {
            // SAFETY: `rest` are messages that `answer` and the loop above have filled: each points to a name, a slice and
            // perhaps a control of this batch, with their true lengths, and the slice to the octets of its reply, none of
            // which has been touched since. The kernel reads them, and writes nothing but each message's `len`.
            let sent = unsafe {
                libc::syscall(
                    libc::SYS_sendmmsg,
                    c_long::from(socket.as_raw_fd()),
                    rest.as_mut_ptr(),
                    rest.len() as c_long,
                    0 as c_long,
                )
            };
            match usize::try_from(sent) {
                // An error after the first one is told by the next call.
                Ok(sent) => done += sent,
                Err(_) => match io::Error::last_os_error().kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => {
                        failed += rest.len();
                        break;
                    }
                    _ => {
                        failed += 1;
                        done += 1;
                    }
                },
            }
        }
        self.answered = 0;
        failed
    }
}

impl Name {
    /// Reads a `sockaddr_in` or `sockaddr_in6` of `len` octets.
    fn source(&self, len: c_uint) -> Option<Source> {
        let (family, rest) = self.0.get(..len as usize)?.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let address = match c_int::from(u16::from_ne_bytes(*family)) {
            libc::AF_INET => Ipv4Addr::from(*rest.first_chunk::<4>()?).into(),
            // Behind the flow label.
            libc::AF_INET6 => {
                Ipv6Addr::from(*rest.split_at_checked(4)?.1.first_chunk::<16>()?).into()
            }
            _ => return None,
        };
        let port = u16::from_be_bytes(*port);
        Some(Source { address, port })
    }
}

/// `cmsghdr` as the kernel has it: a length (of itself too), a level, a type.
const LEVEL_AT: usize = size_of::<usize>();
const TYPE_AT: usize = LEVEL_AT + size_of::<c_int>();
const DATA_AT: usize = TYPE_AT + size_of::<c_int>();

/// Where the next control message begins behind one of `len` octets.
fn aligned(len: usize) -> Option<usize> {
    len.checked_next_multiple_of(align_of::<usize>())
}

impl Control {
    /// The data of the message of this level and type, if it is among the first `len` octets.
    fn find(&self, len: usize, wanted: (c_int, c_int)) -> Option<&[u8]> {
        let mut rest = self.0.get(..len)?;
        loop {
            let len = usize::from_ne_bytes(*rest.first_chunk()?);
            let number = |at: usize| {
                let octets = rest.get(at..)?.first_chunk()?;
                Some(c_int::from_ne_bytes(*octets))
            };
            if (number(LEVEL_AT)?, number(TYPE_AT)?) == wanted {
                return rest.get(DATA_AT..len);
            }
            // A length that is no message's would be read again and again.
            rest = rest.get(aligned(len.max(DATA_AT))?..)?;
        }
    }

    /// Makes this say that an answer leaves from where the query came to, as `received`, of `len` octets, tells; returns
    /// the length of what it says.
    fn leave_from(&mut self, received: &Self, len: usize) -> Option<usize> {
        const V4: (c_int, c_int) = (libc::IPPROTO_IP, libc::IP_PKTINFO);
        const V6: (c_int, c_int) = (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO);
        if let Some(info) = received.find(len, V4) {
            // Interface, our address, the address in the header. They differ where that was a broadcast. No interface is
            // named: the way back is the routing table's to choose.
            let ours: [u8; 4] = *info.get(4..)?.first_chunk()?;
            let [o0, o1, o2, o3] = ours;
            return self.say(V4, [0, 0, 0, 0, o0, o1, o2, o3, 0, 0, 0, 0]);
        }
        let info: [u8; 20] = *received.find(len, V6)?.first_chunk()?;
        let ours = Ipv6Addr::from(*info.first_chunk::<16>()?);
        let mut leave = info;
        if !ours.is_unicast_link_local() {
            // Only a link-local address means nothing without its interface.
            leave.last_chunk_mut::<4>()?.fill(0);
        }
        self.say(V6, leave)
    }

    /// Writes one message.
    fn say<const N: usize>(
        &mut self,
        (level, kind): (c_int, c_int),
        data: [u8; N],
    ) -> Option<usize> {
        let len = DATA_AT + N;
        let head = [level, kind].map(c_int::to_ne_bytes);
        self.0.first_chunk_mut().map(|at| *at = len.to_ne_bytes())?;
        self.0
            .get_mut(LEVEL_AT..DATA_AT)?
            .copy_from_slice(head.as_flattened());
        self.0.get_mut(DATA_AT..len)?.copy_from_slice(&data);
        aligned(len)
    }
}

/// Sets what the batches need of a socket: answers are never fragmented, and for [`ReplyFrom::Asked`] the address that was
/// asked is told.
pub(super) fn prepare(socket: &UdpSocket, from: ReplyFrom) -> io::Result<()> {
    // "Don't fragment" (RFC 9715): answers of 1232 octets pass anywhere, and one that does not pass the interface is an error
    // here rather than fragments that anyone may forge. What others say of the path (ICMP) may be forged as well.
    if socket.local_addr()?.is_ipv4() {
        set(
            socket,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_PROBE,
        )?;
        if from == ReplyFrom::Asked {
            set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        }
        return Ok(());
    }
    set(
        socket,
        libc::IPPROTO_IPV6,
        libc::IPV6_MTU_DISCOVER,
        libc::IPV6_PMTUDISC_PROBE,
    )?;
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)?;
    if from == ReplyFrom::Asked {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    }
    Ok(())
}

/// Asks for a receive buffer of so many octets beyond the host's limit; only who administers the network may.
pub(super) fn force_receive_buffer(socket: &UdpSocket, octets: usize) -> io::Result<()> {
    let octets = c_int::try_from(octets).unwrap_or(c_int::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
}

/// How many datagrams the kernel has dropped at this socket since it was opened, modulo 2^32; most often because its buffer
/// was full.
///
/// Asked for now and then rather than told with each datagram (`SO_RXQ_OVFL`), which costs 5 % of an answer: the kernel then
/// looks for timestamps too, in memory that it would not touch otherwise.
///
/// # Errors
/// Linux tells since 4.12.
pub(super) fn dropped(socket: &UdpSocket) -> io::Result<u32> {
    /// Its number on all but SPARC and PA-RISC, where the question is refused.
    const SO_MEMINFO: c_int = 55;
    const DROPS_AT: usize = libc::SK_MEMINFO_DROPS as usize;
    let mut info = [0_u32; DROPS_AT + 1];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` octets of `info`, for which any number is a value, and what it wrote to `len`.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            info.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    let [.., drops] = info;
    Ok(drops)
}

fn set(socket: &UdpSocket, level: c_int, option: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the kernel reads the `c_int` that `value` is, within its length, and keeps nothing of it.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&value).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sockets that are waited for together.
pub(super) struct Readiness(Vec<libc::pollfd>);

impl Readiness {
    /// Of `sockets`, in their order; they must outlive it, since a number that is given to another file would be waited for.
    pub(super) fn of<'s>(sockets: impl Iterator<Item = &'s UdpSocket>) -> Self {
        let socket = |socket: &UdpSocket| libc::pollfd {
            fd: socket.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        Self(sockets.map(socket).collect())
    }

    /// Waits until one of them has something to say, for `longest` at the most.
    pub(super) fn wait(&mut self, longest: Duration) -> io::Result<()> {
        let millis = c_int::try_from(longest.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: the vector has so many `pollfd`s, and the kernel writes nothing but their `revents`.
        let ready =
            unsafe { libc::poll(self.0.as_mut_ptr(), self.0.len() as libc::nfds_t, millis) };
        if ready < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Whether each of them had, when the last wait ended.
    pub(super) fn each(&self) -> impl Iterator<Item = bool> {
        self.0.iter().map(|socket| socket.revents != 0)
    }
}

/// The processors that this thread may run on, in ascending order.
pub(super) fn processors() -> io::Result<Vec<usize>> {
    // SAFETY: a set of bits, all of which may be zero.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most so many octets of `set`.
    let got = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if got != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it reads one bit, of a number that the set has.
    let is_set = |number: &usize| unsafe { libc::CPU_ISSET(*number, &set) };
    Ok((0..libc::CPU_SETSIZE as usize).filter(is_set).collect())
}

/// Makes this thread run on processor `number` and on no other.
pub(super) fn run_on(number: usize) -> io::Result<()> {
    if number >= libc::CPU_SETSIZE as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: a set of bits, all of which may be zero.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: it writes one bit, of a number that the set has.
    unsafe { libc::CPU_SET(number, &mut set) };
    // SAFETY: the kernel reads at most so many octets of `set`.
    let got = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if got == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The kernel's `sched_attr`, as its first version was.
#[repr(C)]
#[derive(Default)]
struct Scheduling {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

impl Scheduling {
    /// Of this thread.
    fn own() -> io::Result<Self> {
        let mut own = Self::default();
        // SAFETY: the kernel writes at most so many octets of `own`, whose fields are numbers.
        let got = unsafe {
            libc::syscall(
                libc::SYS_sched_getattr,
                0 as c_long,
                ptr::from_mut(&mut own),
                size_of::<Self>() as c_long,
                0 as c_long,
            )
        };
        match got {
            0 => Ok(own),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Asks for turns of so many nanoseconds on the processor, for this thread and those that it starts from here on; the kernel
/// takes 100 µs to 100 ms. A thread of another policy than the usual one is left as it is.
///
/// # Errors
/// The kernel does not know what is asked, or does not allow it. One before Linux 6.12 says yes, and nothing changes.
pub(super) fn take_turns_of(nanos: u64) -> io::Result<()> {
    let mut own = Scheduling::own()?;
    if own.policy != libc::SCHED_OTHER as u32 {
        return Ok(());
    }
    own.size = size_of::<Scheduling>() as u32;
    own.flags = 0;
    own.runtime = nanos;
    // SAFETY: the kernel reads `size` octets, and keeps no pointer.
    let set = unsafe {
        libc::syscall(
            libc::SYS_sched_setattr,
            0 as c_long,
            ptr::from_ref(&own),
            0 as c_long,
        )
    };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, SocketAddr};
    use std::sync::{Arc, mpsc};
    use std::thread;

    use socket2::SockRef;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    /// A socket as a worker has it, but one whose waits never end by themselves.
    fn server(address: &str, from: ReplyFrom) -> UdpSocket {
        let socket = UdpSocket::bind(address).expect("a port");
        prepare(&socket, from).expect("options");
        socket
    }

    fn client(of: &UdpSocket) -> UdpSocket {
        let to = of.local_addr().expect("bound");
        let from = match to {
            SocketAddr::V4(_) => "127.0.0.1:0",
            SocketAddr::V6(_) => "[::1]:0",
        };
        let client = UdpSocket::bind(from).expect("a port");
        let localhost = client.local_addr().expect("bound").ip();
        let unspecified = to.ip().is_unspecified();
        let host = if unspecified { localhost } else { to.ip() };
        client.connect((host, to.port())).expect("a way");
        client.set_read_timeout(Some(SOON)).expect("a timeout");
        client
    }

    /// Answers everything with itself, backwards; what begins with a dot is not answered.
    fn backwards(datagram: &[u8], reply: &mut Vec<u8>) -> bool {
        reply.clear();
        reply.extend(datagram.iter().rev());
        datagram.first() != Some(&b'.')
    }

    #[test]
    fn a_batch_is_answered_each_to_its_own() {
        for (address, from) in [
            ("127.0.0.1:0", ReplyFrom::Bound),
            ("0.0.0.0:0", ReplyFrom::Asked),
            ("[::1]:0", ReplyFrom::Bound),
            ("[::]:0", ReplyFrom::Asked),
        ] {
            let server = server(address, from);
            let clients = [client(&server), client(&server), client(&server)];
            let mut batch = Batch::new();
            // Batches of every length, and one that is not all there was.
            for length in [1, 2, BATCH, 3, BATCH + 10, 1] {
                for number in 0..length {
                    let client = &clients[number % 3];
                    let silent = if number % 7 == 3 { "." } else { "" };
                    client
                        .send(format!("{silent}query {number}").as_bytes())
                        .expect("a way");
                }
                let (mut received, mut peers) = (0, Vec::new());
                while received < length {
                    let got = batch.receive(&server, Wait::First).expect("datagrams");
                    assert!((1..=BATCH).contains(&got));
                    received += got;
                    batch.answer(from, |datagram, source, reply| {
                        peers.push(SocketAddr::new(source.address, source.port));
                        backwards(datagram, reply)
                    });
                    assert_eq!(batch.send(&server), 0);
                }
                for number in 0..length {
                    let client = &clients[number % 3];
                    assert_eq!(peers[number], client.local_addr().expect("bound"));
                    if number % 7 == 3 {
                        continue;
                    }
                    let mut octets = [0; 64];
                    let length = client.recv(&mut octets).expect("an answer");
                    let expected: String = format!("query {number}").chars().rev().collect();
                    assert_eq!(String::from_utf8_lossy(&octets[..length]), expected);
                }
            }
            assert_eq!(dropped(&server).expect("it is told"), 0);
            let nothing = batch.receive(&server, Wait::Not);
            let kind = nothing.map_err(|error| error.kind());
            assert_eq!(kind, Err(io::ErrorKind::WouldBlock));
        }
    }

    #[test]
    fn the_longest_and_the_shortest_fit() {
        let server = server("127.0.0.1:0", ReplyFrom::Bound);
        let client = client(&server);
        let mut batch = Batch::new();
        for length in [0, 1, QUERY_MAX - 1, QUERY_MAX, QUERY_MAX + 1, 65_507] {
            client.send(&vec![7; length]).expect("a way");
            let mut seen = None;
            assert_eq!(batch.receive(&server, Wait::First).expect("one"), 1);
            batch.answer(ReplyFrom::Bound, |datagram, _, reply| {
                seen = Some(datagram.len());
                reply.clear();
                reply.resize(length, 9);
                true
            });
            assert_eq!(seen, Some(length.min(QUERY_MAX)));
            // Longer than the buffer began with, too.
            assert_eq!(batch.send(&server), 0);
            let mut octets = vec![0; 70_000];
            assert_eq!(client.recv(&mut octets).expect("an answer"), length);
        }
    }

    #[test]
    fn an_answer_that_cannot_be_sent_costs_no_other() {
        let server = server("127.0.0.1:0", ReplyFrom::Bound);
        let client = client(&server);
        let mut batch = Batch::new();
        for number in 0..5 {
            client.send(&[number]).expect("a way");
        }
        assert_eq!(batch.receive(&server, Wait::First).expect("five"), 5);
        batch.answer(ReplyFrom::Bound, |datagram, _, reply| {
            let number = datagram[0];
            // No datagram is as long as this.
            let length = if number % 2 == 0 { 70_000 } else { 3 };
            reply.clear();
            reply.resize(length, number);
            true
        });
        assert_eq!(batch.send(&server), 3);
        for number in [1, 3] {
            let mut octets = [0; 64];
            assert_eq!(client.recv(&mut octets).expect("an answer"), 3);
            assert_eq!(octets[..3], [number; 3]);
        }
        assert_eq!(batch.send(&server), 0, "they are sent once");
    }

    #[test]
    fn who_waits_is_woken_when_the_socket_is_shut() {
        let server = Arc::new(server("127.0.0.1:0", ReplyFrom::Bound));
        let client = client(&server);
        let (say, said) = mpsc::channel();
        let waiting = Arc::clone(&server);
        let thread = thread::spawn(move || {
            let mut batch = Batch::new();
            let mut ids = Vec::new();
            for _ in 0..2 {
                batch.receive(&waiting, Wait::First).expect("no error");
                batch.answer(ReplyFrom::Bound, |datagram, _, _| {
                    ids.push(datagram.to_vec());
                    false
                });
                say.send(ids.clone()).expect("heard");
            }
            // Shut, it still gives what comes.
            client.send(b"late").expect("a way");
            let late = batch.receive(&waiting, Wait::First).expect("no error");
            assert_eq!(late, 1);
        });
        let sender = self::client(&server);
        sender.send(b"first").expect("a way");
        let first = vec![b"first".to_vec()];
        assert_eq!(said.recv_timeout(SOON).as_ref(), Ok(&first));
        // Whether it waits by then or is about to.
        let _no_connection = SockRef::from(&*server).shutdown(Shutdown::Read);
        assert_eq!(said.recv_timeout(SOON), Ok(first), "it came from nobody");
        thread.join().expect("it ends");
    }

    #[test]
    fn sockets_that_have_something_are_told_from_others() {
        let sockets = ["127.0.0.1:0", "127.0.0.1:0", "[::1]:0"]
            .map(|address| server(address, ReplyFrom::Bound));
        let mut readiness = Readiness::of(sockets.iter());
        let ready = |readiness: &Readiness| readiness.each().collect::<Vec<_>>();
        readiness.wait(Duration::ZERO).expect("no error");
        assert_eq!(ready(&readiness), [false; 3]);
        client(&sockets[1]).send(b"x").expect("a way");
        readiness.wait(SOON).expect("no error");
        assert_eq!(ready(&readiness), [false, true, false]);
        let _no_connection = SockRef::from(&sockets[2]).shutdown(Shutdown::Read);
        readiness.wait(SOON).expect("no error");
        assert_eq!(ready(&readiness), [false, true, true]);
    }

    /// Control data of any octets is read within its bounds, and to its end.
    #[test]
    fn control_data_that_lies_is_no_message() {
        let mut control = Control([0xFF; 40]);
        assert_eq!(control.find(40, (-1, -1)), None);
        assert_eq!(control.find(41, (-1, -1)), None);
        for length in 0..40 {
            control.0[..8].copy_from_slice(&u64::to_ne_bytes(length));
            let found = control.find(40, (0, 0));
            assert_eq!(found, None, "{length}");
        }
        let mut control = Control([0; 40]);
        assert_eq!(control.find(40, (1, 1)), None);
        let len = control.say((41, 50), [7; 20]).expect("it fits");
        assert_eq!(control.find(len, (41, 50)), Some(&[7; 20][..]));
        assert_eq!(control.find(len, (41, 51)), None);
    }

    /// What a kernel without slices of one's own tells is 0, before and after.
    #[test]
    fn a_thread_and_its_children_have_the_turns_that_were_asked_for() {
        let nanos = || Scheduling::own().expect("it is told").runtime;
        let thread = thread::spawn(move || {
            let before = nanos();
            let nice = Scheduling::own().expect("it is told").nice;
            take_turns_of(200_000).expect("nobody is hurt");
            let child = thread::spawn(nanos).join().expect("it ends");
            let after = Scheduling::own().expect("it is told");
            assert_eq!(after.nice, nice);
            (before, after.runtime, child)
        });
        let (before, own, child) = thread.join().expect("it ends");
        let asked = if before == 0 { own } else { 200_000 };
        assert_eq!((own, child), (asked, asked));
    }

    #[test]
    fn a_thread_runs_where_it_is_told() {
        let allowed = processors().expect("this thread has some");
        for number in allowed {
            let thread = thread::spawn(move || {
                run_on(number).expect("it is allowed");
                processors().expect("this thread has one")
            });
            assert_eq!(thread.join().expect("it ends"), [number]);
        }
        for number in [1023, 1024, usize::MAX] {
            assert!(run_on(number).is_err(), "{number}");
        }
    }
}
