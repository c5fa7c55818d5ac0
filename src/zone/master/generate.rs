//! `$GENERATE`: many records from one line, as BIND has it.
//!
//! ```text
//! $GENERATE 1-10/3 host-$ A 10.0.0.${0,3,d}      $ is the number; ${offset,width,base}; \$ is a dollar
//! ```

use super::rdata::decimal;
use super::tokens::shown;

/// As many records as a `/16` has addresses come from one line: enough for any reverse zone that somebody writes down, and no
/// line of a few octets fills the memory.
const COUNT_MAX: u32 = 65_536;

/// The numbers that are put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    start: u32,
    stop: u32,
    step: u32,
}

impl Range {
    /// `0-255`, or `0-255/2`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let fault = || format!("`{}` is no range such as `1-100` or `1-100/2`", shown(text));
        let mut parts = text.splitn(2, |octet| *octet == b'/');
        let (range, step) = (parts.next().unwrap_or_default(), parts.next());
        let mut ends = range.splitn(2, |octet| *octet == b'-');
        let (start, stop) = (
            ends.next().unwrap_or_default(),
            ends.next().ok_or_else(fault)?,
        );
        let number = |text: &[u8]| decimal::<u32>(text).map_err(|_| fault());
        let range = Self {
            start: number(start)?,
            stop: number(stop)?,
            step: step.map_or(Ok(1), number)?,
        };
        if range.step == 0 || range.start > range.stop || range.stop > i32::MAX.unsigned_abs() {
            return Err(fault());
        }
        let count = (range.stop - range.start) / range.step + 1;
        match count > COUNT_MAX {
            true => Err(format!("{count} records are more than {COUNT_MAX}")),
            false => Ok(range),
        }
    }

    pub(super) fn numbers(self) -> impl Iterator<Item = u32> {
        let step = usize::try_from(self.step).unwrap_or(usize::MAX);
        (self.start..=self.stop).step_by(step)
    }
}

/// `template` with `number` in the place of each `$`.
pub(super) fn filled(template: &[u8], number: u32) -> Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(template.len() + 8);
    let mut rest = template;
    while let Some((octet, behind)) = rest.split_first() {
        rest = behind;
        match (octet, behind) {
            (b'\\', [b'$', behind @ ..]) | (b'$', [b'$', behind @ ..]) => {
                text.push(b'$');
                rest = behind;
            }
            (b'\\', [next, behind @ ..]) => {
                text.extend([b'\\', *next]);
                rest = behind;
            }
            (b'$', [b'{', behind @ ..]) => {
                let end = behind.iter().position(|octet| *octet == b'}');
                let end = end.ok_or_else(|| format!("`{}`: `}}` is missing", shown(template)))?;
                let (inside, behind) = behind.split_at_checked(end).unwrap_or_default();
                text.extend(modified(inside, number)?);
                rest = behind.get(1..).unwrap_or_default();
            }
            (b'$', _) => text.extend(number.to_string().into_bytes()),
            (octet, _) => text.push(*octet),
        }
    }
    Ok(text)
}

/// What stands in braces: offset, width and base.
fn modified(inside: &[u8], number: u32) -> Result<Vec<u8>, String> {
    let fault = || format!("`${{{}}}` is not `${{OFFSET,WIDTH,BASE}}`", shown(inside));
    let mut parts = inside.split(|octet| *octet == b',');
    let offset = parts.next().unwrap_or_default();
    let (sign, digits) = offset
        .strip_prefix(b"-")
        .map_or((1, offset), |digits| (-1, digits));
    let offset: u32 = decimal(digits).map_err(|_| fault())?;
    let number = i64::from(number) + sign * i64::from(offset);
    let number =
        u32::try_from(number).map_err(|_| format!("the number {number} is out of range"))?;
    let width = match parts.next() {
        None => 0,
        Some(width) => usize::from(decimal::<u8>(width).map_err(|_| fault())?),
    };
    let base = parts.next().unwrap_or(b"d");
    if parts.next().is_some() {
        return Err(fault());
    }
    let text = match base {
        b"d" => format!("{number:0width$}"),
        b"o" => format!("{number:0width$o}"),
        b"x" => format!("{number:0width$x}"),
        b"X" => format!("{number:0width$X}"),
        b"n" => nibbles(number, width, false),
        b"N" => nibbles(number, width, true),
        _ => return Err(fault()),
    };
    Ok(text.into_bytes())
}

/// Digits from the last to the first with dots between them, as reverse names of IPv6 have them; `width` counts the dots.
fn nibbles(number: u32, width: usize, is_upper: bool) -> String {
    let mut text = String::new();
    let mut rest = number;
    loop {
        let digit = char::from_digit(rest & 15, 16).unwrap_or('0');
        text.push(if is_upper {
            digit.to_ascii_uppercase()
        } else {
            digit
        });
        rest >>= 4;
        if rest == 0 && text.len() >= width {
            return text;
        }
        text.push('.');
        if rest == 0 && text.len() >= width {
            return text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_bounded() {
        let count = |text: &str| {
            Range::parse(text.as_bytes())
                .ok()
                .map(|range| range.numbers().count())
        };
        for (text, expected) in [
            ("0-0", Some(1)),
            ("1-10", Some(10)),
            ("1-10/3", Some(4)),
            ("0-65535", Some(65_536)),
            ("0-65536", None),
            ("0-131072/2", None),
            ("2-1", None),
            ("1-2/0", None),
            ("1", None),
            ("-1-2", None),
            ("0-2147483648/2147483648", None),
        ] {
            assert_eq!(count(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_put_in() {
        for (template, number, expected) in [
            ("host-$", 7, Some("host-7")),
            ("${0,3,d}", 7, Some("007")),
            ("${-5}x", 7, Some("2x")),
            ("${-8}", 7, None),
            ("${16,0,x}.${0,2,X}", 10, Some("1a.0A")),
            ("${0,4,n}", 0x1a, Some("a.1.")),
            ("${0,3,n}", 0x1a, Some("a.1")),
            (r"\$$$\.", 1, Some(r"$$\.")),
            ("${0,1,q}", 1, None),
            ("${0", 1, None),
            ("${0,256}", 1, None),
            ("${0,1,d,1}", 1, None),
        ] {
            let text = filled(template.as_bytes(), number).ok();
            let text = text.map(|text| String::from_utf8(text).unwrap());
            assert_eq!(text.as_deref(), expected, "{template}");
        }
    }
}
