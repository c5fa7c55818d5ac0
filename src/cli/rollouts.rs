//! The commands about roll-outs: look at one, wait for it, read its history, and ask something of it.
//!
//! Each asks a running server over its API and prints what it tells as plain text. Nothing is computed here, but how long
//! it is until a moment.

mod act;
mod bar;
mod pages;
mod plain;
mod told;
mod watch;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;

use super::client::{self, Client};
use super::form::{Form, Output, Paint};
use super::reach::Server;
use super::service_key;
use crate::model::{ServiceKey, parse_duration};

use told::{History, Service};

pub(super) use act::{OfRollout, Promote, act, promote};

/// How often a running server is asked by someone who waits.
const EVERY: Duration = Duration::from_secs(1);

/// The arguments of `get`.
#[derive(Debug, Args)]
pub(super) struct Get {
    /// Namespace and name: shop/web; without it all services are listed.
    #[arg(value_name = "NS/SERVICE", value_parser = service_key)]
    service: Option<ServiceKey>,
    /// Go on, and show what changes.
    ///
    /// One service is a screen of its own on a terminal, which q, Esc or Ctrl-C leave; anything else is printed again.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    output: Output,
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
    output: Output,
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
    output: Output,
    #[command(flatten)]
    server: Server,
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
    let client = Client::new(&asked.server)?;
    let path = match &asked.service {
        Some(service) => path(service, ""),
        None => "/api/v1/services".to_owned(),
    };
    let (form, paint) = (asked.output.form, Paint::of_stdout());
    let is_screen = asked.watch && form == Form::Table && is_screen();
    if let Some(service) = asked.service.as_ref().filter(|_| is_screen) {
        return watch::watch(client, service, &path, paint);
    }
    // A screen is painted anew each second, with times that run; anything else gets another page when something changed.
    let mut shown = String::new();
    loop {
        let now = (is_screen || !asked.watch).then(Timestamp::now);
        let value = client.get(&path, &[])?;
        let page = match form.document(&value)? {
            Some(document) => document,
            None if asked.service.is_some() => pages::service(&client::told(&value)?, now, paint),
            None => pages::list(&client::told(&value)?, now, paint),
        };
        if is_screen {
            // To the upper left corner, and all below it cleared.
            write!(out, "\x1b[H\x1b[2J{page}")?;
        } else if page != shown {
            let gap = if shown.is_empty() { "" } else { form.gap() };
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

/// Whether standard output is a terminal on which a cursor can be moved.
fn is_screen() -> bool {
    let term = std::env::var_os("TERM");
    io::stdout().is_terminal() && term.is_some_and(|term| !term.is_empty() && term != "dumb")
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

/// `status`: waits until a roll-out is over. Exit code 0: Healthy; 1: Aborted or Degraded; 2: it took too long. For
/// people a line is printed whenever something changes; for programs, how it stands at the end.
pub(super) fn status(asked: &Status, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let client = Client::new(&asked.server)?;
    let path = path(&asked.service, "");
    let form = asked.output.form;
    let started = Instant::now();
    let mut shown = String::new();
    loop {
        let value = client.get(&path, &[])?;
        let service: Service = client::told(&value)?;
        let line = pages::status(&service);
        if line != shown && form == Form::Table {
            writeln!(out, "{line}")?;
            out.flush()?;
            shown = line;
        }
        let mut end = |value: &Value| -> anyhow::Result<()> {
            if let Some(document) = form.document(value)? {
                write!(out, "{document}")?;
            }
            Ok(())
        };
        let code = match outcome(&service.state) {
            Some(Outcome::Done) => Some(ExitCode::SUCCESS),
            Some(Outcome::Failed) => Some(ExitCode::FAILURE),
            None => None,
        };
        if let Some(code) = code {
            end(&value)?;
            return Ok(code);
        }
        let rest = asked
            .timeout
            .map(|all| all.saturating_sub(started.elapsed()));
        if rest.is_some_and(|rest| rest.is_zero()) {
            end(&value)?;
            if form == Form::Table {
                writeln!(out, "not over in time")?;
            }
            return Ok(ExitCode::from(2));
        }
        thread::sleep(rest.map_or(EVERY, |rest| rest.min(EVERY)));
    }
}

/// `history`: what happened to the tracks of a service.
pub(super) fn history(asked: &OfService, out: &mut impl Write) -> anyhow::Result<()> {
    let client = Client::new(&asked.server)?;
    let value = client.get(&path(&asked.service, "/history"), &[])?;
    let text = match asked.output.form.document(&value)? {
        Some(document) => document,
        None => {
            let history: History = client::told(&value)?;
            pages::history(&history, Paint::of_stdout())
        }
    };
    write!(out, "{text}")?;
    Ok(())
}

#[cfg(test)]
mod tests;
