//! From what the API server sends to objects: items of lists, and lines of watches.
//!
//! A tree becomes an object at once and is dropped; the readers of all kinds share what they keep, so that what objects
//! have in common is kept once. What cannot be read costs itself alone and is told as a Problem.

use http::StatusCode;

use super::known::{Known, Mark, Marker};
use crate::model::Problem;
use crate::objects::{Document, ItemType, Kind, Object, Reader, Tree};

/// Problems that are kept of a kind: enough to see what is going on; all of them are counted.
const PROBLEMS_MAX: usize = 16;

/// Reads the objects of one kind.
#[derive(Debug)]
pub(super) struct Reading {
    kind: Kind,
    reader: Reader,
    item: ItemType,
    marker: Marker,
}

/// A line of a watch.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// The object is there.
    Applied(Mark, Object),
    /// The object was there.
    Deleted(Mark, Object),
    /// Everything up to this resource version has been told.
    Bookmark(String),
    /// The watch has failed.
    Error(StatusCode, String),
    /// An object that is none.
    Strange(Problem),
    /// Nobody knows what this was, and so what is missing.
    Garbled(String),
}

/// A list as far as it has been read.
#[derive(Debug, Default)]
pub(super) struct List {
    /// Its resource version.
    pub(super) version: String,
    pub(super) objects: Vec<(Mark, Object)>,
    pub(super) known: Known,
    pub(super) problems: Vec<Problem>,
    /// Items that could not be read.
    pub(super) strange: u64,
}

impl Reading {
    pub(super) fn new(kind: Kind, reader: Reader, marker: Marker) -> Self {
        let api_version = match kind.group() {
            "" => kind.version().to_owned(),
            group => format!("{group}/{}", kind.version()),
        };
        let text = |key: &str, text: &str| (key.into(), Tree::Text(text.into()));
        // Items of a list do not say what they are.
        let list = Tree::Map(vec![
            text("apiVersion", &api_version),
            text("kind", &format!("{kind}List")),
            ("items".into(), Tree::List(Vec::new())),
        ]);
        Self {
            kind,
            reader,
            item: ItemType::of(&list).unwrap_or_default(),
            marker,
        }
    }

    /// Reads an item into a list.
    pub(super) fn item(&mut self, tree: &Tree, list: &mut List) {
        match self.object(tree) {
            Ok((mark, object)) => {
                if list.known.apply(mark) {
                    list.objects.push((mark, object));
                }
            }
            Err(problem) => {
                list.strange += 1;
                note(&mut list.problems, problem);
            }
        }
    }

    /// Reads a line, or why it is none, and says the resource version it brings the watch to; empty where it does not.
    pub(super) fn line(&mut self, line: Result<Tree, String>) -> (Line, String) {
        let tree = match line {
            Ok(tree) => tree,
            Err(says) => return (Line::Garbled(says), String::new()),
        };
        let version = tree.at(&["object", "metadata", "resourceVersion"]);
        let version = version.text().unwrap_or_default().to_owned();
        let object = tree.at(&["object"]);
        let line = match tree.at(&["type"]).text() {
            Some("ADDED" | "MODIFIED") => match self.object(object) {
                Ok((mark, object)) => Line::Applied(mark, object),
                Err(problem) => Line::Strange(problem),
            },
            Some("DELETED") => match self.object(object) {
                Ok((mark, object)) => Line::Deleted(mark, object),
                Err(problem) => Line::Strange(problem),
            },
            Some("BOOKMARK") => Line::Bookmark(version.clone()),
            Some("ERROR") => {
                let code = match object.at(&["code"]) {
                    Tree::Int(code) => u16::try_from(*code).ok(),
                    _ => None,
                };
                let code = code.and_then(|code| StatusCode::from_u16(code).ok());
                let says = object.at(&["message"]).text().unwrap_or_default();
                let code = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return (Line::Error(code, says.to_owned()), String::new());
            }
            Some(other) => Line::Garbled(format!("an event of type `{other}`")),
            None => Line::Garbled("no event".to_owned()),
        };
        (line, version)
    }

    fn object(&mut self, tree: &Tree) -> Result<(Mark, Object), Problem> {
        let text = |key| tree.at(&["metadata", key]).text().unwrap_or_default();
        match self.reader.read_item(tree, &self.item) {
            Document::Object(object) if object.kind() == self.kind => {
                let (uid, version) = (text("uid"), text("resourceVersion"));
                let mark = self
                    .marker
                    .mark(object.namespace(), object.name(), uid, version);
                Ok((mark, object))
            }
            document => {
                let kind = self.kind.as_str().to_lowercase();
                Err(Problem {
                    origin: None,
                    subject: match (text("namespace"), text("name")) {
                        (_, "") => kind,
                        ("", name) => format!("{kind} {name}"),
                        (namespace, name) => format!("{kind} {namespace}/{name}"),
                    },
                    text: match document {
                        Document::Nameless(_) => "it has no name and is left out".to_owned(),
                        Document::Homeless(_, found) => {
                            format!("its namespace `{found}` is no text, and it is left out")
                        }
                        _ => format!(
                            "the API server sent no {} here, and it is left out",
                            self.kind
                        ),
                    },
                })
            }
        }
    }
}

/// Keeps a problem, if there is room.
pub(super) fn note(problems: &mut Vec<Problem>, problem: Problem) {
    if problems.len() < PROBLEMS_MAX && !problems.contains(&problem) {
        problems.push(problem);
    }
}
