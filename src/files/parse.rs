//! From the text of a file to its objects, each with its place.

use std::io::{self, BufRead, Cursor, Seek};
use std::sync::Arc;

use crate::files::json::{Cut, Cutter};
use crate::files::split::{self, List, Piece};
use crate::model::{Origin, Problem};
use crate::objects::{self, Document, ItemType, Kind, Object, Tree};

/// What a file held.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) objects: Vec<Object>,
    pub(super) problems: Vec<Problem>,
    /// Some of it could not be read at all, so what is missing may not be meant to be.
    pub(super) is_broken: bool,
    /// There is no document in it, only blanks and comments.
    pub(super) is_empty: bool,
}

/// The objects in a text, which is YAML, or JSON where it begins with a brace; `file` is its name in Problems.
pub fn parse(file: &str, text: &str) -> (Vec<Object>, Vec<Problem>) {
    let mut objects = objects::Reader::default();
    let contents = read(file, &mut Cursor::new(text), &mut objects);
    let contents = contents.expect("reading a text in memory does not fail");
    (contents.objects, contents.problems)
}

/// The objects in a file. JSON is read as a stream; YAML is held as a whole.
pub(super) fn read(
    file: &str,
    source: &mut (impl BufRead + Seek),
    objects: &mut objects::Reader,
) -> io::Result<Contents> {
    let name: Arc<str> = file.into();
    objects.open(Arc::clone(&name));
    let mut reader = Reader {
        file: name,
        objects,
        contents: Contents::default(),
    };
    let line = skip_blanks(source)?;
    // A YAML flow map fails here and is read below.
    if source.fill_buf()?.first() == Some(&b'{') {
        reader.json(Cutter::new(&mut *source, line))?;
        let may_be_yaml = file.ends_with(".yaml") || file.ends_with(".yml");
        if !reader.contents.is_broken || !may_be_yaml {
            return Ok(reader.contents);
        }
        reader.contents = Contents::default();
    }
    source.rewind()?;
    let mut octets = Vec::new();
    source.read_to_end(&mut octets)?;
    // A strange octet spoils the value it stands in, which is then reported, and nothing else.
    let text = String::from_utf8_lossy(&octets);
    let text = text.strip_prefix(BOM).unwrap_or(&text);
    let documents = split::documents(text);
    reader.contents.is_empty = documents.is_empty();
    for document in &documents {
        reader.document(document);
    }
    Ok(reader.contents)
}

const BOM: char = '\u{feff}';

/// Passes over a byte order mark and blanks; gives the line of what follows them.
fn skip_blanks(source: &mut impl BufRead) -> io::Result<u32> {
    let mut bom = [0; 3];
    if source
        .fill_buf()?
        .starts_with(BOM.encode_utf8(&mut bom).as_bytes())
    {
        source.consume(bom.len());
    }
    let mut line = 1;
    while let Some(byte) = source
        .fill_buf()?
        .first()
        .filter(|b| b.is_ascii_whitespace())
    {
        line += u32::from(*byte == b'\n');
        source.consume(1);
    }
    Ok(line)
}

struct Reader<'o> {
    file: Arc<str>,
    objects: &'o mut objects::Reader,
    contents: Contents,
}

