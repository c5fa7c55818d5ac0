//! Reading fields of a [`Tree`] without ever giving up: what does not fit is left out and noted as a flaw. Texts to keep are
//! those that others have already.
//!
//! Every reader takes the place of the field as lazily formatted arguments, which cost nothing while all is well.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::labels::Labels;
use super::meta::{Common, Controller};
use super::network::Place;
use super::strings::Strings;
use super::tree::Tree;
use crate::model::{EndpointPort, Uid};

/// A reader of the fields of one object.
pub(super) struct Fields<'s> {
    /// What was left out, in the order it was met; the texts are parts of Problems.
    flaws: Vec<Arc<str>>,
    strings: &'s mut Strings,
    /// The file that is read.
    file: Option<Arc<str>>,
}

/// The most flaws kept of one object: enough to find a pattern, too few for a hostile object to fill the memory.
const FLAWS_MAX: usize = 16;

impl<'s> Fields<'s> {
    /// Texts to keep will be those of `strings`, where they are known.
    pub(super) fn new(strings: &'s mut Strings, file: Option<Arc<str>>) -> Self {
        Self {
            flaws: Vec::new(),
            strings,
            file,
        }
    }

    /// Notes a flaw.
    pub(super) fn note(&mut self, text: fmt::Arguments<'_>) {
        if self.flaws.len() < FLAWS_MAX {
            self.flaws.push(text.to_string().into());
        }
    }

    /// What was left out.
    pub(super) fn into_flaws(self) -> Box<[Arc<str>]> {
        self.flaws.into()
    }

    fn wrong(&mut self, tree: &Tree, place: fmt::Arguments<'_>, wanted: &str) {
        self.note(format_args!(
            "`{place}` is ignored: `{tree}` is not {wanted}"
        ));
    }

    /// A text; absent and null are `None`.
    pub(super) fn text<'t>(
        &mut self,
        tree: &'t Tree,
        place: fmt::Arguments<'_>,
    ) -> Option<&'t str> {
        match tree {
            Tree::Null => None,
            Tree::Text(text) => Some(text),
            other => {
                self.wrong(other, place, "a text; put it in quotes");
                None
            }
        }
    }

    /// A text to keep; empty where absent.
    pub(super) fn shared(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Arc<str> {
        let text = self.text(tree, place).unwrap_or_default();
        self.strings.text(text)
    }

    /// A text to keep; `None` where absent or empty.
    pub(super) fn named(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<Arc<str>> {
        let text = self.text(tree, place).filter(|text| !text.is_empty())?;
        Some(self.strings.text(text))
    }

    /// A part of a text.
    pub(super) fn part(&mut self, text: &str) -> Arc<str> {
        self.strings.text(text)
    }

    /// A UID; empty where absent.
    pub(super) fn uid(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Uid {
        self.text(tree, place).map(Uid::from).unwrap_or_default()
    }

    /// A text that stands in one object only; empty where absent.
    pub(super) fn own(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Arc<str> {
        self.text(tree, place).map(Arc::from).unwrap_or_default()
    }

    /// What metadata has in common with other metadata.
    pub(super) fn common(
        &mut self,
        namespace: Arc<str>,
        labels: Labels,
        controller: Option<Controller>,
        tag: Option<Arc<str>>,
    ) -> Arc<Common> {
        self.strings.common(Common {
            namespace,
            labels,
            controller,
            tag,
            file: self.file.clone(),
        })
    }

    /// Where endpoints are.
    pub(super) fn place(&mut self, place: Place) -> Arc<Place> {
        self.strings.place(place)
    }

    /// Ports of endpoints.
    pub(super) fn ports(&mut self, ports: Vec<EndpointPort>) -> Arc<[EndpointPort]> {
        self.strings.ports(ports)
    }

    /// A yes or no.
    pub(super) fn boolean(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<bool> {
        match tree {
            Tree::Null => None,
            Tree::Bool(value) => Some(*value),
            other => {
                self.wrong(other, place, "true or false");
                None
            }
        }
    }

    /// A number of something, from 0 to 4294967295.
    pub(super) fn count(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<u32> {
        match tree {
            Tree::Null => None,
            Tree::Int(value) if u32::try_from(*value).is_ok() => u32::try_from(*value).ok(),
            other => {
                self.wrong(other, place, "a number from 0 to 4294967295");
                None
            }
        }
    }

    /// A number with a sign.
    pub(super) fn number(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<i64> {
        match tree {
            Tree::Null => None,
            Tree::Int(value) if i64::try_from(*value).is_ok() => i64::try_from(*value).ok(),
            other => {
                self.wrong(other, place, "a 64-bit number");
                None
            }
        }
    }

    /// A port, 1 to 65535.
    pub(super) fn port(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<u16> {
        match tree {
            Tree::Null => None,
            Tree::Int(value @ 1..=65_535) => u16::try_from(*value).ok(),
            other => {
                self.wrong(other, place, "a port from 1 to 65535");
                None
            }
        }
    }

    /// A point in time as RFC 3339 writes it.
    pub(super) fn time(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<Timestamp> {
        let parsed = match tree {
            Tree::Null => return None,
            Tree::Text(text) => text.parse().ok(),
            _ => None,
        };
        if parsed.is_none() {
            self.wrong(tree, place, "a time such as `2026-01-31T12:00:00Z`");
        }
        parsed
    }

    /// An address, read strictly: `010.0.0.1` is not one (some read it as octal).
    pub(super) fn address(&mut self, tree: &Tree, place: fmt::Arguments<'_>) -> Option<IpAddr> {
        let parsed = tree.text().and_then(|text| text.parse().ok());
        if parsed.is_none() {
            self.wrong(tree, place, "an IP address");
        }
        parsed
    }

    /// The elements of a list; absent and null are an empty one.
    pub(super) fn list<'t>(&mut self, tree: &'t Tree, place: fmt::Arguments<'_>) -> &'t [Tree] {
        match tree {
            Tree::Null => &[],
            Tree::List(list) => list,
            other => {
                self.wrong(other, place, "a list");
                &[]
            }
        }
    }

    /// The entries of a map; `None` where absent.
    pub(super) fn map<'t>(
        &mut self,
        tree: &'t Tree,
        place: fmt::Arguments<'_>,
    ) -> Option<&'t [(Box<str>, Tree)]> {
        match tree {
            Tree::Null => None,
            Tree::Map(entries) => Some(entries),
            other => {
                self.wrong(other, place, "a map");
                None
            }
        }
    }

    /// Texts to keep by key, sorted.
    pub(super) fn words(&mut self, entries: &[(&str, String)]) -> Labels {
        let entries = entries.iter();
        let kept = entries.map(|(key, value)| (self.strings.text(key), self.strings.text(value)));
        let kept = Labels::new(kept.collect());
        self.strings.labels(kept)
    }

    /// The text entries of a map whose keys pass `keep`, sorted; absent and null are an empty one.
    pub(super) fn labels(
        &mut self,
        tree: &Tree,
        place: fmt::Arguments<'_>,
        keep: impl Fn(&str) -> bool,
    ) -> Labels {
        let Some(entries) = self.map(tree, place) else {
            return Labels::default();
        };
        let mut kept = Vec::new();
        for (key, value) in entries.iter().filter(|(key, _)| keep(key)) {
            if let Some(text) = self.text(value, format_args!("{place}[{key}]")) {
                kept.push((self.strings.text(key), self.strings.text(text)));
            }
        }
        self.strings.labels(Labels::new(kept))
    }
}
