//! [`compact`]: text is checked, and its form made the one in which JSON is kept.

use super::error::JsonError;
use super::lexer::{Keys, Lexer};
use super::print::write_string;
use std::borrow::Cow;

/// Checks that text is one value of JSON, and returns it without blanks and with its strings escaped as we write them, so
/// that equal strings are equal texts. Numbers stay as they are.
pub(super) fn compact(text: &str) -> Result<Cow<'_, str>, JsonError> {
    let mut lexer = Lexer::new(text);
    let value = next_value(&mut lexer)?;
    lexer.end()?;
    Ok(value)
}

/// The same for the value that is next in a text.
pub(super) fn next_value<'a>(lexer: &mut Lexer<'a>) -> Result<Cow<'a, str>, JsonError> {
    lexer.peek();
    let mut compactor = Compactor { copied: lexer.at, out: None, lexer };
    compactor.value()?;
    let rest = &compactor.lexer.text[compactor.copied..compactor.lexer.at];
    Ok(match compactor.out {
        Some(out) => Cow::Owned(out + rest),
        None => Cow::Borrowed(rest),
    })
}

struct Compactor<'l, 'a> {
    lexer: &'l mut Lexer<'a>,
    /// The text up to `copied` in its new form, once that differs from the text.
    out: Option<String>,
    copied: usize,
}

impl<'a> Compactor<'_, 'a> {
    /// Replaces the text from one position up to the present one.
    fn replace(&mut self, from: usize, by: &str) {
        let kept = &self.lexer.text[self.copied..from];
        let out = self.out.get_or_insert_default();
        out.push_str(kept);
        out.push_str(by);
        self.copied = self.lexer.at;
    }

    /// Drops the blanks that are next, and returns the byte after them.
    fn peek(&mut self) -> Option<u8> {
        let before = self.lexer.at;
        let next = self.lexer.peek();
        if self.lexer.at > before {
            self.replace(before, "");
        }
        next
    }

    fn canonical(&mut self, start: usize, string: Cow<'a, str>) {
        if let Cow::Owned(string) = string {
            let mut written = String::with_capacity(string.len() + 2);
            write_string(&mut written, &string);
            if written != self.lexer.text[start..self.lexer.at] {
                self.replace(start, &written);
            }
        }
    }

    fn value(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => {
                let start = self.lexer.at;
                let string = self.lexer.string()?;
                self.canonical(start, string);
                Ok(())
            }
            Some(b'-' | b'0'..=b'9') => self.lexer.number().map(|_| ()),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            Some(b'n') => self.lexer.word("null"),
            Some(b't') => self.lexer.word("true"),
            Some(b'f') => self.lexer.word("false"),
            _ => Err(self.lexer.unexpected("a value")),
        }
    }

    fn array(&mut self) -> Result<(), JsonError> {
        self.lexer.open()?;
        let mut is_first = true;
        loop {
            self.peek();
            if !self.lexer.next_item(&mut is_first, b']')? {
                return self.lexer.close(b']');
            }
            self.value()?;
        }
    }

    fn object(&mut self) -> Result<(), JsonError> {
        self.lexer.open()?;
        let (mut is_first, mut keys) = (true, Keys::default());
        loop {
            self.peek();
            if !self.lexer.next_item(&mut is_first, b'}')? {
                return self.lexer.close(b'}');
            }
            self.peek();
            let start = self.lexer.at;
            let key = self.lexer.key(&mut keys)?;
            self.canonical(start, key);
            self.peek();
            self.lexer.expect(b':', "`:`")?;
            self.value()?;
        }
    }
}
