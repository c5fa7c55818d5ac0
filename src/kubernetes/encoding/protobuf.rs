//! Kubernetes' protobuf: envelopes, events, and messages as trees.
//!
//! Given octets and what is read of a message, this gives the tree that the same object in JSON would have given, reduced
//! to those fields. An item of a list that is broken costs itself alone, as every item says how long it is.
//!
//! An object stands in an envelope: four octets `k8s` and zero, then a message `Unknown` of type and raw object. An event
//! of a watch is a message without one, whose object has one.

use jiff::Timestamp;
use thiserror::Error;

use super::Page;
use super::schema::{self, Form, Message};
use crate::objects::{Kind, Tree};

/// With what an envelope begins.
const MAGIC: &[u8] = b"k8s\0";

/// Octets that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Broken {
    #[error("a message that is cut off")]
    Cut,
    #[error("a number of more than 64 bits")]
    Long,
    #[error("a field of the unknown wire type {0}")]
    WireType(u8),
    #[error("a field number that is none")]
    Number,
    #[error("`{0}` is not of its type")]
    Field(&'static str),
    #[error("an object without an envelope")]
    Envelope,
}

/// Reads the text of a page.
pub(super) fn page(kind: Kind, text: &[u8], each: impl FnMut(&Tree)) -> Result<Page, String> {
    read_page(kind, text, each).map_err(|broken| broken.to_string())
}

fn read_page(kind: Kind, text: &[u8], mut each: impl FnMut(&Tree)) -> Result<Page, Broken> {
    let message = schema::of(kind).unwrap_or_default();
    let mut page = Page::default();
    let mut fields = Fields(Envelope::open(text)?.raw);
    while let Some((number, value)) = fields.next()? {
        // Every list of Kubernetes has these two.
        match (number, value) {
            (1, Value::Octets(octets)) => {
                let meta = read(schema::LIST_META, octets)?;
                let text = |key| meta.at(&[key]).text().unwrap_or_default().to_owned();
                page.version = text("resourceVersion");
                page.next = text("continue");
            }
            (2, Value::Octets(octets)) => each(&read(message, octets).unwrap_or(Tree::Null)),
            _ => {}
        }
    }
    Ok(page)
}

/// An event of a watch.
pub(super) fn event(kind: Kind, text: &[u8]) -> Result<Tree, String> {
    read_event(kind, text).map_err(|broken| broken.to_string())
}

fn read_event(kind: Kind, text: &[u8]) -> Result<Tree, Broken> {
    let mut entries = Vec::new();
    let mut fields = Fields(text);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Octets(octets)) => entries.push(("type".into(), text_of(octets))),
            (2, Value::Octets(octets)) => {
                let object = raw_extension(octets)?;
                entries.push(("object".into(), read_object(kind, object)?));
            }
            _ => {}
        }
    }
    Ok(Tree::Map(entries))
}

/// A `Status`.
pub(super) fn status(text: &[u8]) -> Result<Tree, Broken> {
    read(schema::STATUS, Envelope::open(text)?.raw)
}

/// The object in an event: one of the kind, or a `Status` in its place.
fn read_object(kind: Kind, text: &[u8]) -> Result<Tree, Broken> {
    let envelope = Envelope::open(text)?;
    let message = match envelope.says.at(&["kind"]).text() {
        Some("Status") => schema::STATUS,
        Some(said) if said == kind.as_str() => schema::of(kind).unwrap_or_default(),
        // It is told what it is.
        _ => schema::NAMED,
    };
    match (envelope.says, read(message, envelope.raw)) {
        (Tree::Map(mut says), Ok(Tree::Map(object))) => {
            says.extend(object);
            Ok(Tree::Map(says))
        }
        (_, Ok(object)) => Ok(object),
        // It costs itself alone, as it would in a list.
        (says, Err(_)) => Ok(says),
    }
}

/// `runtime` `RawExtension`.
fn raw_extension(octets: &[u8]) -> Result<&[u8], Broken> {
    let mut raw: &[u8] = &[];
    let mut fields = Fields(octets);
    while let Some((number, value)) = fields.next()? {
        if let (1, Value::Octets(octets)) = (number, value) {
            raw = octets;
        }
    }
    Ok(raw)
}

/// `runtime` `Unknown`.
struct Envelope<'t> {
    /// `apiVersion` and `kind`.
    says: Tree,
    raw: &'t [u8],
}

impl<'t> Envelope<'t> {
    fn open(text: &'t [u8]) -> Result<Self, Broken> {
        let message = text.strip_prefix(MAGIC).ok_or(Broken::Envelope)?;
        let mut envelope = Self {
            says: Tree::Null,
            raw: &[],
        };
        let mut fields = Fields(message);
        while let Some((number, value)) = fields.next()? {
            match (number, value) {
                (1, Value::Octets(octets)) => envelope.says = read(schema::TYPE_META, octets)?,
                (2, Value::Octets(octets)) => envelope.raw = octets,
                _ => {}
            }
        }
        Ok(envelope)
    }
}

