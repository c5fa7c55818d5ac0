//! The file format: strings and numbers with their places, nothing checked but the shape.

use std::fmt;
use std::sync::Arc;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::{Location, Spanned};

use super::ConfigError;
use crate::model::{Origin, Problem};

/// A list whose place is known, of values whose places are known.
pub(super) type List = Spanned<Vec<Spanned<String>>>;

/// The file, with the defaults of the keys it leaves out. `apiVersion` and `kind` have none.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "the keys are described in the commented template and on `Config`"
)]
pub struct File {
    pub api_version: Spanned<String>,
    pub kind: Spanned<String>,
    pub zones: List,
    pub reverse: List,
    pub listen: List,
    pub http: Spanned<String>,
    pub api: Api,
    pub workers: Spanned<usize>,
    pub cpu_affinity: Spanned<CpuAffinity>,
    pub source: Source,
    pub state: String,
    pub snapshot_max_age: Spanned<String>,
    pub lame_duck: Spanned<String>,
    pub stale_after: Spanned<String>,
    pub unready_after: Spanned<String>,
    pub static_zones: String,
    pub upstream: List,
    pub namespaces: List,
    pub namespace_selector: Spanned<String>,
    pub pods: Spanned<String>,
    pub endpoint_pod_names: bool,
    pub empty_service: Spanned<String>,
    pub recursion_available: bool,
    pub soa: Soa,
    pub name_servers: List,
    pub ttl: Ttl,
    pub defaults: Defaults,
    pub limits: Limits,
    pub reserved_namespaces: List,
    pub address_deny: List,
    pub identity: Identity,
    pub dnstap: Dnstap,
}

/// `api`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Api {
    pub listen: Spanned<String>,
    pub token_file: Spanned<String>,
    pub actions: bool,
}

/// `cpuAffinity`: on, off, or which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuAffinity {
    /// `true` or `false`.
    Switch(bool),
    /// A list of processors.
    Cpus(Vec<usize>),
}

impl<'de> Deserialize<'de> for CpuAffinity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EitherOf;

        impl<'de> Visitor<'de> for EitherOf {
            type Value = CpuAffinity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a list of processors")
            }

            fn visit_bool<E>(self, is_on: bool) -> Result<Self::Value, E> {
                Ok(CpuAffinity::Switch(is_on))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut numbers = Vec::new();
                while let Some(number) = list.next_element()? {
                    numbers.push(number);
                }
                Ok(CpuAffinity::Cpus(numbers))
            }
        }

        deserializer.deserialize_any(EitherOf)
    }
}

/// `source`: one of the two.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub enum Source {
    Kubernetes(Kubernetes),
    Manifests(Spanned<String>),
}

/// `source.kubernetes`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Kubernetes {
    pub kubeconfig: Spanned<String>,
    pub context: Spanned<String>,
}

/// `soa`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Soa {
    pub mname: Spanned<String>,
    pub rname: Spanned<String>,
}

/// `ttl`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Ttl {
    pub cluster_ip: Spanned<u32>,
    pub endpoints: Spanned<u32>,
    pub rollout: Spanned<u32>,
    pub negative: Spanned<u32>,
    pub cache_floor: Spanned<u32>,
}

/// `defaults`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Defaults {
    pub strategy: Spanned<String>,
    pub soak: Spanned<String>,
    pub answer: Spanned<String>,
    pub records: Spanned<u8>,
    pub on_failure: Spanned<String>,
    pub rollback: Spanned<String>,
    pub headroom: Spanned<u32>,
}

/// `limits`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Limits {
    pub endpoints_per_service: Spanned<usize>,
    pub endpoints_per_namespace: Spanned<usize>,
    pub tcp_connections: Spanned<usize>,
    pub tcp_idle: Spanned<String>,
    pub tcp_message: Spanned<String>,
}

/// `identity`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Identity {
    pub id: Spanned<String>,
    pub version: Spanned<String>,
}

/// `dnstap`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "camelCase")]
pub struct Dnstap {
    pub socket: Spanned<String>,
    pub identity: String,
}

impl Default for Dnstap {
    fn default() -> Self {
        Self {
            socket: said(""),
            identity: String::new(),
        }
    }
}

impl Default for File {
    fn default() -> Self {
        Self {
            api_version: said(""),
            kind: said(""),
            zones: list(&["cluster.local"]),
            reverse: list(&[]),
            listen: list(&["127.0.0.1:1053"]),
            http: said("127.0.0.1:9153"),
            api: Api::default(),
            workers: unsaid(0),
            cpu_affinity: unsaid(CpuAffinity::Switch(false)),
            source: Source::Kubernetes(Kubernetes::default()),
            state: String::new(),
            snapshot_max_age: said("24h"),
            lame_duck: said("5s"),
            stale_after: said("60s"),
            unready_after: said("0s"),
            static_zones: String::new(),
            upstream: list(&[]),
            namespaces: list(&[]),
            namespace_selector: said(""),
            pods: said("disabled"),
            endpoint_pod_names: false,
            empty_service: said("nxdomain"),
            recursion_available: false,
            soa: Soa::default(),
            name_servers: list(&[]),
            ttl: Ttl::default(),
            defaults: Defaults::default(),
            limits: Limits::default(),
            reserved_namespaces: list(&["svc", "pod"]),
            address_deny: list(&["127.0.0.0/8", "169.254.0.0/16", "::1/128"]),
            identity: Identity::default(),
            dnstap: Dnstap::default(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: said("127.0.0.1:9154"),
            token_file: said(""),
            actions: false,
        }
    }
}

impl Default for Kubernetes {
    fn default() -> Self {
        Self {
            kubeconfig: said(""),
            context: said(""),
        }
    }
}

impl Default for Soa {
    fn default() -> Self {
        Self {
            mname: said(""),
            rname: said(""),
        }
    }
}

impl Default for Ttl {
    fn default() -> Self {
        Self {
            cluster_ip: unsaid(30),
            endpoints: unsaid(5),
            rollout: unsaid(5),
            negative: unsaid(5),
            cache_floor: unsaid(5),
        }
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            strategy: said("follow"),
            soak: said("0s"),
            answer: said("auto"),
            records: unsaid(8),
            on_failure: said("shift-back"),
            rollback: said("capacity"),
            headroom: unsaid(100),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            endpoints_per_service: unsaid(1000),
            endpoints_per_namespace: unsaid(20_000),
            tcp_connections: unsaid(1000),
            tcp_idle: said("10s"),
            tcp_message: said("1s"),
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            id: said(""),
            version: said("refused"),
        }
    }
}

