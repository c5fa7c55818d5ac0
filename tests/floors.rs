//! The walls of the house: imports point down, foreign crates stay in their rooms, and every file is somebody's.
//!
//! [`complaints`] is given sources as `(path, text)` and gives what is wrong with them, each with its place. It reads
//! tokens, not meaning: comments, strings and character literals are stripped and nothing else is, so that tests
//! inside modules keep to the floors as well. What would hide an import from it (another name for the crate, a glob
//! of its root, `include!`, `#[path]`) is a complaint of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The floors of `src/lib.rs`, with what later releases add.
const FLOORS: &[(&str, u8)] = &[
    ("main", 12),
    ("cli", 11),
    ("app", 10),
    ("config", 9),
    ("admin", 8),
    ("telemetry", 8),
    ("engine", 7),
    ("server", 7),
    ("kubernetes", 7),
    ("files", 7),
    ("upstream", 7),
    ("answer", 6),
    ("store", 5),
    ("zone", 4),
    ("records", 3),
    ("rollout", 2),
    ("objects", 2),
    ("model", 1),
    ("wire", 1),
];

/// Where a foreign crate may be named.
enum Room {
    In(&'static [&'static str]),
    FromFloor(u8),
}

/// Foreign crates that have a room; others may be named anywhere.
const ROOMS: &[(&str, Room)] = &[
    ("dashmap", Room::In(&["store"])),
    ("hickory_server", Room::In(&["server"])),
    ("hickory_resolver", Room::In(&["upstream"])),
    ("kube", Room::In(&["objects", "kubernetes", "app"])),
    ("k8s_openapi", Room::In(&["objects", "kubernetes", "app"])),
    ("clap", Room::In(&["cli", "config", "main"])),
    ("tokio", Room::FromFloor(7)),
    ("axum", Room::In(&["admin", "app"])),
    (
        "prometheus_client",
        Room::In(&["admin", "engine", "server"]),
    ),
    ("quinn_udp", Room::In(&["server"])),
    ("libc", Room::In(&["server"])),
    ("socket2", Room::In(&["server"])),
    ("rustix", Room::In(&["app"])),
    ("listenfd", Room::In(&["cli"])),
    ("notify", Room::In(&["files"])),
    ("ureq", Room::In(&["cli"])),
    ("ratatui", Room::In(&["cli"])),
    ("clap_complete", Room::In(&["cli"])),
    ("clap_mangen", Room::In(&["cli"])),
    (
        "serde_saphyr",
        Room::In(&["objects", "files", "config", "cli"]),
    ),
    ("anyhow", Room::In(&["app", "cli", "main"])),
    ("tracing", Room::FromFloor(7)),
    ("tracing_subscriber", Room::In(&["telemetry"])),
];

/// Names that say nothing about what is inside.
const DRAWERS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc"];

/// The library's own name, as `main` calls it.
const LIBRARY: &str = "shiftdns";

/// What is wrong with `sources`, as `path:line: text`, in the order of paths and lines.
fn complaints(sources: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<SourceFile> = sources
        .iter()
        .map(|(path, text)| scan(path, text))
        .collect();
    let mut found = BTreeSet::new();
    for file in &files {
        let mut complain = |line: usize, text: String| found.insert((file.path, line, text));
        for (line, text) in &file.hidden {
            complain(*line, text.clone());
        }
        if let Some(drawer) = file.module.iter().find(|m| DRAWERS.contains(&m.as_str())) {
            complain(1, drawer_text(drawer));
        }
        for (line, path) in &file.declared {
            let Some(name) = path.last() else { continue };
            if DRAWERS.contains(&name.as_str()) {
                complain(*line, drawer_text(name));
            }
            if path.len() == 1 && file.is_root() && floor_of(name).is_none() {
                complain(*line, format!("module {name} has no floor"));
            }
        }
        if !file.is_root() && !is_declared(file, &files) {
            complain(1, "no `mod` declares this file".to_owned());
        }
        for mention in &file.mentions {
            if let Some(text) = mention_complaint(file, mention) {
                complain(mention.line, text);
            }
        }
    }
    found
        .into_iter()
        .map(|(path, line, text)| format!("{path}:{line}: {text}"))
        .collect()
}

