//! Aliases: the DNS labels by which versions are called.
//!
//! Given the labels and hashes of a service's versions, [`aliases`] gives each version its alias. Revisions of one
//! label share an alias (a restart makes two revisions of one version); different labels never do. What a version
//! is called besides, its hash, is not decided here.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

/// What an alias is made of.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    pub(super) label: &'a str,
    pub(super) hash: &'a str,
    /// Whether any endpoint runs it.
    pub(super) has_endpoints: bool,
    pub(super) number: Option<i64>,
    pub(super) created: Option<Timestamp>,
}

/// What a version is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) alias: Arc<str>,
    /// Whether there are names below it.
    pub(super) is_name: bool,
}

/// Names of roles and of the whole: beside `stable.web.shop...` there is no room for a version of that name.
const ROLE_WORDS: [&str; 5] = ["stable", "canary", "active", "preview", "all"];

/// Whether `label` is kept for a role or for the whole. It is under every strategy: another one should not turn a
/// version's name into a role's.
pub fn is_role_word(label: &str) -> bool {
    ROLE_WORDS.contains(&label)
}

/// The most labels of a service that have names, as many as weights can name. Each costs a view of the service, made
/// anew at every change of it, and one tenant's labels should not keep the others waiting.
const LABELS_MAX: usize = 32;

/// A DNS label has at most 63 octets (RFC 1035, section 2.3.4).
const OCTETS_MAX: usize = 63;

/// The alias of each version, in the order of the versions, and what a person should know about them.
///
/// A version's alias is its label as a DNS label. Its hash is appended where the plain alias is that of another
/// label, is another version's hash, or is a role's word. Of more than 32 labels, those with endpoints and then
/// the newest have names; the others are told by their hash and have none.
pub(super) fn aliases(versions: &[Named<'_>]) -> (Vec<Alias>, Vec<String>) {
    let mut problems = Vec::new();
    let labels = labels_with_alias(versions, &mut problems);
    let within: Vec<Named<'_>> = versions
        .iter()
        .filter(|version| labels.contains(version.label))
        .cloned()
        .collect();
    let labels_by_alias = labels_by(&within, plain);
    let labels_by_hash = labels_by(versions, |version| dns_label(version.hash));
    let mut chosen: Vec<String> = versions
        .iter()
        .map(|version| {
            let alias = plain(version);
            let is_role = is_role_word(&alias);
            let is_shared = labels_by_alias.get(&alias).is_some_and(|l| l.len() > 1);
            let hashed = labels_by_hash.get(&alias).into_iter().flatten();
            let is_hash = hashed.into_iter().any(|label| *label != version.label);
            if !labels.contains(version.label) {
                hash_alone(version)
            } else if is_role || is_shared || is_hash {
                let with_hash = with_hash(&alias, version);
                if is_role {
                    problems.push(format!(
                        "version `{}` is called `{with_hash}`: `{alias}` is the name of a role",
                        version.label
                    ));
                }
                with_hash
            } else {
                alias
            }
        })
        .collect();
    part(versions, &mut chosen);
    let aliases = chosen
        .into_iter()
        .zip(versions)
        .map(|(alias, version)| Alias {
            alias: alias.into(),
            is_name: labels.contains(version.label),
        });
    (aliases.collect(), problems)
}

/// The labels that get an alias: those with endpoints first, then the newest.
fn labels_with_alias<'a>(versions: &[Named<'a>], problems: &mut Vec<String>) -> BTreeSet<&'a str> {
    let mut ranked: Vec<&Named<'a>> = versions.iter().collect();
    ranked.sort_by_key(|v| Reverse((v.has_endpoints, v.number, v.created)));
    let mut labels = BTreeSet::new();
    for version in ranked {
        if labels.len() < LABELS_MAX {
            labels.insert(version.label);
        }
    }
    let count = versions.iter().map(|v| v.label).collect::<BTreeSet<_>>();
    if count.len() > labels.len() {
        problems.push(format!(
            "{} versions are more than {LABELS_MAX}: the oldest have no names of their own",
            count.len()
        ));
    }
    labels
}

