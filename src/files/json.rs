//! Cutting a JSON file into objects while it is read.
//!
//! A list of a whole cluster is hundreds of megabytes, of which a few are kept. So the items of a list are handed
//! out one by one, each as text, and what remains is the *frame*: the document with a `0` for each of them.
//!
//! ```text
//! {"kind": "List", "items": [{"kind": "Pod", …}, {"kind": "Node", …}]}
//!                            └── item ────────┘  └── item ─────────┘    and the frame {"kind": "List", "items": [0, 0]}
//! ```
//!
//! Nothing is decided here about what is well formed: items and frame are for a real parser to judge. Line breaks of
//! an item stay in the frame, so that the parser's lines are those of the file.

use std::io::{self, BufRead};

/// A part of a file, and the line its text begins in, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// An object or list in `items` of the document that is being read.
    Item(Vec<u8>, u32),
    /// What a document is without its items; it ends here.
    Frame {
        text: Vec<u8>,
        line: u32,
        /// It has a list called `items`.
        has_items: bool,
    },
}

/// Cuts what it reads.
pub(super) struct Cutter<R> {
    source: R,
    scan: Scan,
}

impl<R: BufRead> Cutter<R> {
    /// The next octet of `source` stands in line `line`.
    pub(super) fn new(source: R, line: u32) -> Self {
        let mut scan = Scan::default();
        (scan.line, scan.frame.line) = (line, line);
        Self { source, scan }
    }

    /// The next part; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Cut>> {
        loop {
            let chunk = self.source.fill_buf()?;
            if chunk.is_empty() {
                return Ok(self.scan.rest());
            }
            let (read, cut) = self.scan.read(chunk);
            self.source.consume(read);
            if cut.is_some() {
                return Ok(cut);
            }
        }
    }
}

#[derive(Default)]
struct Scan {
    line: u32,
    place: Place,
    /// How many braces and brackets are open.
    depth: u32,
    /// The last string between the outermost braces: the key of the value that follows.
    key: Vec<u8>,
    /// The outermost value that is open is a list called `items`.
    is_items: bool,
    frame: Begun,
    has_items: bool,
    item: Begun,
}

/// Where the next octet stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    String,
    /// Behind a backslash.
    Escape,
}

/// A text of which more may come, and the line it begins in.
#[derive(Default)]
struct Begun {
    text: Vec<u8>,
    line: u32,
}

/// How deep the items of a list are: in a list in a map.
const ITEM_DEPTH: u32 = 2;

/// So much of a key is looked at; longer ones are not `items`.
const KEY_LEN_MAX: usize = 8;

