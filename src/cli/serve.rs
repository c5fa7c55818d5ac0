//! `serve`: the server until it is told to stop.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::app::{self, Source};
use crate::config::{self, Config, Flags};
use crate::telemetry;

/// What was asked before the stop is answered for at most this long; below Kubernetes' grace of 30 s.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

pub(super) fn serve(flags: &Flags) -> anyhow::Result<()> {
    let config = config::load(None, flags)?;
    let Some(dir) = config.manifests.clone() else {
        bail!(
            "there is nothing to serve: name a directory of manifests with --manifests DIR \
             (following a live cluster is not built yet)"
        );
    };
    telemetry::init(None);
    runtime(&config)?.block_on(async {
        let mut stop = Stop::new()?;
        let running = app::start(&config, Source::Manifests(dir)).await?;
        let signal = stop.wait().await;
        info!(signal, "stopping: answering what has arrived");
        running.shutdown(DRAIN).await;
        info!("stopped");
        Ok(())
    })
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

/// The signals that end the process politely.
pub(super) struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    /// Waits for either, and names it.
    pub(super) async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
