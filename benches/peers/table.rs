//! The table: what was measured, as Markdown.

use std::io;
use std::time::Duration;

use crate::changes::Beside;
use crate::instructions::Counted;
use crate::load::Outcome;
use crate::machine;
use crate::machine::Used;
use crate::parts::Flood;
use crate::rounds::{Sample, Series};
use crate::servers::{Server, Which};

/// Where, when and of what.
pub(crate) fn machine(servers: &[Server]) {
    let today = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
    let (processor, kernel) = (machine::processor(), machine::kernel());
    let buffer = machine::largest_buffer();
    println!("{today}. {processor}; {kernel}; {buffer}.");
    for server in servers.iter().filter(|s| !s.version.is_empty()) {
        println!("- {}: {}", server.which.name(), server.version);
    }
}

/// Processor time, rates and latencies of every server under one load.
pub(crate) fn costs(title: &str, all: &[Series]) {
    println!("\n### {title}\n");
    println!(
        "| server | answers/s | µs an answer (user + system) | x | p50 / p99 µs | RSS MB | lost | wrong |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for series in all {
        println!("| {} |{}", series.which.name(), figures(series));
    }
}

fn figures(series: &Series) -> String {
    let wrong = match series.which.is_reflector() {
        true => "–".to_owned(),
        false => series.sum(|o| o.wrong).to_string(),
    };
    format!(
        " {} | {:.2} ({:.2} + {:.2}) | {:.2} | {:.0} / {:.0} | {:.0} | {} | {wrong} |",
        thousands(series.median(|s| s.outcome.rate())),
        series.micros(Used::total),
        series.micros(|used| used.user),
        series.micros(|used| used.system),
        series.median(|s| s.x),
        series.latency(500),
        series.latency(990),
        series.megabytes,
        series.sum(|o| o.lost),
    )
}

/// How many times ours each peer uses.
pub(crate) fn beside_ours(all: &[Series]) {
    let Some(ours) = all.iter().find(|s| s.which == Which::Ours) else {
        return;
    };
    let peers = all
        .iter()
        .filter(|s| !s.which.is_ours() && !s.which.is_reflector());
    let times: Vec<String> = peers
        .map(|peer| {
            let of = |series: &Series| series.median(|s| s.x);
            format!("{} {:.2}", peer.which.name(), of(peer) / of(ours))
        })
        .collect();
    if !times.is_empty() {
        println!(
            "\nTimes the processor time of ShiftDNS: {}.",
            times.join(", ")
        );
    }
}

/// x of every server, a kind of question a column.
pub(crate) fn kinds(servers: &[Which], columns: &[(&str, Vec<Series>)]) {
    println!("\n### Each kind alone: x (µs an answer)\n");
    let titles: Vec<&str> = columns.iter().map(|(title, _)| *title).collect();
    println!("| server | {} |", titles.join(" | "));
    println!("|---|{}", "---|".repeat(columns.len()));
    for which in servers {
        let cells = columns.iter().map(|(_, all)| {
            let series = all.iter().find(|series| series.which == *which);
            let Some(series) = series.filter(|s| !s.samples.is_empty()) else {
                return "–".to_owned();
            };
            let remark = match series.sum(|o| o.wrong) {
                0 => String::new(),
                wrong => format!(", {wrong} wrong"),
            };
            let x = series.median(|s| s.x);
            format!("{x:.2} ({:.2}{remark})", series.micros(Used::total))
        });
        let cells: Vec<String> = cells.collect();
        println!("| {} | {} |", which.name(), cells.join(" | "));
    }
}

/// Latencies of every server at one rate, and how many times the reflector's they are.
pub(crate) fn latencies(title: &str, all: &[Series]) {
    println!("\n### {title}\n");
    println!(
        "| server | p50 µs | p99 µs | p99.9 µs | p50, p99 / reflector's | µs an answer | x | lost |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for series in all {
        let wanted = series.which.reflector();
        let reflector = all.iter().find(|s| s.which == wanted);
        let times = |per_mille| {
            reflector.map_or(f64::NAN, |r| {
                series.latency(per_mille) / r.latency(per_mille)
            })
        };
        println!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.2}, {:.2} | {:.2} | {:.2} | {} |",
            series.which.name(),
            series.latency(500),
            series.latency(990),
            series.latency(999),
            times(500),
            times(990),
            series.micros(Used::total),
            series.median(|s| s.x),
            series.sum(|o| o.lost),
        );
    }
}

/// What was lost at a part of the maximum.
pub(crate) fn losses(part: f64, length: Duration, lines: &[(Which, f64, Outcome)]) {
    let percent = part * 100.0;
    println!(
        "\n### {percent:.0} % of its own maximum, Poisson arrivals, {} s\n",
        length.as_secs()
    );
    println!("| server | maximum/s | asked/s | lost | of all | p50 / p99 / p99.9 µs |");
    println!("|---|---|---|---|---|---|");
    for (which, peak, outcome) in lines {
        println!(
            "| {} | {} | {} | {} | {:.3} % | {:.0} / {:.0} / {:.0} |",
            which.name(),
            thousands(*peak),
            thousands(outcome.sent as f64 / outcome.length.as_secs_f64()),
            outcome.lost,
            outcome.lost as f64 * 100.0 / outcome.sent.max(1) as f64,
            micros(outcome, 500),
            micros(outcome, 990),
            micros(outcome, 999),
        );
    }
}

