//! Protobuf to the v1 JSON.

use super::ProtobufError;
use super::schema::{Field, Kind, Message, Shape};
use super::wire::{Reader, Value};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;

/// Messages within messages, at most.
const MAX_DEPTH: usize = 100;

/// Writes a message as JSON.
pub(super) fn write(message: &Message, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ProtobufError> {
    write_message(message, bytes, 0, out)
}

fn write_message(message: &Message, bytes: &[u8], depth: usize, out: &mut Vec<u8>) -> Result<(), ProtobufError> {
    if depth > MAX_DEPTH {
        return Err(ProtobufError::TooDeep { most: MAX_DEPTH });
    }
    let malformed = |error| ProtobufError::Wire { message: message.name, error };
    // Most messages have few fields, each once and in order of their numbers.
    let mut values: Vec<(usize, Value<'_>)> = Vec::with_capacity(message.fields.len().min(8));
    let mut reader = Reader::new(bytes);
    while let Some((number, value)) = reader.next().map_err(malformed)? {
        let Some(index) = message.index_of(number) else { continue };
        let field = &message.fields[index];
        match (value, field.kind) {
            (Value::Bytes(packed), kind) if field.shape == Shape::Many && kind.is_number() => {
                let mut packed = Reader::new(packed);
                loop {
                    let next = if matches!(kind, Kind::Double) {
                        packed.packed_fixed64().map(|next| next.map(Value::Fixed64))
                    } else {
                        packed.packed_varint().map(|next| next.map(Value::Varint))
                    };
                    let Some(value) = next.map_err(malformed)? else { break };
                    values.extend(kind.can_be(value).then_some((index, value)));
                }
            }
            (value, kind) if kind.can_be(value) => values.push((index, value)),
            _ => {} // of another type than today's, or an unknown name of an enum: an unknown field
        }
    }
    if !values.is_sorted_by_key(|(index, _)| *index) {
        values.sort_by_key(|(index, _)| *index);
    }
    out.push(b'{');
    for (nth, values) in values.chunk_by(|(first, _), (second, _)| first == second).enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        let field = &message.fields[values[0].0];
        write!(out, "\"{}\":", field.name).expect("a vector takes all");
        write_field(field, message, values, depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

/// Writes the values of a field; there is at least one.
fn write_field(
    field: &Field,
    message: &Message,
    values: &[(usize, Value<'_>)],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), ProtobufError> {
    match (field.shape, field.kind) {
        (Shape::One, Kind::Message(within)) if values.len() > 1 => {
            // Messages that come in pieces are merged: the pieces one after the other are the whole.
            let pieces = values.iter().filter_map(|(_, value)| value.bytes()).collect::<Vec<_>>().concat();
            write_message(within, &pieces, depth + 1, out)
        }
        (Shape::One, kind) => write_value(kind, values[values.len() - 1].1, (message, field), depth, out),
        (Shape::Many, kind) => {
            out.push(b'[');
            for (nth, (_, value)) in values.iter().enumerate() {
                if nth > 0 {
                    out.push(b',');
                }
                write_value(kind, *value, (message, field), depth, out)?;
            }
            out.push(b']');
            Ok(())
        }
        (Shape::Map, kind) => write_map(kind, (message, field), values, depth, out),
    }
}

/// Writes the entries of a map. Of two with one key the last counts.
fn write_map(
    kind: Kind,
    (message, field): (&Message, &Field),
    values: &[(usize, Value<'_>)],
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), ProtobufError> {
    let malformed = |error| ProtobufError::Wire { message: message.name, error };
    let mut entries: Vec<(&[u8], Option<Value<'_>>)> = Vec::with_capacity(values.len());
    for (_, value) in values {
        let (mut key, mut mapped) = (&b""[..], None);
        let mut reader = Reader::new(value.bytes().unwrap_or_default());
        while let Some((number, value)) = reader.next().map_err(malformed)? {
            match (number, value) {
                (1, Value::Bytes(text)) => key = text,
                (2, value) if kind.can_be(value) => mapped = Some(value),
                _ => {}
            }
        }
        entries.push((key, mapped));
    }
    entries.reverse();
    entries.sort_by_key(|(key, _)| *key); // stable: the last of each key is first now
    entries.dedup_by_key(|(key, _)| *key);
    out.push(b'{');
    for (nth, (key, value)) in entries.into_iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        write_text(key, (message, field), out)?;
        out.push(b':');
        // An entry without a value has that of an empty one.
        write_value(kind, value.unwrap_or(Value::Bytes(b"")), (message, field), depth, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_value(
    kind: Kind,
    value: Value<'_>,
    within: (&Message, &Field),
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), ProtobufError> {
    match (kind, value) {
        (Kind::Message(message), Value::Bytes(bytes)) => return write_message(message, bytes, depth + 1, out),
        (Kind::Text, Value::Bytes(bytes)) => return write_text(bytes, within, out),
        (Kind::Bytes, Value::Bytes(bytes)) => write!(out, "\"{}\"", STANDARD.encode(bytes)),
        (Kind::Bool, Value::Varint(number)) => write!(out, "{}", number != 0),
        #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits of a number that is too long")]
        (Kind::Int32, Value::Varint(number)) => write!(out, "{}", number as i32),
        (Kind::Int64, Value::Varint(number)) => write!(out, "{}", number.cast_signed()),
        #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits of a number that is too long")]
        (Kind::Uint32, Value::Varint(number)) => write!(out, "{}", number as u32),
        (Kind::Uint64, Value::Varint(number)) => write!(out, "{number}"),
        (Kind::Double, Value::Fixed64(bits)) => serde_json::to_writer(out, &f64::from_bits(bits)).map_err(Into::into),
        (Kind::Enum(variants), Value::Varint(number)) => {
            let known = variants.iter().find(|(_, known)| i64::from(*known) == number.cast_signed());
            write!(out, "\"{}\"", known.map_or("", |(name, _)| name))
        }
        _ => unreachable!("a value that its kind cannot be is an unknown field"),
    }
    .expect("a vector takes all");
    Ok(())
}

fn write_text(bytes: &[u8], (message, field): (&Message, &Field), out: &mut Vec<u8>) -> Result<(), ProtobufError> {
    let text = str::from_utf8(bytes).map_err(|_| ProtobufError::Text { message: message.name, field: field.name })?;
    serde_json::to_writer(out, text).expect("a vector takes all");
    Ok(())
}

impl Kind {
    fn is_number(self) -> bool {
        !matches!(self, Self::Text | Self::Bytes | Self::Message(_))
    }

    /// Returns whether a value on the wire can be one of this kind. JSON has no infinite numbers, and says nothing for them.
    fn can_be(self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool | Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64, Value::Varint(_))
            | (Self::Text | Self::Bytes | Self::Message(_), Value::Bytes(_)) => true,
            (Self::Enum(variants), Value::Varint(number)) => {
                variants.iter().any(|(_, known)| i64::from(*known) == number.cast_signed())
            }
            (Self::Double, Value::Fixed64(bits)) => f64::from_bits(bits).is_finite(),
            _ => false,
        }
    }
}

impl<'a> Value<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}