fn drawer_text(name: &str) -> String {
    format!("a module named {name} says nothing about what is inside")
}

fn floor_of(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
}

/// A file is declared by a `mod name;` in the file of the module that contains it.
fn is_declared(file: &SourceFile, files: &[SourceFile]) -> bool {
    files
        .iter()
        .filter(|other| other.path != "src/main.rs")
        .any(|other| other.declared.iter().any(|(_, path)| *path == file.module))
}

fn mention_complaint(file: &SourceFile, mention: &Mention) -> Option<String> {
    let here = file.house();
    match resolve(mention, file) {
        Target::Module(there) if there == here => None,
        Target::Module(there) => {
            // Files outside every floor are complained about where their module is declared.
            let (from, to) = (floor_of(here)?, floor_of(&there));
            match to {
                Some(to) if to < from => None,
                Some(to) => Some(format!(
                    "{here} (floor {from}) imports {there} (floor {to})"
                )),
                None => Some(format!(
                    "{here} (floor {from}) imports {there}, which has no floor"
                )),
            }
        }
        Target::Root if mention.glob => {
            Some("a glob of the crate's root hides what is imported".to_owned())
        }
        Target::Root if mention.renamed => {
            Some("another name for the crate hides what is imported".to_owned())
        }
        Target::Root => None,
        Target::Foreign(name) => {
            let (_, room) = ROOMS.iter().find(|(known, _)| *known == name)?;
            let (at_home, home) = match room {
                Room::In(houses) => (houses.contains(&here), houses.join(", ")),
                Room::FromFloor(lowest) => (
                    floor_of(here).is_some_and(|floor| floor >= *lowest),
                    format!("floors {lowest} and up"),
                ),
            };
            (!at_home).then(|| format!("{here} names {name}, whose room is {home}"))
        }
    }
}

/// What a path leads to, as far as the walls care.
#[derive(Debug, PartialEq)]
enum Target {
    /// A top-level module of the library.
    Module(String),
    /// The library's root itself.
    Root,
    /// A foreign crate, or a name that is in scope.
    Foreign(String),
}

fn resolve(mention: &Mention, file: &SourceFile) -> Target {
    let mut segments = mention.segments.as_slice();
    let mut module: Vec<String> = Vec::new();
    let Some((first, rest)) = segments.split_first() else {
        return Target::Root;
    };
    match first.as_str() {
        "crate" if file.path == "src/main.rs" => return Target::Module("main".to_owned()),
        "crate" | LIBRARY => segments = rest,
        "self" | "super" => {
            module.clone_from(&mention.inside);
            while let Some((first, rest)) = segments.split_first() {
                match first.as_str() {
                    "self" => {}
                    "super" => drop(module.pop()),
                    _ => break,
                }
                segments = rest;
            }
            if file.path == "src/main.rs" {
                return Target::Module("main".to_owned());
            }
        }
        _ => return Target::Foreign(first.clone()),
    }
    module.extend(segments.iter().filter(|s| *s != "self").cloned());
    module
        .into_iter()
        .next()
        .map_or(Target::Root, Target::Module)
}

/// One file, as far as the walls care.
struct SourceFile<'a> {
    path: &'a str,
    /// Where its content stands: `["zone", "encode"]`.
    module: Vec<String>,
    /// `mod name;`, with the line and the whole path of the module.
    declared: Vec<(usize, Vec<String>)>,
    /// Every path of two segments or more, and every imported one.
    mentions: Vec<Mention>,
    /// What would hide an import, with its line.
    hidden: Vec<(usize, String)>,
}