impl Reader<'_> {
    fn json(&mut self, mut cutter: Cutter<impl BufRead>) -> io::Result<()> {
        // Of the document that is being read: where its objects begin, and items whose kind only the list knows.
        let mut begin = self.contents.objects.len();
        let mut untyped: Vec<(Tree, u32)> = Vec::new();
        while let Some(cut) = cutter.next()? {
            match cut {
                Cut::Item(text, line) => {
                    let Some(tree) = self.json_tree(&text, line) else {
                        continue;
                    };
                    match self.objects.read(&tree) {
                        Document::Untyped | Document::Incomplete => untyped.push((tree, line)),
                        document => self.accept(document, line, &[]),
                    }
                }
                Cut::Frame {
                    text,
                    line,
                    has_items,
                } => {
                    match self.json_tree(&text, line) {
                        Some(tree) if has_items => self.end_list(&tree, line, begin, &untyped),
                        Some(tree) => {
                            let document = self.objects.read(&tree);
                            self.accept(document, line, &[]);
                        }
                        None => {}
                    }
                    begin = self.contents.objects.len();
                    untyped.clear();
                }
            }
        }
        Ok(())
    }

    /// Says what the items of a list are that did not say so, or that it was no list of objects at all.
    fn end_list(&mut self, frame: &Tree, line: u32, begin: usize, untyped: &[(Tree, u32)]) {
        let Some(items) = ItemType::of(frame) else {
            self.contents.objects.truncate(begin);
            if self.objects.read(frame) == Document::Incomplete {
                self.incomplete(line);
            }
            return;
        };
        for (tree, line) in untyped {
            let document = self.objects.read_item(tree, &items);
            self.accept(document, *line, &[]);
        }
    }

    fn json_tree(&mut self, text: &[u8], line: u32) -> Option<Tree> {
        // As in YAML: a strange octet spoils its value only.
        let text = String::from_utf8_lossy(text);
        match serde_json::from_str(&text) {
            Ok(tree) => Some(tree),
            Err(error) => {
                let after = u32::try_from(error.line()).unwrap_or(u32::MAX);
                let text = error.to_string();
                let text = text.split(" at line ").next().unwrap_or_default();
                let line = line.saturating_add(after.saturating_sub(1));
                self.broken(line, format!("not JSON: {text}"));
                None
            }
        }
    }

    fn document(&mut self, piece: &Piece<'_>) {
        let Some(List { items, frame }) = split::items(piece) else {
            if piece.is_cut_off_list() {
                self.incomplete(piece.line);
                return;
            }
            match self.yaml(piece) {
                Ok(document) => self.accept(document, piece.line, &[]),
                Err((line, text)) => self.broken(line, text),
            }
            return;
        };
        let parsed: Vec<_> = items.iter().map(|item| self.yaml(item)).collect();
        let frame = yaml_tree(&frame, piece.starts);
        let is_broken = frame.is_err() || parsed.iter().any(Result::is_err);
        let is_cut_wrong = is_broken && piece.may_have_aliases();
        if is_cut_wrong {
            // An alias may mean an anchor in another item.
            if let Ok(Document::List(documents)) = self.yaml(piece) {
                let lines: Vec<u32> = items.iter().map(|item| item.line).collect();
                self.accept(Document::List(documents), piece.line, &lines);
                return;
            }
        }
        if let Err((line, text)) = frame {
            self.broken(line, text);
        }
        for (item, parsed) in items.iter().zip(parsed) {
            match parsed {
                Ok(document) => self.accept(document, item.line, &[]),
                Err((line, text)) => self.broken(line, text),
            }
        }
    }

    fn yaml(&mut self, piece: &Piece<'_>) -> Result<Document, (u32, String)> {
        let text = piece.text();
        // An object of a kind nobody reads is not even parsed.
        let is_strange = split::kind(&text).is_some_and(|kind| {
            !kind.ends_with("List") && Kind::ALL.iter().all(|known| known.as_str() != kind)
        });
        if is_strange {
            return Ok(Document::Other);
        }
        yaml_tree(&text, piece.starts).map(|tree| self.objects.read(&tree))
    }

    /// `items` are the lines of a list's items, where they are known.
    fn accept(&mut self, document: Document, line: u32, items: &[u32]) {
        match document {
            Document::Untyped | Document::Other => {}
            Document::Incomplete => self.incomplete(line),
            Document::Object(mut object) => {
                object.set_line(line);
                self.contents.objects.push(object);
            }
            Document::Nameless(kind) => {
                let kind = kind.as_str().to_lowercase();
                let text = format!("a {kind} without `metadata.name` is ignored; give it a name");
                self.problem(line, text);
            }
            Document::Homeless(kind, found) => {
                let kind = kind.as_str().to_lowercase();
                let text = format!(
                    "a {kind} is ignored: `metadata.namespace` is `{found}`, which is not a text; put it in quotes"
                );
                self.problem(line, text);
            }
            Document::List(documents) => {
                for (n, document) in documents.into_iter().enumerate() {
                    self.accept(document, items.get(n).copied().unwrap_or(line), &[]);
                }
            }
        }
    }

    fn incomplete(&mut self, line: u32) {
        self.broken(line, "incomplete: no `kind`".to_owned());
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

/// One object, or a whole list, whose text begins in the line `starts`; or the line of what is wrong with it.
fn yaml_tree(text: &str, starts: u32) -> Result<Tree, (u32, String)> {
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
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error
            .location()
            .map_or(1, |location| location.line().max(1));
        let line = starts.saturating_add(u32::try_from(at - 1).unwrap_or(u32::MAX));
        let text = error.to_string();
        // The reader's own place is that of the piece, not of the file; and its advice is for programmers.
        let text = text
            .rsplit_once(" at line ")
            .map_or(&*text, |(text, _)| text);
        let text = text.split(", set ").next().unwrap_or_default();
        (line, format!("not YAML: {text}"))
    })
}
