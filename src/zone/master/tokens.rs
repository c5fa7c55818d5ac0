//! Tokens: a text is cut into logical lines, and those into words and quoted strings.
//!
//! Every octet is looked at once. A token is a piece of the text itself, however long, so there is no buffer that it could
//! outgrow; what is wrong costs the logical line it stands in and no more.

/// A logical line holds the text of one record: 65,535 octets of RDATA are 131,070 hexadecimal digits, which could all stand apart.
const TOKENS_MAX: usize = 140_000;

/// A word, or a quoted string without its quotes. Escapes stand in it as they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) text: &'t [u8],
    pub(super) is_quoted: bool,
}

/// What cannot be read, and in which line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: u32,
    pub(super) text: String,
}

/// How a logical line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) line: u32,
    /// White space stands first: the owner is that of the record before.
    pub(super) is_indented: bool,
}

/// What of a text has not been read.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'t> {
    rest: &'t [u8],
    line: u32,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self {
            rest: text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text),
            line: 1,
        }
    }

    /// Puts the tokens of the next logical line that has any into `tokens`; `None` at the end. After a fault the next call goes
    /// on behind the logical line it was in.
    pub(super) fn next_line(
        &mut self,
        tokens: &mut Vec<Token<'t>>,
    ) -> Option<Result<Start, Fault>> {
        tokens.clear();
        let mut start = self.start();
        let mut fault: Option<Fault> = None;
        // The lines of the parentheses that are open.
        let (mut depth, mut opened) = (0_u32, 0);
        loop {
            let Some((octet, behind)) = self.rest.split_first() else {
                if depth > 0 {
                    fault.get_or_insert_with(|| at(opened, "the parenthesis is not closed"));
                }
                break;
            };
            match octet {
                b'\n' => {
                    self.rest = behind;
                    self.line = self.line.saturating_add(1);
                    if depth > 0 {
                        continue;
                    }
                    if tokens.is_empty() && fault.is_none() {
                        start = self.start();
                        continue;
                    }
                    break;
                }
                b' ' | b'\t' | b'\r' => self.rest = behind,
                b';' => self.skip_comment(),
                b'(' => {
                    self.rest = behind;
                    if depth == 0 {
                        opened = self.line;
                    }
                    depth = depth.saturating_add(1);
                }
                b')' => {
                    self.rest = behind;
                    if depth == 0 {
                        fault.get_or_insert_with(|| at(self.line, "`)` without `(`"));
                    }
                    depth = depth.saturating_sub(1);
                }
                _ => match self.token() {
                    Ok(_) if tokens.len() >= TOKENS_MAX => {
                        fault.get_or_insert_with(|| {
                            at(self.line, "more words than a record can have")
                        });
                    }
                    Ok(token) => tokens.push(token),
                    Err(wrong) => {
                        fault.get_or_insert(wrong);
                    }
                },
            }
        }
        match fault {
            Some(fault) => Some(Err(fault)),
            None if tokens.is_empty() => None,
            None => Some(Ok(start)),
        }
    }

    fn start(&self) -> Start {
        Start {
            line: self.line,
            is_indented: matches!(self.rest.first(), Some(b' ' | b'\t')),
        }
    }

    fn skip_comment(&mut self) {
        let end = self.rest.iter().position(|octet| *octet == b'\n');
        self.rest = self
            .rest
            .get(end.unwrap_or(self.rest.len())..)
            .unwrap_or_default();
    }

    fn token(&mut self) -> Result<Token<'t>, Fault> {
        if let Some((b'"', inside)) = self.rest.split_first() {
            self.rest = inside;
            let len = self.quoted()?;
            let (text, behind) = self.rest.split_at_checked(len).unwrap_or_default();
            self.rest = behind.get(1..).unwrap_or_default();
            return Ok(Token {
                text,
                is_quoted: true,
            });
        }
        let word = self.rest;
        let mut len = 0;
        loop {
            match word.get(len) {
                Some(b'\\') if matches!(word.get(len + 1), None | Some(b'\n')) => {
                    self.rest = word.get(len + 1..).unwrap_or_default();
                    return Err(at(self.line, "nothing stands behind the `\\`"));
                }
                Some(b'\\') => len += 2,
                // key="value", as parameters of SVCB are written (RFC 9460, appendix A).
                Some(b'"') if len > 0 && word.get(len - 1) == Some(&b'=') => {
                    self.rest = word.get(len + 1..).unwrap_or_default();
                    len += 2 + self.quoted()?;
                }
                None | Some(b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')') => break,
                Some(_) => len += 1,
            }
        }
        let (text, behind) = word.split_at_checked(len).unwrap_or((word, &[]));
        self.rest = behind;
        Ok(Token {
            text,
            is_quoted: false,
        })
    }

    /// How many octets stand before the quote that closes; the rest is then what is inside. A string ends in its line, else a lone
    /// quote would swallow what follows it.
    fn quoted(&mut self) -> Result<usize, Fault> {
        let mut len = 0;
        loop {
            match self.rest.get(len) {
                Some(b'"') => return Ok(len),
                Some(b'\\') if !matches!(self.rest.get(len + 1), None | Some(b'\n')) => len += 2,
                None | Some(b'\n' | b'\\') => {
                    self.rest = self.rest.get(len..).unwrap_or_default();
                    if self.rest.first() == Some(&b'\\') {
                        self.rest = self.rest.get(1..).unwrap_or_default();
                    }
                    return Err(at(self.line, "the quote is not closed in its line"));
                }
                Some(_) => len += 1,
            }
        }
    }
}

