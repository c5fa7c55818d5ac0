//! `get NS/SERVICE -w` on a terminal: a screen of one service, until q, Esc or Ctrl-C.
//!
//! A thread asks the server each second; this one keeps what was told, and draws. What a screen looks like is decided in
//! `screen`, which is given everything and does nothing else. The terminal is as it was before when this ends, also by an
//! error, a signal or a fault of the program.

mod samples;
mod screen;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::EVERY;
use super::told::Service;
use crate::cli::client::{self, Client};
use crate::cli::form::Paint;
use crate::cli::serve::Stop;
use crate::model::ServiceKey;
use crate::telemetry;

use samples::Samples;

/// Between two drawings: at most five a second, on a slow line too.
const FRAME: Duration = Duration::from_millis(200);

/// What is known of the service, and how it is looked at.
pub(super) struct Seen {
    service: Service,
    samples: Samples,
    /// Since when the server does not answer, and why.
    trouble: Option<(Timestamp, String)>,
    /// Lines of the tree that are above its upper edge.
    scroll: usize,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Leave,
    Up(usize),
    Down(usize),
}

impl Seen {
    fn new(service: Service, now: Timestamp) -> Self {
        let mut seen = Self {
            service,
            samples: Samples::default(),
            trouble: None,
            scroll: 0,
        };
        seen.samples.note(&seen.service, now);
        seen
    }

    fn hear(&mut self, told: Result<Service, String>, now: Timestamp) {
        match told {
            Ok(service) => {
                self.samples.note(&service, now);
                self.service = service;
                self.trouble = None;
            }
            Err(error) => {
                let since = self.trouble.take().map_or(now, |(since, _)| since);
                self.trouble = Some((since, error));
            }
        }
    }
}

/// Shows it until somebody wants to leave.
pub(super) fn watch(
    client: Client,
    service: &ServiceKey,
    path: &str,
    paint: Paint,
) -> anyhow::Result<()> {
    // Before the screen is taken: that there is no such service is told in a line.
    let first = ask(&client, path)?;
    let mut seen = Seen::new(first, Timestamp::now());
    let is_stopped = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&is_stopped);
    thread::spawn(move || heed(&stopped));
    let (sender, news) = mpsc::channel();
    let path = path.to_owned();
    thread::spawn(move || {
        loop {
            thread::sleep(EVERY);
            let told = ask(&client, &path).map_err(|error| telemetry::chain(error.as_ref()));
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    let unusable = || format!("cannot show `{service}` on this terminal");
    let mut terminal = ratatui::try_init().with_context(unusable)?;
    let shown = show(&mut terminal, &mut seen, &news, &is_stopped, paint);
    let restored = ratatui::try_restore();
    shown?;
    restored.context("cannot give the terminal back")
}

fn ask(client: &Client, path: &str) -> anyhow::Result<Service> {
    client::told(&client.get(path, &[])?)
}

/// Waits for a signal that ends the process politely: in raw mode the terminal has to be given back.
fn heed(is_stopped: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        if let Ok(mut stop) = Stop::new() {
            stop.wait().await;
            is_stopped.store(true, Ordering::Relaxed);
        }
    });
}

fn show(
    terminal: &mut DefaultTerminal,
    seen: &mut Seen,
    news: &Receiver<Result<Service, String>>,
    is_stopped: &AtomicBool,
    paint: Paint,
) -> anyhow::Result<()> {
    loop {
        let now = Timestamp::now();
        terminal.draw(|frame| {
            let area = frame.area();
            screen::render(seen, area, now, paint, frame.buffer_mut());
        })?;
        let next = Instant::now() + FRAME;
        while event::poll(next.saturating_duration_since(Instant::now()))? {
            let Event::Key(key) = event::read()? else {
                continue;
            };
            match wish(key) {
                Some(Wish::Leave) => return Ok(()),
                Some(Wish::Up(lines)) => seen.scroll = seen.scroll.saturating_sub(lines),
                Some(Wish::Down(lines)) => {
                    let last = tree::lines(&seen.service).len().saturating_sub(1);
                    seen.scroll = (seen.scroll + lines).min(last);
                }
                None => {}
            }
        }
        loop {
            match news.try_recv() {
                Ok(told) => seen.hear(told, Timestamp::now()),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => bail!("nobody asks the server any more"),
            }
        }
        if is_stopped.load(Ordering::Relaxed) {
            return Ok(());
        }
    }
}

fn wish(key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wish::Leave),
        KeyCode::Char('c') if control => Some(Wish::Leave),
        KeyCode::Up | KeyCode::Char('k') => Some(Wish::Up(1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Wish::Down(1)),
        KeyCode::PageUp => Some(Wish::Up(10)),
        KeyCode::PageDown | KeyCode::Char(' ') => Some(Wish::Down(10)),
        KeyCode::Home => Some(Wish::Up(usize::MAX)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
