//! Wishes: which version each written weight is meant for, and what part of the whole it asks.
//!
//! Given weights and versions, [`wishes`] normalises the weights of known names to the whole and divides a name's
//! part among the revisions it covers. Whether a version can carry its wish is not asked here.

use jiff::Timestamp;

use super::Version;
use super::shares::apportion;
use crate::model::{Share, Weights};

/// What the policy gives one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// No weight names it: it is left out.
    Unlisted,
    /// Weight 0: it is left out.
    Zero,
    /// A part of the whole; it may round to nothing and still not be left out.
    Part(Share),
}

/// How new a version is: the revision number, then the age. Numbers of different workloads do not compare in truth;
/// any order that is always the same will do between them.
pub(super) type Newness = (Option<i64>, Option<Timestamp>);

/// The wish of each version, by the weights of an annotation; `None` if no weight above 0 names a version that is there.
///
/// The most exact name takes a version: its hash, else its alias, else its label. So `v1=90,7d9f=10` gives the
/// revision 7d9f its own part even where its label is v1, and no version is wished for twice. A name's part is
/// divided among its revisions by their ready endpoints; while there are none, the newest has it.
pub(super) fn wishes(
    (annotation, weights): (&str, &Weights),
    versions: &[Version],
    newness: &[Newness],
    problems: &mut Vec<String>,
) -> Option<Vec<Wish>> {
    let written: Vec<(&str, u16)> = weights.iter().map(|(name, w)| (&**name, w)).collect();
    let named_by: Vec<Option<usize>> = versions
        .iter()
        .map(|version| {
            let find = |exact: &str| written.iter().position(|(name, _)| *name == exact);
            names(version).into_iter().find_map(find)
        })
        .collect();
    for (index, (name, _)) in written.iter().enumerate() {
        if named_by.contains(&Some(index)) {
            continue;
        }
        problems.push(if versions.iter().any(|v| names(v).contains(name)) {
            format!("{annotation}: other entries name all of `{name}` more exactly")
        } else {
            let known = known(versions);
            format!("{annotation}: no version `{name}` behind this service; known: {known}")
        });
    }
    let known: Vec<(&str, u64)> = written
        .iter()
        .enumerate()
        .map(|(index, (name, weight))| {
            let is_known = named_by.contains(&Some(index));
            (*name, if is_known { u64::from(*weight) } else { 0 })
        })
        .collect();
    if known.iter().all(|(_, weight)| *weight == 0) {
        problems.push(format!(
            "{annotation}: no version with a weight above 0 is there; every ready endpoint counts the same"
        ));
        return None;
    }
    let mut wishes = vec![Wish::Unlisted; versions.len()];
    let parts = apportion(u64::from(Share::WHOLE.basis_points()), &known);
    for (index, ((_, weight), part)) in known.iter().zip(parts).enumerate() {
        let mut covered: Vec<usize> = (0..versions.len())
            .filter(|&version| named_by[version] == Some(index))
            .collect();
        covered.sort_by_key(|&version| std::cmp::Reverse(newness[version]));
        for (version, part) in divide(part, &covered, versions) {
            wishes[version] = match weight {
                0 => Wish::Zero,
                _ => Wish::Part(Share::from_basis_points(part)),
            };
        }
    }
    Some(wishes)
}

/// What a version can be named by, the most exact first.
fn names(version: &Version) -> [&str; 3] {
    [&version.hash, &version.alias, &version.label]
}

/// Divides the part of one name among its revisions, which come newest first.
fn divide(part: u64, covered: &[usize], versions: &[Version]) -> Vec<(usize, u64)> {
    let nothing_ready = covered.iter().all(|&index| versions[index].ready == 0);
    let by_ready: Vec<(&str, u64)> = covered
        .iter()
        .enumerate()
        .map(|(place, &index)| {
            let version = &versions[index];
            let weight = match nothing_ready {
                true => u64::from(place == 0),
                false => u64::from(version.ready),
            };
            (&*version.hash, weight)
        })
        .collect();
    let parts = apportion(part, &by_ready);
    covered.iter().copied().zip(parts).collect()
}

/// The aliases a person may have meant: those with endpoints first, no more than fit a line.
fn known(versions: &[Version]) -> String {
    const SHOWN_MAX: usize = 8;
    let mut sorted: Vec<&Version> = versions.iter().collect();
    sorted.sort_by_key(|version| version.ready == 0);
    let mut names: Vec<&str> = Vec::new();
    for version in sorted {
        if !names.contains(&&*version.alias) {
            names.push(&version.alias);
        }
    }
    match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN_MAX => {
            let more = count - SHOWN_MAX;
            format!("{} and {more} more", names[..SHOWN_MAX].join(", "))
        }
        _ => names.join(", "),
    }
}
