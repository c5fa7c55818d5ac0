//! The two encodings of the API server's answers: which one is asked for, where a message ends, and what tree it is.
//!
//! Given octets and what `Content-Type` says of them, this gives the [`Tree`]s of pages, events and statuses, the same
//! ones whatever the encoding. What changes often or comes in great numbers is asked for in protobuf: the API server
//! encodes it once for all who watch, its own controllers among them, while it would encode JSON for us alone, and what
//! is not read of an object is skipped unparsed. Everything else comes as JSON, and so does everything from a server
//! that knows nothing else. What a tree means is not known here.

mod json;
mod protobuf;
mod schema;

use http::{HeaderMap, header};

use crate::objects::{Kind, Tree};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Json,
    Protobuf,
}

/// What a page says beside its items.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Of the whole list.
    pub(super) version: String,
    /// Where the next page begins; empty on the last.
    pub(super) next: String,
}

/// The encodings in which objects of a kind can be read, as the header `Accept` has them.
pub(super) fn acceptable(kind: Kind) -> &'static str {
    match schema::of(kind) {
        Some(_) => "application/vnd.kubernetes.protobuf,application/json",
        None => "application/json",
    }
}

impl Encoding {
    /// What an answer is written in. A server that does not say writes JSON.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let told = headers.get(header::CONTENT_TYPE);
        let told = told.and_then(|value| value.to_str().ok());
        match told {
            Some(told) if told.starts_with("application/vnd.kubernetes.protobuf") => Self::Protobuf,
            _ => Self::Json,
        }
    }

    /// Reads the text of a page, and hands out its items one by one; null stands for one that cannot be read.
    ///
    /// # Errors
    ///
    /// What is wrong with the page.
    pub(super) fn page(
        self,
        kind: Kind,
        text: &[u8],
        each: impl FnMut(&Tree),
    ) -> Result<Page, String> {
        let page = match self {
            Self::Json => json::page(text, each).map_err(|error| error.to_string())?,
            Self::Protobuf => protobuf::page(kind, text, each)?,
        };
        match page.version.is_empty() && page.next.is_empty() {
            true => Err("a list without `metadata.resourceVersion`".to_owned()),
            false => Ok(page),
        }
    }

    /// The first event of the stream of a watch, and the octets it takes with all that belongs to it; `None` where it is
    /// not complete. `seen` octets have been looked at before, to no avail.
    pub(super) fn first(self, stream: &[u8], seen: usize) -> Option<(&[u8], usize)> {
        match self {
            Self::Json => {
                let end = seen + stream.get(seen..)?.iter().position(|byte| *byte == b'\n')?;
                Some((stream.get(..end)?.trim_ascii(), end + 1))
            }
            Self::Protobuf => {
                let (len, rest) = stream.split_first_chunk()?;
                let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
                Some((rest.get(..len)?, size_of::<u32>() + len))
            }
        }
    }

    /// An event of a watch of a kind: its `type` and its `object`.
    ///
    /// # Errors
    ///
    /// Why nobody knows what this was.
    pub(super) fn event(self, kind: Kind, text: &[u8]) -> Result<Tree, String> {
        match self {
            Self::Json => serde_json::from_slice(text).map_err(|error| error.to_string()),
            Self::Protobuf => protobuf::event(kind, text),
        }
    }

    /// A `Status`, as the API server refuses; `None` for what is none.
    pub(super) fn status(self, text: &[u8]) -> Option<Tree> {
        match self {
            Self::Json => serde_json::from_slice(text).ok(),
            Self::Protobuf => protobuf::status(text).ok(),
        }
    }
}
