//! `serve`: the server until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{self, SignalKind};
use tracing::{debug, info};

use super::systemd::{self, Supervisor};
use crate::app::{self, Birth, Predecessor, ReplaceError};
use crate::config::{self, Config, Flags};
use crate::{server, telemetry};

/// What was asked before the stop is answered for at most this long; below Kubernetes' grace of 30 s.
pub(super) const DRAIN: Duration = Duration::from_secs(5);

pub(super) fn serve(flags: &Flags) -> anyhow::Result<()> {
    let config = config::load(None, flags)?;
    let source = app::source(&config);
    telemetry::init(None);
    let mut birth = Birth {
        inherited: systemd::inherited()?,
        predecessor: None,
    };
    let supervisor = Arc::new(Supervisor::of_environment());
    // While there is one thread: all others come from it.
    if let Err(error) = server::wake_promptly() {
        debug!(%error, "the threads wait for the processor as any others do");
    }
    let runtime = runtime(&config)?;
    let served = runtime.block_on(async {
        let mut stop = Stop::new()?;
        // From the beginning: unheard, it would end the process.
        let hangup = unix::signal(SignalKind::hangup()).context("cannot listen for signals")?;
        if flags.replace {
            take_over(&config, &mut birth).await?;
        }
        let mut running = tokio::select! {
            // A large export takes its time to read; the signal does not wait for it.
            signal = stop.wait() => {
                info!(?signal, "stopped while starting");
                return Ok(());
            }
            running = app::start_as(&config, source, birth) => running?,
        };
        let attend =
            Arc::clone(&supervisor).attend(running.engine.clone(), Arc::clone(&running.view));
        let attending = tokio::spawn(attend);
        let engine = running.engine.clone();
        let live = running
            .take_live()
            .context("the configuration is followed once")?;
        let signal = tokio::select! {
            signal = stop.wait() => Some(signal),
            followed = live.follow(flags.clone(), hangup) => {
                followed.context("cannot watch the configuration")?;
                bail!("the configuration is not followed any more")
            }
            () = engine.ended() => bail!("the engine has ended; names can no longer change"),
            () = running.replaced() => None,
        };
        supervisor.tell("STOPPING=1");
        drop(engine);
        if let Some(signal) = signal {
            running.leave();
            if signal == Signal::Terminate && !config.lame_duck.is_zero() {
                let seconds = config.lame_duck.as_secs_f32();
                info!(seconds, "stopping: not ready, still answering");
                tokio::select! {
                    () = tokio::time::sleep(config.lame_duck) => {}
                    _ = stop.wait() => {}
                }
            }
            info!("stopping: answering what has arrived");
            running.shutdown(DRAIN).await;
        } else {
            info!("replaced: another process answers; finishing what this one has begun");
            running.hand_over(DRAIN).await;
        }
        attending.abort();
        info!("stopped");
        Ok(())
    });
    // Reading may still be under way on a thread of its own; nobody waits for what it reads.
    runtime.shutdown_background();
    served
}

/// Has the sockets of the server that answers where this one is to answer, if there is one.
async fn take_over(config: &Config, birth: &mut Birth) -> anyhow::Result<()> {
    let Some(first) = config.listen.first() else {
        return Ok(());
    };
    match Predecessor::ask(*first).await {
        Ok((predecessor, inherited)) => {
            birth.inherited = inherited;
            birth.predecessor = Some(predecessor);
        }
        Err(error @ ReplaceError::Nobody { .. }) => info!("{error}"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
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
