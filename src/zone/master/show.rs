//! Records as text, as a master file has them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::types::{self, Field};
use super::{encoding, loc, svcb};

/// A name on the wire as text with a dot at the end.
pub(super) fn name(wire: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = wire;
    while let Some((len, behind)) = rest.split_first()
        && *len > 0
    {
        let (label, behind) = behind
            .split_at_checked(usize::from(*len))
            .unwrap_or_default();
        for octet in label {
            match octet {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'*' | b'/' => {
                    text.push(char::from(*octet));
                }
                // Whatever means something in a master file, and all that is not printed.
                _ => drop(write!(text, "\\{octet:03}")),
            }
        }
        text.push('.');
        rest = behind;
    }
    match text.is_empty() {
        true => ".".to_owned(),
        false => text,
    }
}

/// The data of a record of the type `number` as text; as RFC 3597 has it where it is opaque.
pub(super) fn data(number: u16, data: &[u8]) -> String {
    let parts = types::parts(number, data).filter(|_| types::fields(number).is_some());
    let words: Option<Vec<String>> = parts.and_then(|parts| {
        let mut words = Vec::with_capacity(parts.len());
        for (field, range) in parts {
            words.push(part(field, data.get(range)?)?);
        }
        Some(words)
    });
    let text = words.map(|words| words.join(" ").trim_end().to_owned());
    text.unwrap_or_else(|| {
        let text = format!("\\# {} {}", data.len(), encoding::to_hex(data));
        text.trim_end().to_owned()
    })
}

fn part(field: Field, octets: &[u8]) -> Option<String> {
    let number = || {
        octets
            .iter()
            .fold(0_u64, |sum, octet| sum << 8 | u64::from(*octet))
    };
    let behind_length = || octets.get(1..);
    Some(match field {
        Field::U8 | Field::U16 | Field::U32 | Field::Seconds | Field::Algorithm => {
            number().to_string()
        }
        // Ten digits are seconds; the other form needs to know which century is meant.
        Field::Date => number().to_string(),
        Field::Type => types::type_name(u16::try_from(number()).ok()?),
        Field::Name => name(octets),
        Field::Text => quoted(behind_length()?),
        Field::Texts => {
            let mut words = Vec::new();
            let mut rest = octets;
            while let Some((len, behind)) = rest.split_first() {
                let (string, behind) = behind.split_at_checked(usize::from(*len))?;
                words.push(quoted(string));
                rest = behind;
            }
            words.join(" ")
        }
        Field::Tag => String::from_utf8(behind_length()?.to_vec()).ok()?,
        Field::Rest => quoted(octets),
        Field::V4 => Ipv4Addr::from(<[u8; 4]>::try_from(octets).ok()?).to_string(),
        Field::V6 => Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?).to_string(),
        // There is no text for no digits.
        Field::Hex | Field::Base64 if octets.is_empty() => return None,
        Field::Hex => encoding::to_hex(octets),
        Field::Base64 => encoding::to_base64(octets),
        Field::Salt if octets == [0] => "-".to_owned(),
        Field::Salt => encoding::to_hex(behind_length()?),
        Field::Hash => encoding::to_base32(behind_length()?),
        Field::Types => {
            let names = types::bitmap(octets)?.into_iter().map(types::type_name);
            names.collect::<Vec<_>>().join(" ")
        }
        Field::Hyphened(_) => encoding::to_grouped(octets, '-', 1),
        Field::Groups => encoding::to_grouped(octets, ':', 2),
        Field::Params => svcb::shown_params(octets).trim_start().to_owned(),
        Field::Location => loc::shown_place(octets),
    })
}

fn quoted(octets: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in octets {
        match octet {
            b'"' | b'\\' => drop(write!(text, "\\{}", char::from(*octet))),
            b' '..=b'~' => text.push(char::from(*octet)),
            _ => drop(write!(text, "\\{octet:03}")),
        }
    }
    text.push('"');
    text
}
