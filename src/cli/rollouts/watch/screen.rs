//! The screen: from what is known, a size and a time to what every cell of a terminal shows. It reads nothing else.
//!
//! ```text
//!   shop/web   ▶ Progressing for 1m5s              head: state, why, what rolls, the next step and its time
//!   VERSION    bar  SHARE POLICY CAPACITY ANSWERED
//!   ▁▁▁▁▃▃▃▃▅▅▅▅                                    the share of the target in the last minutes
//!   Deployment shop/web                            tree: as much as there is room for, the rest by scrolling
//!   └─ 2-0-1 ...
//!   q leaves                                       foot: keys, and whether the server answers
//! ```

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Paragraph, Sparkline, Widget as _};

use super::super::bar;
use super::super::pages::{age, duration};
use super::super::plain::printable;
use super::super::told::{Service, Share, Track, Version, VersionName};
use super::Seen;
use super::samples::SPAN_SECS;
use super::tree::{self, Rank};
use crate::cli::form::{Paint, Tone, tone_of};

/// Cells of the bar of a version.
const BAR: u16 = 20;
/// Versions shown with their bars; the tree has all of them.
const VERSIONS_MAX: usize = 6;
/// Tracks shown in the head; a service has one, but for a few.
const TRACKS_MAX: usize = 3;

/// Draws everything.
pub(super) fn render(seen: &Seen, area: Rect, now: Timestamp, paint: Paint, buffer: &mut Buffer) {
    let service = &seen.service;
    let (head, shares) = (head(service, now, paint), shares(service, paint));
    let spark = if area.height >= 16 { 4 } else { 0 };
    let [top, middle, line, rest, foot] = Layout::vertical([
        Constraint::Length(height(head.len()) + 1),
        Constraint::Length(height(shares.len()) + 1),
        Constraint::Length(spark),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    Paragraph::new(Text::from(head)).render(top, buffer);
    Paragraph::new(Text::from(shares)).render(middle, buffer);
    history(seen, now, paint, line, buffer);
    let tree: Vec<Line<'_>> = tree::lines(service)
        .into_iter()
        .skip(seen.scroll)
        .map(|line| {
            let style = match line.rank {
                Rank::Workload => Style::new().add_modifier(Modifier::BOLD),
                Rank::Revision | Rank::Endpoint(true) => Style::new(),
                Rank::Endpoint(false) => tinted(Some(Tone::Waiting), paint),
            };
            Line::styled(line.text, style)
        })
        .collect();
    Paragraph::new(Text::from(tree)).render(rest, buffer);
    Paragraph::new(foot_line(seen, now, paint)).render(foot, buffer);
}

fn height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX - 1)
}

fn head(service: &Service, now: Timestamp, paint: Paint) -> Vec<Line<'static>> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let name = format!("{}/{}  ", service.namespace, service.name);
    let state = format!("{} {}", icon(&service.state), service.state);
    let (kind, ttl) = (&service.kind, service.ttl);
    let (ready, total) = (service.ready, service.total);
    let mut lines = vec![
        Line::from(vec![
            Span::styled(printable(&name), bold),
            Span::styled(
                printable(&state),
                tinted(tone_of(&service.state), paint).patch(bold),
            ),
            Span::raw(format!(" for {}", age(service.since, now))),
        ]),
        Line::raw(printable(&format!(
            "{kind}  strategy {}  {ready} of {total} endpoints ready  TTL {ttl}s",
            service.strategy
        ))),
    ];
    if let Some(at) = service.cut_over {
        lines.push(Line::raw(format!("cut-over at {}", moment(at, now))));
    }
    if let Some(until) = service.held {
        let text = format!(
            "held: its endpoints are gone and their pods are ready; what was answered stays until {}",
            moment(until, now)
        );
        lines.push(Line::styled(text, tinted(Some(Tone::Waiting), paint)));
    }
    let moving = service
        .tracks
        .iter()
        .filter(|track| track.state != "Healthy");
    let resting = service
        .tracks
        .iter()
        .filter(|track| track.state == "Healthy");
    for track in moving.chain(resting).take(TRACKS_MAX) {
        lines.extend(of_track(track, service, now, paint));
    }
    let problems = service.problems.len();
    if let Some(problem) = service.problems.first() {
        let more = match problems - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let text = printable(&format!("problem: {}{more}", problem.text));
        lines.push(Line::styled(text, tinted(Some(Tone::Bad), paint)));
    }
    lines
}

fn of_track(track: &Track, service: &Service, now: Timestamp, paint: Paint) -> Vec<Line<'static>> {
    let name = |version: &Option<VersionName>| match version {
        Some(version) if version.alias == version.hash => version.alias.clone(),
        Some(version) => format!("{} ({})", version.alias, version.hash),
        None => "no revision".to_owned(),
    };
    let workload = track.workload.as_deref().unwrap_or("backends");
    let (target, stable) = (name(&track.target), name(&track.stable));
    let change = match track.target == track.stable {
        true => format!("at {target}"),
        false => format!("{} to target {target} from stable {stable}", track.kind),
    };
    let text = format!(
        "{workload}  {} {}  {change}",
        icon(&track.state),
        track.state
    );
    let mut lines = vec![Line::styled(
        printable(&text),
        tinted(tone_of(&track.state), paint),
    )];
    let mut parts = Vec::new();
    if let Some(step) = &track.step {
        parts.push(format!("step {} of {}", step.current, step.count));
    }
    if let Some(wanted) = &track.wanted {
        parts.push(format!("wanted {}", wanted.text));
    }
    if let Some(at) = track.next_move {
        let next = match &track.step {
            Some(step) if step.current < step.count => format!("step {} at", step.current + 1),
            _ => "next move at".to_owned(),
        };
        parts.push(format!("{next} {}", moment(at, now)));
    }
    if !parts.is_empty() {
        lines.push(Line::raw(printable(&format!("  {}", parts.join("  ")))));
    }
    let failed = track.target.as_ref().and_then(|target| {
        let mut versions = service.versions.iter();
        let version = versions.find(|version| version.hash == target.hash)?;
        Some(format!(
            "{} failed: {}",
            version.alias,
            version.failed.as_ref()?
        ))
    });
    for text in track.note.iter().chain(&failed) {
        let style = tinted(Some(Tone::Waiting), paint);
        lines.push(Line::styled(printable(&format!("  {text}")), style));
    }
    lines
}

