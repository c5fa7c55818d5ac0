//! A parsed document before anyone asks what is in it.
//!
//! Objects are read in two steps, text to [`Tree`] and tree to slim object, because a field of the wrong type must
//! cost that field and not the object: a derived reader gives up at the first surprise. Numbers keep their full
//! range, so that a huge one is reported rather than refused. What servers add and nobody here reads
//! (`managedFields`, the last applied configuration) is dropped while parsing; it is the larger half of an export.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// One value of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// Also where there is nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Vec<Tree>),
    /// In the document's order; of two equal keys the last counts, as in JSON readers everywhere.
    Map(Vec<(Box<str>, Tree)>),
}

static NULL: Tree = Tree::Null;

/// Keys whose values are dropped unread, wherever they stand.
const NOISE: [&str; 2] = [
    "managedFields",
    "kubectl.kubernetes.io/last-applied-configuration",
];

impl Tree {
    /// The value at `key`; null where there is none, or where this is no map.
    pub(super) fn get(&self, key: &str) -> &Tree {
        match self {
            Self::Map(entries) => entries
                .iter()
                .rev()
                .find(|(known, _)| **known == *key)
                .map_or(&NULL, |(_, value)| value),
            _ => &NULL,
        }
    }

    /// The value at the end of a path of keys.
    pub fn at(&self, path: &[&str]) -> &Tree {
        path.iter().fold(self, |tree, key| tree.get(key))
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// As it stood in the document, cut to what fits into a message.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) if text.chars().count() > 64 => {
                write!(f, "{}…", text.chars().take(64).collect::<String>())
            }
            Self::Text(text) => f.write_str(text),
            Self::List(_) => f.write_str("[…]"),
            Self::Map(_) => f.write_str("{…}"),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Builder)
    }
}

struct Builder;

impl<'de> Visitor<'de> for Builder {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Int(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Int(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Int(i128::try_from(value).unwrap_or(i128::MAX)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Tree, E> {
        Ok(Tree::Text(value.into()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Tree, E> {
        Ok(Tree::Text(String::from_utf8_lossy(value).into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Tree>()? {
            // YAML allows any value as a key; `true: x` is the key `true`, as kubectl reads it.
            let key = match key {
                Tree::Text(text) => text,
                other => other.to_string().into(),
            };
            if NOISE.contains(&&*key) {
                map.next_value::<IgnoredAny>()?;
            } else {
                entries.push((key, map.next_value()?));
            }
        }
        Ok(Tree::Map(entries))
    }
}
