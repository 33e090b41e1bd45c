//! RecordIO, the framing of event streams: each message after its length in bytes, in decimal digits, and a line feed.

use std::fmt;

/// Cuts the body of an event stream, which comes in pieces of any size, into records.
///
/// A RecordIO stream is a sequence of `LENGTH LF BYTES`, with nothing between two records. The pieces in which a connection
/// delivers it say nothing: a record may come in many, and a piece may hold many. A reader keeps only the record that is not
/// complete, which is at most as long as the limit, and copies each byte once.
///
/// An error is final: after it there is no telling where the next record starts.
///
/// # Examples
///
/// ```
/// use apportion::v1::{RecordReader, write_record};
///
/// let mut stream = Vec::new();
/// write_record(br#"{"type":"HEARTBEAT"}"#, &mut stream);
/// write_record(b"[]", &mut stream);
/// assert_eq!(stream, b"20\n{\"type\":\"HEARTBEAT\"}2\n[]");
///
/// let mut reader = RecordReader::default();
/// let mut records = Vec::new();
/// for mut piece in stream.chunks(7) {
///     while let Some(record) = reader.read(&mut piece)? {
///         records.push(record);
///     }
/// }
/// assert_eq!(records, [b"{\"type\":\"HEARTBEAT\"}".to_vec(), b"[]".to_vec()]);
/// # Ok::<(), apportion::v1::RecordError>(())
/// ```
#[derive(Clone)]
pub struct RecordReader {
    max_record: usize,
    state: State,
}

#[derive(Clone)]
enum State {
    /// Within the length of the next record.
    Length {
        value: u64,
        digits: usize,
    },
    /// Within a record of that length.
    Record {
        length: usize,
        read: Vec<u8>,
    },
    Failed(RecordError),
}

impl State {
    const START: Self = Self::Length { value: 0, digits: 0 };
}

/// The reason why bytes are not a stream of records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The length of a record is not a number.
    #[error("expected the length of a record in digits and a line feed, found byte {found:?} after {digits} digits")]
    Length {
        /// The byte found.
        found: char,
        /// The number of digits before it.
        digits: usize,
    },
    /// A record is longer than the limit.
    #[error("a record of {found} bytes or more, expected at most {most}")]
    TooLong {
        /// The length, as far as it has been read.
        found: u64,
        /// The limit.
        most: usize,
    },
}

impl Default for RecordReader {
    /// Returns a reader of records of up to [`RecordReader::MAX_RECORD`] bytes.
    fn default() -> Self {
        Self::new(Self::MAX_RECORD)
    }
}

impl RecordReader {
    /// The usual limit of a record: 64 MiB.
    pub const MAX_RECORD: usize = 64 << 20;

    /// The most digits of a length; more are no number that anybody means.
    const MAX_DIGITS: usize = 20;

    /// Returns a reader of records of up to `max_record` bytes.
    #[must_use]
    pub fn new(max_record: usize) -> Self {
        Self { max_record, state: State::START }
    }

