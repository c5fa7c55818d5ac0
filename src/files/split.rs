//! Cutting a YAML file into objects by its text alone.
//!
//! A YAML reader that builds a list of thousands of pods needs a budget that no longer protects; one object at a
//! time needs little. So documents are cut at `---`, and the items of a `List` at their dashes, as long as the text
//! looks the way kubectl prints it. Whatever does not is parsed whole.

use std::borrow::Cow;

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece<'t> {
    source: &'t str,
    /// It is an item of a list and begins with its dash.
    is_item: bool,
    /// The line of the file its text begins in, from 1.
    pub(super) starts: u32,
    /// The line of the first thing in it that is not a comment.
    pub(super) line: u32,
}

impl<'t> Piece<'t> {
    /// Its text, a document of its own: the dash of an item becomes a blank, so that all keys are indented alike.
    pub(super) fn text(&self) -> Cow<'t, str> {
        if self.is_item {
            self.source.replacen('-', " ", 1).into()
        } else {
            self.source.into()
        }
    }

    /// It has the items of a list and not yet the word `List`, which kubectl writes behind them: the file ends too
    /// early. To parse the rest of a whole cluster as one document would take long and tell the same.
    pub(super) fn is_cut_off_list(&self) -> bool {
        let mut has_items = false;
        let mut has_kind = false;
        for line in self.source.lines() {
            has_items |= line.starts_with("items:");
            if let Some((key, value)) = line.split_once(':')
                && key.trim_matches(['"', '\'']) == "kind"
            {
                let value = value.trim();
                has_kind = value == "List" || !"List".starts_with(value);
            }
        }
        has_items && !has_kind
    }

    /// It has what may be an anchor or an alias.
    pub(super) fn may_have_aliases(&self) -> bool {
        self.source.contains(['&', '*'])
    }
}

/// A document of the kind `List`, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List<'t> {
    pub(super) items: Vec<Piece<'t>>,
    /// The document with an empty line for each line of an item.
    pub(super) frame: String,
}

/// The documents of a YAML file that hold anything.
pub(super) fn documents(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut begin, mut starts) = (0, 1);
    let mut offset = 0;
    for (number, line) in (1_u32..).zip(text.split_inclusive('\n')) {
        let end = offset + line.len();
        if let Some(rest) = separator(line) {
            pieces.extend(piece(&text[begin..offset], starts));
            // What follows the dashes on their line belongs to the document: `--- {kind: Pod}`.
            let is_bare = is_nothing(rest);
            begin = if is_bare { end } else { end - rest.len() };
            starts = if is_bare { number + 1 } else { number };
        }
        offset = end;
    }
    pieces.extend(piece(&text[begin..], starts));
    pieces
}

/// The rest of a line that begins or ends a document.
fn separator(line: &str) -> Option<&str> {
    let rest = line
        .strip_prefix("---")
        .or_else(|| line.strip_prefix("..."))?;
    rest.chars()
        .next()
        .is_none_or(char::is_whitespace)
        .then_some(rest)
}

/// Blank, a comment or a directive.
fn is_nothing(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#') || line.starts_with('%')
}

fn piece(text: &str, starts: u32) -> Option<Piece<'_>> {
    let (line, _) = (starts..)
        .zip(text.lines())
        .find(|(_, line)| !is_nothing(line))?;
    Some(Piece {
        source: text,
        is_item: false,
        starts,
        line,
    })
}

/// Takes a document of the kind `List` apart; `None` where it is none, or is not laid out as kubectl does it.
pub(super) fn items<'t>(document: &Piece<'t>) -> Option<List<'t>> {
    let text = document.source;
    if kind(text) != Some("List") {
        return None;
    }
    let mut items: Vec<Piece<'t>> = Vec::new();
    let mut dash: Option<usize> = None;
    let mut frame = String::new();
    let mut is_inside = false;
    // Where the line and the item it is in begin.
    let (mut offset, mut begin) = (0, 0);
    for (number, line) in (document.starts..).zip(text.split_inclusive('\n')) {
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        let end = offset + line.len();
        let is_dash = body.starts_with("- ") || body.trim_end() == "-";
        let was_inside = is_inside;
        if !is_inside {
            if let Some(rest) = line.strip_prefix("items:") {
                if !is_nothing(rest) || dash.is_some() {
                    return None;
                }
                is_inside = true;
            }
        } else if is_dash && dash.is_none_or(|at| at == indent) {
            dash = Some(indent);
            begin = offset;
            items.push(Piece {
                source: line,
                is_item: true,
                starts: number,
                line: number,
            });
        } else if is_nothing(line) || dash.is_some_and(|at| indent > at) {
            items.last_mut()?.source = &text[begin..end];
        } else if indent == 0 {
            is_inside = false;
        } else {
            return None;
        }
        frame += if is_inside && was_inside { "\n" } else { line };
        offset = end;
    }
    Some(List { items, frame })
}

/// The value of the key `kind` among the outermost keys of a block of YAML; `None` where it stands there not once.
pub(super) fn kind(text: &str) -> Option<&str> {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let mut lines = text.lines().filter(|line| !is_nothing(line)).peekable();
    let outer = indent(lines.peek()?);
    let mut values = lines
        .filter(|line| indent(line) == outer)
        .filter_map(|line| line[outer..].strip_prefix("kind:"));
    let value = values.next()?;
    let value = value.split(" #").next().unwrap_or_default().trim();
    let value = value.trim_matches(['"', '\'']);
    let is_word = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric());
    (values.next().is_none() && is_word).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pieces: &[Piece<'_>]) -> Vec<String> {
        let show =
            |piece: &Piece<'_>| format!("{}: {}", piece.line, piece.text().replace('\n', "|"));
        pieces.iter().map(show).collect()
    }

    #[test]
    fn documents_are_cut_at_their_marks() {
        let text =
            "# head\n\na: 1\n---\n# only words\n--- # b\nb: |\n  ---\n  x\n...\n--- {c: 1}\n---\n";
        let expected = ["3: # head||a: 1|", "7: b: ||  ---|  x|", "11:  {c: 1}|"];
        assert_eq!(shown(&documents(text)), expected);
    }

    #[test]
    fn items_are_cut_at_their_dashes() {
        let text = "apiVersion: v1\nitems:\n- a: 1\n  l:\n  - x\n\n- b: |\n    - y\nkind: List\nmetadata:\n  - z\n";
        let document = &documents(text)[0];
        let expected = ["3:   a: 1|  l:|  - x||", "7:   b: ||    - y|"];
        assert_eq!(shown(&items(document).unwrap().items), expected);
        let indented = "kind: List\nitems:\n  - a: 1\n    b: 2\n  - c: 3\n";
        let expected = ["3:     a: 1|    b: 2|", "5:     c: 3|"];
        assert_eq!(
            shown(&items(&documents(indented)[0]).unwrap().items),
            expected
        );
        for other in [
            "kind: List\nitems: [a]\n",
            "kind: PodList\nitems:\n- a: 1\n",
            "a: 1\n",
        ] {
            assert_eq!(items(&documents(other)[0]), None, "{other}");
        }
    }

    #[test]
    fn the_kind_is_an_outermost_key() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(kind(text), expected, "{text}");
        check("kind: Pod # mine\nspec:\n  kind: x\n", Some("Pod"));
        check("  a: 1\n  kind: \"Pod\"\n", Some("Pod"));
        check("a:\n  kind: Pod\n", None);
        check("kind: Pod\nkind: Node\n", None);
        check("{kind: Pod}", None);
        check("kind: [\n", None);
    }
}
