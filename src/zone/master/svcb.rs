//! Parameters of SVCB and HTTPS records (RFC 9460, section 2.1 and appendix A).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::encoding;
use super::tokens::{escape, shown, unescaped};

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;

const KEYS: &[(u16, &str)] = &[
    (MANDATORY, "mandatory"),
    (ALPN, "alpn"),
    (NO_DEFAULT_ALPN, "no-default-alpn"),
    (PORT, "port"),
    (IPV4HINT, "ipv4hint"),
    (ECH, "ech"),
    (IPV6HINT, "ipv6hint"),
    (7, "dohpath"),
    (8, "ohttp"),
];

/// Adds the parameters of `words`, each `key` or `key=value`, in the order of their numbers.
pub(super) fn push<'t>(
    words: impl Iterator<Item = &'t [u8]>,
    data: &mut Vec<u8>,
) -> Result<(), String> {
    let mut params: Vec<(u16, Vec<u8>)> = Vec::new();
    for word in words {
        let equals = word.iter().position(|octet| *octet == b'=');
        let (key, value) = match equals.and_then(|at| word.split_at_checked(at)) {
            Some((key, value)) => (key, value.get(1..)),
            None => (word, None),
        };
        let number = key_number(key).ok_or_else(|| format!("`{}` is no key", shown(key)))?;
        let unquoted = value.map(|value| {
            let inside = value
                .strip_prefix(b"\"")
                .and_then(|v| v.strip_suffix(b"\""));
            inside.unwrap_or(value)
        });
        let value = param(number, unquoted).map_err(|why| format!("`{}`: {why}", shown(word)))?;
        params.push((number, value));
    }
    params.sort();
    let mut pairs = params.windows(2);
    if pairs.any(|pair| matches!(pair, [(one, _), (other, _)] if one == other)) {
        return Err("a key stands twice".to_owned());
    }
    for (key, value) in &params {
        let len = u16::try_from(value.len()).map_err(|_| "a value is longer than 65535 octets")?;
        data.extend(key.to_be_bytes());
        data.extend(len.to_be_bytes());
        data.extend(value);
    }
    let keys: Vec<u16> = params.iter().map(|(key, _)| *key).collect();
    match consistent(
        &params
            .iter()
            .map(|(k, v)| (*k, v.as_slice()))
            .collect::<Vec<_>>(),
        &keys,
    ) {
        true => Ok(()),
        false => Err(
            "`mandatory` names a key that is not there, or `no-default-alpn` stands without `alpn`"
                .to_owned(),
        ),
    }
}

fn key_number(key: &[u8]) -> Option<u16> {
    let mut known = KEYS.iter().filter(|(_, name)| name.as_bytes() == key);
    if let Some((number, _)) = known.next() {
        return Some(*number);
    }
    let digits = key.strip_prefix(b"key")?;
    let is_number = digits.iter().all(u8::is_ascii_digit)
        && !digits.is_empty()
        && (digits.len() == 1 || !digits.starts_with(b"0"));
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    // 65535 is kept for what is invalid (RFC 9460, section 14.3.2).
    digits.parse().ok().filter(|number| *number != u16::MAX)
}

fn param(key: u16, value: Option<&[u8]>) -> Result<Vec<u8>, String> {
    let needed = || {
        value
            .filter(|value| !value.is_empty())
            .ok_or("it needs a value")
    };
    let mut data = Vec::new();
    match key {
        MANDATORY => {
            let mut keys = Vec::new();
            for item in list(needed()?)? {
                let number = key_number(&item).filter(|number| *number != MANDATORY);
                keys.push(number.ok_or_else(|| format!("`{}` is no key for it", shown(&item)))?);
            }
            keys.sort_unstable();
            if keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
                return Err("a key stands twice in it".to_owned());
            }
            data.extend(keys.into_iter().flat_map(u16::to_be_bytes));
        }
        ALPN => {
            for id in list(needed()?)? {
                let len = u8::try_from(id.len()).ok().filter(|len| *len > 0);
                data.push(len.ok_or("a protocol has 1 to 255 octets")?);
                data.extend(id);
            }
        }
        NO_DEFAULT_ALPN | 8 if value.is_some_and(|value| !value.is_empty()) => {
            return Err("it takes no value".to_owned());
        }
        NO_DEFAULT_ALPN | 8 => {}
        PORT => data.extend(super::rdata::decimal::<u16>(needed()?)?.to_be_bytes()),
        IPV4HINT => {
            for item in list(needed()?)? {
                let text = std::str::from_utf8(&item).ok();
                let address = text.and_then(|text| text.parse::<Ipv4Addr>().ok());
                data.extend(address.ok_or("not all of it are IPv4 addresses")?.octets());
            }
        }
        IPV6HINT => {
            for item in list(needed()?)? {
                let text = std::str::from_utf8(&item).ok();
                let address = text.and_then(|text| text.parse::<Ipv6Addr>().ok());
                data.extend(address.ok_or("not all of it are IPv6 addresses")?.octets());
            }
        }
        ECH => data.extend(encoding::base64([needed()?])?),
        _ => data.extend(unescaped(value.unwrap_or_default())?),
    }
    match params_value(key, &data) {
        Some(()) => Ok(data),
        None => Err("the value cannot be".to_owned()),
    }
}