fn at(line: u32, text: &str) -> Fault {
    Fault {
        line,
        text: text.to_owned(),
    }
}

/// The octets that a token stands for: `\DDD` and `\X` resolved (RFC 1035, section 5.1).
pub(super) fn unescaped(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((octet, behind)) = rest.split_first() {
        let (octet, behind) = match octet {
            b'\\' => escape(behind)?,
            octet => (*octet, behind),
        };
        octets.push(octet);
        rest = behind;
    }
    Ok(octets)
}

/// The octet that stands behind a backslash, and what follows it.
pub(super) fn escape(text: &[u8]) -> Result<(u8, &[u8]), String> {
    match text {
        [first @ b'0'..=b'9', rest @ ..] => {
            let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = rest else {
                return Err("a `\\` in front of a digit takes three of them".to_owned());
            };
            let digits = [first, tens, ones].map(|digit| u32::from(digit - b'0'));
            let [hundreds, tens, ones] = digits;
            let value = u8::try_from(hundreds * 100 + tens * 10 + ones);
            let value = value.map_err(|_| "`\\DDD` is above 255".to_owned())?;
            Ok((value, rest))
        }
        [octet, rest @ ..] => Ok((*octet, rest)),
        [] => Err("nothing stands behind the `\\`".to_owned()),
    }
}

/// A piece of the text for people, cut where it is long.
pub(super) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    match shown.len() < text.len() && text.chars().count() > 60 {
        true => format!("{shown}..."),
        false => shown.replace("\\\"", "\"").replace("\\\\", "\\"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logical lines as `line words`, indented ones with `>`; quoted words in quotes.
    fn lines(text: &str) -> Vec<String> {
        let mut lexer = Lexer::new(text.as_bytes());
        let mut tokens = Vec::new();
        let mut lines = Vec::new();
        while let Some(line) = lexer.next_line(&mut tokens) {
            lines.push(match line {
                Err(fault) => format!("{}! {}", fault.line, fault.text),
                Ok(start) => {
                    let word = |token: &Token<'_>| {
                        let text = String::from_utf8_lossy(token.text);
                        match token.is_quoted {
                            true => format!("\"{text}\""),
                            false => text.into_owned(),
                        }
                    };
                    let words: Vec<String> = tokens.iter().map(word).collect();
                    let mark = if start.is_indented { ">" } else { "" };
                    format!("{}{mark} {}", start.line, words.join("|"))
                }
            });
        }
        lines
    }

    /// "Parentheses are used to group data that crosses a line boundary. In effect, line terminations are not recognized
    /// within parentheses." (RFC 1035, section 5.1)
    #[test]
    fn parentheses_join_lines() {
        assert_eq!(lines("a (b ; c )\n d)e\nf"), ["1 a|b|d|e", "3 f"]);
        assert_eq!(lines("a ((b\n)\n) c"), ["1 a|b|c"]);
    }

    /// "Semicolon is used to start a comment; the remainder of the line is ignored." (RFC 1035, section 5.1)
    #[test]
    fn comments_and_empty_lines_are_passed_over() {
        assert_eq!(lines("; x\n\n  \n a;b\r\n;"), ["4> a"]);
        assert_eq!(lines(r#"a "b;c" \; d"#), [r#"1 a|"b;c"|\;|d"#]);
    }

    #[test]
    fn a_fault_costs_its_own_line() {
        for (text, expected) in [
            (
                "a \"b\nc",
                ["1! the quote is not closed in its line", "2 c"],
            ),
            ("a \"\nc", ["1! the quote is not closed in its line", "2 c"]),
            (
                "a \"b\\\nc",
                ["1! the quote is not closed in its line", "2 c"],
            ),
            ("a ) b\nc", ["1! `)` without `(`", "2 c"]),
            ("a b\\\nc", ["1! nothing stands behind the `\\`", "2 c"]),
            (
                "a (\"b\n) d\nc",
                ["1! the quote is not closed in its line", "3 c"],
            ),
        ] {
            assert_eq!(lines(text), expected, "{text}");
        }
        assert_eq!(
            lines("c\na (b\nd\ne"),
            ["1 c", "2! the parenthesis is not closed"]
        );
        assert_eq!(lines("a \\"), ["1! nothing stands behind the `\\`"]);
        assert_eq!(lines("\""), ["1! the quote is not closed in its line"]);
    }

    #[test]
    fn a_quote_behind_an_equals_sign_is_part_of_the_word() {
        assert_eq!(
            lines(r#"x alpn="h2 h3" port=5 a"b"#),
            [r#"1 x|alpn="h2 h3"|port=5|a"b"#]
        );
    }

    #[test]
    fn escapes_stand_for_octets() {
        assert_eq!(unescaped(br"a\.\065\000\255").unwrap(), b"a.A\x00\xFF");
        for wrong in [r"\25", r"\256", r"\2x5", "\\"] {
            assert!(unescaped(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