/// The fields of a message that stand in `message`, as a map.
fn read(message: Message, octets: &[u8]) -> Result<Tree, Broken> {
    let mut entries: Vec<(Box<str>, Tree)> = Vec::new();
    let mut fields = Fields(octets);
    while let Some((number, value)) = fields.next()? {
        let Some(field) = message.iter().find(|field| field.number == number) else {
            continue;
        };
        let wrong = Broken::Field(field.key);
        let tree = match (field.form, value) {
            (Form::Text, Value::Octets([])) => continue,
            (Form::Text | Form::Texts, Value::Octets(octets)) => text_of(octets),
            (Form::Bool, Value::Number(number)) => Tree::Bool(number != 0),
            (Form::Int, Value::Number(number)) => int_of(number),
            (Form::Time, Value::Octets([])) => continue,
            (Form::Time, Value::Octets(octets)) => time_of(octets)?,
            (Form::IntOrText, Value::Octets(octets)) => int_or_text_of(octets)?,
            (Form::Words, Value::Octets(octets)) => {
                let word = word_of(octets)?;
                match entry(&mut entries, field.key, || Tree::Map(Vec::new())) {
                    Tree::Map(words) => words.push(word),
                    _ => return Err(wrong),
                }
                continue;
            }
            (Form::One(message) | Form::Many(message), Value::Octets(octets)) => {
                read(message, octets)?
            }
            _ => return Err(wrong),
        };
        match field.form {
            Form::Texts | Form::Many(_) => {
                match entry(&mut entries, field.key, || Tree::List(Vec::new())) {
                    Tree::List(list) => list.push(tree),
                    _ => return Err(wrong),
                }
            }
            _ => entries.push((field.key.into(), tree)),
        }
    }
    Ok(Tree::Map(entries))
}

/// The value at a key, which is nearly always the last one: the elements of a field follow each other.
fn entry<'e>(
    entries: &'e mut Vec<(Box<str>, Tree)>,
    key: &str,
    empty: impl FnOnce() -> Tree,
) -> &'e mut Tree {
    let place = entries.iter().rposition(|(known, _)| **known == *key);
    let place = place.unwrap_or_else(|| {
        entries.push((key.into(), empty()));
        entries.len() - 1
    });
    &mut entries[place].1
}

fn text_of(octets: &[u8]) -> Tree {
    Tree::Text(String::from_utf8_lossy(octets).into())
}

/// Signed numbers are written as the 64 bits of their complement.
fn int_of(number: u64) -> Tree {
    Tree::Int(number.cast_signed().into())
}

/// An entry of a map of texts.
fn word_of(octets: &[u8]) -> Result<(Box<str>, Tree), Broken> {
    let (mut key, mut word) = (&[][..], &[][..]);
    let mut fields = Fields(octets);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Octets(octets)) => key = octets,
            (2, Value::Octets(octets)) => word = octets,
            _ => {}
        }
    }
    Ok((String::from_utf8_lossy(key).into(), text_of(word)))
}

/// A time as JSON has it, to the second.
fn time_of(octets: &[u8]) -> Result<Tree, Broken> {
    let mut seconds = 0;
    let mut fields = Fields(octets);
    while let Some((number, value)) = fields.next()? {
        if let (1, Value::Number(number)) = (number, value) {
            seconds = number.cast_signed();
        }
    }
    let time = Timestamp::from_second(seconds).map_err(|_| Broken::Field("seconds"))?;
    Ok(Tree::Text(time.to_string().into()))
}

fn int_or_text_of(octets: &[u8]) -> Result<Tree, Broken> {
    let (mut is_text, mut int, mut text) = (false, 0, &[][..]);
    let mut fields = Fields(octets);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Number(number)) => is_text = number == 1,
            (2, Value::Number(number)) => int = number,
            (3, Value::Octets(octets)) => text = octets,
            _ => {}
        }
    }
    Ok(match is_text {
        true => text_of(text),
        false => int_of(int),
    })
}

/// The fields of a message, as they stand in its octets.
struct Fields<'t>(&'t [u8]);

/// The value of a field.
#[derive(Debug, PartialEq, Eq)]
enum Value<'t> {
    Number(u64),
    /// A text, octets, or a message.
    Octets(&'t [u8]),
    /// Four or eight octets, which nobody here reads.
    Fixed,
}

impl<'t> Fields<'t> {
    /// The next field; `None` at the end.
    fn next(&mut self) -> Result<Option<(u32, Value<'t>)>, Broken> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| Broken::Number)?;
        if number == 0 {
            return Err(Broken::Number);
        }
        let value = match (tag & 7) as u8 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| Broken::Cut)?;
                Value::Octets(self.take(len)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            other => return Err(Broken::WireType(other)),
        };
        Ok(Some((number, value)))
    }

    fn take(&mut self, len: usize) -> Result<&'t [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Broken::Cut)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Seven bits an octet, the lowest first; the highest bit says that there are more.
    fn varint(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for (place, octet) in self.0.iter().enumerate() {
            let bits = u64::from(octet & 0x7f);
            let shift = 7 * place;
            if shift > 63 || (shift == 63 && bits > 1) {
                return Err(Broken::Long);
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                self.0 = &self.0[place + 1..];
                return Ok(number);
            }
        }
        Err(Broken::Cut)
    }
}