/// The items of a list, as appendix A.1 has it: the value is unescaped as any string, then split at commas that have no backslash.
fn list(value: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let value = unescaped(value)?;
    let mut items = vec![Vec::new()];
    let mut rest = value.as_slice();
    while let Some((octet, behind)) = rest.split_first() {
        rest = behind;
        let octet = match octet {
            b',' => {
                items.push(Vec::new());
                continue;
            }
            b'\\' => {
                let (octet, behind) = match behind {
                    [octet @ (b',' | b'\\'), behind @ ..] => (*octet, behind),
                    _ => escape(behind)?,
                };
                rest = behind;
                octet
            }
            octet => *octet,
        };
        if let Some(item) = items.last_mut() {
            item.push(octet);
        }
    }
    match items.iter().any(Vec::is_empty) {
        true => Err("an item is empty".to_owned()),
        false => Ok(items),
    }
}

/// The parameters on the wire, each with its value; `None` where that is not what RFC 9460, section 2.2 asks for.
pub(super) fn params(mut data: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut params: Vec<(u16, &[u8])> = Vec::new();
    while let [k0, k1, l0, l1, rest @ ..] = data {
        let key = u16::from_be_bytes([*k0, *k1]);
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (value, behind) = rest.split_at_checked(len)?;
        if params.last().is_some_and(|(last, _)| *last >= key) || key == u16::MAX {
            return None;
        }
        params_value(key, value)?;
        params.push((key, value));
        data = behind;
    }
    let keys: Vec<u16> = params.iter().map(|(key, _)| *key).collect();
    (data.is_empty() && consistent(&params, &keys)).then_some(params)
}

/// Each key that is mandatory is there, and there is a protocol where the default is none (RFC 9460, sections 7.1.1 and 8).
fn consistent(params: &[(u16, &[u8])], keys: &[u16]) -> bool {
    params.iter().all(|(key, value)| match *key {
        MANDATORY => value.chunks(2).all(|pair| match pair {
            [high, low] => keys.contains(&u16::from_be_bytes([*high, *low])),
            _ => false,
        }),
        NO_DEFAULT_ALPN => keys.contains(&ALPN),
        _ => true,
    })
}

/// Whether a value is one for its key.
fn params_value(key: u16, value: &[u8]) -> Option<()> {
    let is_sound = match key {
        MANDATORY => {
            let keys: Vec<u16> = value
                .chunks_exact(2)
                .map(|pair| {
                    pair.iter()
                        .fold(0, |sum, octet| sum << 8 | u16::from(*octet))
                })
                .collect();
            let rises = keys.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
            !value.is_empty()
                && value.len().is_multiple_of(2)
                && rises
                && !keys.contains(&MANDATORY)
        }
        ALPN => {
            let mut rest = value;
            while let Some((len, behind)) = rest.split_first() {
                rest = behind.get(usize::from(*len)..).filter(|_| *len > 0)?;
            }
            !value.is_empty()
        }
        NO_DEFAULT_ALPN | 8 => value.is_empty(),
        PORT => value.len() == 2,
        IPV4HINT => !value.is_empty() && value.len().is_multiple_of(4),
        IPV6HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        _ => true,
    };
    is_sound.then_some(())
}

