//! [`Lexer`]: the tokens of JSON text; [`Keys`]: no key twice.

use super::error::JsonError;
use crate::text::Text;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The number of arrays and objects that may stand in each other, as in `serde_json`.
pub(super) const MAX_DEPTH: usize = 127;

/// The number of keys of an object up to which they are compared one by one.
const MAX_LISTED_KEYS: usize = 16;

/// The length of a number without an exponent up to which it is finite for sure.
const MAX_FINITE_DIGITS: usize = 300;

/// The bytes at which a part of a string ends that is text as it stands: quotes, backslashes and control characters.
const ENDS_PLAIN: [bool; 256] = {
    let mut ends = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        ends[byte] = true;
        byte += 1;
    }
    (ends[b'"' as usize], ends[b'\\' as usize]) = (true, true);
    ends
};

/// A place in JSON text. Between two calls it is at the end of a token or in the blanks after it.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    pub(super) text: &'a str,
    /// The byte up to which the text is read.
    pub(super) at: usize,
    depth: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// Skips white space, and returns the byte after it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte), // compact text has no white space
            _ => self.peek_after_blanks(),
        }
    }

    fn peek_after_blanks(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
        self.at += blank;
        rest.get(blank).copied()
    }

    pub(super) fn unexpected(&self, expected: &'static str) -> JsonError {
        JsonError::Unexpected { at: self.at, found: self.text[self.at..].chars().next(), expected }
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// Reads up to the end of the text, which may only be blank.
    pub(super) fn end(&mut self) -> Result<(), JsonError> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected("the end of the text")) }
    }

    pub(super) fn word(&mut self, word: &str) -> Result<(), JsonError> {
        let rest = self.text[self.at..].bytes();
        let read = rest.zip(word.bytes()).take_while(|(found, wanted)| found == wanted).count();
        self.at += read;
        if read == word.len() { Ok(()) } else { Err(self.unexpected("a value")) }
    }

    /// Reads a string, of which the opening quote is next.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let start = self.at + 1;
        let rest = &self.text.as_bytes()[start..];
        let length = rest.iter().position(|byte| ENDS_PLAIN[usize::from(*byte)]).unwrap_or(rest.len());
        let end = start + length;
        self.at = end;
        if rest.get(length) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        self.rest_of_string(self.text[start..end].to_owned()).map(Cow::Owned)
    }

    /// Reads a string on, of which the first part is read.
    fn rest_of_string(&mut self, mut read: String) -> Result<String, JsonError> {
        loop {
            let start = self.at;
            self.skip(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20), usize::MAX);
            read.push_str(&self.text[start..self.at]);
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(read);
                }
                Some(b'\\') => read.push(self.escape()?),
                _ => return Err(self.unexpected("the rest of a string")),
            }
        }
    }

    /// Reads an escape, of which the backslash is next.
    fn escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let found = self.text.as_bytes().get(start + 1).copied();
        if found == Some(b'u') {
            let read = match self.hex(start)? {
                first @ 0xd800..0xdc00 => match self.hex(start)? {
                    second @ 0xdc00..0xe000 => char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)),
                    _ => None,
                },
                first => char::from_u32(first),
            };
            return read.ok_or(JsonError::Escape { at: start });
        }
        let read = match found {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(_) => return Err(JsonError::Escape { at: start }),
            None => return Err(self.cut_off()),
        };
        self.at = start + 2;
        Ok(read)
    }

    /// Reads `\u` and four hexadecimal digits, which belong to the escape that begins at `start`.
    fn hex(&mut self, start: usize) -> Result<u32, JsonError> {
        for expected in b"\\u" {
            match self.text.as_bytes().get(self.at) {
                Some(byte) if byte == expected => self.at += 1,
                Some(_) => return Err(JsonError::Escape { at: start }),
                None => return Err(self.cut_off()),
            }
        }
        let first = self.at;
        match (self.skip(|byte| byte.is_ascii_hexdigit(), 4), self.text.len() - self.at) {
            (4, _) => Ok(u32::from_str_radix(&self.text[first..self.at], 16).expect("four hexadecimal digits")),
            (_, 0) => Err(self.cut_off()),
            _ => Err(JsonError::Escape { at: start }),
        }
    }

    /// Returns the error that the text ends in a string.
    fn cut_off(&mut self) -> JsonError {
        self.at = self.text.len();
        self.unexpected("the rest of a string")
    }

    /// Reads the text of a number, of which the sign or the first digit is next.
    pub(super) fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.skip(|byte| byte == b'-', 1);
        if self.skip(|byte| byte == b'0', 1) == 0 {
            self.digits()?;
        }
        if self.skip(|byte| byte == b'.', 1) > 0 {
            self.digits()?;
        }
        let has_exponent = self.skip(|byte| matches!(byte, b'e' | b'E'), 1) > 0;
        if has_exponent {
            self.skip(|byte| matches!(byte, b'+' | b'-'), 1);
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        let is_finite = (!has_exponent && text.len() < MAX_FINITE_DIGITS) || text.parse().is_ok_and(f64::is_finite);
        if is_finite { Ok(text) } else { Err(JsonError::NumberOutOfRange { at: start }) }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        match self.skip(|byte| byte.is_ascii_digit(), usize::MAX) {
            0 => Err(self.unexpected("a digit")),
            _ => Ok(()),
        }
    }

    /// Skips up to `most` bytes of a class, and returns their number.
    fn skip(&mut self, class: impl Fn(u8) -> bool, most: usize) -> usize {
        let rest = &self.text.as_bytes()[self.at..];
        let count = rest.iter().take(most).take_while(|byte| class(**byte)).count();
        self.at += count;
        count
    }

    /// Reads the opening bracket of an array or object, which is next.
    pub(super) fn open(&mut self) -> Result<(), JsonError> {
        if self.depth == MAX_DEPTH {
            return Err(JsonError::TooDeep { at: self.at });
        }
        (self.at, self.depth) = (self.at + 1, self.depth + 1);
        Ok(())
    }

    /// Reads the closing bracket.
    pub(super) fn close(&mut self, close: u8) -> Result<(), JsonError> {
        self.expect(close, if close == b'}' { "`}`" } else { "`]`" })?;
        self.depth -= 1;
        Ok(())
    }

    /// Reads up to the next item of an array or object; false if there is none.
    #[inline]
    pub(super) fn next_item(&mut self, is_first: &mut bool, close: u8) -> Result<bool, JsonError> {
        let next = self.peek();
        if std::mem::take(is_first) {
            return Ok(next != Some(close));
        }
        match next {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => Ok(false),
            _ => Err(self.unexpected(if close == b'}' { "`,` or `}`" } else { "`,` or `]`" })),
        }
    }

    /// Reads the key of a field, which is next, and notes it.
    pub(super) fn key(&mut self, keys: &mut Keys<'a>) -> Result<Cow<'a, str>, JsonError> {
        if self.peek() != Some(b'"') {
            return Err(self.unexpected("a key in quotes"));
        }
        let start = self.at;
        let key = self.string()?;
        if keys.insert(key.clone()) { Ok(key) } else { Err(JsonError::DuplicateKey { at: start, key: Text::new(key) }) }
    }
}

/// The keys of an object that were read.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    listed: SmallVec<[Cow<'a, str>; 8]>,
    /// The keys after the first few.
    more: BTreeSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    /// Notes a key; false if it was there.
    pub(super) fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if self.listed.contains(&key) {
            return false;
        }
        if self.listed.len() < MAX_LISTED_KEYS {
            self.listed.push(key);
            return true;
        }
        self.more.insert(key)
    }
}
