//! JSON: [`Json`], a value that is kept as text, and serde types from text and back: [`from_str`] and [`to_string`].
//!
//! Two things differ from `serde_json`: a number is read from and written with all its digits, and a key that an object names
//! twice is an error wherever it stands, where `serde_json` keeps the last one in a map.

mod compact;
#[cfg(any(feature = "json", test))]
mod convert;
mod error;
mod form;
mod lenient;
mod lexer;
mod number;
mod object;
mod print;
mod reader;
mod value;
mod view;
mod writer;

pub use error::JsonError;
pub(crate) use error::ReadError;
pub(crate) use form::Exact;
#[cfg(feature = "json")]
pub(crate) use lenient::ShapeError;
pub(crate) use lenient::read_lenient;
pub(crate) use number::{Number, Units};
pub(crate) use object::Object;
pub(crate) use reader::from_str;
pub use value::Json;
pub use view::JsonRef;
pub(crate) use writer::to_string;