impl Scan {
    /// Reads `chunk` up to the end of a part; says how much that is.
    fn read(&mut self, chunk: &[u8]) -> (usize, Option<Cut>) {
        // What of the chunk is not yet part of a text.
        let mut from = 0;
        let mut at = 0;
        while let Some(byte) = chunk.get(at) {
            at += 1;
            match (self.place, byte) {
                (_, b'\n') => self.line += 1,
                (Place::Outside, b' ' | b'\t' | b'\r' | b',' | b':') => {}
                (Place::Outside, b'{' | b'[') => {
                    if self.is_items && self.depth == ITEM_DEPTH {
                        self.frame.text.extend(&chunk[from..at - 1]);
                        from = at - 1;
                        self.item.line = self.line;
                    }
                    self.open(*byte);
                }
                (Place::Outside, b'}' | b']') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.is_items && self.depth == ITEM_DEPTH {
                        self.item.text.extend(&chunk[from..at]);
                        return (at, Some(self.item()));
                    }
                    if self.depth == 0 {
                        self.frame.text.extend(&chunk[from..at]);
                        return (at, Some(self.document()));
                    }
                }
                (Place::Outside, b'"') => {
                    self.place = Place::String;
                    self.key.clear();
                }
                (Place::Outside, _) => {}
                (Place::String, b'"') => self.place = Place::Outside,
                (Place::String, b'\\') => self.place = Place::Escape,
                (Place::String, _) if self.depth > 1 => {
                    // Most of a file: it may be skipped.
                    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | b'\n');
                    let rest = &chunk[at..];
                    at += rest.iter().position(special).unwrap_or(rest.len());
                }
                (Place::String | Place::Escape, byte) => {
                    self.place = Place::String;
                    if self.key.len() < KEY_LEN_MAX {
                        self.key.push(*byte);
                    }
                }
            }
            let is_between = self.depth == 0 && self.frame.text.is_empty() && from == at - 1;
            if is_between && byte.is_ascii_whitespace() {
                from = at;
                self.frame.line = self.line;
            }
        }
        let is_item = self.is_items && self.depth > ITEM_DEPTH;
        let target = if is_item {
            &mut self.item
        } else {
            &mut self.frame
        };
        target.text.extend(&chunk[from..]);
        (chunk.len(), None)
    }

    fn open(&mut self, bracket: u8) {
        if self.depth == 1 {
            self.is_items = bracket == b'[' && self.key == b"items";
            self.has_items |= self.is_items;
        }
        self.depth += 1;
    }

    fn item(&mut self) -> Cut {
        let line = self.item.line;
        self.frame.text.push(b'0');
        let breaks = std::iter::repeat_n(b'\n', (self.line - line) as usize);
        self.frame.text.extend(breaks);
        Cut::Item(std::mem::take(&mut self.item.text), line)
    }

    fn document(&mut self) -> Cut {
        let line = std::mem::replace(&mut self.frame.line, self.line);
        self.is_items = false;
        Cut::Frame {
            text: std::mem::take(&mut self.frame.text),
            line,
            has_items: std::mem::take(&mut self.has_items),
        }
    }

    /// What the end of the file leaves open.
    fn rest(&mut self) -> Option<Cut> {
        let item = std::mem::take(&mut self.item.text);
        self.frame.text.extend(item);
        (!self.frame.text.is_empty()).then(|| self.document())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts as `line: text`, a frame with an `=` in front, or a `#` if it has items; whatever the size of chunks.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        for size in [1, 2, 7, 1000] {
            let source = io::BufReader::with_capacity(size, text.as_bytes());
            let mut cutter = Cutter::new(source, 1);
            let mut shown = Vec::new();
            while let Some(cut) = cutter.next().unwrap() {
                let (mark, line, text) = match cut {
                    Cut::Item(text, line) => ("", line, text),
                    Cut::Frame {
                        text,
                        line,
                        has_items,
                    } => (if has_items { "#" } else { "=" }, line, text),
                };
                let text = String::from_utf8(text).unwrap().replace('\n', "|");
                shown.push(format!("{mark}{line}: {text}"));
            }
            assert_eq!(shown, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn items_are_cut_out_of_their_list() {
        check(
            "\n{\"items\": [\n {\"a\": [{}]},\n\n {\"b\":\n 1}, 2, [3]],\n\"kind\": \"List\"}\n",
            &[
                "3: {\"a\": [{}]}",
                "5: {\"b\":| 1}",
                "6: [3]",
                "#2: {\"items\": [| 0,|| 0|, 2, 0],|\"kind\": \"List\"}",
            ],
        );
    }

    #[test]
    fn only_a_list_called_items_has_items() {
        for text in [
            "{\"a\": {\"items\": [{}]}}",
            "{\"items\": {\"a\": [{}]}}",
            "{\"items\": 1, \"b\": [{}]}",
            "{\"b\": [{}], \"c\": \"\\\"items\\\": [{\"}",
        ] {
            check(text, &[&format!("=1: {text}")]);
        }
    }

    #[test]
    fn documents_follow_each_other() {
        check(
            "{} \n{\"items\": []}\n\n",
            &["=1: {}", "#2: {\"items\": []}"],
        );
        check("", &[]);
        check(" x {}", &["=1: x {}"]);
    }

    #[test]
    fn what_is_left_open_is_part_of_the_frame() {
        check(
            "{\"items\": [{}, {\"a\": [",
            &["1: {}", "#1: {\"items\": [0, {\"a\": ["],
        );
        check("{\"a", &["=1: {\"a"]);
    }
}