impl SourceFile<'_> {
    /// The top-level module it belongs to; `lib` for the library's root.
    fn house(&self) -> &str {
        match self.path {
            "src/main.rs" => "main",
            _ => self.module.first().map_or("lib", String::as_str),
        }
    }

    fn is_root(&self) -> bool {
        matches!(self.path, "src/lib.rs" | "src/main.rs")
    }
}

/// A path in the text, with the module it stands in.
#[derive(Debug, PartialEq)]
struct Mention {
    line: usize,
    segments: Vec<String>,
    inside: Vec<String>,
    glob: bool,
    renamed: bool,
}

/// `src/zone/encode.rs` is `["zone", "encode"]`, `src/zone/mod.rs` is `["zone"]`, the roots are `[]`.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    let inner = inner.strip_suffix(".rs").unwrap_or(inner);
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    match module.as_slice() {
        [root] if root == "lib" || root == "main" => module.clear(),
        [.., last] if last == "mod" => drop(module.pop()),
        _ => {}
    }
    module
}

/// Walks the tokens once, knowing which inline module it is in.
fn scan<'a>(path: &'a str, text: &str) -> SourceFile<'a> {
    let tokens = tokens(text);
    let word = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text.as_str());
    let mut file = SourceFile {
        path,
        module: module_of(path),
        declared: Vec::new(),
        mentions: Vec::new(),
        hidden: Vec::new(),
    };
    let mut inside = file.module.clone();
    let mut depth = 0_usize;
    let mut inline: Vec<usize> = Vec::new();
    let mut i = 0;
    while let Some(token) = tokens.get(i) {
        let line = token.line;
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if inline.last() == Some(&depth) {
                    inline.pop();
                    inside.pop();
                }
            }
            "mod" if word(i + 2) == ";" || word(i + 2) == "{" => {
                let mut module = inside.clone();
                module.push(word(i + 1).to_owned());
                if word(i + 2) == "{" {
                    inline.push(depth);
                    depth += 1;
                    inside.clone_from(&module);
                    if DRAWERS.contains(&word(i + 1)) {
                        file.hidden.push((line, drawer_text(word(i + 1))));
                    }
                } else {
                    file.declared.push((line, module));
                }
                i += 3;
                continue;
            }
            "extern" if word(i + 1) == "crate" => {
                let name = match word(i + 2) {
                    "self" => "crate",
                    other => other,
                };
                file.mentions.push(Mention {
                    line,
                    segments: vec![name.to_owned()],
                    inside: inside.clone(),
                    glob: false,
                    renamed: word(i + 3) == "as",
                });
                i += 3;
                continue;
            }
            "use" if !starts_bound(word(i + 1)) => {
                let mut tree = Tree {
                    tokens: &tokens,
                    inside: &inside,
                    mentions: &mut file.mentions,
                };
                i = tree.read(i + 1, &[]);
                continue;
            }
            "include" if word(i + 1) == "!" => {
                file.hidden
                    .push((line, "`include!` hides what is imported".to_owned()));
            }
            "path" if i >= 2 && word(i - 1) == "[" && word(i - 2) == "#" => {
                file.hidden
                    .push((line, "`#[path]` hides where a module stands".to_owned()));
            }
            text if is_word(text) && !continues(&tokens, i) => {
                let mut segments = vec![text.to_owned()];
                while word(i + 1) == "::" && is_word(word(i + 2)) {
                    segments.push(word(i + 2).to_owned());
                    i += 2;
                }
                if segments.len() > 1 {
                    file.mentions.push(Mention {
                        line,
                        segments,
                        inside: inside.clone(),
                        glob: false,
                        renamed: false,
                    });
                }
            }
            _ => {}
        }
        i += 1;
    }
    file
}

/// `use<'a, T>` is a bound of `impl Trait`, not an import.
fn starts_bound(next: &str) -> bool {
    next == "<"
}

