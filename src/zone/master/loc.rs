//! LOC records (RFC 1876): places on earth.

use super::tokens::shown;

/// Thousandths of a second of arc of the equator and of the prime meridian, and centimetres from the reference down to the least
/// altitude.
const MIDDLE: u32 = 1 << 31;
const ALTITUDE_BASE: i64 = 10_000_000;
/// 1 m, 10 km and 10 m, as powers of ten of centimetres: what is taken where they are left out.
const DEFAULTS: [u8; 3] = [0x12, 0x16, 0x13];

/// Whether these octets are of version 0, and their sizes are digits.
pub(super) fn is_whole(data: &[u8]) -> bool {
    let Some([0, sizes @ .., _, _, _, _, _, _, _, _, _, _, _, _]) = data.get(..16) else {
        return false;
    };
    sizes.iter().all(|size| size >> 4 <= 9 && size & 15 <= 9)
}

/// `42 21 54 N 71 06 18 W -24m 30m 10000m 10m`, minutes, seconds, `m` and the sizes may be left out.
pub(super) fn parse<'t>(words: impl Iterator<Item = &'t [u8]>) -> Result<Vec<u8>, String> {
    let words: Result<Vec<&str>, _> = words.map(std::str::from_utf8).collect();
    let words = words.map_err(|_| "this is no place".to_owned())?;
    let mut rest = words.as_slice();
    let latitude = angle(&mut rest, 90, ["N", "S"])?;
    let longitude = angle(&mut rest, 180, ["E", "W"])?;
    let (altitude, sizes) = rest.split_first().ok_or("the altitude is missing")?;
    let altitude = centimetres(altitude)? + ALTITUDE_BASE;
    let altitude =
        u32::try_from(altitude).map_err(|_| "the altitude is out of range".to_owned())?;
    let mut powers = DEFAULTS;
    if sizes.len() > powers.len() {
        return Err("there is more than a place has".to_owned());
    }
    for (power, size) in powers.iter_mut().zip(sizes) {
        *power = power_of_ten(centimetres(size)?)?;
    }
    let [size, horizontal, vertical] = powers;
    let mut data = vec![0, size, horizontal, vertical];
    data.extend(
        [latitude, longitude, altitude]
            .map(u32::to_be_bytes)
            .as_flattened(),
    );
    Ok(data)
}

/// Degrees, minutes, seconds and a direction, in thousandths of a second from the middle.
fn angle(rest: &mut &[&str], most: u32, [plus, minus]: [&str; 2]) -> Result<u32, String> {
    let fault = || format!("an angle is missing that ends with `{plus}` or `{minus}`");
    let is_end = |word: &&str| word.eq_ignore_ascii_case(plus) || word.eq_ignore_ascii_case(minus);
    let end = rest.iter().take(4).position(is_end).ok_or_else(fault)?;
    let (numbers, behind) = rest.split_at_checked(end).ok_or_else(fault)?;
    let direction = behind.first().ok_or_else(fault)?;
    *rest = behind.get(1..).unwrap_or_default();
    let whole = |index: usize| match numbers.get(index) {
        None if index > 0 => Ok(0),
        word => {
            let number = word.and_then(|word| word.parse::<u32>().ok());
            number.filter(|number| *number <= 180).ok_or_else(fault)
        }
    };
    let (degrees, minutes) = (whole(0)?, whole(1)?);
    let thousandths = numbers.get(2).map_or(Ok(0), |word| decimals(word, 3))?;
    let sum = i64::from(degrees * 3600 + minutes * 60) * 1000 + thousandths;
    if minutes > 59 || !(0..60_000).contains(&thousandths) || sum > i64::from(most) * 3_600_000 {
        return Err(format!(
            "an angle is out of range; {most} degrees are the most"
        ));
    }
    let sum = u32::try_from(sum).map_err(|_| fault())?;
    Ok(match direction.eq_ignore_ascii_case(plus) {
        true => MIDDLE + sum,
        false => MIDDLE - sum,
    })
}

/// `-24.00m` in centimetres.
fn centimetres(word: &str) -> Result<i64, String> {
    decimals(word.strip_suffix(['m', 'M']).unwrap_or(word), 2)
}

