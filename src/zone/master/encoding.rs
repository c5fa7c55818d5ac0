//! Octets and numbers as digits: base 16, 32 and 64, groups, dates.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::tokens::shown;

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHIJKLMNOPQRSTUV";

/// Hexadecimal digits, which may stand apart.
pub(super) fn hex<'t>(words: impl IntoIterator<Item = &'t [u8]>) -> Result<Vec<u8>, String> {
    bits(words, 4, |octet| char::from(octet).to_digit(16))?
        .ok_or_else(|| "half an octet is left over".to_owned())
}

/// RFC 4648, section 4; padding is asked for.
pub(super) fn base64<'t>(words: impl IntoIterator<Item = &'t [u8]>) -> Result<Vec<u8>, String> {
    let mut text: Vec<u8> = words.into_iter().flatten().copied().collect();
    let padding = text
        .iter()
        .rev()
        .take_while(|octet| **octet == b'=')
        .count();
    if padding > 2 || !text.len().is_multiple_of(4) {
        return Err("this is no base 64: its length is not a multiple of 4".to_owned());
    }
    text.truncate(text.len() - padding);
    let digit = |octet: u8| {
        let place = BASE64.iter().position(|known| *known == octet)?;
        u32::try_from(place).ok()
    };
    bits([text.as_slice()], 6, digit)?
        .ok_or_else(|| "this is no base 64: bits are left over".to_owned())
}

/// Base 32 with the extended alphabet, without padding (RFC 4648, section 7).
pub(super) fn base32(text: &[u8]) -> Result<Vec<u8>, String> {
    bits([text], 5, |octet| char::from(octet).to_digit(32))?
        .ok_or_else(|| "this is no base 32: bits are left over".to_owned())
}

/// Digits of `size` bits each; `None` where a whole digit, or a bit that is set, is left over.
fn bits<'t>(
    words: impl IntoIterator<Item = &'t [u8]>,
    size: u32,
    digit: impl Fn(u8) -> Option<u32>,
) -> Result<Option<Vec<u8>>, String> {
    let mut octets = Vec::new();
    let (mut held, mut count) = (0_u32, 0);
    for word in words {
        for octet in word {
            let digit =
                digit(*octet).ok_or_else(|| format!("`{}` holds what is no digit", shown(word)))?;
            held = held << size | digit;
            count += size;
            if count >= 8 {
                count -= 8;
                octets.push(u8::try_from(held >> count & 0xFF).unwrap_or(0));
                held &= (1 << count) - 1;
            }
        }
    }
    Ok((count < size && held == 0).then_some(octets))
}

pub(super) fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

pub(super) fn to_base64(octets: &[u8]) -> String {
    let mut text = digits(octets, 6, BASE64);
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

pub(super) fn to_base32(octets: &[u8]) -> String {
    digits(octets, 5, BASE32)
}

fn digits(octets: &[u8], size: u32, alphabet: &[u8]) -> String {
    let mut text = String::new();
    let mut push = |digit: u32| {
        let digit = alphabet.get(digit as usize).copied().unwrap_or(b'?');
        text.push(char::from(digit));
    };
    let (mut held, mut count) = (0_u32, 0);
    for octet in octets {
        held = held << 8 | u32::from(*octet);
        count += 8;
        while count >= size {
            count -= size;
            push(held >> count);
            held &= (1 << count) - 1;
        }
    }
    if count > 0 {
        push(held << (size - count));
    }
    text
}

/// `count` groups of `digits` hexadecimal digits with `separator` between them.
pub(super) fn grouped(
    text: &[u8],
    separator: u8,
    count: usize,
    digits: usize,
) -> Result<Vec<u8>, String> {
    let fault = || {
        let separator = char::from(separator);
        format!(
            "`{}` is not {count} groups of {digits} hexadecimal digits with `{separator}` between them",
            shown(text)
        )
    };
    let groups: Vec<&[u8]> = text.split(|octet| *octet == separator).collect();
    if groups.len() != count || groups.iter().any(|group| group.len() != digits) {
        return Err(fault());
    }
    hex(groups).map_err(|_| fault())
}

pub(super) fn to_grouped(octets: &[u8], separator: char, size: usize) -> String {
    let groups: Vec<String> = octets
        .chunks(size)
        .map(|group| to_hex(group).to_lowercase())
        .collect();
    groups.join(&separator.to_string())
}

/// `YYYYMMDDHHMMSS`, or the seconds themselves, modulo 2^32 (RFC 4034, section 3.2).
pub(super) fn date(text: &[u8]) -> Result<u32, String> {
    let fault = || format!("`{}` is no time as YYYYMMDDHHMMSS", shown(text));
    if text.len() <= 10 {
        return super::rdata::decimal(text).map_err(|_| fault());
    }
    let text_of = std::str::from_utf8(text)
        .ok()
        .filter(|text| text.len() == 14);
    let text_of = text_of.filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    let parsed = text_of.and_then(|text| DateTime::strptime("%Y%m%d%H%M%S", text).ok());
    let zoned = parsed.and_then(|time| time.to_zoned(TimeZone::UTC).ok());
    let seconds = zoned.ok_or_else(fault)?.timestamp().as_second();
    u32::try_from(seconds.rem_euclid(1 << 32)).map_err(|_| fault())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_octets_are_each_other() {
        for len in 0..40_u8 {
            let octets: Vec<u8> = (0..len).map(|n| n.wrapping_mul(151) ^ 0x5A).collect();
            assert_eq!(hex([to_hex(&octets).as_bytes()]), Ok(octets.clone()));
            assert_eq!(base64([to_base64(&octets).as_bytes()]), Ok(octets.clone()));
            assert_eq!(base32(to_base32(&octets).as_bytes()), Ok(octets.clone()));
        }
        assert_eq!(to_base64(b"foobar1"), "Zm9vYmFyMQ==");
        assert_eq!(
            base32(b"2t7b4g4vsa5smi47k61mv5bv1a22bojr").unwrap().len(),
            20
        );
    }

    #[test]
    fn broken_digits_are_refused() {
        assert!(hex([b"123".as_slice()]).is_err());
        assert!(hex([b"0g".as_slice()]).is_err());
        assert!(base64([b"Zm9".as_slice()]).is_err());
        assert!(base64([b"Zh==".as_slice()]).is_err());
        assert!(base64([b"Z===".as_slice()]).is_err());
        assert!(base32(b"1").is_err());
        assert!(date(b"20261301000000").is_err());
        assert_eq!(date(b"19700101000001"), Ok(1));
        assert_eq!(date(b"1"), Ok(1));
    }
}
