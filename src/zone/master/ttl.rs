//! Times to live in text: seconds, or numbers with units.

use super::tokens::shown;

/// "TTL values are 31 bits" (RFC 2181, section 8).
pub(super) const TTL_MAX: u32 = i32::MAX.unsigned_abs();

/// Seconds: `3600`, `1h`, `1W2d3h4m5s` in either case.
pub(super) fn seconds(text: &[u8]) -> Result<u32, String> {
    let fault = || {
        format!(
            "`{}` is no time: a number, or one such as `1h30m`",
            shown(text)
        )
    };
    let (mut sum, mut number, mut has_unit) = (0_u64, None::<u64>, false);
    for octet in text {
        match octet {
            digit @ b'0'..=b'9' => {
                let more = number.unwrap_or(0) * 10 + u64::from(digit - b'0');
                // Eleven digits fit no 32 bits; further ones would only overflow here.
                number = Some(more.min(99_999_999_999));
            }
            unit => {
                let unit = match unit.to_ascii_lowercase() {
                    b's' => 1,
                    b'm' => 60,
                    b'h' => 3600,
                    b'd' => 86_400,
                    b'w' => 604_800,
                    _ => return Err(fault()),
                };
                sum += number.take().ok_or_else(fault)? * unit;
                has_unit = true;
                if sum > u64::from(u32::MAX) {
                    break;
                }
            }
        }
    }
    match (number, has_unit) {
        (Some(number), false) => sum = number,
        // A number without unit behind one with: nobody says what it counts.
        (Some(_), true) => return Err(fault()),
        (None, false) => return Err(fault()),
        (None, true) => {}
    }
    u32::try_from(sum).map_err(|_| format!("`{}` is more than 4294967295 seconds", shown(text)))
}

/// The same for a time to live.
pub(super) fn ttl(text: &[u8]) -> Result<u32, String> {
    let seconds = seconds(text)?;
    match seconds > TTL_MAX {
        true => Err(format!("the TTL `{}` is above {TTL_MAX}", shown(text))),
        false => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("3600", Some(3600)),
            ("1h30m", Some(5400)),
            (
                "1W2d3H4m5s",
                Some(604_800 + 2 * 86_400 + 3 * 3600 + 4 * 60 + 5),
            ),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("99999999999999999999999", None),
            ("99999999999999999999999w1s", None),
            ("1h30", None),
            ("h", None),
            ("1x", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(seconds(text.as_bytes()).ok(), expected, "{text}");
        }
        assert_eq!(ttl(b"2147483647"), Ok(TTL_MAX));
        assert!(ttl(b"2147483648").is_err());
    }
}
