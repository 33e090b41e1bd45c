//! JSON text to serde types and back: [`from_str`] and [`to_string`].
//!
//! Two things differ from `serde_json`, which does all else: a [`Number`] is read from and written with all its digits, and
//! a key that an object names twice is an error wherever it stands, where `serde_json` keeps the last one in a map.

mod number;
mod object;
mod reader;
mod writer;

pub(crate) use number::{DIGITS, Number, Units};
pub(crate) use object::Object;
pub(crate) use reader::{duplicate_key, from_str};
pub(crate) use writer::to_string;
