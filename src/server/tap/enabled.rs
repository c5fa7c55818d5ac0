//! The worker's side: a bounded queue in front of the thread that writes.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::SystemTime;

use super::stream::Writer;
use super::{TapSettings, protobuf};
use crate::answer::Transport;
use crate::server::Counters;

/// Queries that may wait to be written: a tenth of a second at 40,000 a second.
const QUEUE_LEN_MAX: usize = 4096;
/// And their octets: long answers over TCP would take 256 MiB for as many.
const QUEUE_BYTES_MAX: usize = 8 << 20;

/// One query, and what became of it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) transport: Transport,
    pub(super) peer: (IpAddr, u16),
    pub(super) local: SocketAddr,
    pub(super) at: SystemTime,
    pub(super) query: Box<[u8]>,
    /// `None`: it was not answered.
    pub(super) reply: Option<Box<[u8]>>,
}

impl Seen {
    fn size(&self) -> usize {
        self.query.len() + self.reply.as_ref().map_or(0, |reply| reply.len())
    }
}

/// Copies what is asked and answered; clones write to the same receiver.
#[derive(Clone, Debug, Default)]
pub struct Tap(Option<Arc<Queue>>);

#[derive(Debug)]
struct Queue {
    seen: SyncSender<Seen>,
    bytes: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

impl Tap {
    /// Begins to write to the receiver of `settings`, now or as soon as there is one; it ends with the last clone.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(settings: TapSettings, counters: &Arc<Counters>) -> io::Result<Self> {
        let (seen, received) = sync_channel(QUEUE_LEN_MAX);
        let bytes = Arc::<AtomicUsize>::default();
        let queue = Queue {
            seen,
            bytes: Arc::clone(&bytes),
            counters: Arc::clone(counters),
        };
        let counters = Arc::clone(counters);
        thread::Builder::new()
            .name("dnstap".to_owned())
            .spawn(move || write(&settings, &received, &bytes, &counters))?;
        Ok(Self(Some(Arc::new(queue))))
    }

    #[inline]
    pub(in crate::server) fn answered(
        &self,
        transport: Transport,
        peer: (IpAddr, u16),
        local: SocketAddr,
        query: &[u8],
        reply: Option<&[u8]>,
    ) {
        if let Some(queue) = &self.0 {
            queue.put(Seen {
                transport,
                peer,
                local,
                at: SystemTime::now(),
                query: query.into(),
                reply: reply.map(Into::into),
            });
        }
    }
}

impl Queue {
    #[cold]
    fn put(&self, seen: Seen) {
        let size = seen.size();
        let before = self.bytes.fetch_add(size, Ordering::Relaxed);
        if before + size > QUEUE_BYTES_MAX || self.seen.try_send(seen).is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
            self.counters.tap_dropped.add(1);
        }
    }
}

/// Writes until the last tap is gone.
fn write(
    settings: &TapSettings,
    received: &Receiver<Seen>,
    bytes: &AtomicUsize,
    counters: &Counters,
) {
    let mut writer = Writer::new(settings.socket.clone());
    let mut frame = Vec::new();
    // The receiver of the queue gives what is in it also after the last tap is gone.
    for seen in received {
        bytes.fetch_sub(seen.size(), Ordering::Relaxed);
        let mut is_written = true;
        for is_query in [true, false] {
            if is_query || seen.reply.is_some() {
                frame.clear();
                protobuf::message(&mut frame, settings, &seen, is_query);
                is_written &= writer.write(&frame);
            }
        }
        match is_written {
            true => counters.tap_written.add(1),
            false => counters.tap_dropped.add(1),
        }
    }
    writer.finish();
}
