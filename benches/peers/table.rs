//! The table: what was measured, as Markdown.

use crate::machine;
use crate::machine::Used;
use crate::rounds::{Sample, Series};

/// Where and when.
pub(crate) fn machine() {
    let now = jiff::Zoned::now().strftime("%Y-%m-%d").to_string();
    println!(
        "{now}, {}, {}, {}",
        machine::processor(),
        machine::kernel(),
        machine::largest_buffer()
    );
}

/// Processor time, rates and latencies of every server under one load.
pub(crate) fn costs(title: &str, all: &[Series]) {
    println!("\n### {title}\n");
    println!(
        "| server | answers/s | µs an answer (user + system) | x | p50 / p99 µs | RSS MB | lost | wrong |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for series in all {
        let micros = |of: fn(Used) -> std::time::Duration| series.median(|s| s.micros(of));
        let latency = |per_mille| {
            series.median(|s: &Sample| s.outcome.latency.at(per_mille).as_secs_f64() * 1e6)
        };
        let wrong = match series.which.is_reflector() {
            true => "–".to_owned(),
            false => series.sum(|o| o.wrong).to_string(),
        };
        println!(
            "| {} | {} | {:.2} ({:.2} + {:.2}) | {:.2} | {:.0} / {:.0} | {:.0} | {} | {wrong} |",
            series.which.name(),
            thousands(series.median(|s| s.outcome.rate())),
            micros(Used::total),
            micros(|used| used.user),
            micros(|used| used.system),
            series.median(|s| s.x),
            latency(500),
            latency(990),
            series.megabytes,
            series.sum(|o| o.lost),
        );
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