/// Where an alias with a hash is by chance that of another label, both are called by their hash. Hashes of bare pods
/// are their labels and may come out alike as well; then a fingerprint of the label tells them apart.
fn part(versions: &[Named<'_>], chosen: &mut [String]) {
    for index in clashing(versions, chosen) {
        chosen[index] = hash_alone(&versions[index]);
    }
    for index in clashing(versions, chosen) {
        chosen[index] = with_suffix(&chosen[index], &fingerprint(versions[index].label));
    }
}

/// The versions whose alias is also that of another label.
fn clashing(versions: &[Named<'_>], chosen: &[String]) -> Vec<usize> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (version, alias) in versions.iter().zip(chosen) {
        labels.entry(alias).or_default().insert(version.label);
    }
    let is_shared = |index: &usize| labels.get(&*chosen[*index]).is_some_and(|l| l.len() > 1);
    (0..chosen.len()).filter(is_shared).collect()
}

/// The labels of the versions that have the same text in one of their parts.
fn labels_by<'a>(
    versions: &[Named<'a>],
    text: impl Fn(&Named<'a>) -> String,
) -> BTreeMap<String, BTreeSet<&'a str>> {
    let mut labels: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for version in versions {
        labels
            .entry(text(version))
            .or_default()
            .insert(version.label);
    }
    labels
}

/// Eight digits of FNV-1a: the same in every process, and short enough to be typed.
fn fingerprint(label: &str) -> String {
    let step = |hash: u32, octet: u8| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193);
    format!("{:08x}", label.bytes().fold(0x811c_9dc5, step))
}

fn plain(version: &Named<'_>) -> String {
    let alias = dns_label(version.label);
    if alias.is_empty() {
        hash_alone(version)
    } else {
        alias
    }
}

/// The version's hash as a DNS label; hashes of Kubernetes are one already, the label of a bare pod may not be.
fn hash_alone(version: &Named<'_>) -> String {
    let alias = dns_label(version.hash);
    if alias.is_empty() {
        "version".to_owned()
    } else {
        alias
    }
}

fn with_hash(alias: &str, version: &Named<'_>) -> String {
    with_suffix(alias, &hash_alone(version))
}

/// `alias-suffix`, the alias cut where both do not fit into a label.
fn with_suffix(alias: &str, suffix: &str) -> String {
    let room = OCTETS_MAX.saturating_sub(suffix.len() + 1);
    let start = alias[..alias.len().min(room)].trim_end_matches('-');
    if start.is_empty() {
        suffix.to_owned()
    } else {
        format!("{start}-{suffix}")
    }
}

