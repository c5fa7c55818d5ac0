//! Names in wire format, lower case: owned ones for data, one on the stack for a query.

use std::fmt;

use thiserror::Error;

/// The longest name on the wire, root label included (RFC 1035, section 2.3.4).
pub(super) const NAME_LEN_MAX: usize = 255;
/// The longest label (RFC 1035, section 2.3.4).
const LABEL_LEN_MAX: usize = 63;

/// An absolute name in wire format, ASCII letters in lower case.
///
/// Comparison is by octets; as all letters are lower case this is RFC 4343's comparison.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Two dots in a row, or a dot in front.
    #[error("empty label in `{0}`")]
    EmptyLabel(String),
    /// A label of more than 63 octets.
    #[error("label `{0}` is longer than 63 octets")]
    LongLabel(String),
    /// More than 255 octets on the wire.
    #[error("`{0}` is longer than 255 octets")]
    LongName(String),
    /// A backslash that is not `\.`, `\\`, or `\DDD` up to 255.
    #[error("broken escape in `{0}`")]
    Escape(String),
}

impl Name {
    /// The root of all names.
    pub fn root() -> Self {
        Self(Box::new([0]))
    }

    /// Reads presentation format (RFC 1035, section 5.1): dots between labels, `\.` and `\DDD` escapes; always
    /// absolute, with or without the dot at the end.
    ///
    /// # Errors
    /// See [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self::root());
        }
        let mut labels: Vec<Vec<u8>> = vec![Vec::new()];
        let mut octets = text.bytes();
        while let Some(octet) = octets.next() {
            match octet {
                b'.' => labels.push(Vec::new()),
                b'\\' => {
                    let escape = || NameError::Escape(text.to_owned());
                    let octet = unescape(&mut octets).ok_or_else(escape)?;
                    push_octet(&mut labels, octet);
                }
                octet => push_octet(&mut labels, octet),
            }
        }
        if labels.len() > 1 && labels.last().is_some_and(Vec::is_empty) {
            labels.pop();
        }
        Self::root().below(labels.iter().map(Vec::as_slice))
    }

    /// The name of `labels`, left to right, in front of this one.
    ///
    /// # Errors
    /// [`NameError::EmptyLabel`], [`NameError::LongLabel`] or [`NameError::LongName`].
    pub fn below<'l>(&self, labels: impl IntoIterator<Item = &'l [u8]>) -> Result<Self, NameError> {
        let mut wire = Vec::with_capacity(NAME_LEN_MAX);
        for label in labels {
            let text = || String::from_utf8_lossy(label).into_owned();
            match u8::try_from(label.len()) {
                Ok(0) => return Err(NameError::EmptyLabel(self.to_string())),
                Ok(len) if usize::from(len) <= LABEL_LEN_MAX => wire.push(len),
                _ => return Err(NameError::LongLabel(text())),
            }
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        wire.extend_from_slice(&self.0);
        if wire.len() > NAME_LEN_MAX {
            return Err(NameError::LongName(Self(wire.into()).to_string()));
        }
        Ok(Self(wire.into()))
    }

    /// Whether [`Name::below`] gives a name for this one label.
    pub fn has_room_for(&self, label: &[u8]) -> bool {
        (1..=LABEL_LEN_MAX).contains(&label.len()) && label.len() + 1 + self.0.len() <= NAME_LEN_MAX
    }

    /// The name that these octets are on the wire, in whatever case; `None` where they are none, or not all of it.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut read = QueryName::ROOT;
        let end = read.read(wire, 0)?;
        (end == wire.len()).then(|| Self(read.as_wire().into()))
    }

    /// The octets on the wire, root label included.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels from left to right, without the root.
    pub fn labels(&self) -> Labels<'_> {
        Labels(&self.0)
    }

    /// The name without its leftmost label; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(*self.0.first()?);
        let rest = self.0.get(first.checked_add(1)?..)?;
        (first > 0).then(|| Self(rest.into()))
    }

    /// Whether the name is `other` or lies below it, label by label.
    pub fn is_within(&self, other: &Self) -> bool {
        let mut rest: &[u8] = &self.0;
        loop {
            if *rest == *other.0 {
                return true;
            }
            let Some((_, below)) = split_label(rest) else {
                return false;
            };
            rest = below;
        }
    }
}

