//! Master files: zones as text (RFC 1035, section 5).
//!
//! Given a text, the name it begins below, and a way to what it includes, [`read`] gives its records and everything that
//! cannot be read, each with file and line. It opens no file itself: where `$INCLUDE` leads is the caller's to decide. It does
//! not know what a zone must have; `zone::statics` does.
//!
//! | directive | |
//! |---|---|
//! | `$ORIGIN name`, `$TTL time` | RFC 1035, RFC 2308, section 4 |
//! | `$INCLUDE file [origin]` | the origin and the last owner are afterwards what they were before; at most 8 deep |
//! | `$GENERATE range owner [ttl] [class] type data` | as BIND has it; at most 65,536 records a line |
//!
//! Owner, time to live and class may be left out, the latter two stand in either order. A record without a time to live has that
//! of `$TTL`, else that of the record before it, else MINIMUM of the SOA record. Letters keep their case, which matters to
//! nobody but who reads an answer.
//!
//! All of it is our own: hickory-proto's reader of master files, and that of the data of single records, which has the same lexer,
//! loses `\DDD`, takes no `\#`, and reads on over what it does not understand.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod encoding;
mod generate;
mod loc;
mod rdata;
mod show;
mod svcb;
mod tokens;
mod ttl;
mod types;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::model::Origin;
use crate::wire::{Name, rtype};
use tokens::{Lexer, Start, Token, shown};
use types::Field;

pub(super) use types::canonical;
use types::is_meta;
pub use types::type_name;

/// So many faults are told of a file: the first few are the cause of the others.
const FAULTS_MAX: usize = 20;
/// A file that includes another that includes another.
const DEPTH_MAX: usize = 8;
/// Files of one zone, so that two that include a third many times over come to an end.
const INCLUDES_MAX: usize = 1000;
/// Records of one zone; at 100 octets each, half a gigabyte.
const RECORDS_MAX: usize = 5_000_000;
/// Octets of their data together, which a line of `$GENERATE` can make of very few: as many as the largest file has.
const OCTETS_MAX: usize = 256 << 20;

/// A record as it was read, of class IN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its owner, in lower case.
    pub owner: Name,
    /// Seconds.
    pub ttl: u32,
    /// The number of its type.
    pub rtype: u16,
    /// Its data as it stands on the wire, letters as they were written.
    pub data: Box<[u8]>,
    /// The file, as an index into [`Read::files`], and the line.
    place: (u16, u32),
}

/// Something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Where.
    pub origin: Origin,
    /// What is wrong: lower case, no full stop.
    pub text: String,
}

/// What a text gave.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// The records, in their order.
    pub entries: Vec<Entry>,
    /// What cannot be read; where there is any, `entries` are not all.
    pub faults: Vec<Fault>,
    /// What can be, and should be otherwise.
    pub warnings: Vec<Fault>,
    /// The files, as they were named.
    files: Vec<Arc<str>>,
}

impl Read {
    /// Where a record stands.
    pub fn origin(&self, entry: &Entry) -> Origin {
        let (file, line) = entry.place;
        let file = self.files.get(usize::from(file)).cloned();
        Origin {
            file: file.unwrap_or_default(),
            line,
        }
    }
}

impl Entry {
    /// A record that stands in no file.
    pub fn new(owner: Name, ttl: u32, rtype: u16, data: &[u8]) -> Self {
        Self {
            owner,
            ttl,
            rtype,
            data: data.into(),
            place: (0, 0),
        }
    }

    /// The first name in its data, and where it stands there.
    pub fn target(&self) -> Option<(Name, Range<usize>)> {
        target(self.rtype, &self.data)
    }
}

/// The first name in the data of a record, and where it stands there.
pub(super) fn target(rtype: u16, data: &[u8]) -> Option<(Name, Range<usize>)> {
    let parts = types::parts(rtype, data)?;
    let (_, range) = parts.into_iter().find(|(field, _)| *field == Field::Name)?;
    Some((Name::from_wire(data.get(range.clone())?)?, range))
}

/// As a line of a master file.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            owner,
            ttl,
            rtype,
            data,
            ..
        } = self;
        let owner = show::name(owner.as_wire());
        let (rtype, data) = (type_name(*rtype), show::data(*rtype, data));
        write!(f, "{owner} {ttl} IN {rtype} {data}")
    }
}

/// A file that is included: its contents, and what it is called in messages. Two names that are equal are one file.
pub type Included = (Arc<str>, Vec<u8>);

/// Reads `text`, the file `file`, whose names begin below `origin`. `include` gives what stands in the file that is named second,
/// from the one that is named first, or says why not.
pub fn read(
    file: &str,
    text: &[u8],
    origin: &Name,
    include: &mut dyn FnMut(&str, &str) -> Result<Included, String>,
) -> Read {
    let mut reader = Reader {
        read: Read::default(),
        include,
        default_ttl: None,
        minimum: None,
        includes: 0,
        octets: 0,
        is_full: false,
    };
    let context = Context {
        file: reader.file(file.into()),
        origin: origin.as_wire().to_vec(),
        owner: None,
        last_ttl: None,
        above: Vec::new(),
    };
    reader.read(text, context);
    reader.read
}

