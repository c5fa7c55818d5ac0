//! What the commands print.

use jiff::Timestamp;

use super::super::form::{Paint, tone_of};
use super::bar;
use super::plain::{columns, painted, printable};
use super::told::{
    Done, History, List, Listed, ListedVersion, Service, Share, Track, Transition, Version,
    VersionName,
};
use crate::model::ServiceKey;

/// Problems shown of one service; `explain` and the API tell all of them.
const PROBLEMS_MAX: usize = 10;

/// Drains shown of one service, those that last longest.
const DRAINS_MAX: usize = 10;

/// Cells of the bar of a service in a list.
const BAR: u16 = 10;

/// All services, a line each. With a time, it is told how long each has been in its state.
pub(super) fn list(list: &List, now: Option<Timestamp>, paint: Paint) -> String {
    let unsynced = match list.synced {
        true => "",
        false => "not synced: not every kind of object has been read yet\n",
    };
    if list.services.is_empty() {
        return format!("{unsynced}no services\n");
    }
    let rows: Vec<[String; 11]> = list.services.iter().map(|s| listed(s, now)).collect();
    let titles = [
        "NAMESPACE",
        "NAME",
        "KIND",
        "STATE",
        "STRATEGY",
        "READY",
        "VERSIONS",
        "TARGET",
        "SHARE",
        "TTL",
        "AGE",
    ];
    let paint = |title: &str, cell: &str| match title {
        "STATE" => paint.tone(tone_of(cell), cell),
        _ => cell.to_owned(),
    };
    format!("{unsynced}{}", painted(titles, &rows, paint))
}

fn listed(service: &Listed, now: Option<Timestamp>) -> [String; 11] {
    let versions = &service.versions;
    let shares: Vec<u16> = versions.iter().map(|v| v.share.basis_points).collect();
    let target = service.target.as_ref();
    let is_target = |v: &ListedVersion| target.is_some_and(|target| target.hash == v.hash);
    let cells = bar::cells(&shares, BAR);
    let mut bar = String::new();
    for (index, (version, count)) in versions.iter().zip(cells).enumerate() {
        let glyph = bar::glyph(index, is_target(version));
        bar.extend(std::iter::repeat_n(glyph, count.into()));
    }
    let told = versions
        .iter()
        .map(|v| format!("{} {}", v.alias, v.share.text));
    let told: Vec<String> = told.collect();
    let share = versions.iter().find(|v| is_target(v));
    [
        service.namespace.clone(),
        service.name.clone(),
        service.kind.clone(),
        service.state.clone(),
        service.strategy.clone(),
        format!("{}/{}", service.ready, service.total),
        format!("{bar} {}", told.join(", ")).trim().to_owned(),
        target.map_or_else(|| "-".to_owned(), |target| target.alias.clone()),
        share.map_or_else(|| "-".to_owned(), |version| version.share.text.clone()),
        format!("{}s", service.ttl),
        now.map(|now| age(service.since, now)).unwrap_or_default(),
    ]
}

/// One service. With a time, it is told how long it is until moments.
pub(super) fn service(service: &Service, now: Option<Timestamp>, paint: Paint) -> String {
    let moment = |at: Timestamp| moment(at, now);
    let mut lines = vec![
        ("Namespace:", service.namespace.clone()),
        ("Name:", service.name.clone()),
        ("Kind:", service.kind.clone()),
        (
            "State:",
            format!("{} since {}", service.state, service.since),
        ),
        ("Strategy:", service.strategy.clone()),
        (
            "Endpoints:",
            format!("{} of {} ready", service.ready, service.total),
        ),
        ("TTL:", format!("{}s", service.ttl)),
    ];
    if let Some(at) = service.cut_over {
        lines.push(("Cut-over:", moment(at)));
    }
    if let Some(until) = service.held {
        let why = "its endpoints are gone and their pods are ready; what was answered stays until";
        lines.push(("Held:", format!("{why} {}", moment(until))));
    }
    let mut text = labelled(&lines, paint);
    for track in &service.tracks {
        text.push('\n');
        text.push_str(&labelled(&of_track(track, now), paint));
    }
    if !service.versions.is_empty() {
        text.push('\n');
        text.push_str(&versions(&service.versions));
    }
    text.push_str(&drains(service, now));
    text.push_str(&problems(service));
    text
}