fn shares(service: &Service, paint: Paint) -> Vec<Line<'static>> {
    let shown: Vec<&Version> = service.versions.iter().take(VERSIONS_MAX).collect();
    let width = shown.iter().map(|version| version.alias.chars().count());
    let width = width.max().unwrap_or(0).max(7);
    let bar_width = usize::from(BAR);
    let title = format!(
        "{:<width$}  {:<bar_width$}  {:>7}  {:>7}  {:>8}  {:>8}",
        "VERSION", "", "SHARE", "POLICY", "CAPACITY", "ANSWERED"
    );
    if shown.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![Line::styled(
        title.trim_end().to_owned(),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    let text = |share: Option<&Share>| share.map_or("-".to_owned(), |share| share.text.clone());
    for version in shown {
        let filled = usize::from(
            bar::cells(
                &[
                    version.share.basis_points,
                    10_000_u16.saturating_sub(version.share.basis_points),
                ],
                BAR,
            )[0],
        );
        let tone = match version.role.as_deref() {
            Some("stable" | "active") => Some(Tone::Good),
            Some(_) => Some(Tone::Moving),
            None => None,
        };
        let alias = printable(&version.alias);
        let answered = version.answered.as_ref().map(|answered| &answered.share);
        lines.push(Line::from(vec![
            Span::raw(format!("{alias:<width$}  ")),
            Span::styled("█".repeat(filled), tinted(tone, paint)),
            Span::raw("░".repeat(bar_width.saturating_sub(filled))),
            Span::raw(format!(
                "  {:>7}  {:>7}  {:>8}  {:>8}",
                text(Some(&version.share)),
                text(version.policy.as_ref()),
                text(version.capacity.as_ref()),
                text(answered),
            )),
        ]));
    }
    let more = service.versions.len().saturating_sub(VERSIONS_MAX);
    if more > 0 {
        lines.push(Line::raw(format!("and {more} more")));
    }
    lines
}

/// The share of the target of the first track that moves, else of the first one.
fn history(seen: &Seen, now: Timestamp, paint: Paint, area: Rect, buffer: &mut Buffer) {
    let mut tracks = seen.service.tracks.iter();
    let moves = tracks.find(|track| track.state != "Healthy");
    let track = moves.or(seen.service.tracks.first());
    let Some(target) = track.and_then(|track| track.target.as_ref()) else {
        return;
    };
    let [label, line] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let text = format!(
        "share of {} in the last {}",
        target.alias,
        duration(SPAN_SECS.unsigned_abs())
    );
    Paragraph::new(printable(&text)).render(label, buffer);
    // An empty line keeps it apart from the tree.
    let line = Rect {
        height: line.height.saturating_sub(1),
        ..line
    };
    Sparkline::default()
        .data(seen.samples.of(&target.hash, now, line.width))
        .max(10_000)
        .absent_value_symbol(" ")
        .style(tinted(Some(Tone::Moving), paint))
        .render(line, buffer);
}

fn foot_line(seen: &Seen, now: Timestamp, paint: Paint) -> Line<'static> {
    let keys = "q leaves, arrows scroll";
    match &seen.trouble {
        None => Line::raw(format!("{keys}  {}", clock(now))),
        Some((since, why)) => {
            let text = format!("{keys}  no answer for {}: {why}", age(*since, now));
            Line::styled(printable(&text), tinted(Some(Tone::Bad), paint))
        }
    }
}

fn icon(state: &str) -> &'static str {
    match state {
        "Healthy" => "✔",
        "Pending" => "○",
        "Progressing" => "▶",
        "Paused" => "‖",
        "Draining" => "▽",
        "RollingBack" => "◀",
        "Aborted" | "Unavailable" => "✖",
        "Degraded" => "!",
        _ => "?",
    }
}

fn tinted(tone: Option<Tone>, paint: Paint) -> Style {
    match tone.filter(|_| paint.0) {
        Some(Tone::Good) => Style::new().fg(Color::Green),
        Some(Tone::Moving) => Style::new().fg(Color::Cyan),
        Some(Tone::Waiting) => Style::new().fg(Color::Yellow),
        Some(Tone::Bad) => Style::new().fg(Color::Red),
        None => Style::new(),
    }
}

/// A moment of today, and how long it is until then.
fn moment(at: Timestamp, now: Timestamp) -> String {
    match u64::try_from(at.as_second() - now.as_second()) {
        Ok(secs) => format!("{} (in {})", clock(at), duration(secs)),
        Err(_) => clock(at),
    }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%SZ").to_string()
}
