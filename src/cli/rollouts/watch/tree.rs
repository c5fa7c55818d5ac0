//! The tree: workloads, their revisions, the endpoints of each.

use super::super::plain::printable;
use super::super::told::{Endpoint, Service, Version};

/// A line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) rank: Rank,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    Workload,
    Revision,
    /// Whether it is ready.
    Endpoint(bool),
}

/// All lines, in the order of the API: nothing moves but by what happens.
pub(super) fn lines(service: &Service) -> Vec<Line> {
    let mut workloads: Vec<Option<&str>> = Vec::new();
    for version in &service.versions {
        let workload = version.workload.as_deref();
        if !workloads.contains(&workload) {
            workloads.push(workload);
        }
    }
    let cells: Vec<[String; 6]> = service.endpoints.iter().map(cells).collect();
    let widths: Vec<usize> = (0..6)
        .map(|column| {
            let cells = cells.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        })
        .collect();
    let mut lines = Vec::new();
    for workload in workloads {
        lines.push(Line {
            text: printable(workload.unwrap_or("without a workload")),
            rank: Rank::Workload,
        });
        let of_workload = |v: &&Version| v.workload.as_deref() == workload;
        let versions: Vec<&Version> = service.versions.iter().filter(of_workload).collect();
        for (index, version) in versions.iter().enumerate() {
            let (branch, stem) = match index + 1 == versions.len() {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            lines.push(Line {
                text: format!("{branch}{}", revision(version)),
                rank: Rank::Revision,
            });
            let endpoints = service.endpoints.iter().zip(&cells);
            let mine = |e: &Endpoint| e.version.as_ref().is_some_and(|v| v.hash == version.hash);
            let endpoints: Vec<_> = endpoints.filter(|(e, _)| mine(e)).collect();
            for (index, (endpoint, cells)) in endpoints.iter().enumerate() {
                let branch = match index + 1 == endpoints.len() {
                    true => "└─",
                    false => "├─",
                };
                let mut text = format!("{stem}{branch}");
                for (cell, width) in cells.iter().zip(&widths).filter(|(_, width)| **width > 0) {
                    text.push_str(&format!(" {cell:<width$} "));
                }
                lines.push(Line {
                    text: text.trim_end().to_owned(),
                    rank: Rank::Endpoint(endpoint.ready),
                });
            }
        }
    }
    lines
}

fn revision(version: &Version) -> String {
    let mut parts = Vec::new();
    parts.push(match version.alias == version.hash {
        true => version.alias.clone(),
        false => format!("{} ({})", version.alias, version.hash),
    });
    parts.extend(version.revision.map(|number| format!("revision {number}")));
    parts.extend(version.role.clone());
    parts.push(match version.pods {
        Some(pods) => format!("{}/{pods} ready", version.ready),
        None => format!("{} ready", version.ready),
    });
    parts.push(format!("{} soaked", version.soaked));
    parts.push(version.reason.clone());
    parts.extend(
        version
            .failed
            .as_ref()
            .map(|cause| format!("failed: {cause}")),
    );
    printable(&parts.join("  "))
}

/// Pod, address, what it is, whether it has soaked, zone, restarts.
fn cells(endpoint: &Endpoint) -> [String; 6] {
    let state = match (endpoint.ready, endpoint.terminating, endpoint.answered) {
        (_, true, true) => "terminating, answered",
        (_, true, false) => "terminating",
        (true, false, true) => "ready",
        (true, false, false) => "ready, not answered",
        (false, false, true) => "not ready, answered",
        (false, false, false) => "not ready",
    };
    let soaked = if endpoint.soaked { "soaked" } else { "" };
    let restarts = match endpoint.restarts {
        0 => String::new(),
        1 => "1 restart".to_owned(),
        count => format!("{count} restarts"),
    };
    [
        printable(endpoint.pod.as_deref().unwrap_or_default()),
        endpoint.address.to_string(),
        state.to_owned(),
        soaked.to_owned(),
        printable(endpoint.zone.as_deref().unwrap_or_default()),
        restarts,
    ]
}
