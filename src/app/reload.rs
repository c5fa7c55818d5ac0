//! A configuration that is read anew while the server runs: all of it is checked first, then put in force; where anything is
//! wrong with it, everything stays as it was.
//!
//! ```text
//! SIGHUP, or the file or the token is another -> config::load -> Live::reload -> settings of each module -> in force
//!                                                     └ wrong: told, counted, and a Problem until it is right
//! ```
//!
//! What takes effect only after a restart is told as a Problem of its own; the rest of the file is in force without it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use ipnet::IpNet;
use thiserror::Error;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tracing::{error, info};

use super::{StartError, settings};
use crate::admin::{self, Reloads};
use crate::config::{self, Changes, Config, ConfigError, Flags};
use crate::engine::ConfigureError;
use crate::engine::control::{Event, Handle, Stopped};
use crate::model::Problem;
use crate::wire::NameError;
use crate::{files, server, telemetry};

/// Keys that names do not depend on: nothing is compiled for them.
const BESIDE_NAMES: [&str; 6] = [
    "api.tokenFile",
    "api.actions",
    "unreadyAfter",
    "limits.tcpConnections",
    "limits.tcpIdle",
    "limits.tcpMessage",
];

/// Where a running server takes other settings.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) engine: Handle,
    /// The addresses that are served.
    pub(super) dns: Vec<SocketAddr>,
    pub(super) tcp: Arc<server::TcpLimits>,
    pub(super) rules: admin::InForce,
    /// Addresses that are not given for names outside; `None`: none are looked up.
    pub(super) deny: Option<watch::Sender<Vec<IpNet>>>,
}

/// A running server's configuration, and the way to another one.
#[derive(Debug)]
pub struct Live {
    in_force: Config,
    ends: Ends,
    reloads: Arc<Reloads>,
    /// What waits for a restart.
    waiting: Vec<Problem>,
}

/// Why everything stays as it was.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// The file, or something in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The token cannot be read.
    #[error(transparent)]
    Token(StartError),
    /// A zone's own names do not fit with it.
    #[error("a zone's own names do not fit")]
    Zone(#[from] NameError),
    /// The engine cannot be told.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// The process is ending.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Live {
    pub(super) fn new(in_force: Config, ends: Ends) -> Self {
        Self {
            in_force,
            ends,
            reloads: Arc::new(Reloads::new(now_secs())),
            waiting: Vec::new(),
        }
    }

    pub(super) fn reloads(&self) -> Arc<Reloads> {
        Arc::clone(&self.reloads)
    }

    /// The configuration in force.
    pub fn in_force(&self) -> &Config {
        &self.in_force
    }

    /// Reads the configuration anew whenever `hangup` comes, or the file of `flags` or the token's is another; does not end
    /// by itself.
    ///
    /// # Errors
    /// When the system gives no thread to watch by.
    pub async fn follow(
        mut self,
        flags: Flags,
        mut hangup: Signal,
    ) -> Result<(), files::WatchError> {
        let (changed, mut changes) = mpsc::channel(1);
        let watch = files::watch_named(self.paths(&flags), move || {
            // One that waits is as good as two.
            let _ = changed.try_send(());
        })?;
        // What was written between the start and the watch.
        if config::load(None, &flags).is_ok_and(|wanted| wanted != self.in_force) {
            self.read(&flags).await;
        }
        loop {
            tokio::select! {
                _ = hangup.recv() => info!("SIGHUP: reading the configuration"),
                _ = changes.recv() => info!("the configuration or the token is another: reading it"),
            }
            self.read(&flags).await;
            watch.set(self.paths(&flags));
        }
    }

    /// The files to watch.
    fn paths(&self, flags: &Flags) -> Vec<PathBuf> {
        let token = self.in_force.api.token_file.iter();
        flags.config.iter().chain(token).cloned().collect()
    }

    /// Reads the configuration of `flags` and its file, puts it in force, and tells how that went.
    async fn read(&mut self, flags: &Flags) {
        let file = flags.config.clone();
        let flags = flags.clone();
        let wanted = tokio::task::spawn_blocking(move || config::load(None, &flags)).await;
        let Ok(wanted) = wanted else { return };
        let done = match wanted {
            Ok(wanted) => self.reload(&wanted).await,
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(Changes {
                at_once,
                after_restart,
            }) => info!(?at_once, ?after_restart, "the configuration is in force"),
            Err(error) => {
                self.failed(&error, file).await;
                let cause = telemetry::chain(&error);
                error!(
                    cause,
                    "the configuration cannot be obeyed; the one before stays in force"
                );
            }
        }
    }

    /// Puts `wanted` in force, all of it but what takes effect after a restart.
    ///
    /// # Errors
    /// See [`ReloadError`]; then everything is as it was.
    pub async fn reload(&mut self, wanted: &Config) -> Result<Changes, ReloadError> {
        let changes = config::changes(&self.in_force, wanted);
        let config = config::without_restart(&self.in_force, wanted);
        // Whatever may fail comes first; what is put in force after the engine cannot.
        let rules = settings::rules(&config).map_err(ReloadError::Token)?;
        let is_of_names = |key: &&str| !BESIDE_NAMES.contains(key);
        if changes.at_once.iter().any(is_of_names) {
            let settings = settings::engine(&config, &self.ends.dns)?;
            let terms = settings::terms(&config)?;
            self.ends.engine.configure(settings, terms).await??;
        }
        self.ends.tcp.set(&settings::tcp(&config));
        self.ends.rules.set(rules);
        if let Some(deny) = &self.ends.deny {
            deny.send_replace(config.address_deny.clone());
        }
        self.in_force = config;
        self.waiting = changes.after_restart.iter().map(waits).collect();
        self.tell(Vec::new()).await;
        self.reloads
            .succeeded(changes.after_restart.len(), now_secs());
        Ok(changes)
    }

    /// Tells and counts that what is in `file` is not in force.
    async fn failed(&self, error: &ReloadError, file: Option<PathBuf>) {
        let problems = match error {
            ReloadError::Config(ConfigError::Invalid { problems }) => problems.clone(),
            error => vec![Problem {
                origin: None,
                subject: file.map_or_else(
                    || "configuration".to_owned(),
                    |file| file.display().to_string(),
                ),
                text: telemetry::chain(error),
            }],
        };
        self.reloads.failed();
        self.tell(problems).await;
    }

    /// All that is not in force: what is wrong, and what waits.
    async fn tell(&self, mut problems: Vec<Problem>) {
        problems.extend(self.waiting.iter().cloned());
        // The engine ends with the process; then nobody asks.
        let _ = self.ends.engine.send(Event::ConfigProblems(problems)).await;
    }
}

fn waits(key: &&'static str) -> Problem {
    Problem {
        origin: None,
        subject: "configuration".to_owned(),
        text: format!("`{key}` takes effect after a restart"),
    }
}

/// The wall clock, in whole seconds since the epoch.
fn now_secs() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
