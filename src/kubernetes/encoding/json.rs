//! Pages of lists in JSON, read item by item: of a page only its text is ever held as a whole.

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::fmt;

use super::Page;
use crate::objects::Tree;

/// Reads the text of a page.
pub(super) fn page(text: &[u8], each: impl FnMut(&Tree)) -> Result<Page, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let page = PageReader(each).deserialize(&mut json)?;
    json.end()?;
    Ok(page)
}

struct PageReader<F>(F);

impl<'de, F: FnMut(&Tree)> DeserializeSeed<'de> for PageReader<F> {
    type Value = Page;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Page, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(&Tree)> Visitor<'de> for PageReader<F> {
    type Value = Page;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Page, A::Error> {
        let mut page = Page::default();
        let mut has_items = false;
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "metadata" => {
                    let metadata: Tree = map.next_value()?;
                    let text = |key| metadata.at(&[key]).text().unwrap_or_default().to_owned();
                    page.version = text("resourceVersion");
                    page.next = text("continue");
                }
                "items" => {
                    has_items = true;
                    map.next_value_seed(Items(&mut self.0))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        match has_items {
            true => Ok(page),
            false => Err(A::Error::missing_field("items")),
        }
    }
}

struct Items<'f, F>(&'f mut F);

impl<'de, F: FnMut(&Tree)> DeserializeSeed<'de> for Items<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F: FnMut(&Tree)> Visitor<'de> for Items<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of items, or nothing")
    }

    /// How some servers write an empty list.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(item) = seq.next_element::<Tree>()? {
            (self.0)(&item);
        }
        Ok(())
    }
}
