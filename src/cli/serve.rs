//! `serve`: the server until it is told to stop.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{self, SignalKind};
use tracing::info;

use crate::app;
use crate::config::{self, Config, Flags};
use crate::telemetry;

/// What was asked before the stop is answered for at most this long; below Kubernetes' grace of 30 s.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// After SIGTERM queries are answered for this long while `/readyz` says no, so that who chooses by readiness has
/// turned away before the sockets close; CoreDNS's example configuration waits as long.
const LAME_DUCK: Duration = Duration::from_secs(5);

pub(super) fn serve(flags: &Flags) -> anyhow::Result<()> {
    let config = config::load(None, flags)?;
    let source = app::source(&config);
    telemetry::init(None);
    let runtime = runtime(&config)?;
    let served = runtime.block_on(async {
        let mut stop = Stop::new()?;
        // From the beginning: unheard, it would end the process.
        let hangup = unix::signal(SignalKind::hangup()).context("cannot listen for signals")?;
        let running = tokio::select! {
            // A large export takes its time to read; the signal does not wait for it.
            signal = stop.wait() => {
                info!(?signal, "stopped while starting");
                return Ok(());
            }
            running = app::start(&config, source) => running?,
        };
        let mut running = running;
        let live = running.take_live().context("the configuration is followed once")?;
        let signal = tokio::select! {
            signal = stop.wait() => signal,
            followed = live.follow(flags.clone(), hangup) => {
                followed.context("cannot watch the configuration")?;
                bail!("the configuration is not followed any more")
            }
            () = running.engine.ended() => bail!("the engine has ended; names can no longer change"),
        };
        running.leave();
        if signal == Signal::Terminate {
            info!(seconds = LAME_DUCK.as_secs(), "stopping: not ready, still answering");
            tokio::select! {
                () = tokio::time::sleep(LAME_DUCK) => {}
                _ = stop.wait() => {}
            }
        }
        info!("stopping: answering what has arrived");
        running.shutdown(DRAIN).await;
        info!("stopped");
        Ok(())
    });
    // Reading may still be under way on a thread of its own; nobody waits for what it reads.
    runtime.shutdown_background();
    served
}

/// A runtime with a thread for each UDP worker, so that none waits for another.
pub(super) fn runtime(config: &Config) -> anyhow::Result<Runtime> {
    let threads = app::worker_count(config).max(2);
    let built = Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    built.context("cannot start the runtime")
}

/// A signal that ends the process politely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM: somebody's balancer may still send queries here.
    Terminate,
    /// SIGINT: a person at a terminal.
    Interrupt,
}

/// Waits for the signals that end the process politely.
pub(super) struct Stop {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Stop {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| unix::signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for either.
    pub(super) async fn wait(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
        }
    }
}
