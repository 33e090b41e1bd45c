//! [`Answer`]: what comes back for a request, piece by piece.

use std::fmt::Display;

/// What comes back for a request, in the order in which it comes: a head, pieces of the body, and an end; or a failure at any
/// time.
///
/// # Examples
///
/// The whole answer to a request, of any client whose body is a [`Read`](std::io::Read):
///
/// ```
/// use apportion::v1::connection::Answer;
/// use std::io::Read;
///
/// let (headers, mut body) = ([("Mesos-Stream-Id", "s1")], &b"20\n{\"type\":\"HEARTBEAT\"}"[..]);
/// let mut answers = vec![Answer::head(200, headers)];
/// let mut buffer = [0; 16];
/// while !answers.last().is_some_and(Answer::is_last) {
///     answers.push(Answer::piece(body.read(&mut buffer), &buffer));
/// }
/// assert_eq!(answers[1], Answer::Bytes(b"20\n{\"type\":\"HEAR".to_vec()));
/// assert_eq!(answers.last(), Some(&Answer::End));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "an HTTP answer has no other parts")]
pub enum Answer {
    /// The head.
    Head {
        /// The status.
        status: u16,
        /// The headers, of which the names may be in any case.
        headers: Vec<(String, String)>,
    },
    /// A piece of the body, of any size.
    Bytes(Vec<u8>),
    /// The end: all of the body has come.
    End,
    /// The request could not be sent, or its answer broke off. The reason is for people.
    Failed(String),
}

impl Answer {
    /// Returns a head. The headers may be those of the crate `http`; a value that is not text is left out.
    pub fn head(status: u16, headers: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<[u8]>)>) -> Self {
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let value = std::str::from_utf8(value.as_ref()).ok()?;
            Some((name.as_ref().to_owned(), value.to_owned()))
        });
        Self::Head { status, headers: headers.collect() }
    }

    /// Returns what a read of the body has brought: so many bytes of the buffer, the end if there were none, or a failure.
    pub fn piece(read: Result<usize, impl Display>, buffer: &[u8]) -> Self {
        match read {
            Ok(0) => Self::End,
            Ok(length) => Self::Bytes(buffer[..length.min(buffer.len())].to_vec()),
            Err(error) => Self::failed(error),
        }
    }

    /// Returns the failure of a request.
    pub fn failed(error: impl Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// Returns whether nothing comes after it.
    #[must_use]
    pub fn is_last(&self) -> bool {
        matches!(self, Self::End | Self::Failed(_))
    }
}
