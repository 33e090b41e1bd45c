//! [`read_json`]: reads JSON text, and locates the first character that breaks the grammar.
//!
//! `serde_json` reads the text. The position in its errors is that of its own reading, often one token late and in
//! bytes, so text that it rejects is scanned once more here, by the grammar alone and without recursion.

use super::density::excess;
use crate::json::{self, JsonError, ReadError};
use serde_json::Value as Json;

/// The longest document in bytes, 16 MiB, unless [another limit](read_json_up_to) is set: JSON takes several times the memory
/// of its text, so longer text is refused before it is parsed.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

/// The error of text that is no JSON.
///
/// Its text is `LINE:COLUMN: ...`, both counted from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{line}:{column}: {fault}")]
pub struct SyntaxError {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1; at the end of the text one past the last.
    pub column: usize,
    /// The fault at this position.
    pub fault: SyntaxFault,
}

/// A fault of JSON text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyntaxFault {
    /// A character that the grammar does not allow there.
    #[error("found {found:?}, expected {expected}")]
    Unexpected {
        /// The character.
        found: char,
        /// What the grammar allows there.
        expected: &'static str,
    },
    /// The text ends too early.
    #[error("found the end of the text, expected {0}")]
    UnexpectedEnd(&'static str),
    /// Bytes that are no UTF-8.
    #[error("found bytes that are no UTF-8, expected text")]
    InvalidUtf8,
    /// A key that an object has already; the position is that of the second one.
    #[error("found the key {0:?} for the second time, expected keys that differ")]
    DuplicateKey(String),
    /// The text is too long to be parsed.
    #[error("found {found} bytes, expected at most {limit}")]
    TooLong {
        /// The length of the text.
        found: usize,
        /// The longest text.
        limit: usize,
    },
    /// The text would take more than ten times its memory, and more than 256 MiB.
    #[error("found {found} bytes of so many values that they would take {memory}, expected at most ten times as much")]
    TooDense {
        /// The length of the text.
        found: usize,
        /// The memory that its values would take.
        memory: usize,
    },
    /// Text that the grammar allows but that cannot be read: too large a number, too deep a nesting, half of a
    /// surrogate pair.
    #[error("{0}")]
    Unsupported(String),
}

/// Reads JSON text.
///
/// # Errors
///
/// [`SyntaxError`] for text above [`MAX_DOCUMENT_BYTES`], at the first character that breaks the grammar, at the first byte
/// that is no UTF-8, or at the first key that an object names twice. A byte order mark at the beginning is passed over.
///
/// # Examples
///
/// ```
/// use apportion::placement::read_json;
///
/// let error = read_json(b"{\n  \"id\": \"redis\"\n  \"cpus\": 1\n}").unwrap_err();
/// assert_eq!(error.to_string(), "3:3: found '\"', expected `,` or `}`");
/// ```
pub fn read_json(text: &[u8]) -> Result<Json, SyntaxError> {
    read_json_up_to(text, MAX_DOCUMENT_BYTES)
}

/// Reads JSON text of at most `max_bytes`.
///
/// # Errors
///
/// As [`read_json`], with another limit.
pub fn read_json_up_to(text: &[u8], max_bytes: usize) -> Result<Json, SyntaxError> {
    if text.len() > max_bytes {
        let fault = SyntaxFault::TooLong { found: text.len(), limit: max_bytes };
        return Err(SyntaxError { line: 1, column: 1, fault });
    }
    let text = match std::str::from_utf8(without_mark(text)) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(&without_mark(text)[..error.valid_up_to()]);
            // The text before it may have a fault already.
            let before = first_fault(&good).filter(|(at, _)| *at < good.len());
            return Err(
                before.map_or_else(|| at(&good, good.len(), SyntaxFault::InvalidUtf8), |(i, f)| at(&good, i, f))
            );
        }
    };
    if let Some(memory) = excess(text) {
        return Err(at(text, 0, SyntaxFault::TooDense { found: text.len(), memory }));
    }
    json::from_str(text).map_err(|error| match (first_fault(text), error) {
        (Some((i, fault)), _) => at(text, i, fault),
        (None, ReadError::Syntax(JsonError::DuplicateKey { at: i, key })) => {
            at(text, i, SyntaxFault::DuplicateKey(key.into()))
        }
        (None, ReadError::Syntax(error)) => at(text, error.position(), SyntaxFault::Unsupported(error.to_string())),
        (None, ReadError::Shape { at: i, what }) => at(text, i, SyntaxFault::Unsupported(what)),
    })
}

/// Returns text without the byte order mark with which some editors begin a file.
pub(super) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

/// Returns the line and the character of a line, from 1.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn at(text: &str, offset: usize, fault: SyntaxFault) -> SyntaxError {
    let (line, column) = line_and_column(text, offset);
    SyntaxError { line, column, fault }
}

/// The token that may come next, white space aside.
#[derive(Clone, Copy)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// Returns the byte at which the grammar is first broken.
fn first_fault(text: &str) -> Option<(usize, SyntaxFault)> {
    let mut scan = Scan::new(text);
    scan.document().err().map(|expected| {
        let fault = match scan.peek() {
            Some(found) => SyntaxFault::Unexpected { found, expected },
            None => SyntaxFault::UnexpectedEnd(expected),
        };
        (scan.at, fault)
    })
}

