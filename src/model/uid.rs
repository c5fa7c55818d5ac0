//! UIDs: who an object is, whatever it is called.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// What tells an object from every other that has, or had, its name; empty where a manifest has none.
///
/// It is a text, and sorts as one. The API server gives UUIDs, of which a cluster has one for every endpoint and more:
/// those are kept as their 16 octets, in place.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Uid(Form);

#[derive(Clone, Default, PartialEq, Eq, Hash)]
enum Form {
    #[default]
    Empty,
    /// Written with lower-case digits and hyphens, as UUIDs are.
    Uuid([u8; 16]),
    /// Anything else.
    Text(Arc<str>),
}

/// The length of a UUID in writing, and where its hyphens stand (RFC 9562, section 4).
const UUID_LEN: usize = 36;
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
const DIGITS: &[u8; 16] = b"0123456789abcdef";

impl Uid {
    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0 == Form::Empty
    }

    /// The octets of one that is a UUID, written as servers write it.
    pub fn octets(&self) -> Option<&[u8; 16]> {
        match &self.0 {
            Form::Uuid(octets) => Some(octets),
            Form::Empty | Form::Text(_) => None,
        }
    }

    /// The UUID of these octets.
    pub fn from_octets(octets: [u8; 16]) -> Self {
        Self(Form::Uuid(octets))
    }

    /// As it was written.
    pub fn text(&self) -> Cow<'_, str> {
        match &self.0 {
            Form::Empty => Cow::Borrowed(""),
            Form::Uuid(octets) => Cow::Owned(written(octets)),
            Form::Text(text) => Cow::Borrowed(text),
        }
    }
}

fn written(octets: &[u8; 16]) -> String {
    let mut text = String::with_capacity(UUID_LEN);
    for octet in octets {
        if HYPHENS.contains(&text.len()) {
            text.push('-');
        }
        for digit in [octet >> 4, octet & 15] {
            text.push(DIGITS[usize::from(digit)].into());
        }
    }
    text
}

/// The octets of a UUID that is written as [`written`] writes it.
fn read(text: &str) -> Option<[u8; 16]> {
    if text.len() != UUID_LEN {
        return None;
    }
    let mut octets = [0; 16];
    let mut digits = 0;
    for (place, octet) in text.bytes().enumerate() {
        if HYPHENS.contains(&place) {
            if octet != b'-' {
                return None;
            }
            continue;
        }
        let digit = match octet {
            b'0'..=b'9' => octet - b'0',
            b'a'..=b'f' => octet - b'a' + 10,
            _ => return None,
        };
        octets[digits / 2] = octets[digits / 2] << 4 | digit;
        digits += 1;
    }
    Some(octets)
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(match (text, read(text)) {
            ("", _) => Form::Empty,
            (_, Some(octets)) => Form::Uuid(octets),
            (_, None) => Form::Text(text.into()),
        })
    }
}

impl From<String> for Uid {
    fn from(text: String) -> Self {
        Self::from(&*text)
    }
}

impl Ord for Uid {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // Hyphens stand in the same places, and digits sort as the numbers they are.
            (Form::Uuid(one), Form::Uuid(other)) => one.cmp(other),
            _ => self.text().cmp(&other.text()),
        }
    }
}

impl PartialOrd for Uid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

    #[test]
    fn only_a_uuid_as_servers_write_it_is_kept_as_octets() {
        assert!(matches!(Uid::from(UUID).0, Form::Uuid(_)));
        for other in [
            UUID.to_uppercase(),
            UUID.replace('-', "f"),
            UUID.replacen('f', "-", 1),
            format!("{UUID}0"),
            "web-uid".to_owned(),
        ] {
            assert!(matches!(Uid::from(&*other).0, Form::Text(_)), "{other}");
        }
        assert!(Uid::from("").is_empty());
    }

    proptest! {
        /// Whatever it is kept as.
        #[test]
        fn a_uid_is_its_text_and_sorts_as_it(
            texts in proptest::collection::vec("([0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f-]{0,37}|[A-F]{3})", 2)
        ) {
            let uids: Vec<Uid> = texts.iter().map(|text| Uid::from(&**text)).collect();
            prop_assert_eq!(uids[0].to_string(), &*texts[0]);
            prop_assert_eq!(uids[0].cmp(&uids[1]), texts[0].cmp(&texts[1]));
            prop_assert_eq!(uids[0] == uids[1], texts[0] == texts[1]);
        }
    }
}