    /// Takes bytes off the front of `piece`, up to the end of the next record, and returns that record.
    ///
    /// `None` means that all of the piece is read and the record is not complete.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if a length is no number or larger than the limit, and again at each later call.
    pub fn read(&mut self, piece: &mut &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        let result = self.advance(piece);
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    fn advance(&mut self, piece: &mut &[u8]) -> Result<Option<Vec<u8>>, RecordError> {
        loop {
            match &mut self.state {
                State::Failed(error) => return Err(error.clone()),
                State::Length { value, digits } => {
                    let Some((&byte, rest)) = piece.split_first() else { return Ok(None) };
                    match byte {
                        b'\n' if *digits > 0 => {
                            let length = usize::try_from(*value).ok().filter(|length| *length <= self.max_record);
                            let length = length.ok_or(RecordError::TooLong { found: *value, most: self.max_record })?;
                            self.state = State::Record { length, read: Vec::new() };
                        }
                        b'0'..=b'9' if *digits < Self::MAX_DIGITS => {
                            *value = value.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                            *digits += 1;
                            if *value > self.max_record as u64 {
                                return Err(RecordError::TooLong { found: *value, most: self.max_record });
                            }
                        }
                        _ => return Err(RecordError::Length { found: char::from(byte), digits: *digits }),
                    }
                    *piece = rest;
                }
                State::Record { length, read } => {
                    let (taken, rest) = piece.split_at(piece.len().min(*length - read.len()));
                    read.extend_from_slice(taken); // grows by doubling, with what has come and not with what is announced
                    *piece = rest;
                    if read.len() < *length {
                        return Ok(None);
                    }
                    let record = std::mem::take(read);
                    self.state = State::START;
                    return Ok(Some(record));
                }
            }
        }
    }

    /// Returns whether the stream may end here: no record has been begun.
    #[must_use]
    pub fn is_between_records(&self) -> bool {
        matches!(self.state, State::Length { digits: 0, .. })
    }
}

impl fmt::Debug for RecordReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RecordReader");
        debug.field("max_record", &self.max_record);
        match &self.state {
            State::Length { digits, .. } => debug.field("digits", digits),
            State::Record { length, read } => debug.field("read", &read.len()).field("length", length),
            State::Failed(error) => debug.field("error", error),
        };
        debug.finish()
    }
}

/// Appends a record to a stream: its length, a line feed, and its bytes.
///
/// Some clients want each record in one HTTP chunk of its own.
pub fn write_record(record: &[u8], stream: &mut Vec<u8>) {
    stream.extend_from_slice(record.len().to_string().as_bytes());
    stream.push(b'\n');
    stream.extend_from_slice(record);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(reader: &mut RecordReader, mut piece: &[u8]) -> Result<Vec<Vec<u8>>, RecordError> {
        let mut records = Vec::new();
        while let Some(record) = reader.read(&mut piece)? {
            records.push(record);
        }
        assert!(piece.is_empty());
        Ok(records)
    }

    #[test]
    fn a_length_that_is_no_number_is_told_and_final() {
        let cases: [(&[u8], char, usize); 6] = [
            (b"\n", '\n', 0),
            (b"-1\n", '-', 0),
            (b"1 \n", ' ', 1),
            (b"2\r\n", '\r', 1),
            (b"0x2\n", 'x', 1),
            (b"{", '{', 0),
        ];
        for (bytes, found, digits) in cases {
            let mut reader = RecordReader::default();
            let error = RecordError::Length { found, digits };
            assert_eq!(read_all(&mut reader, bytes), Err(error.clone()));
            assert_eq!(read_all(&mut reader, b"2\n[]"), Err(error));
        }
        let zeros = [b'0'; 21];
        assert_eq!(read_all(&mut RecordReader::default(), &zeros), Err(RecordError::Length { found: '0', digits: 20 }));
    }

    #[test]
    fn a_record_over_the_limit_is_refused_before_it_comes() {
        let mut reader = RecordReader::new(10);
        assert_eq!(read_all(&mut reader, b"10\n0123456789").unwrap(), [b"0123456789"]);
        assert_eq!(read_all(&mut reader, b"11"), Err(RecordError::TooLong { found: 11, most: 10 }));
        let huge = RecordError::TooLong { found: 18_446_744_073_709_551_615, most: usize::MAX };
        let mut reader = RecordReader::new(usize::MAX);
        if let Err(error) = read_all(&mut reader, b"99999999999999999999\n") {
            assert_eq!(error, huge); // where addresses have 32 bits
        }
        assert!(format!("{reader:?}").contains("18446744073709551615"));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_records(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            sizes in prop::collection::vec(1..50_usize, 1..20),
        ) {
            let mut stream = Vec::new();
            records.iter().for_each(|record| write_record(record, &mut stream));
            let (mut reader, mut found, mut rest) = (RecordReader::new(40), Vec::new(), &stream[..]);
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*size));
                found.extend(read_all(&mut reader, piece).unwrap());
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, records);
            prop_assert!(reader.is_between_records());
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_all(&mut RecordReader::new(20), &bytes);
        }
    }
}
