//! `lint`: what of manifests cannot work, or not as it was meant, although nothing in them is malformed.
//!
//! Given paths, [`lint()`] reads every manifest in them, brings each service together with the workloads that its
//! selector matches, and asks the [`rules`] about it; what is malformed is told as well. It needs no pods: what it
//! judges is what someone wrote, before a cluster made anything of it.

mod rules;

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::check::resets;
use super::documents::{self, Known, kind_of, selects, with_address};
use super::simulate::reading;
use crate::files;
use crate::model::{Policy, Problem, ServiceKey, ServiceView};
use crate::objects::{Index, Kind, Object, Settings};
use crate::rollout::{self, Memory, controllers};

/// Something that a rule found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    problem: Problem,
    /// The rule's name; scripts rely on it.
    rule: &'static str,
    /// It is worth knowing, and no mistake.
    pub(super) is_note: bool,
}

impl Finding {
    fn warning(rule: &'static str, problem: Problem) -> Self {
        Self {
            problem,
            rule,
            is_note: false,
        }
    }

    fn note(rule: &'static str, problem: Problem) -> Self {
        Self {
            is_note: true,
            ..Self::warning(rule, problem)
        }
    }
}

/// `web.yaml:9: deployment shop/web: note: maxSurge is 1 of 4 [ramp-is-no-op]`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut problem = self.problem.clone();
        if self.is_note {
            problem.text = format!("note: {}", problem.text);
        }
        write!(f, "{problem} [{}]", self.rule)
    }
}

/// A service, as it was written.
struct Case<'k> {
    view: ServiceView,
    policy: Policy,
    /// What is wrong with its annotations.
    complaints: Vec<Problem>,
    behind: Vec<Behind<'k>>,
}

/// A workload that a service selects.
struct Behind<'k> {
    known: &'k Known,
    workload: controllers::Workload,
}

/// What is found in the manifests at some paths, by place.
///
/// # Errors
/// Where one cannot be read.
pub(super) fn lint(paths: &[PathBuf]) -> anyhow::Result<Vec<Finding>> {
    let mut texts = Vec::new();
    for path in paths {
        let cannot = || format!("cannot read `{}`", path.display());
        for file in files::paths(path).with_context(cannot)? {
            texts.push((
                name(&file),
                std::fs::read_to_string(&file).with_context(cannot)?,
            ));
        }
    }
    Ok(judge(texts.iter().map(|(file, text)| (&**file, &**text))))
}

fn name(file: &Path) -> String {
    file.to_string_lossy().into_owned()
}

/// What is found in some texts, each with the name of its file.
fn judge<'t>(texts: impl Iterator<Item = (&'t str, &'t str)>) -> Vec<Finding> {
    let (mut all, mut flaws): (Vec<Known>, Vec<Problem>) = Default::default();
    for (file, text) in texts {
        let (known, problems) = documents::read(file, text);
        all.extend(known);
        flaws.extend(problems);
    }
    flaws.extend(all.iter().flat_map(|known| known.object.problems()));
    let index = index(&all);
    let mut findings = Vec::new();
    let nodes = all.iter().filter(|k| k.object.kind() == Kind::Node).count();
    let nodes = u32::try_from(nodes).unwrap_or(u32::MAX);
    for service in all.iter().filter(|k| k.object.kind() == Kind::Service) {
        let key = ServiceKey::new(service.object.namespace(), service.object.name());
        let Some(joined) = index.view(&key) else {
            continue;
        };
        flaws.extend(joined.problems);
        let Some(view) = joined.view else {
            continue;
        };
        let (policy, complaints) = rollout::policy(&view, &Policy::default(), &Memory::default());
        let mut behind = Vec::new();
        for known in all
            .iter()
            .filter(|known| kind_of(known.object.kind()).is_some())
        {
            if !selects(service, known) {
                continue;
            }
            match reading::declared(known, nodes) {
                Ok(workload) => behind.push(Behind { known, workload }),
                Err(text) => flaws.push(known.problem(text)),
            }
        }
        let case = Case {
            view,
            policy,
            complaints,
            behind,
        };
        findings.extend(rules::ALL.iter().flat_map(|rule| rule(&case)));
    }
    findings.extend(
        flaws
            .into_iter()
            .map(|flaw| Finding::warning("manifest", flaw)),
    );
    findings.sort();
    findings.dedup();
    findings
}

/// The objects as a cluster would have them: a service without an address gets one that is nobody else's (RFC 2544).
fn index(all: &[Known]) -> Index {
    let as_in_cluster = |(number, known): (u16, &Known)| {
        let [high, low] = number.to_be_bytes();
        let address = Ipv4Addr::new(198, 18, high, low);
        match known.object.kind() {
            Kind::Service => with_address(known, address).ok(),
            _ => None,
        }
        .unwrap_or_else(|| known.object.clone())
    };
    let numbers = (1..=u16::MAX).cycle();
    let objects: Vec<Object> = numbers.zip(all).map(as_in_cluster).collect();
    let mut index = Index::new(Settings::default());
    for change in resets(objects) {
        index.apply(change);
    }
    // Which workloads stand behind a service is learnt with its mark.
    index.take_dirty();
    index
}