fn push_octet(labels: &mut [Vec<u8>], octet: u8) {
    if let Some(label) = labels.last_mut() {
        label.push(octet);
    }
}

/// The octet behind a backslash.
fn unescape(octets: &mut std::str::Bytes<'_>) -> Option<u8> {
    let first = octets.next()?;
    if !first.is_ascii_digit() {
        return Some(first);
    }
    let mut value = u32::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit)?;
        value = value * 10 + u32::from(digit - b'0');
    }
    u8::try_from(value).ok()
}

/// The first label and what follows it; `None` at the root.
fn split_label(wire: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = wire.split_first()?;
    (*len > 0).then(|| rest.split_at_checked(usize::from(*len)))?
}

/// The labels of a name, from left to right.
#[derive(Clone, Debug)]
pub struct Labels<'n>(&'n [u8]);

impl<'n> Iterator for Labels<'n> {
    type Item = &'n [u8];

    fn next(&mut self) -> Option<&'n [u8]> {
        let (label, rest) = split_label(self.0)?;
        self.0 = rest;
        Some(label)
    }
}

/// Presentation format with a dot at the end; octets that are not printable ASCII come out as `\DDD`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_wire(&self.0, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_wire(&self.0, f)
    }
}

fn fmt_wire(wire: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut any = false;
    for label in Labels(wire) {
        any = true;
        for octet in label {
            match octet {
                b'.' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                b'!'..=b'~' => write!(f, "{}", char::from(*octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        f.write_str(".")?;
    }
    if any { Ok(()) } else { f.write_str(".") }
}

/// The name of a query: a lower-case copy on the stack, with the place of each label.
#[derive(Clone)]
pub struct QueryName {
    wire: [u8; NAME_LEN_MAX],
    len: u8,
    /// Where each label's length octet stands; 127 labels of one octet fill a name.
    offsets: [u8; 128],
    labels: u8,
}

impl QueryName {
    const ROOT: Self = Self {
        wire: [0; NAME_LEN_MAX],
        len: 1,
        offsets: [0; 128],
        labels: 0,
    };

    /// Reads the name at `at`, which must be free of compression pointers: nothing stands in front of a
    /// question that it could point to. Returns where it ends. Reading in place spares a copy of all octets; after
    /// `None` there is no name here.
    pub(super) fn read(&mut self, message: &[u8], at: usize) -> Option<usize> {
        let mut labels = 0_u8;
        let mut end = at;
        loop {
            let len = usize::from(*message.get(end)?);
            if len > LABEL_LEN_MAX {
                return None;
            }
            if len == 0 {
                end += 1;
                break;
            }
            *self.offsets.get_mut(usize::from(labels))? = u8::try_from(end - at).ok()?;
            labels += 1;
            end += 1 + len;
            if end - at >= NAME_LEN_MAX {
                return None;
            }
        }
        let wire = message.get(at..end)?;
        self.len = u8::try_from(wire.len()).ok()?;
        self.labels = labels;
        // Length octets are at most 63 and so below `A`: lowering them with the rest changes nothing.
        for (octet, received) in self.wire.iter_mut().zip(wire) {
            *octet = received.to_ascii_lowercase();
        }
        Some(end)
    }

    /// The lower-case octets on the wire, root label included.
    pub fn as_wire(&self) -> &[u8] {
        self.wire.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The number of labels, root not counted.
    pub fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// The name of the `count` rightmost labels; the whole name if it has fewer.
    pub fn suffix(&self, count: usize) -> &[u8] {
        let skip = self.label_count().saturating_sub(count);
        let from = if skip == self.label_count() {
            usize::from(self.len).saturating_sub(1)
        } else {
            self.offsets.get(skip).map_or(0, |at| usize::from(*at))
        };
        self.as_wire().get(from..).unwrap_or_default()
    }

    /// The label at `index`, counted from the left; empty past the end.
    pub fn label(&self, index: usize) -> &[u8] {
        let at = match self.offsets.get(index) {
            Some(at) if index < self.label_count() => usize::from(*at),
            _ => return &[],
        };
        let wire = self.as_wire();
        let len = wire.get(at).map_or(0, |len| usize::from(*len));
        wire.get(at + 1..at + 1 + len).unwrap_or_default()
    }
}

impl PartialEq for QueryName {
    fn eq(&self, other: &Self) -> bool {
        self.as_wire() == other.as_wire()
    }
}

impl Eq for QueryName {}

/// The root, to be read into.
impl Default for QueryName {
    fn default() -> Self {
        Self::ROOT
    }
}

impl From<&Name> for QueryName {
    fn from(name: &Name) -> Self {
        let mut read = Self::ROOT;
        // An owned name is at most 255 octets of whole labels, so reading it cannot fail.
        match read.read(&name.0, 0) {
            Some(_) => read,
            None => Self::ROOT,
        }
    }
}

impl fmt::Display for QueryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_wire(self.as_wire(), f)
    }
}

impl fmt::Debug for QueryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_wire(self.as_wire(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn presentation_format_round_trips() {
        for (text, shown) in [
            ("Web.Shop.svc.cluster.local", "web.shop.svc.cluster.local."),
            (".", "."),
            (r"a\.b.c", r"a\.b.c."),
            (r"\000\255\\x", r"\000\255\\x."),
            ("_http._tcp.web.", "_http._tcp.web."),
        ] {
            let name = Name::parse(text).unwrap();
            assert_eq!(name.to_string(), shown);
            assert_eq!(Name::parse(shown).unwrap(), name);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(64);
        assert_eq!(
            Name::parse("a..b").unwrap_err(),
            NameError::EmptyLabel(".".into())
        );
        assert_eq!(
            Name::parse("").unwrap_err(),
            NameError::EmptyLabel(".".into())
        );
        assert_eq!(Name::parse(&long).unwrap_err(), NameError::LongLabel(long));
        assert_eq!(
            Name::parse(r"a\25").unwrap_err(),
            NameError::Escape(r"a\25".into())
        );
        assert!(matches!(
            Name::parse(&"a.".repeat(128)).unwrap_err(),
            NameError::LongName(_)
        ));
        assert!(Name::parse(&"a.".repeat(127)).is_ok());
    }

    #[test]
    fn within_goes_by_labels_not_by_octets() {
        let zone = Name::parse("cluster.local").unwrap();
        let check = |text: &str| Name::parse(text).unwrap().is_within(&zone);
        assert!(check("cluster.local"));
        assert!(check("a.cluster.local"));
        assert!(!check("xcluster.local"));
        assert!(!check("local"));
    }

    proptest! {
        #[test]
        fn names_round_trip(labels in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 1..=63), 0..4)) {
            let name = Name::root().below(labels.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(&Name::parse(&name.to_string()).unwrap(), &name);
            let query = QueryName::from(&name);
            prop_assert_eq!(query.as_wire(), name.as_wire());
            prop_assert_eq!(query.label_count(), labels.len());
            for (index, label) in labels.iter().enumerate() {
                prop_assert_eq!(query.label(index), label.to_ascii_lowercase());
            }
            let mut rest = Some(name);
            for count in (0..=labels.len()).rev() {
                let suffix = rest.unwrap();
                prop_assert_eq!(query.suffix(count), suffix.as_wire());
                rest = suffix.parent();
            }
            prop_assert_eq!(rest, None);
        }
    }
}
