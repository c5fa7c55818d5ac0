//! What systemd, or any supervisor with its protocols, is told, and what it hands over: see sd_notify(3) and
//! sd_listen_fds(3).
//!
//! Given the environment, [`Supervisor::of_environment`] is the way to whoever wants to know how this process fares, and
//! [`inherited`] are the sockets that it opened for it. Without a supervisor nothing is told and nothing is inherited.
//!
//! `NOTIFY_SOCKET` stays in the environment, where programs that fetch credentials find it: to change the environment of a
//! running process is not safe, and a supervisor that listens to its main process alone (`NotifyAccess=main`) does not mind.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use listenfd::ListenFd;
use tokio::time;
use tracing::{info, warn};

use crate::answer::View;
use crate::engine::control::Handle;
use crate::server::Inherited;

/// How often it is looked whether names are answered, until they are.
const READY_EVERY: Duration = Duration::from_millis(50);

/// The sockets that are handed over by the environment, which is rid of what tells of them: programs that this one starts
/// would take it for theirs. Must be called before there are threads.
///
/// # Errors
/// Something else than sockets for datagrams or listeners was handed over.
pub(super) fn inherited() -> anyhow::Result<Inherited> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut given = ListenFd::from_env();
    let mut inherited = Inherited::default();
    for number in 0..given.len() {
        let name = names.get(number).copied().unwrap_or_default();
        let datagrams = given.take_udp_socket(number);
        let socket = match datagrams {
            Ok(socket) => socket.map(Into::into),
            Err(_) => given
                .take_tcp_listener(number)
                .with_context(|| {
                    format!("cannot use the handed over descriptor {number} `{name}`")
                })?
                .map(Into::into),
        };
        if let Some(socket) = socket {
            let added = inherited.add(socket);
            added.with_context(|| {
                format!("cannot use the handed over descriptor {number} `{name}`")
            })?;
        }
    }
    Ok(inherited)
}

/// Whoever started this process and wants to know how it fares.
#[derive(Debug)]
pub(super) struct Supervisor {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How long it waits for a sign of life; `None`: it does not.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub(super) fn of_environment() -> Self {
        let to = std::env::var_os("NOTIFY_SOCKET").and_then(|name| {
            let shown = name.to_string_lossy().into_owned();
            let to = address(name).and_then(|address| {
                let socket = UnixDatagram::unbound()?;
                // Nothing here waits for who does not read.
                socket.set_nonblocking(true)?;
                Ok((socket, address))
            });
            to.inspect_err(|error| warn!(%error, socket = shown, "cannot tell the supervisor"))
                .ok()
        });
        let number = |key| std::env::var(key).ok()?.parse::<u64>().ok();
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| *micros > 0 && is_ours);
        Self {
            to,
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// Tells it something; nobody waits for it, and it may be gone.
    pub(super) fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.to {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// Tells when names are answered, and from then on shows signs of life as long as the engine does.
    pub(super) async fn attend(self: Arc<Self>, engine: Handle, view: Arc<View>) {
        if self.to.is_none() {
            return;
        }
        while !view.is_synced() {
            time::sleep(READY_EVERY).await;
        }
        self.tell("READY=1\nSTATUS=names are answered");
        let Some(watchdog) = self.watchdog else {
            return;
        };
        info!(
            seconds = watchdog.as_secs_f32(),
            "the supervisor waits for signs of life"
        );
        // Twice in the time there is, as the manual has it. What the engine answers takes it no time.
        let mut ticks = time::interval(watchdog / 2);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if engine.known(u64::MAX).await.is_err() {
                return;
            }
            self.tell("WATCHDOG=1");
        }
    }
}

/// A path, or behind an `@` a name without a file.
fn address(name: OsString) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(rest) = name.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt as _;
        return SocketAddr::from_abstract_name(rest);
    }
    SocketAddr::from_pathname(name)
}
