//! The messages of Mesos v1 as tables, which `tests/schema.rs` generates from the files in `proto/`.

#[rustfmt::skip]
mod tables;

pub(super) use tables::MESSAGES;

/// A type of messages.
#[derive(Debug)]
pub(super) struct Message {
    /// The full name, as in `mesos.v1.Offer`.
    pub(super) name: &'static str,
    /// The fields by number.
    pub(super) fields: &'static [Field],
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) kind: Kind,
}

/// The cardinality of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    One,
    Many,
    /// Values by text keys: on the wire, a repeated message of key 1 and value 2.
    Map,
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Double,
    Text,
    Bytes,
    Enum(&'static [Variant]),
    Message(&'static Message),
}

/// A name of an enum and its number.
pub(super) type Variant = (&'static str, i32);

impl Message {
    /// Returns the index of the field of that number.
    pub(super) fn index_of(&self, number: u32) -> Option<usize> {
        self.fields.binary_search_by_key(&number, |field| field.number).ok()
    }

    /// Returns the field of that name. Messages have few fields.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, shape: Shape::One, kind }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, shape: Shape::Many, kind }
}

const fn map(number: u32, name: &'static str, kind: Kind) -> Field {
    Field { number, name, shape: Shape::Map, kind }
}