fn of_track(track: &Track, now: Option<Timestamp>) -> Vec<(&'static str, String)> {
    let name = |version: &Option<VersionName>| match version {
        Some(version) if version.alias == version.hash => version.alias.clone(),
        Some(version) => format!("{} ({})", version.alias, version.hash),
        None => "no revision".to_owned(),
    };
    let workload = track.workload.as_deref().unwrap_or("backends");
    let mut lines = vec![
        ("Track:", workload.to_owned()),
        ("  State:", format!("{} since {}", track.state, track.since)),
    ];
    let change = match track.target == track.stable {
        true => format!("at {}", name(&track.target)),
        false => format!(
            "{} to {}, from {}",
            track.kind,
            name(&track.target),
            name(&track.stable)
        ),
    };
    lines.push(("  Change:", change));
    if let Some(step) = &track.step {
        lines.push(("  Step:", format!("{} of {}", step.current, step.count)));
    }
    if let Some(wanted) = &track.wanted {
        lines.push(("  Wanted:", wanted.text.clone()));
    }
    if let Some(note) = &track.note {
        lines.push(("  Note:", note.clone()));
    }
    if let Some(at) = track.next_move {
        lines.push(("  Next move:", moment(at, now)));
    }
    lines
}

fn versions(versions: &[Version]) -> String {
    let share = |share: Option<&Share>| share.map_or_else(|| "-".to_owned(), |s| s.text.clone());
    let rows: Vec<[String; 11]> = versions
        .iter()
        .map(|version| {
            let ready = match version.pods {
                Some(pods) => format!("{}/{pods}", version.ready),
                None => version.ready.to_string(),
            };
            let revision = version.revision;
            [
                version.alias.clone(),
                revision.map_or_else(|| "-".to_owned(), |number| number.to_string()),
                version.hash.clone(),
                version.share.text.clone(),
                share(version.policy.as_ref()),
                share(version.capacity.as_ref()),
                share(version.answered.as_ref().map(|answered| &answered.share)),
                ready,
                version.role.clone().unwrap_or_else(|| "-".to_owned()),
                version.reason.clone(),
                version.failed.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let titles = [
        "VERSION", "REV", "HASH", "SHARE", "POLICY", "CAPACITY", "ANSWERED", "READY", "ROLE",
        "REASON", "FAILED",
    ];
    columns(titles, &rows)
}

fn drains(service: &Service, now: Option<Timestamp>) -> String {
    if service.drains.is_empty() {
        return String::new();
    }
    let latest = service.drains.iter().rev().take(DRAINS_MAX);
    let rows: Vec<[String; 3]> = latest
        .map(|drain| {
            let address = drain.address.to_string();
            [address, drain.alias.clone(), moment(drain.deadline, now)]
        })
        .collect();
    let titles = [
        "DRAINS",
        "VERSION",
        "THE LAST WELL-BEHAVED CACHE FORGETS IT AT",
    ];
    let more = service.drains.len().saturating_sub(DRAINS_MAX);
    let more = match more {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    format!("\n{}{more}", columns(titles, &rows))
}

fn problems(service: &Service) -> String {
    if service.problems.is_empty() {
        return String::new();
    }
    let mut text = "\nPROBLEMS\n".to_owned();
    for problem in service.problems.iter().take(PROBLEMS_MAX) {
        text.push_str(&printable(&problem.text));
        text.push('\n');
    }
    let more = service.problems.len().saturating_sub(PROBLEMS_MAX);
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

/// One line: where the tracks that are not at rest stand.
pub(super) fn status(service: &Service) -> String {
    let tracks = service
        .tracks
        .iter()
        .filter(|track| track.state != "Healthy");
    let told = tracks.map(|track| {
        let mut parts = vec![track.state.clone()];
        if let (Some(target), Some(stable)) = (&track.target, &track.stable)
            && target != stable
        {
            parts.push(format!("{} to {}", track.kind, target.alias));
        }
        let step = track.step.as_ref();
        parts.extend(step.map(|step| format!("step {} of {}", step.current, step.count)));
        parts.extend(track.wanted.as_ref().map(|wanted| wanted.text.clone()));
        parts.extend(track.note.clone());
        let workload = track.workload.as_deref().unwrap_or("backends");
        format!("{workload}: {}", parts.join(", "))
    });
    let told: Vec<String> = told.collect();
    let line = match told.is_empty() {
        true => service.state.clone(),
        false => format!("{}; {}", service.state, told.join("; ")),
    };
    printable(&line)
}

/// What happened, the oldest first.
pub(super) fn history(history: &History, paint: Paint) -> String {
    if history.transitions.is_empty() {
        return "nothing has happened since the server began\n".to_owned();
    }
    let row = |t: &Transition| {
        let took = t.seconds.map(|seconds| duration(seconds.unsigned_abs()));
        [
            t.at.to_string(),
            t.workload.clone().unwrap_or_else(|| "backends".to_owned()),
            t.from.clone().unwrap_or_else(|| "-".to_owned()),
            t.to.clone(),
            t.kind.clone(),
            t.target.clone(),
            t.result.clone().unwrap_or_default(),
            took.unwrap_or_default(),
            t.cause.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 9]> = history.transitions.iter().map(row).collect();
    let titles = [
        "AT", "WORKLOAD", "FROM", "TO", "KIND", "TARGET", "RESULT", "TOOK", "CAUSE",
    ];
    let paint = |title: &str, cell: &str| match title {
        "FROM" | "TO" => paint.tone(tone_of(cell), cell),
        _ => cell.to_owned(),
    };
    painted(titles, &rows, paint)
}

/// What was done, and where.
pub(super) fn done(service: &ServiceKey, done: &Done, place: &str) -> String {
    let workload = done.workload.as_deref().unwrap_or("backends");
    let Done { target, done, .. } = done;
    printable(&format!(
        "{service}: {workload}: revision {target} {done}{place}"
    ))
}

/// Labels and what stands behind them, aligned.
fn labelled(lines: &[(&str, String)], paint: Paint) -> String {
    const WIDTH: usize = 14;
    let line = |(label, text): &(&str, String)| {
        let text = printable(text);
        let tone = match label.trim() {
            "State:" => tone_of(text.split(' ').next().unwrap_or_default()),
            _ => None,
        };
        format!("{label:<WIDTH$}{}\n", paint.tone(tone, &text))
    };
    lines.iter().map(line).collect()
}

/// A moment, and how long it is until then.
fn moment(at: Timestamp, now: Option<Timestamp>) -> String {
    let secs = now.map(|now| at.as_second() - now.as_second());
    match secs.and_then(|secs| u64::try_from(secs).ok()) {
        Some(secs) => format!("{at} (in {})", duration(secs)),
        None => at.to_string(),
    }
}

/// How long something has been so.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    let secs = now.as_second() - since.as_second();
    duration(u64::try_from(secs).unwrap_or(0))
}

/// `3d4h`, `1h30m`, `2m5s`, `45s`.
pub(super) fn duration(secs: u64) -> String {
    match (secs / 86_400, secs / 3600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, secs) => format!("{secs}s"),
        (0, 0, minutes, secs) => format!("{minutes}m{secs}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, _, _) => format!("{days}d{hours}h"),
    }
}
