//! Data of records, from text to what stands on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::tokens::{Token, escape, shown, unescaped};
use super::types::{self, ALGORITHMS, Field};
use super::{encoding, loc, svcb, ttl};

/// The longest name on the wire (RFC 1035, section 2.3.4).
const NAME_LEN_MAX: usize = 255;
const LABEL_LEN_MAX: usize = 63;
/// The length of a record's data has 16 bits.
const DATA_LEN_MAX: usize = 65_535;

/// The data of a record of the type `number`; names without a dot at their end are below `origin`.
pub(super) fn parse(number: u16, tokens: &[Token<'_>], origin: &[u8]) -> Result<Vec<u8>, String> {
    let data = match tokens.split_first() {
        Some((first, rest)) if first.text == b"\\#" && !first.is_quoted => generic(number, rest)?,
        _ => of_fields(number, tokens, origin)?,
    };
    match data.len() > DATA_LEN_MAX {
        true => Err(format!(
            "{} octets of data, which are more than 65535",
            data.len()
        )),
        false => Ok(data),
    }
}

/// "RDATA ... of any type may be represented in this format" (RFC 3597, section 5).
fn generic(number: u16, tokens: &[Token<'_>]) -> Result<Vec<u8>, String> {
    let (len, digits) = tokens
        .split_first()
        .ok_or("the length is missing behind `\\#`")?;
    let len: u16 = decimal(len.text)?;
    let data = encoding::hex(digits.iter().map(|token| token.text))?;
    if data.len() != usize::from(len) {
        return Err(format!(
            "{len} octets were announced, {} are there",
            data.len()
        ));
    }
    match types::parts(number, &data) {
        Some(_) => Ok(data),
        None => Err(format!(
            "these octets are no data of {}",
            types::type_name(number)
        )),
    }
}

fn of_fields(number: u16, tokens: &[Token<'_>], origin: &[u8]) -> Result<Vec<u8>, String> {
    let name = types::type_name(number);
    let fields = types::fields(number)
        .ok_or_else(|| format!("data of {name} is written as `\\# LENGTH OCTETS`"))?;
    let mut data = Vec::with_capacity(32);
    let mut rest = tokens;
    for field in fields {
        rest = push(*field, rest, origin, &mut data)?;
    }
    match rest.first() {
        Some(more) => Err(format!("`{}` is more than {name} has", shown(more.text))),
        None => Ok(data),
    }
}

/// Adds one part, and gives the tokens behind it.
fn push<'a, 't>(
    field: Field,
    tokens: &'a [Token<'t>],
    origin: &[u8],
    data: &mut Vec<u8>,
) -> Result<&'a [Token<'t>], String> {
    // To the end, which may be empty for some.
    let all = || tokens.iter().map(|token| token.text);
    match field {
        Field::Hex if !tokens.is_empty() => {
            data.extend(encoding::hex(all())?);
            return Ok(&[]);
        }
        Field::Base64 if !tokens.is_empty() => {
            data.extend(encoding::base64(all())?);
            return Ok(&[]);
        }
        Field::Texts if !tokens.is_empty() => {
            for token in tokens {
                push_text(token.text, data)?;
            }
            return Ok(&[]);
        }
        Field::Types => {
            let numbers = all().map(|text| {
                types::number(text).ok_or_else(|| format!("`{}` is no type", shown(text)))
            });
            push_types(numbers.collect::<Result<_, _>>()?, data);
            return Ok(&[]);
        }
        Field::Params => {
            svcb::push(all(), data)?;
            return Ok(&[]);
        }
        Field::Location if !tokens.is_empty() => {
            data.extend(loc::parse(all())?);
            return Ok(&[]);
        }
        _ => {}
    }
    let (token, rest) = tokens
        .split_first()
        .ok_or("something is missing at the end")?;
    let text = token.text;
    match field {
        Field::U8 => data.push(decimal(text)?),
        Field::U16 => data.extend(decimal::<u16>(text)?.to_be_bytes()),
        Field::U32 => data.extend(decimal::<u32>(text)?.to_be_bytes()),
        Field::Seconds => data.extend(ttl::seconds(text)?.to_be_bytes()),
        Field::Date => data.extend(encoding::date(text)?.to_be_bytes()),
        Field::Algorithm => {
            let known = ALGORITHMS
                .iter()
                .find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(text));
            data.push(known.map_or_else(|| decimal(text), |(number, _)| Ok(*number))?);
        }
        Field::Type => {
            let number = types::number(text);
            let number = number.ok_or_else(|| format!("`{}` is no type", shown(text)))?;
            data.extend(number.to_be_bytes());
        }
        Field::Name => data.extend(self::name(text, origin)?),
        Field::Text => push_text(text, data)?,
        Field::Tag => {
            let is_tag = !text.is_empty() && text.iter().all(u8::is_ascii_alphanumeric);
            if !is_tag {
                return Err(format!("`{}` is no tag of letters and digits", shown(text)));
            }
            push_text(text, data)?;
        }
        Field::Rest => data.extend(unescaped(text)?),
        Field::V4 => data.extend(address::<Ipv4Addr>(text, "an IPv4 address")?.octets()),
        Field::V6 => data.extend(address::<Ipv6Addr>(text, "an IPv6 address")?.octets()),
        Field::Salt if text == b"-" => data.push(0),
        Field::Salt => push_with_length(&encoding::hex([text])?, data)?,
        Field::Hash => push_with_length(&encoding::base32(text)?, data)?,
        Field::Hyphened(count) => data.extend(encoding::grouped(text, b'-', count.into(), 2)?),
        Field::Groups => data.extend(encoding::grouped(text, b':', 4, 4)?),
        // Handled above, unless there is nothing.
        Field::Hex
        | Field::Base64
        | Field::Texts
        | Field::Types
        | Field::Params
        | Field::Location => return Err("something is missing at the end".to_owned()),
    }
    Ok(rest)
}

