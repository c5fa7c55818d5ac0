//! The weights of a static zone's addresses, in a file beside it.
//!
//! ```yaml
//! apiVersion: shiftdns.io/v1alpha1
//! kind: ZoneWeights
//! records: 8                     # the most an answer has; chosen so that shares are exact
//! names:
//!   www: {192.0.2.10: 90, 192.0.2.20: 10}
//!   api.example.test.: {"2001:db8::1": 3, "2001:db8::2": 1}
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::model::{Origin, Problem};
use crate::wire::Name;
use crate::zone::{Weighted, Weights};

const API_VERSION: &str = "shiftdns.io/v1alpha1";
const KIND: &str = "ZoneWeights";
/// As the annotation `records` has it.
const RECORDS_MAX: u8 = 8;
/// As weights of versions are.
const WEIGHT_MAX: u32 = 65_535;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct File {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    records: Option<Spanned<u8>>,
    #[serde(default)]
    names: BTreeMap<String, Spanned<BTreeMap<String, Spanned<u32>>>>,
}

/// Reads `text`, the file `name`, beside the zone at `apex`; names without a dot at their end are below it.
pub(super) fn parse(file: &str, text: &[u8], apex: &Name) -> (Weights, Vec<Problem>) {
    let mut problems = Vec::new();
    let at = |line: u64| Origin {
        file: file.into(),
        line: u32::try_from(line).unwrap_or(u32::MAX).max(1),
    };
    let mut refuse = |line: u64, text: String| {
        problems.push(Problem {
            origin: Some(at(line)),
            subject: String::new(),
            text,
        });
    };
    let options = serde_saphyr::options! { with_snippet: false };
    let text = String::from_utf8_lossy(text);
    let read: File = match serde_saphyr::from_str_with_options(&text, options) {
        Ok(read) => read,
        Err(error) => {
            let line = error.location().map_or(1, |location| location.line());
            refuse(line, error.without_snippet().to_string());
            return (Weights::default(), problems);
        }
    };
    for (got, expected) in [(&read.api_version, API_VERSION), (&read.kind, KIND)] {
        if got.value != expected {
            refuse(
                got.referenced.line(),
                format!("`{}` is not `{expected}`", got.value),
            );
        }
    }
    let records = read
        .records
        .as_ref()
        .map_or(RECORDS_MAX, |records| records.value);
    if !(1..=RECORDS_MAX).contains(&records) {
        let line = read
            .records
            .as_ref()
            .map_or(1, |records| records.referenced.line());
        refuse(
            line,
            format!("records: `{records}` is not 1 to {RECORDS_MAX}"),
        );
    }
    let mut weights = Weights::default();
    for (text, written) in &read.names {
        let line = written.referenced.line();
        let name = match (text.as_str(), text.ends_with('.')) {
            ("@", _) => Ok(apex.clone()),
            (absolute, true) => Name::parse(absolute),
            (relative, false) => Name::parse(&format!("{relative}.{apex}")),
        };
        let name = match name {
            Ok(name) => name,
            Err(error) => {
                refuse(line, error.to_string());
                continue;
            }
        };
        let mut addresses = BTreeMap::new();
        for (address, weight) in &written.value {
            let line = weight.referenced.line();
            let Ok(address) = address.parse::<IpAddr>() else {
                refuse(line, format!("`{address}` is no address"));
                continue;
            };
            if weight.value > WEIGHT_MAX {
                refuse(
                    line,
                    format!(
                        "weight `{}` of {address} is above {WEIGHT_MAX}",
                        weight.value
                    ),
                );
            }
            addresses.insert(address, weight.value);
        }
        let weighted = Weighted {
            origin: Some(at(line)),
            records,
            addresses,
        };
        if weights.names.insert(name, weighted).is_some() {
            refuse(line, format!("`{text}` stands twice"));
        }
    }
    (weights, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[&str]) {
        let text = format!("apiVersion: shiftdns.io/v1alpha1\nkind: ZoneWeights\n{body}");
        let apex = Name::parse("example.test").unwrap();
        let (_, problems) = parse("w.yaml", text.as_bytes(), &apex);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems, expected, "{body}");
    }

    #[test]
    fn weights_are_read_with_their_places() {
        check("names: {}", &[]);
        check(
            "names:\n  www: {192.0.2.1: 90, 192.0.2.2: 0}\n  '@': {'::1': 1}",
            &[],
        );
        check("records: 9", &["w.yaml:3: records: `9` is not 1 to 8"]);
        check(
            "names:\n  www: {192.0.2.300: 1}",
            &["w.yaml:4: `192.0.2.300` is no address"],
        );
        check(
            "names:\n  www:\n    192.0.2.3: 65536",
            &["w.yaml:5: weight `65536` of 192.0.2.3 is above 65535"],
        );
        check(
            "names:\n  www: {192.0.2.3: 1}\n  www.example.test.: {192.0.2.3: 1}",
            &["w.yaml:5: `www.example.test.` stands twice"],
        );
        check("names:\n  a..b: {}", &["w.yaml:4: empty label in `.`"]);
    }
}
