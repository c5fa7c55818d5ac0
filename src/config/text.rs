//! How values are written: names, labels, durations, quoted strings.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The longest name in text form: 255 octets on the wire are 253 characters and a root (RFC 1035, section 3.1).
const NAME_MAX: usize = 253;
/// The longest label (RFC 1035, section 3.1).
const LABEL_MAX: usize = 63;

/// `text` as a lower-case name without its final dot; `None` where it is not a DNS name, or is the root.
pub(super) fn name(text: &str) -> Option<String> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let fits = name.len() <= NAME_MAX && name.split('.').all(is_label);
    fits.then_some(name)
}

/// Letters, digits, hyphens inside; underscores too, which zones such as `_tcp.example.com` need.
fn is_label(label: &str) -> bool {
    let edges_hold = !label.starts_with('-') && !label.ends_with('-');
    let signs_hold = label
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    !label.is_empty() && label.len() <= LABEL_MAX && edges_hold && signs_hold
}

/// Whether `text` can be a namespace: a lower-case label of RFC 1123.
pub(super) fn is_namespace(text: &str) -> bool {
    is_label(text) && text.bytes().all(|b| !b.is_ascii_uppercase() && b != b'_')
}

/// Reads `192.0.2.1`, `2001:db8::1`, or either with a port: `192.0.2.1:5353`, `[2001:db8::1]:5353`.
pub(super) fn socket(text: &str, default_port: u16) -> Option<SocketAddr> {
    let alone = text.parse().map(|ip: IpAddr| (ip, default_port).into());
    alone.or_else(|_| text.parse()).ok()
}

/// The units a duration may be written in, largest first, with their milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `500ms`, `30s`, `5m` or `1h`: one whole number, one unit.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_millis(number.checked_mul(*millis)?))
}

/// Writes a duration that [`duration`] read, in the largest unit that divides it.
pub(super) fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis == 0 {
        return "0s".to_owned();
    }
    let fits = UNITS
        .iter()
        .find(|(_, unit)| millis.is_multiple_of(u128::from(*unit)));
    let (name, unit) = fits.copied().unwrap_or(("ms", 1));
    format!("{}{name}", millis / u128::from(unit))
}

/// `text` between double quotes, as YAML and JSON both read it.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_labels_in_lower_case_without_the_final_dot() {
        assert_eq!(name("Cluster.Local.").as_deref(), Some("cluster.local"));
        assert_eq!(name("local").as_deref(), Some("local"));
        assert_eq!(
            name("_tcp.example.com").as_deref(),
            Some("_tcp.example.com")
        );
        assert_eq!(
            name(&format!("{}.a", "x".repeat(63))).map(|n| n.len()),
            Some(65)
        );
        let long = [
            "x".repeat(63),
            "x".repeat(63),
            "x".repeat(63),
            "x".repeat(61),
        ]
        .join(".");
        assert_eq!(name(&long).map(|n| n.len()), Some(253));
        for bad in [
            "",
            ".",
            "a..b",
            ".a",
            "not a name",
            "-a",
            "a-",
            "ü.de",
            &format!("x{long}"),
            &"x".repeat(64),
        ] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_duration_is_one_number_with_one_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
            assert_eq!(written(Duration::from_millis(millis)), text);
        }
        assert_eq!(written(Duration::from_secs(60)), "1m");
        for bad in [
            "",
            "5",
            "s",
            "-5s",
            "1.5s",
            "1m30s",
            "5 s",
            "5S",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