/// A number with at most `places` decimals, in units of the last of them.
fn decimals(word: &str, places: usize) -> Result<i64, String> {
    let fault = || {
        format!(
            "`{}` is no number with at most {places} decimals",
            shown(word.as_bytes())
        )
    };
    let (sign, digits) = word
        .strip_prefix('-')
        .map_or((1, word), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let are_digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    if !are_digits(whole)
        || !are_digits(part)
        || whole.is_empty()
        || part.len() > places
        || whole.len() > 9
    {
        return Err(fault());
    }
    let number: i64 = format!("{whole}{part:0<places$}")
        .parse()
        .map_err(|_| fault())?;
    Ok(sign * number)
}

/// The largest digit and power of ten that is not above it.
fn power_of_ten(centimetres: i64) -> Result<u8, String> {
    let mut rest = u64::try_from(centimetres).map_err(|_| "a size is below zero".to_owned())?;
    let mut power = 0_u8;
    while rest > 9 {
        rest /= 10;
        power += 1;
    }
    let digit = u8::try_from(rest).unwrap_or(9);
    match power > 9 {
        true => Err("a size is above 90000 km".to_owned()),
        false => Ok(digit << 4 | power),
    }
}

/// The text of these octets, which [`is_whole`] has been told.
pub(super) fn shown_place(data: &[u8]) -> String {
    let [_, size, horizontal, vertical, numbers @ ..] = data else {
        return String::new();
    };
    let mut numbers = numbers.chunks_exact(4).map(|four| {
        four.iter()
            .fold(0_u32, |sum, octet| sum << 8 | u32::from(*octet))
    });
    let mut angle = |plus: &str, minus: &str| {
        let number = numbers.next().unwrap_or(MIDDLE);
        let direction = if number >= MIDDLE { plus } else { minus };
        let thousandths = number.abs_diff(MIDDLE);
        let seconds = thousandths / 1000;
        format!(
            "{} {} {}.{:03} {direction}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60,
            thousandths % 1000
        )
    };
    let (latitude, longitude) = (angle("N", "S"), angle("E", "W"));
    let altitude = i64::from(numbers.next().unwrap_or(0)) - ALTITUDE_BASE;
    let metres = |centimetres: i64| {
        let sign = if centimetres < 0 { "-" } else { "" };
        let positive = centimetres.unsigned_abs();
        format!("{sign}{}.{:02}m", positive / 100, positive % 100)
    };
    let sizes = [size, horizontal, vertical].map(|size| {
        let value = i64::from(size >> 4) * 10_i64.pow(u32::from(size & 15));
        metres(value)
    });
    format!(
        "{latitude} {longitude} {} {}",
        metres(altitude),
        sizes.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 1876, section 4.
    #[test]
    fn places_are_read_and_shown() {
        for (text, expected) in [
            (
                "42 21 54 N 71 06 18 W -24m 30m",
                Some("42 21 54.000 N 71 6 18.000 W -24.00m 30.00m 10000.00m 10.00m"),
            ),
            (
                "52 14 05 N 00 08 50 E 10m",
                Some("52 14 5.000 N 0 8 50.000 E 10.00m 1.00m 10000.00m 10.00m"),
            ),
            (
                "32 7 19 S 116 2 25 E 10m",
                Some("32 7 19.000 S 116 2 25.000 E 10.00m 1.00m 10000.00m 10.00m"),
            ),
            (
                "90 S 180 W -100000.00",
                Some("90 0 0.000 S 180 0 0.000 W -100000.00m 1.00m 10000.00m 10.00m"),
            ),
            ("90 0 1 N 0 E 0", None),
            ("181 E 0 N 0", None),
            ("1 60 0 N 0 E 0", None),
            ("1 0 60 N 0 E 0", None),
            ("1 N 0 E", None),
            ("1 N 0 E 0 1 1 1 1", None),
            ("1 N 0 E -100000.01", None),
            ("N 0 E 0", None),
        ] {
            let data = parse(text.split(' ').map(str::as_bytes));
            let shown = data.as_ref().ok().map(|data| shown_place(data));
            assert_eq!(shown.as_deref(), expected, "{text}: {data:?}");
            if let Ok(data) = data {
                assert!(is_whole(&data));
                let again = shown_place(&data);
                assert_eq!(parse(again.split(' ').map(str::as_bytes)), Ok(data));
            }
        }
    }
}
