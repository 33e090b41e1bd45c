//! The wire format of protobuf: tagged varints, fixed numbers and byte strings.

/// A value as it stands on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    /// No field of ours has this type.
    Fixed32,
}

/// The reason why bytes are not a sequence of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end within a field.
    #[error("it ends within a field")]
    Truncated,
    /// A number has more than 64 bits.
    #[error("a number of more than 64 bits")]
    Overlong,
    /// A tag has field number 0 or more than 29 bits of it, or a wire type that there is not.
    #[error("{0} is no tag of a field")]
    Tag(u64),
}

/// Reads the fields of a message one by one.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;
const FIXED32: u64 = 5;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns the next field: its number and its value. Groups, which Mesos does not use, are passed over.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Value<'a>)>, WireError> {
        let mut open_groups = 0_u32;
        while !self.rest.is_empty() {
            let tag = self.varint()?;
            let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number));
            let number = number.ok_or(WireError::Tag(tag))?;
            let value = match tag & 7 {
                VARINT => Value::Varint(self.varint()?),
                FIXED64 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
                BYTES => {
                    let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                    Value::Bytes(self.take(length)?)
                }
                FIXED32 => {
                    self.take(4)?;
                    Value::Fixed32
                }
                START_GROUP => {
                    open_groups += 1; // at most one for each byte of the message
                    continue;
                }
                END_GROUP if open_groups > 0 => {
                    open_groups -= 1;
                    continue;
                }
                _ => return Err(WireError::Tag(tag)),
            };
            if open_groups == 0 {
                return Ok(Some((number, value)));
            }
        }
        if open_groups == 0 { Ok(None) } else { Err(WireError::Truncated) }
    }

    /// Returns the next varint without a tag, as in a packed list; none at the end.
    pub(super) fn packed_varint(&mut self) -> Result<Option<u64>, WireError> {
        if self.rest.is_empty() { Ok(None) } else { self.varint().map(Some) }
    }

    /// Returns the next fixed number without a tag, as in a packed list; none at the end.
    pub(super) fn packed_fixed64(&mut self) -> Result<Option<u64>, WireError> {
        if self.rest.is_empty() { Ok(None) } else { Ok(Some(u64::from_le_bytes(self.array()?))) }
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
            self.rest = rest;
            if shift == 63 && byte > 1 {
                return Err(WireError::Overlong);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Overlong)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array(&mut self) -> Result<[u8; 8], WireError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

pub(super) fn write_varint_field(number: u32, value: u64, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | VARINT, out);
    write_varint(value, out);
}

pub(super) fn write_double_field(number: u32, value: f64, out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | FIXED64, out);
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn write_bytes_field(number: u32, value: &[u8], out: &mut Vec<u8>) {
    write_varint(u64::from(number) << 3 | BYTES, out);
    write_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// A field whose value is written in place, before its length is known.
#[derive(Debug)]
#[must_use]
pub(super) struct Open {
    start: usize,
}

/// Begins a message within a message.
pub(super) fn open_field(number: u32, out: &mut Vec<u8>) -> Open {
    write_varint(u64::from(number) << 3 | BYTES, out);
    out.push(0); // the length of a short message: most are
    Open { start: out.len() }
}

/// Ends a message within a message.
pub(super) fn close_field(Open { start }: Open, out: &mut Vec<u8>) {
    let length = (out.len() - start) as u64;
    if length < 0x80 {
        #[expect(clippy::cast_possible_truncation, reason = "below 128, as just checked")]
        let byte = length as u8;
        out[start - 1] = byte;
    } else {
        let mut prefix = Vec::with_capacity(10);
        write_varint(length, &mut prefix);
        out.splice(start - 1..start, prefix);
    }
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    #[expect(clippy::cast_possible_truncation, reason = "seven bits, after the loop")]
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<u32>, WireError> {
        let (mut reader, mut numbers) = (Reader::new(bytes), Vec::new());
        while let Some((number, _)) = reader.next()? {
            numbers.push(number);
        }
        Ok(numbers)
    }

    #[test]
    fn varints_of_all_lengths_are_read_as_they_were_written() {
        for value in (0..64).flat_map(|bits| [(1_u64 << bits) - 1, 1 << bits]).chain([u64::MAX]) {
            let mut bytes = Vec::new();
            write_varint(value, &mut bytes);
            assert_eq!(Reader::new(&bytes).packed_varint(), Ok(Some(value)));
        }
    }

    #[test]
    fn groups_are_passed_over() {
        let bytes = [0x0b, 0x10, 5, 0x1b, 0x1c, 0x0c, 0x20, 1]; // 1 { 2: 5, 3 {} }, 4: 1
        assert_eq!(fields(&bytes), Ok(vec![4]));
        assert_eq!(fields(&bytes[..5]), Err(WireError::Truncated));
        assert_eq!(fields(&[0x0c]), Err(WireError::Tag(12)));
    }

    #[test]
    fn broken_bytes_are_errors() {
        assert_eq!(fields(&[0x0a, 5, 1]), Err(WireError::Truncated));
        assert_eq!(fields(&[0x08]), Err(WireError::Truncated));
        assert_eq!(fields(&[0x09, 1, 2]), Err(WireError::Truncated));
        assert_eq!(fields(&[0x0d, 1, 2]), Err(WireError::Truncated));
        assert_eq!(fields(&[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), Err(WireError::Overlong));
        assert_eq!(fields(&[0x00]), Err(WireError::Tag(0)));
        assert_eq!(fields(&[0x0e]), Err(WireError::Tag(14)));
        assert_eq!(fields(&[0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]), Err(WireError::Truncated));
    }
}
