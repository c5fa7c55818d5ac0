//! From the text of a file to its objects, each with its place.

use std::sync::Arc;

use crate::files::split::{self, Piece};
use crate::model::{Origin, Problem};
use crate::objects::{Document, Kind, Object};

/// What a file held.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: Vec<Object>,
    pub(super) problems: Vec<Problem>,
    /// Some of it could not be read at all, so what is missing may not be meant to be.
    pub(super) is_broken: bool,
}

/// The objects in a text, which is YAML, or JSON where it begins with a brace; `file` is its name in Problems.
pub fn parse(file: &str, text: &str) -> (Vec<Object>, Vec<Problem>) {
    let contents = read(file, text);
    (contents.objects, contents.problems)
}

pub(super) fn read(file: &str, text: &str) -> Contents {
    let mut reader = Reader {
        file: file.into(),
        contents: Contents::default(),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // An indented brace would be JSON too; a YAML flow map fails here and is read below.
    if text.trim_start().starts_with('{') {
        match json(text) {
            Ok(documents) => {
                let lines = split::json_lines(text);
                for (document, (line, items)) in documents.into_iter().zip(lines) {
                    reader.accept(document, line, &items);
                }
                return reader.contents;
            }
            Err(error) if !file.ends_with(".yaml") && !file.ends_with(".yml") => {
                let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
                let text = error.to_string();
                let text = text.split(" at line ").next().unwrap_or_default();
                reader.broken(line, format!("not JSON: {text}"));
                return reader.contents;
            }
            Err(_) => {}
        }
    }
    for document in split::documents(text) {
        reader.document(&document);
    }
    reader.contents
}

fn json(text: &str) -> Result<Vec<Document>, serde_json::Error> {
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .collect()
}

struct Reader {
    file: Arc<str>,
    contents: Contents,
}

impl Reader {
    fn document(&mut self, piece: &Piece<'_>) {
        let Some(items) = split::items(piece) else {
            match yaml(piece) {
                Ok(document) => self.accept(document, piece.line, &[]),
                Err((line, text)) => self.broken(line, text),
            }
            return;
        };
        let parsed: Vec<_> = items.iter().map(yaml).collect();
        let is_cut_wrong = parsed.iter().any(Result::is_err) && piece.text.contains(['&', '*']);
        if is_cut_wrong {
            // An alias may mean an anchor in another item.
            if let Ok(Document::List(documents)) = yaml(piece) {
                let lines: Vec<u32> = items.iter().map(|item| item.line).collect();
                self.accept(Document::List(documents), piece.line, &lines);
                return;
            }
        }
        for (item, parsed) in items.iter().zip(parsed) {
            match parsed {
                Ok(document) => self.accept(document, item.line, &[]),
                Err((line, text)) => self.broken(line, text),
            }
        }
    }

    /// `items` are the lines of a list's items, where they are known.
    fn accept(&mut self, document: Document, line: u32, items: &[u32]) {
        match document {
            Document::Other => {}
            Document::Object(mut object) => {
                let file = Arc::clone(&self.file);
                object.set_origin(Origin { file, line });
                self.contents.objects.push(*object);
            }
            Document::Nameless(kind) => {
                let kind = kind.as_str().to_lowercase();
                let text = format!("a {kind} without `metadata.name` is ignored; give it a name");
                self.problem(line, text);
            }
            Document::List(documents) => {
                for (n, document) in documents.into_iter().enumerate() {
                    self.accept(document, items.get(n).copied().unwrap_or(line), &[]);
                }
            }
        }
    }

    fn broken(&mut self, line: u32, text: String) {
        self.contents.is_broken = true;
        self.problem(line, text);
    }

    fn problem(&mut self, line: u32, text: String) {
        let file = Arc::clone(&self.file);
        self.contents.problems.push(Problem {
            origin: Some(Origin { file, line }),
            subject: String::new(),
            text,
        });
    }
}

/// Reads one object, or a whole list; an object of a kind nobody reads is not even parsed.
fn yaml(piece: &Piece<'_>) -> Result<Document, (u32, String)> {
    let is_strange = split::kind(&piece.text).is_some_and(|kind| {
        !kind.ends_with("List") && Kind::ALL.iter().all(|known| known.as_str() != kind)
    });
    if is_strange {
        return Ok(Document::Other);
    }
    // An object in etcd has at most 1.5 MB, a ConfigMap mount at most 1 MB: a million nodes are far beyond one object
    // and let a list that cannot be cut have some thousand. Depth and aliases, where bombs are, keep the reader's
    // own limits.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 40_000_000,
            max_nodes: 20_000_000,
            max_total_scalar_bytes: 512 * 1024 * 1024,
        },
        with_snippet: false,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_str_with_options(&piece.text, options).map_err(|error| {
        let at = error
            .location()
            .map_or(1, |location| location.line().max(1));
        let line = piece
            .starts
            .saturating_add(u32::try_from(at - 1).unwrap_or(u32::MAX));
        let text = error.to_string();
        // The reader's own place is that of the piece, not of the file; and its advice is for programmers.
        let text = text
            .rsplit_once(" at line ")
            .map_or(&*text, |(text, _)| text);
        let text = text.split(", set ").next().unwrap_or_default();
        (line, format!("not YAML: {text}"))
    })
}