/// A place in JSON text.
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

/// The error is what the grammar allows at the position of the scan.
pub(super) type Expected = Result<(), &'static str>;

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn blanks(&mut self) {
        self.skip(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    /// Skips a value, in text that is JSON.
    pub(super) fn value(&mut self) {
        let mut depth = 0;
        loop {
            match self.peek() {
                Some('"') => drop(self.string()),
                Some('{' | '[') => {
                    depth += 1;
                    self.bump();
                }
                Some('}' | ']') => {
                    depth -= 1;
                    self.bump();
                }
                Some(',' | ':' | ' ' | '\t' | '\n' | '\r') => self.bump(),
                Some(_) => self.skip(|c| !matches!(c, '}' | ']' | ',' | ' ' | '\t' | '\n' | '\r')),
                None => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    fn document(&mut self) -> Expected {
        let mut open: Vec<char> = Vec::new();
        let mut next = Next::Value;
        loop {
            self.blanks();
            let in_object = open.last() == Some(&'{');
            match (next, self.peek()) {
                (Next::KeyOrEnd | Next::CommaOrEnd, Some('}')) if in_object => {
                    self.bump();
                    open.pop();
                }
                (Next::ValueOrEnd | Next::CommaOrEnd, Some(']')) if !in_object && !open.is_empty() => {
                    self.bump();
                    open.pop();
                }
                (Next::Key | Next::KeyOrEnd, Some('"')) => {
                    self.string()?;
                    next = Next::Colon;
                    continue;
                }
                (Next::Key, _) => return Err("a key in quotes"),
                (Next::KeyOrEnd, _) => return Err("a key in quotes, or `}`"),
                (Next::Colon, Some(':')) => {
                    self.bump();
                    next = Next::Value;
                    continue;
                }
                (Next::Colon, _) => return Err("`:`"),
                (Next::CommaOrEnd, Some(',')) if !open.is_empty() => {
                    self.bump();
                    next = if in_object { Next::Key } else { Next::Value };
                    continue;
                }
                (Next::CommaOrEnd, None) if open.is_empty() => return Ok(()),
                (Next::CommaOrEnd, _) if open.is_empty() => return Err("the end of the text"),
                (Next::CommaOrEnd, _) => return Err(if in_object { "`,` or `}`" } else { "`,` or `]`" }),
                (Next::Value | Next::ValueOrEnd, Some(bracket @ ('{' | '['))) => {
                    self.bump();
                    open.push(bracket);
                    next = if bracket == '{' { Next::KeyOrEnd } else { Next::ValueOrEnd };
                    continue;
                }
                (Next::Value, _) => self.scalar("a value")?,
                (Next::ValueOrEnd, _) => self.scalar("a value, or `]`")?,
            }
            next = Next::CommaOrEnd;
        }
    }

    fn scalar(&mut self, expected: &'static str) -> Expected {
        match self.peek() {
            Some('"') => self.string(),
            Some('-' | '0'..='9') => self.number(),
            Some('t') => self.word("true", "`true`"),
            Some('f') => self.word("false", "`false`"),
            Some('n') => self.word("null", "`null`"),
            _ => Err(expected),
        }
    }

    fn word(&mut self, word: &str, expected: &'static str) -> Expected {
        for letter in word.chars() {
            if self.peek() != Some(letter) {
                return Err(expected);
            }
            self.bump();
        }
        Ok(())
    }

    pub(super) fn string(&mut self) -> Expected {
        self.bump();
        loop {
            match self.peek() {
                Some('"') => {
                    self.bump();
                    return Ok(());
                }
                Some('\\') => {
                    self.bump();
                    self.escape()?;
                }
                Some('\0'..='\u{1f}') => return Err("a closing quote, or an escape such as \\n"),
                Some(_) => self.bump(),
                None => return Err("a closing quote"),
            }
        }
    }

    fn escape(&mut self) -> Expected {
        match self.peek() {
            Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => self.bump(),
            Some('u') => {
                self.bump();
                for _ in 0..4 {
                    if !self.peek().is_some_and(|c| c.is_ascii_hexdigit()) {
                        return Err("four hexadecimal digits");
                    }
                    self.bump();
                }
            }
            _ => return Err("one of \" \\ / b f n r t u after a backslash"),
        }
        Ok(())
    }

    fn number(&mut self) -> Expected {
        if self.peek() == Some('-') {
            self.bump();
        }
        if self.peek() == Some('0') {
            self.bump();
        } else {
            self.digits()?;
        }
        if self.peek() == Some('.') {
            self.bump();
            self.digits()?;
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            self.bump();
            if matches!(self.peek(), Some('+' | '-')) {
                self.bump();
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Expected {
        if !self.peek().is_some_and(|c| c.is_ascii_digit()) {
            return Err("a digit");
        }
        self.skip(|c| c.is_ascii_digit());
        Ok(())
    }

    fn skip(&mut self, class: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&class) {
            self.bump();
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    pub(super) fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_character_that_breaks_the_grammar() {
        let cases: &[(&str, usize, usize, &str)] = &[
            ("{\n  \"id\": \"redis\"\n  \"instances\": 2\n}", 3, 3, "found '\"', expected `,` or `}`"),
            ("{\"a\": 1,}", 1, 9, "found '}', expected a key in quotes"),
            ("[1, 2,]", 1, 7, "found ']', expected a value"),
            ("[1 2]", 1, 4, "expected `,` or `]`"),
            ("{\"a\" 1}", 1, 6, "expected `:`"),
            ("{a: 1}", 1, 2, "expected a key in quotes, or `}`"),
            ("{\"a\": tru}", 1, 10, "expected `true`"),
            ("{\"a\": True}", 1, 7, "expected a value"),
            ("{\"a\": 1", 1, 8, "found the end of the text, expected `,` or `}`"),
            ("{\"a\":\n", 2, 1, "found the end of the text, expected a value"),
            ("", 1, 1, "found the end of the text, expected a value"),
            ("{} x", 1, 4, "expected the end of the text"),
            ("[1]]", 1, 4, "expected the end of the text"),
            ("[}", 1, 2, "expected a value, or `]`"),
            ("{\"a\": \"ü\tb\"}", 1, 9, "found '\\t', expected a closing quote"),
            ("[\"a\nb\"]", 1, 4, "found '\\n'"),
            ("[\"\\q\"]", 1, 4, "after a backslash"),
            ("[\"\\u12g4\"]", 1, 7, "four hexadecimal digits"),
            ("[\"abc", 1, 6, "expected a closing quote"),
            ("[01]", 1, 3, "expected `,` or `]`"),
            ("[1.]", 1, 4, "expected a digit"),
            ("[-]", 1, 3, "expected a digit"),
            ("[1e+]", 1, 5, "expected a digit"),
            ("[+1]", 1, 2, "expected a value"),
            ("[\"äöü\" \"x\"]", 1, 8, "expected `,` or `]`"),
            ("\u{feff}{} x", 1, 4, "expected the end of the text"),
            ("\u{feff}\u{feff}{}", 1, 1, "expected a value"),
            ("[1e999]", 1, 2, "number out of range"),
            ("[\"\\ud800\"]", 1, 3, "an invalid escape"),
            ("{\"app\": {},\n \"app\": {}}", 2, 2, "found the key \"app\" for the second time"),
        ];
        for (text, line, column, message) in cases {
            let error = read_json(text.as_bytes()).unwrap_err();
            assert_eq!((error.line, error.column), (*line, *column), "{text:?}: {error}");
            assert!(error.to_string().contains(message), "{text:?}: {error}");
        }
    }

    #[test]
    fn invalid_utf8_is_located() {
        let error = read_json(b"{\n\"a\": \"\xff\"}").unwrap_err();
        assert_eq!((error.line, error.column, error.fault), (2, 7, SyntaxFault::InvalidUtf8));
        assert_eq!(read_json(b"[1 2, \"\xff\"]").unwrap_err().column, 4);
    }

    #[test]
    fn text_that_is_too_long_is_refused() {
        let blanks = vec![b' '; MAX_DOCUMENT_BYTES + 1];
        let error = read_json(&blanks).unwrap_err().to_string();
        assert_eq!(error, "1:1: found 16777217 bytes, expected at most 16777216");
        assert_eq!(read_json_up_to(b"[1]", 2).unwrap_err().fault, SyntaxFault::TooLong { found: 3, limit: 2 });
        assert_eq!(read_json_up_to("\u{feff}[]".as_bytes(), 5), Ok(Json::Array(Vec::new())));
    }

    #[test]
    fn text_that_would_take_many_times_its_memory_is_refused() {
        let numbers = format!("{{\"app\": {{\"ignored\": [{}1]}}}}", "1,".repeat(15 << 19));
        let error = read_json(numbers.as_bytes()).unwrap_err();
        assert!(matches!(error.fault, SyntaxFault::TooDense { memory, .. } if memory > 256 << 20), "{error}");
    }

    #[test]
    fn deep_nesting_ends_in_an_error() {
        let error = read_json("[".repeat(100_000).as_bytes()).unwrap_err();
        assert_eq!((error.line, error.column), (1, 100_001));
        let closed = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        assert!(matches!(read_json(closed.as_bytes()).unwrap_err().fault, SyntaxFault::Unsupported(_)));
    }

    proptest! {
        /// The scan finds a fault where `serde_json` finds one in the grammar, and none in text that it accepts.
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{},:"0-9a-e\\u.\-truefalsn \n]{0,12}"#) {
            let read = json::from_str::<Json>(&text);
            let fault = first_fault(&text);
            prop_assert!(read.is_ok() <= fault.is_none(), "{text:?}: {read:?} {fault:?}");
            if let Err(error) = read && !error.to_string().contains("escape") && !error.to_string().contains("range")
                && !error.to_string().contains("duplicate") {
                prop_assert!(fault.is_some(), "{text:?}: {error}");
            }
        }
    }
}