fn micros(outcome: &Outcome, per_mille: u64) -> f64 {
    outcome.latency.at(per_mille).as_secs_f64() * 1e6
}

/// What floods did.
pub(crate) fn floods(times: f64, length: Duration, calm: f64, lines: &[Flood]) {
    println!(
        "\n### Overload: {times:.0} times its own maximum, {} s\n",
        length.as_secs()
    );
    println!(
        "| server | maximum/s | asked/s | answered/s | of the maximum | RSS MB before, after | p99 µs at {calm:.0}/s before, after | normal again after s |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for flood in lines {
        let outcome = &flood.outcome;
        println!(
            "| {} | {} | {} | {} | {:.0} % | {:.0}, {:.0} | {:.0}, {:.0} | {:.1} |",
            flood.which.name(),
            thousands(flood.peak),
            thousands(outcome.sent as f64 / outcome.length.as_secs_f64()),
            thousands(outcome.rate()),
            outcome.rate() * 100.0 / flood.peak,
            flood.megabytes_before,
            flood.megabytes_after,
            micros(&flood.quiet, 990),
            micros(&flood.after, 990),
            flood.recovery.as_secs_f64(),
        );
    }
}

/// Our server with several sizes of cluster: services, time to the first right answer, memory then.
pub(crate) fn sizes(starts: &[(usize, Duration, f64)], all: &[Series]) {
    println!("\n### ShiftDNS by size: the mix\n");
    println!(
        "| services with a cluster IP | first right answer s | answers/s | µs an answer (user + system) | x | p50 / p99 µs | RSS MB | lost | wrong |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for ((services, start, _), series) in starts.iter().zip(all) {
        println!(
            "| {} | {:.2} |{}",
            thousands(*services as f64),
            start.as_secs_f64(),
            figures(series)
        );
    }
}

/// Our server with and without changes.
pub(crate) fn changes(lines: &[Beside]) {
    println!("\n### ShiftDNS while 1,000 slices change a second\n");
    println!(
        "| load | changes | answers/s quiet, changing | p50 µs quiet, changing | p99 µs quiet, changing | p99 times | changed to answered ms p50 / p99 (unseen) | lost | wrong |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for line in lines {
        let (quiet, busy) = (&line.quiet.outcome, &line.busy.outcome);
        let lag = |per_mille| line.lag.at(per_mille).as_secs_f64() * 1e3;
        println!(
            "| {} | {} | {}, {} | {:.0}, {:.0} | {:.0}, {:.0} | {:.2} | {:.2} / {:.2} ({}) | {} | {} |",
            line.title,
            thousands(line.changes as f64),
            thousands(quiet.rate()),
            thousands(busy.rate()),
            micros(quiet, 500),
            micros(busy, 500),
            micros(quiet, 990),
            micros(busy, 990),
            micros(busy, 990) / micros(quiet, 990),
            lag(500),
            lag(990),
            line.unseen,
            busy.lost,
            busy.wrong,
        );
    }
}

/// The same load from two generators.
pub(crate) fn generators(
    which: Which,
    rate: f64,
    length: Duration,
    lines: &[(&str, io::Result<Sample>)],
) {
    let (name, length) = (which.name(), length.as_secs());
    let title = format!("Generators: {rate:.0} queries a second to {name} for {length} s");
    counted(&title, "generator", lines);
}

/// What a generator has counted, a line for each of `what`.
pub(crate) fn counted(title: &str, what: &str, lines: &[(&str, io::Result<Sample>)]) {
    println!("\n### {title}\n");
    println!(
        "| {what} | sent | answered | lost | answers/s | µs an answer, of the server | it says |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, sample) in lines {
        match sample {
            Ok(sample) => {
                let outcome = &sample.outcome;
                println!(
                    "| {name} | {} | {} | {} | {} | {:.2} | {} |",
                    outcome.sent,
                    outcome.answered,
                    outcome.lost,
                    thousands(outcome.rate()),
                    sample.micros(Used::total),
                    outcome.fault.as_deref().unwrap_or("all right"),
                );
            }
            Err(error) => {
                println!("| {name} | missing: {error} (apt-get install dnsperf) | | | | | |")
            }
        }
    }
}

/// Instructions an answer.
pub(crate) fn instructions(lines: &[Counted]) {
    println!("\n### ShiftDNS: instructions an answer (callgrind), the mix\n");
    println!("| workers | answers | instructions an answer |");
    println!("|---|---|---|");
    for line in lines {
        let each = line.instructions as f64 / (line.answers as f64).max(1.0);
        let (workers, answers) = (line.workers, thousands(line.answers as f64));
        println!("| {workers} | {answers} | {} |", thousands(each));
    }
}

/// A number with a comma at the thousands.
fn thousands(number: f64) -> String {
    let number = number.round() as u64;
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}