/// `text` in lower case, `-` for what is not a letter, a digit or a hyphen, without hyphens at the edges.
fn dns_label(text: &str) -> String {
    let label: String = text
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let label = label.trim_matches('-');
    label[..label.len().min(OCTETS_MAX)]
        .trim_end_matches('-')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::proptest;

    use super::*;

    /// Versions as `label hash`, newest last; the label `''` is empty.
    fn check(versions: &str, expected: &str, expected_problems: &[&str]) {
        let named: Vec<Named<'_>> = versions
            .split(", ")
            .zip(1..)
            .map(|(text, number)| {
                let (label, hash) = text.split_once(' ').unwrap();
                Named {
                    label: if label == "''" { "" } else { label },
                    hash,
                    has_endpoints: true,
                    number: Some(number),
                    created: None,
                }
            })
            .collect();
        let (got, problems) = aliases(&named);
        let told = |alias: &Alias| match alias.is_name {
            true => alias.alias.to_string(),
            false => format!("({})", alias.alias),
        };
        let got: Vec<String> = got.iter().map(told).collect();
        assert_eq!(got.join(", "), expected, "{versions}");
        assert_eq!(problems, expected_problems, "{versions}");
    }

    #[test]
    fn an_alias_is_the_label_as_a_dns_label() {
        check("v1 aaa, 2.0.1 bbb", "v1, 2-0-1", &[]);
        check("V1_Beta.2 aaa, -x- bbb", "v1-beta-2, x", &[]);
        check("'' aaa, ... bbb, größe ccc", "aaa, bbb, gr--e", &[]);
    }

    #[test]
    fn an_alias_has_at_most_63_octets_and_no_hyphen_at_the_cut() {
        let long = "a".repeat(70);
        check(&format!("{long} h"), &long[..63], &[]);
        let cut = format!("{}.{}", "a".repeat(62), "b".repeat(9));
        check(&format!("{cut} h"), &long[..62], &[]);
        let (x, y) = (format!("{long}x"), format!("{long}y"));
        let (a, b) = (&long[..59], "bcd");
        check(
            &format!("{x} abc, {y} {b}"),
            &format!("{a}-abc, {a}-bcd"),
            &[],
        );
    }

    #[test]
    fn revisions_of_one_label_share_its_alias() {
        check("v1 aaa, v1 bbb, v2 ccc", "v1, v1, v2", &[]);
    }

    #[test]
    fn different_labels_that_come_out_alike_get_their_hash() {
        check(
            "2.0.1 aaa, 2-0-1 bbb, 2.0.2 ccc",
            "2-0-1-aaa, 2-0-1-bbb, 2-0-2",
            &[],
        );
        // The hash of another version is a name already.
        check("aaa bbb, v1 aaa", "aaa-bbb, v1", &[]);
        // Unlikely, yet possible: the alias with its hash is itself another label.
        check("2.0 a, 2-0 b, 2-0-a c", "a, 2-0-b, c", &[]);
    }

    #[test]
    fn role_words_win_over_aliases() {
        check(
            "stable aaa, ALL bbb, canary2 ccc",
            "stable-aaa, all-bbb, canary2",
            &[
                "version `stable` is called `stable-aaa`: `stable` is the name of a role",
                "version `ALL` is called `all-bbb`: `all` is the name of a role",
            ],
        );
        // Those of blue/green are kept also where the strategy is another.
        check(
            "active aaa, Preview bbb",
            "active-aaa, preview-bbb",
            &[
                "version `active` is called `active-aaa`: `active` is the name of a role",
                "version `Preview` is called `preview-bbb`: `preview` is the name of a role",
            ],
        );
    }

    #[test]
    fn beyond_32_labels_the_oldest_have_no_names() {
        let text: Vec<String> = (1..=34).map(|n| format!("v{n} h{n}")).collect();
        let expected: Vec<String> = (1..=34)
            .map(|n| {
                if n <= 2 {
                    format!("(h{n})")
                } else {
                    format!("v{n}")
                }
            })
            .collect();
        check(
            &text.join(", "),
            &expected.join(", "),
            &["34 versions are more than 32: the oldest have no names of their own"],
        );
    }

    #[test]
    fn bare_pods_whose_labels_come_out_alike_are_told_apart() {
        check(
            "2.0 2.0, 2_0 2_0, v1 v1",
            "2-0-281e0ec3, 2-0-4105d40a, v1",
            &[],
        );
        check("V1 V1, v1 v1", "v1-93fa9488, v1-944a4668", &[]);
    }

    proptest! {
        #[test]
        fn aliases_are_dns_labels_and_tell_labels_apart(
            labels in proptest::collection::vec("[aA1._-]{0,4}", 1..8),
        ) {
            let hashes: Vec<String> = (0..labels.len()).map(|n| format!("hash{n}")).collect();
            let named: Vec<Named<'_>> = labels.iter().zip(&hashes).map(|(label, hash)| Named {
                label, hash, has_endpoints: false, number: None, created: None,
            }).collect();
            let (got, _) = aliases(&named);
            let got: Vec<Arc<str>> = got.into_iter().map(|alias| alias.alias).collect();
            for (one, alias) in got.iter().enumerate() {
                assert!((1..=63).contains(&alias.len()) && !alias.starts_with('-') && !alias.ends_with('-'));
                assert!(alias.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
                for other in 0..one {
                    assert!(labels[one] == labels[other] || got[other] != *alias);
                }
            }
        }
    }
}
