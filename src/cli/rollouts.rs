//! The commands about roll-outs: look at one, wait for it, read its history, and ask something of it.
//!
//! Each asks a running server over its API and prints what it tells as plain text. Nothing is computed here, but how long
//! it is until a moment.

mod pages;
mod plain;
mod told;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::client;
use super::{Server, service_key};
use crate::model::{ServiceKey, parse_duration};

use told::{Done, History, List, Service};

/// How often a running server is asked by someone who waits.
const EVERY: Duration = Duration::from_secs(1);

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Namespace and name: shop/web; without it all services are listed.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: Option<ServiceKey>,
    /// Go on and print it again whenever it changes.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    server: Server,
}

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// Namespace and name: shop/web.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: ServiceKey,
    /// Wait no longer than this, such as 90s, 10m or 1h30m; without it, as long as it takes.
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Duration>,
    #[command(flatten)]
    server: Server,
}

/// The arguments of `history`.
#[derive(Debug, Args)]
pub(super) struct OfService {
    /// Namespace and name: shop/web.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: ServiceKey,
    #[command(flatten)]
    server: Server,
}

/// The arguments of actions.
#[derive(Debug, Args)]
pub(super) struct OfRollout {
    /// Namespace and name: shop/web.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: ServiceKey,
    /// The workload that is meant, where several roll out: web, or Deployment/web.
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    #[command(flatten)]
    server: Server,
}

/// The arguments of `promote`.
#[derive(Debug, Args)]
pub(super) struct Promote {
    /// The whole share at once, also for a revision that failed.
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    of: OfRollout,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let secs = parse_duration(text);
    let secs = secs.ok_or_else(|| format!("`{text}` is not a duration such as 90s or 10m"))?;
    Ok(Duration::from_secs(secs.into()))
}

fn path(service: &ServiceKey, rest: &str) -> String {
    let ServiceKey { namespace, name } = service;
    format!("/api/v1/services/{namespace}/{name}{rest}")
}

/// `get`: one service or all of them, once or for ever.
pub(super) fn get(asked: &Get, out: &mut impl Write) -> anyhow::Result<()> {
    // A screen is painted anew each second, with times that run; anything else gets another page when something changed.
    let is_screen = asked.watch && io::stdout().is_terminal();
    let mut shown = String::new();
    loop {
        let now = (is_screen || !asked.watch).then(Timestamp::now);
        let page = page(asked, now)?;
        if is_screen {
            // To the upper left corner, and all below it cleared.
            write!(out, "\x1b[H\x1b[2J{page}")?;
        } else if page != shown {
            let gap = if shown.is_empty() { "" } else { "\n" };
            write!(out, "{gap}{page}")?;
            shown = page;
        }
        out.flush()?;
        if !asked.watch {
            return Ok(());
        }
        thread::sleep(EVERY);
    }
}

fn page(asked: &Get, now: Option<Timestamp>) -> anyhow::Result<String> {
    match &asked.service {
        Some(service) => {
            let service: Service = client::get(&asked.server, &path(service, ""), &[])?;
            Ok(pages::service(&service, now))
        }
        None => {
            let list: List = client::get(&asked.server, "/api/v1/services", &[])?;
            Ok(pages::list(&list))
        }
    }
}

/// How a wait ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything is at its target.
    Done,
    /// A revision failed, or was given up.
    Failed,
}

fn outcome(state: &str) -> Option<Outcome> {
    match state {
        "Healthy" => Some(Outcome::Done),
        "Aborted" | "Degraded" => Some(Outcome::Failed),
        _ => None,
    }
}

/// `status`: waits until a roll-out is over. Exit code 0: Healthy; 1: Aborted or Degraded; 2: it took too long.
pub(super) fn status(asked: &Status, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let mut shown = String::new();
    loop {
        let service: Service = client::get(&asked.server, &path(&asked.service, ""), &[])?;
        let line = pages::status(&service);
        if line != shown {
            writeln!(out, "{line}")?;
            out.flush()?;
            shown = line;
        }
        match outcome(&service.state) {
            Some(Outcome::Done) => return Ok(ExitCode::SUCCESS),
            Some(Outcome::Failed) => return Ok(ExitCode::FAILURE),
            None => {}
        }
        let rest = asked
            .timeout
            .map(|all| all.saturating_sub(started.elapsed()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            writeln!(out, "not over in time")?;
            return Ok(ExitCode::from(2));
        }
        thread::sleep(rest.map_or(EVERY, |rest| rest.min(EVERY)));
    }
}

/// `history`: what happened to the tracks of a service.
pub(super) fn history(asked: &OfService, out: &mut impl Write) -> anyhow::Result<()> {
    let history: History = client::get(&asked.server, &path(&asked.service, "/history"), &[])?;
    write!(out, "{}", pages::history(&history))?;
    Ok(())
}

/// `promote`.
pub(super) fn promote(asked: &Promote, out: &mut impl Write) -> anyhow::Result<()> {
    send(&asked.of, "promote", asked.full, out)
}

/// `abort`, `pause`, `resume` and `retry`.
pub(super) fn act(asked: &OfRollout, action: &str, out: &mut impl Write) -> anyhow::Result<()> {
    send(asked, action, false, out)
}

fn send(asked: &OfRollout, action: &str, full: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let path = path(&asked.service, &format!("/{action}"));
    let body = json!({"full": full, "workload": asked.workload});
    let done: Done = client::post(&asked.server, &path, &body)?;
    writeln!(out, "{}", pages::done(&asked.service, &done))?;
    Ok(())
}

#[cfg(test)]
mod tests;