/// A value that stands in no file.
fn unsaid<T>(value: T) -> Spanned<T> {
    Spanned::new(value, Location::UNKNOWN, Location::UNKNOWN)
}

fn said(text: &str) -> Spanned<String> {
    unsaid(text.to_owned())
}

fn list(texts: &[&str]) -> List {
    unsaid(texts.iter().map(|text| said(text)).collect())
}

/// Reads the text of the file `name`.
pub(super) fn parse(name: &str, text: &str) -> Result<File, ConfigError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        let line = place.map_or(1, |place| u32::try_from(place.line()).unwrap_or(u32::MAX));
        let column = place.map_or(1, |place| {
            usize::try_from(place.column()).unwrap_or(usize::MAX)
        });
        let says = error.without_snippet().to_string();
        let says = in_words(says.split(" at line ").next().unwrap_or(&says)).to_owned();
        let problem = Problem {
            origin: Some(Origin {
                file: Arc::from(name),
                line,
            }),
            subject: key_at(text, line, column),
            text: says,
        };
        ConfigError::Invalid {
            problems: vec![problem],
        }
    })
}

/// The reader's terms for shapes, in those of someone who writes a file; its other texts are clear as they are.
fn in_words(says: &str) -> &str {
    match says {
        "expected sequence start" => "not a list such as `[a, b]`",
        "expected mapping start" => "not a mapping such as `{key: value}`",
        "expected string scalar" => "not a single value",
        _ if says.starts_with("invalid u") => "not a whole number that fits",
        _ if says.starts_with("invalid bool") => "neither `true` nor `false`",
        other => other,
    }
}

/// The key that stands before a place, with its parents: `limits.tcpIdle`; empty where there is none.
///
/// The reader knows only the place of what it could not read. This goes by indentation and colons, which is enough
/// for a file of this shape, and is only shown to people.
fn key_at(text: &str, line: u32, column: usize) -> String {
    let lines: Vec<&str> = text
        .lines()
        .take(usize::try_from(line).unwrap_or(usize::MAX))
        .collect();
    let Some((last, above)) = lines.split_last() else {
        return String::new();
    };
    let before: String = last.chars().take(column.saturating_sub(1)).collect();
    let mut keys: Vec<&str> = Vec::new();
    // On the line itself: `api: {listen: ` is two keys, unless a `}` closed the inner mapping.
    let mut on_line = Vec::new();
    for (index, sign) in before.char_indices() {
        match sign {
            ':' if before[index + 1..].starts_with(' ') || before[index + 1..].is_empty() => {
                let word = before[..index]
                    .rsplit([' ', '{', ',', '['])
                    .next()
                    .unwrap_or_default();
                on_line.push((depth(&before[..index]), word));
            }
            _ => {}
        }
    }
    let here = depth(&before);
    for level in 0..=here {
        keys.extend(
            on_line
                .iter()
                .rev()
                .find(|(depth, _)| *depth == level)
                .map(|(_, word)| *word),
        );
    }
    let mut indent = indent_of(last);
    for line in above.iter().rev() {
        let content = line.trim_start();
        if indent == 0 && !keys.is_empty() {
            break;
        }
        if content.is_empty() || content.starts_with('#') || content.starts_with('-') {
            continue;
        }
        // A list's dashes may stand as far left as its key.
        let parent =
            indent_of(line) < indent || (keys.is_empty() && last.trim_start().starts_with('-'));
        if let Some((key, _)) = content.split_once(':').filter(|_| parent) {
            keys.insert(0, key);
            indent = indent_of(line);
        }
    }
    keys.join(".")
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// How many braces are open at the end of `text`.
fn depth(text: &str) -> usize {
    let count = |sign| text.chars().filter(|c| *c == sign).count();
    count('{').saturating_sub(count('}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_place_is_found_by_indentation_and_colons() {
        for (text, line, column, expected) in [
            ("workers: x", 1, 10, "workers"),
            ("api: {listen: a, actions: maybe}", 1, 27, "api.actions"),
            (
                "source: {kubernetes: {context: [}}",
                1,
                32,
                "source.kubernetes.context",
            ),
            (
                "soa: {mname: a}\nttl: {endpoints: x}",
                2,
                18,
                "ttl.endpoints",
            ),
            (
                "limits:\n  # a bound\n  tcpIdle: 1s\n  tcpConnections: x",
                4,
                19,
                "limits.tcpConnections",
            ),
            ("http: a\nzones:\n  - b\n  - [c]", 4, 5, "zones"),
            ("http: a\nzones:\n- b\n- [c]", 4, 3, "zones"),
            ("zones: [a]\nwat: 1", 2, 1, ""),
            ("limits:\n  wat: 1", 2, 3, "limits"),
        ] {
            assert_eq!(key_at(text, line, column), expected, "{text:?}");
        }
    }
}