/// The parameters as text, each with a space in front; all but the plainest values as `keyN`, which every reader takes.
pub(super) fn shown_params(data: &[u8]) -> String {
    let mut text = String::new();
    for (key, value) in params(data).unwrap_or_default() {
        let octets: String = value.iter().map(|octet| format!("\\{octet:03}")).collect();
        let shown = match (key, value) {
            (PORT, [high, low]) => format!(" port={}", u16::from_be_bytes([*high, *low])),
            (NO_DEFAULT_ALPN, []) => " no-default-alpn".to_owned(),
            (IPV4HINT, value) => {
                let addresses = value.chunks_exact(4).filter_map(|four| {
                    <[u8; 4]>::try_from(four)
                        .ok()
                        .map(|four| Ipv4Addr::from(four).to_string())
                });
                format!(" ipv4hint={}", addresses.collect::<Vec<_>>().join(","))
            }
            (IPV6HINT, value) => {
                let addresses = value.chunks_exact(16).filter_map(|octets| {
                    <[u8; 16]>::try_from(octets)
                        .ok()
                        .map(|octets| Ipv6Addr::from(octets).to_string())
                });
                format!(" ipv6hint={}", addresses.collect::<Vec<_>>().join(","))
            }
            (MANDATORY, value) => {
                let keys = value.chunks_exact(2).map(|pair| {
                    format!(
                        "key{}",
                        pair.iter()
                            .fold(0, |sum, octet| sum << 8 | u16::from(*octet))
                    )
                });
                format!(" mandatory={}", keys.collect::<Vec<_>>().join(","))
            }
            (ECH, value) => format!(" ech={}", encoding::to_base64(value)),
            (ALPN, value) => {
                let mut ids = Vec::new();
                let mut rest = value;
                while let Some((id, behind)) = rest
                    .split_first()
                    .and_then(|(len, rest)| rest.split_at_checked(usize::from(*len)))
                {
                    ids.push(
                        id.iter()
                            .map(|octet| alpn_octet(*octet))
                            .collect::<String>(),
                    );
                    rest = behind;
                }
                format!(" alpn=\"{}\"", ids.join(","))
            }
            (key, []) => format!(" key{key}"),
            (key, _) => format!(" key{key}=\"{octets}\""),
        };
        text.push_str(&shown);
    }
    text
}

/// An octet of a protocol, escaped once for the list and once for the string.
fn alpn_octet(octet: u8) -> String {
    match octet {
        b',' | b'\\' => format!("\\\\\\{:03}", octet),
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'/' => {
            char::from(octet).to_string()
        }
        _ => format!("\\{octet:03}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&[u8]>) {
        let mut data = Vec::new();
        let pushed = push(text.split_whitespace().map(str::as_bytes), &mut data);
        assert_eq!(
            pushed.is_ok().then_some(data.as_slice()),
            expected,
            "{text}: {pushed:?}"
        );
    }

    /// The vectors of RFC 9460, appendix D, without what stands before the parameters.
    #[test]
    fn the_vectors_of_rfc_9460() {
        check("port=53", Some(b"\x00\x03\x00\x02\x00\x35"));
        check("key667=hello", Some(b"\x02\x9b\x00\x05hello"));
        check(
            r#"key667="hello\210qoo""#,
            Some(b"\x02\x9b\x00\x09hello\xd2qoo"),
        );
        check(
            "mandatory=alpn,ipv4hint ipv4hint=192.0.2.1 alpn=h2,h3-19",
            Some(b"\x00\x00\x00\x04\x00\x01\x00\x04\x00\x01\x00\x09\x02h2\x05h3-19\x00\x04\x00\x04\xc0\x00\x02\x01"),
        );
        let escaped = b"\x00\x01\x00\x0c\x08f\\oo,bar\x02h2";
        check(r#"alpn="f\\\\oo\\,bar,h2""#, Some(escaped));
        check(r"alpn=f\\\092oo\092,bar,h2", Some(escaped));
        for wrong in [
            "key123=abc key123=def",
            "mandatory",
            "alpn",
            "port",
            "ipv4hint",
            "ipv6hint",
            "no-default-alpn=abc",
            "mandatory=key123",
            "mandatory=mandatory",
            "mandatory=key123,key123 key123=abc",
            "alpn=,",
            "alpn=h2,",
            "no-default-alpn",
            "port=65536",
            "key65535=x",
            "key01",
            "ALPN=h2",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn parameters_on_the_wire_are_read_strictly() {
        assert_eq!(params(b""), Some(vec![]));
        for wrong in [
            &b"\x00\x03\x00\x02\x00"[..],
            b"\x00\x03\x00\x01\x00",
            b"\x00\x03\x00\x02\x00\x35\x00\x03\x00\x02\x00\x35",
            b"\x00\x01\x00\x02\x02h",
            b"\x00\x01\x00\x01\x00",
            b"\x00\x00\x00\x02\x00\x01",
            b"\x00\x02\x00\x00",
            b"\xff\xff\x00\x00",
            b"\x00",
        ] {
            assert_eq!(params(wrong), None, "{wrong:?}");
        }
    }
}