struct Reader<'i> {
    read: Read,
    include: &'i mut dyn FnMut(&str, &str) -> Result<Included, String>,
    /// That of `$TTL`, which goes on behind an included file.
    default_ttl: Option<u32>,
    /// MINIMUM of the SOA record.
    minimum: Option<u32>,
    includes: usize,
    /// A bound was met: nothing more is read.
    /// Of the data of all records.
    octets: usize,
    is_full: bool,
}

/// What a line is read in.
struct Context {
    file: u16,
    origin: Vec<u8>,
    owner: Option<Name>,
    last_ttl: Option<u32>,
    /// The files that lead here.
    above: Vec<u16>,
}

/// What stands in front of a record's data.
struct Head {
    ttl: Option<u32>,
    rtype: u16,
    /// How many tokens.
    len: usize,
}

impl Reader<'_> {
    fn file(&mut self, name: Arc<str>) -> u16 {
        let known = self.read.files.iter().position(|known| *known == name);
        let place = known.unwrap_or_else(|| {
            self.read.files.push(name);
            self.read.files.len() - 1
        });
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    fn read(&mut self, text: &[u8], mut context: Context) -> Context {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        while !self.is_full
            && let Some(line) = lexer.next_line(&mut tokens)
        {
            let read = match line {
                Ok(start) => self
                    .line(start, &tokens, &mut context)
                    .map_err(|text| (start.line, text)),
                Err(fault) => Err((fault.line, fault.text)),
            };
            if let Err((line, text)) = read {
                self.fault(&context, line, text);
            }
        }
        context
    }

    fn at(&self, context: &Context, line: u32) -> Origin {
        let file = self.read.files.get(usize::from(context.file)).cloned();
        Origin {
            file: file.unwrap_or_default(),
            line,
        }
    }

    fn fault(&mut self, context: &Context, line: u32, text: String) {
        let origin = self.at(context, line);
        self.read.faults.push(Fault {
            origin: origin.clone(),
            text,
        });
        if self.read.faults.len() == FAULTS_MAX && !self.is_full {
            self.is_full = true;
            let text = format!("{FAULTS_MAX} faults; what follows is not read");
            self.read.faults.push(Fault { origin, text });
        }
    }

    fn line(
        &mut self,
        start: Start,
        tokens: &[Token<'_>],
        context: &mut Context,
    ) -> Result<(), String> {
        let (first, behind) = tokens.split_first().ok_or("nothing is here")?;
        if first.text.starts_with(b"$") && !first.is_quoted && !start.is_indented {
            return self.directive(start.line, first.text, behind, context);
        }
        let (owner, rest) = match start.is_indented {
            true => {
                let owner = context.owner.clone();
                (owner.ok_or("no owner stands before this")?, tokens)
            }
            false => {
                let wire = rdata::name(first.text, &context.origin)?;
                (
                    Name::from_wire(&wire).ok_or("the owner is no name")?,
                    behind,
                )
            }
        };
        // Also where the rest is wrong: who leaves the owner out below means this one.
        context.owner = Some(owner.clone());
        let head = head(rest)?;
        let data = rest.get(head.len..).unwrap_or_default();
        self.record(start.line, owner, &head, data, context)
    }

    fn record(
        &mut self,
        line: u32,
        owner: Name,
        head: &Head,
        data: &[Token<'_>],
        context: &mut Context,
    ) -> Result<(), String> {
        let Head { ttl, rtype, .. } = *head;
        let name = type_name(rtype);
        let data = rdata::parse(rtype, data, &context.origin);
        let data = data.map_err(|why| format!("{name}: {why}"))?;
        if rtype == rtype::SOA && self.minimum.is_none() {
            let minimum = data.last_chunk().copied();
            self.minimum = minimum.map(u32::from_be_bytes);
        }
        let told = ttl.or(self.default_ttl).or(context.last_ttl);
        let ttl = match (told, self.minimum) {
            (Some(ttl), _) => ttl,
            (None, Some(minimum)) => {
                let text = format!(
                    "no TTL stands here or before: {minimum}, MINIMUM of the SOA record, is taken"
                );
                let origin = self.at(context, line);
                self.read.warnings.push(Fault { origin, text });
                minimum.min(ttl::TTL_MAX)
            }
            (None, None) => return Err("no TTL stands here or before, nor `$TTL`".to_owned()),
        };
        context.last_ttl = Some(ttl);
        if self.read.entries.len() >= RECORDS_MAX {
            self.is_full = true;
            return Err(format!("more than {RECORDS_MAX} records"));
        }
        self.octets += data.len();
        if self.octets > OCTETS_MAX {
            self.is_full = true;
            return Err(format!("more than {OCTETS_MAX} octets of data"));
        }
        self.read.entries.push(Entry {
            owner,
            ttl,
            rtype,
            data: data.into(),
            place: (context.file, line),
        });
        Ok(())
    }

    fn directive(
        &mut self,
        line: u32,
        word: &[u8],
        tokens: &[Token<'_>],
        context: &mut Context,
    ) -> Result<(), String> {
        let texts: Vec<&[u8]> = tokens.iter().map(|token| token.text).collect();
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match texts.as_slice() {
            [name] if is("$ORIGIN") => {
                context.origin = rdata::name(name, &context.origin)?;
                Ok(())
            }
            [time] if is("$TTL") => {
                self.default_ttl = Some(ttl::ttl(time)?);
                Ok(())
            }
            [file] if is("$INCLUDE") => self.included(file, None, context),
            [file, origin] if is("$INCLUDE") => {
                let origin = rdata::name(origin, &context.origin)?;
                self.included(file, Some(origin), context)
            }
            [range, owner, ..] if is("$GENERATE") && tokens.len() > 3 => {
                let rest = tokens.get(2..).unwrap_or_default();
                self.generated(line, range, owner, rest, context)
            }
            _ if is("$ORIGIN") => Err("`$ORIGIN` takes one name".to_owned()),
            _ if is("$TTL") => Err("`$TTL` takes one time".to_owned()),
            _ if is("$INCLUDE") => Err("`$INCLUDE` takes a file, and perhaps an origin".to_owned()),
            _ if is("$GENERATE") => {
                Err("`$GENERATE` takes a range, an owner, a type and data".to_owned())
            }
            _ => Err(format!("`{}` is no directive", shown(word))),
        }
    }

    fn included(
        &mut self,
        file: &[u8],
        origin: Option<Vec<u8>>,
        context: &Context,
    ) -> Result<(), String> {
        let file = String::from_utf8(tokens::unescaped(file)?);
        let file = file.map_err(|_| "the name of the file is not UTF-8".to_owned())?;
        self.includes += 1;
        if self.includes > INCLUDES_MAX {
            self.is_full = true;
            return Err(format!("more than {INCLUDES_MAX} files are included"));
        }
        if context.above.len() + 1 >= DEPTH_MAX {
            return Err(format!("files are included more than {DEPTH_MAX} deep"));
        }
        let from = self.read.files.get(usize::from(context.file)).cloned();
        let (name, text) = (self.include)(&from.unwrap_or_default(), &file)?;
        let number = self.file(name);
        let mut above = context.above.clone();
        above.push(context.file);
        if above.contains(&number) {
            return Err(format!("`{file}` includes itself"));
        }
        // "$INCLUDE ... never changes the relative origin of the parent file" (RFC 1035, section 5.1).
        self.read(
            &text,
            Context {
                file: number,
                origin: origin.unwrap_or_else(|| context.origin.clone()),
                owner: context.owner.clone(),
                last_ttl: context.last_ttl,
                above,
            },
        );
        Ok(())
    }

    fn generated(
        &mut self,
        line: u32,
        range: &[u8],
        owner: &[u8],
        rest: &[Token<'_>],
        context: &mut Context,
    ) -> Result<(), String> {
        let range = generate::Range::parse(range)?;
        let head = head(rest)?;
        let data = rest.get(head.len..).unwrap_or_default();
        for number in range.numbers() {
            let owner = rdata::name(&generate::filled(owner, number)?, &context.origin)?;
            let owner = Name::from_wire(&owner).ok_or("the owner is no name")?;
            let filled: Result<Vec<Vec<u8>>, String> = data
                .iter()
                .map(|token| generate::filled(token.text, number))
                .collect();
            let filled = filled?;
            let tokens: Vec<Token<'_>> = data
                .iter()
                .zip(&filled)
                .map(|(token, text)| Token { text, ..*token })
                .collect();
            self.record(line, owner, &head, &tokens, context)?;
        }
        Ok(())
    }
}

/// `[<TTL>] [<class>] <type>` or `[<class>] [<TTL>] <type>` (RFC 1035, section 5.1).
fn head(tokens: &[Token<'_>]) -> Result<Head, String> {
    let (mut ttl, mut has_class) = (None, false);
    for (index, token) in tokens.iter().enumerate() {
        let text = token.text;
        if ttl.is_none() && text.first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(ttl::ttl(text)?);
        } else if !has_class && is_class(text) {
            if !is_internet(text) {
                return Err(format!(
                    "the class `{}` is not served, only IN is",
                    shown(text)
                ));
            }
            has_class = true;
        } else {
            let rtype = types::number(text);
            let rtype = rtype.ok_or_else(|| format!("`{}` is no type", shown(text)))?;
            if is_meta(rtype) {
                return Err(format!(
                    "{} is a type of questions, no record has it",
                    type_name(rtype)
                ));
            }
            return Ok(Head {
                ttl,
                rtype,
                len: index + 1,
            });
        }
    }
    Err("the type is missing".to_owned())
}

fn is_internet(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"IN") || text.eq_ignore_ascii_case(b"CLASS1")
}

fn is_class(text: &[u8]) -> bool {
    let is = |name: &str| name.as_bytes().eq_ignore_ascii_case(text);
    let numbered = text.split_at_checked(5).is_some_and(|(word, digits)| {
        word.eq_ignore_ascii_case(b"CLASS")
            && !digits.is_empty()
            && digits.iter().all(u8::is_ascii_digit)
    });
    ["IN", "CH", "HS", "CS", "NONE"].into_iter().any(is) || numbered
}