/// Whether the word at `i` continues a path, or is a method or field, rather than starting one.
fn continues(tokens: &[Token], i: usize) -> bool {
    let before = |n: usize| {
        i.checked_sub(n)
            .and_then(|at| tokens.get(at))
            .map_or("", |t| t.text.as_str())
    };
    match before(1) {
        "." => true,
        "::" => is_word(before(2)) || before(2) == ">",
        _ => false,
    }
}

/// A `use` tree: `a::{b, c::*, d as e}`.
struct Tree<'t> {
    tokens: &'t [Token],
    inside: &'t [String],
    mentions: &'t mut Vec<Mention>,
}

impl Tree<'_> {
    /// Reads one branch that starts at `i` below `prefix`; gives the index of the first token behind it.
    fn read(&mut self, mut i: usize, prefix: &[String]) -> usize {
        let tokens = self.tokens;
        let word = |i: usize| tokens.get(i).map_or("", |t| t.text.as_str());
        let line = tokens.get(i).map_or(0, |t| t.line);
        let mut segments = prefix.to_vec();
        let mut glob = false;
        loop {
            match word(i) {
                "::" => i += 1,
                "*" => {
                    glob = true;
                    i += 1;
                }
                "{" => {
                    i += 1;
                    while !matches!(word(i), "}" | "") {
                        i = self.read(i, &segments);
                        if word(i) == "," {
                            i += 1;
                        }
                    }
                    return i + 1;
                }
                text if is_word(text) && text != "as" => {
                    segments.push(text.to_owned());
                    i += 1;
                }
                _ => break,
            }
        }
        let renamed = word(i) == "as";
        if renamed {
            i += 2;
        }
        // Whatever else stands here is not an import; stepping over it keeps the walk going.
        while !matches!(word(i), "," | ";" | "}" | "") {
            i += 1;
        }
        self.mentions.push(Mention {
            line,
            segments,
            inside: self.inside.to_vec(),
            glob,
            renamed,
        });
        i
    }
}

/// A word or a sign, with its line counted from 1.
struct Token {
    line: usize,
    text: String,
}

fn is_word(text: &str) -> bool {
    text.chars()
        .next()
        .is_some_and(|c| c == '_' || c.is_alphabetic())
}

