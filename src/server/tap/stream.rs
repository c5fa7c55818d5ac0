//! Frame Streams over a Unix socket, the sender's side with its handshake.
//!
//! ```text
//! connect ── READY ──> ── ACCEPT <── ── START ──> frames ... ── STOP ──> ── FINISH <──
//! ```
//!
//! A receiver that is away or does not read is tried again after a while; until then what comes is dropped.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::{info, warn};

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";

// Kinds of control frames, and the one field that they have.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;
const FIELD_CONTENT_TYPE: u32 = 1;

/// A control frame is no longer than this (the library's own limit).
const CONTROL_MAX: u32 = 512;

/// How long a receiver may take to take a frame, or to answer in the handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after a failure it is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to a receiver, where there is one.
pub(super) struct Writer {
    path: PathBuf,
    stream: Option<UnixStream>,
    /// Not before this.
    next_try: Option<Instant>,
    /// What failed was said.
    is_told: bool,
}

impl Writer {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            stream: None,
            next_try: None,
            is_told: false,
        }
    }

    /// Writes one frame; whether it could.
    pub(super) fn write(&mut self, payload: &[u8]) -> bool {
        if self.stream.is_none() && self.next_try.is_none_or(|next| next <= Instant::now()) {
            match connect(&self.path) {
                Ok(stream) => {
                    info!(socket = %self.path.display(), "dnstap: the receiver is there");
                    self.stream = Some(stream);
                    self.is_told = false;
                }
                Err(error) => self.failed(&error),
            }
        }
        let Some(stream) = &mut self.stream else {
            return false;
        };
        match frame(stream, payload) {
            Ok(()) => true,
            Err(error) => {
                self.failed(&error);
                false
            }
        }
    }

    fn failed(&mut self, error: &io::Error) {
        self.stream = None;
        self.next_try = Some(Instant::now() + PAUSE);
        if !std::mem::replace(&mut self.is_told, true) {
            warn!(socket = %self.path.display(), %error, "dnstap: no receiver; what is seen meanwhile is dropped");
        }
    }

    /// Says that nothing more comes.
    pub(super) fn finish(mut self) {
        if let Some(stream) = &mut self.stream {
            // The receiver may be gone as well.
            let _ = control(stream, STOP, false).and_then(|()| expect(stream, FINISH));
        }
    }
}

fn connect(path: &PathBuf) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    control(&mut stream, READY, true)?;
    expect(&mut stream, ACCEPT)?;
    control(&mut stream, START, true)?;
    Ok(stream)
}

/// A frame of data: its length, itself. In one write, so that a timeout leaves none without its length.
fn frame(stream: &mut UnixStream, payload: &[u8]) -> io::Result<()> {
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    let mut octets = Vec::with_capacity(4 + payload.len());
    octets.extend(length.to_be_bytes());
    octets.extend(payload);
    stream.write_all(&octets)
}

/// A control frame: a length of zero, its own length, its kind, and what the contents are.
fn control(stream: &mut UnixStream, kind: u32, names_contents: bool) -> io::Result<()> {
    let mut octets = kind.to_be_bytes().to_vec();
    if names_contents {
        octets.extend(FIELD_CONTENT_TYPE.to_be_bytes());
        octets.extend((CONTENT_TYPE.len() as u32).to_be_bytes());
        octets.extend(CONTENT_TYPE);
    }
    let length = (octets.len() as u32).to_be_bytes();
    stream.write_all(&[&[0; 4], &length[..], &octets].concat())
}

/// Reads the control frame that is to come now.
fn expect(stream: &mut UnixStream, kind: u32) -> io::Result<()> {
    let mut number = || {
        let mut octets = [0; 4];
        stream.read_exact(&mut octets)?;
        io::Result::Ok(u32::from_be_bytes(octets))
    };
    let (escape, length, got) = (number()?, number()?, number()?);
    if escape != 0 || !(4..=CONTROL_MAX).contains(&length) || got != kind {
        return Err(io::Error::other(
            "it does not speak the handshake of Frame Streams",
        ));
    }
    let mut rest = vec![0; length as usize - 4];
    stream.read_exact(&mut rest)?;
    let names = rest
        .windows(CONTENT_TYPE.len())
        .any(|part| part == CONTENT_TYPE);
    match kind != ACCEPT || names {
        true => Ok(()),
        false => Err(io::Error::other("it does not take dnstap")),
    }
}