/// A decimal number that fits.
pub(super) fn decimal<T: std::str::FromStr>(text: &[u8]) -> Result<T, String> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let text_of = std::str::from_utf8(text).ok().filter(|_| is_number);
    let number = text_of.and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("`{}` is no number, or too large here", shown(text)))
}

fn address<T: std::str::FromStr>(text: &[u8], what: &str) -> Result<T, String> {
    let address = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    address.ok_or_else(|| format!("`{}` is not {what}", shown(text)))
}

/// "`<character-string>` ... is treated as ... up to 256 characters in length (including the length octet)" (RFC 1035, section
/// 3.3).
fn push_text(text: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
    push_with_length(&unescaped(text)?, data)
}

fn push_with_length(octets: &[u8], data: &mut Vec<u8>) -> Result<(), String> {
    let len = u8::try_from(octets.len());
    data.push(
        len.map_err(|_| format!("a string of {} octets, and 255 are the most", octets.len()))?,
    );
    data.extend_from_slice(octets);
    Ok(())
}

fn push_types(mut types: Vec<u16>, data: &mut Vec<u8>) {
    types.sort_unstable();
    for window in types.chunk_by(|one, other| one >> 8 == other >> 8) {
        let mut bits = [0_u8; 32];
        let mut used = 0;
        for number in window {
            let low = usize::from(number & 0xFF);
            used = low / 8 + 1;
            if let Some(octet) = bits.get_mut(low / 8) {
                *octet |= 0x80 >> (low % 8);
            }
        }
        let number = window.first().map_or(0, |number| number >> 8);
        data.push(u8::try_from(number).unwrap_or(0));
        data.push(u8::try_from(used).unwrap_or(0));
        data.extend(bits.iter().take(used));
    }
}

/// A name on the wire, its letters as they were written. `@` is `origin`.
pub(super) fn name(text: &[u8], origin: &[u8]) -> Result<Vec<u8>, String> {
    let fault = |why: &str| format!("`{}` is no name: {why}", shown(text));
    match text {
        b"@" => return Ok(origin.to_vec()),
        b"." => return Ok(vec![0]),
        [] | [b'.', ..] => return Err(fault("a label is empty")),
        _ => {}
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut label: Vec<u8> = Vec::new();
    let mut rest = text;
    let mut is_absolute = false;
    while let Some((octet, behind)) = rest.split_first() {
        rest = behind;
        is_absolute = false;
        match octet {
            b'.' => {
                push_label(&mut label, &mut wire).map_err(fault)?;
                is_absolute = true;
            }
            b'\\' => {
                let (octet, behind) = escape(behind).map_err(|why| fault(&why))?;
                label.push(octet);
                rest = behind;
            }
            octet => label.push(*octet),
        }
    }
    match is_absolute {
        true => wire.push(0),
        false => {
            push_label(&mut label, &mut wire).map_err(fault)?;
            wire.extend_from_slice(origin);
        }
    }
    match wire.len() > NAME_LEN_MAX {
        true => Err(fault("it is longer than 255 octets")),
        false => Ok(wire),
    }
}

fn push_label(label: &mut Vec<u8>, wire: &mut Vec<u8>) -> Result<(), &'static str> {
    match u8::try_from(label.len()) {
        Ok(0) => return Err("a label is empty"),
        Ok(len) if label.len() <= LABEL_LEN_MAX => wire.push(len),
        _ => return Err("a label is longer than 63 octets"),
    }
    wire.append(label);
    Ok(())
}