/// Splits into words and signs; comments, strings, characters, lifetimes and numbers are left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let start = i;
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == '*' => i = behind_block_comment(&chars, i),
            '"' => i = behind_string(&chars, i),
            '\'' => i = behind_quote(&chars, i),
            c if c.is_ascii_digit() => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
            }
            c if c == '_' || c.is_alphabetic() => {
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                let word: String = chars[start..i].iter().collect();
                match (word.as_str(), at(i)) {
                    ("r" | "br" | "cr", '"' | '#') if raw_string_starts(&chars, i) => {
                        i = behind_raw_string(&chars, i)
                    }
                    ("b" | "c", '"') => i = behind_string(&chars, i),
                    ("b", '\'') => i = behind_quote(&chars, i),
                    // `r#type` is the word `type`, which the next turn reads.
                    ("r", '#') => i += 1,
                    _ => tokens.push(Token { line, text: word }),
                }
            }
            c if c.is_whitespace() => i += 1,
            c => {
                let pair: String = [c, at(i + 1)].iter().collect();
                let sign = match pair.as_str() {
                    "::" | "->" | "=>" => pair,
                    _ => c.to_string(),
                };
                i += sign.chars().count();
                tokens.push(Token { line, text: sign });
            }
        }
        line += chars[start..i].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn behind_block_comment(chars: &[char], mut i: usize) -> usize {
    let mut depth = 0;
    while i < chars.len() {
        match chars[i..] {
            ['/', '*', ..] => {
                depth += 1;
                i += 2;
            }
            ['*', '/', ..] => {
                depth -= 1;
                i += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => i += 1,
        }
    }
    i
}

fn behind_string(chars: &[char], quote: usize) -> usize {
    let mut i = quote + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn raw_string_starts(chars: &[char], i: usize) -> bool {
    chars[i..].iter().find(|c| **c != '#') == Some(&'"')
}

fn behind_raw_string(chars: &[char], mut i: usize) -> usize {
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes + 1;
    while i < chars.len() {
        let closed = chars[i] == '"'
            && chars[i + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes;
        i += 1;
        if closed {
            return i + hashes;
        }
    }
    i
}

/// Behind `'x'`, `'\n'`, `'\u{1F600}'` or, where no quote closes it, behind the mark of a lifetime.
fn behind_quote(chars: &[char], quote: usize) -> usize {
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    if at(quote + 1) == '\\' {
        let mut i = quote + 3;
        while i < chars.len() && at(i) != '\'' {
            i += 1;
        }
        return i + 1;
    }
    if at(quote + 2) == '\'' {
        return quote + 3;
    }
    let mut i = quote + 1;
    while at(i).is_alphanumeric() || at(i) == '_' {
        i += 1;
    }
    i
}

/// The real tree, as the checker wants it.
fn tree(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(folder).expect("`src` is a folder that can be read");
    for entry in entries {
        let path = entry.expect("entries of `src` can be read").path();
        if path.is_dir() {
            tree(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .expect("the walk stays below its root");
            let name = name.to_string_lossy().replace('\\', "/");
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            found.push((name, text));
        }
    }
}

#[test]
fn this_house_stands() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    tree(&root.join("src"), root, &mut sources);
    sources.sort();
    let sources: Vec<(&str, &str)> = sources
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    assert!(
        sources.iter().any(|(path, _)| *path == "src/lib.rs"),
        "no sources found"
    );
    let complaints = complaints(&sources);
    assert!(
        complaints.is_empty(),
        "imports point down, crates stay in their rooms, files are declared:\n{}",
        complaints.join("\n")
    );
}

#[test]
fn the_map_in_lib_names_these_floors() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"))
        .expect("src/lib.rs");
    let map = text
        .split("```text")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let map = map.expect("src/lib.rs draws the floors");
    let declared = scan("src/lib.rs", &text).declared;
    let mut floor = None;
    let mut drawn = BTreeSet::new();
    for line in map.lines() {
        let line = line.trim_start_matches("//!");
        let line = match line.trim_start().split_once(' ') {
            Some((number, rest)) if number.parse::<u8>().is_ok() => {
                floor = number.parse::<u8>().ok();
                rest
            }
            _ => line,
        };
        for word in line.split_whitespace() {
            if floor_of(word).is_some() && floor_of(word) == floor {
                drawn.insert(word.to_owned());
            }
        }
    }
    for (_, path) in declared {
        let name = path.join("::");
        assert!(
            drawn.contains(&name),
            "the map does not draw {name} on floor {:?}",
            floor_of(&name)
        );
    }
}

/// The law in one line: `src/zone/mod.rs` with this text, in an otherwise sound house, gives these complaints.
fn check(path: &str, text: &str, expected: &[&str]) {
    let modules = FLOORS.iter().filter(|(name, _)| *name != "main");
    let root: String = modules
        .clone()
        .map(|(name, _)| format!("pub mod {name};\n"))
        .collect();
    let mut sources = vec![
        ("src/lib.rs".to_owned(), root),
        ("src/main.rs".to_owned(), "fn main() {}".to_owned()),
    ];
    sources.extend(modules.map(|(name, _)| (format!("src/{name}/mod.rs"), String::new())));
    match sources.iter_mut().find(|(known, _)| known == path) {
        Some(source) => source.1.push_str(text),
        None => sources.push((path.to_owned(), text.to_owned())),
    }
    let sources: Vec<(&str, &str)> = sources
        .iter()
        .map(|(p, t)| (p.as_str(), t.as_str()))
        .collect();
    assert_eq!(complaints(&sources), expected, "{path}: {text}");
}

#[test]
fn an_import_downwards_passes() {
    check(
        "src/zone/mod.rs",
        "use crate::model::Share;\nuse crate::{records, wire::{Name, Class}};",
        &[],
    );
    check(
        "src/cli/mod.rs",
        "use crate::{app, config, engine::Settings as Engine};",
        &[],
    );
    check(
        "src/main.rs",
        "use shiftdns::cli;\nfn run() { shiftdns::cli::run() }",
        &[],
    );
    check(
        "src/zone/mod.rs",
        "use crate::zone::Node;\nuse self::body::Body;\nmod tests { use super::*; }",
        &[],
    );
}

#[test]
fn an_upward_import_fails() {
    check(
        "src/zone/mod.rs",
        "//! Zones.\n\nuse crate::engine::Event;\n",
        &["src/zone/mod.rs:3: zone (floor 4) imports engine (floor 7)"],
    );
    check(
        "src/zone/mod.rs",
        "fn f() -> Vec<crate::engine::Event> {\n    ::shiftdns::store::open()\n}",
        &[
            "src/zone/mod.rs:1: zone (floor 4) imports engine (floor 7)",
            "src/zone/mod.rs:2: zone (floor 4) imports store (floor 5)",
        ],
    );
    check(
        "src/wire/mod.rs",
        "macro_rules! m { () => { $crate::answer::respond() } }",
        &["src/wire/mod.rs:1: wire (floor 1) imports answer (floor 6)"],
    );
    check(
        "src/wire/mod.rs",
        "pub(in crate::app) fn f() {}",
        &["src/wire/mod.rs:1: wire (floor 1) imports app (floor 10)"],
    );
}

#[test]
fn a_sideways_import_fails() {
    check(
        "src/wire/mod.rs",
        "use crate::model;",
        &["src/wire/mod.rs:1: wire (floor 1) imports model (floor 1)"],
    );
    check(
        "src/files/mod.rs",
        "use crate::engine;",
        &["src/files/mod.rs:1: files (floor 7) imports engine (floor 7)"],
    );
}

#[test]
fn an_import_inside_nested_groups_fails() {
    check(
        "src/records/mod.rs",
        "use crate::{\n    model::{Share, Reason},\n    zone::{\n        self,\n        Node as N,\n    },\n    rollout::*,\n};",
        &[
            "src/records/mod.rs:4: records (floor 3) imports zone (floor 4)",
            "src/records/mod.rs:5: records (floor 3) imports zone (floor 4)",
        ],
    );
    check(
        "src/records/mod.rs",
        "use {crate::{store::Store}, std::fmt};",
        &["src/records/mod.rs:1: records (floor 3) imports store (floor 5)"],
    );
}

#[test]
fn an_escape_by_super_fails() {
    let expected = "imports engine (floor 7)";
    check(
        "src/zone/mod.rs",
        "use super::engine;",
        &[&format!("src/zone/mod.rs:1: zone (floor 4) {expected}")],
    );
    check(
        "src/zone/mod.rs",
        "mod body { mod deep { fn f() { super::super::super::engine::run() } } }",
        &[&format!("src/zone/mod.rs:1: zone (floor 4) {expected}")],
    );
    check(
        "src/zone/mod.rs",
        "mod body { fn f() { super::engine::run() } }",
        &[],
    );
    check(
        "src/zone/mod.rs",
        "mod body { }\nuse self::super::{engine::Event};",
        &[&format!("src/zone/mod.rs:2: zone (floor 4) {expected}")],
    );
}

#[test]
fn an_escape_by_super_from_a_file_below_fails() {
    let sources = [
        ("src/lib.rs", "mod zone;"),
        ("src/zone/mod.rs", "mod body;"),
        (
            "src/zone/body.rs",
            "use super::super::engine::Event;\nuse super::engine::Event;",
        ),
    ];
    assert_eq!(
        complaints(&sources),
        ["src/zone/body.rs:1: zone (floor 4) imports engine (floor 7)"]
    );
}

#[test]
fn tests_inside_modules_keep_to_the_floors() {
    let test = |import: &str| {
        format!("#[cfg(test)]\nmod tests {{\n    use super::*;\n    use crate::{import};\n}}\n")
    };
    check("src/zone/mod.rs", &test("model::Share"), &[]);
    check(
        "src/zone/mod.rs",
        &test("store::Store"),
        &["src/zone/mod.rs:4: zone (floor 4) imports store (floor 5)"],
    );
}

#[test]
fn main_is_the_top_and_nobody_below_reaches_it() {
    check(
        "src/cli/mod.rs",
        "use crate::main;",
        &["src/cli/mod.rs:1: cli (floor 11) imports main (floor 12)"],
    );
    check("src/main.rs", "fn f() { crate::main() }", &[]);
}

#[test]
fn comments_and_strings_are_no_imports() {
    for text in [
        "// use crate::engine;",
        "//! See [`crate::engine::Event`].",
        "/* a /* nested */ use crate::engine; */",
        "const A: &str = \"use crate::engine; \\\" crate::engine::X\";",
        "const A: &str = r#\"\" crate::engine::X\"#;",
        "const A: &[u8] = b\"crate::engine::X\"; const B: &[u8] = br\"crate::engine::X\";",
        "const A: char = '\"'; const B: char = '\\''; const C: u8 = b'\"';",
        "fn f<'a>(x: &'a str) -> &'a str { x }",
    ] {
        check("src/zone/mod.rs", text, &[]);
        // What stands behind is read again.
        check(
            "src/zone/mod.rs",
            &format!("{text}\nuse crate::engine;"),
            &["src/zone/mod.rs:2: zone (floor 4) imports engine (floor 7)"],
        );
    }
}

#[test]
fn what_hides_an_import_fails() {
    let renamed = "src/zone/mod.rs:1: another name for the crate hides what is imported";
    check("src/zone/mod.rs", "use crate as house;", &[renamed]);
    check("src/zone/mod.rs", "use crate::{self as house};", &[renamed]);
    check("src/zone/mod.rs", "extern crate self as house;", &[renamed]);
    check("src/zone/mod.rs", "use super as house;", &[renamed]);
    let glob = "src/zone/mod.rs:1: a glob of the crate's root hides what is imported";
    check("src/zone/mod.rs", "use crate::*;", &[glob]);
    check("src/zone/mod.rs", "use super::*;", &[glob]);
    check(
        "src/zone/mod.rs",
        "use crate::Event;",
        &["src/zone/mod.rs:1: zone (floor 4) imports Event, which has no floor"],
    );
    check(
        "src/zone/mod.rs",
        "include!(\"x.in\");",
        &["src/zone/mod.rs:1: `include!` hides what is imported"],
    );
    check(
        "src/zone/mod.rs",
        "const A: &str = include_str!(\"x.in\");",
        &[],
    );
    check(
        "src/zone/mod.rs",
        "#[path = \"../engine/mod.rs\"]\nmod other {}",
        &["src/zone/mod.rs:1: `#[path]` hides where a module stands"],
    );
}

#[test]
fn a_foreign_crate_out_of_its_room_fails() {
    let out = |line: u8, name: &str, home: &str| {
        format!("src/zone/mod.rs:{line}: zone names {name}, whose room is {home}")
    };
    check("src/store/mod.rs", "use dashmap::DashMap;", &[]);
    check(
        "src/zone/mod.rs",
        "use dashmap::DashMap;",
        &[&out(1, "dashmap", "store")],
    );
    check(
        "src/zone/mod.rs",
        "fn f() { tracing::info!(\"x\") }",
        &[&out(1, "tracing", "floors 7 and up")],
    );
    check(
        "src/zone/mod.rs",
        "#[tokio::test]\nasync fn f() {}",
        &[&out(1, "tokio", "floors 7 and up")],
    );
    check(
        "src/zone/mod.rs",
        "\nuse {::clap::Parser, std::fmt};",
        &[&out(2, "clap", "cli, config, main")],
    );
    check(
        "src/zone/mod.rs",
        "extern crate kube;",
        &[&out(1, "kube", "objects, kubernetes, app")],
    );
    check(
        "src/zone/mod.rs",
        "use anyhow as a;",
        &[&out(1, "anyhow", "app, cli, main")],
    );
    check(
        "src/zone/mod.rs",
        "use r#notify::Watcher;",
        &[&out(1, "notify", "files")],
    );
    for (name, room) in ROOMS {
        let home = match room {
            Room::In(houses) => houses.first().expect("a crate with a room has a first one"),
            Room::FromFloor(_) => "engine",
        };
        let path = if home == "main" {
            "src/main.rs".to_owned()
        } else {
            format!("src/{home}/mod.rs")
        };
        check(&path, &format!("use {name}::x;"), &[]);
        let text = format!("use {name}::x;");
        let sources = [
            ("src/lib.rs", "mod model;"),
            ("src/model/mod.rs", text.as_str()),
        ];
        assert_eq!(complaints(&sources).len(), 1, "{name} on floor 1");
    }
}

#[test]
fn a_crate_without_a_room_and_a_name_that_looks_like_one_pass() {
    check(
        "src/zone/mod.rs",
        "use hickory_proto::rr::Name;\nuse thiserror::Error;",
        &[],
    );
    check(
        "src/zone/mod.rs",
        "fn f(x: X) { x.notify::<u8>(); self::kube::f(); Y::clap::z() }\nmod kube {}",
        &[],
    );
    check(
        "src/zone/mod.rs",
        "fn f(kube: u8) -> u8 { kube }\nfn g<'a>() -> impl Sized + use<'a> {}",
        &[],
    );
}

#[test]
fn an_orphaned_file_fails() {
    check(
        "src/zone/attic.rs",
        "",
        &["src/zone/attic.rs:1: no `mod` declares this file"],
    );
    let sources = [
        ("src/lib.rs", "mod zone;"),
        (
            "src/zone/mod.rs",
            "mod body; #[cfg(test)] mod tests { mod cases; } // mod attic;",
        ),
        ("src/zone/body.rs", ""),
        ("src/zone/tests/cases.rs", ""),
        ("src/zone/body/deep.rs", ""),
    ];
    assert_eq!(
        complaints(&sources),
        ["src/zone/body/deep.rs:1: no `mod` declares this file"]
    );
}

#[test]
fn a_module_without_a_floor_fails() {
    let sources = [
        ("src/lib.rs", "pub mod model;\npub mod attic;"),
        ("src/model/mod.rs", ""),
        ("src/attic.rs", ""),
    ];
    assert_eq!(
        complaints(&sources),
        ["src/lib.rs:2: module attic has no floor"]
    );
}

#[test]
fn a_drawer_fails() {
    for name in ["util", "common", "helpers", "misc"] {
        let says = format!("a module named {name} says nothing about what is inside");
        let (declares, path) = (format!("mod {name};"), format!("src/zone/{name}.rs"));
        let sources = [
            ("src/lib.rs", "mod zone;"),
            ("src/zone/mod.rs", declares.as_str()),
            (path.as_str(), ""),
        ];
        let declared = format!("src/zone/mod.rs:1: {says}");
        let stands = format!("src/zone/{name}.rs:1: {says}");
        let mut expected = [declared, stands];
        expected.sort();
        assert_eq!(complaints(&sources), expected);
        check(
            "src/zone/mod.rs",
            &format!("mod {name} {{}}"),
            &[&format!("src/zone/mod.rs:1: {says}")],
        );
    }
}
